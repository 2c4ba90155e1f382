/* config_host.c -- what a configuration takes from the machine it runs on. */
#include "cmd/config.h"

#include <ctype.h>
#include <unistd.h>

#include "cmd/listen.h"
#include "net/netlink/netlink.h"

static int absolute(struct config *c, const char **path, struct err *err)
{
    char dir[4096];

    if (str_empty(*path) || **path == '/')
        return 0;
    if (!getcwd(dir, sizeof(dir)))
        return err_sys(err, "%s: current directory", *path);
    *path = arena_printf(c->a, "%s/%s", dir, *path);
    return 0;
}

static int host_name(struct config *c, struct err *err)
{
    char name[256] = "";

    if (!str_empty(c->node_name))
        return 0;
    if (gethostname(name, sizeof(name) - 1) < 0)
        return err_sys(err, "host name");
    for (char *p = name; *p; p++)
        *p = (char)tolower((unsigned char)*p);
    if (config_check_node_name(name, err) < 0)
        return err_wrap(err, "the host's name is no node name, use --node-name");
    c->node_name = arena_strdup(c->a, name);
    return 0;
}

/* The link of the default route with the lowest metric; 0: there is none. */
static int default_link(struct netlink *nl, uint32_t *src, struct err *err)
{
    _cleanup_(mem_freep) struct netlink_route *routes = NULL;
    uint32_t best = UINT32_MAX;
    int index = 0;
    size_t n;

    if (netlink_route_list(nl, 0, &routes, &n, err) < 0)
        return -1;
    for (size_t i = 0; i < n; i++) {
        if (routes[i].dst.prefix || !routes[i].index || routes[i].metric >= best)
            continue;
        best = routes[i].metric;
        index = routes[i].index;
        *src = routes[i].src;
    }
    return index;
}

static uint32_t link_address(struct netlink *nl, int index)
{
    _cleanup_(mem_freep) struct ip4 *addrs = NULL;
    size_t n;

    if (netlink_addr_list(nl, index, &addrs, &n, NULL) < 0 || n == 0)
        return 0;
    return addrs[0].addr;
}

/* The first address of a link that is up and neither loopback nor our own bridge and pods'
 * links. */
static uint32_t first_address(struct netlink *nl)
{
    _cleanup_(mem_freep) struct netlink_link *links = NULL;
    uint32_t addr = 0;
    size_t n;

    if (netlink_link_list(nl, &links, &n, NULL) < 0)
        return 0;
    for (size_t i = 0; i < n && !addr; i++)
        if (!links[i].loopback && links[i].up && !str_starts(links[i].name, "inro") &&
            !str_starts(links[i].name, "pod"))
            addr = link_address(nl, links[i].index);
    return addr;
}

static int host_address(struct config *c, struct err *err)
{
    _cleanup_(netlink_freep) struct netlink *nl = NULL;
    char text[IP4_TEXT_BYTES];
    uint32_t addr = 0;
    int index;

    if (!str_empty(c->node_ip))
        return 0;
    if (netlink_open(&nl, NETLINK_BUS_ROUTE, err) < 0)
        return err_wrap(err, "address of this node");
    index = default_link(nl, &addr, NULL);
    if (!addr && index > 0)
        addr = link_address(nl, index);
    if (!addr)
        addr = first_address(nl);
    c->node_ip = arena_strdup(c->a, addr ? ip4_addr_text(text, addr) : "127.0.0.1");
    return 0;
}

/* Pods cannot reach a loopback address. A node without any other has one that they can: the name
 * server's, on a link of its own. */
static const char *advertised(const struct config *c)
{
    return str_starts(c->node_ip, "127.") && !c->disable_agent ? c->cluster_dns : c->node_ip;
}

const char *config_api_url(const struct config *c)
{
    size_t len = strlen(c->server);

    if (!len)
        return arena_printf(c->a, "https://%s:%d", listen_local(c->bind_address),
                            (int)c->https_listen_port);
    return arena_strndup(c->a, c->server, c->server[len - 1] == '/' ? len - 1 : len);
}

int config_derive(struct config *c, struct err *err)
{
    const char **paths[] = { &c->data_dir, &c->run_dir, &c->write_kubeconfig, &c->resolv_conf,
                             &c->private_registry };

    for (size_t i = 0; i < ARRAY_LEN(paths); i++)
        if (absolute(c, paths[i], err) < 0)
            return -1;
    if (host_name(c, err) < 0 || host_address(c, err) < 0)
        return -1;
    if (str_empty(c->advertise_address))
        c->advertise_address = advertised(c);
    return 0;
}
