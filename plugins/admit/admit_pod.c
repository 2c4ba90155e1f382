/* admit_pod.c: ServiceAccount, Priority, DefaultTolerationSeconds, RuntimeClass. */
#include "plugins/admit/admit_rows.h"

#define TOKEN_PATH "/var/run/secrets/kubernetes.io/serviceaccount"
/* of both built-in classes, and of pods without a class */
#define PREEMPT "PreemptLowerPriority"
#define TOKEN_SECONDS 3607

static struct status *forbid(const struct admit_request *r, const char *why)
{
    return status_forbidden(r->a, r->kind, r->name, why);
}

static struct json *object_of(struct arena *a, const char *key, struct json *val)
{
    struct json *o = json_object(a);

    json_set(a, o, key, val);
    return o;
}

/* --- ServiceAccount */

static struct json *projected(struct arena *a)
{
    struct json *sources = json_array(a), *token = json_object(a), *ca = json_object(a);
    struct json *items = json_array(a), *item = json_object(a), *down = json_array(a),
        *file = json_object(a);
    struct json *field = json_object(a), *out = json_object(a);

    json_set_int(a, token, "expirationSeconds", TOKEN_SECONDS);
    json_set_str(a, token, "path", "token");
    json_append(a, sources, object_of(a, "serviceAccountToken", token));
    json_set_str(a, item, "key", "ca.crt");
    json_set_str(a, item, "path", "ca.crt");
    json_append(a, items, item);
    json_set_str(a, ca, "name", "kube-root-ca.crt");
    json_set(a, ca, "items", items);
    json_append(a, sources, object_of(a, "configMap", ca));
    json_set_str(a, file, "path", "namespace");
    json_set_str(a, field, "apiVersion", "v1");
    json_set_str(a, field, "fieldPath", "metadata.namespace");
    json_set(a, file, "fieldRef", field);
    json_append(a, down, file);
    json_append(a, sources, object_of(a, "downwardAPI", object_of(a, "items", down)));
    json_set(a, out, "sources", sources);
    json_set_int(a, out, "defaultMode", 0644);
    return out;
}

static bool mounts_at(const struct json *container, const char *path)
{
    struct json *mounts = json_get(container, "volumeMounts"), *it;

    json_each(it, mounts)
        if (str_eq(json_get_str(it, "mountPath"), path))
            return true;
    return false;
}

static bool mount_in(const struct admit_request *r, struct json *spec, const char *list,
                     const char *volume)
{
    struct json *all = json_get(spec, list), *it;
    bool any = false;

    json_each(it, all) {
        struct json *mount = json_object(r->a);

        if (mounts_at(it, TOKEN_PATH))
            continue;
        json_set_str(r->a, mount, "name", volume);
        json_set_bool(r->a, mount, "readOnly", true);
        json_set_str(r->a, mount, "mountPath", TOKEN_PATH);
        json_append(r->a, json_ensure_array(r->a, it, "volumeMounts"), mount);
        any = true;
    }
    return any;
}

static void mount_token(const struct admit_request *r, struct json *spec)
{
    char suffix[6];
    const char *name;
    struct json *volume;
    bool any;

    env_suffix(r->env, suffix, 5);
    name = arena_printf(r->a, "kube-api-access-%s", suffix);
    any = mount_in(r, spec, "containers", name);
    any = mount_in(r, spec, "initContainers", name) || any;
    if (!any)
        return;
    volume = json_object(r->a);
    json_set_str(r->a, volume, "name", name);
    json_set(r->a, volume, "projected", projected(r->a));
    json_append(r->a, json_ensure_array(r->a, spec, "volumes"), volume);
}

/* Pods that a node makes an object of have no account and may use none. */
static struct status *mirror_pod(const struct admit_request *r, const struct json *spec)
{
    if (!str_empty(json_get_str(spec, "serviceAccountName")))
        return forbid(r, "a mirror pod may not reference service accounts");
    return NULL;
}

struct status *admit_service_account(const struct admit_request *r)
{
    struct json *spec = json_ensure_object(r->a, r->object, "spec");
    const char *name = json_get_str(spec, "serviceAccountName");
    struct json *tree, *wanted;
    struct object *sa;

    if (json_get(json_path(r->object, "metadata.annotations"), "kubernetes.io/config.mirror"))
        return mirror_pod(r, spec);
    if (str_empty(name))
        name = "default";
    json_set_str(r->a, spec, "serviceAccountName", name);
    json_set_str(r->a, spec, "serviceAccount", name);
    sa = r->lookup->get(r->lookup->ctx, kind_service_account(), r->ns, name);
    if (!sa)
        return forbid(r, arena_printf(r->a, "error looking up service account %s/%s: "
                                      "serviceaccount \"%s\" "
                                      "not found", r->ns, name, name));
    tree = object_tree(sa, r->a);
    object_unref(sa);
    wanted = json_get(spec, "automountServiceAccountToken");
    if (!wanted)
        wanted = json_get(tree, "automountServiceAccountToken");
    if (!wanted || wanted->b)
        mount_token(r, spec);
    if (!json_len(json_get(spec, "imagePullSecrets")) && json_len(json_get(tree,
                                                                           "imagePullSecrets")))
        json_set(r->a, spec, "imagePullSecrets", json_get(tree, "imagePullSecrets"));
    return NULL;
}

/* --- Priority: the two classes every cluster has; others are objects this release does not
 * serve */

struct status *admit_priority(const struct admit_request *r)
{
    static const struct { const char *name; int64_t value; } classes[] = {
        { "system-cluster-critical", 2000000000 }, { "system-node-critical", 2000001000 },
    };
    struct json *spec = json_ensure_object(r->a, r->object, "spec"),
        *given = json_get(spec, "priority");
    const char *class = json_get_str(spec, "priorityClassName"), *policy;
    int64_t value = 0;
    bool found = str_empty(class);

    for (size_t i = 0; i < ARRAY_LEN(classes); i++) {
        if (!str_eq(classes[i].name, class))
            continue;
        value = classes[i].value;
        found = true;
    }
    if (!found)
        return forbid(r, arena_printf(r->a, "no PriorityClass with name %s was found", class));
    if (given && given->i != value)
        return forbid(r, arena_printf(r->a, "the integer value of priority (%lld) must not be "
                                      "provided in pod "
            "spec; priority admission controller computed %lld from the given PriorityClass name",
            (long long)given->i, (long long)value));
    json_set_int(r->a, spec, "priority", value);
    policy = json_get_str(spec, "preemptionPolicy");
    if (policy && !str_eq(policy, PREEMPT))
        return forbid(r, arena_printf(r->a, "the string value of PreemptionPolicy (%s) must not be "
                                      "provided in "
            "pod spec; priority admission controller computed " PREEMPT " from the given "
                "PriorityClass name",
            policy));
    json_set_str(r->a, spec, "preemptionPolicy", PREEMPT);
    return NULL;
}

/* What was set when the pod was made stays when a client leaves it out. */
struct status *admit_priority_update(const struct admit_request *r)
{
    static const char *const names[] = { "priority", "preemptionPolicy" };
    struct json *spec = json_ensure_object(r->a, r->object, "spec"),
        *old = json_get(r->old, "spec");

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (!json_get(spec, names[i]) && json_get(old, names[i]))
            json_set(r->a, spec, names[i], json_get(old, names[i]));
    return NULL;
}

/* --- DefaultTolerationSeconds */

static bool tolerates(const struct json *list, const char *key)
{
    struct json *it;

    json_each(it, list) {
        const char *k = json_get_str(it, "key"), *effect = json_get_str(it, "effect");

        if ((str_empty(k) || str_eq(k, key)) && (str_empty(effect) || str_eq(effect, "NoExecute")))
            return true;
    }
    return false;
}

struct status *admit_tolerations(const struct admit_request *r)
{
    const struct { const char *key; int64_t s; } rows[] = {
        { "node.kubernetes.io/not-ready", r->settings->not_ready_s },
        { "node.kubernetes.io/unreachable", r->settings->unreachable_s },
    };
    struct json *spec = json_ensure_object(r->a, r->object, "spec"),
        *list = json_get(spec, "tolerations");

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct json *t;

        if (tolerates(list, rows[i].key))
            continue;
        t = json_object(r->a);
        json_set_str(r->a, t, "key", rows[i].key);
        json_set_str(r->a, t, "operator", "Exists");
        json_set_str(r->a, t, "effect", "NoExecute");
        json_set_int(r->a, t, "tolerationSeconds", rows[i].s);
        list = json_ensure_array(r->a, spec, "tolerations");
        json_append(r->a, list, t);
    }
    return NULL;
}

struct status *admit_runtime_class(const struct admit_request *r)
{
    const char *name = json_path_str(r->object, "spec.runtimeClassName");

    if (str_empty(name))
        return NULL;
    return forbid(r, arena_printf(r->a, "pod rejected: RuntimeClass \"%s\" not found", name));
}
