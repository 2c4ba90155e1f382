#include "core/http/http.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/harness/test.h"

/* A server and a raw peer on a socket pair; the handler does what the path says. */
struct fix {
    struct loop *loop;
    struct http_server *s;
    int fd;
    struct buf got;
    bool eof;
    int reqs, gone, drained, stopped;
    struct http_req *held;
    struct http_raw *raw;
    char last[4096];
};

static void on_gone(struct http_req *r)
{
    ((struct fix *)r->user)->gone++;
}

static void on_drain(struct http_req *r)
{
    ((struct fix *)r->user)->drained++;
}

static void raw_data(struct http_raw *w, const char *p, size_t len, void *ctx)
{
    (void)ctx;
    http_raw_write(w, p, len);
}

static void raw_close(struct http_raw *w, const struct err *why, void *ctx)
{
    struct fix *f = ctx;

    (void)why;
    f->raw = NULL;
    http_raw_end(w);
}

static void on_request(struct http_req *r, void *ctx)
{
    struct fix *f = ctx;
    struct http_field extra = { "X-Extra", "yes" };
    struct http_answer a = { .status = 200, .type = "text/plain", .fields = &extra, .n_fields = 1 };

    f->reqs++;
    r->user = f;
    r->on_gone = on_gone;
    r->on_drain = on_drain;
    snprintf(f->last, sizeof(f->last), "%s %s?%s host=%s body=%.*s", r->method, r->path, r->query, r->host,
             (int)r->body.len, r->body.p);
    if (str_starts(r->path, "/hold")) {
        f->held = r;
    } else if (str_starts(r->path, "/stream")) {
        a.body = "begin,";
        a.len = 6;
        http_stream_begin(r, &a);
        f->held = r;
    } else if (str_starts(r->path, "/upgrade")) {
        f->raw = http_upgrade(r, "echo", &extra, 1, &(struct http_raw_ops){ raw_data, NULL, raw_close, f });
        EXPECT(f->raw);
    } else {
        a.body = f->last;
        a.len = strlen(f->last);
        http_respond(r, &a);
    }
}

static struct fix *fix_new_opts(struct http_server_opts o)
{
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
    return f;
}

static struct fix *fix_new(void)
{
    return fix_new_opts((struct http_server_opts){ 0 });
}

static void fix_free(struct fix *f)
{
    http_raw_free(f->raw);
    http_server_free(f->s);
    loop_free(f->loop);
    buf_deinit(&f->got);
    close(f->fd);
    mem_free(f);
}

static void pump(struct fix *f)
{
    char data[65536];

    for (int idle = 0; idle < 3; ) {
        bool ran = loop_step(f->loop, 0);
        ssize_t n = f->eof ? -1 : read(f->fd, data, sizeof(data));

        if (n > 0)
            buf_add(&f->got, data, (size_t)n);
        if (n == 0 || (n < 0 && errno == ECONNRESET))
            f->eof = true;
        idle = ran || n > 0 ? 0 : idle + 1;
    }
}

static void wait_ms(struct fix *f, int ms)
{
    int64_t until = loop_now_ms(f->loop) + ms;

    while (loop_now_ms(f->loop) < until) {
        pump(f);
        loop_step(f->loop, 5);
    }
    pump(f);
}

static void say(struct fix *f, const char *text)
{
    buf_clear(&f->got);
    EXPECT_EQ(write(f->fd, text, strlen(text)), (ssize_t)strlen(text));
    pump(f);
}

static const char *got(struct fix *f)
{
    return f->got.p ? f->got.p : "";
}

static void expect_status(struct fix *f, int status)
{
    char want[32];

    snprintf(want, sizeof(want), "HTTP/1.1 %d ", status);
    if (!str_starts(got(f), want))
        test_fail(__FILE__, __LINE__, "wanted %d, got: %s", status, got(f));
}

TEST(get)
{
    struct fix *f = fix_new();

    say(f, "GET /a%20b?x=1&y=2 HTTP/1.1\r\nHost: h:1\r\nEmpty:\r\n\r\n");
    expect_status(f, 200);
    EXPECT_STR(f->last, "GET /a%20b?x=1&y=2 host=h:1 body=");
    EXPECT(strstr(got(f), "\r\nContent-Length: 33\r\n"));
    EXPECT(strstr(got(f), "\r\nX-Extra: yes\r\n"));
    EXPECT(strstr(got(f), "\r\nDate: "));
    EXPECT(!f->eof);
    /* again on the same connection; HEAD has the length but no body */
    say(f, "HEAD /x HTTP/1.1\r\nHost: h\r\n\r\n");
    expect_status(f, 200);
    EXPECT(strstr(got(f), "Content-Length: 21\r\n"));
    EXPECT(str_ends(got(f), "\r\n\r\n"));
    say(f, "GET http://other:2/abs?q HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    expect_status(f, 200);
    EXPECT_STR(f->last, "GET /abs?q host=h body=");
    EXPECT(strstr(got(f), "Connection: close"));
    EXPECT(f->eof);
    fix_free(f);
}

TEST(bodies)
{
    struct fix *f = fix_new();

    say(f, "POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello");
    EXPECT_STR(f->last, "POST /p? host=h body=hello");
    say(f, "POST /p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5;ext=1\r\nhello\r\n1\r\n!\r\n0\r\n"
           "X-Remote-User: root\r\n\r\n");
    EXPECT_STR(f->last, "POST /p? host=h body=hello!");
    say(f, "POST /p HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    EXPECT_STR(got(f), "HTTP/1.1 100 Continue\r\n\r\n");
    say(f, "ok");
    expect_status(f, 200);
    EXPECT_STR(f->last, "POST /p? host=h body=ok");
    EXPECT_EQ(http_server_stats(f->s).body_bytes, 0);
    EXPECT_EQ(http_server_stats(f->s).reqs, 0);
    fix_free(f);
}

/* Byte by byte gives the same as at once. */
TEST(slowly)
{
    static const char text[] = "POST /p?q HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    struct fix *f = fix_new();

    for (size_t i = 0; i + 1 < sizeof(text); i++) {
        EXPECT_EQ(write(f->fd, text + i, 1), 1);
        pump(f);
    }
    expect_status(f, 200);
    EXPECT_STR(f->last, "POST /p?q host=h body=abc");
    fix_free(f);
}

TEST(pipelined)
{
    struct fix *f = fix_new();

    say(f, "GET /hold HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\nGET /3 HTTP/1.1\r\nHost: h\r\n\r\n");
    EXPECT_EQ(f->reqs, 1);
    http_respond(f->held, &(struct http_answer){ .status = 404, .body = "no", .len = 2 });
    pump(f);
    EXPECT_EQ(f->reqs, 3);
    expect_status(f, 404);
    EXPECT(strstr(got(f), "GET /2"));
    EXPECT(strstr(got(f), "GET /3"));
    fix_free(f);
}

/* What smuggles or is malformed is refused and the connection closed. */
TEST(refused)
{
    static const struct { const char *text; int status; } cases[] = {
        { "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 400 },
        { "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5, 5\r\n\r\nhello", 400 },
        { "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: +5\r\n\r\nhello", 400 },
        { "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -5\r\n\r\nhello", 400 },
        { "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999999999999\r\n\r\nhello", 400 },
        { "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400 },
        { "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 400 },
        { "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", 400 },
        { "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501 },
        { "POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400 },
        { "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n", 400 },
        { "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nhello\r\n0\r\n\r\n", 400 },
        { "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n", 400 },
        { "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nhello\r\n", 400 },
        { "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloX\r\n0\r\n\r\n", 400 },
        { "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\nHost: h\r\nA: b\r\n folded\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\nHost : h\r\n\r\n", 400 },
        { "GET / HTTP/1.1\nHost: h\n\n", 400 },
        { "GET / HTTP/1.1\r\nHost: h\r\nA: b\001c\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\n\r\n", 400 },
        { "GET x HTTP/1.1\r\nHost: h\r\n\r\n", 400 },
        { "GET /x#y HTTP/1.1\r\nHost: h\r\n\r\n", 400 },
        { "BREW / HTTP/1.1\r\nHost: h\r\n\r\n", 400 },
        { "GET / HTTP/1.2\r\nHost: h\r\n\r\n", 400 },
        { "CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\n", 405 },
        { "GET / HTTP/1.1\r\nHost: h\r\nExpect: magic\r\n\r\n", 417 },
        { "\x16\x03\x01\x02\r\n\r\n", 400 },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fix *f = fix_new();

        say(f, cases[i].text);
        if (f->reqs)
            test_fail(__FILE__, __LINE__, "case %zu was taken: %s", i, f->last);
        expect_status(f, cases[i].status);
        EXPECT(f->eof);
        EXPECT_EQ(http_server_stats(f->s).reqs, 0);
        fix_free(f);
    }
}

TEST(limit_body)
{
    char text[256];

    for (int more = -1; more <= 1; more++) {
        struct fix *f = fix_new_opts((struct http_server_opts){ .body_max = 10 });

        snprintf(text, sizeof(text), "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%.*s", 10 + more,
                 10 + more, "0123456789abcdef");
        say(f, text);
        expect_status(f, more > 0 ? 413 : 200);
        fix_free(f);
        f = fix_new_opts((struct http_server_opts){ .body_max = 10 });
        snprintf(text, sizeof(text), "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                 "5\r\n01234\r\n%x\r\n%.*s\r\n0\r\n\r\n", 5 + more, 5 + more, "56789abcdef");
        say(f, text);
        expect_status(f, more > 0 ? 413 : 200);
        fix_free(f);
    }
    struct fix *f = fix_new_opts((struct http_server_opts){ .bodies_max = 3 });

    say(f, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nabcd");
    expect_status(f, 503);
    fix_free(f);
}

TEST(limit_head)
{
    _cleanup_buf_ struct buf b = BUF_INIT;

    for (int more = 0; more <= 1; more++) {
        struct fix *f = fix_new();

        buf_clear(&b);
        buf_str(&b, "GET / HTTP/1.1\r\nHost: h\r\n");
        for (int i = 0; i < HTTP_FIELDS_MAX - 1 + more; i++)
            buf_fmt(&b, "N%d: v\r\n", i);
        buf_str(&b, "\r\n");
        say(f, b.p);
        expect_status(f, more ? 431 : 200);
        fix_free(f);
        f = fix_new();
        buf_clear(&b);
        buf_fmt(&b, "GET / HTTP/1.1\r\nHost: h\r\nA: ");
        for (unsigned i = 0; i < HTTP_HEAD_MAX - 18 + (unsigned)more; i++)
            buf_chr(&b, 'x');
        buf_str(&b, "\r\n\r\n");
        say(f, b.p);
        expect_status(f, more ? 431 : 200);
        fix_free(f);
    }
}

TEST(limit_conns)
{
    struct fix *f = fix_new_opts((struct http_server_opts){ .conns_max = 2 });
    struct err err = ERR_INIT;
    int a[2], b[2];

    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, a), 0);
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, b), 0);
    EXPECT_OK(http_server_adopt(f->s, a[0], NULL, &err), &err);
    EXPECT_ERR(http_server_adopt(f->s, b[0], NULL, &err), &err, ERR_QUOTA);
    EXPECT_EQ(http_server_stats(f->s).conns, 2);
    close(a[1]);
    pump(f);
    EXPECT_EQ(http_server_stats(f->s).conns, 1);
    close(b[1]);
    fix_free(f);
}

TEST(timeouts)
{
    struct fix *f = fix_new_opts((struct http_server_opts){ .head_ms = 30, .idle_ms = 30, .body_ms = 30 });

    say(f, "GET / HT");
    wait_ms(f, 60);
    expect_status(f, 408);
    EXPECT(f->eof);
    fix_free(f);
    f = fix_new_opts((struct http_server_opts){ .head_ms = 5000, .idle_ms = 5000, .body_ms = 30 });
    say(f, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nab");
    wait_ms(f, 60);
    expect_status(f, 408);
    fix_free(f);
    f = fix_new_opts((struct http_server_opts){ .head_ms = 5000, .idle_ms = 30, .body_ms = 5000 });
    say(f, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    expect_status(f, 200);
    EXPECT(!f->eof);
    wait_ms(f, 60);
    EXPECT(f->eof);
    fix_free(f);
    f = fix_new_opts((struct http_server_opts){ .head_ms = 20, .idle_ms = 20, .body_ms = 20 });
    say(f, "GET /hold HTTP/1.1\r\nHost: h\r\n\r\n");
    wait_ms(f, 60);
    EXPECT(!f->eof);                         /* the handler may take its time */
    http_respond(f->held, &(struct http_answer){ .status = 200 });
    pump(f);
    expect_status(f, 200);
    fix_free(f);
}

TEST(stream)
{
    struct fix *f = fix_new();

    say(f, "GET /stream HTTP/1.1\r\nHost: h\r\n\r\n");
    expect_status(f, 200);
    EXPECT(strstr(got(f), "Transfer-Encoding: chunked\r\n"));
    EXPECT(str_ends(got(f), "\r\n\r\n6\r\nbegin,\r\n"));
    buf_clear(&f->got);
    http_stream_write(f->held, "more", 4);
    http_stream_write(f->held, "and more", 8);
    pump(f);
    EXPECT_STR(got(f), "4\r\nmore\r\n8\r\nand more\r\n");
    buf_clear(&f->got);
    http_stream_end(f->held);
    pump(f);
    EXPECT_STR(got(f), "0\r\n\r\n");
    say(f, "GET /stream HTTP/1.0\r\n\r\n");
    EXPECT(!strstr(got(f), "chunked"));
    http_stream_write(f->held, "end", 3);
    http_stream_end(f->held);
    pump(f);
    EXPECT(str_ends(got(f), "begin,end"));
    EXPECT(f->eof);
    fix_free(f);
}

TEST(gone)
{
    struct fix *f = fix_new();

    say(f, "GET /stream HTTP/1.1\r\nHost: h\r\n\r\n");
    shutdown(f->fd, SHUT_RDWR);
    pump(f);
    http_stream_write(f->held, "x", 1);
    pump(f);
    EXPECT_EQ(f->gone, 1);
    EXPECT(http_req_is_gone(f->held));
    http_stream_write(f->held, "lost", 4);
    http_stream_end(f->held);
    pump(f);
    EXPECT_EQ(http_server_stats(f->s).conns, 0);
    EXPECT_EQ(http_server_stats(f->s).reqs, 0);
    fix_free(f);
    /* a peer that has only finished writing still gets its answer */
    f = fix_new();
    say(f, "GET /hold HTTP/1.1\r\nHost: h\r\n\r\n");
    shutdown(f->fd, SHUT_WR);
    pump(f);
    EXPECT_EQ(f->gone, 1);
    http_respond(f->held, &(struct http_answer){ .status = 200, .body = "late", .len = 4 });
    pump(f);
    EXPECT(str_ends(got(f), "late"));
    EXPECT(f->eof);
    fix_free(f);
    /* a request may outlive its server */
    f = fix_new();
    say(f, "POST /hold HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nok");
    f->s = http_server_free(f->s);
    EXPECT_EQ(f->gone, 1);
    EXPECT_STR(f->held->body.p, "ok");
    http_respond(f->held, &(struct http_answer){ .status = 200 });
    fix_free(f);
}

static void count_release(void *owner)
{
    ++*(int *)owner;
}

TEST(back_pressure)
{
    struct fix *f = fix_new();
    char *big = mem_alloc(HTTP_QUEUE_MAX);
    int released = 0;

    say(f, "GET /stream HTTP/1.1\r\nHost: h\r\n\r\n");
    EXPECT(http_stream_write_ref(f->held, big, 1u << 20, count_release, &released) >= 1u << 20);
    EXPECT_EQ(released, 0);
    pump(f);
    EXPECT_EQ(released, 1);
    EXPECT_EQ(f->drained, 1);
    EXPECT_EQ(http_stream_queued(f->held), 0);
    EXPECT_EQ(f->gone, 0);
    http_stream_write_ref(f->held, big, HTTP_QUEUE_MAX - 100, count_release, &released);
    http_stream_write_ref(f->held, big, 200, count_release, &released);       /* too much: away with it */
    pump(f);
    EXPECT_EQ(released, 3);
    EXPECT_EQ(f->gone, 1);
    http_stream_end(f->held);
    mem_free(big);
    fix_free(f);
}

TEST(stall)
{
    struct fix *f = fix_new_opts((struct http_server_opts){ .stall_ms = 30 });
    char *big = mem_alloc(4u << 20);
    int64_t until;

    EXPECT(write(f->fd, "GET /stream HTTP/1.1\r\nHost: h\r\n\r\n", 34) == 34);
    while (!f->held)
        loop_step(f->loop, 10);
    http_stream_write(f->held, big, 4u << 20);
    until = loop_now_ms(f->loop) + 100;
    while (loop_now_ms(f->loop) < until)     /* without reading */
        loop_step(f->loop, 5);
    EXPECT_EQ(f->gone, 1);
    EXPECT_EQ(http_server_stats(f->s).conns, 0);
    http_abort(f->held);
    mem_free(big);
    fix_free(f);
}

TEST(aborted)
{
    struct fix *f = fix_new();

    say(f, "GET /stream HTTP/1.1\r\nHost: h\r\n\r\n");
    http_abort(f->held);
    pump(f);
    EXPECT(f->eof);
    EXPECT(!strstr(got(f), "0\r\n\r\n"));
    EXPECT_EQ(f->gone, 0);
    fix_free(f);
}

TEST(upgrade)
{
    struct fix *f = fix_new();

    say(f, "GET /upgrade HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nearly");
    expect_status(f, 101);
    EXPECT(strstr(got(f), "\r\nUpgrade: echo\r\nConnection: Upgrade\r\nX-Extra: yes\r\n\r\nearly"));
    say(f, "ping");
    EXPECT_STR(got(f), "ping");
    EXPECT_EQ(http_server_stats(f->s).conns, 0);
    http_raw_pause(f->raw, true);
    say(f, "later");
    EXPECT_STR(got(f), "");
    http_raw_pause(f->raw, false);
    pump(f);
    EXPECT_STR(got(f), "later");
    shutdown(f->fd, SHUT_WR);
    pump(f);
    EXPECT(!f->raw);
    EXPECT(f->eof);
    fix_free(f);
    /* the wish may be ignored */
    f = fix_new();
    say(f, "GET /plain HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
           "GET /next HTTP/1.1\r\nHost: h\r\n\r\n");
    EXPECT_EQ(f->reqs, 2);
    EXPECT(strstr(got(f), "GET /next"));
    fix_free(f);
}

static void on_stopped(void *ctx)
{
    ((struct fix *)ctx)->stopped++;
}

TEST(stop)
{
    struct fix *f = fix_new();

    say(f, "GET /hold HTTP/1.1\r\nHost: h\r\n\r\n");
    http_server_stop(f->s, 5000, on_stopped, f);
    pump(f);
    EXPECT_EQ(f->stopped, 0);
    http_respond(f->held, &(struct http_answer){ .status = 200 });
    pump(f);
    expect_status(f, 200);
    EXPECT(strstr(got(f), "Connection: close"));
    EXPECT(f->eof);
    shutdown(f->fd, SHUT_WR);
    pump(f);
    EXPECT_EQ(f->stopped, 1);
    fix_free(f);
    f = fix_new();
    say(f, "GET /stream HTTP/1.1\r\nHost: h\r\n\r\n");
    http_server_stop(f->s, 20, on_stopped, f);
    wait_ms(f, 50);
    EXPECT_EQ(f->stopped, 1);
    EXPECT_EQ(f->gone, 1);
    http_stream_end(f->held);
    fix_free(f);
}
