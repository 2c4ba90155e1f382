/* HTTP/2 by hand: frames on a socket pair, with prior knowledge. What floods is shown the door,
 * what is too much is refused, and the server answers the next one. */
#include "core/http/http.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/harness/test.h"

enum { DATA = 0, HEADERS = 1, RST_STREAM = 3, SETTINGS = 4, PING = 6, CONTINUATION = 9 };
enum { END_STREAM = 1, END_HEADERS = 4 };

struct fix {
    struct loop *loop;
    struct http_server *s;
    int fd;
    struct buf got;
    bool closed;
    int reqs;
    bool hold;
    struct http_req *held[256];
    int n_held;
};

/* :method GET, :scheme https, :path /, :authority x -- of the static table, no Huffman */
static const char get_headers[] = "\x82\x87\x84\x41\x01x";
static const char post_headers[] = "\x83\x87\x84\x41\x01x";

static void on_request(struct http_req *r, void *ctx)
{
    struct fix *f = ctx;
    struct http_answer a = { .status = 200, .type = "text/plain", .body = "ok", .len = 2 };

    f->reqs++;
    if (f->hold)
        f->held[f->n_held++ % 256] = r;
    else
        http_respond(r, &a);
}

static void step(struct fix *f)
{
    char data[65536];

    for (int idle = 0; idle < 3;) {
        bool ran = loop_step(f->loop, 0);
        ssize_t n = f->closed ? -1 : read(f->fd, data, sizeof(data));

        if (n > 0)
            buf_add(&f->got, data, (size_t)n);
        if (n == 0 || (n < 0 && errno == ECONNRESET))
            f->closed = true;
        idle = ran || n > 0 ? 0 : idle + 1;
    }
}

/* What does not fit into the socket now is sent after a step; false: the server closed. */
static bool say(struct fix *f, const void *p, size_t len)
{
    const char *at = p;

    for (int tries = 0; len && tries < 10000; tries++) {
        ssize_t n = f->closed ? -1 : send(f->fd, at, len, MSG_NOSIGNAL);

        if (f->closed || (n < 0 && errno != EAGAIN))
            return false;
        if (n > 0) {
            at += n;
            len -= (size_t)n;
        }
        if (len)
            step(f);
    }
    return !f->closed;
}

static void add_frame(struct buf *b, int type, int flags, unsigned stream, struct slice p)
{
    const unsigned char head[9] = {
        (unsigned char)(p.len >> 16), (unsigned char)(p.len >> 8), (unsigned char)p.len,
        (unsigned char)type, (unsigned char)flags, (unsigned char)(stream >> 24),
        (unsigned char)(stream >> 16), (unsigned char)(stream >> 8), (unsigned char)stream,
    };

    buf_add(b, head, sizeof(head));
    buf_add(b, p.p, p.len);
}

static bool frame(struct fix *f, int type, int flags, unsigned stream, struct slice p)
{
    _cleanup_buf_ struct buf b = BUF_INIT;

    add_frame(&b, type, flags, stream, p);
    return say(f, b.p, b.len);
}

static struct fix *fix_opts(struct http_server_opts o)
{
    static const char hello[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    struct fix *f = NEW(struct fix);
    struct err err = ERR_INIT;
    int fds[2];

    o.on_request = on_request;
    o.ctx = f;
    EXPECT_OK(loop_new(&f->loop, NULL, &err), &err);
    EXPECT_OK(http_server_new(&f->s, f->loop, &o, &err), &err);
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    EXPECT_OK(http_server_adopt(f->s, fds[0], NULL, &err), &err);
    f->fd = fds[1];
    EXPECT(say(f, hello, sizeof(hello) - 1));
    EXPECT(frame(f, SETTINGS, 0, 0, (struct slice){ "", 0 }));
    step(f);
    return f;
}

static void fix_free(struct fix *f)
{
    http_server_free(f->s);
    for (int i = 0; i < f->n_held && i < 256; i++)
        http_respond(f->held[i], &(struct http_answer){ .status = 204 });
    loop_free(f->loop);
    buf_deinit(&f->got);
    close(f->fd);
    mem_free(f);
}

static struct slice text(const char *p, size_t len)
{
    return (struct slice){ p, len };
}

/* How many frames of this type came; *last is the payload of the last. */
static int count(struct fix *f, int type, struct slice *last)
{
    const unsigned char *p = (const unsigned char *)f->got.p;
    int n = 0;

    for (size_t at = 0; at + 9 <= f->got.len;) {
        size_t len = (size_t)p[at] << 16 | (size_t)p[at + 1] << 8 | p[at + 2];

        if (p[at + 3] == type) {
            n++;
            if (last)
                *last = text(f->got.p + at + 9, len);
        }
        at += 9 + len;
    }
    return n;
}

static void get(struct fix *f, unsigned stream)
{
    frame(f, HEADERS, END_STREAM | END_HEADERS, stream, text(get_headers, sizeof(get_headers) - 1));
}

TEST(plain)
{
    struct fix *f = fix_opts((struct http_server_opts){ 0 });
    struct slice body = { "", 0 };

    get(f, 1);
    get(f, 3);
    step(f);
    EXPECT_EQ(f->reqs, 2);
    EXPECT_EQ(count(f, HEADERS, NULL), 2);
    EXPECT(count(f, DATA, &body) >= 2);
    EXPECT(frame(f, PING, 0, 0, text("12345678", 8)));
    step(f);
    EXPECT_EQ(count(f, PING, &body), 1);
    EXPECT_MEM(body.p, "12345678", 8);
    fix_free(f);
}

/* Streams opened and reset at once cost the server more than the peer. */
TEST(rapid_reset)
{
    struct fix *f = fix_opts((struct http_server_opts){ 0 });
    unsigned stream = 1;

    f->hold = true;
    for (; stream < 2 * 5 * HTTP_RESETS_MAX && !f->closed; stream += 2) {
        get(f, stream);
        frame(f, RST_STREAM, 0, stream, text("\0\0\0\x08", 4));
        step(f);
    }
    EXPECT(f->closed);
    EXPECT(stream / 2 <= HTTP_RESETS_MAX + 10);
    EXPECT_EQ(http_server_stats(f->s).conns, 0);
    fix_free(f);
}

TEST(too_many_streams)
{
    struct fix *f = fix_opts((struct http_server_opts){ .streams_max = 10 });
    struct slice why = { "", 0 };

    f->hold = true;
    for (unsigned i = 0; i < 12; i++)
        get(f, i * 2 + 1);
    step(f);
    EXPECT_EQ(f->reqs, 10);
    EXPECT(f->closed || count(f, RST_STREAM, &why) == 2);
    fix_free(f);
}

/* Answers to what a peer asks for are not piled up without end. */
TEST(ping_flood)
{
    struct fix *f = fix_opts((struct http_server_opts){ 0 });
    _cleanup_buf_ struct buf many = BUF_INIT;

    for (int i = 0; i < 1000; i++)
        add_frame(&many, PING, 0, 0, text("12345678", 8));
    /* nothing is read meanwhile: the server must close, not queue */
    for (int i = 0; i < 2000 && !f->closed; i++) {
        ssize_t n = send(f->fd, many.p, many.len, MSG_NOSIGNAL);

        if (n < 0 && errno != EAGAIN)
            f->closed = true;
        else if (n > 0 && n != (ssize_t)many.len)
            break;                          /* the socket is full: the server stopped reading */
        loop_step(f->loop, 0);
    }
    step(f);
    EXPECT(count(f, PING, NULL) < 20000);
    fix_free(f);
}

TEST(settings_flood)
{
    struct fix *f = fix_opts((struct http_server_opts){ 0 });
    _cleanup_buf_ struct buf many = BUF_INIT;

    for (int i = 0; i < 5000; i++)
        add_frame(&many, SETTINGS, 0, 0, text("", 0));
    for (int i = 0; i < 50 && send(f->fd, many.p, many.len, MSG_NOSIGNAL) > 0; i++)
        loop_step(f->loop, 0);
    step(f);
    EXPECT(count(f, SETTINGS, NULL) < 20000);
    fix_free(f);
}

/* Headers without end. */
TEST(continuation_flood)
{
    struct fix *f = fix_opts((struct http_server_opts){ 0 });
    static const char more[] = "\x40\x01" "a" "\x01" "b";
    _cleanup_buf_ struct buf block = BUF_INIT;

    for (int i = 0; i < 200; i++)
        buf_add(&block, more, sizeof(more) - 1);
    frame(f, HEADERS, END_STREAM, 1, text(get_headers, sizeof(get_headers) - 1));
    for (int i = 0; i < 5000 && !f->closed; i++) {
        frame(f, CONTINUATION, 0, 1, text(block.p, block.len));
        step(f);
    }
    EXPECT(f->closed);
    EXPECT_EQ(f->reqs, 0);
    fix_free(f);
}

/* One request with too many headers is refused; the connection may go on. */
TEST(many_headers)
{
    struct fix *f = fix_opts((struct http_server_opts){ 0 });
    _cleanup_buf_ struct buf block = BUF_INIT;

    buf_add(&block, get_headers, sizeof(get_headers) - 1);
    for (int i = 0; i < HTTP_FIELDS_MAX + 10; i++)
        buf_add(&block, "\x40\x01" "a" "\x01" "b", 5);
    frame(f, HEADERS, END_STREAM | END_HEADERS, 1, text(block.p, block.len));
    step(f);
    EXPECT_EQ(f->reqs, 0);
    EXPECT(f->closed || count(f, RST_STREAM, NULL) + count(f, HEADERS, NULL) >= 1);
    fix_free(f);
}

TEST(body_limit)
{
    struct fix *f = fix_opts((struct http_server_opts){ .body_max = 1000 });
    char data[600];

    memset(data, 'x', sizeof(data));
    frame(f, HEADERS, END_HEADERS, 1, text(post_headers, sizeof(post_headers) - 1));
    frame(f, DATA, 0, 1, text(data, 600));
    frame(f, DATA, END_STREAM, 1, text(data, 400));
    step(f);
    EXPECT_EQ(f->reqs, 1);                   /* at the limit */
    frame(f, HEADERS, END_HEADERS, 3, text(post_headers, sizeof(post_headers) - 1));
    frame(f, DATA, 0, 3, text(data, 600));
    frame(f, DATA, END_STREAM, 3, text(data, 401));
    step(f);
    EXPECT_EQ(f->reqs, 1);
    EXPECT(count(f, HEADERS, NULL) == 2);    /* the second answer is 413 */
    get(f, 5);
    step(f);
    EXPECT_EQ(f->reqs, 2);
    EXPECT_EQ(http_server_stats(f->s).body_bytes, 0);
    fix_free(f);
}

TEST(garbage)
{
    static const char *const what[] = { "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
                                        "GET / HTTP/1.1\r\n\r\n" };

    for (size_t i = 0; i < ARRAY_LEN(what); i++) {
        struct fix *f = fix_opts((struct http_server_opts){ 0 });

        say(f, what[i], strlen(what[i]));
        for (int k = 0; k < 50; k++)
            say(f, what[i], strlen(what[i]));
        step(f);
        EXPECT(f->closed);
        EXPECT_EQ(f->reqs, 0);
        fix_free(f);
    }
}
