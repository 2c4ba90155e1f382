/* api_delete.c: delete: graceful for pods, by finalizers, by propagation policy; and of
 * collections. */
#include "core/api/api_call.h"

#include "core/base/timefmt.h"

#include <stdio.h>

#define DELETE_TRIES 20                     /* on conflict with other writers of the same object */

/* --- options: the body wins over the query */

static int options_raw(struct api_call *c, struct json **out)
{
    const char *kind, *version;

    *out = NULL;
    if (!c->body.len)
        return 0;
    if (api_decode_raw(c, out) < 0)
        return -1;
    c->notes.len = 0;
    kind = json_get_str(*out, "kind");
    version = json_get_str(*out, "apiVersion");
    if (!str_empty(kind) && !str_eq(kind, "DeleteOptions"))
        return api_fail(c, status_bad_request(c->a, "no kind \"%s\" is registered for version "
                                              "\"%s\" in "
            "scheme \"pkg/apis/meta/internalversion/scheme/register.go:27\"", kind,
                version ? version : ""));
    return 0;
}

static struct json *options_from_query(struct api_call *c)
{
    struct json *o = json_object(c->a);
    int64_t n;

    if (!str_empty(c->opt.grace) && str_to_i64(c->opt.grace, INT64_MIN, INT64_MAX, &n, NULL) == 0)
        json_set_int(c->a, o, "gracePeriodSeconds", n);
    if (!str_empty(c->opt.propagation))
        json_set_str(c->a, o, "propagationPolicy", c->opt.propagation);
    if (!str_empty(c->opt.orphan))
        json_set_bool(c->a, o, "orphanDependents",
                      !str_eq(c->opt.orphan, "false") && !str_eq(c->opt.orphan, "0"));
    if (!str_empty(c->opt.dry_run_text)) {
        struct json *all = json_array(c->a);

        json_append(c->a, all, json_str(c->a, c->opt.dry_run_text));
        json_set(c->a, o, "dryRun", all);
    }
    return o;
}

static void check_options(struct api_call *c, const struct json *o, struct causes *causes)
{
    const char *policy = json_get_str(o, "propagationPolicy");
    struct json *dry = json_get(o, "dryRun"), *it;

    if (policy && json_get(o, "orphanDependents"))
        causes_add(causes, CAUSE_INVALID, "propagationPolicy", json_str(c->a, policy),
                   "orphanDependents and deletionPropagation cannot be both set");
    if (policy && !str_eq(policy, "Foreground") && !str_eq(policy, "Background") &&
        !str_eq(policy, "Orphan"))
        causes_add(causes, CAUSE_NOT_SUPPORTED, "propagationPolicy", json_str(c->a, policy),
                   "supported values: \"Foreground\", \"Background\", \"Orphan\", \"nil\"");
    json_each(it, dry) {
        if (str_eq(json_text(it), "All"))
            continue;
        causes_add(causes, CAUSE_NOT_SUPPORTED, "dryRun", dry, "supported values: \"All\"");
        break;
    }
    if (json_get_bool(o, "ignoreStoreReadErrorWithClusterBreakingPotential", false) &&
        (policy || json_get(o, "orphanDependents") || json_get(o, "gracePeriodSeconds") ||
         json_get(o, "preconditions")))
        causes_add(causes, CAUSE_INVALID, "ignoreStoreReadErrorWithClusterBreakingPotential",
                   json_bool(c->a, true), "cannot be set together with other options");
}

static int read_options(struct api_call *c, struct api_delete_opts *out)
{
    struct causes causes = { .a = c->a };
    struct json *raw, *o = NULL;
    struct err err = ERR_INIT;

    *out = (struct api_delete_opts){ 0 };
    if (options_raw(c, &raw) < 0)
        return -1;
    if (!raw)
        raw = options_from_query(c);
    if (codec_canonical(&o, c->a, codec_type("meta.v1.DeleteOptions"), raw, NULL, &err) < 0)
        return api_fail(c, status_bad_request(c->a, "%s", err.msg));
    check_options(c, o, &causes);
    if (causes.len)
        return api_fail(c, status_invalid_gk(c->a, "meta.k8s.io", "DeleteOptions", "", &causes));
    out->has_grace = json_get(o, "gracePeriodSeconds") != NULL;
    out->grace_s = json_get_int(o, "gracePeriodSeconds", 0);
    out->propagation = json_get_str(o, "propagationPolicy");
    out->orphan_given = json_get(o, "orphanDependents") != NULL;
    out->orphan = json_get_bool(o, "orphanDependents", false);
    out->uid = json_path_str(o, "preconditions.uid");
    out->rv = json_path_str(o, "preconditions.resourceVersion");
    out->dry_run = json_len(json_get(o, "dryRun")) > 0;
    return 0;
}

/* --- one object */

struct deletion {
    struct api_call *c;
    const struct kind *kind;
    const struct api_delete_opts *o;
    struct object *old;
    struct json *tree;
};

/* Upstream names the kind here, not the resource. */
static int refuse(struct deletion *d, const char *why)
{
    struct api_call *c = d->c;
    const char *dot = *d->kind->group ? "." : "", *name = object_name(d->old);
    struct status *s = status_conflict(c->a, d->kind, name, why);

    if (d->kind == kind_namespace())
        return api_fail(c, s);
    s->message = arena_printf(c->a, "Operation cannot be fulfilled on %s%s%s \"%s\": %s",
                              d->kind->kind, dot,
                              d->kind->group, name, why);
    s->kind = d->kind->kind;
    return api_fail(c, s);
}

static int check_preconditions(struct deletion *d)
{
    struct api_call *c = d->c;
    char rv[24];

    snprintf(rv, sizeof(rv), "%lld", (long long)object_rv(d->old));
    if (d->o->uid && !str_eq(d->o->uid, object_uid(d->old)))
        return refuse(d, arena_printf(c->a, d->kind == kind_namespace()
            ? "Precondition failed: UID in precondition: %s, UID in object meta: %s"
            : "the UID in the precondition (%s) does not match the UID in record (%s). The object "
                "might have "
              "been deleted and then recreated", d->o->uid, object_uid(d->old)));
    if (d->o->rv && !str_eq(d->o->rv, rv))
        return refuse(d, arena_printf(c->a,
            "the ResourceVersion in the precondition (%s) does not match the ResourceVersion in "
                "record (%s). "
            "The object might have been modified", d->o->rv, rv));
    return 0;
}

static int64_t pod_grace(struct deletion *d)
{
    const struct json *spec = json_get(d->tree, "spec");
    const char *phase = json_path_str(d->tree, "status.phase");
    int64_t grace = d->o->has_grace ? d->o->grace_s : json_get_int(spec,
                                                                   "terminationGracePeriodSeconds",
                                                                       0);

    if (d->kind != kind_pod() || str_empty(json_get_str(spec, "nodeName")) ||
        str_eq(phase, "Succeeded") || str_eq(phase, "Failed"))
        return 0;
    return grace < 0 ? 1 : grace;
}

static bool has_finalizer(const struct json *list, const char *name)
{
    struct json *it;

    json_each(it, list)
        if (str_eq(json_text(it), name))
            return true;
    return false;
}

/* The finalizers that carry a propagation policy, as the garbage collector reads them. */
static void set_finalizers(struct deletion *d, struct json *meta)
{
    static const char orphan[] = "orphan", foreground[] = "foregroundDeletion";
    struct arena *a = d->c->a;
    struct json *old = json_get(meta, "finalizers"), *list = json_array(a), *it;
    bool chosen = d->o->propagation || d->o->orphan_given;
    bool do_orphan = chosen ? d->o->orphan || str_eq(d->o->propagation, "Orphan")
                            : has_finalizer(old, orphan);
    bool do_foreground = chosen ? str_eq(d->o->propagation, "Foreground")
        : has_finalizer(old, foreground);

    if (api_strategy_of(d->kind)->no_gc)
        return;
    json_each(it, old)
        if (!str_eq(json_text(it), orphan) && !str_eq(json_text(it), foreground))
            json_append(a, list, it);
    if (do_orphan)
        json_append(a, list, json_str(a, orphan));
    if (do_foreground)
        json_append(a, list, json_str(a, foreground));
    if (json_len(list))
        json_set(a, meta, "finalizers", list);
    else
        json_del(meta, "finalizers");
}

/* Marks it as being deleted; a pending grace may only become shorter. */
static void mark(struct deletion *d, struct json *meta, int64_t grace)
{
    struct arena *a = d->c->a;
    bool pending = json_get(meta, "deletionTimestamp") != NULL;
    int64_t generation = json_get_int(meta, "generation", 0), at_us;
    char when[TIMEFMT_BYTES];

    if (pending) {
        int64_t left = json_get_int(meta, "deletionGracePeriodSeconds", 0);

        if (!d->o->has_grace || grace >= left)
            return;
        if (timefmt_parse(json_get_str(meta, "deletionTimestamp"), &at_us, NULL) < 0)
            at_us = env_wall_us(d->c->api->env);
        timefmt_rfc3339(when, at_us / 1000000 - left + grace);
    } else {
        timefmt_rfc3339(when, env_wall_s(d->c->api->env) + grace);
        if (generation > 0)
            json_set_int(a, meta, "generation", generation + 1);
    }
    json_set_str(a, meta, "deletionTimestamp", when);
    if (d->kind != kind_namespace())
        json_set_int(a, meta, "deletionGracePeriodSeconds", grace);
}

/* A namespace goes in two steps: Terminating, and away when its content is (spec.finalizers are
 * empty). */
static bool namespace_waits(struct deletion *d)
{
    struct json *status;

    if (d->kind != kind_namespace() || !json_len(json_path(d->tree, "spec.finalizers")))
        return false;
    status = json_ensure_object(d->c->a, d->tree, "status");
    json_set_str(d->c->a, status, "phase", "Terminating");
    return true;
}

/* Watchers see a pod marked before they see it gone, also when there is no grace. */
static int mark_then_delete(struct deletion *d, struct object **out)
{
    struct api_call *c = d->c;
    struct object *marked = NULL;
    int result;

    if (json_equal(d->tree, object_tree(d->old, c->a)))
        return api_commit_delete(c, d->old, d->tree, out);
    result = api_commit(c, d->kind, d->tree, object_rv(d->old), &marked);
    if (result != 0)
        return result;
    result = api_commit_delete(c, marked, object_tree(marked, c->a), out);
    object_unref(marked);
    return result;
}

/* 0 done (*out is the object, *gone whether it left the store), 1 conflict, -1 answered. */
static int delete_once(struct deletion *d, struct object **out, bool *gone)
{
    struct api_call *c = d->c;
    struct json *meta = json_get(d->tree, "metadata");
    bool graceful = d->kind == kind_pod() || d->kind == kind_namespace(), waits;
    int64_t grace = pod_grace(d);

    if (check_preconditions(d) < 0)
        return -1;
    set_finalizers(d, meta);
    if (graceful || json_len(json_get(meta, "finalizers")))
        mark(d, meta, grace);
    waits = namespace_waits(d) || json_len(json_get(meta, "finalizers")) ||
            json_get_int(meta, "deletionGracePeriodSeconds", 0) > 0;
    *gone = !waits;
    if (d->o->dry_run || c->opt.dry_run) {
        struct err err = ERR_INIT;

        if (object_from_tree(out, d->kind, d->tree, 0, &err) < 0)
            return api_fail(c, status_internal(c->a, err.msg));
        return 0;
    }
    if (!waits)
        return d->kind == kind_pod() ? mark_then_delete(d, out)
                                     : api_commit_delete(c, d->old, d->tree, out);
    if (json_equal(d->tree, object_tree(d->old, c->a))) {
        *out = object_ref(d->old);
        return 0;
    }
    return api_commit(c, d->kind, d->tree, object_rv(d->old), out);
}

static int admit(struct api_call *c, struct object *o)
{
    struct admit_request r = {
        .a = c->a, .env = c->api->env, .lookup = &c->api->lookup,
        .lua = c->api->lua, .settings = &c->api->admit, .verb = ADMIT_DELETE,
        .kind = object_kind(o), .subresource = "", .ns = object_ns(o), .name = object_name(o),
        .user = c->user.name, .old = object_tree(o, c->a), .warnings = &c->warnings,
    };

    return api_admit(c, &r, true);
}

int api_delete_one(struct api_call *c, const struct kind *kind, const char *ns, const char *name,
                   const struct api_delete_opts *o, struct object **out, bool *gone)
{
    for (int i = 0; i < DELETE_TRIES; i++) {
        struct deletion d = { .c = c, .kind = kind->storage, .o = o };
        int result;

        d.old = api_lookup(c->api, kind, ns, name);
        if (!d.old)
            return api_fail(c, status_not_found(c->a, kind, name));
        d.tree = object_tree(d.old, c->a);
        result = admit(c, d.old) < 0 ? -1 : delete_once(&d, out, gone);
        object_unref(d.old);
        if (result <= 0)
            return result;
    }
    return api_fail(c, status_conflict(c->a, kind, name, "the object has been modified; please "
                                       "apply your "
                                       "changes to the latest version and try again"));
}

static const struct json *success(struct api_call *c, const struct kind *kind, struct object *o)
{
    struct arena *a = c->a;
    struct json *s = json_object(a), *details = json_object(a);

    json_set_str(a, s, "kind", "Status");
    json_set_str(a, s, "apiVersion", "v1");
    json_set(a, s, "metadata", json_object(a));
    json_set_str(a, s, "status", "Success");
    json_set_str(a, details, "name", object_name(o));
    if (*kind->group)
        json_set_str(a, details, "group", kind->group);
    json_set_str(a, details, "kind", kind->resource);
    json_set_str(a, details, "uid", object_uid(o));
    json_set(a, s, "details", details);
    return s;
}

int api_delete(struct api_call *c)
{
    struct api_delete_opts o;
    struct object *last = NULL;
    bool gone = false;

    if (read_options(c, &o) < 0 ||
        api_delete_one(c, c->route.kind, c->route.ns, c->route.name, &o, &last, &gone) < 0)
        return -1;
    c->code = 200;
    if (gone && !api_strategy_of(c->route.kind)->returns_deleted) {
        c->tree = success(c, c->route.kind, last);
        object_unref(last);
        return 0;
    }
    c->object = last;
    return 0;
}

static bool keep(void *ctx, struct object *o)
{
    return api_filter_keeps(ctx, o);
}

/* Answers what was found, as upstream does. */
int api_delete_collection(struct api_call *c)
{
    struct api_delete_opts o;
    struct api_filter f;
    struct watch_list_opts lo = { .kind = c->route.kind->storage, .ns = c->route.ns, .keep = keep,
                                  .ctx = &f };
    struct watch_list l;
    struct err err = ERR_INIT;
    int result = 0;

    if (read_options(c, &o) < 0 || api_filter_init(&f, c) < 0)
        return -1;
    lo.limit = (size_t)c->opt.limit;
    if (watch_cache_list(&l, c->api->cache, &lo, &err) < 0) {
        api_filter_deinit(&f);
        return api_fail_err(c, &err);
    }
    for (size_t i = 0; i < l.len && result == 0; i++) {
        struct object *last = NULL;
        bool gone;

        result = api_delete_one(c, c->route.kind, object_ns(l.v[i]), object_name(l.v[i]), &o,
                                &last, &gone);
        object_unref(last);
        if (result < 0 && c->status->code == 404) {
            c->status = NULL;
            result = 0;
        }
    }
    if (result == 0) {
        buf_fmt(&c->text,
                "{\"kind\":\"%sList\",\"apiVersion\":\"%s\",\"metadata\":{\"resourceVersion\":"
                "\"%lld\"},\"items\":[", c->route.kind->kind, kind_api_version(c->route.kind),
                (long long)l.revision);
        for (size_t i = 0; i < l.len; i++) {
            if (i)
                buf_chr(&c->text, ',');
            api_write_object(&c->text, c, l.v[i], true);
        }
        buf_str(&c->text, "]}\n");
        c->text_type = "application/json";
        c->code = 200;
    }
    watch_list_deinit(&l);
    api_filter_deinit(&f);
    return result;
}
