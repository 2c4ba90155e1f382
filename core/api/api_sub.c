/* api_sub.c: subresources whose body is another kind: binding, eviction, scale; token is in
 * api_token.c. */
#include "core/api/api_call.h"

#include "core/base/timefmt.h"
#include "core/object/patch.h"
#include "core/object/rules.h"

#define SUB_TRIES 20

static const struct json *created(struct api_call *c)
{
    struct json *s = json_object(c->a);

    json_set_str(c->a, s, "kind", "Status");
    json_set_str(c->a, s, "apiVersion", "v1");
    json_set(c->a, s, "metadata", json_object(c->a));
    json_set_str(c->a, s, "status", "Success");
    json_set_int(c->a, s, "code", 201);
    return s;
}

/* The body as a canonical tree of the subresource's own type. */
static int decode_sub(struct api_call *c, const char *group, const char *version, const char *kind,
                      struct json **out)
{
    const char *want = *group ? arena_printf(c->a, "%s/%s", group, version) : version;
    const char *is_kind, *is_version;
    char *id = arena_printf(c->a, "%s.%s.%s", *group ? group : "core", version, kind), *dot;
    struct json *raw;
    struct err err = ERR_INIT;

    dot = strchr(id, '.');                   /* types are named by the group's first part */
    if (*group && strstr(group, ".k8s.io"))
        id = arena_printf(c->a, "%.*s.%s.%s", (int)(dot - id), id, version, kind);
    if (api_decode_raw(c, &raw) < 0)
        return -1;
    is_kind = json_get_str(raw, "kind");
    is_version = json_get_str(raw, "apiVersion");
    if (!str_empty(is_kind) && !str_eq(is_kind, kind)) {
        const struct kind *known = kind_by_api_version(is_version ? is_version : want, is_kind);
        const char *v = is_version ? is_version : want, *slash = strrchr(v, '/');

        return api_fail(c, status_bad_request(c->a, "%s in version \"%s\" cannot be handled as a "
                                              "%s: %s",
            is_kind, slash ? slash + 1 : v, kind, known
            ? arena_printf(c->a, "converting (%s.%s) to (%.*s.%s): unknown conversion",
                           slash ? slash + 1 : v, is_kind, (int)strcspn(*group ? group : "core",
                                                                        "."),
                           *group ? group : "core", kind)
            : arena_printf(c->a, "no kind \"%s\" is registered for version \"%s\" in scheme "
                           "\"pkg/api/legacyscheme/scheme.go:30\"", is_kind, v)));
    }
    if (codec_canonical(out, c->a, codec_type(id), raw, &c->notes, &err) < 0)
        return api_fail(c, status_bad_request(c->a, "%s in version \"%s\" cannot be handled as a "
                                              "%s: %s",
                                              kind, version, kind, err.msg));
    return api_notes_settle(c, c->route.kind, "");
}

/* Reads, changes by `change`, compares and swaps; the new object goes to c->object. */
static int modify(struct api_call *c, const char *name, int (*change)(struct api_call *,
                                                                      struct json *, void *),
                  void *arg)
{
    const struct kind *kind = c->route.kind->storage;

    for (int i = 0; i < SUB_TRIES; i++) {
        struct object *old = api_lookup(c->api, kind, c->route.ns, name);
        struct json *tree;
        int result;

        if (!old)
            return api_fail(c, status_not_found(c->a, c->route.kind, name));
        tree = object_tree(old, c->a);
        result = change(c, tree, arg);
        if (result == 0 && c->opt.dry_run) {
            struct err err = ERR_INIT;

            if (object_from_tree(&c->object, kind, tree, 0, &err) < 0)
                result = api_fail(c, status_internal(c->a, err.msg));
        } else if (result == 0) {
            result = api_commit(c, kind, tree, object_rv(old), &c->object);
        }
        object_unref(old);
        if (result <= 0)
            return result;
    }
    return api_fail(c, status_conflict(c->a, c->route.kind, name,
                                       "the object has been modified; please "
                                       "apply your changes to the latest version and try again"));
}

static void set_condition(struct api_call *c, struct json *pod, const char *type,
                          const char *status,
                          const char *reason, const char *message)
{
    struct json *list = json_ensure_array(c->a, json_ensure_object(c->a, pod, "status"),
                                          "conditions");
    struct json *it, *cond = NULL;
    char now[TIMEFMT_BYTES];

    json_each(it, list)
        if (str_eq(json_get_str(it, "type"), type))
            cond = it;
    if (!cond) {
        cond = json_object(c->a);
        json_set_str(c->a, cond, "type", type);
        json_append(c->a, list, cond);
    }
    timefmt_rfc3339(now, env_wall_s(c->api->env));
    if (!str_eq(json_get_str(cond, "status"), status))
        json_set_str(c->a, cond, "lastTransitionTime", now);
    json_set_str(c->a, cond, "status", status);
    json_del(cond, "reason");
    json_del(cond, "message");
    if (reason)
        json_set_str(c->a, cond, "reason", reason);
    if (message)
        json_set_str(c->a, cond, "message", message);
}

/* --- binding */

static int refuse_binding(struct api_call *c, const char *name, const char *why)
{
    struct status *s = status_conflict(c->a, c->route.kind, name, why);

    s->message = arena_printf(c->a, "Operation cannot be fulfilled on pods/binding \"%s\": %s",
                              name, why);
    s->kind = "pods/binding";
    return api_fail(c, s);
}

static int change_binding(struct api_call *c, struct json *pod, void *arg)
{
    const struct json *body = arg, *more = json_path(body, "metadata.annotations");
    struct json *meta = json_get(pod, "metadata"), *spec = json_ensure_object(c->a, pod, "spec");
    const char *name = json_get_str(meta, "name"), *node = json_get_str(spec, "nodeName");
    const char *uid = json_path_str(body, "metadata.uid");

    if (uid && !str_eq(uid, json_get_str(meta, "uid")))
        return api_fail(c, status_conflict(c->a, c->route.kind, name, arena_printf(c->a,
            "Precondition failed: UID in precondition: %s, UID in object meta: %s", uid,
            json_get_str(meta, "uid"))));
    if (json_get(meta, "deletionTimestamp"))
        return refuse_binding(c, name, arena_printf(c->a,
            "pod %s is being deleted, cannot be assigned to a host", name));
    if (!str_empty(node))
        return refuse_binding(c, name, arena_printf(c->a, "pod %s is already assigned to node "
                                                    "\"%s\"", name,
                                                    node));
    if (json_len(json_get(spec, "schedulingGates")))
        return refuse_binding(c, name, arena_printf(c->a, "pod %s has non-empty "
                                                    ".spec.schedulingGates",
                                                    name));
    json_set_str(c->a, spec, "nodeName", json_path_str(body, "target.name"));
    json_each_member(m, more)
        json_set(c->a, json_ensure_object(c->a, meta, "annotations"), m->key, m->val);
    set_condition(c, pod, "PodScheduled", "True", NULL, NULL);
    json_del(json_get(pod, "status"), "nominatedNodeName");
    return 0;
}

static int bind_pod(struct api_call *c)
{
    struct json *body;
    const char *kind, *name;

    if (decode_sub(c, "", "v1", "Binding", &body) < 0)
        return -1;
    name = json_path_str(body, "metadata.name");
    kind = json_path_str(body, "target.kind");
    if (*c->route.name && !str_eq(name, c->route.name))
        return api_fail(c, status_bad_request(c->a, "name in URL does not match name in Binding "
                                              "object"));
    if (!str_empty(kind) && !str_eq(kind, "Node"))
        return api_fail(c, status_new(c->a, 500, "", "target.kind: Unsupported value: \"%s\": "
                                      "supported "
                                      "values: \"Node\", \"<empty>\"", kind));
    if (str_empty(json_path_str(body, "target.name")))
        return api_fail(c, status_new(c->a, 500, "", "target.name: Required value"));
    if (modify(c, name ? name : "", change_binding, body) < 0)
        return -1;
    c->object = object_unref(c->object);
    c->tree = created(c);
    c->code = 201;
    return 0;
}

/* --- eviction; budgets are not served yet, so none can refuse */

static int change_evicted(struct api_call *c, struct json *pod, void *arg)
{
    (void)arg;
    set_condition(c, pod, "DisruptionTarget", "True", "EvictionByEvictionAPI",
                  "Eviction API: evicting");
    return 0;
}

static int evict(struct api_call *c)
{
    struct api_delete_opts o = { 0 };
    struct json *body, *opts;
    struct object *last = NULL;
    const char *name;
    bool gone;

    if (decode_sub(c, "policy", "v1", "Eviction", &body) < 0)
        return -1;
    name = json_path_str(body, "metadata.name");
    if (!str_eq(name ? name : "", c->route.name))
        return api_fail(c, status_bad_request(c->a, "name in URL does not match name in Eviction "
                                              "object"));
    opts = json_get(body, "deleteOptions");
    o.has_grace = json_get(opts, "gracePeriodSeconds") != NULL;
    o.grace_s = json_get_int(opts, "gracePeriodSeconds", 0);
    o.uid = json_path_str(opts, "preconditions.uid");
    o.rv = json_path_str(opts, "preconditions.resourceVersion");
    o.propagation = json_get_str(opts, "propagationPolicy");
    o.dry_run = c->opt.dry_run || json_len(json_get(opts, "dryRun"));
    if (!o.dry_run && !o.rv && modify(c, name, change_evicted, NULL) < 0)
        return -1;
    c->object = object_unref(c->object);
    if (api_delete_one(c, c->route.kind, c->route.ns, name, &o, &last, &gone) < 0)
        return -1;
    object_unref(last);
    c->tree = created(c);
    c->code = 201;
    return 0;
}

/* --- scale */

static const char *selector_text(struct api_call *c, const struct json *selector)
{
    struct selector *s = NULL;
    _cleanup_buf_ struct buf b = BUF_INIT;
    struct err err = ERR_INIT;

    if (!selector || selector_from_json(&s, selector, &err) < 0)
        return "";
    selector_write(&b, s);
    selector_free(s);
    return arena_strdup(c->a, b.p ? b.p : "");
}

static struct json *scale_of(struct api_call *c, const struct json *tree)
{
    static const char *const copied[] = { "name", "namespace", "uid", "resourceVersion",
                                          "creationTimestamp" };
    struct json *s = json_object(c->a), *meta = json_object(c->a), *spec = json_object(c->a);
    struct json *status = json_object(c->a), *from = json_get(tree, "metadata");
    const char *selector = selector_text(c, json_path(tree, "spec.selector"));
    int64_t replicas = json_get_int(json_get(tree, "spec"), "replicas", 0);

    json_set_str(c->a, s, "kind", "Scale");
    json_set_str(c->a, s, "apiVersion", "autoscaling/v1");
    for (size_t i = 0; i < ARRAY_LEN(copied); i++)
        if (json_get(from, copied[i]))
            json_set(c->a, meta, copied[i], json_get(from, copied[i]));
    json_set(c->a, s, "metadata", meta);
    if (replicas)
        json_set_int(c->a, spec, "replicas", replicas);
    json_set(c->a, s, "spec", spec);
    json_set_int(c->a, status, "replicas", json_get_int(json_get(tree, "status"), "replicas", 0));
    if (*selector)
        json_set_str(c->a, status, "selector", selector);
    json_set(c->a, s, "status", status);
    return s;
}

static int patch_scale(struct api_call *c, const struct json *now, struct json **out)
{
    const char *type = c->content_type ? c->content_type : "";
    struct json *patch, *raw = NULL;
    struct err err = ERR_INIT;
    int result;

    if (codec_parse(&patch, c->a, MEDIA_JSON, c->body, &c->notes, &err) < 0)
        return api_fail(c, status_bad_request(c->a, "error decoding patch: %s", err.msg));
    if (strstr(type, "json-patch"))
        result = patch_json(&raw, c->a, now, patch, &err);
    else if (strstr(type, "strategic") || strstr(type, "merge-patch"))
        result = patch_merge(&raw, c->a, now, patch, &err);
    else {
        struct status *s = status_new(c->a, 415, "UnsupportedMediaType",
                                      "415: Unsupported Media Type");

        s->kind = "";
        return api_fail(c, s);
    }
    if (result < 0)
        return api_fail(c, status_new(c->a, 422, "Invalid", "%s", err.msg));
    if (codec_canonical(out, c->a, codec_type("autoscaling.v1.Scale"), raw, &c->notes, &err) < 0) {
        struct causes causes = { .a = c->a };

        causes_add(&causes, CAUSE_INVALID, "patch", json_strn(c->a, c->body.p, c->body.len), "%s",
                   err.msg);
        return api_fail(c, status_invalid_gk(c->a, "", "", "", &causes));
    }
    return api_notes_settle(c, c->route.kind, "patch");
}

static int check_scale(struct api_call *c, const struct json *scale, const struct json *tree)
{
    const char *rv = json_path_str(scale, "metadata.resourceVersion");
    const char *uid = json_path_str(scale, "metadata.uid"), *name =
        json_path_str(scale, "metadata.name");
    int64_t replicas = json_get_int(json_get(scale, "spec"), "replicas", 0);
    struct causes causes = { .a = c->a };

    if (!str_eq(name ? name : "", c->route.name))
        return api_fail(c, status_bad_request(c->a, "the name of the object (%s) does not match "
                                              "the name on "
                                              "the URL (%s)", name ? name : "", c->route.name));
    if (replicas < 0) {
        causes_add(&causes, CAUSE_INVALID, "spec.replicas", json_int(c->a, replicas),
                   "must be greater than or equal to 0");
        return api_fail(c, status_invalid_gk(c->a, "autoscaling", "Scale", c->route.name, &causes));
    }
    if (uid && !str_eq(uid, json_path_str(tree, "metadata.uid")))
        return api_fail(c, status_conflict(c->a, c->route.kind, c->route.name, arena_printf(c->a,
            "Precondition failed: UID in precondition: %s, UID in object meta: %s", uid,
            json_path_str(tree, "metadata.uid"))));
    if (!str_empty(rv) && !str_eq(rv, json_path_str(tree, "metadata.resourceVersion")))
        return api_fail(c, status_conflict(c->a, c->route.kind, c->route.name,
                                           "the object has been modified; "
                                           "please apply your changes to the latest version and "
                                               "try again"));
    return 0;
}

static int change_scale(struct api_call *c, struct json *tree, void *arg)
{
    struct json *scale = arg, *old = json_clone(c->a, tree);
    struct rules_ctx ctx = { .a = c->a, .env = c->api->env, .ns = c->route.ns,
                             .subresource = "scale" };

    if (!scale && patch_scale(c, scale_of(c, tree), &scale) < 0)
        return -1;
    if (check_scale(c, scale, tree) < 0)
        return -1;
    json_set_int(c->a, json_ensure_object(c->a, tree, "spec"), "replicas",
                 json_get_int(json_get(scale, "spec"), "replicas", 0));
    rules_prepare_update(tree, old, c->route.kind->storage, &ctx);
    return 0;
}

static int scale(struct api_call *c)
{
    struct json *body = NULL;

    if (c->route.verb == API_GET) {
        struct object *o = api_lookup(c->api, c->route.kind, c->route.ns, c->route.name);

        if (!o)
            return api_fail(c, status_not_found(c->a, c->route.kind, c->route.name));
        c->tree = scale_of(c, object_tree(o, c->a));
        object_unref(o);
    } else {
        if (c->route.verb == API_UPDATE && decode_sub(c, "autoscaling", "v1", "Scale", &body) < 0)
            return -1;
        if (body && !str_eq(json_path_str(body, "metadata.name"), c->route.name))
            return check_scale(c, body, NULL);
        if (modify(c, c->route.name, change_scale, body) < 0)
            return -1;
        c->tree = scale_of(c, object_tree(c->object, c->a));
        c->object = object_unref(c->object);
    }
    c->code = 200;
    return 0;
}

int api_subresource(struct api_call *c)
{
    static const struct { const char *name; int (*run)(struct api_call *c); } rows[] = {
        { "binding", bind_pod }, { "eviction", evict }, { "scale", scale }, { "token", api_token },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (str_eq(rows[i].name, c->route.sub->name))
            return rows[i].run(c);
    /* status, ephemeralcontainers, resize: the object itself */
    return api_get(c);
}
