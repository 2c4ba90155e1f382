/* runtime/image/image.h -- images on this machine: names, blobs, unpacked layers, import, pull,
 * collection.
 *
 * Below the store's directory (normally <data-dir>/images):
 *
 *   index.json              names -> manifests; replaced atomically and durably, the only truth
 *   blobs/sha256/HEX        manifests and configurations (compressed layers are not kept)
 *   layers/HEX/fs           an unpacked layer by its diff ID, usable as an overlay lower directory
 *   leases/ID               who uses which image: keeps it from being removed
 *   box/HEX/fs              the built-in image, made of this binary
 *   tmp/                    what is not finished; emptied when nobody imports or pulls
 *   lock, gc.lock           flock: short changes of the index; "ingests run"
 *                           (shared) against "sweep" (exclusive)
 *
 * A store handle holds no state but paths, so every function may be called from any thread and by
 * several processes at once: `inro image import` works beside a running node, which sees the new
 * name with its next look-up. All calls block on the disk: call them from jobs. Those which unpack
 * or pull start children.
 *
 * An image is visible only when all of it is on the disk and synced. Whatever parses bytes of
 * strangers does it in a child: registry answers in `pull`, compressed data and layer tars in
 * `unpack`.
 *
 * Errors that callers tell apart: ERR_NOT_FOUND (no such image, here or in the registry),
 * ERR_INVALID (bad reference or image), ERR_DENIED (registry refuses the credentials),
 * ERR_UNAVAILABLE (registry not reached), ERR_CORRUPT (digest, size or format is wrong), ERR_QUOTA
 * (a limit below), ERR_TIMEOUT, ERR_CANCELED, ERR_CONFLICT (removing an image that is in use).
 */
#ifndef RUNTIME_IMAGE_IMAGE_H
#define RUNTIME_IMAGE_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/cleanup.h"
#include "core/base/env.h"
#include "core/base/err.h"

#define IMAGE_LAYERS_MAX 128                    /* layers of one image */
#define IMAGE_MANIFEST_BYTES_MAX (4u << 20)     /* manifest, index and configuration */
#define IMAGE_NAMES_MAX 10000                   /* names in one store */
#define IMAGE_LAYER_BYTES_MAX (64ll << 30)      /* one layer, unpacked */
#define IMAGE_LAYER_ENTRIES_MAX 2000000         /* files in one layer */
#define IMAGE_LEASE_ID_MAX 200
#define IMAGE_REF_MAX 512
#define IMAGE_BOX_NAME "inro.local/box"  /* always there, any tag; never pulled or collected */

/* --- references: image_ref.c */

/* "nginx:1.20.1" -> domain docker.io, path library/nginx, tag 1.20.1. */
struct image_ref {
    char domain[256];
    char path[256];                             /* repository below the domain */
    char tag[129];  /* "" when only a digest is given, else "latest" by default */
    char digest[136];                           /* "" or "sha256:..." */
    char text[IMAGE_REF_MAX];  /* the whole, normalised: docker.io/library/nginx:1.20.1 */
};
/* ERR_INVALID with kubelet's words: couldn't parse image name "X": invalid reference format. */
int image_ref_parse(struct image_ref *out, const char *text, struct err *err);
bool image_ref_is_box(const struct image_ref *ref);
/* Whether the default pull policy is Always: the tag is latest and there is no digest. */
bool image_ref_is_latest(const struct image_ref *ref);

/* --- the store */

struct image_store;

/* Makes the directories where missing and removes what former imports and pulls left half-done. */
int image_store_open(struct image_store **out, const char *dir, const struct env *env,
                     struct err *err);
struct image_store *image_store_free(struct image_store *s);
CLEANUP_DEFINE(struct image_store, image_store_free)
const char *image_store_dir(const struct image_store *s);

/* An immutable description; one owner. All texts belong to it. Lists end with NULL and are never
 * NULL. */
struct image {
    const char *id;  /* "sha256:..." of the configuration, CRI's image id */
    const char *manifest;                       /* "sha256:..." of this platform's manifest */
    const char *target;  /* "sha256:..." that the name pointed to: an index or the manifest */
    const char *const *names;                   /* docker.io/library/nginx:1.20.1 ... */
    /* docker.io/library/nginx@sha256:...; the first is status.imageID */
    const char *const *digests;
    int64_t size_bytes;  /* of manifest, configuration and layers as transferred */
    int64_t disk_bytes;                         /* of the unpacked layers */
    int64_t added_s, used_s;  /* unix times: imported or pulled, last lease taken or given back */
    bool pinned;  /* imported or built in: never collected, only removed by hand */
    bool is_box;
    const char *const *entrypoint, *const *cmd, *const *env;
    const char *const *exposed_ports;           /* "80/tcp" */
    const char *const *volumes;                 /* "/data" */
    const char *const *labels;                  /* "key", "value", "key", "value", ..., NULL */
    const char *workdir, *user, *stop_signal;   /* "" when not set */
    const char *os, *arch, *variant;
    const char *const *layers;                  /* diff IDs "sha256:...", lowest first */
    struct arena *arena;                        /* private: owns it all */
};
struct image *image_free(struct image *im);
CLEANUP_DEFINE(struct image, image_free)

/* By name (normalised first), name@digest, digest, or image id ("sha256:..." or 12+ hex digits). */
int image_get(struct image **out, const struct image_store *s, const char *name, struct err *err);
/* Every image, each once with all its names, biggest first (node.status.images takes the first
 * 50). */
struct image_list { struct image **v; size_t n; };
int image_list(struct image_list *out, const struct image_store *s, struct err *err);
void image_list_deinit(struct image_list *l);
/* A further name for an image that is there. */
int image_tag(const struct image_store *s, const char *name, const char *new_name, struct err *err);
/* A name: that name goes, the image with its last one. An id or digest: all names go. ERR_CONFLICT
 * while a lease holds the image, unless only a name goes and another remains. */
int image_remove(const struct image_store *s, const char *name, struct err *err);

/* --- using: image_lease.c. A lease is a small file: it outlives the daemon as the pods do. */

/* Overlay lower directories, topmost first, as absolute paths; free with image_mount_deinit. */
struct image_mount { char **lower; size_t n; bool userxattr; };
/* Notes that `id` (pod uid and container name; letters, digits and ".-_:") uses the image. Taking
 * an id again replaces it. ERR_NOT_FOUND when the image is gone meanwhile. The mount set is
 * complete and on the disk. */
int image_lease(struct image_mount *out, const struct image_store *s, const struct image *im,
                const char *id,
                struct err *err);
/* a missing one is fine */
int image_unlease(const struct image_store *s, const char *id, struct err *err);
/* All lease ids, for dropping those whose pods are gone. */
int image_lease_list(char ***out, size_t *n, const struct image_store *s, struct err *err);
void image_lease_list_free(char **ids, size_t n);
void image_mount_deinit(struct image_mount *m);

/* --- bringing in */

struct image_progress {
    const char *what;                           /* "index", "pull", "unpack" */
    const char *item;                           /* name or short digest */
    int64_t done, total;                        /* bytes over all layers; total 0: not known yet */
    unsigned layers_done, layers;
};

/* Callbacks run on the calling thread. */
struct image_watch {
    /* may be NULL; at most 10 a second */
    void (*on_progress)(void *ctx, const struct image_progress *p);
    bool (*is_canceled)(void *ctx);  /* may be NULL; asked every 200 ms */
    void *ctx;
};

struct image_import_opts {
    const char *file;  /* OCI layout or docker-archive tar; plain, gzip or zstd */
    const char *name;                           /* instead of the names inside; may be NULL */
    struct image_watch watch;
    const char *exe;                            /* for the children; NULL: /proc/self/exe */
};
/* Imports every image in the file for this machine's platform. Names imported go to *names
 * (NULL-terminated, free with image_names_free); may be NULL. */
int image_import(const struct image_store *s, const struct image_import_opts *o, char ***names,
                 struct err *err);
void image_names_free(char **names);

struct image_pull_opts {
    const char *name;                           /* as the pod spells it */
    /* Texts of .dockerconfigjson or .dockercfg secrets, matched as kubelet does; NULL-terminated,
     * may be NULL. */
    const char *const *dockerconfigs;
    /* registries.yaml (mirrors, CAs, plain HTTP), read per pull; may be NULL */
    const char *registries_file;
    const char *ca_file;                        /* NULL: the system's roots */
    int64_t stall_ms;                           /* no byte for this long: ERR_TIMEOUT; 0: 60 s */
    struct image_watch watch;
    const char *exe;                            /* for the children; NULL: /proc/self/exe */
};
/* Resolves the name at the registry and brings what is missing. Layers already here are not
 * transferred again. */
int image_pull(struct image **out, const struct image_store *s, const struct image_pull_opts *o,
               struct err *err);

/* --- collecting: image_gc.c */

struct image_gc_opts {
    unsigned high_percent, low_percent;         /* of the file system; 0: 85 and 80 */
    int64_t min_age_s;                          /* younger ones stay; kubelet: 120 */
    int64_t max_age_s;  /* unused for longer: removed whatever the usage; 0: no limit */
    bool all_unused;                            /* without looking at the usage */
};
struct image_gc_result { unsigned removed; int64_t freed_bytes; unsigned used_percent; };
/* Removes least recently used, unleased, unpinned images until usage is below low_percent. Does
 * nothing while an import or pull runs (a file system slows down when just freed inodes are needed
 * again). */
int image_gc(struct image_gc_result *out, const struct image_store *s,
             const struct image_gc_opts *o, struct err *err);
/* Bytes and inodes used below the store, for stats: image file system. */
int image_usage(const struct image_store *s, int64_t *bytes, int64_t *inodes, struct err *err);

/* --- the built-in image: image_box.c */

struct image_box_opts {
    int exe_fd;                                 /* the binary; -1: /proc/self/exe */
    const char *const *applets;                 /* names for /bin/NAME, NULL-terminated */
};
/* At node start, before any pod: makes box/HEX/fs for this binary unless it is there; drops those
 * of former binaries that nothing leases. Until then IMAGE_BOX_NAME is ERR_NOT_FOUND. Its entry
 * point is {"/bin/inro-box"}: the first argument names the applet; /bin/NAME links to it as well.
 * PATH is /bin. */
int image_box_prepare(const struct image_store *s, const struct image_box_opts *o, struct err *err);

/* --- hidden verbs of the binary: the children; argv[0] is the verb. They return exit codes. */
int image_child_unpack(int argc, char **argv);
int image_child_pull(int argc, char **argv);

#endif
