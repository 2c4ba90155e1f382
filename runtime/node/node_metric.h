/* runtime/node/node_metric.h -- what node, pods and containers use and do, as upstream's kubelet
 * and cAdvisor name it. Lives on the node's loop.
 *
 *   node_metric_node       /metrics             the kubelet's own
 *   node_metric_cadvisor   /metrics/cadvisor    usage of pods and containers
 *   node_metric_resource   /metrics/resource    the few that metrics-server reads
 *   node_metric_probes     /metrics/probes      results of probes
 */
#ifndef RUNTIME_NODE_NODE_METRIC_H
#define RUNTIME_NODE_NODE_METRIC_H

#include "core/base/metric.h"
#include "runtime/node/node_self.h"

void node_metric_pod_started(struct node_figures *f, int64_t took_us);

void node_metric_node(struct buf *out, struct node_self *self);
void node_metric_cadvisor(struct buf *out, struct node_self *self);
void node_metric_resource(struct buf *out, struct node_self *self);
void node_metric_probes(struct buf *out, struct node_self *self);

#endif
