/* runtime/node/podset.h -- desired pods (the informer's, of this node) against the machines that
 * run: starts, tells and ends them. One machine per uid; a name may have an ending and a new one.
 */
#ifndef RUNTIME_NODE_PODSET_H
#define RUNTIME_NODE_PODSET_H

#include "core/client/informer.h"
#include "runtime/node/pod.h"

struct podset;

/* Reads what a former run left (pod_coldplug.h), then follows the informer. */
int podset_new(struct podset **out, struct node_self *self, struct err *err);
struct podset *podset_free(struct podset *s);        /* lets go; containers live on */
bool podset_synced(const struct podset *s);
struct informer *podset_informer(struct podset *s);

struct pod *podset_find(const struct podset *s, const char *uid);
/* The one of this name that is not gone; with an uid ("" or NULL: any) that one. */
struct pod *podset_find_name(const struct podset *s, const char *ns, const char *name,
                             const char *uid);
/* Walk: *at = 0 first. */
struct pod *podset_next(const struct podset *s, size_t *at);
size_t podset_len(const struct podset *s);
/* The network has come: each pod takes its former address before any takes a new one. */
void podset_claim_all(struct podset *s);
void podset_touch_all(struct podset *s);             /* ticks all, e.g. when the network is there */
/* Ends all; done when no shim is left. */
void podset_stop(struct podset *s, int64_t grace_ms, void (*done)(void *ctx), void *ctx);
void podset_pod_gone(struct podset *s, struct pod *p);   /* from the machine's last tick */
void podset_pod_settled(struct podset *s);               /* one more is over */

#endif
