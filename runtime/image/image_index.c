/* image_index.c -- index.json: load, look up, change, save. */
#include "runtime/image/image_index.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/check.h"

#define INDEX_VERSION 1
#define INDEX_ARENA_BYTES (512u << 20)
#define INDEX_ID_PREFIX_MIN 12

struct image_index *image_index_free(struct image_index *ix)
{
    if (!ix)
        return NULL;
    for (size_t i = 0; i < ix->entries.len; i++)
        vec_deinit(&ix->entries.v[i].refs);
    vec_deinit(&ix->entries);
    arena_free(ix->arena);
    return mem_free(ix);
}

static int index_read_entry(struct image_index *ix, const struct json *v)
{
    struct image_index_entry e = {
        .id = json_get_str(v, "id"),
        .manifest = json_get_str(v, "manifest"),
        .size_bytes = json_get_int(v, "size", 0),
        .added_s = json_get_int(v, "added", 0),
        .pinned = json_get_bool(v, "pinned", false),
    };
    struct json *refs = json_get(v, "refs"), *ref;

    if (!image_digest_ok(e.id) || !image_digest_ok(e.manifest))
        return -1;
    vec_push(&ix->entries, e);
    json_each(ref, refs) {
        struct image_index_ref r = { json_get_str(ref, "name"), json_get_str(ref, "target") };

        if (!r.name || !image_digest_ok(r.target))
            return -1;
        vec_push(&ix->entries.v[ix->entries.len - 1].refs, r);
    }
    return 0;
}

int image_index_load(struct image_index **out, const struct image_store *s, struct err *err)
{
    _cleanup_(image_index_freep) struct image_index *ix = NEW(struct image_index);
    _cleanup_buf_ struct buf b = BUF_INIT;
    struct err inner = ERR_INIT;
    struct json *doc = NULL, *item;

    ix->arena = arena_new(INDEX_ARENA_BYTES);
    if (fd_read_file(&b, s->fd, "index.json", IMAGE_INDEX_BYTES_MAX, &inner) < 0) {
        if (inner.code != ERR_NOT_FOUND)
            return err_set(err, ERR_FAILED, "image store: %s", inner.msg);
        *out = TAKE(ix);
        return 0;
    }
    if (json_parse(&doc, ix->arena, b.p ? b.p : "", b.len, NULL, &inner) < 0)
        return err_set(err, ERR_CORRUPT, "%s/index.json: %s", s->dir, inner.msg);
    if (json_get_int(doc, "version", 0) != INDEX_VERSION)
        return err_set(err, ERR_UNSUPPORTED, "%s/index.json: made by another version", s->dir);
    json_each(item, json_get(doc, "images"))
        if (index_read_entry(ix, item) < 0)
            return err_set(err, ERR_CORRUPT, "%s/index.json: a bad entry", s->dir);
    *out = TAKE(ix);
    return 0;
}

int image_index_save(const struct image_store *s, const struct image_index *ix, struct err *err)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(INDEX_ARENA_BYTES);
    _cleanup_buf_ struct buf b = BUF_INIT;
    struct json *doc = json_object(a), *images = json_array(a);

    json_set_int(a, doc, "version", INDEX_VERSION);
    json_set(a, doc, "images", images);
    for (size_t i = 0; i < ix->entries.len; i++) {
        const struct image_index_entry *e = &ix->entries.v[i];
        struct json *v = json_object(a), *refs = json_array(a);

        json_set_str(a, v, "id", e->id);
        json_set_str(a, v, "manifest", e->manifest);
        json_set_int(a, v, "size", e->size_bytes);
        json_set_int(a, v, "added", e->added_s);
        json_set_bool(a, v, "pinned", e->pinned);
        for (size_t k = 0; k < e->refs.len; k++) {
            struct json *ref = json_object(a);

            json_set_str(a, ref, "name", e->refs.v[k].name);
            json_set_str(a, ref, "target", e->refs.v[k].target);
            json_append(a, refs, ref);
        }
        json_set(a, v, "refs", refs);
        json_append(a, images, v);
    }
    json_write_pretty(&b, doc, 1);
    buf_chr(&b, '\n');
    return fd_write_file(s->fd, "index.json", b.p, b.len, 0644, err);
}

/* --- look-up */

static struct image_index_entry *index_find_name(struct image_index *ix, const char *name,
                                                 long *ref)
{
    for (size_t i = 0; i < ix->entries.len; i++)
        for (size_t k = 0; k < ix->entries.v[i].refs.len; k++)
            if (str_eq(ix->entries.v[i].refs.v[k].name, name)) {
                *ref = (long)k;
                return &ix->entries.v[i];
            }
    return NULL;
}

/* "sha256:..." of a configuration, manifest or index, or the first digits of a configuration's; the
 * latter must be of one image only. */
static struct image_index_entry *index_find_digest(struct image_index *ix, const char *text)
{
    bool whole = image_digest_ok(text);
    const char *hex = str_starts(text, "sha256:") ? text + 7 : text;
    size_t len = strlen(hex);
    struct image_index_entry *found = NULL;

    if (!whole && (len < INDEX_ID_PREFIX_MIN || strspn(hex, "0123456789abcdef") != len))
        return NULL;
    for (size_t i = 0; i < ix->entries.len; i++) {
        struct image_index_entry *e = &ix->entries.v[i];

        if (strncmp(image_digest_hex(e->id), hex, len) == 0) {
            if (found)
                return NULL;
            found = e;
        }
    }
    for (size_t i = 0; whole && !found && i < ix->entries.len; i++) {
        struct image_index_entry *e = &ix->entries.v[i];

        if (str_eq(e->manifest, text))
            found = e;
        for (size_t k = 0; !found && k < e->refs.len; k++)
            if (str_eq(e->refs.v[k].target, text))
                found = e;
    }
    return found;
}

/* name@digest: an image with that digest which came from the repository, under whatever tag. */
static struct image_index_entry *index_find_by_repo(struct image_index *ix,
                                                    const struct image_ref *want)
{
    for (size_t i = 0; i < ix->entries.len; i++) {
        struct image_index_entry *e = &ix->entries.v[i];

        for (size_t k = 0; k < e->refs.len; k++) {
            struct image_ref have;

            if ((str_eq(e->refs.v[k].target, want->digest) || str_eq(e->manifest, want->digest)) &&
                image_ref_parse(&have, e->refs.v[k].name, NULL) == 0 &&
                str_eq(have.domain, want->domain) && str_eq(have.path, want->path))
                return e;
        }
    }
    return NULL;
}

struct image_index_entry *image_index_find(struct image_index *ix, const char *name, long *ref)
{
    struct image_index_entry *e = index_find_digest(ix, name);
    struct image_ref want;

    *ref = -1;
    if (e)
        return e;
    if (image_ref_parse(&want, name, NULL) < 0)
        return NULL;
    e = index_find_name(ix, want.text, ref);
    if (!e && want.digest[0])
        e = index_find_by_repo(ix, &want);
    return e;
}

/* --- changes */

static void index_drop_ref(struct image_index_entry *e, size_t at)
{
    memmove(&e->refs.v[at], &e->refs.v[at + 1], (e->refs.len - at - 1) * sizeof(e->refs.v[0]));
    e->refs.len--;
}

int image_index_name(struct image_index *ix, struct image_index_entry *e, const char *name,
                     const char *target, struct err *err)
{
    struct image_index_ref ref = { arena_strdup(ix->arena, name), arena_strdup(ix->arena, target) };
    long at;
    struct image_index_entry *old = index_find_name(ix, name, &at);
    size_t names = 0;

    if (old) {
        index_drop_ref(old, (size_t)at);
        if (old != e && old->refs.len == 0)
            old->pinned = false;        /* replaced: nobody can ask for it by name any more */
    }
    for (size_t i = 0; i < ix->entries.len; i++)
        names += ix->entries.v[i].refs.len;
    if (names >= IMAGE_NAMES_MAX)
        return err_set(err, ERR_QUOTA, "more than %d image names", IMAGE_NAMES_MAX);
    vec_push(&e->refs, ref);
    return 0;
}

void image_index_remove(struct image_index *ix, struct image_index_entry *e)
{
    size_t at = (size_t)(e - ix->entries.v);

    check(at < ix->entries.len);
    vec_deinit(&e->refs);
    memmove(e, e + 1, (ix->entries.len - at - 1) * sizeof(*e));
    ix->entries.len--;
}

int image_index_add(const struct image_store *s, const struct image_index_new *n, struct err *err)
{
    _cleanup_(image_index_freep) struct image_index *ix = NULL;
    _cleanup_fd_ int lock = image_store_lock(s, err);
    struct image_index_entry *e = NULL;

    if (lock < 0 || image_index_load(&ix, s, err) < 0)
        return -1;
    for (size_t i = 0; i < ix->entries.len && !e; i++)
        if (str_eq(ix->entries.v[i].id, n->id))
            e = &ix->entries.v[i];
    if (!e) {
        struct image_index_entry fresh = { .id = n->id, .added_s = env_wall_s(s->env) };

        if (ix->entries.len >= IMAGE_NAMES_MAX)
            return err_set(err, ERR_QUOTA, "more than %d images", IMAGE_NAMES_MAX);
        vec_push(&ix->entries, fresh);
        e = &ix->entries.v[ix->entries.len - 1];
    }
    e->manifest = n->manifest;
    e->size_bytes = n->size_bytes;
    e->pinned = e->pinned || n->pinned;
    for (size_t i = 0; n->names && n->names[i]; i++)
        if (image_index_name(ix, e, n->names[i], n->target, err) < 0)
            return -1;
    if (image_index_save(s, ix, err) < 0)
        return -1;
    image_store_touch(s, n->id);
    return 0;
}
