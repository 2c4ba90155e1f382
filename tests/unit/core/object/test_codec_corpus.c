/* Objects as a real API server answered them, when INRO_CORPUS names a folder of recorded cases:
 * they are canonical and have all defaults, so the codec and the defaults may change nothing in
 * them, and YAML neither. Skipped in silence where there is no corpus; test_codec_maximal.c has an
 * object of every kind.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/fd.h"
#include "core/base/yaml.h"
#include "core/object/codec.h"
#include "core/object/schema.h"
#include "tests/harness/test.h"

#define CORPUS_BYTES_MAX (64u << 20)
#define SHOWN_MAX 20                     /* differences that are printed */

struct tally { unsigned objects, bad; bool seen[1024]; const char *where; };

static const char *sorted(struct arena *a, const struct json *v)
{
    _cleanup_buf_ struct buf b = BUF_INIT;
    struct json *copy = json_clone(a, v);

    json_sort_keys(copy);
    json_write(&b, copy);
    return arena_strdup(a, b.p);
}

static void complain(struct tally *t, const struct kind *k, const char *what, const char *want,
                     const char *got)
{
    size_t at = 0;

    while (want[at] && want[at] == got[at])
        at++;
    at = at > 60 ? at - 60 : 0;
    if (t->bad++ < SHOWN_MAX)
        fprintf(stderr, "%s: %s %s: %s\n  want ...%.160s\n  got  ...%.160s\n", t->where,
                k->api_version,
                k->kind, what, want + at, got + at);
}

static struct json *decode(struct arena *a, const struct kind *k, const struct json *raw)
{
    struct json *tree = NULL;
    struct err err = ERR_INIT;

    EXPECT_OK(codec_canonical(&tree, a, k->type, raw, NULL, &err), &err);
    json_set_str(a, tree, "kind", k->kind);
    json_set_str(a, tree, "apiVersion", k->api_version);
    return tree;
}

/* A field that no type has, in every struct. */
static void litter(struct arena *a, struct json *v, const struct schema_type *t)
{
    if (!t || !json_is(v, JSON_OBJECT) || schema_type_is_either(t))
        return;
    json_each_member(m, v) {
        const struct schema_field *f = schema_field(t, m->key, m->key_len);
        const struct schema_type *in = f ? schema_field_type(f) : NULL;
        struct json *item;

        if (f && f->shape == SCHEMA_ONE)
            litter(a, m->val, in);
        json_each(item, f && f->shape == SCHEMA_LIST ? m->val : NULL)
            litter(a, item, in);
    }
    if (schema_fields(t, &(const struct schema_field *){ NULL }) > 0)
        json_set(a, v, "noSuchField", json_object(a));
}

static void check_object(struct tally *t, const struct kind *k, const struct json *raw)
{
    struct arena *a = arena_new(0);
    struct json *copy = json_clone(a, raw), *tree, *again = NULL;
    _cleanup_buf_ struct buf yaml = BUF_INIT;
    const char *want, *got;
    struct err err = ERR_INIT;

    json_set_str(a, copy, "kind", k->kind);
    json_set_str(a, copy, "apiVersion", k->api_version);
    want = sorted(a, copy);
    tree = decode(a, k, copy);
    if (!str_eq(got = sorted(a, tree), want))
        complain(t, k, "codec", want, got);
    codec_default(tree, a, k);
    if (!str_eq(got = sorted(a, tree), want))
        complain(t, k, "defaults", want, got);
    want = got;
    yaml_write(&yaml, tree);
    EXPECT_OK(codec_parse(&again, a, MEDIA_YAML, (struct slice){ yaml.p, yaml.len }, NULL, &err),
              &err);
    if (!str_eq(got = sorted(a, decode(a, k, again)), want))
        complain(t, k, "yaml", want, got);
    litter(a, again, k->type);
    if (!str_eq(got = sorted(a, decode(a, k, again)), want))
        complain(t, k, "pruning", want, got);
    t->objects++;
    t->seen[k->id] = true;
    arena_free(a);
}

/* Objects, and lists of them, wherever they are in an answer. */
static void walk(struct tally *t, const struct json *v)
{
    const char *kind = json_get_str(v, "kind"), *version = json_get_str(v, "apiVersion");
    const struct kind *k = kind && version ? kind_by_api_version(version, kind) : NULL;
    struct json *item;
    size_t len = kind ? strlen(kind) : 0;

    if (k && json_get(json_get(v, "metadata"), "name")) {      /* bookmarks have none */
        check_object(t, k, v);
        return;
    }
    if (version && len > 4 && str_eq(kind + len - 4, "List")) {
        char one[128];

        snprintf(one, sizeof(one), "%.*s", (int)(len - 4), kind);
        k = kind_by_api_version(version, one);
        json_each(item, k ? json_get(v, "items") : NULL)
            if (json_get(json_get(item, "metadata"), "name") && !json_get(item, "kind"))
                check_object(t, k, item);
        return;
    }
    json_each(item, json_is(v, JSON_ARRAY) ? v : NULL)
        walk(t, item);
}

/* What the recorder put in place of values that no two runs share. */
static void restore(struct buf *out, const char *s)
{
    static const struct { const char *mark, *value; } marks[] = {
        { "<time>", "2026-01-01T00:00:00Z" }, { "<microtime>", "2026-01-01T00:00:00.000001Z" },
    };

    while (*s) {
        bool found = false;

        for (size_t i = 0; i < ARRAY_LEN(marks) && !found; i++)
            if (str_starts(s, marks[i].mark)) {
                buf_str(out, marks[i].value);
                s += strlen(marks[i].mark);
                found = true;
            }
        if (!found && str_starts(s, "\"<port:")) {
            buf_str(out, "30001");
            s += strcspn(s, ">") + 2;
        } else if (!found) {
            buf_chr(out, *s++);
        }
    }
}

static void check_line(struct tally *t, char *line)
{
    _cleanup_buf_ struct buf text = BUF_INIT;
    struct arena *a = arena_new(0);
    struct json *tree = NULL, *step, *event;
    struct err err = ERR_INIT;

    restore(&text, line);
    EXPECT_OK(json_parse(&tree, a, text.p, text.len, NULL, &err), &err);
    t->where = json_get_str(tree, "id");
    json_each(step, json_get(tree, "steps")) {
        const struct json *expect = json_get(step, "expect");

        if (json_get(step, "pick") || json_get(step, "digest"))
            continue;
        walk(t, json_get(expect, "body"));
        json_each(event, json_get(expect, "events"))
            walk(t, json_get(event, "object"));
    }
    arena_free(a);
}

static void check_file(struct tally *t, const char *dir, const char *name)
{
    _cleanup_buf_ struct buf text = BUF_INIT;
    char path[512], *save = NULL;
    struct err err = ERR_INIT;

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    EXPECT_OK(fd_read_file(&text, AT_FDCWD, path, CORPUS_BYTES_MAX, &err), &err);
    buf_str(&text, "");
    for (char *line = strtok_r(text.p, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
        check_line(t, line);
}

TEST(recorded_objects)
{
    const char *dir = getenv("INRO_CORPUS");
    struct tally t = { 0 };
    struct dirent *e;
    unsigned kinds = 0;
    DIR *d;

    if (!dir || !*dir)
        return;
    d = opendir(dir);
    EXPECT(d != NULL);
    while ((e = readdir(d)))
        if (str_ends(e->d_name, ".jsonl"))
            check_file(&t, dir, e->d_name);
    closedir(d);
    for (unsigned i = 0; i < kind_count(); i++)
        kinds += t.seen[i];
    printf("%u objects of %u kinds, %u differences\n", t.objects, kinds, t.bad);
    EXPECT(kinds > 0);
    EXPECT_EQ(t.bad, 0);
}
