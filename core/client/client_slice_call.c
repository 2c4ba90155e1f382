/* client_slice_call.c -- requests: what is remembered of their answers, and when it is the answer.
 *
 *   kept and away:            answered from memory in the next round
 *   kept, and no answer:      answered from memory then
 *   200, 201: kept   404: kept that there is none; a token: forgotten   403: forgotten
 */
#include "core/base/map.h"
#include "core/base/mem.h"
#include "core/client/client_slice_impl.h"
#include "core/object/podrefs.h"

#define ARENA_BYTES (64u << 20)

struct call {
    struct list link;
    struct client_slice *client;
    const struct kind *kind;
    void (*on_done)(const struct client_result *r, void *ctx);
    void *ctx;
    struct client_slice_kept *kept;      /* where its answer belongs; NULL: nowhere */
    char *key;
    bool token;
    struct loop_timer timer;             /* answers from memory */
};

static void call_free(struct call *q)
{
    list_del(&q->link);
    loop_timer_del(&q->timer);
    mem_free(q->key);
    mem_free(q);
}

static void call_end(struct call *q, const struct client_result *r)
{
    void (*on_done)(const struct client_result *, void *) = q->on_done;
    void *ctx = q->ctx;

    call_free(q);
    if (on_done)
        on_done(r, ctx);
}

/* --- from memory */

static void answer_object(struct call *q, struct slice text, struct client_result *r)
{
    _cleanup_(object_unrefp) struct object *o = NULL;
    _cleanup_(mem_freep) char *message = NULL;

    if (text.len == 0) {
        message = mem_printf("%s \"%s\" not found", q->kind->resource, strchr(q->key, '/') + 1);
        r->code = 404;
        r->reason = "NotFound";
        r->message = message;
    } else if (object_new(&o, q->kind, text.p, text.len, 0, NULL) == 0) {
        r->code = 200;
        r->object = o;
    }
    call_end(q, r);
}

static void answer_token(struct call *q, struct slice text, struct client_result *r)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(ARENA_BYTES);
    struct json *body;

    if (json_parse(&body, a, text.p, text.len, NULL, NULL) == 0) {
        r->code = 201;
        r->body = body;
    }
    call_end(q, r);
}

/* False: there is nothing; the call goes on. */
static bool answer(struct call *q)
{
    _cleanup_buf_ struct buf text = BUF_INIT;
    struct client_result r = { .reason = "", .message = "what is kept of it cannot be read" };

    if (!q->kept || !client_slice_disk_get(q->client, q->kept, q->key, &text))
        return false;
    if (q->token)
        answer_token(q, (struct slice){ text.p, text.len }, &r);
    else
        answer_object(q, (struct slice){ text.p, text.len }, &r);
    return true;
}

static void on_time(struct loop_timer *t)
{
    struct call *q = container_of(t, struct call, timer);
    struct client_result none = { .reason = "", .message = "no server answers" };

    if (!answer(q))
        call_end(q, &none);
}

/* --- into memory */

static void remember(struct call *q, const struct client_result *r)
{
    _cleanup_buf_ struct buf text = BUF_INIT, mark = BUF_INIT;

    if (client_ok(r) && q->token) {
        if (r->object)
            buf_add(&text, object_bytes(r->object).p, object_bytes(r->object).len);
        else if (r->body)
            json_write(&text, r->body);
        buf_add(&mark, text.p, text.len);
    } else if (client_ok(r) && r->object) {
        client_slice_text(&text, &mark, r->object);
    } else if (r->code == 403 || (r->code == 404 && q->token)) {
        slice_file_del(q->kept->file, q->key);
        client_slice_disk_touch(q->client, q->kept);
        return;
    } else if (r->code != 404) {
        return;
    }
    slice_file_put(q->kept->file, q->key, (struct slice){ text.p ? text.p : "", text.len },
                   (struct slice){ mark.p ? mark.p : "", mark.len });
    client_slice_disk_touch(q->client, q->kept);
}

/* A server that is only busy says nothing about the object. */
static bool says_nothing(int code)
{
    return code == 0 || code == 429 || code >= 500;
}

static void on_answer(const struct client_result *r, void *ctx)
{
    struct call *q = ctx;

    client_slice_heard(q->client, r->code != 0);
    if (says_nothing(r->code) && answer(q))
        return;
    if (!says_nothing(r->code) && q->kept)
        remember(q, r);
    call_end(q, r);
}

/* --- what is kept under which key */

static void token_key(struct buf *out, const struct client_req *req)
{
    struct json *audiences = json_path(req->body, "spec.audiences"), *audience;

    buf_fmt(out, "%s/%s/%s/%lld", json_path_str(req->body, "spec.boundObjectRef.uid"), req->ns,
            req->name, (long long)json_get_int(json_path(req->body, "spec"),
                                               "expirationSeconds", 0));
    json_each(audience, audiences)
        buf_fmt(out, "/%s", json_text(audience) ? json_text(audience) : "");
}

static void choose(struct call *q, const struct client_req *req)
{
    struct client_slice *c = q->client;
    struct buf key = BUF_INIT;

    if (str_empty(req->ns) || str_empty(req->name))
        return;
    if (req->verb == CLIENT_GET && str_empty(req->subresource)) {
        if (req->kind == kind_config_map())
            q->kept = c->configmaps;
        else if (req->kind == kind_secret())
            q->kept = c->secrets;
        buf_fmt(&key, "%s/%s", req->ns, req->name);
    } else if (req->verb == CLIENT_CREATE && str_eq(req->subresource, "token") &&
               req->kind == kind_service_account() &&
               json_path_str(req->body, "spec.boundObjectRef.uid")) {
        q->kept = c->tokens;
        q->token = true;
        token_key(&key, req);
    }
    q->key = key.p;
}

int client_slice_call_do(struct client *base, const struct client_req *req, struct err *err)
{
    struct client_slice *c = client_slice_of(base);
    struct call *q = NEW(struct call);
    struct client_req below = *req;
    bool kept;

    q->client = c;
    q->kind = req->kind;
    q->on_done = req->on_done;
    q->ctx = req->ctx;
    list_push(&c->calls, &q->link);
    choose(q, req);
    kept = q->kept && slice_file_has(q->kept->file, q->key);
    if (kept && c->server == CLIENT_SLICE_AWAY) {
        loop_timer_set(c->base.loop, &q->timer, 0, on_time);
        return 0;
    }
    if ((kept || (q->kept && c->server == CLIENT_SLICE_AWAY)) &&
        (!below.timeout_ms || below.timeout_ms > CLIENT_SLICE_PATIENCE_MS))
        below.timeout_ms = CLIENT_SLICE_PATIENCE_MS;
    below.on_done = on_answer;
    below.ctx = q;
    if (client_do(c->inner, &below, err) == 0)
        return 0;
    call_free(q);
    return -1;
}

/* The client below goes next, and with it those on their way. */
void client_slice_call_drop(struct client_slice *c)
{
    list_each(q, &c->calls, struct call, link)
        call_free(q);
}

/* --- what is no longer needed */

struct named { struct map *keys; const char *ns; };

static void on_ref(void *ctx, const struct kind *kind, const char *name)
{
    const struct named *n = ctx;
    _cleanup_(mem_freep) char *key = mem_printf("%s/%s/%s", kind->resource, n->ns, name);

    map_put(n->keys, key, n->keys);
}

static void on_pod(void *ctx, struct object *pod)
{
    struct named *n = ctx;
    const struct pod_spec_view *spec = &pod_view(pod)->spec;

    n->ns = object_ns(pod);
    podrefs_each(spec, on_ref, n);
    podrefs_each_pull(spec, on_ref, n);
    map_put(n->keys, object_uid(pod), n->keys);
}

static bool is_named(const struct named *n, const struct client_slice_kept *k, const char *key)
{
    _cleanup_(mem_freep) char *text = NULL;

    if (str_eq(k->name, "tokens"))
        text = mem_strndup(key, strcspn(key, "/"));
    else
        text = mem_printf("%s/%s", k->name, key);
    return map_get(n->keys, text);
}

void client_slice_call_sweep(struct client_slice *c)
{
    struct client_slice_kept *files[] = { c->configmaps, c->secrets, c->tokens };
    struct named n = { NULL, NULL };

    if (!client_slice_watch_pods(c, NULL, NULL))
        return;
    n.keys = map_new();
    client_slice_watch_pods(c, on_pod, &n);
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        const char *key;

        for (size_t at = 0; files[i] && (key = slice_file_next(files[i]->file, &at));)
            if (!is_named(&n, files[i], key))
                slice_file_del(files[i]->file, key);
        if (files[i])
            client_slice_disk_touch(c, files[i]);
    }
    map_free(n.keys, NULL);
}
