/* image_registries.c -- the endpoints for one image, from registries.yaml. */
#include "runtime/image/image_registries.h"

#include <fcntl.h>
#include <regex.h>
#include <stdio.h>
#include <string.h>

#include "core/base/fd.h"
#include "core/base/yaml.h"

#define REGISTRIES_GROUPS 10

/* Where the roots of this system are; the first that is there is taken. */
static const char *const registries_roots[] = {
    "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem",
};

struct registries {
    struct arena *a;
    const struct image_ref *ref;
    const struct image_registries_opts *o;
    struct json *doc;                   /* NULL: no file */
};

bool image_registries_is_loopback(const char *host)
{
    size_t name = strcspn(host, ":");
    unsigned b[4];
    char end;

    if (str_starts(host, "[::1]"))
        return true;
    if (name == 9 && strncmp(host, "localhost", 9) == 0)
        return true;
    return sscanf(host, "%3u.%3u.%3u.%3u%c", &b[0], &b[1], &b[2], &b[3],
                  &end) >= 4 && b[0] == 127 &&
           strspn(host, "0123456789.") == name;
}

static const char *registries_text(const struct json *obj, const char *key)
{
    const char *text = json_get_str(obj, key);

    return text ? text : "";
}

/* By name, else "*". */
static struct json *registries_entry(const struct registries *r, const char *section,
                                     const char *name)
{
    struct json *all = json_get(r->doc, section), *one = json_get(all, name);

    return one ? one : json_get(all, "*");
}

static int registries_pem(const char **out, const struct registries *r, const char *path,
                          struct err *err)
{
    _cleanup_buf_ struct buf b = BUF_INIT;

    *out = "";
    if (!*path)
        return 0;
    if (fd_read_file(&b, AT_FDCWD, path, IMAGE_PEM_BYTES_MAX, err) < 0)
        return err_wrap(err, "%s", r->o->file);
    *out = arena_strndup(r->a, b.p ? b.p : "", b.len);
    return 0;
}

/* Own CAs are trusted beside those of the system. */
static const char *registries_with_roots(const struct registries *r, const char *own)
{
    _cleanup_buf_ struct buf b = BUF_INIT;

    if (!*own && !*r->o->ca_pem)
        return "";
    buf_fmt(&b, "%s\n%s\n", own, r->o->ca_pem);
    for (size_t i = 0; i < ARRAY_LEN(registries_roots); i++)
        if (fd_read_file(&b, AT_FDCWD, registries_roots[i], IMAGE_PEM_BYTES_MAX - b.len, NULL) == 0)
            break;
    return arena_strndup(r->a, b.p, b.len);
}

static void registries_auth(struct image_endpoint *e, const struct registries *r,
                            const struct json *auth)
{
    struct image_cred c = {
        registries_text(auth, "username"), registries_text(auth, "password"),
        registries_text(auth, "identity_token"), "",
    };

    if (!*c.user && *registries_text(auth, "auth"))
        image_auth_decode(&c, r->a, registries_text(auth, "auth"));
    if (*c.user || *c.identity_token) {
        e->creds.v[0] = c;
        e->creds.n = 1;
    }
}

/* What `configs` says about a host[:port]. */
static int registries_config(struct image_endpoint *e, const struct registries *r, const char *host,
                             struct err *err)
{
    const struct json *config = registries_entry(r, "configs", host);
    const struct json *tls = json_get(config, "tls");
    const char *ca;

    if (registries_pem(&ca, r, registries_text(tls, "ca_file"), err) < 0 ||
        registries_pem(&e->cert_pem, r, registries_text(tls, "cert_file"), err) < 0 ||
        registries_pem(&e->key_pem, r, registries_text(tls, "key_file"), err) < 0)
        return -1;
    e->ca_pem = registries_with_roots(r, ca);
    e->insecure = json_get_bool(tls, "insecure_skip_verify", false);
    registries_auth(e, r, json_get(config, "auth"));
    return 0;
}

/* --- mirrors */

/* "$1" and "${1}" are the groups of the match; what is around it stays. */
static void registries_replace(struct buf *out, const char *path, const char *to,
                               const regmatch_t groups[REGISTRIES_GROUPS])
{
    buf_add(out, path, (size_t)groups[0].rm_so);
    for (const char *p = to; *p; p++) {
        bool brace = p[0] == '$' && p[1] == '{' && p[2] >= '0' && p[2] <= '9' && p[3] == '}';
        const regmatch_t *g;

        if (!brace && !(p[0] == '$' && p[1] >= '0' && p[1] <= '9')) {
            buf_chr(out, *p);
            continue;
        }
        g = &groups[p[brace ? 2 : 1] - '0'];
        if (g->rm_so >= 0)
            buf_add(out, path + g->rm_so, (size_t)(g->rm_eo - g->rm_so));
        p += brace ? 3 : 1;
    }
    buf_str(out, path + groups[0].rm_eo);
}

static int registries_rewrite(const char **out, const struct registries *r,
                              const struct json *rules,
                              struct err *err)
{
    *out = r->ref->path;
    json_each_member(m, rules) {
        _cleanup_buf_ struct buf b = BUF_INIT;
        regmatch_t groups[REGISTRIES_GROUPS];
        regex_t re;
        int found;

        if (!json_text(m->val) || regcomp(&re, m->key, REG_EXTENDED) != 0)
            return err_set(err, ERR_INVALID,
                           "%s: rewrite \"%.100s\": not a regular expression that is "
                           "understood", r->o->file, m->key);
        found = regexec(&re, r->ref->path, REGISTRIES_GROUPS, groups, 0) == 0;
        if (found)
            registries_replace(&b, r->ref->path, json_text(m->val), groups);
        regfree(&re);
        if (found) {
            *out = arena_strndup(r->a, b.p ? b.p : "", b.len);
            return 0;
        }
    }
    return 0;
}

/* "https://host:port", "http://...", "host:port"; a path is kept, else it is /v2. */
static int registries_mirror(struct image_endpoint *e, const struct registries *r, const char *url,
                             struct err *err)
{
    const char *rest = strstr(url, "://");
    size_t host, len;

    if (rest && !str_starts(url, "http://") && !str_starts(url, "https://"))
        return err_set(err, ERR_INVALID, "%s: endpoint \"%.200s\": neither http nor https",
                       r->o->file,
                       url);
    rest = rest ? rest + 3 : url;
    host = strcspn(rest, "/?#");
    if (host == 0 || strpbrk(rest, "?#@ "))
        return err_set(err, ERR_INVALID, "%s: endpoint \"%.200s\": not a URL", r->o->file, url);
    len = strlen(rest);
    while (len > host && rest[len - 1] == '/')
        len--;
    e->url = arena_printf(r->a, "%s://%.*s%s", str_starts(url, "http://") ? "http" : "https",
                          (int)len,
                          rest, len == host ? "/v2" : "");
    e->ns = r->ref->domain;
    return registries_config(e, r, arena_strndup(r->a, rest, host), err);
}

static int registries_mirrors(struct image_endpoints *out, const struct registries *r,
                              struct err *err)
{
    const struct json *entry = registries_entry(r, "mirrors", r->ref->domain);
    struct json *list = json_get(entry, "endpoint"), *item;
    const char *path;

    if (registries_rewrite(&path, r, json_get(entry, "rewrite"), err) < 0)
        return -1;
    json_each(item, list) {
        struct image_endpoint *e = &out->v[out->n];

        if (out->n + 1 >= IMAGE_ENDPOINTS_MAX)
            return err_set(err, ERR_QUOTA, "%s: more than %d endpoints", r->o->file,
                           IMAGE_ENDPOINTS_MAX - 1);
        if (!json_text(item))
            return err_set(err, ERR_INVALID, "%s: an endpoint that is no text", r->o->file);
        if (registries_mirror(e, r, json_text(item), err) < 0)
            return -1;
        e->path = path;
        out->n++;
    }
    return 0;
}

static int registries_self(struct image_endpoints *out, const struct registries *r, struct err *err)
{
    struct image_endpoint *e = &out->v[out->n];
    const char *domain = r->ref->domain;
    bool tls = json_get(registries_entry(r, "configs", domain), "tls") != NULL;
    const char *host = str_eq(domain, "docker.io") ? "registry-1.docker.io" : domain;

    if (registries_config(e, r, domain, err) < 0)
        return -1;
    e->url = arena_printf(r->a, "%s://%s/v2",
                          image_registries_is_loopback(domain) && !tls ? "http" : "https", host);
    e->path = r->ref->path;
    e->ns = "";
    if (r->o->creds->n > 0)
        e->creds = *r->o->creds;
    out->n++;
    return 0;
}

static int registries_load(struct registries *r, struct err *err)
{
    _cleanup_buf_ struct buf b = BUF_INIT;
    struct err why = ERR_INIT;

    if (!r->o->file)
        return 0;
    if (fd_read_file(&b, AT_FDCWD, r->o->file, IMAGE_REGISTRIES_BYTES_MAX, &why) < 0)
        return why.code == ERR_NOT_FOUND ? 0 : err_set(err, ERR_FAILED, "%s", why.msg);
    if (yaml_parse(&r->doc, r->a, b.p ? b.p : "", b.len, NULL, &why) < 0)
        return err_set(err, ERR_INVALID, "%s: %s", r->o->file, why.msg);
    if (!json_is(r->doc, JSON_OBJECT) && !json_is(r->doc, JSON_NULL))
        return err_set(err, ERR_INVALID, "%s: not a map", r->o->file);
    return 0;
}

int image_registries_find(struct image_endpoints *out, struct arena *a, const struct image_ref *ref,
                          const struct image_registries_opts *o, struct err *err)
{
    struct registries r = { .a = a, .ref = ref, .o = o };

    *out = (struct image_endpoints){ 0 };
    if (registries_load(&r, err) < 0 || registries_mirrors(out, &r, err) < 0)
        return -1;
    return registries_self(out, &r, err);
}
