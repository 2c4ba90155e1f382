/* runtime/image/image_apply.h -- entries of a layer's tar become files below a root directory.
 *
 * Nothing outside of the root is touched, whatever the archive says: parents are opened with
 * RESOLVE_IN_ROOT, the last component is never followed, and ".." in names is refused. Nobody else
 * may change the tree meanwhile.
 *
 * Whiteouts become what overlay understands: ".wh.NAME" a character device 0/0; ".wh..wh..opq" is
 * told to the caller, who sets the attribute, because trusted.* needs a capability that the
 * unpacking process does not have.
 */
#ifndef RUNTIME_IMAGE_IMAGE_APPLY_H
#define RUNTIME_IMAGE_IMAGE_APPLY_H

#include <stdbool.h>

#include "runtime/image/image_tar.h"

struct image_apply;

struct image_apply_opts {
    int root;                               /* an open directory; stays the caller's */
    bool no_devices;                        /* in a user namespace: device nodes are left out */
    /* A directory that hides what is below it in lower layers: path below the root. */
    int (*on_opaque)(void *ctx, const char *path, struct err *err);
    void *ctx;
};

struct image_apply *image_apply_new(const struct image_apply_opts *o);
struct image_apply *image_apply_free(struct image_apply *a);
CLEANUP_DEFINE(struct image_apply, image_apply_free)
/* The entry that image_tar_next() just gave; reads its data. */
int image_apply_entry(struct image_apply *a, const struct image_tar_entry *e, struct image_tar *t,
                      struct err *err);
int image_apply_finish(struct image_apply *a, struct err *err);    /* times of directories */
int64_t image_apply_disk_bytes(const struct image_apply *a);  /* about what it takes on the disk */

#endif
