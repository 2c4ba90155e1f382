/* pod_net.c -- leases: which pod has which address, kept in a small text file.
 *
 * One line a lease: "10.42.0.5/24 10.42.0.1 UID". The file is written anew with each change; it
 * lives on a tmpfs, since a reboot ends every lease.
 */
#include "net/pod/pod_net.h"

#include <fcntl.h>
#include <stdio.h>

#include "core/base/check.h"
#include "core/base/fd.h"
#include "core/base/map.h"
#include "core/base/mem.h"
#include "core/base/str.h"
#include "net/pod/pod_ipam.h"

struct pod_net {
    struct ip4 cluster;
    struct pod_ipam ipam;
    char cidr[IP4_TEXT_BYTES];
    char *ledger;
    struct map *leases;                  /* uid -> struct pod_net_lease */
};

/* --- the ledger */

static void host_if(char out[16], const char *uid)
{
    snprintf(out, 16, "pod%010llx", (unsigned long long)(str_hash(uid,
                                                                  strlen(uid)) & 0xffffffffffull));
}

static int ledger_line(struct pod_net *net, struct slice line, struct err *err)
{
    struct slice addr, gateway;
    struct pod_net_lease lease = { 0 };
    struct pod_net_lease *kept;
    struct ip4 ip, gw;
    char text[IP4_TEXT_BYTES];

    if (!slice_split(&line, ' ', &addr) || !slice_split(&line, ' ', &gateway) || line.len == 0 ||
        line.len >= sizeof(lease.uid) || addr.len >= sizeof(text) || gateway.len >= sizeof(text))
        return err_set(err, ERR_CORRUPT, "a line is not \"ADDRESS GATEWAY UID\"");
    memcpy(lease.uid, line.p, line.len);
    memcpy(text, addr.p, addr.len);
    text[addr.len] = 0;
    if (ip4_parse(&ip, text, err) < 0)
        return -1;
    memcpy(text, gateway.p, gateway.len);
    text[gateway.len] = 0;
    if (ip4_parse(&gw, text, err) < 0)
        return -1;
    snprintf(lease.ip, sizeof(lease.ip), "%s", ip4_addr_text(text, ip.addr));
    snprintf(lease.gateway, sizeof(lease.gateway), "%s", ip4_addr_text(text, gw.addr));
    lease.prefix = ip.prefix;
    host_if(lease.host_if, lease.uid);
    if (map_get(net->leases, lease.uid))
        return err_set(err, ERR_CORRUPT, "pod %s has two lines", lease.uid);
    pod_ipam_claim(&net->ipam, ip.addr);
    kept = NEW(struct pod_net_lease);
    *kept = lease;
    map_put(net->leases, lease.uid, kept);
    return 0;
}

static int ledger_read(struct pod_net *net, struct err *err)
{
    _cleanup_buf_ struct buf text = BUF_INIT;
    struct err own = ERR_INIT;
    struct slice rest, line;

    if (fd_read_file(&text, AT_FDCWD, net->ledger, POD_NET_LEDGER_BYTES_MAX, &own) < 0) {
        if (own.code == ERR_NOT_FOUND)
            return 0;
        if (err)
            *err = own;
        return -1;
    }
    rest = (struct slice){ text.p, text.len };
    while (slice_split(&rest, '\n', &line)) {
        if (line.len > 0 && ledger_line(net, line, err) < 0)
            return err_wrap(err, "pod address ledger %s", net->ledger);
    }
    return 0;
}

static int ledger_write(const struct pod_net *net, struct err *err)
{
    _cleanup_buf_ struct buf text = BUF_INIT;
    size_t at = 0;
    void *value;

    while (map_next(net->leases, &at, NULL, &value)) {
        const struct pod_net_lease *l = value;

        buf_fmt(&text, "%s/%u %s %s\n", l->ip, l->prefix, l->gateway, l->uid);
    }
    if (fd_replace_file(AT_FDCWD, net->ledger, (struct slice){ text.p ? text.p : "", text.len },
                        0600, err) < 0)
        return err_wrap(err, "pod address ledger");
    return 0;
}

/* --- life */

int pod_net_new(struct pod_net **out, const struct pod_net_opts *o, struct err *err)
{
    _cleanup_(pod_net_freep) struct pod_net *net = NEW(struct pod_net);
    struct ip4 first;

    check(o->ledger);
    net->leases = map_new();
    net->ledger = mem_strdup(o->ledger);
    if (ip4_parse_net(&net->cluster, o->cluster_cidr ? o->cluster_cidr : POD_NET_CLUSTER_CIDR,
                      err) < 0)
        return err_wrap(err, "cluster CIDR");
    first = net->cluster;
    if (first.prefix < 24)
        first.prefix = 24;
    if (o->pod_cidr && ip4_parse_net(&first, o->pod_cidr, err) < 0)
        return err_wrap(err, "pod CIDR");
    if (pod_ipam_init(&net->ipam, first, err) < 0)
        return -1;
    ip4_text(net->cidr, first);
    if (ledger_read(net, err) < 0)
        return -1;
    *out = TAKE(net);
    return 0;
}

static void lease_free(void *p)
{
    mem_free(p);
}

struct pod_net *pod_net_free(struct pod_net *net)
{
    if (!net)
        return NULL;
    map_free(net->leases, lease_free);
    mem_free(net->ledger);
    return mem_free(net);
}

int pod_net_set_cidr(struct pod_net *net, const char *pod_cidr, struct err *err)
{
    struct ip4 cidr, ip;
    size_t at = 0;
    void *value;

    if (ip4_parse_net(&cidr, pod_cidr, err) < 0)
        return err_wrap(err, "pod CIDR");
    if (cidr.addr == net->ipam.net.addr && cidr.prefix == net->ipam.net.prefix)
        return 0;
    if (pod_ipam_init(&net->ipam, cidr, err) < 0)
        return -1;
    ip4_text(net->cidr, cidr);
    while (map_next(net->leases, &at, NULL, &value)) {
        if (ip4_parse(&ip, ((struct pod_net_lease *)value)->ip, NULL) == 0)
            pod_ipam_claim(&net->ipam, ip.addr);
    }
    return 0;
}

const char *pod_net_cidr(const struct pod_net *net)
{
    return net->cidr;
}

/* --- leases */

bool pod_net_find(const struct pod_net *net, const char *uid, struct pod_net_lease *out)
{
    const struct pod_net_lease *l = map_get(net->leases, uid);

    if (l)
        *out = *l;
    return l != NULL;
}

static bool uid_is_good(const char *uid)
{
    return !str_empty(uid) && !strchr(uid, '\n') && strlen(uid) < POD_NET_UID_BYTES;
}

/* The address is marked taken; on failure it is free again. */
static int lease_new(struct pod_net *net, const char *uid, uint32_t addr,
                     struct pod_net_lease *out, struct err *err)
{
    struct pod_net_lease lease = { .prefix = net->ipam.net.prefix }, *kept;
    char text[IP4_TEXT_BYTES];

    str_copy(lease.uid, sizeof(lease.uid), uid, NULL);
    snprintf(lease.ip, sizeof(lease.ip), "%s", ip4_addr_text(text, addr));
    snprintf(lease.gateway, sizeof(lease.gateway), "%s",
             ip4_addr_text(text, pod_ipam_gateway(&net->ipam)));
    host_if(lease.host_if, uid);
    kept = NEW(struct pod_net_lease);
    *kept = lease;
    map_put(net->leases, uid, kept);
    if (ledger_write(net, err) < 0) {
        mem_free(map_del(net->leases, uid));
        pod_ipam_give(&net->ipam, addr);
        return -1;
    }
    *out = lease;
    return 0;
}

int pod_net_reserve(struct pod_net *net, const char *uid, struct pod_net_lease *out,
                    struct err *err)
{
    uint32_t addr;

    if (pod_net_find(net, uid, out))
        return 0;
    if (!uid_is_good(uid))
        return err_set(err, ERR_INVALID, "\"%.80s\" is no pod uid", uid ? uid : "");
    if (pod_ipam_take(&net->ipam, &addr, err) < 0)
        return -1;
    return lease_new(net, uid, addr, out, err);
}

bool pod_net_claim(struct pod_net *net, const char *uid, const char *ip, struct pod_net_lease *out)
{
    struct ip4 addr;

    return uid_is_good(uid) && !map_get(net->leases, uid) && ip4_parse(&addr, ip, NULL) == 0 &&
           addr.prefix == 32 && pod_ipam_claim(&net->ipam, addr.addr) &&
           lease_new(net, uid, addr.addr, out, NULL) == 0;
}

int pod_net_release(struct pod_net *net, const char *uid, struct err *err)
{
    _cleanup_(mem_freep) struct pod_net_lease *l = map_del(net->leases, uid);
    struct ip4 ip;

    if (!l)
        return 0;
    if (ledger_write(net, err) < 0) {
        map_put(net->leases, uid, TAKE(l));
        return -1;
    }
    if (ip4_parse(&ip, l->ip, NULL) == 0)
        pod_ipam_give(&net->ipam, ip.addr);
    return 0;
}

bool pod_net_next(const struct pod_net *net, size_t *at, struct pod_net_lease *out)
{
    void *value;

    if (!map_next(net->leases, at, NULL, &value))
        return false;
    *out = *(struct pod_net_lease *)value;
    return true;
}

int pod_net_node_init(struct pod_net_node *out, const struct pod_net *net, const char *service_cidr,
                      const char *dns_ip, struct err *err)
{
    struct pod_net_node node = { 0 };
    struct ip4 service, dns;

    if (ip4_parse_net(&service, service_cidr ? service_cidr : POD_NET_SERVICE_CIDR, err) < 0)
        return err_wrap(err, "service CIDR");
    ip4_text(node.cluster_cidr, net->cluster);
    ip4_text(node.pod_cidr, net->ipam.net);
    ip4_text(node.service_cidr, service);
    dns_ip = dns_ip ? dns_ip : POD_NET_DNS_IP;
    if (*dns_ip) {
        if (ip4_parse(&dns, dns_ip, err) < 0 || dns.prefix != 32)
            return err_wrap(err, "cluster DNS address");
        str_copy(node.dns_ip, sizeof(node.dns_ip), dns_ip, NULL);
    }
    *out = node;
    return 0;
}

/* --- the other nodes */

static const char *const backends[] = {
    [POD_NET_NONE] = "none", [POD_NET_VXLAN_OVERLAY] = "vxlan", [POD_NET_HOST_GW] = "host-gw",
};

int pod_net_backend_parse(enum pod_net_backend *out, const char *text, struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(backends); i++) {
        if (str_eq(text, backends[i])) {
            *out = (enum pod_net_backend)i;
            return 0;
        }
    }
    return err_set(err, ERR_INVALID, "\"%s\" is none of vxlan, host-gw, none", text);
}

int pod_net_node_reach(struct pod_net_node *node, const char *backend, const char *node_ip,
                       struct err *err)
{
    enum pod_net_backend parsed = POD_NET_VXLAN_OVERLAY;
    struct ip4 ip;

    if (backend && pod_net_backend_parse(&parsed, backend, err) < 0)
        return err_wrap(err, "flannel backend");
    if (ip4_parse(&ip, node_ip, err) < 0 || ip.prefix != 32)
        return err_wrap(err, "node address");
    node->backend = parsed;
    str_copy(node->node_ip, sizeof(node->node_ip), node_ip, NULL);
    return 0;
}
