/* runtime/node/node_peers.h -- the ways to the pods of the other nodes, by their Node objects: the
 * whole list each time it differs, one job at a time. */
#ifndef RUNTIME_NODE_NODE_PEERS_H
#define RUNTIME_NODE_NODE_PEERS_H

#include "runtime/node/node_self.h"

struct node_peers;

/* nodes: of all nodes; outlives it. */
struct node_peers *node_peers_new(struct node_self *self, struct informer *nodes);
struct node_peers *node_peers_free(struct node_peers *n);
void node_peers_touch(struct node_peers *n);             /* a node changed, the network is up */

#endif
