/* core/object/codec_protobuf_write.c -- canonical tree -> protobuf, and the layout of messages. */
#include <stdlib.h>
#include <string.h>

#include "core/base/b64.h"
#include "core/base/timefmt.h"
#include "core/object/codec_protobuf.h"
#include "core/object/codec_protobuf_impl.h"
#include "core/object/codec_scalar.h"

#define NUMBERS_MAX 256                  /* of fields: one byte in the tables */

/* --- layout */

const struct schema_field *codec_protobuf_field(const struct schema_type *t,
                                                const struct schema_embed *level, uint32_t number)
{
    const struct schema_field *fields;
    unsigned n = schema_fields(t, &fields);

    for (unsigned i = 0; i < n; i++)
        if (fields[i].number == number && number && schema_field_embed(&fields[i]) == level)
            return &fields[i];
    return NULL;
}

const struct schema_embed *codec_protobuf_embed(const struct schema_type *t,
                                                const struct schema_embed *level, uint32_t number)
{
    const struct schema_field *fields;
    unsigned n = schema_fields(t, &fields);

    for (unsigned i = 0; i < n; i++)
        for (const struct schema_embed *e = schema_field_embed(&fields[i]); e;
             e = schema_embed_parent(e))
            if (e->number == number && number && schema_embed_parent(e) == level)
                return e;
    return NULL;
}

bool codec_protobuf_is_message(unsigned base)
{
    return base != SCHEMA_BOOL && base != SCHEMA_INT32 && base != SCHEMA_INT64 &&
           base != SCHEMA_DOUBLE;
}

/* --- the wire */

static void put_varint(struct buf *b, uint64_t v)
{
    while (v >= 0x80) {
        buf_chr(b, (char)(v | 0x80));
        v >>= 7;
    }
    buf_chr(b, (char)v);
}

static void put_tag(struct buf *b, unsigned number, unsigned wire)
{
    put_varint(b, (uint64_t)number << 3 | wire);
}

static void put_int(struct buf *b, unsigned number, int64_t v)
{
    put_tag(b, number, 0);
    put_varint(b, (uint64_t)v);
}

static void put_bytes(struct buf *b, unsigned number, const void *p, size_t len)
{
    put_tag(b, number, 2);
    put_varint(b, len);
    buf_add(b, p, len);
}

static void put_text(struct buf *b, unsigned number, const struct json *v)
{
    bool text = json_is(v, JSON_STRING);

    put_bytes(b, number, text ? v->s : "", text ? v->len : 0);
}

/* --- values */

static void put_level(struct buf *b, const struct schema_type *t, const struct schema_embed *level,
                      const struct json *obj);

static void write_time(struct buf *m, const struct json *v, bool micro)
{
    int64_t us;

    if (!json_is(v, JSON_STRING) || codec_scalar_time(v->s, v->len, micro, &us, NULL) < 0)
        return;                                         /* the zero time: an empty message */
    int64_t s = us / 1000000 - (us % 1000000 < 0);

    put_int(m, 1, s);
    put_int(m, 2, micro ? (us - s * 1000000) * 1000 : 0);
}

static void write_int_or_string(struct buf *m, const struct json *v)
{
    bool text = json_is(v, JSON_STRING);

    put_int(m, 1, text);
    put_int(m, 2, json_is(v, JSON_INT) ? v->i : 0);
    put_text(m, 3, text ? v : NULL);
}

static void write_json(struct buf *m, const struct json *v)
{
    _cleanup_buf_ struct buf text = BUF_INIT;

    if (!v || v->type == JSON_NULL)
        return;
    json_write(&text, v);
    put_bytes(m, 1, text.p, text.len);
}

/* {allows, schema} and the like: the field whose kind of value it is. */
static void write_either(struct buf *m, const struct schema_type *t, const struct json *v)
{
    const struct schema_field *fields;
    unsigned n = schema_fields(t, &fields);
    struct json obj = { .type = JSON_OBJECT, .len = 1, .cap = 1 };
    struct json_member one = { .val = (struct json *)v };

    for (unsigned i = 0; i < n; i++) {
        const struct schema_field *f = &fields[i];
        int type = f->shape == SCHEMA_LIST ? JSON_ARRAY :
                   f->base == SCHEMA_STRUCT ? JSON_OBJECT :
                   f->base == SCHEMA_BOOL ? JSON_BOOL : JSON_STRING;

        if (!json_is(v, (enum json_type)type))
            continue;
        one.key = schema_field_name(f);
        one.key_len = f->name_len;
        obj.members = &one;
        put_level(m, t, NULL, &obj);
        return;
    }
}

/* What is inside the message of a value. */
static void write_message(struct buf *m, const struct schema_field *f, const struct json *v)
{
    const struct schema_type *t;
    int64_t ns;

    switch (f->base) {
    case SCHEMA_QUANTITY: put_text(m, 1, v); break;
    case SCHEMA_INT_OR_STRING: write_int_or_string(m, v); break;
    case SCHEMA_TIME: write_time(m, v, false); break;
    case SCHEMA_MICRO_TIME: write_time(m, v, true); break;
    case SCHEMA_DURATION:
        put_int(m, 1, json_is(v, JSON_STRING) &&
                      timefmt_parse_duration(v->s, &ns, NULL) == 0 ? ns : 0);
        break;
    case SCHEMA_STRUCT:
        t = schema_field_type(f);
        if (schema_type_is_either(t))
            write_either(m, t, v);
        else
            put_level(m, t, NULL, v);
        break;
    default: write_json(m, v); break;
    }
}

static void put_double(struct buf *b, unsigned number, const struct json *v)
{
    double d = json_is(v, JSON_FLOAT) ? v->d : json_is(v, JSON_INT) ? (double)v->i : 0;
    uint64_t bits;

    memcpy(&bits, &d, sizeof(bits));
    put_tag(b, number, 1);
    for (unsigned i = 0; i < 8; i++)
        buf_chr(b, (char)(bits >> (8 * i)));
}

static void put_value(struct buf *b, unsigned number, const struct schema_field *f,
                      const struct json *v)
{
    _cleanup_buf_ struct buf m = BUF_INIT;

    switch (f->base) {
    case SCHEMA_BOOL: put_int(b, number, json_is(v, JSON_BOOL) && v->b); return;
    case SCHEMA_INT32: case SCHEMA_INT64: put_int(b, number, json_is(v, JSON_INT) ? v->i :
                                                  0); return;
    case SCHEMA_DOUBLE: put_double(b, number, v); return;
    case SCHEMA_STRING: put_text(b, number, v); return;
    case SCHEMA_BYTES:
        if (json_is(v, JSON_STRING))
            b64_decode(&m, B64_STD, v->s, v->len, NULL);
        break;
    default: write_message(&m, f, v); break;
    }
    put_bytes(b, number, m.len ? m.p : "", m.len);
}

static void put_entry(struct buf *b, const struct schema_field *f, const struct json_member *e)
{
    _cleanup_buf_ struct buf m = BUF_INIT;
    const struct json *item;

    put_bytes(&m, 1, e->key, e->key_len);
    if (f->shape == SCHEMA_MAP) {
        put_value(&m, 2, f, e->val);
    } else {
        _cleanup_buf_ struct buf list = BUF_INIT;

        json_each(item, e->val)
            put_value(&list, 1, f, item);
        put_bytes(&m, 2, list.len ? list.p : "", list.len);
    }
    put_bytes(b, f->number, m.p, m.len);
}

static void put_field(struct buf *b, const struct schema_field *f, const struct json *v)
{
    const struct json *item;

    if (f->shape == SCHEMA_LIST) {
        json_each(item, v)
            put_value(b, f->number, f, item);
    } else if (f->shape == SCHEMA_MAP || f->shape == SCHEMA_MAP_OF_LISTS) {
        json_each_member(m, v)
            put_entry(b, f, m);
    } else if (v ? v->type != JSON_NULL || !(f->flags & SCHEMA_POINTER)
                 : !(f->flags & SCHEMA_POINTER) && f->base != SCHEMA_BYTES) {
        put_value(b, f->number, f, v);
    }
}

/* The fields of one message, in order of their numbers. */
static void put_level(struct buf *b, const struct schema_type *t, const struct schema_embed *level,
                      const struct json *obj)
{
    const struct schema_field *fields, *by_number[NUMBERS_MAX] = { 0 };
    const struct schema_embed *embeds[NUMBERS_MAX] = { 0 };
    unsigned n = schema_fields(t, &fields), last = 0;

    for (unsigned i = 0; i < n; i++) {
        const struct schema_embed *e = schema_field_embed(&fields[i]);
        unsigned number = fields[i].number;

        if (e == level) {
            by_number[number] = &fields[i];
        } else {
            while (e && !(e->number && schema_embed_parent(e) == level))
                e = schema_embed_parent(e);
            if (!e)
                continue;
            number = e->number;
            embeds[number] = e;
        }
        last = number > last ? number : last;
    }
    for (unsigned i = 1; i <= last; i++) {
        if (by_number[i]) {
            put_field(b, by_number[i], json_get(obj, schema_field_name(by_number[i])));
        } else if (embeds[i]) {
            _cleanup_buf_ struct buf m = BUF_INIT;

            put_level(&m, t, embeds[i], obj);
            put_bytes(b, i, m.len ? m.p : "", m.len);
        }
    }
}

void codec_protobuf_write_message(struct buf *b, const struct schema_type *type,
                                  const struct json *tree)
{
    put_level(b, type, NULL, tree);
}

void codec_protobuf_write(struct buf *b, const struct schema_type *type, const struct json *tree,
                          const char *api_version, const char *kind)
{
    _cleanup_buf_ struct buf meta = BUF_INIT, m = BUF_INIT;

    buf_add(b, CODEC_PROTOBUF_MAGIC, CODEC_PROTOBUF_MAGIC_BYTES);
    put_bytes(&meta, 1, api_version, strlen(api_version));
    put_bytes(&meta, 2, kind, strlen(kind));
    put_bytes(b, 1, meta.p, meta.len);
    codec_protobuf_write_message(&m, type, tree);
    put_bytes(b, 2, m.len ? m.p : "", m.len);
    put_bytes(b, 3, "", 0);
    put_bytes(b, 4, "", 0);
}
