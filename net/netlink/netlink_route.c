/* netlink_route.c -- IPv4 addresses, routes of the main table. */
#include <arpa/inet.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <stdio.h>

#include "core/base/mem.h"
#include "core/base/vec.h"
#include "net/netlink/netlink_int.h"

static uint32_t attr_ip(const struct nlattr *a)
{
    return a && mnl_attr_get_payload_len(a) == 4 ? ntohl(mnl_attr_get_u32(a)) : 0;
}

static void addr_req(struct netlink_req *r, uint16_t type, uint16_t flags, int index,
                     struct ip4 addr)
{
    struct ifaddrmsg *ifa;

    netlink_req_init(r, type, flags, sizeof(*ifa));
    ifa = r->head;
    ifa->ifa_family = AF_INET;
    ifa->ifa_prefixlen = addr.prefix;
    ifa->ifa_index = (unsigned)index;
    mnl_attr_put_u32(r->nlh, IFA_LOCAL, htonl(addr.addr));
    mnl_attr_put_u32(r->nlh, IFA_ADDRESS, htonl(addr.addr));
}

int netlink_addr_add(struct netlink *nl, int index, struct ip4 addr, bool no_route,
                     struct err *err)
{
    struct netlink_req r;
    char what[64], text[IP4_TEXT_BYTES];
    struct err own = ERR_INIT;

    addr_req(&r, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, index, addr);
    if (addr.prefix < 31)
        mnl_attr_put_u32(r.nlh, IFA_BROADCAST, htonl(addr.addr | ~ip4_mask(addr.prefix)));
    if (no_route)
        mnl_attr_put_u32(r.nlh, IFA_FLAGS, IFA_F_NOPREFIXROUTE);
    snprintf(what, sizeof(what), "add address %s to link %d", ip4_text(text, addr), index);
    if (netlink_ask(nl, &r, what, &own) == 0 || own.code == ERR_EXISTS)
        return 0;
    if (err)
        *err = own;
    return -1;
}

int netlink_addr_del(struct netlink *nl, int index, struct ip4 addr, struct err *err)
{
    struct netlink_req r;
    char what[64], text[IP4_TEXT_BYTES];

    addr_req(&r, RTM_DELADDR, 0, index, addr);
    snprintf(what, sizeof(what), "delete address %s of link %d", ip4_text(text, addr), index);
    return netlink_ask(nl, &r, what, err);
}

struct addr_list { int index; VEC(struct ip4) v; };

static int addr_list_add(const struct nlmsghdr *nlh, void *ctx, struct err *err)
{
    const struct nlattr *t[IFA_LOCAL + 1];
    const struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(nlh);
    size_t len = mnl_nlmsg_get_payload_len(nlh);
    struct addr_list *l = ctx;

    if (nlh->nlmsg_type != RTM_NEWADDR || len < sizeof(*ifa) || ifa->ifa_family != AF_INET ||
        (l->index && ifa->ifa_index != (unsigned)l->index))
        return 0;
    if (l->v.len >= NETLINK_DUMP_MAX)
        return err_set(err, ERR_QUOTA, "more than %d addresses", NETLINK_DUMP_MAX);
    netlink_attrs(t, IFA_LOCAL, mnl_nlmsg_get_payload_offset(nlh, sizeof(*ifa)),
                  len - sizeof(*ifa));
    vec_push(&l->v, ((struct ip4){ attr_ip(t[IFA_LOCAL]), ifa->ifa_prefixlen }));
    return 0;
}

static void addr_list_restart(void *ctx)
{
    struct addr_list *l = ctx;

    l->v.len = 0;
}

int netlink_addr_list(struct netlink *nl, int index, struct ip4 **out, size_t *out_n,
                      struct err *err)
{
    struct addr_list l = { .index = index };
    struct netlink_each each = { addr_list_add, addr_list_restart, &l };
    struct netlink_req r;
    struct ifaddrmsg *ifa;

    netlink_req_init(&r, RTM_GETADDR, NLM_F_DUMP, sizeof(*ifa));
    ifa = r.head;
    ifa->ifa_family = AF_INET;
    if (netlink_dump(nl, &r, &each, "list addresses", err) < 0) {
        vec_deinit(&l.v);
        return -1;
    }
    *out = l.v.v;
    *out_n = l.v.len;
    return 0;
}

static void route_req(struct netlink_req *r, uint16_t type, uint16_t flags,
                      const struct netlink_route *route)
{
    struct rtmsg *rt;

    netlink_req_init(r, type, flags, sizeof(*rt));
    rt = r->head;
    rt->rtm_family = AF_INET;
    rt->rtm_dst_len = route->dst.prefix;
    rt->rtm_table = RT_TABLE_MAIN;
    rt->rtm_protocol = route->protocol ? route->protocol : RTPROT_BOOT;
    rt->rtm_type = RTN_UNICAST;
    rt->rtm_scope = type == RTM_DELROUTE ? RT_SCOPE_NOWHERE
                  : route->via ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
    if (route->onlink)
        rt->rtm_flags |= RTNH_F_ONLINK;
    if (route->dst.prefix)
        mnl_attr_put_u32(r->nlh, RTA_DST, htonl(route->dst.addr & ip4_mask(route->dst.prefix)));
    if (route->via)
        mnl_attr_put_u32(r->nlh, RTA_GATEWAY, htonl(route->via));
    if (route->src)
        mnl_attr_put_u32(r->nlh, RTA_PREFSRC, htonl(route->src));
    if (route->index)
        mnl_attr_put_u32(r->nlh, RTA_OIF, (uint32_t)route->index);
    if (route->metric)
        mnl_attr_put_u32(r->nlh, RTA_PRIORITY, route->metric);
}

static void route_what(char out[96], const char *verb, const struct netlink_route *route)
{
    char dst[IP4_TEXT_BYTES], via[IP4_TEXT_BYTES];

    snprintf(out, 96, "%s route %s%s%s", verb,
             route->dst.prefix ? ip4_text(dst, route->dst) : "default",
             route->via ? " via " : "", route->via ? ip4_addr_text(via, route->via) : "");
}

int netlink_route_add(struct netlink *nl, const struct netlink_route *route, struct err *err)
{
    struct netlink_req r;
    char what[96];

    route_req(&r, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, route);
    route_what(what, "add", route);
    return netlink_ask(nl, &r, what, err);
}

int netlink_route_del(struct netlink *nl, const struct netlink_route *route, struct err *err)
{
    struct netlink_req r;
    char what[96];

    route_req(&r, RTM_DELROUTE, 0, route);
    route_what(what, "delete", route);
    return netlink_ask(nl, &r, what, err);
}

struct route_list { uint8_t protocol; VEC(struct netlink_route) v; };

static int route_list_add(const struct nlmsghdr *nlh, void *ctx, struct err *err)
{
    const struct nlattr *t[RTA_TABLE + 1];
    const struct rtmsg *rt = mnl_nlmsg_get_payload(nlh);
    size_t len = mnl_nlmsg_get_payload_len(nlh);
    struct route_list *l = ctx;
    struct netlink_route route;

    if (nlh->nlmsg_type != RTM_NEWROUTE || len < sizeof(*rt) || rt->rtm_family != AF_INET ||
        rt->rtm_table != RT_TABLE_MAIN || rt->rtm_type != RTN_UNICAST ||
        (l->protocol && rt->rtm_protocol != l->protocol))
        return 0;
    if (l->v.len >= NETLINK_DUMP_MAX)
        return err_set(err, ERR_QUOTA, "more than %d routes", NETLINK_DUMP_MAX);
    netlink_attrs(t, RTA_TABLE, mnl_nlmsg_get_payload_offset(nlh, sizeof(*rt)), len - sizeof(*rt));
    route = (struct netlink_route){
        .dst = { attr_ip(t[RTA_DST]), rt->rtm_dst_len }, .via = attr_ip(t[RTA_GATEWAY]),
        .src = attr_ip(t[RTA_PREFSRC]), .protocol = rt->rtm_protocol,
        .index = t[RTA_OIF] ? (int)mnl_attr_get_u32(t[RTA_OIF]) : 0,
        .metric = t[RTA_PRIORITY] ? mnl_attr_get_u32(t[RTA_PRIORITY]) : 0,
        .onlink = rt->rtm_flags & RTNH_F_ONLINK,
    };
    vec_push(&l->v, route);
    return 0;
}

static void route_list_restart(void *ctx)
{
    struct route_list *l = ctx;

    l->v.len = 0;
}

int netlink_route_list(struct netlink *nl, uint8_t protocol, struct netlink_route **out,
                       size_t *out_n, struct err *err)
{
    struct route_list l = { .protocol = protocol };
    struct netlink_each each = { route_list_add, route_list_restart, &l };
    struct netlink_req r;
    struct rtmsg *rt;

    netlink_req_init(&r, RTM_GETROUTE, NLM_F_DUMP, sizeof(*rt));
    rt = r.head;
    rt->rtm_family = AF_INET;
    if (netlink_dump(nl, &r, &each, "list routes", err) < 0) {
        vec_deinit(&l.v);
        return -1;
    }
    *out = l.v.v;
    *out_n = l.v.len;
    return 0;
}
