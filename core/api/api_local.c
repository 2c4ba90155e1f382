/* api_local.c: the client door in process: the same phases as over HTTPS, without a socket. */
#include "core/api/api_call.h"

struct api_client {
    struct client client;                    /* first */
    struct api *api;
    char *user;
};

struct local_call {
    struct api_client *owner;
    void (*on_done)(const struct client_result *r, void *ctx);
    void *ctx;
};

static void fill_failure(struct client_result *r, const struct status *s)
{
    r->code = s->code;
    r->reason = s->reason;
    r->message = s->message;
}

static void call_done(struct api_call *c)
{
    struct local_call *l = (struct local_call *)(void *)c->user_data;
    struct client_result r = { .code = c->code, .reason = "", .message = "" };

    if (c->status)
        fill_failure(&r, c->status);
    else {
        r.object = c->object;
        r.body = c->tree;
    }
    if (l->on_done)
        l->on_done(&r, l->ctx);
    mem_free(l);
    api_call_free(c);
}

static const enum api_verb verb_of[CLIENT_VERB_MAX] = {
    [CLIENT_GET] = API_GET, [CLIENT_CREATE] = API_CREATE, [CLIENT_UPDATE] = API_UPDATE,
    [CLIENT_PATCH_MERGE] = API_PATCH, [CLIENT_PATCH_JSON] = API_PATCH,
        [CLIENT_PATCH_STRATEGIC] = API_PATCH,
    [CLIENT_DELETE] = API_DELETE,
};
static const char *const patch_types[CLIENT_VERB_MAX] = {
    [CLIENT_PATCH_MERGE] = "application/merge-patch+json",
    [CLIENT_PATCH_JSON] = "application/json-patch+json",
    [CLIENT_PATCH_STRATEGIC] = "application/strategic-merge-patch+json",
};

static const struct json *delete_body(struct api_call *c, const struct client_req *req)
{
    struct json *o = json_object(c->a), *pre = json_object(c->a);

    if (req->body)
        return req->body;
    if (req->grace_s >= 0)
        json_set_int(c->a, o, "gracePeriodSeconds", req->grace_s);
    if (req->propagation)
        json_set_str(c->a, o, "propagationPolicy", req->propagation);
    if (req->uid_precondition)
        json_set_str(c->a, pre, "uid", req->uid_precondition);
    if (req->rv_precondition)
        json_set_str(c->a, pre, "resourceVersion", req->rv_precondition);
    if (json_len(pre))
        json_set(c->a, o, "preconditions", pre);
    return o;
}

static void fill_body(struct api_call *c, const struct client_req *req)
{
    const struct json *body = req->verb == CLIENT_DELETE ? delete_body(c, req) : req->body;
    struct buf b = BUF_INIT;

    if (!body)
        return;
    json_write(&b, body);
    c->body = (struct slice){ arena_strndup(c->a, b.p, b.len), b.len };
    buf_deinit(&b);
}

static int do_req(struct client *client, const struct client_req *req, struct err *err)
{
    struct api_client *self = (struct api_client *)(void *)client;
    struct local_call *l;
    struct api_call *c;

    if (req->subresource && !kind_sub(req->kind, req->subresource))
        return err_set(err, ERR_INVALID, "%s has no subresource %s", req->kind->resource,
                       req->subresource);
    c = api_call_new(self->api, client->loop);
    l = NEW(struct local_call);
    *l = (struct local_call){ self, req->on_done, req->ctx };
    c->user_data = l;
    c->on_done = call_done;
    c->route = (struct api_route){
        .verb = verb_of[req->verb], .kind = req->kind,
        .sub = req->subresource ? kind_sub(req->kind, req->subresource) : NULL,
        .ns = arena_strdup(c->a, req->ns ? req->ns : ""),
        .name = arena_strdup(c->a, req->name ? req->name : ""), .tail = "",
    };
    c->content_type = patch_types[req->verb] ? patch_types[req->verb] : "application/json";
    c->opt.strict = STRICT_IGNORE;
    c->opt.field_manager = self->user;
    auth_user_named(&c->user, self->user, "system:masters");
    fill_body(c, req);
    api_call_dispatch(c);
    return 0;
}

/* --- watches: list, then a cursor; when the cursor falls behind, list again */

struct local_watch {
    struct client_watch watch;               /* first */
    struct api_client *owner;
    struct loop_timer start;
    struct watch_cursor *cursor;
    struct api_filter filter;
    struct api_call *scratch;                /* holds the selectors' texts and the kind */
    void (*on_sync)(bool end, void *ctx);
    void (*on_event)(enum client_event type, struct object *o, void *ctx);
    void *ctx;
};

static void on_start(struct loop_timer *t);

static void relist(struct local_watch *w)
{
    w->cursor = watch_cursor_free(w->cursor);
    loop_timer_set(w->owner->client.loop, &w->start, 0, on_start);
}

static void tell(struct local_watch *w, const struct watch_event *e)
{
    bool now = e->type != WATCH_DELETED && api_filter_keeps(&w->filter, e->object);
    bool before = api_filter_keeps(&w->filter, e->prev ? e->prev : e->object);

    if (e->type == WATCH_ADDED)
        before = false;
    if (now)
        w->on_event(before ? CLIENT_MODIFIED : CLIENT_ADDED, e->object, w->ctx);
    else if (before)
        w->on_event(CLIENT_DELETED, e->object, w->ctx);
}

static void on_more(void *ctx)
{
    struct local_watch *w = ctx;
    struct watch_event *e = NULL;
    struct err err = ERR_INIT;

    for (;;) {
        if (watch_cursor_next(w->cursor, &e, &err) < 0) {
            relist(w);
            return;
        }
        if (!e)
            return;
        tell(w, e);
        watch_event_unref(e);
    }
}

static bool keep(void *ctx, struct object *o)
{
    return api_filter_keeps(ctx, o);
}

static void on_start(struct loop_timer *t)
{
    struct local_watch *w = container_of(t, struct local_watch, start);
    struct watch_cache *cache = w->owner->api->cache;
    const struct api_route *r = &w->scratch->route;
    struct watch_list_opts lo = { .kind = r->kind->storage, .ns = r->ns, .keep = keep,
                                  .ctx = &w->filter };
    struct watch_cursor_opts co = { .kind = lo.kind, .ns = r->ns, .loop = w->owner->client.loop,
                                    .topic = api_filter_topic(&w->filter, w->scratch),
                                    .on_more = on_more, .ctx = w };
    struct watch_list l;

    if (watch_cache_list(&l, cache, &lo, NULL) < 0) {
        relist(w);
        return;
    }
    w->on_sync(false, w->ctx);
    for (size_t i = 0; i < l.len; i++)
        w->on_event(CLIENT_ADDED, l.v[i], w->ctx);
    co.after = l.revision;
    watch_list_deinit(&l);
    if (watch_cursor_new(&w->cursor, cache, &co, NULL) < 0) {
        relist(w);
        return;
    }
    w->on_sync(true, w->ctx);
    on_more(w);
}

static struct client_watch *watch_free(struct client_watch *watch)
{
    struct local_watch *w = (struct local_watch *)(void *)watch;

    loop_timer_del(&w->start);
    watch_cursor_free(w->cursor);
    api_filter_deinit(&w->filter);
    api_call_free(w->scratch);
    return mem_free(w);
}

static int watch(struct client *client, struct client_watch **out,
                 const struct client_watch_opts *o,
                 struct err *err)
{
    struct api_client *self = (struct api_client *)(void *)client;
    struct local_watch *w = NEW(struct local_watch);
    struct api_call *c = api_call_new(self->api, client->loop);

    *w = (struct local_watch){ .watch.ops = client->ops, .owner = self, .scratch = c,
                               .on_sync = o->on_sync,
                               .on_event = o->on_event, .ctx = o->ctx };
    c->route = (struct api_route){ .verb = API_WATCH, .kind = o->kind, .name = "", .tail = "",
                                   .ns = arena_strdup(c->a, o->ns ? o->ns : "") };
    c->opt.label_selector = arena_strdup(c->a, o->label_selector);
    c->opt.field_selector = arena_strdup(c->a, o->field_selector);
    if (api_filter_init(&w->filter, c) < 0) {
        err_set(err, ERR_INVALID, "%s", c->status->message);
        watch_free(&w->watch);
        return -1;
    }
    loop_timer_set(client->loop, &w->start, 0, on_start);
    *out = &w->watch;
    return 0;
}

static struct client *free_client(struct client *client)
{
    struct api_client *self = (struct api_client *)(void *)client;

    mem_free(self->user);
    return mem_free(self);
}

static const struct client_ops ops = { .do_req = do_req, .watch = watch, .watch_free = watch_free,
                                       .free = free_client };

int api_client_new(struct client **out, struct api *api, struct loop *loop, const char *user,
                   struct err *err)
{
    struct api_client *self = NEW(struct api_client);

    (void)err;
    self->api = api;
    self->user = mem_strdup(user);
    self->client = (struct client){ .ops = &ops, .loop = loop, .name = self->user };
    *out = &self->client;
    return 0;
}
