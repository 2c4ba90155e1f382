/* netlink_conntrack.c -- finds tracked connections by dump and deletes them one by one: old kernels
 * cannot filter by tuple. */
#include <arpa/inet.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include "core/base/mem.h"
#include "core/base/str.h"
#include "core/base/vec.h"
#include "net/netlink/netlink_int.h"

#define TUPLE_BYTES_MAX 128              /* an IPv4 tuple has 52 */

struct tuple { uint8_t proto; uint32_t src, dst; uint16_t sport, dport; };
struct victim { uint16_t len; uint16_t zone; bool has_zone; char orig[TUPLE_BYTES_MAX]; };
struct ct_scan {
    const struct netlink_flow *flows;
    size_t n_flows;
    VEC(struct victim) victims;
};

static void tuple_read(struct tuple *out, const struct nlattr *nest)
{
    const struct nlattr *t[CTA_TUPLE_PROTO + 1], *ip[CTA_IP_V4_DST + 1];
    const struct nlattr *p[CTA_PROTO_DST_PORT + 1];

    *out = (struct tuple){ 0 };
    netlink_attrs(t, CTA_TUPLE_PROTO, mnl_attr_get_payload(nest), mnl_attr_get_payload_len(nest));
    if (!t[CTA_TUPLE_IP] || !t[CTA_TUPLE_PROTO])
        return;
    netlink_attrs(ip, CTA_IP_V4_DST, mnl_attr_get_payload(t[CTA_TUPLE_IP]),
                  mnl_attr_get_payload_len(t[CTA_TUPLE_IP]));
    netlink_attrs(p, CTA_PROTO_DST_PORT, mnl_attr_get_payload(t[CTA_TUPLE_PROTO]),
                  mnl_attr_get_payload_len(t[CTA_TUPLE_PROTO]));
    if (!ip[CTA_IP_V4_SRC] || !ip[CTA_IP_V4_DST] || !p[CTA_PROTO_NUM])
        return;
    out->proto = mnl_attr_get_u8(p[CTA_PROTO_NUM]);
    out->src = ntohl(mnl_attr_get_u32(ip[CTA_IP_V4_SRC]));
    out->dst = ntohl(mnl_attr_get_u32(ip[CTA_IP_V4_DST]));
    if (p[CTA_PROTO_SRC_PORT])
        out->sport = ntohs(mnl_attr_get_u16(p[CTA_PROTO_SRC_PORT]));
    if (p[CTA_PROTO_DST_PORT])
        out->dport = ntohs(mnl_attr_get_u16(p[CTA_PROTO_DST_PORT]));
}

static bool flow_matches(const struct netlink_flow *f, const struct tuple *orig,
                         const struct tuple *reply)
{
    return (!f->proto || f->proto == orig->proto) &&
           (!f->orig_dst || f->orig_dst == orig->dst) &&
           (!f->orig_dport || f->orig_dport == orig->dport) &&
           (!f->reply_src || f->reply_src == reply->src) &&
           (!f->reply_sport || f->reply_sport == reply->sport);
}

static int ct_look(const struct nlmsghdr *nlh, void *ctx, struct err *err)
{
    const struct nlattr *t[CTA_ZONE + 1];
    const struct nfgenmsg *g = mnl_nlmsg_get_payload(nlh);
    size_t len = mnl_nlmsg_get_payload_len(nlh);
    struct ct_scan *s = ctx;
    struct tuple orig, reply;
    struct victim v = { 0 };

    (void)err;
    if (len < sizeof(*g) || g->nfgen_family != AF_INET)
        return 0;
    netlink_attrs(t, CTA_ZONE, mnl_nlmsg_get_payload_offset(nlh, sizeof(*g)), len - sizeof(*g));
    if (!t[CTA_TUPLE_ORIG] || !t[CTA_TUPLE_REPLY] ||
        mnl_attr_get_payload_len(t[CTA_TUPLE_ORIG]) > TUPLE_BYTES_MAX)
        return 0;
    tuple_read(&orig, t[CTA_TUPLE_ORIG]);
    tuple_read(&reply, t[CTA_TUPLE_REPLY]);
    for (size_t i = 0; i < s->n_flows; i++) {
        if (!flow_matches(&s->flows[i], &orig, &reply))
            continue;
        v.len = mnl_attr_get_payload_len(t[CTA_TUPLE_ORIG]);
        memcpy(v.orig, mnl_attr_get_payload(t[CTA_TUPLE_ORIG]), v.len);
        v.has_zone = t[CTA_ZONE] != NULL;
        v.zone = v.has_zone ? mnl_attr_get_u16(t[CTA_ZONE]) : 0;
        vec_push(&s->victims, v);
        break;
    }
    return 0;
}

static void ct_restart(void *ctx)
{
    struct ct_scan *s = ctx;

    s->victims.len = 0;
}

static int ct_del(struct netlink *nl, const struct victim *v, struct err *err)
{
    struct netlink_req r;
    struct nfgenmsg *g;
    struct err own = ERR_INIT;

    netlink_req_init(&r, NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE, 0, sizeof(*g));
    g = r.head;
    g->nfgen_family = AF_INET;
    mnl_attr_put(r.nlh, CTA_TUPLE_ORIG | NLA_F_NESTED, v->len, v->orig);
    if (v->has_zone)
        mnl_attr_put_u16(r.nlh, CTA_ZONE, v->zone);
    if (netlink_ask(nl, &r, "forget a connection", &own) == 0)
        return 1;
    if (own.code == ERR_NOT_FOUND)
        return 0;                        /* it ended by itself */
    if (err)
        *err = own;
    return -1;
}

int netlink_conntrack_del(struct netlink *nl, const struct netlink_flow *flows, size_t n_flows,
                          struct err *err)
{
    struct ct_scan s = { .flows = flows, .n_flows = n_flows };
    struct netlink_each each = { ct_look, ct_restart, &s };
    struct netlink_req r;
    struct nfgenmsg *g;
    int n = 0, one = 0;

    if (n_flows == 0)
        return 0;
    netlink_req_init(&r, NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET, NLM_F_DUMP, sizeof(*g));
    g = r.head;
    g->nfgen_family = AF_INET;
    if (netlink_dump(nl, &r, &each, "list connections", err) < 0)
        one = -1;
    for (size_t i = 0; one >= 0 && i < s.victims.len; i++) {
        one = ct_del(nl, &s.victims.v[i], err);
        n += one > 0;
    }
    vec_deinit(&s.victims);
    return one < 0 ? -1 : n;
}
