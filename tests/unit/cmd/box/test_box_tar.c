#include <fcntl.h>
#include <sys/stat.h>

#include "cmd/box/box_tar.h"
#include "core/base/fd.h"
#include "core/base/mem.h"
#include "tests/unit/cmd/box/box_case.h"

static struct arena *keep(void)              /* texts live as long as the test */
{
    static struct arena *a;

    return a = a ? a : arena_new(0);
}

static const char *at(const char *path)
{
    return arena_printf(keep(), "%s/%s", test_tmpdir(), path);
}

static void put(const char *path, const char *text)
{
    struct err err = ERR_INIT;

    EXPECT_OK(fd_write_file(AT_FDCWD, at(path), text, strlen(text), 0640, &err), &err);
}

static const char *get(const char *path)
{
    _cleanup_buf_ struct buf b = BUF_INIT;
    struct err err = ERR_INIT;

    EXPECT_OK(fd_read_file(&b, AT_FDCWD, at(path), 1 << 20, &err), &err);
    return arena_strdup(keep(), b.p ? b.p : "");
}

/* One entry with its data as an archive in *out. */
static void add_entry(struct buf *out, char type, const char *name, const char *link, const char *data)
{
    struct box_tar_entry *e = NEW(struct box_tar_entry);
    char block[BOX_TAR_BLOCK];
    size_t len = data ? strlen(data) : 0;
    static const char zeros[BOX_TAR_BLOCK];

    *e = (struct box_tar_entry){ .type = type, .mode = 0644, .size = (int64_t)len, .mtime = 1000 };
    snprintf(e->name, sizeof(e->name), "%s", name);
    snprintf(e->link, sizeof(e->link), "%s", link ? link : "");
    box_tar_write(block, e);
    buf_add(out, block, sizeof(block));
    buf_add(out, data ? data : "", len);
    buf_add(out, zeros, -len & 511);
    mem_free(e);
}

static void add_end(struct buf *out)
{
    static const char zeros[2 * BOX_TAR_BLOCK];

    buf_add(out, zeros, sizeof(zeros));
}

TEST(there_and_back)
{
    static struct box_said one, two;
    struct stat st;
    char *name = arena_alloc(keep(), 200);
    const char *path;

    memset(name, 'n', 150);
    mkdir(at("a"), 0755);
    mkdir(at("a/sub"), 0750);
    mkdir(at("b"), 0755);
    put("a/f", "content\n");
    path = arena_printf(keep(), "a/sub/%s", name);
    put(path, "long name\n");
    EXPECT(symlink("f", at("a/link")) == 0);
    box_case(&one, (const char *[]){ "tar", "cf", "-", "-C", at(""), "a", NULL }, NULL, 0, false);
    EXPECT_EQ(one.status, 0);
    EXPECT_EQ(one.len % 10240, 0);
    box_case(&two, (const char *[]){ "tar", "-xmf", "-", "-C", at("b"), NULL }, one.text, one.len, true);
    EXPECT_STR(two.text, "");
    EXPECT_EQ(two.status, 0);
    EXPECT_STR(get("b/a/f"), "content\n");
    EXPECT_STR(get(arena_printf(keep(), "b/%s", path)), "long name\n");
    EXPECT(stat(at("b/a/f"), &st) == 0 && (st.st_mode & 07777) == 0640);
    EXPECT(stat(at("b/a/sub"), &st) == 0 && (st.st_mode & 07777) == 0750);
    EXPECT(lstat(at("b/a/link"), &st) == 0 && S_ISLNK(st.st_mode));
    box_case(&two, (const char *[]){ "tar", "tf", "-", NULL }, one.text, one.len, true);
    EXPECT(strstr(two.text, "a/f\n") && strstr(two.text, name));
}

static int extract(struct buf *archive)
{
    static struct box_said said;

    mkdir(at("in"), 0755);
    box_case(&said, (const char *[]){ "tar", "xf", "-", "-C", at("in"), NULL }, archive->p, archive->len, true);
    return said.status;
}

TEST(does_not_leave_its_directory)
{
    struct buf b = BUF_INIT;

    add_entry(&b, '0', "../out", NULL, "x");
    add_end(&b);
    EXPECT(extract(&b) != 0);
    EXPECT(access(at("out"), F_OK) < 0);
    buf_clear(&b);
    mkdir(at("victim"), 0755);
    add_entry(&b, '2', "l", at("victim"), NULL);
    add_entry(&b, '0', "l/f", NULL, "x");
    add_end(&b);
    EXPECT(extract(&b) != 0);
    EXPECT(access(at("victim/f"), F_OK) < 0);
    buf_clear(&b);
    put("secret", "old");
    add_entry(&b, '2', "s", at("secret"), NULL);
    add_entry(&b, '0', "s", NULL, "new");                    /* replaces the link, not what it points to */
    add_entry(&b, '1', "h", "../secret", NULL);
    add_end(&b);
    EXPECT(extract(&b) != 0);
    EXPECT_STR(get("secret"), "old");
    EXPECT_STR(get("in/s"), "new");
    buf_clear(&b);
    add_entry(&b, '0', "/abs/f", NULL, "in");
    add_end(&b);
    EXPECT_EQ(extract(&b), 0);
    EXPECT_STR(get("in/abs/f"), "in");
    buf_deinit(&b);
}

TEST(bad_archives)
{
    struct buf b = BUF_INIT;

    buf_str(&b, "this is no archive");
    EXPECT(extract(&b) != 0);
    buf_clear(&b);
    add_entry(&b, '0', "cut", NULL, "some data");
    b.len -= 200;
    EXPECT(extract(&b) != 0);
    buf_clear(&b);
    add_entry(&b, 'x', "pax", NULL, "99 path=x\n");
    add_entry(&b, '0', "f", NULL, "x");
    add_end(&b);
    EXPECT(extract(&b) != 0);
    buf_clear(&b);
    add_entry(&b, 'x', "pax", NULL, "15 path=renamed\n");
    add_entry(&b, '0', "f", NULL, "x");
    add_end(&b);
    EXPECT(extract(&b) != 0);
    buf_clear(&b);
    add_entry(&b, 'x', "pax", NULL, "16 path=renamed\n");
    add_entry(&b, '0', "f", NULL, "x");
    add_end(&b);
    EXPECT_EQ(extract(&b), 0);
    EXPECT_STR(get("in/renamed"), "x");
    buf_deinit(&b);
}
