/* core/object/codec_default.c -- what the server sets where a client said nothing.
 *
 * Constant defaults come from the tables (default= and set= of the schema) and apply wherever their
 * type occurs. The rest is code: by type (rows of `hooks`, run after the constants of the same
 * struct) or by kind (rows of `kinds`, run before). Only types that have some below them are
 * walked. All are idempotent, and leave members in canonical order.
 */
#include <stdlib.h>
#include <string.h>

#include "core/base/check.h"
#include "core/object/codec.h"
#include "core/object/codec_default.h"
#include "core/object/quantity.h"
#include "core/object/schema.h"
#include "gen/schema_tables.h"

/* --- members in the order of the schema */

static void put_at(struct json *obj, struct arena *a, uint32_t at, const struct json_member *m)
{
    struct json *grown = json_object(a);

    grown->members = arena_alloc(a, (obj->len + 1) * sizeof(*m));
    grown->len = grown->cap = obj->len + 1;
    if (at)
        memcpy(grown->members, obj->members, at * sizeof(*m));
    grown->members[at] = *m;
    if (at < obj->len)
        memcpy(grown->members + at + 1, obj->members + at, (obj->len - at) * sizeof(*m));
    *obj = *grown;
}

/* Sets a field of a struct, at its place. */
static void put(struct json *obj, struct arena *a, const struct schema_type *t,
                const struct schema_field *f, struct json *val)
{
    const struct json_member m = { schema_field_name(f), f->name_len, val };
    uint32_t at = 0;

    for (; at < obj->len; at++) {
        const struct json_member *here = &obj->members[at];
        const struct schema_field *other = schema_field(t, here->key, here->key_len);

        if (other == f) {
            obj->members[at].val = val;
            return;
        }
        if (other > f)
            break;
    }
    put_at(obj, a, at, &m);
}

void codec_default_put(struct json *obj, struct arena *a, const struct schema_type *t,
                     const char *name, struct json *val)
{
    const struct schema_field *f = schema_field(t, name, strlen(name));

    check(f);
    put(obj, a, t, f, val);
}

void codec_default_put_key(struct json *map, struct arena *a, const char *key, struct json *val)
{
    const struct json_member m = { arena_strdup(a, key), (uint32_t)strlen(key), val };
    uint32_t at = 0;

    for (; at < map->len; at++) {
        int order = strcmp(map->members[at].key, key);

        if (order == 0) {
            map->members[at].val = val;
            return;
        }
        if (order > 0)
            break;
    }
    put_at(map, a, at, &m);
}

static struct json *zero_struct(struct arena *a, const struct schema_type *t)
{
    struct json nothing = { .type = JSON_NULL }, *out;
    struct err err;

    if (codec_canonical(&out, a, t, &nothing, NULL, &err) < 0)
        check_unreachable();
    return out;
}

struct json *codec_default_ensure(struct json *obj, struct arena *a, const struct schema_type *t,
                           const char *name)
{
    const struct schema_field *f = schema_field(t, name, strlen(name));
    struct json *val = json_get(obj, name);

    check(f);
    if (!json_is(val, JSON_OBJECT)) {
        val = f->shape == SCHEMA_ONE ? zero_struct(a, schema_field_type(f)) : json_object(a);
        put(obj, a, t, f, val);
    }
    return val;
}

const struct schema_type *codec_default_type_in(const struct schema_type *t, const char *name)
{
    const struct schema_field *f = schema_field(t, name, strlen(name));

    check(f && schema_field_type(f));
    return schema_field_type(f);
}

static bool text_is(const struct json *obj, const char *name, const char *value)
{
    const char *text = json_get_str(obj, name);

    return text && !strcmp(text, value);
}

/* Sets a text where there is none. */
static void text_default(struct json *obj, struct arena *a, const struct schema_type *t,
                         const char *name, const char *value)
{
    if (str_empty(json_get_str(obj, name)))
        codec_default_put(obj, a, t, name, json_str(a, value));
}

/* --- by type */

/* Always for the tag latest, also when it is implied. What is no image reference has no tag. */
static const char *pull_policy(const char *image)
{
    const char *at, *slash, *colon;

    if (str_empty(image))
        return "IfNotPresent";
    at = strchr(image, '@');
    slash = strrchr(image, '/');
    colon = strchr(slash ? slash : image, ':');
    for (const char *c = image; *c && c != at && c != colon; c++)
        if (*c >= 'A' && *c <= 'Z' && (!slash || c > strchr(image, '/')))
            return "IfNotPresent";
    if (colon && (!at || colon < at)) {
        size_t len = at ? (size_t)(at - colon - 1) : strlen(colon + 1);

        return len == 6 && !memcmp(colon + 1, "latest", 6) ? "Always" : "IfNotPresent";
    }
    return at ? "IfNotPresent" : "Always";
}

static void container_defaults(struct json *obj, struct arena *a, const struct schema_type *t)
{
    text_default(obj, a, t, "imagePullPolicy", pull_policy(json_get_str(obj, "image")));
}

static void image_volume_defaults(struct json *obj, struct arena *a, const struct schema_type *t)
{
    text_default(obj, a, t, "pullPolicy", pull_policy(json_get_str(obj, "reference")));
}

static void volume_defaults(struct json *obj, struct arena *a, const struct schema_type *t)
{
    json_each_member(m, obj)
        if (strcmp(m->key, "name") != 0)
            return;
    codec_default_ensure(obj, a, t, "emptyDir");
}

/* serviceAccount is the former name of serviceAccountName; both are shown. */
static void pod_spec_defaults(struct json *obj, struct arena *a, const struct schema_type *t)
{
    const char *name = json_get_str(obj, "serviceAccountName");

    if (str_empty(name))
        name = json_get_str(obj, "serviceAccount");
    if (str_empty(name))
        return;
    name = arena_strdup(a, name);
    codec_default_put(obj, a, t, "serviceAccountName", json_str(a, name));
    codec_default_put(obj, a, t, "serviceAccount", json_str(a, name));
}

static void service_port_defaults(struct json *obj, struct arena *a, const struct schema_type *t)
{
    const struct json *target = json_get(obj, "targetPort");
    bool unset = !target || (target->type == JSON_INT && target->i == 0) ||
                 (target->type == JSON_STRING && target->len == 0);

    if (unset)
        codec_default_put(obj, a, t, "targetPort", json_int(a, json_get_int(obj, "port", 0)));
}

static void affinity_defaults(struct json *obj, struct arena *a, const struct schema_type *t)
{
    const struct schema_type *config_type = codec_default_type_in(t, "sessionAffinityConfig");
    struct json *config = json_get(obj, "sessionAffinityConfig"), *client;

    if (text_is(obj, "sessionAffinity", "None"))
        json_del(obj, "sessionAffinityConfig");
    if (!text_is(obj, "sessionAffinity", "ClientIP") ||
        json_path(config, "clientIP.timeoutSeconds"))
        return;
    config = zero_struct(a, config_type);
    client = codec_default_ensure(config, a, config_type, "clientIP");
    codec_default_put(client, a, codec_default_type_in(config_type, "clientIP"), "timeoutSeconds",
                      json_int(a, 10800));
    codec_default_put(obj, a, t, "sessionAffinityConfig", config);
}

static void service_spec_defaults(struct json *obj, struct arena *a, const struct schema_type *t)
{
    bool ip = text_is(obj, "type", "ClusterIP"), node = text_is(obj, "type", "NodePort");
    bool balancer = text_is(obj, "type", "LoadBalancer");

    affinity_defaults(obj, a, t);
    if (node || balancer || (ip && json_len(json_get(obj, "externalIPs")) > 0))
        text_default(obj, a, t, "externalTrafficPolicy", "Cluster");
    if ((ip || node || balancer) && !json_get(obj, "internalTrafficPolicy"))
        codec_default_put(obj, a, t, "internalTrafficPolicy", json_str(a, "Cluster"));
    if (balancer && !json_get(obj, "allocateLoadBalancerNodePorts"))
        codec_default_put(obj, a, t, "allocateLoadBalancerNodePorts", json_bool(a, true));
}

static void deployment_strategy_defaults(struct json *obj, struct arena *a,
                                         const struct schema_type *t)
{
    static const char *const names[] = { "maxUnavailable", "maxSurge" };
    struct json *rolling;

    if (!text_is(obj, "type", "RollingUpdate"))
        return;
    rolling = codec_default_ensure(obj, a, t, "rollingUpdate");
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (!json_get(rolling, names[i]))
            codec_default_put(rolling, a, codec_default_type_in(t, "rollingUpdate"), names[i],
                              json_str(a, "25%"));
}

static void node_status_defaults(struct json *obj, struct arena *a, const struct schema_type *t)
{
    struct json *capacity = json_get(obj, "capacity");

    if (json_len(capacity) > 0 && !json_get(obj, "allocatable"))
        codec_default_put(obj, a, t, "allocatable", json_clone(a, capacity));
}

/* A single address and the list whose first it is: the list wins where they agree, the single
 * one where not. */
struct pair { const char *one, *many; bool plain; /* texts, not objects with "ip" */ };

static void address_pair(struct json *obj, struct arena *a, const struct schema_type *t,
                         const struct pair *p)
{
    const char *one = p->one, *many = p->many;
    bool plain = p->plain;
    const struct json *first = json_at(json_get(obj, many), 0);
    const char *ip = json_get_str(obj, one), *listed = plain ? json_text(first)
        : json_get_str(first, "ip");
    struct json *list, *v;

    if (str_empty(ip) && !str_empty(listed)) {
        codec_default_put(obj, a, t, one, json_str(a, listed));
    } else if (!str_empty(ip) && !str_eq(ip, listed)) {
        list = json_array(a);
        v = json_str(a, ip);
        if (!plain) {
            v = json_object(a);
            json_set_str(a, v, "ip", ip);
        }
        json_append(a, list, v);
        codec_default_put(obj, a, t, many, list);
    }
}

static void pod_status_defaults(struct json *obj, struct arena *a, const struct schema_type *t)
{
    address_pair(obj, a, t, &(struct pair){ "podIP", "podIPs", false });
}

static void node_spec_defaults(struct json *obj, struct arena *a, const struct schema_type *t)
{
    address_pair(obj, a, t, &(struct pair){ "podCIDR", "podCIDRs", true });
}

static const struct {
    const char *type_id;
    void (*run)(struct json *obj, struct arena *a, const struct schema_type *t);
} hooks[] = {
    { "core.v1.Container", container_defaults },
    { "core.v1.EphemeralContainer", container_defaults },
    { "core.v1.ImageVolumeSource", image_volume_defaults },
    { "core.v1.NodeSpec", node_spec_defaults },
    { "core.v1.NodeStatus", node_status_defaults },
    { "core.v1.PodSpec", pod_spec_defaults },
    { "core.v1.PodStatus", pod_status_defaults },
    { "core.v1.ServicePort", service_port_defaults },
    { "core.v1.ServiceSpec", service_spec_defaults },
    { "core.v1.Volume", volume_defaults },
    { "apps.v1.DeploymentStrategy", deployment_strategy_defaults },
};

/* --- by kind */

static void namespace_defaults(struct json *tree, struct arena *a, const struct schema_type *t)
{
    struct json *meta = json_get(tree, "metadata");
    const char *name = json_get_str(meta, "name");

    if (!str_empty(name))
        codec_default_put_key(codec_default_ensure(meta, a, codec_default_type_in(t, "metadata"),
                                                   "labels"), a, "kubernetes.io/metadata.name",
                json_str(a, name));
}

static void service_defaults(struct json *tree, struct arena *a, const struct schema_type *t)
{
    const struct schema_type *balancer = codec_default_type_in(codec_default_type_in(t, "status"),
                                                               "loadBalancer");
    struct json *ingress;

    if (!text_is(json_get(tree, "spec"), "type", "LoadBalancer"))
        return;
    json_each(ingress, json_path(tree, "status.loadBalancer.ingress"))
        if (!str_empty(json_get_str(ingress, "ip")) && !json_get(ingress, "ipMode"))
            codec_default_put(ingress, a, codec_default_type_in(balancer, "ingress"), "ipMode",
                              json_str(a, "VIP"));
}

static const struct {
    unsigned kind_id;
    codec_default_kind *run;
} kinds[] = {
    { KIND_ID_CLUSTER_ROLE_BINDING, codec_default_binding },
    { KIND_ID_DAEMON_SET, codec_default_daemon_set },
    { KIND_ID_HORIZONTAL_POD_AUTOSCALER, codec_default_autoscaler },
    { KIND_ID_JOB, codec_default_job },
    { KIND_ID_LIMIT_RANGE, codec_default_limit_range },
    { KIND_ID_SECRET, codec_default_secret },
    { KIND_ID_NAMESPACE, namespace_defaults },
    { KIND_ID_NETWORK_POLICY, codec_default_network_policy },
    { KIND_ID_PERSISTENT_VOLUME, codec_default_persistent_volume },
    { KIND_ID_POD, codec_default_pod },
    { KIND_ID_REPLICATION_CONTROLLER, codec_default_replication_controller },
    { KIND_ID_ROLE_BINDING, codec_default_binding },
    { KIND_ID_SERVICE, service_defaults },
    { KIND_ID_STATEFUL_SET, codec_default_stateful_set },
};

/* --- the walk */

static struct json *constant(struct arena *a, const struct schema_field *f, const char *text)
{
    switch ((enum schema_base)f->base) {
    case SCHEMA_BOOL: return json_bool(a, !strcmp(text, "true"));
    case SCHEMA_INT32: case SCHEMA_INT64: return json_int(a, strtoll(text, NULL, 10));
    case SCHEMA_STRUCT: return zero_struct(a, schema_field_type(f));
    default: return json_str(a, text);
    }
}

/* An optional field that is there is set; others are unset while they are zero. */
static bool is_unset(const struct schema_field *f, const struct json *v)
{
    if (!v || v->type == JSON_NULL)
        return true;
    if (f->flags & SCHEMA_POINTER)
        return false;
    return (v->type == JSON_STRING && v->len == 0) || (v->type == JSON_INT && v->i == 0) ||
           (v->type == JSON_BOOL && !v->b);
}

static bool is_zero_text(const struct schema_field *f, const char *text)
{
    return !(f->flags & SCHEMA_POINTER) && (!*text || !strcmp(text, "0") || !strcmp(text, "false"));
}

static void default_struct(struct json *obj, struct arena *a, const struct schema_type *t);

/* Amounts of resources are kept to a thousandth, rounded up. */
static void round_resources(struct json *map, struct arena *a)
{
    char text[QUANTITY_BYTES];

    json_each_member(m, map)
        if (json_is(m->val, JSON_STRING) && m->val->len &&
            (m->val->s[m->val->len - 1] == 'n' || m->val->s[m->val->len - 1] == 'u') &&
            quantity_round_milli(text, m->val->s, NULL) == 0)
            m->val = json_str(a, text);
}

static void default_below(struct json *v, struct arena *a, const struct schema_field *f)
{
    const struct schema_type *t = schema_field_type(f);
    struct json *item;

    if (f->shape == SCHEMA_ONE) {
        default_struct(v, a, t);
    } else if (f->shape == SCHEMA_LIST) {
        json_each(item, v)
            default_struct(item, a, t);
    } else {
        json_each_member(m, v)
            default_struct(m->val, a, t);
    }
}

static void default_constant(struct json *obj, struct arena *a, const struct schema_type *t,
                             const struct schema_field *f)
{
    const char *text = f->flags & SCHEMA_HAS_SET ? schema_field_set(f) : schema_field_default(f);
    struct json *v = json_getn(obj, schema_field_name(f), f->name_len);

    if (is_unset(f, v) && !is_zero_text(f, text))
        put(obj, a, t, f, constant(a, f, text));
}

static void default_struct(struct json *obj, struct arena *a, const struct schema_type *t)
{
    const struct schema_field *fields;
    unsigned n = schema_fields(t, &fields);

    if (!json_is(obj, JSON_OBJECT) || !schema_type_has_defaults(t))
        return;
    for (unsigned i = 0; i < n; i++)
        if (fields[i].flags & (SCHEMA_HAS_SET | SCHEMA_HAS_DEFAULT))
            default_constant(obj, a, t, &fields[i]);
    for (size_t i = 0; t->flags & SCHEMA_TYPE_CODED && i < ARRAY_LEN(hooks); i++)
        if (!strcmp(schema_type_id(t), hooks[i].type_id))
            hooks[i].run(obj, a, t);
    for (unsigned i = 0; i < n; i++) {
        struct json *v = json_getn(obj, schema_field_name(&fields[i]), fields[i].name_len);

        if (v && fields[i].base == SCHEMA_STRUCT)
            default_below(v, a, &fields[i]);
        else if (v && fields[i].base == SCHEMA_QUANTITY && fields[i].shape == SCHEMA_MAP)
            round_resources(v, a);
    }
}

void codec_default_type(struct json *tree, struct arena *a, const struct schema_type *type)
{
    check(tree);
    default_struct(tree, a, type);
}

void codec_default(struct json *tree, struct arena *a, const struct kind *kind)
{
    check(tree);
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (kinds[i].kind_id == kind->id)
            kinds[i].run(tree, a, kind->type);
    default_struct(tree, a, kind->type);
}
