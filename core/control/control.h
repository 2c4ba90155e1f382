/* core/control/control.h -- the controllers: what makes the cluster's state follow what was asked.
 *
 * A table of controllers, each pure: one key in, the whole state read from informers, writes
 * through the client, and the key ends done, done after N ms, or failed (back-off). One loop, no
 * thread.
 */
#ifndef CORE_CONTROL_CONTROL_H
#define CORE_CONTROL_CONTROL_H

#include <stdbool.h>
#include <stdint.h>

#include "core/client/client.h"

#define CONTROL_NODE_GRACE_MS 50000      /* without a renewed lease: the node is Unknown */
#define CONTROL_NODE_STARTUP_MS 60000    /* the same for a node that never posted a status */
#define CONTROL_EVENT_TTL_MS 3600000     /* Events are kept so long after they last happened */
#define CONTROL_NODE_PREFIX 24           /* of one node's pod CIDR */
#define CONTROL_SIGN_S (365ll * 86400)   /* the longest life of a certificate that is signed here */

struct control;
struct crypto_cert;                      /* core/crypto/crypto.h */
struct crypto_key;

/* An authority that signs certificates. Borrowed for the life of the controllers. */
struct control_signer { const struct crypto_cert *cert; const struct crypto_key *key; };

struct control_opts {
    const char *root_ca_pem;             /* published as ConfigMap kube-root-ca.crt; NULL: not */
    const char *cluster_cidr;            /* nodes' pod CIDRs are cut from it; NULL: none are */
    int64_t node_grace_ms;               /* 0: CONTROL_NODE_GRACE_MS */
    int64_t node_startup_grace_ms;       /* 0: CONTROL_NODE_STARTUP_MS */
    int64_t event_ttl_ms;                /* 0: CONTROL_EVENT_TTL_MS */
    struct control_signer server_signer, client_signer;      /* without keys: nothing is signed */
    const struct crypto_cert *api_cert;  /* its names are no node's; borrowed; may be NULL */
    int64_t sign_s;                      /* certificates last at most; 0: CONTROL_SIGN_S */
};

/* Lives on the client's loop. Texts are copied. */
int control_new(struct control **out, struct client *c, const struct control_opts *opts,
                struct err *err);
struct control *control_free(struct control *c);
CLEANUP_DEFINE(struct control, control_free)
bool control_synced(const struct control *c);        /* every informer holds its first list */
void control_metrics(const struct control *c, struct buf *out);      /* of its queues; any thread */

#endif
