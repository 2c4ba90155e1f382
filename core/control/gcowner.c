/* gcowner.c: objects go when their last owner has gone, and a foreground or orphan deletion waits
 * for its dependents.
 *
 * Keys are "KIND-ID/NAMESPACE/NAME". An owner that the cache does not show is asked for before
 * anything is deleted: watches of two kinds may differ in age.
 */
#include "core/control/control_impl.h"

#include <stdio.h>

#include "core/base/map.h"

static const char foreground[] = "foregroundDeletion", orphan[] = "orphan";

struct state { struct map *dependents; };      /* uid of an owner -> struct map of keys */

static struct state *state_of(const struct controller *c)
{
    return c->state;
}

/* --- keys */

static bool is_event(const struct kind *kind)
{
    return kind->storage->volatile_class && str_eq(kind->kind, "Event");
}

static void key_of(char out[OBJECT_KEY_BYTES], const struct kind *kind, const char *ns,
                   const char *name)
{
    snprintf(out, OBJECT_KEY_BYTES, "%u/%s/%s", (unsigned)kind->storage->id, ns, name);
}

static struct object *object_at(const struct controller *c, const char *key)
{
    char id[OBJECT_KEY_BYTES], rest[OBJECT_KEY_BYTES], *name;
    int64_t n;

    object_key_split(key, id, rest);
    name = strchr(rest, '/');
    if (!name || str_to_i64(id, 0, KIND_ID_MAX - 1, &n, NULL) < 0)
        return NULL;
    *name++ = 0;
    return control_find(c, kind_by_id((unsigned)n), rest, name);
}

static void enqueue(struct controller *c, const struct object *o)
{
    char key[OBJECT_KEY_BYTES];

    key_of(key, object_kind(o), object_ns(o), object_name(o));
    workq_add(c->queue, key);
}

/* The kind of an owner, when it is one whose objects can be known. */
static const struct kind *kind_of(const struct object *o, const struct object_owner *ref)
{
    const struct kind *kind = kind_by_api_version(ref->api_version, ref->kind);

    if (!kind || !kind->storage->served || is_event(kind))
        return NULL;
    if (kind->namespaced && !*object_ns(o))
        return NULL;                     /* not valid; upstream leaves such objects alone */
    return kind->storage;
}

static const char *ns_of(const struct object *o, const struct kind *owner)
{
    return owner->namespaced ? object_ns(o) : "";
}

static void enqueue_owner(struct controller *c, const struct object *o,
                          const struct object_owner *ref)
{
    const struct kind *kind = kind_of(o, ref);
    struct object *owner = kind ? control_find(c, kind, ns_of(o, kind), ref->name) : NULL;

    if (owner && str_eq(object_uid(owner), ref->uid) && object_is_deleting(owner))
        enqueue(c, owner);
}

static void enqueue_dependents(struct controller *c, const char *uid)
{
    const struct map *deps = map_get(state_of(c)->dependents, uid);
    const char *key;
    void *value;

    for (size_t at = 0; deps && map_next(deps, &at, &key, &value);)
        workq_add(c->queue, key);
}

/* --- the index */

static void index_add(struct controller *c, const struct object *o, const char *uid)
{
    struct map *deps = map_get(state_of(c)->dependents, uid);
    char key[OBJECT_KEY_BYTES];

    if (!deps) {
        deps = map_new();
        map_put(state_of(c)->dependents, uid, deps);
    }
    key_of(key, object_kind(o), object_ns(o), object_name(o));
    map_put(deps, key, c);
}

static void index_del(struct controller *c, const struct object *o, const char *uid)
{
    struct map *deps = map_get(state_of(c)->dependents, uid);
    char key[OBJECT_KEY_BYTES];

    if (!deps)
        return;
    key_of(key, object_kind(o), object_ns(o), object_name(o));
    map_del(deps, key);
    if (!map_len(deps)) {
        map_del(state_of(c)->dependents, uid);
        map_free(deps, NULL);
    }
}

static bool same_owners(const struct object *a, const struct object *b)
{
    const struct object_owner *x, *y;
    unsigned n = object_owners(a, &x);

    if (object_owners(b, &y) != n)
        return false;
    for (unsigned i = 0; i < n; i++)
        if (!str_eq(x[i].uid, y[i].uid) || x[i].block_deletion != y[i].block_deletion)
            return false;
    return true;
}

/* An object that went or changed owners: those it had may have waited for it. */
static void forget_owners(struct controller *c, const struct object *o)
{
    const struct object_owner *refs;
    unsigned n = object_owners(o, &refs);

    for (unsigned i = 0; i < n; i++) {
        index_del(c, o, refs[i].uid);
        enqueue_owner(c, o, &refs[i]);
    }
}

static void on_any(struct controller *c, struct object *before, struct object *after)
{
    const struct object_owner *refs;
    bool news;
    unsigned n;

    if (is_event(object_kind(after ? after : before)))
        return;
    news = !before || !after || !same_owners(before, after);
    if (before && news)
        forget_owners(c, before);
    if (!after) {
        enqueue_dependents(c, object_uid(before));
        return;
    }
    if (before && !str_eq(object_uid(before), object_uid(after)))
        enqueue_dependents(c, object_uid(before));       /* made anew under the same name */
    n = object_owners(after, &refs);
    for (unsigned i = 0; i < n && news; i++)
        index_add(c, after, refs[i].uid);
    if ((n && news) || object_is_deleting(after))
        enqueue(c, after);
}

/* --- requests */

static struct json *finalizers_of(struct pass *p, const struct object *o)
{
    return json_path(object_tree(o, p->a), "metadata.finalizers");
}

static bool has(const struct json *list, const char *name)
{
    struct json *it;

    json_each(it, list)
        if (str_eq(json_text(it), name))
            return true;
    return false;
}

static bool is_waiting(struct pass *p, const struct object *o)
{
    return object_is_deleting(o) && has(finalizers_of(p, o), foreground);
}

static void on_written(struct pass *p, const struct client_result *r, void *arg)
{
    (void)arg;
    if (!client_ok(r) && r->code != 404)
        control_fail(p);                 /* a conflict, too: look again */
}

static void drop_finalizer(struct pass *p, struct object *o, const char *name)
{
    struct json *patch = json_object(p->a), *meta = json_ensure_object(p->a, patch, "metadata");
    struct json *left = json_array(p->a), *it;

    json_each(it, finalizers_of(p, o))
        if (!str_eq(json_text(it), name))
            json_append(p->a, left, it);
    json_set(p->a, meta, "resourceVersion", json_fmt(p->a, "%lld", (long long)object_rv(o)));
    json_set(p->a, meta, "finalizers", left);
    control_patch_merge(p, o, patch, on_written, NULL);
}

static struct json *patch_of(struct pass *p, const struct object *o, struct json **refs)
{
    struct json *patch = json_object(p->a), *meta = json_ensure_object(p->a, patch, "metadata");

    json_set_str(p->a, meta, "uid", object_uid(o));
    *refs = json_ensure_array(p->a, meta, "ownerReferences");
    return patch;
}

static void add_removal(struct pass *p, struct json *refs, const char *uid)
{
    struct json *ref = json_object(p->a);

    json_set_str(p->a, ref, "$patch", "delete");
    json_set_str(p->a, ref, "uid", uid);
    json_append(p->a, refs, ref);
}

static void delete_object(struct pass *p, const struct object *o, const char *propagation)
{
    struct client_req req = {
        .verb = CLIENT_DELETE, .kind = object_kind(o), .ns = object_ns(o),
        .name = object_name(o), .grace_s = -1, .uid_precondition = object_uid(o),
        .rv_precondition = arena_printf(p->a, "%lld", (long long)object_rv(o)),
        .propagation = propagation,
    };

    control_do(p, &req, on_written, NULL);
}

/* --- owners that are being deleted */

static const struct object_owner *ref_to(const struct object *o, const char *uid)
{
    const struct object_owner *refs;
    unsigned n = object_owners(o, &refs);

    for (unsigned i = 0; i < n; i++)
        if (str_eq(refs[i].uid, uid))
            return &refs[i];
    return NULL;
}

/* Gone when no dependent blocks it any more; until then they are deleted. */
static void wait_for_dependents(struct pass *p, struct object *o)
{
    const struct map *deps = map_get(state_of(p->c)->dependents, object_uid(o));
    unsigned blocking = 0;
    const char *key;
    void *value;

    for (size_t at = 0; deps && map_next(deps, &at, &key, &value);) {
        struct object *dep = object_at(p->c, key);
        const struct object_owner *ref = dep ? ref_to(dep, object_uid(o)) : NULL;

        blocking += ref && ref->block_deletion;
        if (ref && !object_is_deleting(dep))
            workq_add(p->c->queue, key);
    }
    if (!blocking)
        drop_finalizer(p, o, foreground);
}

static void on_orphaned(struct pass *p, const struct client_result *r, void *arg)
{
    (void)arg;
    if (!client_ok(r) && r->code != 404 && r->code != 422)
        control_fail(p);
}

static void finish_orphans(struct pass *p)
{
    struct object *o = object_at(p->c, p->key);

    if (!p->failed && o && object_is_deleting(o) && has(finalizers_of(p, o), orphan))
        drop_finalizer(p, o, orphan);
}

static void let_go(struct pass *p, struct object *o)
{
    const struct map *deps = map_get(state_of(p->c)->dependents, object_uid(o));
    const char *key;
    void *value;

    p->then = finish_orphans;
    for (size_t at = 0; deps && map_next(deps, &at, &key, &value);) {
        struct object *dep = object_at(p->c, key);
        struct json *refs, *patch;

        if (!dep)
            continue;
        patch = patch_of(p, dep, &refs);
        add_removal(p, refs, object_uid(o));
        control_patch_strategic(p, dep, patch, on_orphaned, NULL);
    }
}

/* --- dependents */

enum owner_is { OWNER_SOLID, OWNER_WAITING, OWNER_ABSENT };

struct owner { const char *uid; enum owner_is is; };
struct run { const char *uid; struct owner *owners; unsigned n; };

/* As upstream: one of its dependents is being deleted in the foreground too, and may wait for this
 * object in a circle; that is cut by no longer blocking. */
static void unblock(struct pass *p, struct object *o)
{
    const struct object_owner *owners;
    unsigned n = object_owners(o, &owners);
    struct json *refs, *patch = patch_of(p, o, &refs);

    for (unsigned i = 0; i < n; i++) {
        struct json *ref = json_object(p->a);

        json_set_str(p->a, ref, "uid", owners[i].uid);
        json_set_bool(p->a, ref, "blockOwnerDeletion", false);
        json_append(p->a, refs, ref);
    }
    control_patch_strategic(p, o, patch, on_written, NULL);
}

static bool has_dependents(struct pass *p, const struct object *o, bool *waiting)
{
    const struct map *deps = map_get(state_of(p->c)->dependents, object_uid(o));
    const char *key;
    void *value;

    *waiting = false;
    for (size_t at = 0; deps && map_next(deps, &at, &key, &value);) {
        struct object *dep = object_at(p->c, key);

        *waiting = *waiting || (dep && is_waiting(p, dep));
    }
    return deps && map_len(deps);
}

static void delete_dependent(struct pass *p, struct object *o, unsigned waiting)
{
    const struct json *finalizers = finalizers_of(p, o);
    bool circle;

    if (waiting && has_dependents(p, o, &circle)) {
        if (circle)
            unblock(p, o);
        delete_object(p, o, "Foreground");
        return;
    }
    delete_object(p, o, has(finalizers, orphan) ? "Orphan" :
                        has(finalizers, foreground) ? "Foreground" : "Background");
}

static void decide(struct pass *p)
{
    struct run *run = p->data;
    struct object *o = object_at(p->c, p->key);
    unsigned count[3] = { 0 };
    struct json *refs, *patch;

    if (p->failed || !o || !str_eq(object_uid(o), run->uid) || object_is_deleting(o))
        return;
    for (unsigned i = 0; i < run->n; i++)
        count[run->owners[i].is]++;
    if (!count[OWNER_SOLID]) {
        delete_dependent(p, o, count[OWNER_WAITING]);
        return;
    }
    if (count[OWNER_SOLID] == run->n)
        return;
    patch = patch_of(p, o, &refs);
    for (unsigned i = 0; i < run->n; i++)
        if (run->owners[i].is != OWNER_SOLID)
            add_removal(p, refs, run->owners[i].uid);
    control_patch_strategic(p, o, patch, on_written, NULL);
}

static enum owner_is judge(struct pass *p, const struct object *owner, const char *uid)
{
    if (!owner || !str_eq(object_uid(owner), uid))
        return OWNER_ABSENT;
    return is_waiting(p, owner) ? OWNER_WAITING : OWNER_SOLID;
}

static void on_owner(struct pass *p, const struct client_result *r, void *arg)
{
    struct owner *owner = arg;

    if (client_ok(r) && r->object)
        owner->is = judge(p, r->object, owner->uid);
    else if (r->code != 404)
        control_fail(p);
}

static void look_at_owner(struct pass *p, const struct object *o, const struct object_owner *ref,
                          struct owner *out)
{
    const struct kind *kind = kind_of(o, ref);
    struct client_req req = { .verb = CLIENT_GET, .kind = kind, .name = ref->name, .grace_s = -1 };

    out->uid = arena_strdup(p->a, ref->uid);
    out->is = OWNER_SOLID;
    if (!kind)
        return;
    out->is = judge(p, control_find(p->c, kind, ns_of(o, kind), ref->name), ref->uid);
    if (out->is != OWNER_ABSENT)
        return;
    req.ns = ns_of(o, kind);
    control_do(p, &req, on_owner, out);
}

static void reconcile(struct pass *p)
{
    struct object *o = object_at(p->c, p->key);
    const struct object_owner *refs;
    struct run *run;

    if (!o)
        return;
    if (object_is_deleting(o)) {
        const struct json *finalizers = finalizers_of(p, o);

        if (has(finalizers, orphan))
            let_go(p, o);
        else if (has(finalizers, foreground))
            wait_for_dependents(p, o);
        return;
    }
    run = ANEW(p->a, struct run);
    run->n = object_owners(o, &refs);
    if (!run->n)
        return;
    run->uid = arena_strdup(p->a, object_uid(o));
    run->owners = arena_alloc(p->a, run->n * sizeof(*run->owners));
    p->data = run;
    p->then = decide;
    for (unsigned i = 0; i < run->n; i++)
        look_at_owner(p, o, &refs[i], &run->owners[i]);
}

static int init(struct controller *c, struct err *err)
{
    (void)err;
    state_of(c)->dependents = map_new();
    return 0;
}

static void free_keys(void *p)
{
    map_free(p, NULL);
}

static void stop(struct controller *c)
{
    map_free(state_of(c)->dependents, free_keys);
}

const struct control_def gcowner_control = {
    .name = "garbage-collector-controller",
    .on_any = on_any,
    .reconcile = reconcile,
    .state_bytes = sizeof(struct state),
    .init = init,
    .stop = stop,
};
