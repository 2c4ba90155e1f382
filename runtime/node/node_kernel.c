/* node_kernel.c -- the real calls behind struct node_kernel. */
#include "runtime/node/node_self.h"

static const struct node_kernel real = {
    .image_get = image_get, .image_pull = image_pull, .image_lease = image_lease,
    .image_unlease = image_unlease, .image_gc = image_gc,
    .net_up = pod_net_up, .net_sweep = pod_net_sweep, .net_attach = pod_net_attach,
    .net_detach = pod_net_detach, .net_set_ports = pod_net_set_ports,
    .net_set_peers = pod_net_set_peers,
    .group_make = cgroup_make, .group_kill = cgroup_kill, .group_remove = cgroup_remove,
    .group_usage = cgroup_usage,
};

const struct node_kernel *node_kernel_real(void)
{
    return &real;
}
