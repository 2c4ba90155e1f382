/* dns_conn.c -- connections: two bytes of length, then a message, in both directions. */
#include "net/dns/dns_conn.h"

#include <errno.h>
#include <sys/socket.h>

#include "core/base/fd.h"
#include "core/base/mem.h"
#include "net/dns/dns.h"
#include "net/dns/dns_wire_int.h"

#define READ_BYTES 16384
#define ACCEPT_PAUSE_MS 100              /* when there is no descriptor left */

struct dns_conn {
    struct list link;
    struct dns_conns *all;
    int fd;
    struct loop_io io;
    struct loop_timer idle;
    struct buf in, out;
    struct list turns;
    unsigned n_turns;
    bool ended, busy;                    /* busy: in its own message handler */
};

struct dns_conns {
    struct loop *loop;
    struct dns_conns_opts o;
    struct loop_io io;
    struct loop_timer pause;
    struct list conns;                   /* the longest idle first */
    unsigned n;
};

static void conn_free(struct dns_conn *c)
{
    struct dns_conns *t = c->all;

    loop_io_del(&c->io);
    loop_timer_del(&c->idle);
    list_del(&c->link);
    t->n--;
    while (!list_empty(&c->turns)) {
        struct dns_conn_turn *turn = list_first(&c->turns, struct dns_conn_turn, link);

        list_del(&turn->link);
        turn->conn = NULL;
        t->o.on_gone(t->o.ctx, turn);
    }
    fd_close(c->fd);
    buf_deinit(&c->in);
    buf_deinit(&c->out);
    mem_free(c);
}

static void on_idle(struct loop_timer *timer)
{
    conn_free(container_of(timer, struct dns_conn, idle));
}

static void active(struct dns_conn *c)
{
    loop_timer_set(c->all->loop, &c->idle, DNS_TCP_IDLE_MS, on_idle);
    list_del(&c->link);
    list_push(&c->all->conns, &c->link);
}

static bool may_read(const struct dns_conn *c)
{
    return !c->ended && c->n_turns < DNS_CONN_PENDING_MAX && c->out.len < DNS_CONN_OUT_BYTES_MAX;
}

/* What arrived whole is answered, as long as the limits allow. */
static void take_messages(struct dns_conn *c)
{
    size_t at = 0;

    c->busy = true;
    while (c->n_turns < DNS_CONN_PENDING_MAX && c->out.len < DNS_CONN_OUT_BYTES_MAX &&
           c->in.len - at >= 2) {
        size_t len = dns_wire_get16((const uint8_t *)c->in.p + at);

        if (c->in.len - at < len + 2)
            break;
        active(c);
        c->all->o.on_message(c->all->o.ctx, c, (const uint8_t *)c->in.p + at + 2, len);
        at += len + 2;
    }
    c->busy = false;
    buf_eat(&c->in, at);
}

/* -1: the other side is gone. */
static int write_out(struct dns_conn *c)
{
    while (c->out.len) {
        ssize_t n = send(c->fd, c->out.p, c->out.len, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN ? 0 : -1;
        buf_eat(&c->out, (size_t)n);
        active(c);
    }
    return 0;
}

/* After anything happened: go on reading, writing, or be gone. */
static void settle(struct dns_conn *c)
{
    take_messages(c);
    if (write_out(c) < 0 || (c->ended && c->n_turns == 0 && c->out.len == 0)) {
        conn_free(c);
        return;
    }
    loop_io_set(&c->io, (may_read(c) ? LOOP_READ : 0) | (c->out.len ? LOOP_WRITE : 0));
}

static void on_ready(struct loop_io *io, unsigned events)
{
    struct dns_conn *c = container_of(io, struct dns_conn, io);
    char part[READ_BYTES];
    ssize_t n;

    if (events & LOOP_READ && may_read(c)) {
        n = recv(c->fd, part, sizeof(part), MSG_DONTWAIT);
        if (n > 0)
            buf_add(&c->in, part, (size_t)n);
        else if (n == 0)
            c->ended = true;             /* it may still wait for answers */
        else if (errno != EAGAIN && errno != EINTR)
            events |= LOOP_HANGUP;
    } else if (events & LOOP_HANGUP) {
        conn_free(c);
        return;
    }
    if (events & LOOP_HANGUP && !c->ended)
        c->ended = true;
    settle(c);
}

/* --- accepting */

static void on_pause_end(struct loop_timer *timer)
{
    struct dns_conns *t = container_of(timer, struct dns_conns, pause);

    loop_io_set(&t->io, LOOP_READ);
}

/* The longest idle connection without open questions; or the longest idle one of all. */
static void drop_idle(struct dns_conns *t)
{
    struct dns_conn *victim = list_first(&t->conns, struct dns_conn, link);

    list_each(c, &t->conns, struct dns_conn, link) {
        if (c->n_turns == 0) {
            victim = c;
            break;
        }
    }
    if (victim)
        conn_free(victim);
}

static void on_accept(struct loop_io *io, unsigned events)
{
    struct dns_conns *t = container_of(io, struct dns_conns, io);
    int fd = accept4(t->o.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    struct dns_conn *c;

    (void)events;
    if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
            drop_idle(t);
            loop_io_set(&t->io, 0);
            loop_timer_set(t->loop, &t->pause, ACCEPT_PAUSE_MS, on_pause_end);
        }
        return;
    }
    if (t->n >= DNS_TCP_CONNS_MAX)
        drop_idle(t);
    c = NEW(struct dns_conn);
    c->all = t;
    c->fd = fd;
    list_init(&c->turns);
    list_init(&c->link);
    t->n++;
    if (loop_io_add(t->loop, &c->io, fd, LOOP_READ, on_ready, NULL) < 0)
        conn_free(c);
    else
        active(c);
}

int dns_conns_new(struct dns_conns **out, struct loop *l, const struct dns_conns_opts *o,
                  struct err *err)
{
    struct dns_conns *t = NEW(struct dns_conns);

    t->loop = l;
    t->o = *o;
    list_init(&t->conns);
    if (loop_io_add(l, &t->io, o->fd, LOOP_READ, on_accept, err) < 0) {
        mem_free(t);
        return -1;
    }
    *out = t;
    return 0;
}

struct dns_conns *dns_conns_free(struct dns_conns *t)
{
    if (!t)
        return NULL;
    loop_io_del(&t->io);
    loop_timer_del(&t->pause);
    list_each(c, &t->conns, struct dns_conn, link)
        conn_free(c);
    return mem_free(t);
}

unsigned dns_conns_len(const struct dns_conns *t)
{
    return t->n;
}

/* --- answers */

void dns_conn_wait(struct dns_conn *c, struct dns_conn_turn *turn)
{
    turn->conn = c;
    list_push(&c->turns, &turn->link);
    c->n_turns++;
}

void dns_conn_send(struct dns_conn *c, struct dns_conn_turn *turn, const uint8_t *p, size_t len)
{
    uint8_t head[2];

    if (turn && turn->conn) {
        list_del(&turn->link);
        turn->conn = NULL;
        c->n_turns--;
    }
    dns_wire_put16(head, (uint16_t)len);
    buf_add(&c->out, head, 2);
    buf_add(&c->out, p, len);
    if (!c->busy)
        settle(c);
}
