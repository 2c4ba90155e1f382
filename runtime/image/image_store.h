/* runtime/image/image_store.h -- the store's directory, inside the room: paths, locks, blobs,
 * layers.
 *
 * Two locks, both flock on files of the store, so that threads and processes exclude each other
 * alike:
 *
 *   lock      held while index.json or leases are read, changed and written: short
 *   gc.lock   shared by whoever brings something in, from its first temporary file to its new name
 * in the index; exclusive by whoever removes what nothing refers to. Taken before `lock`.
 *
 * A layer or blob that is there is complete: it was synced before it got its name. One that nothing
 * refers to is garbage, and may be taken up again by an ingest.
 */
#ifndef RUNTIME_IMAGE_IMAGE_STORE_H
#define RUNTIME_IMAGE_IMAGE_STORE_H

#include "core/base/env.h"
#include "core/base/fd.h"
#include "core/base/json.h"
#include "core/base/vec.h"
#include "runtime/image/image.h"
#include "runtime/image/image_manifest.h"

#define IMAGE_TMP_NAME_BYTES 32
#define IMAGE_INDEX_BYTES_MAX (64u << 20)

struct image_store {
    char *dir;                                  /* absolute */
    int fd;                                     /* of dir */
    const struct env *env;
};

int image_store_lock(const struct image_store *s, struct err *err);  /* fd; closing it unlocks */
int image_store_lock_ingest(const struct image_store *s, struct err *err);    /* fd */
/* fd; ERR_UNAVAILABLE while something is brought in. */
int image_store_lock_sweep(const struct image_store *s, struct err *err);

/* A fresh directory "tmp/..." of mode 0700. */
int image_store_tmp(const struct image_store *s, char name[IMAGE_TMP_NAME_BYTES], struct err *err);
/* Removes anything below the store; what does not go now goes with the next sweep. */
void image_store_drop(const struct image_store *s, const char *path);
/* Moves a directory away under a name in tmp, at once, for image_store_drop. */
int image_store_doom(const struct image_store *s, const char *path, char name[IMAGE_TMP_NAME_BYTES],
                     struct err *err);
int image_store_sync(const struct image_store *s, struct err *err);  /* the whole file system */

/* Blobs: named by the digest of what is in them, which reading checks again. */
int image_store_put_blob(const struct image_store *s, const char *digest, const void *p, size_t len,
                         struct err *err);
int image_store_get_blob(struct buf *out, const struct image_store *s, const char *digest,
                         struct err *err);
/* Notes or tells when an image was last used: the time of its configuration's file. */
void image_store_touch(const struct image_store *s, const char *id);
int64_t image_store_used_s(const struct image_store *s, const char *id);

/* Layers: layers/HEX/fs and layers/HEX/info, {"bytes":N,"files":N}. */
bool image_store_has_layer(const struct image_store *s, const char *diff_id);
/* What it takes on the disk; *files may be NULL. */
int64_t image_store_layer_bytes(const struct image_store *s, const char *diff_id, int64_t *files);
struct image_store_sizes { int64_t bytes, files; };
/* Gives the finished and synced directory `tmp`, which holds fs, its name. One that is there
 * already is fine. */
int image_store_put_layer(const struct image_store *s, const char *tmp, const char *diff_id,
                          const struct image_store_sizes *sizes, struct err *err);

/* Removes layers and blobs that neither index nor leases name, and all of tmp. Call with the sweep
 * lock. */
int image_store_sweep(const struct image_store *s, int64_t *freed_bytes, struct err *err);

/* --- image_lease.c, for the rest of the room. What leases hold: digests "sha256:..." of
 * configurations, manifests and layers, and "box:HEX", each a key of the map. The caller holds
 * `lock`. */
struct map;
int image_lease_held(struct map **out, const struct image_store *s, struct err *err);
/* Whether this process lives in a user namespace, where overlay needs the option userxattr. */
bool image_lease_userxattr(void);

/* --- image_box.c: the built-in image as there is one. ERR_NOT_FOUND before image_box_prepare(). */
int image_box_load(struct image **out, const struct image_store *s, struct err *err);

#endif
