/* core/object/codec_default_pod.c -- defaults of the kind Pod that pod templates do not get. */
#include "core/base/check.h"
#include "core/object/codec_default.h"
#include "core/object/quantity.h"

/* Requests that are not given are as high as the limits. */
static void request_defaults(struct json *container, struct arena *a, const struct schema_type *t)
{
    const struct schema_type *resources_type = codec_default_type_in(t, "resources");
    struct json *resources = json_get(container, "resources");
    const struct json *limits = json_get(resources, "limits");
    struct json *requests;

    if (!json_len(limits))
        return;
    requests = codec_default_ensure(resources, a, resources_type, "requests");
    json_each_member(m, limits)
        if (!json_get(requests, m->key))
            codec_default_put_key(requests, a, m->key, json_clone(a, m->val));
}

static void host_port_defaults(struct json *container, struct arena *a, const struct schema_type *t)
{
    struct json *port;

    json_each(port, json_get(container, "ports"))
        if (!json_get_int(port, "hostPort", 0) && json_get_int(port, "containerPort", 0))
            codec_default_put(port, a, codec_default_type_in(t, "ports"), "hostPort",
                     json_int(a, json_get_int(port, "containerPort", 0)));
}

/* --- resources of the whole pod */

static bool is_hugepages(const char *resource)
{
    return str_starts(resource, "hugepages-");
}

struct amount { int64_t milli; bool binary, any; };

static void amount_add(struct amount *sum, const char *text)
{
    int64_t milli;

    if (!text || quantity_milli(text, &milli, NULL) < 0)
        return;
    if (!sum->any)
        sum->binary = str_ends(text, "i");
    sum->any = true;
    if (__builtin_add_overflow(sum->milli, milli, &sum->milli))
        sum->milli = INT64_MAX;
}

/* What all containers together have at a time of "limits" or "requests": the containers and the
 * init containers that go on running, or one init container beside those started before it. */
static struct amount aggregate(const struct json *spec, const char *which, const char *resource)
{
    struct amount sum = { 0 }, sidecars = { 0 }, most = { 0 };
    struct json *c;

    json_each(c, json_get(spec, "containers"))
        amount_add(&sum, json_get_str(json_get(json_get(c, "resources"), which), resource));
    json_each(c, json_get(spec, "initContainers")) {
        const char *text = json_get_str(json_get(json_get(c, "resources"), which), resource);
        struct amount now = sidecars;

        amount_add(&now, text);
        if (str_eq(json_get_str(c, "restartPolicy"), "Always")) {
            amount_add(&sum, text);
            sidecars = now;
        }
        if (now.any && now.milli > most.milli)
            most = now;
    }
    return most.any && (!sum.any || most.milli > sum.milli) ? most : sum;
}

static void put_amount(struct json *map, struct arena *a, const char *resource, struct amount v)
{
    char text[QUANTITY_BYTES];

    if (v.binary && v.milli % 1000 == 0)
        quantity_from_bytes(text, v.milli / 1000);
    else
        quantity_from_milli(text, v.milli);
    codec_default_put_key(map, a, resource, json_str(a, text));
}

/* Limits of huge pages that any container has and the pod has not. */
static void hugepage_limits(struct json *spec, struct json *resources, struct arena *a,
                            const struct schema_type *t)
{
    struct json *c;

    json_each(c, json_get(spec, "containers"))
        json_each_member(m, json_path(c, "resources.limits")) {
            const char *name = m->key;

            if (is_hugepages(name) && !json_get(json_get(resources, "limits"), name) &&
                !json_get(json_get(resources, "requests"), name))
                put_amount(codec_default_ensure(resources, a, t, "limits"), a, name,
                           aggregate(spec, "limits", name));
        }
}

/* Only where the pod has resources of its own: requests from those of the containers, then from the
 * limits of the pod. */
static void pod_level_defaults(struct json *spec, struct arena *a, const struct schema_type *t)
{
    static const char *const shared[] = { "cpu", "memory" };
    const struct schema_type *type = codec_default_type_in(t, "resources");
    struct json *resources = json_get(spec, "resources"), *requests;

    if (!json_len(json_get(resources, "limits")) && !json_len(json_get(resources, "requests")))
        return;
    hugepage_limits(spec, resources, a, type);
    if (!json_len(json_get(resources, "limits")))
        return;
    requests = codec_default_ensure(resources, a, type, "requests");
    for (size_t i = 0; i < ARRAY_LEN(shared); i++) {
        struct amount sum = aggregate(spec, "requests", shared[i]);

        if (sum.any && !json_get(requests, shared[i]))
            put_amount(requests, a, shared[i], sum);
    }
    json_each_member(m, json_get(resources, "limits"))
        if (!json_get(requests, m->key) &&
            (is_hugepages(m->key) || str_eq(m->key, "cpu") || str_eq(m->key, "memory")))
            codec_default_put_key(requests, a, m->key, json_clone(a, m->val));
    if (!json_len(requests))
        json_del(resources, "requests");
}

void codec_default_pod(struct json *tree, struct arena *a, const struct schema_type *t)
{
    static const char *const lists[] = { "containers", "initContainers" };
    const struct schema_type *spec_type = codec_default_type_in(t, "spec");
    struct json *spec = json_get(tree, "spec"), *container;
    bool host = json_get_bool(spec, "hostNetwork", false);

    if (!json_is(spec, JSON_OBJECT))
        return;
    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        json_each(container, json_get(spec, lists[i])) {
            request_defaults(container, a, codec_default_type_in(spec_type, lists[i]));
            if (host)
                host_port_defaults(container, a, codec_default_type_in(spec_type, lists[i]));
        }
    pod_level_defaults(spec, a, spec_type);
    if (!json_get(spec, "enableServiceLinks"))
        codec_default_put(spec, a, spec_type, "enableServiceLinks", json_bool(a, true));
}
