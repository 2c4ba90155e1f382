/* runtime/node/node_conf.h -- the options, checked, with the defaults; texts are copies. */
#ifndef RUNTIME_NODE_NODE_CONF_H
#define RUNTIME_NODE_NODE_CONF_H

#include "runtime/node/node_self.h"

#define NODE_CLUSTER_DOMAIN "cluster.local"
#define NODE_RESOLV_CONF "/etc/resolv.conf"

int node_conf_init(struct node_conf *out, const struct node_opts *o, struct err *err);
void node_conf_deinit(struct node_conf *c);              /* callable twice */
/* This node's part of the pod network, with the podCIDR of now. */
int node_conf_net(struct pod_net_node *out, const struct node_conf *c, const struct pod_net *net,
                  struct err *err);
char **node_conf_copy_list(const char *const *list);     /* NULL gives NULL */
void node_conf_free_list(char **list);

#endif
