/* Every field of every kind, made from the schema itself: through the codec, an object and back
 * nothing may be lost or changed; without any field the same. */
#include "core/base/yaml.h"
#include "core/object/codec.h"
#include "core/object/codec_protobuf.h"
#include "core/object/object.h"
#include "core/object/schema.h"
#include "tests/harness/test.h"

/* The types above: one that holds itself is not filled again. */
struct chain { const struct chain *up; const struct schema_type *type; };

static struct json *full(struct arena *a, const struct schema_type *t, const struct chain *up);

static bool is_above(const struct chain *c, const struct schema_type *t)
{
    for (; c && t; c = c->up)
        if (c->type == t)
            return true;
    return false;
}

static struct json *sample(struct arena *a, const struct schema_field *f, const struct chain *up)
{
    switch ((enum schema_base)f->base) {
    case SCHEMA_STRING:
        return json_str(a, schema_field_value(f, 1) ? schema_field_value(f, 1) : "x<&>\"y");
    case SCHEMA_BOOL: return json_bool(a, true);
    case SCHEMA_INT32: return json_int(a, INT32_MIN);
    case SCHEMA_INT64: return json_int(a, INT64_MAX);
    case SCHEMA_DOUBLE: return json_float(a, 1.5);
    case SCHEMA_BYTES: return json_str(a, "aGVsbG8=");
    case SCHEMA_QUANTITY: return json_str(a, "1500m");
    case SCHEMA_INT_OR_STRING: return json_str(a, "25%");
    case SCHEMA_TIME: return json_str(a, "2026-11-24T17:00:00Z");
    case SCHEMA_MICRO_TIME: return json_str(a, "2026-11-24T17:00:00.000001Z");
    case SCHEMA_DURATION: return json_str(a, "1h0m0s");
    case SCHEMA_RAW: case SCHEMA_FIELDS_V1: case SCHEMA_JSON: case SCHEMA_ANY: {
        struct json *v = json_object(a);

        json_set(a, v, "z", json_null(a));
        json_set_int(a, v, "a", 1);
        return v;
    }
    case SCHEMA_STRUCT: return full(a, schema_field_type(f), up);
    case SCHEMA_BASE_MAX: break;
    }
    test_fail(__FILE__, __LINE__, "no such base");
}

static struct json *list_of(struct arena *a, const struct schema_field *f, const struct chain *up)
{
    struct json *list = json_array(a);

    json_append(a, list, sample(a, f, up));
    json_append(a, list, sample(a, f, up));
    return list;
}

static struct json *value(struct arena *a, const struct schema_field *f, const struct chain *up)
{
    struct json *map = json_object(a);

    if (f->shape == SCHEMA_ONE)
        return sample(a, f, up);
    if (f->shape == SCHEMA_LIST)
        return list_of(a, f, up);
    json_set(a, map, "a", f->shape == SCHEMA_MAP ? sample(a, f, up) : list_of(a, f, up));
    json_set(a, map, "b/c", f->shape == SCHEMA_MAP ? sample(a, f, up) : list_of(a, f, up));
    return map;
}

static struct json *full(struct arena *a, const struct schema_type *t, const struct chain *up)
{
    const struct schema_field *fields;
    unsigned n = schema_fields(t, &fields);
    const struct chain here = { up, t };
    struct json *obj = json_object(a);

    for (unsigned i = 0; i < n; i++) {
        const struct schema_embed *e = schema_field_embed(&fields[i]);

        if (is_above(&here, schema_field_type(&fields[i])))
            continue;
        if (up && e && !e->number)           /* TypeMeta inside another object: not in protobuf */
            continue;
        if (schema_type_is_either(t))
            return value(a, &fields[i], &here);
        json_set(a, obj, schema_field_name(&fields[i]), value(a, &fields[i], &here));
    }
    if (schema_type_is_either(t))            /* nothing but the type itself */
        return json_object(a);
    return obj;
}

static struct json *canonical(struct arena *a, const struct kind *k, const struct json *raw)
{
    struct codec_notes notes = { .a = a };
    struct json *tree;
    struct err err = ERR_INIT;

    EXPECT_OK(codec_canonical(&tree, a, k->type, raw, &notes, &err), &err);
    if (notes.len)
        test_fail(__FILE__, __LINE__, "%s: %s", k->group_resource, notes.v[0]);
    return tree;
}

TEST(every_field_of_every_kind)
{
    for (unsigned i = 0; i < kind_count(); i++) {
        const struct kind *k = kind_by_id(i);
        struct arena *a = arena_new(0);
        struct json *raw, *tree, *back;
        struct buf text = BUF_INIT, again = BUF_INIT;
        struct object *o;
        struct err err = ERR_INIT;

        raw = full(a, k->type, NULL);
        json_set_str(a, raw, "kind", k->kind);
        json_set_str(a, raw, "apiVersion", k->api_version);
        if (json_get(raw, "metadata"))
            json_set_str(a, json_get(raw, "metadata"), "resourceVersion", "77");
        tree = canonical(a, k, raw);
        if (!json_equal(raw, tree))
            test_fail(__FILE__, __LINE__, "%s %s changed", k->api_version, k->kind);
        json_write(&text, tree);
        EXPECT_OK(object_new(&o, k, text.p, text.len, 0, &err), &err);
        back = canonical(a, k, object_tree(o, a));
        json_write(&again, back);
        EXPECT_STR(again.p, text.p);
        if (json_get(raw, "metadata"))
            EXPECT_EQ(object_rv(o), 77);
        object_view(o);
        object_unref(o);
        buf_deinit(&text);
        buf_deinit(&again);
        arena_free(a);
    }
}

TEST(every_field_as_yaml)
{
    for (unsigned i = 0; i < kind_count(); i++) {
        const struct kind *k = kind_by_id(i);
        struct arena *a = arena_new(0);
        struct json *tree = canonical(a, k, full(a, k->type, NULL)), *raw;
        struct buf yaml = BUF_INIT, want = BUF_INIT, got = BUF_INIT;
        struct err err = ERR_INIT;

        yaml_write(&yaml, tree);
        EXPECT_OK(codec_parse(&raw, a, MEDIA_YAML, (struct slice){ yaml.p, yaml.len }, NULL, &err),
                  &err);
        json_sort_keys(tree);
        json_write(&want, tree);
        raw = canonical(a, k, raw);
        json_sort_keys(raw);
        json_write(&got, raw);
        EXPECT_STR(got.p, want.p);
        buf_deinit(&yaml);
        buf_deinit(&want);
        buf_deinit(&got);
        arena_free(a);
    }
}

TEST(no_field_of_any_kind)
{
    for (unsigned i = 0; i < kind_count(); i++) {
        const struct kind *k = kind_by_id(i);
        struct arena *a = arena_new(0);
        struct json *tree = canonical(a, k, json_object(a));
        struct buf text = BUF_INIT, again = BUF_INIT;

        json_write(&text, tree);
        json_write(&again, canonical(a, k, tree));
        EXPECT_STR(again.p, text.p);
        buf_deinit(&text);
        buf_deinit(&again);
        arena_free(a);
    }
}

/* Defaults on full and on empty objects: twice is once, and the order of the fields stays. */
TEST(defaults_of_every_kind)
{
    for (unsigned i = 0; i < kind_count() * 2; i++) {
        const struct kind *k = kind_by_id(i / 2);
        struct arena *a = arena_new(0);
        struct json *tree = canonical(a, k, i % 2 ? full(a, k->type, NULL) : json_object(a));
        struct buf once = BUF_INIT, twice = BUF_INIT, ordered = BUF_INIT;

        codec_default(tree, a, k);
        json_write(&once, tree);
        json_write(&ordered, canonical(a, k, tree));
        EXPECT_STR(ordered.p, once.p);
        codec_default(tree, a, k);
        json_write(&twice, tree);
        EXPECT_STR(twice.p, once.p);
        buf_deinit(&once);
        buf_deinit(&twice);
        buf_deinit(&ordered);
        arena_free(a);
    }
}

/* Says where they part: the texts are long. */
static void expect_same(const struct kind *k, const char *got, const char *want)
{
    size_t at = 0;

    while (got[at] && got[at] == want[at])
        at++;
    if (got[at] || want[at])
        test_fail(__FILE__, __LINE__, "%s %s: got %.80s, want %.80s", k->api_version, k->kind,
                  got + (at < 40 ? 0 : at - 40), want + (at < 40 ? 0 : at - 40));
}

/* Through protobuf and back, for every kind that has messages, with all fields and with none. */
TEST(every_field_as_protobuf)
{
    for (unsigned i = 0; i < kind_count() * 2; i++) {
        const struct kind *k = kind_by_id(i / 2);
        struct arena *a = arena_new(0);
        struct json *raw = i % 2 ? full(a, k->type, NULL) : json_object(a), *tree, *back;
        struct buf wire = BUF_INIT, want = BUF_INIT, got = BUF_INIT;
        struct err err = ERR_INIT;

        json_set_str(a, raw, "kind", k->kind);
        json_set_str(a, raw, "apiVersion", k->api_version);
        tree = canonical(a, k, raw);
        if (schema_type_proto(k->type)) {
            codec_protobuf_write(&wire, k->type, tree, k->api_version, k->kind);
            EXPECT_OK(codec_protobuf_read(&back, a, (struct slice){ wire.p, wire.len }, NULL, &err),
                      &err);
            back = canonical(a, k, back);
            json_sort_keys(tree);
            json_sort_keys(back);
            json_write(&want, tree);
            json_write(&got, back);
            expect_same(k, got.p, want.p);
        }
        buf_deinit(&wire);
        buf_deinit(&want);
        buf_deinit(&got);
        arena_free(a);
    }
}

/* Types that no kind reaches are served too: options, reviews, discovery. */
TEST(every_field_of_every_type)
{
    for (unsigned i = 0; i < schema_type_count(); i++) {
        const struct schema_type *t = schema_type_at(i);
        struct codec_notes notes = { .a = NULL };
        struct arena *a = notes.a = arena_new(0);
        struct json *raw = full(a, t, NULL), *tree = NULL;
        struct err err = ERR_INIT;

        EXPECT_OK(codec_canonical(&tree, a, t, raw, &notes, &err), &err);
        if (notes.len || !json_equal(raw, tree))
            test_fail(__FILE__, __LINE__, "%s changed", schema_type_id(t));
        arena_free(a);
    }
}

/* Adds a field that no type has to every struct; answers how many. */
static unsigned litter(struct arena *a, struct json *v, const struct schema_type *t)
{
    const struct schema_field *fields;
    unsigned n = 0;

    if (!t || !json_is(v, JSON_OBJECT) || schema_type_is_either(t) || !schema_fields(t, &fields))
        return 0;
    json_each_member(m, v) {
        const struct schema_field *f = schema_field(t, m->key, m->key_len);
        const struct schema_type *in = schema_field_type(f);
        struct json *item;

        if (f->shape == SCHEMA_ONE)
            n += litter(a, m->val, in);
        json_each(item, f->shape == SCHEMA_LIST ? m->val : NULL)
            n += litter(a, item, in);
    }
    json_set(a, v, "noSuchField", json_object(a));
    return n + 1;
}

TEST(unknown_fields_of_every_kind)
{
    for (unsigned i = 0; i < kind_count(); i++) {
        const struct kind *k = kind_by_id(i);
        struct arena *a = arena_new(0);
        struct codec_notes notes = { .a = a };
        struct json *raw = full(a, k->type, NULL), *clean = canonical(a, k, raw), *tree = NULL;
        unsigned n = litter(a, raw, k->type);
        struct err err = ERR_INIT;

        EXPECT_OK(codec_canonical(&tree, a, k->type, raw, &notes, &err), &err);
        EXPECT(json_equal(tree, clean));
        EXPECT(n > 0);
        EXPECT_EQ(notes.len, n > CODEC_NOTES_MAX ? CODEC_NOTES_MAX : n);
        arena_free(a);
    }
}
