/* core/object/codec_parse.c -- bytes -> raw tree, and the notes about what is odd in them. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/base/check.h"
#include "core/base/yaml.h"
#include "core/object/codec.h"
#include "core/object/codec_syntax.h"

/* --- notes */

void codec_note(struct codec_notes *notes, const char *format, ...)
{
    va_list args;
    char *text;
    int len;

    check(notes->a);
    if (notes->len >= CODEC_NOTES_MAX)
        return;
    va_start(args, format);
    len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    text = arena_alloc(notes->a, (size_t)len + 1);
    va_start(args, format);
    vsnprintf(text, (size_t)len + 1, format, args);
    va_end(args);
    if (notes->len == notes->cap) {
        unsigned cap = notes->cap ? notes->cap * 2 : 8;
        const char **v = arena_alloc(notes->a, cap * sizeof(*v));

        if (notes->len)
            memcpy(v, notes->v, notes->len * sizeof(*v));
        notes->v = v;
        notes->cap = cap;
    }
    notes->v[notes->len++] = text;
}

const char *codec_notes_text(const struct codec_notes *notes)
{
    _cleanup_buf_ struct buf b = BUF_INIT;
    bool yaml = false;

    for (unsigned i = 0; i < notes->len; i++) {
        bool line = str_starts(notes->v[i], "line ");

        if (i)
            buf_str(&b, line && yaml ? "\n  " : ", ");
        if (line && !yaml)
            buf_str(&b, "yaml: unmarshal errors:\n  ");
        buf_str(&b, notes->v[i]);
        yaml = line;
    }
    return b.len ? arena_strndup(notes->a, b.p, b.len) : "";
}

/* --- parsing */

struct duplicates {
    struct codec_notes *notes;
    enum codec_media media;
    unsigned n;
};

static void on_duplicate(void *ctx, const char *path, const char *key)
{
    struct duplicates *d = ctx;

    d->n++;
    if (!d->notes)
        return;
    if (d->media == MEDIA_YAML)              /* path is "line 1" */
        codec_note(d->notes, "%s: key \"%s\" already set in map", path, key);
    else
        codec_note(d->notes, "duplicate field \"%s%s%s\"", path, *path ? "." : "", key);
}

static void merge_into(struct arena *a, struct json *first, const struct json *second);

/* The value of a key that is given a second time. */
static struct json *second_value(struct arena *a, struct json *first, struct json *second)
{
    if (first->type != second->type || (first->type != JSON_OBJECT && first->type != JSON_ARRAY))
        return second;
    merge_into(a, first, second);
    return first;
}

/* What Go's decoder does to a struct or list that it meets a second time: it writes over the first.
 */
static void merge_into(struct arena *a, struct json *first, const struct json *second)
{
    struct json *v, *old;

    json_each_member(m, second) {
        old = json_getn(first, m->key, m->key_len);
        json_setn(a, first, m->key, m->key_len, old ? second_value(a, old, m->val) : m->val);
    }
    if (second->type != JSON_ARRAY)
        return;
    json_each(v, second) {
        if (v_i >= first->len)
            json_append(a, first, v);
        else
            first->items[v_i] = second_value(a, first->items[v_i], v);
    }
    first->len = second->len;
}

/* Equal keys, which the parser kept side by side, become one. */
static void merge_duplicates(struct arena *a, struct json *v)
{
    struct json *item, *once;

    json_each(item, json_is(v, JSON_ARRAY) ? v : NULL)
        merge_duplicates(a, item);
    if (!json_is(v, JSON_OBJECT))
        return;
    once = json_object(a);
    json_each_member(m, v) {
        struct json *old = json_getn(once, m->key, m->key_len);

        merge_duplicates(a, m->val);
        json_setn(a, once, m->key, m->key_len, old ? second_value(a, old, m->val) : m->val);
    }
    *v = *once;
}

int codec_parse(struct json **out, struct arena *a, enum codec_media media, struct slice bytes,
                struct codec_notes *notes, struct err *err)
{
    struct duplicates d = { .notes = notes, .media = media };
    struct json_opts opts = {
        .on_duplicate = on_duplicate, .ctx = &d, .keep_duplicates = media == MEDIA_JSON,
    };
    struct json *tree;

    if (media == MEDIA_YAML) {
        if (yaml_parse(&tree, a, bytes.p, bytes.len, &opts, err) < 0)
            return -1;
        json_sort_keys(tree);                /* upstream goes by way of JSON with sorted keys */
    } else if (json_parse(&tree, a, bytes.p, bytes.len, &opts, err) < 0) {
        return codec_syntax_explain(bytes, err);
    }
    if (d.n && media == MEDIA_JSON)
        merge_duplicates(a, tree);
    *out = tree;
    return 0;
}
