/* test_tunnel.c -- a server and an agent on one loop, over HTTP on this host; and peers by hand who
 * do what they should not. */
#include "net/tunnel/tunnel.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/fd.h"
#include "net/tunnel/tunnel_frame.h"
#include "tests/fake/fake_env.h"
#include "tests/harness/test.h"

#define ROUNDS 20000

/* What runs behind the agent: says what it hears, or holds it. */
struct echo { struct http_raw *raw; bool deaf; unsigned closed; };

struct fix {
    struct fake_env env;
    struct loop *loop;
    struct http_server *http;
    struct tunnel_server *server;
    struct tunnel_agent *agent;
    struct loop_io listen;
    int listener;
    uint16_t echo_port;
    struct echo echo[8];
    unsigned n_echo;
    bool deaf, refuse_upgrade;
    const char *node;                    /* as whom the next request is taken */
    unsigned asked;                      /* requests for a tunnel */
    uint16_t may;                        /* the only port allowed */
    char url[64];
};

static void on_request(struct http_req *req, void *ctx)
{
    struct fix *f = ctx;

    f->asked++;
    if (f->refuse_upgrade)
        http_respond(req, &(struct http_answer){ .status = 403, .body = "no\n", .len = 3 });
    else
        tunnel_server_accept(f->server, f->node, req);
}

static void echo_data(struct http_raw *w, const char *p, size_t len, void *ctx)
{
    (void)ctx;
    http_raw_write(w, p, len);
}

static void echo_close(struct http_raw *w, const struct err *why, void *ctx)
{
    struct echo *e = ctx;

    (void)why;
    e->closed++;
    e->raw = NULL;
    http_raw_end(w);
}

static void on_accept(struct loop_io *io, unsigned events)
{
    struct fix *f = container_of(io, struct fix, listen);
    struct echo *e = &f->echo[f->n_echo++];
    struct http_raw_ops ops = { echo_data, NULL, echo_close, e };
    struct err err = ERR_INIT;
    int fd = accept4(f->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    (void)events;
    EXPECT(fd >= 0 && f->n_echo <= ARRAY_LEN(f->echo));
    EXPECT_OK(http_raw_new(&e->raw, f->loop, fd, &ops, &err), &err);
    e->deaf = f->deaf;
    if (f->deaf)
        http_raw_pause(e->raw, true);
}

static void echo_start(struct fix *f)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(a);
    struct err err = ERR_INIT;

    f->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT(bind(f->listener, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(f->listener, 8) == 0);
    EXPECT_EQ(getsockname(f->listener, (struct sockaddr *)&a, &len), 0);
    f->echo_port = f->may = ntohs(a.sin_port);
    EXPECT_OK(loop_io_add(f->loop, &f->listen, f->listener, LOOP_READ, on_accept, &err), &err);
}

static int allow(void *ctx, const char *host, uint16_t port, struct err *err)
{
    struct fix *f = ctx;

    if (port == f->may && str_eq(host, "127.0.0.1"))
        return 0;
    return err_set(err, ERR_DENIED, "not mine");
}

static void agent_start(struct fix *f)
{
    struct tunnel_agent_opts o = { .url = f->url, .allow = allow, .ctx = f };
    struct err err = ERR_INIT;

    EXPECT_OK(tunnel_agent_new(&f->agent, f->loop, &o, &err), &err);
}

#define STEP_UNTIL(f_, cond_)                                                                      \
    do {                                                                                           \
        int rounds_ = 0;                                                                           \
        while (!(cond_)) {                                                                         \
            EXPECT(rounds_++ < ROUNDS);                                                            \
            fake_env_advance(&(f_)->env, 5);                                                       \
            loop_step((f_)->loop, 1);                                                              \
        }                                                                                          \
    } while (0)

static void fix_init(struct fix *f, bool with_agent)
{
    struct http_server_opts o = { .on_request = on_request, .ctx = f };
    struct err err = ERR_INIT;

    *f = (struct fix){ .node = "n1", .listener = -1 };
    fake_env_init(&f->env, 7);
    EXPECT_OK(loop_new(&f->loop, &f->env.env, &err), &err);
    EXPECT_OK(http_server_new(&f->http, f->loop, &o, &err), &err);
    EXPECT_OK(http_server_listen(f->http, "127.0.0.1", 0, NULL, &err), &err);
    snprintf(f->url, sizeof(f->url), "http://127.0.0.1:%u", http_server_port(f->http));
    f->server = tunnel_server_new(f->loop);
    echo_start(f);
    if (!with_agent)
        return;
    agent_start(f);
    STEP_UNTIL(f, tunnel_server_has(f->server, "n1") && tunnel_agent_up(f->agent));
}

/* What raw streams still have to send ends by itself within their time. */
static void settle(struct fix *f)
{
    for (int i = 0; i < 100; i++) {
        fake_env_advance(&f->env, 500);
        loop_step(f->loop, 0);
    }
}

static void fix_deinit(struct fix *f)
{
    tunnel_agent_free(f->agent);
    tunnel_server_free(f->server);
    http_server_free(f->http);
    for (unsigned i = 0; i < f->n_echo; i++)
        http_raw_free(f->echo[i].raw);
    loop_io_del(&f->listen);
    fd_close(f->listener);
    settle(f);
    loop_free(f->loop);
}

static int dial(struct fix *f)
{
    struct err err = ERR_INIT;
    int fd = tunnel_server_dial(f->server, "n1", "127.0.0.1", f->echo_port, &err);

    EXPECT_OK(fd < 0 ? -1 : 0, &err);
    return fd;
}

/* As much as fits without waiting. */
static size_t pour(int fd, const char *p, size_t len)
{
    ssize_t n = send(fd, p, len, MSG_DONTWAIT | MSG_NOSIGNAL);

    return n > 0 ? (size_t)n : 0;
}

/* -1: nothing now; 0: the end. */
static ssize_t draw(int fd, char *p, size_t len)
{
    ssize_t n = recv(fd, p, len, MSG_DONTWAIT);

    return n < 0 && errno != EAGAIN ? 0 : n;
}

TEST(bytes_there_and_back_and_both_ends)
{
    _cleanup_(fix_deinit) struct fix f;
    char got[64] = { 0 };
    ssize_t n = -1;
    int fd;

    fix_init(&f, true);
    fd = dial(&f);
    EXPECT_EQ(pour(fd, "hello", 5), 5);
    STEP_UNTIL(&f, (n = draw(fd, got, sizeof(got))) > 0);
    EXPECT_EQ(n, 5);
    EXPECT_STR(got, "hello");
    EXPECT_EQ(f.n_echo, 1);
    shutdown(fd, SHUT_WR);                           /* the other direction goes on */
    STEP_UNTIL(&f, f.echo[0].closed == 1);
    STEP_UNTIL(&f, draw(fd, got, sizeof(got)) == 0);
    close(fd);
}

/* Much more than a window each way, many streams at once, each gets its own bytes. */
TEST(streams_do_not_mix)
{
    enum { N = 6, EACH = 1 << 20 };
    _cleanup_(fix_deinit) struct fix f;
    static char data[65536];
    size_t sent[N] = { 0 }, got[N] = { 0 };
    int fd[N];
    unsigned done = 0;

    fix_init(&f, true);
    for (int i = 0; i < N; i++)
        fd[i] = dial(&f);
    for (int rounds = 0; done < N; rounds++) {
        EXPECT(rounds < ROUNDS);
        loop_step(f.loop, 1);
        for (int i = 0; i < N; i++) {
            size_t want = EACH - sent[i] < sizeof(data) ? EACH - sent[i] : sizeof(data);
            ssize_t n;

            memset(data, 'a' + i, want);
            sent[i] += want ? pour(fd[i], data, want) : 0;
            n = draw(fd[i], data, sizeof(data));
            for (ssize_t k = 0; k < n; k++)
                EXPECT_EQ(data[k], 'a' + i);
            got[i] += n > 0 ? (size_t)n : 0;
            done += n > 0 && got[i] == EACH;
        }
    }
    for (int i = 0; i < N; i++)
        close(fd[i]);
    STEP_UNTIL(&f, f.echo[0].closed && f.echo[N - 1].closed);
}

/* Who does not read stops its own stream only. */
TEST(a_deaf_stream_stops_alone)
{
    _cleanup_(fix_deinit) struct fix f;
    static char data[65536];
    size_t sent = 0, before = 1;
    char got[8];
    int deaf, fd;

    fix_init(&f, true);
    f.deaf = true;
    deaf = dial(&f);
    STEP_UNTIL(&f, f.n_echo == 1);
    f.deaf = false;
    for (int still = 0; still < 20; still = sent == before ? still + 1 : 0) {
        before = sent;
        sent += pour(deaf, data, sizeof(data));
        EXPECT(sent < 16u << 20);                    /* windows and sockets' buffers, no more */
        loop_step(f.loop, 5);
    }
    EXPECT(sent >= TUNNEL_WINDOW);
    fd = dial(&f);
    EXPECT_EQ(pour(fd, "x", 1), 1);
    STEP_UNTIL(&f, draw(fd, got, sizeof(got)) == 1);
    /* It reads again: the rest comes through. */
    http_raw_pause(f.echo[0].raw, false);
    for (size_t back = 0, rounds = 0; back < sent; rounds++) {
        ssize_t n = draw(deaf, data, sizeof(data));

        EXPECT(rounds < ROUNDS && n != 0);
        back += n > 0 ? (size_t)n : 0;
        loop_step(f.loop, 1);
    }
    close(deaf);
    close(fd);
    STEP_UNTIL(&f, f.echo[0].closed && f.echo[1].closed);
}

TEST(only_what_the_agent_allows)
{
    _cleanup_(fix_deinit) struct fix f;
    static const char *const hosts[] = { "127.0.0.2", "localhost", "::1", "999.1.1.1" };
    struct err err = ERR_INIT;
    char got[8];
    int fd;

    fix_init(&f, true);
    for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
        fd = tunnel_server_dial(f.server, "n1", hosts[i], f.echo_port, &err);
        EXPECT(fd >= 0);
        STEP_UNTIL(&f, draw(fd, got, sizeof(got)) == 0);
        close(fd);
    }
    f.may = 1;                                       /* nobody listens there */
    fd = tunnel_server_dial(f.server, "n1", "127.0.0.1", 1, &err);
    EXPECT(fd >= 0);
    STEP_UNTIL(&f, draw(fd, got, sizeof(got)) == 0);
    close(fd);
    EXPECT_EQ(f.n_echo, 0);
    EXPECT_EQ(tunnel_server_dial(f.server, "n2", "127.0.0.1", 1, &err), HTTP_DIAL_DIRECT);
    EXPECT_ERR(tunnel_server_dial(f.server, "n1", "", 1, &err), &err, ERR_INVALID);
    EXPECT(tunnel_server_has(f.server, "n1"));
}

TEST(no_more_streams_than_the_limit)
{
    _cleanup_(fix_deinit) struct fix f;
    static int fd[TUNNEL_STREAMS_MAX];
    struct err err = ERR_INIT;
    char got[8];

    fix_init(&f, true);
    f.may = 1;
    for (int i = 0; i < TUNNEL_STREAMS_MAX; i++) {
        fd[i] = tunnel_server_dial(f.server, "n1", "127.0.0.1", f.echo_port, &err);
        EXPECT(fd[i] >= 0);
    }
    EXPECT_ERR(tunnel_server_dial(f.server, "n1", "127.0.0.1", f.echo_port, &err), &err,
               ERR_QUOTA);
    for (int i = 0; i < TUNNEL_STREAMS_MAX; i++) {
        STEP_UNTIL(&f, draw(fd[i], got, sizeof(got)) == 0);
        close(fd[i]);
    }
    f.may = f.echo_port;
    fd[0] = dial(&f);
    EXPECT_EQ(pour(fd[0], "x", 1), 1);
    STEP_UNTIL(&f, draw(fd[0], got, sizeof(got)) == 1);
    close(fd[0]);
}

TEST(it_comes_again)
{
    _cleanup_(fix_deinit) struct fix f;
    char got[8];
    int fd;

    fix_init(&f, true);
    fd = dial(&f);
    EXPECT_EQ(pour(fd, "x", 1), 1);
    STEP_UNTIL(&f, draw(fd, got, sizeof(got)) == 1);
    tunnel_server_free(f.server);                    /* streams end */
    f.server = tunnel_server_new(f.loop);
    STEP_UNTIL(&f, draw(fd, got, sizeof(got)) == 0 && f.echo[0].closed);
    close(fd);
    f.refuse_upgrade = true;
    STEP_UNTIL(&f, f.asked >= 3);
    f.refuse_upgrade = false;
    STEP_UNTIL(&f, tunnel_server_has(f.server, "n1"));
    tunnel_agent_free(f.agent);                      /* and the other side sees it go */
    f.agent = NULL;
    STEP_UNTIL(&f, !tunnel_server_has(f.server, "n1"));
    agent_start(&f);
    STEP_UNTIL(&f, tunnel_server_has(f.server, "n1"));
    fd = dial(&f);
    EXPECT_EQ(pour(fd, "y", 1), 1);
    STEP_UNTIL(&f, draw(fd, got, sizeof(got)) == 1);
    close(fd);
}

TEST(the_newer_connection_of_a_node_counts)
{
    _cleanup_(fix_deinit) struct fix f;
    struct tunnel_agent *first;

    fix_init(&f, true);
    first = f.agent;
    f.node = "n1";
    agent_start(&f);
    STEP_UNTIL(&f, f.asked == 2 && !tunnel_agent_up(first));
    tunnel_agent_free(first);
    EXPECT_EQ(tunnel_server_nodes(f.server), 1);
    STEP_UNTIL(&f, tunnel_server_has(f.server, "n1") && tunnel_agent_up(f.agent));
}

TEST(only_the_upgrade_is_taken)
{
    _cleanup_(fix_deinit) struct fix f;
    static const char *const asks[] = {
        "GET / HTTP/1.1\r\nhost: x\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
    };

    fix_init(&f, false);
    for (size_t i = 0; i < ARRAY_LEN(asks); i++) {
        struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(http_server_port(f.http)),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        char text[256] = { 0 };
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        EXPECT_EQ(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
        EXPECT_EQ(pour(fd, asks[i], strlen(asks[i])), strlen(asks[i]));
        STEP_UNTIL(&f, draw(fd, text, sizeof(text) - 1) > 0);
        EXPECT(strstr(text, " 426 "));
        close(fd);
    }
    EXPECT_EQ(tunnel_server_nodes(f.server), 0);
}

/* --- an agent by hand */

static int by_hand(struct fix *f)
{
    static const char ask[] = "GET /v1-inro/connect HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\n"
                              "upgrade: inro-tunnel/1\r\n\r\n";
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(http_server_port(f->http)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    char text[512] = { 0 };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    EXPECT_EQ(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    EXPECT_EQ(pour(fd, ask, strlen(ask)), strlen(ask));
    STEP_UNTIL(f, draw(fd, text, sizeof(text) - 1) > 0);
    EXPECT(strstr(text, " 101 ") && strstr(text, "\r\n\r\n"));
    EXPECT(tunnel_server_has(f->server, "n1"));
    return fd;
}

static void say(int fd, const struct buf *b)
{
    EXPECT_EQ(pour(fd, b->p, b->len), b->len);
}

/* The next frame that the server sends. */
static struct tunnel_frame hear(struct fix *f, int fd, struct buf *in)
{
    struct tunnel_frame frame = { 0 };
    struct err err = ERR_INIT;
    char data[4096];
    int n;

    while ((n = tunnel_frame_read(&frame, (struct slice){ in->p, in->len }, &err)) == 0) {
        ssize_t got;

        STEP_UNTIL(f, (got = draw(fd, data, sizeof(data))) >= 0);
        EXPECT(got > 0);
        buf_add(in, data, (size_t)got);
    }
    EXPECT_OK(n, &err);
    buf_eat(in, (size_t)n);
    return frame;
}

static void expect_bye(struct fix *f, int fd, struct buf *in)
{
    while (hear(f, fd, in).type != TUNNEL_FRAME_BYE)
        ;
    EXPECT(!tunnel_server_has(f->server, "n1"));
}

/* What the peer says once stream `id` is open; the server must end the connection. */
static void hostile(void (*speak)(struct buf *b, uint32_t id))
{
    _cleanup_(fix_deinit) struct fix f;
    struct buf b = BUF_INIT, in = BUF_INIT;
    struct tunnel_frame open;
    static char got[65536];
    int fd, stream;

    fix_init(&f, false);
    fd = by_hand(&f);
    stream = dial(&f);
    open = hear(&f, fd, &in);
    EXPECT_EQ(open.type, TUNNEL_FRAME_OPEN);
    EXPECT_EQ(open.port, f.echo_port);
    speak(&b, open.stream);
    for (size_t at = 0; at < b.len && tunnel_server_has(f.server, "n1"); loop_step(f.loop, 1))
        at += pour(fd, b.p + at, b.len - at);
    expect_bye(&f, fd, &in);
    STEP_UNTIL(&f, draw(stream, got, sizeof(got)) == 0);
    close(stream);
    close(fd);
    buf_deinit(&b);
    buf_deinit(&in);
}

static void garbage(struct buf *b, uint32_t id)
{
    (void)id;
    buf_str(b, "GET / HTTP/1.1\r\n\r\n");
}

static void opens(struct buf *b, uint32_t id)
{
    tunnel_frame_write_open(b, id + 1, "127.0.0.1", 22);
}

static void too_much_window(struct buf *b, uint32_t id)
{
    tunnel_frame_write_window(b, id, 1);
}

static void ends_twice(struct buf *b, uint32_t id)
{
    tunnel_frame_write(b, TUNNEL_FRAME_END, id, SLICE(""));
    tunnel_frame_write(b, TUNNEL_FRAME_END, id, SLICE(""));
}

static void speaks_after_end(struct buf *b, uint32_t id)
{
    tunnel_frame_write(b, TUNNEL_FRAME_END, id, SLICE(""));
    tunnel_frame_write(b, TUNNEL_FRAME_DATA, id, SLICE("x"));
}

/* All that the window lets, and a byte more, before the stream's owner reads anything. */
static void floods(struct buf *b, uint32_t id)
{
    static char data[TUNNEL_PAYLOAD_MAX];

    for (size_t i = 0; i < 4u << 20; i += sizeof(data))
        tunnel_frame_write(b, TUNNEL_FRAME_DATA, id, (struct slice){ data, sizeof(data) });
}

TEST(garbage_ends_it) { hostile(garbage); }
TEST(an_agent_opens_nothing) { hostile(opens); }
TEST(a_window_has_its_limit) { hostile(too_much_window); }
TEST(an_end_is_one) { hostile(ends_twice); }
TEST(nothing_comes_after_an_end) { hostile(speaks_after_end); }
TEST(a_flood_ends_it) { hostile(floods); }

TEST(frames_of_streams_that_are_gone_are_nobodys)
{
    _cleanup_(fix_deinit) struct fix f;
    struct buf b = BUF_INIT, in = BUF_INIT;
    struct tunnel_frame open;
    int fd, stream;

    fix_init(&f, false);
    fd = by_hand(&f);
    stream = dial(&f);
    open = hear(&f, fd, &in);
    tunnel_frame_write(&b, TUNNEL_FRAME_RESET, open.stream, SLICE("no"));
    tunnel_frame_write(&b, TUNNEL_FRAME_DATA, open.stream, SLICE("late"));
    tunnel_frame_write(&b, TUNNEL_FRAME_WINDOW, 0x10203, SLICE("\0\0\0\1"));
    tunnel_frame_write(&b, TUNNEL_FRAME_RESET, 0xffffffff, SLICE(""));
    tunnel_frame_write(&b, TUNNEL_FRAME_PING, 0, SLICE(""));
    say(fd, &b);
    EXPECT_EQ(hear(&f, fd, &in).type, TUNNEL_FRAME_PONG);
    EXPECT(tunnel_server_has(f.server, "n1"));
    close(stream);
    /* The place is used again, by another id. */
    stream = dial(&f);
    EXPECT(hear(&f, fd, &in).stream != open.stream);
    close(stream);
    close(fd);
    STEP_UNTIL(&f, !tunnel_server_has(f.server, "n1"));
    buf_deinit(&b);
    buf_deinit(&in);
}

TEST(silence_is_asked_about)
{
    _cleanup_(fix_deinit) struct fix f;
    struct buf b = BUF_INIT, in = BUF_INIT;
    int fd, stream;

    fix_init(&f, false);
    fd = by_hand(&f);
    tunnel_frame_write(&b, TUNNEL_FRAME_PONG, 0, SLICE(""));
    fake_env_advance(&f.env, TUNNEL_SILENCE_MS);
    EXPECT_EQ(hear(&f, fd, &in).type, TUNNEL_FRAME_PING);
    say(fd, &b);
    for (int i = 0; i < 5; i++)
        loop_step(f.loop, 5);
    fake_env_advance(&f.env, TUNNEL_SILENCE_MS / 2);
    loop_step(f.loop, 1);
    stream = dial(&f);                               /* is there anybody? */
    EXPECT_EQ(hear(&f, fd, &in).type, TUNNEL_FRAME_OPEN);
    EXPECT_EQ(hear(&f, fd, &in).type, TUNNEL_FRAME_PING);
    fake_env_advance(&f.env, TUNNEL_ANSWER_MS);
    EXPECT_EQ(hear(&f, fd, &in).type, TUNNEL_FRAME_BYE);
    EXPECT(!tunnel_server_has(f.server, "n1"));
    close(stream);
    close(fd);
    buf_deinit(&b);
    buf_deinit(&in);
}

TEST(an_agent_asks_too)
{
    _cleanup_(fix_deinit) struct fix f;

    fix_init(&f, true);
    for (int i = 0; i < 20; i++) {                   /* asks and hears, for ever */
        fake_env_advance(&f.env, TUNNEL_PING_MS);
        for (int k = 0; k < 20; k++)
            loop_step(f.loop, 1);
    }
    EXPECT(tunnel_agent_up(f.agent) && tunnel_server_has(f.server, "n1"));
    EXPECT_EQ(f.asked, 1);
}

/* Its owner closed the socket, which looks like the end of one direction. */
TEST(a_stream_that_nobody_reads_ends)
{
    _cleanup_(fix_deinit) struct fix f;
    struct buf in = BUF_INIT;
    struct tunnel_frame open, end;
    int fd;

    fix_init(&f, false);
    fd = by_hand(&f);
    close(dial(&f));
    open = hear(&f, fd, &in);
    end = hear(&f, fd, &in);
    EXPECT_EQ(end.type, TUNNEL_FRAME_END);
    EXPECT_EQ(end.stream, open.stream);
    fake_env_advance(&f.env, TUNNEL_LINGER_MS);
    end = hear(&f, fd, &in);
    EXPECT_EQ(end.type == TUNNEL_FRAME_PING ? hear(&f, fd, &in).type : end.type,
              TUNNEL_FRAME_RESET);
    close(fd);
    buf_deinit(&in);
}

TEST(who_asks_and_does_not_listen_is_given_up)
{
    _cleanup_(fix_deinit) struct fix f;
    struct buf b = BUF_INIT;
    int fd;

    fix_init(&f, false);
    fd = by_hand(&f);
    for (int i = 0; i < 1000; i++)
        tunnel_frame_write(&b, TUNNEL_FRAME_PING, 0, SLICE(""));
    STEP_UNTIL(&f, (pour(fd, b.p, b.len - b.len % 8), !tunnel_server_has(f.server, "n1")));
    close(fd);
    buf_deinit(&b);
}
