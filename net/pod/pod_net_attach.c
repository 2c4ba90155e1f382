/* pod_net_attach.c -- one pod's veth pair: made from the host, set up through a socket that a short
 * child opened inside the pod's namespace. */
#include <ctype.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/fd.h"
#include "core/base/mem.h"
#include "core/base/str.h"
#include "core/loop/child.h"
#include "net/pod/pod_net_int.h"

#define POD_IF "eth0"
#define CHILD_NETNS_FD (IMSG_FD + 1)
#define RUNNING_POLL_MS 1

bool pod_net_is_host_if(const char *name)
{
    if (!str_starts(name, "pod") || strlen(name) != 13)
        return false;
    for (const char *c = name + 3; *c; c++) {
        if (!isdigit((unsigned char)*c) && (*c < 'a' || *c > 'f'))
            return false;
    }
    return true;
}

/* --- the child: enters the namespace it was given, opens a socket there, sends it home */

static int verb_run(struct err *err)
{
    struct imsg go = { 0 };
    _cleanup_fd_ int sock = -1;
    int n = imsg_recv(IMSG_FD, &go, err);

    imsg_deinit(&go);
    if (n <= 0)
        return n < 0 ? -1 : err_set(err, ERR_CANCELED, "the parent is gone");
    if (setns(CHILD_NETNS_FD, CLONE_NEWNET) < 0)
        return err_sys(err, "enter the pod's network namespace");
    sock = netlink_raw(NETLINK_BUS_ROUTE, err);
    if (sock < 0)
        return -1;
    return imsg_send(IMSG_FD, IMSG_USER, NULL, 0, &sock, 1, err);
}

int pod_net_verb_main(int argc, char **argv)
{
    struct err err = ERR_INIT;

    (void)argv;
    if (argc > 2)
        err_set(&err, ERR_INVALID, "%s takes no arguments", POD_NET_VERB);
    else if (verb_run(&err) == 0)
        return 0;
    imsg_send_err(IMSG_FD, &err, NULL);
    return 1;
}

static int socket_inside(struct netlink **out, int netns, const struct pod_net_clock *clock,
                         struct err *err)
{
    struct child_opts opts = { .verb = POD_NET_VERB, .fds = { netns, -1 } };
    struct imsg reply = { 0 };
    int r = child_call(&opts, IMSG_USER, NULL, 0, pod_net_clock_left(clock), &reply, err), fd;

    fd = r < 0 ? -1 : imsg_take_fd(&reply, 0);
    imsg_deinit(&reply);
    if (r < 0)
        return -1;
    if (netlink_adopt(out, fd, err) < 0)
        return err_wrap(err, "socket in the pod's network namespace");
    netlink_set_timeout(*out, pod_net_clock_left(clock));
    return 0;
}

/* --- the parent's side */

static int gone(struct netlink *nl, const char *name, struct err *err)
{
    struct err own = ERR_INIT;

    if (netlink_link_del(nl, name, &own) == 0 || own.code == ERR_NOT_FOUND)
        return 0;
    if (err)
        *err = own;
    return -1;
}

static int make_pair(struct netlink *host, const struct pod_net_lease *lease, uint32_t addr,
                     int netns, struct err *err)
{
    struct netlink_link_change change = NETLINK_LINK_CHANGE_INIT;
    struct netlink_link bridge, link;
    uint8_t mac[6] = { 0x0a, 0x58 };
    struct netlink_veth veth = { .name = lease->host_if, .peer = POD_IF, .peer_netns = netns,
                                 .peer_mac = mac };

    for (int i = 0; i < 4; i++)
        mac[2 + i] = (uint8_t)(addr >> (24 - 8 * i));
    if (netlink_link_get(host, POD_NET_BRIDGE, &bridge, err) < 0)
        return err_wrap(err, "the pod network is not up");
    veth.mtu = bridge.mtu;
    change.up = 1;
    change.master = bridge.index;
    change.hairpin = 1;
    change.alias = lease->uid;
    if (gone(host, lease->host_if, err) < 0 || netlink_link_add_veth(host, &veth, err) < 0 ||
        netlink_link_get(host, lease->host_if, &link, err) < 0 ||
        netlink_link_set(host, link.index, &change, err) < 0 ||
        netlink_neigh_del(host, &(struct netlink_neigh){ bridge.index, .addr = addr }, err) < 0)
        return -1;
    return 0;
}

static int set_up_inside(struct netlink *pod, const struct pod_net_lease *lease, uint32_t addr,
                         struct err *err)
{
    struct netlink_link_change up = NETLINK_LINK_CHANGE_INIT;
    struct netlink_link lo, eth;
    struct netlink_route to_gateway = { 0 }, dflt = { 0 };
    struct ip4 own = { addr, lease->prefix };

    up.up = 1;
    if (ip4_parse(&to_gateway.dst, lease->gateway, err) < 0 ||
        netlink_link_get(pod, "lo", &lo, err) < 0 || netlink_link_set(pod, lo.index, &up,
                                                                      err) < 0 ||
        netlink_link_get(pod, POD_IF, &eth, err) < 0 ||
        netlink_addr_add(pod, eth.index, own, true, err) < 0 ||
        netlink_link_set(pod, eth.index, &up, err) < 0)
        return -1;
    to_gateway.index = dflt.index = eth.index;
    dflt.via = to_gateway.dst.addr;
    to_gateway.src = dflt.src = addr;
    if (netlink_route_add(pod, &to_gateway, err) < 0 || netlink_route_add(pod, &dflt, err) < 0)
        return -1;
    return 0;
}

static bool has_addr(struct netlink *pod, int index, uint32_t addr)
{
    _cleanup_(mem_freep) struct ip4 *have = NULL;
    size_t n = 0;
    bool found = false;

    if (netlink_addr_list(pod, index, &have, &n, NULL) < 0)
        return false;
    for (size_t i = 0; i < n; i++)
        found = found || have[i].addr == addr;
    return found;
}

static bool has_default_route(struct netlink *pod, int index, const char *gateway)
{
    _cleanup_(mem_freep) struct netlink_route *have = NULL;
    struct ip4 via;
    size_t n = 0;
    bool found = false;

    if (ip4_parse(&via, gateway, NULL) < 0 || netlink_route_list(pod, 0, &have, &n, NULL) < 0)
        return false;
    for (size_t i = 0; i < n; i++)
        found = found || (have[i].dst.prefix == 0 && have[i].via == via.addr &&
                          have[i].index == index);
    return found;
}

/* After our own restart all is there: left alone, as making it anew would cut the pod off for a
 * moment. A namespace takes its end with it, and that end this one: both are of one pair. */
static bool is_attached(struct netlink *host, struct netlink *pod,
                        const struct pod_net_lease *lease, uint32_t addr)
{
    struct netlink_link bridge, link, eth;

    return netlink_link_get(host, lease->host_if, &link, NULL) == 0 && link.up &&
           strcmp(link.alias, lease->uid) == 0 &&
           netlink_link_get(host, POD_NET_BRIDGE, &bridge, NULL) == 0 &&
           link.master == bridge.index && netlink_link_get(pod, POD_IF, &eth, NULL) == 0 &&
           eth.up && link.peer == eth.index && has_addr(pod, eth.index, addr) &&
           has_default_route(pod, eth.index, lease->gateway);
}

/* The kernel opens the host's end a moment after the pod's is up. A packet before that is lost, and
 * the question for a neighbour, which is the first one, is asked again only a second later. */
static int wait_until_running(struct netlink *host, const char *name,
                              const struct pod_net_clock *clock, struct err *err)
{
    struct netlink_link link;

    for (;;) {
        if (netlink_link_get(host, name, &link, err) < 0)
            return -1;
        if (link.running)
            return 0;
        if (pod_net_clock_left(clock) == 0)
            return err_set(err, ERR_TIMEOUT, "link %s does not come up", name);
        (void)poll(NULL, 0, RUNNING_POLL_MS);
    }
}

int pod_net_attach(const struct pod_net_lease *lease, const char *netns_path, int64_t deadline_ms,
                   struct err *err)
{
    _cleanup_(netlink_freep) struct netlink *host = NULL;
    _cleanup_(netlink_freep) struct netlink *pod = NULL;
    _cleanup_fd_ int netns = open(netns_path, O_RDONLY | O_CLOEXEC);
    struct pod_net_clock clock;
    struct ip4 ip;

    pod_net_clock_start(&clock, deadline_ms);
    if (netns < 0)
        return err_sys(err, "open network namespace %s", netns_path);
    if (ip4_parse(&ip, lease->ip, err) < 0)
        return -1;
    if (socket_inside(&pod, netns, &clock, err) < 0 ||
        pod_net_open(&host, NETLINK_BUS_ROUTE, &clock, err) < 0)
        return err_wrap(err, "network of pod %s", lease->uid);
    if (is_attached(host, pod, lease, ip.addr))
        return 0;
    if (make_pair(host, lease, ip.addr, netns, err) < 0 ||
        set_up_inside(pod, lease, ip.addr, err) < 0 ||
        wait_until_running(host, lease->host_if, &clock, err) < 0 ||
        wait_until_running(host, POD_NET_BRIDGE, &clock, err) < 0)       /* with its first port */
        return err_wrap(err, "network of pod %s", lease->uid);
    return 0;
}

int pod_net_detach(const struct pod_net_lease *lease, int64_t deadline_ms, struct err *err)
{
    _cleanup_(netlink_freep) struct netlink *host = NULL;
    struct pod_net_clock clock;

    pod_net_clock_start(&clock, deadline_ms);
    if (pod_net_open(&host, NETLINK_BUS_ROUTE, &clock, err) < 0 ||
        gone(host, lease->host_if, err) < 0)
        return err_wrap(err, "remove the network of pod %s", lease->uid);
    return 0;
}

int pod_net_sweep(const struct pod_net_lease *leases, unsigned n, int64_t deadline_ms,
                  struct err *err)
{
    _cleanup_(netlink_freep) struct netlink *host = NULL;
    _cleanup_(mem_freep) struct netlink_link *links = NULL;
    struct pod_net_clock clock;
    size_t n_links = 0;
    int swept = 0;

    pod_net_clock_start(&clock, deadline_ms);
    if (pod_net_open(&host, NETLINK_BUS_ROUTE, &clock, err) < 0 ||
        netlink_link_list(host, &links, &n_links, err) < 0)
        return -1;
    for (size_t i = 0; i < n_links; i++) {
        bool wanted = strcmp(links[i].type, "veth") || !pod_net_is_host_if(links[i].name);

        for (unsigned k = 0; !wanted && k < n; k++)
            wanted = strcmp(leases[k].host_if, links[i].name) == 0;
        if (wanted)
            continue;
        if (gone(host, links[i].name, err) < 0)
            return err_wrap(err, "sweep leaked links");
        swept++;
    }
    return swept;
}
