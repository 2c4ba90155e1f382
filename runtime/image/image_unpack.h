/* runtime/image/image_unpack.h -- how the room speaks to its child `unpack`. Both ends are the same
 * binary.
 *
 *   parent -> child   UNPACK_ASK with a struct image_unpack_ask, the input's fd and, for layers,
 * the target's, for UNPACK_PLAIN the output's
 *   child -> parent   UNPACK_PROGRESS (int64_t: bytes of the input done), UNPACK_OPAQUE (a path),
 * UNPACK_ENTRY, at last UNPACK_DONE or IMSG_ERR
 */
#ifndef RUNTIME_IMAGE_IMAGE_UNPACK_H
#define RUNTIME_IMAGE_IMAGE_UNPACK_H

#include "core/loop/imsg.h"
#include "runtime/image/image_manifest.h"

#define IMAGE_UNPACK_VERB "unpack"
#define IMAGE_ARCHIVE_ENTRIES_MAX 20000         /* files of one archive of images */
#define IMAGE_ARCHIVE_PATH_MAX 1000
#define IMAGE_PROGRESS_BYTES (1 << 20)          /* a progress record each */

enum { UNPACK_ASK = IMSG_USER, UNPACK_PROGRESS, UNPACK_OPAQUE, UNPACK_ENTRY, UNPACK_DONE };

enum image_unpack_mode {
    UNPACK_LAYER,           /* a layer's blob becomes a tree */
    UNPACK_PLAIN,           /* an archive is decompressed into another file */
    UNPACK_LIST,            /* the entries of a plain archive are told */
};

struct image_unpack_ask {
    enum image_unpack_mode mode;
    bool no_devices;
    int64_t offset, length; /* the piece of the input */
    int64_t max_bytes, max_entries;
    char digest[IMAGE_DIGEST_BYTES];    /* of the piece; "": not known */
    char diff_id[IMAGE_DIGEST_BYTES];   /* of the layer's tar */
};

struct image_unpack_entry {
    int64_t offset, size;
    bool is_link;
    char path[IMAGE_ARCHIVE_PATH_MAX + 1], link[IMAGE_ARCHIVE_PATH_MAX + 1];
};

struct image_unpack_done {
    int64_t in_bytes, out_bytes, entries, disk_bytes;
    bool was_plain;         /* the input was not compressed */
};

#endif
