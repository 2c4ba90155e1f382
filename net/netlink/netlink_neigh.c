/* netlink_neigh.c -- neighbours: which MAC an address has (ARP), and behind which node a MAC is
 * (a vxlan link's forwarding entries). */
#include <arpa/inet.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>

#include "core/base/vec.h"
#include "net/netlink/netlink_int.h"

static void neigh_req(struct netlink_req *r, uint16_t type, uint16_t flags,
                      const struct netlink_neigh *n)
{
    struct ndmsg *nd;

    netlink_req_init(r, type, flags, sizeof(*nd));
    nd = r->head;
    nd->ndm_family = n->fdb ? AF_BRIDGE : AF_INET;
    nd->ndm_ifindex = n->index;
    nd->ndm_state = NUD_PERMANENT;
    nd->ndm_flags = n->fdb ? NTF_SELF : 0;
    mnl_attr_put_u32(r->nlh, NDA_DST, htonl(n->addr));
    if (n->fdb || type == RTM_NEWNEIGH)
        mnl_attr_put(r->nlh, NDA_LLADDR, sizeof(n->mac), n->mac);
}

static void neigh_what(char out[96], const char *verb, const struct netlink_neigh *n)
{
    char text[IP4_TEXT_BYTES];

    snprintf(out, 96, "%s %s entry of %s on link %d", verb, n->fdb ? "forwarding" : "neighbour",
             ip4_addr_text(text, n->addr), n->index);
}

int netlink_neigh_add(struct netlink *nl, const struct netlink_neigh *n, struct err *err)
{
    struct netlink_req r;
    char what[96];

    neigh_req(&r, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, n);
    neigh_what(what, "add", n);
    return netlink_ask(nl, &r, what, err);
}

int netlink_neigh_del(struct netlink *nl, const struct netlink_neigh *n, struct err *err)
{
    struct netlink_req r;
    struct err own = ERR_INIT;
    char what[96];

    neigh_req(&r, RTM_DELNEIGH, 0, n);
    neigh_what(what, "delete", n);
    if (netlink_ask(nl, &r, what, &own) == 0 || own.code == ERR_NOT_FOUND)
        return 0;
    if (err)
        *err = own;
    return -1;
}

struct neigh_list { int index; bool fdb; VEC(struct netlink_neigh) v; };

static int neigh_list_add(const struct nlmsghdr *nlh, void *ctx, struct err *err)
{
    const struct nlattr *t[NDA_LLADDR + 1];
    const struct ndmsg *nd = mnl_nlmsg_get_payload(nlh);
    size_t len = mnl_nlmsg_get_payload_len(nlh);
    struct neigh_list *l = ctx;
    struct netlink_neigh n = { .index = l->index, .fdb = l->fdb };

    if (nlh->nlmsg_type != RTM_NEWNEIGH || len < sizeof(*nd) || nd->ndm_ifindex != l->index ||
        nd->ndm_family != (l->fdb ? AF_BRIDGE : AF_INET) || !(nd->ndm_state & NUD_PERMANENT))
        return 0;
    netlink_attrs(t, NDA_LLADDR, mnl_nlmsg_get_payload_offset(nlh, sizeof(*nd)),
                  len - sizeof(*nd));
    if (!t[NDA_DST] || mnl_attr_get_payload_len(t[NDA_DST]) != 4 || !t[NDA_LLADDR] ||
        mnl_attr_get_payload_len(t[NDA_LLADDR]) != sizeof(n.mac))
        return 0;
    if (l->v.len >= NETLINK_DUMP_MAX)
        return err_set(err, ERR_QUOTA, "more than %d neighbours", NETLINK_DUMP_MAX);
    n.addr = ntohl(mnl_attr_get_u32(t[NDA_DST]));
    memcpy(n.mac, mnl_attr_get_payload(t[NDA_LLADDR]), sizeof(n.mac));
    vec_push(&l->v, n);
    return 0;
}

static void neigh_list_restart(void *ctx)
{
    struct neigh_list *l = ctx;

    l->v.len = 0;
}

int netlink_neigh_list(struct netlink *nl, const struct netlink_neigh *like,
                       struct netlink_neigh **out, size_t *out_n, struct err *err)
{
    struct neigh_list l = { .index = like->index, .fdb = like->fdb };
    struct netlink_each each = { neigh_list_add, neigh_list_restart, &l };
    struct netlink_req r;
    struct ndmsg *nd;

    netlink_req_init(&r, RTM_GETNEIGH, NLM_F_DUMP, sizeof(*nd));
    nd = r.head;
    nd->ndm_family = like->fdb ? AF_BRIDGE : AF_INET;
    if (netlink_dump(nl, &r, &each, "list neighbours", err) < 0) {
        vec_deinit(&l.v);
        return -1;
    }
    *out = l.v.v;
    *out_n = l.v.len;
    return 0;
}
