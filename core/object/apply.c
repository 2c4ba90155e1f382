/* core/object/apply.c -- metadata.managedFields: one entry for each manager, operation, version and
 * subresource, with the set of fields that it manages. */
#include <stdlib.h>

#include "core/base/check.h"
#include "core/base/timefmt.h"
#include "core/object/apply_impl.h"
#include "core/object/rules_impl.h"

#define AGENT_MANAGER "unknown"
#define NAME_MAX_BYTES 128
#define ANCIENT "ancient-changes"
#define FIRST_APPLY "before-first-apply"
#define KUBECTL "kubectl"
#define LAST_APPLIED "kubectl.kubernetes.io/last-applied-configuration"
#define MANAGERS_ALL_MAX 128             /* entries that are looked at */

/* One manager: what identifies it, and its set. */
struct entry {
    const char *manager, *version, *subresource, *time;
    bool apply;
    struct json *set;
};
struct managers { struct entry v[MANAGERS_ALL_MAX]; unsigned n; };

static struct apply_spot root(const struct apply_ctx *c)
{
    return (struct apply_spot){ .t = c->kind->type };
}

static const char *text_of(const struct json *obj, const char *key)
{
    const char *s = json_get_str(obj, key);

    return s ? s : "";
}

const char *apply_manager_of(struct arena *a, const char *user_agent)
{
    _cleanup_buf_ struct buf b = BUF_INIT;
    size_t len = strcspn(user_agent ? user_agent : "", "/");

    for (size_t i = 0; i < len && b.len < NAME_MAX_BYTES; i++)
        if ((unsigned char)user_agent[i] >= ' ' && user_agent[i] != 0x7f)
            buf_chr(&b, user_agent[i]);
    return b.len ? arena_strdup(a, b.p) : AGENT_MANAGER;
}

/* What Go's empty object of the kind looks like: what is not optional is there. */
static struct json *zero_object(const struct apply_ctx *c)
{
    struct json *v = rules_zero(c->a, c->kind->type);

    json_set_str(c->a, v, "kind", c->kind->kind);
    json_set_str(c->a, v, "apiVersion", c->kind->api_version);
    return v;
}

/* --- entries */

static void decode(struct managers *out, const struct json *list)
{
    struct json *v;

    out->n = 0;
    json_each(v, list) {
        struct json *set = json_get(v, "fieldsV1");

        if (out->n == MANAGERS_ALL_MAX || !json_is(set, JSON_OBJECT) || !*text_of(v, "manager"))
            continue;
        out->v[out->n++] = (struct entry){
            .manager = text_of(v, "manager"), .version = text_of(v, "apiVersion"),
            .subresource = text_of(v, "subresource"), .time = text_of(v, "time"),
            .apply = str_eq(text_of(v, "operation"), "Apply"), .set = set,
        };
    }
}

static int by_order(const void *x, const void *y)
{
    const struct entry *a = x, *b = y;
    int order = a->apply != b->apply ? (a->apply ? -1 : 1) : strcmp(a->time, b->time);

    if (!order)
        order = strcmp(a->manager, b->manager);
    if (!order)
        order = strcmp(a->version, b->version);
    return order ? order : strcmp(a->subresource, b->subresource);
}

static struct json *encode(struct arena *a, struct managers *m)
{
    struct json *list = json_array(a);

    qsort(m->v, m->n, sizeof(m->v[0]), by_order);
    for (unsigned i = 0; i < m->n; i++) {
        const struct entry *e = &m->v[i];
        struct json *v = json_object(a), *set = json_clone(a, e->set);

        json_sort_keys(set);
        json_set_str(a, v, "manager", e->manager);
        json_set_str(a, v, "operation", e->apply ? "Apply" : "Update");
        json_set_str(a, v, "apiVersion", e->version);
        if (*e->time)
            json_set_str(a, v, "time", e->time);
        json_set_str(a, v, "fieldsType", "FieldsV1");
        json_set(a, v, "fieldsV1", set);
        if (*e->subresource)
            json_set_str(a, v, "subresource", e->subresource);
        json_append(a, list, v);
    }
    return list;
}

bool apply_same_managers(const struct json *x, const struct json *y)
{
    struct json *v;

    if (json_len(x) != json_len(y))
        return false;
    json_each(v, x) {
        json_each_member(m, v)
            if (!str_eq(m->key, "time") &&
                !json_equal(m->val, json_getn(json_at(y, v_i), m->key, m->key_len)))
                return false;
    }
    return true;
}

/* Into metadata, at its place: the last of its fields. */
static void put_list(struct arena *a, struct json *obj, struct json *list)
{
    struct json *meta = json_ensure_object(a, obj, "metadata");

    json_del(meta, "managedFields");
    if (list->len)
        json_set(a, meta, "managedFields", list);
}

static bool is_reset(const struct json *list)
{
    return json_is(list, JSON_ARRAY) &&
           (list->len == 0 || (list->len == 1 && json_len(list->items[0]) == 0));
}

/* Who applies is one manager in all versions. */
static struct entry *find(struct managers *m, const struct entry *like)
{
    for (unsigned i = 0; i < m->n; i++) {
        struct entry *e = &m->v[i];

        if (e->apply == like->apply && str_eq(e->manager, like->manager) &&
            (e->apply || str_eq(e->version, like->version)) &&
            str_eq(e->subresource, like->subresource))
            return e;
    }
    return NULL;
}

static void drop_empty(struct managers *m)
{
    unsigned n = 0;

    for (unsigned i = 0; i < m->n; i++)
        if (!fieldset_is_empty(m->v[i].set))
            m->v[n++] = m->v[i];
    m->n = n;
}

/* --- fields that nobody manages */

static struct json *set_of(struct arena *a, const char *text)
{
    struct json *v = NULL;

    check(json_parse(&v, a, text, strlen(text), NULL, NULL) == 0);
    return v;
}

/* What the server itself sets, whoever writes. */
static struct json *strip(struct arena *a, const struct json *set)
{
    static const char own[] =
        "{\"f:apiVersion\":{},\"f:kind\":{},\"f:metadata\":{\".\":{},\"f:name\":{},"
        "\"f:namespace\":{},\"f:creationTimestamp\":{},\"f:selfLink\":{},\"f:uid\":{},"
        "\"f:generation\":{},\"f:managedFields\":{},\"f:resourceVersion\":{}}}";

    return fieldset_difference(a, set, set_of(a, own));
}

/* A subtree taken out of a set. */
static struct json *without(struct arena *a, const struct json *set, const char *key)
{
    struct json *out = json_object(a);

    fieldset_each(m, set)
        if (!str_eq(m->key, key))
            json_setn(a, out, m->key, m->key_len, m->val);
    return out;
}

/* Fields that this (sub)resource does not take from a client. */
static struct json *forget_reset(const struct apply_ctx *c, struct json *set)
{
    const struct json *meta = json_get(set, "f:metadata");
    struct json *left;

    if (!c->kind->has_status)
        return set;
    if (!str_eq(c->subresource, "status"))
        return str_empty(c->subresource) ? without(c->a, set, "f:status") : set;
    set = without(c->a, set, "f:spec");
    if (!meta || !str_eq(c->kind->group, "apps"))
        return set;
    left = without(c->a, meta, "f:labels");
    set = without(c->a, set, "f:metadata");
    fieldset_put(c->a, set, "f:metadata", fieldset_is_member(meta) && meta->len == 0, left);
    return set;
}

/* --- update */

static struct apply_delta difference(const struct apply_ctx *c, const struct json *live,
                                     const struct json *obj)
{
    struct apply_delta d = apply_compare(c->a, root(c), live, obj);

    d.changed = forget_reset(c, d.changed);
    d.removed = forget_reset(c, d.removed);
    return d;
}

/* Who else had what is changed has it no more; what is gone, nobody has. */
static void take_from_others(const struct apply_ctx *c, struct managers *m,
                             const struct apply_delta *d)
{
    const struct json *lost = fieldset_union(c->a, d->changed, d->removed);

    for (unsigned i = 0; i < m->n; i++)
        m->v[i].set = fieldset_difference(c->a, m->v[i].set, lost);
}

/* The first updater of the entry's version. */
static struct entry *first_of_version(struct managers *m, const struct entry *e)
{
    struct entry *at = m->v;

    while (at != e && (at->apply || !str_eq(at->version, e->version)))
        at++;
    return at;
}

/* Too many updaters: the oldest two and more of a version become one entry. */
static void cap_updates(const struct apply_ctx *c, struct managers *m)
{
    unsigned updates = 0, i;

    for (i = 0; i < m->n; i++)
        updates += !m->v[i].apply;
    if (updates <= APPLY_MANAGERS_MAX)
        return;
    qsort(m->v, m->n, sizeof(m->v[0]), by_order);
    for (i = 0; i < m->n && updates > APPLY_MANAGERS_MAX; i++) {
        struct entry *e = &m->v[i], *first = first_of_version(m, e), *bucket;
        const struct entry ancient = { .manager = ANCIENT, .version = e->version,
                                       .subresource = "" };

        if (e->apply || first == e)
            continue;
        bucket = find(m, &ancient);
        if (bucket == e)
            continue;
        if (!bucket)
            bucket = first, bucket->manager = ANCIENT, bucket->subresource = "";
        bucket->set = fieldset_union(c->a, bucket->set, e->set);
        bucket->time = e->time;
        e->set = json_object(c->a);
        updates--;
    }
    drop_empty(m);
}

static const char *now(const struct apply_ctx *c)
{
    char text[TIMEFMT_BYTES];

    timefmt_rfc3339(text, env_wall_s(c->env));
    return arena_strdup(c->a, text);
}

/* Adds what changed to the manager's entry, which is made when there is none. */
static void give(const struct apply_ctx *c, struct managers *m, const char *manager,
                 const struct apply_delta *d)
{
    struct entry self = { .manager = manager, .version = c->kind->api_version,
                          .subresource = c->subresource, .time = now(c) }, *there;

    self.set = strip(c->a, d->changed);
    if (fieldset_is_empty(self.set))
        return;
    there = find(m, &self);
    if (there) {
        there->set = fieldset_union(c->a, there->set, self.set);
        there->time = self.time;
    } else if (m->n < MANAGERS_ALL_MAX) {
        m->v[m->n++] = self;
    }
}

void apply_update(const struct apply_ctx *c, struct json *obj, const struct json *live)
{
    const struct json *given = json_get(json_get(obj, "metadata"), "managedFields");
    const struct json *had = json_get(json_get(live, "metadata"), "managedFields");
    struct managers *m = ANEW(c->a, struct managers);
    bool reset = is_reset(given);
    struct apply_delta d;

    decode(m, reset ? NULL : given);
    if (!reset && (m->n == 0 || !str_empty(c->subresource)))
        decode(m, had);
    put_list(c->a, obj, json_array(c->a));
    if (live && m->n == 0)                   /* never tracked, or just reset */
        return;
    d = difference(c, live ? live : zero_object(c), obj);
    take_from_others(c, m, &d);
    give(c, m, c->manager, &d);
    drop_empty(m);
    cap_updates(c, m);
    put_list(c->a, obj, encode(c->a, m));
}

/* --- apply */

struct conflicts { struct causes *out; const char *who; };

static void add_conflict(void *ctx, const char *path)
{
    struct conflicts *k = ctx;

    causes_add(k->out, CAUSE_MANAGER_CONFLICT, path, NULL, "conflict with %s", k->who);
}

static const char *manager_text(struct arena *a, const struct entry *e)
{
    const char *sub = *e->subresource ?
                      arena_printf(a, " with subresource \"%s\"", e->subresource) : "";

    return e->apply ? arena_printf(a, "\"%s\"%s", e->manager, sub) :
           arena_printf(a, "\"%s\"%s using %s", e->manager, sub, e->version);
}

static bool has_conflicts(const struct apply_ctx *c, const struct managers *m,
                          const struct entry *mine, const struct json *changed)
{
    for (unsigned i = 0; i < m->n; i++) {
        const struct json *both = fieldset_intersection(c->a, m->v[i].set, changed);
        struct conflicts k = { c->conflicts, manager_text(c->a, &m->v[i]) };

        if (&m->v[i] != mine)
            apply_paths(c->a, both, "", add_conflict, &k);
    }
    return c->conflicts->len > 0;
}

struct status *apply_conflict(struct arena *a, const struct causes *conflicts)
{
    _cleanup_buf_ struct buf b = BUF_INIT;
    const char *last = "";
    struct causes *kept = ANEW(a, struct causes);
    struct status *s;

    if (conflicts->len == 1)
        buf_fmt(&b, "Apply failed with 1 conflict: %s: %s", conflicts->v[0].message,
                conflicts->v[0].field);
    else
        buf_fmt(&b, "Apply failed with %u conflicts: ", conflicts->len);
    for (unsigned i = 0; conflicts->len > 1 && i < conflicts->len; i++) {
        const struct cause *v = &conflicts->v[i];

        if (!str_eq(v->message, last))
            buf_fmt(&b, "%sconflicts%s:", i ? "\n" : "", v->message + strlen("conflict"));
        buf_fmt(&b, "\n- %s", v->field);
        last = v->message;
    }
    s = status_new(a, 409, "Conflict", "%s", b.p);
    *kept = *conflicts;
    s->causes = kept;
    return s;
}

/* merged without what the manager had applied before and nobody has now. */
static struct json *prune(const struct apply_ctx *c, struct json *merged, const struct managers *m,
                          const struct json *last)
{
    struct apply_spot at = root(c);
    struct json *owned = json_object(c->a), *pruned, *all, *left, *gone;

    if (fieldset_is_empty(last))
        return merged;
    pruned = apply_remove(c->a, at, merged, apply_named(c->a, at, last));
    if (!pruned)
        pruned = json_object(c->a);
    for (unsigned i = 0; i < m->n; i++)
        owned = fieldset_union(c->a, owned, m->v[i].set);
    all = apply_named(c->a, at, apply_fields(c->a, at, merged));
    left = apply_named(c->a, at, apply_fields(c->a, at, pruned));
    gone = fieldset_difference(c->a, all,
                               fieldset_union(c->a, left, apply_named(c->a, at, owned)));
    pruned = apply_remove(c->a, at, merged, gone);
    if (!pruned)
        pruned = json_object(c->a);
    left = apply_named(c->a, at, apply_fields(c->a, at, pruned));
    gone = fieldset_intersection(c->a, fieldset_difference(c->a, all, left),
                                 apply_named(c->a, at, last));
    return apply_remove(c->a, at, merged, gone);
}

/* The object before, and its managers: of one that was never tracked, all is one manager's. */
static const struct json *begin(const struct apply_ctx *c, struct managers *m,
                                const struct json *live)
{
    struct json *bare = live ? json_clone(c->a, live) : zero_object(c);
    struct apply_delta d;

    decode(m, json_get(json_get(live, "metadata"), "managedFields"));
    put_list(c->a, bare, json_array(c->a));
    if (!live || m->n)
        return bare;
    d = difference(c, zero_object(c), bare);
    give(c, m, FIRST_APPLY, &d);
    return bare;
}

/* --- from kubectl's own bookkeeping to this one */

static const char *last_applied(const struct json *obj)
{
    return json_get_str(json_path(obj, "metadata.annotations"), LAST_APPLIED);
}

/* What client-side apply set, as far as it is still so: kubectl may take it over. */
static struct json *inherited(const struct apply_ctx *c, const struct json *live)
{
    const char *text = last_applied(live);
    struct json *v = NULL, *set;
    struct apply_delta d;

    if (!text || json_parse(&v, c->a, text, strlen(text), NULL, NULL) < 0 ||
        apply_check(c->a, root(c), v, NULL) < 0)
        return json_object(c->a);
    set = apply_fields(c->a, root(c), v);
    d = apply_compare(c->a, root(c), v, live);
    return fieldset_difference(c->a, set, fieldset_union(c->a, d.changed, d.removed));
}

/* The annotation follows, so that client-side apply goes on working too. */
static void put_last_applied(const struct apply_ctx *c, struct json *obj,
                             const struct json *config)
{
    struct json *notes = json_path(obj, "metadata.annotations"), *copy;
    _cleanup_buf_ struct buf b = BUF_INIT;

    if (!str_eq(c->manager, KUBECTL) || !last_applied(obj))
        return;
    copy = json_clone(c->a, config);
    json_del(json_path(copy, "metadata.annotations"), LAST_APPLIED);
    json_sort_keys(copy);
    json_write(&b, copy);
    buf_chr(&b, '\n');
    json_set_str(c->a, notes, LAST_APPLIED, b.p);
}

int apply_apply(const struct apply_ctx *c, struct json **out, const struct json *live,
                const struct json *config, struct err *err)
{
    struct managers *m = ANEW(c->a, struct managers);
    struct entry self = { .manager = c->manager, .version = c->kind->api_version,
                          .subresource = c->subresource, .apply = true }, *mine;
    const struct json *bare, *last;
    struct json *merged;
    struct apply_delta d;

    if (apply_check(c->a, root(c), config, err) < 0)
        return -1;
    bare = begin(c, m, live);
    mine = find(m, &self);
    last = mine ? mine->set : NULL;
    if (!mine) {
        if (m->n == MANAGERS_ALL_MAX)
            return err_set(err, ERR_QUOTA, "more than %d managers", MANAGERS_ALL_MAX);
        mine = &m->v[m->n++];
        *mine = self;
        mine->time = "";
    }
    mine->set = forget_reset(c, apply_fields(c->a, root(c), config));
    merged = prune(c, apply_merge(c->a, root(c), bare, config), m, last);
    d = difference(c, bare, merged);
    if (!c->force && has_conflicts(c, m, mine, str_eq(c->manager, KUBECTL) ?
                                   fieldset_difference(c->a, d.changed, inherited(c, bare)) :
                                   d.changed))
        return -1;
    for (unsigned i = 0; i < m->n; i++)
        if (&m->v[i] != mine)
            m->v[i].set = fieldset_difference(c->a, m->v[i].set,
                                              fieldset_union(c->a, d.changed, d.removed));
    mine->set = strip(c->a, mine->set);
    if (!live || !json_equal(bare, merged))
        mine->time = now(c);
    drop_empty(m);
    put_last_applied(c, merged, config);
    put_list(c->a, merged, encode(c->a, m));
    *out = merged;
    return 0;
}
