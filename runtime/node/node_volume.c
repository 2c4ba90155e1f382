/* node_volume.c -- the volumes of one pod: tokens first, then one job for all of them.
 *
 *   IDLE --prepare or a token is old--> TOKENS --all answered--> JOB --home--> IDLE
 *   remove waits for IDLE                          a prepare during a renewal follows it
 *
 * A job owns its tasks. When the pod lets go meanwhile, the job comes home to nobody.
 */
#include "runtime/node/node_volume_int.h"

#include "core/base/check.h"
#include "core/base/timefmt.h"

#include <stdio.h>

#define TOKEN_DEFAULT_S 3600
#define TOKEN_AGE_MAX_S 86400            /* renewed after a day however long it lives */
#define TOKEN_RETRY_S 30

struct node_volumes {
    struct node_volume_opts o;           /* texts copied */
    struct arena *facts;
    struct object *pod;
    VEC(struct node_volume_token *) tokens;
    VEC(struct fetch *) fetches;         /* under way */
    struct run *run;                     /* the job under way */
    bool fetching, prepared, renewing;
    bool wanted, serving, removing;      /* a prepare to be done, under way; a remove to be done */
    node_volume_done *done, *removed;
    void *done_ctx, *removed_ctx;
    struct loop_timer kick, renew;
    struct err err;                      /* told by kick */
    bool tell;
};

struct fetch { struct node_volumes *v; struct node_volume_token *t; };

struct run {
    struct job job;
    struct node_volumes *v;              /* NULL: it let go */
    struct arena *a;
    VEC(struct node_volume_task) tasks;
    char *data_dir, *run_dir, *uid;
    bool remove;
    struct err err;
};

static void go_on(struct node_volumes *v);

static struct loop *loop_of(const struct node_volumes *v)
{
    return v->o.client->loop;
}

static int64_t now_s(const struct node_volumes *v)
{
    return env_wall_s(loop_env(loop_of(v)));
}

/* --- the answer to prepare, from the loop */

static void on_kick(struct loop_timer *t)
{
    struct node_volumes *v = container_of(t, struct node_volumes, kick);

    if (v->tell && !v->removing) {
        node_volume_done *done = v->done;
        struct err err = v->err;

        v->tell = false;
        v->done = NULL;
        if (v->renewing)
            loop_timer_set(loop_of(v), &v->kick, 0, on_kick);
        done(v->done_ctx, err.code ? &err : NULL);       /* may free v */
        return;
    }
    go_on(v);
}

static void kick(struct node_volumes *v)
{
    loop_timer_set(loop_of(v), &v->kick, 0, on_kick);
}

static void finish(struct node_volumes *v, const struct err *err)
{
    if (!err->code)
        v->prepared = true;
    if (v->serving) {
        v->serving = false;
        v->tell = v->done != NULL;
        v->err = *err;
    }
    kick(v);
}

/* --- tokens */

static void token_free(struct node_volume_token *t)
{
    mem_free(t->audience);
    mem_free(t->text);
    mem_free(t);
}

static struct node_volume_token *token_of(struct node_volumes *v,
                                          const struct service_account_token_projection_view *p,
                                          bool make)
{
    int64_t want = p->has_expiration_seconds ? p->expiration_seconds : TOKEN_DEFAULT_S;
    const char *audience = p->audience ? p->audience : "";
    struct node_volume_token *t;

    for (size_t i = 0; i < v->tokens.len; i++)
        if (v->tokens.v[i]->expiration_s == want && str_eq(v->tokens.v[i]->audience, audience))
            return v->tokens.v[i];
    if (!make)
        return NULL;
    t = NEW(struct node_volume_token);
    t->audience = mem_strdup(audience);
    t->expiration_s = want;
    vec_push(&v->tokens, t);
    return t;
}

static const struct node_volume_token *
token_for_task(void *ctx, const struct service_account_token_projection_view *p)
{
    return token_of(ctx, p, false);
}

/* When it is to be renewed: at 80 % of its life. */
static int64_t token_due_s(const struct node_volume_token *t)
{
    int64_t life = (t->expires_s - t->issued_s) * 4 / 5;

    if (!t->text)
        return 0;
    return t->issued_s + (life < TOKEN_AGE_MAX_S ? life : TOKEN_AGE_MAX_S);
}

static void token_read(struct node_volumes *v, struct node_volume_token *t,
                       const struct client_result *r)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    const struct json *body = r->object ? object_tree(r->object, a) : r->body;
    const char *text = json_path_str(body, "status.token");
    const char *expires = json_path_str(body, "status.expirationTimestamp");
    int64_t expires_us = 0;

    err_clear(&t->err);
    if (!client_ok(r))
        err_set(&t->err, ERR_UNAVAILABLE, "%s", *r->message ? r->message :
                "the API server does not answer");
    else if (str_empty(text) || str_empty(expires) || timefmt_parse(expires, &expires_us,
                                                                    &t->err) < 0)
        err_set(&t->err, ERR_CORRUPT, "the answer holds no token");
    if (t->err.code && t->expires_s <= now_s(v))
        t->text = mem_free(t->text);
    if (t->err.code)
        return;
    mem_free(t->text);
    t->text = mem_strdup(text);
    t->issued_s = now_s(v);
    t->expires_s = expires_us / 1000000;
}

static void on_token(const struct client_result *r, void *ctx)
{
    struct fetch *f = ctx;
    struct node_volumes *v = f->v;

    if (v) {
        token_read(v, f->t, r);
        for (size_t i = 0; i < v->fetches.len; i++)
            if (v->fetches.v[i] == f)
                v->fetches.v[i--] = v->fetches.v[--v->fetches.len];
        if (v->fetches.len == 0)
            kick(v);
    }
    mem_free(f);
}

static struct json *token_request(struct arena *a, const struct node_volume_token *t,
                                  const struct object *pod)
{
    struct json *body = json_object(a), *spec = json_object(a), *audiences = json_array(a), *ref =
        json_object(a);

    json_set_str(a, body, "kind", "TokenRequest");
    json_set_str(a, body, "apiVersion", "authentication.k8s.io/v1");
    if (*t->audience)
        json_append(a, audiences, json_str(a, t->audience));
    json_set(a, spec, "audiences", audiences);
    json_set_int(a, spec, "expirationSeconds", t->expiration_s);
    json_set_str(a, ref, "kind", "Pod");
    json_set_str(a, ref, "apiVersion", "v1");
    json_set_str(a, ref, "name", object_name(pod));
    json_set_str(a, ref, "uid", object_uid(pod));
    json_set(a, spec, "boundObjectRef", ref);
    json_set(a, body, "spec", spec);
    return body;
}

static void token_fetch(struct node_volumes *v, struct node_volume_token *t)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    const char *account = pod_view(v->pod)->spec.service_account_name;
    struct fetch *f = NEW(struct fetch);
    struct client_req q = {
        .verb = CLIENT_CREATE, .kind = kind_service_account(), .ns = object_ns(v->pod),
        .name = str_empty(account) ? "default" : account, .subresource = "token",
        .body = token_request(a, t, v->pod), .on_done = on_token, .ctx = f,
    };

    *f = (struct fetch){ v, t };
    if (client_do(v->o.client, &q, &t->err) < 0) {
        mem_free(f);
        return;
    }
    vec_push(&v->fetches, f);
}

/* Asks for every token that is missing or old. True when there is something to wait for. */
static bool fetch_tokens(struct node_volumes *v)
{
    const struct pod_spec_view *s = &pod_view(v->pod)->spec;

    for (unsigned i = 0; i < s->n_volumes; i++) {
        const struct projected_volume_source_view *p = s->volumes[i].projected;

        for (unsigned k = 0; p && k < p->n_sources; k++)
            if (p->sources[k].service_account_token)
                (void)token_of(v, p->sources[k].service_account_token, true);
    }
    for (size_t i = 0; i < v->tokens.len; i++)
        if (token_due_s(v->tokens.v[i]) <= now_s(v))
            token_fetch(v, v->tokens.v[i]);
    return v->fetches.len > 0;
}

static void on_renew(struct loop_timer *t)
{
    struct node_volumes *v = container_of(t, struct node_volumes, renew);

    v->renewing = true;
    kick(v);
}

static void set_renewal(struct node_volumes *v)
{
    int64_t due = 0, wait;

    for (size_t i = 0; i < v->tokens.len; i++)
        if (due == 0 || token_due_s(v->tokens.v[i]) < due)
            due = token_due_s(v->tokens.v[i]);
    if (v->tokens.len == 0)
        return;
    wait = due - now_s(v);
    loop_timer_set(loop_of(v), &v->renew, (wait > TOKEN_RETRY_S ? wait : TOKEN_RETRY_S) * 1000,
                   on_renew);
}

/* --- the job */

static void run_free(struct run *r)
{
    for (size_t i = 0; i < r->tasks.len; i++)
        node_volume_task_deinit(&r->tasks.v[i]);
    vec_deinit(&r->tasks);
    mem_free(r->data_dir);
    mem_free(r->run_dir);
    mem_free(r->uid);
    arena_free(r->a);
    mem_free(r);
}

/* Does any of them lie in memory? What is mounted there must come before all of them. */
static bool needs_memory(const struct run *r)
{
    for (size_t i = 0; i < r->tasks.len; i++)
        if (r->tasks.v[i].kind == NODE_VOLUME_FILES || r->tasks.v[i].kind == NODE_VOLUME_MEMORY)
            return true;
    return false;
}

static void run_work(struct job *j)
{
    struct run *r = container_of(j, struct run, job);

    if (r->remove) {
        (void)node_volume_clean_pod(r->data_dir, r->run_dir, r->uid, &r->err);
        return;
    }
    if (needs_memory(r) && node_volume_job_memory(r->run_dir, &r->err) < 0)
        return;
    for (size_t i = 0; i < r->tasks.len; i++) {
        const struct node_volume_task *t = &r->tasks.v[i];

        if (node_volume_job_run(t, &r->err) < 0) {
            err_wrap(&r->err, "MountVolume.SetUp failed for volume \"%s\" ", t->name);
            return;
        }
    }
}

static void run_done(struct job *j)
{
    struct run *r = container_of(j, struct run, job);
    struct node_volumes *v = r->v;

    if (v) {
        struct err err = r->err;

        if (!job_was_run(j))
            err_set(&err, ERR_CANCELED, "the node stops");
        v->run = NULL;
        if (r->remove) {
            v->removing = false;
            run_free(r);
            v->removed(v->removed_ctx, err.code ? &err : NULL);
            return;
        }
        set_renewal(v);
        finish(v, &err);
    }
    run_free(r);
}

static struct run *run_new(struct node_volumes *v)
{
    struct run *r = NEW(struct run);

    r->v = v;
    r->data_dir = mem_strdup(v->o.data_dir);
    r->run_dir = mem_strdup(v->o.run_dir);
    r->uid = mem_strdup(object_uid(v->pod));
    r->a = arena_new(2ul * NODE_VOLUME_BYTES_MAX);
    return r;
}

static int run_start(struct node_volumes *v, struct run *r, struct err *err)
{
    char key[JOB_KEY_BYTES];

    snprintf(key, sizeof(key), "volumes/%s", r->uid);
    if (job_add(v->o.jobs, loop_of(v), &r->job, JOB_NODE, key, run_work, run_done, err) < 0) {
        run_free(r);
        return -1;
    }
    v->run = r;
    return 0;
}

static int make_tasks(struct node_volumes *v, struct run *r, struct err *err)
{
    const struct pod_spec_view *s = &pod_view(v->pod)->spec;
    struct node_volume_spec spec = {
        .pod = v->pod, .refs = v->o.refs, .facts = &v->o.facts, .data_dir = v->o.data_dir,
        .run_dir = v->o.run_dir, .token = token_for_task, .ctx = v, .a = r->a,
    };

    for (unsigned i = 0; i < s->n_volumes; i++) {
        struct node_volume_task t;

        if (node_volume_spec_task(&t, &spec, &s->volumes[i], err) < 0)
            return err_wrap(err, "MountVolume.SetUp failed for volume \"%s\" ", s->volumes[i].name);
        t.made = v->prepared;
        vec_push(&r->tasks, t);
    }
    return 0;
}

static void start_files(struct node_volumes *v)
{
    struct err err = ERR_INIT;
    struct run *r = run_new(v);

    v->renewing = false;
    v->serving = v->wanted;
    v->wanted = false;
    if (make_tasks(v, r, &err) < 0) {
        run_free(r);
        set_renewal(v);
        finish(v, &err);
    } else if (run_start(v, r, &err) < 0) {
        finish(v, &err);
    }
}

static void start_remove(struct node_volumes *v)
{
    struct err err = ERR_INIT;
    struct run *r = run_new(v);

    loop_timer_del(&v->renew);
    v->prepared = false;
    r->remove = true;
    if (run_start(v, r, &err) == 0)
        return;
    v->removing = false;
    v->removed(v->removed_ctx, &err);
}

static void drop_fetches(struct node_volumes *v)
{
    for (size_t i = 0; i < v->fetches.len; i++)
        v->fetches.v[i]->v = NULL;
    v->fetches.len = 0;
}

/* One step further, whatever is wanted. */
static void go_on(struct node_volumes *v)
{
    if (v->removing)
        drop_fetches(v);
    if (v->run || v->fetches.len > 0)
        return;
    if (v->removing) {
        v->wanted = v->renewing = v->fetching = false;
        start_remove(v);
    } else if (v->fetching) {
        v->fetching = false;
        start_files(v);
    } else if (v->wanted || v->renewing) {
        v->fetching = fetch_tokens(v);
        if (!v->fetching)
            start_files(v);
    }
}

/* --- the doors */

static void copy_facts(struct node_volumes *v, const struct node_env_facts *f)
{
    struct arena *a = arena_new(0);
    const char *const *lists[] = { f->pod_ips, f->host_ips };
    const char **copies[2] = { NULL, NULL };

    for (size_t k = 0; k < ARRAY_LEN(lists); k++) {
        size_t n = 0;

        while (lists[k] && lists[k][n])
            n++;
        if (!lists[k])
            continue;
        copies[k] = arena_alloc(a, (n + 1) * sizeof(*copies[k]));
        for (size_t i = 0; i < n; i++)
            copies[k][i] = arena_strdup(a, lists[k][i]);
    }
    v->o.facts = *f;
    v->o.facts.node_name = arena_strdup(a, f->node_name);
    v->o.facts.host_ip = arena_strdup(a, f->host_ip);
    v->o.facts.pod_ip = arena_strdup(a, f->pod_ip);
    v->o.facts.pod_ips = copies[0];
    v->o.facts.host_ips = copies[1];
    arena_free(v->facts);
    v->facts = a;
}

struct node_volumes *node_volumes_new(struct object *pod, const struct node_volume_opts *o)
{
    struct node_volumes *v = NEW(struct node_volumes);

    v->o = *o;
    v->o.data_dir = mem_strdup(o->data_dir);
    v->o.run_dir = mem_strdup(o->run_dir);
    v->pod = object_ref(pod);
    copy_facts(v, &o->facts);
    return v;
}

struct node_volumes *node_volumes_free(struct node_volumes *v)
{
    if (!v)
        return NULL;
    loop_timer_del(&v->kick);
    loop_timer_del(&v->renew);
    if (v->run)
        v->run->v = NULL;
    drop_fetches(v);
    for (size_t i = 0; i < v->tokens.len; i++)
        token_free(v->tokens.v[i]);
    vec_deinit(&v->fetches);
    vec_deinit(&v->tokens);
    object_unref(v->pod);
    arena_free(v->facts);
    mem_free((char *)v->o.data_dir);
    mem_free((char *)v->o.run_dir);
    return mem_free(v);
}

void node_volumes_set_facts(struct node_volumes *v, const struct node_env_facts *f)
{
    copy_facts(v, f);
}

void node_volumes_prepare(struct node_volumes *v, struct object *pod, node_volume_done *done,
                          void *ctx)
{
    check(!node_volumes_busy(v));
    object_ref(pod);
    object_unref(v->pod);
    v->pod = pod;
    v->done = done;
    v->done_ctx = ctx;
    v->wanted = true;
    kick(v);
}

bool node_volumes_prepared(const struct node_volumes *v)
{
    return v->prepared;
}

bool node_volumes_busy(const struct node_volumes *v)
{
    return v->wanted || v->serving || v->tell || v->removing;
}

void node_volumes_remove(struct node_volumes *v, node_volume_done *done, void *ctx)
{
    check(!v->removing);
    v->removing = true;
    v->removed = done;
    v->removed_ctx = ctx;
    kick(v);
}

struct node_volume_host node_volume_host_of(const struct node_volumes *v)
{
    return (struct node_volume_host){ v->pod, v->o.data_dir, v->o.run_dir };
}
