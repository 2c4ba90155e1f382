/* svcmap.c -- which endpoints a port of a Service has, and in which order. */
#include "net/proxy/svcmap.h"

#include <stdlib.h>

#include "core/base/mem.h"
#include "core/base/str.h"
#include "core/base/vec.h"
#include "net/proxy/proxy.h"

struct svcmap *svcmap_free(struct svcmap *m)
{
    if (!m)
        return NULL;
    for (unsigned i = 0; i < m->n_ports; i++) {
        mem_free(m->ports[i].name);
        mem_free(m->ports[i].all.v);
        mem_free(m->ports[i].local.v);
    }
    mem_free(m->ports);
    mem_free(m->cluster_ips);
    mem_free(m->external_ips);
    return mem_free(m);
}

/* An endpoint of one port with what decides whether it is used. */
struct candidate { struct svcmap_ep ep; bool ready, draining; };
struct candidates { VEC(struct candidate) v; };

static int by_address(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;

    if (x->ep.ip != y->ep.ip)
        return x->ep.ip < y->ep.ip ? -1 : 1;
    if (x->ep.port != y->ep.port)
        return x->ep.port < y->ep.port ? -1 : 1;
    return (int)y->ready - (int)x->ready;
}

/* While an endpoint moves between slices it is in two of them: the better one counts. */
static void gather(struct candidates *out, const struct svcmap_in *in,
                   const struct svcmap_in_port *p)
{
    size_t n = 0;

    for (unsigned s = 0; s < in->n_slices; s++) {
        const struct svcmap_slice *slice = &in->slices[s];

        for (unsigned k = 0; k < slice->n_ports; k++) {
            const struct svcmap_slice_port *sp = &slice->ports[k];

            if (sp->proto != p->proto || !str_eq(sp->name, p->name) || sp->port == 0)
                continue;
            for (unsigned i = 0; i < slice->n_endpoints; i++) {
                const struct svcmap_endpoint *e = &slice->endpoints[i];

                vec_push(&out->v, ((struct candidate){ { e->ip, sp->port, e->local }, e->ready,
                                                       e->serving && e->terminating }));
            }
        }
    }
    if (out->v.len > 1)
        qsort(out->v.v, out->v.len, sizeof(out->v.v[0]), by_address);
    for (size_t i = 0; i < out->v.len; i++) {
        const struct candidate *c = &out->v.v[i];

        if (n == 0 || out->v.v[n - 1].ep.ip != c->ep.ip || out->v.v[n - 1].ep.port != c->ep.port)
            out->v.v[n++] = *c;
    }
    out->v.len = n;
}

/* The ready ones; where there is none, those that still serve while they end. */
static void choose(struct svcmap_eps *out, const struct candidates *all, bool local_only)
{
    bool any_ready = false;

    out->v = mem_alloc_array(all->v.len + 1, sizeof(out->v[0]));
    for (size_t i = 0; i < all->v.len; i++)
        any_ready |= all->v.v[i].ready && (all->v.v[i].ep.local || !local_only);
    for (size_t i = 0; i < all->v.len && out->n < PROXY_ENDPOINTS_MAX; i++) {
        const struct candidate *c = &all->v.v[i];

        if ((c->ep.local || !local_only) && (any_ready ? c->ready : c->draining))
            out->v[out->n++] = c->ep;
    }
}


static int ep_order(const void *a, const void *b)
{
    const struct svcmap_ep *x = a, *y = b;

    if (x->ip != y->ip)
        return x->ip < y->ip ? -1 : 1;
    return (int)x->port - (int)y->port;
}

/* Puts those that were there before back to their places. eps is sorted. */
static void keep_places(struct svcmap_eps *eps, const struct svcmap_eps *before)
{
    _cleanup_(mem_freep) struct svcmap_ep *placed = mem_alloc_array(eps->n + 1, sizeof(*placed));
    _cleanup_(mem_freep) bool *used = mem_alloc_array(eps->n + 1, sizeof(*used));
    _cleanup_(mem_freep) bool *full = mem_alloc_array(eps->n + 1, sizeof(*full));
    unsigned hole = 0;

    for (unsigned i = 0; i < before->n && i < eps->n; i++) {
        const struct svcmap_ep *found = bsearch(&before->v[i], eps->v, eps->n, sizeof(eps->v[0]),
                                                ep_order);

        if (!found || used[found - eps->v])
            continue;
        used[found - eps->v] = full[i] = true;
        placed[i] = *found;
    }
    for (unsigned i = 0; i < eps->n; i++) {
        if (used[i])
            continue;
        while (full[hole])
            hole++;
        full[hole] = true;
        placed[hole] = eps->v[i];
    }
    for (unsigned i = 0; i < eps->n; i++)
        eps->v[i] = placed[i];
}

static const struct svcmap_port *find_port(const struct svcmap *m, const struct svcmap_in_port *p)
{
    for (unsigned i = 0; m && i < m->n_ports; i++) {
        if (m->ports[i].proto == p->proto && m->ports[i].port == p->port &&
            str_eq(m->ports[i].name, p->name))
            return &m->ports[i];
    }
    return NULL;
}

static void make_port(struct svcmap_port *out, const struct svcmap_in *in,
                      const struct svcmap_in_port *p, const struct svcmap *before)
{
    const struct svcmap_port *old = find_port(before, p);
    struct candidates all = { 0 };

    gather(&all, in, p);
    *out = (struct svcmap_port){ .name = mem_strdup(p->name), .proto = p->proto, .port = p->port,
                                 .node_port = p->node_port };
    choose(&out->all, &all, false);
    choose(&out->local, &all, true);
    if (old) {
        keep_places(&out->all, &old->all);
        keep_places(&out->local, &old->local);
    }
    vec_deinit(&all.v);
}

static uint32_t *copy_ips(const uint32_t *ips, unsigned n)
{
    uint32_t *copy = mem_alloc_array(n + 1, sizeof(*copy));

    if (n)
        memcpy(copy, ips, n * sizeof(*copy));
    return copy;
}

struct svcmap *svcmap_new(const struct svcmap_in *in, const struct svcmap *before)
{
    struct svcmap *m = NEW(struct svcmap);

    m->cluster_ips = copy_ips(in->cluster_ips, in->n_cluster_ips);
    m->n_cluster_ips = in->n_cluster_ips;
    m->external_ips = copy_ips(in->external_ips, in->n_external_ips);
    m->n_external_ips = in->n_external_ips;
    m->external_local = in->external_local;
    m->internal_local = in->internal_local;
    m->affinity_s = in->affinity_s;
    m->ports = mem_alloc_array(in->n_ports + 1, sizeof(m->ports[0]));
    m->n_ports = in->n_ports;
    for (unsigned i = 0; i < in->n_ports; i++)
        make_port(&m->ports[i], in, &in->ports[i], before);
    return m;
}
