/* core/client/client_slice.h -- a node's durable slice of the cluster: a client over another one
 * that remembers, so that a node lives on while no server is in reach, even after a reboot.
 *
 *   informers, requests -> client_slice -> client_http -> server
 *                               |
 *                          <dir>/pods, services, configmaps, secrets, ... (slice_file.h)
 *
 * Watches: those of one kind with the same selectors share one watch below. Every list that a
 * server completed is kept on disk. Where no server answers within CLIENT_SLICE_WAIT_MS, the list
 * of the former run is told instead; when the server answers, the difference is told as changes.
 * Bookmarks are not passed on.
 *
 * Requests: GETs of ConfigMaps and Secrets and requests for tokens bound to a pod are remembered
 * (also that there is no such object), and answered from memory while no server answers: at once
 * when it is known to be away, else after CLIENT_SLICE_PATIENCE_MS. What a server refuses is
 * forgotten. All other requests fail as they do without this.
 *
 * What no pod of the watched ones names any more leaves the slice. Of Nodes only what other nodes
 * need is kept; a pod's file changes with its spec, phase and address, not with each status. So an
 * idle node writes nothing. Secrets and tokens are sealed with the key in <dir>/key (0600, made
 * once); without it they are lost, and nothing else is.
 */
#ifndef CORE_CLIENT_CLIENT_SLICE_H
#define CORE_CLIENT_CLIENT_SLICE_H

#include "core/client/client.h"
#include "core/loop/job.h"

#define CLIENT_SLICE_WAIT_MS 500         /* for a list to begin, before what is kept is told */
#define CLIENT_SLICE_LIST_MS 5000        /* for one that has begun */
#define CLIENT_SLICE_PATIENCE_MS 2000    /* for an answer about what is kept too */
#define CLIENT_SLICE_SETTLE_MS 500       /* from a change to the disk */
#define CLIENT_SLICE_SETTLE_WIDE_MS 5000 /* of what the whole cluster changes, not this node */
#define CLIENT_SLICE_RETRY_MS 30000      /* after a write that failed */

struct client_slice_fd { const struct kind *kind; int fd; };

struct client_slice_opts {
    /* Where the files are; made (0700) when missing. NULL: only the lists of `fds`, read only. */
    const char *dir;
    const char *scope;                   /* files written for another one are not used */
    struct job_pool *jobs;               /* for the disk, until client_slice_stop. With dir */
    const struct client_slice_fd *fds;   /* taken; without dir */
    unsigned n_fds;
};

/* Takes `inner` on success; client_free writes what is new and frees both. */
int client_slice_new(struct client **out, struct client *inner,
                     const struct client_slice_opts *opts, struct err *err);
/* The pool is about to be freed; after that, the client. */
void client_slice_stop(struct client *c);
/* No server answers, as far as is known. */
bool client_slice_is_away(const struct client *c);
/* The name in <dir> of the file of a kind's list. */
const char *client_slice_name(const struct kind *k, char out[OBJECT_KEY_BYTES]);

#endif
