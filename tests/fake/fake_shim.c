/* fake_shim.c -- shims, each a list of containers; requests wait in a queue of their handle. */
#include "tests/fake/fake_shim.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>

#include "core/base/check.h"
#include "core/base/fd.h"
#include "core/base/list.h"
#include "core/base/map.h"
#include "core/base/mem.h"
#include "core/base/str.h"
#include "runtime/shim/shim_state.h"

#define PID_FIRST 1000

struct box {                             /* a container */
    struct list link;
    char *id, *note, *name, *log_path;
    enum shim_state state;
    int exit_code, signal;
    bool oom;
    int64_t created_ns, started_ns, finished_ns;
    pid_t pid;
};

struct process {                         /* a shim that lives, whoever holds it */
    struct list link;
    struct fake_shims *f;
    char *dir;
    struct list boxes;
    struct shim *handle;                 /* or NULL */
    pid_t pid;
};

enum what { DO_READY, DO_CREATE, DO_START, DO_KILL, DO_KILL_ALL, DO_REMOVE, DO_EXEC, DO_EXEC_END,
            DO_SHUTDOWN, DO_TELL, DO_LOST, DO_FAIL };

struct request {
    struct list link;
    enum what what;
    char *id, *note, *log_path;
    int sig;
    uint32_t number;
    shim_done *done;
    void *ctx;
    struct shim_exec exec;
    struct err err;
};

struct shim {
    struct fake_shims *f;
    struct process *p;                   /* NULL: it died */
    struct loop *loop;
    struct shim_events ev;
    struct list queue;
    struct loop_timer timer;
    uint32_t last;
    bool in_callback, freed;
};

struct fake_shims {
    struct shim_driver door;
    struct loop *loop;
    struct list processes;
    struct map *runs;                    /* name -> unsigned * */
    struct { unsigned n; char *message; } faults[FAKE_SHIM_FAULTS];
    struct buf story;
    unsigned started;
    bool deaf;
    int exec_exit;
    pid_t last_pid;
};

static void say(struct fake_shims *f, const char *what, const char *name)
{
    buf_fmt(&f->story, "%s%s%s%s", f->story.len ? " " : "", what, name ? ":" : "",
            name ? name : "");
}

static int64_t now_ns(const struct fake_shims *f)
{
    return env_wall_us(loop_env(f->loop)) * 1000;
}

/* --- containers */

static void box_free(struct box *b)
{
    list_del(&b->link);
    mem_free(b->id);
    mem_free(b->note);
    mem_free(b->name);
    mem_free(b->log_path);
    mem_free(b);
}

static struct box *box_find(struct process *p, const char *id)
{
    list_each(b, &p->boxes, struct box, link)
        if (str_eq(b->id, id))
            return b;
    return NULL;
}

/* "name":"web" of a note that is JSON. */
static char *name_of(const char *note)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(64u << 10);
    struct json *v = NULL;

    if (json_parse(&v, a, note, strlen(note), NULL, NULL) < 0 || !json_get_str(v, "name"))
        return mem_strdup(note);
    return mem_strdup(json_get_str(v, "name"));
}

static struct request *push(struct shim *s, enum what what);

static void save(const struct process *p);

static void tell(struct process *p, const struct box *b)
{
    save(p);
    if (p->handle)
        push(p->handle, DO_TELL)->id = mem_strdup(b->id);
}

static void box_end(struct process *p, struct box *b, int exit_code, int sig)
{
    if (b->state == SHIM_EXITED)
        return;
    b->state = SHIM_EXITED;
    b->exit_code = exit_code;
    b->signal = sig;
    b->finished_ns = now_ns(p->f);
    b->pid = 0;
    say(p->f, "exit", b->name);
    tell(p, b);
}

/* --- shims */

static void info_of(struct shim_container *out, const struct box *b)
{
    *out = (struct shim_container){
        .id = b->id, .note = b->note, .state = b->state, .pid = b->pid, .exit_code = b->exit_code,
        .signal = b->signal, .oom_killed = b->oom, .created_ns = b->created_ns,
        .started_ns = b->started_ns, .finished_ns = b->finished_ns, .log_path = b->log_path,
        .message = "" };
}

/* The record on disk, where the directory is there. Its process is none of this machine. */
static void save(const struct process *p)
{
    struct shim_container all[SHIM_CONTAINERS_MAX];
    struct shim_state_file file = { .shim_pid = 1, .cgroup_path = "", .containers = all };
    _cleanup_(mem_freep) char *path = mem_printf("%s/" SHIM_STATE_FILE, p->dir);
    _cleanup_buf_ struct buf text = BUF_INIT;

    list_each(b, &p->boxes, struct box, link)
        info_of(&all[file.len++], b);
    shim_state_encode(&text, &file);
    (void)fd_write_file(AT_FDCWD, path, text.p, text.len, 0600, NULL);
}

static void process_free(struct process *p)
{
    while (!list_empty(&p->boxes))
        box_free(list_first(&p->boxes, struct box, link));
    list_del(&p->link);
    if (p->handle)
        p->handle->p = NULL;
    mem_free(p->dir);
    mem_free(p);
}

static struct process *process_find(struct fake_shims *f, const char *dir)
{
    list_each(p, &f->processes, struct process, link)
        if (str_eq(p->dir, dir))
            return p;
    return NULL;
}

/* --- requests */

static void request_free(struct request *r)
{
    list_del(&r->link);
    mem_free(r->id);
    mem_free(r->note);
    mem_free(r->log_path);
    mem_free(r);
}

static void on_time(struct loop_timer *t);

static struct request *push(struct shim *s, enum what what)
{
    struct request *r = NEW(struct request);

    r->what = what;
    r->number = ++s->last;
    list_push(&s->queue, &r->link);
    if (!loop_timer_is_set(&s->timer))
        loop_timer_set(s->loop, &s->timer, 0, on_time);
    return r;
}

static bool fault(struct fake_shims *f, enum fake_shim_fault what, struct err *err)
{
    if (f->faults[what].n == 0)
        return false;
    f->faults[what].n--;
    err_set(err, ERR_FAILED, "%s", f->faults[what].message);
    return true;
}

static void do_create(struct shim *s, struct request *r)
{
    struct box *b;

    if (fault(s->f, FAKE_SHIM_CREATE, &r->err))
        return;
    check(!box_find(s->p, r->id));
    b = NEW(struct box);
    b->id = mem_strdup(r->id);
    b->note = mem_strdup(r->note ? r->note : "");
    b->name = name_of(b->note);
    b->log_path = mem_strdup(r->log_path ? r->log_path : "");
    b->created_ns = now_ns(s->f);
    b->pid = ++s->f->last_pid;
    list_push(&s->p->boxes, &b->link);
    say(s->f, "create", b->name);
    tell(s->p, b);
}

static void do_start(struct shim *s, struct request *r)
{
    struct box *b = box_find(s->p, r->id);
    unsigned *runs;

    if (!b || b->state != SHIM_CREATED) {
        err_set(&r->err, ERR_NOT_FOUND, "no created container %s", r->id);
        return;
    }
    if (fault(s->f, FAKE_SHIM_RUN, &r->err)) {
        box_end(s->p, b, 128, 0);
        return;
    }
    list_each(o, &s->p->boxes, struct box, link)
        check(o->state != SHIM_RUNNING || !str_eq(o->name, b->name));
    b->state = SHIM_RUNNING;
    b->started_ns = now_ns(s->f);
    runs = map_get(s->f->runs, b->name);
    if (!runs) {
        runs = NEW(unsigned);
        map_put(s->f->runs, b->name, runs);
    }
    ++*runs;
    say(s->f, "run", b->name);
    tell(s->p, b);
}

static void do_kill(struct shim *s, struct request *r)
{
    struct box *b = box_find(s->p, r->id);
    bool hard = r->what == DO_KILL_ALL || r->sig == SIGKILL;

    if (!b || b->state == SHIM_EXITED)
        return;
    say(s->f, hard ? "KILL" : r->sig == SIGTERM ? "TERM" : "SIGNAL", b->name);
    if (hard)
        box_end(s->p, b, 137, SIGKILL);
    else if (!s->f->deaf)
        box_end(s->p, b, 128 + r->sig, r->sig);
}

static void do_remove(struct shim *s, struct request *r)
{
    struct box *b = box_find(s->p, r->id);

    if (b && b->state != SHIM_EXITED)
        err_set(&r->err, ERR_CONFLICT, "container %s runs", r->id);
    else if (b)
        box_free(b);
}

static void (*const works[])(struct shim *s, struct request *r) = {
    [DO_CREATE] = do_create, [DO_START] = do_start, [DO_KILL] = do_kill, [DO_KILL_ALL] = do_kill,
    [DO_REMOVE] = do_remove, [DO_FAIL] = NULL,
};

static void tell_all(struct shim *s, const struct err *err)
{
    struct shim_container info;

    list_each(b, &s->p->boxes, struct box, link) {
        info_of(&info, b);
        s->ev.on_container(s->ev.ctx, &info);
    }
    s->ev.on_ready(s->ev.ctx, err);
}

static void do_exec(struct shim *s, struct request *r)
{
    struct box *b = box_find(s->p, r->exec.container_id);
    struct request *end;

    if (!b || b->state != SHIM_RUNNING) {
        err_set(&r->err, ERR_NOT_FOUND, "container %s does not run", r->exec.container_id);
        r->exec.on_started(r->exec.ctx, &r->err, 0, -1);
        return;
    }
    say(s->f, "exec", b->name);
    end = push(s, DO_EXEC_END);
    end->exec = r->exec;
    end->number = r->number;
    r->exec.on_started(r->exec.ctx, NULL, ++s->f->last_pid, -1);
}

static void lost(struct shim *s)
{
    struct err why = ERR_INIT;

    err_set(&why, ERR_UNAVAILABLE, "shim: the link is closed");
    while (!s->freed && !list_empty(&s->queue)) {
        struct request *r = list_first(&s->queue, struct request, link);
        shim_done *done = r->done;
        void *ctx = r->ctx;

        request_free(r);
        if (done)
            done(ctx, &why);
    }
    if (!s->freed && s->ev.on_lost)
        s->ev.on_lost(s->ev.ctx, &why);
}

static void serve(struct shim *s, struct request *r)
{
    struct shim_container info;
    struct box *b;

    if (r->what < ARRAY_LEN(works) && works[r->what])
        works[r->what](s, r);
    switch (r->what) {
    case DO_READY:
        tell_all(s, r->err.code ? &r->err : NULL);
        return;
    case DO_FAIL:
        s->ev.on_ready(s->ev.ctx, &r->err);
        return;
    case DO_TELL:
        b = box_find(s->p, r->id);
        if (b) {
            info_of(&info, b);
            s->ev.on_container(s->ev.ctx, &info);
        }
        return;
    case DO_EXEC:
        do_exec(s, r);
        return;
    case DO_EXEC_END:
        if (r->exec.on_exit)
            r->exec.on_exit(r->exec.ctx, s->f->exec_exit, 0);
        return;
    case DO_SHUTDOWN:
        if (!fault(s->f, FAKE_SHIM_SHUTDOWN, &r->err)) {
            say(s->f, "stop", NULL);
            process_free(s->p);
        }
        break;
    default:
        break;
    }
    if (r->done)
        r->done(r->ctx, r->err.code ? &r->err : NULL);
}

static void on_time(struct loop_timer *t)
{
    struct shim *s = container_of(t, struct shim, timer);
    struct request *r = list_first(&s->queue, struct request, link);

    if (!r)
        return;
    list_del(&r->link);
    s->in_callback = true;
    if (!s->p && r->what != DO_FAIL) {
        list_init(&r->link);
        request_free(r);
        lost(s);
    } else {
        serve(s, r);
        request_free(r);
    }
    s->in_callback = false;
    if (s->freed) {
        mem_free(s);
        return;
    }
    if (!list_empty(&s->queue) && !loop_timer_is_set(&s->timer))
        loop_timer_set(s->loop, &s->timer, 0, on_time);
}

/* --- the door */

static struct shim *handle_new(struct fake_shims *f, struct loop *l, const struct shim_events *ev)
{
    struct shim *s = NEW(struct shim);

    s->f = f;
    s->loop = l;
    s->ev = *ev;
    list_init(&s->queue);
    return s;
}

static int door_start(void *driver, struct shim **out, struct loop *l, const struct shim_opts *o,
                      const struct shim_events *ev, struct err *err)
{
    struct fake_shims *f = driver;
    struct shim *s = handle_new(f, l, ev);
    struct err why = ERR_INIT;
    struct process *p;

    (void)err;
    check(!process_find(f, o->dir));         /* started twice */
    if (fault(f, FAKE_SHIM_START, &why)) {
        push(s, DO_FAIL)->err = why;
        *out = s;
        return 0;
    }
    p = NEW(struct process);
    p->f = f;
    p->dir = mem_strdup(o->dir);
    p->pid = ++f->last_pid;
    p->handle = s;
    list_init(&p->boxes);
    list_push(&f->processes, &p->link);
    f->started++;
    say(f, "start", NULL);
    s->p = p;
    push(s, DO_READY);
    *out = s;
    return 0;
}

static int door_adopt(void *driver, struct shim **out, struct loop *l, const char *dir,
                      const struct shim_events *ev, struct err *err)
{
    struct fake_shims *f = driver;
    struct process *p = process_find(f, dir);
    struct shim *s;

    if (!p)
        return err_set(err, ERR_NOT_FOUND, "no shim at %s", dir);
    check(!p->handle);
    s = handle_new(f, l, ev);
    s->p = p;
    p->handle = s;
    push(s, DO_READY);
    *out = s;
    return 0;
}

static struct shim *door_free(struct shim *s)
{
    struct err why = ERR_INIT;

    if (!s)
        return NULL;
    err_set(&why, ERR_CANCELED, "the handle was freed");
    loop_timer_del(&s->timer);
    if (s->p)
        s->p->handle = NULL;
    s->freed = true;
    while (!list_empty(&s->queue)) {
        struct request *r = list_first(&s->queue, struct request, link);
        shim_done *done = r->done;
        void *ctx = r->ctx;

        request_free(r);
        if (done)
            done(ctx, &why);
    }
    if (!s->in_callback)
        mem_free(s);
    return NULL;
}

static int door_netns(const struct shim *s)
{
    (void)s;
    return -1;
}

static pid_t door_pid(const struct shim *s)
{
    return s->p ? s->p->pid : 0;
}

static void ask(struct shim *s, enum what what, const char *id, shim_done *done, void *ctx)
{
    struct request *r = push(s, what);

    r->id = mem_strdup(id);
    r->done = done;
    r->ctx = ctx;
}

static void door_create(struct shim *s, const struct shim_create *c, shim_done *done, void *ctx)
{
    struct request *r = push(s, DO_CREATE);

    r->id = mem_strdup(c->id);
    r->note = mem_strdup(c->note);
    r->log_path = mem_strdup(c->log_path);
    r->done = done;
    r->ctx = ctx;
}

static void door_start_container(struct shim *s, const char *id, shim_done *done, void *ctx)
{
    ask(s, DO_START, id, done, ctx);
}

static void door_kill(struct shim *s, const char *id, int sig, shim_done *done, void *ctx)
{
    struct request *r = push(s, DO_KILL);

    r->id = mem_strdup(id);
    r->sig = sig;
    r->done = done;
    r->ctx = ctx;
}

static void door_kill_all(struct shim *s, const char *id, shim_done *done, void *ctx)
{
    ask(s, DO_KILL_ALL, id, done, ctx);
}

static void door_remove(struct shim *s, const char *id, shim_done *done, void *ctx)
{
    ask(s, DO_REMOVE, id, done, ctx);
}

static uint32_t door_exec(struct shim *s, const struct shim_exec *e)
{
    struct request *r = push(s, DO_EXEC);

    r->exec = *e;
    return r->number;
}

static void door_exec_kill(struct shim *s, uint32_t exec, int sig)
{
    (void)s;
    (void)exec;
    (void)sig;
}

static void door_exec_forget(struct shim *s, uint32_t exec)
{
    list_each(r, &s->queue, struct request, link)
        if ((r->what == DO_EXEC || r->what == DO_EXEC_END) && r->number == exec)
            request_free(r);
}

static uint32_t door_attach(struct shim *s, const struct shim_attach *a)
{
    (void)s;
    (void)a;
    check_unreachable();
}

static void door_detach(struct shim *s, uint32_t attach)
{
    (void)s;
    (void)attach;
}

static void door_resize(struct shim *s, const char *id, uint16_t rows, uint16_t cols)
{
    (void)s;
    (void)id;
    (void)rows;
    (void)cols;
}

static void door_reopen(struct shim *s, const char *id, shim_done *done, void *ctx)
{
    ask(s, DO_TELL, id, done, ctx);
}

static void door_dial(struct shim *s, uint16_t port, shim_dialed *done, void *ctx)
{
    (void)s;
    (void)port;
    (void)done;
    (void)ctx;
    check_unreachable();
}

static void door_shutdown(struct shim *s, shim_done *done, void *ctx)
{
    ask(s, DO_SHUTDOWN, NULL, done, ctx);
}

/* --- for tests */

struct fake_shims *fake_shims_new(struct loop *loop)
{
    struct fake_shims *f = NEW(struct fake_shims);

    f->loop = loop;
    list_init(&f->processes);
    f->runs = map_new();
    f->last_pid = PID_FIRST;
    f->door = (struct shim_driver){
        .start = door_start, .adopt = door_adopt, .free = door_free, .netns = door_netns,
        .pid = door_pid, .create_container = door_create,
        .start_container = door_start_container, .kill_container = door_kill,
        .kill_all = door_kill_all, .remove_container = door_remove, .exec = door_exec,
        .exec_kill = door_exec_kill, .exec_forget = door_exec_forget, .attach = door_attach,
        .detach = door_detach, .resize = door_resize, .reopen_log = door_reopen,
        .dial = door_dial, .shutdown = door_shutdown, .driver = f };
    return f;
}

static void free_value(void *p)
{
    mem_free(p);
}

struct fake_shims *fake_shims_free(struct fake_shims *f)
{
    if (!f)
        return NULL;
    list_each(p, &f->processes, struct process, link) {
        check(!p->handle);
        process_free(p);
    }
    map_free(f->runs, free_value);
    for (size_t i = 0; i < FAKE_SHIM_FAULTS; i++)
        mem_free(f->faults[i].message);
    buf_deinit(&f->story);
    mem_free(f);
    return NULL;
}

const struct shim_driver *fake_shims_door(struct fake_shims *f)
{
    return &f->door;
}

static void end_one(struct fake_shims *f, const char *name, int exit_code, bool oom)
{
    list_each(p, &f->processes, struct process, link)
        list_each(b, &p->boxes, struct box, link)
            if (b->state == SHIM_RUNNING && str_eq(b->name, name)) {
                b->oom = oom;
                box_end(p, b, exit_code, oom ? SIGKILL : 0);
                return;
            }
    check_unreachable();                     /* no such container runs */
}

void fake_shims_exit(struct fake_shims *f, const char *name, int exit_code)
{
    end_one(f, name, exit_code, false);
}

void fake_shims_oom(struct fake_shims *f, const char *name)
{
    end_one(f, name, 137, true);
}

void fake_shims_deaf(struct fake_shims *f, bool deaf)
{
    f->deaf = deaf;
}

void fake_shims_lose_all(struct fake_shims *f)
{
    list_each(p, &f->processes, struct process, link) {
        struct shim *s = p->handle;

        say(f, "lost", NULL);
        process_free(p);
        if (s)
            push(s, DO_LOST);
    }
}

void fake_shims_fail(struct fake_shims *f, enum fake_shim_fault what, unsigned n,
                     const char *message)
{
    f->faults[what].n = n;
    mem_free(f->faults[what].message);
    f->faults[what].message = mem_strdup(message);
}

void fake_shims_exec_exit(struct fake_shims *f, int exit_code)
{
    f->exec_exit = exit_code;
}

unsigned fake_shims_alive(const struct fake_shims *f)
{
    unsigned n = 0;

    list_each(p, &f->processes, struct process, link)
        n++;
    return n;
}

unsigned fake_shims_started(const struct fake_shims *f)
{
    return f->started;
}

unsigned fake_shims_running(const struct fake_shims *f, const char *name)
{
    unsigned n = 0;

    list_each(p, &f->processes, struct process, link)
        list_each(b, &p->boxes, struct box, link)
            n += b->state == SHIM_RUNNING && (!name || str_eq(b->name, name));
    return n;
}

unsigned fake_shims_runs(const struct fake_shims *f, const char *name)
{
    const unsigned *n = map_get(f->runs, name);

    return n ? *n : 0;
}

unsigned fake_shims_kept(const struct fake_shims *f)
{
    unsigned n = 0;

    list_each(p, &f->processes, struct process, link)
        list_each(b, &p->boxes, struct box, link)
            n++;
    return n;
}

const char *fake_shims_story(const struct fake_shims *f)
{
    return f->story.p ? f->story.p : "";
}
