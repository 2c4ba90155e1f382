/* core/object/rules_cause.c -- causes of a 422: their texts, and the short hands that add them. */
#include <stdarg.h>
#include <stdio.h>

#include "core/base/check.h"
#include "core/object/rules_impl.h"

static const struct { const char *reason, *text; bool no_value; } types[] = {
    [CAUSE_REQUIRED] = { "FieldValueRequired", "Required value", true },
    [CAUSE_INVALID] = { "FieldValueInvalid", "Invalid value", false },
    [CAUSE_NOT_SUPPORTED] = { "FieldValueNotSupported", "Unsupported value", false },
    [CAUSE_DUPLICATE] = { "FieldValueDuplicate", "Duplicate value", false },
    [CAUSE_FORBIDDEN] = { "FieldValueForbidden", "Forbidden", true },
    [CAUSE_TOO_LONG] = { "FieldValueTooLong", "Too long", true },
    [CAUSE_TOO_MANY] = { "FieldValueTooMany", "Too many", false },
    [CAUSE_NOT_FOUND] = { "FieldValueNotFound", "Not found", false },
    [CAUSE_TYPE_INVALID] = { "FieldValueTypeInvalid", "Invalid value", false },
    [CAUSE_INTERNAL] = { "InternalError", "Internal error", true },
    [CAUSE_NAMESPACE_TERMINATING] = { "NamespaceTerminating", "", true },
    [CAUSE_RV_TOO_LARGE] = { "ResourceVersionTooLarge", "", true },
    [CAUSE_MANAGER_CONFLICT] = { "FieldManagerConflict", "", true },
};
_Static_assert(ARRAY_LEN(types) == CAUSE_TYPE_MAX, "a row for each type");

const char *cause_reason(enum cause_type t)
{
    check(t < CAUSE_TYPE_MAX);
    return types[t].reason;
}

void rules_quote(struct buf *b, const char *s, size_t len)
{
    static const char plain[] = "abfnrtv", codes[] = "\a\b\f\n\r\t\v";

    buf_chr(b, '"');
    for (size_t i = 0; i < len; i++) {
        unsigned char ch = (unsigned char)s[i];
        const char *at = ch ? strchr(codes, ch) : NULL;

        if (at)
            buf_fmt(b, "\\%c", plain[at - codes]);
        else if (ch == '"' || ch == '\\')
            buf_fmt(b, "\\%c", ch);
        else if (ch < ' ' || ch == 0x7f)
            buf_fmt(b, "\\x%02x", ch);
        else
            buf_chr(b, (char)ch);
    }
    buf_chr(b, '"');
}

static void add_text(struct causes *c, enum cause_type type, const char *field, const char *message)
{
    if (c->len == c->cap) {
        unsigned cap = c->cap ? c->cap * 2 : 8;
        struct cause *v = arena_alloc(c->a, cap * sizeof(*v));

        if (c->len)
            memcpy(v, c->v, c->len * sizeof(*v));
        c->v = v;
        c->cap = cap;
    }
    c->v[c->len++] = (struct cause){ .type = type, .field = arena_strdup(c->a, field),
                                     .message = arena_strdup(c->a, message) };
}

static void add_va(struct causes *c, enum cause_type type, const char *field,
                   const struct json *value,
                   const char *format, va_list ap)
{
    _cleanup_buf_ struct buf b = BUF_INIT;
    char detail[4096];

    buf_str(&b, types[type].text);
    if (!types[type].no_value) {
        buf_str(&b, ": ");
        if (json_text(value))
            rules_quote(&b, value->s, value->len);
        else if (value)
            json_write(&b, value);
        else
            buf_str(&b, "null");
    }
    vsnprintf(detail, sizeof(detail), format, ap);
    if (*detail) {
        buf_str(&b, b.len ? ": " : "");
        buf_str(&b, detail);
    }
    add_text(c, type, field, b.p);
}

void causes_add(struct causes *c, enum cause_type type, const char *field, const struct json *value,
                const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    add_va(c, type, field, value, format, ap);
    va_end(ap);
}

static void write_path(struct buf *b, const struct rules_path *p)
{
    if (!p)
        return;
    write_path(b, p->up);
    if (!p->name)
        buf_fmt(b, "[%zu]", p->index);
    else if (p->key)
        buf_fmt(b, "[%s]", p->name);
    else
        buf_fmt(b, "%s%s", b->len ? "." : "", p->name);
}

const char *rules_path_text(struct arena *a, const struct rules_path *p)
{
    _cleanup_buf_ struct buf b = BUF_INIT;

    buf_str(&b, "");
    write_path(&b, p);
    return arena_strdup(a, b.p);
}

static __attribute__((format(printf, 5, 6))) void add(struct causes *c, enum cause_type type,
                                                      const struct rules_path *p,
                                                      const struct json *v, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    add_va(c, type, rules_path_text(c->a, p), v, format, ap);
    va_end(ap);
}

void rules_required(struct causes *c, const struct rules_path *p, const char *detail)
{
    add(c, CAUSE_REQUIRED, p, NULL, "%s", detail);
}

void rules_forbidden(struct causes *c, const struct rules_path *p, const char *detail)
{
    add(c, CAUSE_FORBIDDEN, p, NULL, "%s", detail);
}

void rules_invalid(struct causes *c, const struct rules_path *p, const struct json *v,
                   const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    add_va(c, CAUSE_INVALID, rules_path_text(c->a, p), v, format, ap);
    va_end(ap);
}

void rules_invalid_s(struct causes *c, const struct rules_path *p, const char *v,
                     const char *detail)
{
    add(c, CAUSE_INVALID, p, json_str(c->a, v), "%s", detail);
}

void rules_invalid_i(struct causes *c, const struct rules_path *p, int64_t v, const char *detail)
{
    add(c, CAUSE_INVALID, p, json_int(c->a, v), "%s", detail);
}

void rules_unsupported(struct causes *c, const struct rules_path *p, const char *v,
                       const char *const *values)
{
    _cleanup_buf_ struct buf b = BUF_INIT;

    buf_str(&b, "supported values: ");
    for (size_t i = 0; values[i]; i++) {
        if (i)
            buf_str(&b, ", ");
        rules_quote(&b, values[i], strlen(values[i]));
    }
    add(c, CAUSE_NOT_SUPPORTED, p, json_str(c->a, v), "%s", b.p);
}

void rules_duplicate(struct causes *c, const struct rules_path *p, const struct json *v)
{
    add(c, CAUSE_DUPLICATE, p, v, "%s", "");
}

void rules_not_found(struct causes *c, const struct rules_path *p, const char *v)
{
    add(c, CAUSE_NOT_FOUND, p, json_str(c->a, v), "%s", "");
}

void rules_too_long(struct causes *c, const struct rules_path *p, unsigned max_bytes)
{
    add(c, CAUSE_TOO_LONG, p, NULL, "may not be more than %u bytes", max_bytes);
}

void rules_too_many(struct causes *c, const struct rules_path *p, size_t have, size_t max)
{
    add(c, CAUSE_TOO_MANY, p, json_int(c->a, (int64_t)have), "must have at most %zu item%s", max,
        max == 1 ? "" : "s");
}

void rules_check_format(struct causes *c, const struct rules_path *p, rules_format *f,
                        const char *s)
{
    struct rules_msgs m = { .a = c->a };

    f(&m, s);
    for (unsigned i = 0; i < m.n; i++)
        rules_invalid_s(c, p, s, m.v[i]);
}

bool rules_in(const char *s, const char *const *values)
{
    for (; *values; values++)
        if (str_eq(s, *values))
            return true;
    return false;
}

void rules_check_enum(struct causes *c, const struct rules_path *p, const char *s,
                      const char *const *values, bool required)
{
    if (str_empty(s)) {
        if (required)
            rules_required(c, p, "");
        return;
    }
    if (!rules_in(s, values))
        rules_unsupported(c, p, s, values);
}

void rules_check_nonneg(struct causes *c, const struct rules_path *p, const struct json *obj,
                        const char *field)
{
    int64_t v = json_get_int(obj, field, 0);

    if (v < 0)
        rules_invalid_i(c, RULES_AT(p, field), v, "must be greater than or equal to 0");
}

void rules_check_immutable(struct causes *c, const struct rules_path *p, const struct json *v,
                           const struct json *old)
{
    bool empty = !v || v->type == JSON_NULL || (v->type >= JSON_STRING && v->len == 0);
    bool old_empty = !old || old->type == JSON_NULL || (old->type >= JSON_STRING && old->len == 0);

    if ((empty && old_empty) || (v && old && json_equal(v, old)))
        return;
    rules_invalid(c, p, v, "field is immutable");
}
