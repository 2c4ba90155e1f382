/* dns_server.c -- sockets and watches; each question goes to the zone, to the cache, or out. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "core/base/check.h"
#include "core/base/fd.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/client/client.h"
#include "net/dns/dns.h"
#include "net/dns/dns_conn.h"
#include "net/dns/dns_forward.h"
#include "net/dns/dns_zone.h"

#define DNS_PORT 53
#define UDP_ROUND 64                     /* datagrams read before others get their turn */
#define UDP_BUFFER_BYTES (1 << 20)
#define BACKLOG 256

/* Where an answer goes. */
struct peer {
    bool tcp;
    struct sockaddr_in from;             /* UDP */
    struct dns_conn *conn;               /* TCP; NULL: gone */
};

/* A question that waits for another server. */
struct pending {
    struct list link;
    struct dns_ask ask;
    struct dns_conn_turn turn;
    struct dns_server *s;
    struct peer peer;
    struct dns_query q;
    struct buf before;                   /* records of ours that come first: a CNAME */
};

struct watch { struct dns_server *s; struct client_watch *w; bool synced; };

struct dns_server {
    struct loop *loop;
    struct dns_zone *zone;
    struct dns_forward *forward;
    struct dns_name domain;
    struct watch watches[DNS_ZONE_LISTS];
    int udp_fd, tcp_fd;
    struct loop_io udp;
    struct loop_timer patience;          /* until then questions wait in the sockets */
    struct dns_conns *conns;             /* NULL: nothing is read yet */
    struct list pendings;
    struct dns_answer answer, whole;
    uint32_t turn;
    struct dns_server_stats stats;
    uint8_t in[DNS_MESSAGE_BYTES], out[DNS_MESSAGE_BYTES];
};

/* --- sockets */

static int bound_socket(int type, const struct sockaddr_in *at, struct err *err)
{
    _cleanup_fd_ int fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const char *what = type == SOCK_DGRAM ? "UDP" : "TCP";
    int one = 1, bytes = UDP_BUFFER_BYTES;

    if (fd < 0)
        return err_sys(err, "%s socket", what);
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
        setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &one, sizeof(one)) < 0)
        return err_sys(err, "%s socket options", what);
    if (type == SOCK_DGRAM)              /* as much as the system allows */
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
    if (bind(fd, (const struct sockaddr *)at, sizeof(*at)) < 0)
        return err_sys(err, "bind %s port %u", what, ntohs(at->sin_port));
    if (type == SOCK_STREAM && listen(fd, BACKLOG) < 0)
        return err_sys(err, "listen");
    return TAKE_FD(fd);
}

int dns_bind(const char *ip, uint16_t port, int *out_udp, int *out_tcp, struct err *err)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(port ? port : DNS_PORT) };
    _cleanup_fd_ int udp = -1;
    int tcp;

    if (!ip || inet_pton(AF_INET, ip, &at.sin_addr) != 1)
        return err_set(err, ERR_INVALID, "DNS address \"%s\" is no IPv4 address", ip ? ip : "");
    udp = bound_socket(SOCK_DGRAM, &at, err);
    tcp = udp < 0 ? -1 : bound_socket(SOCK_STREAM, &at, err);
    if (tcp < 0)
        return err_wrap(err, "DNS address %s", ip);
    *out_udp = TAKE_FD(udp);
    *out_tcp = tcp;
    return 0;
}

/* --- answers */

static void send_to(struct dns_server *s, const struct peer *peer, struct dns_conn_turn *turn,
                    const struct dns_query *q, const struct dns_answer *a)
{
    size_t limit = DNS_MESSAGE_BYTES, len;

    s->stats.failed += a->rcode == DNS_SERVFAIL;
    if (!peer->tcp)
        limit = q->udp_bytes < DNS_UDP_BYTES_MAX ? q->udp_bytes : DNS_UDP_BYTES_MAX;
    len = dns_wire_render(s->out, limit, q, a, 0);
    if (peer->tcp)
        dns_conn_send(peer->conn, turn, s->out, len);
    else                                 /* a full buffer: they will ask again */
        (void)!sendto(s->udp_fd, s->out, len, MSG_NOSIGNAL | MSG_DONTWAIT,
                      (const struct sockaddr *)&peer->from, sizeof(peer->from));
}

static void send_code(struct dns_server *s, const struct peer *peer, const struct dns_query *q,
                      uint8_t rcode)
{
    struct dns_answer a = { .rcode = rcode };

    send_to(s, peer, NULL, q, &a);
}

/* Ours (if any) and then theirs, as old as it is, in the asker's case. a NULL: none came. */
static const struct dns_answer *join(struct dns_server *s, const struct dns_query *q,
                                     const struct buf *before, const struct dns_answer *a,
                                     uint32_t age_s)
{
    struct dns_answer *whole = &s->whole;
    const struct dns_name *name;
    struct dns_rr rr;
    uint32_t ttl;

    dns_wire_answer_clear(whole);
    if (before && before->len)
        buf_add(&whole->rrs, before->p, before->len);
    whole->rcode = a ? a->rcode : DNS_SERVFAIL;
    whole->tc = a && a->tc;
    whole->ad = a && a->ad;
    for (size_t at = 0; a && dns_wire_next(a, &at, &rr);) {
        name = dns_wire_name_eq(&rr.name, &q->name) ? &q->name : &rr.name;
        ttl = rr.ttl > age_s ? rr.ttl - age_s : 0;
        dns_wire_add(whole, rr.section, name, &(struct dns_data){ rr.type, ttl, rr.data, rr.len });
    }
    return whole;
}

/* --- questions for others */

static void pending_free(struct pending *p)
{
    dns_forward_cancel(&p->ask);
    list_del(&p->link);
    buf_deinit(&p->before);
    mem_free(p);
}

static void on_forwarded(struct dns_ask *ask, const struct dns_answer *a)
{
    struct pending *p = container_of(ask, struct pending, ask);
    struct peer peer = p->peer;

    /* Sending may end the connection, which takes its turns along: p's is none of them then. */
    send_to(p->s, &peer, &p->turn, &p->q, join(p->s, &p->q, &p->before, a, 0));
    pending_free(p);
}

static void on_conn_gone(void *ctx, struct dns_conn_turn *turn)
{
    (void)ctx;
    pending_free(container_of(turn, struct pending, turn));
}

static void forward(struct dns_server *s, const struct peer *peer, const struct dns_query *q,
                    const struct dns_name *target, const struct buf *before)
{
    struct dns_query asked = *q;
    const struct dns_answer *known;
    struct pending *p;
    uint32_t age_s = 0;

    asked.name = *target;
    known = dns_forward_cached(s->forward, &asked, &age_s);
    if (known) {
        s->stats.cached++;
        send_to(s, peer, NULL, q, join(s, q, before, known, age_s));
        return;
    }
    p = NEW(struct pending);
    p->s = s;
    p->peer = *peer;
    p->q = *q;
    list_init(&p->link);
    if (dns_forward_ask(s->forward, &p->ask, &asked, on_forwarded) < 0) {
        send_to(s, peer, NULL, q, join(s, q, before, NULL, 0));
        pending_free(p);
        return;
    }
    s->stats.forwarded++;
    list_push(&s->pendings, &p->link);
    if (before && before->len)
        buf_add(&p->before, before->p, before->len);
    if (peer->tcp)
        dns_conn_wait(peer->conn, &p->turn);
}

/* --- questions */

static void answer(struct dns_server *s, const struct peer *peer, const struct dns_query *q)
{
    struct dns_name chase;
    enum dns_zone_said said;

    if (dns_forward_is_loop(s->forward, q)) {
        s->stats.refused++;
        send_code(s, peer, q, DNS_REFUSED);
        return;
    }
    if (s->zone && !dns_server_ready(s) && dns_wire_name_under(&q->name, &s->domain)) {
        send_code(s, peer, q, DNS_SERVFAIL);             /* it may exist: we do not know yet */
        return;
    }
    said = s->zone ? dns_zone_ask(s->zone, q, s->turn++, &s->answer, &chase) : DNS_ZONE_OTHER;
    if (said == DNS_ZONE_OTHER) {
        forward(s, peer, q, &q->name, NULL);
        return;
    }
    s->stats.cluster++;
    if (said == DNS_ZONE_DONE)
        send_to(s, peer, NULL, q, &s->answer);
    else
        forward(s, peer, q, &chase, &s->answer.rrs);
}

static void on_question(struct dns_server *s, const struct peer *peer, const uint8_t *p, size_t len)
{
    struct dns_query q;
    int code = dns_wire_parse_query(&q, p, len);

    if (code < 0)
        return;
    s->stats.asked++;
    s->stats.tcp += peer->tcp;
    if (code == DNS_NOERROR) {
        answer(s, peer, &q);
        return;
    }
    s->stats.refused++;
    send_code(s, peer, &q, (uint8_t)code);
}

static void on_message(void *ctx, struct dns_conn *c, const uint8_t *p, size_t len)
{
    struct peer peer = { .tcp = true, .conn = c };

    on_question(ctx, &peer, p, len);
}

static void on_udp(struct loop_io *io, unsigned events)
{
    struct dns_server *s = container_of(io, struct dns_server, udp);

    (void)events;
    for (int i = 0; i < UDP_ROUND; i++) {
        struct peer peer = { .tcp = false };
        socklen_t from_len = sizeof(peer.from);
        ssize_t n = recvfrom(s->udp_fd, s->in, sizeof(s->in), MSG_DONTWAIT,
                             (struct sockaddr *)&peer.from, &from_len);

        if (n < 0 && errno != EINTR && errno != ECONNREFUSED)
            return;
        if (n >= 0 && peer.from.sin_port != 0)
            on_question(s, &peer, s->in, (size_t)n);
    }
}

/* --- sockets that are read */

static int open_all(struct dns_server *s, const struct dns_server_opts *o, struct err *err)
{
    s->udp_fd = o->udp_fd;
    s->tcp_fd = o->tcp_fd;
    if (s->udp_fd < 0 && s->tcp_fd < 0 &&
        dns_bind(o->listen_ip, o->port, &s->udp_fd, &s->tcp_fd, err) < 0)
        return -1;
    if (s->udp_fd < 0 || s->tcp_fd < 0)
        return err_set(err, ERR_INVALID, "DNS needs both a UDP and a TCP socket");
    return 0;
}

static int listen_all(struct dns_server *s, struct err *err)
{
    struct dns_conns_opts co = { .fd = s->tcp_fd, .on_message = on_message,
                                 .on_gone = on_conn_gone, .ctx = s };

    loop_timer_del(&s->patience);
    if (s->conns)
        return 0;
    if (loop_io_add(s->loop, &s->udp, s->udp_fd, LOOP_READ, on_udp, err) < 0)
        return -1;
    return dns_conns_new(&s->conns, s->loop, &co, err);
}

static void listen_now(struct dns_server *s)
{
    struct err err = ERR_INIT;

    if (listen_all(s, &err) < 0)
        log_error("no name is answered", "error=%s", err.msg);
}

static void on_patience(struct loop_timer *t)
{
    listen_now(container_of(t, struct dns_server, patience));
}

/* --- watches */

struct watched {
    const struct kind *(*kind)(void);
    void (*put)(struct dns_zone *z, const struct object *o);
    void (*gone)(struct dns_zone *z, const char *ns, const char *name);
};

static const struct watched watched[DNS_ZONE_LISTS] = {
    [DNS_ZONE_SERVICES] = { kind_service, dns_zone_service, dns_zone_service_gone },
    [DNS_ZONE_SLICES] = { kind_endpoint_slice, dns_zone_slice, dns_zone_slice_gone },
    [DNS_ZONE_PODS] = { kind_pod, dns_zone_pod, dns_zone_pod_gone },
};

static void on_sync(bool end, void *ctx)
{
    struct watch *w = ctx;
    enum dns_zone_list which = (enum dns_zone_list)(w - w->s->watches);
    bool before = dns_server_ready(w->s);

    if (!end) {
        dns_zone_list_begin(w->s->zone, which);
        return;
    }
    dns_zone_list_end(w->s->zone, which);
    w->synced = true;
    if (!before && dns_server_ready(w->s))
        log_info("cluster names are served", "names=%u", dns_zone_names(w->s->zone));
    if (dns_server_ready(w->s))
        listen_now(w->s);
}

static void on_event(enum client_event type, struct object *o, void *ctx)
{
    struct watch *w = ctx;
    const struct watched *k = &watched[w - w->s->watches];

    if (type == CLIENT_DELETED)
        k->gone(w->s->zone, object_ns(o), object_name(o));
    else if (type != CLIENT_BOOKMARK)
        k->put(w->s->zone, o);
}

static int watch_all(struct dns_server *s, struct client *c, bool pods, struct err *err)
{
    for (int i = 0; i < DNS_ZONE_LISTS; i++) {
        struct client_watch_opts o = { .kind = watched[i].kind(), .on_sync = on_sync,
                                       .on_event = on_event, .ctx = &s->watches[i] };

        s->watches[i].s = s;
        s->watches[i].synced = i == DNS_ZONE_PODS && !pods;
        if (!s->watches[i].synced && client_watch_new(c, &s->watches[i].w, &o, err) < 0)
            return err_wrap(err, "watch for DNS");
    }
    return 0;
}

/* --- life */

static int zone_new(struct dns_server *s, struct client *c, const struct dns_server_opts *o,
                    struct err *err)
{
    const char *domain = o->domain ? o->domain : DNS_CLUSTER_DOMAIN;
    struct in_addr ip;

    if (inet_pton(AF_INET, o->listen_ip, &ip) != 1)
        return err_set(err, ERR_INVALID, "DNS address \"%s\" is no IPv4 address", o->listen_ip);
    s->zone = dns_zone_new(domain, ntohl(ip.s_addr),
                           (uint32_t)env_wall_s(loop_env(s->loop)), err);
    if (!s->zone)
        return -1;
    dns_wire_name(&s->domain, domain);
    if (!o->pod_names)
        dns_zone_trust_pod_names(s->zone);
    return watch_all(s, c, o->pod_names, err);
}

int dns_server_new(struct dns_server **out, struct loop *l, struct client *c,
                   const struct dns_server_opts *o, struct err *err)
{
    _cleanup_(dns_server_freep) struct dns_server *s = NEW(struct dns_server);

    check(o->listen_ip);
    s->loop = l;
    s->udp_fd = s->tcp_fd = -1;
    list_init(&s->pendings);
    if (open_all(s, o, err) < 0 || dns_forward_new(&s->forward, l, o, err) < 0 ||
        (c && zone_new(s, c, o, err) < 0) || (!c && listen_all(s, err) < 0))
        return err_wrap(err, "DNS server");
    if (!s->conns)
        loop_timer_set(l, &s->patience, DNS_PATIENCE_MS, on_patience);
    *out = TAKE(s);
    return 0;
}

struct dns_server *dns_server_free(struct dns_server *s)
{
    if (!s)
        return NULL;
    for (int i = 0; i < DNS_ZONE_LISTS; i++)
        client_watch_free(s->watches[i].w);
    loop_io_del(&s->udp);
    loop_timer_del(&s->patience);
    dns_conns_free(s->conns);
    list_each(p, &s->pendings, struct pending, link)
        pending_free(p);
    dns_forward_free(s->forward);
    dns_zone_free(s->zone);
    dns_wire_answer_deinit(&s->answer);
    dns_wire_answer_deinit(&s->whole);
    fd_close(s->udp_fd);
    fd_close(s->tcp_fd);
    return mem_free(s);
}

bool dns_server_ready(const struct dns_server *s)
{
    for (int i = 0; i < DNS_ZONE_LISTS; i++)
        if (s->zone && !s->watches[i].synced)
            return false;
    return true;
}

void dns_server_stats(const struct dns_server *s, struct dns_server_stats *out)
{
    *out = s->stats;
    out->names = s->zone ? dns_zone_names(s->zone) : 0;
}
