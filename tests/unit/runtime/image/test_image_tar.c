/* test_image_tar.c -- the tar reader alone: forms, numbers, limits, and archives that are none. */
#include "runtime/image/image_tar.h"
#include "tests/fake/fake_image.h"
#include "tests/harness/test.h"

struct source { const struct buf *b; size_t at, step; };

static ssize_t source_read(void *ctx, void *p, size_t len, struct err *err)
{
    struct source *s = ctx;

    (void)err;
    if (len > s->b->len - s->at)
        len = s->b->len - s->at;
    if (s->step && len > s->step)
        len = s->step;
    memcpy(p, s->b->p + s->at, len);
    s->at += len;
    return (ssize_t)len;
}

static int first(struct image_tar_entry *e, const struct buf *b, struct err *err)
{
    struct source s = { .b = b };
    const struct image_tar_entry *out;
    static struct image_tar *t;             /* e points into it until the next call */
    int r;

    image_tar_free(t);
    t = image_tar_new(source_read, &s);
    r = image_tar_next(&out, t, err);
    if (r == 1)
        *e = *out;
    return r;
}

TEST(byte_by_byte)
{
    struct buf b = BUF_INIT;
    struct source s = { .b = &b, .step = 1 };
    struct image_tar *t = image_tar_new(source_read, &s);
    const struct image_tar_entry *e;
    struct err err = ERR_INIT;
    char data[16];

    fake_tar_add(&b, FAKE_FILE("skipped", "some bytes"));
    fake_tar_add(&b, FAKE_FILE("read", "abc"));
    fake_tar_add(&b, FAKE_LINK('3', "dev", NULL));
    fake_tar_end(&b);
    EXPECT_EQ(image_tar_next(&e, t, &err), 1);
    EXPECT_STR(e->path, "skipped");
    EXPECT_EQ(image_tar_next(&e, t, &err), 1);
    EXPECT_EQ(image_tar_offset(t), 3 * 512);
    EXPECT_EQ(image_tar_data(t, data, sizeof(data), &err), 1);
    EXPECT_EQ(data[0], 'a');
    EXPECT_EQ(image_tar_next(&e, t, &err), 1);
    EXPECT_EQ(e->type, IMAGE_TAR_CHAR);
    EXPECT_EQ(image_tar_next(&e, t, &err), 0);
    EXPECT_EQ(image_tar_next(&e, t, &err), 0);
    image_tar_free(t);
    buf_deinit(&b);
}

TEST(binary_numbers)
{
    struct buf b = BUF_INIT;
    struct image_tar_entry e;
    struct err err = ERR_INIT;

    fake_tar_add(&b, FAKE_FILE("a", NULL));
    memcpy(b.p + 108, "\x80\0\0\0\x12\x34\x56\x78", 8);                 /* uid */
    memset(b.p + 136, 0xff, 12);                                        /* mtime -1 */
    fake_tar_sum(b.p);
    EXPECT_EQ(first(&e, &b, &err), 1);
    EXPECT_EQ(e.uid, 0x12345678);
    EXPECT_EQ(e.mtime_s, -1);
    memset(b.p + 124, 0xff, 12);                                        /* size -1 */
    fake_tar_sum(b.p);
    EXPECT_ERR(first(&e, &b, &err), &err, ERR_CORRUPT);
    memcpy(b.p + 124, "\x80\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 12);
    fake_tar_sum(b.p);
    EXPECT_ERR(first(&e, &b, &err), &err, ERR_CORRUPT);
    memcpy(b.p + 124, "999999999999", 12);                              /* not octal */
    fake_tar_sum(b.p);
    EXPECT_ERR(first(&e, &b, &err), &err, ERR_CORRUPT);
    memcpy(b.p + 124, "00000000000", 12);
    memcpy(b.p + 108, "\x80\0\0\0\xff\xff\xff\xff", 8);                 /* uid -1 */
    fake_tar_sum(b.p);
    EXPECT_ERR(first(&e, &b, &err), &err, ERR_CORRUPT);
    buf_deinit(&b);
}

TEST(pax)
{
    struct buf b = BUF_INIT;
    struct image_tar_entry e;
    struct err err = ERR_INIT;

    fake_tar_add(&b, (struct fake_entry){ .type = '2', .path = "a", .link = "b",
        .pax = "path=long/name\nlinkpath=to\nuid=70000\ngid=4294967294\nmtime=-1.25\nSCHILY.xattr.user."
        "x=v=1\n"
        "SCHILY.xattr.security.capability=\nunknown=1\n" });
    fake_tar_add(&b, (struct fake_entry){ .type = '0', .path = "next", .uid = 5 });
    EXPECT_EQ(first(&e, &b, &err), 1);
    EXPECT_STR(e.path, "long/name");
    EXPECT_STR(e.link, "to");
    EXPECT_EQ(e.uid, 70000);
    EXPECT_EQ(e.gid, 4294967294);
    EXPECT_EQ(e.mtime_s, -2);
    EXPECT_EQ(e.mtime_ns, 750000000);
    EXPECT_EQ(e.n_xattrs, 2);
    EXPECT_STR(e.xattrs[0].name, "user.x");
    EXPECT_EQ(e.xattrs[0].len, 3);
    EXPECT_MEM(e.xattrs[0].value, "v=1", 3);
    EXPECT_EQ(e.xattrs[1].len, 0);
    buf_deinit(&b);
}

TEST(pax_refused)
{
    static const struct { const char *record; int code; } rows[] = {
        { "5 a\n", ERR_CORRUPT }, { "6 a=b", ERR_CORRUPT }, { "99 a=b\n", ERR_CORRUPT },
        { "x a=b\n", ERR_CORRUPT }, { "0 a=b\n", ERR_CORRUPT }, { "2 \n", ERR_CORRUPT },
        { "5 =b\n", ERR_CORRUPT }, { "9 path=\0\n", ERR_CORRUPT }, { "11 size=-1\n", ERR_CORRUPT },
        { "10 uid=-1\n", ERR_CORRUPT }, { "18 uid=4294967295\n", ERR_CORRUPT },
        { "11 mtime=x\n", ERR_CORRUPT }, { "22 GNU.sparse.major=1\n", ERR_UNSUPPORTED },
        { "18446744073709551617 a=b\n", ERR_CORRUPT },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf b = BUF_INIT;
        struct image_tar_entry e;
        struct err err = ERR_INIT;
        size_t len = i == 7 ? 9 : strlen(rows[i].record);

        fake_tar_add(&b, (struct fake_entry){ .type = 'x', .path = "pax", .data = rows[i].record,
                                              .len = len });
        fake_tar_add(&b, FAKE_FILE("a", "x"));
        if (first(&e, &b, &err) >= 0 || err.code != rows[i].code)
            test_fail(__FILE__, __LINE__, "row %zu: %s", i, err.msg);
        buf_deinit(&b);
    }
}

TEST(limits)
{
    for (size_t len = IMAGE_TAR_PATH_MAX - 1; len <= IMAGE_TAR_PATH_MAX + 1; len++) {
        struct buf b = BUF_INIT, pax = BUF_INIT;
        struct image_tar_entry e;
        struct err err = ERR_INIT;

        buf_str(&pax, "path=");
        for (size_t i = 0; i < len; i++)
            buf_chr(&pax, i % 100 == 99 ? '/' : 'a');
        buf_chr(&pax, '\n');
        fake_tar_add(&b, (struct fake_entry){ .type = '0', .path = "a", .pax = pax.p });
        if (len <= IMAGE_TAR_PATH_MAX)
            EXPECT_EQ(first(&e, &b, &err), 1);
        else
            EXPECT_ERR(first(&e, &b, &err), &err, ERR_QUOTA);
        buf_deinit(&b);
        buf_deinit(&pax);
    }
    for (int n = IMAGE_TAR_XATTRS_MAX; n <= IMAGE_TAR_XATTRS_MAX + 1; n++) {
        struct buf b = BUF_INIT, pax = BUF_INIT;
        struct image_tar_entry e;
        struct err err = ERR_INIT;

        for (int i = 0; i < n; i++)
            buf_fmt(&pax, "SCHILY.xattr.user.%d=x\n", i);
        fake_tar_add(&b, (struct fake_entry){ .type = '0', .path = "a", .pax = pax.p });
        if (n <= IMAGE_TAR_XATTRS_MAX)
            EXPECT_EQ(first(&e, &b, &err), 1);
        else
            EXPECT_ERR(first(&e, &b, &err), &err, ERR_QUOTA);
        buf_deinit(&b);
        buf_deinit(&pax);
    }
}

TEST(refuses)
{
    static const char types[] = "SMDN\xff";
    struct image_tar_entry e;
    struct err err = ERR_INIT;

    for (size_t i = 0; i < sizeof(types) - 1; i++) {
        struct buf b = BUF_INIT;

        fake_tar_add(&b, FAKE_LINK(types[i], "a", NULL));
        EXPECT_ERR(first(&e, &b, &err), &err, ERR_UNSUPPORTED);
        buf_deinit(&b);
    }
    for (int i = 0; i < 4; i++) {
        struct buf b = BUF_INIT;

        fake_tar_add(&b, i == 0 ? FAKE_LINK('1', "a", NULL) : i == 1 ? FAKE_FILE("", "x") :
                         FAKE_FILE("a", "x"));
        if (i == 2)
            b.p[0] = 'b';                   /* the checksum is wrong now */
        if (i == 3)
            b.len = 511;
        EXPECT_ERR(first(&e, &b, &err), &err, ERR_CORRUPT);
        buf_deinit(&b);
    }
}

TEST(header_too_big)
{
    struct buf b = BUF_INIT;
    struct image_tar_entry e;
    struct err err = ERR_INIT;

    fake_tar_add(&b, FAKE_LINK('x', "pax", NULL));
    memcpy(b.p + 124, "77777777777", 12);
    fake_tar_sum(b.p);
    EXPECT_ERR(first(&e, &b, &err), &err, ERR_QUOTA);
    buf_clear(&b);
    for (int i = 0; i < 20; i++)
        fake_tar_add(&b, FAKE_FILE("pax", NULL)), b.p[b.len - 512 + 156] = 'g',
            fake_tar_sum(b.p + b.len - 512);
    EXPECT_ERR(first(&e, &b, &err), &err, ERR_CORRUPT);
    buf_deinit(&b);
}

/* Every cut before its end is between two entries, in the zeros after the last data (which some
 * tools do not write), or an error. */
TEST(cut_anywhere)
{
    const size_t data_end = 4 * 512 + 4;
    struct buf b = BUF_INIT;

    fake_tar_add(&b, FAKE_DIR("d"));
    fake_tar_add(&b, (struct fake_entry){ .type = '0', .path = "f", .data = "data",
        .pax = "uid=1\n" });
    fake_tar_end(&b);
    for (size_t len = 0; len <= b.len - 512; len++) {
        struct buf cut = { b.p, len, len };
        struct source s = { .b = &cut };
        struct image_tar *t = image_tar_new(source_read, &s);
        const struct image_tar_entry *e;
        struct err err = ERR_INIT;
        int r;

        while ((r = image_tar_next(&e, t, &err)) == 1)
            ;
        if (r == 0 && len % 512 && (len < data_end || len > 5 * 512))
            test_fail(__FILE__, __LINE__, "cut at %zu was not seen", len);
        if (len == data_end)
            EXPECT_EQ(r, 0);
        image_tar_free(t);
    }
    buf_deinit(&b);
}
