#include "cmd/refusals.h"

#include "core/base/fd.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "runtime/confine/confine_filter.h"
#include "runtime/confine/confine_refusal.h"

struct refusals {
    struct loop_io io;
    int fd;
    const char *role;
    unsigned answered;
    bool told[CONFINE_CALLS_MAX];
};

static void quit(struct refusals *r)
{
    loop_io_del(&r->io);
    r->fd = fd_close(r->fd);
}

static void tell(struct refusals *r, const struct confine_refusal *what)
{
    if (what->nr < CONFINE_CALLS_MAX) {
        if (r->told[what->nr])
            return;
        r->told[what->nr] = true;
    }
    log_warn("system call refused", "which=%s call=%s args=0x%llx,0x%llx", r->role, what->call,
             (unsigned long long)what->args[0], (unsigned long long)what->args[1]);
}

static void on_refusal(struct loop_io *io, unsigned events)
{
    struct refusals *r = container_of(io, struct refusals, io);
    struct confine_refusal what;
    struct err err = ERR_INIT;
    int got;

    if (events & LOOP_HANGUP) {          /* the role has ended */
        quit(r);
        return;
    }
    got = confine_refusal_read(r->fd, &what, &err);
    if (got > 0)
        tell(r, &what);
    if (got < 0)
        log_warn("refused system calls are not told", "which=%s error=%s", r->role, err.msg);
    if (got < 0 || ++r->answered == REFUSALS_MAX)
        quit(r);
}

struct refusals *refusals_new(struct loop *l, int fd, const char *role)
{
    struct refusals *r = NEW(struct refusals);
    struct err err = ERR_INIT;

    r->fd = fd;
    r->role = role;
    if (loop_io_add(l, &r->io, fd, LOOP_READ, on_refusal, &err) == 0)
        return r;
    log_warn("refused system calls are not told", "which=%s error=%s", role, err.msg);
    return refusals_free(r);
}

struct refusals *refusals_free(struct refusals *r)
{
    if (!r)
        return NULL;
    loop_io_del(&r->io);
    fd_close(r->fd);
    return mem_free(r);
}
