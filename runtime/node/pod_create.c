/* pod_create.c -- the plan is made from everything that is known by now, and handed to the shim. */
#include "runtime/node/pod_create.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/fd.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "runtime/node/node_volume.h"
#include "runtime/node/pod_files.h"
#include "runtime/node/pod_plan.h"
#include "runtime/node/pod_self.h"

#define PLAN_ARENA_BYTES (16u << 20)

static void new_id(struct pod_container *c)
{
    unsigned char bytes[(POD_ID_BYTES - 1) / 2];

    env_random(c->pod->self->clock, bytes, sizeof(bytes));
    for (size_t i = 0; i < sizeof(bytes); i++)
        snprintf(c->next_id + 2 * i, 3, "%02x", bytes[i]);
}

static struct plan_texts texts_of(struct arena *a, const char *const *list)
{
    struct plan_texts t = { 0 };

    for (size_t i = 0; list && list[i]; i++)
        plan_add_text(&t, a, list[i]);
    return t;
}

struct texts { struct plan_texts args, env, own; };

static int make_env(struct pod_container *c, struct texts *t, struct err *err)
{
    struct arena *a = c->plan_arena;
    struct plan_texts image_env = texts_of(a, c->im->env);
    struct plan_texts entry = texts_of(a, c->im->entrypoint), cmd = texts_of(a, c->im->cmd);
    struct node_env_facts facts = pod_facts(c->pod);
    struct node_env_in in = { .pod = c->pod->object, .c = pod_spec(c), .image_env = &image_env,
                              .services = c->pod->self->services, .refs = c->pod->refs,
                              .facts = &facts };

    plan_add_text(&image_env, a,
                  arena_printf(a, "HOSTNAME=%s", pod_files_hostname(a, c->pod->self->conf,
                                                                    c->pod->view)));
    if (node_env_build(&t->env, &t->own, a, &in, err) < 0)
        return -1;
    node_env_args(&t->args, a, &(struct node_env_command){ pod_spec(c), &t->own, &entry, &cmd });
    return 0;
}

/* An ephemeral container may share the processes of another one. */
static int join_target(struct pod_container *c, struct err *err)
{
    const struct pod_spec_view *s = &c->pod->view->spec;
    struct pod_container *target;
    const char *name;

    if (c->kind != POD_EPHEMERAL)
        return 0;
    name = s->ephemeral_containers[c->index].target_container_name;
    if (str_empty(name))
        return 0;
    target = pod_find(c->pod, name);
    if (!target || !pod_is_running(target))
        return err_set(err, ERR_NOT_FOUND, "failed to find target container %s", name);
    c->plan->join_pids = arena_strdup(c->plan_arena, target->now.id);
    return 0;
}

int pod_create_plan(struct pod_container *c, struct err *err)
{
    struct pod *p = c->pod;
    struct texts t = { 0 };
    struct pod_plan_in in;

    check(c->im);
    c->plan_arena = arena_free(c->plan_arena);
    c->plan_arena = arena_new(PLAN_ARENA_BYTES);
    c->plan = ANEW(c->plan_arena, struct oci_plan);
    c->plan_object = object_unref(c->plan_object);
    c->plan_object = object_ref(p->object);
    new_id(c);
    if (make_env(c, &t, err) < 0)
        return -1;
    in = (struct pod_plan_in){
        .conf = p->self->conf, .pod = p->view, .container = pod_spec(c), .image = c->im,
        .mount = &c->mount, .id = c->next_id, .data = p->data, .args = &t.args, .env = &t.env,
        .memory_bytes = p->self->memory_bytes };
    if (pod_plan_make(c->plan, &c->limits, c->plan_arena, &in, err) < 0)
        return -1;
    if (join_target(c, err) < 0)
        return -1;
    return node_volumes_add_mounts(p->volumes, &(struct node_volume_mounts){
        c->plan, c->plan_arena, pod_spec(c), &t.own }, err);
}

/* --- the note */

static char *note_text(const struct pod_container *c, struct arena *a)
{
    struct json *o = json_object(a);
    struct buf b = BUF_INIT;

    json_set_str(a, o, "name", c->name);
    json_set_str(a, o, "image", pod_spec(c)->image);
    json_set_str(a, o, "imageID", c->im->digests[0] ? c->im->digests[0] : c->im->id);
    json_set_str(a, o, "stop", pod_plan_stop_signal(pod_spec(c), c->im));
    json_set_int(a, o, "attempt", c->attempts);
    json_write(&b, o);
    return buf_take(&b, NULL);
}

void pod_create_note_read(struct pod_note *out, struct arena *a, const char *text)
{
    struct json *o = NULL;
    int64_t attempt;

    *out = (struct pod_note){ "", "", "", "", 0 };
    if (json_parse(&o, a, text ? text : "", text ? strlen(text) : 0, NULL, NULL) < 0)
        return;
    attempt = json_get_int(o, "attempt", 0);
    *out = (struct pod_note){
        .name = json_get_str(o, "name"), .image = json_get_str(o, "image"),
        .image_id = json_get_str(o, "imageID"), .stop_signal = json_get_str(o, "stop"),
        .attempt = attempt > 0 ? (unsigned)attempt : 0 };
}

/* --- what exec needs later */

static int write_exec(const struct pod_container *c, struct err *err)
{
    _cleanup_buf_ struct buf b = BUF_INIT;
    _cleanup_(mem_freep) char *path = mem_printf("%s/%s.plan", c->pod->dir, c->next_id);
    struct oci_plan p = *c->plan;
    _cleanup_fd_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    if (fd < 0)
        return err_sys(err, "create %s", path);
    p.rootfs = (struct plan_rootfs){ 0 };
    p.args.len = p.masked.len = p.readonly.len = 0;
    p.mounts.len = p.devices.len = p.sysctls.len = 0;
    plan_encode(&b, &p);
    return fd_write_all(fd, b.p, b.len, err);
}

int pod_create_exec_plan(struct pod_container *c, struct arena *a, struct oci_plan *out,
                         struct err *err)
{
    _cleanup_buf_ struct buf b = BUF_INIT;
    _cleanup_(mem_freep) char *path = mem_printf("%s/%s.plan", c->pod->dir, c->now.id);

    if (fd_read_file(&b, AT_FDCWD, path, PLAN_RECORD_BYTES_MAX, err) < 0)
        return err_wrap(err, "container %s", c->name);
    return plan_decode(out, a, b.p, b.len, err);
}

/* --- sending */

int pod_create_send(struct pod_container *c, shim_done *done, struct err *err)
{
    struct pod *p = c->pod;
    const struct container_view *v = pod_spec(c);
    _cleanup_(mem_freep) char *note = NULL, *log = NULL;

    if (write_exec(c, err) < 0)
        return -1;
    note = note_text(c, c->plan_arena);
    log = mem_printf("%s/%s/%u.log", p->logs, c->name, c->attempts);
    p->self->shims->create_container(p->shim, &(struct shim_create){
        .id = c->next_id, .note = note, .plan = c->plan, .limits = &c->limits, .log_path = log,
        .with_stdin = v->stdin, .stdin_once = v->stdin_once }, done, c);
    return 0;
}

static void drop_run(struct pod_container *c, const struct pod_run *r, bool with_log)
{
    struct pod *p = c->pod;

    if (!r->id[0])
        return;
    if (r->created && p->shim && p->shim_ready && !p->shim_lost)
        p->self->shims->remove_container(p->shim, r->id, NULL, NULL);
    pod_job_drop_run(c, r, with_log);
}

/* The TCP ports that this run is known to serve. On the host's network others listen too: none. */
static void note_ports(struct pod_container *c)
{
    const struct container_view *v = pod_spec(c);

    c->serves.n = 0;
    if (c->pod->view->spec.host_network || c->kind == POD_EPHEMERAL)
        return;
    for (unsigned i = 0; i < v->n_ports; i++)
        if (!*v->ports[i].protocol || str_eq(v->ports[i].protocol, "TCP"))
            node_listen_add(&c->serves, (uint16_t)v->ports[i].container_port);
    for (const char *const *p = c->im->exposed_ports; !v->n_ports && *p; p++) {
        unsigned port;
        char protocol[8] = "tcp";

        if (sscanf(*p, "%u/%7s", &port, protocol) >= 1 && port <= UINT16_MAX &&
            str_eq(protocol, "tcp"))
            node_listen_add(&c->serves, (uint16_t)port);
    }
}

void pod_create_done(struct pod_container *c)
{
    if (!c->next_id[0] || str_eq(c->now.id, c->next_id)) {
        pod_create_drop(c);
        return;
    }
    if (c->now.created) {                    /* else last is of a former sandbox, and stays */
        drop_run(c, &c->last, true);
        mem_free(c->last.message);
        c->last = c->now;
    }
    c->now = (struct pod_run){ .created = true, .attempt = c->attempts++ };
    memcpy(c->now.id, c->next_id, sizeof(c->now.id));
    mem_free(c->image);
    mem_free(c->image_id);
    mem_free(c->stop_signal);
    c->image = mem_strdup(pod_spec(c)->image);
    c->image_id = mem_strdup(c->im->digests[0] ? c->im->digests[0] : c->im->id);
    c->stop_signal = mem_strdup(pod_plan_stop_signal(pod_spec(c), c->im));
    note_ports(c);
    c->judged = c->again_anyway = c->post_start_over = false;
    c->stop_why = NULL;
    c->waiting = NULL;
    c->kill = (struct pod_kill){ 0 };
    pod_create_drop(c);
}

void pod_create_undo(struct pod_container *c)
{
    struct pod_run r = { .attempt = c->attempts };

    memcpy(r.id, c->next_id, sizeof(r.id));
    drop_run(c, &r, false);
    pod_create_drop(c);
}

void pod_create_drop(struct pod_container *c)
{
    c->plan_arena = arena_free(c->plan_arena);
    c->plan = NULL;
    c->plan_object = object_unref(c->plan_object);
    c->next_id[0] = 0;
    if (c->im)
        c->im = image_free(c->im);
    image_mount_deinit(&c->mount);
    c->mount = (struct image_mount){ 0 };
    c->has_image = false;
}

/* --- the end of the log as a message */

#define TAIL_LINES 80
#define TAIL_BYTES 2048

/* "TIME stream F text": the text. */
static struct slice text_of(struct slice line)
{
    struct slice word;

    for (int i = 0; i < 3; i++)
        if (!slice_split(&line, ' ', &word))
            return (struct slice){ 0 };
    return line;
}

void pod_create_log_tail(struct pod_container *c)
{
    _cleanup_(mem_freep) char *path = mem_printf("%s/%s/%u.log", c->pod->logs, c->name,
                                                 c->now.attempt);
    _cleanup_buf_ struct buf b = BUF_INIT, out = BUF_INIT, text = BUF_INIT;
    _cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    struct slice rest, line;
    struct stat st;
    off_t from;
    ssize_t n;
    size_t lines = 0;

    if (fd < 0 || fstat(fd, &st) < 0)
        return;
    from = st.st_size > 8 * TAIL_BYTES ? st.st_size - 8 * TAIL_BYTES : 0;
    buf_reserve(&b, 8 * TAIL_BYTES + 1);
    n = pread(fd, b.p, 8 * TAIL_BYTES, from);
    if (n <= 0)
        return;
    b.len = (size_t)n;
    rest = (struct slice){ b.p, b.len };
    if (from > 0)
        slice_split(&rest, '\n', &line);
    for (size_t i = rest.len; i > 0; i--)    /* the last lines only */
        if (rest.p[i - 1] == '\n' && i != rest.len && ++lines == TAIL_LINES) {
            rest = (struct slice){ rest.p + i, rest.len - i };
            break;
        }
    while (slice_split(&rest, '\n', &line)) {
        line = text_of(line);
        if (!line.p)
            continue;
        buf_add(&out, line.p, line.len);
        buf_chr(&out, '\n');
    }
    if (out.len > TAIL_BYTES)
        buf_eat(&out, out.len - TAIL_BYTES);
    if (out.len == 0)
        return;
    buf_utf8(&text, out.p, out.len);
    pod_container_run_text(&c->now, text.p);
}
