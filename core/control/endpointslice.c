/* endpointslice.c: the addresses behind a Service, in slices of at most SLICE_MAX endpoints.
 *
 * A pass makes the endpoints that should be, groups them by the numbers of their ports (named ports
 * may differ by pod), and fits each group into the slices there are so that few must be written.
 */
#include "core/control/sliceplan.h"

#include "core/base/map.h"
#include "core/control/podstate.h"
#include "core/object/rules.h"
#include "gen/views.h"

/* a pod on a node that is not there yet is looked at again */
#define SLICE_NODE_MISSING_MS 60000

static const char zone_label[] = "topology.kubernetes.io/zone";

/* --- keys */

static bool is_ours(const struct object *service)
{
    const struct service_spec_view *s = &service_view(service)->spec;

    return s->selector.n > 0 && !str_eq(s->type, "ExternalName");
}

static bool selects(const struct object *service, const struct object *pod)
{
    const struct view_map *s = &service_view(service)->spec.selector;

    for (unsigned i = 0; i < s->n; i++)
        if (!str_eq(object_label(pod, s->v[i].key), s->v[i].value))
            return false;
    return is_ours(service);
}

static void on_service(struct controller *c, struct object *before, struct object *after)
{
    (void)before;
    if (after)
        control_enqueue_object(c, after);
}

static bool same_text(const char *a, const char *b)
{
    return str_eq(a ? a : "", b ? b : "");
}

/* Whether a change of a pod can change an endpoint. */
static bool is_news(const struct object *before, const struct object *after)
{
    const struct pod_view *b = pod_view(before), *a = pod_view(after);
    const char *kb, *ka, *vb, *va;
    unsigned at_b = 0, at_a = 0;
    bool more_a, more_b;

    if (podstate_ready(before) != podstate_ready(after) ||
        podstate_ended(before) != podstate_ended(after) ||
        object_is_deleting(before) != object_is_deleting(after) ||
        !same_text(b->status.pod_ip, a->status.pod_ip) ||
        !same_text(b->spec.node_name, a->spec.node_name))
        return true;
    do {
        more_b = object_next_label(before, &at_b, &kb, &vb);
        more_a = object_next_label(after, &at_a, &ka, &va);
        if (more_a != more_b || (more_a && (!str_eq(ka, kb) || !str_eq(va, vb))))
            return true;
    } while (more_a);
    return false;
}

static void on_pod(struct controller *c, struct object *before, struct object *after)
{
    struct informer *i = control_informer(c, kind_service());
    const struct object *any = after ? after : before;
    struct object *service;

    if (before && after && !is_news(before, after))
        return;
    for (size_t at = 0; (service = informer_next(i, &at));)
        if (str_eq(object_ns(service), object_ns(any)) &&
            ((before && selects(service, before)) || (after && selects(service, after))))
            control_enqueue_object(c, service);
}

/* What others do to our slices is put right. */
static void on_slice(struct controller *c, struct object *before, struct object *after)
{
    const struct object *o = after ? after : before;
    const char *service = object_label(o, SLICEPLAN_SERVICE_LABEL);

    if (service && str_eq(object_label(o, SLICEPLAN_MANAGER_LABEL), SLICEPLAN_MANAGER))
        control_enqueue(c, object_ns(o), service);
}

static void on_node(struct controller *c, struct object *before, struct object *after)
{
    struct informer *i = control_informer(c, kind_service());
    struct object *service;

    if (before && after && same_text(object_label(before, zone_label),
                                     object_label(after, zone_label)))
        return;
    for (size_t at = 0; (service = informer_next(i, &at));)
        if (is_ours(service))
            control_enqueue_object(c, service);
}

/* --- endpoints */

/* The number behind a Service's port on this pod; 0: the pod has none of this name. */
static int64_t port_number(const struct pod_view *pod, const struct service_port_view *port)
{
    const struct pod_spec_view *s = &pod->spec;

    if (!port->target_port.s)
        return port->target_port.i;
    for (unsigned i = 0; i < s->n_containers + s->n_init_containers; i++) {
        bool init = i >= s->n_containers;
        const struct container_view *c = init ? &s->init_containers[i - s->n_containers]
                                              : &s->containers[i];

        if (init && !str_eq(c->restart_policy, "Always"))
            continue;
        for (unsigned k = 0; k < c->n_ports; k++)
            if (str_eq(c->ports[k].name, port->target_port.s) &&
                str_eq(c->ports[k].protocol, port->protocol))
                return c->ports[k].container_port;
    }
    return 0;
}

static struct json *ports_of(struct arena *a, const struct service_view *service,
                             const struct pod_view *pod)
{
    struct json *list = json_array(a);

    for (unsigned i = 0; i < service->spec.n_ports; i++) {
        const struct service_port_view *port = &service->spec.ports[i];
        int64_t number = port_number(pod, port);
        struct json *p;

        if (!number)
            continue;
        p = json_object(a);
        json_set_str(a, p, "name", port->name);
        json_set_str(a, p, "protocol", str_empty(port->protocol) ? "TCP" : port->protocol);
        json_set_int(a, p, "port", number);
        if (!str_empty(port->app_protocol))
            json_set_str(a, p, "appProtocol", port->app_protocol);
        json_append(a, list, p);
    }
    return list;
}

static const char *address_of(const struct pod_view *pod)
{
    for (unsigned i = 0; i < pod->status.n_pod_ips; i++)
        if (!strchr(pod->status.pod_ips[i].ip, ':'))
            return pod->status.pod_ips[i].ip;
    return str_empty(pod->status.pod_ip) || strchr(pod->status.pod_ip, ':') ? NULL
                                                                            : pod->status.pod_ip;
}

static struct json *target(struct arena *a, const struct object *pod)
{
    struct json *ref = json_object(a);

    json_set_str(a, ref, "kind", "Pod");
    json_set_str(a, ref, "namespace", object_ns(pod));
    json_set_str(a, ref, "name", object_name(pod));
    json_set_str(a, ref, "uid", object_uid(pod));
    return ref;
}

static struct json *endpoint_of(struct arena *a, const struct object *service,
                                const struct object *pod, const struct object *node)
{
    const struct pod_view *v = pod_view(pod);
    struct json *e = json_object(a), *list = json_array(a), *conditions = json_object(a);
    bool serving = podstate_ready(pod), leaving = object_is_deleting(pod);

    json_append(a, list, json_str(a, address_of(v)));
    json_set(a, e, "addresses", list);
    json_set_bool(a, conditions, "ready", service_view(service)->spec.publish_not_ready_addresses ||
                                          (serving && !leaving));
    json_set_bool(a, conditions, "serving", serving);
    json_set_bool(a, conditions, "terminating", leaving);
    json_set(a, e, "conditions", conditions);
    if (!str_empty(v->spec.hostname) && str_eq(v->spec.subdomain, object_name(service)))
        json_set_str(a, e, "hostname", v->spec.hostname);
    json_set(a, e, "targetRef", target(a, pod));
    if (!str_empty(v->spec.node_name))
        json_set_str(a, e, "nodeName", v->spec.node_name);
    if (node && object_label(node, zone_label))
        json_set_str(a, e, "zone", object_label(node, zone_label));
    return e;
}

static void add_pod(struct pass *p, struct sliceplan *plan, const struct object *service,
                    const struct object *pod)
{
    const struct service_view *v = service_view(service);
    const char *node_name = pod_view(pod)->spec.node_name;
    struct object *node = NULL;

    if (podstate_ended(pod) || !address_of(pod_view(pod)))
        return;
    if (!str_empty(node_name))
        node = informer_get(control_informer(p->c, kind_node()), "", node_name);
    if (!node && !v->spec.publish_not_ready_addresses) {
        control_again(p, SLICE_NODE_MISSING_MS);
        return;
    }
    sliceplan_add(plan, ports_of(p->a, v, pod_view(pod)), endpoint_of(p->a, service, pod, node));
}

/* --- the pass */

static const char *prefix_of(struct pass *p)
{
    const char *prefix = arena_printf(p->a, "%s-", p->name);

    return rules_object_name(p->a, kind_endpoint_slice(), prefix, true) ? p->name : prefix;
}

static struct json *labels_of(struct arena *a, const struct object *service)
{
    static const char headless[] = "service.kubernetes.io/headless";
    const char *ip = service_view(service)->spec.cluster_ip, *key, *value;
    struct json *labels = json_object(a);

    for (unsigned at = 0; object_next_label(service, &at, &key, &value);)
        if (!str_eq(key, headless))
            json_set_str(a, labels, key, value);
    if (str_empty(ip) || str_eq(ip, "None"))
        json_set_str(a, labels, headless, "");
    json_set_str(a, labels, SLICEPLAN_SERVICE_LABEL, object_name(service));
    json_set_str(a, labels, SLICEPLAN_MANAGER_LABEL, SLICEPLAN_MANAGER);
    return labels;
}

static void on_written(struct pass *p, const struct client_result *r, void *arg)
{
    (void)arg;
    if (client_ok(r) || r->code == 404 || control_is_terminating_ns(r))
        return;
    control_fail(p);
}

static struct json *slice_tree(struct pass *p, const struct object *service,
                               const struct sliceplan_slice *s)
{
    struct arena *a = p->a;
    struct json *tree = s->object ? object_tree(s->object, a) : json_object(a);
    struct json *meta = json_ensure_object(a, tree, "metadata");

    if (!s->object) {
        json_set_str(a, meta, "generateName", prefix_of(p));
        json_set_str(a, meta, "namespace", p->ns);
        json_append(a, json_ensure_array(a, meta, "ownerReferences"), adopt_reference(a, service));
        json_set_str(a, tree, "addressType", "IPv4");
    }
    json_set(a, meta, "labels", labels_of(a, service));
    json_set(a, tree, "endpoints", s->endpoints);
    json_set(a, tree, "ports", s->ports);
    return tree;
}

static bool same_labels(const struct object *slice, const struct json *labels)
{
    const char *key, *value;
    unsigned n = 0;

    for (unsigned at = 0; object_next_label(slice, &at, &key, &value); n++)
        if (!str_eq(json_get_str(labels, key), value))
            return false;
    return n == json_len(labels);
}

static void send(struct pass *p, const struct object *service, const struct sliceplan *plan)
{
    struct json *labels = labels_of(p->a, service);

    for (size_t i = 0; i < plan->n_slices; i++) {
        const struct sliceplan_slice *s = &plan->slices[i];

        if (s->drop)
            control_delete(p, s->object, NULL, on_written, NULL);
        else if (!s->object)
            control_create(p, kind_endpoint_slice(), slice_tree(p, service, s), on_written, NULL);
        else if (s->changed || !same_labels(s->object, labels))
            control_update(p, s->object, slice_tree(p, service, s), on_written, NULL);
    }
}

static void take_slices(struct pass *p, struct sliceplan *plan, const struct object *service)
{
    struct informer *i = control_informer(p->c, kind_endpoint_slice());
    struct object *o;

    for (size_t at = 0; (o = informer_next_owned(i, object_uid(service), &at));)
        if (str_eq(object_label(o, SLICEPLAN_MANAGER_LABEL), SLICEPLAN_MANAGER) &&
            !object_is_deleting(o))
            sliceplan_take(plan, o);
}

static void reconcile(struct pass *p)
{
    struct object *service = control_get(p, kind_service()), *pod;
    struct informer *pods = control_informer(p->c, kind_pod());
    struct sliceplan *plan;

    if (!service || object_is_deleting(service) || !is_ours(service))
        return;
    plan = sliceplan_new(p->a);
    take_slices(p, plan, service);
    for (size_t at = 0; (pod = informer_next(pods, &at));)
        if (str_eq(object_ns(pod), p->ns) && selects(service, pod))
            add_pod(p, plan, service, pod);
    sliceplan_fit(plan);
    send(p, service, plan);
}

const struct control_def endpointslice_control = {
    .name = "endpoint-slice-controller",
    .watches = { { kind_service, on_service }, { kind_pod, on_pod },
                 { kind_endpoint_slice, on_slice }, { kind_node, on_node } },
    .reconcile = reconcile,
};
