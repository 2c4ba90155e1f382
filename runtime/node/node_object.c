/* node_object.c -- registering, status and lease: requests that come and go, one of each at a time.
 *
 *   register: CREATE --409--> take up: PATCH of labels --> status
 *   status:   look (job) -> render -> differs or five minutes old: PATCH nodes/NAME/status
 *   lease:    PATCH at every heartbeat --404--> CREATE
 */
#include "runtime/node/node_object.h"

#include "core/base/check.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/timefmt.h"
#include "core/client/informer.h"
#include "gen/views.h"

#define LEASE_NS "kube-node-lease"
#define ARENA_BYTES (4u << 20)

struct look_job {
    struct job job;
    struct node_object *owner;           /* NULL: it went away */
    struct node_self *self;
    struct node_facts facts;
    char *data_dir;
    struct node_pressure pressure;
    struct image_list images;
    bool want_images, has_images;
};

struct node_object {
    struct node_self *self;
    struct node_object_opts opts;
    struct node_facts facts;
    struct node_pressure pressure;
    struct image_list images;
    struct informer *informer;
    struct loop_timer lease_timer, look_timer, status_timer, register_timer;
    struct look_job *looking;
    char *trouble, *cidr;
    char *sent;                          /* what the API acknowledged, without times */
    char *sending;
    int64_t sent_ms, begun_ms, register_ms;
    bool registered, registering, status_busy, lease_busy, images_due, ready_sent;
    unsigned flying;                     /* requests whose answers still come */
    bool freed;
};

static void register_soon(struct node_object *n, int64_t ms);

/* --- requests that may outlive us */

static void release(struct node_object *n)
{
    if (n->freed && n->flying == 0)
        mem_free(n);
}

/* True: the owner is gone, do nothing. */
static bool landed(struct node_object *n)
{
    n->flying--;
    if (!n->freed)
        return false;
    release(n);
    return true;
}

static void fly(struct node_object *n, struct client_req *req)
{
    struct client_result none = { 0 };
    struct err err = ERR_INIT;

    req->ctx = n;
    n->flying++;
    if (client_do(n->self->client, req, &err) == 0)
        return;
    log_warn("request about the node not sent", "why=\"%s\"", err.msg);
    none.reason = "";
    none.message = err.msg;
    req->on_done(&none, n);
}

/* --- rendering */

static const struct node_view *view(const struct node_object *n)
{
    struct object *o = node_object_get(n);

    return o ? node_view(o) : NULL;
}

static struct node_status_in status_in(const struct node_object *n, int64_t now_s)
{
    return (struct node_status_in){
        .conf = n->self->conf, .facts = &n->facts, .pressure = n->pressure, .images = &n->images,
        .trouble = n->trouble, .before = view(n), .now_s = now_s };
}

/* --- status */

static void status_send(struct node_object *n);

static void status_on_time(struct loop_timer *t)
{
    status_send(container_of(t, struct node_object, status_timer));
}

static void status_soon(struct node_object *n, int64_t ms)
{
    loop_timer_set(n->self->loop, &n->status_timer, ms, status_on_time);
}

static void status_on_done(const struct client_result *r, void *ctx)
{
    struct node_object *n = ctx;

    if (landed(n))
        return;
    n->status_busy = false;
    if (client_ok(r)) {
        mem_free(n->sent);
        n->sent = TAKE(n->sending);
        n->sent_ms = loop_now_ms(n->self->loop);
        n->ready_sent = !n->trouble;
        status_soon(n, 0);               /* it may differ again */
        return;
    }
    n->sending = mem_free(n->sending);
    if (r->code == 404)
        register_soon(n, 0);
    else if (r->code != 0)               /* a server out of reach is told once, by the client */
        log_warn("node status not written", "code=%d why=\"%s\"", r->code, r->message);
    status_soon(n, NODE_RETRY_MS);
}

static void status_send(struct node_object *n)
{
    _cleanup_(arena_freep) struct arena *a = NULL;
    _cleanup_buf_ struct buf text = BUF_INIT;
    struct node_status_in in = status_in(n, 0);
    struct json *patch;
    int64_t age = loop_now_ms(n->self->loop) - n->sent_ms;

    if (!n->registered || n->status_busy)
        return;
    /* A node that was ready stays so while we come back. */
    if (!n->sent && n->trouble && loop_now_ms(n->self->loop) < n->begun_ms + NODE_BEGIN_MS) {
        status_soon(n, NODE_RETRY_MS);
        return;
    }
    a = arena_new(ARENA_BYTES);
    json_write(&text, node_status_make(a, &in));
    if (n->sent && str_eq(n->sent, text.p) && age < NODE_STATUS_MS) {
        status_soon(n, NODE_STATUS_MS - age);
        return;
    }
    in.now_s = env_wall_s(n->self->clock);
    patch = json_object(a);
    json_set(a, patch, "status", node_status_make(a, &in));
    n->status_busy = true;
    n->sending = mem_strdup(text.p);
    fly(n, &(struct client_req){ .verb = CLIENT_PATCH_STRATEGIC, .kind = kind_node(), .ns = "",
                                 .name = n->self->conf->name, .subresource = "status",
                                 .body = patch, .on_done = status_on_done });
}

/* --- lease */

static void lease_on_time(struct loop_timer *t);

static void lease_next(struct node_object *n, int64_t ms)
{
    loop_timer_set(n->self->loop, &n->lease_timer, ms, lease_on_time);
}

static void lease_on_done(const struct client_result *r, void *ctx)
{
    struct node_object *n = ctx;

    if (landed(n))
        return;
    n->lease_busy = false;
    if (!client_ok(r) && r->code != 0)
        log_warn("node lease not renewed", "code=%d why=\"%s\"", r->code, r->message);
    lease_next(n, client_ok(r) ? n->self->conf->heartbeat_ms : NODE_RETRY_MS);
}

static struct json *lease_body(struct node_object *n, struct arena *a, bool create)
{
    struct json *o = json_object(a), *meta, *owner, *spec;
    struct object *node = node_object_get(n);
    char now[TIMEFMT_BYTES];

    timefmt_micro(now, env_wall_us(n->self->clock));
    if (create) {
        meta = json_ensure_object(a, o, "metadata");
        json_set_str(a, meta, "name", n->self->conf->name);
        json_set_str(a, meta, "namespace", LEASE_NS);
        if (node) {
            owner = json_object(a);
            json_set_str(a, owner, "apiVersion", "v1");
            json_set_str(a, owner, "kind", "Node");
            json_set_str(a, owner, "name", n->self->conf->name);
            json_set_str(a, owner, "uid", object_uid(node));
            json_append(a, json_ensure_array(a, meta, "ownerReferences"), owner);
        }
    }
    spec = json_ensure_object(a, o, "spec");
    json_set_str(a, spec, "holderIdentity", n->self->conf->name);
    json_set_int(a, spec, "leaseDurationSeconds", NODE_LEASE_S);
    json_set_str(a, spec, "renewTime", now);
    return o;
}

static void lease_send(struct node_object *n, bool create);

static void lease_on_patched(const struct client_result *r, void *ctx)
{
    struct node_object *n = ctx;

    if (r->code != 404) {
        lease_on_done(r, ctx);
        return;
    }
    if (landed(n))
        return;
    n->lease_busy = false;
    if (node_object_get(n))
        lease_send(n, true);
    else
        lease_next(n, NODE_RETRY_MS / 10);   /* its owner must be known */
}

static void lease_send(struct node_object *n, bool create)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(256u << 10);

    n->lease_busy = true;
    fly(n, &(struct client_req){
        .verb = create ? CLIENT_CREATE : CLIENT_PATCH_MERGE, .kind = kind_lease(), .ns = LEASE_NS,
        .name = create ? NULL : n->self->conf->name, .body = lease_body(n, a, create),
        .timeout_ms = n->self->conf->heartbeat_ms,
        .on_done = create ? lease_on_done : lease_on_patched });
}

static void lease_on_time(struct loop_timer *t)
{
    struct node_object *n = container_of(t, struct node_object, lease_timer);

    if (n->registered && !n->lease_busy)
        lease_send(n, false);
}

/* --- registering */

static void registered(struct node_object *n)
{
    bool first = !n->registered;

    n->registered = true;
    n->register_ms = 0;
    status_soon(n, 0);
    if (!first)
        return;
    lease_next(n, 0);
    log_info("node registered", "node=%s", n->self->conf->name);
}

static void on_taken_up(const struct client_result *r, void *ctx)
{
    struct node_object *n = ctx;

    if (landed(n))
        return;
    n->registering = false;
    if (client_ok(r)) {
        registered(n);
        return;
    }
    if (r->code != 0)
        log_warn("node not taken up", "code=%d why=\"%s\"", r->code, r->message);
    register_soon(n, NODE_RETRY_MS);
}

static void take_up(struct node_object *n)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(256u << 10);
    struct json *patch = json_object(a), *meta = json_ensure_object(a, patch, "metadata");
    struct node_status_in in = status_in(n, 0);

    json_set(a, meta, "labels", node_status_labels(a, &in));
    fly(n, &(struct client_req){ .verb = CLIENT_PATCH_MERGE, .kind = kind_node(), .ns = "",
                                 .name = n->self->conf->name, .body = patch,
                                 .on_done = on_taken_up });
}

static void on_created(const struct client_result *r, void *ctx)
{
    struct node_object *n = ctx;

    if (landed(n))
        return;
    if (r->code == 409) {
        take_up(n);
        return;
    }
    n->registering = false;
    if (client_ok(r)) {
        registered(n);
        return;
    }
    if (r->code != 0) {
        log_warn("node not registered", "code=%d why=\"%s\"", r->code, r->message);
        register_soon(n, NODE_RETRY_MS);
        return;
    }
    n->register_ms = n->register_ms ? n->register_ms * 2 : NODE_REGISTER_MIN_MS;
    if (n->register_ms > NODE_REGISTER_MAX_MS)
        n->register_ms = NODE_REGISTER_MAX_MS;
    register_soon(n, n->register_ms);    /* no server yet is no news */
}

static void register_on_time(struct loop_timer *t)
{
    struct node_object *n = container_of(t, struct node_object, register_timer);
    _cleanup_(arena_freep) struct arena *a = NULL;
    struct node_status_in in;

    if (n->registering)
        return;
    n->registering = true;
    a = arena_new(ARENA_BYTES);
    in = status_in(n, env_wall_s(n->self->clock));
    fly(n, &(struct client_req){ .verb = CLIENT_CREATE, .kind = kind_node(), .ns = "",
                                 .body = node_status_object(a, &in), .on_done = on_created });
}

static void register_soon(struct node_object *n, int64_t ms)
{
    loop_timer_set(n->self->loop, &n->register_timer, ms, register_on_time);
}

static void on_change(struct object *before, struct object *after, void *ctx)
{
    struct node_object *n = ctx;
    const char *cidr = after ? node_view(after)->spec.pod_cidr : n->cidr;

    if (!str_eq(object_name(after ? after : before), n->self->conf->name))
        return;
    if (!after && n->registered) {
        log_warn("the node object was deleted", "node=%s", n->self->conf->name);
        register_soon(n, NODE_RETRY_MS);
    }
    if (!cidr || str_eq(cidr, n->cidr))
        return;
    mem_free(n->cidr);
    n->cidr = mem_strdup(cidr);
    n->opts.on_cidr(n->opts.ctx, n->cidr);
}

/* --- looking */

static void look_run(struct job *j)
{
    struct look_job *l = container_of(j, struct look_job, job);
    struct err err = ERR_INIT;

    node_facts_pressure(&l->pressure, &l->facts, l->data_dir);
    if (!l->want_images)
        return;
    l->has_images = image_list(&l->images, l->self->store, &err) == 0;
    if (!l->has_images)
        log_warn("images not listed", "why=\"%s\"", err.msg);
}

static void look(struct node_object *n);

static void look_on_time(struct loop_timer *t)
{
    look(container_of(t, struct node_object, look_timer));
}

static void look_done(struct job *j)
{
    struct look_job *l = container_of(j, struct look_job, job);
    struct node_object *n = l->owner;

    if (n && job_was_run(j)) {
        n->pressure = l->pressure;
        if (l->has_images) {
            struct image_list old = n->images;

            n->images = l->images;
            l->images = old;
        }
        status_soon(n, 0);
    }
    if (n) {
        n->looking = NULL;
        loop_timer_set(n->self->loop, &n->look_timer, n->images_due ? 0 : NODE_LOOK_MS,
                       look_on_time);
    }
    image_list_deinit(&l->images);
    node_drop(l->self);
    mem_free(l->data_dir);
    mem_free(l);
}

static void look(struct node_object *n)
{
    struct look_job *l;
    struct err err = ERR_INIT;

    if (n->looking)
        return;
    l = NEW(struct look_job);
    l->owner = n;
    l->self = node_hold(n->self);
    l->facts = n->facts;
    l->data_dir = mem_strdup(n->self->conf->data_dir);
    l->want_images = l->self->store && n->images_due;
    n->images_due = false;
    n->looking = l;
    if (job_add(n->self->jobs, n->self->loop, &l->job, JOB_NODE, "node/look", look_run, look_done,
                &err) == 0)
        return;
    n->looking = NULL;
    node_drop(l->self);
    mem_free(l->data_dir);
    mem_free(l);
    loop_timer_set(n->self->loop, &n->look_timer, NODE_LOOK_MS, look_on_time);
}

void node_object_look(struct node_object *n)
{
    n->images_due = true;
    look(n);
}

/* --- life */

int node_object_new(struct node_object **out, struct node_self *self,
                    const struct node_object_opts *o, struct err *err)
{
    struct node_object *n = NEW(struct node_object);

    n->self = self;
    n->opts = *o;
    n->begun_ms = loop_now_ms(self->loop);
    node_facts_read(&n->facts, self->conf->data_dir);
    node_facts_pressure(&n->pressure, &n->facts, self->conf->data_dir);
    if (informer_new(&n->informer, self->client,
                     &(struct informer_opts){ .kind = kind_node() }, err) < 0) {
        mem_free(n);
        return -1;
    }
    informer_on_change(n->informer, on_change, n);
    register_soon(n, 0);
    node_object_look(n);
    *out = n;
    return 0;
}

struct node_object *node_object_free(struct node_object *n)
{
    if (!n)
        return NULL;
    n->informer = informer_free(n->informer);
    loop_timer_del(&n->lease_timer);
    loop_timer_del(&n->look_timer);
    loop_timer_del(&n->status_timer);
    loop_timer_del(&n->register_timer);
    if (n->looking)
        n->looking->owner = NULL;
    image_list_deinit(&n->images);
    n->trouble = mem_free(n->trouble);
    n->cidr = mem_free(n->cidr);
    n->sent = mem_free(n->sent);
    n->sending = mem_free(n->sending);
    n->freed = true;
    release(n);
    return NULL;
}

struct object *node_object_get(const struct node_object *n)
{
    return n->informer ? informer_get(n->informer, "", n->self->conf->name) : NULL;
}

void node_object_set_trouble(struct node_object *n, const char *why)
{
    if (str_eq(n->trouble, why))
        return;
    mem_free(n->trouble);
    n->trouble = mem_strdup(why);
    status_soon(n, 0);
}

bool node_object_says_ready(const struct node_object *n)
{
    return n->registered && n->ready_sent && !n->trouble;
}

struct informer *node_object_all(struct node_object *n)
{
    return n->informer;
}

const struct node_facts *node_object_facts(const struct node_object *n)
{
    return &n->facts;
}
