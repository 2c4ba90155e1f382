/* node_probe.c -- the child `probe`: talks to pods for the node, with no rights but the network. */
#include <unistd.h>

#include "core/base/json.h"
#include "core/base/list.h"
#include "core/crypto/crypto.h"
#include "runtime/confine/confine.h"
#include "runtime/node/node.h"
#include "runtime/node/prober.h"
#include "runtime/node/prober_wire.h"

struct probing {
    struct list link;
    struct arena *a;                     /* the ask, and the view of it */
    int64_t id;
    struct http_get_action_view view;
    struct node_get *get;
    struct probe_socket *socket;
};

struct prober_child {
    struct loop *loop;
    struct loop_io on_parent;
    struct list probes;
};

static void probing_free(struct probing *g)
{
    list_del(&g->link);
    node_get_cancel(g->get);
    probe_socket_cancel(g->socket);
    arena_free(g->a);
    mem_free(g);
}

static void answer(struct probing *g, const struct prober_head *head, struct slice text)
{
    _cleanup_buf_ struct buf b = BUF_INIT;

    buf_add(&b, head, sizeof(*head));
    buf_add(&b, text.p, text.len);
    if (imsg_send(IMSG_FD, PROBER_ANSWER, b.p, b.len, NULL, 0, NULL) < 0)
        _exit(1);                        /* the node has gone */
    g->get = NULL;
    g->socket = NULL;
    probing_free(g);
}

static void on_get(void *ctx, const struct node_get_result *r)
{
    struct probing *g = ctx;
    struct prober_head head = { .id = g->id, .failed = r->err != NULL, .status = r->status };

    answer(g, &head, r->err ? slice_of(r->err->msg) : r->body);
}

static void on_socket(void *ctx, enum probe_result result, const char *message)
{
    struct probing *g = ctx;
    struct prober_head head = { .id = g->id, .result = (int32_t)result };

    answer(g, &head, slice_of(message));
}

static void read_view(struct probing *g, const struct json *get)
{
    const struct json *names = json_get(get, "names"), *values = json_get(get, "values");
    struct http_header_view *h = arena_alloc(g->a, (names->len + 1) * sizeof(*h));

    for (uint32_t i = 0; i < names->len; i++)
        h[i] = (struct http_header_view){ names->items[i]->s, values->items[i]->s };
    g->view = (struct http_get_action_view){
        .path = json_get_str(get, "path"), .host = json_get_str(get, "host"),
        .scheme = json_get_str(get, "scheme"), .http_headers = h, .n_http_headers = names->len,
    };
}

/* The node wrote it: what is missing there would be a fault of ours. */
static void start(struct prober_child *p, struct probing *g, const struct json *doc)
{
    const struct json *get = json_get(doc, "get");
    const char *host = json_get_str(doc, "host");
    uint16_t port = (uint16_t)json_get_int(doc, "port", 0);
    int64_t ms = json_get_int(doc, "ms", 1000);
    struct node_exec_target t = { .loop = p->loop, .pod_ip = host };
    struct node_get_opts go = { .what = &g->view, .port = port, .timeout_ms = ms, .done = on_get,
                                .ctx = g };
    struct probe_socket_opts so = { .host = host, .port = port, .timeout_ms = ms,
                                    .service = json_get_str(doc, "service"), .done = on_socket,
                                    .ctx = g };

    g->id = json_get_int(doc, "id", 0);
    if (get) {
        read_view(g, get);
        g->get = node_get_start(&t, &go);
    } else {
        g->socket = probe_socket_start(p->loop, &so);
    }
}

static void on_ask(struct prober_child *p, const struct imsg *m)
{
    struct probing *g = NEW(struct probing);
    struct json *doc = NULL;

    g->a = arena_new(PROBER_ARENA_BYTES);
    list_push(&p->probes, &g->link);
    if (json_parse(&doc, g->a, m->data, m->len, NULL, NULL) < 0)
        _exit(1);
    start(p, g, doc);
}

static void on_cancel(struct prober_child *p, const struct imsg *m)
{
    int64_t id;

    if (m->len != sizeof(id))
        return;
    memcpy(&id, m->data, sizeof(id));
    list_each(g, &p->probes, struct probing, link)
        if (g->id == id)
            probing_free(g);
}

static void on_parent(struct loop_io *io, unsigned events)
{
    struct prober_child *p = container_of(io, struct prober_child, on_parent);
    struct imsg m;

    (void)events;
    if (imsg_recv(IMSG_FD, &m, NULL) <= 0)
        _exit(0);
    if (m.type == PROBER_ASK)
        on_ask(p, &m);
    else if (m.type == PROBER_CANCEL)
        on_cancel(p, &m);
    imsg_deinit(&m);
}

int node_probe_main(int argc, char **argv)
{
    struct prober_child p = { 0 };
    struct confine_opts o = {
        .role = CONFINE_PROBE,
        .places = { [CONFINE_RESOLV] = "/etc/resolv.conf", [CONFINE_HOSTS] = "/etc/hosts" },
    };
    struct err err = ERR_INIT;

    (void)argc;
    (void)argv;
    list_init(&p.probes);
    if (confine_apply(&o, &err) < 0 || crypto_init(&err) < 0 ||
        loop_new(&p.loop, env_real(), &err) < 0 ||
        loop_io_add(p.loop, &p.on_parent, IMSG_FD, LOOP_READ, on_parent, &err) < 0) {
        imsg_send_err(IMSG_FD, &err, NULL);
        return 1;
    }
    loop_run(p.loop);
    return 0;
}
