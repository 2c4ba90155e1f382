/* image_load.c -- descriptions of images out of index and blobs; naming and removing. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/check.h"
#include "core/base/map.h"
#include "runtime/image/image_index.h"

struct image *image_free(struct image *im)
{
    if (im)
        arena_free(im->arena);      /* it holds im itself */
    return NULL;
}

static bool load_has(const char *const *list, size_t n, const char *text)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(list[i], text))
            return true;
    return false;
}

/* Names without a digest go to names, repository@target of every name to digests. */
static void load_names(struct image *im, const struct image_index_entry *e)
{
    const char **names = arena_alloc(im->arena, (e->refs.len + 1) * sizeof(*names));
    const char **digests = arena_alloc(im->arena, (e->refs.len + 1) * sizeof(*digests));
    size_t n = 0, d = 0;

    for (size_t i = 0; i < e->refs.len; i++) {
        const struct image_index_ref *r = &e->refs.v[i];
        struct image_ref ref;
        char *digest;

        if (image_ref_parse(&ref, r->name, NULL) < 0)
            continue;
        if (!ref.digest[0])
            names[n++] = arena_strdup(im->arena, r->name);
        digest = arena_printf(im->arena, "%s/%s@%s", ref.domain, ref.path, r->target);
        if (!load_has(digests, d, digest))
            digests[d++] = digest;
    }
    im->names = names;
    im->digests = digests;
    im->target = arena_strdup(im->arena, e->refs.len > 0 ? e->refs.v[0].target : e->manifest);
}

static void load_config(struct image *im, const struct image_config *c)
{
    im->entrypoint = c->entrypoint;
    im->cmd = c->cmd;
    im->env = c->env;
    im->exposed_ports = c->ports;
    im->volumes = c->volumes;
    im->labels = c->labels;
    im->workdir = c->workdir;
    im->user = c->user;
    im->stop_signal = c->stop_signal;
    im->os = c->platform.os;
    im->arch = c->platform.arch;
    im->variant = c->platform.variant;
    im->layers = c->layers;
}

static int load_entry(struct image **out, const struct image_store *s,
                      const struct image_index_entry *e, struct err *err)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(IMAGE_ARENA_BYTES);
    _cleanup_buf_ struct buf b = BUF_INIT;
    struct image_config c;
    struct image *im = ANEW(a, struct image);

    if (image_store_get_blob(&b, s, e->id, err) < 0 ||
        image_config_parse(&c, a, b.p, b.len, err) < 0)
        return err_wrap(err, "image %s", e->refs.len > 0 ? e->refs.v[0].name : e->id);
    im->id = arena_strdup(a, e->id);
    im->manifest = arena_strdup(a, e->manifest);
    im->size_bytes = e->size_bytes;
    im->added_s = e->added_s;
    im->used_s = image_store_used_s(s, e->id);
    im->pinned = e->pinned;
    load_config(im, &c);
    for (size_t i = 0; i < c.n_layers; i++)
        im->disk_bytes += image_store_layer_bytes(s, c.layers[i], NULL);
    im->arena = a;
    load_names(im, e);
    a = NULL;
    *out = im;
    return 0;
}

static bool load_is_box(const struct image_store *s, const char *name)
{
    _cleanup_(image_freep) struct image *box = NULL;
    struct image_ref ref;

    if (image_ref_parse(&ref, name, NULL) == 0)
        return image_ref_is_box(&ref);
    return image_box_load(&box, s, NULL) == 0 && str_eq(box->id, name);
}

int image_get(struct image **out, const struct image_store *s, const char *name, struct err *err)
{
    _cleanup_(image_index_freep) struct image_index *ix = NULL;
    struct image_index_entry *e;
    struct image_ref ref;
    long at;

    check(s);
    if (load_is_box(s, name))
        return image_box_load(out, s, err);
    if (image_index_load(&ix, s, err) < 0)
        return -1;
    e = image_index_find(ix, name, &at);
    if (e)
        return load_entry(out, s, e, err);
    if (!image_digest_ok(name) && !(strspn(name, "0123456789abcdef") == strlen(name)) &&
        image_ref_parse(&ref, name, err) < 0)
        return -1;
    return err_set(err, ERR_NOT_FOUND, "image \"%.300s\" is not present", name);
}

static int load_compare(const void *x, const void *y)
{
    const struct image *a = *(struct image *const *)x, *b = *(struct image *const *)y;

    if (a->size_bytes != b->size_bytes)
        return a->size_bytes > b->size_bytes ? -1 : 1;
    return strcmp(a->id, b->id);
}

/* An image that cannot be read (its blob was changed on the disk) is left out rather than hiding
 * all others. */
int image_list(struct image_list *out, const struct image_store *s, struct err *err)
{
    _cleanup_(image_index_freep) struct image_index *ix = NULL;
    struct image_list l = { 0 };
    struct image *box = NULL;

    if (image_index_load(&ix, s, err) < 0)
        return -1;
    l.v = mem_alloc_array(ix->entries.len + 1, sizeof(*l.v));
    for (size_t i = 0; i < ix->entries.len; i++)
        if (load_entry(&l.v[l.n], s, &ix->entries.v[i], NULL) == 0)
            l.n++;
    if (image_box_load(&box, s, NULL) == 0)
        l.v[l.n++] = box;
    qsort(l.v, l.n, sizeof(*l.v), load_compare);
    *out = l;
    return 0;
}

void image_list_deinit(struct image_list *l)
{
    for (size_t i = 0; i < l->n; i++)
        image_free(l->v[i]);
    l->v = mem_free(l->v);
    l->n = 0;
}

int image_tag(const struct image_store *s, const char *name, const char *new_name, struct err *err)
{
    _cleanup_(image_index_freep) struct image_index *ix = NULL;
    _cleanup_fd_ int lock = -1;
    struct image_index_entry *e;
    struct image_ref ref;
    long at;

    if (image_ref_parse(&ref, new_name, err) < 0)
        return -1;
    if (ref.digest[0])
        return err_set(err, ERR_INVALID, "a new name must not have a digest: %s", ref.text);
    if (image_ref_is_box(&ref) || load_is_box(s, name))
        return err_set(err, ERR_INVALID, "%s is built in: it has no other name", IMAGE_BOX_NAME);
    lock = image_store_lock(s, err);
    if (lock < 0 || image_index_load(&ix, s, err) < 0)
        return -1;
    e = image_index_find(ix, name, &at);
    if (!e)
        return err_set(err, ERR_NOT_FOUND, "image \"%.300s\" is not present", name);
    if (image_index_name(ix, e, ref.text, at >= 0 ? e->refs.v[at].target : e->manifest, err) < 0)
        return -1;
    return image_index_save(s, ix, err);
}

static int load_remove_locked(const struct image_store *s, const char *name, struct err *err)
{
    _cleanup_(image_index_freep) struct image_index *ix = NULL;
    struct image_index_entry *e;
    struct map *held = NULL;
    bool used;
    long at;

    if (image_index_load(&ix, s, err) < 0)
        return -1;
    e = image_index_find(ix, name, &at);
    if (!e)
        return err_set(err, ERR_NOT_FOUND, "image \"%.300s\" is not present", name);
    if (at >= 0 && e->refs.len > 1) {
        memmove(&e->refs.v[at], &e->refs.v[at + 1],
                (e->refs.len - (size_t)at - 1) * sizeof(e->refs.v[0]));
        e->refs.len--;
        return image_index_save(s, ix, err);
    }
    if (image_lease_held(&held, s, err) < 0)
        return -1;
    used = map_get(held, e->id) != NULL;
    map_free(held, NULL);
    if (used)
        return err_set(err, ERR_CONFLICT, "image \"%.300s\" is in use by a container", name);
    image_index_remove(ix, e);
    return image_index_save(s, ix, err);
}

int image_remove(const struct image_store *s, const char *name, struct err *err)
{
    _cleanup_fd_ int lock = -1, sweep = -1;

    if (load_is_box(s, name))
        return err_set(err, ERR_INVALID, "%s is built in: it cannot be removed", IMAGE_BOX_NAME);
    lock = image_store_lock(s, err);
    if (lock < 0 || load_remove_locked(s, name, err) < 0)
        return -1;
    lock = fd_close(lock);
    sweep = image_store_lock_sweep(s, NULL);    /* busy: the next collection gets the layers */
    return sweep < 0 ? 0 : image_store_sweep(s, NULL, err);
}

void image_names_free(char **names)
{
    for (size_t i = 0; names && names[i]; i++)
        mem_free(names[i]);
    mem_free(names);
}
