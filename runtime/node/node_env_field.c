/* node_env_field.c -- what a pod may ask of itself: fieldRef and resourceFieldRef. */
#include "runtime/node/node_env.h"

#include "core/object/quantity.h"

struct want {
    struct arena *a;
    struct object *pod;
    const struct pod_view *p;
    const struct node_env_facts *f;
};

/* --- fieldRef */

/* Go's %q. */
static void quote(struct buf *b, const char *s)
{
    static const char from[] = "\a\b\f\n\r\t\v\"\\", to[] = "abfnrtv\"\\";

    buf_chr(b, '"');
    for (; *s; s++) {
        const char *at = strchr(from, *s);

        if (at)
            buf_fmt(b, "\\%c", to[at - from]);
        else if ((unsigned char)*s < ' ' || *s == 0x7f)
            buf_fmt(b, "\\x%02x", (unsigned char)*s);
        else
            buf_chr(b, *s);
    }
    buf_chr(b, '"');
}

static const char *format_map(struct arena *a, const struct view_map *m)
{
    _cleanup_buf_ struct buf b = BUF_INIT;

    for (unsigned i = 0; i < m->n; i++) {
        buf_fmt(&b, "%s%s=", i ? "\n" : "", m->v[i].key);
        quote(&b, m->v[i].value);
    }
    return arena_strdup(a, b.p ? b.p : "");
}

static const char *join(struct arena *a, const char *const *list, const char *otherwise)
{
    _cleanup_buf_ struct buf b = BUF_INIT;

    for (; list && *list; list++)
        buf_fmt(&b, "%s%s", b.len ? "," : "", *list);
    return b.len ? arena_strdup(a, b.p) : otherwise;
}

static const char *get_labels(const struct want *w)
{
    return format_map(w->a, &w->p->metadata.labels);
}

static const char *get_annotations(const struct want *w)
{
    return format_map(w->a, &w->p->metadata.annotations);
}

static const char *get_pod_ips(const struct want *w)
{
    return join(w->a, w->f->pod_ips, w->f->pod_ip);
}

static const char *get_host_ips(const struct want *w)
{
    return join(w->a, w->f->host_ips, w->f->host_ip);
}

static const char *get_name(const struct want *w) { return object_name(w->pod); }
static const char *get_namespace(const struct want *w) { return object_ns(w->pod); }
static const char *get_uid(const struct want *w) { return object_uid(w->pod); }
static const char *get_account(const struct want *w) { return w->p->spec.service_account_name; }
static const char *get_host_ip(const struct want *w) { return w->f->host_ip; }
static const char *get_pod_ip(const struct want *w) { return w->f->pod_ip; }

static const char *get_node(const struct want *w)
{
    return str_empty(w->p->spec.node_name) ? w->f->node_name : w->p->spec.node_name;
}

static const struct { const char *path; const char *(*get)(const struct want *w); } fields[] = {
    { "metadata.annotations", get_annotations },
    { "metadata.labels", get_labels },
    { "metadata.name", get_name },
    { "metadata.namespace", get_namespace },
    { "metadata.uid", get_uid },
    { "spec.nodeName", get_node },
    { "spec.serviceAccountName", get_account },
    { "status.hostIP", get_host_ip },
    { "status.hostIPs", get_host_ips },
    { "status.podIP", get_pod_ip },
    { "status.podIPs", get_pod_ips },
};

/* metadata.labels['key'] and metadata.annotations['key']; false when it is neither. */
static bool subscript(const char **out, const struct want *w, const char *path)
{
    static const char labels[] = "metadata.labels['", annotations[] = "metadata.annotations['";
    bool is_label = str_starts(path, labels);
    const char *key, *value;
    size_t len = strlen(path);

    if ((!is_label && !str_starts(path, annotations)) || !str_ends(path, "']"))
        return false;
    key = path + (is_label ? sizeof(labels) : sizeof(annotations)) - 1;
    if (key > path + len - 2)
        return false;
    key = arena_strndup(w->a, key, (size_t)(path + len - 2 - key));
    value = is_label ? object_label(w->pod, key) : object_annotation(w->pod, key);
    *out = arena_strdup(w->a, value ? value : "");
    return true;
}

int node_env_field(const char **out, const struct node_env_of *of, const char *path,
                   struct err *err)
{
    struct want w = { of->a, of->pod, pod_view(of->pod), of->f };

    if (subscript(out, &w, path))
        return 0;
    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        if (str_eq(path, fields[i].path)) {
            const char *value = fields[i].get(&w);

            *out = arena_strdup(of->a, value ? value : "");
            return 0;
        }
    return err_set(err, ERR_INVALID, "unsupported fieldPath: %s", path);
}

/* --- resourceFieldRef */

static const struct resource_requirements_view *resources_of(const struct pod_spec_view *s,
                                                             const char *name)
{
    for (unsigned i = 0; i < s->n_containers; i++)
        if (str_eq(s->containers[i].name, name))
            return &s->containers[i].resources;
    for (unsigned i = 0; i < s->n_init_containers; i++)
        if (str_eq(s->init_containers[i].name, name))
            return &s->init_containers[i].resources;
    for (unsigned i = 0; i < s->n_ephemeral_containers; i++)
        if (str_eq(s->ephemeral_containers[i].name, name))
            return &s->ephemeral_containers[i].resources;
    return NULL;
}

/* A limit that is not set is what the node has. */
static int64_t node_has(const struct node_env_facts *f, const char *resource)
{
    if (str_eq(resource, "cpu"))
        return f->node_milli_cpu;
    if (str_eq(resource, "memory"))
        return f->node_memory_bytes;
    return str_eq(resource, "ephemeral-storage") ? f->node_storage_bytes : 0;
}

/* Rounded up, in units of the divisor. */
static int divide(const char **out, struct arena *a, int64_t amount, const char *divisor,
                  bool milli)
{
    int64_t by = milli ? 1000 : 1;

    if (!str_empty(divisor) && (milli ? quantity_milli(divisor, &by, NULL) :
                                quantity_value(divisor, &by, NULL)) < 0)
        return -1;
    if (by <= 0)
        by = milli ? 1000 : 1;
    *out = arena_printf(a, "%lld", (long long)(amount / by + (amount % by > 0)));
    return 0;
}

int node_env_resource(const char **out, const struct node_env_of *of, const char *container,
                      const struct resource_field_selector_view *r, struct err *err)
{
    const char *name = str_empty(r->container_name) ? container : r->container_name, *resource,
        *text;
    const struct resource_requirements_view *res = resources_of(&pod_view(of->pod)->spec, name ? name :
                                                                "");
    bool limits = str_starts(r->resource, "limits."), milli;
    int64_t amount = 0;

    if (!res)
        return err_set(err, ERR_INVALID, "container %s not found", name ? name : "");
    resource = strchr(r->resource, '.');
    if (!resource || (!limits && !str_starts(r->resource, "requests.")))
        return err_set(err, ERR_INVALID, "unsupported container resource : %s", r->resource);
    resource++;
    milli = str_eq(resource, "cpu");
    if (!milli && !str_eq(resource, "memory") && !str_eq(resource, "ephemeral-storage") &&
        !str_starts(resource, "hugepages-"))
        return err_set(err, ERR_INVALID, "unsupported container resource : %s", r->resource);
    text = view_map_get(limits ? &res->limits : &res->requests, resource);
    if (text && (milli ? quantity_milli(text, &amount, err) :
                 quantity_value(text, &amount, err)) < 0)
        return -1;
    if (limits && amount == 0)
        amount = node_has(of->f, resource);
    if (divide(out, of->a, amount, r->divisor, milli) < 0)
        return err_set(err, ERR_INVALID, "divisor \"%s\" is no quantity", r->divisor);
    return 0;
}
