/* image_archive.c -- finds the images in an archive. */
#include "runtime/image/image_archive.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/check.h"
#include "core/base/map.h"
#include "core/crypto/crypto.h"

#define ARCHIVE_ARENA_BYTES (1u << 30)
#define ARCHIVE_NAME_PATH_MAX 512

/* --- open: decompress, list */

void image_archive_deinit(struct image_archive *a)
{
    a->fd = fd_close(a->fd);
    a->files = map_free(a->files, NULL);
    a->arena = arena_free(a->arena);
}

static const char *archive_clean(const char *path)
{
    while (str_starts(path, "./") || *path == '/')
        path += *path == '/' ? 1 : 2;
    return path;
}

/* The text of a link as a path in the archive: "../x/layer.tar" seen from "y/layer.tar" is
 * "x/layer.tar". */
static char *archive_link(struct arena *a, const struct image_unpack_entry *e)
{
    const char *link = e->link, *slash = strrchr(archive_clean(e->path), '/');
    size_t dir = slash ? (size_t)(slash - archive_clean(e->path)) : 0;

    while (str_starts(link, "../")) {
        link += 3;
        while (dir > 0 && archive_clean(e->path)[dir - 1] != '/')
            dir--;
        dir -= dir > 0;
    }
    if (dir == 0 || link == e->link)  /* hard links, and links in the same place: as written */
        return arena_strdup(a, archive_clean(link));
    return arena_printf(a, "%.*s/%s", (int)dir, archive_clean(e->path), link);
}

static int archive_on_entry(struct image_task *t, const struct image_unpack_entry *e,
                            struct err *err)
{
    struct image_archive *a = t->ctx;
    struct image_archive_file *f = ANEW(a->arena, struct image_archive_file);

    if (map_len(a->files) >= IMAGE_ARCHIVE_ENTRIES_MAX)
        return err_set(err, ERR_QUOTA, "more than %d files", IMAGE_ARCHIVE_ENTRIES_MAX);
    f->offset = e->offset;
    f->size = e->size;
    if (e->is_link)
        f->link = archive_link(a->arena, e);
    if (*archive_clean(e->path))
        map_put(a->files, archive_clean(e->path), f);
    return 0;
}

/* Replaces a compressed a->fd by a nameless plain copy in the store. */
static int archive_plain(struct image_archive *a, struct image_crew *c, struct err *err)
{
    struct image_unpack_ask ask = { .mode = UNPACK_PLAIN, .length = -1 };
    _cleanup_(image_task_deinit) struct image_task t = { .what = "decompress", .ctx = a };
    _cleanup_fd_ int copy = openat(c->s->fd, "tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    if (copy < 0)
        return err_sys(err, "temporary file in %s/tmp", c->s->dir);
    if (image_crew_room(c, &ask.max_bytes, &ask.max_entries, err) < 0 ||
        image_task_run(&t, c, &ask, a->fd, copy, err) < 0)
        return -1;
    if (!t.done.was_plain) {
        fd_close(a->fd);
        a->fd = TAKE_FD(copy);
    }
    return 0;
}

static int archive_list(struct image_archive *a, struct image_crew *c, struct err *err)
{
    struct image_unpack_ask ask = {
        .mode = UNPACK_LIST, .length = -1, .max_bytes = INT64_MAX / 2,
        .max_entries = IMAGE_ARCHIVE_ENTRIES_MAX,
    };
    _cleanup_(image_task_deinit) struct image_task t = {
        .what = "archive", .on_entry = archive_on_entry, .ctx = a,
    };

    return image_task_run(&t, c, &ask, a->fd, -1, err);
}

int image_archive_open(struct image_archive *out, struct image_crew *c, const char *file,
                       struct err *err)
{
    struct image_archive a = { .fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK) };
    struct stat st;

    if (a.fd < 0)
        return errno == ENOENT ? err_set(err, ERR_NOT_FOUND, "%s: no such file", file) :
               err_sys(err, "open %s", file);
    if (fstat(a.fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        fd_close(a.fd);
        return err_set(err, ERR_INVALID, "%s: not a regular file", file);
    }
    a.files = map_new();
    a.arena = arena_new(ARCHIVE_ARENA_BYTES);
    if (archive_plain(&a, c, err) < 0 || archive_list(&a, c, err) < 0) {
        image_archive_deinit(&a);
        return -1;
    }
    *out = a;
    return 0;
}

/* --- files inside */

/* Follows links. NULL when there is no such file. */
static const struct image_archive_file *archive_find(const struct image_archive *a,
                                                     const char *path)
{
    for (int i = 0; i < IMAGE_ARCHIVE_LINKS_MAX; i++) {
        const struct image_archive_file *f = map_get(a->files, archive_clean(path));

        if (!f || !f->link)
            return f;
        path = f->link;
    }
    return NULL;
}

static int archive_read(struct slice *out, struct image_archive *a, const char *path,
                        struct err *err)
{
    const struct image_archive_file *f = archive_find(a, path);
    char *p;
    int64_t got = 0;

    if (!f)
        return err_set(err, ERR_CORRUPT, "%.200s is missing in the archive", path);
    if (f->size > IMAGE_MANIFEST_BYTES_MAX)
        return err_set(err, ERR_QUOTA, "%.200s has %lld bytes, more than %u", path,
                       (long long)f->size, IMAGE_MANIFEST_BYTES_MAX);
    p = arena_try(a->arena, (size_t)f->size + 1);
    if (!p)
        return err_set(err, ERR_QUOTA, "the archive has too many images");
    while (got < f->size) {
        ssize_t n = pread(a->fd, p + got, (size_t)(f->size - got), f->offset + got);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return err_set(err, ERR_CORRUPT, "%.200s: cut off", path);
        got += n;
    }
    *out = (struct slice){ p, (size_t)f->size };
    return 0;
}

static void archive_blob_path(char out[ARCHIVE_NAME_PATH_MAX], const char *digest)
{
    snprintf(out, ARCHIVE_NAME_PATH_MAX, "blobs/sha256/%s", image_digest_hex(digest));
}

static void archive_digest(char out[IMAGE_DIGEST_BYTES], struct slice bytes)
{
    memcpy(out, "sha256:", 7);
    crypto_sha256_hex(out + 7, bytes.p, bytes.len);
}

static int archive_read_blob(struct slice *out, struct image_archive *a, const char *digest,
                             struct err *err)
{
    char path[ARCHIVE_NAME_PATH_MAX], real[IMAGE_DIGEST_BYTES];

    archive_blob_path(path, digest);
    if (archive_read(out, a, path, err) < 0)
        return -1;
    archive_digest(real, *out);
    if (!str_eq(real, digest))
        return err_set(err, ERR_CORRUPT, "%s: the digest is %s", path, real);
    return 0;
}

static int archive_layer_source(struct image_archive_image *im, size_t i, struct image_archive *a,
                                const char *path, const char *digest, struct err *err)
{
    const struct image_archive_file *f = archive_find(a, path);

    if (!f)
        return err_set(err, ERR_CORRUPT, "%.200s is missing in the archive", path);
    im->layers[i] = (struct image_layer_source){ a->fd, f->offset, f->size, digest };
    im->size_bytes += f->size;
    return 0;
}

/* --- names */

/* What the archive calls an image, as a whole name: a bare tag needs a repository, which is not
 * inside. */
static const char *archive_name(struct image_archive *a, const char *inside, const char *given)
{
    struct image_ref ref;

    if (given) {
        if (image_ref_parse(&ref, given, NULL) < 0)
            return NULL;
        return arena_strdup(a->arena, ref.text);
    }
    if (!inside || (!strchr(inside, ':') && !strchr(inside, '/')) ||
        image_ref_parse(&ref, inside, NULL) < 0 || image_ref_is_box(&ref))
        return NULL;
    return arena_strdup(a->arena, ref.text);
}

/* --- OCI layouts */

static int archive_oci_config(struct image_archive_image *im, struct image_archive *a,
                              const struct image_manifest *m, struct err *err)
{
    char path[ARCHIVE_NAME_PATH_MAX];

    if (archive_read_blob(&im->config_bytes, a, m->config.digest, err) < 0 ||
        image_config_parse(&im->config, a->arena, im->config_bytes.p, im->config_bytes.len,
                           err) < 0)
        return -1;
    snprintf(im->id, sizeof(im->id), "%s", m->config.digest);
    if (im->config.n_layers != m->n)
        return err_set(err, ERR_CORRUPT, "%zu layers, but %zu diff IDs", m->n, im->config.n_layers);
    im->size_bytes = (int64_t)(im->manifest_bytes.len + im->config_bytes.len);
    im->layers = arena_alloc(a->arena, (m->n + 1) * sizeof(*im->layers));
    for (size_t i = 0; i < m->n; i++) {
        archive_blob_path(path, m->v[i].digest);
        if (archive_layer_source(im, i, a, path, m->v[i].digest, err) < 0)
            return -1;
    }
    return 0;
}

/* The manifest for this machine below a descriptor. 1 found, 0 not for this platform, -1. */
static int archive_oci_manifest(struct image_archive_image *im, struct image_archive *a,
                                const struct image_desc *d, struct err *err)
{
    struct image_platform host = image_platform_host();
    struct image_manifest m;

    if (*d->platform.os && !image_platform_runs(host, d->platform))
        return 0;
    snprintf(im->target, sizeof(im->target), "%s", d->digest);
    for (int depth = 0; depth < 3; depth++) {
        snprintf(im->manifest, sizeof(im->manifest), "%s", d->digest);
        if (archive_read_blob(&im->manifest_bytes, a, d->digest, err) < 0 ||
            image_manifest_parse(&m, a->arena, im->manifest_bytes.p, im->manifest_bytes.len,
                                 err) < 0)
            return err_wrap(err, "%s", d->digest);
        if (!m.is_index) {
            if (archive_oci_config(im, a, &m, err) < 0)
                return err_wrap(err, "%s", d->digest);
            return image_platform_runs(host, im->config.platform) ? 1 : 0;
        }
        d = image_manifest_select(&m, host);
        if (!d)
            return 0;
    }
    return err_set(err, ERR_CORRUPT, "indexes in indexes in indexes");
}

static int archive_oci(struct image_archive_image **out, size_t *n, struct image_archive *a,
                       const char *name, struct err *err)
{
    struct slice text;
    struct image_manifest index;
    struct image_archive_image *v;

    if (archive_read(&text, a, "index.json", err) < 0 ||
        image_manifest_parse(&index, a->arena, text.p, text.len, err) < 0)
        return err_wrap(err, "index.json");
    if (!index.is_index || index.n > IMAGE_ARCHIVE_IMAGES_MAX)
        return err_set(err, ERR_CORRUPT, "index.json: not an index of at most %d images",
                       IMAGE_ARCHIVE_IMAGES_MAX);
    v = arena_alloc(a->arena, (index.n + 1) * sizeof(*v));
    *n = 0;
    for (size_t i = 0; i < index.n; i++) {
        const struct image_desc *d = &index.v[i];
        struct image_archive_image *im = &v[*n];
        int r = archive_oci_manifest(im, a, d, err);

        if (r < 0)
            return -1;
        if (r == 0)
            continue;
        im->names = arena_alloc(a->arena, 2 * sizeof(*im->names));
        im->names[0] = archive_name(a, d->image_name ? d->image_name : d->ref_name, name);
        (*n)++;
    }
    *out = v;
    return 0;
}

/* --- docker-archives */

/* The archive has no manifest in the registry's sense: one is made, so that there is a digest to
 * name it by. */
static void archive_docker_manifest(struct image_archive_image *im, struct image_archive *a)
{
    static const char *const type = "application/vnd.docker.distribution.manifest.v2+json";
    struct json *doc = json_object(a->arena), *layers = json_array(a->arena);
    struct json *config = json_object(a->arena);
    _cleanup_buf_ struct buf b = BUF_INIT;

    json_set_int(a->arena, doc, "schemaVersion", 2);
    json_set_str(a->arena, doc, "mediaType", type);
    json_set_str(a->arena, config, "mediaType", "application/vnd.docker.container.image.v1+json");
    json_set_int(a->arena, config, "size", (int64_t)im->config_bytes.len);
    json_set_str(a->arena, config, "digest", im->id);
    json_set(a->arena, doc, "config", config);
    for (size_t i = 0; i < im->config.n_layers; i++) {
        struct json *l = json_object(a->arena);

        json_set_str(a->arena, l, "mediaType", "application/vnd.docker.image.rootfs.diff.tar");
        json_set_int(a->arena, l, "size", im->layers[i].length);
        json_set_str(a->arena, l, "digest", im->config.layers[i]);
        json_append(a->arena, layers, l);
    }
    json_set(a->arena, doc, "layers", layers);
    json_write(&b, doc);
    im->manifest_bytes = (struct slice){ arena_strndup(a->arena, b.p, b.len), b.len };
    im->size_bytes += (int64_t)b.len;
    archive_digest(im->manifest, im->manifest_bytes);
    memcpy(im->target, im->manifest, sizeof(im->target));
}

static int archive_docker_names(struct image_archive_image *im, struct image_archive *a,
                                const struct json *item, const char *name, struct err *err)
{
    struct json *tags = json_get(item, "RepoTags"), *tag;
    size_t n = 0;

    if (json_len(tags) > IMAGE_NAMES_MAX)
        return err_set(err, ERR_QUOTA, "more than %d names", IMAGE_NAMES_MAX);
    im->names = arena_alloc(a->arena, (json_len(tags) + 2) * sizeof(*im->names));
    if (name) {
        im->names[0] = archive_name(a, NULL, name);
        return 0;
    }
    json_each(tag, tags) {
        const char *text = json_text(tag) ? archive_name(a, json_text(tag), NULL) : NULL;

        if (text)
            im->names[n++] = text;
    }
    return 0;
}

/* 1 an image for this platform, 0 one for another, -1. */
static int archive_docker_image(struct image_archive_image *im, struct image_archive *a,
                                const struct json *item, struct err *err)
{
    const char *config = json_get_str(item, "Config");
    struct json *layers = json_get(item, "Layers");

    if (!config || !json_is(layers, JSON_ARRAY))
        return err_set(err, ERR_CORRUPT, "no Config or no Layers");
    if (archive_read(&im->config_bytes, a, config, err) < 0 ||
        image_config_parse(&im->config, a->arena, im->config_bytes.p, im->config_bytes.len,
                           err) < 0)
        return -1;
    if (!image_platform_runs(image_platform_host(), im->config.platform))
        return 0;
    if (json_len(layers) != im->config.n_layers)
        return err_set(err, ERR_CORRUPT, "%zu layers, but %zu diff IDs", json_len(layers),
                       im->config.n_layers);
    archive_digest(im->id, im->config_bytes);
    im->size_bytes = (int64_t)im->config_bytes.len;
    im->layers = arena_alloc(a->arena, (im->config.n_layers + 1) * sizeof(*im->layers));
    for (size_t i = 0; i < im->config.n_layers; i++) {
        const char *path = json_text(json_at(layers, i));

        if (!path || archive_layer_source(im, i, a, path, "", err) < 0)
            return path ? -1 : err_set(err, ERR_CORRUPT, "Layers[%zu]: not a path", i);
    }
    archive_docker_manifest(im, a);
    return 1;
}

static int archive_docker(struct image_archive_image **out, size_t *n, struct image_archive *a,
                          const char *name, struct err *err)
{
    struct image_archive_image *v;
    struct err why = ERR_INIT;
    struct slice text;
    struct json *doc, *item;

    if (archive_read(&text, a, "manifest.json", err) < 0)
        return -1;
    if (json_parse(&doc, a->arena, text.p, text.len, NULL, &why) < 0)
        return err_set(err, ERR_CORRUPT, "manifest.json: %s", why.msg);
    if (!json_is(doc, JSON_ARRAY) || json_len(doc) > IMAGE_ARCHIVE_IMAGES_MAX)
        return err_set(err, ERR_CORRUPT, "manifest.json: not a list of at most %d images",
                       IMAGE_ARCHIVE_IMAGES_MAX);
    v = arena_alloc(a->arena, (json_len(doc) + 1) * sizeof(*v));
    *n = 0;
    json_each(item, doc) {
        int r = archive_docker_image(&v[*n], a, item, err);

        if (r < 0 || (r > 0 && archive_docker_names(&v[*n], a, item, name, err) < 0))
            return err_wrap(err, "manifest.json");
        *n += (size_t)r;
    }
    *out = v;
    return 0;
}

int image_archive_images(struct image_archive_image **out, size_t *n, struct image_archive *a,
                         const char *name, struct err *err)
{
    struct image_platform host = image_platform_host();
    struct image_ref ref;
    bool oci = archive_find(a, "oci-layout") && archive_find(a, "index.json");

    if (name && image_ref_parse(&ref, name, err) < 0)
        return -1;
    if (name && (image_ref_is_box(&ref) || ref.digest[0]))
        return err_set(err, ERR_INVALID, "%s: not a name to import under", ref.text);
    if (!oci && !archive_find(a, "manifest.json"))
        return err_set(err, ERR_CORRUPT,
                       "neither an OCI layout nor a docker-archive: no index.json and "
                       "no manifest.json inside");
    if ((oci ? archive_oci : archive_docker)(out, n, a, name, err) < 0)
        return -1;
    if (*n == 0)
        return err_set(err, ERR_NOT_FOUND, "no image for %s/%s inside", host.os, host.arch);
    if (name && *n > 1)
        return err_set(err, ERR_INVALID, "%zu images inside: one name is not enough", *n);
    for (size_t i = 0; i < *n; i++)
        if (!(*out)[i].names[0])
            return err_set(err, ERR_INVALID, "image %s has no name inside: give one", (*out)[i].id);
    return 0;
}
