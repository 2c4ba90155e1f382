/* pod_record.c -- one JSON object: {"object":{...},"final":{...},"start":us}. */
#include "runtime/node/pod_record.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>

#include "core/base/fd.h"

static void path_of(char out[PATH_MAX], const char *dir)
{
    snprintf(out, PATH_MAX, "%s/" POD_RECORD_FILE, dir);
}

int pod_record_write(const char *dir, const struct pod_record *r, struct err *err)
{
    _cleanup_buf_ struct buf b = BUF_INIT;
    char path[PATH_MAX];

    path_of(path, dir);
    buf_fmt(&b, "{\"start\":%" PRId64 ",\"object\":", r->start_us);
    buf_add(&b, r->object.p, r->object.len);
    if (r->final)
        buf_fmt(&b, ",\"final\":%s", r->final);
    if (r->attempts)
        buf_fmt(&b, ",\"attempts\":%s", r->attempts);
    buf_chr(&b, '}');
    return fd_replace_file(AT_FDCWD, path, (struct slice){ b.p, b.len }, 0600, err);
}

/* What the API may not have heard yet. */
static void set_final(struct arena *a, struct json *object, const struct json *final)
{
    struct json *status = json_ensure_object(a, object, "status");

    json_each_member(m, final)
        json_setn(a, status, m->key, m->key_len, m->val);
}

int pod_record_read(struct pod_record_read *out, const char *dir, struct err *err)
{
    _cleanup_(arena_freep) struct arena *a = NULL;
    _cleanup_buf_ struct buf b = BUF_INIT, text = BUF_INIT, attempts = BUF_INIT;
    struct json *v, *final;
    char path[PATH_MAX];
    struct object *o = NULL;

    path_of(path, dir);
    if (fd_read_file(&b, AT_FDCWD, path, POD_RECORD_BYTES_MAX, err) < 0)
        return -1;
    a = arena_new(0);
    if (json_parse(&v, a, b.p, b.len, NULL, err) < 0)
        return err_wrap(err, "%s", path);
    if (!json_is(json_get(v, "object"), JSON_OBJECT))
        return err_set(err, ERR_CORRUPT, "%s: no object", path);
    final = json_get(v, "final");
    if (json_is(final, JSON_OBJECT))
        set_final(a, json_get(v, "object"), final);
    if (object_from_tree(&o, kind_pod(), json_get(v, "object"), 0, err) < 0)
        return err_wrap(err, "%s", path);
    if (json_is(final, JSON_OBJECT))
        json_write(&text, final);
    if (json_is(json_get(v, "attempts"), JSON_OBJECT))
        json_write(&attempts, json_get(v, "attempts"));
    *out = (struct pod_record_read){ .attempts = attempts.len ? buf_take(&attempts, NULL) : NULL,
                                     .object = o, .start_us = json_get_int(v, "start", 0),
                                     .final = text.len ? buf_take(&text, NULL) : NULL };
    return 0;
}

void pod_record_deinit(struct pod_record_read *r)
{
    r->object = object_unref(r->object);
    r->final = mem_free(r->final);
    r->attempts = mem_free(r->attempts);
}
