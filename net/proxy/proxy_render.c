/* proxy_render.c -- what table ip inro holds and how it is written.
 *
 * A new connection passes the nat hooks once:
 *
 *   services      (address . protocol . port) -> chain     one element an address and port
 *                 (0.0.0.0 . protocol . port) -> chain     node ports: any local address
 *   chain         "ip-out-3": marks what comes from outside the pods for masquerading, then looks
 *                 (address . protocol . port . random below 3) up in map `endpoints`
 *
 * There is one chain per number of endpoints (and kind), never one per Service; the maps are flat.
 * The name of a chain is KIND-MARK-COUNT[-aSECONDS]:
 *
 *   ip, port      where the key's address comes from: the packet, or 0.0.0.0 for node ports
 *   out           marks packets whose source is no pod (cluster IPs)
 *   all           marks every packet (node ports, external and load balancer addresses)
 *   here          externalTrafficPolicy Local: only this node's endpoints, nothing is marked;
 *                 connections from pods and from the node itself go by map `services-inside` to
 *                 all endpoints
 *   aSECONDS      ClientIP affinity: set `clients` remembers (client . address . protocol . port .
 *                 index); one rule an endpoint looks there first. (A map to the endpoint would take
 *                 one rule, but nft(8) 1.0 dies of listing it.) Endpoints keep their index as long
 *                 as there are not fewer.
 *
 * A batch may come in between two hooks, or between a chain and its map:
 *   - A chain is made in a batch before the one whose elements lead to it: a packet under way goes
 *     by the rules it began with, and in those a chain just made is empty. Some that are no longer
 *     needed stay, as numbers of endpoints come again.
 *   - A connection that finds no endpoint for its random number is taken by a last rule, which
 *     gives it the first one; and what is not found in `services` is looked up again: before Linux
 *     6.17 a lookup beside a batch may miss an element that is there before and after.
 *   - What the rules before rewrote to its own sender is masqueraded by those after: so elements of
 *     `hairpin` stay for one batch more than their endpoint.
 * Without endpoints `no-endpoints` refuses or drops in the filter hooks.
 */
#include "net/proxy/proxy_render.h"

#include <netinet/in.h>
#include <stdio.h>

#include "core/base/check.h"
#include "core/base/map.h"
#include "core/base/mem.h"
#include "core/base/str.h"
#include "net/proxy/proxy.h"
#include "net/proxy/proxy_elems.h"

#define T PROXY_TABLE
#define MARK 0x4000u                 /* to be masqueraded; as other proxies of Kubernetes have it */
#define LOCAL_BASE 0x80000000u           /* index of the first local endpoint in `endpoints` */
#define CLIENTS_MAX 65536
#define PRIORITY_DNAT (-100)
#define PRIORITY_SNAT 100
#define CHAIN_BYTES 40
#define CHAINS_SPARE 32                  /* unused ones that stay */
#define LOOKS 2

enum { MODE_OUT, MODE_ALL, MODE_HERE };
enum { NONE_REJECT = 1, NONE_DROP };

/* data of a verdict element: [0] = node port << 18 | mode << 16 | endpoints, [1] = affinity seconds
 * */
#define CHAIN_DATA(port, mode, n) ((uint32_t)(port) << 18 | (uint32_t)(mode) << 16 | (n))

static const struct nft_set sets[PROXY_SET_MAX] = {
    [PROXY_SERVICES] = { .name = "services", .verdicts = true,
        .key = { NFT_FIELD_IP, NFT_FIELD_PROTO, NFT_FIELD_PORT } },
    [PROXY_INSIDE] = { .name = "services-inside", .verdicts = true,
        .key = { NFT_FIELD_IP, NFT_FIELD_PROTO, NFT_FIELD_PORT } },
    [PROXY_NO_ENDPOINTS] = { .name = "no-endpoints", .verdicts = true,
        .key = { NFT_FIELD_IP, NFT_FIELD_PROTO, NFT_FIELD_PORT } },
    [PROXY_ENDPOINTS] = { .name = "endpoints", .data = { NFT_FIELD_IP, NFT_FIELD_PORT },
        .key = { NFT_FIELD_IP, NFT_FIELD_PROTO, NFT_FIELD_PORT, NFT_FIELD_MARK } },
    [PROXY_HAIRPIN] = { .name = "hairpin", .key = { NFT_FIELD_IP, NFT_FIELD_IP } },
};
static const struct nft_set clients = {
    .name = "clients", .dynamic = true, .size = CLIENTS_MAX,
    .key = { NFT_FIELD_IP, NFT_FIELD_IP, NFT_FIELD_PROTO, NFT_FIELD_PORT, NFT_FIELD_MARK },
};

struct chain { uint32_t data[2]; unsigned refs; bool have; };
struct owned { VEC(struct proxy_entry *) v; bool crowded; };     /* crowded: a claim was refused */

struct proxy_render {
    struct proxy_render_opts opts;
    struct proxy_elems *elems;
    struct map *services;                /* key -> struct owned */
    struct map *chains;                  /* name -> struct chain */
    struct owned leaving, left;          /* hairpins to be released after the next batch, and now */
};

struct proxy_render *proxy_render_new(const struct proxy_render_opts *opts)
{
    struct proxy_render *r = NEW(struct proxy_render);

    r->opts = *opts;
    r->elems = proxy_elems_new();
    r->services = map_new();
    r->chains = map_new();
    return r;
}

static void owned_free(void *p)
{
    struct owned *o = p;

    vec_deinit(&o->v);
    mem_free(o);
}

static void chain_free(void *p)
{
    mem_free(p);
}

struct proxy_render *proxy_render_free(struct proxy_render *r)
{
    if (!r)
        return NULL;
    map_free(r->services, owned_free);
    map_free(r->chains, chain_free);
    vec_deinit(&r->leaving.v);
    vec_deinit(&r->left.v);
    proxy_elems_free(r->elems);
    return mem_free(r);
}

size_t proxy_render_len(const struct proxy_render *r)
{
    return proxy_elems_len(r->elems);
}

/* --- a Service's elements */

static void claim(struct proxy_render *r, struct owned *o, const struct proxy_elem *e)
{
    struct proxy_entry *entry = proxy_elems_claim(r->elems, e);

    if (entry)
        vec_push(&o->v, entry);
    else
        o->crowded = true;
}

struct front { uint32_t ip; uint8_t proto; uint16_t port; uint32_t affinity_s; };

static struct proxy_elem front_elem(const struct front *f, enum proxy_set set)
{
    return (struct proxy_elem){ .set = set, .key = { f->ip, f->proto, f->port } };
}

static void claim_endpoints(struct proxy_render *r, struct owned *o, const struct front *f,
                            const struct svcmap_eps *eps, uint32_t base)
{
    for (unsigned i = 0; i < eps->n; i++) {
        struct proxy_elem e = front_elem(f, PROXY_ENDPOINTS);

        e.key[3] = base + i;
        e.data[0] = eps->v[i].ip;
        e.data[1] = eps->v[i].port;
        claim(r, o, &e);
        if (eps->v[i].local) {
            e = (struct proxy_elem){ .set = PROXY_HAIRPIN, .key = { eps->v[i].ip, eps->v[i].ip } };
            claim(r, o, &e);
        }
    }
}

static void claim_chain(struct proxy_render *r, struct owned *o, const struct front *f,
                        enum proxy_set set, uint32_t chain)
{
    struct proxy_elem e = front_elem(f, set);

    e.data[0] = chain;
    e.data[1] = f->affinity_s;
    claim(r, o, &e);
}

static void claim_none(struct proxy_render *r, struct owned *o, const struct front *f, bool drop)
{
    struct proxy_elem e = front_elem(f, PROXY_NO_ENDPOINTS);

    e.data[0] = drop ? NONE_DROP : NONE_REJECT;
    claim(r, o, &e);
}

static void claim_cluster(struct proxy_render *r, struct owned *o, const struct front *f,
                          const struct svcmap *m, const struct svcmap_port *p)
{
    const struct svcmap_eps *eps = m->internal_local ? &p->local : &p->all;

    if (eps->n == 0) {
        claim_none(r, o, f, p->all.n > 0);
        return;
    }
    claim_chain(r, o, f, PROXY_SERVICES, CHAIN_DATA(0, MODE_OUT, eps->n));
    claim_endpoints(r, o, f, eps, 0);
}

static void claim_external(struct proxy_render *r, struct owned *o, const struct front *f,
                           const struct svcmap *m, const struct svcmap_port *p)
{
    bool node_port = f->ip == 0;

    if (p->all.n == 0) {
        claim_none(r, o, f, false);
        return;
    }
    claim_endpoints(r, o, f, &p->all, 0);
    if (!m->external_local) {
        claim_chain(r, o, f, PROXY_SERVICES, CHAIN_DATA(node_port, MODE_ALL, p->all.n));
        return;
    }
    claim_chain(r, o, f, PROXY_SERVICES, CHAIN_DATA(node_port, MODE_HERE, p->local.n));
    claim_chain(r, o, f, PROXY_INSIDE, CHAIN_DATA(node_port, MODE_OUT, p->all.n));
    claim_endpoints(r, o, f, &p->local, LOCAL_BASE);
    if (p->local.n == 0)
        claim_none(r, o, f, true);
}

static void claim_port(struct proxy_render *r, struct owned *o, const struct svcmap *m,
                       const struct svcmap_port *p)
{
    struct front f = { .proto = p->proto, .port = p->port, .affinity_s = m->affinity_s };

    for (unsigned i = 0; i < m->n_cluster_ips; i++) {
        f.ip = m->cluster_ips[i];
        if (f.ip != r->opts.dns_ip)
            claim_cluster(r, o, &f, m, p);
    }
    for (unsigned i = 0; i < m->n_external_ips; i++) {
        f.ip = m->external_ips[i];
        claim_external(r, o, &f, m, p);
    }
    if (p->node_port) {
        f.ip = 0;
        f.port = p->node_port;
        claim_external(r, o, &f, m, p);
    }
}

static void give_up(struct proxy_render *r, struct proxy_entry *e)
{
    if (e->want.set == PROXY_HAIRPIN)
        vec_push(&r->leaving.v, e);
    else
        proxy_elems_release(r->elems, e);
}

/* What was given up before the last batch. */
static void release_left(struct proxy_render *r)
{
    struct owned released = r->left;

    for (size_t i = 0; i < released.v.len; i++)
        proxy_elems_release(r->elems, released.v.v[i]);
    released.v.len = 0;
    r->left = r->leaving;
    r->leaving = released;
}

void proxy_render_set(struct proxy_render *r, const char *key, const struct svcmap *m)
{
    struct owned *before = map_get(r->services, key), *o = NEW(struct owned);

    /* An element that is claimed again with the same data has not changed for the kernel. */
    for (size_t i = 0; before && i < before->v.len; i++)
        give_up(r, before->v.v[i]);
    for (unsigned i = 0; m && i < m->n_ports; i++)
        claim_port(r, o, m, &m->ports[i]);
    map_del(r->services, key);
    if (before)
        owned_free(before);
    if (o->v.len > 0 || o->crowded)
        map_put(r->services, key, o);
    else
        owned_free(o);
}

const char *proxy_render_next_crowded(const struct proxy_render *r, size_t *at)
{
    const char *key;
    void *value;

    while (map_next(r->services, at, &key, &value)) {
        if (((struct owned *)value)->crowded)
            return key;
    }
    return NULL;
}

/* --- writing elements */

static void chain_name(char out[CHAIN_BYTES], const uint32_t data[2])
{
    static const char *const modes[] = { "out", "all", "here" };
    int n = snprintf(out, CHAIN_BYTES, "%s-%s-%u", data[0] >> 18 ? "port" : "ip",
                     modes[data[0] >> 16 & 3], data[0] & 0xffff);

    if (data[1])
        snprintf(out + n, (size_t)(CHAIN_BYTES - n), "-a%u", data[1]);
}

static unsigned encode(uint32_t *out, const enum nft_field *fields, unsigned max,
                       const uint32_t *values)
{
    unsigned n = 0;

    for (; n < max && fields[n] != NFT_FIELD_NONE; n++) {
        switch (fields[n]) {
        case NFT_FIELD_IP: out[n] = nft_ip(values[n]); break;
        case NFT_FIELD_PROTO: out[n] = nft_proto((uint8_t)values[n]); break;
        case NFT_FIELD_PORT: out[n] = nft_port((uint16_t)values[n]); break;
        default: out[n] = values[n]; break;
        }
    }
    return n;
}

static void write_elem(struct nft_batch *b, const struct proxy_entry *entry, bool add)
{
    const struct nft_set *set = &sets[entry->want.set];
    uint32_t key[PROXY_KEY_FIELDS], data[2];
    char chain[CHAIN_BYTES];
    struct nft_elem e = { .key = key, .data = data };

    e.key_fields = encode(key, set->key, PROXY_KEY_FIELDS, entry->want.key);
    if (!add) {
        nft_elem_del(b, T, set->name, &e);
        return;
    }
    if (entry->want.set == PROXY_NO_ENDPOINTS) {
        e.verdict = entry->want.data[0] == NONE_DROP ? NFT_V_DROP : NFT_V_GOTO;
        e.chain = "refuse";
    } else if (set->verdicts) {
        chain_name(chain, entry->want.data);
        e.verdict = NFT_V_GOTO;
        e.chain = chain;
    } else {
        e.data_fields = encode(data, set->data, ARRAY_LEN(data), entry->want.data);
    }
    nft_elem_add(b, T, set->name, &e);
}

/* Set by set, so that neighbours share messages. */
static void write_elems(struct proxy_render *r, struct nft_batch *b, bool add)
{
    for (unsigned set = 0; set < PROXY_SET_MAX; set++) {
        for (struct proxy_entry *e = proxy_elems_changed(r->elems); e; e = e->next_changed) {
            if (e->want.set == set && (add ? proxy_entry_new(e) : proxy_entry_gone(e)))
                write_elem(b, e, add);
        }
    }
}

/* --- flows of UDP: they stick to the endpoint they began with, and to none if there was none */

static bool still_there(const struct proxy_render *r, const struct proxy_entry *gone)
{
    uint32_t key[PROXY_KEY_FIELDS];

    memcpy(key, gone->want.key, sizeof(key));
    for (key[3] &= LOCAL_BASE;; key[3]++) {
        const struct proxy_entry *e = proxy_elems_find(r->elems, PROXY_ENDPOINTS, key);

        if (!e || e->claims == 0)
            return false;
        if (memcmp(e->want.data, gone->have_data, sizeof(gone->have_data)) == 0)
            return true;
    }
}

static void collect_flows(struct proxy_render *r, struct proxy_batch *out)
{
    for (struct proxy_entry *e = proxy_elems_changed(r->elems); e; e = e->next_changed) {
        struct netlink_flow f = { .proto = IPPROTO_UDP, .orig_dst = e->want.key[0],
                                  .orig_dport = (uint16_t)e->want.key[2] };

        if (e->want.key[1] != IPPROTO_UDP)
            continue;
        if (e->want.set == PROXY_ENDPOINTS && proxy_entry_gone(e) && !still_there(r, e)) {
            f.reply_src = e->have_data[0];
            f.reply_sport = (uint16_t)e->have_data[1];
            vec_push(&out->flows, f);
        } else if (e->want.set == PROXY_SERVICES && proxy_entry_new(e) && !e->have) {
            f.reply_src = f.orig_dst;            /* went out as it was */
            f.reply_sport = f.orig_dport;
            vec_push(&out->flows, f);
        }
    }
}

/* --- chains per number of endpoints */

static void put_key(struct nft_batch *b, bool node_port, unsigned reg)
{
    if (node_port)
        nft_load_value(b, reg, 0);
    else
        nft_load_payload(b, reg, NFT_IP_DADDR);
    nft_load_info(b, reg + 1, NFT_INFO_L4PROTO);
    nft_load_payload(b, reg + 2, NFT_TH_DPORT);
}

/* The source or destination (by its info) is an address of this host, or is none. */
static void match_local(struct nft_batch *b, enum nft_info type, enum nft_op op)
{
    nft_load_info(b, 0, type);
    nft_cmp(b, 0, op, &(uint32_t){ NFT_ADDRTYPE_LOCAL }, 4);
}

static void put_mark(struct nft_batch *b)
{
    nft_load_info(b, 0, NFT_INFO_MARK);
    nft_bits(b, 0, ~MARK, MARK);
    nft_set_mark(b, 0);
}

/* Registers 0..4 are (client . address . protocol . port . index), the key of `clients`; 1..4 of
 * them are the key of `endpoints`; 5 and 6 take the endpoint. */
struct pick { uint32_t n, base, affinity_s; };

static void put_dnat(struct nft_batch *b)
{
    nft_lookup_map(b, sets[PROXY_ENDPOINTS].name, 1, 5);
    nft_dnat(b, 5, 6);
    nft_rule_end(b);
}

static void put_remembered(struct nft_batch *b, const char *chain, bool node_port, struct pick p)
{
    for (uint32_t i = 0; i < p.n; i++) {
        nft_rule_begin(b, T, chain);
        nft_load_payload(b, 0, NFT_IP_SADDR);
        put_key(b, node_port, 1);
        nft_load_value(b, 4, p.base + i);
        nft_lookup(b, clients.name, 0);
        nft_update(b, clients.name, 0, p.affinity_s);
        put_dnat(b);
    }
}

static void put_pick(struct nft_batch *b, const char *chain, bool node_port, struct pick p)
{
    nft_rule_begin(b, T, chain);
    if (p.affinity_s)
        nft_load_payload(b, 0, NFT_IP_SADDR);
    put_key(b, node_port, 1);
    if (p.n > 1)
        nft_load_random(b, 4, p.n, p.base);
    else
        nft_load_value(b, 4, p.base);
    if (p.affinity_s)
        nft_update(b, clients.name, 0, p.affinity_s);
    put_dnat(b);
}

/* Connections from pods and from the node itself leave for `services-inside`. */
static void put_insiders(struct nft_batch *b, const struct proxy_render *r, const char *chain,
                         bool node_port)
{
    nft_rule_begin(b, T, chain);
    nft_match_net(b, NFT_IP_SADDR, NFT_EQ, r->opts.cluster);
    put_key(b, node_port, 0);
    nft_lookup_verdict(b, sets[PROXY_INSIDE].name, 0);
    nft_rule_end(b);
    nft_rule_begin(b, T, chain);
    match_local(b, NFT_INFO_SADDR_TYPE, NFT_EQ);
    put_key(b, node_port, 0);
    nft_lookup_verdict(b, sets[PROXY_INSIDE].name, 0);
    nft_rule_end(b);
}

static void put_chain(struct nft_batch *b, const struct proxy_render *r, const char *name,
                      const uint32_t data[2])
{
    bool node_port = data[0] >> 18;
    uint32_t mode = data[0] >> 16 & 3, n = data[0] & 0xffff;
    uint32_t base = mode == MODE_HERE ? LOCAL_BASE : 0;

    if (mode == MODE_HERE)
        put_insiders(b, r, name, node_port);
    if (mode != MODE_HERE) {
        nft_rule_begin(b, T, name);
        if (mode == MODE_OUT)
            nft_match_net(b, NFT_IP_SADDR, NFT_NE, r->opts.cluster);
        put_mark(b);
        nft_rule_end(b);
    }
    if (n == 0)
        return;
    if (data[1])
        put_remembered(b, name, node_port, (struct pick){ n, base, data[1] });
    put_pick(b, name, node_port, (struct pick){ n, base, data[1] });
    /* when that one missed, or `clients` is full */
    put_pick(b, name, node_port, (struct pick){ 1, base, 0 });
}

/* The chains that verdicts of these entries need, before and after. */
static void count_chains(struct proxy_render *r)
{
    char name[CHAIN_BYTES];

    for (struct proxy_entry *e = proxy_elems_changed(r->elems); e; e = e->next_changed) {
        struct chain *c;

        if (e->want.set != PROXY_SERVICES && e->want.set != PROXY_INSIDE)
            continue;
        if (proxy_entry_gone(e)) {
            chain_name(name, e->have_data);
            c = map_get(r->chains, name);
            check(c && c->refs > 0);
            c->refs--;
        }
        if (!proxy_entry_new(e))
            continue;
        chain_name(name, e->want.data);
        c = map_get(r->chains, name);
        if (!c) {
            c = NEW(struct chain);
            memcpy(c->data, e->want.data, sizeof(c->data));
            map_put(r->chains, name, c);
        }
        c->refs++;
    }
}

/* Those that are needed and not there yet, or all that are needed. */
static void put_chains(struct proxy_render *r, struct nft_batch *b, bool all)
{
    const char *name;
    void *value;

    for (size_t at = 0; map_next(r->chains, &at, &name, &value);) {
        struct chain *c = value;

        if (c->refs == 0 || (c->have && !all))
            continue;
        nft_chain_add(b, T, name, NULL);
        put_chain(b, r, name, c->data);
        c->have = true;
    }
}

static void drop_chains(struct proxy_render *r, struct nft_batch *b)
{
    unsigned unused = 0;
    const char *name;
    void *value;

    for (size_t at = 0; map_next(r->chains, &at, &name, &value);)
        unused += ((struct chain *)value)->refs == 0;
    if (unused <= CHAINS_SPARE)
        return;
    for (size_t at = 0; map_next(r->chains, &at, &name, &value);) {
        struct chain *c = value;

        if (c->refs > 0)
            continue;
        if (c->have)
            nft_chain_del(b, T, name);
        mem_free(map_del(r->chains, name));
    }
}

/* --- the frame */

static void put_dispatch(struct nft_batch *b, const char *chain, enum nft_hook_num num)
{
    nft_chain_add(b, T, chain, &(struct nft_hook){ "nat", num, PRIORITY_DNAT });
    for (int i = 0; i < LOOKS; i++) {
        nft_rule_begin(b, T, chain);
        put_key(b, false, 0);
        nft_lookup_verdict(b, sets[PROXY_SERVICES].name, 0);
        nft_rule_end(b);
        nft_rule_begin(b, T, chain);
        match_local(b, NFT_INFO_DADDR_TYPE, NFT_EQ);
        put_key(b, true, 0);
        nft_lookup_verdict(b, sets[PROXY_SERVICES].name, 0);
        nft_rule_end(b);
    }
}

static void put_masquerade(struct nft_batch *b)
{
    nft_chain_add(b, T, "masquerade",
                  &(struct nft_hook){ "nat", NFT_HOOK_POSTROUTING, PRIORITY_SNAT - 1 });
    nft_rule_begin(b, T, "masquerade");
    nft_match_bit(b, NFT_INFO_MARK, MARK);
    nft_load_info(b, 0, NFT_INFO_MARK);
    nft_bits(b, 0, ~MARK, 0);
    nft_set_mark(b, 0);
    nft_masquerade(b);
    nft_rule_end(b);
    nft_rule_begin(b, T, "masquerade");          /* a pod that meets itself behind its Service */
    nft_match_bit(b, NFT_INFO_CT_STATUS, NFT_STATUS_DNAT);
    nft_load_payload(b, 0, NFT_IP_SADDR);
    nft_load_payload(b, 1, NFT_IP_DADDR);
    nft_lookup(b, sets[PROXY_HAIRPIN].name, 0);
    nft_masquerade(b);
    nft_rule_end(b);
}

static void put_refuse(struct nft_batch *b)
{
    nft_chain_add(b, T, "refuse", NULL);
    nft_rule_begin(b, T, "refuse");
    nft_match_l4proto(b, NFT_EQ, IPPROTO_TCP);
    nft_reject(b, true);
    nft_rule_end(b);
    nft_rule_begin(b, T, "refuse");
    nft_reject(b, false);
    nft_rule_end(b);
}

static void put_filter(struct nft_batch *b, const struct proxy_render *r, const char *chain,
                       enum nft_hook_num num)
{
    nft_chain_add(b, T, chain, &(struct nft_hook){ "filter", num, 0 });
    nft_rule_begin(b, T, chain);
    nft_match_bit(b, NFT_INFO_CT_STATE, NFT_STATE_NEW);
    put_key(b, false, 0);
    nft_lookup_verdict(b, sets[PROXY_NO_ENDPOINTS].name, 0);
    nft_rule_end(b);
    nft_rule_begin(b, T, chain);
    nft_match_bit(b, NFT_INFO_CT_STATE, NFT_STATE_NEW);
    match_local(b, NFT_INFO_DADDR_TYPE, NFT_EQ);
    put_key(b, true, 0);
    nft_lookup_verdict(b, sets[PROXY_NO_ENDPOINTS].name, 0);
    nft_rule_end(b);
    if (num == NFT_HOOK_INPUT)
        return;
    nft_rule_begin(b, T, chain);                 /* still going to a cluster IP: nobody has it */
    nft_match_net(b, NFT_IP_DADDR, NFT_EQ, r->opts.service);
    nft_match_bit(b, NFT_INFO_CT_STATE, NFT_STATE_NEW);
    match_local(b, NFT_INFO_DADDR_TYPE, NFT_NE);
    nft_verdict(b, NFT_V_GOTO, "refuse");
    nft_rule_end(b);
}

/* Into the table of a former run, if there is one. Its chains stay the same objects, so that no
 * packet finds the old ones gone and the new ones not yet there; those of counts that are not
 * needed are left empty. Clients keep their endpoints. */
static void put_frame(struct nft_batch *b, const struct proxy_render *r, bool scratch)
{
    nft_table_add(b, T);
    if (scratch) {
        nft_table_del(b, T);
        nft_table_add(b, T);
    } else {
        nft_table_flush(b, T);
    }
    for (unsigned i = 0; i < PROXY_SET_MAX; i++) {
        nft_set_add(b, T, &sets[i]);
        if (!scratch)
            nft_set_flush(b, T, sets[i].name);
    }
    nft_set_add(b, T, &clients);
    put_refuse(b);
    put_dispatch(b, "services", NFT_HOOK_PREROUTING);
    put_dispatch(b, "services-out", NFT_HOOK_OUTPUT);
    put_masquerade(b);
    put_filter(b, r, "no-endpoints-in", NFT_HOOK_INPUT);
    put_filter(b, r, "no-endpoints-forward", NFT_HOOK_FORWARD);
    put_filter(b, r, "no-endpoints-out", NFT_HOOK_OUTPUT);
}

/* What the rules of chains name, for a batch that comes before the frame. */
static void put_sets(struct nft_batch *b)
{
    nft_table_add(b, T);
    for (unsigned i = 0; i < PROXY_SET_MAX; i++)
        nft_set_add(b, T, &sets[i]);
    nft_set_add(b, T, &clients);
}

static void forget(struct proxy_render *r)
{
    map_free(r->chains, chain_free);
    r->chains = map_new();
    proxy_elems_forget(r->elems);
}

void proxy_render_batch(struct proxy_render *r, enum proxy_extent extent, struct proxy_batch *out)
{
    release_left(r);
    collect_flows(r, out);
    if (extent != PROXY_CHANGED)
        forget(r);
    count_chains(r);
    /* Rules that a chain of a former run has already stand there twice, until the next batch. */
    if (extent == PROXY_ANEW)
        put_sets(out->chains);
    if (extent != PROXY_SCRATCH)
        put_chains(r, out->chains, false);
    if (extent != PROXY_CHANGED) {
        put_frame(out->rules, r, extent == PROXY_SCRATCH);
        put_chains(r, out->rules, true);
    }
    write_elems(r, out->rules, false);
    write_elems(r, out->rules, true);
    drop_chains(r, out->rules);
    proxy_elems_settle(r->elems);
}

void proxy_batch_init(struct proxy_batch *b)
{
    *b = (struct proxy_batch){ .chains = nft_batch_new(), .rules = nft_batch_new() };
}

void proxy_batch_deinit(struct proxy_batch *b)
{
    nft_batch_free(b->chains);
    nft_batch_free(b->rules);
    vec_deinit(&b->flows);
}

bool proxy_batch_empty(const struct proxy_batch *b)
{
    return nft_batch_empty(b->chains) && nft_batch_empty(b->rules);
}
