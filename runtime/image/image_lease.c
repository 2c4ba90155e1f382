/* image_lease.c -- who uses which image: one small file each, written before the image is mounted.
 *
 *   leases/ID   {"image":"sha256:...","manifest":"sha256:...","box":"HEX","layers":["sha256:..."]}
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/check.h"
#include "core/base/map.h"
#include "runtime/image/image_index.h"

#define LEASE_BYTES_MAX (64u << 10)
#define LEASE_PATH_BYTES (IMAGE_LEASE_ID_MAX + 16)

/* An id is a file name: letters, digits and ".-_:", not beginning with a dot. */
static int lease_path(char out[LEASE_PATH_BYTES], const char *id, struct err *err)
{
    size_t len = strlen(id);

    if (len == 0 || len > IMAGE_LEASE_ID_MAX || id[0] == '.' ||
        strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:") != len)
        return err_set(err, ERR_INVALID, "lease \"%.100s\": not a valid id", id);
    snprintf(out, LEASE_PATH_BYTES, "leases/%s", id);
    return 0;
}

/* Overlay in a user namespace keeps its notes in user.overlay.* instead of trusted.overlay.*. */
bool image_lease_userxattr(void)
{
    _cleanup_buf_ struct buf b = BUF_INIT;
    unsigned long long inside, outside, count;
    char *at;

    if (fd_read_file(&b, AT_FDCWD, "/proc/self/uid_map", 4096, NULL) < 0 || b.len == 0)
        return false;
    inside = strtoull(b.p, &at, 10);
    outside = strtoull(at, &at, 10);
    count = strtoull(at, &at, 10);
    return !(inside == 0 && outside == 0 && count >= 4294967295ull);
}

static int lease_write(const struct image_store *s, const struct image *im, const char *id,
                       struct err *err)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(1u << 20);
    _cleanup_buf_ struct buf b = BUF_INIT;
    struct json *doc = json_object(a), *layers = json_array(a);
    char path[LEASE_PATH_BYTES];

    if (lease_path(path, id, err) < 0)
        return -1;
    json_set_str(a, doc, "image", im->id);
    if (im->is_box)
        json_set_str(a, doc, "box", image_digest_hex(im->id));
    else
        json_set_str(a, doc, "manifest", im->manifest);
    for (size_t i = 0; im->layers[i]; i++)
        json_append(a, layers, json_str(a, im->layers[i]));
    json_set(a, doc, "layers", layers);
    json_write(&b, doc);
    return fd_write_file(s->fd, path, b.p, b.len, 0600, err);
}

static void lease_mount(struct image_mount *out, const struct image_store *s,
                        const struct image *im)
{
    struct image_mount m = { .userxattr = image_lease_userxattr() };
    size_t n = 0;

    while (im->layers[n])
        n++;
    m.lower = mem_alloc_array(n + 2, sizeof(*m.lower));
    if (im->is_box)
        m.lower[m.n++] = mem_printf("%s/box/%s/fs", s->dir, image_digest_hex(im->id));
    for (size_t i = n; i-- > 0;)
        m.lower[m.n++] = mem_printf("%s/layers/%s/fs", s->dir, image_digest_hex(im->layers[i]));
    *out = m;
}

/* Whether everything the lease will name is still there. */
static int lease_check(const struct image_store *s, const struct image *im, struct err *err)
{
    _cleanup_(image_index_freep) struct image_index *ix = NULL;
    char path[128];
    long at;

    if (im->is_box) {
        snprintf(path, sizeof(path), "box/%s/fs", image_digest_hex(im->id));
        if (faccessat(s->fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
            return 0;
        return err_set(err, ERR_NOT_FOUND, "%s is gone", IMAGE_BOX_NAME);
    }
    if (image_index_load(&ix, s, err) < 0)
        return -1;
    if (!image_index_find(ix, im->id, &at))
        return err_set(err, ERR_NOT_FOUND, "image %s is gone", im->id);
    for (size_t i = 0; im->layers[i]; i++)
        if (!image_store_has_layer(s, im->layers[i]))
            return err_set(err, ERR_NOT_FOUND, "image %s: layer %s is gone", im->id, im->layers[i]);
    return 0;
}

int image_lease(struct image_mount *out, const struct image_store *s, const struct image *im,
                const char *id, struct err *err)
{
    _cleanup_fd_ int lock = image_store_lock(s, err);

    check(im);
    if (lock < 0 || lease_check(s, im, err) < 0 || lease_write(s, im, id, err) < 0)
        return err_wrap(err, "lease %.60s", id);
    if (!im->is_box)
        image_store_touch(s, im->id);
    lease_mount(out, s, im);
    return 0;
}

void image_mount_deinit(struct image_mount *m)
{
    for (size_t i = 0; i < m->n; i++)
        mem_free(m->lower[i]);
    m->lower = mem_free(m->lower);
    m->n = 0;
}

static int lease_read(struct json **out, struct arena *a, const struct image_store *s,
                      const char *id,
                      struct err *err)
{
    _cleanup_buf_ struct buf b = BUF_INIT;
    char path[LEASE_PATH_BYTES];

    if (lease_path(path, id, err) < 0 || fd_read_file(&b, s->fd, path, LEASE_BYTES_MAX, err) < 0)
        return -1;
    return json_parse(out, a, b.p ? b.p : "", b.len, NULL, err);
}

int image_unlease(const struct image_store *s, const char *id, struct err *err)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(4u << 20);
    _cleanup_fd_ int lock = -1;
    char path[LEASE_PATH_BYTES], left[LEASE_PATH_BYTES + sizeof(FD_REPLACE_SUFFIX)];
    struct json *doc = NULL;
    const char *image;

    if (lease_path(path, id, err) < 0)
        return -1;
    lock = image_store_lock(s, err);
    if (lock < 0)
        return -1;
    if (lease_read(&doc, a, s, id, NULL) == 0) {
        image = json_get_str(doc, "image");
        if (!json_get(doc, "box") && image_digest_ok(image))
            image_store_touch(s, image);
    }
    snprintf(left, sizeof(left), "%s" FD_REPLACE_SUFFIX, path);  /* of a write that was cut short */
    if ((unlinkat(s->fd, path, 0) < 0 && errno != ENOENT) ||
        (unlinkat(s->fd, left, 0) < 0 && errno != ENOENT))
        return err_sys(err, "remove %s/%s", s->dir, path);
    return 0;
}

static int lease_compare(const void *x, const void *y)
{
    return strcmp(*(char *const *)x, *(char *const *)y);
}

int image_lease_list(char ***out, size_t *n, const struct image_store *s, struct err *err)
{
    DIR *d = fd_opendir(s->fd, "leases", err);
    char path[LEASE_PATH_BYTES];
    VEC(char *) ids = { 0 };
    struct dirent *e;

    if (!d)
        return err_wrap(err, "%s", s->dir);
    while ((e = readdir(d)))
        if (lease_path(path, e->d_name, NULL) == 0)     /* not the leavings of a write */
            vec_push(&ids, mem_strdup(e->d_name));
    closedir(d);
    if (ids.len > 0)
        qsort(ids.v, ids.len, sizeof(*ids.v), lease_compare);
    *out = ids.v;
    *n = ids.len;
    return 0;
}

void image_lease_list_free(char **ids, size_t n)
{
    for (size_t i = 0; i < n; i++)
        mem_free(ids[i]);
    mem_free(ids);
}

static int lease_hold(struct map *held, const struct image_store *s, const char *id,
                      struct err *err)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(4u << 20);
    struct json *doc = NULL, *layer;
    const char *box;
    char key[IMAGE_DIGEST_BYTES + 8];

    if (lease_read(&doc, a, s, id, err) < 0)
        return err_wrap(err, "lease %s", id);
    box = json_get_str(doc, "box");
    if (box) {
        snprintf(key, sizeof(key), "box:%.64s", box);
        map_put(held, key, held);
    }
    if (json_get_str(doc, "image"))
        map_put(held, json_get_str(doc, "image"), held);
    if (json_get_str(doc, "manifest"))
        map_put(held, json_get_str(doc, "manifest"), held);
    json_each(layer, json_get(doc, "layers"))
        if (json_text(layer))
            map_put(held, json_text(layer), held);
    return 0;
}

/* A lease that cannot be read stops every removal: better a full disk than a pod without its files.
 * */
int image_lease_held(struct map **out, const struct image_store *s, struct err *err)
{
    struct map *held;
    char **ids;
    size_t n;
    int r = 0;

    if (image_lease_list(&ids, &n, s, err) < 0)
        return -1;
    held = map_new();
    for (size_t i = 0; i < n && r == 0; i++)
        r = lease_hold(held, s, ids[i], err);
    image_lease_list_free(ids, n);
    if (r < 0) {
        map_free(held, NULL);
        return -1;
    }
    *out = held;
    return 0;
}
