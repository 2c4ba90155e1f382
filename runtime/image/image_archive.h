/* runtime/image/image_archive.h -- a tar of images on the disk: which files are in it, where, and
 * which images they make. OCI layouts ("oci-layout" and index.json) and docker-archives
 * (manifest.json). Inside the room only.
 */
#ifndef RUNTIME_IMAGE_IMAGE_ARCHIVE_H
#define RUNTIME_IMAGE_IMAGE_ARCHIVE_H

#include "runtime/image/image_crew.h"

#define IMAGE_ARCHIVE_IMAGES_MAX 1000
#define IMAGE_ARCHIVE_LINKS_MAX 8

struct image_archive_file { int64_t offset, size; const char *link; };

struct image_archive {
    int fd;                                     /* plain; owned */
    struct map *files;                          /* clean path -> struct image_archive_file */
    struct arena *arena;                        /* owns texts, files and documents */
};

/* One image of the archive, ready to be unpacked. Digests of blobs were compared. */
struct image_archive_image {
    struct image_config config;
    struct slice config_bytes, manifest_bytes;  /* the latter made here for docker-archives */
    char id[IMAGE_DIGEST_BYTES], manifest[IMAGE_DIGEST_BYTES], target[IMAGE_DIGEST_BYTES];
    const char **names;                         /* normalised; NULL-terminated */
    struct image_layer_source *layers;          /* one for each of config.layers */
    int64_t size_bytes;
};

int image_archive_open(struct image_archive *out, struct image_crew *c, const char *file,
                       struct err *err);
void image_archive_deinit(struct image_archive *a);
/* The images for this machine's platform; `name` replaces the names inside, may be NULL. All in
 * a->arena. */
int image_archive_images(struct image_archive_image **out, size_t *n, struct image_archive *a,
                         const char *name, struct err *err);

#endif
