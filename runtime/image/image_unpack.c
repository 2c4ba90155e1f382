/* image_unpack.c -- the child `unpack`: reads what strangers made, inside of what runtime/confine
 * leaves it. One order, one answer, then it ends. */
#include "runtime/image/image_unpack.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/check.h"
#include "core/base/mem.h"
#include "core/base/str.h"
#include "runtime/confine/confine.h"
#include "runtime/image/image.h"
#include "runtime/image/image_apply.h"
#include "runtime/image/image_inflate.h"

#define UNPACK_COPY_BYTES (256u << 10)

struct unpack {
    struct image_unpack_ask ask;
    struct image_inflate *in;
    int64_t told;                       /* progress */
    struct image_unpack_done done;
};

static int unpack_progress(struct unpack *u, struct err *err)
{
    int64_t now = image_inflate_in(u->in);

    if (now - u->told < IMAGE_PROGRESS_BYTES)
        return 0;
    u->told = now;
    return imsg_send(IMSG_FD, UNPACK_PROGRESS, &now, sizeof(now), NULL, 0, err);
}

static ssize_t unpack_read(void *ctx, void *p, size_t len, struct err *err)
{
    struct unpack *u = ctx;
    ssize_t n = image_inflate_read(u->in, p, len, err);

    return n < 0 || unpack_progress(u, err) < 0 ? -1 : n;
}

static int unpack_open(struct unpack *u, int fd, struct err *err)
{
    struct image_inflate_opts o = {
        .fd = fd, .offset = u->ask.offset, .length = u->ask.length, .max_bytes = u->ask.max_bytes,
        .hash_in = u->ask.digest[0], .hash_out = u->ask.diff_id[0],
    };

    if (image_inflate_new(&u->in, &o, err) < 0)
        return -1;
    u->done.was_plain = image_inflate_codec(u->in) == IMAGE_PLAIN;
    return 0;
}

/* Reads what is left and compares. */
static int unpack_verify(struct unpack *u, struct err *err)
{
    char in[IMAGE_INFLATE_DIGEST_BYTES], out[IMAGE_INFLATE_DIGEST_BYTES];

    if (image_inflate_digests(u->in, in, out, err) < 0)
        return -1;
    if (u->ask.digest[0] && !str_eq(in, u->ask.digest))
        return err_set(err, ERR_CORRUPT, "the digest is %s, not %s", in, u->ask.digest);
    if (u->ask.diff_id[0] && !str_eq(out, u->ask.diff_id))
        return err_set(err, ERR_CORRUPT, "the diff ID is %s, not %s", out, u->ask.diff_id);
    u->done.in_bytes = image_inflate_in(u->in);
    u->done.out_bytes = image_inflate_out(u->in);
    return 0;
}

static int unpack_next(const struct image_tar_entry **e, struct unpack *u, struct image_tar *t,
                       struct err *err)
{
    int r = image_tar_next(e, t, err);

    if (r == 1 && ++u->done.entries > u->ask.max_entries)
        return err_set(err, ERR_QUOTA, "more than %lld files", (long long)u->ask.max_entries);
    return r;
}

/* --- a layer */

static int unpack_confine_tree(int *root, struct err *err)
{
    struct confine_opts o = { .role = CONFINE_UNPACK, .root = root };

    umask(0);
    return confine_apply(&o, err);
}

static int unpack_opaque(void *ctx, const char *path, struct err *err)
{
    (void)ctx;
    return imsg_send(IMSG_FD, UNPACK_OPAQUE, path, strlen(path) + 1, NULL, 0, err);
}

static int unpack_layer(struct unpack *u, int fds[2], struct err *err)
{
    struct image_apply_opts o = {
        .no_devices = u->ask.no_devices, .on_opaque = unpack_opaque,
    };
    _cleanup_(image_tar_freep) struct image_tar *t = image_tar_new(unpack_read, u);
    _cleanup_(image_apply_freep) struct image_apply *a = NULL;
    const struct image_tar_entry *e;
    int r;

    if (unpack_confine_tree(&fds[1], err) < 0 || unpack_open(u, fds[0], err) < 0)
        return -1;
    o.root = fds[1];
    a = image_apply_new(&o);
    while ((r = unpack_next(&e, u, t, err)) == 1)
        if (image_apply_entry(a, e, t, err) < 0)
            return -1;
    if (r < 0 || unpack_verify(u, err) < 0 || image_apply_finish(a, err) < 0)
        return -1;
    u->done.disk_bytes = image_apply_disk_bytes(a);
    return 0;
}

/* --- archives */

static int unpack_confine(struct err *err)
{
    struct confine_opts o = { .role = CONFINE_LIST };

    return confine_apply(&o, err);
}

static int unpack_plain(struct unpack *u, int fds[2], struct err *err)
{
    _cleanup_(mem_freep) char *block = mem_alloc(UNPACK_COPY_BYTES);
    ssize_t n;

    if (unpack_confine(err) < 0 || unpack_open(u, fds[0], err) < 0)
        return -1;
    if (u->done.was_plain)
        return 0;
    while ((n = unpack_read(u, block, UNPACK_COPY_BYTES, err)) > 0)
        if (fd_write_all(fds[1], block, (size_t)n, err) < 0)
            return err_wrap(err, "write");
    return n < 0 ? -1 : unpack_verify(u, err);
}

static int unpack_tell(const struct image_tar_entry *e, struct image_tar *t, struct err *err)
{
    struct image_unpack_entry entry = {
        .offset = image_tar_offset(t), .size = e->size, .is_link = e->type != IMAGE_TAR_FILE,
    };

    if (e->type != IMAGE_TAR_FILE && e->type != IMAGE_TAR_LINK && e->type != IMAGE_TAR_SYMLINK)
        return 0;
    if (str_copy(entry.path, sizeof(entry.path), e->path, NULL) < 0 ||
        str_copy(entry.link, sizeof(entry.link), e->link, NULL) < 0)
        return err_set(err, ERR_CORRUPT, "%.200s: a name longer than %d bytes", e->path,
                       IMAGE_ARCHIVE_PATH_MAX);
    return imsg_send(IMSG_FD, UNPACK_ENTRY, &entry, sizeof(entry), NULL, 0, err);
}

/* Data is skipped by reading: this also finds out that nothing is missing. */
static int unpack_list(struct unpack *u, int fds[2], struct err *err)
{
    _cleanup_(image_tar_freep) struct image_tar *t = image_tar_new(unpack_read, u);
    const struct image_tar_entry *e;
    int r;

    if (unpack_confine(err) < 0 || unpack_open(u, fds[0], err) < 0)
        return -1;
    if (!u->done.was_plain)
        return err_set(err, ERR_CORRUPT, "compressed twice");
    while ((r = unpack_next(&e, u, t, err)) == 1)
        if (unpack_tell(e, t, err) < 0)
            return -1;
    return r;
}

/* --- */

static int unpack_run(struct unpack *u, struct err *err)
{
    static int (*const modes[])(struct unpack *, int fds[2], struct err *) = {
        [UNPACK_LAYER] = unpack_layer, [UNPACK_PLAIN] = unpack_plain, [UNPACK_LIST] = unpack_list,
    };
    struct imsg m = { 0 };
    int fds[2], r = imsg_recv(IMSG_FD, &m, err);

    if (r <= 0)
        return r < 0 ? -1 : err_set(err, ERR_CANCELED, "no order came");
    check(m.type == UNPACK_ASK && m.len == sizeof(u->ask));
    memcpy(&u->ask, m.data, sizeof(u->ask));
    for (size_t i = 0; i < 2; i++)
        fds[i] = imsg_take_fd(&m, i);
    imsg_deinit(&m);
    check((size_t)u->ask.mode < ARRAY_LEN(modes));
    return modes[u->ask.mode](u, fds, err);
}

int image_child_unpack(int argc, char **argv)
{
    struct unpack u = { 0 };
    struct err err = ERR_INIT;
    int r;

    (void)argc;
    (void)argv;
    r = unpack_run(&u, &err);
    image_inflate_free(u.in);
    if (r < 0)
        imsg_send_err(IMSG_FD, &err, NULL);
    else
        r = imsg_send(IMSG_FD, UNPACK_DONE, &u.done, sizeof(u.done), NULL, 0, NULL);
    _exit(r < 0 ? 1 : 0);           /* nothing to tidy up, and no way to do it from in here */
}
