/* api.c: the server as a whole: what it is made of, and the objects that exist before anyone
 * asks. */
#include "core/api/api_call.h"

#include "core/base/log.h"

#include <arpa/inet.h>

static struct object *lookup(void *ctx, const struct kind *kind, const char *ns, const char *name)
{
    return api_lookup(ctx, kind, ns, name);
}

int api_new(struct api **out, const struct api_opts *opts, struct err *err)
{
    struct api *api = NEW(struct api);

    api->loop = opts->loop;
    api->jobs = opts->jobs;
    api->cache = opts->cache;
    api->kv = opts->kv;
    api->env = opts->env;
    api->sa_key = opts->sa_key;
    api->issuer =
        mem_strdup(opts->issuer ? opts->issuer : "https://kubernetes.default.svc.cluster.local");
    api->advertise = mem_strdup(opts->advertise);
    api->cluster_dns = mem_strdup(opts->cluster_dns);
    api->lua = opts->lua;
    api->admit = opts->admit ? *opts->admit
                             : (struct admit_settings){ ADMIT_TOLERATION_S, ADMIT_TOLERATION_S };
    api->more = opts->more;
    api->metrics = api_metric_new();
    api_join_set(api, opts->join);
    api->lookup = (struct admit_lookup){ .get = lookup, .ctx = api };
    list_init(&api->watches);
    if (api_alloc_new(&api->alloc, opts, err) < 0 || api_hops_new(&api->hops, opts,
                                                                       err) < 0) {
        api_free(api);
        return -1;
    }
    *out = api;
    return 0;
}

struct api *api_free(struct api *api)
{
    if (!api)
        return NULL;
    api_watch_stop_all(api);
    api_http_stop(api);
    api_alloc_free(api->alloc);
    api_hops_free(api->hops);
    api_metric_free(api->metrics);
    buf_deinit(&api->openapi_index);
    api_token_forget(api);
    api_join_free(api);
    mem_free(api->issuer);
    mem_free(api->advertise);
    mem_free(api->cluster_dns);
    return mem_free(api);
}

void api_ready(struct api *api)
{
    api->ready = true;
}

void api_stopping(struct api *api)
{
    api->stopping = true;
}

/* --- the first objects */

static int ensure(struct api *api, const struct kind *kind, const char *ns, const char *name,
                  const char *text, struct err *err)
{
    struct object *there = api_lookup(api, kind, ns, name);
    _cleanup_(api_call_freep) struct api_call *c = NULL;

    if (there) {
        object_unref(there);
        return 0;
    }
    c = api_call_new(api, api->loop);
    c->route = (struct api_route){ .verb = API_CREATE, .kind = kind, .ns = ns, .name = "",
                                   .tail = "" };
    c->opt.strict = STRICT_STRICT;
    c->content_type = "application/json";
    c->body = slice_of(text);
    auth_user_named(&c->user, "system:apiserver", "system:masters");
    if (api_create(c) == 0)
        return 0;
    return err_set(err, ERR_FAILED, "create %s %s: %s", kind->resource, name, c->status->message);
}

static int ensure_namespaces(struct api *api, struct err *err)
{
    static const char *const names[] = { "default", "kube-system", "kube-public",
                                         "kube-node-lease" };

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char *text = mem_printf("{\"metadata\":{\"name\":\"%s\"}}", names[i]);
        int result = ensure(api, kind_namespace(), "", names[i], text, err);

        mem_free(text);
        if (result < 0)
            return -1;
    }
    return 0;
}

/* The Service's address is the first of the range, for every cluster of this range. */
static int ensure_service(struct api *api, struct err *err)
{
    char first[INET_ADDRSTRLEN];
    char *text;
    int result;

    api_alloc_first(api->alloc, first);
    text =
        mem_printf("{\"metadata\":{\"name\":\"kubernetes\",\"labels\":{\"component\":\"apiserver\","
                      "\"provider\":\"kubernetes\"}},\"spec\":{\"clusterIP\":\"%s\",\"ports\":["
                      "{\"name\":"
                      "\"https\",\"port\":443,\"protocol\":\"TCP\",\"targetPort\":%s}]}}", first,
                      api->advertise && strrchr(api->advertise, ':')
                          ? strrchr(api->advertise, ':') + 1
                                                                      : "6443");
    result = ensure(api, kind_service(), "default", "kubernetes", text, err);
    mem_free(text);
    return result;
}

/* The name server as clients look for it. The dns roles answer at its address themselves: no
 * selector, no endpoints. */
static int ensure_dns(struct api *api, struct err *err)
{
    _cleanup_(mem_freep) char *text = NULL;

    if (!api->cluster_dns)
        return 0;
    text = mem_printf("{\"metadata\":{\"name\":\"kube-dns\",\"labels\":{\"k8s-app\":\"kube-dns\","
                      "\"kubernetes.io/cluster-service\":\"true\","
                      "\"kubernetes.io/name\":\"CoreDNS\"}},"
                      "\"spec\":{\"clusterIP\":\"%s\",\"ports\":["
                      "{\"name\":\"dns\",\"port\":53,\"protocol\":\"UDP\",\"targetPort\":53},"
                      "{\"name\":\"dns-tcp\",\"port\":53,\"protocol\":\"TCP\","
                      "\"targetPort\":53}]}}",
                      api->cluster_dns);
    return ensure(api, kind_service(), "kube-system", "kube-dns", text, err);
}

/* Where that Service leads: this server. Rewritten at each start, the address may have changed. A
 * loopback address would lead every pod to itself: then there is no endpoint. */
static int ensure_endpoint(struct api *api, struct err *err)
{
    _cleanup_(api_call_freep) struct api_call *c = NULL;
    const struct kind *kind = kind_endpoint_slice();
    const char *colon;
    struct object *there;

    if (!api->advertise || !(colon = strrchr(api->advertise, ':')) ||
        str_starts(api->advertise, "127."))
        return 0;
    there = api_lookup(api, kind, "default", "kubernetes");
    c = api_call_new(api, api->loop);
    c->route = (struct api_route){ .verb = there ? API_UPDATE : API_CREATE, .kind = kind,
                                   .ns = "default",
                                   .name = there ? "kubernetes" : "", .tail = "" };
    object_unref(there);
    c->content_type = "application/json";
    c->body = slice_of(arena_printf(c->a,
        "{\"metadata\":{\"name\":\"kubernetes\",\"labels\":{\"kubernetes.io/service-name\":"
        "\"kubernetes\"}},\"addressType\":\"IPv4\",\"endpoints\":[{\"addresses\":[\"%.*s\"],"
        "\"conditions\":{\"ready\":true}}],"
        "\"ports\":[{\"name\":\"https\",\"port\":%s,\"protocol\":\"TCP\"}]}",
        (int)(colon - api->advertise), api->advertise, colon + 1));
    auth_user_named(&c->user, "system:apiserver", "system:masters");
    if ((c->route.verb == API_CREATE ? api_create(c) : api_update(c)) == 0)
        return 0;
    return err_set(err, ERR_FAILED, "write the endpoint of the API server: %s", c->status->message);
}

int api_bootstrap(struct api *api, struct err *err)
{
    if (ensure_namespaces(api, err) < 0 || ensure_service(api, err) < 0 ||
        ensure_endpoint(api, err) < 0 || ensure_dns(api, err) < 0)
        return -1;
    return 0;
}
