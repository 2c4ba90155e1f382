#include "core/client/client_wire.h"

#include "core/http/http.h"

void client_wire_path(struct buf *out, const struct kind *k, const char *ns, const char *name,
                      const char *sub)
{
    if (*k->group)
        buf_fmt(out, "/apis/%s/%s", k->group, k->version);
    else
        buf_fmt(out, "/api/%s", k->version);
    if (k->namespaced && !str_empty(ns)) {
        buf_str(out, "/namespaces/");
        http_escape(out, slice_of(ns));
    }
    buf_fmt(out, "/%s", k->resource);
    if (!str_empty(name)) {
        buf_chr(out, '/');
        http_escape(out, slice_of(name));
    }
    if (!str_empty(sub))
        buf_fmt(out, "/%s", sub);
}

void client_wire_query(struct buf *out, const char *name, const char *value)
{
    if (!value)
        return;
    buf_chr(out, out->len && memchr(out->p, '?', out->len) ? '&' : '?');
    buf_fmt(out, "%s=", name);
    http_escape(out, slice_of(value));
}

static bool wire_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void wire_skip_space(struct slice *s)
{
    while (s->len && wire_space(*s->p))
        s->p++, s->len--;
}

/* The length of the string at the front, with its quotes; 0 when it does not end. */
static size_t wire_string(struct slice s)
{
    for (size_t i = 1; i < s.len; i++) {
        if (s.p[i] == '\\')
            i++;
        else if (s.p[i] == '"')
            return i + 1;
    }
    return 0;
}

/* The length of the value at the front; 0 when it does not end. What is inside is not judged here.
 */
static size_t wire_value(struct slice s)
{
    size_t depth = 0, i = 0;

    while (i < s.len) {
        char c = s.p[i];

        if (c == '"') {
            size_t n = wire_string((struct slice){ s.p + i, s.len - i });

            if (!n)
                return 0;
            i += n;
        } else if (c == '{' || c == '[') {
            depth++;
            i++;
        } else if (c == '}' || c == ']') {
            if (!depth)
                return i;                    /* a bare number or word ends before */
            depth--;
            i++;
        } else if (!depth && (c == ',' || wire_space(c))) {
            return i;
        } else {
            i++;
            continue;
        }
        if (!depth)
            return i;
    }
    return depth ? 0 : i;
}

static void wire_eat(struct slice *s, size_t n)
{
    s->p += n;
    s->len -= n;
}

bool client_wire_member(struct slice text, const char *key, struct slice *out)
{
    wire_skip_space(&text);
    if (!text.len || *text.p != '{')
        return false;
    wire_eat(&text, 1);
    for (;;) {
        struct slice name;
        size_t n;

        wire_skip_space(&text);
        if (!text.len || *text.p != '"' || !(n = wire_string(text)))
            return false;
        name = (struct slice){ text.p + 1, n - 2 };
        wire_eat(&text, n);
        wire_skip_space(&text);
        if (!text.len || *text.p != ':')
            return false;
        wire_eat(&text, 1);
        wire_skip_space(&text);
        n = wire_value(text);
        if (!n)
            return false;
        if (slice_is(name, key)) {
            *out = (struct slice){ text.p, n };
            return true;
        }
        wire_eat(&text, n);
        wire_skip_space(&text);
        if (!text.len || *text.p != ',')
            return false;
        wire_eat(&text, 1);
    }
}

bool client_wire_item(struct slice *rest, struct slice *out)
{
    size_t n;

    wire_skip_space(rest);
    if (!rest->len || (*rest->p != '[' && *rest->p != ','))
        return false;
    wire_eat(rest, 1);
    wire_skip_space(rest);
    n = wire_value(*rest);
    if (!n)
        return false;
    *out = (struct slice){ rest->p, n };
    wire_eat(rest, n);
    return true;
}

int client_wire_object(struct object **out, const struct kind *k, struct slice text,
                       struct err *err)
{
    _cleanup_buf_ struct buf whole = BUF_INIT;
    struct slice kind;

    if (client_wire_member(text, "kind", &kind))
        return object_new(out, k, text.p, text.len, 0, err);
    wire_skip_space(&text);
    if (text.len < 2 || *text.p != '{')
        return err_set(err, ERR_CORRUPT, "%s: no object", k->resource);
    buf_fmt(&whole, "{\"kind\":\"%s\",\"apiVersion\":\"%s\"", k->kind, kind_api_version(k));
    wire_eat(&text, 1);
    wire_skip_space(&text);
    if (text.len && *text.p != '}')
        buf_chr(&whole, ',');
    buf_add(&whole, text.p, text.len);
    return object_new(out, k, whole.p, whole.len, 0, err);
}
