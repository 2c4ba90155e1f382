/* pod_net_rules.c -- table ip inro-pod: what pods need whether there are Services or not.
 *
 *   raw         127.0.0.0/8 from anywhere but lo is dropped, since the bridge may route it
 *   host-ports  (address . protocol . port) or, for a local address, (protocol . port) -> a pod
 *   masq        pods' traffic that leaves the cluster goes as the node's own
 *   redirects   the host never tells pods of a shorter way past it
 *
 * The rules are written by pod_net_up, the elements by pod_net_set_ports; each leaves the other's
 * alone.
 */
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "core/base/str.h"
#include "net/pod/pod_net_int.h"

#define T POD_NET_TABLE
#define PRIORITY_RAW (-300)
#define PRIORITY_DNAT (-101)             /* just before the proxy's */
#define PRIORITY_SNAT 100
#define ICMP_REDIRECT_TYPE 5

static const struct nft_set set_ports = {
    .name = "host-ports", .key = { NFT_FIELD_PROTO, NFT_FIELD_PORT },
    .data = { NFT_FIELD_IP, NFT_FIELD_PORT },
};
static const struct nft_set set_ip_ports = {
    .name = "host-ip-ports", .key = { NFT_FIELD_IP, NFT_FIELD_PROTO, NFT_FIELD_PORT },
    .data = { NFT_FIELD_IP, NFT_FIELD_PORT },
};
static const struct nft_set set_hairpin = {      /* a pod that meets itself behind a host port */
    .name = "hairpin", .key = { NFT_FIELD_IP, NFT_FIELD_IP },
};

static void put_frame(struct nft_batch *b)
{
    nft_table_add(b, T);
    nft_set_add(b, T, &set_ports);
    nft_set_add(b, T, &set_ip_ports);
    nft_set_add(b, T, &set_hairpin);
}

static void put_chain(struct nft_batch *b, const char *name, const char *type,
                      enum nft_hook_num num, int32_t priority)
{
    nft_chain_add(b, T, name, &(struct nft_hook){ type, num, priority });
    nft_chain_flush(b, T, name);
}

static void put_host_ports(struct nft_batch *b, const char *chain)
{
    nft_rule_begin(b, T, chain);
    nft_load_payload(b, 0, NFT_IP_DADDR);
    nft_load_info(b, 1, NFT_INFO_L4PROTO);
    nft_load_payload(b, 2, NFT_TH_DPORT);
    nft_lookup_map(b, set_ip_ports.name, 0, 4);
    nft_dnat(b, 4, 5);
    nft_rule_end(b);

    nft_rule_begin(b, T, chain);
    nft_load_info(b, 0, NFT_INFO_DADDR_TYPE);
    nft_cmp(b, 0, NFT_EQ, &(uint32_t){ NFT_ADDRTYPE_LOCAL }, 4);
    nft_load_info(b, 0, NFT_INFO_L4PROTO);
    nft_load_payload(b, 1, NFT_TH_DPORT);
    nft_lookup_map(b, set_ports.name, 0, 4);
    nft_dnat(b, 4, 5);
    nft_rule_end(b);
}

static void put_masquerade(struct nft_batch *b, struct ip4 cluster, struct ip4 pods)
{
    static const struct ip4 loopback = { 0x7f000000, 8 }, multicast = { 0xe0000000, 4 };

    put_chain(b, "masq", "nat", NFT_HOOK_POSTROUTING, PRIORITY_SNAT);
    nft_rule_begin(b, T, "masq");
    nft_match_bit(b, NFT_INFO_CT_STATUS, NFT_STATUS_DNAT);
    nft_load_payload(b, 0, NFT_IP_SADDR);
    nft_load_payload(b, 1, NFT_IP_DADDR);
    nft_lookup(b, set_hairpin.name, 0);
    nft_masquerade(b);
    nft_rule_end(b);

    nft_rule_begin(b, T, "masq");                /* from 127.0.0.1 through a node or host port */
    nft_match_net(b, NFT_IP_SADDR, NFT_EQ, loopback);
    nft_match_ifname(b, NFT_INFO_OIFNAME, NFT_NE, "lo");
    nft_masquerade(b);
    nft_rule_end(b);

    nft_rule_begin(b, T, "masq");
    nft_match_net(b, NFT_IP_SADDR, NFT_EQ, pods);
    nft_match_net(b, NFT_IP_DADDR, NFT_NE, cluster);
    nft_match_net(b, NFT_IP_DADDR, NFT_NE, multicast);
    nft_match_ifname(b, NFT_INFO_OIFNAME, NFT_NE, POD_NET_BRIDGE);
    nft_masquerade(b);
    nft_rule_end(b);
}

static void put_rules(struct nft_batch *b, struct ip4 cluster, struct ip4 pods)
{
    static const struct ip4 loopback = { 0x7f000000, 8 };

    put_frame(b);
    put_chain(b, "raw", "filter", NFT_HOOK_PREROUTING, PRIORITY_RAW);
    nft_rule_begin(b, T, "raw");
    nft_match_ifname(b, NFT_INFO_IIFNAME, NFT_NE, "lo");
    nft_match_net(b, NFT_IP_DADDR, NFT_EQ, loopback);
    nft_verdict(b, NFT_V_DROP, NULL);
    nft_rule_end(b);

    put_chain(b, "host-ports", "nat", NFT_HOOK_PREROUTING, PRIORITY_DNAT);
    put_host_ports(b, "host-ports");
    put_chain(b, "host-ports-out", "nat", NFT_HOOK_OUTPUT, PRIORITY_DNAT);
    put_host_ports(b, "host-ports-out");
    put_masquerade(b, cluster, pods);

    put_chain(b, "redirects", "filter", NFT_HOOK_OUTPUT, 0);
    nft_rule_begin(b, T, "redirects");
    nft_match_l4proto(b, NFT_EQ, IPPROTO_ICMP);
    nft_load_payload(b, 0, NFT_ICMP_TYPE);
    nft_cmp(b, 0, NFT_EQ, &(uint8_t){ ICMP_REDIRECT_TYPE }, 1);
    nft_match_ifname(b, NFT_INFO_OIFNAME, NFT_EQ, POD_NET_BRIDGE);
    nft_verdict(b, NFT_V_DROP, NULL);
    nft_rule_end(b);
}

static int send_batch(struct nft_batch *b, const struct pod_net_clock *clock, struct err *err)
{
    _cleanup_(netlink_freep) struct netlink *nl = NULL;

    return pod_net_open(&nl, NETLINK_BUS_NETFILTER, clock, err) < 0 ? -1 : nft_batch_send(b, nl,
                                                                                          err);
}

int pod_net_rules_up(const struct pod_net_node *node, const struct pod_net_clock *clock,
                     struct err *err)
{
    _cleanup_(nft_batch_freep) struct nft_batch *b = nft_batch_new();
    struct ip4 cluster, pods;

    if (ip4_parse_net(&cluster, node->cluster_cidr, err) < 0 ||
        ip4_parse_net(&pods, node->pod_cidr, err) < 0)
        return -1;
    put_rules(b, cluster, pods);
    return send_batch(b, clock, err);
}

int pod_net_rules_down(const struct pod_net_clock *clock, struct err *err)
{
    _cleanup_(nft_batch_freep) struct nft_batch *b = nft_batch_new();

    nft_table_add(b, T);
    nft_table_del(b, T);
    return send_batch(b, clock, err);
}

/* --- host ports */

static int put_port(struct nft_batch *b, uint32_t pod, const struct pod_net_port *port,
                    struct err *err)
{
    const uint32_t to[] = { nft_ip(pod), nft_port(port->container_port) };
    uint32_t key[3] = { 0, nft_proto(port->protocol), nft_port(port->host_port) };
    struct nft_elem e = { .key = key + 1, .key_fields = 2, .data = to, .data_fields = 2 };
    struct ip4 host;

    if (!port->host_port || !port->container_port)
        return err_set(err, ERR_INVALID, "host port 0");
    if (str_empty(port->host_ip) || str_eq(port->host_ip, "0.0.0.0")) {
        nft_elem_add(b, T, set_ports.name, &e);
        return 0;
    }
    if (ip4_parse(&host, port->host_ip, err) < 0)
        return -1;
    key[0] = nft_ip(host.addr);
    e.key = key;
    e.key_fields = 3;
    nft_elem_add(b, T, set_ip_ports.name, &e);
    return 0;
}

static bool same_port(const struct pod_net_port *a, const struct pod_net_port *b)
{
    bool any_a = str_empty(a->host_ip) || str_eq(a->host_ip, "0.0.0.0");
    bool any_b = str_empty(b->host_ip) || str_eq(b->host_ip, "0.0.0.0");

    return a->host_port == b->host_port && a->protocol == b->protocol &&
           (any_a ? any_b : !any_b && str_eq(a->host_ip, b->host_ip));
}

/* Whether an earlier pod of the list holds this port already; the first one keeps it. */
static bool port_is_taken(const struct pod_net_ports *pods, unsigned pod, unsigned port)
{
    for (unsigned i = 0; i <= pod; i++) {
        for (unsigned k = 0; k < (i == pod ? port : pods[i].n); k++) {
            if (same_port(&pods[i].ports[k], &pods[pod].ports[port]))
                return true;
        }
    }
    return false;
}

int pod_net_set_ports(const struct pod_net_ports *pods, unsigned n, int64_t deadline_ms,
                      struct err *err)
{
    _cleanup_(nft_batch_freep) struct nft_batch *b = nft_batch_new();
    struct pod_net_clock clock;
    struct ip4 ip;

    put_frame(b);
    nft_set_flush(b, T, set_ports.name);
    nft_set_flush(b, T, set_ip_ports.name);
    nft_set_flush(b, T, set_hairpin.name);
    for (unsigned i = 0; i < n; i++) {
        uint32_t self[2];

        if (pods[i].n == 0)
            continue;
        if (pods[i].n > POD_NET_PORTS_MAX)
            return err_set(err, ERR_QUOTA, "pod %s has %u host ports, limit %d", pods[i].lease.uid,
                           pods[i].n, POD_NET_PORTS_MAX);
        if (ip4_parse(&ip, pods[i].lease.ip, err) < 0)
            return -1;
        self[0] = self[1] = nft_ip(ip.addr);
        nft_elem_add(b, T, set_hairpin.name, &(struct nft_elem){ .key = self, .key_fields = 2 });
        for (unsigned k = 0; k < pods[i].n; k++) {
            if (!port_is_taken(pods, i, k) && put_port(b, ip.addr, &pods[i].ports[k], err) < 0)
                return err_wrap(err, "host ports of pod %s", pods[i].lease.uid);
        }
    }
    pod_net_clock_start(&clock, deadline_ms);
    return send_batch(b, &clock, err) < 0 ? err_wrap(err, "host ports") : 0;
}
