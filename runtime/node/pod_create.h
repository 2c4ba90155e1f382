/* runtime/node/pod_create.h -- private to the machines: from spec and image to a run in the shim.
 *
 * The run that is being made has an id of its own (next_id); `now` stays the former run until the
 * shim has the new one.
 */
#ifndef RUNTIME_NODE_POD_CREATE_H
#define RUNTIME_NODE_POD_CREATE_H

#include "runtime/node/pod.h"

int pod_create_plan(struct pod_container *c, struct err *err);   /* env, args, mounts, limits */
int pod_create_send(struct pod_container *c, shim_done *done, struct err *err);
void pod_create_done(struct pod_container *c);       /* next is now; the one before last goes */
void pod_create_undo(struct pod_container *c);       /* nothing came of it */
void pod_create_drop(struct pod_container *c);       /* plan and image; callable twice */

void pod_create_log_tail(struct pod_container *c);   /* becomes the message of now's end */

/* What a container's note in the shim says. */
struct pod_note { const char *name, *image, *image_id, *stop_signal; unsigned attempt; };
void pod_create_note_read(struct pod_note *out, struct arena *a, const char *text);

/* The plan of one more process in it: from what was kept when it was made. */
int pod_create_exec_plan(struct pod_container *c, struct arena *a, struct oci_plan *out,
                         struct err *err);

#endif
