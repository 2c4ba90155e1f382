/* image_gc.c -- removes images that nobody uses, least recently used first, until the disk has room
 * again. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "core/base/check.h"
#include "core/base/map.h"
#include "runtime/image/image_index.h"

#define GC_HIGH_PERCENT 85
#define GC_LOW_PERCENT 80

struct gc_candidate { char id[IMAGE_DIGEST_BYTES]; int64_t used_s; int64_t added_s; };
struct gc_candidates { VEC(struct gc_candidate) list; };

struct gc {
    const struct image_store *s;
    const struct image_gc_opts *o;
    unsigned high, low;
    int64_t now_s;
    struct image_gc_result result;
};

static int gc_usage(unsigned *percent, const struct image_store *s, struct err *err)
{
    struct statvfs st;
    uint64_t used, seen;

    if (fstatvfs(s->fd, &st) < 0)
        return err_sys(err, "space in %s", s->dir);
    used = st.f_blocks - st.f_bfree;
    seen = used + st.f_bavail;                  /* as df counts: without what is root's alone */
    *percent = seen > 0 ? (unsigned)((used * 100 + seen - 1) / seen) : 0;
    return 0;
}

static int gc_compare(const void *x, const void *y)
{
    const struct gc_candidate *a = x, *b = y;

    if (a->used_s != b->used_s)
        return a->used_s < b->used_s ? -1 : 1;
    if (a->added_s != b->added_s)
        return a->added_s < b->added_s ? -1 : 1;
    return strcmp(a->id, b->id);
}

/* All that may go, in the order in which they should. The caller holds `lock`. */
static int gc_candidates(struct gc_candidates *out, const struct gc *g, struct err *err)
{
    _cleanup_(image_index_freep) struct image_index *ix = NULL;
    struct map *held = NULL;

    if (image_index_load(&ix, g->s, err) < 0 || image_lease_held(&held, g->s, err) < 0)
        return -1;
    for (size_t i = 0; i < ix->entries.len; i++) {
        const struct image_index_entry *e = &ix->entries.v[i];
        struct gc_candidate c = { .used_s = image_store_used_s(g->s, e->id),
            .added_s = e->added_s };

        if (e->pinned || map_get(held, e->id) || g->now_s - e->added_s < g->o->min_age_s)
            continue;
        str_copy(c.id, sizeof(c.id), e->id, NULL);
        vec_push(&out->list, c);
    }
    map_free(held, NULL);
    if (out->list.len > 0)
        qsort(out->list.v, out->list.len, sizeof(*out->list.v), gc_compare);
    return 0;
}

/* Takes an image out of the index if nothing has changed for it meanwhile, and its files with it.
 * */
static int gc_remove(struct gc *g, const char *id, struct err *err)
{
    _cleanup_(image_index_freep) struct image_index *ix = NULL;
    _cleanup_fd_ int lock = image_store_lock(g->s, err);
    struct image_index_entry *e;
    struct map *held = NULL;
    int64_t freed = 0;
    long ref;

    if (lock < 0 || image_index_load(&ix, g->s, err) < 0)
        return -1;
    e = image_index_find(ix, id, &ref);
    if (!e || e->pinned)
        return 0;
    if (image_lease_held(&held, g->s, err) < 0)
        return -1;
    if (map_get(held, id)) {
        map_free(held, NULL);
        return 0;
    }
    map_free(held, NULL);
    image_index_remove(ix, e);
    if (image_index_save(g->s, ix, err) < 0)
        return -1;
    lock = fd_close(lock);
    if (image_store_sweep(g->s, &freed, err) < 0)
        return -1;
    g->result.removed++;
    g->result.freed_bytes += freed;
    return 0;
}

static int gc_run(struct gc *g, const struct gc_candidates *c, struct err *err)
{
    bool full = g->result.used_percent >= g->high;

    for (size_t i = 0; i < c->list.len; i++) {
        const struct gc_candidate *one = &c->list.v[i];
        bool old = g->o->max_age_s > 0 && g->now_s - one->used_s > g->o->max_age_s;

        if (!g->o->all_unused && !old && !(full && g->result.used_percent > g->low))
            continue;
        if (gc_remove(g, one->id, err) < 0 || gc_usage(&g->result.used_percent, g->s, err) < 0)
            return -1;
    }
    return 0;
}

int image_gc(struct image_gc_result *out, const struct image_store *s,
             const struct image_gc_opts *o,
             struct err *err)
{
    struct gc g = { .s = s, .o = o, .now_s = env_wall_s(s->env) };
    struct gc_candidates c = { 0 };
    _cleanup_fd_ int sweep = -1, lock = -1;
    struct err why = ERR_INIT;
    int r;

    g.high = o->high_percent ? o->high_percent : GC_HIGH_PERCENT;
    g.low = o->low_percent ? o->low_percent : GC_LOW_PERCENT;
    if (g.low > g.high || g.high > 100)
        return err_set(err, ERR_INVALID, "image collection: thresholds %u and %u", g.high, g.low);
    if (gc_usage(&g.result.used_percent, s, err) < 0)
        return -1;
    sweep = image_store_lock_sweep(s, &why);
    if (sweep < 0 && why.code == ERR_UNAVAILABLE) {
        *out = g.result;                        /* busy: the next round will do */
        return 0;
    }
    if (sweep < 0)
        return err_set(err, ERR_FAILED, "%s", why.msg);
    lock = image_store_lock(s, err);
    r = lock < 0 ? -1 : gc_candidates(&c, &g, err);
    lock = fd_close(lock);
    if (r == 0)
        r = gc_run(&g, &c, err);
    /* also what removals could not take, the lock being busy */
    if (r == 0 && g.result.removed == 0)
        r = image_store_sweep(s, &g.result.freed_bytes, err);
    vec_deinit(&c.list);
    if (r < 0)
        return err_wrap(err, "image collection");
    *out = g.result;
    return 0;
}

/* --- usage: what was noted when layers came in, so that asking often costs little */

static int gc_usage_dir(int64_t *bytes, int64_t *inodes, const struct image_store *s,
                        const char *dir,
                        struct err *err)
{
    DIR *d = fd_opendir(s->fd, dir, err);
    struct dirent *e;

    if (!d)
        return err_wrap(err, "%s", s->dir);
    while ((e = readdir(d))) {
        char digest[IMAGE_DIGEST_BYTES + sizeof(e->d_name)];
        struct stat st;
        int64_t files = 0;

        snprintf(digest, sizeof(digest), "sha256:%s", e->d_name);
        if (e->d_name[0] == '.' || fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        *bytes += (int64_t)st.st_blocks * 512;
        *inodes += 1;
        if (S_ISDIR(st.st_mode) && image_digest_ok(digest)) {
            *bytes += image_store_layer_bytes(s, digest, &files);
            *inodes += files;
        }
    }
    closedir(d);
    return 0;
}

int image_usage(const struct image_store *s, int64_t *bytes, int64_t *inodes, struct err *err)
{
    _cleanup_(image_freep) struct image *box = NULL;
    int64_t b = 0, n = 0;

    if (gc_usage_dir(&b, &n, s, "layers", err) < 0 || gc_usage_dir(&b, &n, s, "blobs/sha256",
                                                                   err) < 0)
        return err_wrap(err, "image usage");
    if (image_box_load(&box, s, NULL) == 0)
        b += box->disk_bytes;
    *bytes = b;
    *inodes = n;
    return 0;
}
