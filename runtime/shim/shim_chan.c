/* shim_chan.c -- a queue in front of a non-blocking packet socket. */
#include "runtime/shim/shim_chan.h"

#include <errno.h>
#include <fcntl.h>

#include "core/base/check.h"
#include "core/base/mem.h"

#define RECORDS_A_ROUND 64

struct waiting {
    struct list link;
    uint32_t type;
    char *text;
    size_t len;
    int fds[FD_PASS_MAX];
    size_t n_fds;
};

struct shim_chan {
    struct loop *loop;
    struct loop_io io;
    struct loop_timer broken;            /* tells of a failed send from a clean stack */
    struct shim_chan_opts opts;
    struct list queue;
    size_t n_waiting;
    struct err why;
    int fd;
    bool ended;
    bool *freed;
};

static void waiting_free(struct waiting *w)
{
    list_del(&w->link);
    for (size_t i = 0; i < w->n_fds; i++)
        fd_close(w->fds[i]);
    mem_free(w->text);
    mem_free(w);
}

static void chan_on_broken(struct loop_timer *t)
{
    struct shim_chan *c = container_of(t, struct shim_chan, broken);
    struct err why = c->why;

    c->opts.on_end(c->opts.ctx, &why);
}

static void chan_end(struct shim_chan *c, const struct err *why)
{
    if (c->ended)
        return;
    c->ended = true;
    c->why = *why;
    loop_io_del(&c->io);
    loop_timer_set(c->loop, &c->broken, 0, chan_on_broken);
}

/* 1 sent, 0 not now, -1 the channel has ended. */
static int chan_put(struct shim_chan *c, const struct waiting *w)
{
    struct err err = ERR_INIT;

    if (imsg_send(c->fd, w->type, w->text, w->len, w->fds, w->n_fds, &err) == 0)
        return 1;
    if (err.code == ERR_UNAVAILABLE)
        return 0;
    chan_end(c, &err);
    return -1;
}

static void chan_flush(struct shim_chan *c)
{
    struct waiting *w;
    int r = 1;

    while ((w = list_first(&c->queue, struct waiting, link)) && (r = chan_put(c, w)) > 0) {
        waiting_free(w);
        c->n_waiting--;
    }
    if (r >= 0)
        loop_io_set(&c->io, LOOP_READ | (list_empty(&c->queue) ? 0 : LOOP_WRITE));
}

/* 1 a record was taken, 0 none now, -1 ended or freed. */
static int chan_take(struct shim_chan *c)
{
    _cleanup_(arena_freep) struct arena *a = NULL;
    struct imsg m = { 0 };
    struct json *v = NULL;
    struct err err = ERR_INIT;
    bool freed = false;
    int n = imsg_recv(c->fd, &m, &err);

    if (n < 0 && err.code == ERR_UNAVAILABLE)
        return 0;
    if (n == 0)
        err_set(&err, ERR_UNAVAILABLE, "the link is closed");
    if (n > 0) {
        a = arena_new(4 * IMSG_BYTES_MAX);
        n = json_parse(&v, a, m.data, m.len, NULL, &err) < 0 ? -1 : 1;
    }
    if (n <= 0) {
        imsg_deinit(&m);
        chan_end(c, &err);
        return -1;
    }
    c->freed = &freed;
    c->opts.on_record(c->opts.ctx, &m, v);
    imsg_deinit(&m);
    if (freed)
        return -1;
    c->freed = NULL;
    return c->ended ? -1 : 1;
}

static void chan_on_ready(struct loop_io *io, unsigned events)
{
    struct shim_chan *c = container_of(io, struct shim_chan, io);

    if (events & LOOP_WRITE)
        chan_flush(c);
    if (!(events & (LOOP_READ | LOOP_HANGUP)) || c->ended)
        return;
    for (int i = 0; i < RECORDS_A_ROUND && chan_take(c) > 0; i++)
        ;
}

int shim_chan_new(struct shim_chan **out, struct loop *l, int fd, const struct shim_chan_opts *o,
                  struct err *err)
{
    struct shim_chan *c = NEW(struct shim_chan);

    c->loop = l;
    c->opts = *o;
    c->fd = fd;
    list_init(&c->queue);
    if (fd_set_nonblock(fd, err) < 0 ||
        loop_io_add(l, &c->io, fd, LOOP_READ, chan_on_ready, err) < 0) {
        shim_chan_free(c);
        return -1;
    }
    *out = c;
    return 0;
}

struct shim_chan *shim_chan_free(struct shim_chan *c)
{
    struct waiting *w;

    if (!c)
        return NULL;
    if (c->freed)
        *c->freed = true;
    loop_timer_del(&c->broken);
    loop_io_del(&c->io);
    while ((w = list_first(&c->queue, struct waiting, link)))
        waiting_free(w);
    fd_close(c->fd);
    return mem_free(c);
}

void shim_chan_send(struct shim_chan *c, uint32_t type, const struct buf *text, const int *fds,
                    size_t n_fds)
{
    struct waiting *w;
    struct err err = ERR_INIT;

    check(n_fds <= FD_PASS_MAX);
    if (c->ended)
        return;
    if (c->n_waiting == SHIM_CHAN_WAITING_MAX) {
        err_set(&err, ERR_QUOTA, "the other side does not read");
        chan_end(c, &err);
        return;
    }
    w = NEW(struct waiting);
    w->type = type;
    w->text = mem_strndup(text->p ? text->p : "", text->len);
    w->len = text->len;
    for (; w->n_fds < n_fds; w->n_fds++)
        w->fds[w->n_fds] = fcntl(fds[w->n_fds], F_DUPFD_CLOEXEC, 3);
    list_push(&c->queue, &w->link);
    c->n_waiting++;
    chan_flush(c);
}

void shim_chan_answer(struct shim_chan *c, uint32_t type, uint32_t seq, const struct err *why, int fd)
{
    _cleanup_buf_ struct buf b = BUF_INIT;

    buf_fmt(&b, "{\"seq\":%u,\"code\":%d,\"errno\":%d,\"msg\":", seq, why ? why->code : 0,
            why ? why->sys_errno : 0);
    json_write_string(&b, why ? why->msg : "", why ? strlen(why->msg) : 0);
    buf_chr(&b, '}');
    shim_chan_send(c, type, &b, &fd, fd >= 0 ? 1 : 0);
}

bool shim_chan_idle(const struct shim_chan *c)
{
    return list_empty(&c->queue);
}

bool shim_chan_error(const struct json *v, struct err *out)
{
    int64_t code = json_get_int(v, "code", 0);
    const char *msg = json_get_str(v, "msg");

    if (code <= ERR_NONE)
        return false;
    err_set(out, code < ERR_CODE_MAX ? (int)code : ERR_FAILED, "%s", msg ? msg : "");
    out->sys_errno = (int)json_get_int(v, "errno", 0);
    return true;
}
