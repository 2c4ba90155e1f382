/* pod_admit.c -- checks in a table; the first that fails speaks. */
#include "runtime/node/pod_admit.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "core/object/quantity.h"
#include "runtime/node/node_object.h"
#include "runtime/node/pod_self.h"
#include "runtime/node/podset.h"

static bool no(struct pod_refusal *out, const char *reason, const char *format, const char *what)
{
    out->reason = reason;
    snprintf(out->message, sizeof(out->message), format, what);
    return false;
}

/* --- kinds of things that this node does not do */

static bool check_os(struct pod_refusal *out, const struct pod *p)
{
    const struct pod_os_view *os = p->view->spec.os;

    return !os || str_eq(os->name, "linux") ||
           no(out, "PodOSNotSupported", "Failed to admit pod as the OS field doesn't match node "
              "OS: %s", os->name);
}

static bool check_host_users(struct pod_refusal *out, const struct pod *p)
{
    const struct pod_spec_view *s = &p->view->spec;

    return !s->has_host_users || s->host_users ||
           no(out, "UserNamespacesNotSupported", "%s: this node cannot give a pod a user "
              "namespace of its own", "spec.hostUsers false");
}

static bool check_runtime_class(struct pod_refusal *out, const struct pod *p)
{
    const char *name = p->view->spec.runtime_class_name;

    return str_empty(name) || no(out, "RuntimeClassNotSupported",
                                 "spec.runtimeClassName: this node has no runtime handler for "
                                 "\"%s\"", name);
}

static bool check_claims(struct pod_refusal *out, const struct pod *p)
{
    return json_len(p->view->spec.resource_claims) == 0 ||
           no(out, "ResourceClaimsNotSupported", "%s: this node has no resource drivers",
              "spec.resourceClaims");
}

static bool check_devices(struct pod_refusal *out, const struct pod *p)
{
    for (size_t i = 0; i < p->n_containers; i++)
        if (pod_spec(&p->containers[i])->n_volume_devices)
            return no(out, "VolumeDevicesNotSupported", "container \"%s\": volumeDevices: this "
                      "node has no block volumes", p->containers[i].name);
    return true;
}

static bool check_apparmor(struct pod_refusal *out, const struct pod *p)
{
    const struct pod_security_context_view *ps = p->view->spec.security_context;

    for (size_t i = 0; i < p->n_containers; i++) {
        const struct security_context_view *c = pod_spec(&p->containers[i])->security_context;
        const struct app_armor_profile_view *a = c && c->app_armor_profile ? c->app_armor_profile
                                                 : ps ? ps->app_armor_profile : NULL;

        if (a && str_eq(a->type, "Localhost") && access("/sys/kernel/security/apparmor", F_OK) < 0)
            return no(out, "AppArmor", "Cannot enforce AppArmor: %s",
                      "AppArmor is not enabled on the host");
    }
    return true;
}

static const char *const safe_sysctls[] = {
    "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range", "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ip_local_reserved_ports", "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl", "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem",
};

static bool is_safe(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(safe_sysctls); i++)
        if (str_eq(name, safe_sysctls[i]))
            return true;
    return false;
}

static bool check_sysctls(struct pod_refusal *out, const struct pod *p)
{
    const struct pod_security_context_view *s = p->view->spec.security_context;

    for (unsigned i = 0; s && i < s->n_sysctls; i++) {
        const char *name = s->sysctls[i].name;

        if (!is_safe(name))
            return no(out, "SysctlForbidden", "forbidden sysctl: \"%s\" not allowlisted", name);
        if (p->view->spec.host_network && str_starts(name, "net."))
            return no(out, "SysctlForbidden", "forbidden sysctl: \"%s\" not allowed with host net "
                      "enabled", name);
        if (p->view->spec.host_ipc && str_starts(name, "kernel."))
            return no(out, "SysctlForbidden", "forbidden sysctl: \"%s\" not allowed with host ipc "
                      "enabled", name);
    }
    return true;
}

static bool check_containers(struct pod_refusal *out, const struct pod *p)
{
    return p->n_containers <= POD_CONTAINERS_MAX ||
           no(out, "TooManyContainers", "more than %s containers", "60");
}

/* --- room */

static bool check_labels(struct pod_refusal *out, const struct pod *p)
{
    struct object *node = p->self->node_object ? node_object_get(p->self->node_object) : NULL;
    const struct view_map *want = &p->view->spec.node_selector;

    for (unsigned i = 0; node && i < want->n; i++)
        if (!str_eq(object_label(node, want->v[i].key), want->v[i].value))
            return no(out, "NodeAffinity", "Predicate NodeAffinity failed: node(s) didn't match "
                      "Pod's node affinity/selector%s", "");
    return true;
}

static bool is_live(const struct pod *p)
{
    return p->sm.now < POD_DONE && !p->final;
}

static int64_t amount(const struct view_map *m, const char *key)
{
    const char *text = view_map_get(m, key);
    int64_t v = 0;

    return text && quantity_milli(text, &v, NULL) == 0 ? v : 0;
}

static int64_t request(const struct pod *p, const char *key)
{
    const struct pod_spec_view *s = &p->view->spec;
    int64_t side = 0, most = 0, one;

    for (unsigned i = 0; i < s->n_init_containers; i++) {
        one = side + amount(&s->init_containers[i].resources.requests, key);
        if (str_eq(s->init_containers[i].restart_policy, "Always"))
            side = one;
        most = one > most ? one : most;
    }
    one = side;
    for (unsigned i = 0; i < s->n_containers; i++)
        one += amount(&s->containers[i].resources.requests, key);
    return (one > most ? one : most) + amount(&s->overhead, key);
}

static bool check_room(struct pod_refusal *out, const struct pod *p)
{
    const struct node_self *self = p->self;
    const struct { const char *key, *reason; int64_t have; } all[] = {
        { "cpu", "OutOfcpu", self->allocatable.milli_cpu },
        { "memory", "OutOfmemory", self->allocatable.memory_bytes * 1000 },
        { "ephemeral-storage", "OutOfephemeral-storage", self->allocatable.storage_bytes * 1000 },
    };
    size_t at = 0, pods = 0;
    struct pod *o;

    for (at = 0; (o = podset_next(self->pods, &at)) != NULL;)
        pods += is_live(o);
    if (pods > self->conf->pods_max)
        return no(out, "OutOfpods", "Node didn't have enough resource: %s", "pods");
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        int64_t used = 0, want = request(p, all[i].key);

        for (at = 0; want > 0 && (o = podset_next(self->pods, &at)) != NULL;)
            used += o != p && is_live(o) ? request(o, all[i].key) : 0;
        if (want > 0 && all[i].have > 0 && used + want > all[i].have) {
            out->reason = all[i].reason;
            snprintf(out->message, sizeof(out->message), "Node didn't have enough resource: %s, "
                     "requested: %" PRId64 ", used: %" PRId64 ", capacity: %" PRId64, all[i].key,
                     i ? want / 1000 : want, i ? used / 1000 : used,
                     i ? all[i].have / 1000 : all[i].have);
            return false;
        }
    }
    return true;
}

/* A host port that a live pod has: on the same address, or on all of them. */
static bool is_taken(const struct pod *o, const struct container_port_view *want)
{
    for (size_t c = 0; c < o->n_containers; c++) {
        const struct container_view *v = pod_spec(&o->containers[c]);

        for (unsigned i = 0; i < v->n_ports; i++) {
            const struct container_port_view *have = &v->ports[i];
            bool all = str_empty(have->host_ip) || str_eq(have->host_ip, "0.0.0.0") ||
                       str_empty(want->host_ip) || str_eq(want->host_ip, "0.0.0.0");

            if (have->host_port == want->host_port && str_eq(have->protocol, want->protocol) &&
                (all || str_eq(have->host_ip, want->host_ip)))
                return true;
        }
    }
    return false;
}

static bool check_ports(struct pod_refusal *out, const struct pod *p)
{
    struct pod *o;

    for (size_t c = 0; c < p->n_containers; c++) {
        const struct container_view *v = pod_spec(&p->containers[c]);

        for (unsigned i = 0; i < v->n_ports; i++)
            for (size_t at = 0; v->ports[i].host_port && (o = podset_next(p->self->pods, &at));)
                if (o != p && is_live(o) && !pod_is_stopping(o) && is_taken(o, &v->ports[i]))
                    return no(out, "NodePorts", "Predicate NodePorts failed: node(s) didn't have "
                              "free ports for the requested pod ports%s", "");
    }
    return true;
}

static bool (*const checks[])(struct pod_refusal *, const struct pod *) = {
    check_os, check_host_users, check_runtime_class, check_claims, check_devices, check_apparmor,
    check_sysctls, check_containers, check_labels, check_ports,
    check_room,
};

bool pod_admit(struct pod_refusal *out, const struct pod *p)
{
    for (size_t i = 0; i < ARRAY_LEN(checks); i++)
        if (!checks[i](out, p))
            return false;
    return true;
}
