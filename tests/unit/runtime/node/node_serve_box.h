/* node_serve_box.h -- a node's port before a client, with one container whose processes are pipes
 * in the test's hand. */
#ifndef TESTS_UNIT_RUNTIME_NODE_NODE_SERVE_BOX_H
#define TESTS_UNIT_RUNTIME_NODE_NODE_SERVE_BOX_H

#include "core/base/fd.h"
#include "core/crypto/crypto.h"
#include "core/http/websocket.h"
#include "runtime/node/node_chan.h"
#include "runtime/node/node_serve.h"
#include "tests/harness/test.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* A node's port with one container "c" of pod "p" in "ns", whose processes are pipes in the test's
 * hand. */
struct dialed { uint16_t port; shim_dialed *done; void *ctx; };

struct box {
    struct loop *loop;
    struct job_pool *jobs;
    struct node_serve *serve;
    struct shim_driver shims;
    struct shim *shim;
    struct buf ca, server[2], peer[2], other[2], monitor[2];     /* certificate and key */
    char url[64], log[256];
    bool running, fail_start, tty, ill;
    /* the process */
    struct shim_exec e;
    struct loop_timer started;
    int fds[3], execs, forgotten, n_dialed;
    struct dialed dialed[128];
    char args[256];
    /* the client */
    struct http_client *client;
    struct http_call *call;
    struct websocket *ws;
    int status, ends, closed, close_code;
    struct buf body, in, streams[5];
    struct err err;
};

/* --- certificates */

static inline void issue(struct buf out[2], const struct buf *ca_pem,
                         const struct crypto_key *ca_key, const char *cn, const char *org)
{
    _cleanup_(crypto_key_unrefp) struct crypto_key *key = NULL;
    _cleanup_(crypto_cert_unrefp) struct crypto_cert *ca = NULL;
    struct crypto_issue w = { .cn = cn, .not_before_s = 1700000000, .not_after_s = 4000000000 };
    struct err err = ERR_INIT;

    w.ips = (const char *const[]){ "127.0.0.1", NULL };
    w.orgs = (const char *const[]){ org, NULL };
    w.uses = CRYPTO_USE_SERVER | CRYPTO_USE_CLIENT;
    EXPECT_OK(crypto_key_new(&key, &err), &err);
    EXPECT_OK(crypto_cert_parse(&ca, ca_pem->p, ca_pem->len, &err), &err);
    EXPECT_OK(crypto_cert_issue(&out[0], ca, ca_key, key, &w, &err), &err);
    EXPECT_OK(crypto_key_write(&out[1], key, &err), &err);
}

static inline void make_pki(struct box *b)
{
    _cleanup_(crypto_key_unrefp) struct crypto_key *key = NULL;
    struct crypto_issue w = { .cn = "ca", .not_before_s = 1700000000, .not_after_s = 4000000000 };
    struct err err = ERR_INIT;

    EXPECT_OK(crypto_key_new(&key, &err), &err);
    EXPECT_OK(crypto_ca_new(&b->ca, key, &w, &err), &err);
    issue(b->server, &b->ca, key, "system:node:n1", NULL);
    issue(b->peer, &b->ca, key, NODE_SERVE_PEER, NULL);
    issue(b->other, &b->ca, key, "somebody", NULL);
    issue(b->monitor, &b->ca, key, "prometheus", "system:monitoring");
}

/* --- the pod */

static inline int op_plan(void *ctx, struct arena *a, struct oci_plan *out, struct err *err)
{
    (void)ctx;
    (void)err;
    plan_add_text(&out->args, a, "main");
    return 0;
}

static inline int op_container(void *ctx, const struct node_serve_name *n,
                        struct node_serve_container *out,
                        struct arena *a, struct err *err)
{
    struct box *b = ctx;

    (void)a;
    if (!str_eq(n->ns, "ns") || !str_eq(n->pod, "p") || (*n->uid && !str_eq(n->uid, "u1")))
        return err_set(err, ERR_NOT_FOUND, "pod \"%s_%s\" not found", n->pod, n->ns);
    if (!str_eq(n->container, "c"))
        return err_set(err, ERR_NOT_FOUND, "container not found (\"%s\")", n->container);
    *out = (struct node_serve_container){ .log_path = b->log, .tty = b->tty,
                                          .running = b->running };
    out->target = (struct node_exec_target){ .loop = b->loop, .shims = &b->shims, .shim = b->shim,
                                             .container_id = "c1", .pod_ip = "", .plan = op_plan,
                                             .ctx = b };
    return 0;
}

static inline int op_log(void *ctx, const struct node_serve_name *n,
                         struct node_serve_container *out, struct arena *a, struct err *err)
{
    if (n->previous)
        return err_set(err, ERR_INVALID, "previous terminated container \"%s\" in pod \"%s\" not "
                       "found", n->container, n->pod);
    return op_container(ctx, n, out, a, err);
}

static inline int op_pod(void *ctx, const struct node_serve_name *n, struct node_exec_target *out,
                  struct err *err)
{
    struct node_serve_container found;
    struct node_serve_name name = *n;

    name.container = "c";
    if (op_container(ctx, &name, &found, NULL, err) < 0)
        return -1;
    *out = found.target;
    return 0;
}

static inline void op_pods(void *ctx, struct buf *out, bool running_only)
{
    (void)ctx;
    buf_str(out, running_only ? "{\"running\":1}" : "{\"kind\":\"PodList\"}");
}

static inline int op_metrics(void *ctx, const char *page, struct buf *out, struct err *err)
{
    (void)ctx;
    buf_fmt(out, "page=%s", page);
    return str_eq(page, "nosuch") ? err_set(err, ERR_NOT_FOUND, "404 page not found") : 0;
}

static inline int op_healthy(void *ctx, struct err *err)
{
    return ((struct box *)ctx)->ill ? err_set(err, ERR_UNAVAILABLE, "ill") : 0;
}

static const struct node_serve_ops ops = { .metrics = op_metrics, .healthy = op_healthy,
                                            .container = op_container, .log = op_log, .pod = op_pod,
                                           .pods = op_pods };

static struct box *the_box;

static inline void on_start_time(struct loop_timer *t)
{
    struct box *b = container_of(t, struct box, started);
    struct err err = ERR_INIT;

    if (b->fail_start)
        err_set(&err, ERR_FAILED, "exec: \"x\": executable file not found in $PATH");
    b->e.on_started(b->e.ctx, b->fail_start ? &err : NULL, 7, -1);
}

static inline uint32_t fake_exec(struct shim *s, const struct shim_exec *e)
{
    struct box *b = the_box;

    EXPECT(s == b->shim);
    EXPECT_STR(e->container_id, "c1");
    b->e = *e;
    b->args[0] = '\0';
    for (size_t i = 0; i < e->plan->args.len; i++) {
        strncat(b->args, e->plan->args.v[i], sizeof(b->args) - strlen(b->args) - 2);
        strncat(b->args, "|", 2);
    }
    for (int i = 0; i < 3; i++)
        b->fds[i] = e->fds[i] >= 0 ? fcntl(e->fds[i], F_DUPFD_CLOEXEC, 0) : -1;
    EXPECT(b->fds[0] < 0 || fcntl(b->fds[0], F_SETFL, O_NONBLOCK) == 0);
    loop_timer_set(b->loop, &b->started, 0, on_start_time);
    return (uint32_t)++b->execs;
}

static inline void fake_forget(struct shim *s, uint32_t id)
{
    EXPECT(s == the_box->shim);
    EXPECT_EQ(id, the_box->execs);
    loop_timer_del(&the_box->started);
    the_box->forgotten++;
}

/* --- set up */

static inline struct slice all(const struct buf *b) { return (struct slice){ b->p, b->len }; }

static inline void use_cert(struct box *b, struct buf cert[2])
{
    struct http_client_opts o = { .base_url = b->url, .ca_pem = all(&b->ca), .user_agent = "test" };

    if (cert) {
        o.cert_pem = all(&cert[0]);
        o.key_pem = all(&cert[1]);
    }
    http_client_free(b->client);
    EXPECT_OK(http_client_new(&b->client, b->loop, &o, &b->err), &b->err);
}

static inline void box_init(struct box *b)
{
    static const unsigned limits[JOB_CLASS_MAX];
    struct node_serve_opts o = { .address = "127.0.0.1", .ops = &ops, .ctx = b };

    *b = (struct box){ .err = ERR_INIT, .running = true, .shim = (struct shim *)b,
                       .fds = { -1, -1, -1 } };
    the_box = b;
    signal(SIGPIPE, SIG_IGN);
    make_pki(b);
    b->shims = (struct shim_driver){ .exec = fake_exec, .exec_forget = fake_forget };
    EXPECT_OK(loop_new(&b->loop, env_real(), &b->err), &b->err);
    EXPECT_OK(job_pool_new(&b->jobs, 0, limits, &b->err), &b->err);
    o.jobs = b->jobs;
    o.cert_pem = all(&b->server[0]);
    o.key_pem = all(&b->server[1]);
    o.client_ca_pem = all(&b->ca);
    EXPECT_OK(node_serve_new(&b->serve, b->loop, &o, &b->err), &b->err);
    snprintf(b->url, sizeof(b->url), "https://127.0.0.1:%u", node_serve_port(b->serve));
    snprintf(b->log, sizeof(b->log), "%s/0.log", test_tmpdir());
    use_cert(b, b->peer);
}

static inline void box_deinit(struct box *b)
{
    websocket_free(b->ws);
    http_client_free(b->client);
    node_serve_free(b->serve);
    for (int i = 0; i < 100; i++)
        loop_step(b->loop, 0);
    job_pool_free(b->jobs);
    loop_free(b->loop);
    for (int i = 0; i < 3; i++)
        fd_close(b->fds[i]);
    for (int i = 0; i < 5; i++)
        buf_deinit(&b->streams[i]);
    for (int i = 0; i < 2; i++) {
        buf_deinit(&b->server[i]);
        buf_deinit(&b->peer[i]);
        buf_deinit(&b->other[i]);
        buf_deinit(&b->monitor[i]);
    }
    buf_deinit(&b->ca);
    buf_deinit(&b->body);
    buf_deinit(&b->in);
}

#define UNTIL(b, cond)                                                                             \
    do {                                                                                           \
        for (int i_ = 0; i_ < 2000 && !(cond); i_++)                                               \
            loop_step((b)->loop, 5);                                                               \
        EXPECT(cond);                                                                              \
    } while (0)

/* --- plain requests */

static inline void on_head(struct http_call *c,
                    void *ctx) { ((struct box *)ctx)->status = http_call_status(c); }

static inline void on_data(struct http_call *c, const char *p, size_t len, void *ctx)
{
    (void)c;
    buf_add(&((struct box *)ctx)->body, p, len);
}

static inline void on_end(struct http_call *c, const struct err *why, void *ctx)
{
    struct box *b = ctx;

    (void)c;
    b->call = NULL;
    b->ends++;
    b->err = why ? *why : ERR_INIT;
}

static inline void start(struct box *b, const char *method, const char *path)
{
    struct http_call_opts o = { .method = method, .url = path, .on_head = on_head,
                                .on_data = on_data,
                                .on_end = on_end, .ctx = b };

    b->ends = b->status = 0;
    buf_clear(&b->body);
    EXPECT_OK(http_client_call(&b->call, b->client, &o, &b->err), &b->err);
}

static inline void expect(struct box *b, const char *path, int status, const char *body)
{
    start(b, "GET", path);
    UNTIL(b, b->ends);
    EXPECT_EQ(b->status, status);
    EXPECT_STR(b->body.p ? b->body.p : "", body);
}

#endif
