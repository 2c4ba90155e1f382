/* deploy_sets.c -- the ReplicaSets of a Deployment. */
#include "core/control/deploy.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* --- templates */

static struct json *without_hash(struct arena *a, const struct json *template)
{
    struct json *copy = json_clone(a, template), *meta = json_get(copy, "metadata");
    struct json *labels = json_get(meta, "labels");

    json_del(labels, DEPLOY_HASH_LABEL);
    if (labels && !json_len(labels))
        json_del(meta, "labels");
    return copy;
}

static const char *template_hash(struct arena *a, const struct json *template, int64_t collisions)
{
    static const char letters[] = "bcdfghjklmnpqrstvwxz2456789";
    _cleanup_buf_ struct buf b = BUF_INIT;
    char digits[24], *out;
    uint64_t h;

    json_write(&b, without_hash(a, template));
    if (collisions)
        buf_fmt(&b, "%" PRId64, collisions);
    h = str_hash(b.p, b.len);
    snprintf(digits, sizeof(digits), "%" PRIu32, (uint32_t)(h ^ h >> 32));
    out = arena_strdup(a, digits);
    for (char *c = out; *c; c++)
        *c = letters[(unsigned char)*c % (sizeof(letters) - 1)];
    return out;
}

/* --- which there are */

static int by_age(const void *a, const void *b)
{
    const struct deploy_set *x = a, *y = b;

    if (object_created_s(x->o) != object_created_s(y->o))
        return object_created_s(x->o) < object_created_s(y->o) ? -1 : 1;
    return strcmp(object_name(x->o), object_name(y->o));
}

static void find_fresh(struct deploy *d)
{
    struct json *want = without_hash(d->p->a, json_path(d->tree, "spec.template"));

    for (unsigned i = 0; i < d->n_sets && !d->fresh; i++) {
        struct json *tree = object_tree(d->sets[i].o, d->p->a);

        if (json_equal(without_hash(d->p->a, json_path(tree, "spec.template")), want))
            d->fresh = &d->sets[i];
    }
}

int deploy_sets_collect(struct deploy *d, struct adopt_orphans *orphans)
{
    _cleanup_(selector_freep) struct selector *selector = NULL;
    struct adopt_list list;

    if (selector_from_json(&selector, json_path(d->tree, "spec.selector"), NULL) < 0)
        return -1;                       /* the API lets none in */
    list = adopt_claim(d->p, d->o, selector, kind_replica_set(), orphans);
    d->sets = arena_alloc(d->p->a, (list.len + 1) * sizeof(*d->sets));
    for (size_t i = 0; i < list.len; i++) {
        const struct replica_set_view *v = replica_set_view(list.v[i]);

        d->sets[d->n_sets++] = (struct deploy_set){ list.v[i], v, v->spec.replicas, false };
    }
    adopt_list_deinit(&list);
    qsort(d->sets, d->n_sets, sizeof(*d->sets), by_age);
    find_fresh(d);
    return 0;
}

/* --- revisions and annotations */

int64_t deploy_sets_revision(const struct object *o)
{
    const char *text = object_annotation(o, DEPLOY_REVISION);
    int64_t n;

    return text && str_to_i64(text, 0, INT64_MAX, &n, NULL) == 0 ? n : 0;
}

static int64_t next_revision(const struct deploy *d)
{
    int64_t newest = 0;

    for (unsigned i = 0; i < d->n_sets; i++)
        if (&d->sets[i] != d->fresh && deploy_sets_revision(d->sets[i].o) > newest)
            newest = deploy_sets_revision(d->sets[i].o);
    return newest + 1;
}

static bool is_copied(const char *key)
{
    static const char *const own[] = {
        "kubectl.kubernetes.io/last-applied-configuration", DEPLOY_REVISION, DEPLOY_HISTORY,
        DEPLOY_DESIRED, DEPLOY_MAX, "deprecated.deployment.rollback.to",
    };

    for (size_t i = 0; i < ARRAY_LEN(own); i++)
        if (str_eq(own[i], key))
            return false;
    return true;
}

static void set_int_text(struct arena *a, struct json *map, const char *key, int64_t n)
{
    json_set(a, map, key, json_fmt(a, "%" PRId64, n));
}

/* The revision that a set had is kept in its history; the oldest entries go when it is full. */
static void push_history(struct arena *a, struct json *annotations, const char *old)
{
    const char *history = json_get_str(annotations, DEPLOY_HISTORY);

    if (str_empty(history)) {
        json_set_str(a, annotations, DEPLOY_HISTORY, old);
        return;
    }
    while (history && strlen(history) + 1 + strlen(old) > DEPLOY_HISTORY_MAX) {
        history = strchr(history, ',');
        if (history)
            history++;
    }
    json_set(a, annotations, DEPLOY_HISTORY,
             history ? json_fmt(a, "%s,%s", history, old) : json_str(a, old));
}

static void set_annotations(const struct deploy *d, struct json *to, int64_t revision)
{
    struct arena *a = d->p->a;
    const char *old = json_get_str(to, DEPLOY_REVISION);
    int64_t n = 0;

    json_each_member(m, json_path(d->tree, "metadata.annotations"))
        if (is_copied(m->key))
            json_set(a, to, m->key, m->val);
    if (old && str_to_i64(old, 0, INT64_MAX, &n, NULL) < 0)
        return;
    if (n >= revision)
        return;
    if (old)
        push_history(a, to, old);
    set_int_text(a, to, DEPLOY_REVISION, revision);
}

static void set_sizes(const struct deploy *d, struct json *annotations)
{
    set_int_text(d->p->a, annotations, DEPLOY_DESIRED, d->replicas);
    set_int_text(d->p->a, annotations, DEPLOY_MAX, d->replicas + d->surge);
}

static void set_revision(struct deploy *d, const char *revision)
{
    if (revision && !str_eq(json_get_str(d->annotations, DEPLOY_REVISION), revision))
        json_set_str(d->p->a, d->annotations, DEPLOY_REVISION, revision);
}

bool deploy_sets_sync_new(struct deploy *d)
{
    struct arena *a = d->p->a;
    struct json *tree, *before, *annotations;

    if (!d->fresh)
        return false;
    tree = object_tree(d->fresh->o, a);
    before = json_clone(a, tree);
    annotations = json_ensure_object(a, json_get(tree, "metadata"), "annotations");
    set_annotations(d, annotations, next_revision(d));
    if (!json_len(annotations))
        json_del(json_get(tree, "metadata"), "annotations");
    if (d->fresh->view->spec.min_ready_seconds != d->view->spec.min_ready_seconds)
        json_set_int(a, json_get(tree, "spec"), "minReadySeconds", d->view->spec.min_ready_seconds);
    set_revision(d, json_get_str(annotations, DEPLOY_REVISION));
    if (json_equal(tree, before))
        return false;
    control_update(d->p, d->fresh->o, tree, NULL, NULL);
    control_again(d->p, 0);
    return true;
}

/* --- the new one */

struct creation { const char *name; int64_t size, revision; };

static struct json *new_set(const struct deploy *d, const char *hash, const struct creation *c)
{
    struct arena *a = d->p->a;
    struct json *rs = json_object(a), *meta = json_ensure_object(a, rs,
                                                                 "metadata"), *spec, *selector;
    struct json *template = json_clone(a, json_path(d->tree, "spec.template"));
    struct json *labels = json_ensure_object(a, json_ensure_object(a, template, "metadata"),
                                             "labels");

    json_set_str(a, labels, DEPLOY_HASH_LABEL, hash);
    json_set_str(a, meta, "name", c->name);
    json_set_str(a, meta, "namespace", d->p->ns);
    json_set(a, meta, "labels", json_clone(a, labels));
    set_annotations(d, json_ensure_object(a, meta, "annotations"), c->revision);
    set_sizes(d, json_get(meta, "annotations"));
    json_append(a, json_ensure_array(a, meta, "ownerReferences"), adopt_reference(a, d->o));
    spec = json_ensure_object(a, rs, "spec");
    json_set_int(a, spec, "replicas", c->size);
    if (d->view->spec.min_ready_seconds)
        json_set_int(a, spec, "minReadySeconds", d->view->spec.min_ready_seconds);
    selector = json_clone(a, json_path(d->tree, "spec.selector"));
    json_set_str(a, json_ensure_object(a, selector, "matchLabels"), DEPLOY_HASH_LABEL, hash);
    json_set(a, spec, "selector", selector);
    json_set(a, spec, "template", template);
    return rs;
}

/* The Deployment as it is by now, with its status to be changed; false when it is gone. */
static bool reread(struct deploy *d)
{
    struct object *o = control_get(d->p, kind_deployment());

    if (!o || !str_eq(object_uid(o), d->uid))
        return false;
    d->o = o;
    d->view = deployment_view(o);
    d->tree = object_tree(o, d->p->a);
    d->status = json_clone(d->p->a, json_get(d->tree, "status"));
    if (!d->status)
        d->status = json_object(d->p->a);
    return true;
}

/* A name that is taken: by our own set that the cache had not shown, or by another template with
 * the same hash. */
static void on_taken(struct deploy *d, const struct creation *c)
{
    struct object *other = informer_get(control_informer(d->p->c, kind_replica_set()), d->p->ns,
                                        c->name);
    const struct object_owner *owner = other ? object_controller(other) : NULL;
    struct json *tree = other ? object_tree(other, d->p->a) : NULL;
    bool ours = owner && str_eq(owner->uid, d->uid) &&
                json_equal(without_hash(d->p->a, json_path(tree, "spec.template")),
                           without_hash(d->p->a, json_path(d->tree, "spec.template")));

    control_fail(d->p);
    if (!other || ours)
        return;
    json_set_int(d->p->a, d->status, "collisionCount",
                 json_get_int(d->status, "collisionCount", 0) + 1);
    deploy_status_write(d);
}

static void on_refused(struct deploy *d, const struct creation *c, const struct client_result *r)
{
    const char *text = arena_printf(d->p->a, "Failed to create new replica set \"%s\": %s", c->name,
                                    r->message);

    control_fail(d->p);
    if (deploy_status_has_deadline(d)) {
        deploy_status_condition(d, "Progressing", "False", "ReplicaSetCreateError", text);
        deploy_status_write(d);
    }
    recorder_warning(d->p->c->events, d->o, "ReplicaSetCreateError", "%s", text);
}

static void on_created(struct pass *p, const struct client_result *r, void *arg)
{
    struct deploy *d = p->data;
    const struct creation *c = arg;

    if (!reread(d) || control_is_terminating_ns(r))
        return;
    if (r->code == 409) {
        on_taken(d, c);
    } else if (!client_ok(r)) {
        on_refused(d, c, r);
    } else {
        if (c->size > 0)
            recorder_normal(p->c->events, d->o, "ScalingReplicaSet",
                           "Scaled up replica set %s from 0 to %" PRId64, c->name, c->size);
        set_int_text(p->a, d->annotations, DEPLOY_REVISION, c->revision);
        if (deploy_status_has_deadline(d))
            deploy_status_condition(d, "Progressing", "True", "NewReplicaSetCreated",
                                    arena_printf(p->a, "Created new replica set \"%s\"", c->name));
        deploy_status_write(d);
        control_again(p, 0);
    }
}

void deploy_sets_create(struct deploy *d)
{
    struct creation *c = ANEW(d->p->a, struct creation);
    const char *hash = template_hash(d->p->a, json_path(d->tree, "spec.template"),
                                     d->view->status.collision_count);

    c->name = arena_printf(d->p->a, "%s-%s", d->p->name, hash);
    c->size = deploy_plan_new_size(d);
    c->revision = next_revision(d);
    control_create(d->p, kind_replica_set(), new_set(d, hash, c), on_created, c);
}

/* --- sizes */

struct scaling { const char *name; int64_t from, to; };

static void on_scaled(struct pass *p, const struct client_result *r, void *arg)
{
    const struct scaling *s = arg;
    struct object *d = control_get(p, kind_deployment());

    if (!client_ok(r)) {
        control_fail(p);
        return;
    }
    if (d && s->from != s->to)
        recorder_normal(p->c->events, d, "ScalingReplicaSet",
                       "Scaled %s replica set %s from %" PRId64 " to %" PRId64,
                       s->to > s->from ? "up" : "down", s->name, s->from, s->to);
}

void deploy_sets_apply(struct deploy *d)
{
    struct arena *a = d->p->a;

    for (unsigned i = 0; i < d->n_sets; i++) {
        struct deploy_set *set = &d->sets[i];
        struct json *tree, *before;
        struct scaling *s;

        if (set->size == set->view->spec.replicas && !set->annotate)
            continue;
        tree = object_tree(set->o, a);
        before = json_clone(a, tree);
        json_set_int(a, json_get(tree, "spec"), "replicas", set->size);
        set_sizes(d, json_ensure_object(a, json_get(tree, "metadata"), "annotations"));
        if (json_equal(tree, before))
            continue;
        s = ANEW(a, struct scaling);
        *s = (struct scaling){ arena_strdup(a, object_name(set->o)), set->view->spec.replicas,
                               set->size };
        control_update(d->p, set->o, tree, on_scaled, s);
    }
}

/* --- cleaning */

static int by_revision(const void *a, const void *b)
{
    const struct deploy_set *x = *(struct deploy_set *const *)a;
    const struct deploy_set *y = *(struct deploy_set *const *)b;
    int64_t rx = deploy_sets_revision(x->o), ry = deploy_sets_revision(y->o);

    return rx != ry ? (rx < ry ? -1 : 1) : by_age(x, y);
}

static bool is_empty(const struct deploy_set *s)
{
    return s->view->status.replicas == 0 && s->size == 0 && s->view->spec.replicas == 0 &&
           object_generation(s->o) <= s->view->status.observed_generation;
}

void deploy_sets_clean(struct deploy *d)
{
    struct deploy_set **old = arena_alloc(d->p->a, (d->n_sets + 1) * sizeof(*old));
    int64_t limit = d->view->spec.revision_history_limit, n = 0;

    if (!d->view->spec.has_revision_history_limit || limit == INT32_MAX)
        return;
    for (unsigned i = 0; i < d->n_sets; i++)
        if (&d->sets[i] != d->fresh && !object_is_deleting(d->sets[i].o))
            old[n++] = &d->sets[i];
    qsort(old, (size_t)n, sizeof(*old), by_revision);
    for (int64_t i = 0; i < n - limit; i++)
        if (is_empty(old[i]))
            control_delete(d->p, old[i]->o, NULL, NULL, NULL);
}
