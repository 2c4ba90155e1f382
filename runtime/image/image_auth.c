/* image_auth.c -- matches pull secrets with images, and reads challenges. */
#include "runtime/image/image_auth.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/base/b64.h"
#include "core/base/vec.h"

#define AUTH_ARENA_BYTES (64u << 20)
#define AUTH_ENTRIES_MAX 2000

/* One registry of a secret: "host[:port][/path]" and what to say there. */
struct auth_entry { const char *key; struct image_cred cred; size_t order; };
struct auth_entries { VEC(struct auth_entry) list; };

static const char *auth_text(const struct json *obj, const char *key)
{
    const char *text = json_get_str(obj, key);

    return text ? text : "";
}

bool image_auth_decode(struct image_cred *out, struct arena *a, const char *basic)
{
    _cleanup_buf_ struct buf b = BUF_INIT;
    const char *colon;

    if (b64_decode(&b, B64_STD, basic, strlen(basic), NULL) < 0 || b.len == 0 ||
        !(colon = memchr(b.p, ':', b.len)))
        return false;
    *out = (struct image_cred){ .identity_token = "", .registry_token = "" };
    out->user = arena_strndup(a, b.p, (size_t)(colon - b.p));
    out->password = arena_strndup(a, colon + 1, b.len - (size_t)(colon - b.p) - 1);
    /* some tools pad with NULs: strndup has cut them off with the rest */
    return true;
}

/* The key without scheme; "/v1/" and "/v2/" stand for the whole host. */
static const char *auth_key(struct arena *a, const char *loc)
{
    const char *path;
    size_t host;

    if (str_starts(loc, "https://"))
        loc += 8;
    else if (str_starts(loc, "http://"))
        loc += 7;
    host = strcspn(loc, "/?#");
    path = loc + host;
    if (str_starts(path, "/v1/") || str_starts(path, "/v2/"))
        path += 3;
    if (*path != '/' || str_eq(path, "/"))
        path = "";
    return arena_printf(a, "%.*s%.*s", (int)host, loc, (int)strcspn(path, "?#"), path);
}

static void auth_read(struct auth_entries *out, struct arena *a, const char *secret)
{
    struct json *doc, *auths;

    if (strlen(secret) > IMAGE_SECRET_BYTES_MAX ||
        json_parse(&doc, a, secret, strlen(secret), NULL, NULL) < 0 || !json_is(doc, JSON_OBJECT))
        return;
    auths = json_get(doc, "auths");
    json_each_member(m, json_is(auths, JSON_OBJECT) ? auths : doc) {
        struct auth_entry e = { .key = auth_key(a, m->key), .order = out->list.len };

        if (!json_is(m->val, JSON_OBJECT) || out->list.len >= AUTH_ENTRIES_MAX)
            continue;
        if (!image_auth_decode(&e.cred, a, auth_text(m->val, "auth"))) {
            e.cred.user = auth_text(m->val, "username");
            e.cred.password = auth_text(m->val, "password");
        }
        e.cred.identity_token = auth_text(m->val, "identitytoken");
        e.cred.registry_token = auth_text(m->val, "registrytoken");
        if (*e.cred.user || *e.cred.identity_token || *e.cred.registry_token)
            vec_push(&out->list, e);
    }
}

/* --- matching */

static void auth_split(const char *url, struct slice *host, struct slice *port, const char **path)
{
    size_t len = strcspn(url, "/");
    const char *colon = memrchr(url, ':', len);

    if (colon && memchr(colon, ']', len - (size_t)(colon - url)))
        colon = NULL;
    *path = url + len;
    *host = (struct slice){ url, colon ? (size_t)(colon - url) : len };
    *port = colon ? (struct slice){ colon + 1, len - host->len - 1 } : (struct slice){ "", 0 };
}

/* The key may have "*" in the parts of its host; its path is a prefix. */
static bool auth_matches(const char *key, const char *image)
{
    struct slice want, have, want_port, have_port, a, b;
    const char *want_path, *have_path;

    auth_split(key, &want, &want_port, &want_path);
    auth_split(image, &have, &have_port, &have_path);
    if (!slice_eq(want_port, have_port) || !str_starts(have_path, want_path))
        return false;
    for (;;) {
        bool more = slice_split(&want, '.', &a);
        char pattern[256], text[256];

        if (more != slice_split(&have, '.', &b))
            return false;
        if (!more)
            return true;
        snprintf(pattern, sizeof(pattern), "%.*s", (int)a.len, a.p);
        snprintf(text, sizeof(text), "%.*s", (int)b.len, b.p);
        if (fnmatch(pattern, text, 0) != 0)
            return false;
    }
}

static int auth_compare(const void *x, const void *y)
{
    const struct auth_entry *a = x, *b = y;
    int r = strcmp(b->key, a->key);         /* longer, that is more specific, keys first */

    return r ? r : a->order < b->order ? -1 : 1;
}

static void auth_add(struct image_creds *out, struct arena *a, const struct image_cred *c)
{
    if (out->n == IMAGE_CREDS_MAX)
        return;
    out->v[out->n++] = (struct image_cred){
        arena_strdup(a, c->user), arena_strdup(a, c->password),
        arena_strdup(a, c->identity_token), arena_strdup(a, c->registry_token),
    };
}

void image_auth_match(struct image_creds *out, struct arena *a, const char *const *dockerconfigs,
                      const struct image_ref *ref)
{
    _cleanup_(arena_freep) struct arena *own = arena_new(AUTH_ARENA_BYTES);
    struct auth_entries e = { 0 };
    char image[sizeof(ref->domain) + sizeof(ref->path) + 1];

    out->n = 0;
    snprintf(image, sizeof(image), "%s/%s", ref->domain, ref->path);
    for (size_t i = 0; dockerconfigs && dockerconfigs[i]; i++)
        auth_read(&e, own, dockerconfigs[i]);
    if (e.list.len > 0)
        qsort(e.list.v, e.list.len, sizeof(*e.list.v), auth_compare);
    for (size_t i = 0; i < e.list.len; i++)
        if (auth_matches(e.list.v[i].key, image))
            auth_add(out, a, &e.list.v[i].cred);
    for (size_t i = 0; out->n == 0 && i < e.list.len && str_eq(ref->domain, "docker.io"); i++)
        if (str_eq(e.list.v[i].key, "index.docker.io"))
            auth_add(out, a, &e.list.v[i].cred);
    vec_deinit(&e.list);
}

/* --- challenges: Scheme key="value", key=value, Scheme ... */

static const char *challenge_skip(const char *p)
{
    return p + strspn(p, " \t,");
}

/* name=value or name="value" at *p; false when there is none there. */
static bool challenge_param(const char **p, struct arena *a, struct slice *name, const char **value)
{
    const char *at = *p;
    size_t n = strcspn(at, " \t,=\"");
    struct buf b = BUF_INIT;

    if (n == 0 || at[n] != '=')
        return false;
    *name = (struct slice){ at, n };
    at += n + 1;
    if (*at == '"') {
        for (at++; *at && *at != '"'; at++) {
            if (*at == '\\' && at[1])
                at++;
            buf_chr(&b, *at);
        }
        at += *at == '"';
    } else {
        n = strcspn(at, " \t,");
        buf_add(&b, at, n);
        at += n;
    }
    *value = arena_strndup(a, b.p ? b.p : "", b.len);
    buf_deinit(&b);
    *p = at;
    return true;
}

static bool challenge_name(struct slice name, const char *want)
{
    return name.len == strlen(want) && strncasecmp(name.p, want, name.len) == 0;
}

void image_auth_challenge(struct image_challenge *out, struct arena *a, const char *header)
{
    struct image_challenge c = { .realm = "", .service = "", .scope = "", .error = "" };
    const char *p = challenge_skip(header), *value;
    bool here = false;                      /* inside of the Bearer challenge */
    struct slice name;

    while (*p) {
        if (challenge_param(&p, a, &name, &value)) {
            if (here && challenge_name(name, "realm"))
                c.realm = value;
            else if (here && challenge_name(name, "service"))
                c.service = value;
            else if (here && challenge_name(name, "scope"))
                c.scope = value;
            else if (here && challenge_name(name, "error"))
                c.error = value;
        } else {
            name = (struct slice){ p, strcspn(p, " \t,") };
            here = challenge_name(name, "Bearer");
            c.bearer = c.bearer || here;
            c.basic = c.basic || challenge_name(name, "Basic");
            p += name.len > 0 ? name.len : 1;
        }
        p = challenge_skip(p);
    }
    *out = c;
}
