/* runtime/node/node_event.h -- Events about pods and the node, as kubelet words them.
 *
 * Equal ones (object, field, reason, message) within ten minutes are counted in one Event. Each
 * object may cause a burst of 25, then one in five minutes. Nothing waits for them: what cannot be
 * written is dropped.
 */
#ifndef RUNTIME_NODE_NODE_EVENT_H
#define RUNTIME_NODE_NODE_EVENT_H

#include "core/client/client.h"

#define NODE_EVENTS_KEPT 512             /* remembered for counting */
#define NODE_EVENTS_FLYING 256           /* requests at once */
#define NODE_EVENT_MESSAGE_MAX 1024

struct node_events;

struct node_events *node_events_new(struct client *c, const char *node_name);
struct node_events *node_events_free(struct node_events *e);

/* field: "spec.containers{web}" or NULL. warning: type Warning instead of Normal. */
struct node_event_about { struct object *object; const char *field; bool warning; };
void node_events_add(struct node_events *e, const struct node_event_about *about,
                     const char *reason, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
