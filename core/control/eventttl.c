/* eventttl.c: Events are kept for a while after they last happened. */
#include "core/control/control_impl.h"

#include "gen/views.h"

static int64_t last_s(const struct object *event)
{
    const struct event_view *v = event_view(event);
    int64_t last = object_created_s(event);

    if (v->last_timestamp_s > last)
        last = v->last_timestamp_s;
    if (v->event_time_us / 1000000 > last)
        last = v->event_time_us / 1000000;
    if (v->series && v->series->last_observed_time_us / 1000000 > last)
        last = v->series->last_observed_time_us / 1000000;
    return last;
}

static int64_t left_s(const struct controller *c, const struct object *event)
{
    int64_t ttl = c->control->opts.event_ttl_ms / 1000;
    int64_t left = last_s(event) + ttl - control_now_s(c->control);

    return left > ttl ? ttl : left;      /* of a time in the future */
}

static void on_event(struct controller *c, struct object *before, struct object *after)
{
    (void)before;
    if (after)
        control_enqueue_after(c, after, left_s(c, after) * 1000);
}

static void reconcile(struct pass *p)
{
    struct object *event = control_get(p, kind_event());
    int64_t left;

    if (!event)
        return;
    left = left_s(p->c, event);
    if (left > 0)
        control_again(p, left * 1000);
    else
        control_delete(p, event, NULL, NULL, NULL);
}

const struct control_def eventttl_control = {
    .name = "event-ttl-controller",
    .watches = { { kind_event, on_event } },
    .reconcile = reconcile,
};
