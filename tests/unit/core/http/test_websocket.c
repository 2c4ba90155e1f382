#include "core/http/websocket.h"

#include <sys/socket.h>
#include <unistd.h>

#include "tests/harness/test.h"

/* A server side and a client side joined by a socket pair; bytes may also be written by hand. */
struct side { struct fix *f; struct websocket *w; struct buf log; bool free_inside; };
struct fix { struct loop *loop; struct side server, client; int fd; };

static void on_message(struct websocket *w, enum websocket_op op, const char *p, size_t len, void *ctx)
{
    struct side *s = ctx;

    (void)w;
    buf_fmt(&s->log, "%d:%.*s ", op, len > 40 ? 40 : (int)len, p);
    if (len > 40)
        buf_fmt(&s->log, "(%zu) ", len);
    if (s->free_inside)
        s->w = websocket_free(s->w);
}

static void on_close(struct websocket *w, int code, const char *reason, void *ctx)
{
    struct side *s = ctx;

    (void)w;
    buf_fmt(&s->log, "closed %d %s", code, reason);
}

static struct websocket *side_new(struct side *s, struct fix *f, int fd, bool client)
{
    struct websocket_ops ops = { .on_message = on_message, .on_close = on_close, .ctx = s };
    struct http_raw *raw = NULL;
    struct err err = ERR_INIT;

    s->f = f;
    EXPECT_OK(http_raw_new(&raw, f->loop, fd, &(struct http_raw_ops){ 0 }, &err), &err);
    return websocket_new(raw, f->loop, client, &ops);
}

static struct fix *fix_new(bool both)
{
    struct fix *f = NEW(struct fix);
    struct err err = ERR_INIT;
    int fds[2];

    EXPECT_OK(loop_new(&f->loop, NULL, &err), &err);
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    f->server.w = side_new(&f->server, f, fds[0], false);
    f->fd = both ? -1 : fds[1];
    if (both)
        f->client.w = side_new(&f->client, f, fds[1], true);
    return f;
}

static void settle(struct fix *f)
{
    for (int i = 0; i < 100; i++)
        loop_step(f->loop, i > 90 ? 1 : 0);
}

static void fix_free(struct fix *f)
{
    websocket_free(f->server.w);
    websocket_free(f->client.w);
    if (f->fd >= 0)
        close(f->fd);
    settle(f);                               /* what lingers sees the end */
    loop_free(f->loop);
    buf_deinit(&f->server.log);
    buf_deinit(&f->client.log);
    mem_free(f);
}

static const char *log_of(struct side *s)
{
    return s->log.p ? s->log.p : "";
}

TEST(accept_key)
{
    char key[WEBSOCKET_ACCEPT_BYTES];

    websocket_accept_key(key, "dGhlIHNhbXBsZSBub25jZQ==");
    EXPECT_STR(key, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

TEST(both_ways)
{
    struct fix *f = fix_new(true);
    static const size_t sizes[] = { 125, 126, 127, 65535, 65536, 1000000 };
    char *big = mem_alloc(1000000);

    websocket_send(f->client.w, WEBSOCKET_TEXT, "hi", 2);
    websocket_send_channel(f->server.w, 1, "out", 3);
    settle(f);
    EXPECT_STR(log_of(&f->server), "1:hi ");
    EXPECT_STR(log_of(&f->client), "2:\1out ");
    memset(big, 'b', 1000000);
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        char want[128];

        buf_clear(&f->server.log);
        buf_clear(&f->client.log);
        websocket_send(f->client.w, WEBSOCKET_BINARY, big, sizes[i]);
        websocket_send(f->server.w, WEBSOCKET_BINARY, big, sizes[i]);
        settle(f);
        snprintf(want, sizeof(want), "2:%.40s (%zu) ", big, sizes[i]);
        EXPECT_STR(log_of(&f->server), want);
        EXPECT_STR(log_of(&f->client), want);
    }
    websocket_close(f->server.w, 1000, "done");
    settle(f);
    EXPECT(str_ends(log_of(&f->client), "closed 1000 done"));
    EXPECT(str_ends(log_of(&f->server), "closed 1000 "));
    mem_free(big);
    fix_free(f);
}

TEST(paused)
{
    struct fix *f = fix_new(true);

    websocket_pause(f->server.w, true);
    websocket_send(f->client.w, WEBSOCKET_TEXT, "1", 1);
    websocket_send(f->client.w, WEBSOCKET_TEXT, "2", 1);
    settle(f);
    EXPECT_STR(log_of(&f->server), "");
    websocket_pause(f->server.w, false);
    settle(f);
    EXPECT_STR(log_of(&f->server), "1:1 1:2 ");
    f->server.free_inside = true;
    websocket_send(f->client.w, WEBSOCKET_TEXT, "3", 1);
    websocket_send(f->client.w, WEBSOCKET_TEXT, "4", 1);
    settle(f);
    EXPECT_STR(log_of(&f->server), "1:1 1:2 1:3 ");
    EXPECT_STR(log_of(&f->client), "closed 1006 ");
    fix_free(f);
}

#define M "\0\0\0\0"                         /* a mask that changes nothing */

/* Raw bytes from a client, and what the server makes of them. */
TEST(frames_by_hand)
{
    static const struct { const char *bytes; size_t len; const char *want; } cases[] = {
        { "\x01\x81" M "a\x80\x81" M "b", 14, "1:ab " },
        { "\x02\x81" M "a\x89\x80" M "\x00\x81" M "b\x80\x80" M, 26, "2:ab " },
        { "\x82\x80" M, 6, "2: " },
        { "\x81\x01x", 3, "closed 1002 malformed frame" },                           /* no mask */
        { "\xc1\x81" M "a", 7, "closed 1002 malformed frame" },                      /* reserved bit */
        { "\x83\x81" M "a", 7, "closed 1002 malformed frame" },                      /* reserved kind */
        { "\x09\x80" M, 6, "closed 1002 malformed frame" },                          /* split ping */
        { "\x89\xfe\x00\x7e" M, 8, "closed 1002 malformed frame" },                  /* long ping */
        { "\x82\xfe\x00\x05" M "abcde", 13, "closed 1002 malformed frame" },         /* not shortest */
        { "\x82\xff\x00\x00\x00\x00\x00\x00\x00\x01" M "a", 15, "closed 1002 malformed frame" },
        { "\x82\xff\x00\x00\x00\x00\x00\x40\x00\x01" M, 14, "closed 1009 message too big" },
        { "\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff" M, 14, "closed 1002 malformed frame" },
        { "\x80\x81" M "a", 7, "closed 1002 fragments out of order" },
        { "\x01\x81" M "a\x01\x81" M "b", 14, "closed 1002 fragments out of order" },
        { "\x81\x81" M "\xff", 7, "closed 1007 text is not UTF-8" },
        { "\x88\x80" M, 6, "closed 1005 " },
        { "\x88\x82" M "\x03\xe8", 8, "closed 1000 " },
        { "\x88\x81" M "\x03", 7, "closed 1002 bad close" },
        { "\x88\x82" M "\x03\xed", 8, "closed 1002 bad close" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        for (int slowly = 0; slowly < 2; slowly++) {
            struct fix *f = fix_new(false);

            for (size_t k = 0; slowly && k + 1 < cases[i].len; k++) {
                if (send(f->fd, cases[i].bytes + k, 1, MSG_NOSIGNAL) != 1)
                    break;                   /* it has closed already */
                loop_step(f->loop, 0);
                loop_step(f->loop, 0);
            }
            if (slowly)
                send(f->fd, cases[i].bytes + cases[i].len - 1, 1, MSG_NOSIGNAL);
            else
                EXPECT_EQ(write(f->fd, cases[i].bytes, cases[i].len), (ssize_t)cases[i].len);
            settle(f);
            if (strcmp(log_of(&f->server), cases[i].want) != 0)
                test_fail(__FILE__, __LINE__, "case %zu: got %s, want %s", i, log_of(&f->server), cases[i].want);
            fix_free(f);
        }
}

TEST(ping_is_answered)
{
    struct fix *f = fix_new(false);
    char got[16];

    EXPECT_EQ(write(f->fd, "\x89\x82" M "yo", 8), 8);
    settle(f);
    EXPECT_EQ(read(f->fd, got, sizeof(got)), 4);
    EXPECT_MEM(got, "\x8a\x02yo", 4);
    fix_free(f);
}

struct hs { struct websocket *w; char protocol[WEBSOCKET_PROTOCOL_BYTES]; int code; struct side side; };

static void on_request(struct http_req *r, void *ctx)
{
    static const char *const protocols[] = { "v5.channel.k8s.io", "v4.channel.k8s.io", NULL };
    struct hs *h = ctx;
    struct websocket_ops ops = { .on_message = on_message, .on_close = on_close, .ctx = &h->side };
    struct err err = ERR_INIT;

    h->code = 0;
    if (websocket_negotiate(r, protocols, h->protocol, &err) < 0 ||
        websocket_accept(&h->w, r, h->protocol, &ops, &err) < 0) {
        h->code = err.code;
        http_respond(r, &(struct http_answer){ .status = 400 });
    }
}

static void shake(struct hs *h, const char *fields, struct buf *got, const char *more, size_t more_len)
{
    struct http_server_opts o = { .on_request = on_request, .ctx = h };
    struct http_server *s = NULL;
    struct loop *l = NULL;
    struct err err = ERR_INIT;
    char text[2048];
    ssize_t n;
    int fds[2];

    EXPECT_OK(loop_new(&l, NULL, &err), &err);
    EXPECT_OK(http_server_new(&s, l, &o, &err), &err);
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    EXPECT_OK(http_server_adopt(s, fds[0], NULL, &err), &err);
    snprintf(text, sizeof(text), "GET /exec HTTP/1.1\r\nHost: h\r\n%s\r\n", fields);
    EXPECT_EQ(write(fds[1], text, strlen(text)), (ssize_t)strlen(text));
    EXPECT_EQ(write(fds[1], more, more_len), (ssize_t)more_len);
    for (int i = 0; i < 20; i++)
        loop_step(l, 1);
    n = read(fds[1], text, sizeof(text));
    if (n > 0)
        buf_add(got, text, (size_t)n);
    h->w = websocket_free(h->w);
    close(fds[1]);
    for (int i = 0; i < 5; i++)
        loop_step(l, 1);
    http_server_free(s);
    loop_free(l);
}

#define SHAKE "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

TEST(handshake)
{
    _cleanup_buf_ struct buf got = BUF_INIT;
    struct hs h = { 0 };

    shake(&h, SHAKE "Sec-WebSocket-Protocol: v4.channel.k8s.io, v5.channel.k8s.io\r\n", &got,
          "\x82\x83" M "\0in", 9);
    EXPECT(str_starts(got.p, "HTTP/1.1 101 "));
    EXPECT(strstr(got.p, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
    EXPECT(strstr(got.p, "Sec-WebSocket-Protocol: v5.channel.k8s.io\r\n"));
    EXPECT(str_starts(h.side.log.p, "2:"));
    buf_clear(&got);
    shake(&h, SHAKE, &got, "", 0);
    EXPECT(str_starts(got.p, "HTTP/1.1 101 "));
    EXPECT_STR(h.protocol, "");
    buf_clear(&got);
    shake(&h, SHAKE "Sec-WebSocket-Protocol: foo\r\n", &got, "", 0);
    EXPECT_EQ(h.code, ERR_UNSUPPORTED);
    shake(&h, "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 8\r\n"
          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", &got, "", 0);
    EXPECT_EQ(h.code, ERR_INVALID);
    shake(&h, "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
          "Sec-WebSocket-Key: short\r\n", &got, "", 0);
    EXPECT_EQ(h.code, ERR_INVALID);
    buf_deinit(&h.side.log);
}
