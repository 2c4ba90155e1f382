/* runtime/node/node_stats.h -- what node, pods and containers use: /stats/summary and
 * /metrics/resource, in the forms that metrics-server and kubectl top read. */
#ifndef RUNTIME_NODE_NODE_STATS_H
#define RUNTIME_NODE_NODE_STATS_H

#include "runtime/node/node_self.h"

int node_stats_summary(struct buf *out, struct node_self *self, struct err *err);
int node_stats_metrics(struct buf *out, struct node_self *self, struct err *err);

#endif
