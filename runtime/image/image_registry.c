/* image_registry.c -- the child `pull`: finds a manifest at the registry or a mirror, and fetches
 * blobs. It has the network and nothing else: an unprivileged user, files that the parent opened.
 * */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/base/check.h"
#include "core/crypto/crypto.h"
#include "runtime/confine/confine.h"
#include "runtime/image/image_fetch.h"
#include "runtime/image/image_pull.h"

#define REGISTRY_ARENA_BYTES (256u << 20)
#define REGISTRY_PROGRESS_BYTES (256 << 10)

static const char registry_accept[] =
    "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, "
    "application/vnd.docker.distribution.manifest.v2+json, */*;q=0.1";

struct registry {
    struct arena *arena;
    struct image_ref ref;
    int64_t stall_ms;
    struct image_endpoints endpoints;
    struct image_pull_ask ask;
    struct image_fetch *fetch;          /* connections to `fetch_endpoint`, kept from blob to blob
    */
    unsigned fetch_endpoint;
};

/* --- the plan */

static const char *registry_text(const struct json *obj, const char *key)
{
    const char *text = json_get_str(obj, key);

    return text ? text : "";
}

static void registry_read_endpoint(struct image_endpoint *e, const struct json *v)
{
    struct json *creds = json_get(v, "creds"), *item;

    e->url = registry_text(v, "url");
    e->path = registry_text(v, "path");
    e->ns = registry_text(v, "ns");
    e->ca_pem = registry_text(v, "ca");
    e->cert_pem = registry_text(v, "cert");
    e->key_pem = registry_text(v, "key");
    e->insecure = json_get_bool(v, "insecure", false);
    json_each(item, creds) {
        if (e->creds.n == IMAGE_CREDS_MAX)
            break;
        e->creds.v[e->creds.n++] = (struct image_cred){
            registry_text(item, "user"), registry_text(item, "password"),
            registry_text(item, "identity"), registry_text(item, "registry"),
        };
    }
}

static int registry_read_plan(struct registry *r, int fd, struct err *err)
{
    _cleanup_(mem_freep) char *text = NULL;
    struct json *doc, *item;
    struct stat st;

    if (fstat(fd, &st) < 0 || st.st_size > IMAGE_PULL_PLAN_BYTES_MAX)
        return err_set(err, ERR_FAILED, "the plan of the pull is not there");
    text = mem_alloc((size_t)st.st_size + 1);
    /* brothers read it too: no seeking */
    if (pread(fd, text, (size_t)st.st_size, 0) != st.st_size)
        return err_sys(err, "read the plan");
    if (json_parse(&doc, r->arena, text, (size_t)st.st_size, NULL, err) < 0)
        return err_wrap(err, "plan");
    snprintf(r->ref.domain, sizeof(r->ref.domain), "%s", registry_text(doc, "domain"));
    snprintf(r->ref.path, sizeof(r->ref.path), "%s", registry_text(doc, "path"));
    snprintf(r->ref.tag, sizeof(r->ref.tag), "%s", registry_text(doc, "tag"));
    snprintf(r->ref.digest, sizeof(r->ref.digest), "%s", registry_text(doc, "digest"));
    r->stall_ms = json_get_int(doc, "stall_ms", IMAGE_PULL_STALL_MS);
    json_each(item, json_get(doc, "endpoints")) {
        check(r->endpoints.n < IMAGE_ENDPOINTS_MAX);
        registry_read_endpoint(&r->endpoints.v[r->endpoints.n++], item);
    }
    return 0;
}

static void registry_pause(unsigned attempt)
{
    int64_t ms = (int64_t)IMAGE_PULL_BACKOFF_MS << (attempt > 6 ? 6 : attempt);
    struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

    while (nanosleep(&t, &t) < 0 && errno == EINTR)
        ;
}

static bool registry_may_help(const struct err *err)
{
    return err->code == ERR_UNAVAILABLE || err->code == ERR_TIMEOUT;
}

/* --- documents: manifests and configurations */

struct registry_doc { struct buf bytes; };

static int doc_start(void *ctx, int64_t from, struct err *err)
{
    struct registry_doc *d = ctx;

    (void)from;
    (void)err;
    buf_clear(&d->bytes);
    return 0;
}

static int doc_data(void *ctx, const char *p, size_t len, struct err *err)
{
    struct registry_doc *d = ctx;

    if (d->bytes.len + len > IMAGE_MANIFEST_BYTES_MAX)
        return err_set(err, ERR_QUOTA, "a document of more than %u bytes",
                       IMAGE_MANIFEST_BYTES_MAX);
    buf_add(&d->bytes, p, len);
    return 0;
}

static void registry_digest(char out[IMAGE_DIGEST_BYTES], const struct buf *b)
{
    memcpy(out, "sha256:", 7);
    crypto_sha256_hex(out + 7, b->p ? b->p : "", b->len);
}

/* digest: what it must be, or "" for a tag; then it becomes what it is. */
static int registry_get_doc(struct registry_doc *d, struct image_fetch *f, const char *what,
                            char digest[IMAGE_DIGEST_BYTES], struct err *err)
{
    struct image_fetch_ask ask = {
        .what = what, .accept = str_starts(what, "manifests/") ? registry_accept : NULL,
        .on_start = doc_start, .on_data = doc_data, .ctx = d,
    };
    char real[IMAGE_DIGEST_BYTES];
    int r;

    for (unsigned i = 0; ; i++) {
        struct err why = ERR_INIT;

        r = image_fetch_get(f, &ask, &why);
        if (r == 0)
            break;
        if (!registry_may_help(&why) || i + 1 == IMAGE_PULL_RESOLVE_TRIES_MAX) {
            *err = why;
            return -1;
        }
        registry_pause(i);
    }
    registry_digest(real, &d->bytes);
    if (*digest && !str_eq(real, digest))
        return err_set(err, ERR_CORRUPT, "%s: the registry sent %s", digest, real);
    memcpy(digest, real, sizeof(real));
    return 0;
}

static int registry_save(const struct registry_doc *d, int fd, struct err *err)
{
    if (ftruncate(fd, 0) < 0 || lseek(fd, 0, SEEK_SET) < 0)
        return err_sys(err, "write document");
    return fd_write_all(fd, d->bytes.p ? d->bytes.p : "", d->bytes.len, err);
}

/* --- resolving */

struct resolve_files { int target, manifest, config; };

/* From the target on: through indexes to the manifest for this machine. */
static int registry_descend(struct registry *r, struct image_fetch *f, struct registry_doc *d,
                            struct image_manifest *m, struct image_pull_resolved *out,
                            struct err *err)
{
    struct image_platform host = image_platform_host();
    char what[IMAGE_DIGEST_BYTES + 16];

    memcpy(out->manifest, out->target, sizeof(out->manifest));
    for (int depth = 0; depth < 3; depth++) {
        const struct image_desc *pick;

        if (image_manifest_parse(m, r->arena, d->bytes.p ? d->bytes.p : "", d->bytes.len, err) < 0)
            return -1;
        if (!m->is_index)
            return 0;
        pick = image_manifest_select(m, host);
        if (!pick)
            return err_set(err, ERR_NOT_FOUND, "no match for platform %s/%s%s%s in manifest",
                           host.os,
                           host.arch, *host.variant ? "/" : "", host.variant);
        snprintf(out->manifest, sizeof(out->manifest), "%s", pick->digest);
        snprintf(what, sizeof(what), "manifests/%s", pick->digest);
        if (registry_get_doc(d, f, what, out->manifest, err) < 0)
            return -1;
    }
    return err_set(err, ERR_CORRUPT, "indexes in indexes in indexes");
}

static int registry_resolve_with(struct registry *r, struct image_fetch *f,
                                 struct resolve_files files,
                                 struct image_pull_resolved *out, struct err *err)
{
    const char *name = r->ref.digest[0] ? r->ref.digest : r->ref.tag;
    struct registry_doc d = { BUF_INIT };
    struct image_manifest m;
    char what[IMAGE_DIGEST_BYTES + 160];
    int ret = -1;

    snprintf(what, sizeof(what), "manifests/%s", name);
    str_copy(out->target, sizeof(out->target), r->ref.digest, NULL);
    if (registry_get_doc(&d, f, what, out->target, err) == 0 &&
        registry_save(&d, files.target, err) == 0 &&
        registry_descend(r, f, &d, &m, out, err) == 0 &&
        registry_save(&d, files.manifest, err) == 0) {
        snprintf(out->config, sizeof(out->config), "%s", m.config.digest);
        snprintf(what, sizeof(what), "blobs/%s", m.config.digest);
        if (registry_get_doc(&d, f, what, out->config, err) == 0)
            ret = registry_save(&d, files.config, err);
    }
    buf_deinit(&d.bytes);
    return ret;
}

/* One endpoint, with each of its credentials until one is let in. */
static int registry_resolve_at(struct registry *r, unsigned i, struct resolve_files files,
                               struct image_pull_resolved *out, struct err *err)
{
    const struct image_endpoint *e = &r->endpoints.v[i];
    size_t tries = e->creds.n > 0 ? e->creds.n : 1;

    for (unsigned k = 0; k < tries; k++) {
        _cleanup_(image_fetch_freep) struct image_fetch *f = NULL;

        out->endpoint = i;
        out->cred = k;
        err_clear(err);
        if (image_fetch_new(&f, e, k, r->stall_ms, err) == 0 &&
            registry_resolve_with(r, f, files, out, err) == 0)
            return 0;
        if (err->code != ERR_DENIED)
            break;
    }
    return r->endpoints.n > 1 ? err_wrap(err, "%.120s", e->url) : -1;
}

static int registry_resolve(struct registry *r, struct resolve_files files, struct err *err)
{
    struct image_pull_resolved out = { 0 };
    struct err all = ERR_INIT;

    for (unsigned i = 0; i < r->endpoints.n; i++) {
        struct err why = ERR_INIT;

        if (registry_resolve_at(r, i, files, &out, &why) == 0)
            return imsg_send(IMSG_FD, PULL_RESOLVED, &out, sizeof(out), NULL, 0, err);
        if (i == 0)
            all = why;
        else
            err_set(&all, why.code, "%.200s; %s", all.msg, why.msg);
    }
    *err = all;
    return -1;
}

/* --- blobs */

struct registry_blob {
    struct image_pull_blob ask;
    int fd;
    int64_t at, told;
    struct crypto_digest digest;
};

static int blob_start(void *ctx, int64_t from, struct err *err)
{
    struct registry_blob *b = ctx;

    if (from == b->at)
        return 0;
    if (from != 0)
        return err_set(err, ERR_CORRUPT, "the registry sent another range than it was asked for");
    crypto_digest_init(&b->digest, CRYPTO_SHA256);  /* it does not know ranges: all over again */
    b->at = 0;
    return 0;
}

static int blob_data(void *ctx, const char *p, size_t len, struct err *err)
{
    struct registry_blob *b = ctx;
    struct image_pull_progress now = { .index = b->ask.index };
    size_t done = 0;

    if (b->ask.size >= 0 && (int64_t)len > b->ask.size - b->at)
        return err_set(err, ERR_CORRUPT, "longer than its %lld bytes", (long long)b->ask.size);
    if (b->at + (int64_t)len > IMAGE_LAYER_BYTES_MAX)
        return err_set(err, ERR_QUOTA, "more than %lld bytes", (long long)IMAGE_LAYER_BYTES_MAX);
    crypto_digest_add(&b->digest, p, len);
    while (done < len) {
        ssize_t n = pwrite(b->fd, p + done, len - done, b->at + (int64_t)done);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return err_sys(err, "write");
        done += (size_t)n;
    }
    b->at += (int64_t)len;
    if (b->at - b->told < REGISTRY_PROGRESS_BYTES && b->at >= b->told)
        return 0;
    b->told = now.bytes = b->at;
    return imsg_send(IMSG_FD, PULL_PROGRESS, &now, sizeof(now), NULL, 0, err);
}

static int blob_verify(struct registry_blob *b, struct err *err)
{
    unsigned char sum[CRYPTO_SHA256_BYTES];
    char hex[CRYPTO_SHA256_HEX_BYTES];

    crypto_digest_end(&b->digest, sum);
    crypto_hex(hex, sum, sizeof(sum));
    if (!str_eq(hex, image_digest_hex(b->ask.digest)))
        return err_set(err, ERR_CORRUPT, "the registry sent sha256:%s", hex);
    return 0;
}

/* Goes on where it broke off, as long as there is progress. */
static int registry_blob_from(struct registry_blob *b, struct image_fetch *f, struct err *err)
{
    char what[IMAGE_DIGEST_BYTES + 16];
    unsigned idle = 0;

    snprintf(what, sizeof(what), "blobs/%s", b->ask.digest);
    for (;;) {
        struct image_fetch_ask ask = {
            .what = what, .from = b->at, .on_start = blob_start, .on_data = blob_data, .ctx = b,
        };
        int64_t before = b->at;
        struct err why = ERR_INIT;

        if (b->ask.size >= 0 && b->at == b->ask.size && b->at > 0)
            return blob_verify(b, err);
        if (image_fetch_get(f, &ask, &why) == 0) {
            if (b->ask.size < 0 || b->at == b->ask.size)
                return blob_verify(b, err);
            err_set(&why, ERR_UNAVAILABLE, "broken off after %lld of %lld bytes", (long long)b->at,
                    (long long)b->ask.size);
        }
        idle = b->at > before ? 0 : idle + 1;
        if (!registry_may_help(&why) || idle == IMAGE_PULL_TRIES_MAX) {
            *err = why;
            return -1;
        }
        registry_pause(idle);
    }
}

/* The endpoint that knew the manifest first, then the others. */
static int registry_blob(struct registry *r, struct registry_blob *b, struct err *err)
{
    for (unsigned i = 0; i < r->endpoints.n; i++) {
        unsigned at = i == 0 ? r->ask.endpoint : i <= r->ask.endpoint ? i - 1 : i;
        struct err why = ERR_INIT;

        crypto_digest_init(&b->digest, CRYPTO_SHA256);
        b->at = b->told = 0;
        if (r->fetch && r->fetch_endpoint != at)
            r->fetch = image_fetch_free(r->fetch);
        r->fetch_endpoint = at;
        if ((r->fetch || image_fetch_new(&r->fetch, &r->endpoints.v[at], i == 0 ? r->ask.cred : 0,
                                         r->stall_ms, &why) == 0) &&
            registry_blob_from(b, r->fetch, &why) == 0)
            return 0;
        if (i == 0)
            *err = why;
        r->fetch = image_fetch_free(r->fetch);
    }
    return err_wrap(err, "blob %.19s", b->ask.digest);
}

static int registry_blobs(struct registry *r, struct err *err)
{
    for (;;) {
        struct registry_blob b = { .fd = -1 };
        struct imsg m = { 0 };
        int n = imsg_recv(IMSG_FD, &m, err);

        if (n <= 0)
            return n;
        check(m.type == PULL_BLOB && m.len == sizeof(b.ask));
        memcpy(&b.ask, m.data, sizeof(b.ask));
        b.fd = imsg_take_fd(&m, 0);
        imsg_deinit(&m);
        n = registry_blob(r, &b, err);
        fd_close(b.fd);
        if (n < 0)
            return -1;
        if (imsg_send(IMSG_FD, PULL_BLOB_DONE, &b.ask.index, sizeof(b.ask.index), NULL, 0, err) < 0)
            return -1;
    }
}

/* --- */

static int registry_confine(struct err *err)
{
    struct confine_opts o = {
        .role = CONFINE_PULL,
        .places = { [CONFINE_RESOLV] = "/etc/resolv.conf", [CONFINE_HOSTS] = "/etc/hosts" },
    };

    return confine_apply(&o, err);
}

static int registry_run(struct registry *r, struct err *err)
{
    int fds[4], n = -1;
    struct imsg m = { 0 };

    n = imsg_recv(IMSG_FD, &m, err);
    if (n <= 0)
        return n < 0 ? -1 : err_set(err, ERR_CANCELED, "no order came");
    check(m.type == PULL_ASK && m.len == sizeof(r->ask));
    memcpy(&r->ask, m.data, sizeof(r->ask));
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        fds[i] = imsg_take_fd(&m, i);
    imsg_deinit(&m);
    if (registry_confine(err) < 0 || crypto_init(err) < 0 ||
        registry_read_plan(r, fds[0], err) < 0)
        return -1;
    check(r->endpoints.n > 0 && r->ask.endpoint < r->endpoints.n);
    if (r->ask.resolve)
        return registry_resolve(r, (struct resolve_files){ fds[1], fds[2], fds[3] }, err);
    return registry_blobs(r, err);
}

int image_child_pull(int argc, char **argv)
{
    struct registry r = { .arena = arena_new(REGISTRY_ARENA_BYTES) };
    struct err err = ERR_INIT;
    int n;

    (void)argc;
    (void)argv;
    n = registry_run(&r, &err);
    if (n < 0)
        imsg_send_err(IMSG_FD, &err, NULL);
    _exit(n < 0 ? 1 : 0);           /* what would tidy up may need system calls that are gone */
}
