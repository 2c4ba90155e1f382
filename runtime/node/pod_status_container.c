/* pod_status_container.c -- one container's machine as ContainerStatus. */
#include <inttypes.h>

#include "core/base/mem.h"
#include "core/base/timefmt.h"
#include "runtime/node/pod_self.h"
#include "runtime/node/pod_status.h"
#include "runtime/node/pod_status_int.h"
#include "runtime/node/probe.h"

static const char *const reasons[] = { "Completed", "Error", "OOMKilled", "StartError",
                                       "ContainerStatusUnknown", "ContainerCannotRun",
                                       "DeadlineExceeded" };

const char *pod_status_reason(const char *text)
{
    for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
        if (str_eq(reasons[i], text))
            return reasons[i];
    return "Error";
}

static bool is_up(const struct pod_container *c)
{
    return pod_is_running(c) && (c->post_start_over || c->sm.now == POD_C_KILL);
}

bool pod_status_started(const struct pod_container *c)
{
    if (c->kind == POD_INIT)
        return is_up(c);
    return is_up(c) && c->probes && probe_set_started(c->probes);
}

bool pod_status_ready(const struct pod_container *c)
{
    if (c->kind == POD_INIT)
        return c->now.ended && c->now.exit_code == 0;
    if (c->kind == POD_EPHEMERAL)
        return false;
    return is_up(c) && c->probes && probe_set_ready(c->probes);
}

/* --- states */

static void set_time(struct arena *a, struct json *o, const char *key, int64_t ns)
{
    char text[TIMEFMT_BYTES];

    if (ns <= 0) {
        json_set(a, o, key, json_null(a));
        return;
    }
    timefmt_rfc3339(text, ns / 1000000000);
    json_set_str(a, o, key, text);
}

static struct json *terminated(struct arena *a, const struct pod_run *r)
{
    struct json *o = json_object(a);

    json_set_int(a, o, "exitCode", r->exit_code);
    if (r->signal)
        json_set_int(a, o, "signal", r->signal);
    json_set_str(a, o, "reason", r->reason ? r->reason : "Error");
    if (!str_empty(r->message))
        json_set_str(a, o, "message", r->message);
    set_time(a, o, "startedAt", r->started_ns);
    set_time(a, o, "finishedAt", r->finished_ns);
    if (r->id[0])
        json_set(a, o, "containerID", json_fmt(a, NODE_RUNTIME_PREFIX "%s", r->id));
    return o;
}

static struct json *waiting(struct arena *a, const struct pod_container *c)
{
    const struct pod_spec_view *s = &c->pod->view->spec;
    struct json *o = json_object(a);
    const char *reason = s->n_init_containers ? "PodInitializing" : "ContainerCreating";

    json_set_str(a, o, "reason", c->waiting ? c->waiting : reason);
    if (c->waiting && !str_empty(c->waiting_message))
        json_set_str(a, o, "message", c->waiting_message);
    return o;
}

/* No init container that succeeded may leave that state, as the API sees it, where pods are not
 * always restarted: one that runs anew in a new sandbox shows its former end until then. */
static bool shows_former_end(const struct pod_container *c)
{
    return c->kind == POD_INIT && !c->now.ended && c->last.ended && c->last.exit_code == 0 &&
           !str_eq(c->pod->view->spec.restart_policy, "Always");
}

static void set_states(struct arena *a, struct json *o, const struct pod_container *c)
{
    struct json *state = json_object(a), *last = json_object(a), *run;
    const struct pod_run *before = c->last.ended ? &c->last : NULL;

    if (shows_former_end(c)) {
        json_set(a, state, "terminated", terminated(a, &c->last));
        before = NULL;
    } else if (is_up(c)) {
        run = json_object(a);
        set_time(a, run, "startedAt", c->now.started_ns);
        json_set(a, state, "running", run);
    } else if (c->now.ended && !c->waiting) {
        json_set(a, state, "terminated", terminated(a, &c->now));
    } else {
        json_set(a, state, "waiting", waiting(a, c));
        before = c->now.ended ? &c->now : before;
    }
    if (before)
        json_set(a, last, "terminated", terminated(a, before));
    json_set(a, o, "state", state);
    json_set(a, o, "lastState", last);
}

/* --- the rest */

static struct json *mounts(struct arena *a, const struct container_view *v)
{
    struct json *list = json_array(a);

    for (unsigned i = 0; i < v->n_volume_mounts; i++) {
        const struct volume_mount_view *m = &v->volume_mounts[i];
        struct json *o = json_object(a);
        bool deep = str_eq(m->recursive_read_only, "Enabled") ||
                    str_eq(m->recursive_read_only, "IfPossible");

        json_set_str(a, o, "name", m->name);
        json_set_str(a, o, "mountPath", m->mount_path);
        if (m->read_only) {
            json_set_bool(a, o, "readOnly", true);
            json_set_str(a, o, "recursiveReadOnly", deep ? "Enabled" : "Disabled");
        }
        json_append(a, list, o);
    }
    return list;
}

static struct json *amounts(struct arena *a, const struct view_map *m)
{
    struct json *o = json_object(a);

    for (unsigned i = 0; i < m->n; i++)
        json_set_str(a, o, m->v[i].key, m->v[i].value);
    return o;
}

static void set_resources(struct arena *a, struct json *o, const struct container_view *v)
{
    struct json *r = json_object(a);

    if (v->resources.requests.n)
        json_set(a, o, "allocatedResources", amounts(a, &v->resources.requests));
    if (v->resources.limits.n)
        json_set(a, r, "limits", amounts(a, &v->resources.limits));
    if (v->resources.requests.n)
        json_set(a, r, "requests", amounts(a, &v->resources.requests));
    json_set(a, o, "resources", r);
}

struct json *pod_status_container(struct arena *a, const struct pod_container *c)
{
    const struct container_view *v = pod_spec(c);
    struct json *o = json_object(a), *list = mounts(a, v);
    const struct pod_run *r = c->now.id[0] ? &c->now : &c->last;
    bool known = c->image && c->image_id && (r->id[0] || c->now.ended);

    json_set_str(a, o, "name", c->name);
    set_states(a, o, c);
    json_set_bool(a, o, "ready", pod_status_ready(c));
    json_set_int(a, o, "restartCount", c->attempts ? c->attempts - 1 : 0);
    json_set_str(a, o, "image", known ? c->image : v->image);
    json_set_str(a, o, "imageID", known ? c->image_id : "");
    if (r->id[0])
        json_set(a, o, "containerID", json_fmt(a, NODE_RUNTIME_PREFIX "%s", r->id));
    json_set_bool(a, o, "started", pod_status_started(c));
    set_resources(a, o, v);
    if (json_len(list) > 0)
        json_set(a, o, "volumeMounts", list);
    if (c->stop_signal && v->lifecycle && !str_empty(v->lifecycle->stop_signal))
        json_set_str(a, o, "stopSignal", c->stop_signal);
    return o;
}
