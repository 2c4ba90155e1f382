/* bench_dns.c -- the name server: memory of many names, questions a second in the zone alone and
 * over sockets. */
#include <malloc.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/mem.h"
#include "net/dns/dns.h"
#include "net/dns/dns_zone.h"
#include "tests/bench/bench.h"
#include "tests/fake/fake_client.h"

#define NAMES 30000
#define QUESTIONS 200000
#define PORT 15353
#define WINDOW 64                        /* questions under way */

static void put_service(struct dns_zone *z, int i)
{
    struct err err = ERR_INIT;
    char *text = mem_printf("{\"kind\":\"Service\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":"
                            "\"service-%d\",\"namespace\":\"team-%d\",\"resourceVersion\":\"1\"},"
                            "\"spec\":{\"ports\":[{\"name\":\"http\",\"protocol\":\"TCP\","
                            "\"port\":80,\"targetPort\":8080}],\"clusterIP\":\"10.%d.%d.%d\","
                            "\"clusterIPs\":[\"10.%d.%d.%d\"],\"type\":\"ClusterIP\"},"
                            "\"status\":{\"loadBalancer\":{}}}",
                            i, i % 50, 100 + i / 65536, i / 256 % 256, i % 256, 100 + i / 65536,
                            i / 256 % 256, i % 256);
    struct object *o;

    if (object_new(&o, kind_service(), text, strlen(text), 0, &err) < 0)
        bench_fail("object", err.msg);
    dns_zone_service(z, o);
    object_unref(o);
    mem_free(text);
}

static void in_the_zone(struct dns_zone *z)
{
    static uint8_t message[512], out[1232];
    struct dns_answer a = { 0 };
    struct dns_query asked = { .type = DNS_A, .cls = DNS_IN, .has_question = true }, q;
    struct dns_name chase;
    char text[96], ours[64];
    double start = bench_now_s(), took;

    for (int i = 0; i < QUESTIONS; i++) {
        size_t len;

        snprintf(text, sizeof(text), "service-%d.team-%d.svc.cluster.local", i % NAMES,
                 i % NAMES % 50);
        dns_wire_name(&asked.name, text);
        len = dns_wire_question(message, 1, &asked, true);
        dns_wire_parse_query(&q, message, len);
        dns_zone_ask(z, &q, (uint32_t)i, &a, &chase);
        dns_wire_render(out, sizeof(out), &q, &a, 0);
    }
    took = bench_now_s() - start;
    snprintf(ours, sizeof(ours), "%.0f/s", QUESTIONS / took);
    bench_row("DNS: questions to the zone, one thread", ours, NULL, 0);
    dns_wire_answer_deinit(&a);
}

static _Noreturn void serve(int ready)
{
    struct dns_server_opts o = { .listen_ip = "127.0.0.1", .port = PORT, .udp_fd = -1,
                                 .tcp_fd = -1 };
    struct dns_server *s;
    struct fake_client *f;
    struct loop *l;
    struct err err = ERR_INIT;

    if (loop_new(&l, env_real(), &err) < 0)
        _exit(1);
    f = fake_client_new(l);
    fake_client_put(f, "apiVersion: v1\nkind: Service\nmetadata: {name: web}\n"
                       "spec: {clusterIP: 10.43.0.7, ports: [{port: 80}]}\n");
    if (dns_server_new(&s, l, fake_client_door(f), &o, &err) < 0)
        _exit(1);
    while (!dns_server_ready(s))
        loop_step(l, 10);
    if (write(ready, "r", 1) == 1)
        loop_run(l);
    _exit(0);
}

static void over_sockets(void)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(PORT),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct dns_query q = { .type = DNS_A, .cls = DNS_IN };
    int ready[2], fd = socket(AF_INET, SOCK_DGRAM, 0), sent = 0, got = 0;
    struct timeval patience = { 1, 0 };
    uint8_t message[512], in[1500];
    char ours[64], c;
    double start;
    size_t len;
    pid_t pid;

    if (pipe(ready) < 0 || (pid = fork()) < 0)
        bench_fail("dns", "fork");
    if (pid == 0)
        serve(ready[1]);
    close(ready[1]);
    if (read(ready[0], &c, 1) != 1 || connect(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
        bench_fail("dns", "the server did not start");
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    dns_wire_name(&q.name, "web.default.svc.cluster.local");
    len = dns_wire_question(message, 1, &q, true);
    start = bench_now_s();
    while (got < QUESTIONS) {
        while (sent - got < WINDOW && sent < QUESTIONS && send(fd, message, len, 0) > 0)
            sent++;
        if (recv(fd, in, sizeof(in), 0) <= 0)
            bench_fail("dns", "an answer is missing");
        got++;
    }
    snprintf(ours, sizeof(ours), "%.0f/s", got / (bench_now_s() - start));
    bench_row("DNS: questions over UDP, one asker", ours, NULL, 0);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    close(fd);
}

int main(void)
{
    struct err err = ERR_INIT;
    struct dns_zone *z = dns_zone_new("cluster.local", 0x0a2b000a, 1, &err);
    size_t before, bytes;
    char ours[64];

    put_service(z, 0);                   /* what is made once */
    before = mallinfo2().uordblks;
    for (int i = 1; i < NAMES; i++)
        put_service(z, i);
    bytes = mallinfo2().uordblks - before;
    snprintf(ours, sizeof(ours), "%.1f MB (%zu B each)", (double)bytes / 1e6, bytes / NAMES);
    bench_row("DNS: memory of 30000 Services", ours, NULL, 0);
    in_the_zone(z);
    dns_zone_free(z);
    over_sockets();
    return 0;
}
