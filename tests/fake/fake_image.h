/* tests/fake/fake_image.h -- tars, layers and archives of images, made in memory for tests. */
#ifndef TESTS_FAKE_FAKE_IMAGE_H
#define TESTS_FAKE_FAKE_IMAGE_H

#include <stdint.h>
#include <sys/types.h>

#include "core/base/str.h"

#define FAKE_DIGEST_BYTES 72
#define FAKE_LAYERS_MAX 8

/* One tar entry with the owner of this process; type as in the header: '0' file, '5' directory
 * ... */
struct fake_entry {
    char type;
    const char *path, *link;
    mode_t mode;                        /* 0: 0644, directories 0755 */
    const void *data;                   /* NULL: none */
    size_t len;                         /* 0 with data: its strlen */
    int64_t uid, gid;                   /* -1: this process's; 0 is 0 */
    int64_t mtime;
    unsigned major, minor;
    const char *pax;  /* records for a pax header before it, "path=x\nuid=3\n"; no lengths */
    size_t pax_len;                     /* 0: its strlen */
};
#define FAKE_FILE(path_, text_) \
    ((struct fake_entry){ .type = '0', .path = (path_), .data = (text_), .uid = -1, .gid = -1 })
#define FAKE_DIR(path_) ((struct fake_entry){ .type = '5', .path = (path_), .uid = -1, .gid = -1 })
#define FAKE_LINK(type_, path_, link_) \
    ((struct fake_entry){ .type = (type_), .path = (path_), .link = (link_), .uid = -1, .gid = -1 })

void fake_tar_add(struct buf *tar, struct fake_entry e);
void fake_tar_end(struct buf *tar);
void fake_tar_sum(char *header);        /* computes the checksum of a changed header again */
void fake_gzip(struct buf *out, const struct buf *in);
void fake_zstd(struct buf *out, const struct buf *in);
void fake_digest(char out[FAKE_DIGEST_BYTES], const struct buf *b);
void fake_write(const char *path, const struct buf *b);
void fake_read(struct buf *out, const char *path);      /* fails the test when it is not there */

/* An image being made: add layers (tars, plain), then write it as an archive. */
struct fake_image {
    struct buf layer[FAKE_LAYERS_MAX];          /* as transferred */
    char diff_id[FAKE_LAYERS_MAX][FAKE_DIGEST_BYTES];
    size_t n;
    struct buf config, manifest;                /* made by fake_image_end() */
    char id[FAKE_DIGEST_BYTES], digest[FAKE_DIGEST_BYTES];
    const char *arch;                           /* NULL: this machine's */
    const char *extra;                          /* of the config: "\"Cmd\":[\"x\"]"; may be NULL */
};
enum fake_codec { FAKE_PLAIN, FAKE_GZIP, FAKE_ZSTD };
void fake_image_layer(struct fake_image *im, const struct buf *tar, enum fake_codec codec);
void fake_image_end(struct fake_image *im);
void fake_image_deinit(struct fake_image *im);
void fake_image_oci(struct buf *tar, const struct fake_image *im, const char *ref_name);
void fake_image_docker(struct buf *tar, const struct fake_image *im, const char *repo_tag);

#endif
