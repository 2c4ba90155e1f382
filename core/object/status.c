/* core/object/status.c -- errors as clients see them: constructors in upstream's words, and both
 * JSON directions. */
#include <stdarg.h>
#include <stdio.h>

#include "core/base/check.h"
#include "core/base/mem.h"
#include "core/object/status.h"

/* How an error value shows to a client when nobody says it better. */
static const struct { int code; const char *reason; } by_err[ERR_CODE_MAX] = {
    [ERR_NONE] = { 500, "InternalError" },          [ERR_FAILED] = { 500, "InternalError" },
    [ERR_SYSTEM] = { 500, "InternalError" },        [ERR_INVALID] = { 400, "BadRequest" },
    [ERR_NOT_FOUND] = { 404, "NotFound" },          [ERR_EXISTS] = { 409, "AlreadyExists" },
    [ERR_CONFLICT] = { 409, "Conflict" },           [ERR_QUOTA] = { 413, "RequestEntityTooLarge" },
    [ERR_TIMEOUT] = { 504, "Timeout" },             [ERR_CANCELED] = { 503, "ServiceUnavailable" },
    [ERR_UNAVAILABLE] = { 503, "ServiceUnavailable" }, [ERR_DENIED] = { 403, "Forbidden" },
    [ERR_UNSUPPORTED] = { 422, "Invalid" },         [ERR_EXPIRED] = { 410, "Expired" },
    [ERR_CORRUPT] = { 500, "InternalError" },
};

static const char *format_text(struct arena *a, const char *format, va_list ap)
{
    va_list again;
    int len;
    char *text;

    va_copy(again, ap);
    len = vsnprintf(NULL, 0, format, again);
    va_end(again);
    check(len >= 0);
    text = arena_alloc(a, (size_t)len + 1);
    vsnprintf(text, (size_t)len + 1, format, ap);
    return text;
}

struct status *status_new(struct arena *a, int code, const char *reason, const char *format, ...)
{
    struct status *s = ANEW(a, struct status);
    va_list ap;

    s->code = code;
    s->reason = reason;
    va_start(ap, format);
    s->message = format_text(a, format, ap);
    va_end(ap);
    return s;
}

/* Details of an error about a resource name the resource as kind. */
static struct status *about(struct arena *a, struct status *s, const struct kind *k,
                            const char *name)
{
    s->name = arena_strdup(a, name);
    s->group = k->group;
    s->kind = k->resource;
    return s;
}

struct status *status_not_found(struct arena *a, const struct kind *k, const char *name)
{
    return about(a, status_new(a, 404, "NotFound", "%s \"%s\" not found", kind_group_resource(k),
                               name),
                 k, name);
}

struct status *status_exists(struct arena *a, const struct kind *k, const char *name)
{
    return about(a, status_new(a, 409, "AlreadyExists", "%s \"%s\" already exists",
                               kind_group_resource(k), name), k, name);
}

struct status *status_conflict(struct arena *a, const struct kind *k, const char *name,
                               const char *why)
{
    return about(a, status_new(a, 409, "Conflict", "Operation cannot be fulfilled on %s \"%s\": %s",
                               kind_group_resource(k), name, why), k, name);
}

struct status *status_forbidden(struct arena *a, const struct kind *k, const char *name,
                                const char *why)
{
    if (str_empty(name))
        return about(a, status_new(a, 403, "Forbidden", "%s is forbidden: %s",
                                   kind_group_resource(k), why), k, name);
    return about(a, status_new(a, 403, "Forbidden", "%s \"%s\" is forbidden: %s",
                               kind_group_resource(k), name, why), k, name);
}

static bool said_before(const struct causes *c, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (str_eq(c->v[i].field, c->v[n].field) && str_eq(c->v[i].message, c->v[n].message))
            return true;
    return false;
}

struct status *status_invalid_gk(struct arena *a, const char *group, const char *kind,
                                 const char *name,
                                 const struct causes *c)
{
    _cleanup_buf_ struct buf b = BUF_INIT;
    struct causes *kept = ANEW(a, struct causes);
    struct status *s;
    unsigned n = 0;

    for (unsigned i = 0; i < c->len; i++)
        if (!said_before(c, i))
            buf_fmt(&b, "%s%s: %s", n++ ? ", " : "", c->v[i].field, c->v[i].message);
    s = status_new(a, 422, "Invalid", "%s%s%s \"%s\" is invalid%s%s%s%s", kind, *group ? "." : "",
                   group,
                   name, n ? ": " : "", n > 1 ? "[" : "", n ? b.p : "", n > 1 ? "]" : "");
    s->name = arena_strdup(a, name);
    s->group = arena_strdup(a, group);
    s->kind = arena_strdup(a, kind);
    *kept = *c;                              /* the caller's may stand on its stack */
    s->causes = kept;
    return s;
}

struct status *status_invalid(struct arena *a, const struct kind *k, const char *name,
                              const struct causes *c)
{
    return status_invalid_gk(a, k->group, k->kind, name, c);
}

struct status *status_bad_request(struct arena *a, const char *format, ...)
{
    va_list ap;
    const char *text;

    va_start(ap, format);
    text = format_text(a, format, ap);
    va_end(ap);
    return status_new(a, 400, "BadRequest", "%s", text);
}

struct status *status_expired(struct arena *a, const char *message)
{
    return status_new(a, 410, "Expired", "%s", message);
}

struct status *status_internal(struct arena *a, const char *message)
{
    struct status *s = status_new(a, 500, "InternalError", "Internal error occurred: %s", message);
    struct causes *c = ANEW(a, struct causes);

    c->a = a;
    c->v = ANEW(a, struct cause);
    c->v[0] = (struct cause){ .type = CAUSE_TYPE_MAX, .field = "",
                              .message = arena_strdup(a, message) };
    c->len = c->cap = 1;
    s->causes = c;
    return s;
}

struct status *status_from_err(struct arena *a, const struct err *err)
{
    int code = err->code >= 0 && err->code < ERR_CODE_MAX ? err->code : ERR_FAILED;

    if (by_err[code].code == 500)
        return status_internal(a, err->msg);
    return status_new(a, by_err[code].code, by_err[code].reason, "%s", err->msg);
}

static void add_member(struct buf *b, size_t start, const char *key, const char *text)
{
    if (str_empty(text))
        return;
    if (b->len > start)
        buf_chr(b, ',');
    buf_fmt(b, "\"%s\":", key);
    json_write_string(b, text, strlen(text));
}

static void write_causes(struct buf *b, size_t start, const struct causes *c)
{
    if (!c || c->len == 0)
        return;
    buf_str(b, b->len > start ? ",\"causes\":[" : "\"causes\":[");
    for (unsigned i = 0; i < c->len; i++) {
        const struct cause *cause = &c->v[i];
        size_t from;

        buf_str(b, i ? ",{" : "{");
        from = b->len;
        add_member(b, from, "reason", cause->type < CAUSE_TYPE_MAX ? cause_reason(cause->type) :
                   "");
        add_member(b, from, "message", cause->message);
        add_member(b, from, "field", cause->field);
        buf_chr(b, '}');
    }
    buf_chr(b, ']');
}

/* A kind that is set but empty stands for empty details. */
static bool has_details(const struct status *s)
{
    return !str_empty(s->name) || !str_empty(s->group) || s->kind || !str_empty(s->uid) ||
           (s->causes && s->causes->len) || s->retry_after_s || str_eq(s->reason, "Invalid");
}

void status_write(struct buf *b, const struct status *s)
{
    buf_str(b, "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\"");
    add_member(b, 0, "message", s->message);
    add_member(b, 0, "reason", s->reason);
    if (has_details(s)) {
        size_t start;

        buf_str(b, ",\"details\":{");
        start = b->len;
        add_member(b, start, "name", s->name);
        add_member(b, start, "group", s->group);
        add_member(b, start, "kind", s->kind);
        add_member(b, start, "uid", s->uid);
        write_causes(b, start, s->causes);
        if (s->retry_after_s)
            buf_fmt(b, "%s\"retryAfterSeconds\":%d", b->len > start ? "," : "", s->retry_after_s);
        buf_chr(b, '}');
    }
    buf_fmt(b, ",\"code\":%d}", s->code);
}

static const struct causes *read_causes(struct arena *a, const struct json *list)
{
    struct causes *c = ANEW(a, struct causes);
    struct json *v;

    c->a = a;
    c->cap = (unsigned)json_len(list);
    c->v = arena_alloc(a, (c->cap + 1) * sizeof(*c->v));
    json_each(v, list) {
        struct cause *cause = &c->v[c->len++];
        const char *reason = json_get_str(v, "reason"), *text = json_get_str(v, "message");
        const char *field = json_get_str(v, "field");

        cause->type = CAUSE_TYPE_MAX;
        for (unsigned t = 0; t < CAUSE_TYPE_MAX; t++)
            if (str_eq(cause_reason(t), reason))
                cause->type = t;
        cause->message = arena_strdup(a, text ? text : "");
        cause->field = arena_strdup(a, field ? field : "");
    }
    return c;
}

struct status *status_read(struct arena *a, const struct json *body)
{
    const struct json *details = json_get(body, "details");
    struct status *s;

    if (!str_eq(json_get_str(body, "kind"), "Status") || !str_eq(json_get_str(body, "apiVersion"),
                                                                 "v1"))
        return NULL;
    s = ANEW(a, struct status);
    s->code = (int)json_get_int(body, "code", 0);
    s->reason = arena_strdup(a, json_get_str(body, "reason"));
    s->message = arena_strdup(a, json_get_str(body, "message"));
    s->reason = s->reason ? s->reason : "";
    s->message = s->message ? s->message : "";
    s->name = arena_strdup(a, json_get_str(details, "name"));
    s->group = arena_strdup(a, json_get_str(details, "group"));
    s->kind = arena_strdup(a, json_get_str(details, "kind"));
    s->uid = arena_strdup(a, json_get_str(details, "uid"));
    s->retry_after_s = (int)json_get_int(details, "retryAfterSeconds", 0);
    if (json_len(json_get(details, "causes")))
        s->causes = read_causes(a, json_get(details, "causes"));
    return s;
}
