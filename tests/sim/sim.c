/* sim.c -- see sim.h. */
#include "tests/sim/sim_impl.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "core/base/check.h"

#define STEPS 120
#define NODES 6
#define PEACE_MS (20 * 60000)            /* longer than all back-offs, graces and quarantines */
#define LAST_WISH_MS 40000               /* of peace */
#define REST_MS 120000                   /* nobody writes for so long */
#define TICK_MS 50
#define CALM_TICK_MS 5000

/* splitmix64 */
static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

unsigned sim_pick(struct sim *s, unsigned n)
{
    return (unsigned)(mix(s->random += 0x9e3779b97f4a7c15u) % n);
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
    buf_fmt(&s->trace, "%" PRId64 " %u * %s\n", sim_now_ms(s), s->step, line);
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
    s->rule = format;
    sim_log(s, "BROKEN %s", line);
}

struct json *sim_tree(struct sim *s, const struct object *o)
{
    return object_tree(o, s->a);
}

void sim_trouble(struct sim *s)
{
    s->trouble_ms = sim_now_ms(s);
}

bool sim_is_calm(const struct sim *s)
{
    for (unsigned i = 0; i < s->n_nodes; i++)
        if (!s->nodes[i].exists || s->nodes[i].silent)
            return false;
    return s->role.up && !s->loss && !s->delay_ms && !s->lag_ms && !s->rival &&
           sim_now_ms(s) - s->trouble_ms > SIM_CALM_MS;
}

/* --- what may happen */

static void nothing(struct sim *s)
{
    (void)s;
}

static enum client_verb a_write(struct sim *s)
{
    return (enum client_verb)(CLIENT_CREATE + sim_pick(s, CLIENT_VERB_MAX - CLIENT_CREATE));
}

static void fail_requests(struct sim *s)
{
    static const int codes[] = { 500, 409, 429, 503 };
    struct sim_fault f = { .verb = a_write(s), .left = 1 + sim_pick(s, 6),
                           .code = codes[sim_pick(s, ARRAY_LEN(codes))] };

    sim_log(s, "fail verb=%d n=%u code=%d", (int)f.verb, f.left, f.code);
    vec_push(&s->faults, f);
}

static void lose_answers(struct sim *s)
{
    struct sim_fault f = { .verb = a_write(s), .left = 1 + sim_pick(s, 3) };

    sim_log(s, "lose verb=%d n=%u", (int)f.verb, f.left);
    if (f.verb == CLIENT_CREATE)
        s->lost_creates += f.left;
    vec_push(&s->faults, f);
}

static void break_watches(struct sim *s)
{
    static const struct kind *(*const kinds[])(void) = {
        kind_pod, kind_replica_set, kind_deployment, kind_node, kind_endpoint_slice,
    };
    const struct kind *kind = kinds[sim_pick(s, ARRAY_LEN(kinds))]();

    sim_log(s, "break watches of %s", kind->resource);
    sim_net_break_watches(s, kind);
}

static void change_weather(struct sim *s)
{
    static const int lags[] = { 0, 0, 30, 200, 1500 };
    static const int delays[] = { 0, 20, 300, 2000 };
    static const unsigned losses[] = { 0, 0, 20, 200 };
    static const unsigned rivals[] = { 0, 50, 300 };

    s->lag_ms = lags[sim_pick(s, ARRAY_LEN(lags))];
    s->delay_ms = delays[sim_pick(s, ARRAY_LEN(delays))];
    s->loss = losses[sim_pick(s, ARRAY_LEN(losses))];
    s->rival = rivals[sim_pick(s, ARRAY_LEN(rivals))];
    sim_log(s, "lag=%d delay=%d loss=%u rivals=%u", (int)s->lag_ms, (int)s->delay_ms, s->loss,
            s->rival);
}

static void jump_clock(struct sim *s)
{
    int64_t by = (int64_t)sim_pick(s, 120000) - 60000;

    by *= sim_pick(s, 3) ? 1 : 60;       /* up to a minute, or an hour */
    sim_log(s, "clock %+" PRId64 " ms", by);
    s->env.wall_us += by * 1000;
}

static void end_role(struct sim *s)
{
    static const char *const how[] = { "ends", "is killed", "loses power" };
    enum sim_end end = (enum sim_end)sim_pick(s, ARRAY_LEN(how));

    if (!s->role.up)
        return;
    sim_log(s, "the role %s", how[end]);
    sim_role_stop(s, end);
}

/* Soon, in the midst of something. */
static void cut_power(struct sim *s)
{
    unsigned n = sim_pick(s, 60);

    sim_log(s, "power goes after %u operations of the disk", n);
    fake_disk_cut_after(s->disk, n);
}

static void fail_disk(struct sim *s)
{
    unsigned n = sim_pick(s, 60);

    sim_log(s, "the disk fails after %u operations", n);
    fake_disk_fail_after(s->disk, n);
}

static void fill_disk(struct sim *s)
{
    int64_t ms = 500 + sim_pick(s, 20000);

    sim_log(s, "the disk is full for %d ms", (int)ms);
    fake_disk_fill(s->disk, true);
    s->full_until_ms = sim_now_ms(s) + ms;
}

static const struct { unsigned weight; bool calm; void (*act)(struct sim *s); } table[] = {
    { 30, true, nothing },          { 30, true, sim_user_act },  { 12, false, sim_node_trouble },
    { 6, false, fail_requests },    { 4, false, lose_answers },  { 5, false, break_watches },
    { 8, false, change_weather },   { 3, false, end_role },      { 3, false, cut_power },
    { 2, false, fail_disk },        { 2, false, fill_disk },     { 2, true, jump_clock },
};

/* One after another in each operation of the disk: sim_opts.cut_op. */
static void cut_power_at(struct sim *s)
{
    uint64_t ops = fake_disk_ops(s->disk);

    if (s->o.cut_op > ops)
        fake_disk_cut_after(s->disk, s->o.cut_op - ops - 1);
}

static void act(struct sim *s)
{
    unsigned sum = 0, at;

    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        sum += table[i].weight;
    at = sim_pick(s, sum);
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        if (at < table[i].weight) {
            if (s->o.calm && !table[i].calm)
                return;
            table[i].act(s);
            if (!table[i].calm)
                sim_trouble(s);
            return;
        }
        at -= table[i].weight;
    }
}

/* --- time */

static void tick(struct sim *s)
{
    unsigned rounds = s->peace ? 10000 : 1 + sim_pick(s, 60);

    /* The loop gets a few rounds at each moment, not always all that it wants. */
    while (rounds-- > 0 && !s->role.dying && loop_step(s->loop, 0))
        ;
    if (s->full_until_ms && sim_now_ms(s) >= s->full_until_ms) {
        s->full_until_ms = 0;
        fake_disk_fill(s->disk, false);
    }
    sim_role_tick(s);
    sim_node_tick(s);
    sim_user_tick(s);
    arena_reset(s->a);
}

static void pass_time(struct sim *s, int64_t ms)
{
    for (; ms > 0 && !s->broken; ms -= TICK_MS) {
        tick(s);
        fake_env_advance(&s->env, TICK_MS);
    }
}

/* In calm the clock may take long steps. */
static void pass_calm(struct sim *s)
{
    pass_time(s, TICK_MS);
    fake_env_advance(&s->env, CALM_TICK_MS - TICK_MS);
}

/* A step depends on the seed and its number, not on the steps before. */
static void begin_step(struct sim *s)
{
    s->random = mix(s->o.seed + 1) ^ mix(s->step * 0x9e3779b97f4a7c15u + 7);
    s->net_random = mix(s->random);
}

static void chaos(struct sim *s)
{
    for (s->step = 0; s->step < s->o.steps && !s->broken; s->step++) {
        unsigned ticks;

        begin_step(s);
        ticks = 1 + sim_pick(s, 40);
        if (!s->o.skip || !s->o.skip[s->step])
            act(s);
        if (s->o.restarts)
            end_role(s);
        sim_plant(s);
        pass_time(s, TICK_MS * ticks);
        sim_check_always(s);
    }
}

static void calm_down(struct sim *s)
{
    sim_log(s, "peace");
    s->peace = true;
    begin_step(s);
    sim_net_calm(s);
    fake_disk_fill(s->disk, false);
    s->full_until_ms = 0;
    if (fake_disk_is_stopped(s->disk) && s->role.up)
        s->role.dying = true;
    sim_node_peace(s);
    sim_user_peace(s);
    sim_trouble(s);
}

/* Nothing is written for a while; -1: something was. */
static int rest(struct sim *s)
{
    size_t writes = s->writes;

    for (int64_t ms = 0; ms < REST_MS && !s->broken; ms += CALM_TICK_MS) {
        sim_plant(s);
        pass_calm(s);
        if (s->writes != writes)
            return -1;
    }
    return 0;
}

static void peace(struct sim *s)
{
    const char *why = NULL;
    int64_t end = sim_now_ms(s) + PEACE_MS;

    calm_down(s);
    pass_time(s, LAST_WISH_MS);
    sim_user_last_wish(s);
    pass_time(s, LAST_WISH_MS / 2);
    while (sim_now_ms(s) < end && !s->broken) {
        sim_plant(s);
        pass_calm(s);
        sim_check_always(s);
        why = sim_check_end(s);
        if (why)
            continue;
        if (rest(s) == 0) {
            sim_net_check_end(s);
            return;
        }
        why = "there are writes in a cluster at rest";
    }
    if (!s->broken)
        sim_break(s, "%s", why ? why : "no peace");
}

/* --- a run */

/* The store looks at its file before SQLite does. */
static void make_file(struct sim *s)
{
    int fd;

    snprintf(s->path, sizeof(s->path), "%s/state.db", s->o.dir);
    fd = open(s->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    check(fd >= 0);
    close(fd);
}

static void begin(struct sim *s)
{
    struct err err = ERR_INIT;

    fake_env_init(&s->env, s->o.seed);
    s->disk = fake_disk_new(s->o.seed);
    make_file(s);
    if (loop_new(&s->loop, &s->env.env, &err) < 0)
        check_fail(err.msg, __FILE__, __LINE__);
    s->a = arena_new(0);
    begin_step(s);
    sim_truth_begin(s);
    sim_net_open(s, &s->control_door, SIM_CONTROL, "system:kube-controller-manager");
    sim_net_open(s, &s->sched_door, SIM_SCHED, "system:kube-scheduler");
    sim_user_begin(s);
    sim_node_begin(s);
    cut_power_at(s);
    sim_role_start(s);
}

static void end(struct sim *s)
{
    s->disk_ops = fake_disk_ops(s->disk);
    sim_role_stop(s, SIM_END_KILL);
    sim_node_end(s);
    sim_net_close(&s->user_door);
    sim_net_close(&s->control_door);
    sim_net_close(&s->sched_door);
    sim_truth_end(s);
    vec_deinit(&s->faults);
    loop_free(s->loop);
    fake_disk_free(s->disk);
    arena_free(s->a);
}

/* What it looked like when it broke. */
static void dump(struct sim *s)
{
    static const struct kind *(*const kinds[])(void) = {
        kind_deployment, kind_replica_set, kind_pod, kind_node,
    };
    struct object *o;

    for (size_t k = 0; k < ARRAY_LEN(kinds); k++)
        for (size_t at = 0; (o = sim_next(s, kinds[k](), &at));)
            buf_fmt(&s->trace, "%.*s\n", (int)object_bytes(o).len, object_bytes(o).p);
}

void sim_run(struct sim_result *out, const struct sim_opts *o)
{
    struct sim *s = NEW(struct sim);

    s->o = *o;
    s->o.steps = o->steps ? o->steps : STEPS;
    s->o.nodes = o->nodes ? o->nodes : NODES;
    check(s->o.steps <= SIM_STEPS_MAX);
    check(s->o.nodes <= SIM_NODES_MAX);
    begin(s);
    chaos(s);
    if (!s->broken)
        peace(s);
    if (s->broken)
        dump(s);
    end(s);
    *out = (struct sim_result){ .broken = s->broken, .rule = s->rule, .step = s->step,
                                .disk_ops = s->disk_ops };
    out->digest = str_hash(s->trace.p, s->trace.len);
    out->trace = buf_take(&s->trace, NULL);
    mem_free(s);
}

void sim_result_deinit(struct sim_result *r)
{
    r->broken = mem_free(r->broken);
    r->trace = mem_free(r->trace);
}
