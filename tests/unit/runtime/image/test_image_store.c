/* test_image_store.c -- names, leases, the built-in image and collection, over layers that are only
 * folders. */
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/image/image_index.h"
#include "tests/fake/fake_image.h"
#include "tests/harness/test.h"

static int64_t fake_now_us;

static int64_t fake_mono_ms(void *ctx)
{
    (void)ctx;
    return fake_now_us / 1000;
}

static int64_t fake_wall_us(void *ctx)
{
    (void)ctx;
    return fake_now_us;
}

static void fake_random(void *ctx, void *out, size_t len)
{
    (void)ctx;
    env_random(env_real(), out, len);
}

static const struct env fake_env = { fake_mono_ms, fake_wall_us, fake_random, NULL };

static struct image_store *open_store(void)
{
    struct image_store *s = NULL;
    struct err err = ERR_INIT;
    char dir[300];

    if (fake_now_us == 0)
        fake_now_us = 1000 * 1000000ll;
    snprintf(dir, sizeof(dir), "%s/images", test_tmpdir());
    EXPECT_OK(image_store_open(&s, dir, &fake_env, &err), &err);
    return s;
}

/* An image of layers that are shared when they have the same number. Gives its id. */
static char *add_image(struct image_store *s, const char *name, const char *layers, bool pinned)
{
    struct fake_image im = { 0 };
    struct err err = ERR_INIT;
    struct image_ref ref;
    const char *names[] = { ref.text, NULL };
    struct image_index_new n = { .pinned = pinned, .names = name ? names : NULL };
    char *id;

    for (; *layers; layers++) {
        struct buf b = BUF_INIT;
        char tmp[IMAGE_TMP_NAME_BYTES], path[64];
        struct image_store_sizes sizes = { 4096, 1 };

        buf_chr(&b, *layers);
        fake_image_layer(&im, &b, FAKE_PLAIN);
        buf_deinit(&b);
        EXPECT_OK(image_store_tmp(s, tmp, &err), &err);
        snprintf(path, sizeof(path), "%s/fs", tmp);
        EXPECT(mkdirat(s->fd, path, 0755) == 0);
        EXPECT_OK(image_store_put_layer(s, tmp, im.diff_id[im.n - 1], &sizes, &err), &err);
    }
    fake_image_end(&im);
    EXPECT_OK(image_store_put_blob(s, im.id, im.config.p, im.config.len, &err), &err);
    EXPECT_OK(image_store_put_blob(s, im.digest, im.manifest.p, im.manifest.len, &err), &err);
    if (name)
        EXPECT_OK(image_ref_parse(&ref, name, &err), &err);
    n.id = im.id;
    n.manifest = n.target = im.digest;
    n.size_bytes = (int64_t)im.n * 100;
    EXPECT_OK(image_index_add(s, &n, &err), &err);
    id = mem_strdup(im.id);
    fake_image_deinit(&im);
    return id;
}

static bool has_layer(const struct image_store *s, char c)
{
    struct buf b = BUF_INIT;
    char digest[FAKE_DIGEST_BYTES];

    buf_chr(&b, c);
    fake_digest(digest, &b);
    buf_deinit(&b);
    return image_store_has_layer(s, digest);
}

static void expect_get(const struct image_store *s, const char *name, const char *id)
{
    _cleanup_(image_freep) struct image *im = NULL;
    struct err err = ERR_INIT;

    if (!id) {
        EXPECT_ERR(image_get(&im, s, name, &err), &err, ERR_NOT_FOUND);
        return;
    }
    EXPECT_OK(image_get(&im, s, name, &err), &err);
    EXPECT_STR(im->id, id);
}

TEST(get_by_all_names)
{
    struct image_store *s = open_store();
    _cleanup_(mem_freep) char *id = add_image(s, "nginx:1.20.1", "ab", false);
    _cleanup_(image_freep) struct image *im = NULL;
    struct err err = ERR_INIT;
    char text[200];

    EXPECT_OK(image_get(&im, s, "nginx:1.20.1", &err), &err);
    expect_get(s, "docker.io/library/nginx:1.20.1", id);
    expect_get(s, id, id);
    expect_get(s, id + 7, id);
    snprintf(text, sizeof(text), "%.12s", id + 7);
    expect_get(s, text, id);
    snprintf(text, sizeof(text), "%.11s", id + 7);
    expect_get(s, text, NULL);
    expect_get(s, im->manifest, id);
    snprintf(text, sizeof(text), "nginx@%s", im->manifest);
    expect_get(s, text, id);
    snprintf(text, sizeof(text), "nginx:other@%s", im->manifest);
    expect_get(s, text, id);
    snprintf(text, sizeof(text), "apache@%s", im->manifest);
    expect_get(s, text, NULL);
    expect_get(s, "nginx", NULL);
    EXPECT_ERR(image_get(&im, s, "no good name", &err), &err, ERR_INVALID);
    EXPECT_EQ(im->added_s, 1000);
    EXPECT_EQ(im->used_s, 1000);
    image_store_free(s);
}

TEST(name_moves)
{
    struct image_store *s = open_store();
    _cleanup_(mem_freep) char *a = add_image(s, "app:1", "a", true);
    _cleanup_(mem_freep) char *b = add_image(s, "app:1", "ab", false);
    struct image_list l;
    struct err err = ERR_INIT;

    expect_get(s, "app:1", b);
    expect_get(s, a, a);
    EXPECT_OK(image_list(&l, s, &err), &err);
    EXPECT_EQ(l.n, 2);
    EXPECT_STR(l.v[0]->id, b);          /* the bigger first */
    EXPECT(!l.v[1]->names[0]);
    EXPECT(!l.v[1]->pinned);            /* replaced: may be collected now */
    image_list_deinit(&l);
    image_store_free(s);
}

TEST(list_names_once)
{
    struct image_store *s = open_store();
    _cleanup_(mem_freep) char *a = add_image(s, "app:1", "a", false);
    struct image_list l;
    struct err err = ERR_INIT;

    EXPECT_OK(image_tag(s, "app:1", "other/app:2", &err), &err);
    EXPECT_OK(image_tag(s, a, "app:3", &err), &err);
    EXPECT_ERR(image_tag(s, "missing", "app:4", &err), &err, ERR_NOT_FOUND);
    EXPECT_ERR(image_tag(s, "app:1", "inro.local/box:1", &err), &err, ERR_INVALID);
    EXPECT_OK(image_list(&l, s, &err), &err);
    EXPECT_EQ(l.n, 1);
    EXPECT_STR(l.v[0]->names[0], "docker.io/library/app:1");
    EXPECT_STR(l.v[0]->names[1], "docker.io/other/app:2");
    EXPECT_STR(l.v[0]->names[2], "docker.io/library/app:3");
    EXPECT(!l.v[0]->names[3]);
    EXPECT(l.v[0]->digests[0] && l.v[0]->digests[1] && !l.v[0]->digests[2]);
    image_list_deinit(&l);
    image_store_free(s);
}

TEST(lease_holds)
{
    struct image_store *s = open_store();
    _cleanup_(mem_freep) char *a = add_image(s, "app:1", "xyz", false);
    _cleanup_(image_freep) struct image *im = NULL;
    struct image_mount m;
    struct err err = ERR_INIT;
    char **ids, want[500];
    size_t n;

    EXPECT_OK(image_get(&im, s, a, &err), &err);
    fake_now_us = 2000 * 1000000ll;
    EXPECT_OK(image_lease(&m, s, im, "0a1b-c_web", &err), &err);
    EXPECT_EQ(m.n, 3);
    snprintf(want, sizeof(want), "%s/layers/%s/fs", image_store_dir(s), im->layers[2] + 7);
    EXPECT_STR(m.lower[0], want);
    image_mount_deinit(&m);
    EXPECT_ERR(image_lease(&m, s, im, "../x", &err), &err, ERR_INVALID);
    EXPECT_ERR(image_lease(&m, s, im, "", &err), &err, ERR_INVALID);
    EXPECT_OK(image_lease_list(&ids, &n, s, &err), &err);
    EXPECT_EQ(n, 1);
    EXPECT_STR(ids[0], "0a1b-c_web");
    image_lease_list_free(ids, n);
    EXPECT_ERR(image_remove(s, "app:1", &err), &err, ERR_CONFLICT);
    fake_now_us = 3000 * 1000000ll;
    EXPECT_EQ(mknodat(s->fd, "leases/0a1b-c_web" FD_REPLACE_SUFFIX, S_IFREG | 0600, 0), 0);
    EXPECT_OK(image_unlease(s, "0a1b-c_web", &err), &err);
    EXPECT(faccessat(s->fd, "leases/0a1b-c_web" FD_REPLACE_SUFFIX, F_OK, 0) < 0);
    EXPECT_OK(image_unlease(s, "0a1b-c_web", &err), &err);
    im = image_free(im);
    EXPECT_OK(image_get(&im, s, a, &err), &err);
    EXPECT_EQ(im->used_s, 3000);
    EXPECT_OK(image_remove(s, "app:1", &err), &err);
    EXPECT(!has_layer(s, 'x') && !has_layer(s, 'z'));
    EXPECT_ERR(image_lease(&m, s, im, "late", &err), &err, ERR_NOT_FOUND);
    image_store_free(s);
}

/* Layers of a leased image stay even when the index forgot it, and when the store is opened again.
 * */
TEST(lease_survives_reopen)
{
    struct image_store *s = open_store();
    _cleanup_(mem_freep) char *a = add_image(s, "app:1", "lm", false);
    _cleanup_(image_freep) struct image *im = NULL;
    struct image_mount m;
    struct err err = ERR_INIT;

    EXPECT_OK(image_get(&im, s, a, &err), &err);
    EXPECT_OK(image_lease(&m, s, im, "pod", &err), &err);
    image_mount_deinit(&m);
    EXPECT(unlinkat(s->fd, "index.json", 0) == 0);
    image_store_free(s);
    s = open_store();
    EXPECT(has_layer(s, 'l') && has_layer(s, 'm'));
    EXPECT_OK(image_unlease(s, "pod", &err), &err);
    image_store_free(s);
    s = open_store();
    EXPECT(!has_layer(s, 'l') && !has_layer(s, 'm'));
    image_store_free(s);
}

TEST(open_sweeps_unless_busy)
{
    struct image_store *s = open_store();
    struct err err = ERR_INIT;
    char tmp[IMAGE_TMP_NAME_BYTES];
    struct stat st;
    int busy;

    EXPECT_OK(image_store_tmp(s, tmp, &err), &err);
    busy = image_store_lock_ingest(s, &err);
    EXPECT(busy >= 0);
    image_store_free(open_store());
    EXPECT(fstatat(s->fd, tmp, &st, 0) == 0);
    EXPECT_EQ(image_store_lock_sweep(s, &err), -1);
    EXPECT_EQ(err.code, ERR_UNAVAILABLE);
    fd_close(busy);
    image_store_free(open_store());
    EXPECT(fstatat(s->fd, tmp, &st, 0) < 0);
    image_store_free(s);
}

TEST(changed_blob)
{
    struct image_store *s = open_store();
    _cleanup_(mem_freep) char *a = add_image(s, "app:1", "a", false);
    _cleanup_(mem_freep) char *b = add_image(s, "app:2", "b", false);
    _cleanup_(image_freep) struct image *im = NULL;
    struct image_list l;
    struct err err = ERR_INIT;
    char path[200];
    int fd;

    snprintf(path, sizeof(path), "blobs/sha256/%s", a + 7);
    fd = openat(s->fd, path, O_WRONLY);
    EXPECT(fd >= 0 && pwrite(fd, "x", 1, 5) == 1);
    close(fd);
    EXPECT_ERR(image_get(&im, s, "app:1", &err), &err, ERR_CORRUPT);
    EXPECT_OK(image_list(&l, s, &err), &err);
    EXPECT_EQ(l.n, 1);
    EXPECT_STR(l.v[0]->id, b);
    image_list_deinit(&l);
    image_store_free(s);
}

TEST(broken_index)
{
    struct image_store *s = open_store();
    _cleanup_(image_freep) struct image *im = NULL;
    struct err err = ERR_INIT;

    EXPECT_OK(fd_write_file(s->fd, "index.json", "{\"version\":1,", 13, 0644, &err), &err);
    EXPECT_ERR(image_get(&im, s, "app:1", &err), &err, ERR_CORRUPT);
    EXPECT_OK(fd_write_file(s->fd, "index.json", "{\"version\":9}", 13, 0644, &err), &err);
    EXPECT_ERR(image_get(&im, s, "app:1", &err), &err, ERR_UNSUPPORTED);
    image_store_free(s);
}

/* --- the built-in image */

static int fake_exe(const char *text)
{
    char path[300];
    struct buf b = BUF_INIT;

    snprintf(path, sizeof(path), "%s/exe", test_tmpdir());
    buf_str(&b, text);
    fake_write(path, &b);
    buf_deinit(&b);
    return open(path, O_RDONLY | O_CLOEXEC);
}

TEST(box)
{
    static const char *const applets[] = { "pause", "sh", NULL };
    struct image_store *s = open_store();
    struct image_box_opts o = { fake_exe("binary one"), applets };
    _cleanup_(image_freep) struct image *im = NULL, *second = NULL;
    struct image_mount m;
    struct err err = ERR_INIT;
    char path[600], link[64];
    struct stat st;

    expect_get(s, IMAGE_BOX_NAME, NULL);
    EXPECT_OK(image_box_prepare(s, &o, &err), &err);
    EXPECT_OK(image_box_prepare(s, &o, &err), &err);
    EXPECT_OK(image_get(&im, s, IMAGE_BOX_NAME ":whatever", &err), &err);
    EXPECT(im->is_box && im->pinned);
    EXPECT_STR(im->entrypoint[0], "/bin/inro-box");
    EXPECT(!im->entrypoint[1] && !im->cmd[0]);
    EXPECT_STR(im->env[0], "PATH=/bin");
    EXPECT_OK(image_lease(&m, s, im, "pod", &err), &err);
    EXPECT_EQ(m.n, 1);
    snprintf(path, sizeof(path), "%s/bin/sh", m.lower[0]);
    EXPECT_EQ(readlink(path, link, sizeof(link)), 8);
    EXPECT_MEM(link, "inro-box", 8);
    EXPECT(stat(path, &st) == 0);
    EXPECT_EQ(st.st_mode & 07777, 0755);
    EXPECT_EQ(st.st_size, 10);
    snprintf(path, sizeof(path), "%s/tmp", m.lower[0]);
    EXPECT(stat(path, &st) == 0);
    EXPECT_EQ(st.st_mode & 07777, 01777);
    fd_close(o.exe_fd);
    o.exe_fd = fake_exe("binary two, longer");
    EXPECT_OK(image_box_prepare(s, &o, &err), &err);
    EXPECT(stat(m.lower[0], &st) == 0);         /* a pod runs from it */
    EXPECT_OK(image_get(&second, s, IMAGE_BOX_NAME, &err), &err);
    EXPECT(strcmp(second->id, im->id) != 0);
    EXPECT_OK(image_unlease(s, "pod", &err), &err);
    EXPECT_OK(image_box_prepare(s, &o, &err), &err);
    EXPECT(stat(m.lower[0], &st) < 0);
    EXPECT_ERR(image_remove(s, IMAGE_BOX_NAME, &err), &err, ERR_INVALID);
    image_mount_deinit(&m);
    fd_close(o.exe_fd);
    image_store_free(s);
}

/* --- collection */

static void lease(struct image_store *s, const char *name, const char *id)
{
    _cleanup_(image_freep) struct image *im = NULL;
    struct image_mount m;
    struct err err = ERR_INIT;

    EXPECT_OK(image_get(&im, s, name, &err), &err);
    EXPECT_OK(image_lease(&m, s, im, id, &err), &err);
    image_mount_deinit(&m);
}

TEST(gc_all_unused)
{
    struct image_store *s = open_store();
    _cleanup_(mem_freep) char *a = add_image(s, "unused", "ab", false);
    _cleanup_(mem_freep) char *b = add_image(s, "used", "bc", false);
    _cleanup_(mem_freep) char *c = add_image(s, "pinned", "d", true);
    struct image_gc_opts o = { .all_unused = true, .min_age_s = 120 };
    struct image_gc_result r;
    struct err err = ERR_INIT;
    int64_t bytes, inodes;

    lease(s, "used", "pod");
    EXPECT_OK(image_gc(&r, s, &o, &err), &err);
    EXPECT_EQ(r.removed, 0);                    /* too young */
    fake_now_us += 121 * 1000000ll;
    EXPECT_OK(image_gc(&r, s, &o, &err), &err);
    EXPECT_EQ(r.removed, 1);
    EXPECT_EQ(r.freed_bytes, 4096);
    expect_get(s, "unused", NULL);
    expect_get(s, "used", b);
    expect_get(s, "pinned", c);
    EXPECT(!has_layer(s, 'a') && has_layer(s, 'b') && has_layer(s, 'c') && has_layer(s, 'd'));
    EXPECT_OK(image_usage(s, &bytes, &inodes, &err), &err);
    EXPECT(bytes >= 3 * 4096 && inodes >= 6);
    image_store_free(s);
}

TEST(gc_max_age_and_order)
{
    struct image_store *s = open_store();
    _cleanup_(mem_freep) char *a = add_image(s, "old", "a", false);
    _cleanup_(mem_freep) char *b = NULL;
    struct image_gc_opts o = { .high_percent = 100, .low_percent = 99, .max_age_s = 100 };
    struct image_gc_result r;
    struct err err = ERR_INIT;

    fake_now_us += 90 * 1000000ll;
    b = add_image(s, "new", "b", false);
    fake_now_us += 20 * 1000000ll;
    EXPECT_OK(image_gc(&r, s, &o, &err), &err);
    EXPECT_EQ(r.removed, 1);
    expect_get(s, "old", NULL);
    expect_get(s, "new", b);
    image_store_free(s);
}

TEST(gc_by_usage)
{
    struct image_store *s = open_store();
    _cleanup_(mem_freep) char *a = add_image(s, "a", "a", false);
    _cleanup_(mem_freep) char *b = add_image(s, "b", "b", false);
    struct image_gc_opts o = { .high_percent = 1, .low_percent = 1 };
    struct image_gc_result r;
    struct err err = ERR_INIT;
    int busy;

    busy = image_store_lock_ingest(s, &err);
    EXPECT_OK(image_gc(&r, s, &o, &err), &err);
    EXPECT_EQ(r.removed, 0);                    /* never beside a pull */
    fd_close(busy);
    EXPECT_OK(image_gc(&r, s, &o, &err), &err);
    if (r.used_percent <= 1)
        test_skip("the disk is nearly empty");
    EXPECT_EQ(r.removed, 2);
    o = (struct image_gc_opts){ .high_percent = 50, .low_percent = 60 };
    EXPECT_ERR(image_gc(&r, s, &o, &err), &err, ERR_INVALID);
    image_store_free(s);
}
