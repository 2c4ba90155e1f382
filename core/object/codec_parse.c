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
    const char *text;
};

static void on_duplicate(void *ctx, const char *path, const char *key)
{
    struct duplicates *d = ctx;

    if (d->media == MEDIA_YAML)              /* path is "line 1" */
        codec_note(d->notes, "%s: key \"%s\" already set in map", path, key);
    else
        codec_note(d->notes, "duplicate field \"%s%s%s\"", path, *path ? "." : "", key);
}

int codec_parse(struct json **out, struct arena *a, enum codec_media media, struct slice bytes,
                struct codec_notes *notes, struct err *err)
{
    struct duplicates d = { .notes = notes, .media = media };
    struct json_opts opts = { .on_duplicate = notes ? on_duplicate : NULL, .ctx = &d };
    struct json *tree;

    if (media == MEDIA_YAML) {
        if (yaml_parse(&tree, a, bytes.p, bytes.len, &opts, err) < 0)
            return -1;
        json_sort_keys(tree);                /* upstream goes by way of JSON with sorted keys */
    } else if (json_parse(&tree, a, bytes.p, bytes.len, &opts, err) < 0) {
        return codec_syntax_explain(bytes, err);
    }
    *out = tree;
    return 0;
}
