#include "core/client/slice_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/fd.h"
#include "core/base/mem.h"
#include "core/client/slice_record.h"
#include "tests/harness/test.h"

static int dir_fd(void)
{
    int fd = open(test_tmpdir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    EXPECT(fd >= 0);
    return fd;
}

static struct slice_file *open_in(int dir, const char *scope, const unsigned char *seal)
{
    struct slice_file_opts o = { .dir = dir, .name = "pods", .fd = -1, .scope = scope,
                                 .seal = seal };
    struct slice_file *f;
    struct err err = ERR_INIT;

    EXPECT_OK(slice_file_open(&f, &o, &err), &err);
    return f;
}

static void put(struct slice_file *f, const char *key, const char *value)
{
    slice_file_put(f, key, slice_of(value), slice_of(value));
}

static bool write_out(struct slice_file *f)
{
    struct slice_write *w = slice_file_begin(f);
    struct err err = ERR_INIT;

    if (!w)
        return false;
    slice_file_run(w);
    EXPECT_OK(slice_file_end(f, w, &err), &err);
    return true;
}

static void expect(const struct slice_file *f, const char *key, const char *value)
{
    _cleanup_buf_ struct buf b = BUF_INIT;
    struct err err = ERR_INIT;

    EXPECT_EQ(slice_file_has(f, key), value != NULL);
    if (!value) {
        EXPECT_EQ(slice_file_get(f, key, &b, &err), -1);
        EXPECT_EQ(err.code, ERR_NOT_FOUND);
        return;
    }
    EXPECT_OK(slice_file_get(f, key, &b, &err), &err);
    EXPECT_STR(b.p ? b.p : "", value);
}

static off_t size_of(int dir)
{
    struct stat st;

    EXPECT_EQ(fstatat(dir, "pods", &st, 0), 0);
    return st.st_size;
}

static ino_t inode_of(int dir)
{
    struct stat st;

    EXPECT_EQ(fstatat(dir, "pods", &st, 0), 0);
    return st.st_ino;
}

TEST(keeps_and_forgets)
{
    int dir = dir_fd();
    struct slice_file *f = open_in(dir, "n1", NULL);

    EXPECT(!slice_file_is_known(f));
    put(f, "a", "one");
    EXPECT(!write_out(f));                   /* not a whole map yet: nothing on the disk */
    put(f, "b", "two");
    slice_file_set_whole(f);
    expect(f, "a", "one");
    EXPECT(write_out(f));
    EXPECT(!write_out(f));
    put(f, "a", "one");                      /* the same: no write */
    EXPECT(!slice_file_is_dirty(f));
    put(f, "a", "uno");
    slice_file_del(f, "b");
    put(f, "c", "");
    EXPECT(write_out(f));
    expect(f, "a", "uno");
    f = slice_file_free(f);
    f = open_in(dir, "n1", NULL);
    EXPECT(slice_file_is_known(f));
    EXPECT(!slice_file_is_damaged(f));
    expect(f, "a", "uno");
    expect(f, "b", NULL);
    expect(f, "c", "");
    EXPECT(!slice_file_is_dirty(f));
    slice_file_free(f);
    f = open_in(dir, "n2", NULL);            /* of another node */
    EXPECT(!slice_file_is_known(f));
    expect(f, "a", NULL);
    slice_file_free(f);
    fd_close(dir);
}

TEST(an_empty_map_is_a_map)
{
    int dir = dir_fd();
    struct slice_file *f = open_in(dir, "n1", NULL);

    slice_file_set_whole(f);
    EXPECT(write_out(f));
    slice_file_free(f);
    f = open_in(dir, "n1", NULL);
    EXPECT(slice_file_is_known(f));
    slice_file_free(f);
    fd_close(dir);
}

TEST(marks_decide)
{
    int dir = dir_fd();
    struct slice_file *f = open_in(dir, "n1", NULL);

    slice_file_put(f, "a", SLICE("value 1"), SLICE("mark"));
    slice_file_put(f, "a", SLICE("value 2"), SLICE("mark"));
    expect(f, "a", "value 1");
    slice_file_put(f, "a", SLICE("value 2"), SLICE("other"));
    expect(f, "a", "value 2");
    slice_file_free(f);
    fd_close(dir);
}

TEST(a_change_while_writing_is_not_lost)
{
    int dir = dir_fd();
    struct slice_file *f = open_in(dir, "n1", NULL);
    struct slice_write *w;
    struct err err = ERR_INIT;

    put(f, "a", "one");
    put(f, "b", "two");
    put(f, "c", "three");
    slice_file_set_whole(f);
    w = slice_file_begin(f);
    EXPECT(w);
    EXPECT(!slice_file_begin(f));            /* one at a time */
    put(f, "a", "uno");
    slice_file_del(f, "b");
    slice_file_run(w);
    EXPECT_OK(slice_file_end(f, w, &err), &err);
    expect(f, "a", "uno");
    expect(f, "b", NULL);
    expect(f, "c", "three");
    EXPECT(write_out(f));
    slice_file_free(f);
    f = open_in(dir, "n1", NULL);
    expect(f, "a", "uno");
    expect(f, "b", NULL);
    expect(f, "c", "three");
    slice_file_free(f);
    fd_close(dir);
}

TEST(appends_until_half_is_dead)
{
    int dir = dir_fd();
    struct slice_file *f = open_in(dir, "n1", NULL);
    char big[8001], first;
    ino_t inode;
    unsigned replaced = 0;

    memset(big, 'x', sizeof(big) - 1);
    big[sizeof(big) - 1] = 0;
    put(f, "big", big);
    put(f, "still", "here");
    slice_file_set_whole(f);
    EXPECT(write_out(f));
    inode = inode_of(dir);
    for (int i = 0; i < 100; i++) {
        first = (char)('a' + i % 26);
        big[0] = first;
        put(f, "big", big);
        EXPECT(write_out(f));
        replaced += inode_of(dir) != inode;
        inode = inode_of(dir);
        EXPECT(size_of(dir) < 2 * 9000 + SLICE_FILE_SLACK + 9000);
    }
    EXPECT(replaced >= 3);
    EXPECT(replaced <= 20);
    expect(f, "still", "here");
    expect(f, "big", big);
    slice_file_free(f);
    fd_close(dir);
}

TEST(a_failed_write_is_written_anew)
{
    int dir = dir_fd();
    struct slice_file *f = open_in(dir, "n1", NULL);
    struct slice_write *w;
    struct err err = ERR_INIT;

    put(f, "a", "one");
    slice_file_set_whole(f);
    EXPECT_EQ(mkdirat(dir, "pods", 0700), 0);        /* in the way */
    w = slice_file_begin(f);
    slice_file_run(w);
    EXPECT_EQ(slice_file_end(f, w, &err), -1);
    expect(f, "a", "one");
    EXPECT_EQ(unlinkat(dir, "pods", AT_REMOVEDIR), 0);
    EXPECT(write_out(f));
    slice_file_free(f);
    f = open_in(dir, "n1", NULL);
    expect(f, "a", "one");
    slice_file_free(f);
    fd_close(dir);
}

TEST(limits)
{
    int dir = dir_fd();
    struct slice_file *f = open_in(dir, "n1", NULL);
    size_t most = SLICE_RECORD_VALUE_MAX - 28, n = 0;
    char *text = mem_alloc(most + 2), name[16];

    memset(text, 'x', most + 1);
    slice_file_put(f, "a", (struct slice){ text, most }, SLICE("1"));
    EXPECT(slice_file_has(f, "a"));
    EXPECT(!slice_file_is_full(f));
    slice_file_put(f, "a", (struct slice){ text, most + 1 }, SLICE("2"));
    EXPECT(!slice_file_has(f, "a"));         /* nothing rather than what was */
    EXPECT(slice_file_is_full(f));
    for (; n < 20; n++) {
        snprintf(name, sizeof(name), "n%zu", n);
        slice_file_put(f, name, (struct slice){ text, most }, SLICE("1"));
        if (!slice_file_has(f, name))
            break;
    }
    EXPECT_EQ(n, SLICE_FILE_BYTES_MAX / (most + 60));        /* with what is around them */
    mem_free(text);
    slice_file_free(f);
    fd_close(dir);
}

/* --- secrets */

TEST(sealed)
{
    unsigned char seal[32] = "0123456789abcdef0123456789abcde", wrong[32] = "other";
    _cleanup_buf_ struct buf raw = BUF_INIT, value = BUF_INIT;
    int dir = dir_fd();
    struct slice_file *f = open_in(dir, "n1", seal);
    struct err err = ERR_INIT;

    put(f, "token", "sesame");
    slice_file_set_whole(f);
    expect(f, "token", "sesame");
    EXPECT(write_out(f));
    expect(f, "token", "sesame");
    slice_file_free(f);
    EXPECT_OK(fd_read_file(&raw, dir, "pods", 1 << 20, &err), &err);
    EXPECT(!memmem(raw.p, raw.len, "sesame", 6));
    f = open_in(dir, "n1", seal);
    expect(f, "token", "sesame");
    put(f, "token", "sesame");
    EXPECT(!slice_file_is_dirty(f));
    slice_file_free(f);
    f = open_in(dir, "n1", wrong);
    EXPECT(slice_file_has(f, "token"));
    EXPECT_EQ(slice_file_get(f, "token", &value, &err), -1);
    EXPECT_EQ(err.code, ERR_CORRUPT);
    put(f, "token", "sesame");               /* another key: another mark, so it is sealed anew */
    EXPECT(slice_file_is_dirty(f));
    expect(f, "token", "sesame");
    slice_file_free(f);
    fd_close(dir);
}

/* --- damage */

/* After so many whole records, what is there? */
static void expect_state(const struct slice_file *f, size_t records)
{
    static const char *const a[] = { NULL, "one", "one", "uno", "uno" };
    static const char *const b[] = { NULL, NULL, "two", "two", NULL };

    expect(f, "a", a[records]);
    expect(f, "b", b[records]);
}

static size_t build(struct buf *out, size_t ends[5])
{
    static const struct { bool gone; const char *key, *value; } steps[] = {
        { false, "a", "one" }, { false, "b", "two" }, { false, "a", "uno" }, { true, "b", "" },
    };
    unsigned char nonce[SLICE_RECORD_NONCE] = "0123456789abcde";

    slice_record_head(out, nonce, "n1");
    ends[0] = out->len;
    for (size_t i = 0; i < 4; i++) {
        struct slice_record r = { .gone = steps[i].gone, .key = slice_of(steps[i].key),
                                  .value = slice_of(steps[i].value) };

        slice_record_add(out, 0, nonce, &r);
        ends[i + 1] = out->len;
    }
    return out->len;
}

static void spill(int dir, const char *p, size_t len)
{
    struct err err = ERR_INIT;

    EXPECT_OK(fd_replace_file(dir, "pods", (struct slice){ p, len }, 0600, &err), &err);
}

TEST(power_cut_at_every_byte)
{
    _cleanup_buf_ struct buf b = BUF_INIT;
    size_t ends[5], len = build(&b, ends);
    int dir = dir_fd();

    for (size_t n = 0; n <= len; n++) {
        struct slice_file *f;
        size_t whole = 0;

        spill(dir, b.p, n);
        f = open_in(dir, "n1", NULL);
        EXPECT_EQ(slice_file_is_known(f), n >= ends[0]);
        while (whole < 4 && n >= ends[whole + 1])
            whole++;
        expect_state(f, whole);
        EXPECT_EQ(slice_file_is_damaged(f), n > 0 && n != ends[whole]);
        put(f, "c", "new");                  /* and life goes on */
        slice_file_set_whole(f);
        EXPECT(write_out(f));
        slice_file_free(f);
        f = open_in(dir, "n1", NULL);
        EXPECT(!slice_file_is_damaged(f));
        expect_state(f, whole);
        expect(f, "c", "new");
        slice_file_free(f);
    }
    fd_close(dir);
}

TEST(a_changed_byte_ends_the_good_part)
{
    _cleanup_buf_ struct buf b = BUF_INIT;
    size_t ends[5], len = build(&b, ends);
    int dir = dir_fd();

    for (size_t n = 0; n < len; n++) {
        struct slice_file *f;
        size_t whole = 0;

        b.p[n] ^= 0x20;
        spill(dir, b.p, len);
        b.p[n] ^= 0x20;
        f = open_in(dir, "n1", NULL);
        EXPECT_EQ(slice_file_is_known(f), n >= ends[0]);
        EXPECT(slice_file_is_damaged(f));
        while (whole < 4 && n >= ends[whole + 1])
            whole++;
        expect_state(f, n < ends[0] ? 0 : whole);
        slice_file_free(f);
    }
    fd_close(dir);
}

TEST(records_of_another_place_do_not_count)
{
    _cleanup_buf_ struct buf b = BUF_INIT;
    size_t ends[5];
    int dir = dir_fd();
    struct slice_file *f;

    build(&b, ends);
    buf_reserve(&b, ends[1] - ends[0]);
    buf_add(&b, b.p + ends[0], ends[1] - ends[0]);           /* "a" is "one", again */
    spill(dir, b.p, b.len);
    f = open_in(dir, "n1", NULL);
    expect_state(f, 4);
    EXPECT(slice_file_is_damaged(f));
    slice_file_free(f);
    fd_close(dir);
}

TEST(read_only_from_a_descriptor)
{
    int dir = dir_fd();
    struct slice_file *f = open_in(dir, "n1", NULL);
    struct slice_file_opts o = { .dir = -1, .name = "pods", .scope = "n1" };
    struct err err = ERR_INIT;

    put(f, "a", "one");
    slice_file_set_whole(f);
    EXPECT(write_out(f));
    slice_file_free(f);
    o.fd = openat(dir, "pods", O_RDONLY | O_CLOEXEC);
    EXPECT_OK(slice_file_open(&f, &o, &err), &err);
    EXPECT(slice_file_is_known(f));
    expect(f, "a", "one");
    put(f, "a", "two");
    EXPECT(!slice_file_is_dirty(f));
    slice_file_free(f);
    o.fd = open("/dev/null", O_RDONLY | O_CLOEXEC);          /* there was none */
    EXPECT_OK(slice_file_open(&f, &o, &err), &err);
    EXPECT(!slice_file_is_known(f));
    slice_file_free(f);
    fd_close(dir);
}
