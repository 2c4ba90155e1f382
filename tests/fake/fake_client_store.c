/* fake_client_store.c: what each request does to the objects, as the API would. */
#include "core/base/check.h"
#include "core/base/timefmt.h"
#include "core/object/convert.h"
#include "core/object/patch.h"
#include "core/object/status.h"
#include "tests/fake/fake_client_impl.h"

#define SUFFIX 5

static const char *text_of(const struct json *meta, const char *key)
{
    const char *s = json_get_str(meta, key);

    return s ? s : "";
}

/* --- the objects */

void fake_client_fill(struct fake_client *f, struct arena *a, struct json *meta)
{
    const struct env *env = loop_env(f->loop);
    char uid[UUID_BYTES], now[TIMEFMT_BYTES], suffix[SUFFIX + 1];

    if (!*text_of(meta, "name") && *text_of(meta, "generateName")) {
        env_suffix(env, suffix, SUFFIX);
        json_set(a, meta, "name", json_fmt(a, "%.58s%s", text_of(meta, "generateName"), suffix));
    }
    env_uuid(env, uid);
    timefmt_rfc3339(now, env_wall_s(env));
    if (!*text_of(meta, "uid"))
        json_set_str(a, meta, "uid", uid);
    if (!json_get(meta, "creationTimestamp"))
        json_set_str(a, meta, "creationTimestamp", now);
}

/* Canonical order again, with its kind in front. */
static struct json *canonical(struct arena *a, const struct kind *kind, const struct json *tree)
{
    struct json *out;
    struct err err = ERR_INIT;

    if (codec_canonical(&out, a, kind->type, tree, NULL, &err) < 0)
        check_fail(arena_strdup(a, err.msg), __FILE__, __LINE__);
    json_set_str(a, out, "kind", kind->kind);
    json_set_str(a, out, "apiVersion", kind_api_version(kind));
    return out;
}

struct object *fake_client_store(struct fake_client *f, struct arena *a, const struct kind *kind,
                                 struct json *tree)
{
    struct map **m = &f->objects[kind->storage->id];
    struct object *o, *before;
    char key[OBJECT_KEY_BYTES];
    struct err err = ERR_INIT;

    tree = canonical(a, kind->storage, convert_tree(a, tree, kind, kind->storage));
    if (object_from_tree(&o, kind->storage, tree, ++f->rv, &err) < 0)
        check_fail(arena_strdup(a, err.msg), __FILE__, __LINE__);
    if (!*m)
        *m = map_new();
    object_key(o, key);
    before = map_put(*m, key, o);
    fake_client_publish(f, before, o, NULL);
    object_unref(before);
    return o;
}

struct object *fake_client_remove(struct fake_client *f, struct object *o, struct arena *a)
{
    struct object *last;
    char key[OBJECT_KEY_BYTES];
    struct err err = ERR_INIT;

    if (object_from_tree(&last, object_kind(o), object_tree(o, a), ++f->rv, &err) < 0)
        check_fail(arena_strdup(a, err.msg), __FILE__, __LINE__);
    object_key(o, key);
    check(map_del(f->objects[object_kind(o)->id], key) == o);
    fake_client_publish(f, o, NULL, last);
    object_unref(o);
    return last;
}

/* Away, and the answer is its last state. */
static void remove_and_give(struct fake_client *f, struct fake_call *c, struct object *o)
{
    c->code = 200;
    c->object = fake_client_remove(f, o, c->a);
}

/* --- answers */

static void fail(struct fake_call *c, const struct status *s)
{
    c->code = s->code;
    c->reason = s->reason;
    c->message = s->message;
}

static void give(struct fake_call *c, int code, struct object *o)
{
    c->code = code;
    c->object = object_ref(o);
}

static struct rules_ctx rules_of(struct fake_client *f, struct fake_call *c)
{
    return (struct rules_ctx){ .a = c->a, .env = loop_env(f->loop), .ns = c->req.ns,
                               .subresource = c->req.subresource };
}

/* --- create */

static void allocate(struct fake_client *f, struct arena *a, struct json *service)
{
    struct json *spec = json_ensure_object(a, service, "spec"), *ips, *port;
    const char *type = text_of(spec, "type");
    bool node_ports = str_eq(type, "NodePort") || str_eq(type, "LoadBalancer");

    if (str_eq(type, "ExternalName"))
        return;
    if (!*text_of(spec, "clusterIP"))
        json_set(a, spec, "clusterIP", json_fmt(a, "10.43.%u.%u", f->next_ip / 250,
                                                f->next_ip % 250));
    f->next_ip++;
    ips = json_array(a);
    json_append(a, ips, json_str(a, text_of(spec, "clusterIP")));
    json_set(a, spec, "clusterIPs", ips);
    json_each(port, json_get(spec, "ports"))
        if (node_ports && !json_get(port, "nodePort"))
            json_set_int(a, port, "nodePort", f->next_port++);
}

static bool is_terminating(struct fake_client *f, const char *ns)
{
    struct object *o = fake_client_get(f, kind_namespace(), "", ns);

    return o && object_is_deleting(o);
}

static int decode(struct fake_call *c, struct json **out)
{
    const struct kind *kind = c->req.kind;
    struct codec_notes notes = { .a = c->a };
    struct err err = ERR_INIT;

    if (codec_canonical(out, c->a, kind->type, c->req.body, &notes, &err) < 0) {
        fail(c, status_bad_request(c->a, "%s", err.msg));
        return -1;
    }
    /* nobody inside the project sends unknown fields */
    if (notes.len) {
        fail(c, status_bad_request(c->a, "strict decoding error: %s", codec_notes_text(&notes)));
        return -1;
    }
    *out = convert_tree(c->a, *out, kind, kind->storage);
    json_set_str(c->a, *out, "kind", kind->storage->kind);
    json_set_str(c->a, *out, "apiVersion", kind_api_version(kind->storage));
    codec_default(*out, c->a, kind->storage);
    return 0;
}

static void create(struct fake_client *f, struct fake_call *c)
{
    static const char *const dropped[] = { "resourceVersion", "uid", "creationTimestamp",
                                           "deletionTimestamp" };
    const struct kind *kind = c->req.kind->storage;
    struct rules_ctx ctx = rules_of(f, c);
    struct causes causes = { .a = c->a };
    struct json *tree, *meta;
    const char *name;

    if (decode(c, &tree) < 0)
        return;
    meta = json_ensure_object(c->a, tree, "metadata");
    for (size_t i = 0; i < ARRAY_LEN(dropped); i++)
        json_del(meta, dropped[i]);
    if (kind->namespaced)
        json_set_str(c->a, meta, "namespace", c->req.ns);
    fake_client_fill(f, c->a, meta);
    name = text_of(meta, "name");
    rules_prepare_create(tree, kind, &ctx);
    rules_validate_create(&causes, tree, kind, &ctx);
    if (causes.len) {
        fail(c, status_invalid(c->a, kind, name, &causes));
        return;
    }
    if (kind->namespaced && is_terminating(f, c->req.ns)) {
        fail(c, status_forbidden(c->a, kind, name, arena_printf(c->a,
                                                                "unable to create new content in "
            "namespace %s because it is being terminated", c->req.ns)));
        return;
    }
    if (fake_client_get(f, kind, c->req.ns, name)) {
        fail(c, status_exists(c->a, kind, name));
        return;
    }
    if (kind == kind_service())
        allocate(f, c->a, tree);
    give(c, 201, fake_client_store(f, c->a, kind, tree));
}

/* --- update and patch */

static bool is_finished(const struct json *tree)
{
    const struct json *meta = json_get(tree, "metadata");

    return json_get(meta, "deletionTimestamp") && !json_len(json_get(meta, "finalizers")) &&
           json_get_int(meta, "deletionGracePeriodSeconds", 0) == 0 &&
           !json_len(json_path(tree, "spec.finalizers"));
}

static int patched(struct fake_call *c, const struct json *old, struct json **out)
{
    const struct kind *kind = c->req.kind;
    struct json *raw = NULL;
    struct err err = ERR_INIT;
    int result;

    switch (c->req.verb) {
    case CLIENT_PATCH_JSON: result = patch_json(&raw, c->a, old, c->req.body, &err); break;
    case CLIENT_PATCH_MERGE: result = patch_merge(&raw, c->a, old, c->req.body, &err); break;
    default: result = patch_strategic(&raw, c->a, old, c->req.body, kind->type, &err); break;
    }
    if (result < 0) {
        fail(c, status_from_err(c->a, &err));
        return -1;
    }
    c->req.body = raw;
    return decode(c, out);
}

static void conflict(struct fake_call *c)
{
    fail(c, status_conflict(c->a, c->req.kind, c->req.name,
                            "the object has been modified; please apply your "
                            "changes to the latest version and try again"));
}

static bool named_right(struct fake_call *c, const struct object *old, struct json *meta)
{
    const char *rv = text_of(meta, "resourceVersion"), *uid = text_of(meta, "uid");
    int64_t n = 0;

    if (!str_eq(text_of(meta, "name"), c->req.name)) {
        fail(c, status_bad_request(c->a,
                                   "the name of the object (%s) does not match the name on the "
                                   "URL (%s)",
                                   text_of(meta, "name"), c->req.name));
        return false;
    }
    if (*rv && (str_to_i64(rv, 0, INT64_MAX, &n, NULL) < 0 || (n && n != object_rv(old)))) {
        conflict(c);
        return false;
    }
    if (*uid && !str_eq(uid, object_uid(old))) {
        conflict(c);
        return false;
    }
    return true;
}

static void change(struct fake_client *f, struct fake_call *c)
{
    const struct kind *kind = c->req.kind->storage;
    struct rules_ctx ctx = rules_of(f, c);
    struct causes causes = { .a = c->a };
    struct object *old = fake_client_get(f, kind, c->req.ns, c->req.name);
    struct json *tree, *old_tree, *meta;

    if (!old) {
        fail(c, status_not_found(c->a, c->req.kind, c->req.name));
        return;
    }
    old_tree = object_tree(old, c->a);
    if (c->req.verb == CLIENT_UPDATE ? decode(c, &tree) < 0 : patched(c, old_tree, &tree) < 0)
        return;
    meta = json_ensure_object(c->a, tree, "metadata");
    if (kind->namespaced)
        json_set_str(c->a, meta, "namespace", c->req.ns);
    if (!named_right(c, old, meta))
        return;
    rules_prepare_update(tree, old_tree, kind, &ctx);
    rules_validate_update(&causes, tree, old_tree, kind, &ctx);
    if (causes.len) {
        fail(c, status_invalid(c->a, c->req.kind, c->req.name, &causes));
        return;
    }
    if (is_finished(tree)) {
        remove_and_give(f, c, old);
    } else if (json_equal(canonical(c->a, kind, tree), old_tree)) {
        give(c, 200, old);
    } else {
        give(c, 200, fake_client_store(f, c->a, kind, tree));
    }
}

/* --- delete */

static int64_t grace_of(const struct fake_call *c, const struct kind *kind, const struct json *tree)
{
    const struct json *spec = json_get(tree, "spec");
    const char *phase = json_path_str(tree, "status.phase");

    if (kind != kind_pod() || !*text_of(spec, "nodeName") || str_eq(phase, "Succeeded") ||
        str_eq(phase, "Failed"))
        return 0;
    return c->req.grace_s >= 0 ? c->req.grace_s : json_get_int(spec,
                                                               "terminationGracePeriodSeconds", 30);
}

static void set_finalizers(struct fake_call *c, struct json *meta)
{
    const char *want = str_eq(c->req.propagation, "Orphan") ? "orphan" :
                       str_eq(c->req.propagation, "Foreground") ? "foregroundDeletion" : NULL;
    struct json *list = json_array(c->a), *it;

    if (!c->req.propagation)
        return;
    json_each(it, json_get(meta, "finalizers"))
        if (!str_eq(json_text(it), "orphan") && !str_eq(json_text(it), "foregroundDeletion"))
            json_append(c->a, list, it);
    if (want)
        json_append(c->a, list, json_str(c->a, want));
    if (json_len(list))
        json_set(c->a, meta, "finalizers", list);
    else
        json_del(meta, "finalizers");
}

static void mark(struct fake_client *f, struct fake_call *c, const struct kind *kind,
                 struct json *tree,
                 int64_t grace)
{
    struct json *meta = json_get(tree, "metadata");
    int64_t generation = json_get_int(meta, "generation", 0);
    char when[TIMEFMT_BYTES];

    if (json_get(meta, "deletionTimestamp")) {
        if (c->req.grace_s >= 0 && grace < json_get_int(meta, "deletionGracePeriodSeconds", 0))
            json_set_int(c->a, meta, "deletionGracePeriodSeconds", grace);
        return;
    }
    timefmt_rfc3339(when, env_wall_s(loop_env(f->loop)) + grace);
    json_set_str(c->a, meta, "deletionTimestamp", when);
    if (kind != kind_namespace())
        json_set_int(c->a, meta, "deletionGracePeriodSeconds", grace);
    if (generation > 0)
        json_set_int(c->a, meta, "generation", generation + 1);
}

static bool refused(struct fake_call *c, const struct object *o)
{
    int64_t n;

    if (c->req.uid_precondition && !str_eq(c->req.uid_precondition, object_uid(o))) {
        conflict(c);
        return true;
    }
    if (c->req.rv_precondition && (str_to_i64(c->req.rv_precondition, 0, INT64_MAX, &n, NULL) < 0 ||
                                   n != object_rv(o))) {
        conflict(c);
        return true;
    }
    return false;
}

static void delete(struct fake_client *f, struct fake_call *c)
{
    const struct kind *kind = c->req.kind->storage;
    struct object *o = fake_client_get(f, kind, c->req.ns, c->req.name);
    struct json *tree;
    int64_t grace;

    if (!o) {
        fail(c, status_not_found(c->a, c->req.kind, c->req.name));
        return;
    }
    if (refused(c, o))
        return;
    tree = object_tree(o, c->a);
    grace = grace_of(c, kind, tree);
    set_finalizers(c, json_get(tree, "metadata"));
    mark(f, c, kind, tree, grace);
    if (kind == kind_namespace() && json_len(json_path(tree, "spec.finalizers")))
        json_set_str(c->a, json_ensure_object(c->a, tree, "status"), "phase", "Terminating");
    if (is_finished(tree)) {
        remove_and_give(f, c, o);
    } else if (json_equal(canonical(c->a, kind, tree), object_tree(o, c->a))) {
        give(c, 200, o);
    } else {
        give(c, 200, fake_client_store(f, c->a, kind, tree));
    }
}

/* --- other subresources */

static void bind(struct fake_client *f, struct fake_call *c)
{
    struct object *o = fake_client_get(f, kind_pod(), c->req.ns, c->req.name);
    struct json *tree, *spec, *list, *cond = json_object(c->a);
    char now[TIMEFMT_BYTES];

    if (!o) {
        fail(c, status_not_found(c->a, kind_pod(), c->req.name));
        return;
    }
    tree = object_tree(o, c->a);
    spec = json_ensure_object(c->a, tree, "spec");
    if (object_is_deleting(o) || *text_of(spec, "nodeName")) {
        fail(c, status_conflict(c->a, kind_pod(), c->req.name, object_is_deleting(o)
            ? "it is being deleted, cannot be assigned to a host"
            : "it is already assigned to a node"));
        return;
    }
    json_set_str(c->a, spec, "nodeName", json_path_str(c->req.body, "target.name"));
    timefmt_rfc3339(now, env_wall_s(loop_env(f->loop)));
    list = json_ensure_array(c->a, json_ensure_object(c->a, tree, "status"), "conditions");
    for (size_t i = json_len(list); i-- > 0;)
        if (str_eq(json_get_str(json_at(list, i), "type"), "PodScheduled"))
            json_remove(list, i);
    json_set_str(c->a, cond, "type", "PodScheduled");
    json_set_str(c->a, cond, "status", "True");
    json_set_str(c->a, cond, "lastTransitionTime", now);
    json_append(c->a, list, cond);
    fake_client_store(f, c->a, kind_pod(), tree);
    c->code = 201;
}

static void token(struct fake_client *f, struct fake_call *c)
{
    struct object *o = fake_client_get(f, c->req.kind, c->req.ns, c->req.name);
    struct json *status = json_object(c->a);
    int64_t s = json_get_int(json_get(c->req.body, "spec"), "expirationSeconds", 3600);
    char when[TIMEFMT_BYTES];

    if (!o) {
        fail(c, status_not_found(c->a, c->req.kind, c->req.name));
        return;
    }
    timefmt_rfc3339(when, env_wall_s(loop_env(f->loop)) + s);
    json_set(c->a, status, "token", json_fmt(c->a, "token-%lld", (long long)++f->rv));
    json_set_str(c->a, status, "expirationTimestamp", when);
    c->body = json_clone(c->a, c->req.body);
    json_set(c->a, c->body, "status", status);
    c->code = 201;
}

static void evict(struct fake_client *f, struct fake_call *c)
{
    const struct json *opts = json_get(c->req.body, "deleteOptions");

    c->req.grace_s = json_get_int(opts, "gracePeriodSeconds", -1);
    delete(f, c);
    if (c->code == 200)
        c->code = 201;
}

static void get(struct fake_client *f, struct fake_call *c)
{
    struct object *o = fake_client_get(f, c->req.kind, c->req.ns, c->req.name);

    if (o)
        give(c, 200, o);
    else
        fail(c, status_not_found(c->a, c->req.kind, c->req.name));
}

void fake_client_execute(struct fake_client *f, struct fake_call *c)
{
    static const struct { const char *sub; void (*run)(struct fake_client *,
                                                       struct fake_call *); } rows[] = {
        { "binding", bind }, { "token", token }, { "eviction", evict },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (!str_eq(rows[i].sub, c->req.subresource))
            continue;
        rows[i].run(f, c);
        return;
    }
    switch (c->req.verb) {
    case CLIENT_GET: get(f, c); break;
    case CLIENT_CREATE: create(f, c); break;
    case CLIENT_DELETE: delete(f, c); break;
    default: change(f, c); break;
    }
}
