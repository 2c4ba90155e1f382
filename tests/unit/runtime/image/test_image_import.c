/* test_image_import.c -- archives become images: both forms, all compressions, names, layers,
 * hostile input. */
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "runtime/image/image_crew.h"
#include "tests/fake/fake_image.h"
#include "tests/harness/test.h"

TEST_VERB(image_unpack, "unpack", image_child_unpack)

static struct image_store *open_store(void)
{
    struct image_store *s = NULL;
    struct err err = ERR_INIT;
    char dir[300];

    snprintf(dir, sizeof(dir), "%s/images", test_tmpdir());
    EXPECT_OK(image_store_open(&s, dir, env_real(), &err), &err);
    return s;
}

static const char *archive_path(void)
{
    static char path[300];

    snprintf(path, sizeof(path), "%s/archive.tar", test_tmpdir());
    return path;
}

static unsigned count_entries(const struct image_store *s, const char *dir)
{
    char path[400];
    struct dirent *e;
    unsigned n = 0;
    DIR *d;

    snprintf(path, sizeof(path), "%s/%s", image_store_dir(s), dir);
    d = opendir(path);
    EXPECT(d);
    while ((e = readdir(d)))
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

static int import(const struct image_store *s, const char *name, struct err *err)
{
    struct image_import_opts o = { .file = archive_path(), .name = name };

    return image_import(s, &o, NULL, err);
}

static void simple_layer(struct buf *tar)
{
    fake_tar_add(tar, FAKE_DIR("etc/"));
    fake_tar_add(tar, FAKE_FILE("etc/hello", "world\n"));
    fake_tar_add(tar, FAKE_LINK('2', "etc/link", "hello"));
    fake_tar_add(tar, FAKE_LINK('1', "hard", "etc/hello"));
    fake_tar_end(tar);
}

/* Imports one layer; gives its directory. */
static char *import_layer(struct image_store *s, const struct buf *tar)
{
    struct fake_image im = { 0 };
    _cleanup_buf_ struct buf archive = BUF_INIT;
    struct err err = ERR_INIT;
    char *dir;

    fake_image_layer(&im, tar, FAKE_GZIP);
    fake_image_end(&im);
    fake_image_docker(&archive, &im, "a/b:1");
    fake_write(archive_path(), &archive);
    EXPECT_OK(import(s, NULL, &err), &err);
    dir = mem_printf("%s/layers/%s/fs", image_store_dir(s), im.diff_id[0] + 7);
    fake_image_deinit(&im);
    return dir;
}

/* The layer must be refused, with nothing left. */
static void refuse_layer(const struct buf *tar, int code)
{
    struct image_store *s = open_store();
    struct fake_image im = { 0 };
    _cleanup_buf_ struct buf archive = BUF_INIT;
    struct err err = ERR_INIT;

    fake_image_layer(&im, tar, FAKE_PLAIN);
    fake_image_end(&im);
    fake_image_docker(&archive, &im, "a/b:1");
    fake_write(archive_path(), &archive);
    EXPECT_ERR(import(s, NULL, &err), &err, code);
    EXPECT_EQ(count_entries(s, "tmp"), 0);
    EXPECT_EQ(count_entries(s, "layers"), 0);
    EXPECT_EQ(count_entries(s, "blobs/sha256"), 2 * 0);
    image_store_free(s);
    fake_image_deinit(&im);
}

TEST(oci_all_codecs)
{
    struct image_store *s = open_store();
    struct image *im = NULL;
    struct fake_image fake = { .extra =
        "\"Entrypoint\":[\"/e\"],\"Cmd\":[\"x\",\"y\"],\"Env\":[\"A=b\"],"
                               "\"ExposedPorts\":{\"80/tcp\":{}},\"Labels\":{\"k\":\"v\"},\"User"
                               "\":\"1:2\","
                               "\"WorkingDir\":\"/w\",\"StopSignal\":\"SIGQUIT\",\"Volumes\":{\""
                               "/d\":{}}" };
    _cleanup_buf_ struct buf archive = BUF_INIT;
    struct err err = ERR_INIT;

    for (int codec = FAKE_PLAIN; codec <= FAKE_ZSTD; codec++) {
        _cleanup_buf_ struct buf tar = BUF_INIT;

        fake_tar_add(&tar, FAKE_FILE("codec", codec == 0 ? "a" : codec == 1 ? "b" : "c"));
        simple_layer(&tar);
        fake_image_layer(&fake, &tar, codec);
    }
    fake_image_end(&fake);
    fake_image_oci(&archive, &fake, "example.org/app:v1");
    fake_write(archive_path(), &archive);
    EXPECT_OK(import(s, NULL, &err), &err);
    EXPECT_OK(image_get(&im, s, "example.org/app:v1", &err), &err);
    EXPECT_STR(im->id, fake.id);
    EXPECT_STR(im->manifest, fake.digest);
    EXPECT_STR(im->names[0], "example.org/app:v1");
    EXPECT(!im->names[1]);
    EXPECT(str_starts(im->digests[0], "example.org/app@sha256:"));
    EXPECT_STR(im->entrypoint[0], "/e");
    EXPECT_STR(im->cmd[1], "y");
    EXPECT_STR(im->env[0], "A=b");
    EXPECT_STR(im->exposed_ports[0], "80/tcp");
    EXPECT_STR(im->labels[1], "v");
    EXPECT_STR(im->volumes[0], "/d");
    EXPECT_STR(im->user, "1:2");
    EXPECT_STR(im->workdir, "/w");
    EXPECT_STR(im->stop_signal, "SIGQUIT");
    EXPECT(im->pinned && !im->is_box);
    EXPECT(im->size_bytes > 0 && im->disk_bytes > 0);
    EXPECT_STR(im->layers[2], fake.diff_id[2]);
    EXPECT(!im->layers[3]);
    EXPECT_EQ(count_entries(s, "layers"), 3);
    EXPECT_EQ(count_entries(s, "tmp"), 0);
    image_free(im);
    image_store_free(s);
    fake_image_deinit(&fake);
}

TEST(docker_files)
{
    struct image_store *s = open_store();
    _cleanup_buf_ struct buf tar = BUF_INIT;
    _cleanup_(mem_freep) char *dir = NULL;
    char path[500], text[64];
    struct stat a, b;

    simple_layer(&tar);
    dir = import_layer(s, &tar);
    snprintf(path, sizeof(path), "%s/etc/link", dir);
    EXPECT_EQ(readlink(path, text, sizeof(text)), 5);
    EXPECT_MEM(text, "hello", 5);
    snprintf(path, sizeof(path), "%s/etc/hello", dir);
    EXPECT(stat(path, &a) == 0);
    EXPECT_EQ(a.st_size, 6);
    EXPECT_EQ(a.st_mode & 07777, 0644);
    EXPECT_EQ(a.st_mtime, 0);
    snprintf(path, sizeof(path), "%s/hard", dir);
    EXPECT(stat(path, &b) == 0);
    EXPECT_EQ(a.st_ino, b.st_ino);
    image_store_free(s);
}

TEST(compressed_archive)
{
    struct image_store *s = open_store();
    struct fake_image im = { 0 };
    _cleanup_buf_ struct buf tar = BUF_INIT, archive = BUF_INIT, packed = BUF_INIT;
    struct err err = ERR_INIT;

    simple_layer(&tar);
    fake_image_layer(&im, &tar, FAKE_PLAIN);
    fake_image_end(&im);
    fake_image_docker(&archive, &im, "a/b:1");
    fake_gzip(&packed, &archive);
    fake_write(archive_path(), &packed);
    EXPECT_OK(import(s, "other:2", &err), &err);
    EXPECT_ERR(image_get(&(struct image *){ 0 }, s, "a/b:1", &err), &err, ERR_NOT_FOUND);
    buf_clear(&packed);
    fake_zstd(&packed, &archive);
    fake_write(archive_path(), &packed);
    EXPECT_OK(import(s, NULL, &err), &err);
    EXPECT_OK(image_tag(s, "a/b:1", "c/d:9", &err), &err);
    EXPECT_OK(image_remove(s, "a/b:1", &err), &err);
    EXPECT_OK(image_remove(s, "other:2", &err), &err);
    EXPECT_EQ(count_entries(s, "layers"), 1);
    EXPECT_OK(image_remove(s, im.id, &err), &err);
    EXPECT_EQ(count_entries(s, "layers"), 0);
    EXPECT_EQ(count_entries(s, "blobs/sha256"), 0);
    EXPECT_EQ(count_entries(s, "tmp"), 0);
    image_store_free(s);
    fake_image_deinit(&im);
}

TEST(other_platform)
{
    struct image_store *s = open_store();
    struct fake_image im = { .arch = "s390x" };
    _cleanup_buf_ struct buf tar = BUF_INIT, archive = BUF_INIT;
    struct err err = ERR_INIT;

    simple_layer(&tar);
    fake_image_layer(&im, &tar, FAKE_PLAIN);
    fake_image_end(&im);
    fake_image_oci(&archive, &im, "a/b:1");
    fake_write(archive_path(), &archive);
    EXPECT_ERR(import(s, NULL, &err), &err, ERR_NOT_FOUND);
    EXPECT(strstr(err.msg, "no image for linux/"));
    image_store_free(s);
    fake_image_deinit(&im);
}

/* --- a layer's entries */

TEST(replaced_by_later_entries)
{
    struct image_store *s = open_store();
    _cleanup_buf_ struct buf tar = BUF_INIT, text = BUF_INIT;
    _cleanup_(mem_freep) char *dir = NULL;
    char path[500];
    struct stat st;

    fake_tar_add(&tar, FAKE_FILE("a", "first"));
    fake_tar_add(&tar, FAKE_DIR("b"));
    fake_tar_add(&tar, FAKE_FILE("b/x", "x"));
    fake_tar_add(&tar, FAKE_FILE("./b", "now a file"));
    fake_tar_add(&tar, FAKE_DIR("a"));
    fake_tar_add(&tar, FAKE_FILE("/a/./y", "y"));
    fake_tar_add(&tar, FAKE_FILE("no/such/parent", "z"));
    fake_tar_end(&tar);
    dir = import_layer(s, &tar);
    snprintf(path, sizeof(path), "%s/b", dir);
    fake_read(&text, path);
    EXPECT_STR(text.p, "now a file");
    snprintf(path, sizeof(path), "%s/a/y", dir);
    EXPECT(stat(path, &st) == 0);
    snprintf(path, sizeof(path), "%s/no/such", dir);
    EXPECT(stat(path, &st) == 0 && S_ISDIR(st.st_mode));
    EXPECT_EQ(st.st_mode & 07777, 0755);
    image_store_free(s);
}

TEST(names_long_and_pax)
{
    struct image_store *s = open_store();
    _cleanup_buf_ struct buf tar = BUF_INIT;
    _cleanup_(mem_freep) char *dir = NULL;
    char path[900], name[300], pax[400];
    struct stat st;

    memset(name, 'n', sizeof(name));
    memcpy(name, "gnu/", 4);
    name[200] = 0;
    fake_tar_add(&tar, (struct fake_entry){ .type = 'L', .path = "././@LongLink", .data = name,
                                            .len = 201 });
    fake_tar_add(&tar, FAKE_FILE("short", "gnu"));
    snprintf(pax, sizeof(pax), "path=pax/%s\nmtime=1234.5\ncomment=x\n", name + 4);
    fake_tar_add(&tar, (struct fake_entry){ .type = '0', .path = "short", .data = "pax", .uid = -1,
                                            .gid = -1, .pax = pax });
    fake_tar_end(&tar);
    dir = import_layer(s, &tar);
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    EXPECT(stat(path, &st) == 0);
    snprintf(path, sizeof(path), "%s/pax/%s", dir, name + 4);
    EXPECT(stat(path, &st) == 0);
    EXPECT_EQ(st.st_mtim.tv_sec, 1234);
    EXPECT_EQ(st.st_mtim.tv_nsec, 500000000);
    image_store_free(s);
}

/* Links that point out of the layer lead nowhere out of it. */
TEST(links_stay_inside)
{
    struct image_store *s = open_store();
    _cleanup_buf_ struct buf tar = BUF_INIT;
    _cleanup_(mem_freep) char *dir = NULL;
    char path[900], outside[400];
    struct stat st;

    snprintf(outside, sizeof(outside), "%s/outside", test_tmpdir());
    EXPECT(mkdir(outside, 0755) == 0);
    EXPECT(strlen(outside) < 99);
    fake_tar_add(&tar, FAKE_LINK('2', "abs", outside));
    fake_tar_add(&tar, FAKE_FILE("abs/evil", "x"));
    fake_tar_add(&tar, FAKE_LINK('2', "up", "../../../../../../../../../.."));
    fake_tar_add(&tar, FAKE_FILE("up/evil", "x"));
    fake_tar_add(&tar, FAKE_LINK('2', "dangling", "made/here"));
    fake_tar_add(&tar, FAKE_FILE("dangling/file", "x"));
    fake_tar_add(&tar, FAKE_LINK('2', "file", "../../../../../../../../../../etc/x"));
    fake_tar_add(&tar, FAKE_FILE("file", "replaced"));
    fake_tar_end(&tar);
    dir = import_layer(s, &tar);
    snprintf(path, sizeof(path), "%s/evil", outside);
    EXPECT(lstat(path, &st) < 0);
    snprintf(path, sizeof(path), "%s%s/evil", dir, outside);
    EXPECT(lstat(path, &st) == 0);
    snprintf(path, sizeof(path), "%s/evil", dir);
    EXPECT(lstat(path, &st) == 0);
    snprintf(path, sizeof(path), "%s/made/here/file", dir);
    EXPECT(lstat(path, &st) == 0);
    snprintf(path, sizeof(path), "%s/file", dir);
    EXPECT(lstat(path, &st) == 0 && S_ISREG(st.st_mode));
    image_store_free(s);
}

TEST(refuses_dotdot)
{
    _cleanup_buf_ struct buf tar = BUF_INIT;

    fake_tar_add(&tar, FAKE_FILE("a/../../../evil", "x"));
    fake_tar_end(&tar);
    refuse_layer(&tar, ERR_CORRUPT);
}

TEST(refuses_link_out)
{
    _cleanup_buf_ struct buf tar = BUF_INIT;

    fake_tar_add(&tar, FAKE_LINK('1', "shadow", "../../../etc/passwd"));
    fake_tar_end(&tar);
    refuse_layer(&tar, ERR_CORRUPT);
}

TEST(refuses_link_to_host)
{
    _cleanup_buf_ struct buf tar = BUF_INIT;

    fake_tar_add(&tar, FAKE_LINK('1', "shadow", "/etc/passwd"));
    fake_tar_end(&tar);
    refuse_layer(&tar, ERR_CORRUPT);
}

TEST(refuses_truncated)
{
    _cleanup_buf_ struct buf tar = BUF_INIT;

    fake_tar_add(&tar, FAKE_FILE("a", "some text"));
    tar.len = 512 + 5;                   /* in the data; the zeros after it may be missing */
    refuse_layer(&tar, ERR_CORRUPT);
}

TEST(refuses_garbage)
{
    _cleanup_buf_ struct buf tar = BUF_INIT;

    for (int i = 0; i < 2000; i++)
        buf_str(&tar, "no tar ");
    refuse_layer(&tar, ERR_CORRUPT);
}

TEST(refuses_sparse)
{
    _cleanup_buf_ struct buf tar = BUF_INIT;

    fake_tar_add(&tar, FAKE_LINK('S', "sparse", NULL));
    fake_tar_end(&tar);
    refuse_layer(&tar, ERR_UNSUPPORTED);
}

TEST(refuses_huge_size)
{
    _cleanup_buf_ struct buf tar = BUF_INIT;

    fake_tar_add(&tar, (struct fake_entry){ .type = '0', .path = "a", .uid = -1, .gid = -1,
                                            .pax = "size=9223372036854775807\n" });
    fake_tar_end(&tar);
    refuse_layer(&tar, ERR_CORRUPT);
}

TEST(refuses_wrong_diff_id)
{
    struct image_store *s = open_store();
    struct fake_image im = { 0 };
    _cleanup_buf_ struct buf tar = BUF_INIT, archive = BUF_INIT;
    struct err err = ERR_INIT;

    simple_layer(&tar);
    fake_image_layer(&im, &tar, FAKE_GZIP);
    memset(im.diff_id[0] + 7, 'a', 64);
    fake_image_end(&im);
    fake_image_oci(&archive, &im, "a/b:1");
    fake_write(archive_path(), &archive);
    EXPECT_ERR(import(s, NULL, &err), &err, ERR_CORRUPT);
    EXPECT(strstr(err.msg, "the diff ID is"));
    EXPECT_EQ(count_entries(s, "tmp"), 0);
    EXPECT_EQ(count_entries(s, "layers"), 0);
    image_store_free(s);
    fake_image_deinit(&im);
}

/* A blob whose bytes are not those of its name: a bit of the archive was changed. */
TEST(refuses_wrong_digest)
{
    struct image_store *s = open_store();
    struct fake_image im = { 0 };
    _cleanup_buf_ struct buf tar = BUF_INIT, archive = BUF_INIT;
    struct err err = ERR_INIT;

    simple_layer(&tar);
    fake_image_layer(&im, &tar, FAKE_GZIP);
    fake_image_end(&im);
    fake_image_oci(&archive, &im, "a/b:1");
    /* gzip's mtime */
    ((char *)memmem(archive.p, archive.len, im.layer[0].p, im.layer[0].len))[4] ^= 1;
    fake_write(archive_path(), &archive);
    EXPECT_ERR(import(s, NULL, &err), &err, ERR_CORRUPT);
    EXPECT(strstr(err.msg, "the digest is"));
    EXPECT_EQ(count_entries(s, "tmp"), 0);
    image_store_free(s);
    fake_image_deinit(&im);
}

/* --- limits, told to the child directly */

static void refuse_bomb(enum fake_codec codec, int64_t max_bytes, int64_t max_entries)
{
    struct image_store *s = open_store();
    struct image_watch w = { 0 };
    struct image_crew c;
    struct fake_image im = { 0 };
    struct image_task t = { .what = "bomb" };
    struct image_unpack_ask ask = { .mode = UNPACK_LAYER, .length = -1, .max_bytes = max_bytes,
                                    .max_entries = max_entries };
    _cleanup_buf_ struct buf tar = BUF_INIT, zeros = BUF_INIT;
    _cleanup_fd_ int in = -1, to = -1;
    struct err err = ERR_INIT;
    struct stat st;
    char path[400];

    buf_reserve(&zeros, 8u << 20);
    memset(zeros.p, 0, 8u << 20);
    fake_tar_add(&tar, (struct fake_entry){ .type = '0', .path = "z", .data = zeros.p,
        .len = 8u << 20,
                                            .uid = -1, .gid = -1 });
    for (int i = 0; i < 100; i++) {
        snprintf(path, sizeof(path), "file%d", i);
        fake_tar_add(&tar, FAKE_FILE(path, ""));
    }
    fake_tar_end(&tar);
    fake_image_layer(&im, &tar, codec);
    EXPECT(im.layer[0].len < 100000);
    fake_write(archive_path(), &im.layer[0]);
    snprintf(path, sizeof(path), "%s/to", test_tmpdir());
    EXPECT(mkdir(path, 0755) == 0);
    in = open(archive_path(), O_RDONLY | O_CLOEXEC);
    to = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    EXPECT_OK(image_crew_init(&c, s, &w, NULL, &err), &err);
    EXPECT_ERR(image_task_run(&t, &c, &ask, in, to, &err), &err, ERR_QUOTA);
    image_task_deinit(&t);
    image_crew_deinit(&c);
    if (fstatat(to, "z", &st, 0) == 0)
        EXPECT(st.st_size <= max_bytes);
    image_store_free(s);
    fake_image_deinit(&im);
}

TEST(gzip_bomb)
{
    refuse_bomb(FAKE_GZIP, 1 << 20, 1000);
}

TEST(zstd_bomb)
{
    refuse_bomb(FAKE_ZSTD, 1 << 20, 1000);
}

TEST(too_many_entries)
{
    refuse_bomb(FAKE_GZIP, 64 << 20, 100);
}

static bool cancel_now(void *ctx)
{
    (void)ctx;
    return true;
}

TEST(canceled)
{
    struct image_store *s = open_store();
    struct fake_image im = { 0 };
    struct image_import_opts o = { .file = archive_path(), .watch = { .is_canceled = cancel_now } };
    _cleanup_buf_ struct buf tar = BUF_INIT, archive = BUF_INIT;
    struct err err = ERR_INIT;

    simple_layer(&tar);
    fake_image_layer(&im, &tar, FAKE_GZIP);
    fake_image_end(&im);
    fake_image_oci(&archive, &im, "a/b:1");
    fake_write(archive_path(), &archive);
    EXPECT_ERR(image_import(s, &o, NULL, &err), &err, ERR_CANCELED);
    EXPECT_EQ(count_entries(s, "tmp"), 0);
    image_store_free(s);
    fake_image_deinit(&im);
}
