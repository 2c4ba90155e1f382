/* control.c: the runner: informers for all, a queue for each, passes that read their own writes. */
#include "core/control/control_impl.h"

#include "core/base/check.h"
#include "core/base/log.h"
#include "core/base/map.h"
#include "core/control/podnode.h"

static const struct control_def *const defs[] = {
    &deployment_control, &replicaset_control, &endpointslice_control,
    &sactl_control, &rootca_control, &gcowner_control, &nsctl_control, &eventttl_control,
    &nodelife_control, &nodecidr_control, &nodeevict_control, &podgc_control,
    &tokenctl_control, &csrapprove_control, &csrsign_control, &tokenclean_control,
    &csrclean_control, &nodepass_control,
};

/* Outlives the control as long as requests are on their way. */
struct control_live {
    struct control *control;             /* NULL: gone */
    unsigned refs;
};

struct call {
    struct control_live *live;
    struct pass *pass;
    const struct kind *kind;
    enum client_verb verb;
    control_answer answer;
    void *arg;
};

static void live_unref(struct control_live *live)
{
    if (--live->refs == 0)
        mem_free(live);
}

/* --- what the informers have seen */

static bool is_fresh(const struct control *c, const struct control_need *need)
{
    for (unsigned i = 0; i < need->n; i++)
        if (c->seen[need->v[i].kind->id] < need->v[i].rv)
            return false;
    return true;
}

static void wake_waiting(struct controller *ctl)
{
    const char *key;
    void *value;

    for (size_t at = 0; map_next(ctl->waiting, &at, &key, &value);) {
        if (is_fresh(ctl->control, value))
            workq_add(ctl->queue, key);
    }
}

static void on_any_change(struct object *before, struct object *after, void *ctx)
{
    struct control *c = ctx;
    const struct object *o = after ? after : before;
    const struct kind *kind = object_kind(o);

    if (object_rv(o) > c->seen[kind->id])
        c->seen[kind->id] = object_rv(o);
    if (kind == kind_pod())
        podnode_note(c->by_node, before, after);
    for (unsigned i = 0; i < c->n_controllers && c->started; i++)
        if (map_len(c->controllers[i].waiting))
            wake_waiting(&c->controllers[i]);
}

/* True: the key must wait for the cache. */
static bool must_wait(struct controller *ctl, const char *key)
{
    struct control_need *need = map_get(ctl->waiting, key);
    int64_t now = loop_now_ms(ctl->control->loop);

    if (!need)
        return false;
    if (!is_fresh(ctl->control, need)) {
        if (now < need->until_ms) {
            workq_add_after(ctl->queue, key, need->until_ms - now);
            return true;
        }
        log_warn("cache lags", "controller=%s key=%s kind=%s revision=%lld", ctl->def->name, key,
                 need->v[0].kind->resource, (long long)need->v[0].rv);
    }
    mem_free(map_del(ctl->waiting, key));
    return false;
}

/* The next pass over this key waits until all that this one wrote is in the caches. */
static void remember_writes(struct pass *p)
{
    struct control_need *need;

    if (is_fresh(p->c->control, &p->wrote))
        return;
    need = NEW(struct control_need);
    *need = p->wrote;
    need->until_ms = loop_now_ms(p->c->control->loop) + CONTROL_STALE_MS;
    mem_free(map_put(p->c->waiting, p->key, need));
}

/* --- passes */

static struct pass *pass_free(struct pass *p)
{
    if (p->cleanup)
        p->cleanup(p);
    list_del(&p->link);
    arena_free(p->a);
    return mem_free(p);
}

static void pass_end(struct pass *p)
{
    struct workq *q = p->c->queue;

    remember_writes(p);
    if (p->failed) {
        workq_failed(q, p->key);
    } else {
        if (p->again_ms >= 0)
            workq_add_after(q, p->key, p->again_ms);
        workq_done(q, p->key);
    }
    pass_free(p);
}

static void pass_go_on(struct pass *p)
{
    while (!p->pending && p->then) {
        void (*then)(struct pass *) = p->then;

        p->then = NULL;
        p->pending++;                    /* keeps it while it runs */
        then(p);
        p->pending--;
    }
    if (!p->pending)
        pass_end(p);
}

static void on_key(void *ctx, const char *key)
{
    struct controller *ctl = ctx;
    struct pass *p;

    if (must_wait(ctl, key)) {
        workq_done(ctl->queue, key);
        return;
    }
    p = NEW(struct pass);
    p->c = ctl;
    p->a = arena_new(0);
    p->again_ms = -1;
    str_copy(p->key, sizeof(p->key), key, NULL);
    object_key_split(key, p->ns, p->name);
    list_push(&ctl->control->passes, &p->link);
    p->then = ctl->def->reconcile;
    pass_go_on(p);
}

static void note_write(struct pass *p, const struct client_result *r)
{
    const struct kind *kind = object_kind(r->object)->storage;
    int64_t rv = object_rv(r->object);
    struct control_need *w = &p->wrote;

    if (!p->c->control->informers[kind->id])
        return;
    for (unsigned i = 0; i < w->n; i++) {
        if (w->v[i].kind != kind)
            continue;
        if (rv > w->v[i].rv)
            w->v[i].rv = rv;
        return;
    }
    if (w->n < CONTROL_WROTE_MAX)
        w->v[w->n++] = (struct control_rv){ kind, rv };
}

static void on_answer(const struct client_result *r, void *ctx)
{
    struct call *call = ctx;
    struct pass *p = call->pass;

    if (!call->live->control) {
        live_unref(call->live);
        mem_free(call);
        return;
    }
    if (client_ok(r) && r->object && call->verb != CLIENT_GET)
        note_write(p, r);
    if (call->answer) {
        call->answer(p, r, call->arg);
    } else if (!client_ok(r) && !(call->verb == CLIENT_DELETE && r->code == 404)) {
        log_debug("write failed", "controller=%s key=%s kind=%s code=%d message=\"%s\"",
                  p->c->def->name, p->key, call->kind->resource, r->code, r->message);
        control_fail(p);
    }
    live_unref(call->live);
    mem_free(call);
    p->pending--;
    if (!p->pending)
        pass_go_on(p);
}

void control_do(struct pass *p, struct client_req *req, control_answer answer, void *arg)
{
    struct control_live *live = p->c->control->live;
    struct call *call = NEW(struct call);
    struct err err = ERR_INIT;

    *call = (struct call){ live, p, req->kind, req->verb, answer, arg };
    req->on_done = on_answer;
    req->ctx = call;
    if (client_do(p->c->control->client, req, &err) < 0) {
        log_warn("no request", "controller=%s key=%s error=\"%s\"", p->c->def->name, p->key,
                 err.msg);
        mem_free(call);
        control_fail(p);
        return;
    }
    live->refs++;
    p->pending++;
}

void control_fail(struct pass *p)
{
    p->failed = true;
}

void control_again(struct pass *p, int64_t ms)
{
    if (ms < 0)
        ms = 0;
    if (p->again_ms < 0 || ms < p->again_ms)
        p->again_ms = ms;
}

/* --- requests */

void control_create(struct pass *p, const struct kind *kind, const struct json *tree,
                    control_answer answer, void *arg)
{
    const char *ns = json_path_str(tree, "metadata.namespace");
    struct client_req req = { .verb = CLIENT_CREATE, .kind = kind, .ns = ns ? ns : "",
                              .body = tree, .grace_s = -1 };

    control_do(p, &req, answer, arg);
}

static struct client_req request_for(const struct object *o, enum client_verb verb)
{
    return (struct client_req){ .verb = verb, .kind = object_kind(o), .ns = object_ns(o),
                                .name = object_name(o), .grace_s = -1 };
}

void control_update(struct pass *p, const struct object *o, const struct json *tree,
                    control_answer answer, void *arg)
{
    struct client_req req = request_for(o, CLIENT_UPDATE);

    req.body = tree;
    control_do(p, &req, answer, arg);
}

void control_update_status(struct pass *p, const struct object *o, const struct json *tree,
                           control_answer answer, void *arg)
{
    struct client_req req = request_for(o, CLIENT_UPDATE);

    req.subresource = "status";
    req.body = tree;
    control_do(p, &req, answer, arg);
}

void control_patch_merge(struct pass *p, const struct object *o, const struct json *patch,
                         control_answer answer, void *arg)
{
    struct client_req req = request_for(o, CLIENT_PATCH_MERGE);

    req.body = patch;
    control_do(p, &req, answer, arg);
}

void control_patch_strategic(struct pass *p, const struct object *o, const struct json *patch,
                             control_answer answer, void *arg)
{
    struct client_req req = request_for(o, CLIENT_PATCH_STRATEGIC);

    req.body = patch;
    control_do(p, &req, answer, arg);
}

void control_delete(struct pass *p, const struct object *o, const char *propagation,
                    control_answer answer, void *arg)
{
    struct client_req req = request_for(o, CLIENT_DELETE);

    req.uid_precondition = object_uid(o);
    req.propagation = propagation;
    control_do(p, &req, answer, arg);
}

static void on_deleted(struct pass *p, const struct client_result *r, void *arg)
{
    (void)arg;
    if (!client_ok(r) && r->code != 404 && r->code != 409)
        control_fail(p);
}

void control_delete_at(struct pass *p, const struct object *o, int64_t at_s)
{
    int64_t now = control_now_s(p->c->control);

    if (at_s <= now)
        control_delete(p, o, NULL, on_deleted, NULL);
    else
        control_again(p, (at_s - now) * 1000);
}

bool control_is_terminating_ns(const struct client_result *r)
{
    return r->code == 403 && strstr(r->message, "because it is being terminated");
}

/* --- keys */

struct informer *control_informer(const struct controller *c, const struct kind *kind)
{
    struct informer *i = c->control->informers[kind->storage->id];

    check(i);
    return i;
}

struct object *control_get(const struct pass *p, const struct kind *kind)
{
    return informer_get(control_informer(p->c, kind), p->ns, p->name);
}

struct object *control_find(const struct controller *c, const struct kind *kind, const char *ns,
                            const char *name)
{
    struct informer *i = c->control->informers[kind->storage->id];

    return i ? informer_get(i, ns, name) : NULL;
}

const struct kind *control_next_kind(unsigned *id)
{
    const unsigned needed = VERB_LIST | VERB_WATCH | VERB_DELETE;

    while (*id < kind_count()) {
        const struct kind *k = kind_by_id((*id)++);

        if (k->served && k->storage == k && (k->verbs & needed) == needed)
            return k;
    }
    return NULL;
}

int64_t control_now_s(const struct control *c)
{
    return env_wall_s(c->env);
}

void control_enqueue(struct controller *c, const char *ns, const char *name)
{
    char key[OBJECT_KEY_BYTES];

    object_key_of(key, ns, name);
    workq_add(c->queue, key);
}

void control_enqueue_object(struct controller *c, const struct object *o)
{
    control_enqueue(c, object_ns(o), object_name(o));
}

void control_enqueue_owner(struct controller *c, const struct object *o, const struct kind *kind)
{
    const struct object_owner *owner = object_controller(o);

    if (owner && str_eq(owner->kind, kind->kind))
        control_enqueue(c, object_ns(o), owner->name);
}

void control_enqueue_after(struct controller *c, const struct object *o, int64_t ms)
{
    char key[OBJECT_KEY_BYTES];

    object_key(o, key);
    workq_add_after(c->queue, key, ms);
}

/* --- start and end */

/* One watch of one controller, as the informer calls it. */
typedef void (*change_fn)(struct controller *c, struct object *before, struct object *after);

struct ear { struct controller *c; change_fn fn; struct list link; };

static void on_change(struct object *before, struct object *after, void *ctx)
{
    struct ear *ear = ctx;

    if (ear->c->control->started)
        ear->fn(ear->c, before, after);
}

static void tell_kind(struct controller *ctl, const struct kind *kind, change_fn fn)
{
    struct informer *i = control_informer(ctl, kind);
    struct object *o;

    for (size_t at = 0; (o = informer_next(i, &at));)
        fn(ctl, NULL, o);
}

static void tell_all(struct controller *ctl)
{
    const struct control_def *def = ctl->def;
    const struct kind *kind;

    for (size_t w = 0; w < CONTROL_WATCHES_MAX && def->watches[w].kind; w++)
        tell_kind(ctl, def->watches[w].kind(), def->watches[w].on_change);
    for (unsigned id = 0; def->on_any && (kind = control_next_kind(&id));)
        tell_kind(ctl, kind, def->on_any);
}

static void on_synced(void *ctx)
{
    struct control *c = ctx;

    if (++c->n_synced < c->n_informers)
        return;
    c->started = true;
    for (unsigned i = 0; i < c->n_controllers; i++) {
        if (c->controllers[i].def->start)
            c->controllers[i].def->start(&c->controllers[i]);
        tell_all(&c->controllers[i]);
    }
}

static int add_informer(struct control *c, const struct kind *kind, struct err *err)
{
    struct informer_opts opts = { .kind = kind->storage };
    struct informer **i = &c->informers[kind->storage->id];

    if (*i)
        return 0;
    if (informer_new(i, c->client, &opts, err) < 0)
        return -1;
    c->n_informers++;
    informer_on_change(*i, on_any_change, c);
    informer_on_synced(*i, on_synced, c);
    return 0;
}

static int add_watch(struct controller *ctl, const struct kind *kind, change_fn fn,
                     struct err *err)
{
    struct control *c = ctl->control;
    struct ear *ear;

    if (add_informer(c, kind, err) < 0)
        return -1;
    ear = NEW(struct ear);
    *ear = (struct ear){ ctl, fn, { 0 } };
    list_push(&c->ears, &ear->link);
    informer_on_change(c->informers[kind->storage->id], on_change, ear);
    return 0;
}

static int add_watches(struct controller *ctl, struct err *err)
{
    const struct control_def *def = ctl->def;
    const struct kind *kind;

    for (size_t w = 0; w < CONTROL_WATCHES_MAX && def->watches[w].kind; w++)
        if (add_watch(ctl, def->watches[w].kind(), def->watches[w].on_change, err) < 0)
            return -1;
    for (unsigned id = 0; def->on_any && (kind = control_next_kind(&id));)
        if (add_watch(ctl, kind, def->on_any, err) < 0)
            return -1;
    return 0;
}

static int add_controller(struct control *c, const struct control_def *def, struct err *err)
{
    struct controller *ctl = &c->controllers[c->n_controllers++];
    struct workq_opts q = { .name = def->name, .on_key = on_key, .ctx = ctl,
                            .running_max = def->running_max ? def->running_max
                                                            : CONTROL_RUNNING_MAX };

    *ctl = (struct controller){ .def = def, .control = c };
    if (def->state_bytes)
        ctl->state = mem_alloc(def->state_bytes);
    ctl->queue = workq_new(c->loop, &q);
    ctl->waiting = map_new();
    ctl->events = recorder_new(c->client, def->name, "");
    if (add_watches(ctl, err) < 0 || (def->init && def->init(ctl, err) < 0))
        return err_wrap(err, "%s", def->name);
    return 0;
}

int control_new(struct control **out, struct client *client, const struct control_opts *opts,
                struct err *err)
{
    _cleanup_(control_freep) struct control *c = NEW(struct control);

    c->client = client;
    c->loop = client->loop;
    c->env = loop_env(client->loop);
    c->opts = *opts;
    c->opts.root_ca_pem = mem_strdup(opts->root_ca_pem);
    c->opts.cluster_cidr = mem_strdup(opts->cluster_cidr);
    if (!c->opts.node_grace_ms)
        c->opts.node_grace_ms = CONTROL_NODE_GRACE_MS;
    if (!c->opts.node_startup_grace_ms)
        c->opts.node_startup_grace_ms = CONTROL_NODE_STARTUP_MS;
    if (!c->opts.event_ttl_ms)
        c->opts.event_ttl_ms = CONTROL_EVENT_TTL_MS;
    list_init(&c->passes);
    list_init(&c->ears);
    c->by_node = podnode_new();
    c->live = NEW(struct control_live);
    *c->live = (struct control_live){ c, 1 };
    c->controllers = mem_alloc_array(ARRAY_LEN(defs), sizeof(*c->controllers));
    for (size_t i = 0; i < ARRAY_LEN(defs); i++)
        if (add_controller(c, defs[i], err) < 0)
            return -1;
    *out = TAKE(c);
    return 0;
}

static void free_value(void *p)
{
    mem_free(p);
}

static void free_controller(struct controller *ctl)
{
    if (ctl->def->stop)
        ctl->def->stop(ctl);
    ctl->state = mem_free(ctl->state);
    workq_free(ctl->queue);
    map_free(ctl->waiting, free_value);
    recorder_free(ctl->events);
}

struct control *control_free(struct control *c)
{
    if (!c)
        return NULL;
    c->live->control = NULL;
    live_unref(c->live);
    for (unsigned i = 0; i < KIND_ID_MAX; i++)
        informer_free(c->informers[i]);
    list_each (p, &c->passes, struct pass, link)
        pass_free(p);
    for (unsigned i = 0; i < c->n_controllers; i++)
        free_controller(&c->controllers[i]);
    list_each (ear, &c->ears, struct ear, link) {
        list_del(&ear->link);
        mem_free(ear);
    }
    podnode_free(c->by_node);
    mem_free(c->controllers);
    mem_free((char *)c->opts.root_ca_pem);
    mem_free((char *)c->opts.cluster_cidr);
    return mem_free(c);
}

bool control_synced(const struct control *c)
{
    return c->started;
}

void control_metrics(const struct control *c, struct buf *out)
{
    const struct workq *queues[ARRAY_LEN(defs)];

    for (unsigned i = 0; i < c->n_controllers; i++)
        queues[i] = c->controllers[i].queue;
    workq_metrics(out, queues, c->n_controllers);
}
