/* fake_client.c: the door of the fake cluster: requests wait for their turn, watches for theirs. */
#include "tests/fake/fake_client_impl.h"

#include "core/base/check.h"
#include "core/base/yaml.h"
#include "core/object/patch.h"
#include "tests/fake/fake_env.h"

/* --- watches */

static bool matches(const struct fake_watch *w, const struct object *o)
{
    if (!o || object_kind(o) != w->opts.kind->storage)
        return false;
    if (*w->ns && !str_eq(w->ns, object_ns(o)))
        return false;
    return (!w->labels || selector_matches(w->labels, o)) && (!w->fields ||
                                                              fieldsel_matches(w->fields, o));
}

static void on_watch_turn(struct loop_timer *t);

static void wake(struct fake_watch *w, int64_t after_ms)
{
    if (!loop_timer_is_set(&w->timer))
        loop_timer_set(w->owner->loop, &w->timer, after_ms, on_watch_turn);
}

static void enqueue(struct fake_watch *w, enum client_event type, struct object *o)
{
    struct fake_event e = { type, object_ref(o), loop_now_ms(w->owner->loop) + w->owner->lag_ms };

    vec_push(&w->queue, e);
    wake(w, w->owner->lag_ms);
}

void fake_client_publish(struct fake_client *f, struct object *before, struct object *after,
                         struct object *last)
{
    list_each (w, &f->watches, struct fake_watch, link) {
        bool was = matches(w, before), is = matches(w, after);

        if (!w->listed)
            continue;
        if (is)
            enqueue(w, was ? CLIENT_MODIFIED : CLIENT_ADDED, after);
        else if (was)
            enqueue(w, CLIENT_DELETED, after ? after : last);
    }
}

static void clear_queue(struct fake_watch *w)
{
    for (size_t i = 0; i < w->queue.len; i++)
        object_unref(w->queue.v[i].object);
    w->queue.len = 0;
}

static void list_all(struct fake_watch *w)
{
    struct map *m = w->owner->objects[w->opts.kind->storage->id];
    const char *key;
    void *value;

    w->listed = true;
    w->opts.on_sync(false, w->opts.ctx);
    for (size_t at = 0; m && map_next(m, &at, &key, &value);)
        if (matches(w, value))
            w->opts.on_event(CLIENT_ADDED, value, w->opts.ctx);
    w->opts.on_sync(true, w->opts.ctx);
}

/* One event a turn, so that a handler may free the watch. */
static void on_watch_turn(struct loop_timer *t)
{
    struct fake_watch *w = container_of(t, struct fake_watch, timer);
    struct fake_event e;

    if (!w->listed) {
        list_all(w);
        return;
    }
    if (!w->queue.len)
        return;
    e = w->queue.v[0];
    w->queue.len--;
    memmove(w->queue.v, w->queue.v + 1, w->queue.len * sizeof(e));
    if (w->queue.len)
        wake(w, w->queue.v[0].due_ms - loop_now_ms(w->owner->loop));
    w->opts.on_event(e.type, e.object, w->opts.ctx);
    object_unref(e.object);
}

static struct client_watch *free_watch(struct client_watch *watch)
{
    struct fake_watch *w = (struct fake_watch *)(void *)watch;

    loop_timer_del(&w->timer);
    list_del(&w->link);
    clear_queue(w);
    vec_deinit(&w->queue);
    selector_free(w->labels);
    fieldsel_free(w->fields);
    mem_free(w->ns);
    return mem_free(w);
}

static int new_watch(struct client *c, struct client_watch **out,
                     const struct client_watch_opts *opts,
                     struct err *err)
{
    struct fake_client *f = ((struct fake_door *)(void *)c)->owner;
    struct fake_watch *w = NEW(struct fake_watch);

    *w = (struct fake_watch){ .watch.ops = c->ops, .owner = f, .opts = *opts,
                              .ns = mem_strdup(opts->ns ? opts->ns : "") };
    list_push(&f->watches, &w->link);
    if ((opts->label_selector && selector_parse(&w->labels, opts->label_selector, err) < 0) ||
        (opts->field_selector && fieldsel_parse(&w->fields, opts->kind, opts->field_selector,
                                                err) < 0)) {
        free_watch(&w->watch);
        return -1;
    }
    w->opts.ns = w->opts.label_selector = w->opts.field_selector = NULL;
    wake(w, 0);
    *out = &w->watch;
    return 0;
}

void fake_client_drop_watches(struct fake_client *f, const struct kind *kind)
{
    list_each (w, &f->watches, struct fake_watch, link) {
        if (kind && w->opts.kind->storage != kind->storage)
            continue;
        clear_queue(w);
        w->listed = false;
        loop_timer_del(&w->timer);
        wake(w, f->lag_ms);
    }
}

/* --- requests */

static void answer(struct fake_call *c)
{
    struct client_result r = { .code = c->code, .object = c->object, .body = c->body,
                               .reason = c->reason ? c->reason : "",
                               .message = c->message ? c->message : "" };

    if (c->req.on_done)
        c->req.on_done(&r, c->req.ctx);
    object_unref(c->object);
    arena_free(c->a);
    mem_free(c);
}

static struct fake_fault *fault_of(struct fake_client *f, const struct fake_call *c)
{
    for (size_t i = 0; i < f->faults.len; i++) {
        struct fake_fault *fault = &f->faults.v[i];

        if (fault->left && fault->verb == c->req.verb && (!fault->kind ||
                                                          fault->kind == c->req.kind)) {
            fault->left--;
            return fault;
        }
    }
    return NULL;
}

static void execute(struct fake_client *f, struct fake_call *c)
{
    const struct fake_fault *fault;

    f->counts[c->req.verb][c->req.kind->storage->id]++;
    if (f->on_request)
        f->on_request(&c->req, f->ctx);
    fault = fault_of(f, c);              /* on_request may have added to them */
    if (!fault || fault->when == FAKE_CLIENT_AFTER)
        fake_client_execute(f, c);
    if (!fault)
        return;
    c->code = fault->code;
    c->object = object_unref(c->object);
    c->body = NULL;
    c->reason = fault->code == 409 ? "Conflict" : fault->code ? "InternalError" : "";
    c->message = fault->code ? "injected fault" : "connection refused";
}

static void on_turn(struct loop_timer *t)
{
    struct fake_client *f = container_of(t, struct fake_client, turn);
    struct fake_call *c = list_first(&f->calls, struct fake_call, link);

    if (!c)
        return;
    list_del(&c->link);
    if (!list_empty(&f->calls))
        loop_timer_set(f->loop, &f->turn, 0, on_turn);
    execute(f, c);
    answer(c);
}

static int do_req(struct client *client, const struct client_req *req, struct err *err)
{
    struct fake_door *door = (struct fake_door *)(void *)client;
    struct fake_client *f = door->owner;
    struct fake_call *c;
    struct arena *a;

    if (req->subresource && !kind_sub(req->kind, req->subresource))
        return err_set(err, ERR_INVALID, "%s has no subresource %s", req->kind->resource,
                       req->subresource);
    if (req->verb != CLIENT_CREATE && str_empty(req->name))
        return err_set(err, ERR_INVALID, "%s: no name", req->kind->resource);
    a = arena_new(0);
    c = NEW(struct fake_call);
    *c = (struct fake_call){ .a = a, .req = *req };
    c->req.ns = arena_strdup(a, req->ns ? req->ns : "");
    c->req.name = arena_strdup(a, req->name ? req->name : "");
    c->req.subresource = arena_strdup(a, req->subresource ? req->subresource : "");
    c->req.body = req->body ? json_clone(a, req->body) : NULL;
    c->req.field_manager = arena_strdup(a, req->field_manager ? req->field_manager : door->name);
    c->req.uid_precondition = arena_strdup(a, req->uid_precondition);
    c->req.rv_precondition = arena_strdup(a, req->rv_precondition);
    c->req.propagation = arena_strdup(a, req->propagation);
    list_push(&f->calls, &c->link);
    if (!loop_timer_is_set(&f->turn))
        loop_timer_set(f->loop, &f->turn, 0, on_turn);
    return 0;
}

static struct client *free_door(struct client *client)
{
    struct fake_door *d = (struct fake_door *)(void *)client;

    if (d->own)
        return NULL;
    mem_free(d->name);
    return mem_free(d);
}

static const struct client_ops ops = { .do_req = do_req, .watch = new_watch,
                                       .watch_free = free_watch,
                                       .free = free_door };

static void open_door(struct fake_door *d, struct fake_client *f, const char *name)
{
    d->owner = f;
    d->name = mem_strdup(name);
    d->client = (struct client){ .ops = &ops, .loop = f->loop, .name = d->name };
}

struct client *fake_client_open(struct fake_client *f, const char *name)
{
    struct fake_door *d = NEW(struct fake_door);

    open_door(d, f, name);
    return &d->client;
}

struct client *fake_client_door(struct fake_client *f)
{
    return &f->door.client;
}

struct fake_client *fake_client_new(struct loop *loop)
{
    struct fake_client *f = NEW(struct fake_client);

    f->loop = loop;
    f->rv = 1000;
    f->next_ip = 10;
    f->next_port = 30000;
    list_init(&f->watches);
    list_init(&f->calls);
    open_door(&f->door, f, "fake");
    f->door.own = true;
    return f;
}

static void unref(void *o)
{
    object_unref(o);
}

void fake_client_cut(struct fake_client *f)
{
    loop_timer_del(&f->turn);
    list_each (c, &f->calls, struct fake_call, link) {
        list_del(&c->link);
        c->message = "the client is closed";
        answer(c);
    }
}

struct fake_client *fake_client_free(struct fake_client *f)
{
    if (!f)
        return NULL;
    fake_client_cut(f);
    check(list_empty(&f->watches));
    for (unsigned i = 0; i < KIND_ID_MAX; i++)
        map_free(f->objects[i], unref);
    vec_deinit(&f->faults);
    mem_free(f->door.name);
    return mem_free(f);
}

void fake_client_run(struct fake_client *f)
{
    while (loop_step(f->loop, 0))
        ;
}

void fake_client_pass(struct fake_client *f, struct fake_env *env, int64_t ms, int64_t step_ms)
{
    fake_client_run(f);
    while (ms > 0) {
        int64_t step = ms < step_ms ? ms : step_ms;

        fake_env_advance(env, step);
        ms -= step;
        fake_client_run(f);
    }
}

/* --- what a test does */

static struct json *parse_all(struct arena *a, const char *yaml)
{
    struct json *out;
    struct err err = ERR_INIT;

    if (yaml_parse_all(&out, a, yaml, strlen(yaml), &err) < 0)
        check_fail(arena_printf(a, "%s in %s", err.msg, yaml), __FILE__, __LINE__);
    return out;
}

static struct object *put_one(struct fake_client *f, struct arena *a, struct json *raw)
{
    const char *version = json_get_str(raw, "apiVersion"), *name = json_get_str(raw, "kind");
    const struct kind *kind = kind_by_api_version(version ? version : "", name ? name : "");
    struct codec_notes notes = { .a = a };
    struct json *tree, *meta;
    struct err err = ERR_INIT;

    if (!kind)
        check_fail(arena_printf(a, "no kind %s in %s", name, version), __FILE__, __LINE__);
    if (codec_canonical(&tree, a, kind->type, raw, &notes, &err) < 0)
        check_fail(arena_strdup(a, err.msg), __FILE__, __LINE__);
    if (notes.len)
        check_fail(codec_notes_text(&notes), __FILE__, __LINE__);
    json_set_str(a, tree, "kind", kind->kind);
    json_set_str(a, tree, "apiVersion", kind_api_version(kind));
    codec_default(tree, a, kind);
    meta = json_ensure_object(a, tree, "metadata");
    if (kind->namespaced && !json_get(meta, "namespace"))
        json_set_str(a, meta, "namespace", "default");
    if (kind->has_generation && !json_get(meta, "generation"))
        json_set_int(a, meta, "generation", 1);
    fake_client_fill(f, a, meta);
    return fake_client_store(f, a, kind, tree);
}

struct object *fake_client_put(struct fake_client *f, const char *yaml)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    struct json *all = parse_all(a, yaml), *it;
    struct object *last = NULL;

    json_each(it, all)
        last = put_one(f, a, it);
    check(last);
    return last;
}

struct object *fake_client_edit(struct fake_client *f, const struct kind *kind, const char *ns,
                                const char *name,
                                const char *yaml)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    struct object *old = fake_client_get(f, kind, ns, name);
    struct json *patch = json_at(parse_all(a, yaml), 0), *before, *raw, *tree, *meta;
    struct err err = ERR_INIT;

    if (!old)
        check_fail(arena_printf(a, "no %s %s/%s", kind->resource, ns, name), __FILE__, __LINE__);
    before = object_tree(old, a);
    if (patch_merge(&raw, a, before, patch, &err) < 0 ||
        codec_canonical(&tree, a, kind->type, raw, NULL, &err) < 0)
        check_fail(arena_strdup(a, err.msg), __FILE__, __LINE__);
    json_set_str(a, tree, "kind", kind->kind);
    json_set_str(a, tree, "apiVersion", kind_api_version(kind));
    codec_default(tree, a, kind);
    meta = json_get(tree, "metadata");
    if (kind->has_generation && !json_equal(json_get(tree, "spec"), json_get(before, "spec")))
        json_set_int(a, meta, "generation", object_generation(old) + 1);
    return fake_client_store(f, a, kind, tree);
}

void fake_client_drop(struct fake_client *f, const struct kind *kind, const char *ns,
                      const char *name)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    struct object *o = fake_client_get(f, kind, ns, name);

    if (o)
        object_unref(fake_client_remove(f, o, a));
}

int fake_client_delete(struct fake_client *f, const struct kind *kind, const char *ns,
                       const char *name,
                       const char *propagation)
{
    struct fake_call c = { .a = arena_new(0) };

    c.req = (struct client_req){ .verb = CLIENT_DELETE, .kind = kind, .ns = ns, .name = name,
                                 .grace_s = -1,
                                 .subresource = "", .field_manager = "",
                                 .propagation = propagation };
    fake_client_execute(f, &c);
    object_unref(c.object);
    arena_free(c.a);
    return c.code;
}

/* --- looking */

struct object *fake_client_get(struct fake_client *f, const struct kind *kind, const char *ns,
                               const char *name)
{
    const struct map *m = f->objects[kind->storage->id];
    char key[OBJECT_KEY_BYTES];

    object_key_of(key, ns, name);
    return m ? map_get(m, key) : NULL;
}

size_t fake_client_count(const struct fake_client *f, const struct kind *kind)
{
    const struct map *m = f->objects[kind->storage->id];

    return m ? map_len(m) : 0;
}

struct object *fake_client_next(struct fake_client *f, const struct kind *kind, size_t *at)
{
    const struct map *m = f->objects[kind->storage->id];
    const char *key;
    void *value;

    return m && map_next(m, at, &key, &value) ? value : NULL;
}

size_t fake_client_calls(const struct fake_client *f, enum client_verb verb,
                         const struct kind *kind)
{
    size_t sum = 0;

    for (unsigned i = 0; i < KIND_ID_MAX; i++)
        if (!kind || kind->storage->id == i)
            sum += f->counts[verb][i];
    return sum;
}

size_t fake_client_writes(const struct fake_client *f)
{
    size_t sum = 0;

    for (int v = CLIENT_CREATE; v < CLIENT_VERB_MAX; v++)
        sum += fake_client_calls(f, (enum client_verb)v, NULL);
    return sum;
}

/* --- faults */

void fake_client_fail(struct fake_client *f, enum client_verb verb, const struct kind *kind,
                      unsigned n, int code)
{
    struct fake_fault fault = { verb, kind, n, code, FAKE_CLIENT_BEFORE };

    vec_push(&f->faults, fault);
}

void fake_client_lose(struct fake_client *f, enum client_verb verb, const struct kind *kind,
                      unsigned n)
{
    struct fake_fault fault = { verb, kind, n, 0, FAKE_CLIENT_AFTER };

    vec_push(&f->faults, fault);
}

void fake_client_heal(struct fake_client *f)
{
    f->faults.len = 0;
}

void fake_client_lag(struct fake_client *f, int64_t ms)
{
    f->lag_ms = ms;
}

void fake_client_on_request(struct fake_client *f, void (*fn)(const struct client_req *req,
                                                              void *ctx), void *ctx)
{
    f->on_request = fn;
    f->ctx = ctx;
}
