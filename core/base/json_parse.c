/* json_parse.c -- text -> tree. yyjson reads a copy of the text that lies in the arena, in place,
 * so that the tree's strings point into it; one pass over its values, which lie in document order,
 * makes our nodes. */
#include <yyjson.h>

#include "core/base/check.h"
#include "core/base/json.h"
#include "core/base/json_index.h"
#include "core/base/vec.h"

/* --- what Go's decoder forgives and yyjson does not */

/* The value of "\uXXXX" at p, or -1. */
static int escape_value(const char *p, const char *end)
{
    int v = 0;

    if (end - p < 6 || p[0] != '\\' || p[1] != 'u')
        return -1;
    for (int i = 2; i < 6; i++) {
        int c = p[i] | 0x20;

        if (p[i] >= '0' && p[i] <= '9')
            v = v * 16 + p[i] - '0';
        else if (c >= 'a' && c <= 'f')
            v = v * 16 + c - 'a' + 10;
        else
            return -1;
    }
    return v;
}

/* Each half of a surrogate pair that stands alone becomes \ufffd. */
static void replace_lone_surrogates(char *text, size_t len)
{
    char *end = text + len;
    char *p = memchr(text, '\\', len);

    while (p && p < end) {
        int v = escape_value(p, end);
        int next;

        if (v >= 0xd800 && v < 0xe000) {
            next = escape_value(p + 6, end);
            if (v < 0xdc00 && next >= 0xdc00 && next < 0xe000)
                p += 6;
            else
                memcpy(p, "\\ufffd", 6);
        }
        p += v >= 0 ? 6 : 2;
        p = p < end ? memchr(p, '\\', (size_t)(end - p)) : NULL;
    }
}

/* The copy to parse, with the padding that yyjson wants behind it; NULL past the arena's cap. */
static char *copy_text(struct arena *a, const char *text, size_t *len)
{
    _cleanup_buf_ struct buf fixed = BUF_INIT;
    char *copy;

    if (!str_is_utf8(text, *len)) {
        buf_utf8(&fixed, text, *len);
        text = fixed.p;
        *len = fixed.len;
    }
    if (*len > UINT32_MAX - YYJSON_PADDING_SIZE)
        return NULL;
    copy = arena_try(a, *len + YYJSON_PADDING_SIZE);
    if (!copy)
        return NULL;
    memcpy(copy, text, *len);
    replace_lone_surrogates(copy, *len);
    return copy;
}

/* --- yyjson's values -> our nodes */

struct frame {
    struct json *v;
    size_t left;           /* children to come */
    const char *key;       /* of an object: of the child that comes or is open */
    size_t key_len;
    bool has_key;
};

struct maker {
    struct arena *a;
    const struct json_opts *opts;
    struct json *nodes;    /* the next free one */
    VEC(struct frame) stack;
};

/* "spec.containers[0]": where the object on top of the stack is. */
static void report_duplicate(const struct maker *m, const char *key)
{
    _cleanup_buf_ struct buf path = BUF_INIT;

    if (!m->opts || !m->opts->on_duplicate)
        return;
    buf_str(&path, "");
    for (size_t i = 0; i + 1 < m->stack.len; i++) {
        const struct frame *f = &m->stack.v[i];

        if (f->v->type == JSON_ARRAY)
            buf_fmt(&path, "[%u]", (unsigned)f->v->len - 1);
        else
            buf_fmt(&path, "%s%s", path.len ? "." : "", f->key);
    }
    m->opts->on_duplicate(m->opts->ctx, path.p, key);
}

static void attach(struct maker *m, struct json *node)
{
    struct frame *f;
    struct json_member *same;

    if (!m->stack.len)
        return;
    f = &m->stack.v[m->stack.len - 1];
    f->left--;
    if (f->v->type == JSON_ARRAY) {
        f->v->items[f->v->len++] = node;
        return;
    }
    f->has_key = false;
    same = json_index_find(f->v, f->key, f->key_len);
    if (same)
        report_duplicate(m, f->key);
    if (same && !(m->opts && m->opts->keep_duplicates))
        same->val = node;
    else
        json_index_append(f->v, (struct json_member){f->key, (uint32_t)f->key_len, node});
}

/* Room for the children, and the frame that waits for them. */
static int open_container(struct maker *m, struct json *node, size_t children, struct err *err)
{
    int ok = 0;

    if (m->stack.len >= JSON_DEPTH_MAX)
        return err_set(err, ERR_QUOTA, "JSON is nested deeper than %d", JSON_DEPTH_MAX);
    if (children && node->type == JSON_OBJECT) {
        ok = json_index_reserve(m->a, node, children);
    } else if (children) {
        node->items = arena_try(m->a, children * sizeof(*node->items));
        node->cap = (uint32_t)children;
        ok = node->items ? 0 : -1;
    }
    if (ok < 0)
        return err_set(err, ERR_QUOTA, "JSON takes more than %zu bytes of memory",
                       arena_used(m->a));
    vec_push(&m->stack, ((struct frame){.v = node, .left = children}));
    return 0;
}

static void fill_leaf(struct json *node, const yyjson_val *v)
{
    yyjson_val *val = (yyjson_val *)(uintptr_t)v;      /* its getters take no const */

    switch (yyjson_get_type(val)) {
    case YYJSON_TYPE_BOOL:
        node->type = JSON_BOOL;
        node->b = yyjson_get_bool(val);
        break;
    case YYJSON_TYPE_NUM:
        node->type = JSON_FLOAT;
        node->d = yyjson_get_num(val);
        if (yyjson_is_sint(val) ||
            (yyjson_is_uint(val) && yyjson_get_uint(val) <= (uint64_t)INT64_MAX)) {
            node->type = JSON_INT;
            node->i = yyjson_get_sint(val);
        }
        break;
    case YYJSON_TYPE_STR:
        node->type = JSON_STRING;
        node->s = yyjson_get_str(val);
        node->len = (uint32_t)yyjson_get_len(val);
        break;
    default:
        node->type = JSON_NULL;
    }
}

static int make_one(struct maker *m, yyjson_val *v, struct err *err)
{
    struct frame *f = m->stack.len ? &m->stack.v[m->stack.len - 1] : NULL;
    struct json *node;

    if (f && f->v->type == JSON_OBJECT && !f->has_key) {
        f->key = yyjson_get_str(v);
        f->key_len = yyjson_get_len(v);
        f->has_key = true;
        return 0;
    }
    node = m->nodes++;
    attach(m, node);
    if (yyjson_is_ctn(v)) {
        node->type = yyjson_is_arr(v) ? JSON_ARRAY : JSON_OBJECT;
        if (open_container(m, node, yyjson_get_len(v), err) < 0)
            return -1;
    } else {
        fill_leaf(node, v);
    }
    while (m->stack.len && m->stack.v[m->stack.len - 1].left == 0)
        m->stack.len--;
    return 0;
}

static int make_tree(struct json **out, struct arena *a, yyjson_doc *doc,
                     const struct json_opts *opts, struct err *err)
{
    struct maker m = {.a = a, .opts = opts};
    yyjson_val *values = yyjson_doc_get_root(doc);
    size_t n = yyjson_doc_get_val_count(doc);
    size_t keys = 0;
    struct json *root;
    int result = 0;

    for (size_t i = 0; i < n; i++)
        keys += yyjson_is_obj(&values[i]) ? yyjson_get_len(&values[i]) : 0;
    root = m.nodes = arena_try(a, (n - keys) * sizeof(*root));
    if (!root)
        return err_set(err, ERR_QUOTA, "JSON takes more than %zu bytes of memory", arena_used(a));
    for (size_t i = 0; i < n && result == 0; i++)
        result = make_one(&m, &values[i], err);
    if (result == 0) {
        check(m.stack.len == 0 && m.nodes == root + (n - keys));
        *out = root;
    }
    vec_deinit(&m.stack);
    return result;
}

int json_parse(struct json **out, struct arena *a, const char *text, size_t len,
               const struct json_opts *opts, struct err *err)
{
    yyjson_read_err why = {0};
    yyjson_doc *doc;
    char *copy;
    int result;

    if (len == 0)
        return err_set(err, ERR_INVALID, "unexpected end of JSON input");
    copy = copy_text(a, text, &len);
    if (!copy)
        return err_set(err, ERR_QUOTA, "JSON text of %zu bytes is too large", len);
    doc = yyjson_read_opts(copy, len, YYJSON_READ_INSITU, NULL, &why);
    if (!doc && why.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION)
        return err_set(err, ERR_QUOTA, "JSON text of %zu bytes is too large", len);
    if (!doc)
        return err_set(err, ERR_INVALID, "invalid JSON at byte %zu: %s", why.pos, why.msg);
    result = make_tree(out, a, doc, opts, err);
    yyjson_doc_free(doc);
    return result;
}
