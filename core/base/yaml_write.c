/* yaml_write.c -- tree -> YAML as kubectl -o yaml prints it: libyaml's emitter, of which Go's is a
 * port, fed with the events and scalar styles that Go's yaml.v2 would choose. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <yaml.h>

#include "core/base/check.h"
#include "core/base/vec.h"
#include "core/base/yaml.h"
#include "core/base/yaml_scalar.h"

static int yaml_out(void *ctx, unsigned char *bytes, size_t len)
{
    buf_add(ctx, bytes, len);
    return 1;
}

/* The event is consumed; only memory can fail. */
static void emit(yaml_emitter_t *e, yaml_event_t *event, int made)
{
    check(made);
    if (!yaml_emitter_emit(e, event))
        check_fail(e->problem ? e->problem : "yaml emitter", __FILE__, __LINE__);
}

static void emit_scalar(yaml_emitter_t *e, const char *s, size_t len, yaml_scalar_style_t style)
{
    yaml_event_t event;
    int made = yaml_scalar_event_initialize(&event, NULL, NULL, (const yaml_char_t *)s, (int)len,
                                            1, 1, style);

    emit(e, &event, made);
}

static void emit_string(yaml_emitter_t *e, const char *s, size_t len)
{
    _cleanup_buf_ struct buf fixed = BUF_INIT;
    yaml_scalar_style_t style = YAML_DOUBLE_QUOTED_SCALAR_STYLE;

    if (!str_is_utf8(s, len)) {
        buf_utf8(&fixed, s, len);
        s = fixed.p;
        len = fixed.len;
    }
    if (len && memchr(s, '\n', len))
        style = YAML_LITERAL_SCALAR_STYLE;
    else if (yaml_scalar_resolve(s, len).kind == YAML_STR && !yaml_scalar_is_base60(s, len) &&
             !(len == 2 && memcmp(s, "<<", 2) == 0))      /* as a key it would merge */
        style = YAML_PLAIN_SCALAR_STYLE;
    emit_scalar(e, s, len, style);
}

/* What is an integer in JSON stays one; else Go's 'g' format with the fewest digits: exponents
 * below 1e-4 and from 1e6. */
static void write_float(struct buf *b, double d)
{
    double size = fabs(d);
    _cleanup_buf_ struct buf plain = BUF_INIT;
    char text[40];
    bool integer;
    int precision = 0;

    json_write_double(&plain, d);
    integer = !strpbrk(plain.p, ".e") && d >= -0x1p63 && d < 0x1p64;
    if (!isfinite(d) || integer || (size >= 1e-4 && size < 1e6)) {
        buf_add(b, plain.p, plain.len);
        return;
    }
    do
        snprintf(text, sizeof(text), "%.*e", precision, d);
    while (precision++ < 16 && strtod(text, NULL) != d);
    buf_str(b, text);             /* C and Go both print at least two digits of exponent */
}

static void emit_leaf(yaml_emitter_t *e, const struct json *v)
{
    _cleanup_buf_ struct buf text = BUF_INIT;

    switch (v->type) {
    case JSON_STRING:
        emit_string(e, v->s, v->len);
        return;
    case JSON_BOOL:
        buf_str(&text, v->b ? "true" : "false");
        break;
    case JSON_INT:
        buf_i64(&text, v->i);
        break;
    case JSON_FLOAT:
        write_float(&text, v->d);
        break;
    default:
        buf_str(&text, "null");
    }
    emit_scalar(e, text.p, text.len, YAML_PLAIN_SCALAR_STYLE);
}

struct yaml_frame { const struct json *v; uint32_t at; };

static void emit_start(yaml_emitter_t *e, const struct json *v)
{
    yaml_event_t event;
    int made;

    if (v->type == JSON_ARRAY)
        made = yaml_sequence_start_event_initialize(&event, NULL, NULL, 1,
                                                    YAML_BLOCK_SEQUENCE_STYLE);
    else
        made = yaml_mapping_start_event_initialize(&event, NULL, NULL, 1,
                                                   YAML_BLOCK_MAPPING_STYLE);
    emit(e, &event, made);
}

static void emit_end(yaml_emitter_t *e, const struct json *v)
{
    yaml_event_t event;

    emit(e, &event,
         v->type == JSON_ARRAY ? yaml_sequence_end_event_initialize(&event)
                               : yaml_mapping_end_event_initialize(&event));
}

static void emit_tree(yaml_emitter_t *e, const struct json *v)
{
    VEC(struct yaml_frame) stack = {0};

    for (;;) {
        struct yaml_frame *f;

        if (v->type == JSON_ARRAY || v->type == JSON_OBJECT) {
            emit_start(e, v);
            vec_push(&stack, ((struct yaml_frame){v, 0}));
        } else {
            emit_leaf(e, v);
        }
        while (stack.len && stack.v[stack.len - 1].at == stack.v[stack.len - 1].v->len)
            emit_end(e, stack.v[--stack.len].v);
        if (!stack.len)
            break;
        f = &stack.v[stack.len - 1];
        if (f->v->type == JSON_OBJECT) {
            const struct json_member *m = &f->v->members[f->at++];

            emit_string(e, m->key, m->key_len);
            v = m->val;
        } else {
            v = f->v->items[f->at++];
        }
    }
    vec_deinit(&stack);
}

void yaml_write(struct buf *b, const struct json *v)
{
    static const struct json null = {.type = JSON_NULL};
    yaml_emitter_t e;
    yaml_event_t event;

    check(yaml_emitter_initialize(&e));
    yaml_emitter_set_output(&e, yaml_out, b);
    yaml_emitter_set_unicode(&e, 1);
    emit(&e, &event, yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING));
    emit(&e, &event, yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1));
    emit_tree(&e, v ? v : &null);
    e.open_ended = 0;             /* Go writes no "..." behind open scalars */
    emit(&e, &event, yaml_document_end_event_initialize(&event, 1));
    emit(&e, &event, yaml_stream_end_event_initialize(&event));
    check(yaml_emitter_flush(&e));
    yaml_emitter_delete(&e);
}
