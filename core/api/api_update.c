/* api_update.c: PUT and PATCH, of the object and of its status and other subresources of the same
 * kind.
 *
 *   read old -> new body or patched old -> default -> checks -> prepare -> admit -> validate ->
 * compare-and-swap
 *
 * A conflict in the last step starts over, unless the client named the version it meant.
 */
#include "core/api/api_call.h"

#include "core/object/apply.h"
#include "core/object/convert.h"
#include "core/object/patch.h"
#include "core/object/rules.h"

enum patch_type { PATCH_NONE, PATCH_JSON, PATCH_MERGE, PATCH_STRATEGIC, PATCH_APPLY };

struct update {
    struct api_call *c;
    const struct kind *kind;                /* as asked */
    const struct kind *store;
    enum patch_type patch;
    struct json *body;                      /* of a PUT: the new object; of a PATCH: the patch */
    struct object *old;                     /* reference */
    struct json *old_tree;
    struct json *new_tree;
};

static const char *text_of(const struct json *tree, const char *key)
{
    const char *s = json_get_str(json_get(tree, "metadata"), key);

    return s ? s : "";
}

/* --- patches */

static int patch_type(struct api_call *c, enum patch_type *out)
{
    static const struct { const char *type; enum patch_type is; } rows[] = {
        { "application/json-patch+json", PATCH_JSON },
        { "application/merge-patch+json", PATCH_MERGE },
        { "application/strategic-merge-patch+json", PATCH_STRATEGIC },
        { "application/apply-patch+yaml", PATCH_APPLY },
    };
    struct slice rest = slice_of(c->content_type ? c->content_type : ""), first = { "", 0 };
    struct status *s;

    slice_split(&rest, ';', &first);
    first = slice_trim(first);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (!slice_is(first, rows[i].type))
            continue;
        *out = rows[i].is;
        return 0;
    }
    s = status_new(c->a, 415, "UnsupportedMediaType", "415: Unsupported Media Type");
    s->kind = "";
    return api_fail(c, s);
}

/* Members of a JSON patch that mean nothing are told like unknown fields. */
static void note_operations(struct api_call *c, const struct json *patch)
{
    static const char *const known[] = { "op", "path", "value", "from" };
    struct json *it;

    for (unsigned i = 0; i < c->notes.len; i++)
        c->notes.v[i] = arena_printf(c->a, "json patch %s", c->notes.v[i]);
    json_each(it, patch)
        json_each_member(m, it) {
            bool is_known = false;

            for (size_t k = 0; k < ARRAY_LEN(known); k++)
                is_known = is_known || str_eq(m->key, known[k]);
            if (!is_known)
                codec_note(&c->notes, "json patch unknown field \"[%zu].%s\"", it_i, m->key);
        }
}

static int parse_patch(struct update *u)
{
    struct api_call *c = u->c;
    struct err err = ERR_INIT;

    if (u->patch == PATCH_APPLY)
        return api_apply_parse(c, u->kind, &u->body);
    if (codec_parse(&u->body, c->a, MEDIA_PATCH, c->body, &c->notes, &err) < 0)
        return api_fail(c, status_bad_request(c->a, "error decoding patch: %s", err.msg));
    if (u->patch == PATCH_JSON && !json_is(u->body, JSON_ARRAY))
        return api_fail(c, status_bad_request(c->a, "error decoding patch: json: cannot unmarshal "
                                              "%s into "
            "Go value of type jsonpatch.Patch", json_type_name((int)u->body->type)));
    if (u->patch == PATCH_JSON && json_len(u->body) > PATCH_JSON_OPS_MAX)
        return api_fail(c, status_new(c->a, 413, "RequestEntityTooLarge",
                                      "The allowed maximum operations "
            "in a JSON patch is %d, got %zu", PATCH_JSON_OPS_MAX, json_len(u->body)));
    if (u->patch != PATCH_JSON && !json_is(u->body, JSON_OBJECT) && !json_is(u->body, JSON_NULL))
        return api_fail(c, status_bad_request(c->a, "error decoding patch: json: cannot unmarshal "
                                              "%s into "
            "Go value of type map[string]interface {}", json_type_name((int)u->body->type)));
    if (u->patch == PATCH_JSON)
        note_operations(c, u->body);
    return 0;
}

static int patch_failed(struct api_call *c, const struct err *err, enum patch_type patch)
{
    if (err->code == ERR_QUOTA)
        return api_fail_err(c, err);
    if (patch == PATCH_JSON) {
        struct status *s = status_new(c->a, 422, "Invalid",
            "the server rejected our request due to an error in our request");

        s->kind = "";
        return api_fail(c, s);
    }
    if (err->code == ERR_INVALID)
        return api_fail(c, status_bad_request(c->a, "%s", err->msg));
    return api_fail(c, status_new(c->a, err->code == ERR_UNSUPPORTED ? 422 : 500, "", "%s",
                                  err->msg));
}

static int bad_patch(struct api_call *c, const char *why)
{
    struct causes causes = { .a = c->a };

    causes_add(&causes, CAUSE_INVALID, "patch", json_strn(c->a, c->body.p, c->body.len), "%s", why);
    return api_fail(c, status_invalid_gk(c->a, "", "", "", &causes));
}

/* Strategic merge works on the typed object and cannot change what it is; the other two can try. */
static int check_kind(struct update *u, const struct json *raw)
{
    const char *kind = json_get_str(raw, "kind"), *version = json_get_str(raw, "apiVersion");

    if (u->patch == PATCH_STRATEGIC || ((str_empty(kind) || str_eq(kind, u->kind->kind)) &&
        (str_empty(version) || str_eq(version, kind_api_version(u->kind)))))
        return 0;
    return bad_patch(u->c, arena_printf(u->c->a, "unable to decode %s %s into %s",
                                        version ? version : kind_api_version(u->kind),
                                        kind ? kind : u->kind->kind,
                                            api_internal_type(u->c->a, u->kind)));
}

/* The object as the client sees it -> patched -> canonical. */
static int apply_patch(struct update *u)
{
    struct api_call *c = u->c;
    struct json *seen = convert_tree(c->a, u->old_tree, u->store, u->kind), *raw = NULL;
    struct json *body = u->body;
    struct err err = ERR_INIT;
    int result;

    if (u->patch == PATCH_APPLY)
        return api_apply_merge(c, u->kind, u->old_tree, body, &u->new_tree);
    if (json_is(body, JSON_NULL))
        body = json_object(c->a);
    switch (u->patch) {
    case PATCH_JSON: result = patch_json(&raw, c->a, seen, body, &err); break;
    case PATCH_MERGE: result = patch_merge(&raw, c->a, seen, body, &err); break;
    default: result = patch_strategic(&raw, c->a, seen, body, u->kind->type, &err); break;
    }
    if (result < 0)
        return patch_failed(c, &err, u->patch);
    if (check_kind(u, raw) < 0)
        return -1;
    if (codec_canonical(&u->new_tree, c->a, u->kind->type, raw, &c->notes, &err) < 0)
        return bad_patch(c, err.msg);
    if (api_notes_settle(c, u->kind, "patch") < 0)
        return -1;
    json_set_str(c->a, u->new_tree, "kind", u->kind->kind);
    json_set_str(c->a, u->new_tree, "apiVersion", kind_api_version(u->kind));
    api_keep_reset(c, raw, u->new_tree);
    u->new_tree = convert_tree(c->a, u->new_tree, u->kind, u->store);
    codec_default(u->new_tree, c->a, u->store);
    return 0;
}

/* --- checks between the new body and what is stored */

static int check_identity(struct update *u)
{
    struct api_call *c = u->c;
    const char *name = text_of(u->new_tree, "name"), *ns = text_of(u->new_tree, "namespace");

    if (!*name)
        return api_fail(c, status_bad_request(c->a, "the name of the object (%s based on URL) was "
                                              "undeterminable: name must be provided",
                                                  c->route.name));
    if (!str_eq(name, c->route.name))
        return api_fail(c, status_bad_request(c->a, "the name of the object (%s) does not match "
                                              "the name on "
                                              "the URL (%s)", name, c->route.name));
    if (!u->kind->namespaced) {
        json_del(json_get(u->new_tree, "metadata"), "namespace");
        return 0;
    }
    if (*ns && !str_eq(ns, c->route.ns))
        return api_fail(c, status_bad_request(c->a, "the namespace of the provided object does not "
            "match the namespace sent on the request"));
    json_set_str(c->a, json_ensure_object(c->a, u->new_tree, "metadata"), "namespace", c->route.ns);
    return 0;
}

static const char modified[] =
    "the object has been modified; please apply your changes to the latest version and try again";

/* `*named`: the client said which version it changes. */
static int check_version(struct update *u, bool *named)
{
    struct api_call *c = u->c;
    const char *rv = text_of(u->new_tree, "resourceVersion");
    struct causes causes = { .a = c->a };
    int64_t n = 0;

    *named = false;
    if (*rv && str_to_i64(rv, 0, INT64_MAX, &n, NULL) < 0)
        return api_fail(c, status_new(c->a, 500, "",
            "strconv.ParseUint: parsing \"%s\": invalid syntax", rv));
    if (!n && u->patch == PATCH_NONE && api_strategy_of(u->kind)->needs_rv) {
        causes_add(&causes, CAUSE_INVALID, "metadata.resourceVersion", json_int(c->a, 0),
                   "must be specified for an update");
        return api_fail(c, status_invalid_gk(c->a, u->kind->group, u->kind->resource, c->route.name,
                                             &causes));
    }
    if (!n)
        return 0;
    *named = u->patch == PATCH_NONE || n != object_rv(u->old);
    if (n != object_rv(u->old))
        return api_fail(c, status_conflict(c->a, u->kind, c->route.name, modified));
    return 0;
}

static int check_uid(struct update *u)
{
    struct api_call *c = u->c;
    const char *uid = text_of(u->new_tree, "uid");
    struct json *meta = json_ensure_object(c->a, u->new_tree, "metadata");

    if (!*uid) {
        json_set_str(c->a, meta, "uid", object_uid(u->old));
        return 0;
    }
    if (str_eq(uid, object_uid(u->old)) || u->patch != PATCH_NONE)
        return 0;                                        /* a patch is told by validation */
    return api_fail(c, status_conflict(c->a, u->kind, c->route.name, arena_printf(c->a,
        "StorageError: invalid object, Code: 4, Key: /registry/%s/%s%s%s, ResourceVersion: 0, "
        "AdditionalErrorMsg: Precondition failed: UID in precondition: %s, UID in object meta: %s",
        u->kind->resource, c->route.ns, *c->route.ns ? "/" : "", c->route.name, uid,
            object_uid(u->old))));
}

/* --- the end of a try */

static bool is_finished(const struct json *tree)
{
    const struct json *meta = json_get(tree, "metadata");

    return json_get(meta, "deletionTimestamp") && !json_len(json_get(meta, "finalizers")) &&
           json_get_int(meta, "deletionGracePeriodSeconds", 0) == 0 &&
           !json_len(json_path(tree, "spec.finalizers"));
}

/* A write that would change nothing but times in managedFields changes nothing. */
static void keep_times(struct update *u, struct json *tree)
{
    const struct json *had = json_get(json_get(u->old_tree, "metadata"), "managedFields");
    struct json *meta = json_get(tree, "metadata");

    if (had && apply_same_managers(had, json_get(meta, "managedFields")))
        json_set(u->c->a, meta, "managedFields", json_clone(u->c->a, had));
}

/* What would be stored, to compare with what is there; NULL: it cannot be. */
static struct json *outcome(struct update *u)
{
    struct json *canonical;

    if (codec_canonical(&canonical, u->c->a, u->store->type, u->new_tree, NULL, NULL) < 0)
        return NULL;
    json_set_str(u->c->a, canonical, "kind", u->store->kind);
    json_set_str(u->c->a, canonical, "apiVersion", kind_api_version(u->store));
    api_stamp_rv(u->c->a, canonical, text_of(u->old_tree, "resourceVersion"));
    keep_times(u, canonical);
    return canonical;
}

static void strip_beats(struct json *node)
{
    struct json *condition;

    json_each(condition, json_path(node, "status.conditions"))
        json_del(condition, "lastHeartbeatTime");
}

/* A Node that says again what it said: need not be on disk at once, as its Lease. */
static bool is_heartbeat(struct update *u, struct json *canonical)
{
    struct json *had;

    if (u->store != kind_node())
        return false;
    had = json_clone(u->c->a, u->old_tree);
    strip_beats(had);
    strip_beats(canonical);
    return json_equal(canonical, had);
}

static int store(struct update *u)
{
    struct api_call *c = u->c;
    struct json *canonical;

    if (!c->opt.dry_run && is_finished(u->new_tree))
        return api_commit_delete(c, u->old, u->new_tree, &c->object);
    canonical = outcome(u);
    if (canonical && json_equal(canonical, u->old_tree)) {
        c->object = object_ref(u->old);
        return 0;
    }
    if (c->opt.dry_run) {
        struct err err = ERR_INIT;

        if (codec_canonical(&canonical, c->a, u->store->type, u->new_tree, NULL, &err) < 0)
            return api_fail(c, status_internal(c->a, err.msg));
        api_stamp_rv(c->a, canonical, text_of(u->old_tree, "resourceVersion"));
        if (object_from_tree(&c->object, u->store, canonical, 0, &err) < 0)
            return api_fail(c, status_internal(c->a, err.msg));
        return 0;
    }
    c->heartbeat = canonical && is_heartbeat(u, canonical);
    return api_commit(c, u->store, u->new_tree, object_rv(u->old), &c->object);
}

static int admit_and_validate(struct update *u)
{
    struct api_call *c = u->c;
    const char *sub = c->route.sub ? c->route.sub->name : "";
    struct rules_ctx ctx = { .a = c->a, .env = c->api->env, .ns = c->route.ns, .subresource = sub,
                             .dry_run = c->opt.dry_run, .warnings = &c->warnings };
    struct admit_request r = {
        .a = c->a, .env = c->api->env, .lookup = &c->api->lookup,
        .lua = c->api->lua, .settings = &c->api->admit, .verb = ADMIT_UPDATE, .kind = u->store,
        .subresource = sub, .ns = c->route.ns, .name = c->route.name, .user = c->user.name,
        .object = u->new_tree, .old = u->old_tree, .dry_run = c->opt.dry_run,
            .warnings = &c->warnings,
    };
    struct causes causes = { .a = c->a };
    struct json *seen, *seen_old;

    if (api_admit(c, &r, false) < 0 ||
        api_node_restrict(c, u->store, u->new_tree, u->old_tree) < 0)
        return -1;
    rules_prepare_update(u->new_tree, u->old_tree, u->store, &ctx);
    seen = u->new_tree;
    seen_old = u->old_tree;
    api_rules_view(c, u->kind, &seen_old);
    rules_validate_update(&causes, seen, seen_old, api_rules_view(c, u->kind, &seen), &ctx);
    if (u->store == kind_service() && !*sub &&
        api_alloc_service(c, u->new_tree, u->old_tree, &causes) < 0)
        return -1;
    if (api_invalid(c, u->kind, c->route.name, &causes) < 0)
        return -1;
    return api_admit(c, &r, true);
}

static int absent(struct update *u)
{
    struct api_call *c = u->c;

    if (u->patch == PATCH_NONE && !c->route.sub && api_strategy_of(u->kind)->put_creates) {
        u->new_tree = u->body;
        return check_identity(u) < 0 ? -1 : api_create_by_put(c, u->new_tree);
    }
    if (u->patch == PATCH_APPLY && !c->route.sub)
        return api_apply_merge(c, u->kind, NULL, u->body, &u->new_tree) < 0 ||
               check_identity(u) < 0 ? -1 : api_create_by_apply(c, u->new_tree);
    return api_fail(c, status_not_found(c->a, u->kind, c->route.name));
}

/* 0 done, 1 conflict: again, -1 answered. */
static int try_once(struct update *u)
{
    struct api_call *c = u->c;
    bool named;
    int result;

    u->old = api_lookup(c->api, u->kind, c->route.ns, c->route.name);
    if (!u->old)
        return absent(u);
    u->old_tree = object_tree(u->old, c->a);
    if (u->patch == PATCH_NONE)
        u->new_tree = json_clone(c->a, u->body);
    else if (apply_patch(u) < 0)
        return -1;
    if (check_identity(u) < 0 || check_uid(u) < 0 || check_version(u, &named) < 0)
        return -1;
    if (u->patch != PATCH_APPLY)
        api_track(c, u->store, u->new_tree, u->old_tree);
    if (admit_and_validate(u) < 0)
        return -1;
    result = store(u);
    if (result == 1 && named)
        return api_fail(c, status_conflict(c->a, u->kind, c->route.name, modified));
    if (result == 0)
        c->code = 200;
    return result;
}

int api_update(struct api_call *c)
{
    struct update u = { .c = c, .kind = c->route.kind, .store = c->route.kind->storage };
    int result = 1;

    if (c->route.sub && c->route.sub->kind && !str_eq(c->route.sub->kind, u.kind->kind))
        return api_subresource(c);
    if (c->route.verb == API_PATCH) {
        if (patch_type(c, &u.patch) < 0 || parse_patch(&u) < 0)
            return -1;
    } else if (api_decode(c, u.kind, &u.body) < 0) {
        return -1;
    }
    for (int i = 0; i < API_PATCH_TRIES && result == 1; i++) {
        result = try_once(&u);
        u.old = object_unref(u.old);
    }
    if (result == 1)
        return api_fail(c, status_conflict(c->a, u.kind, c->route.name, modified));
    return result;
}
