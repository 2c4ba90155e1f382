/* runtime/image/image_manifest.h -- the JSON documents of an image, parsed and checked; pure. OCI's
 * and Docker's schema 2 forms are the same but for media types; schema 1 is refused.
 *
 * Everything lives in the arena given. ERR_CORRUPT when a document is not what it should be,
 * ERR_QUOTA past a limit of image.h, ERR_UNSUPPORTED for forms that are understood but not
 * supported.
 */
#ifndef RUNTIME_IMAGE_IMAGE_MANIFEST_H
#define RUNTIME_IMAGE_IMAGE_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"
#include "core/base/mem.h"

#define IMAGE_DIGEST_BYTES 72           /* "sha256:" and 64 hex digits and the terminator */
#define IMAGE_INDEX_ENTRIES_MAX 1000    /* manifests in one index */
#define IMAGE_ARENA_BYTES (48u << 20)   /* for one document: strings and nodes of 4 MB of JSON */

struct image_platform { const char *os, *arch, *variant; };    /* "" when unknown */

struct image_desc {                     /* one descriptor */
    const char *media_type;             /* "" when not given */
    const char *digest;                 /* checked: "sha256:..." */
    int64_t size;                       /* -1 when not given */
    struct image_platform platform;
    const char *ref_name;               /* annotations org.opencontainers.image.ref.name and ... */
    const char *image_name;             /* ... io.containerd.image.name; NULL when not given */
};

struct image_manifest {
    bool is_index;                      /* then v are manifests, else layers */
    struct image_desc config;           /* of a manifest */
    struct image_desc *v;
    size_t n;
};

struct image_config {
    struct image_platform platform;
    const char *const *entrypoint, *const *cmd, *const *env, *const *ports, *const *volumes;
    const char *const *labels;          /* key, value, key, value */
    const char *workdir, *user, *stop_signal;
    const char *const *layers;          /* diff IDs, lowest first; NULL-terminated */
    size_t n_layers;
};

bool image_digest_ok(const char *digest);  /* exactly "sha256:" and 64 lower hex digits */
static inline const char *image_digest_hex(const char *digest) { return digest + 7; }

int image_manifest_parse(struct image_manifest *out, struct arena *a, const char *text, size_t len,
                         struct err *err);
int image_config_parse(struct image_config *out, struct arena *a, const char *text, size_t len,
                       struct err *err);

/* This machine's platform, and the best match for it in an index as containerd chooses: exact
 * variant first, then lower ones. NULL when nothing fits. */
struct image_platform image_platform_host(void);
const struct image_desc *image_manifest_select(const struct image_manifest *index,
                                               struct image_platform want);
bool image_platform_runs(struct image_platform host, struct image_platform image);

#endif
