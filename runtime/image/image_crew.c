/* image_crew.c -- starts unpack children, hears them, and puts finished layers into the store. */
#include "runtime/image/image_crew.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "core/base/check.h"

int image_crew_init(struct image_crew *c, const struct image_store *s, const struct image_watch *w,
                    const char *exe, struct err *err)
{
    *c = (struct image_crew){ .s = s, .exe = exe, .watch = *w };
    return loop_new(&c->loop, s->env, err);
}

void image_crew_deinit(struct image_crew *c)
{
    c->loop = loop_free(c->loop);
}

void image_crew_fail(struct image_crew *c, const struct err *why)
{
    if (!c->failed)
        c->err = *why;
    c->failed = true;
}

void image_crew_lost(struct image_crew *c, const char *what, int sig)
{
    struct err err = ERR_INIT;

    c->killed = c->killed || (!c->failed && sig == SIGKILL);
    err_set(&err, ERR_FAILED, "the %s process was killed by signal %d", what, sig);
    image_crew_fail(c, &err);
}

int image_crew_step(struct image_crew *c, struct err *err)
{
    if (!c->failed)
        loop_step(c->loop, IMAGE_CREW_STEP_MS);
    if (c->failed) {
        if (err)
            *err = c->err;
        return -1;
    }
    if (c->watch.is_canceled && c->watch.is_canceled(c->watch.ctx))
        return err_set(err, ERR_CANCELED, "canceled");
    return 0;
}

void image_crew_progress(struct image_crew *c, const struct image_progress *p)
{
    int64_t now = env_mono_ms(c->s->env);

    if (!c->watch.on_progress || (c->told_ms && now - c->told_ms < IMAGE_CREW_PROGRESS_MS))
        return;
    c->told_ms = now;
    c->watch.on_progress(c->watch.ctx, p);
}

int image_crew_room(const struct image_crew *c, int64_t *bytes, int64_t *files, struct err *err)
{
    struct statvfs st;
    int64_t left;

    if (fstatvfs(c->s->fd, &st) < 0)
        return err_sys(err, "space in %s", c->s->dir);
    left = (int64_t)(geteuid() == 0 ? st.f_bfree : st.f_bavail) * (int64_t)st.f_frsize;
    left -= IMAGE_CREW_RESERVE_BYTES;
    if (left <= 0)
        return err_set(err, ERR_QUOTA, "no space left below %s", c->s->dir);
    *bytes = left < IMAGE_LAYER_BYTES_MAX ? left : IMAGE_LAYER_BYTES_MAX;
    *files = st.f_files > 0 && st.f_favail < IMAGE_LAYER_ENTRIES_MAX ? (int64_t)st.f_favail :
             IMAGE_LAYER_ENTRIES_MAX;
    return 0;
}

/* --- one child */

static int task_set_opaque(const struct image_task *t, const char *path, struct err *err)
{
    const char *name = image_lease_userxattr() ? "user.overlay.opaque" : "trusted.overlay.opaque";
    _cleanup_fd_ int fd = fd_open_in_root(t->target, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0,
                                          NULL);

    if (fd < 0)
        return 0;               /* the same layer removed it again */
    return fsetxattr(fd, name, "y", 1, 0) < 0 ? err_sys(err, "mark %.200s", path) : 0;
}

static int task_hear(struct image_task *t, const struct imsg *m, struct err *err)
{
    switch (m->type) {
    case UNPACK_PROGRESS:
        check(m->len == sizeof(t->in_bytes));
        memcpy(&t->in_bytes, m->data, sizeof(t->in_bytes));
        return 0;
    case UNPACK_OPAQUE:
        return t->target >= 0 && m->len > 1 ? task_set_opaque(t, m->data, err) : 0;
    case UNPACK_ENTRY:
        if (!t->on_entry || m->len != sizeof(struct image_unpack_entry))
            return 0;
        return t->on_entry(t, (const struct image_unpack_entry *)(const void *)m->data, err);
    case UNPACK_DONE:
        check(m->len == sizeof(t->done));
        memcpy(&t->done, m->data, sizeof(t->done));
        t->in_bytes = t->done.in_bytes;
        t->answered = true;
        return 0;
    case IMSG_ERR:
        imsg_get_err(m, err);
        t->answered = true;
        return -1;
    default:
        return 0;
    }
}

static void task_fail(struct image_task *t, struct err *why)
{
    err_wrap(why, "%s", t->what);
    image_crew_fail(t->crew, why);
}

static void task_on_msg(struct child *child, struct imsg *m, void *ctx)
{
    struct image_task *t = ctx;
    struct err err = ERR_INIT;

    (void)child;
    if (task_hear(t, m, &err) < 0)
        task_fail(t, &err);
}

static void task_on_exit(struct child *child, int status, int sig, void *ctx)
{
    struct image_task *t = ctx;
    struct err err = ERR_INIT;

    (void)child;
    t->running = false;
    t->child = child_free(t->child);
    if (t->answered)
        return;
    if (sig) {
        image_crew_lost(t->crew, "unpacking", sig);
        return;
    }
    err_set(&err, ERR_FAILED, "the unpacking process ended with status %d", status);
    task_fail(t, &err);
}

int image_task_start(struct image_task *t, struct image_crew *c, const struct image_unpack_ask *ask,
                     int input, int target, struct err *err)
{
    struct child_opts o = {
        .verb = IMAGE_UNPACK_VERB, .exe = c->exe, .fds = { -1 }, .on_msg = task_on_msg,
        .on_exit = task_on_exit, .ctx = t,
    };
    int fds[2] = { input, target };

    t->crew = c;
    t->target = ask->mode == UNPACK_LAYER ? target : -1;
    t->answered = false;
    if (child_start(&t->child, c->loop, &o, err) < 0)
        return err_wrap(err, "%s", t->what);
    t->running = true;
    if (child_send(t->child, UNPACK_ASK, ask, sizeof(*ask), fds, target >= 0 ? 2 : 1, err) < 0)
        return err_wrap(err, "%s", t->what);
    return 0;
}

void image_task_deinit(struct image_task *t)
{
    t->child = child_free(t->child);
    t->running = false;
}

int image_task_run(struct image_task *t, struct image_crew *c, const struct image_unpack_ask *ask,
                   int input, int target, struct err *err)
{
    if (image_task_start(t, c, ask, input, target, err) < 0)
        return -1;
    while (t->running)
        if (image_crew_step(c, err) < 0)
            return -1;
    return c->failed ? image_crew_step(c, err) : 0;
}

/* --- layers */

static int layer_make_dir(struct image_layer *l, const struct image_store *s, struct err *err)
{
    char path[IMAGE_TMP_NAME_BYTES + 4];

    if (image_store_tmp(s, l->tmp, err) < 0) {
        l->tmp[0] = 0;
        return -1;
    }
    snprintf(path, sizeof(path), "%s/fs", l->tmp);
    if (mkdirat(s->fd, path, 0755) < 0)
        return err_sys(err, "mkdir %s/%s", s->dir, path);
    l->fs = openat(s->fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (l->fs < 0) {
        l->fs = 0;
        return err_sys(err, "open %s/%s", s->dir, path);
    }
    return fchmod(l->fs, 0755) < 0 ? err_sys(err, "chmod %s/%s", s->dir, path) : 0;
}

int image_layer_start(struct image_layer *l, struct image_crew *c, const char *diff_id,
                      const struct image_layer_source *from, struct err *err)
{
    struct image_unpack_ask ask = {
        .mode = UNPACK_LAYER, .offset = from->offset, .length = from->length,
        .no_devices = image_lease_userxattr(),
    };

    check(image_digest_ok(diff_id));
    l->diff_id = diff_id;
    snprintf(l->task.what, sizeof(l->task.what), "layer %.12s", image_digest_hex(diff_id));
    if (image_store_has_layer(c->s, diff_id)) {
        l->present = true;
        return 0;
    }
    if (image_crew_room(c, &ask.max_bytes, &ask.max_entries, err) < 0 ||
        str_copy(ask.diff_id, sizeof(ask.diff_id), diff_id, err) < 0 ||
        str_copy(ask.digest, sizeof(ask.digest), from->digest, err) < 0 ||
        layer_make_dir(l, c->s, err) < 0)
        return err_wrap(err, "%s", l->task.what);
    return image_task_start(&l->task, c, &ask, from->input, l->fs, err);
}

void image_layer_deinit(struct image_layer *l, const struct image_store *s)
{
    image_task_deinit(&l->task);
    if (l->fs > 0)
        fd_close(l->fs);
    l->fs = 0;
    if (l->tmp[0])
        image_store_drop(s, l->tmp);
    l->tmp[0] = 0;
}

int image_layer_commit(struct image_layer *l, const struct image_store *s, struct err *err)
{
    struct image_store_sizes sizes = { l->task.done.disk_bytes, l->task.done.entries };

    if (!l->tmp[0])
        return 0;
    check(l->task.answered && !l->task.running);
    if (image_store_put_layer(s, l->tmp, l->diff_id, &sizes, err) < 0)
        return err_wrap(err, "%s", l->task.what);
    l->tmp[0] = 0;
    return 0;
}
