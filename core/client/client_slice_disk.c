/* client_slice_disk.c -- the files: which are new, one job at a time that writes those due. */
#include "core/client/client_slice_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/check.h"
#include "core/base/fd.h"
#include "core/base/log.h"
#include "core/base/mem.h"

#define KEY_FILE "key"
#define SECRETS "secrets"
#define TOKENS "tokens"

struct due_write { struct client_slice_kept *kept; struct slice_write *write; };

struct client_slice_job {
    struct job job;
    struct client_slice *client;
    VEC(struct due_write) writes;
};

static void plan(struct client_slice *c);

/* --- opening */

static int key_make(struct client_slice *c, struct err *err)
{
    crypto_random(c->seal, sizeof(c->seal));
    return fd_write_file(c->dir, KEY_FILE, c->seal, sizeof(c->seal), 0600, err);
}

static int key_load(struct client_slice *c, struct err *err)
{
    _cleanup_buf_ struct buf b = BUF_INIT;
    struct err own = ERR_INIT;

    if (fd_read_file(&b, c->dir, KEY_FILE, sizeof(c->seal), &own) == 0 &&
        b.len == sizeof(c->seal)) {
        memcpy(c->seal, b.p, sizeof(c->seal));
        memset(b.p, 0, b.len);
        return 0;
    }
    if (own.code == ERR_SYSTEM) {
        if (err)
            *err = own;
        return -1;
    }
    return key_make(c, err);
}

static struct client_slice_kept *add_file(struct client_slice *c, const struct slice_file_opts *o)
{
    struct client_slice_kept *k = NEW(struct client_slice_kept);
    struct err err = ERR_INIT;

    if (slice_file_open(&k->file, o, &err) < 0) {
        log_warn("a part of the slice is not read", "file=%s why=\"%s\"", o->name, err.msg);
        mem_free(k);
        return NULL;
    }
    if (slice_file_is_damaged(k->file))
        log_warn("a part of the slice ends early, as after a power cut", "file=%s", o->name);
    k->name = mem_strdup(o->name);
    k->wide = !str_eq(k->name, "pods") && !str_eq(k->name, "configmaps") && !o->seal;
    vec_push(&c->files, k);
    return k;
}

struct client_slice_kept *client_slice_disk_file(struct client_slice *c, const char *name)
{
    struct slice_file_opts o = { .dir = c->dir, .name = name, .fd = -1, .scope = c->scope };

    for (size_t i = 0; i < c->files.len; i++)
        if (str_eq(c->files.v[i]->name, name))
            return c->files.v[i];
    if (c->dir < 0)
        return NULL;
    if (str_eq(name, SECRETS) || str_eq(name, TOKENS))
        o.seal = c->seal;
    return add_file(c, &o);
}

static int open_dir(struct client_slice *c, const char *path, struct err *err)
{
    struct client_slice_kept **of_calls[] = { &c->configmaps, &c->secrets, &c->tokens };
    static const char *const names[] = { "configmaps", SECRETS, TOKENS };

    if (fd_mkdirs(path, 0700, err) < 0)
        return -1;
    c->dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (c->dir < 0 || fchmod(c->dir, 0700) < 0)
        return err_sys(err, "%s", path);
    if (key_load(c, err) < 0)
        return err_wrap(err, "the slice's key in %s", path);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        *of_calls[i] = client_slice_disk_file(c, names[i]);
        if (*of_calls[i])
            slice_file_set_whole((*of_calls[i])->file);
    }
    return 0;
}

int client_slice_disk_open(struct client_slice *c, const struct client_slice_opts *o,
                           struct err *err)
{
    char name[OBJECT_KEY_BYTES];

    if (o->dir)
        return open_dir(c, o->dir, err);
    for (unsigned i = 0; i < o->n_fds; i++)
        add_file(c, &(struct slice_file_opts){
            .dir = -1, .name = client_slice_name(o->fds[i].kind, name), .fd = o->fds[i].fd,
            .scope = c->scope });
    return 0;
}

/* --- writing */

static void write_run(struct job *j)
{
    struct client_slice_job *w = container_of(j, struct client_slice_job, job);

    for (size_t i = 0; i < w->writes.len; i++)
        slice_file_run(w->writes.v[i].write);
}

static void write_failed(struct client_slice *c, struct client_slice_kept *k,
                         const struct err *why)
{
    if (!c->disk_failed)
        log_error("the slice is not written", "file=%s why=\"%s\"", k->name, why->msg);
    c->disk_failed = true;
    k->due_ms = loop_now_ms(c->base.loop) + CLIENT_SLICE_RETRY_MS;
}

static void write_home(struct client_slice_job *w)
{
    struct client_slice *c = w->client;
    bool well = true;

    for (size_t i = 0; i < w->writes.len; i++) {
        struct client_slice_kept *k = w->writes.v[i].kept;
        struct err err = ERR_INIT;

        if (slice_file_end(k->file, w->writes.v[i].write, &err) == 0)
            continue;
        write_failed(c, k, &err);
        well = false;
    }
    if (well && c->disk_failed) {
        log_info("the slice is written again", "client=%s", c->name);
        c->disk_failed = false;
    }
    vec_deinit(&w->writes);
    mem_free(w);
}

static void write_done(struct job *j)
{
    struct client_slice_job *w = container_of(j, struct client_slice_job, job);
    struct client_slice *c = w->client;

    if (!job_was_run(j))
        write_run(j);                        /* the pool went first */
    c->job = NULL;
    write_home(w);
    plan(c);
}

/* What is due by then. */
static struct client_slice_job *collect(struct client_slice *c, int64_t until_ms)
{
    struct client_slice_job *w = NEW(struct client_slice_job);

    client_slice_call_sweep(c);
    w->client = c;
    for (size_t i = 0; i < c->files.len; i++) {
        struct client_slice_kept *k = c->files.v[i];
        struct slice_write *write;

        if (!k->due_ms || k->due_ms > until_ms)
            continue;
        k->due_ms = 0;
        write = slice_file_begin(k->file);
        if (!write)
            continue;
        vec_push(&w->writes, ((struct due_write){ k, write }));
    }
    return w;
}

static void on_time(struct loop_timer *t)
{
    struct client_slice *c = container_of(t, struct client_slice, timer);
    struct client_slice_job *w;
    struct err err = ERR_INIT;

    if (c->job || !c->jobs)              /* the end writes what is left */
        return;
    w = collect(c, loop_now_ms(c->base.loop));
    if (w->writes.len == 0) {
        write_home(w);
        plan(c);
        return;
    }
    c->job = w;
    if (job_add(c->jobs, c->base.loop, &w->job, JOB_NODE, "slice", write_run, write_done,
                &err) == 0)
        return;
    write_run(&w->job);                      /* too many wait: it is little */
    c->job = NULL;
    write_home(w);
    plan(c);
}

static void plan(struct client_slice *c)
{
    int64_t now = loop_now_ms(c->base.loop), due = 0;

    if (c->job)
        return;
    for (size_t i = 0; i < c->files.len; i++)
        if (c->files.v[i]->due_ms && (!due || c->files.v[i]->due_ms < due))
            due = c->files.v[i]->due_ms;
    if (due)
        loop_timer_set(c->base.loop, &c->timer, due > now ? due - now : 0, on_time);
}

void client_slice_disk_touch(struct client_slice *c, struct client_slice_kept *k)
{
    if (slice_file_is_full(k->file) && !k->told_full) {
        log_warn("a part of the slice is full: not all of it outlives a reboot", "file=%s",
                 k->name);
        k->told_full = true;
    }
    if (k->due_ms || !slice_file_is_dirty(k->file))
        return;
    k->due_ms = loop_now_ms(c->base.loop) + CLIENT_SLICE_SETTLE_MS;
    if (k->wide && slice_file_is_written(k->file))       /* a first list is worth it at once */
        k->due_ms += CLIENT_SLICE_SETTLE_WIDE_MS - CLIENT_SLICE_SETTLE_MS;
    plan(c);
}

bool client_slice_disk_get(struct client_slice *c, struct client_slice_kept *k, const char *key,
                           struct buf *out)
{
    struct err err = ERR_INIT;

    (void)c;
    if (!slice_file_has(k->file, key))
        return false;
    if (slice_file_get(k->file, key, out, &err) == 0)
        return true;
    if (!k->told_corrupt)
        log_error("a part of the slice cannot be read", "file=%s why=\"%s\"", k->name, err.msg);
    k->told_corrupt = true;
    slice_file_del(k->file, key);
    return false;
}

/* --- the end */

void client_slice_disk_close(struct client_slice *c)
{
    loop_timer_del(&c->timer);
    check(!c->job);
    if (c->dir >= 0) {
        struct client_slice_job *w = collect(c, INT64_MAX);

        write_run(&w->job);
        write_home(w);
    }
    for (size_t i = 0; i < c->files.len; i++) {
        slice_file_free(c->files.v[i]->file);
        mem_free(c->files.v[i]->name);
        mem_free(c->files.v[i]);
    }
    vec_deinit(&c->files);
    c->dir = fd_close(c->dir);
    memset(c->seal, 0, sizeof(c->seal));
}
