/* core/object/codec_protobuf.c -- protobuf -> raw tree. */
#include "core/object/codec_protobuf.h"

#include <stdio.h>
#include <string.h>

#include "core/base/b64.h"
#include "core/base/timefmt.h"
#include "core/object/codec_protobuf_impl.h"

/* Years 1 to 9999, as Go prints times. */
#define TIME_MIN_S (-62135596800)
#define TIME_MAX_S 253402300799

enum { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

struct reader {
    struct arena *a;
    struct err *err;
    unsigned depth;
};

/* One field off the wire: v for varints and fixed ones, bytes for the rest. */
struct wire { uint32_t number; unsigned type; uint64_t v; struct slice bytes; };

static int broken(const struct reader *r, const char *what)
{
    return err_set(r->err, ERR_INVALID, "proto: %s", what);
}

static int cut_off(const struct reader *r)
{
    return err_set(r->err, ERR_INVALID, "unexpected EOF");
}

static int read_varint(const struct reader *r, struct slice *s, uint64_t *out)
{
    uint64_t v = 0;

    for (unsigned i = 0; i < 10 && i < s->len; i++) {
        v |= (uint64_t)(s->p[i] & 0x7f) << (7 * i);
        if (!(s->p[i] & 0x80)) {
            *out = v;
            s->p += i + 1;
            s->len -= i + 1;
            return 0;
        }
    }
    return s->len < 10 ? cut_off(r) : broken(r, "integer overflow");
}

static int read_fixed(const struct reader *r, struct slice *s, unsigned bytes, uint64_t *out)
{
    uint64_t v = 0;

    if (s->len < bytes)
        return cut_off(r);
    for (unsigned i = 0; i < bytes; i++)
        v |= (uint64_t)(unsigned char)s->p[i] << (8 * i);
    s->p += bytes;
    s->len -= bytes;
    *out = v;
    return 0;
}

/* 1 a field, 0 the end. */
static int read_wire(const struct reader *r, struct slice *s, struct wire *out)
{
    uint64_t tag, len;

    if (!s->len)
        return 0;
    if (read_varint(r, s, &tag) < 0)
        return -1;
    if (tag >> 3 == 0 || tag >> 3 > 0x1fffffff)
        return broken(r, "illegal tag");
    *out = (struct wire){ .number = (uint32_t)(tag >> 3), .type = (unsigned)(tag & 7) };
    switch (out->type) {
    case WIRE_VARINT: return read_varint(r, s, &out->v) < 0 ? -1 : 1;
    case WIRE_FIXED64: return read_fixed(r, s, 8, &out->v) < 0 ? -1 : 1;
    case WIRE_FIXED32: return read_fixed(r, s, 4, &out->v) < 0 ? -1 : 1;
    case WIRE_BYTES:
        if (read_varint(r, s, &len) < 0)
            return -1;
        if (len > s->len)
            return cut_off(r);
        out->bytes = (struct slice){ s->p, (size_t)len };
        s->p += len;
        s->len -= len;
        return 1;
    default: return broken(r, "illegal wireType");
    }
}

/* --- small messages: up to three fields by number */

struct small { struct wire f[4]; bool has[4]; };

static int read_small(const struct reader *r, struct slice bytes, struct small *out)
{
    struct wire w;
    int got;

    memset(out, 0, sizeof(*out));
    while ((got = read_wire(r, &bytes, &w)) == 1) {
        if (w.number < ARRAY_LEN(out->f)) {
            out->f[w.number] = w;
            out->has[w.number] = true;
        }
    }
    return got;
}

static struct json *text_of(const struct reader *r, struct slice s)
{
    return json_strn(r->a, s.len ? s.p : "", s.len);
}

static int read_time(const struct reader *r, struct slice bytes, bool micro, struct json **out)
{
    struct small m;
    char text[TIMEFMT_BYTES];

    if (read_small(r, bytes, &m) < 0)
        return -1;
    if (!bytes.len) {                                   /* Go's zero time */
        *out = json_null(r->a);
        return 0;
    }
    int64_t s = (int64_t)m.f[1].v, us = (int64_t)(int32_t)m.f[2].v / 1000;

    if (s < TIME_MIN_S || s > TIME_MAX_S || us < 0 || us > 999999)
        return broken(r, "a time out of range");
    if (micro)
        timefmt_micro(text, s * 1000000 + us);
    else
        timefmt_rfc3339(text, s);
    *out = json_str(r->a, text);
    return 0;
}

static int read_int_or_string(const struct reader *r, struct slice bytes, struct json **out)
{
    struct small m;

    if (read_small(r, bytes, &m) < 0)
        return -1;
    *out = m.f[1].v == 0 ? json_int(r->a, (int32_t)m.f[2].v) : text_of(r, m.f[3].bytes);
    return 0;
}

static int read_raw(const struct reader *r, struct slice bytes, struct json **out)
{
    struct small m;

    if (read_small(r, bytes, &m) < 0)
        return -1;
    if (!m.f[1].bytes.len) {
        *out = json_null(r->a);
        return 0;
    }
    return json_parse(out, r->a, m.f[1].bytes.p, m.f[1].bytes.len, NULL, r->err);
}

static int read_duration(const struct reader *r, struct slice bytes, struct json **out)
{
    struct small m;
    char text[TIMEFMT_BYTES];

    if (read_small(r, bytes, &m) < 0)
        return -1;
    timefmt_duration(text, (int64_t)m.f[1].v);
    *out = json_str(r->a, text);
    return 0;
}

static struct json *base64_of(const struct reader *r, struct slice s)
{
    _cleanup_buf_ struct buf b = BUF_INIT;

    b64_encode(&b, B64_STD, s.p, s.len);
    return json_strn(r->a, b.len ? b.p : "", b.len);
}

static struct json *double_of(const struct reader *r, uint64_t bits)
{
    double d;

    memcpy(&d, &bits, sizeof(d));
    return json_float(r->a, d);
}

/* --- values by base */

static int read_struct(struct reader *r, const struct schema_type *t, struct slice bytes,
                       struct json **out);

static int read_message_value(struct reader *r, const struct schema_field *f, struct slice bytes,
                              struct json **out)
{
    struct small m;

    switch (f->base) {
    case SCHEMA_STRING: *out = text_of(r, bytes); return 0;
    case SCHEMA_BYTES: *out = base64_of(r, bytes); return 0;
    case SCHEMA_QUANTITY:
        if (read_small(r, bytes, &m) < 0)
            return -1;
        *out = m.f[1].bytes.len ? text_of(r, m.f[1].bytes) : json_str(r->a, "0");
        return 0;
    case SCHEMA_INT_OR_STRING: return read_int_or_string(r, bytes, out);
    case SCHEMA_TIME: return read_time(r, bytes, false, out);
    case SCHEMA_MICRO_TIME: return read_time(r, bytes, true, out);
    case SCHEMA_DURATION: return read_duration(r, bytes, out);
    case SCHEMA_RAW: case SCHEMA_FIELDS_V1: case SCHEMA_JSON: case SCHEMA_ANY:
        return read_raw(r, bytes, out);
    case SCHEMA_STRUCT: return read_struct(r, schema_field_type(f), bytes, out);
    default: return broken(r, "wrong wireType");
    }
}

static int read_value(struct reader *r, const struct schema_field *f, const struct wire *w,
                      struct json **out)
{
    if (w->type == WIRE_BYTES)
        return read_message_value(r, f, w->bytes, out);
    switch (f->base) {
    case SCHEMA_BOOL: *out = json_bool(r->a, w->v != 0); return 0;
    case SCHEMA_INT32: *out = json_int(r->a, (int32_t)w->v); return 0;
    case SCHEMA_INT64: *out = json_int(r->a, (int64_t)w->v); return 0;
    case SCHEMA_DOUBLE: *out = double_of(r, w->v); return 0;
    default: return broken(r, "wrong wireType");
    }
}

/* A list: one element, or many numbers packed into one field. */
static int read_element(struct reader *r, const struct schema_field *f, const struct wire *w,
                        struct json *list)
{
    bool number = f->base == SCHEMA_BOOL || f->base == SCHEMA_INT32 || f->base == SCHEMA_INT64;
    struct wire one = { .type = WIRE_VARINT };
    struct slice rest = w->bytes;
    struct json *v;

    if (w->type != WIRE_BYTES || !number) {
        if (read_value(r, f, w, &v) < 0)
            return -1;
        json_append(r->a, list, v);
        return 0;
    }
    while (rest.len) {
        if (read_varint(r, &rest, &one.v) < 0 || read_value(r, f, &one, &v) < 0)
            return -1;
        json_append(r->a, list, v);
    }
    return 0;
}

/* {1: key, 2: value}; a missing value is the zero one. */
static int read_entry(struct reader *r, const struct schema_field *f, struct slice bytes,
                      struct json *map)
{
    struct small m;
    struct json *v;

    if (read_small(r, bytes, &m) < 0)
        return -1;
    if (!m.has[2])
        m.f[2].type = codec_protobuf_is_message(f->base) ? WIRE_BYTES : WIRE_VARINT;
    if (f->shape == SCHEMA_MAP_OF_LISTS) {
        struct slice items = m.f[2].bytes;
        struct wire w;
        int got;

        v = json_array(r->a);
        while ((got = read_wire(r, &items, &w)) == 1)
            if (w.number == 1 && read_element(r, f, &w, v) < 0)
                return -1;
        if (got < 0)
            return -1;
    } else if (read_value(r, f, &m.f[2], &v) < 0) {
        return -1;
    }
    json_setn(r->a, map, m.f[1].bytes.len ? m.f[1].bytes.p : "", m.f[1].bytes.len, v);
    return 0;
}

static int read_field(struct reader *r, const struct schema_field *f, const struct wire *w,
                      struct json *obj)
{
    const char *name = schema_field_name(f);
    struct json *v;

    switch (f->shape) {
    case SCHEMA_LIST: return read_element(r, f, w, json_ensure_array(r->a, obj, name));
    case SCHEMA_MAP: case SCHEMA_MAP_OF_LISTS:
        if (w->type != WIRE_BYTES)
            return broken(r, "wrong wireType");
        return read_entry(r, f, w->bytes, json_ensure_object(r->a, obj, name));
    default:
        if (read_value(r, f, w, &v) < 0)
            return -1;
        json_set(r->a, obj, name, v);
        return 0;
    }
}

/* The fields of one message: of the type itself, or of a type embedded in it as a message. */
static int read_level(struct reader *r, const struct schema_type *t,
                      const struct schema_embed *level,
                      struct slice bytes, struct json *obj)
{
    struct wire w;
    int got;

    if (++r->depth > CODEC_DEPTH_MAX)
        return err_set(r->err, ERR_QUOTA, "the object is nested deeper than %d", CODEC_DEPTH_MAX);
    while ((got = read_wire(r, &bytes, &w)) == 1) {
        const struct schema_field *f = codec_protobuf_field(t, level, w.number);
        const struct schema_embed *below = f ? NULL : codec_protobuf_embed(t, level, w.number);

        if (f && read_field(r, f, &w, obj) < 0)
            return -1;
        if (below && (w.type != WIRE_BYTES ? broken(r, "wrong wireType")
                                           : read_level(r, t, below, w.bytes, obj)) < 0)
            return -1;
    }
    r->depth--;
    return got;
}

/* Of a type whose JSON is that of the one field that is set: {allows: true} -> true. */
static struct json *either(const struct reader *r, const struct schema_type *t, struct json *obj)
{
    const struct schema_field *fields;
    unsigned n = schema_fields(t, &fields);
    struct json *v = NULL, *found;

    for (unsigned i = 0; i < n; i++) {
        found = json_get(obj, schema_field_name(&fields[i]));
        if (found && (!v || found->type != JSON_BOOL))
            v = found;
    }
    return v ? v : json_null(r->a);
}

static int read_struct(struct reader *r, const struct schema_type *t, struct slice bytes,
                       struct json **out)
{
    struct json *obj = json_object(r->a);

    if (read_level(r, t, NULL, bytes, obj) < 0)
        return -1;
    *out = schema_type_is_either(t) ? either(r, t, obj) : obj;
    return 0;
}

int codec_protobuf_read_message(struct json **out, struct arena *a, const struct schema_type *type,
                                struct slice bytes, struct err *err)
{
    struct reader r = { .a = a, .err = err };

    return read_struct(&r, type, bytes, out);
}

const struct schema_type *codec_protobuf_type(const char *api_version, const char *kind)
{
    const struct kind *k = kind_by_api_version(api_version, kind);
    char gvk[300];

    if (k)
        return k->type;
    snprintf(gvk, sizeof(gvk), "%s/%s", api_version, kind);
    for (unsigned i = 0; i < schema_type_count(); i++) {
        const struct schema_type *t = schema_type_at(i);
        const char *is;

        for (unsigned n = 0; (is = schema_type_gvk(t, n)); n++)
            if (str_eq(is, gvk) || (str_eq(is, "*") && str_eq(schema_type_name(t), kind)))
                return t;
        /* what only servers make has no kind of its own in the tables */
        if (str_starts(gvk, "meta.k8s.io/") && str_eq(schema_type_name(t), kind))
            return t;
    }
    return NULL;
}

static const char *text_or(struct arena *a, struct slice text, const char *otherwise)
{
    return text.len ? arena_strndup(a, text.p, text.len) : otherwise;
}

int codec_protobuf_read(struct json **out, struct arena *a, struct slice bytes,
                        const struct kind *expected, struct err *err)
{
    struct reader r = { .a = a, .err = err };
    struct small envelope, meta;
    const struct schema_type *type;
    struct json *tree;

    if (bytes.len < CODEC_PROTOBUF_MAGIC_BYTES ||
        memcmp(bytes.p, CODEC_PROTOBUF_MAGIC, CODEC_PROTOBUF_MAGIC_BYTES) != 0)
        return broken(&r, "provided data does not appear to be a protobuf message");
    if (bytes.len == CODEC_PROTOBUF_MAGIC_BYTES)
        return err_set(err, ERR_INVALID, "empty body");
    bytes.p += CODEC_PROTOBUF_MAGIC_BYTES;
    bytes.len -= CODEC_PROTOBUF_MAGIC_BYTES;
    if (read_small(&r, bytes, &envelope) < 0 ||
        read_small(&r, envelope.f[1].bytes, &meta) < 0)
        return -1;
    const char *version = text_or(a, meta.f[1].bytes, expected ? kind_api_version(expected) : "");
    const char *kind = text_or(a, meta.f[2].bytes, expected ? expected->kind : "");

    type = codec_protobuf_type(version, kind);
    if (!type)
        return err_set(err, ERR_INVALID, "no kind \"%.100s\" is registered for version \"%.100s\"",
                       kind, version);
    if (codec_protobuf_read_message(&tree, a, type, envelope.f[2].bytes, err) < 0)
        return -1;
    if (!json_is(tree, JSON_OBJECT))
        return broken(&r, "not an object");
    json_set_str(a, tree, "kind", kind);
    json_set_str(a, tree, "apiVersion", version);
    *out = tree;
    return 0;
}
