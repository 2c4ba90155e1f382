/* runtime/node/node_ports.h -- the host ports of this node's pods, applied as a whole: a
 * change only marks them dirty, one job at a time brings the kernel there. */
#ifndef RUNTIME_NODE_NODE_PORTS_H
#define RUNTIME_NODE_NODE_PORTS_H

#include "runtime/node/node_self.h"

struct node_ports;

struct node_ports *node_ports_new(struct node_self *self);
struct node_ports *node_ports_free(struct node_ports *n);
void node_ports_touch(struct node_ports *n);

#endif
