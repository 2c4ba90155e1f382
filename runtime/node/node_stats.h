/* runtime/node/node_stats.h -- what node, pods and containers use, as /stats/summary: the form that
 * older readers of usage want. The same as figures: node_metric.h. */
#ifndef RUNTIME_NODE_NODE_STATS_H
#define RUNTIME_NODE_NODE_STATS_H

#include "runtime/node/node_self.h"

int node_stats_summary(struct buf *out, struct node_self *self, struct err *err);
/* The machine's own, from /proc/stat and /proc/meminfo. */
void node_stats_machine(struct cgroup_usage *out);

#endif
