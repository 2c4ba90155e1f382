/* nodecidr.c: every node has its own part of the cluster's pod network.
 *
 * Which parts are taken is kept here, and counted from the moment one is given: two nodes that come
 * at once never get the same.
 */
#include "core/control/control_impl.h"

#include <stdio.h>

#include "core/base/map.h"
#include "gen/views.h"



struct state {
    uint32_t base;                       /* the first address of the cluster's network */
    uint32_t n_parts;
    uint32_t next;                       /* where the search for a free part begins */
    struct map *given;                   /* "10.42.1.0/24" -> char *: name of the node */
    struct map *of;                      /* and back */
};

/* "a.b.c.d/n"; -1 when it is none. */
static int parse_net(const char *text, uint32_t *address, unsigned *prefix)
{
    unsigned a, b, c, d, n;
    char end;

    if (sscanf(text, "%u.%u.%u.%u/%u%c", &a, &b, &c, &d, &n, &end) != 5 || a > 255 || b > 255 ||
        c > 255 || d > 255 || n > 32)
        return -1;
    *address = a << 24 | b << 16 | c << 8 | d;
    *prefix = n;
    return 0;
}

static void part_text(const struct state *s, uint32_t i, char out[32])
{
    uint32_t at = s->base + (i << (32 - CONTROL_NODE_PREFIX));

    snprintf(out, 32, "%u.%u.%u.%u/%d", at >> 24, at >> 16 & 255, at >> 8 & 255, at & 255,
             CONTROL_NODE_PREFIX);
}

static void release(struct state *s, const char *node)
{
    char *cidr = map_del(s->of, node);

    if (!cidr)
        return;
    mem_free(map_del(s->given, cidr));
    mem_free(cidr);
}

static void reserve(struct state *s, const char *node, const char *cidr)
{
    release(s, node);
    mem_free(map_put(s->given, cidr, mem_strdup(node)));
    mem_free(map_put(s->of, node, mem_strdup(cidr)));
}

/* --- keys */

static void on_node(struct controller *c, struct object *before, struct object *after)
{
    struct state *s = c->state;
    const char *cidr = after ? node_view(after)->spec.pod_cidr : "";

    if (!s->n_parts)
        return;
    if (!after)
        release(s, object_name(before));
    else if (str_empty(cidr))
        control_enqueue_object(c, after);
    else if (!map_get(s->given, cidr))
        reserve(s, object_name(after), cidr);
}

/* --- the pass */

/* What was given to this node before stays its own: the answer may have been lost, and the write
 * not. */
static const char *part_for(struct state *s, const char *node)
{
    const char *kept = map_get(s->of, node);
    char text[32];

    for (uint32_t i = 0; !kept && i < s->n_parts; i++) {
        uint32_t at = (s->next + i) % s->n_parts;

        part_text(s, at, text);
        if (map_get(s->given, text))
            continue;
        reserve(s, node, text);
        s->next = at;
        kept = map_get(s->of, node);
    }
    return kept;
}

static void on_given(struct pass *p, const struct client_result *r, void *arg)
{
    (void)arg;
    if (!client_ok(r) && r->code != 404)
        control_fail(p);
}

static void reconcile(struct pass *p)
{
    struct state *s = p->c->state;
    struct object *node = control_get(p, kind_node());
    struct json *patch, *spec, *meta;
    const char *cidr;

    if (!node || !str_empty(node_view(node)->spec.pod_cidr))
        return;
    cidr = part_for(s, p->name);
    if (!cidr) {
        recorder_warning(p->c->events, node, "CIDRNotAvailable", "Node %s status is now: "
                         "CIDRNotAvailable", p->name);
        control_fail(p);
        return;
    }
    patch = json_object(p->a);
    meta = json_ensure_object(p->a, patch, "metadata");
    json_set(p->a, meta, "resourceVersion", json_fmt(p->a, "%lld", (long long)object_rv(node)));
    spec = json_ensure_object(p->a, patch, "spec");
    json_set_str(p->a, spec, "podCIDR", cidr);
    json_append(p->a, json_ensure_array(p->a, spec, "podCIDRs"), json_str(p->a, cidr));
    control_patch_merge(p, node, patch, on_given, NULL);
}

static int init(struct controller *c, struct err *err)
{
    struct state *s = c->state;
    const char *net = c->control->opts.cluster_cidr;
    unsigned prefix;

    s->given = map_new();
    s->of = map_new();
    if (!net)
        return 0;
    if (parse_net(net, &s->base, &prefix) < 0 || prefix > CONTROL_NODE_PREFIX)
        return err_set(err, ERR_INVALID, "cluster network %s: need an IPv4 network of at least /%d",
                       net, CONTROL_NODE_PREFIX);
    s->base &= prefix ? ~0u << (32 - prefix) : 0;
    s->n_parts = 1u << (CONTROL_NODE_PREFIX - prefix);
    return 0;
}

static void free_text(void *p)
{
    mem_free(p);
}

static void stop(struct controller *c)
{
    struct state *s = c->state;

    map_free(s->given, free_text);
    map_free(s->of, free_text);
}

const struct control_def nodecidr_control = {
    .name = "node-ipam-controller",
    .watches = { { kind_node, on_node } },
    .reconcile = reconcile,
    .state_bytes = sizeof(struct state),
    .running_max = 1,
    .init = init,
    .stop = stop,
};
