/* cmd/role_slice.h -- of an agent's roles: the slice of the cluster that outlives a reboot without
 * a server (core/client/client_slice.h), in <data-dir>/agent/slice.
 *
 * The node role keeps it. The dns role, which has no right to that folder, reads the two lists that
 * names are made of from descriptors that it opens before it gives its rights away. A server's own
 * roles have their server beside them, and no slice.
 */
#ifndef CMD_ROLE_SLICE_H
#define CMD_ROLE_SLICE_H

#include "cmd/role.h"
#include "core/client/client_slice.h"

#define ROLE_SLICE_LISTS 2               /* Services, EndpointSlices */

bool role_slice_wanted(const struct role *r);
/* -1 where there is none yet. */
void role_slice_open(const struct role *r, int fds[ROLE_SLICE_LISTS]);
/* The slice over `below`, which it owns from now on; only for an agent's roles. Who keeps it gives
 * its jobs; who reads gives its descriptors, which are taken. */
int role_slice_keep(struct client **out, const struct role *r, struct client *below,
                    struct job_pool *jobs, struct err *err);
int role_slice_read(struct client **out, const struct role *r, struct client *below,
                    int fds[ROLE_SLICE_LISTS], struct err *err);

#endif
