/* runtime/image/image_tar.h -- reads tar archives as a stream: ustar, GNU long names and numbers,
 * pax headers with extended attributes. Pure: bytes come from a callback. Sparse files and
 * multi-volume archives are refused.
 *
 * What an entry points to is valid until the next call. Paths are as written, but never empty,
 * never longer than IMAGE_TAR_PATH_MAX and without NULs: where they lead is the caller's to judge.
 *
 * ERR_CORRUPT: not a tar or cut off; ERR_QUOTA: a limit; ERR_UNSUPPORTED: a form that is refused.
 */
#ifndef RUNTIME_IMAGE_IMAGE_TAR_H
#define RUNTIME_IMAGE_IMAGE_TAR_H

#include <stdint.h>
#include <sys/types.h>

#include "core/base/cleanup.h"
#include "core/base/err.h"

#define IMAGE_TAR_PATH_MAX 4095
#define IMAGE_TAR_HEADER_BYTES_MAX (1u << 20)   /* one pax header or long name */
#define IMAGE_TAR_XATTRS_MAX 64
#define IMAGE_TAR_XATTR_BYTES_MAX 65536

enum image_tar_type {
    IMAGE_TAR_FILE, IMAGE_TAR_LINK, IMAGE_TAR_SYMLINK, IMAGE_TAR_CHAR, IMAGE_TAR_BLOCK,
    IMAGE_TAR_DIR, IMAGE_TAR_FIFO,
};

struct image_tar_xattr { const char *name; const void *value; size_t len; };

struct image_tar_entry {
    enum image_tar_type type;
    const char *path;
    const char *link;                   /* of links and symlinks; else "" */
    mode_t mode;                        /* 07777 */
    uint32_t uid, gid;
    int64_t size;                       /* of files; else 0 */
    int64_t mtime_s;
    uint32_t mtime_ns;
    uint32_t dev_major, dev_minor;
    struct image_tar_xattr xattrs[IMAGE_TAR_XATTRS_MAX];
    size_t n_xattrs;
};

/* Up to len bytes, at least one; 0 at the end; -1. */
typedef ssize_t image_tar_read_fn(void *ctx, void *p, size_t len, struct err *err);

struct image_tar;

struct image_tar *image_tar_new(image_tar_read_fn *read, void *ctx);
struct image_tar *image_tar_free(struct image_tar *t);
CLEANUP_DEFINE(struct image_tar, image_tar_free)
/* 1: an entry, what was unread of the former one is skipped; 0: the end; -1. */
int image_tar_next(const struct image_tar_entry **out, struct image_tar *t, struct err *err);
/* The data of the entry: bytes, 0 at its end, -1. */
ssize_t image_tar_data(struct image_tar *t, void *p, size_t len, struct err *err);
/* Where the data of the entry begins, counted from the archive's first byte. */
int64_t image_tar_offset(const struct image_tar *t);

#endif
