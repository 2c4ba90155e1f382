/* runtime/node/node_ops.h -- the pods as the HTTPS port sees them (node_serve.h). */
#ifndef RUNTIME_NODE_NODE_OPS_H
#define RUNTIME_NODE_NODE_OPS_H

#include "runtime/node/node_serve.h"
#include "runtime/node/node_self.h"

int node_ops_serve(struct node_serve **out, struct node_self *self, const struct node_opts *o,
                   struct err *err);
int node_ops_may_dial(const struct node_self *self, const char *host, uint16_t port,
                      struct err *err);

#endif
