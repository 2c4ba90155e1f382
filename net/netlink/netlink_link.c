/* netlink_link.c -- links: list, make, change, delete. */
#include <arpa/inet.h>
#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <stdio.h>

#include "core/base/check.h"
#include "core/base/mem.h"
#include "core/base/str.h"
#include "core/base/vec.h"
#include "net/netlink/netlink_int.h"

static void copy_text(char *dst, size_t dst_bytes, const struct nlattr *a)
{
    size_t len;

    if (!a)
        return;
    len = strnlen(mnl_attr_get_payload(a), mnl_attr_get_payload_len(a));
    if (len >= dst_bytes)
        len = dst_bytes - 1;
    memcpy(dst, mnl_attr_get_payload(a), len);
    dst[len] = 0;
}

static int attr_int(const struct nlattr *a)
{
    return a && mnl_attr_get_payload_len(a) >= 4 ? (int)mnl_attr_get_u32(a) : 0;
}

static void vxlan_read(struct netlink_vxlan *out, const struct nlattr *data)
{
    const struct nlattr *t[IFLA_VXLAN_PORT + 1];

    if (!data)
        return;
    netlink_attrs(t, ARRAY_LEN(t) - 1, mnl_attr_get_payload(data), mnl_attr_get_payload_len(data));
    out->id = (uint32_t)attr_int(t[IFLA_VXLAN_ID]);
    out->local = ntohl((uint32_t)attr_int(t[IFLA_VXLAN_LOCAL]));
    if (t[IFLA_VXLAN_PORT] && mnl_attr_get_payload_len(t[IFLA_VXLAN_PORT]) >= 2)
        out->port = ntohs(mnl_attr_get_u16(t[IFLA_VXLAN_PORT]));
}

static bool link_read(const struct nlmsghdr *nlh, struct netlink_link *out)
{
    const struct nlattr *t[IFLA_LINKINFO + 3], *info[IFLA_INFO_DATA + 1];
    const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);
    size_t len = mnl_nlmsg_get_payload_len(nlh);

    if (nlh->nlmsg_type != RTM_NEWLINK || len < sizeof(*ifi))
        return false;
    netlink_attrs(t, ARRAY_LEN(t) - 1, mnl_nlmsg_get_payload_offset(nlh, sizeof(*ifi)),
                  len - sizeof(*ifi));
    *out = (struct netlink_link){
        .index = ifi->ifi_index, .master = attr_int(t[IFLA_MASTER]), .peer = attr_int(t[IFLA_LINK]),
        .mtu = (uint32_t)attr_int(t[IFLA_MTU]), .up = ifi->ifi_flags & IFF_UP,
        .running = ifi->ifi_flags & IFF_RUNNING,
        .loopback = ifi->ifi_flags & IFF_LOOPBACK,
    };
    copy_text(out->name, sizeof(out->name), t[IFLA_IFNAME]);
    copy_text(out->alias, sizeof(out->alias), t[IFLA_IFALIAS]);
    if (t[IFLA_ADDRESS] && mnl_attr_get_payload_len(t[IFLA_ADDRESS]) == sizeof(out->mac))
        memcpy(out->mac, mnl_attr_get_payload(t[IFLA_ADDRESS]), sizeof(out->mac));
    if (t[IFLA_LINKINFO]) {
        netlink_attrs(info, ARRAY_LEN(info) - 1, mnl_attr_get_payload(t[IFLA_LINKINFO]),
                      mnl_attr_get_payload_len(t[IFLA_LINKINFO]));
        copy_text(out->type, sizeof(out->type), info[IFLA_INFO_KIND]);
        if (str_eq(out->type, "vxlan"))
            vxlan_read(&out->vxlan, info[IFLA_INFO_DATA]);
    }
    return true;
}

struct link_list { VEC(struct netlink_link) v; };

static int link_list_add(const struct nlmsghdr *nlh, void *ctx, struct err *err)
{
    struct link_list *l = ctx;
    struct netlink_link link;

    if (!link_read(nlh, &link))
        return 0;
    if (l->v.len >= NETLINK_DUMP_MAX)
        return err_set(err, ERR_QUOTA, "more than %d links", NETLINK_DUMP_MAX);
    vec_push(&l->v, link);
    return 0;
}

static void link_list_restart(void *ctx)
{
    struct link_list *l = ctx;

    l->v.len = 0;
}

int netlink_link_list(struct netlink *nl, struct netlink_link **out, size_t *out_n, struct err *err)
{
    struct link_list l = { 0 };
    struct netlink_each each = { link_list_add, link_list_restart, &l };
    struct netlink_req r;

    netlink_req_init(&r, RTM_GETLINK, NLM_F_DUMP, sizeof(struct ifinfomsg));
    if (netlink_dump(nl, &r, &each, "list links", err) < 0) {
        vec_deinit(&l.v);
        return -1;
    }
    *out = l.v.v;
    *out_n = l.v.len;
    return 0;
}

static int put_name(struct nlmsghdr *nlh, uint16_t type, const char *name, struct err *err)
{
    if (str_empty(name) || strlen(name) >= NETLINK_IFNAME_BYTES)
        return err_set(err, ERR_INVALID, "\"%.40s\" is no link name", name ? name : "");
    mnl_attr_put_strz(nlh, type, name);
    return 0;
}

static int link_get_one(const struct nlmsghdr *nlh, void *ctx, struct err *err)
{
    (void)err;
    link_read(nlh, ctx);
    return 0;
}

int netlink_link_get(struct netlink *nl, const char *name, struct netlink_link *out,
                     struct err *err)
{
    struct netlink_link link = { 0 };
    struct netlink_each each = { .on_msg = link_get_one, .ctx = &link };
    struct netlink_req r;
    char what[64];

    netlink_req_init(&r, RTM_GETLINK, 0, sizeof(struct ifinfomsg));
    if (put_name(r.nlh, IFLA_IFNAME, name, err) < 0)
        return -1;
    snprintf(what, sizeof(what), "link %s", name);
    if (netlink_dump(nl, &r, &each, what, err) < 0)
        return -1;
    if (link.index == 0)
        return err_set(err, ERR_NOT_FOUND, "link %s is not there", name);
    *out = link;
    return 0;
}

int netlink_link_add(struct netlink *nl, const char *name, const char *type, const uint8_t mac[6],
                     struct err *err)
{
    struct netlink_req r;
    struct nlattr *info;
    char what[96];

    netlink_req_init(&r, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, sizeof(struct ifinfomsg));
    if (put_name(r.nlh, IFLA_IFNAME, name, err) < 0)
        return -1;
    if (mac)
        mnl_attr_put(r.nlh, IFLA_ADDRESS, 6, mac);
    info = mnl_attr_nest_start(r.nlh, IFLA_LINKINFO);
    mnl_attr_put_strz(r.nlh, IFLA_INFO_KIND, type);
    mnl_attr_nest_end(r.nlh, info);
    snprintf(what, sizeof(what), "add %s %s", type, name);
    return netlink_ask(nl, &r, what, err);
}

int netlink_link_add_vxlan(struct netlink *nl, const char *name, const uint8_t mac[6],
                           const struct netlink_vxlan *vxlan, struct err *err)
{
    struct netlink_req r;
    struct nlattr *info, *data;
    char what[64];

    netlink_req_init(&r, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, sizeof(struct ifinfomsg));
    if (put_name(r.nlh, IFLA_IFNAME, name, err) < 0)
        return -1;
    mnl_attr_put(r.nlh, IFLA_ADDRESS, 6, mac);
    info = mnl_attr_nest_start(r.nlh, IFLA_LINKINFO);
    mnl_attr_put_strz(r.nlh, IFLA_INFO_KIND, "vxlan");
    data = mnl_attr_nest_start(r.nlh, IFLA_INFO_DATA);
    mnl_attr_put_u32(r.nlh, IFLA_VXLAN_ID, vxlan->id);
    mnl_attr_put_u32(r.nlh, IFLA_VXLAN_LOCAL, htonl(vxlan->local));
    mnl_attr_put_u16(r.nlh, IFLA_VXLAN_PORT, htons(vxlan->port));
    mnl_attr_put_u8(r.nlh, IFLA_VXLAN_LEARNING, 0);
    mnl_attr_nest_end(r.nlh, data);
    mnl_attr_nest_end(r.nlh, info);
    snprintf(what, sizeof(what), "add vxlan %s", name);
    return netlink_ask(nl, &r, what, err);
}

/* The other end of the pair, inside IFLA_LINKINFO. */
static int put_peer(struct nlmsghdr *nlh, const struct netlink_veth *v, struct err *err)
{
    struct nlattr *info, *data, *peer;

    info = mnl_attr_nest_start(nlh, IFLA_LINKINFO);
    mnl_attr_put_strz(nlh, IFLA_INFO_KIND, "veth");
    data = mnl_attr_nest_start(nlh, IFLA_INFO_DATA);
    peer = mnl_attr_nest_start(nlh, VETH_INFO_PEER);
    memset(mnl_nlmsg_get_payload_tail(nlh), 0, sizeof(struct ifinfomsg));
    nlh->nlmsg_len += MNL_ALIGN(sizeof(struct ifinfomsg));
    if (put_name(nlh, IFLA_IFNAME, v->peer, err) < 0)
        return -1;
    if (v->peer_netns >= 0)
        mnl_attr_put_u32(nlh, IFLA_NET_NS_FD, (uint32_t)v->peer_netns);
    if (v->peer_mac)
        mnl_attr_put(nlh, IFLA_ADDRESS, 6, v->peer_mac);
    if (v->mtu)
        mnl_attr_put_u32(nlh, IFLA_MTU, v->mtu);
    mnl_attr_nest_end(nlh, peer);
    mnl_attr_nest_end(nlh, data);
    mnl_attr_nest_end(nlh, info);
    return 0;
}

int netlink_link_add_veth(struct netlink *nl, const struct netlink_veth *v, struct err *err)
{
    struct netlink_req r;
    char what[64];

    netlink_req_init(&r, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, sizeof(struct ifinfomsg));
    if (put_name(r.nlh, IFLA_IFNAME, v->name, err) < 0)
        return -1;
    if (v->mtu)
        mnl_attr_put_u32(r.nlh, IFLA_MTU, v->mtu);
    if (put_peer(r.nlh, v, err) < 0)
        return -1;
    snprintf(what, sizeof(what), "add veth pair %s", v->name);
    return netlink_ask(nl, &r, what, err);
}

int netlink_link_del(struct netlink *nl, const char *name, struct err *err)
{
    struct netlink_req r;
    char what[64];

    netlink_req_init(&r, RTM_DELLINK, 0, sizeof(struct ifinfomsg));
    if (put_name(r.nlh, IFLA_IFNAME, name, err) < 0)
        return -1;
    snprintf(what, sizeof(what), "delete link %s", name);
    return netlink_ask(nl, &r, what, err);
}

/* Bridge port settings travel in a message of their own, of family AF_BRIDGE. */
static int link_set_hairpin(struct netlink *nl, int index, bool on, struct err *err)
{
    struct netlink_req r;
    struct ifinfomsg *ifi;
    struct nlattr *info;

    netlink_req_init(&r, RTM_SETLINK, 0, sizeof(*ifi));
    ifi = r.head;
    ifi->ifi_family = AF_BRIDGE;
    ifi->ifi_index = index;
    info = mnl_attr_nest_start(r.nlh, IFLA_PROTINFO | NLA_F_NESTED);
    mnl_attr_put_u8(r.nlh, IFLA_BRPORT_MODE, on);
    mnl_attr_nest_end(r.nlh, info);
    return netlink_ask(nl, &r, "set hairpin mode", err);
}

int netlink_link_set(struct netlink *nl, int index, const struct netlink_link_change *c,
                     struct err *err)
{
    struct netlink_req r;
    struct ifinfomsg *ifi;
    char what[64];

    netlink_req_init(&r, RTM_NEWLINK, 0, sizeof(*ifi));
    ifi = r.head;
    ifi->ifi_index = index;
    if (c->up >= 0) {
        ifi->ifi_change = IFF_UP;
        ifi->ifi_flags = c->up ? IFF_UP : 0;
    }
    if (c->master >= 0)
        mnl_attr_put_u32(r.nlh, IFLA_MASTER, (uint32_t)c->master);
    if (c->mtu >= 0)
        mnl_attr_put_u32(r.nlh, IFLA_MTU, (uint32_t)c->mtu);
    if (c->alias) {
        if (strlen(c->alias) >= sizeof(((struct netlink_link *)0)->alias))
            return err_set(err, ERR_INVALID, "the alias of link %d is too long", index);
        mnl_attr_put_str(r.nlh, IFLA_IFALIAS, c->alias);
    }
    snprintf(what, sizeof(what), "change link %d", index);
    if (netlink_ask(nl, &r, what, err) < 0)
        return -1;
    return c->hairpin < 0 ? 0 : link_set_hairpin(nl, index, c->hairpin, err);
}

int netlink_link_conf(struct netlink *nl, int index, enum netlink_conf conf, uint32_t value,
                      struct err *err)
{
    struct netlink_req r;
    struct ifinfomsg *ifi;
    struct nlattr *spec, *inet, *confs;
    char what[64];

    netlink_req_init(&r, RTM_NEWLINK, 0, sizeof(*ifi));
    ifi = r.head;
    ifi->ifi_index = index;
    spec = mnl_attr_nest_start(r.nlh, IFLA_AF_SPEC);
    inet = mnl_attr_nest_start(r.nlh, AF_INET);
    confs = mnl_attr_nest_start(r.nlh, IFLA_INET_CONF);
    mnl_attr_put_u32(r.nlh, (uint16_t)conf, value);
    mnl_attr_nest_end(r.nlh, confs);
    mnl_attr_nest_end(r.nlh, inet);
    mnl_attr_nest_end(r.nlh, spec);
    snprintf(what, sizeof(what), "set option %d of link %d", (int)conf, index);
    return netlink_ask(nl, &r, what, err);
}
