/* pod_container_list.c -- the containers of a pod as machines: made from the spec, with what
 * the API's status still tells of runs that nobody else remembers. */
#include <inttypes.h>

#include "core/base/mem.h"
#include "runtime/node/pod_self.h"
#include "runtime/node/pod_status.h"

/* --- making */

static const char *const field_names[] = {
    [POD_INIT] = "initContainers", [POD_SIDECAR] = "initContainers", [POD_MAIN] = "containers",
    [POD_EPHEMERAL] = "ephemeralContainers",
};

static void init(struct pod *p, struct pod_container *c, enum pod_kind kind, unsigned index)
{
    const struct container_view *v;

    *c = (struct pod_container){ .pod = p, .kind = kind, .index = index };
    v = pod_spec(c);
    if (kind == POD_INIT && str_eq(v->restart_policy, "Always"))
        c->kind = POD_SIDECAR;
    c->name = mem_strdup(v->name);
    c->field = mem_printf("spec.%s{%s}", field_names[kind], v->name);
    sm_init(&c->sm, pod_container_states, POD_C_MAX, POD_C_WAIT, pod_now_ms(p));
}

static void free_one(struct pod_container *c)
{
    pod_container_let_go(c);
    mem_free(c->name);
    mem_free(c->field);
    mem_free(c->image);
    mem_free(c->image_id);
    mem_free(c->stop_signal);
    mem_free(c->waiting_message);
    mem_free(c->now.message);
    mem_free(c->last.message);
}

/* --- what the API knows */

static const struct container_status_view *status_of(const struct pod_container *c)
{
    const struct pod_status_view *s = &c->pod->view->status;
    const struct container_status_view *list = s->container_statuses;
    unsigned n = s->n_container_statuses;

    if (c->kind == POD_INIT || c->kind == POD_SIDECAR) {
        list = s->init_container_statuses;
        n = s->n_init_container_statuses;
    } else if (c->kind == POD_EPHEMERAL) {
        list = s->ephemeral_container_statuses;
        n = s->n_ephemeral_container_statuses;
    }
    for (unsigned i = 0; i < n; i++)
        if (str_eq(list[i].name, c->name))
            return &list[i];
    return NULL;
}

static void take_end(struct pod_run *r, const struct container_state_terminated_view *t)
{
    const char *id = t->container_id;

    if (str_starts(id, NODE_RUNTIME_PREFIX))
        id += strlen(NODE_RUNTIME_PREFIX);
    if (strlen(id) < sizeof(r->id))
        memcpy(r->id, id, strlen(id) + 1);
    r->created = r->started = r->ended = true;
    r->exit_code = t->exit_code;
    r->signal = t->signal;
    r->started_ns = t->started_at_s * 1000000000;
    r->finished_ns = t->finished_at_s * 1000000000;
    r->reason = pod_status_reason(t->reason);
    if (!str_empty(t->message))
        pod_container_run_text(r, t->message);
}

/* A run that the API says is there; it is not, unless its shim is found. */
static void take_lost(struct pod_container *c, const struct container_status_view *s)
{
    c->now = (struct pod_run){ .created = true, .started = true, .ended = true, .exit_code = 137,
                               .reason = "ContainerStatusUnknown" };
    if (s->state.running)
        c->now.started_ns = s->state.running->started_at_s * 1000000000;
    c->now.finished_ns = env_wall_us(c->pod->self->clock) * 1000;
    pod_container_run_text(&c->now, "The container could not be located when the pod was "
                                    "terminated");
}

static void remember(struct pod_container *c)
{
    const struct container_status_view *s = status_of(c);

    if (!s)
        return;
    c->was_started = s->has_started && s->started;
    c->was_ready = s->ready;
    if (str_empty(s->container_id) && !s->state.terminated)      /* one lost before has no id */
        return;
    c->attempts = (unsigned)s->restart_count + 1;
    if (c->pod->adopted && !c->pod->final)   /* the shim knows better */
        return;
    if (s->last_state.terminated)
        take_end(&c->last, s->last_state.terminated);
    if (s->state.terminated)
        take_end(&c->now, s->state.terminated);
    else
        take_lost(c, s);
    c->now.attempt = (unsigned)s->restart_count;
    c->image = mem_strdup(s->image);
    c->image_id = mem_strdup(s->image_id);
}

/* --- all */

int pod_container_make_all(struct pod *p)
{
    const struct pod_spec_view *s = &p->view->spec;
    size_t n = s->n_init_containers + s->n_containers + s->n_ephemeral_containers, at = 0;

    /* Machines never move: callbacks point at them. */
    p->cap_containers = n + POD_EPHEMERAL_SPARE;
    p->containers = mem_alloc_array(p->cap_containers, sizeof(*p->containers));
    p->n_containers = n;
    for (unsigned i = 0; i < s->n_init_containers; i++)
        init(p, &p->containers[at++], POD_INIT, i);
    for (unsigned i = 0; i < s->n_containers; i++)
        init(p, &p->containers[at++], POD_MAIN, i);
    for (unsigned i = 0; i < s->n_ephemeral_containers; i++)
        init(p, &p->containers[at++], POD_EPHEMERAL, i);
    for (size_t i = 0; i < n; i++)
        remember(&p->containers[i]);
    if (!p->adopted && !p->final && !pod_status_is_over(p))
        pod_container_reset_all(p);
    return 0;
}

/* A new sandbox forgets the runs of the former one, and the API may not have heard of them. */
void pod_container_set_attempts(struct pod *p, const char *text)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(256u << 10);
    struct json *v = NULL;

    if (!text || json_parse(&v, a, text, strlen(text), NULL, NULL) < 0)
        return;
    for (size_t i = 0; i < p->n_containers; i++) {
        int64_t n = json_get_int(v, p->containers[i].name, 0);

        if (n > p->containers[i].attempts)
            p->containers[i].attempts = (unsigned)n;
    }
}

char *pod_container_attempts(const struct pod *p)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(256u << 10);
    struct json *v = json_object(a);
    struct buf b = BUF_INIT;

    for (size_t i = 0; i < p->n_containers; i++)
        json_set_int(a, v, p->containers[i].name, p->containers[i].attempts);
    json_write(&b, v);
    return buf_take(&b, NULL);
}

/* Ephemeral containers are added while the pod runs. */
bool pod_container_sync(struct pod *p)
{
    const struct pod_spec_view *s = &p->view->spec;
    unsigned known = 0, before;

    for (size_t i = 0; i < p->n_containers; i++)
        known += p->containers[i].kind == POD_EPHEMERAL;
    before = known;
    for (; known < s->n_ephemeral_containers && p->n_containers < p->cap_containers; known++)
        init(p, &p->containers[p->n_containers++], POD_EPHEMERAL, known);
    return known > before;
}

void pod_container_free_all(struct pod *p)
{
    for (size_t i = 0; i < p->n_containers; i++)
        free_one(&p->containers[i]);
    p->containers = mem_free(p->containers);
    p->n_containers = 0;
}

/* A new sandbox: what may run again runs again, init containers first. */
void pod_container_reset_all(struct pod *p)
{
    bool over = pod_status_is_over(p);

    for (size_t i = 0; i < p->n_containers; i++) {
        struct pod_container *c = &p->containers[i];
        bool keep = over || (c->kind != POD_INIT && c->now.ended && pod_container_is_done(c));

        pod_container_let_go(c);
        c->stop_why = NULL;
        c->waiting = NULL;
        c->judged = c->post_start_over = false;
        c->kill = (struct pod_kill){ 0 };
        sm_init(&c->sm, pod_container_states, POD_C_MAX, POD_C_WAIT, pod_now_ms(p));
        if (keep || !c->now.created)
            continue;
        mem_free(c->last.message);
        c->last = c->now;
        c->now = (struct pod_run){ 0 };
    }
}
