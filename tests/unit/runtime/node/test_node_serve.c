/* test_node_serve.c -- who may ask for what on a node's port, and what comes back. */
#include "tests/unit/runtime/node/node_serve_box.h"

TEST(who_may_ask)
{
    struct box b;

    box_init(&b);
    expect(&b, "/pods", 200, "{\"kind\":\"PodList\"}");
    expect(&b, "/runningpods/", 200, "{\"running\":1}");
    use_cert(&b, b.other);
    expect(&b, "/pods", 401, "Unauthorized");
    expect(&b, "/containerLogs/ns/p/c", 401, "Unauthorized");
    expect(&b, "/exec/ns/p/c?command=id&output=1", 401, "Unauthorized");
    expect(&b, "/healthz", 200, "ok");
    use_cert(&b, NULL);
    expect(&b, "/pods", 401, "Unauthorized");
    expect(&b, "/nothing", 401, "Unauthorized");
    expect(&b, "/healthz", 200, "ok");
    box_deinit(&b);
}

TEST(figures_and_health)
{
    _cleanup_buf_ struct buf out = BUF_INIT;
    struct box b;

    box_init(&b);
    expect(&b, "/metrics", 200, "page=");
    expect(&b, "/metrics/cadvisor", 200, "page=cadvisor");
    expect(&b, "/metrics/nosuch", 404, "404 page not found");
    node_serve_metrics(b.serve, &out);
    EXPECT(strstr(out.p, "total{path=\"metrics\",server_type=\"readwrite\"} 3\n"));
    use_cert(&b, b.monitor);
    expect(&b, "/metrics/probes", 200, "page=probes");
    expect(&b, "/pods", 401, "Unauthorized");
    use_cert(&b, NULL);
    expect(&b, "/healthz?verbose", 200,
           "[+]ping ok\n[+]log ok\n[+]syncloop ok\nhealthz check passed\n");
    expect(&b, "/healthz/syncloop", 200, "ok");
    b.ill = true;
    expect(&b, "/healthz", 500,
           "[+]ping ok\n[+]log ok\n[-]syncloop failed: reason withheld\nhealthz check failed\n");
    expect(&b, "/healthz/syncloop", 500, "internal server error: the node is not healthy");
    box_deinit(&b);
}

TEST(paths)
{
    struct box b;

    box_init(&b);
    expect(&b, "/", 404, "404 page not found");
    expect(&b, "/pods/x", 404, "404 page not found");
    expect(&b, "/containerLogs/ns/p", 404, "404 page not found");
    expect(&b, "/containerLogs/ns/p/%zz", 404, "404 page not found");
    expect(&b, "/containerLogs/ns/p/c/x/x/x/x/x/x/x", 404, "404 page not found");
    expect(&b, "/stats/summary", 404, "404 page not found");
    start(&b, "POST", "/pods");
    UNTIL(&b, b.ends);
    EXPECT_EQ(b.status, 405);
    start(&b, "DELETE", "/exec/ns/p/c");
    UNTIL(&b, b.ends);
    EXPECT_EQ(b.status, 405);
    box_deinit(&b);
}

/* --- logs */

static void append(struct box *b, const char *text)
{
    _cleanup_fd_ int fd = open(b->log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);

    EXPECT(fd >= 0);
    for (const char *end; *text; text = end + 1) {
        end = strchr(text, '\n');
        EXPECT(dprintf(fd, "2026-11-24T10:00:00.000000000Z stdout F %.*s\n", (int)(end - text),
                       text) > 0);
    }
}

TEST(log_options)
{
    struct box b;

    box_init(&b);
    append(&b, "one\ntwo\nthree\n");
    expect(&b, "/containerLogs/ns/p/c", 200, "one\ntwo\nthree\n");
    expect(&b, "/containerLogs/ns/p/c?tailLines=2", 200, "two\nthree\n");
    expect(&b, "/containerLogs/ns/p/c?tailLines=0", 200, "");
    expect(&b, "/containerLogs/ns/p/c?limitBytes=5&tailLines=9", 200, "one\nt");
    expect(&b, "/containerLogs/ns/p/c?sinceSeconds=99999999999", 200, "one\ntwo\nthree\n");
    expect(&b, "/containerLogs/ns/p/c?sinceTime=2999-01-01T00:00:00Z", 200, "");
    expect(&b, "/containerLogs/ns/p/c?timestamps=true&tailLines=1", 200,
           "2026-11-24T10:00:00.000000000Z three\n");
    expect(&b, "/containerLogs/ns/p/c?tailLines=-1", 400,
           "tailLines: Invalid value: -1: must be greater than or equal to 0");
    expect(&b, "/containerLogs/ns/p/c?tailLines=x", 400,
           "unable to decode query: tailLines: Invalid value: \"x\": must be a number");
    expect(&b, "/containerLogs/ns/p/c?tailLines=99999999999999999999", 400,
           "unable to decode query: tailLines: Invalid value: \"99999999999999999999\": must be a "
           "number");
    expect(&b, "/containerLogs/ns/p/c?limitBytes=0", 400,
           "limitBytes: Invalid value: 0: must be greater than or equal to 1");
    expect(&b, "/containerLogs/ns/p/c?sinceSeconds=1&sinceTime=2026-01-01T00:00:00Z", 400,
           "at most one of `sinceTime` or `sinceSeconds` may be specified");
    expect(&b, "/containerLogs/ns/p/c?previous=true", 400,
           "previous terminated container \"c\" in pod \"p\" not found");
    expect(&b, "/containerLogs/ns/q/c", 404, "pod \"q_ns\" not found");
    expect(&b, "/containerLogs/ns/p/..%2f..%2fetc", 404, "container not found (\"../../etc\")");
    box_deinit(&b);
}

TEST(log_follow)
{
    struct box b;

    box_init(&b);
    append(&b, "one\n");
    start(&b, "GET", "/containerLogs/ns/p/c?follow=true");
    UNTIL(&b, b.body.len == 4);
    append(&b, "two\n");
    UNTIL(&b, b.body.len == 8);
    append(&b, "last\n");
    node_serve_container_gone(b.serve, b.shim, "c1");
    UNTIL(&b, b.ends);
    EXPECT_STR(b.body.p, "one\ntwo\nlast\n");
    EXPECT_EQ(b.err.code, 0);
    /* Of a container that has ended there is nothing to wait for. */
    b.running = false;
    expect(&b, "/containerLogs/ns/p/c?follow=true", 200, "one\ntwo\nlast\n");
    /* The client goes, the server goes. */
    b.running = true;
    start(&b, "GET", "/containerLogs/ns/p/c?follow=true");
    UNTIL(&b, b.body.len == 13);
    http_call_cancel(b.call);
    start(&b, "GET", "/containerLogs/ns/p/c?follow=true");
    UNTIL(&b, b.body.len == 13);
    box_deinit(&b);
}

/* NODE_SERVE_STREAMS_MAX at once; one more is told so; when one ends there is room again. */
TEST_SLOW(streams_at_once, 60)
{
    static struct http_call *calls[NODE_SERVE_STREAMS_MAX];
    struct http_client_opts c = { .user_agent = "test", .conns_max = NODE_SERVE_STREAMS_MAX + 8 };
    struct http_call_opts o = { .url = "/containerLogs/ns/p/c?follow=true", .on_head = on_head,
                                .on_data = on_data, .on_end = on_end };
    struct box b;

    box_init(&b);
    append(&b, "x\n");
    c.base_url = b.url;
    c.ca_pem = all(&b.ca);
    c.cert_pem = all(&b.peer[0]);
    c.key_pem = all(&b.peer[1]);
    http_client_free(b.client);
    EXPECT_OK(http_client_new(&b.client, b.loop, &c, &b.err), &b.err);
    o.ctx = &b;
    for (size_t i = 0; i < NODE_SERVE_STREAMS_MAX; i++) {    /* one handshake after the other */
        EXPECT_OK(http_client_call(&calls[i], b.client, &o, &b.err), &b.err);
        UNTIL(&b, b.body.len == 2 * (i + 1));
    }
    expect(&b, o.url, 503, "too many streams at once");
    expect(&b, "/pods", 200, "{\"kind\":\"PodList\"}");
    http_call_cancel(calls[7]);
    for (int i = 0; i < 200 && b.status != 200; i++) {
        start(&b, "GET", o.url);
        UNTIL(&b, b.status);
        if (b.status != 200)
            UNTIL(&b, b.ends);
    }
    EXPECT_EQ(b.status, 200);
    box_deinit(&b);
}

/* --- exec over WebSocket */

static void ws_message(struct websocket *w, enum websocket_op op, const char *p, size_t len,
                       void *ctx)
{
    struct box *b = ctx;

    (void)w;
    (void)op;
    EXPECT(len > 0);
    if ((unsigned char)p[0] < ARRAY_LEN(b->streams))
        buf_add(&b->streams[(int)p[0]], p + 1, len - 1);
}

static void ws_close(struct websocket *w, int code, const char *reason, void *ctx)
{
    struct box *b = ctx;

    (void)w;
    (void)reason;
    b->closed++;
    b->close_code = code;
}

static void on_upgrade(struct http_call *c, struct http_raw *raw, void *ctx)
{
    struct box *b = ctx;
    struct websocket_ops w = { ws_message, NULL, ws_close, b };

    b->status = http_call_status(c);
    b->call = NULL;
    b->ws = websocket_new(raw, b->loop, true, &w);
}

static void dial(struct box *b, const char *path, const char *protocol)
{
    struct http_field fields[] = {
        { "Upgrade", "websocket" }, { "Connection", "Upgrade" }, { "Sec-WebSocket-Version", "13" },
        { "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==" }, { "Sec-WebSocket-Protocol", protocol },
    };
    struct http_call_opts o = { .url = path, .fields = fields, .n_fields = protocol ? 5 : 4,
                                .upgrade = true,
                                .on_head = on_head, .on_data = on_data, .on_upgrade = on_upgrade,
                                .on_end = on_end, .ctx = b };

    b->ends = b->status = b->closed = 0;
    buf_clear(&b->body);
    for (int i = 0; i < 5; i++)
        buf_clear(&b->streams[i]);
    b->ws = websocket_free(b->ws);
    EXPECT_OK(http_client_call(&b->call, b->client, &o, &b->err), &b->err);
    UNTIL(b, b->ws || b->ends);
}

static void dial_exec(struct box *b, const char *query)
{
    char path[256];
    int before = b->execs;

    snprintf(path, sizeof(path), "/exec/ns/p/c?command=sh&command=-c%s", query);
    dial(b, path, "v5.channel.k8s.io");
    EXPECT_EQ(b->status, 101);
    UNTIL(b, b->execs == before + 1 && !loop_timer_is_set(&b->started));
}

static void end_process(struct box *b, int code)
{
    for (int i = 0; i < 3; i++)
        b->fds[i] = fd_close(b->fds[i]);
    b->e.on_exit(b->e.ctx, code, 0);
}

/* What the process has read so far; "|" at its end. */
static const char *stdin_of(struct box *b)
{
    char text[64];
    ssize_t n;

    while ((n = read(b->fds[0], text, sizeof(text))) > 0)
        buf_add(&b->in, text, (size_t)n);
    if (n == 0 && !str_ends(b->in.p ? b->in.p : "", "|"))
        buf_chr(&b->in, '|');
    return b->in.p ? b->in.p : "";
}

static const char *got(struct box *b, enum node_chan_stream s) { return b->streams[s].p ?
                                                                 b->streams[s].p : ""; }

TEST(exec_streams)
{
    struct box b;

    box_init(&b);
    dial_exec(&b, "%20x&input=1&output=1&error=1");
    EXPECT_STR(b.args, "sh|-c x|");
    websocket_send_channel(b.ws, NODE_CHAN_IN, "hello", 5);
    UNTIL(&b, str_eq(stdin_of(&b), "hello"));
    EXPECT(write(b.fds[1], "out", 3) == 3 && write(b.fds[2], "err", 3) == 3);
    UNTIL(&b, b.streams[1].len == 3 && b.streams[2].len == 3);
    /* v5: the end of stdin. */
    websocket_send(b.ws, WEBSOCKET_BINARY, "\xff\x00", 2);
    UNTIL(&b, str_eq(stdin_of(&b), "hello|"));
    EXPECT(write(b.fds[1], "put", 3) == 3);
    end_process(&b, 3);
    UNTIL(&b, b.closed);
    EXPECT_EQ(b.close_code, 1000);
    EXPECT_STR(got(&b, NODE_CHAN_OUT), "output");
    EXPECT_STR(got(&b, NODE_CHAN_ERR), "err");
    EXPECT_STR(got(&b, NODE_CHAN_STATUS),
               "{\"metadata\":{},\"status\":\"Failure\",\"message\":\"command terminated with "
               "non-zero exit code: exit status 3\",\"reason\":\"NonZeroExitCode\",\"details\":"
               "{\"causes\":[{\"reason\":\"ExitCode\",\"message\":\"3\"}]}}");
    EXPECT_EQ(b.forgotten, 0);
    box_deinit(&b);
}

TEST(exec_success_and_failure)
{
    struct box b;

    box_init(&b);
    dial_exec(&b, "&output=1");
    EXPECT_EQ(b.fds[0], -1);
    EXPECT_EQ(b.fds[2], -1);
    end_process(&b, 0);
    UNTIL(&b, b.closed);
    EXPECT_STR(got(&b, NODE_CHAN_STATUS), "{\"metadata\":{},\"status\":\"Success\"}");
    b.fail_start = true;
    dial_exec(&b, "&output=1");
    UNTIL(&b, b.closed);
    EXPECT_STR(got(&b, NODE_CHAN_STATUS),
               "{\"metadata\":{},\"status\":\"Failure\",\"message\":\"Internal error occurred: "
               "error executing command "
               "in container: exec: \\\"x\\\": executable file not found in "
               "$PATH\",\"reason\":\"InternalError\","
               "\"code\":500}");
    box_deinit(&b);
}

/* What one side does not take stops the other; nothing is lost. */
TEST(exec_back_pressure)
{
    struct box b;
    size_t sent = 0, taken = 0;
    char piece[4096], text[65536];
    ssize_t n;

    box_init(&b);
    dial_exec(&b, "&input=1&output=1");
    memset(piece, 'x', sizeof(piece));
    for (int i = 0; i < 1000; i++) {
        websocket_send_channel(b.ws, NODE_CHAN_IN, piece, sizeof(piece));
        sent += sizeof(piece);
    }
    for (int i = 0; i < 200; i++)
        loop_step(b.loop, 1);
    EXPECT(websocket_queued(b.ws) > 0);          /* held back */
    for (int i = 0; i < 20000 && taken < sent; i++) {
        loop_step(b.loop, 1);
        n = read(b.fds[0], text, sizeof(text));
        taken += n > 0 ? (size_t)n : 0;
    }
    EXPECT_EQ(taken, sent);
    end_process(&b, 0);
    UNTIL(&b, b.closed);
    box_deinit(&b);
}

TEST(exec_client_goes)
{
    struct box b;

    box_init(&b);
    dial_exec(&b, "&input=1&output=1");
    b.ws = websocket_free(b.ws);
    UNTIL(&b, b.forgotten == 1);
    box_deinit(&b);
    EXPECT_EQ(b.forgotten, 1);
}

TEST(exec_container_goes)
{
    struct box b;

    box_init(&b);
    dial_exec(&b, "&output=1");
    node_serve_container_gone(b.serve, b.shim, "c2");
    EXPECT_EQ(b.forgotten, 0);
    node_serve_container_gone(b.serve, b.shim, NULL);
    EXPECT_EQ(b.forgotten, 1);
    b.fds[1] = fd_close(b.fds[1]);
    UNTIL(&b, b.closed);
    EXPECT(strstr(got(&b, NODE_CHAN_STATUS), "exit status 137"));
    /* The server goes with an exec open. */
    dial_exec(&b, "&output=1");
    box_deinit(&b);
    EXPECT_EQ(b.forgotten, 2);
}

TEST(exec_refused)
{
    struct box b;

    box_init(&b);
    dial(&b, "/exec/ns/p/c?command=x&output=1", "v9.channel.k8s.io");
    EXPECT_EQ(b.status, 403);
    dial(&b, "/exec/ns/p/c?command=x&output=1", NULL);
    EXPECT_EQ(b.status, 403);
    dial(&b, "/exec/ns/p/c?command=x", "v4.channel.k8s.io");
    EXPECT_EQ(b.status, 400);
    EXPECT_STR(b.body.p, "you must specify at least 1 of stdin, stdout, stderr");
    dial(&b, "/exec/ns/p/c?output=1", "v4.channel.k8s.io");
    EXPECT_EQ(b.status, 400);
    dial(&b, "/exec/ns/p/u2/c?output=1&command=x", "v4.channel.k8s.io");
    EXPECT_EQ(b.status, 404);
    expect(&b, "/exec/ns/p/c?output=1&command=x", 400,
           "unable to upgrade: missing upgrade headers in request");
    EXPECT_EQ(b.execs, 0);
    box_deinit(&b);
}

TEST(exec_strange_messages)
{
    struct box b;

    box_init(&b);
    dial_exec(&b, "&output=1");
    websocket_send_channel(b.ws, NODE_CHAN_IN, "not wanted", 10);
    websocket_send_channel(b.ws, NODE_CHAN_RESIZE, "{\"Width\":", 9);
    websocket_send_channel(b.ws, 77, "x", 1);
    websocket_send(b.ws, WEBSOCKET_BINARY, "", 0);
    websocket_send(b.ws, WEBSOCKET_BINARY, "\xff\x09", 2);
    websocket_send(b.ws, WEBSOCKET_TEXT, "\x01hm", 3);
    for (int i = 0; i < 20; i++)
        loop_step(b.loop, 1);
    EXPECT(!b.closed);
    end_process(&b, 0);
    UNTIL(&b, b.closed);
    box_deinit(&b);
}

TEST(forward_garbage_in_a_tunnel)
{
    struct box b;

    box_init(&b);
    dial(&b, "/portForward/ns/p?port=80", "SPDY/3.1+portforward.k8s.io");
    EXPECT_EQ(b.status, 101);
    websocket_send(b.ws, WEBSOCKET_BINARY, "\x80\x7f garbage garbage garbage", 26);
    UNTIL(&b, b.closed);
    dial(&b, "/portForward/ns/p?port=80", "SPDY/3.1+portforward.k8s.io");
    node_serve_container_gone(b.serve, b.shim, NULL);
    UNTIL(&b, b.closed);
    dial(&b, "/portForward/ns/q", "SPDY/3.1+portforward.k8s.io");
    EXPECT_EQ(b.status, 404);
    box_deinit(&b);
}

static void fake_dial(struct shim *s, uint16_t port, shim_dialed *done, void *ctx)
{
    struct box *b = the_box;

    EXPECT(s == b->shim);
    b->dialed[b->n_dialed] = (struct dialed){ port, done, ctx };
    b->n_dialed++;
}

static void expect_ports(struct box *b, int n, int status)
{
    _cleanup_buf_ struct buf path = BUF_INIT;

    buf_str(&path, "/portForward/ns/p?port=1");
    for (int i = 1; i < n; i++)
        buf_fmt(&path, ",%d", i + 1);
    b->n_dialed = 0;
    dial(b, path.p, "v4.channel.k8s.io");
    EXPECT_EQ(b->status, status);
    if (status == 101)
        UNTIL(b, b->n_dialed == n);
    for (int i = 0; i < b->n_dialed; i++)
        b->dialed[i].done(b->dialed[i].ctx, &(struct err){ .code = ERR_FAILED }, -1);
    if (status == 101)
        UNTIL(b, b->closed);
}

TEST(forward_by_channels)
{
    struct box b;
    struct err err = ERR_INIT;
    int fds[2];
    char text[16] = "";

    box_init(&b);
    b.shims.dial = fake_dial;
    dial(&b, "/portForward/ns/p?port=80,258", "v4.channel.k8s.io");
    EXPECT_EQ(b.status, 101);
    websocket_send_channel(b.ws, 0, "early", 5);
    UNTIL(&b, b.streams[3].len == 2 && b.n_dialed == 2);
    EXPECT_EQ(b.dialed[0].port, 80);
    EXPECT(memcmp(b.streams[2].p, "\2\1", 2) == 0);
    EXPECT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == 0);
    b.dialed[0].done(b.dialed[0].ctx, NULL, fds[0]);
    err_set(&err, ERR_FAILED, "refused");
    b.dialed[1].done(b.dialed[1].ctx, &err, -1);
    EXPECT(write(fds[1], "from pod", 8) == 8);
    UNTIL(&b, b.streams[0].len == 10 && b.streams[3].len > 2);
    EXPECT(strstr(b.streams[3].p + 2, "error forwarding port 258 to pod ns/p: refused"));
    UNTIL(&b, recv(fds[1], text, sizeof(text), MSG_PEEK) == 5);
    EXPECT_STR(text, "early");
    close(fds[1]);
    UNTIL(&b, b.closed);
    EXPECT_EQ(b.close_code, 1000);

    expect_ports(&b, 100, 101);
    expect_ports(&b, 101, 400);
    b.n_dialed = 2;
    dial(&b, "/portForward/ns/p?port=0", "v4.channel.k8s.io");
    EXPECT_EQ(b.status, 400);
    dial(&b, "/portForward/ns/p", "v4.channel.k8s.io");
    EXPECT_EQ(b.status, 400);
    /* The client goes with a dial under way; its answer finds nobody. */
    dial(&b, "/portForward/ns/p?port=80", "v4.channel.k8s.io");
    UNTIL(&b, b.n_dialed == 3);
    b.ws = websocket_free(b.ws);
    for (int i = 0; i < 50; i++)
        loop_step(b.loop, 1);
    b.dialed[2].done(b.dialed[2].ctx, &err, -1);
    box_deinit(&b);
}

TEST(sizes)
{
    uint16_t rows = 0, cols = 0;

    EXPECT(node_chan_size("{\"Width\":80,\"Height\":24}", 24, &rows, &cols));
    EXPECT_EQ(rows, 24);
    EXPECT_EQ(cols, 80);
    EXPECT(!node_chan_size("{\"Width\":80}", 12, &rows, &cols));
    EXPECT(!node_chan_size("{\"Width\":80000,\"Height\":24}", 27, &rows, &cols));
    EXPECT(!node_chan_size("{\"Width\":-1,\"Height\":24}", 24, &rows, &cols));
    EXPECT(!node_chan_size("[]", 2, &rows, &cols));
    EXPECT(!node_chan_size("", 0, &rows, &cols));
}
