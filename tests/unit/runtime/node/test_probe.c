#include "core/http/http.h"
#include "runtime/node/node_get.h"
#include "runtime/node/node_hook.h"
#include "runtime/node/probe.h"
#include "runtime/node/probe_run.h"
#include "tests/unit/runtime/node/node_box.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#define MESSAGES 32

/* A container that is a web server of our own and whose processes are calls of the fake below. */
struct box {
    struct node_box n;
    struct shim_driver shims;
    struct node_exec_target target;
    struct http_server *server;
    struct object *pod;
    struct probe_set *set;
    int status;                  /* what the server answers; 0: nothing */
    char seen[512];              /* the last request */
    struct http_req *held[8];
    int n_held, exit_code, execs, forgotten, changed, unhealthy;
    int64_t grace_s;
    bool hang, fail_start, free_on_change;
    char messages[MESSAGES][512];
    int n_messages;
    struct err done_err;
    int done;
};

/* --- the server */

static void on_gone(struct http_req *r)
{
    struct box *b = r->user;

    for (int i = 0; i < b->n_held; i++)
        if (b->held[i] == r)
            b->held[i] = b->held[--b->n_held];
    http_abort(r);
}

static void on_request(struct http_req *r, void *ctx)
{
    struct box *b = ctx;
    struct http_field f = { "Location", strstr(r->path, "away") ? "http://127.0.0.2/x" : "/ok" };
    struct http_answer a = { .status = b->status, .type = "text/plain", .fields = &f,
                             .body = "body", .len = 4 };
    const char *agent = http_req_field(r, "user-agent"), *x = http_req_field(r, "x-test");

    snprintf(b->seen, sizeof(b->seen), "%s %s host=%s agent=%s x=%s", r->method, r->path, r->host,
             agent,
             x ? x : "");
    if (b->status == 0) {
        r->user = b;
        r->on_gone = on_gone;
        b->held[b->n_held++] = r;
        return;
    }
    a.n_fields = str_starts(r->path, "/to") ? 1 : 0;
    if (a.n_fields)
        a.status = 302;
    http_respond(r, &a);
}

/* --- the shim */

struct fake_exec { struct loop_timer t; struct box *b; struct shim_exec e; int fd; uint32_t id; };
static struct fake_exec *last;

static void exec_end(struct loop_timer *t)
{
    struct fake_exec *x = container_of(t, struct fake_exec, t);
    struct err err = ERR_INIT;

    if (x->b->fail_start) {
        err_set(&err, ERR_FAILED, "no such file");
        x->e.on_started(x->e.ctx, &err, 0, -1);
    } else {
        x->e.on_started(x->e.ctx, NULL, 7, -1);
    }
    if (!x->b->fail_start && x->b->hang)
        return;
    if (!x->b->fail_start) {
        EXPECT(write(x->fd, "said\n", 5) == 5);
        x->e.on_exit(x->e.ctx, x->b->exit_code, 0);
    }
    close(x->fd);
    last = NULL;
    mem_free(x);
}

static struct box *the_box;

static uint32_t fake_exec(struct shim *s, const struct shim_exec *e)
{
    struct fake_exec *x = NEW(struct fake_exec);

    (void)s;
    EXPECT_STR(e->container_id, "c1");
    EXPECT_STR(e->plan->args.v[0], "check");
    EXPECT_STR(e->plan->env.v[0], "A=1");
    x->b = the_box;
    x->e = *e;
    x->fd = dup(e->fds[1]);
    x->id = (uint32_t)++the_box->execs;
    last = x;
    loop_timer_set(the_box->n.loop, &x->t, 0, exec_end);
    return x->id;
}

static void fake_forget(struct shim *s, uint32_t id)
{
    (void)s;
    the_box->forgotten++;
    EXPECT(last && last->id == id);
    loop_timer_del(&last->t);
    close(last->fd);
    last = mem_free(last);
}

static int fake_plan(void *ctx, struct arena *a, struct oci_plan *out, struct err *err)
{
    (void)ctx;
    (void)err;
    plan_add_text(&out->env, a, "A=1");
    plan_add_text(&out->args, a, "main");
    out->tty = true;
    return 0;
}

/* --- */

static void on_change(void *ctx)
{
    struct box *b = ctx;

    b->changed++;
    if (b->free_on_change)
        b->set = probe_set_free(b->set);
}

static void on_unhealthy(void *ctx, enum probe_kind kind, int64_t grace_s)
{
    struct box *b = ctx;

    (void)kind;
    b->unhealthy++;
    b->grace_s = grace_s;
}

static void on_event(void *ctx, const char *reason, const char *message)
{
    struct box *b = ctx;

    EXPECT(b->n_messages < MESSAGES);
    snprintf(b->messages[b->n_messages++], sizeof(b->messages[0]), "%s: %s", reason, message);
}

static void box_init(struct box *b)
{
    struct http_server_opts o = { .on_request = on_request, .ctx = b };
    struct err err = ERR_INIT;

    *b = (struct box){ .status = 200 };
    the_box = b;
    node_box_init(&b->n);
    EXPECT_OK(http_server_new(&b->server, b->n.loop, &o, &err), &err);
    EXPECT_OK(http_server_listen(b->server, "127.0.0.1", 0, NULL, &err), &err);
    b->shims = (struct shim_driver){ .exec = fake_exec, .exec_forget = fake_forget };
    b->target = (struct node_exec_target){ .loop = b->n.loop, .shims = &b->shims,
                                           .container_id = "c1",
                                           .pod_ip = "127.0.0.1", .plan = fake_plan };
}

/* Real sockets under a fake clock: until the condition holds. */
#define UNTIL(b, cond)                                                                             \
    do {                                                                                           \
        for (int i_ = 0; i_ < 2000 && !(cond); i_++)                                               \
            loop_step((b)->n.loop, 5);                                                             \
        EXPECT(cond);                                                                              \
    } while (0)

/* fields: of the container; $P is the server's port. */
static const struct container_view *box_pod(struct box *b, const char *fields)
{
    _cleanup_buf_ struct buf text = BUF_INIT;
    const char *at;

    buf_str(&text,
            "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: c, image: "
            "i, ");
    for (; (at = strstr(fields, "$P")); fields = at + 2) {
        buf_add(&text, fields, (size_t)(at - fields));
        buf_fmt(&text, "%u", http_server_port(b->server));
    }
    buf_fmt(&text, "%s}]}\n", fields);
    b->pod = object_ref(fake_client_put(b->n.cluster, text.p));
    return &pod_view(b->pod)->spec.containers[0];
}

static void box_probes(struct box *b, const char *fields)
{
    struct probe_opts o = { .target = &b->target, .on_change = on_change,
                            .on_unhealthy = on_unhealthy,
                            .on_event = on_event, .ctx = b };

    o.container = box_pod(b, fields);
    o.pod = b->pod;
    o.started_s = env_wall_s(&b->n.env.env);
    b->set = probe_set_new(&o);
}

static void pass(struct box *b, int64_t ms)
{
    fake_env_advance(&b->n.env, ms);
    loop_step(b->n.loop, 0);
}

static void box_deinit(struct box *b)
{
    probe_set_free(b->set);
    while (b->n_held)
        http_abort(b->held[--b->n_held]);
    http_server_free(b->server);
    object_unref(b->pod);
    node_box_deinit(&b->n);
}

TEST(none_is_ready_at_once)
{
    struct box b;

    box_init(&b);
    box_probes(&b, "");
    EXPECT(probe_set_started(b.set) && probe_set_ready(b.set));
    box_deinit(&b);
}

TEST(readiness_comes_and_goes)
{
    struct box b;

    box_init(&b);
    box_probes(&b,
               "readinessProbe: {httpGet: {path: /r, port: $P, httpHeaders: [{name: X-Test, value: "
               "y1}]},"
                   "initialDelaySeconds: 5, periodSeconds: 2, failureThreshold: 2}");
    EXPECT(probe_set_started(b.set) && !probe_set_ready(b.set));
    pass(&b, 4000);
    EXPECT_STR(b.seen, "");
    pass(&b, 1000);
    UNTIL(&b, b.changed == 1);
    EXPECT(probe_set_ready(b.set));
    EXPECT(str_starts(b.seen, "GET /r host=127.0.0.1:"));
    EXPECT(strstr(b.seen, "agent=kube-probe/1.36 x=y1"));

    b.status = 500;
    pass(&b, 2000);
    UNTIL(&b, b.n_messages == 1);
    EXPECT_STR(b.messages[0],
               "Unhealthy: Readiness probe failed: HTTP probe failed with statuscode: 500");
    EXPECT(probe_set_ready(b.set));
    pass(&b, 2000);
    UNTIL(&b, b.changed == 2);
    EXPECT(!probe_set_ready(b.set));
    b.status = 204;
    pass(&b, 2000);
    UNTIL(&b, b.changed == 3);
    EXPECT(probe_set_ready(b.set));
    EXPECT_EQ(b.unhealthy, 0);
    box_deinit(&b);
}

TEST(redirects)
{
    struct box b;

    box_init(&b);
    box_probes(&b, "readinessProbe: {httpGet: {path: /to, port: $P}}");
    UNTIL(&b, b.changed == 1);
    EXPECT(str_starts(b.seen, "GET /ok "));
    EXPECT_EQ(b.n_messages, 0);
    b.set = probe_set_free(b.set);
    object_unref(b.pod);
    box_probes(&b, "readinessProbe: {httpGet: {path: to/away, port: $P}}");
    UNTIL(&b, b.changed == 2);
    EXPECT(str_starts(b.seen, "GET /to/away "));
    EXPECT_STR(b.messages[0],
               "ProbeWarning: Readiness probe warning: Probe terminated redirects, Response body: "
               "body");
    box_deinit(&b);
}

TEST(no_answer_in_time)
{
    struct box b;

    box_init(&b);
    b.status = 0;
    box_probes(&b,
               "livenessProbe: {httpGet: {path: /, port: $P}, timeoutSeconds: 3, failureThreshold: "
               "1,"
                   "terminationGracePeriodSeconds: 9}");
    UNTIL(&b, b.n_held == 1);
    pass(&b, 2999);
    EXPECT_EQ(b.n_messages, 0);
    pass(&b, 1);
    UNTIL(&b, b.unhealthy == 1);
    EXPECT_EQ(b.grace_s, 9);
    EXPECT(str_ends(b.messages[0],
                    "/\": context deadline exceeded (Client.Timeout exceeded while awaiting "
                    "headers)"));
    /* On hold until there is a new container. */
    pass(&b, 60000);
    EXPECT_EQ(b.unhealthy, 1);
    EXPECT_EQ(b.n_messages, 1);
    box_deinit(&b);
}

TEST(startup_holds_the_others)
{
    struct box b;

    box_init(&b);
    b.exit_code = 1;
    box_probes(&b,
               "startupProbe: {exec: {command: [check]}, periodSeconds: 1, failureThreshold: 30},"
                   "readinessProbe: {httpGet: {path: /r, port: $P}},"
                   "livenessProbe: {tcpSocket: {port: $P}}");
    EXPECT(!probe_set_started(b.set) && !probe_set_ready(b.set));
    for (int i = 1; i <= 5; i++) {
        UNTIL(&b, b.n_messages == i);
        EXPECT_STR(b.messages[i - 1], "Unhealthy: Startup probe failed: said\n");
        pass(&b, 1000);
    }
    EXPECT_STR(b.seen, "");
    b.exit_code = 0;
    pass(&b, 1000);
    UNTIL(&b, b.changed >= 1);
    EXPECT(probe_set_started(b.set));
    UNTIL(&b, b.changed >= 2);
    EXPECT(probe_set_ready(b.set));
    int execs = b.execs;
    pass(&b, 10000);
    EXPECT_EQ(b.execs, execs);
    box_deinit(&b);
}

TEST(exec_that_hangs_is_killed)
{
    struct box b;

    box_init(&b);
    b.hang = true;
    box_probes(&b,
               "livenessProbe: {exec: {command: [check, x]}, failureThreshold: 1, timeoutSeconds: "
               "2}");
    UNTIL(&b, b.execs == 1);
    pass(&b, 2000);
    UNTIL(&b, b.unhealthy == 1);
    EXPECT_EQ(b.forgotten, 1);
    EXPECT_EQ(b.grace_s, -1);
    EXPECT_STR(b.messages[0],
               "Unhealthy: Liveness probe failed: command timed out: \"check x\" timed out after "
               "2s");
    box_deinit(&b);
}

TEST(what_cannot_start_changes_nothing)
{
    struct box b;

    box_init(&b);
    b.fail_start = true;
    box_probes(&b, "livenessProbe: {exec: {command: [check]}, failureThreshold: 1}");
    UNTIL(&b, b.n_messages == 1);
    EXPECT_EQ(b.execs, 3);
    EXPECT_STR(b.messages[0],
               "Unhealthy: Liveness probe errored and resulted in unknown state: no such file");
    EXPECT_EQ(b.unhealthy, 0);
    box_deinit(&b);
}

TEST(tcp_refused)
{
    struct box b;
    char want[128];

    box_init(&b);
    /* A port that nobody listens on: bound, not listening. */
    struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    socklen_t len = sizeof(sa);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    EXPECT(bind(fd, (struct sockaddr *)&sa, len) == 0 && getsockname(fd, (struct sockaddr *)&sa,
                                                                     &len) == 0);
    box_probes(&b, arena_printf(b.n.a, "readinessProbe: {tcpSocket: {port: %u}}",
                                ntohs(sa.sin_port)));
    UNTIL(&b, b.n_messages == 1);
    snprintf(want, sizeof(want),
             "Unhealthy: Readiness probe failed: dial tcp 127.0.0.1:%u: connect: connection "
             "refused", ntohs(sa.sin_port));
    EXPECT_STR(b.messages[0], want);
    close(fd);
    box_deinit(&b);
}

TEST(freed_from_a_callback_and_with_runs_open)
{
    struct box b;

    box_init(&b);
    b.hang = b.free_on_change = true;
    box_probes(&b,
               "readinessProbe: {httpGet: {path: /r, port: $P}}, livenessProbe: {exec: {command: "
               "[check]}}");
    UNTIL(&b, b.changed == 1);
    EXPECT(!b.set);
    EXPECT_EQ(b.forgotten, 1);
    box_deinit(&b);
}

TEST(stop_keeps_readiness)
{
    struct box b;

    box_init(&b);
    box_probes(&b, "readinessProbe: {httpGet: {path: /r, port: $P}, periodSeconds: 1},"
                   "livenessProbe: {exec: {command: [check]}, periodSeconds: 1}");
    UNTIL(&b, b.changed == 1 && b.execs == 1);
    probe_set_stop(b.set);
    b.status = 503;
    for (int i = 0; i < 3; i++) {
        pass(&b, 1000);
        UNTIL(&b, b.n_messages == i + 1);
    }
    UNTIL(&b, b.changed == 2);
    EXPECT_EQ(b.execs, 1);
    box_deinit(&b);
}

/* --- grpc: answers of a server, byte by byte */

static void on_socket_done(void *ctx, enum probe_result r, const char *message)
{
    struct box *b = ctx;

    b->done = 1 + (int)r;
    snprintf(b->messages[0], sizeof(b->messages[0]), "%s", message);
}

static void expect_grpc(const char *answer, size_t len, enum probe_result want, const char *message)
{
    struct box b;
    struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    socklen_t n = sizeof(sa);
    int fd = socket(AF_INET, SOCK_STREAM, 0), c;
    char got[512];
    ssize_t have = 0;

    box_init(&b);
    EXPECT(bind(fd, (struct sockaddr *)&sa, n) == 0 && listen(fd, 1) == 0);
    EXPECT(getsockname(fd, (struct sockaddr *)&sa, &n) == 0);
    (void)probe_socket_start(b.n.loop, &(struct probe_socket_opts){
        .host = "127.0.0.1", .port = ntohs(sa.sin_port), .service = "svc", .timeout_ms = 1000,
        .done = on_socket_done, .ctx = &b });
    c = accept(fd, NULL, NULL);
    EXPECT(c >= 0 && setsockopt(c, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int)) == 0);
    while (have < 24) {
        loop_step(b.n.loop, 5);
        have += recv(c, got + have, sizeof(got) - (size_t)have, MSG_DONTWAIT) > 0 ? 24 : 0;
    }
    EXPECT(memcmp(got, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24) == 0);
    for (size_t i = 0; i < len; i++) {
        EXPECT(send(c, answer + i, 1, MSG_NOSIGNAL) == 1 || b.done);
        loop_step(b.n.loop, 0);
    }
    close(c);
    UNTIL(&b, b.done);
    EXPECT_STR(b.messages[0], message);
    EXPECT_EQ(b.done - 1, want);
    close(fd);
    box_deinit(&b);
}

#define SETTINGS "\0\0\0\4\0\0\0\0\0"
#define ANSWER(status) "\0\0\7\0\0\0\0\0\1\0\0\0\0\2\x08" status

TEST(grpc)
{
    static const char good[] = SETTINGS ANSWER("\1"), bad[] = SETTINGS ANSWER("\2");
    static const char none[] = SETTINGS "\0\0\0\1\5\0\0\0\1", reset[] =
        "\0\0\4\3\0\0\0\0\1\0\0\0\7";
    static const char huge[] = "HTTP/1.1 400 Bad Request\r\n", pad[] = "\0\0\1\0\x08\0\0\0\1\xff";

    expect_grpc(good, sizeof(good) - 1, PROBE_SUCCESS, "service healthy");
    expect_grpc(bad, sizeof(bad) - 1, PROBE_FAILURE,
                "service unhealthy (responded with \"NOT_SERVING\")");
    expect_grpc(none, sizeof(none) - 1, PROBE_FAILURE,
                "error: health rpc probe failed: the server ended the call without an answer");
    expect_grpc(reset, sizeof(reset) - 1, PROBE_FAILURE,
                "error: health rpc probe failed: the server gave up the call");
    expect_grpc(huge, sizeof(huge) - 1, PROBE_FAILURE,
                "error: health rpc probe failed: this is no HTTP/2");
    expect_grpc(pad, sizeof(pad) - 1, PROBE_FAILURE, "error: health rpc probe failed: bad padding");
    expect_grpc("", 0, PROBE_FAILURE,
                "error: health rpc probe failed: the server closed the connection");
}

/* --- hooks */

static void on_hook(void *ctx, const struct err *err)
{
    struct box *b = ctx;

    b->done++;
    b->done_err = err ? *err : ERR_INIT;
}

static void run_hook(struct box *b, const char *handler, int64_t timeout_ms)
{
    const struct container_view *c = box_pod(b, arena_printf(b->n.a, "lifecycle: {preStop: %s}",
                                                             handler));
    struct node_hook_opts o = { .target = &b->target, .handler = c->lifecycle->pre_stop,
                                .container = c,
                                .pod_key = "p_default(u1)", .timeout_ms = timeout_ms, .done =
                                on_hook, .ctx = b };

    (void)node_hook_start(&o);
    EXPECT_EQ(b->done, 0);
}

TEST(hook_exec)
{
    struct box b;

    box_init(&b);
    b.exit_code = 3;
    run_hook(&b, "{exec: {command: [check, -x]}}", 0);
    UNTIL(&b, b.done == 1);
    EXPECT_STR(b.done_err.msg,
               "Exec lifecycle hook ([check -x]) for Container \"c\" in Pod \"p_default(u1)\" "
               "failed "
               "- error: command 'check -x' exited with 3, message: \"said\n\"");
    box_deinit(&b);
}

TEST(hook_http_and_sleep)
{
    struct box b;

    box_init(&b);
    b.status = 500;                              /* any answer will do */
    run_hook(&b, "{httpGet: {path: bye, port: $P}}", 5000);
    UNTIL(&b, b.done == 1);
    EXPECT_EQ(b.done_err.code, 0);
    EXPECT(str_starts(b.seen, "GET /bye "));
    object_unref(b.pod);
    b.done = 0;
    run_hook(&b, "{sleep: {seconds: 7}}", 5000);
    pass(&b, 4999);
    EXPECT_EQ(b.done, 0);
    pass(&b, 1);
    EXPECT_EQ(b.done, 1);
    object_unref(b.pod);
    b.done = 0;
    run_hook(&b, "{httpGet: {path: /, port: gone}}", 5000);
    UNTIL(&b, b.done == 1);
    EXPECT_STR(b.done_err.msg, "port gone not found");
    box_deinit(&b);
}

/* Without a readiness probe: ready once the known ports listen, or when that takes too long. */
static void listen_box(struct box *b, uint16_t port)
{
    struct probe_opts o = { .target = &b->target, .on_change = on_change, .ctx = b,
                            .net_pid = getpid() };

    node_listen_add(&o.ports, port);
    o.container = box_pod(b, "");
    o.pod = b->pod;
    o.started_s = env_wall_s(&b->n.env.env);
    b->set = probe_set_new(&o);
}

static int bound_port(uint16_t *port)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    EXPECT_EQ(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    EXPECT_EQ(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    *port = ntohs(a.sin_port);
    return fd;
}

TEST(ready_once_its_port_listens)
{
    struct box b;
    uint16_t port;
    int fd = bound_port(&port);

    box_init(&b);
    listen_box(&b, port);
    EXPECT(probe_set_started(b.set) && !probe_set_ready(b.set));
    pass(&b, PROBE_LISTEN_LOOK_MS);
    EXPECT(!probe_set_ready(b.set));
    EXPECT_EQ(listen(fd, 1), 0);
    pass(&b, PROBE_LISTEN_LOOK_MS);
    EXPECT(probe_set_ready(b.set));
    EXPECT_EQ(b.changed, 1);
    close(fd);
    pass(&b, PROBE_LISTEN_MS);
    EXPECT(probe_set_ready(b.set));
    box_deinit(&b);
}

TEST(ready_in_the_end_without_its_port)
{
    struct box b;
    uint16_t port;
    int fd = bound_port(&port);

    box_init(&b);
    listen_box(&b, port);
    for (int i = 0; i < PROBE_LISTEN_MS / PROBE_LISTEN_LOOK_MS - 1; i++)
        pass(&b, PROBE_LISTEN_LOOK_MS);
    EXPECT(!probe_set_ready(b.set));
    pass(&b, PROBE_LISTEN_LOOK_MS);
    EXPECT(probe_set_ready(b.set));
    close(fd);
    box_deinit(&b);
}
