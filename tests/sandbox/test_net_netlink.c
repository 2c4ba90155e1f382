/* test_net_netlink.c -- links, addresses, routes and batches against the real kernel. */
#include <net/if.h>

#include "core/base/err.h"
#include "core/base/mem.h"
#include "core/base/str.h"
#include "net/netlink/nft.h"
#include "tests/sandbox/net_box.h"

TEST(bridge_and_veth_into_a_namespace)
{
    struct err err = ERR_INIT;
    struct netlink *nl = NULL, *inside = NULL;
    struct netlink_link bridge, veth, eth0;
    struct netlink_link_change change = NETLINK_LINK_CHANGE_INIT;
    struct netlink_veth pair = { .name = "pod1", .peer = "eth0", .mtu = 1400 };
    int pod = net_box_new();

    net_box_here();
    EXPECT_OK(netlink_open(&nl, NETLINK_BUS_ROUTE, &err), &err);
    EXPECT_OK(netlink_link_add(nl, "inro0", "bridge", NULL, &err), &err);
    EXPECT_ERR(netlink_link_add(nl, "inro0", "bridge", NULL, &err), &err, ERR_EXISTS);
    EXPECT_OK(netlink_link_get(nl, "inro0", &bridge, &err), &err);
    EXPECT_STR(bridge.type, "bridge");
    pair.peer_netns = pod;
    EXPECT_OK(netlink_link_add_veth(nl, &pair, &err), &err);
    EXPECT_OK(netlink_link_get(nl, "pod1", &veth, &err), &err);
    change.master = bridge.index;
    change.up = 1;
    change.hairpin = 1;
    change.alias = "default/a";
    EXPECT_OK(netlink_link_set(nl, veth.index, &change, &err), &err);
    EXPECT_OK(netlink_link_get(nl, "pod1", &veth, &err), &err);
    EXPECT_EQ(veth.master, bridge.index);
    EXPECT(veth.up);
    EXPECT_EQ(veth.mtu, 1400);
    EXPECT_STR(veth.type, "veth");
    EXPECT_STR(veth.alias, "default/a");
    EXPECT_EQ(access("/sys/class/net", F_OK), 0);

    net_box_enter(pod);
    EXPECT_OK(netlink_open(&inside, NETLINK_BUS_ROUTE, &err), &err);
    EXPECT_OK(netlink_link_get(inside, "eth0", &eth0, &err), &err);
    EXPECT_EQ(veth.peer, eth0.index);
    EXPECT_EQ(eth0.mtu, 1400);
    EXPECT_OK(netlink_link_del(nl, "pod1", &err), &err);
    EXPECT_ERR(netlink_link_get(inside, "eth0", &eth0, &err), &err, ERR_NOT_FOUND);
    EXPECT_ERR(netlink_link_del(nl, "pod1", &err), &err, ERR_NOT_FOUND);
    netlink_free(inside);
    netlink_free(nl);
}

TEST(addresses_and_routes)
{
    struct err err = ERR_INIT;
    struct netlink *nl = NULL;
    struct netlink_link link;
    struct netlink_link_change up = NETLINK_LINK_CHANGE_INIT;
    struct ip4 addr, *addrs = NULL;
    struct netlink_route route = { .protocol = NETLINK_PROTO_INRO }, *routes = NULL;
    size_t n = 0;

    net_box_here();
    EXPECT_OK(netlink_open(&nl, NETLINK_BUS_ROUTE, &err), &err);
    EXPECT_OK(netlink_link_add(nl, "d0", "bridge", NULL, &err), &err);
    EXPECT_OK(netlink_link_get(nl, "d0", &link, &err), &err);
    up.up = 1;
    EXPECT_OK(netlink_link_set(nl, link.index, &up, &err), &err);
    EXPECT_OK(ip4_parse(&addr, "10.42.0.1/24", &err), &err);
    EXPECT_OK(netlink_addr_add(nl, link.index, addr, true, &err), &err);
    EXPECT_OK(netlink_addr_add(nl, link.index, addr, true, &err), &err);
    EXPECT_OK(netlink_addr_list(nl, link.index, &addrs, &n, &err), &err);
    EXPECT_EQ(n, 1);
    EXPECT_EQ(addrs[0].addr, addr.addr);
    EXPECT_EQ(addrs[0].prefix, 24);
    mem_free(addrs);

    EXPECT_OK(netlink_route_list(nl, 0, &routes, &n, &err), &err);
    EXPECT_EQ(n, 0);                             /* the address came without its route */
    mem_free(routes);
    EXPECT_OK(ip4_parse_net(&route.dst, "10.43.0.0/16", &err), &err);
    route.index = link.index;
    route.src = addr.addr;
    EXPECT_OK(netlink_route_add(nl, &route, &err), &err);
    EXPECT_OK(netlink_route_add(nl, &route, &err), &err);
    EXPECT_OK(netlink_route_list(nl, NETLINK_PROTO_INRO, &routes, &n, &err), &err);
    EXPECT_EQ(n, 1);
    EXPECT_EQ(routes[0].dst.addr, route.dst.addr);
    EXPECT_EQ(routes[0].src, addr.addr);
    EXPECT_EQ(routes[0].index, link.index);
    EXPECT_OK(netlink_route_del(nl, &routes[0], &err), &err);
    EXPECT_ERR(netlink_route_del(nl, &routes[0], &err), &err, ERR_NOT_FOUND);
    mem_free(routes);
    route.via = 0x01020304;
    EXPECT(netlink_route_add(nl, &route, &err) < 0);
    EXPECT(strstr(err.msg, "add route 10.43.0.0/16 via 1.2.3.4"));
    EXPECT_OK(netlink_addr_del(nl, link.index, addr, &err), &err);
    EXPECT_ERR(netlink_addr_del(nl, link.index, addr, &err), &err, ERR_NOT_FOUND);
    netlink_free(nl);
}

/* Options of a link without /proc/sys; the kernel's answer is read there. */
TEST(link_options)
{
    struct err err = ERR_INIT;
    struct netlink *nl = NULL;
    struct netlink_link link;
    char c = 0;
    int fd;

    net_box_here();
    EXPECT_OK(netlink_open(&nl, NETLINK_BUS_ROUTE, &err), &err);
    EXPECT_OK(netlink_link_add(nl, "d0", "bridge", NULL, &err), &err);
    EXPECT_OK(netlink_link_get(nl, "d0", &link, &err), &err);
    EXPECT_OK(netlink_link_conf(nl, link.index, NETLINK_CONF_ROUTE_LOCALNET, 1, &err), &err);
    fd = open("/proc/sys/net/ipv4/conf/d0/route_localnet", O_RDONLY);
    EXPECT_EQ(read(fd, &c, 1), 1);
    EXPECT_EQ(c, '1');
    close(fd);
    EXPECT_OK(netlink_link_conf(nl, link.index, NETLINK_CONF_FORWARDING, 1, &err), &err);
    fd = open("/proc/sys/net/ipv4/conf/d0/forwarding", O_RDONLY);
    EXPECT_EQ(read(fd, &c, 1), 1);
    EXPECT_EQ(c, '1');
    close(fd);
    netlink_free(nl);
}

static void build(struct nft_batch *b)
{
    const uint32_t key[] = { nft_ip(0x0a2b0001), nft_proto(6), nft_port(80) };

    nft_table_add(b, "inro");
    nft_table_del(b, "inro");
    nft_table_add(b, "inro");
    nft_chain_add(b, "inro", "c-1", NULL);
    nft_set_add(b, "inro", &(struct nft_set){
        .name = "svc", .key = { NFT_FIELD_IP, NFT_FIELD_PROTO, NFT_FIELD_PORT },
        .verdicts = true });
    nft_chain_add(b, "inro", "pre", &(struct nft_hook){ "nat", NFT_HOOK_PREROUTING, -100 });
    nft_rule_begin(b, "inro", "pre");
    nft_load_payload(b, 0, NFT_IP_DADDR);
    nft_load_info(b, 1, NFT_INFO_L4PROTO);
    nft_load_payload(b, 2, NFT_TH_DPORT);
    nft_lookup_verdict(b, "svc", 0);
    nft_rule_end(b);
    nft_elem_add(b, "inro", "svc", &(struct nft_elem){
        .key = key, .key_fields = 3, .verdict = NFT_V_GOTO, .chain = "c-1" });
}

TEST(batches_are_all_or_nothing)
{
    struct err err = ERR_INIT;
    struct netlink *nl = NULL;
    struct nft_batch *b = nft_batch_new();
    const uint32_t key[] = { nft_ip(0x0a2b0001), nft_proto(6), nft_port(80) };
    struct nft_elem e = { .key = key, .key_fields = 3 };

    net_box_here();
    EXPECT_OK(netlink_open(&nl, NETLINK_BUS_NETFILTER, &err), &err);
    build(b);
    EXPECT_OK(nft_batch_send(b, nl, &err), &err);
    EXPECT_OK(nft_batch_send(b, nl, &err), &err);        /* replaces itself */
    nft_batch_free(b);

    b = nft_batch_new();
    nft_elem_del(b, "inro", "svc", &e);
    nft_elem_del(b, "inro", "svc", &e);              /* gone already: fails, and undoes the first */
    EXPECT_ERR(nft_batch_send(b, nl, &err), &err, ERR_NOT_FOUND);
    EXPECT(strstr(err.msg, "delete element of inro/svc"));
    nft_batch_free(b);

    b = nft_batch_new();
    nft_elem_del(b, "inro", "svc", &e);
    EXPECT_OK(nft_batch_send(b, nl, &err), &err);
    nft_batch_free(b);

    b = nft_batch_new();
    nft_chain_del(b, "inro", "nosuch");
    EXPECT_ERR(nft_batch_send(b, nl, &err), &err, ERR_NOT_FOUND);
    nft_batch_free(b);
    netlink_free(nl);
}

TEST(a_bad_name_fails_the_batch)
{
    struct err err = ERR_INIT;
    struct netlink *nl = NULL;
    struct nft_batch *b = nft_batch_new();
    char name[NFT_NAME_BYTES + 1];

    net_box_here();
    memset(name, 'a', sizeof(name));
    name[NFT_NAME_BYTES - 1] = 0;
    EXPECT_OK(netlink_open(&nl, NETLINK_BUS_NETFILTER, &err), &err);
    nft_table_add(b, name);
    EXPECT_OK(nft_batch_send(b, nl, &err), &err);
    name[NFT_NAME_BYTES - 1] = 'a';
    name[NFT_NAME_BYTES] = 0;
    nft_table_add(b, name);
    EXPECT_ERR(nft_batch_send(b, nl, &err), &err, ERR_QUOTA);
    nft_batch_free(b);
    netlink_free(nl);
}

/* A chain of a type that the kernel cannot find, as when a module is missing. */
TEST(what_may_be_missing_is_named)
{
    struct err err = ERR_INIT;
    struct netlink *nl = NULL;
    struct nft_batch *b = nft_batch_new();

    net_box_here();
    EXPECT_OK(netlink_open(&nl, NETLINK_BUS_NETFILTER, &err), &err);
    nft_table_add(b, "inro");
    nft_chain_add(b, "inro", "x", &(struct nft_hook){ "nosuch", NFT_HOOK_PREROUTING, 0 });
    EXPECT(nft_batch_send(b, nl, &err) < 0);
    EXPECT(strstr(err.msg, "nftables: add chain inro/x: No such file or directory (gone"));
    EXPECT(strstr(err.msg, "nf_conntrack"));
    nft_batch_free(b);
    netlink_free(nl);
}
