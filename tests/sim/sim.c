/* sim.c -- see sim.h. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "core/base/check.h"
#include "tests/fake/fake_client_impl.h"
#include "tests/sim/sim_impl.h"

#define STEPS 120
#define NODES 6
#define PEACE_MS (20 * 60000)            /* longer than all back-offs, graces and quarantines */
#define TICK_MS 50

/* splitmix64 */
unsigned sim_pick(struct sim *s, unsigned n)
{
    uint64_t x = s->random += 0x9e3779b97f4a7c15u;

    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return (unsigned)((x ^ (x >> 31)) % n);
}

int64_t sim_now_ms(const struct sim *s)
{
    return s->env.mono_ms;
}

void sim_log(struct sim *s, const char *format, ...)
{
    va_list ap;
    char line[256];

    va_start(ap, format);
    vsnprintf(line, sizeof(line), format, ap);
    va_end(ap);
    buf_fmt(&s->trace, "%" PRId64 " %u %s\n", sim_now_ms(s), s->step, line);
}

void sim_break(struct sim *s, const char *format, ...)
{
    va_list ap;
    char line[512];

    if (s->broken)
        return;
    va_start(ap, format);
    vsnprintf(line, sizeof(line), format, ap);
    va_end(ap);
    s->broken = mem_strdup(line);
    sim_log(s, "BROKEN %s", line);
}

struct json *sim_tree(struct sim *s, const struct object *o)
{
    return object_tree(o, s->a);
}

/* --- the parts of the control role */

static void start_control(struct sim *s)
{
    struct control_opts opts = { .root_ca_pem = "PEM", .cluster_cidr = "10.42.0.0/16" };
    struct err err = ERR_INIT;

    if (control_new(&s->control, fake_client_door(s->f), &opts, &err) < 0)
        check_fail(err.msg, __FILE__, __LINE__);
}

static void start_sched(struct sim *s)
{
    struct err err = ERR_INIT;

    if (sched_new(&s->sched, fake_client_door(s->f), NULL, &err) < 0)
        check_fail(err.msg, __FILE__, __LINE__);
}

/* They live in one process: what they had asked for goes with them. */
static void restart(struct sim *s)
{
    sim_log(s, "restart");
    s->control = control_free(s->control);
    s->sched = sched_free(s->sched);
    fake_client_cut(s->f);
    start_control(s);
    start_sched(s);
}

/* --- faults */

static void fail_requests(struct sim *s)
{
    static const int codes[] = { 500, 409, 429, 503 };
    enum client_verb verb = (enum client_verb)(CLIENT_CREATE + sim_pick(s, CLIENT_VERB_MAX - 1));
    unsigned n = 1 + sim_pick(s, 6);
    int code = codes[sim_pick(s, ARRAY_LEN(codes))];

    sim_log(s, "fail verb=%d n=%u code=%d", (int)verb, n, code);
    fake_client_fail(s->f, verb, NULL, n, code);
}

static void lose_answers(struct sim *s)
{
    enum client_verb verb = (enum client_verb)(CLIENT_CREATE + sim_pick(s, CLIENT_VERB_MAX - 1));
    unsigned n = 1 + sim_pick(s, 3);

    sim_log(s, "lose verb=%d n=%u", (int)verb, n);
    if (verb == CLIENT_CREATE)
        s->lost_creates += n;
    fake_client_lose(s->f, verb, NULL, n);
}

static void drop_watches(struct sim *s)
{
    static const struct kind *(*const kinds[])(void) = {
        kind_pod, kind_replica_set, kind_deployment, kind_node, kind_endpoint_slice,
    };
    const struct kind *kind = kinds[sim_pick(s, ARRAY_LEN(kinds))]();

    sim_log(s, "drop watches of %s", kind->resource);
    fake_client_drop_watches(s->f, kind);
}

static void change_lag(struct sim *s)
{
    static const int lags[] = { 0, 0, 30, 200, 1500 };
    int lag = lags[sim_pick(s, ARRAY_LEN(lags))];

    sim_log(s, "lag %d", lag);
    fake_client_lag(s->f, lag);
}

static void jump_clock(struct sim *s)
{
    int64_t by = (int64_t)sim_pick(s, 120000) - 60000;

    sim_log(s, "clock %+" PRId64 " ms", by);
    s->env.wall_us += by * 1000;
}

static void nothing(struct sim *s)
{
    (void)s;
}

static const struct { unsigned weight; void (*act)(struct sim *s); } table[] = {
    { 30, nothing },       { 30, sim_user_act }, { 12, sim_node_trouble }, { 8, fail_requests },
    { 4, lose_answers },   { 6, drop_watches },  { 6, change_lag },        { 4, restart },
    { 2, jump_clock },
};

static void act(struct sim *s)
{
    unsigned sum = 0, at;

    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        sum += table[i].weight;
    at = sim_pick(s, sum);
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        if (at < table[i].weight) {
            table[i].act(s);
            return;
        }
        at -= table[i].weight;
    }
}

/* --- planted bugs */

static struct object *any_pod(struct sim *s, bool placed)
{
    struct object *o;
    size_t skip = sim_pick(s, 5);

    for (size_t at = 0; (o = fake_client_next(s->f, kind_pod(), &at));)
        if ((!placed || json_path_str(sim_tree(s, o), "spec.nodeName")) && skip-- == 0)
            return o;
    return NULL;
}

static void plant_twice(struct sim *s)
{
    struct object *pod = any_pod(s, false);
    struct json *tree = pod ? sim_tree(s, pod) : NULL;
    struct client_req req = { .verb = CLIENT_CREATE, .kind = kind_pod(), .ns = "default",
                              .body = tree };

    if (!pod || object_is_deleting(pod) || !object_controller(pod))
        return;
    json_del(json_get(tree, "metadata"), "name");
    json_del(json_get(tree, "spec"), "nodeName");
    json_del(tree, "status");
    for (int i = 0; i < 3; i++)
        client_do(fake_client_door(s->f), &req, NULL);
}

static void plant_deaf(struct sim *s, const struct kind *kind)
{
    list_each (w, &s->f->watches, struct fake_watch, link)
        if (w->opts.kind == kind && w->queue.len) {
            object_unref(w->queue.v[--w->queue.len].object);
            if (!w->queue.len)
                loop_timer_del(&w->timer);
        }
}

static void plant_same_network(struct sim *s)
{
    struct object *first, *second;
    const char *cidr;
    size_t at = 0;

    first = fake_client_next(s->f, kind_node(), &at);
    second = first ? fake_client_next(s->f, kind_node(), &at) : NULL;
    cidr = first ? json_path_str(sim_tree(s, first), "spec.podCIDR") : NULL;
    if (second && cidr)
        fake_client_edit(s->f, kind_node(), "", object_name(second),
                         arena_printf(s->a, "spec: {podCIDR: %s}", cidr));
}

static void plant_rebind(struct sim *s)
{
    struct object *pod = any_pod(s, true);

    if (pod)
        fake_client_edit(s->f, kind_pod(), "default", object_name(pod), "spec: {nodeName: moved}");
}

static void plant_stale_slice(struct sim *s)
{
    struct object *o;
    size_t at = 0;

    while ((o = fake_client_next(s->f, kind_endpoint_slice(), &at)))
        fake_client_edit(s->f, kind_endpoint_slice(), "default", object_name(o),
                         "endpoints: [{addresses: [10.9.9.9]}]");
    list_each (w, &s->f->watches, struct fake_watch, link)
        if (w->opts.kind == kind_endpoint_slice()) {
            while (w->queue.len)
                object_unref(w->queue.v[--w->queue.len].object);
            loop_timer_del(&w->timer);
        }
}

static void plant(struct sim *s)
{
    switch (s->o.plant) {
    case SIM_PLANT_CREATE_TWICE: plant_twice(s); break;
    case SIM_PLANT_DEAF_PODS: plant_deaf(s, kind_pod()); break;
    case SIM_PLANT_DEAF_SETS: plant_deaf(s, kind_replica_set()); break;
    case SIM_PLANT_SAME_NETWORK: plant_same_network(s); break;
    case SIM_PLANT_REBIND: plant_rebind(s); break;
    case SIM_PLANT_GREEDY_GC:
        fake_client_drop(s->f, kind_config_map(), "default", "precious");
        break;
    case SIM_PLANT_STALE_SLICE:
        if (s->peace)
            plant_stale_slice(s);
        break;
    default: break;
    }
}

/* Requests of the control role pass here before they take effect. */
static void on_request(const struct client_req *req, void *ctx)
{
    struct sim *s = ctx;

    sim_check_request(s, req);
    if (s->o.plant == SIM_PLANT_LOST_DELETE && req->verb == CLIENT_DELETE &&
        req->kind == kind_pod())
        fake_client_fail(s->f, CLIENT_DELETE, kind_pod(), 1, 200);
}

/* --- time */

/* The loop gets a few rounds at each moment, not always all that it wants. */
static void pass_time(struct sim *s, int64_t ms)
{
    while (ms > 0 && !s->broken) {
        unsigned rounds = s->peace ? 10000 : 1 + sim_pick(s, 60);

        while (rounds-- > 0 && loop_step(s->loop, 0))
            ;
        sim_node_tick(s);
        fake_env_advance(&s->env, TICK_MS);
        ms -= TICK_MS;
    }
}

static void chaos(struct sim *s)
{
    for (s->step = 0; s->step < s->o.steps && !s->broken; s->step++) {
        act(s);
        if (s->o.plant && s->step > 20)
            plant(s);
        pass_time(s, TICK_MS * (1 + sim_pick(s, 40)));
        sim_check_always(s);
        arena_reset(s->a);
    }
}

static void peace(struct sim *s)
{
    size_t writes;

    sim_log(s, "peace");
    s->peace = true;
    fake_client_heal(s->f);
    fake_client_lag(s->f, 0);
    sim_node_peace(s);
    sim_user_peace(s);
    for (int64_t ms = 0; ms < PEACE_MS && !s->broken; ms += 5000) {
        pass_time(s, ms < 60000 ? 5000 : TICK_MS);
        fake_env_advance(&s->env, ms < 60000 ? 0 : 5000 - TICK_MS);
        sim_check_always(s);
        arena_reset(s->a);
    }
    plant(s);
    if (!s->broken)
        sim_check_end(s);
    writes = fake_client_writes(s->f);
    if (s->o.plant == SIM_PLANT_CHATTER)
        plant_twice(s);
    for (int i = 0; i < 24 && !s->broken; i++) {
        pass_time(s, TICK_MS);
        fake_env_advance(&s->env, 5000 - TICK_MS);
        arena_reset(s->a);
    }
    if (fake_client_writes(s->f) != writes)
        sim_break(s, "%zu writes in a cluster at rest", fake_client_writes(s->f) - writes);
}

/* --- a run */

static void free_value(void *p)
{
    mem_free(p);
}

static void end(struct sim *s)
{
    control_free(s->control);
    sched_free(s->sched);
    fake_client_free(s->f);
    loop_free(s->loop);
    arena_free(s->a);
    map_free(s->bound, free_value);
    map_free(s->sizes, free_value);
}

void sim_run(struct sim_result *out, const struct sim_opts *o)
{
    struct sim *s = NEW(struct sim);
    struct err err = ERR_INIT;

    s->o = *o;
    s->o.steps = o->steps ? o->steps : STEPS;
    s->o.nodes = o->nodes ? o->nodes : NODES;
    s->random = o->seed;
    fake_env_init(&s->env, o->seed);
    if (loop_new(&s->loop, &s->env.env, &err) < 0)
        check_fail(err.msg, __FILE__, __LINE__);
    s->f = fake_client_new(s->loop);
    s->a = arena_new(0);
    s->bound = map_new();
    s->sizes = map_new();
    fake_client_on_request(s->f, on_request, s);
    sim_node_begin(s);
    sim_user_begin(s);
    start_control(s);
    start_sched(s);
    chaos(s);
    if (!s->broken)
        peace(s);
    *out = (struct sim_result){ .broken = s->broken, .step = s->step,
                                .trace = buf_take(&s->trace, NULL) };
    end(s);
    mem_free(s);
}

void sim_result_deinit(struct sim_result *r)
{
    r->broken = mem_free(r->broken);
    r->trace = mem_free(r->trace);
}
