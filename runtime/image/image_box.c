/* image_box.c -- the built-in image: this binary as /bin/inro-box, with a link for each applet.
 *
 *   box/HEX/fs      HEX: sha256 of the binary's digest and the applets' names
 *   box/current     a link to HEX, replaced atomically
 *
 * It looks like any image to those who use it, but is in no index, has no blobs and one lower
 * directory.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/check.h"
#include "core/base/map.h"
#include "core/crypto/crypto.h"
#include "runtime/image/image_store.h"

#define BOX_PATH_BYTES 160
#define BOX_APPLETS_MAX 200
#define BOX_COPY_BYTES (256u << 10)
#define BOX_FORM "1"                    /* counts up when the files below change */
#define BOX_ARENA_BYTES (1u << 20)

static const struct { const char *path; mode_t mode; } box_dirs[] = {
    { "bin", 0755 }, { "dev", 0755 }, { "etc", 0755 }, { "proc", 0555 }, { "root", 0700 },
    { "run", 0755 }, { "sys", 0555 }, { "tmp", 01777 }, { "var", 0755 }, { "var/run", 0755 },
};

static const struct { const char *path, *text; } box_files[] = {
    { "etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n" },
    { "etc/group", "root:x:0:\nnogroup:x:65534:\n" },
};

/* Reads the whole binary from its start; adds it to the digest and, when to >= 0, to that file. */
static int box_read_exe(int exe, int to, struct crypto_digest *d, struct err *err)
{
    _cleanup_(mem_freep) char *block = mem_alloc(BOX_COPY_BYTES);
    off_t at = 0;
    ssize_t n;

    while ((n = pread(exe, block, BOX_COPY_BYTES, at)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_sys(err, "read the binary");
        if (d)
            crypto_digest_add(d, block, (size_t)n);
        if (to >= 0 && fd_write_all(to, block, (size_t)n, err) < 0)
            return err_wrap(err, "copy the binary");
        at += n;
    }
    return 0;
}

static int box_hash(char hex[CRYPTO_SHA256_HEX_BYTES], int exe, const struct image_box_opts *o,
                    struct err *err)
{
    unsigned char sum[CRYPTO_SHA256_BYTES];
    struct crypto_digest d;

    crypto_digest_init(&d, CRYPTO_SHA256);
    crypto_digest_add(&d, BOX_FORM, strlen(BOX_FORM) + 1);
    for (size_t i = 0; o->applets[i]; i++) {
        if (i >= BOX_APPLETS_MAX || strchr(o->applets[i], '/') || o->applets[i][0] == '.')
            return err_set(err, ERR_INVALID, "applet %zu: bad name", i);
        crypto_digest_add(&d, o->applets[i], strlen(o->applets[i]) + 1);
    }
    crypto_digest_add(&d, "", 1);
    if (box_read_exe(exe, -1, &d, err) < 0)
        return -1;
    crypto_digest_end(&d, sum);
    crypto_hex(hex, sum, sizeof(sum));
    return 0;
}

static int box_make_binary(int fs, int exe, struct err *err)
{
    _cleanup_fd_ int to = openat(fs, "bin/inro-box", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);

    if (to < 0)
        return err_sys(err, "create bin/inro-box");
    if (box_read_exe(exe, to, NULL, err) < 0)
        return -1;
    return fchmod(to, 0755) < 0 ? err_sys(err, "chmod bin/inro-box") : 0;
}

static int box_make_fs(int fs, int exe, const char *const *applets, struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(box_dirs); i++)
        if (mkdirat(fs, box_dirs[i].path, 0700) < 0 ||
            fchmodat(fs, box_dirs[i].path, box_dirs[i].mode, 0) < 0)
            return err_sys(err, "mkdir %s", box_dirs[i].path);
    for (size_t i = 0; i < ARRAY_LEN(box_files); i++) {
        _cleanup_fd_ int fd = openat(fs, box_files[i].path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
                                     0644);

        if (fd < 0 || fchmod(fd, 0644) < 0)
            return err_sys(err, "create %s", box_files[i].path);
        if (fd_write_all(fd, box_files[i].text, strlen(box_files[i].text), err) < 0)
            return -1;
    }
    if (box_make_binary(fs, exe, err) < 0)
        return -1;
    for (size_t i = 0; applets[i]; i++) {
        char path[BOX_PATH_BYTES];
        int n = snprintf(path, sizeof(path), "bin/%s", applets[i]);

        if (n < 0 || (size_t)n >= sizeof(path) || symlinkat("inro-box", fs, path) < 0)
            return err_sys(err, "link bin/%.100s", applets[i]);
    }
    return fchmod(fs, 0755) < 0 ? err_sys(err, "chmod /") : 0;
}

static int box_make(const struct image_store *s, const char *hex, int exe,
                    const struct image_box_opts *o, struct err *err)
{
    char tmp[IMAGE_TMP_NAME_BYTES], path[BOX_PATH_BYTES];
    _cleanup_fd_ int fs = -1;

    if (image_store_tmp(s, tmp, err) < 0)
        return -1;
    snprintf(path, sizeof(path), "%s/fs", tmp);
    if (mkdirat(s->fd, path, 0755) < 0)
        return err_sys(err, "mkdir %s/%s", s->dir, path);
    fs = openat(s->fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fs < 0)
        return err_sys(err, "open %s/%s", s->dir, path);
    if (fchmodat(s->fd, tmp, 0711, 0) < 0)
        return err_sys(err, "chmod %s/%s", s->dir, tmp);
    if (box_make_fs(fs, exe, o->applets, err) < 0 || image_store_sync(s, err) < 0) {
        image_store_drop(s, tmp);
        return -1;
    }
    snprintf(path, sizeof(path), "box/%s", hex);
    if (renameat(s->fd, tmp, s->fd, path) < 0) {
        if (errno != EEXIST && errno != ENOTEMPTY)
            return err_sys(err, "rename %s/%s", s->dir, path);
        image_store_drop(s, tmp);
    }
    return 0;
}

static int box_current(char hex[CRYPTO_SHA256_HEX_BYTES], const struct image_store *s,
                       struct err *err)
{
    char digest[IMAGE_DIGEST_BYTES], link[CRYPTO_SHA256_HEX_BYTES];
    ssize_t n = readlinkat(s->fd, "box/current", link, sizeof(link));

    if (n < 0 && errno != ENOENT)
        return err_sys(err, "read %s/box/current", s->dir);
    if (n != CRYPTO_SHA256_HEX_BYTES - 1)
        return err_set(err, ERR_NOT_FOUND, "%s was not made yet", IMAGE_BOX_NAME);
    link[n] = 0;
    snprintf(digest, sizeof(digest), "sha256:%s", link);
    if (!image_digest_ok(digest))
        return err_set(err, ERR_NOT_FOUND, "%s was not made yet", IMAGE_BOX_NAME);
    memcpy(hex, link, CRYPTO_SHA256_HEX_BYTES);
    return 0;
}

static int box_set_current(const struct image_store *s, const char *hex, struct err *err)
{
    char now[CRYPTO_SHA256_HEX_BYTES];

    if (box_current(now, s, NULL) == 0 && str_eq(now, hex))
        return 0;
    unlinkat(s->fd, "box/next", 0);
    if (symlinkat(hex, s->fd, "box/next") < 0 ||
        renameat(s->fd, "box/next", s->fd, "box/current") < 0)
        return err_sys(err, "link %s/box/current", s->dir);
    return image_store_sync(s, err);
}

/* Those of former binaries, unless a pod still runs from them. The caller holds `lock`. */
static int box_drop_old(const struct image_store *s, const char *hex, struct err *err)
{
    struct map *held = NULL;
    struct dirent *e;
    DIR *d;

    if (image_lease_held(&held, s, err) < 0)
        return -1;
    d = fd_opendir(s->fd, "box", err);
    if (!d) {
        map_free(held, NULL);
        return err_wrap(err, "%s", s->dir);
    }
    while ((e = readdir(d))) {
        char key[sizeof("box:") + 256], path[BOX_PATH_BYTES + 256], tmp[IMAGE_TMP_NAME_BYTES];

        snprintf(key, sizeof(key), "box:%s", e->d_name);
        snprintf(path, sizeof(path), "box/%s", e->d_name);
        if (strlen(e->d_name) == strlen(hex) && !str_eq(e->d_name, hex) && !map_get(held, key) &&
            image_store_doom(s, path, tmp, NULL) == 0)
            image_store_drop(s, tmp);
    }
    closedir(d);
    map_free(held, NULL);
    return 0;
}

int image_box_prepare(const struct image_store *s, const struct image_box_opts *o, struct err *err)
{
    _cleanup_fd_ int own = -1, ingest = -1, lock = -1;
    char hex[CRYPTO_SHA256_HEX_BYTES], path[BOX_PATH_BYTES];
    int exe = o->exe_fd;

    check(o->applets);
    if (exe < 0)
        exe = own = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    if (exe < 0)
        return err_sys(err, "open the binary");
    ingest = image_store_lock_ingest(s, err);
    if (ingest < 0 || box_hash(hex, exe, o, err) < 0)
        return err_wrap(err, "%s", IMAGE_BOX_NAME);
    snprintf(path, sizeof(path), "box/%s/fs", hex);
    if (faccessat(s->fd, path, F_OK, AT_SYMLINK_NOFOLLOW) < 0 && box_make(s, hex, exe, o, err) < 0)
        return err_wrap(err, "%s", IMAGE_BOX_NAME);
    lock = image_store_lock(s, err);
    if (lock < 0 || box_set_current(s, hex, err) < 0 || box_drop_old(s, hex, err) < 0)
        return err_wrap(err, "%s", IMAGE_BOX_NAME);
    return 0;
}

static const char *const *box_texts(struct arena *a, const char *first)
{
    const char **list = arena_alloc(a, 2 * sizeof(*list));

    list[0] = first;
    return list;
}

int image_box_load(struct image **out, const struct image_store *s, struct err *err)
{
    char hex[CRYPTO_SHA256_HEX_BYTES], path[BOX_PATH_BYTES];
    struct image_platform host = image_platform_host();
    struct image *im;
    struct arena *a;
    struct stat st;

    if (box_current(hex, s, err) < 0)
        return -1;
    snprintf(path, sizeof(path), "box/%s/fs/bin/inro-box", hex);
    if (fstatat(s->fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? err_set(err, ERR_NOT_FOUND, "%s is gone", IMAGE_BOX_NAME) :
               err_sys(err, "stat %s/%s", s->dir, path);
    a = arena_new(BOX_ARENA_BYTES);
    im = ANEW(a, struct image);
    im->arena = a;
    im->id = im->manifest = im->target = arena_printf(a, "sha256:%s", hex);
    im->names = box_texts(a, IMAGE_BOX_NAME ":latest");
    im->digests = box_texts(a, arena_printf(a, "%s@sha256:%s", IMAGE_BOX_NAME, hex));
    im->size_bytes = im->disk_bytes = st.st_size;
    im->added_s = im->used_s = st.st_mtim.tv_sec;
    im->pinned = im->is_box = true;
    im->entrypoint = box_texts(a, "/bin/inro-box");
    im->env = box_texts(a, "PATH=/bin");
    im->cmd = im->exposed_ports = im->volumes = im->labels = im->layers = box_texts(a, NULL);
    im->workdir = "/";
    im->user = im->stop_signal = "";
    im->os = host.os;
    im->arch = host.arch;
    im->variant = host.variant;
    *out = im;
    return 0;
}
