/* runtime/node/pod_status_int.h -- private to pod_status*.c. */
#ifndef RUNTIME_NODE_POD_STATUS_INT_H
#define RUNTIME_NODE_POD_STATUS_INT_H

#include "runtime/node/pod.h"

bool pod_status_started(const struct pod_container *c);
bool pod_status_ready(const struct pod_container *c);
struct json *pod_status_container(struct arena *a, const struct pod_container *c);

#endif
