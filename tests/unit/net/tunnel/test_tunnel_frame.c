/* test_tunnel_frame.c -- frames: there and back, cut anywhere, and what no peer may send. */
#include "net/tunnel/tunnel_frame.h"
#include "tests/harness/test.h"

static struct slice all(const struct buf *b)
{
    return (struct slice){ b->p, b->len };
}

TEST(there_and_back)
{
    struct buf b = BUF_INIT;
    struct tunnel_frame f;
    struct err err = ERR_INIT;
    int n;

    tunnel_frame_write_open(&b, 513, "10.42.1.5", 8080);
    tunnel_frame_write(&b, TUNNEL_FRAME_DATA, 7, SLICE("hello"));
    tunnel_frame_write_window(&b, 0xfffffffe, 131072);
    tunnel_frame_write(&b, TUNNEL_FRAME_PING, 0, SLICE(""));

    n = tunnel_frame_read(&f, all(&b), &err);
    EXPECT_EQ(n, 8 + 2 + 9);
    EXPECT_EQ(f.type, TUNNEL_FRAME_OPEN);
    EXPECT_EQ(f.stream, 513);
    EXPECT_EQ(f.port, 8080);
    EXPECT_STR(f.host, "10.42.1.5");
    buf_eat(&b, (size_t)n);
    n = tunnel_frame_read(&f, all(&b), &err);
    EXPECT_EQ(n, 13);
    EXPECT_EQ(f.type, TUNNEL_FRAME_DATA);
    EXPECT_EQ(f.payload.len, 5);
    EXPECT_MEM(f.payload.p, "hello", 5);
    buf_eat(&b, (size_t)n);
    n = tunnel_frame_read(&f, all(&b), &err);
    EXPECT_EQ(n, 12);
    EXPECT_EQ(f.stream, 0xfffffffe);
    EXPECT_EQ(f.credit, 131072);
    buf_eat(&b, (size_t)n);
    EXPECT_EQ(tunnel_frame_read(&f, all(&b), &err), 8);
    EXPECT_EQ(f.type, TUNNEL_FRAME_PING);
    buf_deinit(&b);
}

TEST(a_part_of_a_frame_is_none)
{
    struct buf b = BUF_INIT;
    struct tunnel_frame f;
    struct err err = ERR_INIT;

    tunnel_frame_write_open(&b, 1, "10.42.1.5", 80);
    for (size_t n = 0; n < b.len; n++)
        EXPECT_EQ(tunnel_frame_read(&f, (struct slice){ b.p, n }, &err), 0);
    buf_deinit(&b);
}

TEST(the_longest_of_each)
{
    char text[TUNNEL_TEXT_MAX + 50], host[TUNNEL_HOST_MAX + 1] = { 0 };
    static char data[TUNNEL_PAYLOAD_MAX];
    struct buf b = BUF_INIT;
    struct tunnel_frame f;
    struct err err = ERR_INIT;

    memset(text, 'x', sizeof(text));
    memset(host, '1', TUNNEL_HOST_MAX);
    tunnel_frame_write(&b, TUNNEL_FRAME_RESET, 1, (struct slice){ text, sizeof(text) });
    EXPECT_EQ(tunnel_frame_read(&f, all(&b), &err), 8 + TUNNEL_TEXT_MAX);
    buf_clear(&b);
    tunnel_frame_write_open(&b, 1, host, 65535);
    EXPECT_EQ(tunnel_frame_read(&f, all(&b), &err), 8 + 2 + TUNNEL_HOST_MAX);
    EXPECT_STR(f.host, host);
    buf_clear(&b);
    tunnel_frame_write(&b, TUNNEL_FRAME_DATA, 1, (struct slice){ data, sizeof(data) });
    EXPECT_EQ(tunnel_frame_read(&f, all(&b), &err), 8 + TUNNEL_PAYLOAD_MAX);
    b.p[3]++;                                        /* one more */
    EXPECT_EQ(tunnel_frame_read(&f, all(&b), &err), -1);
    buf_deinit(&b);
}

TEST(what_no_peer_may_send)
{
    static const struct { const char *what; struct slice bytes; } bad[] = {
        { "type 0", SLICE("\0\0\0\0\0\0\0\1") },
        { "type 9", SLICE("\x09\0\0\0\0\0\0\1") },
        { "the reserved byte", SLICE("\2\1\0\1\0\0\0\1x") },
        { "DATA of nothing", SLICE("\2\0\0\0\0\0\0\1") },
        { "DATA of stream 0", SLICE("\2\0\0\1\0\0\0\0x") },
        { "PING of a stream", SLICE("\6\0\0\0\0\0\0\1") },
        { "PING with a text", SLICE("\6\0\0\1\0\0\0\0x") },
        { "END with a text", SLICE("\4\0\0\1\0\0\0\1x") },
        { "WINDOW of 0", SLICE("\3\0\0\4\0\0\0\1\0\0\0\0") },
        { "WINDOW of 3 bytes", SLICE("\3\0\0\3\0\0\0\1\0\0\1") },
        { "OPEN without a host", SLICE("\1\0\0\2\0\0\0\1\0\x50") },
        { "OPEN of port 0", SLICE("\1\0\0\3\0\0\0\1\0\0" "a") },
        { "OPEN with a NUL", SLICE("\1\0\0\4\0\0\0\1\0\x50" "a\0") },
        { "OPEN with a line", SLICE("\1\0\0\4\0\0\0\1\0\x50" "a\n") },
        { "a text too long", SLICE("\5\0\0\xc9\0\0\0\1") },
    };

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct tunnel_frame f = { .stream = 99 };
        struct err err = ERR_INIT;

        if (tunnel_frame_read(&f, bad[i].bytes, &err) != -1 || err.code != ERR_INVALID ||
            f.stream != 99)
            test_fail(__FILE__, __LINE__, "%s is taken", bad[i].what);
    }
}
