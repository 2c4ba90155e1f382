/* core/auth/auth_node.h -- what belongs to a node: as upstream's node authorizer, which lets a node
 * read only what its pods name. Pure; any thread.
 */
#ifndef CORE_AUTH_AUTH_NODE_H
#define CORE_AUTH_AUTH_NODE_H

#include "core/auth/auth.h"
#include "core/object/object.h"

#define AUTH_NODE_PREFIX "system:node:"
#define AUTH_NODE_GROUP "system:nodes"

/* The node that this user is; NULL: none. */
const char *auth_node_of(const struct auth_user *u);
bool auth_node_runs(const char *node, const struct object *pod);     /* the pod is bound to it */
/* A volume, a variable or an image of the pod comes from this Secret (ConfigMap). */
bool auth_node_pod_names(const struct object *pod, const struct kind *kind, const char *name);

#endif
