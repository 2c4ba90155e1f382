/* box_dig.c -- asks a name server and shows the answer as dig does. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "cmd/box/box.h"
#include "cmd/box/box_dns.h"
#include "cmd/box/box_run.h"
#include "core/base/mem.h"
#include "core/base/str.h"

struct dig {
    char name[2 * BOX_DNS_NAME + 2];
    uint16_t type;
    const char *server;
    int port;
    bool is_short, search;
    long long timeout_ms;
};

static const char *rcode_name(int rcode)
{
    static const char *const names[] = { "NOERROR",  "FORMERR", "SERVFAIL",
                                         "NXDOMAIN", "NOTIMP",  "REFUSED" };

    return rcode < (int)ARRAY_LEN(names) ? names[rcode] : "RESERVED";
}

/* 10.0.0.1 -> 1.0.0.10.in-addr.arpa */
static bool reverse_name(char *out, size_t size, const char *addr)
{
    uint8_t a[16];
    size_t n = 0;

    if (inet_pton(AF_INET, addr, a) == 1) {
        snprintf(out, size, "%u.%u.%u.%u.in-addr.arpa", a[3], a[2], a[1], a[0]);
        return true;
    }
    if (inet_pton(AF_INET6, addr, a) != 1)
        return false;
    for (int i = 15; i >= 0; i--)
        n += (size_t)snprintf(out + n, size - n, "%x.%x.", a[i] & 15, a[i] >> 4);
    snprintf(out + n, size - n, "ip6.arpa");
    return true;
}

static void show_records(const struct box_dns_answer *a, size_t from, size_t to, const char *title)
{
    char text[1024];

    if (from >= to)
        return;
    printf("\n;; %s SECTION:\n", title);
    for (size_t i = from; i < to; i++) {
        const struct box_dns_record *r = &a->v[i];

        box_dns_show(text, sizeof(text), a, r);
        printf("%s\t\t%u\tIN\t%s\t%s\n", r->name, r->ttl, box_dns_type_name(r->type), text);
    }
}

static void show(const struct dig *d, const struct box_dns_answer *a, long long ms,
                 const char *server)
{
    size_t answers = a->counts[1] < a->n ? a->counts[1] : a->n;
    char text[1024];

    if (d->is_short) {
        for (size_t i = 0; i < answers; i++) {
            box_dns_show(text, sizeof(text), a, &a->v[i]);
            puts(text);
        }
        return;
    }
    printf(";; ->>HEADER<<- opcode: QUERY, status: %s, id: %u\n;; flags:%s%s%s%s; QUERY: %u, "
           "ANSWER: %u, "
           "AUTHORITY: %u, ADDITIONAL: %u\n",
           rcode_name(a->rcode), a->id, a->flags >> 15 ? " qr" : "", a->flags & 0x400 ? " aa" : "",
           a->flags & 0x100 ? " rd" : "", a->flags & 0x80 ? " ra" : "", a->counts[0], a->counts[1],
           a->counts[2], a->counts[3]);
    printf("\n;; QUESTION SECTION:\n;%s%s\t\tIN\t%s\n", d->name, str_ends(d->name, ".") ? "" : ".",
           box_dns_type_name(d->type));
    show_records(a, 0, answers, "ANSWER");
    show_records(a, answers, a->n, "AUTHORITY");
    printf("\n;; Query time: %lld msec\n;; SERVER: %s#%d\n;; MSG SIZE  rcvd: %zu\n", ms, server,
           d->port, a->len);
}

static int ask(struct dig *d, struct sockaddr_storage *server, const char *server_text,
               struct err *err)
{
    _cleanup_(mem_freep) uint8_t *packet = mem_alloc(65536);
    int64_t from = box_now_ms();
    struct box_dns_conf c;
    struct box_dns_answer a;
    char whole[BOX_DNS_NAME];
    bool found = false;

    box_dns_conf_read(&c);
    memcpy(whole, d->name, sizeof(whole));
    whole[sizeof(whole) - 1] = '\0';
    for (size_t i = 0; d->search && !str_ends(whole, ".") && i < c.n_search && !found; i++) {
        snprintf(d->name, sizeof(d->name), "%s.%s", whole, c.search[i]);
        found = box_dns_ask(&a, packet, server, d->name, d->type, d->timeout_ms, err) == 0 &&
                a.rcode == 0 && a.counts[1] > 0;
    }
    if (!found) {
        snprintf(d->name, sizeof(d->name), "%s", whole);
        if (box_dns_ask(&a, packet, server, d->name, d->type, d->timeout_ms, err) < 0)
            return -1;
    }
    show(d, &a, box_now_ms() - from, server_text);
    return 0;
}

static int parse_args(struct dig *d, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *arg = argv[i];
        int64_t n;

        if (strcmp(arg, "+short") == 0) {
            d->is_short = true;
        } else if (strcmp(arg, "+search") == 0) {
            d->search = true;
        } else if (str_starts(arg, "+time=") || str_starts(arg, "+timeout=")) {
            d->timeout_ms = box_duration_ms(strchr(arg, '=') + 1, 1000);
        } else if (arg[0] == '+') {
            continue;                        /* others of dig's change only the looks */
        } else if (arg[0] == '@') {
            d->server = arg + 1;
        } else if (strcmp(arg, "-x") == 0 && i + 1 < argc) {
            if (!reverse_name(d->name, sizeof(d->name), argv[++i]))
                return box_usage(argv, "bad address \"%s\"", argv[i]);
            d->type = BOX_DNS_PTR;
        } else if (strcmp(arg, "-p") == 0 && i + 1 < argc &&
                   str_to_i64(argv[i + 1], 1, 65535, &n, NULL) == 0) {
            d->port = (int)n;
            i++;
        } else if (strcmp(arg, "-t") == 0 && i + 1 < argc && box_dns_type(argv[i + 1])) {
            d->type = box_dns_type(argv[++i]);
        } else if (d->name[0] && box_dns_type(arg)) {
            d->type = box_dns_type(arg);
        } else if (arg[0] == '-' || d->name[0] || strlen(arg) >= BOX_DNS_NAME) {
            return box_usage(argv, "bad argument \"%s\"", arg);
        } else {
            snprintf(d->name, sizeof(d->name), "%s", arg);
        }
    }
    return d->name[0] && d->timeout_ms > 0 ? 0 : box_usage(argv, "no name");
}

int box_dig(int argc, char **argv)
{
    struct dig d = { .type = BOX_DNS_A, .port = 53, .timeout_ms = 5000 };
    struct box_dns_conf c;
    struct box_addrs a;
    struct sockaddr_storage server;
    char text[INET6_ADDRSTRLEN] = "";
    struct err err = ERR_INIT;
    int bad = parse_args(&d, argc, argv);

    if (bad)
        return bad;
    box_dns_conf_read(&c);
    server = c.server[0];
    if (d.server && box_resolve(&a, d.server, d.timeout_ms, &err) == 0)
        server = a.v[0];
    if (server.ss_family == AF_INET6) {
        ((struct sockaddr_in6 *)&server)->sin6_port = htons((uint16_t)d.port);
        inet_ntop(AF_INET6, &((struct sockaddr_in6 *)&server)->sin6_addr, text, sizeof(text));
    } else {
        ((struct sockaddr_in *)&server)->sin_port = htons((uint16_t)d.port);
        inet_ntop(AF_INET, &((struct sockaddr_in *)&server)->sin_addr, text, sizeof(text));
    }
    if (err.code || ask(&d, &server, text, &err) < 0) {
        fprintf(stderr, ";; %s\n", err.msg);
        return 9;                            /* dig's status when no server answers */
    }
    return 0;
}
