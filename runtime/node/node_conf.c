/* node_conf.c -- options in, struct node_conf out. */
#include "runtime/node/node_conf.h"

#include "core/base/mem.h"

static const char *const effects[] = { "NoSchedule", "PreferNoSchedule", "NoExecute" };

char **node_conf_copy_list(const char *const *list)
{
    char **copy;
    size_t n = 0;

    if (!list)
        return NULL;
    while (list[n])
        n++;
    copy = mem_alloc_array(n + 1, sizeof(*copy));
    for (size_t i = 0; i < n; i++)
        copy[i] = mem_strdup(list[i]);
    return copy;
}

void node_conf_free_list(char **list)
{
    for (size_t i = 0; list && list[i]; i++)
        mem_free(list[i]);
    mem_free(list);
}

static int check_labels(const char *const *list, struct err *err)
{
    for (size_t i = 0; list && list[i]; i++)
        if (!strchr(list[i], '=') || list[i][0] == '=')
            return err_set(err, ERR_INVALID, "node label \"%s\": must be key=value", list[i]);
    return 0;
}

static int check_taints(const char *const *list, struct err *err)
{
    for (size_t i = 0; list && list[i]; i++) {
        const char *colon = strrchr(list[i], ':');
        bool known = false;

        for (size_t e = 0; colon && e < ARRAY_LEN(effects); e++)
            known |= str_eq(effects[e], colon + 1);
        if (!known || colon == list[i] || list[i][0] == '=')
            return err_set(err, ERR_INVALID, "node taint \"%s\": must be key=value:Effect with "
                           "Effect NoSchedule, PreferNoSchedule or NoExecute", list[i]);
    }
    return 0;
}

static char *text(const char *given, const char *otherwise)
{
    return mem_strdup(given ? given : otherwise);
}

int node_conf_init(struct node_conf *c, const struct node_opts *o, struct err *err)
{
    if (str_empty(o->name) || str_empty(o->ip) || str_empty(o->data_dir) || str_empty(o->run_dir))
        return err_set(err, ERR_INVALID, "node: name, ip, data_dir and run_dir are needed");
    if (check_labels(o->labels, err) < 0 || check_taints(o->taints, err) < 0)
        return -1;
    *c = (struct node_conf){
        .name = mem_strdup(o->name), .ip = mem_strdup(o->ip), .data_dir = mem_strdup(o->data_dir),
        .run_dir = mem_strdup(o->run_dir),
        .cgroup_root = text(o->cgroup_root, CGROUP_ROOT_DEFAULT),
        .cluster_cidr = text(o->cluster_cidr, POD_NET_CLUSTER_CIDR),
        .service_cidr = text(o->service_cidr, POD_NET_SERVICE_CIDR),
        .cluster_dns = text(o->cluster_dns, POD_NET_DNS_IP),
        .cluster_domain = text(o->cluster_domain, NODE_CLUSTER_DOMAIN),
        .resolv_conf = text(o->resolv_conf, NODE_RESOLV_CONF),
        .registries_file = mem_strdup(o->registries_file), .api_host = mem_strdup(o->api_host),
        .flannel_backend = mem_strdup(o->flannel_backend),
        .image_exe = mem_strdup(o->image_exe),
        .labels = node_conf_copy_list(o->labels), .taints = node_conf_copy_list(o->taints),
        .port = o->port ? o->port : NODE_PORT,
        .pods_max = o->pods_max ? o->pods_max : NODE_PODS_MAX,
        .heartbeat_ms = o->heartbeat_ms ? o->heartbeat_ms : NODE_LEASE_MS };
    return 0;
}

void node_conf_deinit(struct node_conf *c)
{
    mem_free(c->name);
    mem_free(c->ip);
    mem_free(c->data_dir);
    mem_free(c->run_dir);
    mem_free(c->cgroup_root);
    mem_free(c->cluster_cidr);
    mem_free(c->service_cidr);
    mem_free(c->cluster_dns);
    mem_free(c->cluster_domain);
    mem_free(c->resolv_conf);
    mem_free(c->registries_file);
    mem_free(c->api_host);
    mem_free(c->flannel_backend);
    mem_free(c->image_exe);
    node_conf_free_list(c->labels);
    node_conf_free_list(c->taints);
    *c = (struct node_conf){ 0 };
}

int node_conf_net(struct pod_net_node *out, const struct node_conf *c, const struct pod_net *net,
                  struct err *err)
{
    struct pod_net_node node;

    if (pod_net_node_init(&node, net, c->service_cidr, c->cluster_dns, err) < 0 ||
        pod_net_node_reach(&node, c->flannel_backend, c->ip, err) < 0)
        return -1;
    *out = node;
    return 0;
}
