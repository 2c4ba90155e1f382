/* image_pull.c -- brings an image in from its registry: one child finds the manifest, up to three
 * fetch layers, and each layer that is whole is unpacked while others still come.
 *
 *   resolve --RESOLVED--> check the documents --> layer: WANTED --child free--> FETCH --done-->
 * FETCHED
 *                                                        --unpack slot free--> UNPACK --> READY;
 * all READY: commit
 */
#include "runtime/image/image_pull.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/check.h"
#include "core/crypto/crypto.h"
#include "runtime/image/image_crew.h"
#include "runtime/image/image_index.h"
#include "runtime/image/image_registries.h"

#define PULL_ARENA_BYTES (256u << 20)

enum pull_state { PULL_WANTED, PULL_FETCH, PULL_FETCHED, PULL_UNPACK, PULL_READY };

struct pull_layer {
    struct image_layer layer;
    enum pull_state state;
    const struct image_desc *desc;
    int blob;                           /* nameless file; -1: none */
    int64_t fetched;
};

struct pull;
/* layer -1: idle */
struct pull_child { struct pull *pull; struct child *child; long layer; bool told; };

struct pull {
    struct image_crew crew;
    const struct image_store *s;
    struct arena *arena;
    struct image_ref ref;
    int plan, target, manifest, config; /* files shared with children */
    struct image_pull_resolved resolved;
    bool is_resolved;
    struct slice manifest_bytes, config_bytes;
    struct image_manifest m;
    struct image_config c;
    struct pull_layer *layers;
    struct pull_child resolver, fetchers[IMAGE_PULL_CHILDREN_MAX];
};

static void pull_deinit(struct pull *p)
{
    for (size_t i = 0; i < ARRAY_LEN(p->fetchers); i++)
        p->fetchers[i].child = child_free(p->fetchers[i].child);
    p->resolver.child = child_free(p->resolver.child);
    for (size_t i = 0; p->layers && i < p->m.n; i++) {
        image_layer_deinit(&p->layers[i].layer, p->s);
        fd_close(p->layers[i].blob);
    }
    mem_free(p->layers);
    fd_close(p->plan);
    fd_close(p->target);
    fd_close(p->manifest);
    fd_close(p->config);
    image_crew_deinit(&p->crew);
    arena_free(p->arena);
}

/* --- the plan */

static struct json *pull_plan_creds(struct arena *a, const struct image_creds *creds)
{
    struct json *list = json_array(a);

    for (size_t i = 0; i < creds->n; i++) {
        struct json *v = json_object(a);

        json_set_str(a, v, "user", creds->v[i].user);
        json_set_str(a, v, "password", creds->v[i].password);
        json_set_str(a, v, "identity", creds->v[i].identity_token);
        json_set_str(a, v, "registry", creds->v[i].registry_token);
        json_append(a, list, v);
    }
    return list;
}

static struct json *pull_plan_endpoints(struct arena *a, const struct image_endpoints *e)
{
    struct json *list = json_array(a);

    for (size_t i = 0; i < e->n; i++) {
        struct json *v = json_object(a);

        json_set_str(a, v, "url", e->v[i].url);
        json_set_str(a, v, "path", e->v[i].path);
        json_set_str(a, v, "ns", e->v[i].ns);
        json_set_str(a, v, "ca", e->v[i].ca_pem);
        json_set_str(a, v, "cert", e->v[i].cert_pem);
        json_set_str(a, v, "key", e->v[i].key_pem);
        json_set_bool(a, v, "insecure", e->v[i].insecure);
        json_set(a, v, "creds", pull_plan_creds(a, &e->v[i].creds));
        json_append(a, list, v);
    }
    return list;
}

static int pull_write_plan(struct pull *p, const struct image_endpoints *e, int64_t stall_ms,
                           struct err *err)
{
    struct arena *a = p->arena;
    struct json *doc = json_object(a);
    _cleanup_buf_ struct buf b = BUF_INIT;

    json_set_str(a, doc, "domain", p->ref.domain);
    json_set_str(a, doc, "path", p->ref.path);
    json_set_str(a, doc, "tag", p->ref.tag);
    json_set_str(a, doc, "digest", p->ref.digest);
    json_set_int(a, doc, "stall_ms", stall_ms > 0 ? stall_ms : IMAGE_PULL_STALL_MS);
    json_set(a, doc, "endpoints", pull_plan_endpoints(a, e));
    json_write(&b, doc);
    p->plan = memfd_create("plan", MFD_CLOEXEC);
    if (p->plan < 0)
        return err_sys(err, "memory file");
    return fd_write_all(p->plan, b.p, b.len, err);
}

static int pull_plan(struct pull *p, const struct image_pull_opts *o, struct err *err)
{
    _cleanup_buf_ struct buf ca = BUF_INIT;
    struct image_creds creds;
    struct image_endpoints endpoints;
    struct image_registries_opts ro = { .file = o->registries_file, .creds = &creds };

    if (o->ca_file && fd_read_file(&ca, AT_FDCWD, o->ca_file, IMAGE_PEM_BYTES_MAX, err) < 0)
        return -1;
    ro.ca_pem = ca.p ? ca.p : "";
    image_auth_match(&creds, p->arena, o->dockerconfigs, &p->ref);
    if (image_registries_find(&endpoints, p->arena, &p->ref, &ro, err) < 0)
        return -1;
    return pull_write_plan(p, &endpoints, o->stall_ms, err);
}

/* --- hearing children */

static int pull_temporary(const struct pull *p, struct err *err)
{
    int fd = openat(p->s->fd, "tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    return fd < 0 ? err_sys(err, "temporary file in %s/tmp", p->s->dir) : fd;
}

static void pull_fail(struct pull_child *c, struct err *err)
{
    image_crew_fail(&c->pull->crew, err);
}

static int pull_hear_done(struct pull_child *c, const struct imsg *m, struct err *err)
{
    struct pull_layer *l = c->layer >= 0 ? &c->pull->layers[c->layer] : NULL;
    unsigned index;

    if (m->len != sizeof(index) || !l || l->state != PULL_FETCH)
        return err_set(err, ERR_CORRUPT, "pull: the child answers what it was not asked");
    memcpy(&index, m->data, sizeof(index));
    if (index != (unsigned)c->layer)
        return err_set(err, ERR_CORRUPT, "pull: the child answers what it was not asked");
    l->state = PULL_FETCHED;
    c->layer = -1;
    return 0;
}

static void pull_on_msg(struct child *child, struct imsg *m, void *ctx)
{
    struct pull_child *c = ctx;
    struct pull *p = c->pull;
    struct image_pull_progress progress;
    struct err err = ERR_INIT;

    (void)child;
    if (m->type == PULL_RESOLVED && m->len == sizeof(p->resolved) && c == &p->resolver) {
        memcpy(&p->resolved, m->data, sizeof(p->resolved));
        p->is_resolved = true;
    } else if (m->type == PULL_PROGRESS && m->len == sizeof(progress)) {
        memcpy(&progress, m->data, sizeof(progress));
        if (c->layer >= 0 && progress.index == (unsigned)c->layer)
            p->layers[c->layer].fetched = progress.bytes;
    } else if (m->type == PULL_BLOB_DONE) {
        if (pull_hear_done(c, m, &err) < 0)
            pull_fail(c, &err);
    } else if (m->type == IMSG_ERR) {
        imsg_get_err(m, &err);
        c->told = true;
        pull_fail(c, &err);
    }
}

static void pull_on_exit(struct child *child, int status, int sig, void *ctx)
{
    struct pull_child *c = ctx;
    struct err err = ERR_INIT;

    (void)child;
    c->child = child_free(c->child);
    if (c->told || (status == 0 && sig == 0 && c->layer < 0))
        return;
    if (sig) {
        image_crew_lost(&c->pull->crew, "pulling", sig);
        return;
    }
    err_set(&err, ERR_FAILED, "the pulling process ended with status %d", status);
    pull_fail(c, &err);
}

static int pull_start(struct pull_child *c, struct pull *p, const struct image_pull_ask *ask,
                      struct err *err)
{
    struct child_opts o = {
        .verb = IMAGE_PULL_VERB, .exe = p->crew.exe, .fds = { -1 }, .on_msg = pull_on_msg,
        .on_exit = pull_on_exit, .ctx = c,
    };
    int fds[] = { p->plan, p->target, p->manifest, p->config };

    c->pull = p;
    c->layer = -1;
    c->told = false;
    if (child_start(&c->child, p->crew.loop, &o, err) < 0)
        return -1;
    return child_send(c->child, PULL_ASK, ask, sizeof(*ask), fds, ask->resolve ? 4 : 1, err);
}

/* --- resolving */

static int pull_read(struct slice *out, struct pull *p, int fd, const char *digest, struct err *err)
{
    char real[IMAGE_DIGEST_BYTES] = "sha256:";
    struct stat st;
    char *text;

    if (fstat(fd, &st) < 0)
        return err_sys(err, "read document");
    if (st.st_size > IMAGE_MANIFEST_BYTES_MAX)
        return err_set(err, ERR_QUOTA, "a document of more than %u bytes",
                       IMAGE_MANIFEST_BYTES_MAX);
    text = arena_alloc(p->arena, (size_t)st.st_size + 1);
    if (pread(fd, text, (size_t)st.st_size, 0) != st.st_size)
        return err_sys(err, "read document");
    crypto_sha256_hex(real + 7, text, (size_t)st.st_size);
    if (!str_eq(real, digest))
        return err_set(err, ERR_CORRUPT, "the digest is %s, not %s", real, digest);
    *out = (struct slice){ text, (size_t)st.st_size };
    return 0;
}

/* The child may be anybody's by now: every document must be what the one before says, down from
 * what was asked. */
static int pull_check(struct pull *p, struct err *err)
{
    const struct image_pull_resolved *r = &p->resolved;
    struct slice target;
    struct image_manifest index;
    bool named = false;

    if (p->ref.digest[0] && !str_eq(p->ref.digest, r->target))
        return err_set(err, ERR_CORRUPT, "the digest is %.72s, not %s", r->target, p->ref.digest);
    if (pull_read(&target, p, p->target, r->target, err) < 0 ||
        pull_read(&p->manifest_bytes, p, p->manifest, r->manifest, err) < 0 ||
        pull_read(&p->config_bytes, p, p->config, r->config, err) < 0 ||
        image_manifest_parse(&index, p->arena, target.p, target.len, err) < 0 ||
        image_manifest_parse(&p->m, p->arena, p->manifest_bytes.p, p->manifest_bytes.len,
                             err) < 0 ||
        image_config_parse(&p->c, p->arena, p->config_bytes.p, p->config_bytes.len, err) < 0)
        return -1;
    named = str_eq(r->target, r->manifest);
    for (size_t i = 0; index.is_index && i < index.n && !named; i++)
        named = str_eq(index.v[i].digest, r->manifest) || index.v[i].platform.os[0] == 0;
    if (!named || p->m.is_index || !str_eq(p->m.config.digest, r->config))
        return err_set(err, ERR_CORRUPT, "the manifest does not belong to the image");
    if (p->m.n != p->c.n_layers)
        return err_set(err, ERR_CORRUPT, "%zu layers, but %zu diff IDs", p->m.n, p->c.n_layers);
    if (!image_platform_runs(image_platform_host(), p->c.platform))
        return err_set(err, ERR_NOT_FOUND,
                       "no match for this machine: the image is for %.40s/%.40s",
                       p->c.platform.os, p->c.platform.arch);
    return 0;
}

static int pull_resolve(struct pull *p, struct err *err)
{
    struct image_pull_ask ask = { .resolve = true };

    p->target = pull_temporary(p, err);
    p->manifest = p->target < 0 ? -1 : pull_temporary(p, err);
    p->config = p->manifest < 0 ? -1 : pull_temporary(p, err);
    if (p->config < 0 || pull_start(&p->resolver, p, &ask, err) < 0)
        return -1;
    while (p->resolver.child)
        if (image_crew_step(&p->crew, err) < 0)
            return -1;
    if (p->crew.failed)
        return image_crew_step(&p->crew, err);
    if (!p->is_resolved || !image_digest_ok(p->resolved.target) ||
        !image_digest_ok(p->resolved.manifest) || !image_digest_ok(p->resolved.config))
        return err_set(err, ERR_FAILED, "the pulling process gave no answer");
    return pull_check(p, err);
}

/* --- layers */

static int pull_prepare(struct pull *p, struct err *err)
{
    int64_t need = 0, bytes, files;

    p->layers = mem_alloc_array(p->m.n + 1, sizeof(*p->layers));
    for (size_t i = 0; i < p->m.n; i++) {
        struct pull_layer *l = &p->layers[i];
        bool repeated = false;

        l->blob = -1;
        l->desc = &p->m.v[i];
        for (size_t k = 0; k < i; k++)
            repeated = repeated || str_eq(p->c.layers[k], p->c.layers[i]);
        if (repeated || image_store_has_layer(p->s, p->c.layers[i]))
            l->state = PULL_READY;
        else if (l->desc->size > 0 && need < INT64_MAX - l->desc->size)
            need += l->desc->size;
    }
    if (image_crew_room(&p->crew, &bytes, &files, err) < 0)
        return -1;
    if (need > bytes)
        return err_set(err, ERR_QUOTA, "%lld bytes to fetch, but only %lld are free in %s",
                       (long long)need, (long long)bytes, p->s->dir);
    return 0;
}

static int pull_fetch_layer(struct pull *p, struct pull_child *c, size_t i, struct err *err)
{
    struct image_pull_ask ask = { .endpoint = p->resolved.endpoint, .cred = p->resolved.cred };
    struct image_pull_blob blob = { .index = (unsigned)i, .size = p->layers[i].desc->size };
    struct pull_layer *l = &p->layers[i];

    if (!c->child && pull_start(c, p, &ask, err) < 0)
        return -1;
    l->blob = pull_temporary(p, err);
    if (l->blob < 0 || str_copy(blob.digest, sizeof(blob.digest), l->desc->digest, err) < 0)
        return -1;
    if (child_send(c->child, PULL_BLOB, &blob, sizeof(blob), &l->blob, 1, err) < 0)
        return -1;
    l->state = PULL_FETCH;
    c->layer = (long)i;
    return 0;
}

/* The diff ID is all that must hold: the blob's own digest was for the transfer. */
static int pull_unpack_layer(struct pull *p, size_t i, struct err *err)
{
    struct image_layer_source from = { p->layers[i].blob, 0, -1, "" };

    if (image_layer_start(&p->layers[i].layer, &p->crew, p->c.layers[i], &from, err) < 0)
        return -1;
    p->layers[i].state = PULL_UNPACK;
    return 0;
}

static void pull_progress(struct pull *p)
{
    struct image_progress now = { .what = "pull", .item = p->ref.text, .layers = (unsigned)p->m.n };
    bool sized = true;

    for (size_t i = 0; i < p->m.n; i++) {
        const struct pull_layer *l = &p->layers[i];
        int64_t size = l->desc->size > 0 ? l->desc->size : 0;

        sized = sized && l->desc->size >= 0;
        now.total += size;
        now.done += l->state > PULL_FETCH ? size : l->fetched;
        now.layers_done += l->state == PULL_READY;
    }
    if (!sized)
        now.total = 0;
    image_crew_progress(&p->crew, &now);
}

/* Gives work to whoever is free. *busy: there is something left. */
static int pull_tick(struct pull *p, bool *busy, struct err *err)
{
    size_t unpacks = 0, next = 0;

    *busy = false;
    for (size_t i = 0; i < p->m.n; i++) {
        struct pull_layer *l = &p->layers[i];

        if (l->state == PULL_UNPACK && !l->layer.task.running) {
            l->state = PULL_READY;
            l->blob = fd_close(l->blob);
        }
        unpacks += l->state == PULL_UNPACK;
    }
    for (size_t i = 0; i < p->m.n && unpacks < IMAGE_CREW_UNPACKS_MAX; i++)
        if (p->layers[i].state == PULL_FETCHED && ++unpacks && pull_unpack_layer(p, i, err) < 0)
            return -1;
    for (size_t k = 0; k < ARRAY_LEN(p->fetchers); k++) {
        if (p->fetchers[k].child && p->fetchers[k].layer >= 0)
            continue;
        while (next < p->m.n && p->layers[next].state != PULL_WANTED)
            next++;
        if (next < p->m.n && pull_fetch_layer(p, &p->fetchers[k], next, err) < 0)
            return -1;
    }
    for (size_t i = 0; i < p->m.n; i++)
        *busy = *busy || p->layers[i].state != PULL_READY;
    return 0;
}

static int pull_layers(struct pull *p, struct err *err)
{
    bool busy;

    if (pull_prepare(p, err) < 0)
        return -1;
    for (;;) {
        if (pull_tick(p, &busy, err) < 0)
            return -1;
        pull_progress(p);
        if (!busy)
            return p->crew.failed ? image_crew_step(&p->crew, err) : 0;
        if (image_crew_step(&p->crew, err) < 0)
            return -1;
    }
}

static int pull_commit(struct pull *p, struct err *err)
{
    const char *const names[] = { p->ref.text, NULL };
    struct image_index_new n = {
        .id = p->resolved.config, .manifest = p->resolved.manifest, .target = p->resolved.target,
        .names = names, .size_bytes = (int64_t)(p->manifest_bytes.len + p->config_bytes.len),
    };

    if (image_store_put_blob(p->s, n.id, p->config_bytes.p, p->config_bytes.len, err) < 0 ||
        image_store_put_blob(p->s, n.manifest, p->manifest_bytes.p, p->manifest_bytes.len,
                             err) < 0 ||
        image_store_sync(p->s, err) < 0)
        return -1;
    for (size_t i = 0; i < p->m.n; i++) {
        n.size_bytes += p->m.v[i].size > 0 ? p->m.v[i].size : 0;
        if (image_layer_commit(&p->layers[i].layer, p->s, err) < 0)
            return -1;
    }
    return image_index_add(p->s, &n, err);
}

static int pull_run(struct pull *p, const struct image_pull_opts *o, struct err *err)
{
    if (image_crew_init(&p->crew, p->s, &o->watch, o->exe, err) < 0 || pull_plan(p, o, err) < 0 ||
        pull_resolve(p, err) < 0 || pull_layers(p, err) < 0)
        return -1;
    return pull_commit(p, err);
}

static int pull_once(bool *killed, const struct image_ref *ref, const struct image_store *s,
                     const struct image_pull_opts *o, struct err *err)
{
    struct pull p = { .s = s, .ref = *ref, .plan = -1, .target = -1, .manifest = -1, .config = -1,
                      .arena = arena_new(PULL_ARENA_BYTES) };
    int r = pull_run(&p, o, err);

    *killed = p.crew.killed;
    pull_deinit(&p);
    return r;
}

int image_pull(struct image **out, const struct image_store *s, const struct image_pull_opts *o,
               struct err *err)
{
    _cleanup_fd_ int lock = -1;
    struct image_ref ref;
    bool killed;

    check(o->name);
    if (image_ref_parse(&ref, o->name, err) < 0)
        return -1;
    if (image_ref_is_box(&ref))
        return image_box_load(out, s, err);
    lock = image_store_lock_ingest(s, err);
    if (lock < 0)
        return -1;
    /* A child that was killed says nothing of the registry, after which one waits: once more. */
    if (pull_once(&killed, &ref, s, o, err) < 0 &&
        (!killed || pull_once(&killed, &ref, s, o, err) < 0))
        return err_wrap(err, "pull %s", ref.text);
    err_clear(err);
    return image_get(out, s, ref.text, err);
}
