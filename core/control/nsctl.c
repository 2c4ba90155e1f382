/* nsctl.c: a namespace that is being deleted is emptied, then let go.
 *
 * Pods go first, and only when they are away the rest: what they use stays as long as they run.
 * Objects with finalizers are waited for; conditions say which.
 */
#include "core/control/control_impl.h"

#include "core/base/map.h"
#include "core/base/timefmt.h"
#include "gen/views.h"

#define NS_LOOK_AGAIN_MS 50              /* after deletes, whose answers name no revision */

struct run {
    char *failure;                       /* message of the first delete that failed */
    unsigned left;                       /* objects in the namespace */
    bool sent;                           /* deletes */
    struct buf kinds;                    /* "pods. has 2 resource instances, ..." */
    struct map *finalizers;              /* name -> int64_t: objects that have it */
};

/* --- keys */

static void on_namespace(struct controller *c, struct object *before, struct object *after)
{
    (void)before;
    if (after && object_is_deleting(after))
        control_enqueue(c, "", object_name(after));
}

static void on_any(struct controller *c, struct object *before, struct object *after)
{
    const char *ns = object_ns(after ? after : before);
    struct object *o;

    if (!*ns || (before && after))
        return;
    o = control_find(c, kind_namespace(), "", ns);
    if (o && object_is_deleting(o))
        control_enqueue(c, "", ns);
}

/* --- the content */

static void on_deleted(struct pass *p, const struct client_result *r, void *arg)
{
    struct run *run = arg;

    if (client_ok(r) || r->code == 404 || r->code == 409)
        return;
    if (!run->failure)
        run->failure = arena_strdup(p->a, *r->message ? r->message : "no answer");
}

static void note_finalizers(struct pass *p, struct run *run, const struct object *o)
{
    struct json *it;

    json_each(it, json_path(object_tree(o, p->a), "metadata.finalizers")) {
        const char *name = json_text(it);
        int64_t *n = name ? map_get(run->finalizers, name) : NULL;

        if (!name)
            continue;
        if (!n) {
            n = ANEW(p->a, int64_t);
            map_put(run->finalizers, name, n);
        }
        (*n)++;
    }
}

/* The objects of one kind: counted, and deleted where that was not done yet. */
static unsigned empty_kind(struct pass *p, struct run *run, const struct kind *kind)
{
    struct informer *i = control_informer(p->c, kind);
    unsigned n = 0;
    struct object *o;

    for (size_t at = 0; (o = informer_next(i, &at));) {
        if (!str_eq(object_ns(o), p->name))
            continue;
        n++;
        if (object_is_deleting(o)) {
            note_finalizers(p, run, o);
            continue;
        }
        run->sent = true;
        control_delete(p, o, "Background", on_deleted, run);
    }
    if (n)
        buf_fmt(&run->kinds, "%s%s.%s has %u resource instances", run->kinds.len ? ", " : "",
                kind->resource, kind->group, n);
    return n;
}

static unsigned count_kind(struct pass *p, const struct kind *kind)
{
    struct informer *i = control_informer(p->c, kind);
    unsigned n = 0;
    struct object *o;

    for (size_t at = 0; (o = informer_next(i, &at));)
        n += str_eq(object_ns(o), p->name);
    return n;
}

static void empty_all(struct pass *p, struct run *run)
{
    const struct kind *kind;

    if (count_kind(p, kind_pod())) {
        run->left += empty_kind(p, run, kind_pod());
        return;
    }
    for (unsigned id = 0; (kind = control_next_kind(&id));)
        if (kind->namespaced)
            run->left += empty_kind(p, run, kind);
}

/* --- conditions */

struct condition { const char *type, *status, *reason, *message; };

static void set_condition(struct pass *p, struct json *status, const struct condition *want)
{
    struct json *list = json_ensure_array(p->a, status, "conditions"), *it, *c = NULL;
    char now[TIMEFMT_BYTES];

    json_each(it, list)
        if (str_eq(json_get_str(it, "type"), want->type))
            c = it;
    if (!c) {
        c = json_object(p->a);
        json_set_str(p->a, c, "type", want->type);
        json_append(p->a, list, c);
    } else if (str_eq(json_get_str(c, "status"), want->status) &&
               str_eq(json_get_str(c, "message"), want->message)) {
        return;
    }
    timefmt_rfc3339(now, control_now_s(p->c->control));
    json_set_str(p->a, c, "status", want->status);
    json_set_str(p->a, c, "lastTransitionTime", now);
    json_set_str(p->a, c, "reason", want->reason);
    json_set_str(p->a, c, "message", want->message);
}

static const char *finalizers_text(struct pass *p, const struct run *run)
{
    struct buf b = BUF_INIT;
    const char *name, *out;
    void *n;

    buf_str(&b, "Some content in the namespace has finalizers remaining: ");
    for (size_t at = 0, first = 1; map_next(run->finalizers, &at, &name, &n); first = 0)
        buf_fmt(&b, "%s%s in %lld resource instances", first ? "" : ", ", name,
                (long long)*(int64_t *)n);
    out = arena_strdup(p->a, b.p);
    buf_deinit(&b);
    return out;
}

static void set_conditions(struct pass *p, struct json *status, const struct run *run)
{
    bool held = map_len(run->finalizers) > 0;
    const struct condition all[] = {
        { "NamespaceDeletionDiscoveryFailure", "False", "ResourcesDiscovered",
          "All resources successfully discovered" },
        { "NamespaceDeletionGroupVersionParsingFailure", "False", "ParsedGroupVersions",
          "All legacy kube types successfully parsed" },
        { "NamespaceDeletionContentFailure", run->failure ? "True" : "False",
          run->failure ? "ContentDeletionFailed" : "ContentDeleted",
          run->failure ? run->failure
                       : "All content successfully deleted, may be waiting on finalization" },
        { "NamespaceContentRemaining", run->left ? "True" : "False",
          run->left ? "SomeResourcesRemain" : "ContentRemoved",
          run->left ? arena_printf(p->a, "Some resources are remaining: %s", run->kinds.p)
                    : "All content successfully removed" },
        { "NamespaceFinalizersRemaining", held ? "True" : "False",
          held ? "SomeFinalizersRemain" : "ContentHasNoFinalizers",
          held ? finalizers_text(p, run) : "All content-preserving finalizers finished" },
    };

    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        set_condition(p, status, &all[i]);
}

/* --- the pass */

static void on_finalized(struct pass *p, const struct client_result *r, void *arg)
{
    (void)arg;
    if (!client_ok(r) && r->code != 404)
        control_fail(p);
}

static void finalize(struct pass *p)
{
    struct object *ns = control_get(p, kind_namespace());
    struct json *tree, *left, *it;
    struct client_req req = { .verb = CLIENT_UPDATE, .kind = kind_namespace(), .name = p->name,
                              .subresource = "finalize", .grace_s = -1 };

    if (!ns || p->failed)
        return;
    tree = object_tree(ns, p->a);
    left = json_array(p->a);
    json_each(it, json_path(tree, "spec.finalizers"))
        if (!str_eq(json_text(it), "kubernetes"))
            json_append(p->a, left, it);
    json_set(p->a, json_ensure_object(p->a, tree, "spec"), "finalizers", left);
    /* the status just written is newer than the cache: without a version, the rest stays */
    json_del(json_get(tree, "metadata"), "resourceVersion");
    req.body = tree;
    control_do(p, &req, on_finalized, NULL);
}

static void write_status(struct pass *p)
{
    struct run *run = p->data;
    struct object *ns = control_get(p, kind_namespace());
    struct json *tree, *before, *status;

    if (!ns)
        return;
    tree = object_tree(ns, p->a);
    before = json_clone(p->a, tree);
    status = json_ensure_object(p->a, tree, "status");
    json_set_str(p->a, status, "phase", "Terminating");
    set_conditions(p, status, run);
    if (!run->left)
        p->then = finalize;
    if (!json_equal(before, tree))
        control_update_status(p, ns, tree, on_finalized, NULL);
    if (run->failure)
        control_fail(p);
}

static void cleanup(struct pass *p)
{
    struct run *run = p->data;

    buf_deinit(&run->kinds);
    run->finalizers = map_free(run->finalizers, NULL);
}

static bool is_held_by_us(const struct object *ns)
{
    const struct namespace_spec_view *spec = &namespace_view(ns)->spec;

    for (unsigned i = 0; i < spec->n_finalizers; i++)
        if (str_eq(spec->finalizers[i], "kubernetes"))
            return true;
    return false;
}

/* After deletes: first see what they did, unless there is something to tell. */
static void go_on(struct pass *p)
{
    struct run *run = p->data;

    if (run->sent && !run->failure)
        control_again(p, NS_LOOK_AGAIN_MS);
    else
        write_status(p);
}

static void reconcile(struct pass *p)
{
    struct object *ns = control_get(p, kind_namespace());
    struct run *run;

    if (!ns || !object_is_deleting(ns) || !is_held_by_us(ns))
        return;
    run = ANEW(p->a, struct run);
    run->finalizers = map_new();
    p->data = run;
    p->cleanup = cleanup;
    empty_all(p, run);
    p->then = go_on;
}

const struct control_def nsctl_control = {
    .name = "namespace-controller",
    .watches = { { kind_namespace, on_namespace } },
    .on_any = on_any,
    .reconcile = reconcile,
};
