/* runtime/image/image_index.h -- index.json: which images are here, under which names. Inside the
 * room only.
 *
 *
 * {"version":1,"images":[{"id":"sha256:...","manifest":"sha256:...","size":123,"added":1700000000,
 * "pinned":false,"refs":[{"name":"docker.io/library/nginx:1.20.1","target":"sha256:..."}]}]}
 *
 * One entry per configuration. A name is unique over all entries; an image whose last name went to
 * another image stays without names until it is collected. Load, change and save under
 * image_store_lock().
 */
#ifndef RUNTIME_IMAGE_IMAGE_INDEX_H
#define RUNTIME_IMAGE_IMAGE_INDEX_H

#include "runtime/image/image_store.h"

struct image_index_ref { const char *name, *target; };

struct image_index_entry {
    const char *id, *manifest;
    int64_t size_bytes, added_s;
    bool pinned;
    VEC(struct image_index_ref) refs;
};

struct image_index {
    struct arena *arena;                        /* owns the texts */
    VEC(struct image_index_entry) entries;
};

int image_index_load(struct image_index **out, const struct image_store *s, struct err *err);
int image_index_save(const struct image_store *s, const struct image_index *ix, struct err *err);
struct image_index *image_index_free(struct image_index *ix);
CLEANUP_DEFINE(struct image_index, image_index_free)

/* By a name as in image_get(). *ref becomes the place of the name in the entry, or -1 when an id or
 * digest was given. NULL when missing. ERR_INVALID names are missing too. */
struct image_index_entry *image_index_find(struct image_index *ix, const char *name, long *ref);
/* Gives the entry this name, taking it from whoever had it. ERR_QUOTA past IMAGE_NAMES_MAX. `name`
 * is normalised. */
int image_index_name(struct image_index *ix, struct image_index_entry *e, const char *name,
                     const char *target, struct err *err);
void image_index_remove(struct image_index *ix, struct image_index_entry *e);

/* Makes a complete image visible: blobs and layers are on the disk and synced. Takes the lock
 * itself. */
struct image_index_new {
    const char *id, *manifest, *target;
    int64_t size_bytes;
    bool pinned;
    const char *const *names;                   /* normalised; NULL-terminated */
};
int image_index_add(const struct image_store *s, const struct image_index_new *n, struct err *err);

#endif
