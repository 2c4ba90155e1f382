/* image_manifest.c -- reads manifests, indexes and configurations. */
#include "runtime/image/image_manifest.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/check.h"
#include "core/base/json.h"
#include "core/base/str.h"
#include "runtime/image/image.h"

#if defined(__x86_64__)
#define HOST_ARCH "amd64"
#define HOST_VARIANT ""
#elif defined(__aarch64__)
#define HOST_ARCH "arm64"
#define HOST_VARIANT "v8"
#elif defined(__arm__)
#define HOST_ARCH "arm"
#define HOST_VARIANT "v7"
#elif defined(__riscv)
#define HOST_ARCH "riscv64"
#define HOST_VARIANT ""
#else
#error "what is this machine called in images?"
#endif

/* What a machine of this architecture runs, best first. */
static const struct { const char *host, *arch, *variant; } manifest_runs[] = {
    { "amd64", "amd64", "" },  { "amd64", "386", "" },
    { "arm64", "arm64", "v8" }, { "arm64", "arm", "v8" }, { "arm64", "arm", "v7" },
    { "arm64", "arm", "v6" },   { "arm64", "arm", "v5" },
    { "arm", "arm", "v7" },     { "arm", "arm", "v6" },   { "arm", "arm", "v5" },
    { "riscv64", "riscv64", "" },
};

bool image_digest_ok(const char *digest)
{
    if (!digest || strncmp(digest, "sha256:", 7) != 0)
        return false;
    return strspn(digest + 7, "0123456789abcdef") == 64 && strlen(digest + 7) == 64;
}

struct image_platform image_platform_host(void)
{
    return (struct image_platform){ "linux", HOST_ARCH, HOST_VARIANT };
}

/* --- texts out of trees */

/* A string without NULs, or `otherwise` when the member is missing or null. */
static int manifest_text(const char **out, const struct json *obj, const char *key,
                         const char *otherwise, struct err *err)
{
    const struct json *v = json_get(obj, key);

    if (!v || json_is(v, JSON_NULL)) {
        *out = otherwise;
        return 0;
    }
    if (!json_is(v, JSON_STRING) || strlen(v->s) != v->len)
        return err_set(err, ERR_CORRUPT, "%s: not a text", key);
    *out = v->s;
    return 0;
}

static int manifest_texts(const char *const **out, struct arena *a, const struct json *obj,
                          const char *key, struct err *err)
{
    const struct json *v = json_get(obj, key), *item;
    const char **list;
    size_t n = 0;

    if (v && !json_is(v, JSON_NULL) && !json_is(v, JSON_ARRAY))
        return err_set(err, ERR_CORRUPT, "%s: not a list", key);
    list = arena_alloc(a, (json_len(v) + 1) * sizeof(*list));
    json_each(item, v) {
        if (!json_is(item, JSON_STRING) || strlen(item->s) != item->len)
            return err_set(err, ERR_CORRUPT, "%s[%zu]: not a text", key, n);
        list[n++] = item->s;
    }
    *out = list;
    return 0;
}

/* The keys of an object, or keys and values alternating. */
static int manifest_keys(const char *const **out, struct arena *a, const struct json *obj,
                         const char *key, bool values, struct err *err)
{
    const struct json *v = json_get(obj, key);
    const char **list;
    size_t n = 0;

    if (v && !json_is(v, JSON_NULL) && !json_is(v, JSON_OBJECT))
        return err_set(err, ERR_CORRUPT, "%s: not an object", key);
    list = arena_alloc(a, (2 * json_len(v) + 1) * sizeof(*list));
    json_each_member(m, v) {
        if (strlen(m->key) != m->key_len || (values && (!json_is(m->val, JSON_STRING) ||
                                                        strlen(m->val->s) != m->val->len)))
            return err_set(err, ERR_CORRUPT, "%s: not texts", key);
        list[n++] = m->key;
        if (values)
            list[n++] = m->val->s;
    }
    *out = list;
    return 0;
}

static int manifest_object(struct json **out, struct arena *a, const char *text, size_t len,
                           const char *what, struct err *err)
{
    struct err inner = ERR_INIT;

    if (len > IMAGE_MANIFEST_BYTES_MAX)
        return err_set(err, ERR_QUOTA, "%s: %zu bytes, more than %u", what, len,
                       IMAGE_MANIFEST_BYTES_MAX);
    if (json_parse(out, a, text, len, NULL, &inner) < 0)
        return err_set(err, inner.code == ERR_QUOTA ? ERR_QUOTA : ERR_CORRUPT, "%s: %s", what,
                       inner.msg);
    if (!json_is(*out, JSON_OBJECT))
        return err_set(err, ERR_CORRUPT, "%s: not a JSON object", what);
    return 0;
}

/* --- manifests and indexes */

static int manifest_platform(struct image_platform *out, const struct json *p, struct err *err)
{
    if (manifest_text(&out->os, p, "os", "", err) < 0 ||
        manifest_text(&out->arch, p, "architecture", "", err) < 0 ||
        manifest_text(&out->variant, p, "variant", "", err) < 0)
        return err_wrap(err, "platform");
    return 0;
}

static int manifest_desc(struct image_desc *out, const struct json *v, struct err *err)
{
    const struct json *notes = json_get(v, "annotations");

    if (!json_is(v, JSON_OBJECT))
        return err_set(err, ERR_CORRUPT, "not a descriptor");
    if (manifest_text(&out->media_type, v, "mediaType", "", err) < 0 ||
        manifest_text(&out->digest, v, "digest", "", err) < 0 ||
        manifest_platform(&out->platform, json_get(v, "platform"), err) < 0)
        return -1;
    if (!image_digest_ok(out->digest))
        return err_set(err, str_starts(out->digest, "sha512:") ? ERR_UNSUPPORTED : ERR_CORRUPT,
                       "digest \"%.100s\": not sha256", out->digest);
    out->size = json_get_int(v, "size", -1);
    if (json_get(v, "size") && out->size < 0)
        return err_set(err, ERR_CORRUPT, "size: not a number of bytes");
    if (json_len(json_get(v, "urls")) > 0 && strstr(out->media_type, "foreign"))
        return err_set(err, ERR_UNSUPPORTED, "foreign layers are not supported");
    out->ref_name = json_get_str(notes, "org.opencontainers.image.ref.name");
    out->image_name = json_get_str(notes, "io.containerd.image.name");
    return 0;
}

static int manifest_descs(struct image_manifest *out, struct arena *a, const struct json *list,
                          size_t max, struct err *err)
{
    const struct json *item;

    if (json_len(list) > max)
        return err_set(err, ERR_QUOTA, "%zu entries, more than %zu", json_len(list), max);
    out->v = arena_alloc(a, (json_len(list) + 1) * sizeof(*out->v));
    out->n = 0;
    json_each(item, list) {
        if (manifest_desc(&out->v[out->n], item, err) < 0)
            return err_wrap(err, "entry %zu", out->n);
        out->n++;
    }
    return 0;
}

int image_manifest_parse(struct image_manifest *out, struct arena *a, const char *text, size_t len,
                         struct err *err)
{
    struct image_manifest m = { 0 };
    struct json *doc, *list;

    if (manifest_object(&doc, a, text, len, "manifest", err) < 0)
        return -1;
    if (json_get_int(doc, "schemaVersion", 0) == 1)
        return err_set(err, ERR_UNSUPPORTED,
                       "manifest: schema version 1 is no longer supported: push "
                       "the image again with a current tool");
    if (json_get_int(doc, "schemaVersion", 0) != 2)
        return err_set(err, ERR_CORRUPT, "manifest: schemaVersion is not 2");
    m.is_index = json_is(json_get(doc, "manifests"), JSON_ARRAY);
    list = json_get(doc, m.is_index ? "manifests" : "layers");
    if (!json_is(list, JSON_ARRAY) || (m.is_index && json_get(doc, "layers")))
        return err_set(err, ERR_CORRUPT, "manifest: neither an index nor an image");
    if (!m.is_index && manifest_desc(&m.config, json_get(doc, "config"), err) < 0)
        return err_wrap(err, "manifest: config");
    if (manifest_descs(&m, a, list, m.is_index ? IMAGE_INDEX_ENTRIES_MAX : IMAGE_LAYERS_MAX,
                       err) < 0)
        return err_wrap(err, "manifest: %s", m.is_index ? "manifests" : "layers");
    *out = m;
    return 0;
}

/* 0 is the best; -1: does not run here. An image without a variant is the plain one of its
 * architecture. */
static int manifest_rank(struct image_platform host, struct image_platform p)
{
    const char *variant = p.variant;

    if (!str_eq(p.os, host.os))
        return -1;
    if (!*variant && str_eq(p.arch, "arm64"))
        variant = "v8";
    if (!*variant && str_eq(p.arch, "arm"))
        variant = "v7";
    if (str_eq(p.arch, "amd64") && str_eq(variant, "v1"))
        variant = "";
    for (size_t i = 0; i < ARRAY_LEN(manifest_runs); i++)
        if (str_eq(manifest_runs[i].host, host.arch) && str_eq(manifest_runs[i].arch, p.arch) &&
            str_eq(manifest_runs[i].variant, variant))
            return (int)i;
    return -1;
}

bool image_platform_runs(struct image_platform host, struct image_platform image)
{
    return manifest_rank(host, image) >= 0;
}

const struct image_desc *image_manifest_select(const struct image_manifest *index,
                                               struct image_platform want)
{
    const struct image_desc *best = NULL, *unknown = NULL;
    int best_rank = -1;

    for (size_t i = 0; i < index->n; i++) {
        const struct image_desc *d = &index->v[i];
        int rank = manifest_rank(want, d->platform);

        if (rank >= 0 && (!best || rank < best_rank)) {
            best = d;
            best_rank = rank;
        }
        if (!unknown && !*d->platform.os && !*d->platform.arch)
            unknown = d;            /* its configuration will tell */
    }
    return best ? best : unknown;
}

/* --- configurations */

static int config_layers(struct image_config *c, struct arena *a, const struct json *doc,
                         struct err *err)
{
    const struct json *rootfs = json_get(doc, "rootfs");

    if (!json_is(rootfs, JSON_OBJECT) || manifest_texts(&c->layers, a, rootfs, "diff_ids", err) < 0)
        return err_set(err, ERR_CORRUPT, "rootfs.diff_ids: not a list of digests");
    c->n_layers = json_len(json_get(rootfs, "diff_ids"));
    if (c->n_layers > IMAGE_LAYERS_MAX)
        return err_set(err, ERR_QUOTA, "%zu layers, more than %d", c->n_layers, IMAGE_LAYERS_MAX);
    for (size_t i = 0; i < c->n_layers; i++)
        if (!image_digest_ok(c->layers[i]))
            return err_set(err, ERR_CORRUPT, "rootfs.diff_ids[%zu]: not a sha256 digest", i);
    return 0;
}

int image_config_parse(struct image_config *out, struct arena *a, const char *text, size_t len,
                       struct err *err)
{
    struct image_config c = { 0 };
    struct json *doc, *run;

    if (manifest_object(&doc, a, text, len, "configuration", err) < 0)
        return -1;
    run = json_get(doc, "config");
    if (manifest_platform(&c.platform, doc, err) < 0 || config_layers(&c, a, doc, err) < 0 ||
        manifest_texts(&c.entrypoint, a, run, "Entrypoint", err) < 0 ||
        manifest_texts(&c.cmd, a, run, "Cmd", err) < 0 ||
        manifest_texts(&c.env, a, run, "Env", err) < 0 ||
        manifest_keys(&c.ports, a, run, "ExposedPorts", false, err) < 0 ||
        manifest_keys(&c.volumes, a, run, "Volumes", false, err) < 0 ||
        manifest_keys(&c.labels, a, run, "Labels", true, err) < 0 ||
        manifest_text(&c.workdir, run, "WorkingDir", "", err) < 0 ||
        manifest_text(&c.user, run, "User", "", err) < 0 ||
        manifest_text(&c.stop_signal, run, "StopSignal", "", err) < 0)
        return err_wrap(err, "configuration");
    *out = c;
    return 0;
}
