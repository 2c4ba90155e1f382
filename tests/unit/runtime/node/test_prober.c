/* The child that connects to pods, against a web server on the loop of the test. */
#include "runtime/node/prober.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/fd.h"
#include "core/http/http.h"
#include "core/loop/imsg.h"
#include "runtime/confine/confine.h"
#include "runtime/node/node.h"
#include "tests/harness/test.h"

TEST_VERB(probe, NODE_PROBE_VERB, node_probe_main)

#define STEP_MS 20

struct box {
    struct loop *loop;
    struct prober *prober;
    struct http_server *server;
    uint16_t port;
    unsigned answers, lost, failed, status, held;
    enum probe_result result;
    char text[512], seen[256];
};

static void on_request(struct http_req *r, void *ctx)
{
    struct box *b = ctx;
    const char *x = http_req_field(r, "x-test");
    struct http_answer a = { .status = str_eq(r->path, "/bad") ? 500 : 200, .type = "text/plain",
                             .body = "hello", .len = 5 };

    snprintf(b->seen, sizeof(b->seen), "%s x=%s", r->path, x ? x : "");
    if (!str_eq(r->path, "/hang")) {
        http_respond(r, &a);
        return;
    }
    b->held++;
    r->on_gone = http_abort;
}

static void init(struct box *b)
{
    struct http_server_opts o = { .on_request = on_request, .ctx = b };
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    socklen_t len = sizeof(a);
    struct err err = ERR_INIT;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    *b = (struct box){ 0 };
    EXPECT(bind(fd, (struct sockaddr *)&a, len) == 0 && listen(fd, 1024) == 0);
    EXPECT_EQ(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    b->port = ntohs(a.sin_port);
    EXPECT_OK(loop_new(&b->loop, env_real(), &err), &err);
    EXPECT_OK(http_server_new(&b->server, b->loop, &o, &err), &err);
    EXPECT_OK(http_server_listen_fd(b->server, fd, NULL, &err), &err);
    b->prober = prober_new(b->loop, NULL);
}

static void deinit(struct box *b)
{
    prober_free(b->prober);
    http_server_free(b->server);
    while (loop_step(b->loop, 0))
        ;
    loop_free(b->loop);
}

static void done(void *ctx, const struct prober_answer *a)
{
    struct box *b = ctx;

    b->answers++;
    b->lost += a->lost;
    b->failed += a->get.err != NULL;
    b->status = (unsigned)a->get.status;
    b->result = a->result;
    snprintf(b->text, sizeof(b->text), "%.*s", (int)a->get.body.len, a->get.body.p);
    if (a->get.err || a->message[0])
        snprintf(b->text, sizeof(b->text), "%s", a->message);
}

static struct prober_call *get(struct box *b, const char *path, int64_t timeout_ms)
{
    static const struct http_header_view headers[] = { { "X-Test", "a \"b\"" } };
    struct http_get_action_view w = { .path = path, .http_headers = headers, .n_http_headers = 1 };
    struct prober_ask ask = { .get = &w, .host = "127.0.0.1", .port = b->port,
                              .timeout_ms = timeout_ms };

    return prober_call(b->prober, &ask, done, b);
}

static void until(struct box *b, unsigned answers)
{
    while (b->answers < answers)
        loop_step(b->loop, STEP_MS);
}

/* The one child of this process. */
static pid_t child_of(void)
{
    _cleanup_buf_ struct buf text = BUF_INIT;
    char path[64];

    snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
    EXPECT_OK(fd_read_file(&text, AT_FDCWD, path, 4096, NULL), (&(struct err){ 0 }));
    return (pid_t)strtol(text.p ? text.p : "0", NULL, 10);
}

TEST(gets)
{
    struct box b;

    init(&b);
    EXPECT_EQ(child_of(), 0);            /* none before the first call */
    (void)get(&b, "/ok", 5000);
    EXPECT_EQ(b.answers, 0);
    until(&b, 1);
    EXPECT_EQ(b.status, 200);
    EXPECT_EQ(b.failed, 0);
    EXPECT_STR(b.text, "hello");
    EXPECT_STR(b.seen, "/ok x=a \"b\"");
    (void)get(&b, "bad", 5000);
    until(&b, 2);
    EXPECT_EQ(b.status, 500);
    (void)get(&b, "/hang", 300);
    until(&b, 3);
    EXPECT_EQ(b.failed, 1);
    EXPECT_EQ(b.lost, 0);
    EXPECT(strstr(b.text, "context deadline exceeded") != NULL);
    deinit(&b);
}

TEST(sockets)
{
    struct prober_ask ask = { .host = "127.0.0.1", .timeout_ms = 5000 };
    struct box b;

    init(&b);
    ask.port = b.port;
    (void)prober_call(b.prober, &ask, done, &b);
    until(&b, 1);
    EXPECT_EQ(b.result, PROBE_SUCCESS);
    ask.port = 1;
    (void)prober_call(b.prober, &ask, done, &b);
    until(&b, 2);
    EXPECT_EQ(b.result, PROBE_FAILURE);
    EXPECT(strstr(b.text, "connection refused") != NULL);
    ask.port = b.port;
    ask.service = "";
    (void)prober_call(b.prober, &ask, done, &b);         /* it speaks no gRPC */
    until(&b, 3);
    EXPECT(b.result != PROBE_SUCCESS);
    deinit(&b);
}

/* More at once than the socket to the child holds. */
TEST(many_at_once)
{
    struct box b;

    init(&b);
    for (unsigned i = 0; i < 1500; i++)
        (void)get(&b, "/ok", 20000);
    until(&b, 1500);
    EXPECT_EQ(b.failed, 0);
    deinit(&b);
}

TEST(one_that_ends_is_lost_and_the_next_works)
{
    struct box b;

    init(&b);
    (void)get(&b, "/hang", 20000);
    while (b.held == 0)
        loop_step(b.loop, STEP_MS);
    EXPECT_EQ(kill(child_of(), SIGKILL), 0);
    until(&b, 1);
    EXPECT_EQ(b.lost, 1);
    EXPECT_EQ(b.failed, 1);
    EXPECT_EQ(b.result, PROBE_ERROR);
    (void)get(&b, "/ok", 5000);
    until(&b, 2);
    EXPECT_EQ(b.lost, 1);
    EXPECT_EQ(b.status, 200);
    deinit(&b);
}

/* Stopped: it does not answer in the time of the call and the grace. */
TEST(one_that_hangs_is_killed)
{
    struct box b;
    pid_t pid;

    init(&b);
    (void)get(&b, "/ok", 5000);
    until(&b, 1);
    pid = child_of();
    EXPECT_EQ(kill(pid, SIGSTOP), 0);
    (void)get(&b, "/ok", 100);
    until(&b, 2);
    EXPECT_EQ(b.lost, 1);
    while (child_of() == pid)
        loop_step(b.loop, STEP_MS);
    (void)get(&b, "/ok", 5000);
    until(&b, 3);
    EXPECT_EQ(b.status, 200);
    deinit(&b);
}

TEST(canceled_calls_say_nothing)
{
    struct box b;

    init(&b);
    prober_cancel(get(&b, "/ok", 5000)); /* before it could be sent or answered */
    struct prober_call *held = get(&b, "/hang", 5000);
    while (b.held == 0)
        loop_step(b.loop, STEP_MS);
    prober_cancel(held);
    prober_cancel(NULL);
    (void)get(&b, "/ok", 5000);
    until(&b, 1);
    EXPECT_EQ(b.answers, 1);
    deinit(&b);
}

/* One record holds an ask: what is larger comes back, and the child lives. */
TEST(too_large_an_ask)
{
    _cleanup_buf_ struct buf path = BUF_INIT;
    struct box b;

    init(&b);
    buf_chr(&path, '/');
    while (path.len < IMSG_BYTES_MAX)
        buf_str(&path, "xxxxxxxxxxxxxxxx");
    (void)get(&b, path.p, 5000);
    until(&b, 1);
    EXPECT_EQ(b.lost, 1);
    (void)get(&b, "/ok", 5000);
    until(&b, 2);
    EXPECT_EQ(b.status, 200);
    deinit(&b);
}

/* From its first byte on it is nobody. */
TEST(the_child_has_no_rights)
{
    _cleanup_buf_ struct buf text = BUF_INIT;
    char path[64], want[64];
    struct box b;

    init(&b);
    (void)get(&b, "/ok", 5000);
    until(&b, 1);
    snprintf(path, sizeof(path), "/proc/%d/status", (int)child_of());
    EXPECT_OK(fd_read_file(&text, AT_FDCWD, path, 1 << 16, NULL), (&(struct err){ 0 }));
    EXPECT(strstr(text.p, "\nCapEff:\t0000000000000000\n") != NULL);
    EXPECT(strstr(text.p, "\nNoNewPrivs:\t1\n") != NULL);
    snprintf(want, sizeof(want), "\nUid:\t%u\t",
             geteuid() ? geteuid() : confine_uid(CONFINE_PROBE));
    EXPECT(strstr(text.p, want) != NULL);
    deinit(&b);
}
