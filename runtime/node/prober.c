/* prober.c -- the node's end: calls by number, and the child they go to. */
#include "runtime/node/prober.h"

#include <signal.h>

#include "core/base/json.h"
#include "core/base/list.h"
#include "core/base/log.h"
#include "core/loop/child.h"
#include "runtime/node/node.h"
#include "runtime/node/prober_wire.h"

#define AGAIN_MS 5                       /* when the socket is full */

struct prober {
    struct loop *loop;
    char *exe;
    struct child *child;
    struct list calls;                   /* in the order they came */
    int64_t last_id;
    struct loop_timer again;
};

struct prober_call {
    struct prober *prober;
    struct list link;
    int64_t id, timeout_ms;
    bool sent, answered;
    struct buf text;                     /* what to send; then what came */
    struct prober_head head;
    struct err err;                      /* of a get, or of a lost one */
    struct loop_timer late, tell;
    prober_done *done;
    void *ctx;
};

/* --- the end of a call */

static void call_free(struct prober_call *c)
{
    list_del(&c->link);
    loop_timer_del(&c->late);
    loop_timer_del(&c->tell);
    buf_deinit(&c->text);
    mem_free(c);
}

static void on_tell(struct loop_timer *t)
{
    struct prober_call *c = container_of(t, struct prober_call, tell);
    struct prober_answer a = { .lost = !c->answered, .result = PROBE_ERROR };

    a.message = c->err.code ? c->err.msg : c->text.p ? c->text.p : "";
    a.get.err = c->err.code ? &c->err : NULL;
    a.get.lost = a.lost;
    if (c->answered) {
        a.get.status = c->head.status;
        a.get.body = (struct slice){ c->text.p ? c->text.p : "", c->text.len };
        a.result = (enum probe_result)c->head.result;
    }
    c->done(c->ctx, &a);
    call_free(c);
}

static void tell(struct prober_call *c)
{
    loop_timer_del(&c->late);
    loop_timer_set(c->prober->loop, &c->tell, 0, on_tell);
}

static void lose(struct prober_call *c, const char *why)
{
    if (c->answered || c->err.code)
        return;
    err_set(&c->err, ERR_UNAVAILABLE, "probing process: %s", why);
    c->sent = true;                      /* not again */
    tell(c);
}

/* --- the child */

static struct prober_call *find(struct prober *p, int64_t id)
{
    list_each(c, &p->calls, struct prober_call, link)
        if (c->id == id && c->sent && !c->answered && !c->err.code)
            return c;
    return NULL;
}

/* Whatever it says is a stranger's word: numbers are looked up, lengths are the record's own. */
static void on_msg(struct child *child, struct imsg *m, void *ctx)
{
    struct prober *p = ctx;
    struct prober_head head;
    struct prober_call *c;
    size_t bytes;

    (void)child;
    if (m->type != PROBER_ANSWER || m->len < sizeof(head))
        return;
    bytes = m->len - sizeof(head);
    memcpy(&head, m->data, sizeof(head));
    c = find(p, head.id);
    if (!c || head.result < 0 || head.result > PROBE_ERROR)
        return;
    c->head = head;
    c->answered = true;
    buf_clear(&c->text);
    if (bytes > NODE_GET_BODY_MAX)
        bytes = NODE_GET_BODY_MAX;
    buf_add(&c->text, m->data + sizeof(head), bytes);
    if (head.failed)
        err_set(&c->err, ERR_FAILED, "%s", c->text.p ? c->text.p : "");
    tell(c);
}

static void send_asks(struct prober *p);

static void on_exit_child(struct child *child, int status, int sig, void *ctx)
{
    struct prober *p = ctx;

    p->child = child_free(child);
    log_warn("the probing process ended", "status=%d signal=%d", status, sig);
    list_each(c, &p->calls, struct prober_call, link)
        if (c->sent)
            lose(c, "it ended");
    send_asks(p);
}

static int start_child(struct prober *p, struct err *err)
{
    struct child_opts o = { .verb = NODE_PROBE_VERB, .exe = p->exe, .fds = { -1 },
                            .on_msg = on_msg, .on_exit = on_exit_child, .ctx = p };

    return p->child ? 0 : child_start(&p->child, p->loop, &o, err);
}

static void on_late(struct loop_timer *t)
{
    struct prober_call *c = container_of(t, struct prober_call, late);

    log_warn("the probing process does not answer", "killing=true");
    if (c->prober->child)
        (void)child_kill(c->prober->child, SIGKILL, NULL);
    lose(c, "it did not answer");
}

/* --- sending */

static void on_again(struct loop_timer *t)
{
    send_asks(container_of(t, struct prober, again));
}

/* False: the socket is full, later. */
static bool send_ask(struct prober *p, struct prober_call *c)
{
    struct err err = ERR_INIT;

    if (start_child(p, &err) < 0 ||
        child_send(p->child, PROBER_ASK, c->text.p, c->text.len, NULL, 0, &err) < 0) {
        if (err.code == ERR_UNAVAILABLE)
            return false;
        lose(c, err.msg);
        return true;
    }
    c->sent = true;
    loop_timer_set(p->loop, &c->late, c->timeout_ms + PROBER_GRACE_MS, on_late);
    return true;
}

static void send_asks(struct prober *p)
{
    list_each(c, &p->calls, struct prober_call, link)
        if (!c->sent && !send_ask(p, c)) {
            loop_timer_set(p->loop, &p->again, AGAIN_MS, on_again);
            return;
        }
}

static struct json *get_json(struct arena *a, const struct http_get_action_view *w)
{
    struct json *get = json_object(a), *names = json_array(a), *values = json_array(a);

    json_set_str(a, get, "host", w->host ? w->host : "");
    json_set_str(a, get, "path", w->path ? w->path : "");
    json_set_str(a, get, "scheme", w->scheme ? w->scheme : "");
    for (unsigned i = 0; i < w->n_http_headers; i++) {
        json_append(a, names, json_str(a, w->http_headers[i].name));
        json_append(a, values, json_str(a, w->http_headers[i].value ? w->http_headers[i].value
                                                                    : ""));
    }
    json_set(a, get, "names", names);
    json_set(a, get, "values", values);
    return get;
}

static void write_ask(struct prober_call *c, const struct prober_ask *ask)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    struct json *doc = json_object(a);

    json_set_int(a, doc, "id", c->id);
    json_set_int(a, doc, "ms", ask->timeout_ms);
    json_set_str(a, doc, "host", ask->host);
    json_set_int(a, doc, "port", ask->port);
    if (ask->get)
        json_set(a, doc, "get", get_json(a, ask->get));
    else if (ask->service)
        json_set_str(a, doc, "service", ask->service);
    json_write(&c->text, doc);
}

/* --- */

struct prober_call *prober_call(struct prober *p, const struct prober_ask *ask, prober_done *done,
                                void *ctx)
{
    struct prober_call *c = NEW(struct prober_call);

    *c = (struct prober_call){ .prober = p, .id = ++p->last_id, .timeout_ms = ask->timeout_ms,
                               .text = BUF_INIT, .err = ERR_INIT, .done = done, .ctx = ctx };
    list_push(&p->calls, &c->link);
    write_ask(c, ask);
    send_asks(p);
    return c;
}

void prober_cancel(struct prober_call *c)
{
    if (!c)
        return;
    if (c->sent && !c->answered && c->prober->child)
        (void)child_send(c->prober->child, PROBER_CANCEL, &c->id, sizeof(c->id), NULL, 0, NULL);
    call_free(c);
}

struct prober *prober_new(struct loop *l, const char *exe)
{
    struct prober *p = NEW(struct prober);

    p->loop = l;
    p->exe = exe ? mem_strdup(exe) : NULL;
    list_init(&p->calls);
    return p;
}

struct prober *prober_free(struct prober *p)
{
    if (!p)
        return NULL;
    loop_timer_del(&p->again);
    child_free(p->child);
    mem_free(p->exe);
    return mem_free(p);
}
