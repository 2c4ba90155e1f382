/* image_import.c -- brings the images of an archive in: find them, unpack their layers, give them
 * names. */
#include <stdio.h>
#include <string.h>

#include "core/base/check.h"
#include "runtime/image/image_archive.h"
#include "runtime/image/image_index.h"

/* One image on its way. */
struct import {
    struct image_crew *crew;
    const struct image_archive_image *im;
    struct image_layer *layers;
    size_t started;
};

static bool import_is_repeated(const struct image_config *c, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (str_eq(c->layers[k], c->layers[i]))
            return true;
    return false;
}

static void import_progress(const struct import *in)
{
    struct image_progress p = {
        .what = "unpack", .item = in->im->names[0], .layers = (unsigned)in->im->config.n_layers,
    };

    for (size_t i = 0; i < in->im->config.n_layers; i++) {
        const struct image_layer *l = &in->layers[i];
        bool done = l->present || (i < in->started && !l->task.running);

        p.total += in->im->layers[i].length;
        p.done += done ? in->im->layers[i].length : l->task.in_bytes;
        p.layers_done += done;
    }
    image_crew_progress(in->crew, &p);
}

static int import_layers(struct import *in, struct err *err)
{
    const struct image_config *c = &in->im->config;
    size_t running;

    do {
        running = 0;
        for (size_t i = 0; i < in->started; i++)
            running += in->layers[i].task.running;
        for (; in->started < c->n_layers && running < IMAGE_CREW_UNPACKS_MAX; in->started++) {
            struct image_layer *l = &in->layers[in->started];

            if (import_is_repeated(c, in->started))
                l->present = true;
            else if (image_layer_start(l, in->crew, c->layers[in->started],
                                       &in->im->layers[in->started], err) < 0)
                return -1;
            running += l->task.running;
        }
        if (running > 0 && image_crew_step(in->crew, err) < 0)
            return -1;
        import_progress(in);
    } while (running > 0 || in->started < c->n_layers);
    return in->crew->failed ? image_crew_step(in->crew, err) : 0;
}

static int import_commit(struct import *in, struct err *err)
{
    const struct image_archive_image *im = in->im;
    const struct image_store *s = in->crew->s;
    struct image_index_new n = {
        .id = im->id, .manifest = im->manifest, .target = im->target, .size_bytes = im->size_bytes,
        .pinned = true, .names = im->names,
    };

    if (image_store_put_blob(s, im->id, im->config_bytes.p, im->config_bytes.len, err) < 0 ||
        image_store_put_blob(s, im->manifest, im->manifest_bytes.p, im->manifest_bytes.len,
                             err) < 0 ||
        image_store_sync(s, err) < 0)
        return -1;
    for (size_t i = 0; i < im->config.n_layers; i++)
        if (image_layer_commit(&in->layers[i], s, err) < 0)
            return -1;
    return image_index_add(s, &n, err);
}

static int import_image(struct image_crew *c, const struct image_archive_image *im, struct err *err)
{
    struct import in = { .crew = c, .im = im };
    int r;

    in.layers = mem_alloc_array(im->config.n_layers + 1, sizeof(*in.layers));
    r = import_layers(&in, err) < 0 || import_commit(&in, err) < 0 ? -1 : 0;
    for (size_t i = 0; i < im->config.n_layers; i++)
        image_layer_deinit(&in.layers[i], c->s);
    mem_free(in.layers);
    return r < 0 ? err_wrap(err, "%s", im->names[0]) : 0;
}

static char **import_names(const struct image_archive_image *v, size_t n)
{
    VEC(char *) names = { 0 };

    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; v[i].names[k]; k++)
            vec_push(&names, mem_strdup(v[i].names[k]));
    vec_push(&names, NULL);
    return names.v;
}

static int import_archive(struct image_crew *c, struct image_archive *a,
                          const struct image_import_opts *o, char ***names, struct err *err)
{
    struct image_archive_image *v;
    size_t n;

    if (image_archive_images(&v, &n, a, o->name, err) < 0)
        return -1;
    for (size_t i = 0; i < n; i++)
        if (import_image(c, &v[i], err) < 0)
            return -1;
    if (names)
        *names = import_names(v, n);
    return 0;
}

int image_import(const struct image_store *s, const struct image_import_opts *o, char ***names,
                 struct err *err)
{
    _cleanup_fd_ int lock = image_store_lock_ingest(s, err);
    struct image_archive a = { .fd = -1 };
    struct image_crew c;
    int r;

    check(o->file);
    if (lock < 0 || image_crew_init(&c, s, &o->watch, o->exe, err) < 0)
        return -1;
    r = image_archive_open(&a, &c, o->file, err);
    if (r == 0)
        r = import_archive(&c, &a, o, names, err);
    image_archive_deinit(&a);
    image_crew_deinit(&c);
    return r < 0 ? err_wrap(err, "import %s", o->file) : 0;
}
