/* plugins/admit/admit_lua.c -- the set of plugins, and requests through it. */
#include "plugins/admit/admit_lua.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/fd.h"
#include "core/base/log.h"
#include "core/base/ref.h"
#include "plugins/lua/lua_host.h"

#define NAME_BYTES 64

struct plugin {
    struct ref ref;
    char file[NAME_BYTES + 8];               /* "allow-registries.lua" */
    uint64_t hash;                           /* of its text */
    pthread_mutex_t lock;                    /* of host */
    struct lua_host *host;
    atomic_uint_fast64_t calls, denied, failed;
};

struct set {
    struct ref ref;
    struct plugin *v[ADMIT_LUA_PLUGINS_MAX];
    size_t n;
};

struct admit_lua {
    int dir;
    const struct env *env;
    pthread_mutex_t lock;                    /* of set: held to take a reference, no longer */
    struct set *set;
    char row_name[NAME_BYTES], row_file[NAME_BYTES + 8];
};

static struct plugin *plugin_unref(struct plugin *p)
{
    if (p && ref_put(&p->ref)) {
        lua_host_free(p->host);
        pthread_mutex_destroy(&p->lock);
        mem_free(p);
    }
    return NULL;
}

static struct set *set_unref(struct set *s)
{
    if (s && ref_put(&s->ref)) {
        for (size_t i = 0; i < s->n; i++)
            plugin_unref(s->v[i]);
        mem_free(s);
    }
    return NULL;
}
CLEANUP_DEFINE(struct set, set_unref)

static struct set *set_now(struct admit_lua *l)
{
    struct set *s;

    pthread_mutex_lock(&l->lock);
    s = l->set;
    ref_get(&s->ref);
    pthread_mutex_unlock(&l->lock);
    return s;
}

static struct set *set_new(void)
{
    struct set *s = NEW(struct set);

    ref_init(&s->ref);
    return s;
}

struct admit_lua *admit_lua_new(int dir, const struct env *env)
{
    struct admit_lua *l = NEW(struct admit_lua);

    l->dir = dir;
    l->env = env;
    l->set = set_new();
    pthread_mutex_init(&l->lock, NULL);
    return l;
}

struct admit_lua *admit_lua_free(struct admit_lua *l)
{
    if (!l)
        return NULL;
    set_unref(l->set);
    pthread_mutex_destroy(&l->lock);
    fd_close(l->dir);
    return mem_free(l);
}

/* --- loading */

static void on_print(void *ctx, const char *plugin, const char *line)
{
    (void)ctx;
    log_info("plugin", "name=%s text=%s", plugin, line);
}

static int load(struct plugin **out, struct admit_lua *l, const char *file, struct slice text,
                struct err *err)
{
    struct plugin *p;
    struct lua_host *host = NULL;
    char name[NAME_BYTES];
    struct lua_host_opts o = { .name = name, .source = text, .env = l->env, .on_print = on_print };

    snprintf(name, sizeof(name), "%.*s", (int)(strlen(file) - 4), file);
    if (lua_host_new(&host, &o, err) < 0)
        return -1;
    p = NEW(struct plugin);
    ref_init(&p->ref);
    pthread_mutex_init(&p->lock, NULL);
    p->host = host;
    p->hash = str_hash(text.p ? text.p : "", text.len);
    snprintf(p->file, sizeof(p->file), "%s", file);
    *out = p;
    return 0;
}

static struct plugin *find(const struct set *s, const char *file)
{
    for (size_t i = 0; i < s->n; i++)
        if (str_eq(s->v[i]->file, file))
            return s->v[i];
    return NULL;
}

static void keep(struct set *s, struct plugin *p)
{
    ref_get(&p->ref);
    s->v[s->n++] = p;
}

/* One file into the new set: as it was, or loaded anew. False: it fails. */
static bool take(struct admit_lua *l, struct set *into, const struct set *old, const char *file)
{
    _cleanup_buf_ struct buf text = BUF_INIT;
    struct plugin *was = find(old, file), *p = NULL;
    struct err err = ERR_INIT;

    if (fd_read_file(&text, l->dir, file, LUA_HOST_SOURCE_BYTES_MAX + 1, &err) == 0 && was &&
        was->hash == str_hash(text.p ? text.p : "", text.len)) {
        keep(into, was);
        return true;
    }
    if (err.code == ERR_NONE &&
        load(&p, l, file, (struct slice){ text.p ? text.p : "", text.len }, &err) == 0) {
        into->v[into->n++] = p;
        log_info("plugin loaded", "file=%s name=%s", file, lua_host_decl(p->host)->name);
        return true;
    }
    log_error("plugin not loaded", "file=%s error=%s%s", file, err.msg,
              was ? " (its former version stays)" : "");
    if (was)
        keep(into, was);
    return false;
}

static int is_plugin(const struct dirent *e)
{
    size_t len = strlen(e->d_name);

    return e->d_name[0] != '.' && len > 4 && len < NAME_BYTES && str_ends(e->d_name, ".lua") &&
           !str_ends(e->d_name, "_test.lua");
}

unsigned admit_lua_reload(struct admit_lua *l)
{
    _cleanup_(set_unrefp) struct set *old = set_now(l);
    struct set *now = set_new();
    struct dirent **names = NULL;
    unsigned failed = 0;
    int n = scandirat(l->dir, ".", &names, is_plugin, alphasort);

    for (int i = 0; i < n; i++) {
        if (now->n == ADMIT_LUA_PLUGINS_MAX) {
            log_error("plugin not loaded", "file=%s error=more than %d plugins", names[i]->d_name,
                      ADMIT_LUA_PLUGINS_MAX);
            failed++;
        } else if (!take(l, now, old, names[i]->d_name)) {
            failed++;
        }
        mem_free(names[i]);
    }
    mem_free(names);
    pthread_mutex_lock(&l->lock);
    set_unref(l->set);
    l->set = now;
    pthread_mutex_unlock(&l->lock);
    return failed;
}

static const char *handlers(const struct lua_host_decl *d)
{
    return !d->mutates ? "validate" : d->validates ? "mutate, validate" : "mutate";
}

bool admit_lua_next(struct admit_lua *l, size_t *at, struct admit_lua_row *out)
{
    _cleanup_(set_unrefp) struct set *s = set_now(l);

    if (*at >= s->n)
        return false;

    struct plugin *p = s->v[(*at)++];

    snprintf(l->row_name, sizeof(l->row_name), "%s", lua_host_decl(p->host)->name);
    snprintf(l->row_file, sizeof(l->row_file), "%s", p->file);
    *out = (struct admit_lua_row){ .name = l->row_name, .file = l->row_file,
                                   .handlers = handlers(lua_host_decl(p->host)), .calls = p->calls,
                                   .denied = p->denied, .failed = p->failed };
    return true;
}

/* --- requests */

static const struct json *look_up(void *ctx, struct arena *a, const struct lua_host_key *key)
{
    const struct admit_request *r = ctx;
    const struct kind *kind = kind_by_api_version(key->api_version, key->kind);
    struct object *o = kind && kind->served && r->lookup ?
        r->lookup->get(r->lookup->ctx, kind->storage, key->ns, key->name) : NULL;
    const struct json *tree = o ? object_tree(o, a) : NULL;

    object_unref(o);
    return tree;
}

static const enum lua_operation operations[] = {
    [ADMIT_CREATE] = LUA_CREATE, [ADMIT_UPDATE] = LUA_UPDATE, [ADMIT_DELETE] = LUA_DELETE,
};

static struct lua_host_request request_of(const struct admit_request *r)
{
    return (struct lua_host_request){
        .a = r->a, .operation = operations[r->verb], .api_version = r->kind->api_version,
        .kind = r->kind->kind, .resource = r->kind->resource, .subresource = r->subresource,
        .ns = r->ns, .name = r->name, .user = r->user, .dry_run = r->dry_run, .object = r->object,
        .old = r->old, .get = look_up, .ctx = (void *)r,
    };
}

static struct status *judge(struct plugin *p, const struct admit_request *r, int result,
                            const struct lua_host_verdict *v, const struct err *err)
{
    const struct lua_host_decl *d = lua_host_decl(p->host);

    if (result < 0) {
        p->failed++;
        log_warn("plugin failed", "name=%s error=%s", d->name, err->msg);
        if (d->failure == LUA_IGNORE)
            return NULL;
        return status_new(r->a, 500, "InternalError",
                          "Internal error occurred: failed calling plugin \"%s\": %s", d->name,
                          err->msg);
    }
    for (unsigned i = 0; i < v->n_warnings; i++)
        codec_note(r->warnings, "%s", v->warnings[i]);
    if (!v->denied)
        return NULL;
    p->denied++;
    return status_new(r->a, 403, "Forbidden", "admission plugin \"%s\" denied the request: %s",
                      d->name, v->denied);
}

/* Writes of subresources (status, binding) are the cluster's own business. */
static bool wants(const struct plugin *p, const struct admit_request *r)
{
    return !*r->subresource && lua_host_matches(p->host, operations[r->verb], r->kind->group,
                                                r->kind->kind, r->ns);
}

struct status *admit_lua_validate(struct admit_lua *l, const struct admit_request *r)
{
    _cleanup_(set_unrefp) struct set *s = set_now(l);
    struct lua_host_request request = request_of(r);
    struct status *refusal = NULL;

    for (size_t i = 0; i < s->n && !refusal; i++) {
        struct plugin *p = s->v[i];
        struct lua_host_verdict v = { 0 };
        struct err err = ERR_INIT;
        int result;

        if (!lua_host_decl(p->host)->validates || !wants(p, r))
            continue;
        p->calls++;
        pthread_mutex_lock(&p->lock);
        result = lua_host_validate(p->host, &request, &v, &err);
        pthread_mutex_unlock(&p->lock);
        refusal = judge(p, r, result, &v, &err);
    }
    return refusal;
}

/* What the plugin made becomes the object, unless it is none of this kind any more. */
static int put_back(const struct admit_request *r, const struct json *made, struct err *err)
{
    static const char *const fixed[] = { "metadata.name", "metadata.namespace", "metadata.uid",
                                         "metadata.resourceVersion", "kind", "apiVersion" };
    struct json *tree = NULL;

    for (size_t i = 0; i < ARRAY_LEN(fixed); i++)
        if (!str_eq(json_path_str(made, fixed[i]), json_path_str(r->object, fixed[i])))
            return err_set(err, ERR_INVALID, "it changed %s, which is not its to change", fixed[i]);
    if (codec_canonical(&tree, r->a, r->kind->type, made, NULL, err) < 0)
        return err_wrap(err, "the object it made");
    json_set_str(r->a, tree, "kind", r->kind->kind);
    json_set_str(r->a, tree, "apiVersion", r->kind->api_version);
    codec_default(tree, r->a, r->kind);
    *r->object = *tree;
    return 0;
}

struct status *admit_lua_mutate(struct admit_lua *l, const struct admit_request *r)
{
    _cleanup_(set_unrefp) struct set *s = set_now(l);
    struct status *refusal = NULL;

    for (size_t i = 0; i < s->n && !refusal && r->object; i++) {
        struct plugin *p = s->v[i];
        struct lua_host_request request = request_of(r);
        struct lua_host_verdict v = { 0 };
        struct err err = ERR_INIT;
        int result;

        if (!lua_host_decl(p->host)->mutates || !wants(p, r))
            continue;
        p->calls++;
        pthread_mutex_lock(&p->lock);
        result = lua_host_mutate(p->host, &request, &v, &err);
        pthread_mutex_unlock(&p->lock);
        if (result == 0 && v.object && !v.denied)
            result = put_back(r, v.object, &err);
        refusal = judge(p, r, result, &v, &err);
    }
    return refusal;
}
