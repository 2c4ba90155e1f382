/* cmd/plugins.c -- watches the folder of plugins with inotify(7) and reloads in a job. */
#include "cmd/plugins.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "core/base/fd.h"
#include "core/base/log.h"

struct plugins {
    struct admit_lua *lua;
    int watch;                           /* inotify */
    struct loop *loop;
    struct job_pool *jobs;
    struct loop_io io;
    struct loop_timer quiet;
    struct job job;
    bool running, again, lost;
    int64_t began_ms;
};

int plugins_open(struct plugins **out, const char *data_dir, struct err *err)
{
    _cleanup_(mem_freep) char *path = mem_printf("%s/plugins", data_dir);
    _cleanup_fd_ int dir = -1, watch = -1;
    struct plugins *p;

    if (fd_mkdirs(path, 0755, err) < 0)
        return -1;
    dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (dir < 0 || watch < 0 ||
        inotify_add_watch(watch, path, IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE |
                                       IN_ATTRIB | IN_ONLYDIR) < 0)
        return err_sys(err, "watch %s", path);
    p = NEW(struct plugins);
    p->lua = admit_lua_new(TAKE_FD(dir), env_real());
    p->watch = TAKE_FD(watch);
    *out = p;
    return 0;
}

static void on_quiet(struct loop_timer *t);

static void reload(struct job *j)
{
    (void)admit_lua_reload(container_of(j, struct plugins, job)->lua);
}

static void reloaded(struct job *j)
{
    struct plugins *p = container_of(j, struct plugins, job);

    p->running = false;
    if (p->again && job_was_run(j))
        loop_timer_set(p->loop, &p->quiet, PLUGINS_QUIET_MS, on_quiet);
    p->again = false;
}

static void on_quiet(struct loop_timer *t)
{
    struct plugins *p = container_of(t, struct plugins, quiet);
    struct err err = ERR_INIT;

    if (p->running) {
        p->again = true;
        return;
    }
    p->running = true;
    p->began_ms = loop_now_ms(p->loop);
    if (job_add(p->jobs, p->loop, &p->job, JOB_READ, "plugins", reload, reloaded, &err) < 0) {
        p->running = false;
        log_error("plugins not reloaded", "error=%s", err.msg);
    }
}

static void on_change(struct loop_io *io, unsigned events)
{
    struct plugins *p = container_of(io, struct plugins, io);
    _Alignas(struct inotify_event) char records[4096];
    ssize_t n;

    (void)events;
    /* Which file it was does not count: the folder does. */
    while ((n = read(p->watch, records, sizeof(records))) > 0)
        for (ssize_t at = 0; at < n;) {
            const struct inotify_event *e = (const void *)(records + at);

            p->lost = p->lost || (e->mask & IN_IGNORED);
            at += (ssize_t)sizeof(*e) + e->len;
        }
    loop_timer_set(p->loop, &p->quiet, PLUGINS_QUIET_MS, on_quiet);
}

int plugins_start(struct plugins *p, struct loop *l, struct job_pool *jobs, struct err *err)
{
    p->loop = l;
    p->jobs = jobs;
    (void)admit_lua_reload(p->lua);      /* the log tells what does not load */
    return loop_io_add(l, &p->io, p->watch, LOOP_READ, on_change, err);
}

int plugins_health(const struct plugins *p, struct err *err)
{
    if (p->lost)
        return err_set(err, ERR_NOT_FOUND, "the folder of plugins was removed");
    if (p->running && loop_now_ms(p->loop) - p->began_ms >= PLUGINS_STUCK_MS)
        return err_set(err, ERR_TIMEOUT, "a reload hangs");
    return 0;
}

struct admit_lua *plugins_lua(struct plugins *p)
{
    return p->lua;
}

struct plugins *plugins_free(struct plugins *p)
{
    if (!p)
        return NULL;
    loop_io_del(&p->io);
    loop_timer_del(&p->quiet);
    admit_lua_free(p->lua);
    fd_close(p->watch);
    return mem_free(p);
}
