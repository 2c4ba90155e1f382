/* dns_forward.c -- questions in flight, and who is asked next. */
#include "net/dns/dns_forward.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <unistd.h>

#include "core/base/check.h"
#include "core/base/fd.h"
#include "core/base/log.h"
#include "core/base/map.h"
#include "core/base/mem.h"
#include "net/dns/dns_cache.h"
#include "net/dns/dns_wire_int.h"

#define ROUNDS_MAX 2                     /* over all servers, when they are silent */
#define UDP_IN_BYTES 4096

struct server {
    struct dns_upstream at;
    unsigned silent;                     /* times in a row */
    int64_t down_until_ms;
    bool loops, tested;
    struct dns_name test;                /* the random name that was sent to it */
};

/* One question on its way. */
struct flight {
    struct list link;
    struct dns_forward *f;
    char *key;
    struct dns_query q;                  /* with the id of the last try */
    struct list asks;
    int64_t until_ms;
    unsigned tries, server;              /* server: who is asked now */
    unsigned generation;                 /* of the list that `server` counts in */
    bool edns, tcp, bad;                 /* bad: somebody answered, but with a failure */
    int fd;
    struct loop_io io;
    struct loop_timer timer;
    struct buf in;                       /* TCP */
    struct dns_answer cut;               /* what came over UDP, in case TCP fails */
    bool has_cut;
};

struct dns_forward {
    struct loop *loop;
    struct dns_resolv resolv;
    bool fixed;                          /* the servers were given, there is no file */
    struct server servers[DNS_UPSTREAMS_MAX];
    unsigned n_servers, generation;
    struct dns_upstream self;
    struct map *flights;                 /* key -> struct flight */
    struct list all;
    unsigned n_asks;
    struct dns_cache *cache;
    struct dns_answer answer;            /* the one just read */
    struct dns_query test;               /* room for a question of our own */
};

static void go_on(struct flight *g);

/* --- servers */

static bool same_address(const struct dns_upstream *a, const struct dns_upstream *b)
{
    const struct sockaddr_in *x = (const void *)&a->sa, *y = (const void *)&b->sa;

    if (a->sa.ss_family != b->sa.ss_family || a->sa.ss_family != AF_INET)
        return a->len == b->len && memcmp(&a->sa, &b->sa, a->len) == 0;
    return x->sin_addr.s_addr == y->sin_addr.s_addr && x->sin_port == y->sin_port;
}

static bool is_nobody(const struct dns_upstream *u)
{
    const struct sockaddr_in *in = (const void *)&u->sa;
    const struct sockaddr_in6 *in6 = (const void *)&u->sa;

    return u->sa.ss_family == AF_INET ? in->sin_addr.s_addr == INADDR_ANY :
           IN6_IS_ADDR_UNSPECIFIED(&in6->sin6_addr);
}

static void set_servers(struct dns_forward *f, const struct dns_upstreams *list)
{
    f->n_servers = 0;
    f->generation++;
    for (unsigned i = 0; i < list->n; i++) {
        bool known = same_address(&list->v[i], &f->self) || is_nobody(&list->v[i]);

        for (unsigned k = 0; k < f->n_servers; k++)
            known |= same_address(&list->v[i], &f->servers[k].at);
        if (!known)
            f->servers[f->n_servers++] = (struct server){ .at = list->v[i] };
    }
}

static void reread(struct dns_forward *f)
{
    struct dns_upstreams list;

    if (!f->fixed && dns_resolv_changed(&f->resolv, loop_now_ms(f->loop), &list)) {
        set_servers(f, &list);
        dns_cache_clear(f->cache);       /* another network may have other names */
        log_info("name servers of the host", "file=%s usable=%u", f->resolv.path, f->n_servers);
    }
}

static int open_socket(const struct dns_upstream *u, int type)
{
    _cleanup_fd_ int fd = socket(u->sa.ss_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0 || (connect(fd, (const struct sockaddr *)&u->sa, u->len) < 0 &&
                   errno != EINPROGRESS))
        return -1;
    return TAKE_FD(fd);
}

/* A question that only we can know: should it arrive here, this server leads back to us. Its answer
 * is of no interest. */
static void test_for_loop(struct dns_forward *f, struct server *s)
{
    const struct env *env = loop_env(f->loop);
    _cleanup_fd_ int fd = open_socket(&s->at, SOCK_DGRAM);
    uint8_t message[512];
    uint32_t r[3];
    char text[64];

    s->tested = true;
    env_random(env, r, sizeof(r));
    snprintf(text, sizeof(text), "%u.%u.", r[0], r[1]);
    if (fd < 0 || dns_wire_name(&s->test, text) < 0)
        return;
    f->test = (struct dns_query){ .name = s->test, .type = DNS_HINFO, .cls = DNS_IN };
    (void)!send(fd, message, dns_wire_question(message, (uint16_t)r[2], &f->test, false),
                MSG_NOSIGNAL | MSG_DONTWAIT);
}

static bool usable(struct dns_forward *f, struct server *s)
{
    int64_t now = loop_now_ms(f->loop);

    if (s->loops || s->down_until_ms > now)
        return false;
    if (s->silent >= DNS_FORWARD_SILENT_MAX)             /* this question alone tries again */
        s->down_until_ms = now + DNS_FORWARD_DOWN_MS;
    if (!s->tested)
        test_for_loop(f, s);
    return true;
}

static struct server *server_of(struct flight *g)
{
    return g->generation == g->f->generation ? &g->f->servers[g->server] : NULL;
}

static void heard(struct flight *g)
{
    struct server *s = server_of(g);

    if (!s)
        return;
    s->silent = 0;
    s->down_until_ms = 0;
}

static void not_heard(struct flight *g)
{
    struct server *s = server_of(g);

    if (s && ++s->silent >= DNS_FORWARD_SILENT_MAX)
        s->down_until_ms = loop_now_ms(g->f->loop) + DNS_FORWARD_DOWN_MS;
}

/* --- flights */

static void hang_up(struct flight *g)
{
    loop_io_del(&g->io);
    loop_timer_del(&g->timer);
    g->fd = fd_close(g->fd);
    buf_clear(&g->in);
    g->tcp = false;
}

static void flight_free(struct flight *g)
{
    hang_up(g);
    list_del(&g->link);
    map_del(g->f->flights, g->key);
    dns_wire_answer_deinit(&g->cut);
    buf_deinit(&g->in);
    mem_free(g->key);
    mem_free(g);
}

static void finish(struct flight *g, const struct dns_answer *a)
{
    struct dns_forward *f = g->f;
    struct dns_answer cut = g->cut;
    struct list asks;

    list_init(&asks);
    list_each(ask, &g->asks, struct dns_ask, link) {
        list_del(&ask->link);
        list_push(&asks, &ask->link);
    }
    if (a)
        dns_cache_put(f->cache, g->key, a, dns_cache_ttl(&g->q, a), loop_now_ms(f->loop));
    else if (g->has_cut)
        a = &cut;
    g->cut = (struct dns_answer){ 0 };
    flight_free(g);
    while (!list_empty(&asks)) {
        struct dns_ask *ask = list_first(&asks, struct dns_ask, link);

        list_del(&ask->link);
        ask->forward = NULL;
        f->n_asks--;
        ask->done(ask, a);
    }
    dns_wire_answer_deinit(&cut);
}

static void on_silence(struct loop_timer *t)
{
    struct flight *g = container_of(t, struct flight, timer);

    not_heard(g);
    go_on(g);
}

static void set_timer(struct flight *g)
{
    int64_t left = g->until_ms - loop_now_ms(g->f->loop);

    loop_timer_set(g->f->loop, &g->timer,
                   left < DNS_UPSTREAM_TIMEOUT_MS ? left : DNS_UPSTREAM_TIMEOUT_MS, on_silence);
}

static void start_tcp(struct flight *g);

/* True: this is it. Otherwise the flight went on with somebody else, or has ended. */
static void on_answer(struct flight *g)
{
    struct dns_answer *a = &g->f->answer;

    if (a->rcode == DNS_FORMERR && g->edns) {            /* an old server: once more, plainly */
        g->edns = false;
        g->tries--;
        go_on(g);
        return;
    }
    if (a->rcode != DNS_NOERROR && a->rcode != DNS_NXDOMAIN) {
        g->bad = true;
        go_on(g);
        return;
    }
    heard(g);
    a->ad = a->ad && g->q.dnssec_ok;
    if (!a->tc) {
        finish(g, a);
    } else if (g->tcp) {
        go_on(g);
    } else {
        dns_wire_answer_deinit(&g->cut);
        g->cut = *a;
        g->has_cut = true;
        *a = (struct dns_answer){ 0 };
        start_tcp(g);
    }
}

static void on_udp(struct loop_io *io, unsigned events)
{
    struct flight *g = container_of(io, struct flight, io);
    uint8_t message[UDP_IN_BYTES];
    struct err err = ERR_INIT;
    ssize_t n;

    (void)events;
    n = recv(g->fd, message, sizeof(message), MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n < 0) {                         /* refused, or no way to get there */
        go_on(g);
        return;
    }
    if (dns_wire_parse_answer(&g->f->answer, message, (size_t)n, &g->q, &err) < 0) {
        if (err.code != ERR_INVALID)     /* another question's answer: somebody guesses */
            go_on(g);
        return;
    }
    on_answer(g);
}

static int start_udp(struct flight *g)
{
    const struct dns_upstream *u = &g->f->servers[g->server].at;
    uint8_t message[512];
    size_t len;

    g->fd = open_socket(u, SOCK_DGRAM);
    if (g->fd < 0)
        return -1;
    env_random(loop_env(g->f->loop), &g->q.id, sizeof(g->q.id));
    len = dns_wire_question(message, g->q.id, &g->q, g->edns);
    if (send(g->fd, message, len, MSG_NOSIGNAL) != (ssize_t)len ||
        loop_io_add(g->f->loop, &g->io, g->fd, LOOP_READ, on_udp, NULL) < 0) {
        g->fd = fd_close(g->fd);
        return -1;
    }
    set_timer(g);
    return 0;
}

/* --- TCP */

static void on_tcp_read(struct flight *g)
{
    struct err err = ERR_INIT;
    uint8_t part[UDP_IN_BYTES];
    ssize_t n = recv(g->fd, part, sizeof(part), MSG_DONTWAIT);
    size_t want;

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        go_on(g);
        return;
    }
    buf_add(&g->in, part, (size_t)n);
    if (g->in.len < 2)
        return;
    want = dns_wire_get16((const uint8_t *)g->in.p);
    if (g->in.len < want + 2)
        return;
    if (dns_wire_parse_answer(&g->f->answer, (const uint8_t *)g->in.p + 2, want, &g->q, &err) < 0)
        go_on(g);
    else
        on_answer(g);
}

static void on_tcp(struct loop_io *io, unsigned events)
{
    struct flight *g = container_of(io, struct flight, io);
    uint8_t message[514];
    ssize_t len;

    if (!(io->events & LOOP_WRITE)) {
        on_tcp_read(g);
        return;
    }
    len = (ssize_t)dns_wire_question(message + 2, g->q.id, &g->q, g->edns) + 2;
    dns_wire_put16(message, (uint16_t)(len - 2));
    if (!(events & LOOP_WRITE) || send(g->fd, message, (size_t)len, MSG_NOSIGNAL) != len)
        go_on(g);
    else
        loop_io_set(io, LOOP_READ);
}

static void start_tcp(struct flight *g)
{
    struct server *s = server_of(g);

    hang_up(g);
    if (s && (g->fd = open_socket(&s->at, SOCK_STREAM)) >= 0 &&
        loop_io_add(g->f->loop, &g->io, g->fd, LOOP_WRITE, on_tcp, NULL) == 0) {
        g->tcp = true;
        set_timer(g);
        return;
    }
    go_on(g);
}

/* --- who is next */

static bool try_next(struct flight *g)
{
    struct dns_forward *f = g->f;
    unsigned n = f->n_servers;

    hang_up(g);
    if (g->generation != f->generation) {                /* other servers by now */
        g->generation = f->generation;
        g->tries = 0;
    }
    while (g->tries < n * (g->bad ? 1 : ROUNDS_MAX) && loop_now_ms(f->loop) < g->until_ms) {
        g->server = g->tries++ % n;      /* in the order of the file, as libc does */
        if (usable(f, &f->servers[g->server]) && start_udp(g) == 0)
            return true;
    }
    return false;
}

static void go_on(struct flight *g)
{
    if (g->has_cut || !try_next(g))
        finish(g, NULL);
}

/* --- the door */

const struct dns_answer *dns_forward_cached(struct dns_forward *f, const struct dns_query *q,
                                            uint32_t *out_age_s)
{
    char key[DNS_CACHE_KEY_BYTES];

    reread(f);
    dns_cache_key(q, key);
    return dns_cache_get(f->cache, key, loop_now_ms(f->loop), out_age_s);
}

static struct flight *flight_new(struct dns_forward *f, const char *key, const struct dns_query *q)
{
    struct flight *g = NEW(struct flight);

    g->f = f;
    g->key = mem_strdup(key);
    g->q = *q;
    g->fd = -1;
    g->edns = true;
    g->generation = f->generation;
    g->until_ms = loop_now_ms(f->loop) + DNS_UPSTREAM_TOTAL_MS;
    list_init(&g->asks);
    list_push(&f->all, &g->link);
    map_put(f->flights, key, g);
    return g;
}

int dns_forward_ask(struct dns_forward *f, struct dns_ask *ask, const struct dns_query *q,
                    void (*done)(struct dns_ask *, const struct dns_answer *))
{
    char key[DNS_CACHE_KEY_BYTES];
    struct flight *g;

    reread(f);
    dns_cache_key(q, key);
    if (f->n_asks >= DNS_FORWARD_ASKS_MAX)
        return -1;
    g = map_get(f->flights, key);
    if (!g) {
        if (f->n_servers == 0 || map_len(f->flights) >= DNS_FORWARDS_MAX)
            return -1;
        g = flight_new(f, key, q);
        if (!try_next(g)) {
            flight_free(g);
            return -1;
        }
    }
    ask->forward = f;
    ask->done = done;
    f->n_asks++;
    list_push(&g->asks, &ask->link);
    return 0;
}

void dns_forward_cancel(struct dns_ask *ask)
{
    if (!ask->forward)
        return;
    ask->forward->n_asks--;
    ask->forward = NULL;
    list_del(&ask->link);
}

bool dns_forward_is_loop(struct dns_forward *f, const struct dns_query *q)
{
    unsigned i = 0;

    if (q->type != DNS_HINFO)
        return false;
    while (i < f->n_servers && !(f->servers[i].test.len &&
                                 dns_wire_name_eq(&f->servers[i].test, &q->name)))
        i++;
    if (i == f->n_servers)
        return false;
    if (!f->servers[i].loops)
        log_warn("a name server of the host leads back here and is left out", "number=%u", i + 1);
    f->servers[i].loops = true;
    list_each(g, &f->all, struct flight, link)
        if (g->generation == f->generation && g->server == i)
            loop_timer_set(f->loop, &g->timer, 0, on_silence);
    return true;
}

unsigned dns_forward_flights(const struct dns_forward *f)
{
    return (unsigned)map_len(f->flights);
}

static int set_given(struct dns_forward *f, const char *const *upstreams, struct err *err)
{
    struct dns_upstreams list = { .n = 0 };

    for (; *upstreams; upstreams++) {
        if (list.n == DNS_UPSTREAMS_MAX)
            return err_set(err, ERR_QUOTA, "more than %d name servers", DNS_UPSTREAMS_MAX);
        if (dns_resolv_address(&list.v[list.n++], *upstreams, err) < 0)
            return -1;
    }
    f->fixed = true;
    set_servers(f, &list);
    return 0;
}

int dns_forward_new(struct dns_forward **out, struct loop *l, const struct dns_server_opts *o,
                    struct err *err)
{
    _cleanup_(dns_forward_freep) struct dns_forward *f = NEW(struct dns_forward);
    struct sockaddr_in *self = (struct sockaddr_in *)&f->self.sa;

    f->loop = l;
    f->flights = map_new();
    f->cache = dns_cache_new();
    list_init(&f->all);
    dns_resolv_init(&f->resolv, o->resolv_conf ? o->resolv_conf : "/etc/resolv.conf");
    if (dns_resolv_address(&f->self, o->listen_ip, err) < 0)
        return -1;
    self->sin_port = htons(o->port ? o->port : 53);
    if (o->upstreams && set_given(f, o->upstreams, err) < 0)
        return -1;
    *out = TAKE(f);
    return 0;
}

struct dns_forward *dns_forward_free(struct dns_forward *f)
{
    if (!f)
        return NULL;
    list_each(g, &f->all, struct flight, link) {
        list_each(ask, &g->asks, struct dns_ask, link)
            dns_forward_cancel(ask);
        flight_free(g);
    }
    map_free(f->flights, NULL);
    dns_cache_free(f->cache);
    dns_wire_answer_deinit(&f->answer);
    dns_resolv_deinit(&f->resolv);
    return mem_free(f);
}
