/* sched_report.c: what people see of decisions: events and the pod's condition PodScheduled. */
#include "core/base/log.h"
#include "core/base/timefmt.h"
#include "core/sched/sched_impl.h"

#define NOTE_MAX 1024                    /* of an event's message */

static void on_written(const struct client_result *r, void *ctx)
{
    (void)ctx;
    if (!client_ok(r) && r->code != 404)                 /* what is gone needs no word */
        log_warn("scheduler could not write", "code=%d %s", r->code, r->message);
}

static void write_it(struct sched *s, struct client_req *req)
{
    struct err err = ERR_INIT;

    req->on_done = on_written;
    if (client_do(s->client, req, &err) < 0)
        log_error("scheduler could not write", "%s", err.msg);
}

static struct json *micro(struct arena *a, const struct sched *s)
{
    char text[TIMEFMT_BYTES];

    timefmt_micro(text, env_wall_us(loop_env(s->loop)));
    return json_str(a, text);
}

/* --- events */

static struct json *reference(struct arena *a, const struct object *pod)
{
    struct json *o = json_object(a);

    json_set_str(a, o, "kind", "Pod");
    json_set_str(a, o, "namespace", object_ns(pod));
    json_set_str(a, o, "name", object_name(pod));
    json_set_str(a, o, "uid", object_uid(pod));
    json_set_str(a, o, "apiVersion", "v1");
    json_set(a, o, "resourceVersion", json_fmt(a, "%lld", (long long)object_rv(pod)));
    return o;
}

static size_t note_len(const char *text)
{
    size_t len = strlen(text);

    if (len <= NOTE_MAX)
        return len;
    for (len = NOTE_MAX; len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80;)
        len--;                           /* between characters */
    return len;
}

void sched_report_event(struct sched *s, const struct object *pod, const struct sched_report *r,
                        char **out_name)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    struct json *o = json_object(a), *meta = json_object(a);
    int64_t stamp = env_wall_us(loop_env(s->loop)) * 1000 + (int64_t)(s->event_seq++ % 1000);
    char *name = mem_printf("%s.%llx", object_name(pod), (unsigned long long)stamp);
    struct client_req req = { .verb = CLIENT_CREATE, .kind = kind_event(), .ns = object_ns(pod),
                              .body = o };

    json_set_str(a, o, "apiVersion", "v1");
    json_set_str(a, o, "kind", "Event");
    json_set_str(a, meta, "name", name);
    json_set_str(a, meta, "namespace", object_ns(pod));
    json_set(a, o, "metadata", meta);
    json_set(a, o, "involvedObject", reference(a, pod));
    json_set_str(a, o, "reason", r->reason);
    json_set(a, o, "message", json_strn(a, r->message, note_len(r->message)));
    json_set(a, o, "source", json_object(a));
    json_set_str(a, o, "type", r->type);
    json_set(a, o, "eventTime", micro(a, s));
    json_set_str(a, o, "action", r->action);
    if (r->related)
        json_set(a, o, "related", reference(a, r->related));
    json_set_str(a, o, "reportingComponent", s->name);
    json_set_str(a, o, "reportingInstance", s->name);
    write_it(s, &req);
    if (out_name)
        *out_name = name;
    else
        mem_free(name);
}

/* The same event again: counted, and written now and then as a series. */
static void event_again(struct sched_pod *p)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    struct sched *s = p->s;
    struct json *patch = json_object(a), *series = json_object(a);
    struct client_req req = { .verb = CLIENT_PATCH_MERGE, .kind = kind_event(),
                              .ns = object_ns(p->object), .name = p->event, .body = patch };
    int64_t now = env_mono_ms(loop_env(s->loop));

    p->event_count++;
    if (p->event_count > 2 && now - p->event_ms < SCHED_EVENT_SERIES_MS)
        return;
    p->event_ms = now;
    json_set_int(a, series, "count", p->event_count);
    json_set(a, series, "lastObservedTime", micro(a, s));
    json_set(a, patch, "series", series);
    write_it(s, &req);
}

static void event_failed(struct sched_pod *p, const char *message)
{
    struct sched_report r = { "Warning", "FailedScheduling", "Scheduling", message, NULL };

    if (p->event && str_eq(p->event_text, message)) {
        event_again(p);
        return;
    }
    mem_free(p->event);
    mem_free(p->event_text);
    sched_report_event(p->s, p->object, &r, &p->event);
    p->event_text = mem_strdup(message);
    p->event_count = 1;
}

/* --- the condition */

static const struct pod_condition_view *find_condition(const struct pod_view *v, const char *type)
{
    for (unsigned i = 0; i < v->status.n_conditions; i++) {
        if (str_eq(v->status.conditions[i].type, type))
            return &v->status.conditions[i];
    }
    return NULL;
}

static void patch_status(struct sched_pod *p, struct arena *a, struct json *status)
{
    struct json *patch = json_object(a);
    struct client_req req = {
        .verb = CLIENT_PATCH_STRATEGIC, .kind = kind_pod(), .ns = object_ns(p->object),
        .name = object_name(p->object), .subresource = "status", .body = patch,
    };

    json_set(a, patch, "status", status);
    write_it(p->s, &req);
}

void sched_report_nominated(struct sched_pod *p, const char *node)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    struct json *status = json_object(a);

    json_set(a, status, "nominatedNodeName", node ? json_str(a, node) : json_null(a));
    patch_status(p, a, status);
}

/* Sets one condition; nothing is written when it says so already. */
static void set_condition(struct sched_pod *p, const struct pod_condition_view *want)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    const struct pod_condition_view *old = find_condition(sched_pod_view(p), want->type);
    struct json *status = json_object(a), *list = json_array(a), *c = json_object(a);
    char now[TIMEFMT_BYTES];

    if (old && str_eq(old->status, want->status) && str_eq(old->reason, want->reason) &&
        str_eq(old->message, want->message))
        return;
    json_set_str(a, c, "type", want->type);
    json_set_str(a, c, "status", want->status);
    json_set_str(a, c, "reason", want->reason);
    json_set_str(a, c, "message", want->message);
    if (object_generation(p->object))
        json_set_int(a, c, "observedGeneration", object_generation(p->object));
    if (!old || !str_eq(old->status, want->status)) {
        timefmt_rfc3339(now, env_wall_s(loop_env(p->s->loop)));
        json_set_str(a, c, "lastTransitionTime", now);
    }
    json_append(a, list, c);
    json_set(a, status, "conditions", list);
    patch_status(p, a, status);
}

void sched_report_failed(struct sched_pod *p, const char *reason, const char *message)
{
    struct pod_condition_view c = {
        .type = "PodScheduled", .status = "False", .reason = reason, .message = message,
    };

    event_failed(p, message);
    set_condition(p, &c);
}

/* --- victims */

void sched_report_victim(struct sched_pod *victim, const struct sched_pod *by, const char *node)
{
    char *note = mem_printf("Preempted by pod %s on node %s", object_uid(by->object), node);
    char *why = mem_printf("%s: preempting to accommodate a higher priority pod",
                           sched_pod_view(by)->spec.scheduler_name);
    struct pod_condition_view c = {
        .type = "DisruptionTarget", .status = "True", .reason = "PreemptionByScheduler",
        .message = why,
    };
    struct sched_report r = { "Normal", "Preempted", "Preempting", note, by->object };
    struct client_req req = {
        .verb = CLIENT_DELETE, .kind = kind_pod(), .ns = object_ns(victim->object),
        .name = object_name(victim->object), .uid_precondition = object_uid(victim->object),
        .grace_s = -1,
    };

    set_condition(victim, &c);
    write_it(victim->s, &req);
    sched_report_event(victim->s, victim->object, &r, NULL);
    mem_free(note);
    mem_free(why);
}
