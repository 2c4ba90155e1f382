/* sched_bind.c: a decision becomes true: assumed here, then told to the API. */
#include "core/base/log.h"
#include "core/sched/sched_cycle.h"

/* A binding under way. It outlives the pod and, with s = NULL, the scheduler. */
struct call {
    struct sched *s;
    struct list in;
    struct object *pod;                  /* as it was */
    char *node;
    int64_t begun_ns, queued_ns;
    unsigned attempts;
};

static void report_done(struct call *call)
{
    char *text = mem_printf("Successfully assigned %s/%s to %s", object_ns(call->pod),
                            object_name(call->pod), call->node);
    struct sched_report r = { "Normal", "Scheduled", "Binding", text, NULL };

    sched_report_event(call->s, call->pod, &r, NULL);
    mem_free(text);
    sched_metric_bound(call->s, call->attempts, call->queued_ns);
}

/* The pod if it is still the one that was bound and nothing else is known of it. */
static struct sched_pod *still_binding(const struct call *call)
{
    char key[OBJECT_KEY_BYTES];
    struct sched_pod *p;

    object_key(call->pod, key);
    p = map_get(call->s->pods, key);
    if (!p || p->state != SCHED_BINDING || !str_eq(object_uid(p->object), object_uid(call->pod)))
        return NULL;
    return p;
}

static void forget(struct call *call, const struct client_result *r)
{
    struct sched_pod *p = still_binding(call);
    char *text;

    if (!p)
        return;                          /* gone, or the watch knows better */
    sched_snapshot_unplace(p);
    sched_queue_wake(call->s, SCHED_ON_POD_GONE);
    if (r->code != 404) {
        text = mem_printf("binding rejected: running Bind plugin \"DefaultBinder\": %s",
                          *r->message ? r->message : "the server could not be reached");
        sched_report_failed(p, "SchedulerError", text);
        mem_free(text);
    }
    sched_queue_backoff(p);
}

static void call_free(struct call *call)
{
    list_del(&call->in);
    object_unref(call->pod);
    mem_free(call->node);
    mem_free(call);
}

static void on_bound(const struct client_result *r, void *ctx)
{
    struct call *call = ctx;

    if (call->s) {
        call->s->binding--;
        sched_metric_attempt(call->s, client_ok(r) ? SCHED_SCHEDULED : SCHED_ERROR,
                             call->begun_ns);
        if (client_ok(r))
            report_done(call);
        else
            forget(call, r);
        sched_kick(call->s);
    }
    call_free(call);
}

static struct json *binding_body(struct arena *a, const struct object *pod, const char *node)
{
    struct json *b = json_object(a), *meta = json_object(a), *target = json_object(a);

    json_set_str(a, b, "apiVersion", "v1");
    json_set_str(a, b, "kind", "Binding");
    json_set_str(a, meta, "name", object_name(pod));
    json_set_str(a, meta, "namespace", object_ns(pod));
    json_set_str(a, meta, "uid", object_uid(pod));
    json_set(a, b, "metadata", meta);
    json_set_str(a, target, "kind", "Node");
    json_set_str(a, target, "name", node);
    json_set(a, b, "target", target);
    return b;
}

void sched_bind(struct sched_pod *p, struct sched_node *n)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    struct call *call = NEW(struct call);
    struct err err = ERR_INIT;
    struct client_req req = {
        .verb = CLIENT_CREATE, .kind = kind_pod(), .ns = object_ns(p->object),
        .name = object_name(p->object), .subresource = "binding",
        .body = binding_body(a, p->object, n->name), .on_done = on_bound, .ctx = call,
    };

    call->s = p->s;
    call->pod = object_ref(p->object);
    call->node = mem_strdup(n->name);
    call->begun_ns = p->begun_ns;
    call->queued_ns = p->queued_ns;
    call->attempts = p->attempts;
    list_push(&p->s->calls, &call->in);
    sched_preempt_nominate(p, NULL);
    sched_snapshot_place(p, n);
    sched_metric_state(p, SCHED_BINDING);
    p->s->binding++;
    sched_queue_wake(p->s, SCHED_ON_POD_ADD);
    if (client_do(p->s->client, &req, &err) == 0)
        return;
    log_error("cannot bind", "pod=%s/%s: %s", req.ns, req.name, err.msg);
    on_bound(&(struct client_result){ .reason = "", .message = err.msg }, call);
}

void sched_bind_deinit(struct sched *s)
{
    list_each(call, &s->calls, struct call, in) {
        list_del(&call->in);
        call->s = NULL;
    }
}
