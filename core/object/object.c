/* core/object/object.c -- an object in one block: the struct, its texts, its bytes. The view comes
 * on demand. */
#include "core/object/object.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/check.h"
#include "core/base/ref.h"
#include "core/object/codec_scalar.h"
#include "core/object/schema.h"
#include "core/object/view_table.h"

#define PLACEHOLDER "\"resourceVersion\":\"\""

struct pair { const char *key, *value; };

/* What few readers ask for: decoded at the first question, then kept. */
struct object {
    struct ref ref;
    const struct kind *kind;
    const char *ns, *name, *uid;
    int64_t rv, generation, created_s;
    bool deleting;
    struct slice bytes;
    const struct pair *labels, *annotations;
    unsigned n_labels, n_annotations, n_owners;
    const struct object_owner *owners;
    _Atomic(struct view *) view;
    _Alignas(16) char data[];
};

/* Counts the first time (base NULL), fills the second time. */
struct pack { char *base; size_t used; };

static void *pack_rows(struct pack *p, size_t bytes)
{
    size_t at = p->used;

    p->used += (bytes + 7) & ~(size_t)7;
    return p->base ? p->base + at : NULL;
}

static const char *pack_text(struct pack *p, const char *s, size_t len)
{
    char *to = pack_rows(p, len + 1);

    if (!to)
        return "";
    memcpy(to, s, len);
    to[len] = 0;
    return to;
}

static const char *pack_string(struct pack *p, const struct json *v)
{
    return json_is(v, JSON_STRING) ? pack_text(p, v->s, v->len) : "";
}

static const struct pair *pack_map(struct pack *p, const struct json *map, unsigned *n)
{
    struct pair *rows = pack_rows(p, json_len(map) * sizeof(*rows)), *to = rows;

    *n = 0;
    json_each_member(m, map) {
        struct pair pair = { pack_text(p, m->key, m->key_len), pack_string(p, m->val) };

        (*n)++;
        if (to)
            *to++ = pair;
    }
    return rows;
}

static const struct object_owner *pack_owners(struct pack *p, const struct json *list, unsigned *n)
{
    struct object_owner *rows = pack_rows(p, json_len(list) * sizeof(*rows)), *to = rows;
    struct json *item;

    *n = 0;
    json_each(item, list) {
        struct object_owner owner = {
            .api_version = pack_string(p, json_get(item, "apiVersion")),
            .kind = pack_string(p, json_get(item, "kind")),
            .name = pack_string(p, json_get(item, "name")),
            .uid = pack_string(p, json_get(item, "uid")),
            .controller = json_get_bool(item, "controller", false),
            .block_deletion = json_get_bool(item, "blockOwnerDeletion", false),
        };

        (*n)++;
        if (to)
            *to++ = owner;
    }
    return rows;
}

static int64_t seconds_of(const struct json *v)
{
    int64_t us;

    if (!json_is(v, JSON_STRING) || codec_scalar_time(v->s, v->len, false, &us, NULL) < 0)
        return 0;
    return us / 1000000;
}

static void pack_meta(struct object *o, struct pack *p, const struct json *meta)
{
    o->ns = pack_string(p, json_get(meta, "namespace"));
    o->name = pack_string(p, json_get(meta, "name"));
    o->uid = pack_string(p, json_get(meta, "uid"));
    o->generation = json_get_int(meta, "generation", 0);
    o->created_s = seconds_of(json_get(meta, "creationTimestamp"));
    o->deleting = json_is(json_get(meta, "deletionTimestamp"), JSON_STRING);
    o->labels = pack_map(p, json_get(meta, "labels"), &o->n_labels);
    o->annotations = pack_map(p, json_get(meta, "annotations"), &o->n_annotations);
    o->owners = pack_owners(p, json_get(meta, "ownerReferences"), &o->n_owners);
}

static int check_kind(const struct kind *kind, const struct json *tree, struct err *err)
{
    const char *api_version = json_get_str(tree, "apiVersion"), *name = json_get_str(tree, "kind");

    if (!json_is(tree, JSON_OBJECT) || !str_eq(name, kind->kind) ||
        !str_eq(api_version, kind->api_version))
        return err_set(err, ERR_CORRUPT, "the bytes hold %s %s, not %s %s",
                       api_version ? api_version : "no", name ? name : "object",
                       kind->api_version, kind->kind);
    return 0;
}

/* The bytes with rv in its place. */
static int splice_rv(struct buf *out, const char *bytes, size_t len, int64_t rv, struct err *err)
{
    const char *at = memmem(bytes, len, PLACEHOLDER, sizeof(PLACEHOLDER) - 1);
    size_t before;

    if (!at)
        return err_set(err, ERR_CORRUPT, "no place for the resourceVersion");
    before = (size_t)(at - bytes) + sizeof(PLACEHOLDER) - 2;
    buf_reserve(out, len + 24);
    buf_add(out, bytes, before);
    buf_i64(out, rv);
    buf_add(out, bytes + before, len - before);
    return 0;
}

static struct object *pack_object(const struct kind *kind, struct slice bytes,
                                  const struct json *tree)
{
    const struct json *meta = json_get(tree, "metadata");
    struct object probe = { 0 }, *o;
    struct pack count = { 0 }, fill;
    const char *rv = json_get_str(meta, "resourceVersion");

    pack_meta(&probe, &count, meta);
    pack_text(&count, bytes.p, bytes.len);
    o = mem_alloc(sizeof(*o) + count.used);
    fill = (struct pack){ .base = o->data };
    ref_init(&o->ref);
    o->kind = kind;
    pack_meta(o, &fill, meta);
    o->bytes = (struct slice){ pack_text(&fill, bytes.p, bytes.len), bytes.len };
    check(fill.used == count.used);
    if (str_empty(rv) || str_to_i64(rv, 0, INT64_MAX, &o->rv, NULL) < 0)
        o->rv = 0;
    atomic_init(&o->view, NULL);
    return o;
}

int object_new(struct object **out, const struct kind *kind, const char *bytes, size_t len,
               int64_t rv, struct err *err)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    _cleanup_buf_ struct buf spliced = BUF_INIT;
    struct json *tree;

    check(kind);
    check(bytes);
    if (rv) {
        if (splice_rv(&spliced, bytes, len, rv, err) < 0)
            return err_wrap(err, "%s", kind->group_resource);
        bytes = spliced.p;
        len = spliced.len;
    }
    if (json_parse(&tree, a, bytes, len, NULL, err) < 0 || check_kind(kind, tree, err) < 0) {
        if (err)
            err->code = ERR_CORRUPT;
        return err_wrap(err, "%s", kind->group_resource);
    }
    *out = pack_object(kind, (struct slice){ bytes, len }, tree);
    return 0;
}

/* --- writing */

static void write_member(struct buf *b, const char *key, size_t key_len, const struct json *val)
{
    if (b->p[b->len - 1] != '{')
        buf_chr(b, ',');
    json_write_string(b, key, key_len);
    buf_chr(b, ':');
    json_write(b, val);
}

static void write_rv(struct buf *b, int64_t rv)
{
    buf_str(b, b->p[b->len - 1] != '{' ? ",\"resourceVersion\":\"" : "\"resourceVersion\":\"");
    if (rv)
        buf_i64(b, rv);
    buf_chr(b, '"');
}

/* metadata with resourceVersion at its place in the order of the schema. */
static void write_meta(struct buf *b, const struct json *meta, int64_t rv)
{
    static const char *const before[] = { "name", "generateName", "namespace", "selfLink", "uid" };
    bool put = false;

    buf_str(b, "\"metadata\":{");
    json_each_member(m, meta) {
        bool early = false;

        if (str_eq(m->key, "resourceVersion"))
            continue;
        for (size_t i = 0; i < ARRAY_LEN(before) && !put; i++)
            early = early || str_eq(m->key, before[i]);
        if (!early && !put) {
            write_rv(b, rv);
            put = true;
        }
        write_member(b, m->key, m->key_len, m->val);
    }
    if (!put)
        write_rv(b, rv);
    buf_chr(b, '}');
}

void object_encode(struct buf *b, const struct json *tree, int64_t rv)
{
    buf_chr(b, '{');
    json_each_member(m, tree) {
        if (!str_eq(m->key, "metadata")) {
            write_member(b, m->key, m->key_len, m->val);
            continue;
        }
        if (b->p[b->len - 1] != '{')
            buf_chr(b, ',');
        write_meta(b, m->val, rv);
    }
    buf_chr(b, '}');
}

int object_from_tree(struct object **out, const struct kind *kind, const struct json *tree,
                     int64_t rv, struct err *err)
{
    _cleanup_buf_ struct buf bytes = BUF_INIT;
    struct object *o;

    check(kind);
    if (check_kind(kind, tree, err) < 0)
        return err_wrap(err, "%s", kind->group_resource);
    if (rv)
        object_encode(&bytes, tree, rv);
    else
        json_write(&bytes, tree);
    o = pack_object(kind, (struct slice){ bytes.p, bytes.len }, tree);
    if (rv)
        o->rv = rv;
    *out = o;
    return 0;
}

struct object *object_ref(struct object *o)
{
    if (!o)
        return NULL;
    ref_get(&o->ref);
    return o;
}

struct object *object_unref(struct object *o)
{
    if (o && ref_put(&o->ref)) {
        view_free(atomic_load_explicit(&o->view, memory_order_acquire));
        mem_free(o);
    }
    return NULL;
}

const struct kind *object_kind(const struct object *o)
{
    return o->kind;
}

const char *object_ns(const struct object *o)
{
    return o->ns;
}

const char *object_name(const struct object *o)
{
    return o->name;
}

const char *object_uid(const struct object *o)
{
    return o->uid;
}

int64_t object_rv(const struct object *o)
{
    return o->rv;
}

int64_t object_generation(const struct object *o)
{
    return o->generation;
}

int64_t object_created_s(const struct object *o)
{
    return o->created_s;
}

bool object_is_deleting(const struct object *o)
{
    return o->deleting;
}

struct slice object_bytes(const struct object *o)
{
    return o->bytes;
}

/* Maps of a canonical object are in order of keys. */
static const char *pair_find(const struct pair *pairs, unsigned n, const char *key)
{
    unsigned low = 0, high = n;

    while (low < high) {
        unsigned mid = (low + high) / 2;
        int order = strcmp(key, pairs[mid].key);

        if (order == 0)
            return pairs[mid].value;
        if (order < 0)
            high = mid;
        else
            low = mid + 1;
    }
    return NULL;
}

const char *object_label(const struct object *o, const char *key)
{
    return pair_find(o->labels, o->n_labels, key);
}

const char *object_annotation(const struct object *o, const char *key)
{
    return pair_find(o->annotations, o->n_annotations, key);
}

bool object_next_label(const struct object *o, unsigned *at, const char **key, const char **value)
{
    if (*at >= o->n_labels)
        return false;
    *key = o->labels[*at].key;
    *value = o->labels[*at].value;
    (*at)++;
    return true;
}

unsigned object_owners(const struct object *o, const struct object_owner **out)
{
    *out = o->owners;
    return o->n_owners;
}

const struct object_owner *object_controller(const struct object *o)
{
    for (unsigned i = 0; i < o->n_owners; i++)
        if (o->owners[i].controller)
            return &o->owners[i];
    return NULL;
}

struct json *object_tree(const struct object *o, struct arena *a)
{
    struct err err = ERR_INIT;
    struct json *tree;

    if (json_parse(&tree, a, o->bytes.p, o->bytes.len, NULL, &err) < 0)
        check_fail(err.msg, __FILE__, __LINE__);         /* object_new parsed the same bytes */
    return tree;
}

/* Threads may race to decode it: the first to publish wins. */
const void *object_view(const struct object *o)
{
    struct object *self = (struct object *)(uintptr_t)o;
    struct view *v = atomic_load_explicit(&self->view, memory_order_acquire), *none = NULL;
    _cleanup_(arena_freep) struct arena *a = NULL;

    if (v)
        return view_root(v);
    a = arena_new(0);
    v = view_new(o->kind, object_tree(o, a));
    if (!v)
        return NULL;
    if (!atomic_compare_exchange_strong(&self->view, &none, v)) {
        view_free(v);
        v = none;
    }
    return view_root(v);
}

void object_key_of(char out[OBJECT_KEY_BYTES], const char *ns, const char *name)
{
    int len = str_empty(ns) ? snprintf(out, OBJECT_KEY_BYTES, "%s", name)
                            : snprintf(out, OBJECT_KEY_BYTES, "%s/%s", ns, name);

    check(len < OBJECT_KEY_BYTES);
}

void object_key(const struct object *o, char out[OBJECT_KEY_BYTES])
{
    object_key_of(out, o->ns, o->name);
}

void object_key_split(const char *key, char ns[OBJECT_KEY_BYTES], char name[OBJECT_KEY_BYTES])
{
    const char *slash = strchr(key, '/');
    int len = slash ? (int)(slash - key) : 0;

    snprintf(ns, OBJECT_KEY_BYTES, "%.*s", len, key);
    snprintf(name, OBJECT_KEY_BYTES, "%s", slash ? slash + 1 : key);
}
