/* runtime/node/node_object.h -- this machine's Node object and its Lease.
 *
 * Registers the Node (or takes up the one that is there), writes its status when it differs and
 * every five minutes, renews the Lease every ten seconds. Learns the pod CIDR from it. A Node that
 * somebody deletes is registered anew.
 */
#ifndef RUNTIME_NODE_NODE_OBJECT_H
#define RUNTIME_NODE_NODE_OBJECT_H

#include "runtime/node/node_facts.h"
#include "runtime/node/node_self.h"

#define NODE_LEASE_S 40                  /* how long a Lease holds */
#define NODE_STATUS_MS 300000
#define NODE_LOOK_MS 10000               /* at pressure and images */
#define NODE_RETRY_MS 1000
#define NODE_REGISTER_MIN_MS 100         /* between tries while no server answers; doubles */
#define NODE_REGISTER_MAX_MS 5000
#define NODE_BEGIN_MS 5000               /* trouble is no news until then */
#define NODE_IMAGES_MAX 50               /* in the status */

struct node_object;

struct node_object_opts {
    /* The Node's podCIDR, "" while it has none; when it changes. */
    void (*on_cidr)(void *ctx, const char *pod_cidr);
    void *ctx;
};

int node_object_new(struct node_object **out, struct node_self *self,
                    const struct node_object_opts *o, struct err *err);
struct node_object *node_object_free(struct node_object *n);
struct object *node_object_get(const struct node_object *n);     /* borrowed; NULL: not there yet */
/* Why pods cannot start now; NULL: they can. Becomes the Ready condition. */
void node_object_set_trouble(struct node_object *n, const char *why);
struct informer *node_object_all(struct node_object *n);         /* every Node */
void node_object_look(struct node_object *n);                    /* images changed: soon */
bool node_object_says_ready(const struct node_object *n);
const struct node_facts *node_object_facts(const struct node_object *n);

/* --- pure: node_status.c */

struct node_status_in {
    const struct node_conf *conf;
    const struct node_facts *facts;
    struct node_pressure pressure;
    const struct image_list *images;     /* or NULL */
    const char *trouble;                 /* or NULL */
    const struct node_view *before;      /* transition times live on; or NULL */
    int64_t now_s;
};
struct json *node_status_make(struct arena *a, const struct node_status_in *in);
/* What registering sends: metadata and spec. */
struct json *node_status_object(struct arena *a, const struct node_status_in *in);
/* Labels that we own. */
struct json *node_status_labels(struct arena *a, const struct node_status_in *in);

#endif
