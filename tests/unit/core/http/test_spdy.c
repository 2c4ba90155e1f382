#include "core/http/spdy.h"

#include <sys/socket.h>
#include <unistd.h>

#include "core/http/spdy_frame.h"
#include "tests/harness/test.h"

/* Two SYN_STREAM frames as another implementation of zlib wrote them:
 * 1: streamtype=stdin, Multi=a and b;  3 (FIN): streamtype=stdout */
static const char syn1[] =
    "\x80\x03\x00\x01\x00\x00\x00\x34\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x78\xbb"
    "\xe3\xc6\xa7\xc2\x02\xe5\x0e\x70\x3a\x2b\x29\x4a\x4d\xcc\x85\x16\x25\xac\xc5\x25"
    "\xc0\x3c\x01\x62\xf8\x96\xe6\x94\x64\x82\x8b\x4a\x86\x24\x00\x00\x00\x00\xff\xff";
static const char syn3[] =
    "\x80\x03\x00\x01\x01\x00\x00\x1b\x00\x00\x00\x03\x00\x00\x00\x00\x00\x00\x02\x52"
    "\x8c\x18\x4a\x81\x89\x3b\x25\xbf\xb4\x04\x00\x00\x00\xff\xff";
#define SYN1 syn1, sizeof(syn1) - 1
#define SYN3 syn3, sizeof(syn3) - 1

struct fix {
    struct loop *loop;
    struct spdy *s;
    struct spdy_stream *st[8];
    unsigned n;
    struct buf log;
    int fd;
    bool reset_inside, free_inside, hold;
};

static void on_stream(struct spdy *s, struct spdy_stream *st, void *ctx)
{
    struct fix *f = ctx;

    (void)s;
    buf_fmt(&f->log, "open %u %s; ", spdy_stream_id(st), spdy_stream_field(st, "streamtype"));
    if (f->n < ARRAY_LEN(f->st))
        f->st[f->n++] = st;
    if (f->reset_inside)
        spdy_reset(st);
    else
        EXPECT_EQ(spdy_reply(st), 0);
}

static void on_data(struct spdy_stream *st, const char *p, size_t len, void *ctx)
{
    struct fix *f = ctx;

    if (len < 100)
        buf_fmt(&f->log, "%u:%.*s; ", spdy_stream_id(st), (int)len, p);
    if (!f->hold)
        spdy_consumed(st, len);
    if (f->free_inside)
        f->s = spdy_free(f->s);
}

static void on_fin(struct spdy_stream *st, void *ctx)
{
    buf_fmt(&((struct fix *)ctx)->log, "fin %u; ", spdy_stream_id(st));
}

static void on_reset(struct spdy_stream *st, void *ctx)
{
    buf_fmt(&((struct fix *)ctx)->log, "reset %u; ", spdy_stream_id(st));
}

static void on_close(struct spdy *s, const struct err *why, void *ctx)
{
    struct fix *f = ctx;

    (void)s;
    buf_fmt(&f->log, "close %s; ", why ? why->msg : "-");
    f->s = spdy_free(f->s);
}

static struct fix *fix_new(void)
{
    struct fix *f = NEW(struct fix);
    struct spdy_ops ops = { on_stream, on_data, on_fin, on_reset, NULL, on_close, f };
    struct http_raw *raw = NULL;
    struct err err = ERR_INIT;
    int fds[2];

    EXPECT_OK(loop_new(&f->loop, NULL, &err), &err);
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    EXPECT_OK(http_raw_new(&raw, f->loop, fds[0], &(struct http_raw_ops){ 0 }, &err), &err);
    f->s = spdy_new(raw, f->loop, &ops);
    f->fd = fds[1];
    return f;
}

static void settle(struct fix *f)
{
    for (int i = 0; i < 30; i++)
        loop_step(f->loop, i > 25 ? 1 : 0);
}

static void say(struct fix *f, const char *p, size_t len)
{
    EXPECT_EQ(send(f->fd, p, len, MSG_NOSIGNAL), (ssize_t)len);
    settle(f);
}

static void fix_free(struct fix *f)
{
    spdy_free(f->s);
    close(f->fd);
    settle(f);
    loop_free(f->loop);
    buf_deinit(&f->log);
    mem_free(f);
}

static const char *log_of(struct fix *f)
{
    return f->log.p ? f->log.p : "";
}

#define DATA(id, flags, n) "\0\0\0" id flags "\0\0" n

TEST(streams)
{
    struct fix *f = fix_new();
    char got[512];
    ssize_t n;

    say(f, SYN1);
    EXPECT_STR(log_of(f), "open 1 stdin; ");
    EXPECT_STR(spdy_stream_field(f->st[0], "multi"), "a");
    n = read(f->fd, got, sizeof(got));
    EXPECT(n > 12);
    EXPECT_MEM(got, "\x80\x03\x00\x02\x00\x00\x00", 7);              /* SYN_REPLY, whose headers are ours to read */
    EXPECT_MEM(got + 8, "\x00\x00\x00\x01\x38", 5);
    say(f, DATA("\1", "\0", "\5") "hello" DATA("\1", "\1", "\1") "!", 22);
    EXPECT_STR(log_of(f), "open 1 stdin; 1:hello; 1:!; fin 1; ");
    spdy_write(f->st[0], "out", 3);
    spdy_fin(f->st[0]);
    settle(f);
    n = read(f->fd, got, sizeof(got));
    EXPECT_EQ(n, 8 + 3 + 8);
    EXPECT_MEM(got, DATA("\1", "\0", "\3") "out" DATA("\1", "\1", "\0"), 19);
    buf_clear(&f->log);
    say(f, SYN3);                            /* its compression goes on from the first */
    EXPECT_STR(log_of(f), "open 3 stdout; fin 3; ");
    say(f, "\x80\3\0\6\0\0\0\4\0\0\0\7", 12);
    while ((n = read(f->fd, got, sizeof(got))) > 0)
        if (n >= 12)
            EXPECT_MEM(got + n - 12, "\x80\3\0\6\0\0\0\4\0\0\0\7", 12);
    spdy_end(f->s);
    f->s = NULL;
    settle(f);
    EXPECT_EQ(read(f->fd, got, sizeof(got)), 16);
    EXPECT_MEM(got, "\x80\3\0\7\0\0\0\x08\0\0\0\3\0\0\0\0", 16);
    EXPECT_EQ(read(f->fd, got, sizeof(got)), 0);
    fix_free(f);
}

TEST(resets)
{
    struct fix *f = fix_new();

    say(f, SYN1);
    say(f, "\x80\3\0\3\0\0\0\x8\0\0\0\1\0\0\0\5", 16);
    EXPECT_STR(log_of(f), "open 1 stdin; reset 1; ");
    say(f, DATA("\1", "\0", "\2") "xx", 10);                          /* late: thrown away */
    EXPECT_STR(log_of(f), "open 1 stdin; reset 1; ");
    f->reset_inside = true;
    say(f, SYN3);
    EXPECT_STR(log_of(f), "open 1 stdin; reset 1; open 3 stdout; ");
    say(f, SYN3);
    EXPECT(strstr(log_of(f), "close "));
    fix_free(f);
    f = fix_new();
    f->free_inside = true;
    say(f, SYN1);
    say(f, DATA("\1", "\0", "\2") "xx" DATA("\1", "\0", "\2") "yy", 20);
    EXPECT_STR(log_of(f), "open 1 stdin; 1:xx; ");
    fix_free(f);
}

TEST(broken_frames)
{
    static const struct { const char *p; size_t len; const char *why; } cases[] = {
        { "\x80\2\0\1\0\0\0\0", 8, "only version 3" },
        { "\x80\3\0\1\0\0\0\4\0\0\0\1", 12, "without an id" },
        { "\x80\3\0\1\0\0\0\x0c\0\0\0\1\0\0\0\0\0\0zz", 20, "cannot be decompressed" },
        { "\x80\3\0\1\0\2\0\0", 8, "a control frame of" },
        { "\x80\3\0\2\0\0\0\4\0\0\0\1", 12, "a reply" },
        { "\0\0\0\1\0\xff\xff\xff", 8, "a data frame of" },
        { "\x80\3\0\3\0\0\0\4\0\0\0\1", 12, "a reset" },
        { "\x80\3\0\6\0\0\0\0", 8, "a ping" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fix *f = fix_new();

        say(f, cases[i].p, cases[i].len);
        if (!strstr(log_of(f), "close ") || !strstr(log_of(f), cases[i].why))
            test_fail(__FILE__, __LINE__, "case %zu: %s", i, log_of(f));
        fix_free(f);
    }
}

TEST(slow_reader_stops_the_peer)
{
    struct fix *f = fix_new();
    char *big = mem_alloc(600000), head[] = "\0\0\0\1\0\x00\xff\xff";
    size_t sent = 0;

    f->hold = true;
    say(f, SYN1);
    for (int i = 0; i < 300; i++) {
        ssize_t n;

        memcpy(big, head, 8);
        n = send(f->fd, big, 8 + 65535, MSG_NOSIGNAL);
        if (n > 0)
            sent += (size_t)n;
        if (n != 8 + 65535)
            break;
        settle(f);
    }
    EXPECT(sent < 4u << 20);                 /* what the socket and the limit hold, not all */
    mem_free(big);
    fix_free(f);
}

TEST(headers_limit)
{
    struct spdy_codec a = { 0 }, b = { 0 };
    struct http_field *fields = NULL;
    _cleanup_buf_ struct buf block = BUF_INIT;
    _cleanup_buf_ struct buf text = BUF_INIT;
    struct err err = ERR_INIT;
    char *big = mem_alloc(SPDY_HEADERS_MAX + 1);
    struct http_field one = { "name", big };
    unsigned n = 0;

    memset(big, 'x', SPDY_HEADERS_MAX - 16);                          /* 4 + 4 + 4 + 4 beside it */
    EXPECT_OK(spdy_codec_write(&a, &block, &one, 1, &err), &err);
    EXPECT_OK(spdy_codec_read(&b, &text, &fields, &n, (struct slice){ block.p, block.len }, &err), &err);
    EXPECT_EQ(n, 1);
    EXPECT_STR(fields[0].value, big);
    mem_free(fields);
    memset(big, 'x', SPDY_HEADERS_MAX - 15);
    buf_clear(&block);
    EXPECT_OK(spdy_codec_write(&a, &block, &one, 1, &err), &err);
    EXPECT_ERR(spdy_codec_read(&b, &text, &fields, &n, (struct slice){ block.p, block.len }, &err), &err, ERR_QUOTA);
    spdy_codec_deinit(&a);
    spdy_codec_deinit(&b);
    mem_free(big);
}
