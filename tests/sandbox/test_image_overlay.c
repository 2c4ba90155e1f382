/* test_image_overlay.c -- imported layers as overlay shows them: owners, devices, whiteouts,
 * capabilities. */
#include <errno.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "core/base/env.h"
#include "runtime/image/image.h"
#include "tests/fake/fake_image.h"
#include "tests/harness/test.h"

TEST_VERB(image_unpack, "unpack", image_child_unpack)

struct box { struct image_store *s; struct image_mount m; char root[300]; };

/* Imports the image and mounts it. */
static void show(struct box *b, struct fake_image *im)
{
    _cleanup_buf_ struct buf archive = BUF_INIT, data = BUF_INIT;
    struct image *got = NULL;
    struct err err = ERR_INIT;
    char path[300];
    struct image_import_opts o = { .file = path };

    snprintf(path, sizeof(path), "%s/images", test_tmpdir());
    EXPECT_OK(image_store_open(&b->s, path, env_real(), &err), &err);
    fake_image_end(im);
    fake_image_oci(&archive, im, "a/b:1");
    snprintf(path, sizeof(path), "%s/archive", test_tmpdir());
    fake_write(path, &archive);
    EXPECT_OK(image_import(b->s, &o, NULL, &err), &err);
    EXPECT_OK(image_get(&got, b->s, "a/b:1", &err), &err);
    EXPECT_OK(image_lease(&b->m, b->s, got, "pod", &err), &err);
    image_free(got);
    snprintf(b->root, sizeof(b->root), "%s/root", test_tmpdir());
    EXPECT(mkdir(b->root, 0755) == 0);
    buf_str(&data, "lowerdir=");
    for (size_t i = 0; i < b->m.n; i++)
        buf_fmt(&data, "%s%s", i ? ":" : "", b->m.lower[i]);
    snprintf(path, sizeof(path), "%s/empty", test_tmpdir());
    EXPECT(mkdir(path, 0755) == 0);
    buf_fmt(&data, ":%s", path);                /* without an upper one overlay wants two */
    if (b->m.userxattr)
        buf_str(&data, ",userxattr");
    if (mount("overlay", b->root, "overlay", MS_RDONLY, data.p) < 0) {
        if (errno == ENODEV || errno == EPERM)
            test_skip("no overlay here");
        test_fail(__FILE__, __LINE__, "mount %s: %s", data.p, strerror(errno));
    }
}

static void end(struct box *b, struct fake_image *im)
{
    umount2(b->root, MNT_DETACH);
    image_mount_deinit(&b->m);
    image_store_free(b->s);
    fake_image_deinit(im);
}

static bool look(const struct box *b, const char *name, struct stat *st)
{
    char path[600];

    snprintf(path, sizeof(path), "%s/%s", b->root, name);
    return lstat(path, st) == 0;
}

TEST(whiteouts)
{
    struct fake_image im = { 0 };
    struct box b = { 0 };
    struct stat st;
    _cleanup_buf_ struct buf low = BUF_INIT, mid = BUF_INIT, top = BUF_INIT;

    fake_tar_add(&low, FAKE_DIR("gone"));
    fake_tar_add(&low, FAKE_FILE("gone/x", "x"));
    fake_tar_add(&low, FAKE_FILE("file", "x"));
    fake_tar_add(&low, FAKE_DIR("opaque"));
    fake_tar_add(&low, FAKE_FILE("opaque/old", "x"));
    fake_tar_add(&low, FAKE_DIR("made-again"));
    fake_tar_add(&low, FAKE_FILE("made-again/old", "x"));
    fake_tar_add(&low, FAKE_FILE("stays", "x"));
    fake_tar_end(&low);
    fake_tar_add(&mid, FAKE_FILE(".wh.gone", ""));
    fake_tar_add(&mid, FAKE_FILE("./.wh.file", ""));
    fake_tar_add(&mid, FAKE_DIR("opaque/"));
    fake_tar_add(&mid, FAKE_FILE("opaque/.wh..wh..opq", ""));
    fake_tar_add(&mid, FAKE_FILE("opaque/new", "x"));
    fake_tar_add(&mid, FAKE_FILE(".wh.made-again", ""));
    fake_tar_add(&mid, FAKE_DIR("made-again"));
    fake_tar_add(&mid, FAKE_FILE("made-again/new", "x"));
    fake_tar_add(&mid, FAKE_FILE(".wh..wh.plnk", ""));
    fake_tar_end(&mid);
    fake_tar_add(&top, FAKE_DIR("gone"));
    fake_tar_add(&top, FAKE_FILE("gone/y", "y"));
    fake_tar_end(&top);
    fake_image_layer(&im, &low, FAKE_PLAIN);
    fake_image_layer(&im, &mid, FAKE_GZIP);
    fake_image_layer(&im, &top, FAKE_ZSTD);
    show(&b, &im);
    EXPECT(look(&b, "gone/y", &st));
    EXPECT(!look(&b, "gone/x", &st));
    EXPECT(!look(&b, "file", &st));
    EXPECT(look(&b, "opaque/new", &st));
    EXPECT(!look(&b, "opaque/old", &st));
    EXPECT(look(&b, "made-again/new", &st));
    EXPECT(!look(&b, "made-again/old", &st));
    EXPECT(look(&b, "stays", &st));
    EXPECT(!look(&b, ".wh..wh.plnk", &st));
    EXPECT(!look(&b, "opaque/.wh..wh..opq", &st));
    end(&b, &im);
}

TEST(owners_modes_devices)
{
    static const char cap[] = "SCHILY.xattr.security.capability=\x01\0\0\x02\0\x20\0\0\0\0\0\0\0"
                              "\0\0\0\0\0\0\0\n";
    struct fake_image im = { 0 };
    struct box b = { 0 };
    struct stat st;
    _cleanup_buf_ struct buf tar = BUF_INIT;
    char path[600], value[64];

    if (geteuid() != 0 || access("/proc/1/root", F_OK) < 0)
        test_skip("needs root");
    fake_tar_add(&tar, (struct fake_entry){ .type = '5', .path = "./", .mode = 0711, .uid = 0,
        .gid = 0 });
    fake_tar_add(&tar, (struct fake_entry){ .type = '0', .path = "owned", .data = "x", .uid = 123,
                                            .gid = 456, .mode = 04751, .mtime = 77 });
    fake_tar_add(&tar, (struct fake_entry){ .type = '5', .path = "dir", .uid = 5, .gid = 6,
                                            .mode = 02770, .mtime = 99 });
    fake_tar_add(&tar, (struct fake_entry){ .type = '0', .path = "dir/later", .data = "x",
        .uid = 5 });
    fake_tar_add(&tar, (struct fake_entry){ .type = '2', .path = "link", .link = "owned", .uid = 7,
                                            .gid = 8, .mtime = 88 });
    fake_tar_add(&tar, (struct fake_entry){ .type = '3', .path = "null", .mode = 0666, .major = 1,
                                            .minor = 3 });
    fake_tar_add(&tar, (struct fake_entry){ .type = '4', .path = "disk", .mode = 0600, .major = 8,
                                            .minor = 1 });
    fake_tar_add(&tar, (struct fake_entry){ .type = '6', .path = "pipe", .mode = 0600, .uid = 9 });
    fake_tar_add(&tar, (struct fake_entry){ .type = '0', .path = "capable", .data = "x", .uid = 1,
                                            .mode = 0755, .pax = cap, .pax_len = sizeof(cap) - 1 });
    fake_tar_add(&tar, (struct fake_entry){ .type = '0', .path = "noted", .data = "x",
        .pax = "SCHILY.xattr.user.note=text\nSCHILY.xattr.user.overlay.redirect=/x\n"
        "SCHILY.xattr.trusted.overlay.opaque=y\n" });
    fake_tar_end(&tar);
    fake_image_layer(&im, &tar, FAKE_GZIP);
    show(&b, &im);
    EXPECT(look(&b, "owned", &st));
    EXPECT(st.st_uid == 123 && st.st_gid == 456 && (st.st_mode & 07777) == 04751 &&
           st.st_mtime == 77);
    EXPECT(look(&b, "dir", &st));
    EXPECT(st.st_uid == 5 && st.st_gid == 6 && (st.st_mode & 07777) == 02770 && st.st_mtime == 99);
    EXPECT(look(&b, "link", &st));
    EXPECT(S_ISLNK(st.st_mode) && st.st_uid == 7 && st.st_gid == 8 && st.st_mtime == 88);
    EXPECT(look(&b, "null", &st));
    EXPECT(S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3) && (st.st_mode & 07777) == 0666);
    EXPECT(look(&b, "disk", &st));
    EXPECT(S_ISBLK(st.st_mode) && st.st_rdev == makedev(8, 1));
    EXPECT(look(&b, "pipe", &st));
    EXPECT(S_ISFIFO(st.st_mode) && st.st_uid == 9);
    snprintf(path, sizeof(path), "%s/capable", b.m.lower[0]);
    EXPECT_EQ(getxattr(path, "security.capability", value, sizeof(value)), 20);
    snprintf(path, sizeof(path), "%s/noted", b.m.lower[0]);
    EXPECT_EQ(getxattr(path, "user.note", value, sizeof(value)), 4);
    EXPECT(getxattr(path, "user.overlay.redirect", value, sizeof(value)) < 0);
    EXPECT(getxattr(path, "trusted.overlay.opaque", value, sizeof(value)) < 0);
    end(&b, &im);
}
