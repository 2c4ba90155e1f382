/* runtime/image/image_inflate.h -- a file or a piece of one as a stream of plain bytes: gzip (all
 * members), zstd (all frames) or as it is, told by its first bytes. Both sides can be hashed on the
 * way.
 */
#ifndef RUNTIME_IMAGE_IMAGE_INFLATE_H
#define RUNTIME_IMAGE_IMAGE_INFLATE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/base/cleanup.h"
#include "core/base/err.h"

#define IMAGE_INFLATE_WINDOW_LOG_MAX 27  /* zstd: 128 MB, what `zstd --ultra` makes at most */

enum image_codec { IMAGE_PLAIN, IMAGE_GZIP, IMAGE_ZSTD };

struct image_inflate;

struct image_inflate_opts {
    int fd;                                     /* stays the caller's */
    int64_t offset, length;                     /* the piece; length -1: to the end */
    int64_t max_bytes;                          /* plain bytes; past it ERR_QUOTA */
    bool hash_in, hash_out;
};

int image_inflate_new(struct image_inflate **out, const struct image_inflate_opts *o,
                      struct err *err);
struct image_inflate *image_inflate_free(struct image_inflate *i);
CLEANUP_DEFINE(struct image_inflate, image_inflate_free)
/* Plain bytes: up to len, 0 at the end, -1 (ERR_CORRUPT, ERR_QUOTA). */
ssize_t image_inflate_read(struct image_inflate *i, void *p, size_t len, struct err *err);
enum image_codec image_inflate_codec(const struct image_inflate *i);
int64_t image_inflate_in(const struct image_inflate *i);        /* bytes taken of the file */
int64_t image_inflate_out(const struct image_inflate *i);       /* plain bytes given */
/* After the end, once: "sha256:..." of each side asked for. What follows the last member is read
 * too. */
#define IMAGE_INFLATE_DIGEST_BYTES 72
int image_inflate_digests(struct image_inflate *i, char in[IMAGE_INFLATE_DIGEST_BYTES],
                          char out[IMAGE_INFLATE_DIGEST_BYTES], struct err *err);

#endif
