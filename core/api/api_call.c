/* api_call.c: the phases of a request, and where each runs. */
#include "core/api/api_call.h"

#include "core/base/metric.h"

#define CALL_ARENA_BYTES (96u << 20)        /* a list of everything may be encoded in it */

struct api_call *api_call_new(struct api *api, struct loop *home)
{
    struct api_call *c = NEW(struct api_call);

    c->api = api;
    c->home = home;
    c->a = arena_new(CALL_ARENA_BYTES);
    c->notes.a = c->warnings.a = c->a;
    c->begun_ns = metric_now_ns();
    c->method = "GET";
    c->path = "/";
    return c;
}

struct api_call *api_call_free(struct api_call *c)
{
    if (!c)
        return NULL;
    api_metric_end(c);
    object_unref(c->object);
    buf_deinit(&c->text);
    arena_free(c->a);
    return mem_free(c);
}

int api_fail_err(struct api_call *c, const struct err *err)
{
    return api_fail(c, status_from_err(c->a, err));
}

/* --- may you */

static int authorize(struct api_call *c)
{
    const struct api_route *r = &c->route;
    struct auth_request ask = { .verb = api_verb_name(r->verb), .group = "", .resource = "",
                                .subresource = "", .ns = r->ns, .name = r->name };
    const char *what;

    if (!r->kind) {
        ask.path = c->path;
        ask.verb = "get";
    } else {
        ask.group = r->kind->group;
        ask.resource = r->kind->resource;
        ask.subresource = r->sub ? r->sub->name : "";
    }
    if (auth_allows(&c->user, &ask) && api_csr_visible(c) && api_node_may(c)) {
        api_metric_authz(c->api, true);
        return 0;
    }
    api_metric_authz(c->api, false);
    if (!r->kind) {
        struct status *s = status_new(c->a, 403, "Forbidden",
            "forbidden: User \"%s\" cannot %s path \"%s\"", c->user.name, ask.verb, c->path);

        s->kind = "";
        return api_fail(c, s);
    }
    what = *ask.subresource ? arena_printf(c->a, "%s/%s", ask.resource, ask.subresource)
        : ask.resource;
    what = arena_printf(c->a, "User \"%s\" cannot %s resource \"%s\" in API group \"%s\" %s",
                        c->user.name, ask.verb, what, ask.group, *ask.ns ?
                        arena_printf(c->a, "in the namespace \"%s\"", ask.ns)
                            : "at the cluster scope");
    return api_fail(c, status_forbidden(c->a, r->kind, r->name, what));
}

/* --- what runs */

enum where { RUN_INLINE, RUN_READ, RUN_WRITE, RUN_TRANSPORT };

struct handler { int (*run)(struct api_call *c); enum where where; };

static const struct handler handlers[API_VERB_MAX] = {
    [API_GET] = { api_get, RUN_INLINE },
    [API_LIST] = { api_list, RUN_READ },
    [API_WATCH] = { NULL, RUN_TRANSPORT },
    [API_CREATE] = { api_create, RUN_WRITE },
    [API_UPDATE] = { api_update, RUN_WRITE },
    [API_PATCH] = { api_update, RUN_WRITE },
    [API_DELETE] = { api_delete, RUN_WRITE },
    [API_DELETECOLLECTION] = { api_delete_collection, RUN_WRITE },
    [API_CONNECT] = { NULL, RUN_TRANSPORT },
    [API_NONRESOURCE] = { api_nonresource, RUN_INLINE },
};

static void deliver(struct loop_msg *m)
{
    struct api_call *c = container_of(m, struct api_call, job.msg);

    c->on_done(c);
}

static void run_on_job(struct job *j)
{
    struct api_call *c = container_of(j, struct api_call, job);
    const struct handler *h = &handlers[c->route.verb];
    int result = c->route.sub && (c->route.verb == API_CREATE || c->route.verb == API_GET)
        ? api_subresource(c) : h->run(c);

    if (result == 0 && c->object && !c->code)
        c->code = 200;
    api_encode(c);
}

static void job_done(struct job *j)
{
    struct api_call *c = container_of(j, struct api_call, job);

    if (!job_was_run(j))
        c->status = status_new(c->a, 503, "ServiceUnavailable", "the server is shutting down");
    c->on_done(c);
}

static bool is_openapi(const struct api_call *c)
{
    return !c->route.kind && str_starts(c->path, "/openapi/");
}

/* Allocations of Services are ordered by one key; all other writes are ordered by the store
 * alone. */
static const char *job_key(const struct api_call *c)
{
    if (is_openapi(c))
        return "openapi";
    return c->route.kind == kind_service() && c->route.verb != API_LIST ? "services" : "";
}

void api_call_dispatch(struct api_call *c)
{
    const struct handler *h = &handlers[c->route.verb];
    enum where where = h->where;
    struct err err = ERR_INIT;

    api_metric_begin(c);
    /* Subresources that are no write of the object itself (scale, token, ...) are jobs too. */
    if (c->route.sub && c->route.verb == API_GET && !str_eq(c->route.sub->name, "status"))
        where = RUN_READ;
    if (is_openapi(c))                           /* milliseconds of work */
        where = RUN_READ;
    switch (where) {
    case RUN_INLINE:
        h->run(c);
        api_encode(c);
        break;
    case RUN_TRANSPORT:
        break;
    case RUN_READ: case RUN_WRITE:
        if (job_add(c->api->jobs, c->home, &c->job, where == RUN_READ ? JOB_READ : JOB_WRITE,
                    job_key(c), run_on_job, job_done, &err) == 0)
            return;
        c->status = status_new(c->a, 429, "TooManyRequests",
                               "too many requests are waiting, please try again later");
        c->status->retry_after_s = 1;
        api_encode(c);
        break;
    }
    loop_post(c->home, &c->job.msg, deliver);
}

static int prepare(struct api_call *c)
{
    if (api_route_parse(c) < 0) {
        struct status *why = c->status;

        /* What must not be seen must not be probed for either. */
        c->status = NULL;
        c->route = (struct api_route){ .verb = API_NONRESOURCE, .ns = "", .name = "", .tail = "" };
        if (authorize(c) < 0)
            return -1;
        return api_fail(c, why);
    }
    if (authorize(c) < 0)
        return -1;
    if (!c->api->ready && c->route.kind)
        return api_fail(c, status_new(c->a, 503, "ServiceUnavailable", "the server is starting"));
    if (c->route.verb == API_CONNECT || c->route.verb == API_NONRESOURCE)
        return 0;
    if (api_negotiate(c) < 0)
        return -1;
    return api_options_parse(c);
}

void api_call_start(struct api_call *c)
{
    if (prepare(c) == 0) {
        api_call_dispatch(c);
        return;
    }
    api_encode(c);
    loop_post(c->home, &c->job.msg, deliver);
}
