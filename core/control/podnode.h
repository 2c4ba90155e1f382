/* podnode.h -- the pods of each node, by name of the node. Inside core/control only. */
#ifndef CORE_CONTROL_PODNODE_H
#define CORE_CONTROL_PODNODE_H

#include "core/client/informer.h"

struct podnode;

struct podnode *podnode_new(void);
struct podnode *podnode_free(struct podnode *p);
/* From the informer of pods. */
void podnode_note(struct podnode *p, struct object *before, struct object *after);
/* Walks the pods of a node: *at is 0 first; NULL at the end. Borrowed; also of nodes that are no
 * more. */
struct object *podnode_next(const struct podnode *p, const struct informer *pods, const char *node,
                            size_t *at);
/* Walks the names of nodes that pods are on. */
const char *podnode_next_node(const struct podnode *p, size_t *at);

#endif
