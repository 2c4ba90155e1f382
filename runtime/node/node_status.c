/* node_status.c -- facts into the Node object; pure. */
#include <inttypes.h>
#include <stdio.h>

#include "core/base/timefmt.h"
#include "core/object/quantity.h"
#include "gen/version.h"
#include "gen/views.h"
#include "runtime/node/node_object.h"

/* --- labels, taints */

struct json *node_status_labels(struct arena *a, const struct node_status_in *in)
{
    struct json *l = json_object(a);

    json_set_str(a, l, "beta.kubernetes.io/arch", in->facts->arch);
    json_set_str(a, l, "beta.kubernetes.io/os", "linux");
    json_set_str(a, l, "kubernetes.io/arch", in->facts->arch);
    json_set_str(a, l, "kubernetes.io/hostname", in->conf->name);
    json_set_str(a, l, "kubernetes.io/os", "linux");
    json_set_str(a, l, "node.kubernetes.io/instance-type", "inro");
    for (size_t i = 0; in->conf->labels && in->conf->labels[i]; i++) {
        const char *text = in->conf->labels[i], *eq = strchr(text, '=');

        if (eq)
            json_set_str(a, l, arena_strndup(a, text, (size_t)(eq - text)), eq + 1);
    }
    return l;
}

/* "key=value:Effect" or "key:Effect"; checked by node_new. */
static struct json *taints(struct arena *a, char *const *texts)
{
    struct json *list = json_array(a);

    for (size_t i = 0; texts && texts[i]; i++) {
        const char *effect = strrchr(texts[i], ':'), *eq = strchr(texts[i], '=');
        struct json *t = json_object(a);

        if (!effect)
            continue;
        if (eq && eq < effect) {
            json_set(a, t, "key", json_strn(a, texts[i], (size_t)(eq - texts[i])));
            json_set(a, t, "value", json_strn(a, eq + 1, (size_t)(effect - eq - 1)));
        } else {
            json_set(a, t, "key", json_strn(a, texts[i], (size_t)(effect - texts[i])));
        }
        json_set_str(a, t, "effect", effect + 1);
        json_append(a, list, t);
    }
    return list;
}

struct json *node_status_object(struct arena *a, const struct node_status_in *in)
{
    struct json *o = json_object(a), *meta = json_ensure_object(a, o, "metadata");
    struct json *list = taints(a, in->conf->taints);

    json_set_str(a, o, "apiVersion", "v1");
    json_set_str(a, o, "kind", "Node");
    json_set_str(a, meta, "name", in->conf->name);
    json_set(a, meta, "labels", node_status_labels(a, in));
    json_set_str(a, json_ensure_object(a, o, "spec"), "providerID", "");
    json_del(json_get(o, "spec"), "providerID");
    if (json_len(list) > 0)
        json_set(a, json_get(o, "spec"), "taints", list);
    json_set(a, o, "status", node_status_make(a, in));
    return o;
}

/* --- resources */

static void set_bytes(struct arena *a, struct json *o, const char *key, int64_t bytes)
{
    char text[QUANTITY_BYTES];

    snprintf(text, sizeof(text), "%" PRId64 "Ki", bytes / 1024);
    if (bytes == 0)
        snprintf(text, sizeof(text), "0");
    json_set_str(a, o, key, text);
}

static struct json *resources(struct arena *a, const struct node_status_in *in, bool reserve)
{
    const struct node_facts *f = in->facts;
    struct json *o = json_object(a);
    int64_t storage = f->storage_bytes - (reserve ? node_facts_storage_reserve(f) : 0);
    int64_t memory = f->memory_bytes - (reserve ? node_facts_memory_reserve(f) : 0);

    json_set(a, o, "cpu", json_fmt(a, "%u", f->cpus));
    set_bytes(a, o, "ephemeral-storage", storage);
    if (f->has_hugepages_1g)
        set_bytes(a, o, "hugepages-1Gi", f->hugepages_1g_bytes);
    if (f->has_hugepages_2m)
        set_bytes(a, o, "hugepages-2Mi", f->hugepages_2m_bytes);
    set_bytes(a, o, "memory", memory - f->hugepages_1g_bytes - f->hugepages_2m_bytes);
    json_set(a, o, "pods", json_fmt(a, "%u", in->conf->pods_max));
    return o;
}

/* --- conditions */

struct condition { const char *type; bool on; const char *reason, *message; };

static const struct { const char *type, *bad, *good, *bad_message, *good_message; } pressures[] = {
    { "MemoryPressure", "KubeletHasInsufficientMemory", "KubeletHasSufficientMemory",
      "kubelet has insufficient memory available", "kubelet has sufficient memory available" },
    { "DiskPressure", "KubeletHasDiskPressure", "KubeletHasNoDiskPressure",
      "kubelet has disk pressure", "kubelet has no disk pressure" },
    { "PIDPressure", "KubeletHasInsufficientPID", "KubeletHasSufficientPID",
      "kubelet has insufficient PID available", "kubelet has sufficient PID available" },
};

static int64_t since(const struct node_status_in *in, const struct condition *c)
{
    for (unsigned i = 0; in->before && i < in->before->status.n_conditions; i++) {
        const struct node_condition_view *v = &in->before->status.conditions[i];

        if (str_eq(v->type, c->type) && str_eq(v->status, c->on ? "True" : "False") &&
            v->last_transition_time_s)
            return v->last_transition_time_s;
    }
    return in->now_s;
}

static void add_condition(struct arena *a, struct json *list, const struct node_status_in *in,
                          struct condition c)
{
    struct json *o = json_object(a);
    char text[TIMEFMT_BYTES];

    json_set_str(a, o, "type", c.type);
    json_set_str(a, o, "status", c.on ? "True" : "False");
    timefmt_rfc3339(text, in->now_s);
    json_set_str(a, o, "lastHeartbeatTime", text);
    timefmt_rfc3339(text, since(in, &c));
    json_set_str(a, o, "lastTransitionTime", text);
    json_set_str(a, o, "reason", c.reason);
    json_set_str(a, o, "message", c.message);
    json_append(a, list, o);
}

static struct json *conditions(struct arena *a, const struct node_status_in *in)
{
    const bool bad[] = { in->pressure.memory, in->pressure.disk, in->pressure.pids };
    struct json *list = json_array(a);

    for (size_t i = 0; i < ARRAY_LEN(pressures); i++)
        add_condition(a, list, in, (struct condition){
            pressures[i].type, bad[i], bad[i] ? pressures[i].bad : pressures[i].good,
            bad[i] ? pressures[i].bad_message : pressures[i].good_message });
    add_condition(a, list, in, (struct condition){
        "Ready", !in->trouble, in->trouble ? "KubeletNotReady" : "KubeletReady",
        in->trouble ? in->trouble : "kubelet is posting ready status" });
    return list;
}

/* --- the rest */

static struct json *addresses(struct arena *a, const struct node_conf *conf)
{
    struct json *list = json_array(a), *o;

    o = json_object(a);
    json_set_str(a, o, "type", "InternalIP");
    json_set_str(a, o, "address", conf->ip);
    json_append(a, list, o);
    o = json_object(a);
    json_set_str(a, o, "type", "Hostname");
    json_set_str(a, o, "address", conf->name);
    json_append(a, list, o);
    return list;
}

static struct json *info(struct arena *a, const struct node_facts *f)
{
    struct json *o = json_object(a);

    json_set_str(a, o, "machineID", f->machine_id);
    json_set_str(a, o, "systemUUID", f->system_uuid);
    json_set_str(a, o, "bootID", f->boot_id);
    json_set_str(a, o, "kernelVersion", f->kernel);
    json_set_str(a, o, "osImage", f->os_image);
    json_set_str(a, o, "containerRuntimeVersion", NODE_RUNTIME_PREFIX INRO_VERSION);
    json_set_str(a, o, "kubeletVersion", INRO_VERSION);
    json_set_str(a, o, "kubeProxyVersion", "");
    json_set_str(a, o, "operatingSystem", "linux");
    json_set_str(a, o, "architecture", f->arch);
    if (f->swap_bytes > 0)
        json_set_int(a, json_ensure_object(a, o, "swap"), "capacity", f->swap_bytes);
    return o;
}

static void add_texts(struct arena *a, struct json *list, const char *const *texts)
{
    for (size_t i = 0; texts[i]; i++)
        json_append(a, list, json_str(a, texts[i]));
}

static struct json *images(struct arena *a, const struct image_list *l)
{
    struct json *list = json_array(a);

    for (size_t i = 0; l && i < l->n && i < NODE_IMAGES_MAX; i++) {
        struct json *o = json_object(a), *names = json_array(a);

        add_texts(a, names, l->v[i]->digests);
        add_texts(a, names, l->v[i]->names);
        json_set(a, o, "names", names);
        json_set_int(a, o, "sizeBytes", l->v[i]->size_bytes);
        json_append(a, list, o);
    }
    return list;
}

static struct json *handlers(struct arena *a)
{
    struct json *list = json_array(a), *o = json_object(a), *f = json_object(a);

    json_set_str(a, o, "name", "");
    json_set_bool(a, f, "recursiveReadOnlyMounts", true);
    json_set_bool(a, f, "userNamespaces", false);
    json_set(a, o, "features", f);
    json_append(a, list, o);
    return list;
}

struct json *node_status_make(struct arena *a, const struct node_status_in *in)
{
    struct json *s = json_object(a), *f = json_object(a);

    json_set(a, s, "capacity", resources(a, in, false));
    json_set(a, s, "allocatable", resources(a, in, true));
    json_set(a, s, "conditions", conditions(a, in));
    json_set(a, s, "addresses", addresses(a, in->conf));
    json_set_int(a, json_ensure_object(a, json_ensure_object(a, s, "daemonEndpoints"),
                                       "kubeletEndpoint"), "Port", in->conf->port);
    json_set(a, s, "nodeInfo", info(a, in->facts));
    json_set(a, s, "images", images(a, in->images));
    json_set(a, s, "runtimeHandlers", handlers(a));
    json_set_bool(a, f, "supplementalGroupsPolicy", true);
    json_set(a, s, "features", f);
    return s;
}
