/* test_dns_server.c -- the whole server on loopback: UDP, TCP, cluster names, and name servers
 * behind it, played by the test. */
#include "net/dns/dns.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/fd.h"
#include "core/base/mem.h"
#include "net/dns/dns_conn.h"
#include "tests/fake/fake_client.h"
#include "tests/fake/fake_env.h"
#include "tests/harness/test_ports.h"
#include "tests/unit/net/dns/dns_case.h"

struct box {
    struct fake_env env;
    struct loop *loop;
    struct fake_client *fake;
    struct dns_server *s;
    struct sockaddr_in at;
    int udp, up[2], up_tcp;              /* the asker; name servers of the host */
    char up_text[2][32];
    uint8_t m[65536];
    struct sockaddr_in asker;            /* who asked `up` last */
};

static int udp_socket(struct sockaddr_in *at)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    socklen_t len = sizeof(*at);

    *at = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    EXPECT_EQ(bind(fd, (struct sockaddr *)at, sizeof(*at)), 0);
    EXPECT_EQ(getsockname(fd, (struct sockaddr *)at, &len), 0);
    return fd;
}

static void box_init(struct box *b)
{
    struct err err = ERR_INIT;
    struct sockaddr_in at;

    memset(b, 0, sizeof(*b));
    fake_env_init(&b->env, 1);
    EXPECT_OK(loop_new(&b->loop, &b->env.env, &err), &err);
    b->fake = fake_client_new(b->loop);
    b->udp = udp_socket(&at);
    for (int i = 0; i < 2; i++) {
        if (i == 0)
            test_bind_both(&b->up[i], &b->up_tcp, &at);
        else
            b->up[i] = udp_socket(&at);
        snprintf(b->up_text[i], sizeof(b->up_text[i]), "127.0.0.1:%u", ntohs(at.sin_port));
    }
}

static void start(struct box *b, unsigned upstreams, bool with_client)
{
    const char *const ups[] = { upstreams > 0 ? b->up_text[0] : NULL,
                                upstreams > 1 ? b->up_text[1] : NULL, NULL };
    struct dns_server_opts o = { .listen_ip = "127.0.0.1", .udp_fd = -1, .tcp_fd = -1,
                                 .upstreams = ups };
    struct err err = ERR_INIT;
    socklen_t len = sizeof(b->at);

    do {                                 /* a port that is free for both */
        close(udp_socket(&b->at));
        o.port = ntohs(b->at.sin_port);
    } while (dns_bind(o.listen_ip, o.port, &o.udp_fd, &o.tcp_fd, &err) < 0);
    EXPECT_EQ(getsockname(o.udp_fd, (struct sockaddr *)&b->at, &len), 0);
    EXPECT_OK(dns_server_new(&b->s, b->loop, with_client ? fake_client_door(b->fake) : NULL, &o,
                             &err), &err);
}

static void run(struct box *b)
{
    for (int i = 0; i < 20 || loop_step(b->loop, 0); i++)
        loop_step(b->loop, 0);
}

static void box_deinit(struct box *b)
{
    dns_server_free(b->s);
    fake_client_free(b->fake);
    loop_free(b->loop);
    for (int i = 0; i < 2; i++)
        close(b->up[i]);
    close(b->udp);
    fd_close(b->up_tcp);
}

static void send_question(struct box *b, const char *name, uint16_t type)
{
    struct dns_query q = dns_case_query(name, type);
    size_t len = dns_wire_question(b->m, 7, &q, true);

    EXPECT_EQ(sendto(b->udp, b->m, len, 0, (struct sockaddr *)&b->at, sizeof(b->at)), len);
}

/* What came back by now, or "silence". */
static const char *heard(struct box *b, const char *name, uint16_t type)
{
    static struct dns_answer a;
    struct dns_query q = dns_case_query(name, type);
    struct err err = ERR_INIT;
    ssize_t n;

    run(b);
    n = recv(b->udp, b->m, sizeof(b->m), MSG_DONTWAIT);
    if (n < 0)
        return "silence";
    EXPECT_OK(dns_wire_parse_answer(&a, b->m, (size_t)n, &q, &err), &err);
    return dns_case_text(&q, &a);
}

static const char *ask(struct box *b, const char *name, uint16_t type)
{
    send_question(b, name, type);
    return heard(b, name, type);
}

/* The question that arrived at a name server of ours; its bytes stay in b->m. */
static bool asked(struct box *b, int up, struct dns_query *q)
{
    socklen_t len = sizeof(b->asker);
    ssize_t n;

    for (;;) {
        run(b);
        n = recvfrom(b->up[up], b->m, sizeof(b->m), MSG_DONTWAIT, (struct sockaddr *)&b->asker,
                     &len);
        if (n < 0)
            return false;
        EXPECT_EQ(dns_wire_parse_query(q, b->m, (size_t)n), DNS_NOERROR);
        if (q->type != DNS_HINFO)        /* the test for loops */
            return true;
    }
}

static void reply(struct box *b, int up, const struct dns_query *q, const struct dns_answer *a)
{
    size_t len = dns_wire_render(b->m, 4096, q, a, 0);

    EXPECT_EQ(sendto(b->up[up], b->m, len, 0, (struct sockaddr *)&b->asker, sizeof(b->asker)), len);
}

static void reply_ip(struct box *b, int up, const struct dns_query *q, uint32_t ttl)
{
    struct dns_answer a = { 0 };

    dns_wire_add(&a, DNS_ANSWER, &q->name,
                 &(struct dns_data){ DNS_A, ttl, "\x01\x02\x03\x04", 4 });
    reply(b, up, q, &a);
    dns_wire_answer_deinit(&a);
}

static const char web[] =
    "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: default}\n"
    "spec: {clusterIP: 10.43.0.7, clusterIPs: [10.43.0.7], ports: [{port: 80}]}\n";

TEST(cluster_names_follow_the_objects)
{
    struct box b;

    box_init(&b);
    fake_client_put(b.fake, web);
    start(&b, 0, true);
    EXPECT(!dns_server_ready(b.s));
    run(&b);
    EXPECT(dns_server_ready(b.s));
    EXPECT_STR(ask(&b, "web.default.svc.cluster.local", DNS_A), "A 10.43.0.7");
    fake_client_drop(b.fake, kind_service(), "default", "web");
    run(&b);
    EXPECT_STR(ask(&b, "web.default.svc.cluster.local", DNS_A), "NXDOMAIN ~SOA");
    fake_client_put(b.fake, web);
    fake_client_drop_watches(b.fake, NULL);
    run(&b);
    EXPECT_STR(ask(&b, "web.default.svc.cluster.local", DNS_A), "A 10.43.0.7");
    box_deinit(&b);
}

TEST(nothing_is_denied_before_the_first_list)
{
    struct box b;
    struct dns_server_stats st;

    box_init(&b);
    start(&b, 0, true);
    fake_client_lag(b.fake, 60000);
    fake_client_drop_watches(b.fake, NULL);              /* the lists are late */
    EXPECT_STR(ask(&b, "web.default.svc.cluster.local", DNS_A), "silence");      /* it waits */
    fake_env_advance(&b.env, DNS_PATIENCE_MS);
    EXPECT(!dns_server_ready(b.s));
    EXPECT_STR(heard(&b, "web.default.svc.cluster.local", DNS_A), "SERVFAIL");
    dns_server_stats(b.s, &st);
    EXPECT_EQ(st.asked, 1);
    box_deinit(&b);
}

/* As after a restart with sockets that somebody kept. */
TEST(what_waits_is_answered_with_the_first_list)
{
    struct box b;

    box_init(&b);
    fake_client_put(b.fake, web);
    start(&b, 0, true);
    fake_client_lag(b.fake, 1000);
    fake_client_drop_watches(b.fake, NULL);              /* the lists are late */
    EXPECT_STR(ask(&b, "web.default.svc.cluster.local", DNS_A), "silence");
    fake_env_advance(&b.env, 1000);
    EXPECT_STR(heard(&b, "web.default.svc.cluster.local", DNS_A), "A 10.43.0.7");
    box_deinit(&b);
}

TEST(without_servers_of_the_host_the_answer_comes_at_once)
{
    struct box b;
    struct dns_server_stats st;

    box_init(&b);
    start(&b, 0, false);
    EXPECT_STR(ask(&b, "example.com", DNS_A), "SERVFAIL");
    EXPECT_STR(ask(&b, "example.com", DNS_AAAA), "SERVFAIL");
    dns_server_stats(b.s, &st);
    EXPECT_EQ(st.failed, 2);
    box_deinit(&b);
}

TEST(others_are_asked_once_and_remembered)
{
    struct box b;
    struct dns_query q;

    box_init(&b);
    start(&b, 1, false);
    EXPECT_STR(ask(&b, "example.com", DNS_A), "silence");
    EXPECT_STR(ask(&b, "Example.com", DNS_A), "silence");        /* waits for the same answer */
    EXPECT(asked(&b, 0, &q));
    EXPECT(q.edns && q.rd);
    reply_ip(&b, 0, &q, 10);
    EXPECT_STR(heard(&b, "example.com", DNS_A), "A 1.2.3.4");
    EXPECT_STR(heard(&b, "Example.com", DNS_A), "A 1.2.3.4");
    EXPECT(!asked(&b, 0, &q));
    fake_env_advance(&b.env, 4000);
    EXPECT_STR(ask(&b, "EXAMPLE.com", DNS_A), "A 1.2.3.4");
    EXPECT_EQ(b.m[12 + 13 + 4 + 2 + 7], 6);              /* what is left of 10 seconds */
    fake_env_advance(&b.env, 7000);
    EXPECT_STR(ask(&b, "example.com", DNS_A), "silence");
    EXPECT(asked(&b, 0, &q));
    box_deinit(&b);
}

TEST(absence_is_remembered_too)
{
    struct box b;
    struct dns_query q;
    struct dns_answer a = { .rcode = DNS_NXDOMAIN };
    static const char soa[22] = "\0\0" "\0\0\0\1" "\0\0\0\1" "\0\0\0\1" "\0\0\0\1" "\0\0\0\5";

    box_init(&b);
    start(&b, 1, false);
    EXPECT_STR(ask(&b, "no.example.com", DNS_A), "silence");
    EXPECT(asked(&b, 0, &q));
    dns_wire_add(&a, DNS_AUTHORITY, &q.name,
                 &(struct dns_data){ DNS_SOA, 60, soa, 22 });
    reply(&b, 0, &q, &a);
    EXPECT_STR(heard(&b, "no.example.com", DNS_A), "NXDOMAIN ~SOA");
    EXPECT_STR(ask(&b, "no.example.com", DNS_A), "NXDOMAIN ~SOA");
    fake_env_advance(&b.env, 5000);
    EXPECT_STR(ask(&b, "no.example.com", DNS_A), "silence");
    dns_wire_answer_deinit(&a);
    box_deinit(&b);
}

TEST(a_silent_server_is_followed_by_the_next)
{
    struct box b;
    struct dns_query q;

    box_init(&b);
    start(&b, 2, false);
    EXPECT_STR(ask(&b, "example.com", DNS_A), "silence");
    EXPECT(asked(&b, 0, &q));
    EXPECT(!asked(&b, 1, &q));
    fake_env_advance(&b.env, DNS_UPSTREAM_TIMEOUT_MS);
    EXPECT(asked(&b, 1, &q));
    reply_ip(&b, 1, &q, 0);
    EXPECT_STR(heard(&b, "example.com", DNS_A), "A 1.2.3.4");
    for (int i = 0; i < 2; i++) {                /* silent three times: left out */
        EXPECT_STR(ask(&b, "example.com", DNS_A), "silence");
        EXPECT(asked(&b, 0, &q));
        fake_env_advance(&b.env, DNS_UPSTREAM_TIMEOUT_MS);
        EXPECT(asked(&b, 1, &q));
        reply_ip(&b, 1, &q, 0);
        EXPECT_STR(heard(&b, "example.com", DNS_A), "A 1.2.3.4");
    }
    EXPECT_STR(ask(&b, "example.com", DNS_A), "silence");
    EXPECT(!asked(&b, 0, &q));
    EXPECT(asked(&b, 1, &q));
    reply_ip(&b, 1, &q, 0);
    EXPECT_STR(heard(&b, "example.com", DNS_A), "A 1.2.3.4");
    box_deinit(&b);
}

TEST(all_silent)
{
    struct box b;
    struct dns_query q;
    int64_t waited = 0;

    box_init(&b);
    start(&b, 1, false);
    EXPECT_STR(ask(&b, "example.com", DNS_A), "silence");
    for (; strcmp(heard(&b, "example.com", DNS_A), "silence") == 0; waited += 100)
        fake_env_advance(&b.env, 100);
    EXPECT(waited <= DNS_UPSTREAM_TOTAL_MS);
    for (int i = 0; i < 60; i++) {
        fake_env_advance(&b.env, 100);
        run(&b);
    }
    EXPECT_STR(ask(&b, "a.example.com", DNS_A), "silence");
    fake_env_advance(&b.env, DNS_UPSTREAM_TIMEOUT_MS);
    EXPECT_STR(heard(&b, "a.example.com", DNS_A), "SERVFAIL");
    EXPECT_STR(ask(&b, "b.example.com", DNS_A), "SERVFAIL");     /* at once: nobody is left */
    fake_env_advance(&b.env, 6000);
    EXPECT_STR(ask(&b, "c.example.com", DNS_A), "silence");      /* one tries again */
    EXPECT_STR(ask(&b, "d.example.com", DNS_A), "SERVFAIL");
    while (asked(&b, 0, &q) && q.name.w[1] != 'c')
        continue;
    EXPECT_EQ(q.name.w[1], 'c');
    reply_ip(&b, 0, &q, 0);
    EXPECT_STR(heard(&b, "c.example.com", DNS_A), "A 1.2.3.4");
    EXPECT_STR(ask(&b, "e.example.com", DNS_A), "silence");
    EXPECT(asked(&b, 0, &q));
    box_deinit(&b);
}

TEST(a_failure_is_followed_by_the_next)
{
    struct box b;
    struct dns_query q;
    struct dns_answer refused = { .rcode = DNS_REFUSED }, failed = { .rcode = DNS_SERVFAIL };

    box_init(&b);
    start(&b, 2, false);
    EXPECT_STR(ask(&b, "example.com", DNS_A), "silence");
    EXPECT(asked(&b, 0, &q));
    reply(&b, 0, &q, &refused);
    EXPECT(asked(&b, 1, &q));
    reply(&b, 1, &q, &failed);
    EXPECT_STR(heard(&b, "example.com", DNS_A), "SERVFAIL");
    close(b.up[0]);
    b.up[0] = -1;
    EXPECT_STR(ask(&b, "example.com", DNS_A), "silence");        /* refused by the kernel */
    EXPECT(asked(&b, 1, &q));
    reply_ip(&b, 1, &q, 10);
    EXPECT_STR(heard(&b, "example.com", DNS_A), "A 1.2.3.4");
    box_deinit(&b);
}

TEST(an_old_server_is_asked_without_edns)
{
    struct box b;
    struct dns_query q;
    struct dns_answer formerr = { .rcode = DNS_FORMERR };

    box_init(&b);
    start(&b, 1, false);
    EXPECT_STR(ask(&b, "example.com", DNS_A), "silence");
    EXPECT(asked(&b, 0, &q));
    EXPECT(q.edns);
    q.edns = false;
    reply(&b, 0, &q, &formerr);
    EXPECT(asked(&b, 0, &q));
    EXPECT(!q.edns);
    reply_ip(&b, 0, &q, 10);
    EXPECT_STR(heard(&b, "example.com", DNS_A), "A 1.2.3.4");
    box_deinit(&b);
}

TEST(answers_that_do_not_fit_the_question_are_not_believed)
{
    struct box b;
    struct dns_query q, other;

    box_init(&b);
    start(&b, 1, false);
    EXPECT_STR(ask(&b, "example.com", DNS_A), "silence");
    EXPECT(asked(&b, 0, &q));
    other = q;
    other.id ^= 1;
    reply_ip(&b, 0, &other, 10);
    EXPECT_STR(heard(&b, "example.com", DNS_A), "silence");
    other = dns_case_query("example.org", DNS_A);
    other.id = q.id;
    reply_ip(&b, 0, &other, 10);
    EXPECT_STR(heard(&b, "example.com", DNS_A), "silence");
    reply_ip(&b, 1, &q, 10);                     /* right, but from another address */
    EXPECT_STR(heard(&b, "example.com", DNS_A), "silence");
    reply_ip(&b, 0, &q, 10);
    EXPECT_STR(heard(&b, "example.com", DNS_A), "A 1.2.3.4");
    box_deinit(&b);
}

TEST(what_was_cut_comes_over_tcp)
{
    struct box b;
    struct dns_query q;
    struct dns_answer cut = { .tc = true }, a = { 0 };
    uint8_t head[2];
    size_t len;
    int fd;

    box_init(&b);
    start(&b, 1, false);
    EXPECT_EQ(listen(b.up_tcp, 5), 0);
    EXPECT_STR(ask(&b, "example.com", DNS_A), "silence");
    EXPECT(asked(&b, 0, &q));
    reply(&b, 0, &q, &cut);
    run(&b);
    fd = accept(b.up_tcp, NULL, NULL);
    EXPECT(fd >= 0);
    run(&b);
    EXPECT_EQ(recv(fd, head, 2, MSG_WAITALL), 2);
    EXPECT_EQ(recv(fd, b.m, head[1], MSG_WAITALL), head[1]);
    EXPECT_EQ(dns_wire_parse_query(&q, b.m, head[1]), DNS_NOERROR);
    for (int i = 0; i < 300; i++)
        dns_wire_add(&a, DNS_ANSWER, &q.name,
                     &(struct dns_data){ DNS_A, 10, (uint8_t[]){ 9, 9, 9, (uint8_t)i }, 4 });
    len = dns_wire_render(b.m, 65535, &q, &a, 0);
    head[0] = (uint8_t)(len >> 8);
    head[1] = (uint8_t)len;
    EXPECT_EQ(send(fd, head, 2, 0), 2);
    run(&b);
    EXPECT_EQ(send(fd, b.m, len, 0), len);
    EXPECT(strncmp(heard(&b, "example.com", DNS_A), " TC A 9.9.9.0", 13) == 0);
    EXPECT(strncmp(ask(&b, "example.com", DNS_A), " TC A 9.9.9.0", 13) == 0);    /* from memory */
    close(fd);
    dns_wire_answer_deinit(&a);
    box_deinit(&b);
}

TEST(without_tcp_the_cut_answer_is_better_than_none)
{
    struct box b;
    struct dns_query q;
    struct dns_answer cut = { .tc = true };

    box_init(&b);
    start(&b, 1, false);
    EXPECT_STR(ask(&b, "example.com", DNS_A), "silence");
    EXPECT(asked(&b, 0, &q));
    dns_wire_add(&cut, DNS_ANSWER, &q.name, &(struct dns_data){ DNS_A, 10, "\1\1\1\1", 4 });
    reply(&b, 0, &q, &cut);
    EXPECT_STR(heard(&b, "example.com", DNS_A), " TC A 1.1.1.1");
    EXPECT_STR(ask(&b, "example.com", DNS_A), "silence");        /* but not remembered */
    dns_wire_answer_deinit(&cut);
    box_deinit(&b);
}

TEST(external_names_bring_the_addresses_along)
{
    struct box b;
    struct dns_query q;

    box_init(&b);
    fake_client_put(b.fake, "apiVersion: v1\nkind: Service\n"
                            "metadata: {name: out, namespace: default}\n"
                            "spec: {type: ExternalName, externalName: example.com}\n");
    start(&b, 1, true);
    run(&b);
    EXPECT_STR(ask(&b, "out.default.svc.cluster.local", DNS_A), "silence");
    EXPECT(asked(&b, 0, &q));
    reply_ip(&b, 0, &q, 10);
    EXPECT_STR(heard(&b, "out.default.svc.cluster.local", DNS_A),
               "CNAME example.com. example.com. A 1.2.3.4");
    EXPECT_STR(ask(&b, "out.default.svc.cluster.local", DNS_A),
               "CNAME example.com. example.com. A 1.2.3.4");
    box_deinit(&b);
}

/* What arrives at the first name server goes back to us, as it is. */
TEST(a_server_that_leads_back_is_left_out)
{
    struct box b;
    struct sockaddr_in from;
    socklen_t len = sizeof(from);
    ssize_t n;
    bool looped = false;

    box_init(&b);
    start(&b, 1, false);
    EXPECT_STR(ask(&b, "example.com", DNS_A), "silence");
    for (int i = 0; i < 10; i++) {
        run(&b);
        n = recvfrom(b.up[0], b.m, sizeof(b.m), MSG_DONTWAIT, (struct sockaddr *)&from, &len);
        if (n > 0)
            sendto(b.up[0], b.m, (size_t)n, 0, (struct sockaddr *)&b.at, sizeof(b.at));
        looped |= n > 0;
    }
    EXPECT(looped);
    EXPECT_STR(heard(&b, "example.com", DNS_A), "SERVFAIL");
    EXPECT_STR(ask(&b, "example.net", DNS_A), "SERVFAIL");
    box_deinit(&b);
}

TEST(our_own_address_is_no_name_server)
{
    _cleanup_(mem_freep) char *path = mem_printf("%s/resolv.conf", test_tmpdir());
    struct dns_server_opts o = { .listen_ip = "127.0.0.53", .udp_fd = -1, .tcp_fd = -1,
                                 .resolv_conf = path, .port = 53 };
    static const char text[] = "nameserver 127.0.0.53\nnameserver 0.0.0.0\n";
    struct err err = ERR_INIT;
    struct box b;

    box_init(&b);
    EXPECT_OK(fd_write_file(AT_FDCWD, path, text, sizeof(text) - 1, 0644, &err), &err);
    b.at = (struct sockaddr_in){ .sin_family = AF_INET,
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = 0 };
    o.udp_fd = udp_socket(&b.at);
    o.tcp_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(listen(o.tcp_fd, 1), 0);
    EXPECT_OK(dns_server_new(&b.s, b.loop, NULL, &o, &err), &err);
    EXPECT_STR(ask(&b, "example.com", DNS_A), "SERVFAIL");
    box_deinit(&b);
}

/* --- TCP */

static int connect_to(struct box *b)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    EXPECT_EQ(connect(fd, (struct sockaddr *)&b->at, sizeof(b->at)), 0);
    return fd;
}

static void tcp_question(struct box *b, int fd, const char *name, uint16_t type, uint16_t id)
{
    struct dns_query q = dns_case_query(name, type);
    size_t len = dns_wire_question(b->m + 2, id, &q, false);

    b->m[0] = 0;
    b->m[1] = (uint8_t)len;
    EXPECT_EQ(send(fd, b->m, len + 2, MSG_NOSIGNAL), len + 2);
}

/* The id of the next answer; -1: none yet, -2: the connection is closed. */
static int tcp_heard(struct box *b, int fd)
{
    uint8_t head[2];
    ssize_t n, len;

    run(b);
    n = recv(fd, head, 2, MSG_DONTWAIT);
    if (n < 0)
        return errno == EAGAIN ? -1 : -2;
    if (n == 0)
        return -2;
    len = head[0] << 8 | head[1];
    EXPECT_EQ(recv(fd, b->m, (size_t)len, MSG_WAITALL), len);
    return b->m[0] << 8 | b->m[1];
}

TEST(questions_in_a_row_over_tcp)
{
    struct box b;
    struct dns_query q;
    int fd;

    box_init(&b);
    fake_client_put(b.fake, web);
    start(&b, 1, true);
    run(&b);
    fd = connect_to(&b);
    tcp_question(&b, fd, "example.com", DNS_A, 1);
    tcp_question(&b, fd, "web.default.svc.cluster.local", DNS_A, 2);
    tcp_question(&b, fd, "web.default.svc.cluster.local", DNS_AAAA, 3);
    EXPECT_EQ(tcp_heard(&b, fd), 2);
    EXPECT_EQ(tcp_heard(&b, fd), 3);
    EXPECT_EQ(tcp_heard(&b, fd), -1);
    shutdown(fd, SHUT_WR);                       /* still wants its answer */
    EXPECT_EQ(tcp_heard(&b, fd), -1);
    EXPECT(asked(&b, 0, &q));
    reply_ip(&b, 0, &q, 10);
    EXPECT_EQ(tcp_heard(&b, fd), 1);
    EXPECT_EQ(tcp_heard(&b, fd), -2);
    close(fd);
    box_deinit(&b);
}

TEST(a_connection_that_goes_takes_its_questions_along)
{
    struct box b;
    struct dns_query q;
    int fd;

    box_init(&b);
    start(&b, 1, false);
    fd = connect_to(&b);
    for (uint16_t i = 0; i < 5; i++)
        tcp_question(&b, fd, "example.com", DNS_A, i);
    run(&b);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){ 1, 0 }, sizeof(struct linger));
    close(fd);
    run(&b);
    EXPECT(asked(&b, 0, &q));
    reply_ip(&b, 0, &q, 10);
    run(&b);
    EXPECT_STR(ask(&b, "example.com", DNS_A), "A 1.2.3.4");
    fd = connect_to(&b);                         /* and what still waits when the server ends */
    tcp_question(&b, fd, "example.net", DNS_A, 1);
    send_question(&b, "example.net", DNS_A);
    run(&b);
    close(fd);
    box_deinit(&b);
}

TEST(limits_of_connections)
{
    struct box b;
    int fds[DNS_TCP_CONNS_MAX + 1];

    box_init(&b);
    fake_client_put(b.fake, web);
    start(&b, 0, true);
    run(&b);
    for (int i = 0; i <= DNS_TCP_CONNS_MAX; i++) {
        fds[i] = connect_to(&b);
        run(&b);
        if (i == DNS_TCP_CONNS_MAX - 1) {
            tcp_question(&b, fds[0], "web.default.svc.cluster.local", DNS_A, 1);
            EXPECT_EQ(tcp_heard(&b, fds[0]), 1);
        }
    }
    EXPECT_EQ(tcp_heard(&b, fds[1]), -2);                /* the longest idle made room */
    EXPECT_EQ(tcp_heard(&b, fds[0]), -1);
    EXPECT_EQ(tcp_heard(&b, fds[2]), -1);
    fake_env_advance(&b.env, DNS_TCP_IDLE_MS);
    EXPECT_EQ(tcp_heard(&b, fds[0]), -2);
    for (int i = 0; i <= DNS_TCP_CONNS_MAX; i++)
        close(fds[i]);
    box_deinit(&b);
}

TEST(one_connection_waits_at_its_limit)
{
    struct box b;
    struct dns_query q;
    struct dns_server_stats st;
    char name[32];
    int fd;

    box_init(&b);
    start(&b, 1, false);
    fd = connect_to(&b);
    for (uint16_t i = 0; i < DNS_CONN_PENDING_MAX + 5; i++) {
        snprintf(name, sizeof(name), "n%u.example.com", i);
        tcp_question(&b, fd, name, DNS_A, i);
    }
    run(&b);
    dns_server_stats(b.s, &st);
    EXPECT_EQ(st.asked, DNS_CONN_PENDING_MAX);
    EXPECT(asked(&b, 0, &q));
    reply_ip(&b, 0, &q, 10);
    EXPECT_EQ(tcp_heard(&b, fd), 0);
    dns_server_stats(b.s, &st);
    EXPECT_EQ(st.asked, DNS_CONN_PENDING_MAX + 1);
    close(fd);
    box_deinit(&b);
}

TEST(too_many_questions_for_others)
{
    struct box b;
    char name[32];
    int served = 0;

    box_init(&b);
    start(&b, 1, false);
    for (unsigned i = 0; i <= DNS_FORWARDS_MAX; i++) {
        snprintf(name, sizeof(name), "n%u.example.com", i);
        served += strcmp(ask(&b, name, DNS_A), "silence") == 0;
    }
    EXPECT(served <= DNS_FORWARDS_MAX);          /* fewer where descriptors are few */
    EXPECT(served > 200);
    EXPECT_STR(ask(&b, name, DNS_A), "SERVFAIL");
    box_deinit(&b);
}

TEST(what_is_no_question_gets_no_names)
{
    static const struct { const char *p; size_t len; const char *want; } t[] = {
        { "", 0, NULL }, { "\0\7\1\0\0\1\0\0\0\0\0", 11, NULL },
        { "\0\7\x81\0\0\1\0\0\0\0\0\0\1a\0\0\1\0\1", 19, NULL },
        { "\0\7\1\0\0\0\0\0\0\0\0\0", 12, "\0\7\x81\x81" },
        { "\0\7\x29\0\0\1\0\0\0\0\0\0\1a\0\0\1\0\1", 19, "\0\7\xa9\x84" },
        { "\0\7\1\0\0\1\0\0\0\0\0\0\1a\0\0\1\0\3", 19, "\0\7\x81\x85" },
        { "\0\7\1\0\0\1\0\0\0\0\0\0\xc0\x0c\0\1\0\1", 18, "\0\7\x81\x81" },
    };
    struct box b;

    box_init(&b);
    start(&b, 0, true);
    run(&b);
    for (size_t i = 0; i < ARRAY_LEN(t); i++) {
        ssize_t n;

        EXPECT_EQ(sendto(b.udp, t[i].p, t[i].len, 0, (struct sockaddr *)&b.at, sizeof(b.at)),
                  t[i].len);
        run(&b);
        n = recv(b.udp, b.m, sizeof(b.m), MSG_DONTWAIT);
        EXPECT_EQ(n > 0, t[i].want != NULL);
        if (n > 0)
            EXPECT_MEM(b.m, t[i].want, 4);
    }
    box_deinit(&b);
}

TEST(addresses_that_are_none)
{
    struct err err = ERR_INIT;
    int udp = -1, tcp = -1;

    EXPECT_ERR(dns_bind("fd00::1", 53, &udp, &tcp, &err), &err, ERR_INVALID);
    EXPECT_STR(err.msg, "DNS address \"fd00::1\" is no IPv4 address");
    EXPECT_ERR(dns_bind("10.43.0.010x", 53, &udp, &tcp, &err), &err, ERR_INVALID);
    EXPECT_EQ(udp, -1);
}
