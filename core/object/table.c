/* core/object/table.c -- the columns of each kind, and the cells of all but pods. */
#include <ctype.h>
#include <stdlib.h>

#include "core/base/check.h"
#include "core/base/timefmt.h"
#include "core/object/selector.h"
#include "core/object/table_impl.h"

#define COLUMNS_MAX 10
#define SHOWN_MAX 3              /* items of a list before "+ N more..." */

/* Name comes first for all but events and is not listed. `wide` shows only with -o wide. */
struct column { const char *name, *type; bool wide; };
struct table {
    const char *group, *resource;
    void (*cells)(struct table_row *r);
    struct column columns[COLUMNS_MAX];
};

/* --- cells */

static void separate(struct table_row *r)
{
    buf_chr(r->b, r->started ? ',' : '[');
    r->started = true;
}

void table_text(struct table_row *r, const char *s)
{
    separate(r);
    json_write_string(r->b, s ? s : "", s ? strlen(s) : 0);
}

void table_int(struct table_row *r, int64_t v)
{
    separate(r);
    buf_i64(r->b, v);
}

void table_or(struct table_row *r, const char *s, const char *otherwise)
{
    table_text(r, str_empty(s) ? otherwise : s);
}

const char *table_since(const struct table_row *r, const char *time)
{
    char age[TIMEFMT_BYTES];
    int64_t us;

    if (str_empty(time) || timefmt_parse(time, &us, NULL) < 0)
        return "<unknown>";
    timefmt_age(age, r->now_s - us / 1000000);
    return arena_strdup(r->a, age);
}

void table_age(struct table_row *r)
{
    table_text(r, table_since(r, json_path_str(r->obj, "metadata.creationTimestamp")));
}

const char *table_join(const struct table_row *r, const struct json *list, const char *member)
{
    _cleanup_buf_ struct buf b = BUF_INIT;
    struct json *v;

    buf_str(&b, "");
    json_each(v, list) {
        const char *s = member ? json_get_str(v, member) : json_text(v);

        buf_fmt(&b, "%s%s", v_i ? "," : "", s ? s : "");
    }
    return arena_strdup(r->a, b.p);
}

static const char *str(const struct json *v, const char *key)
{
    const char *s = json_get_str(v, key);

    return s ? s : "";
}

static void selector_cell(struct table_row *r, const struct json *json, const char *otherwise)
{
    _cleanup_(selector_freep) struct selector *s = NULL;
    _cleanup_buf_ struct buf b = BUF_INIT;

    if (selector_from_json(&s, json, NULL) < 0) {
        table_text(r, "<error>");
        return;
    }
    selector_write(&b, s);
    table_or(r, b.p, otherwise);
}

/* --- the kinds */

static void configmap_cells(struct table_row *r)
{
    table_int(r, (int64_t)(json_len(json_get(r->obj, "data")) +
                           json_len(json_get(r->obj, "binaryData"))));
    table_age(r);
}

static void secret_cells(struct table_row *r)
{
    table_text(r, str(r->obj, "type"));
    table_int(r, (int64_t)json_len(json_get(r->obj, "data")));
    table_age(r);
}

static void namespace_cells(struct table_row *r)
{
    table_text(r, json_path_str(r->obj, "status.phase"));
    table_age(r);
}

static void account_cells(struct table_row *r)
{
    table_age(r);
}

static void lease_cells(struct table_row *r)
{
    table_text(r, json_path_str(r->obj, "spec.holderIdentity"));
    table_age(r);
}

static void workload_tail(struct table_row *r)
{
    const struct json *containers = json_path(r->obj, "spec.template.spec.containers");

    table_age(r);
    table_text(r, table_join(r, containers, "name"));
    table_text(r, table_join(r, containers, "image"));
}

static void deployment_cells(struct table_row *r)
{
    const struct json *spec = json_get(r->obj, "spec"), *status = json_get(r->obj, "status");

    table_text(r, arena_printf(r->a, "%lld/%lld",
                               (long long)json_get_int(status, "readyReplicas", 0),
                               (long long)json_get_int(spec, "replicas", 0)));
    table_int(r, json_get_int(status, "updatedReplicas", 0));
    table_int(r, json_get_int(status, "availableReplicas", 0));
    workload_tail(r);
    selector_cell(r, json_get(spec, "selector"), "");
}

static void replicaset_cells(struct table_row *r)
{
    const struct json *spec = json_get(r->obj, "spec"), *status = json_get(r->obj, "status");

    table_int(r, json_get_int(spec, "replicas", 0));
    table_int(r, json_get_int(status, "replicas", 0));
    table_int(r, json_get_int(status, "readyReplicas", 0));
    workload_tail(r);
    selector_cell(r, json_get(spec, "selector"), "<none>");
}

/* --- Service */

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sorted and each once, joined by commas. */
static const char *join_set(const struct table_row *r, const char **v, size_t n)
{
    _cleanup_buf_ struct buf b = BUF_INIT;

    buf_str(&b, "");
    if (n)
        qsort(v, n, sizeof(*v), compare_texts);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || !str_eq(v[i], v[i - 1]))
            buf_fmt(&b, "%s%s", b.len ? "," : "", v[i]);
    return arena_strdup(r->a, b.p);
}

static const char *balancer_text(const struct table_row *r)
{
    const struct json *list = json_path(r->obj, "status.loadBalancer.ingress");
    const char **v = arena_alloc(r->a, (json_len(list) + 1) * sizeof(*v));
    size_t n = 0;
    struct json *item;

    json_each(item, list)
        if (*str(item, "ip") || *str(item, "hostname"))
            v[n++] = *str(item, "ip") ? str(item, "ip") : str(item, "hostname");
    return join_set(r, v, n);
}

static const char *external_text(const struct table_row *r, const struct json *spec)
{
    const char *type = str(spec, "type"), *ips = table_join(r, json_get(spec, "externalIPs"), NULL);
    const char *lb;

    if (str_eq(type, "ExternalName"))
        return str(spec, "externalName");
    if (str_eq(type, "ClusterIP") || str_eq(type, "NodePort"))
        return *ips ? ips : "<none>";
    if (!str_eq(type, "LoadBalancer"))
        return "<unknown>";
    lb = balancer_text(r);
    if (!*lb && !*ips)
        return "<pending>";
    return arena_printf(r->a, "%s%s%s", lb, *lb && *ips ? "," : "", ips);
}

static const char *ports_text(const struct table_row *r, const struct json *ports)
{
    _cleanup_buf_ struct buf b = BUF_INIT;
    struct json *v;

    json_each(v, ports) {
        int64_t node = json_get_int(v, "nodePort", 0);

        buf_fmt(&b, "%s%lld", v_i ? "," : "", (long long)json_get_int(v, "port", 0));
        if (node > 0)
            buf_fmt(&b, ":%lld", (long long)node);
        buf_fmt(&b, "/%s", str(v, "protocol"));
    }
    return b.len ? arena_strdup(r->a, b.p) : "<none>";
}

static void service_cells(struct table_row *r)
{
    const struct json *spec = json_get(r->obj, "spec");
    _cleanup_buf_ struct buf b = BUF_INIT;

    table_text(r, str(spec, "type"));
    table_or(r, json_text(json_at(json_get(spec, "clusterIPs"), 0)), "<none>");
    table_text(r, external_text(r, spec));
    table_text(r, ports_text(r, json_get(spec, "ports")));
    table_age(r);
    json_each_member(m, json_get(spec, "selector"))
        buf_fmt(&b, "%s%s=%s", b.len ? "," : "", m->key, json_text(m->val) ? m->val->s : "");
    table_or(r, b.p, "<none>");
}

/* --- EndpointSlice */

/* The first few of a list, and how many more there are. */
struct few { struct buf b; size_t n; };

static void few_add(struct few *f, const char *s)
{
    if (f->n++ < SHOWN_MAX)
        buf_fmt(&f->b, "%s%s", f->n > 1 ? "," : "", s);
}

static void few_cell(struct table_row *r, struct few *f)
{
    if (f->n > SHOWN_MAX)
        buf_fmt(&f->b, " + %zu more...", f->n - SHOWN_MAX);
    table_text(r, f->n ? f->b.p : "<unset>");
    buf_deinit(&f->b);
}

static void slice_cells(struct table_row *r)
{
    struct few ports = { .n = 0 }, addresses = { .n = 0 };
    struct json *v, *address;

    table_text(r, str(r->obj, "addressType"));
    json_each(v, json_get(r->obj, "ports")) {
        const struct json *port = json_get(v, "port");

        if (json_is(port, JSON_INT))
            few_add(&ports, arena_printf(r->a, "%lld", (long long)port->i));
        else
            few_add(&ports, json_get(v, "name") ? str(v, "name") : "*");
    }
    few_cell(r, &ports);
    json_each(v, json_get(r->obj, "endpoints"))
        json_each(address, json_get(v, "addresses"))
            few_add(&addresses, json_text(address) ? address->s : "");
    few_cell(r, &addresses);
    table_age(r);
}

/* --- Node */

static const char *node_status(const struct table_row *r)
{
    const char *word = "Unknown";
    struct json *v;

    json_each(v, json_path(r->obj, "status.conditions"))
        if (str_eq(json_get_str(v, "type"), "Ready"))
            word = str_eq(json_get_str(v, "status"), "True") ? "Ready" : "NotReady";
    if (json_get_bool(json_get(r->obj, "spec"), "unschedulable", false))
        return arena_printf(r->a, "%s,SchedulingDisabled", word);
    return word;
}

static const char *node_roles(const struct table_row *r)
{
    static const char prefix[] = "node-role.kubernetes.io/";
    const struct json *labels = json_get(json_get(r->obj, "metadata"), "labels");
    const char **v = arena_alloc(r->a, (json_len(labels) + 1) * sizeof(*v));
    size_t n = 0;

    json_each_member(m, labels) {
        const char *value = json_text(m->val) ? m->val->s : "";

        if (str_starts(m->key, prefix) && m->key[sizeof(prefix) - 1])
            v[n++] = m->key + sizeof(prefix) - 1;
        else if (str_eq(m->key, "kubernetes.io/role") && *value)
            v[n++] = value;
    }
    return n ? join_set(r, v, n) : "<none>";
}

static const char *node_address(const struct table_row *r, const char *type)
{
    struct json *v;

    json_each(v, json_path(r->obj, "status.addresses"))
        if (str_eq(json_get_str(v, "type"), type))
            return str(v, "address");
    return "<none>";
}

static void node_cells(struct table_row *r)
{
    const struct json *info = json_path(r->obj, "status.nodeInfo");
    const char *kernel = str(info, "kernelVersion"), *arch = str(info, "architecture");

    table_text(r, node_status(r));
    table_text(r, node_roles(r));
    table_age(r);
    table_text(r, str(info, "kubeletVersion"));
    table_text(r, node_address(r, "InternalIP"));
    table_text(r, node_address(r, "ExternalIP"));
    table_or(r, str(info, "osImage"), "<unknown>");
    kernel = *kernel ? kernel : "<unknown>";
    table_text(r, *arch ? arena_printf(r->a, "%s (%s)", kernel, arch) : kernel);
    table_or(r, str(info, "containerRuntimeVersion"), "<unknown>");
}

/* --- Event, in either version's words */

static const struct json *either(const struct json *obj, const char *core_name,
                                 const char *new_name)
{
    const struct json *v = json_get(obj, core_name);

    return v ? v : json_get(obj, new_name);
}

static const char *either_str(const struct json *obj, const char *core_name, const char *new_name)
{
    const struct json *v = either(obj, core_name, new_name);

    return json_text(v) ? v->s : "";
}

static const char *event_object(const struct table_row *r, const struct json *about)
{
    char *kind = arena_strdup(r->a, str(about, "kind"));

    for (char *s = kind; *s; s++)
        *s = (char)tolower((unsigned char)*s);
    return *str(about, "name") ? arena_printf(r->a, "%s/%s", kind, str(about, "name")) : kind;
}

static const char *event_source(const struct table_row *r)
{
    const struct json *source = either(r->obj, "source", "deprecatedSource");
    const char *component = str(source, "component"), *host = str(source, "host");

    if (!*component)
        component = either_str(r->obj, "reportingComponent", "reportingController");
    if (!*host)
        host = str(r->obj, "reportingInstance");
    return *host ? arena_printf(r->a, "%s, %s", component, host) : component;
}

static void event_cells(struct table_row *r)
{
    const struct json *about = either(r->obj, "involvedObject", "regarding");
    const struct json *series = json_get(r->obj, "series");
    const char *first = either_str(r->obj, "firstTimestamp", "deprecatedFirstTimestamp");
    const char *last = either_str(r->obj, "lastTimestamp", "deprecatedLastTimestamp");
    const struct json *count = either(r->obj, "count", "deprecatedCount");
    struct slice note = slice_of(either_str(r->obj, "message", "note"));

    while (note.len && isspace((unsigned char)note.p[0]))
        note = (struct slice){ note.p + 1, note.len - 1 };
    while (note.len && isspace((unsigned char)note.p[note.len - 1]))
        note.len--;
    first = table_since(r, *first ? first : str(r->obj, "eventTime"));
    if (series)
        table_text(r, table_since(r, str(series, "lastObservedTime")));
    else
        table_text(r, *last ? table_since(r, last) : first);
    table_text(r, str(r->obj, "type"));
    table_text(r, str(r->obj, "reason"));
    table_text(r, event_object(r, about));
    table_text(r, str(about, "fieldPath"));
    table_text(r, event_source(r));
    table_text(r, arena_strndup(r->a, note.p, note.len));
    table_text(r, first);
    table_int(r, series ? json_get_int(series, "count", 0) :
              json_is(count, JSON_INT) && count->i ? count->i : 1);
    table_text(r, str(json_get(r->obj, "metadata"), "name"));
}

static const char *csr_condition(struct table_row *r)
{
    bool approved = false, denied = false, failed = false;
    struct json *it;

    json_each(it, json_path(r->obj, "status.conditions")) {
        approved = approved || str_eq(str(it, "type"), "Approved");
        denied = denied || str_eq(str(it, "type"), "Denied");
        failed = failed || str_eq(str(it, "type"), "Failed");
    }
    return arena_printf(r->a, "%s%s%s", denied ? "Denied" : approved ? "Approved" : "Pending",
                        failed ? ",Failed" : "",
                        *str(json_get(r->obj, "status"), "certificate") ? ",Issued" : "");
}

static void csr_cells(struct table_row *r)
{
    const struct json *spec = json_get(r->obj, "spec"),
        *seconds = json_get(spec, "expirationSeconds");
    char age[TIMEFMT_BYTES] = "<none>";

    if (json_is(seconds, JSON_INT))
        timefmt_age(age, seconds->i);
    table_age(r);
    table_or(r, str(spec, "signerName"), "<none>");
    table_text(r, str(spec, "username"));
    table_text(r, age);
    table_text(r, csr_condition(r));
}

/* --- the tables */

#define EVENT_COLUMNS { { "Last Seen", "string", false }, { "Type", "string", false }, \
    { "Reason", "string", false }, { "Object", "string", false }, { "Subobject", "string", true }, \
    { "Source", "string", true }, { "Message", "string", false }, { "First Seen", "string", true }, \
    { "Count", "string", true }, { "Name", "string", true } }

static const struct table tables[] = {
    { "", "pods", table_pod_cells,
      { { "Ready", "string", false }, { "Status", "string", false },
        { "Restarts", "string", false },
        { "Age", "string", false }, { "IP", "string", true }, { "Node", "string", true },
        { "Nominated Node", "string", true }, { "Readiness Gates", "string", true } } },
    { "", "nodes", node_cells,
      { { "Status", "string", false }, { "Roles", "string", false }, { "Age", "string", false },
        { "Version", "string", false }, { "Internal-IP", "string", true },
        { "External-IP", "string", true }, { "OS-Image", "string", true },
        { "Kernel-Version", "string", true }, { "Container-Runtime", "string", true } } },
    { "", "namespaces", namespace_cells, { { "Status", "string", false },
                                           { "Age", "string", false } } },
    { "", "services", service_cells,
      { { "Type", "string", false }, { "Cluster-IP", "string", false },
        { "External-IP", "string", false }, { "Port(s)", "string", false },
        { "Age", "string", false },
        { "Selector", "string", true } } },
    { "", "configmaps", configmap_cells, { { "Data", "string", false },
                                           { "Age", "string", false } } },
    { "", "secrets", secret_cells,
      { { "Type", "string", false }, { "Data", "string", false }, { "Age", "string", false } } },
    { "", "serviceaccounts", account_cells, { { "Age", "string", false } } },
    { "", "events", event_cells, EVENT_COLUMNS },
    { "events.k8s.io", "events", event_cells, EVENT_COLUMNS },
    { "coordination.k8s.io", "leases", lease_cells,
      { { "Holder", "string", false }, { "Age", "string", false } } },
    { "discovery.k8s.io", "endpointslices", slice_cells,
      { { "AddressType", "string", false }, { "Ports", "string", false },
        { "Endpoints", "string", false }, { "Age", "string", false } } },
    { "certificates.k8s.io", "certificatesigningrequests", csr_cells,
      { { "Age", "string", false }, { "SignerName", "string", false },
        { "Requestor", "string", false }, { "RequestedDuration", "string", false },
        { "Condition", "string", false } } },
    { "apps", "deployments", deployment_cells,
      { { "Ready", "string", false }, { "Up-to-date", "string", false },
        { "Available", "string", false }, { "Age", "string", false },
        { "Containers", "string", true },
        { "Images", "string", true }, { "Selector", "string", true } } },
    { "apps", "replicasets", replicaset_cells,
      { { "Desired", "integer", false }, { "Current", "integer", false },
        { "Ready", "integer", false },
        { "Age", "string", false }, { "Containers", "string", true }, { "Images", "string", true },
        { "Selector", "string", true } } },
};

static const struct table *find_table(const struct kind *kind)
{
    for (size_t i = 0; i < ARRAY_LEN(tables); i++)
        if (str_eq(tables[i].resource, kind->resource) && str_eq(tables[i].group, kind->group))
            return &tables[i];
    return NULL;
}

static void write_column(struct buf *b, const struct column *c, bool first)
{
    buf_fmt(b,
            "%s{\"name\":\"%s\",\"type\":\"%s\",\"format\":\"%s\",\"description\":\"\","
            "\"priority\":%d}",
            first ? "" : ",", c->name, c->type, str_eq(c->name, "Name") ? "name" : "", c->wide);
}

void table_columns(struct buf *b, const struct kind *kind)
{
    static const struct column name = { "Name", "string", false };
    static const struct column made = { "Created At", "date", false };
    const struct table *t = find_table(kind);
    bool named = t && t->cells == event_cells;

    buf_chr(b, '[');
    if (!named)
        write_column(b, &name, true);
    if (!t)
        write_column(b, &made, false);
    for (size_t i = 0; t && i < COLUMNS_MAX && t->columns[i].name; i++)
        write_column(b, &t->columns[i], named && i == 0);
    buf_chr(b, ']');
}

void table_cells(struct buf *b, const struct object *o, int64_t now_s)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    struct table_row r = { .b = b, .a = a, .obj = object_tree(o, a), .now_s = now_s };
    const struct table *t = find_table(object_kind(o));

    if (!t || t->cells != event_cells)
        table_text(&r, object_name(o));
    if (t)
        t->cells(&r);
    else
        table_text(&r, json_path_str(r.obj, "metadata.creationTimestamp"));
    buf_chr(b, ']');
}

bool table_conditions(struct buf *b, const struct object *o)
{
    _cleanup_(arena_freep) struct arena *a = NULL;
    const struct kind *kind = object_kind(o);
    const char *phase;

    if (!str_eq(kind->resource, "pods") || *kind->group)
        return false;
    a = arena_new(0);
    phase = json_path_str(object_tree(o, a), "status.phase");
    if (!str_eq(phase, "Succeeded") && !str_eq(phase, "Failed"))
        return false;
    buf_fmt(b,
            "[{\"type\":\"Completed\",\"status\":\"True\",\"reason\":\"%s\",\"message\":\"%s\"}]",
            phase,
            str_eq(phase, "Failed") ? "The pod failed." : "The pod has completed successfully.");
    return true;
}
