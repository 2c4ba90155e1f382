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
#include "core/base/metric.h"
#include "core/base/ref.h"
#include "plugins/lua/lua_host.h"

#define NAME_BYTES 64

enum handler { MUTATE, VALIDATE, HANDLER_MAX };
enum end { ALLOWED, DENIED, FAILED, STOPPED, END_MAX };      /* stopped: by a limit */

/* What one file did; the same for all its versions. */
struct figures {
    struct ref ref;
    _Atomic uint64_t ends[HANDLER_MAX][END_MAX];
    struct metric_hist took[HANDLER_MAX];
    pthread_mutex_t lock;                    /* of the rest */
    char error[ERR_MSG_BYTES];
    int64_t error_s;
};

struct plugin {
    struct ref ref;
    struct figures *figures;
    char file[NAME_BYTES + 8];               /* "allow-registries.lua" */
    uint64_t hash;                           /* of its text */
    pthread_mutex_t lock;                    /* of host */
    struct lua_host *host;
};

struct broken { char file[NAME_BYTES + 8], error[ERR_MSG_BYTES]; int64_t error_s; };

struct set {
    struct ref ref;
    struct plugin *v[ADMIT_LUA_PLUGINS_MAX];
    size_t n;
    struct broken *broken;                   /* files that do not load, whatever stands in */
    size_t n_broken;
};

struct admit_lua {
    int dir;
    const struct env *env;
    pthread_mutex_t lock;                    /* of set: held to take a reference, no longer */
    struct set *set;
    void (*on_event)(void *ctx, const struct admit_lua_event *e);
    void *ctx;
    _Atomic uint64_t loads, load_failures;
    char row_name[NAME_BYTES], row_file[NAME_BYTES + 8], row_error[ERR_MSG_BYTES];
};

static struct figures *figures_new(void)
{
    struct figures *f = NEW(struct figures);

    ref_init(&f->ref);
    pthread_mutex_init(&f->lock, NULL);
    return f;
}

static void figures_unref(struct figures *f)
{
    if (!f || !ref_put(&f->ref))
        return;
    pthread_mutex_destroy(&f->lock);
    mem_free(f);
}

static struct plugin *plugin_unref(struct plugin *p)
{
    if (p && ref_put(&p->ref)) {
        lua_host_free(p->host);
        figures_unref(p->figures);
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
        mem_free(s->broken);
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

void admit_lua_on_event(struct admit_lua *l,
                        void (*fn)(void *ctx, const struct admit_lua_event *e), void *ctx)
{
    l->on_event = fn;
    l->ctx = ctx;
}

static void tell(const struct admit_lua *l, const char *plugin, const char *reason,
                 const char *message)
{
    if (l->on_event)
        l->on_event(l->ctx, &(struct admit_lua_event){ plugin, reason, message });
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

static void note_broken(struct admit_lua *l, struct set *into, const char *file, const char *error)
{
    struct broken *b;
    char name[NAME_BYTES];

    if (!into->broken)
        into->broken = mem_alloc_array(ADMIT_LUA_PLUGINS_MAX, sizeof(*into->broken));
    l->load_failures++;
    if (into->n_broken < ADMIT_LUA_PLUGINS_MAX) {
        b = &into->broken[into->n_broken++];
        snprintf(b->file, sizeof(b->file), "%s", file);
        snprintf(b->error, sizeof(b->error), "%s", error);
        b->error_s = env_wall_s(l->env);
    }
    snprintf(name, sizeof(name), "%.*s", (int)(strlen(file) - 4), file);
    tell(l, name, "FailedLoad", error);
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
        p->figures = was ? was->figures : figures_new();
        if (was)
            ref_get(&was->figures->ref);
        l->loads++;
        log_info("plugin loaded", "file=%s name=%s", file, lua_host_decl(p->host)->name);
        return true;
    }
    log_error("plugin not loaded", "file=%s error=%s%s", file, err.msg,
              was ? " (its former version stays)" : "");
    note_broken(l, into, file, err.msg);
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
            note_broken(l, now, names[i]->d_name, "too many plugins");
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

static uint64_t count(const struct figures *f, enum end end)
{
    return f->ends[MUTATE][end] + f->ends[VALIDATE][end];
}

static const struct broken *broken_of(const struct set *s, const char *file)
{
    for (size_t i = 0; i < s->n_broken; i++)
        if (str_eq(s->broken[i].file, file))
            return &s->broken[i];
    return NULL;
}

static void row_of(struct admit_lua *l, struct plugin *p, struct admit_lua_row *out)
{
    struct figures *f = p->figures;

    snprintf(l->row_name, sizeof(l->row_name), "%s", lua_host_decl(p->host)->name);
    snprintf(l->row_file, sizeof(l->row_file), "%s", p->file);
    pthread_mutex_lock(&f->lock);
    snprintf(l->row_error, sizeof(l->row_error), "%s", f->error);
    out->error_s = f->error_s;
    pthread_mutex_unlock(&f->lock);
    out->handlers = handlers(lua_host_decl(p->host));
    out->denied = count(f, DENIED);
    out->failed = count(f, FAILED);
    out->stopped = count(f, STOPPED);
    out->calls = count(f, ALLOWED) + out->denied + out->failed + out->stopped;
}

static void row_broken(struct admit_lua *l, const struct broken *b, struct admit_lua_row *out)
{
    snprintf(l->row_file, sizeof(l->row_file), "%s", b->file);
    snprintf(l->row_error, sizeof(l->row_error), "%s", b->error);
    out->error_s = b->error_s;
    out->broken = true;
}

/* The plugins, then the files that no plugin stands for. */
bool admit_lua_next(struct admit_lua *l, size_t *at, struct admit_lua_row *out)
{
    _cleanup_(set_unrefp) struct set *s = set_now(l);
    const struct broken *b;

    *out = (struct admit_lua_row){ .name = l->row_name, .file = l->row_file, .handlers = "",
                                   .error = l->row_error };
    if (*at < s->n) {
        row_of(l, s->v[*at], out);
        b = broken_of(s, s->v[(*at)++]->file);
        if (b)
            row_broken(l, b, out);
        return true;
    }
    while (*at - s->n < s->n_broken) {
        b = &s->broken[(*at)++ - s->n];
        if (find(s, b->file))
            continue;
        snprintf(l->row_name, sizeof(l->row_name), "%.*s", (int)(strlen(b->file) - 4), b->file);
        row_broken(l, b, out);
        return true;
    }
    return false;
}

/* --- figures */

static const int64_t took_bounds[] = {   /* 50 us to the limit of time */
    50000, 100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000, 25000000, 50000000,
    100000000,
};
static const struct metric_family
    f_calls = { "inro_plugin_calls_total", "Calls of Lua plugins by what came of them; stopped: by "
                "a limit of time or memory.", METRIC_COUNTER, NULL, 0, 0 },
    f_took = { "inro_plugin_duration_seconds", "Time in a handler of a Lua plugin.",
               METRIC_HISTOGRAM, took_bounds, ARRAY_LEN(took_bounds), 0 },
    f_loaded = { "inro_plugin_loaded", "Files of plugins: 1 as it is on disk, 0 it does not load.",
                 METRIC_GAUGE, NULL, 0, 0 },
    f_loads = { "inro_plugin_loads_total", "Files of plugins read anew, by result.", METRIC_COUNTER,
                NULL, 0, 0 };
static const char *const handler_names[] = { [MUTATE] = "mutate", [VALIDATE] = "validate" };
static const char *const end_names[] = { [ALLOWED] = "allowed", [DENIED] = "denied",
                                         [FAILED] = "failed", [STOPPED] = "stopped" };

static bool has(const struct plugin *p, enum handler h)
{
    const struct lua_host_decl *d = lua_host_decl(p->host);

    return h == MUTATE ? d->mutates : d->validates;
}

static void write_calls(struct buf *out, const struct plugin *p, bool times)
{
    for (int h = 0; h < HANDLER_MAX; h++) {
        _cleanup_buf_ struct buf labels = BUF_INIT;
        size_t len;

        if (!has(p, (enum handler)h))
            continue;
        metric_label(&labels, "plugin", lua_host_decl(p->host)->name);
        metric_label(&labels, "handler", handler_names[h]);
        len = labels.len;
        if (times)
            metric_write_hist(out, &f_took, labels.p, &p->figures->took[h]);
        for (int e = 0; e < END_MAX && !times; e++) {
            labels.len = len;
            metric_label(&labels, "result", end_names[e]);
            metric_write_u64(out, &f_calls, labels.p, p->figures->ends[h][e]);
        }
    }
}

static void write_loaded(struct buf *out, const struct set *s)
{
    metric_write_head(out, &f_loaded);
    for (size_t i = 0; i < s->n + s->n_broken; i++) {
        const char *file = i < s->n ? s->v[i]->file : s->broken[i - s->n].file;
        _cleanup_buf_ struct buf labels = BUF_INIT;

        if (i < s->n && broken_of(s, file))
            continue;
        metric_label(&labels, "file", file);
        metric_write_u64(out, &f_loaded, labels.p, i < s->n);
    }
}

void admit_lua_metrics(struct admit_lua *l, struct buf *out)
{
    _cleanup_(set_unrefp) struct set *s = set_now(l);

    metric_write_head(out, &f_calls);
    for (size_t i = 0; i < s->n; i++)
        write_calls(out, s->v[i], false);
    metric_write_head(out, &f_took);
    for (size_t i = 0; i < s->n; i++)
        write_calls(out, s->v[i], true);
    write_loaded(out, s);
    metric_write_head(out, &f_loads);
    metric_write_u64(out, &f_loads, "result=\"loaded\"", l->loads);
    metric_write_u64(out, &f_loads, "result=\"failed\"", l->load_failures);
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

/* One call on its way through a plugin. */
struct turn {
    struct admit_lua *l;
    struct plugin *p;
    enum handler handler;
    const struct admit_request *r;
    int64_t begun_ns;
    struct lua_host_verdict v;
    struct err err;
};

static void tell_turn(const struct turn *t, const char *reason, const char *what)
{
    const struct admit_request *r = t->r;
    static const char *const verbs[] = { [ADMIT_CREATE] = "create", [ADMIT_UPDATE] = "update",
                                         [ADMIT_DELETE] = "delete" };
    const char *name = str_empty(r->name) ? "(no name yet)" : r->name;

    if (r->dry_run || str_eq(r->kind->kind, "Event"))
        return;
    tell(t->l, lua_host_decl(t->p->host)->name, reason,
         arena_printf(r->a, "%s %s %s%s%s: %s", verbs[r->verb], r->kind->kind, r->ns,
                      *r->ns ? "/" : "", name, what));
}

static struct status *fail(struct turn *t)
{
    const struct lua_host_decl *d = lua_host_decl(t->p->host);
    struct figures *f = t->p->figures;
    bool limit = t->err.code == ERR_TIMEOUT || t->err.code == ERR_QUOTA;

    f->ends[t->handler][limit ? STOPPED : FAILED]++;
    pthread_mutex_lock(&f->lock);
    snprintf(f->error, sizeof(f->error), "%s", t->err.msg);
    f->error_s = env_wall_s(t->l->env);
    pthread_mutex_unlock(&f->lock);
    log_warn("plugin failed", "name=%s error=\"%s\"", d->name, t->err.msg);
    tell_turn(t, limit ? "Stopped" : "Failed", t->err.msg);
    if (d->failure == LUA_IGNORE)
        return NULL;
    return status_new(t->r->a, 500, "InternalError",
                      "Internal error occurred: failed calling plugin \"%s\": %s", d->name,
                      t->err.msg);
}

static struct status *judge(struct turn *t, int result)
{
    struct figures *f = t->p->figures;

    metric_hist_add(&f->took[t->handler], &f_took, metric_now_ns() - t->begun_ns);
    if (result < 0)
        return fail(t);
    for (unsigned i = 0; i < t->v.n_warnings; i++)
        codec_note(t->r->warnings, "%s", t->v.warnings[i]);
    f->ends[t->handler][t->v.denied ? DENIED : ALLOWED]++;
    if (!t->v.denied)
        return NULL;
    tell_turn(t, "Denied", t->v.denied);
    return status_new(t->r->a, 403, "Forbidden", "admission plugin \"%s\" denied the request: %s",
                      lua_host_decl(t->p->host)->name, t->v.denied);
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
        struct turn t = { .l = l, .p = p, .handler = VALIDATE, .r = r, .err = ERR_INIT };
        int result;

        if (!lua_host_decl(p->host)->validates || !wants(p, r))
            continue;
        pthread_mutex_lock(&p->lock);
        t.begun_ns = metric_now_ns();
        result = lua_host_validate(p->host, &request, &t.v, &t.err);
        pthread_mutex_unlock(&p->lock);
        refusal = judge(&t, result);
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
        struct turn t = { .l = l, .p = p, .handler = MUTATE, .r = r, .err = ERR_INIT };
        int result;

        if (!lua_host_decl(p->host)->mutates || !wants(p, r))
            continue;
        pthread_mutex_lock(&p->lock);
        t.begun_ns = metric_now_ns();
        result = lua_host_mutate(p->host, &request, &t.v, &t.err);
        pthread_mutex_unlock(&p->lock);
        if (result == 0 && t.v.object && !t.v.denied)
            result = put_back(r, t.v.object, &t.err);
        refusal = judge(&t, result);
    }
    return refusal;
}
