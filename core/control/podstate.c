/* podstate.c -- see podstate.h. */
#include "core/control/podstate.h"

#include "gen/views.h"

bool podstate_ended(const struct object *pod)
{
    const char *phase = pod_view(pod)->status.phase;

    return str_eq(phase, "Succeeded") || str_eq(phase, "Failed");
}

bool podstate_active(const struct object *pod)
{
    return !object_is_deleting(pod) && !podstate_ended(pod);
}

const struct pod_condition_view *podstate_condition(const struct object *pod, const char *type)
{
    const struct pod_status_view *s = &pod_view(pod)->status;

    for (unsigned i = 0; i < s->n_conditions; i++)
        if (str_eq(s->conditions[i].type, type))
            return &s->conditions[i];
    return NULL;
}

bool podstate_ready(const struct object *pod)
{
    const struct pod_condition_view *c = podstate_condition(pod, "Ready");

    return c && str_eq(c->status, "True");
}

int64_t podstate_ready_since(const struct object *pod)
{
    const struct pod_condition_view *c = podstate_condition(pod, "Ready");

    return c && str_eq(c->status, "True") ? c->last_transition_time_s : 0;
}

bool podstate_available(const struct object *pod, int64_t min_ready_s, int64_t now_s,
                        int64_t *left_s)
{
    int64_t since = podstate_ready_since(pod), left = since + min_ready_s - now_s;

    if (left_s)
        *left_s = -1;
    if (!podstate_ready(pod))
        return false;
    if (min_ready_s == 0 || (since && left <= 0))
        return true;
    if (left_s)
        *left_s = left > 0 ? left : -1;
    return false;
}

int64_t podstate_restarts(const struct object *pod)
{
    const struct pod_status_view *s = &pod_view(pod)->status;
    int64_t most = 0;

    for (unsigned i = 0; i < s->n_container_statuses; i++)
        if (s->container_statuses[i].restart_count > most)
            most = s->container_statuses[i].restart_count;
    for (unsigned i = 0; i < s->n_init_container_statuses; i++)
        if (s->init_container_statuses[i].restart_count > most)
            most = s->init_container_statuses[i].restart_count;
    return most;
}
