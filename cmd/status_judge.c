/* status_judge.c -- conditions and container states, read as a person would. */
#include "cmd/status_judge.h"

#include "core/base/str.h"

static const struct json *condition(const struct json *o, const char *type)
{
    const struct json *c;

    json_each(c, json_path(o, "status.conditions"))
        if (str_eq(json_get_str(c, "type"), type))
            return c;
    return NULL;
}

static const char *text(const struct json *o, const char *key)
{
    const char *s = json_get_str(o, key);

    return s ? s : "";
}

struct json *status_judge_nodes(struct arena *a, const struct json *items)
{
    struct json *list = json_array(a);
    const struct json *n;

    json_each(n, items) {
        const struct json *c = condition(n, "Ready");
        struct json *o = json_object(a);
        bool ready = str_eq(json_get_str(c, "status"), "True");

        json_set_str(a, o, "name", json_path_str(n, "metadata.name"));
        json_set_bool(a, o, "ready", ready);
        if (json_path(n, "spec.unschedulable"))
            json_set_bool(a, o, "cordoned", true);
        if (!ready) {
            json_set_str(a, o, "reason", c ? text(c, "reason") : "NeverReported");
            json_set_str(a, o, "message", text(c, "message"));
        }
        json_append(a, list, o);
    }
    return list;
}

/* --- pods */

struct trouble { const char *container, *reason, *message; const struct json *last; };

static bool is_normal(const char *reason)
{
    return str_eq(reason, "ContainerCreating") || str_eq(reason, "PodInitializing");
}

static bool bad_end(const struct json *terminated)
{
    return terminated && json_get_int(terminated, "exitCode", 0) != 0;
}

/* The first container in trouble. */
static bool find_container(struct trouble *out, const struct json *statuses)
{
    const struct json *s;

    json_each(s, statuses) {
        const struct json *waiting = json_path(s, "state.waiting");
        const struct json *ended = json_path(s, "state.terminated");
        const struct json *last = json_path(s, "lastState.terminated");

        if (waiting && !is_normal(json_get_str(waiting, "reason")))
            *out = (struct trouble){ text(s, "name"), text(waiting, "reason"),
                                     text(waiting, "message"), last };
        else if (bad_end(ended))
            *out = (struct trouble){ text(s, "name"), text(ended, "reason"),
                                     text(ended, "message"), ended };
        else
            continue;
        return true;
    }
    return false;
}

static bool find_trouble(struct trouble *out, const struct json *pod, const char *phase)
{
    const struct json *scheduled = condition(pod, "PodScheduled"), *ready = condition(pod, "Ready");
    bool over = str_eq(phase, "Succeeded");

    if (over || json_path(pod, "metadata.deletionTimestamp"))
        return false;
    if (find_container(out, json_path(pod, "status.initContainerStatuses")) ||
        find_container(out, json_path(pod, "status.containerStatuses")))
        return true;
    *out = (struct trouble){ .container = "" };
    if (str_eq(phase, "Failed")) {
        out->reason = text(json_get(pod, "status"), "reason");
        out->message = text(json_get(pod, "status"), "message");
    } else if (str_eq(json_get_str(scheduled, "status"), "False")) {
        out->reason = text(scheduled, "reason");
        out->message = text(scheduled, "message");
    } else if (str_eq(phase, "Running") && str_eq(json_get_str(ready, "status"), "False")) {
        out->reason = "NotReady";
        out->message = text(ready, "message");
    } else if (str_eq(phase, "Unknown")) {
        out->reason = "Unknown";
        out->message = "";
    } else {
        return false;
    }
    return true;
}

static struct json *failing(struct arena *a, const struct json *pod, const struct trouble *t)
{
    struct json *o = json_object(a);
    const char *said = text(t->last, "message");

    json_set_str(a, o, "namespace", json_path_str(pod, "metadata.namespace"));
    json_set_str(a, o, "name", json_path_str(pod, "metadata.name"));
    json_set_str(a, o, "phase", json_path_str(pod, "status.phase"));
    json_set_str(a, o, "node", json_path_str(pod, "spec.nodeName"));
    if (*t->container)
        json_set_str(a, o, "container", t->container);
    json_set_str(a, o, "reason", t->reason);
    json_set_str(a, o, "message", t->message);
    if (t->last)
        json_set(a, o, "last", json_fmt(a, "exit code %lld, %s%s%s",
                                        (long long)json_get_int(t->last, "exitCode", 0),
                                        text(t->last, "reason"), *said ? ": " : "", said));
    return o;
}

struct json *status_judge_pods(struct arena *a, const struct json *items)
{
    struct json *o = json_object(a), *phases = json_object(a), *list = json_array(a);
    const struct json *pod;

    json_each(pod, items) {
        const char *phase = json_path_str(pod, "status.phase");
        struct trouble t;

        phase = phase ? phase : "Pending";
        json_set_int(a, phases, phase, json_get_int(phases, phase, 0) + 1);
        if (find_trouble(&t, pod, phase))
            json_append(a, list, failing(a, pod, &t));
    }
    json_set_int(a, o, "total", (int64_t)json_len(items));
    json_set(a, o, "phases", phases);
    json_set(a, o, "failing", list);
    return o;
}
