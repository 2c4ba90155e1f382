/* core/object/table_pod.c -- a pod in one line: the words that people know from kubectl. */
#include "core/base/check.h"
#include "core/base/timefmt.h"
#include "core/object/table_impl.h"

struct pod_line {
    const char *reason;
    int64_t restarts, sidecar_restarts, ready, total;
    int64_t last_us, sidecar_last_us;    /* when a container last ended; 0: never */
    bool initializing;
};

static const char *str(const struct json *v, const char *key)
{
    const char *s = json_get_str(v, key);

    return s ? s : "";
}

static bool condition_true(const struct json *status, const char *type)
{
    struct json *v;

    json_each(v, json_get(status, "conditions"))
        if (str_eq(json_get_str(v, "type"), type) && str_eq(json_get_str(v, "status"), "True"))
            return true;
    return false;
}

/* A sidecar: an init container that is restarted for ever. */
static bool is_sidecar(const struct json *spec, const char *name)
{
    struct json *v;

    json_each(v, json_get(spec, "initContainers"))
        if (str_eq(json_get_str(v, "name"), name))
            return str_eq(json_get_str(v, "restartPolicy"), "Always");
    return false;
}

static int64_t ended_us(const struct json *status)
{
    const char *at = json_path_str(status, "lastState.terminated.finishedAt");
    int64_t us = 0;

    return at && timefmt_parse(at, &us, NULL) == 0 ? us : 0;
}

static void count_restarts(int64_t *n, int64_t *last_us, const struct json *status)
{
    int64_t us = ended_us(status);

    *n += json_get_int(status, "restartCount", 0);
    if (us > *last_us)
        *last_us = us;
}

static const char *end_reason(struct arena *a, const struct json *ended, const char *prefix)
{
    int64_t signal = json_get_int(ended, "signal", 0);

    if (*str(ended, "reason"))
        return arena_printf(a, "%s%s", prefix, str(ended, "reason"));
    if (signal)
        return arena_printf(a, "%sSignal:%lld", prefix, (long long)signal);
    return arena_printf(a, "%sExitCode:%lld", prefix,
                        (long long)json_get_int(ended, "exitCode", 0));
}

/* One init container; true when the walk goes on behind it. */
static bool pass_init(struct pod_line *l, struct arena *a, const struct json *spec,
                      const struct json *status, size_t at)
{
    const struct json *state = json_get(status, "state"), *ended = json_get(state, "terminated");
    const char *waits = str(json_get(state, "waiting"), "reason");
    bool sidecar = is_sidecar(spec, str(status, "name"));

    count_restarts(&l->restarts, &l->last_us, status);
    if (sidecar)
        count_restarts(&l->sidecar_restarts, &l->sidecar_last_us, status);
    if (ended && json_get_int(ended, "exitCode", 0) == 0)
        return true;
    if (sidecar && json_get_bool(status, "started", false)) {
        l->ready += json_get_bool(status, "ready", false);
        return true;
    }
    if (ended)
        l->reason = end_reason(a, ended, "Init:");
    else if (*waits && !str_eq(waits, "PodInitializing"))
        l->reason = arena_printf(a, "Init:%s", waits);
    else
        l->reason = arena_printf(a, "Init:%zu/%zu", at, json_len(json_get(spec, "initContainers")));
    l->initializing = true;
    return false;
}

static void walk_containers(struct pod_line *l, struct arena *a, const struct json *status)
{
    const struct json *list = json_get(status, "containerStatuses");
    const char *error = NULL;
    bool running = false;

    l->restarts = l->sidecar_restarts;
    l->last_us = l->sidecar_last_us;
    for (size_t i = json_len(list); i-- > 0;) {
        const struct json *v = json_at(list, i), *state = json_get(v, "state");
        const struct json *ended = json_get(state, "terminated");

        count_restarts(&l->restarts, &l->last_us, v);
        if (*str(json_get(state, "waiting"), "reason")) {
            l->reason = str(json_get(state, "waiting"), "reason");
        } else if (ended) {
            l->reason = end_reason(a, ended, "");
            if (json_get_int(ended, "exitCode", 0) != 0)
                error = l->reason;
        } else if (json_get_bool(v, "ready", false) && json_get(state, "running")) {
            running = true;
            l->ready++;
        }
    }
    if (!str_eq(l->reason, "Completed"))
        return;
    if (running && condition_true(status, "Ready"))
        l->reason = "Running";
    else if (error)
        l->reason = error;
    else if (running)
        l->reason = "NotReady";
}

static void read_pod(struct pod_line *l, const struct table_row *r)
{
    const struct json *spec = json_get(r->obj, "spec"), *status = json_get(r->obj, "status");
    const char *phase = str(status, "phase");
    struct json *v;

    l->reason = *str(status, "reason") ? str(status, "reason") : phase;
    l->total = (int64_t)json_len(json_get(spec, "containers"));
    json_each(v, json_get(spec, "initContainers"))
        l->total += str_eq(json_get_str(v, "restartPolicy"), "Always");
    json_each(v, json_get(status, "conditions"))
        if (str_eq(json_get_str(v, "type"), "PodScheduled") &&
            str_eq(json_get_str(v, "reason"), "SchedulingGated"))
            l->reason = "SchedulingGated";
    json_each(v, json_get(status, "initContainerStatuses"))
        if (!pass_init(l, r->a, spec, v, v_i))
            break;
    if (!l->initializing || condition_true(status, "Initialized"))
        walk_containers(l, r->a, status);
    if (!json_path_str(r->obj, "metadata.deletionTimestamp"))
        return;
    if (str_eq(str(status, "reason"), "NodeLost"))
        l->reason = "Unknown";
    else if (!str_eq(phase, "Succeeded") && !str_eq(phase, "Failed"))
        l->reason = "Terminating";
}

static const char *restarts_text(const struct pod_line *l, const struct table_row *r)
{
    char age[TIMEFMT_BYTES];

    if (l->restarts == 0 || l->last_us == 0)
        return arena_printf(r->a, "%lld", (long long)l->restarts);
    timefmt_age(age, r->now_s - l->last_us / 1000000);
    return arena_printf(r->a, "%lld (%s ago)", (long long)l->restarts, age);
}

static const char *gates_text(const struct table_row *r)
{
    const struct json *gates = json_get(json_get(r->obj, "spec"), "readinessGates");
    size_t open = 0;
    struct json *v;

    if (json_len(gates) == 0)
        return "<none>";
    json_each(v, gates)
        open += condition_true(json_get(r->obj, "status"), str(v, "conditionType"));
    return arena_printf(r->a, "%zu/%zu", open, json_len(gates));
}

void table_pod_cells(struct table_row *r)
{
    const struct json *status = json_get(r->obj, "status");
    struct pod_line l = { .reason = "" };

    read_pod(&l, r);
    table_text(r, arena_printf(r->a, "%lld/%lld", (long long)l.ready, (long long)l.total));
    table_text(r, l.reason);
    table_text(r, restarts_text(&l, r));
    table_age(r);
    table_or(r, json_get_str(json_at(json_get(status, "podIPs"), 0), "ip"), "<none>");
    table_or(r, json_path_str(r->obj, "spec.nodeName"), "<none>");
    table_or(r, json_get_str(status, "nominatedNodeName"), "<none>");
    table_text(r, gates_text(r));
}
