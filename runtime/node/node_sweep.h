/* runtime/node/node_sweep.h -- what no pod of ours owns goes: groups, addresses and links, volumes,
 * writable layers, logs, image leases. Once the API has named all pods. */
#ifndef RUNTIME_NODE_NODE_SWEEP_H
#define RUNTIME_NODE_NODE_SWEEP_H

#include "runtime/node/node_self.h"

void node_sweep_start(struct node_self *self);

#endif
