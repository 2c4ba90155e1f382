/* image_store.c -- the store's directory: paths, locks, blobs, layers, and what is swept out of it.
 * */
#include "runtime/image/image_store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/check.h"
#include "core/base/map.h"
#include "core/crypto/crypto.h"
#include "runtime/image/image_index.h"

#define STORE_PATH_BYTES 128
#define STORE_INFO_BYTES_MAX 4096

static const char *const store_dirs[] = {
    "blobs", "blobs/sha256", "layers", "leases", "box", "tmp",
};

const char *image_store_dir(const struct image_store *s)
{
    return s->dir;
}

struct image_store *image_store_free(struct image_store *s)
{
    if (!s)
        return NULL;
    fd_close(s->fd);
    mem_free(s->dir);
    return mem_free(s);
}

int image_store_open(struct image_store **out, const char *dir, const struct env *env,
                     struct err *err)
{
    _cleanup_(image_store_freep) struct image_store *s = NEW(struct image_store);
    _cleanup_fd_ int sweep = -1;
    char *real;

    check(env);
    s->fd = -1;
    s->env = env;
    if (fd_mkdirs(dir, 0711, err) < 0)
        return err_wrap(err, "image store");
    real = realpath(dir, NULL);
    if (!real)
        return err_sys(err, "image store %s", dir);
    s->dir = mem_strdup(real);
    free(real);
    s->fd = open(s->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->fd < 0)
        return err_sys(err, "image store %s", s->dir);
    for (size_t i = 0; i < ARRAY_LEN(store_dirs); i++)
        if (mkdirat(s->fd, store_dirs[i], 0711) < 0 && errno != EEXIST)
            return err_sys(err, "mkdir %s/%s", s->dir, store_dirs[i]);
    sweep = image_store_lock_sweep(s, NULL);
    if (sweep >= 0 && image_store_sweep(s, NULL, err) < 0)
        return err_wrap(err, "image store %s", s->dir);
    *out = TAKE(s);
    return 0;
}

/* --- locks */

static int store_flock(const struct image_store *s, const char *name, int how, struct err *err)
{
    _cleanup_fd_ int fd = openat(s->fd, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0)
        return err_sys(err, "open %s/%s", s->dir, name);
    while (flock(fd, how) < 0) {
        if (errno == EWOULDBLOCK)
            return err_set(err, ERR_UNAVAILABLE, "images are being imported or pulled");
        if (errno != EINTR)
            return err_sys(err, "lock %s/%s", s->dir, name);
    }
    return TAKE_FD(fd);
}

int image_store_lock(const struct image_store *s, struct err *err)
{
    return store_flock(s, "lock", LOCK_EX, err);
}

int image_store_lock_ingest(const struct image_store *s, struct err *err)
{
    return store_flock(s, "gc.lock", LOCK_SH, err);
}

int image_store_lock_sweep(const struct image_store *s, struct err *err)
{
    return store_flock(s, "gc.lock", LOCK_EX | LOCK_NB, err);
}

/* --- temporary things */

static void store_tmp_name(const struct image_store *s, char name[IMAGE_TMP_NAME_BYTES])
{
    unsigned char random[8];
    char hex[2 * sizeof(random) + 1];

    env_random(s->env, random, sizeof(random));
    crypto_hex(hex, random, sizeof(random));
    snprintf(name, IMAGE_TMP_NAME_BYTES, "tmp/%s", hex);
}

int image_store_tmp(const struct image_store *s, char name[IMAGE_TMP_NAME_BYTES], struct err *err)
{
    store_tmp_name(s, name);
    if (mkdirat(s->fd, name, 0700) < 0)
        return err_sys(err, "mkdir %s/%s", s->dir, name);
    return 0;
}

void image_store_drop(const struct image_store *s, const char *path)
{
    fd_remove_tree(s->fd, path, NULL);
}

int image_store_doom(const struct image_store *s, const char *path, char name[IMAGE_TMP_NAME_BYTES],
                     struct err *err)
{
    store_tmp_name(s, name);
    if (renameat(s->fd, path, s->fd, name) < 0)
        return err_sys(err, "move %s/%s", s->dir, path);
    return 0;
}

int image_store_sync(const struct image_store *s, struct err *err)
{
    return syncfs(s->fd) < 0 ? err_sys(err, "sync %s", s->dir) : 0;
}

/* --- blobs */

static void store_blob_path(char out[STORE_PATH_BYTES], const char *digest)
{
    check(image_digest_ok(digest));
    snprintf(out, STORE_PATH_BYTES, "blobs/sha256/%s", image_digest_hex(digest));
}

int image_store_put_blob(const struct image_store *s, const char *digest, const void *p, size_t len,
                         struct err *err)
{
    char path[STORE_PATH_BYTES], hex[CRYPTO_SHA256_HEX_BYTES];

    store_blob_path(path, digest);
    crypto_sha256_hex(hex, p, len);
    if (!str_eq(hex, image_digest_hex(digest)))
        return err_set(err, ERR_CORRUPT, "digest is sha256:%s, not %s", hex, digest);
    return fd_write_file(s->fd, path, p, len, 0644, err);
}

int image_store_get_blob(struct buf *out, const struct image_store *s, const char *digest,
                         struct err *err)
{
    _cleanup_buf_ struct buf b = BUF_INIT;
    char path[STORE_PATH_BYTES], hex[CRYPTO_SHA256_HEX_BYTES];

    store_blob_path(path, digest);
    if (fd_read_file(&b, s->fd, path, IMAGE_MANIFEST_BYTES_MAX, err) < 0)
        return -1;
    crypto_sha256_hex(hex, b.p ? b.p : "", b.len);
    if (!str_eq(hex, image_digest_hex(digest)))
        return err_set(err, ERR_CORRUPT, "%s/%s was changed: its digest is %s", s->dir, path, hex);
    buf_clear(out);
    buf_add(out, b.p ? b.p : "", b.len);
    return 0;
}

void image_store_touch(const struct image_store *s, const char *id)
{
    char path[STORE_PATH_BYTES];
    struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = env_wall_s(s->env) } };

    store_blob_path(path, id);
    utimensat(s->fd, path, times, AT_SYMLINK_NOFOLLOW);
}

int64_t image_store_used_s(const struct image_store *s, const char *id)
{
    char path[STORE_PATH_BYTES];
    struct stat st;

    store_blob_path(path, id);
    return fstatat(s->fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0 ? 0 : st.st_mtim.tv_sec;
}

/* --- layers */

static void store_layer_path(char out[STORE_PATH_BYTES], const char *diff_id, const char *below)
{
    check(image_digest_ok(diff_id));
    snprintf(out, STORE_PATH_BYTES, "layers/%s%s", image_digest_hex(diff_id), below);
}

bool image_store_has_layer(const struct image_store *s, const char *diff_id)
{
    char path[STORE_PATH_BYTES];
    struct stat st;

    store_layer_path(path, diff_id, "/fs");
    return fstatat(s->fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

int64_t image_store_layer_bytes(const struct image_store *s, const char *diff_id, int64_t *files)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(64u << 10);
    _cleanup_buf_ struct buf b = BUF_INIT;
    char path[STORE_PATH_BYTES];
    struct json *doc = NULL;

    store_layer_path(path, diff_id, "/info");
    if (fd_read_file(&b, s->fd, path, STORE_INFO_BYTES_MAX, NULL) < 0 ||
        json_parse(&doc, a, b.p, b.len, NULL, NULL) < 0)
        doc = NULL;
    if (files)
        *files = json_get_int(doc, "files", 0);
    return json_get_int(doc, "bytes", 0);
}

int image_store_put_layer(const struct image_store *s, const char *tmp, const char *diff_id,
                          const struct image_store_sizes *sizes, struct err *err)
{
    char path[STORE_PATH_BYTES], info[96];
    int n;

    snprintf(path, sizeof(path), "%s/info", tmp);
    n = snprintf(info, sizeof(info), "{\"bytes\":%lld,\"files\":%lld}\n", (long long)sizes->bytes,
                 (long long)sizes->files);
    if (fd_write_file(s->fd, path, info, (size_t)n, 0644, err) < 0)
        return -1;
    if (fchmodat(s->fd, tmp, 0711, 0) < 0)
        return err_sys(err, "chmod %s/%s", s->dir, tmp);
    store_layer_path(path, diff_id, "");
    if (renameat(s->fd, tmp, s->fd, path) < 0) {
        if (errno != EEXIST && errno != ENOTEMPTY)
            return err_sys(err, "rename %s/%s", s->dir, path);
        image_store_drop(s, tmp);       /* another import was faster */
    }
    return 0;
}

/* --- sweeping: what nothing refers to */

static int store_keep_image(struct map *keep, const struct image_store *s,
                            const struct image_index_entry *e, struct err *err)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(IMAGE_ARENA_BYTES);
    _cleanup_buf_ struct buf b = BUF_INIT;
    struct image_config c;

    map_put(keep, e->id, keep);
    map_put(keep, e->manifest, keep);
    for (size_t i = 0; i < e->refs.len; i++)
        map_put(keep, e->refs.v[i].target, keep);
    if (image_store_get_blob(&b, s, e->id, err) < 0 ||
        image_config_parse(&c, a, b.p, b.len, err) < 0)
        return err_wrap(err, "image %s", e->id);
    for (size_t i = 0; i < c.n_layers; i++)
        map_put(keep, c.layers[i], keep);
    return 0;
}

/* Dooms what is in `dir` and not in `keep`, where a file HEX is the key "sha256:HEX". */
static int store_sweep_dir(const struct image_store *s, const char *dir, const struct map *keep,
                           int64_t *freed, struct err *err)
{
    DIR *d = fd_opendir(s->fd, dir, err);
    struct dirent *e;

    if (!d)
        return err_wrap(err, "%s", s->dir);
    while ((e = readdir(d))) {
        char digest[IMAGE_DIGEST_BYTES + 256], path[STORE_PATH_BYTES + 256];
        char tmp[IMAGE_TMP_NAME_BYTES];

        if (e->d_name[0] == '.')
            continue;
        snprintf(digest, sizeof(digest), "sha256:%s", e->d_name);
        if (map_get(keep, digest))
            continue;
        snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
        if (str_eq(dir, "layers") && image_digest_ok(digest))
            *freed += image_store_layer_bytes(s, digest, NULL);
        if (image_store_doom(s, path, tmp, err) < 0) {
            closedir(d);
            return -1;
        }
    }
    closedir(d);
    return 0;
}

static void store_empty_tmp(const struct image_store *s)
{
    DIR *d = fd_opendir(s->fd, "tmp", NULL);
    struct dirent *e;

    if (!d)
        return;
    while ((e = readdir(d)))
        if (!str_eq(e->d_name, ".") && !str_eq(e->d_name, ".."))
            fd_remove_tree(dirfd(d), e->d_name, NULL);
    closedir(d);
}

int image_store_sweep(const struct image_store *s, int64_t *freed_bytes, struct err *err)
{
    _cleanup_(image_index_freep) struct image_index *ix = NULL;
    _cleanup_fd_ int lock = image_store_lock(s, err);
    struct map *keep = NULL;
    int64_t freed = 0;
    int r = -1;

    if (lock < 0 || image_index_load(&ix, s, err) < 0 || image_lease_held(&keep, s, err) < 0)
        goto done;
    for (size_t i = 0; i < ix->entries.len; i++) {
        struct err inner = ERR_INIT;

        if (store_keep_image(keep, s, &ix->entries.v[i], &inner) < 0 && inner.code == ERR_SYSTEM) {
            err_set(err, ERR_FAILED, "%s", inner.msg);
            goto done;
        }
    }
    if (store_sweep_dir(s, "layers", keep, &freed, err) < 0 ||
        store_sweep_dir(s, "blobs/sha256", keep, &freed, err) < 0)
        goto done;
    lock = fd_close(lock);              /* removing may take long: leases need not wait for it */
    store_empty_tmp(s);
    if (freed_bytes)
        *freed_bytes = freed;
    r = 0;
done:
    map_free(keep, NULL);
    return r;
}
