/* sim_net.c -- doors of the cluster, and requests on their way to the API and back.
 *
 *   OUT --arrive--> INSIDE --inner_done--> BACK --deliver--> on_done
 *
 * A request that gets lost, or whose answer does, is answered with code 0 when its sender has
 * waited enough. The parts of the role ask without delay, from within its process.
 */
#include "tests/sim/sim_impl.h"

#include <stdio.h>

#include "core/base/yaml.h"
#include "core/object/codec.h"
#include "store/watch/watch.h"
#include "tests/sim/sim_watch.h"

#define TIMEOUT_MS 4000                  /* a sender waits so long */

enum stage { CALL_OUT, CALL_INSIDE, CALL_BACK };

struct call {
    struct list link;                    /* of its door */
    struct sim_door *door;
    struct arena *a;
    struct client_req req;               /* everything copied */
    struct loop_timer timer;
    enum stage stage;
    bool lost;                           /* it takes effect; nobody hears of it */
    /* the answer */
    int code;
    const char *reason, *message;
    struct object *object;               /* reference */
    struct json *body;
};

static unsigned pick(struct sim *s, unsigned n)
{
    uint64_t x = s->net_random += 0x9e3779b97f4a7c15u;

    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return (unsigned)((x ^ (x >> 31)) % n);
}

static bool is_remote(const struct sim_door *d)
{
    return d->who == SIM_USER || d->who == SIM_NODE;
}

static int64_t delay_of(struct sim_door *d)
{
    return is_remote(d) && d->s->delay_ms ? pick(d->s, (unsigned)d->s->delay_ms + 1) : 0;
}

static bool is_lost(struct sim_door *d)
{
    return is_remote(d) && d->s->loss && pick(d->s, 1000) < d->s->loss;
}

/* --- the way back */

static void finish(struct call *c)
{
    struct client_result r = { .code = c->code, .object = c->object, .body = c->body,
                               .reason = c->reason ? c->reason : "",
                               .message = c->message ? c->message : "" };

    loop_timer_del(&c->timer);
    list_del(&c->link);
    if (c->req.on_done)
        c->req.on_done(&r, c->req.ctx);
    object_unref(c->object);
    arena_free(c->a);
    mem_free(c);
}

static void deliver(struct loop_timer *t)
{
    finish(container_of(t, struct call, timer));
}

static void go_back(struct call *c, int64_t after_ms)
{
    c->stage = CALL_BACK;
    loop_timer_set(c->door->s->loop, &c->timer, after_ms, deliver);
}

static void nobody_answers(struct call *c, const char *why, int64_t after_ms)
{
    c->code = 0;
    c->object = object_unref(c->object);
    c->body = NULL;
    c->reason = "";
    c->message = why;
    go_back(c, after_ms);
}

/* An answer of success is about something that was published, and about nothing else than was
 * meant. */
static void check_answer(struct call *c)
{
    struct sim *s = c->door->s;
    int64_t named = 0, rv = c->object ? object_rv(c->object) : 0;
    const char *text = json_path_str(c->req.body, "metadata.resourceVersion");
    const struct sim_history *h = &s->history[c->req.kind->storage->id];

    if (rv > s->top)
        sim_break(s, "%s %s was answered before it was published", c->req.kind->resource,
                  c->req.name);
    if (c->req.verb != CLIENT_UPDATE || !rv || str_empty(text) ||
        str_to_i64(text, 1, INT64_MAX, &named, NULL) < 0 || named == rv)
        return;
    for (size_t i = h->v.len; i-- > 0 && h->v.v[i].revision >= rv;)
        if (h->v.v[i].revision == rv && h->v.v[i].previous != named)
            sim_break(s, "an update of %s %s meant revision %lld and was made over %lld",
                      c->req.kind->resource, c->req.name, (long long)named,
                      (long long)h->v.v[i].previous);
}

static void note_unanswered(struct sim *s, const struct call *c)
{
    char key[KV_KEY_BYTES_MAX];

    watch_key(key, c->req.kind, c->req.ns, c->req.name ? c->req.name : "");
    map_put(s->role.unanswered, key, s);
}

static void inner_done(const struct client_result *r, void *ctx)
{
    struct call *c = ctx;
    struct sim *s = c->door->s;

    if (!s->role.up || s->role.dying) {
        note_unanswered(s, c);
        nobody_answers(c, "connection reset", delay_of(c->door));
        return;
    }
    c->code = r->code;
    c->reason = arena_strdup(c->a, r->reason);
    c->message = arena_strdup(c->a, r->message);
    c->object = object_ref(r->object);
    c->body = r->body ? json_clone(c->a, r->body) : NULL;
    if (client_ok(r))
        check_answer(c);
    if (c->lost || is_lost(c->door))
        nobody_answers(c, "the answer got lost", is_remote(c->door) ? TIMEOUT_MS : 0);
    else
        go_back(c, delay_of(c->door));
}

/* --- the way in */

/* The fault of the role's own requests that is meant for this one. */
static struct sim_fault *fault_of(struct sim *s, const struct call *c)
{
    for (size_t i = 0; i < s->faults.len && !is_remote(c->door); i++) {
        struct sim_fault *f = &s->faults.v[i];

        if (f->left && f->verb == c->req.verb) {
            f->left--;
            return f;
        }
    }
    return NULL;
}

/* Another writer changes the same object between the read and the write of this request. */
static void rival(struct sim *s, const struct call *c)
{
    const char *name = str_empty(c->req.name) ? "" : c->req.name;
    struct object *o = sim_get(s, c->req.kind, c->req.ns, name);

    if (!s->rival || !o || c->req.verb == CLIENT_GET || pick(s, 1000) >= s->rival ||
        c->req.kind->volatile_class)
        return;
    sim_role_edit(s, o, arena_printf(c->a, "metadata: {annotations: {sim/rival: '%u'}}",
                                     ++s->role.rivals));
}

static void go_in(struct call *c)
{
    struct sim *s = c->door->s;
    struct client_req req = c->req;
    struct err err = ERR_INIT;

    req.on_done = inner_done;
    req.ctx = c;
    if (!sim_plant_request(s, c->door, &req, c->a)) {
        c->code = 200;
        go_back(c, 0);
        return;
    }
    rival(s, c);
    c->stage = CALL_INSIDE;
    if (client_do(c->door->inner, &req, &err) < 0)
        sim_break(s, "%s cannot ask: %s", c->door->name, err.msg);
}

static void arrive(struct loop_timer *t)
{
    struct call *c = container_of(t, struct call, timer);
    struct sim *s = c->door->s;
    const struct sim_fault *fault;

    if (c->door->cut || is_lost(c->door)) {
        nobody_answers(c, "nobody answers", TIMEOUT_MS);
        return;
    }
    if (!s->role.up || s->role.dying) {
        nobody_answers(c, "connection refused", delay_of(c->door));
        return;
    }
    fault = fault_of(s, c);
    if (fault && fault->code) {
        c->code = fault->code;
        c->reason = fault->code == 409 ? "Conflict" : "InternalError";
        c->message = "injected fault";
        go_back(c, 0);
        return;
    }
    c->lost = fault;
    go_in(c);
}

static int do_req(struct client *client, const struct client_req *req, struct err *err)
{
    struct sim_door *d = (struct sim_door *)(void *)client;
    struct call *c;
    struct arena *a;

    if (req->subresource && !kind_sub(req->kind, req->subresource))
        return err_set(err, ERR_INVALID, "%s has no subresource %s", req->kind->resource,
                       req->subresource);
    if (req->verb != CLIENT_CREATE && str_empty(req->name))
        return err_set(err, ERR_INVALID, "%s: no name", req->kind->resource);
    a = arena_new(0);
    c = NEW(struct call);
    *c = (struct call){ .a = a, .door = d, .req = *req };
    c->req.ns = arena_strdup(a, req->ns ? req->ns : "");
    c->req.name = arena_strdup(a, req->name);
    c->req.subresource = arena_strdup(a, req->subresource);
    c->req.body = req->body ? json_clone(a, req->body) : NULL;
    c->req.field_manager = d->name;
    c->req.uid_precondition = arena_strdup(a, req->uid_precondition);
    c->req.rv_precondition = arena_strdup(a, req->rv_precondition);
    c->req.propagation = arena_strdup(a, req->propagation);
    list_push(&d->calls, &c->link);
    loop_timer_set(d->s->loop, &c->timer, delay_of(d), arrive);
    return 0;
}

/* --- who is asking */

static bool is_about(const struct call *c, const struct kind *kind, const char *ns,
                     const char *name)
{
    return c->stage == CALL_INSIDE && c->req.kind->storage == kind && str_eq(c->req.ns, ns) &&
           str_eq(c->req.name, name);
}

static const struct call *call_about(struct sim_door *d, const struct kind *kind, const char *key)
{
    char ns[OBJECT_KEY_BYTES], name[OBJECT_KEY_BYTES];

    object_key_split(key, ns, name);
    list_each(c, &d->calls, struct call, link)
        if (is_about(c, kind, ns, name))
            return c;
    return NULL;
}

static struct sim_door *door_at(struct sim *s, unsigned i)
{
    struct sim_door *const fixed[] = { &s->control_door, &s->sched_door, &s->user_door };

    if (i < ARRAY_LEN(fixed))
        return fixed[i];
    i -= (unsigned)ARRAY_LEN(fixed);
    return i < s->n_nodes ? &s->nodes[i].door : NULL;
}

const struct sim_door *sim_net_actor(struct sim *s, enum client_verb verb, const struct object *o)
{
    struct sim_door *d;
    char key[OBJECT_KEY_BYTES];

    object_key(o, key);
    for (unsigned i = 0; (d = door_at(s, i)); i++) {
        const struct call *c = call_about(d, object_kind(o), key);

        if (c && c->req.verb == verb)
            return d;
    }
    return NULL;
}

/* --- doors */

static struct client *free_door(struct client *client)
{
    (void)client;                        /* they live as long as the simulation */
    return NULL;
}

static const struct client_ops ops = { .do_req = do_req, .watch = sim_watch_new,
                                       .watch_free = sim_watch_free, .free = free_door };

void sim_net_open(struct sim *s, struct sim_door *d, enum sim_who who, const char *name)
{
    *d = (struct sim_door){ .s = s, .who = who };
    snprintf(d->name, sizeof(d->name), "%s", name);
    d->client = (struct client){ .ops = &ops, .loop = s->loop, .name = d->name };
    list_init(&d->calls);
    list_init(&d->watches);
}

void sim_net_drop_calls(struct sim_door *d)
{
    list_each(c, &d->calls, struct call, link) {
        if (c->stage == CALL_INSIDE) {
            c->lost = true;              /* the API still holds it */
            continue;
        }
        c->code = 0;
        c->object = object_unref(c->object);
        c->body = NULL;
        c->message = "the client is closed";
        finish(c);
    }
}

void sim_net_close(struct sim_door *d)
{
    sim_net_drop_calls(d);
    sim_watch_close(d);
}

void sim_net_connect(struct sim *s)
{
    struct sim_door *d;
    struct err err = ERR_INIT;

    for (unsigned i = 0; (d = door_at(s, i)); i++) {
        if (api_client_new(&d->inner, s->role.api, s->loop, d->name, &err) < 0)
            sim_break(s, "no client: %s", err.msg);
        sim_watch_connect(d, i < 2 ? 0 : delay_of(d));
    }
}

void sim_net_hang_up(struct sim *s)
{
    struct sim_door *d;

    for (unsigned i = 0; (d = door_at(s, i)); i++) {
        sim_watch_hang_up(d);
        d->inner = client_free(d->inner);
    }
}

void sim_net_break_watches(struct sim *s, const struct kind *kind)
{
    struct sim_door *d;

    for (unsigned i = 0; (d = door_at(s, i)); i++)
        sim_watch_break(d, kind, s->lag_ms);
}

void sim_net_break_door(struct sim_door *d)
{
    sim_watch_break(d, NULL, delay_of(d));
}

void sim_net_calm(struct sim *s)
{
    s->faults.len = 0;
    s->delay_ms = s->lag_ms = 0;
    s->loss = s->rival = 0;
}

void sim_net_check_end(struct sim *s)
{
    struct sim_door *d;

    for (unsigned i = 0; (d = door_at(s, i)); i++)
        sim_watch_check_end(d);
}

/* --- for users and nodes */

static struct json *body_of(struct arena *a, const struct sim_ask *ask)
{
    struct json *all, *body;
    struct err err = ERR_INIT;

    if (!ask->yaml)
        return NULL;
    if (yaml_parse_all(&all, a, ask->yaml, strlen(ask->yaml), &err) < 0)
        return NULL;
    body = json_at(all, 0);
    if (ask->verb == CLIENT_CREATE) {
        json_set_str(a, body, "apiVersion", kind_api_version(ask->kind));
        json_set_str(a, body, "kind", ask->kind->kind);
    }
    return body;
}

void sim_net_ask(struct sim_door *d, const struct sim_ask *ask)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    struct client_req req = {
        .verb = ask->verb, .kind = ask->kind, .ns = ask->ns, .name = ask->name,
        .subresource = ask->subresource, .body = body_of(a, ask), .uid_precondition = ask->uid,
        .grace_s = ask->at_once ? 0 : -1, .propagation = ask->propagation,
        .on_done = ask->on_done, .ctx = ask->ctx,
    };
    struct err err = ERR_INIT;

    if ((ask->yaml && !req.body) || do_req(&d->client, &req, &err) < 0)
        sim_break(d->s, "%s: a request that cannot be: %s %s", d->name,
                  ask->yaml ? ask->yaml : "", err.msg);
}
