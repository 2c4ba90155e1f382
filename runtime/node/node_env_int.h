/* runtime/node/node_env_int.h -- private to node_env*.c: variables in the order they were set. */
#ifndef RUNTIME_NODE_NODE_ENV_INT_H
#define RUNTIME_NODE_NODE_ENV_INT_H

#include "core/base/map.h"
#include "runtime/node/node_env.h"

struct node_env_vars { struct map *m; struct arena *a; };    /* name -> const char *value */

void node_env_put(struct node_env_vars *v, const char *name, const char *value);
/* node_env_service.c: variables of the services a pod of namespace ns sees. */
void node_env_add_services(struct node_env_vars *v, const struct informer *services,
                           const char *ns, bool links);

#endif
