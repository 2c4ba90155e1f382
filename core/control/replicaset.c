/* replicaset.c: as many pods of one template as asked.
 *
 * A pass: claim pods -> create or delete the difference -> status. Creations go in batches of 1, 2,
 * 4, ... so that a template that the API refuses costs few requests.
 */
#include "core/base/timefmt.h"
#include "core/control/adopt.h"
#include "core/control/podrank.h"
#include "core/control/podstate.h"
#include "core/object/rules.h"
#include "gen/views.h"

#define BURST_MAX 500                    /* pods made or deleted by one pass */

struct state { struct adopt_orphans orphans; };

/* One pass over one ReplicaSet. */
struct run {
    struct object *rs;                   /* a reference */
    const struct replica_set_view *view;
    struct adopt_list pods;              /* claimed, with references */
    struct json *template;
    int64_t diff;                        /* active pods minus wanted, before this pass */
    unsigned left, batch;                /* pods still to create; the size of the next batch */
    char *failure;                       /* message of the first failed request */
};

/* --- keys */

static void on_set(struct controller *c, struct object *before, struct object *after)
{
    control_enqueue_object(c, after ? after : before);
}

static bool selects(const struct object *rs, const struct object *o)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    _cleanup_(selector_freep) struct selector *s = NULL;

    return selector_from_json(&s, json_path(object_tree(rs, a), "spec.selector"), NULL) == 0 &&
           selector_matches(s, o);
}

static void enqueue_selecting(struct controller *c, struct object *pod)
{
    struct informer *i = control_informer(c, kind_replica_set());
    struct object *rs;

    for (size_t at = 0; (rs = informer_next(i, &at));)
        if (str_eq(object_ns(rs), object_ns(pod)) && selects(rs, pod))
            control_enqueue_object(c, rs);
}

static bool same_labels(const struct object *a, const struct object *b)
{
    const char *ka, *kb, *va, *vb;
    unsigned at_a = 0, at_b = 0;

    for (;;) {
        bool more_a = object_next_label(a, &at_a, &ka, &va);
        bool more_b = object_next_label(b, &at_b, &kb, &vb);

        if (!more_a || !more_b)
            return more_a == more_b;
        if (!str_eq(ka, kb) || !str_eq(va, vb))
            return false;
    }
}

/* Whether a pod that nobody owns may be selected by a set that has not seen it. */
static bool is_news(const struct object *before, const struct object *after)
{
    return !before || object_controller(before) || !same_labels(before, after);
}

static void on_pod(struct controller *c, struct object *before, struct object *after)
{
    struct state *s = c->state;

    adopt_note(&s->orphans, before, after);
    if (before)
        control_enqueue_owner(c, before, kind_replica_set());
    if (!after)
        return;
    if (object_controller(after))
        control_enqueue_owner(c, after, kind_replica_set());
    else if (!object_is_deleting(after) && is_news(before, after))
        enqueue_selecting(c, after);
}

/* --- creating */

static const char *pod_prefix(struct pass *p)
{
    const char *prefix = arena_printf(p->a, "%s-", p->name);

    return rules_object_name(p->a, kind_pod(), prefix, true) ? p->name : prefix;
}

static struct json *new_pod(struct pass *p, struct run *run)
{
    static const char *const copied[] = { "labels", "annotations", "finalizers" };
    struct json *pod = json_object(p->a), *meta = json_ensure_object(p->a, pod, "metadata");
    const struct json *from = json_get(run->template, "metadata");

    json_set_str(p->a, meta, "generateName", pod_prefix(p));
    json_set_str(p->a, meta, "namespace", p->ns);
    for (size_t i = 0; i < ARRAY_LEN(copied); i++)
        if (json_get(from, copied[i]))
            json_set(p->a, meta, copied[i], json_get(from, copied[i]));
    json_append(p->a, json_ensure_array(p->a, meta, "ownerReferences"),
                adopt_reference(p->a, run->rs));
    json_set(p->a, pod, "spec", json_get(run->template, "spec"));
    return pod;
}

static void note_failure(struct pass *p, struct run *run, const struct client_result *r)
{
    if (!run->failure)
        run->failure = arena_strdup(p->a, *r->message ? r->message : "no answer");
}

static void on_created(struct pass *p, const struct client_result *r, void *arg)
{
    struct run *run = arg;

    if (client_ok(r) && r->object) {
        recorder_normal(p->c->events, run->rs, "SuccessfulCreate",
                       "Created pod: %s", object_name(r->object));
    } else if (control_is_terminating_ns(r)) {
        run->left = 0;                   /* no use trying, and no fault either */
    } else if (!client_ok(r)) {
        recorder_warning(p->c->events, run->rs, "FailedCreate",
                       "Error creating: %s", r->message);
        note_failure(p, run, r);
    }
}

static void write_status(struct pass *p);

static void create_batch(struct pass *p)
{
    struct run *run = p->data;
    unsigned n = run->batch < run->left ? run->batch : run->left;

    if (run->failure || n == 0) {
        write_status(p);
        return;
    }
    run->left -= n;
    run->batch *= 2;
    p->then = create_batch;
    while (n-- > 0)
        control_create(p, kind_pod(), new_pod(p, run), on_created, run);
}

/* --- deleting */

struct deletion { struct run *run; const char *pod; };

static void on_deleted(struct pass *p, const struct client_result *r, void *arg)
{
    struct deletion *d = arg;

    if (client_ok(r)) {
        recorder_normal(p->c->events, d->run->rs, "SuccessfulDelete",
                       "Deleted pod: %s", d->pod);
    } else if (r->code != 404) {
        recorder_warning(p->c->events, d->run->rs, "FailedDelete",
                       "Error deleting: %s", r->message);
        note_failure(p, d->run, r);
    }
}

static void delete_pods(struct pass *p, struct run *run, int64_t n)
{
    struct object **ranked = podrank(p, run->rs, &run->pods);

    p->then = write_status;
    for (int64_t i = 0; i < n; i++) {
        struct deletion *d = ANEW(p->a, struct deletion);

        *d = (struct deletion){ run, arena_strdup(p->a, object_name(ranked[i])) };
        control_delete(p, ranked[i], NULL, on_deleted, d);
    }
}

/* --- status */

static bool is_fully_labeled(const struct run *run, const struct object *pod)
{
    const struct view_map *labels = &run->view->spec.template.metadata.labels;

    for (unsigned i = 0; i < labels->n; i++)
        if (!str_eq(object_label(pod, labels->v[i].key), labels->v[i].value))
            return false;
    return true;
}

struct counts { int64_t replicas, labeled, ready, available, terminating, next_s; };

static struct counts count_pods(struct pass *p, const struct run *run)
{
    int64_t now = control_now_s(p->c->control), left;
    struct counts n = { .next_s = -1 };

    for (size_t i = 0; i < run->pods.len; i++) {
        const struct object *pod = run->pods.v[i];

        if (object_is_deleting(pod) && !podstate_ended(pod))
            n.terminating++;
        if (!podstate_active(pod))
            continue;
        n.replicas++;
        n.labeled += is_fully_labeled(run, pod);
        n.ready += podstate_ready(pod);
        if (podstate_available(pod, run->view->spec.min_ready_seconds, now, &left))
            n.available++;
        else if (left > 0 && (n.next_s < 0 || left < n.next_s))
            n.next_s = left;
    }
    return n;
}

/* ReplicaFailure says why the last pass could not make or delete all; others stay as they are. */
static struct json *new_conditions(struct pass *p, const struct run *run, struct json *old)
{
    struct json *list = json_array(p->a), *it, *mine = NULL;
    char now[TIMEFMT_BYTES];

    json_each(it, old) {
        if (str_eq(json_get_str(it, "type"), "ReplicaFailure"))
            mine = it;
        else
            json_append(p->a, list, it);
    }
    if (!run->failure)
        return list;
    if (!mine) {
        timefmt_rfc3339(now, control_now_s(p->c->control));
        mine = json_object(p->a);
        json_set_str(p->a, mine, "type", "ReplicaFailure");
        json_set_str(p->a, mine, "status", "True");
        json_set_str(p->a, mine, "lastTransitionTime", now);
        json_set_str(p->a, mine, "reason", run->diff < 0 ? "FailedCreate" : "FailedDelete");
        json_set_str(p->a, mine, "message", run->failure);
    }
    json_append(p->a, list, mine);
    return list;
}

static void set_count(struct pass *p, struct json *status, const char *key, int64_t n, bool always)
{
    if (n || always)
        json_set_int(p->a, status, key, n);
}

static struct json *new_status(struct pass *p, const struct run *run, struct json *old,
                               const struct counts *n)
{
    struct json *s = json_object(p->a), *conditions;

    set_count(p, s, "replicas", n->replicas, true);
    set_count(p, s, "fullyLabeledReplicas", n->labeled, false);
    set_count(p, s, "readyReplicas", n->ready, false);
    set_count(p, s, "availableReplicas", n->available, false);
    set_count(p, s, "terminatingReplicas", n->terminating, true);
    set_count(p, s, "observedGeneration", object_generation(run->rs), false);
    conditions = new_conditions(p, run, json_get(old, "conditions"));
    if (json_len(conditions))
        json_set(p->a, s, "conditions", conditions);
    return s;
}

static void cleanup(struct pass *p)
{
    struct run *run = p->data;

    for (size_t i = 0; i < run->pods.len; i++)
        object_unref(run->pods.v[i]);
    adopt_list_deinit(&run->pods);
    run->rs = object_unref(run->rs);
}

static void on_status(struct pass *p, const struct client_result *r, void *arg)
{
    (void)arg;
    if (!client_ok(r) && r->code != 404)
        control_fail(p);
}

static void write_status(struct pass *p)
{
    struct run *run = p->data;
    struct counts n = count_pods(p, run);
    struct object *now = control_get(p, kind_replica_set());
    struct json *tree, *status;

    if (n.next_s >= 0)
        control_again(p, n.next_s * 1000);
    if (run->failure)
        control_fail(p);
    if (!now || !str_eq(object_uid(now), object_uid(run->rs)))
        return;
    tree = object_tree(now, p->a);
    status = new_status(p, run, json_get(tree, "status"), &n);
    if (json_equal(status, json_get(tree, "status")))
        return;
    json_set(p->a, tree, "status", status);
    control_update_status(p, now, tree, on_status, NULL);
}

/* --- the pass */

static void manage(struct pass *p)
{
    struct run *run = p->data;
    int64_t active = 0;

    if (p->failed)
        return;                          /* a pod could not be taken or let go: count anew */
    for (size_t i = 0; i < run->pods.len; i++)
        active += podstate_active(run->pods.v[i]);
    run->diff = active - run->view->spec.replicas;
    if (object_is_deleting(run->rs) || run->diff == 0) {
        write_status(p);
    } else if (run->diff < 0) {
        run->left = -run->diff < BURST_MAX ? (unsigned)-run->diff : BURST_MAX;
        run->batch = 1;
        create_batch(p);
    } else {
        delete_pods(p, run, run->diff < BURST_MAX ? run->diff : BURST_MAX);
    }
}

static void reconcile(struct pass *p)
{
    struct state *s = p->c->state;
    struct object *rs = control_get(p, kind_replica_set());
    _cleanup_(selector_freep) struct selector *selector = NULL;
    struct run *run;
    struct json *tree;
    struct err err = ERR_INIT;

    if (!rs)
        return;
    tree = object_tree(rs, p->a);
    if (selector_from_json(&selector, json_path(tree, "spec.selector"), &err) < 0)
        return;                          /* the API lets none in; nothing that trying again helps */
    run = ANEW(p->a, struct run);
    run->rs = object_ref(rs);
    run->view = replica_set_view(rs);
    run->template = json_path(tree, "spec.template");
    p->data = run;
    p->cleanup = cleanup;
    run->pods = adopt_claim(p, rs, selector, kind_pod(), &s->orphans);
    for (size_t i = 0; i < run->pods.len; i++)
        object_ref(run->pods.v[i]);
    p->then = manage;
}

static int init(struct controller *c, struct err *err)
{
    struct state *s = c->state;

    (void)err;
    adopt_init(&s->orphans);
    return 0;
}

static void stop(struct controller *c)
{
    struct state *s = c->state;

    adopt_deinit(&s->orphans);
}

const struct control_def replicaset_control = {
    .name = "replicaset-controller",
    .watches = { { kind_replica_set, on_set }, { kind_pod, on_pod } },
    .reconcile = reconcile,
    .state_bytes = sizeof(struct state),
    .init = init,
    .stop = stop,
};
