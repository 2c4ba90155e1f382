/* cmd/plugins.c -- watches the folder of plugins with inotify(7) and reloads in a job. Where the
 * host has no watch left to give, it looks now and then. */
#include "cmd/plugins.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "core/base/fd.h"
#include "core/base/json.h"
#include "core/base/log.h"
#include "core/base/timefmt.h"
#include "core/client/recorder.h"

#define NAMESPACE "kube-system"
#define KIND "AdmissionPlugin"

struct plugins {
    struct admit_lua *lua;
    int watch;                           /* inotify; -1: none is left */
    struct loop *loop;
    struct job_pool *jobs;
    struct loop_io io;
    struct loop_timer quiet;
    struct job job;
    bool running, again, lost;
    int64_t began_ms;
    struct recorder *recorder;
    _Atomic unsigned queued;             /* events on their way to the loop */
};

static int watch(const char *path)
{
    _cleanup_fd_ int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

    if (fd >= 0 && inotify_add_watch(fd, path, IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM |
                                               IN_DELETE | IN_ATTRIB | IN_ONLYDIR) >= 0)
        return TAKE_FD(fd);
    log_warn("plugins are looked at now and then",
             "why=\"cannot watch %s: %m; fs.inotify.max_user_instances or max_user_watches is too "
             "low\" every=%ds", path, PLUGINS_POLL_MS / 1000);
    return -1;
}

int plugins_open(struct plugins **out, const char *data_dir, struct err *err)
{
    _cleanup_(mem_freep) char *path = mem_printf("%s/plugins", data_dir);
    _cleanup_fd_ int dir = -1;
    struct plugins *p;

    if (fd_mkdirs(path, 0755, err) < 0)
        return -1;
    dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return err_sys(err, "open %s", path);
    p = NEW(struct plugins);
    p->lua = admit_lua_new(TAKE_FD(dir), env_real());
    p->watch = watch(path);
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
    else if (p->watch < 0)
        loop_timer_set(p->loop, &p->quiet, PLUGINS_POLL_MS, on_quiet);
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
        loop_timer_set(p->loop, &p->quiet, PLUGINS_POLL_MS, on_quiet);
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

/* --- events: from any thread to the loop */

struct told {
    struct loop_msg msg;
    struct plugins *plugins;
    char *plugin, *message;
    const char *reason;                  /* static */
};

static void on_told(struct loop_msg *m)
{
    struct told *t = container_of(m, struct told, msg);
    struct plugins *p = t->plugins;
    const struct recorder_ref about = { .api_version = "inro.local/v1", .kind = KIND,
                                        .ns = NAMESPACE, .name = t->plugin };

    p->queued--;
    if (p->recorder && !loop_is_closing(p->loop))
        recorder_event_ref(p->recorder, &about, str_eq(t->reason, "Denied") ? RECORDER_NORMAL
                                                                           : RECORDER_WARNING,
                           t->reason, t->message);
    mem_free(t->plugin);
    mem_free(t->message);
    mem_free(t);
}

static void on_event(void *ctx, const struct admit_lua_event *e)
{
    struct plugins *p = ctx;
    struct told *t;

    if (p->queued++ >= PLUGINS_EVENTS_MAX) {
        p->queued--;
        return;
    }
    t = NEW(struct told);
    *t = (struct told){ .plugins = p, .plugin = mem_strdup(e->plugin),
                        .message = mem_strdup(e->message), .reason = e->reason };
    loop_post(p->loop, &t->msg, on_told);
}

void plugins_tell(struct plugins *p, struct client *c)
{
    p->recorder = recorder_free(p->recorder);
    if (c)
        p->recorder = recorder_new(c, "inro-plugins", "");
}

/* --- page */

void plugins_page(struct plugins *p, struct buf *out)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    struct json *top = json_object(a), *list = json_array(a);
    struct admit_lua_row row;
    char when[TIMEFMT_BYTES];

    for (size_t at = 0; admit_lua_next(p->lua, &at, &row);) {
        struct json *o = json_object(a);

        json_set_str(a, o, "name", arena_strdup(a, row.name));
        json_set_str(a, o, "file", arena_strdup(a, row.file));
        json_set_str(a, o, "handlers", row.handlers);
        json_set_bool(a, o, "loaded", !row.broken);
        json_set_int(a, o, "calls", (int64_t)row.calls);
        json_set_int(a, o, "denied", (int64_t)row.denied);
        json_set_int(a, o, "failed", (int64_t)row.failed);
        json_set_int(a, o, "stopped", (int64_t)row.stopped);
        if (*row.error) {
            timefmt_rfc3339(when, row.error_s);
            json_set_str(a, o, "lastError", arena_strdup(a, row.error));
            json_set_str(a, o, "lastErrorTime", arena_strdup(a, when));
        }
        json_append(a, list, o);
    }
    json_set(a, top, "items", list);
    json_write(out, top);
}

/* --- life */

int plugins_start(struct plugins *p, struct loop *l, struct job_pool *jobs, struct err *err)
{
    p->loop = l;
    p->jobs = jobs;
    admit_lua_on_event(p->lua, on_event, p);
    (void)admit_lua_reload(p->lua);      /* the log tells what does not load */
    if (p->watch >= 0)
        return loop_io_add(l, &p->io, p->watch, LOOP_READ, on_change, err);
    loop_timer_set(l, &p->quiet, PLUGINS_POLL_MS, on_quiet);
    return 0;
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
    recorder_free(p->recorder);
    loop_io_del(&p->io);
    loop_timer_del(&p->quiet);
    admit_lua_free(p->lua);
    fd_close(p->watch);
    return mem_free(p);
}
