/* runtime/image/image_fetch.h -- GET from a registry, in the child `pull`: challenges answered,
 * redirects followed, blocking. Credentials go to the endpoint and to the token server that it
 * names, never to where blobs are redirected to.
 */
#ifndef RUNTIME_IMAGE_IMAGE_FETCH_H
#define RUNTIME_IMAGE_IMAGE_FETCH_H

#include "core/base/cleanup.h"
#include "runtime/image/image_registries.h"

#define IMAGE_FETCH_REDIRECTS_MAX 10
#define IMAGE_FETCH_HEAD_MS 30000
#define IMAGE_FETCH_ERROR_BYTES_MAX 65536       /* of an error's body, and of a token */

struct image_fetch;

/* Uses credential `cred` of the endpoint where it has any. The endpoint must outlive it. */
int image_fetch_new(struct image_fetch **out, const struct image_endpoint *e, size_t cred,
                    int64_t stall_ms, struct err *err);
struct image_fetch *image_fetch_free(struct image_fetch *f);
CLEANUP_DEFINE(struct image_fetch, image_fetch_free)

struct image_fetch_ask {
    const char *what;                           /* "manifests/latest", below the repository */
    const char *accept;                         /* may be NULL */
    int64_t from;                               /* > 0: asks for the rest from there */
    size_t max_bytes;                           /* of the body; 0: none */
    /* Of 2xx answers. Before the first byte: where the body begins, `from` or 0 when the server
     * gives all of it. */
    int (*on_start)(void *ctx, int64_t from, struct err *err);
    int (*on_data)(void *ctx, const char *p, size_t len, struct err *err);
    void *ctx;
};
/* Errors: ERR_NOT_FOUND, ERR_DENIED, ERR_UNAVAILABLE (not reached, 5xx, 429, broken off),
 * ERR_TIMEOUT, ERR_CORRUPT (no sense in the answer), and what the callbacks say. */
int image_fetch_get(struct image_fetch *f, const struct image_fetch_ask *ask, struct err *err);

#endif
