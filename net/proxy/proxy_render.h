/* proxy_render.h -- inside the room: results of svcmap -> nftables batches. Pure.
 *
 * proxy_render_set() says how a Service is now; proxy_render_batch() writes what differs from what
 * the batches before it have written, or everything, and takes it as done. Whoever could not apply
 * that batch asks for everything next.
 */
#ifndef NET_PROXY_PROXY_RENDER_H
#define NET_PROXY_PROXY_RENDER_H

#include "core/base/vec.h"
#include "net/netlink/nft.h"
#include "net/proxy/svcmap.h"

struct proxy_render;

struct proxy_render_opts {
    struct ip4 cluster;                  /* pods' addresses: sources that are not masqueraded */
    struct ip4 service;                  /* cluster IPs: unknown ones are refused */
    uint32_t dns_ip;                     /* never in the maps; 0: none */
};

/* How much a batch writes. */
enum proxy_extent {
    PROXY_CHANGED,                       /* what changed since the last one */
    PROXY_ANEW,                          /* all, in the place of whatever rules are in the table */
    PROXY_SCRATCH                        /* all, in a new table: connections may meet a gap */
};

/* What goes to the kernel. A packet under way keeps to the rules it began with, but finds elements
 * as they are now: so a chain is there before an element leads to it. */
struct proxy_batch {
    struct nft_batch *chains;            /* first, on its own; may be empty */
    struct nft_batch *rules;
    VEC(struct netlink_flow) flows;      /* of UDP, to be forgotten then */
};
void proxy_batch_init(struct proxy_batch *b);
void proxy_batch_deinit(struct proxy_batch *b);
bool proxy_batch_empty(const struct proxy_batch *b);

struct proxy_render *proxy_render_new(const struct proxy_render_opts *opts);
struct proxy_render *proxy_render_free(struct proxy_render *r);
CLEANUP_DEFINE(struct proxy_render, proxy_render_free)

/* `m` is read only here and now; NULL or without addresses: the Service has no rules. */
void proxy_render_set(struct proxy_render *r, const char *key, const struct svcmap *m);
void proxy_render_batch(struct proxy_render *r, enum proxy_extent extent, struct proxy_batch *out);
/* Walks the Services that did not get all they claim, since another one has it: they are to be set
 * again whenever any other changed. *at = 0 first; NULL at the end. */
const char *proxy_render_next_crowded(const struct proxy_render *r, size_t *at);
size_t proxy_render_len(const struct proxy_render *r);           /* elements */

#endif
