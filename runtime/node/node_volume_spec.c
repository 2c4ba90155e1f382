/* node_volume_spec.c -- what each volume of a pod shall be: which directory, which files, which
 * modes. */
#include "runtime/node/node_volume_int.h"

#include "core/object/quantity.h"

#include <limits.h>

struct files {
    struct node_volume_task *t;
    const struct node_volume_spec *s;
    mode_t mode;                         /* defaultMode */
    struct err *err;
};

/* --- names */

static bool is_name(const char *s)
{
    return !str_empty(s) && !strchr(s, '/') && !str_eq(s, ".") && !str_eq(s, "..") &&
        strlen(s) <= NAME_MAX;
}

const char *node_volume_place(const struct node_volume_host *h, struct arena *a,
                              const struct volume_view *v)
{
    bool disk = v->empty_dir && str_empty(v->empty_dir->medium);
    const char *root = arena_printf(a, disk ? "%s/pods" : "%s/volumes", disk ? h->data_dir :
                                    h->run_dir);
    const char *plugin = node_volume_plugin(v), *uid = object_uid(h->pod);

    if (v->host_path)
        return arena_strdup(a, v->host_path->path);
    if (!plugin || !is_name(uid) || !is_name(v->name))
        return NULL;
    return arena_printf(a, "%s/%s%s/%s/%s", root, uid, disk ? "/volumes" : "", plugin, v->name);
}

const char *node_volume_plugin(const struct volume_view *v)
{
    return v->config_map ? "kubernetes.io~configmap" : v->secret ? "kubernetes.io~secret"
           : v->projected ? "kubernetes.io~projected" : v->downward_api ?
               "kubernetes.io~downward-api"
           : v->empty_dir ? "kubernetes.io~empty-dir" : v->host_path ? "kubernetes.io~host-path" :
               NULL;
}

int node_volume_check_path(const char *path, struct err *err)
{
    if (str_empty(path))
        return err_set(err, ERR_INVALID, "invalid path: must not be empty: %s", path ? path : "");
    if (path[0] == '/')
        return err_set(err, ERR_INVALID, "invalid path: must be relative path: %s", path);
    if (strlen(path) > PATH_MAX)
        return err_set(err, ERR_INVALID,
                       "invalid path: must be less than or equal to %d characters", PATH_MAX);
    for (struct slice rest = slice_of(path), part; slice_split(&rest, '/', &part);) {
        if (slice_is(part, ".."))
            return err_set(err, ERR_INVALID, "invalid path: must not contain '..': %s", path);
        if (part.len > NAME_MAX)
            return err_set(err, ERR_INVALID,
                           "invalid path: filename must be less than or equal to %d characters",
                           NAME_MAX);
    }
    if (str_starts(path, ".."))
        return err_set(err, ERR_INVALID, "invalid path: must not start with '..': %s", path);
    return 0;
}

/* --- files */

static int add_file(struct files *f, const char *path, mode_t mode, int64_t uid, struct slice data)
{
    struct node_volume_file file = { .path = arena_strdup(f->s->a, path), .mode = mode & 0777,
                                     .uid = uid };

    if (node_volume_check_path(path, f->err) < 0)
        return -1;
    f->t->bytes += data.len;
    if (f->t->bytes > NODE_VOLUME_BYTES_MAX || f->t->files.len >= NODE_VOLUME_FILES_MAX)
        return err_set(f->err, ERR_QUOTA, "more than %d files or %u bytes", NODE_VOLUME_FILES_MAX,
                       NODE_VOLUME_BYTES_MAX);
    file.data = (struct slice){ arena_strndup(f->s->a, data.len ? data.p : "", data.len),
                                data.len };
    for (size_t i = 0; i < f->t->files.len; i++)
        if (str_eq(f->t->files.v[i].path, path)) {
            f->t->files.v[i] = file;             /* of two sources the later one wins */
            return 0;
        }
    vec_push(&f->t->files, file);
    return 0;
}

static mode_t mode_of(const struct files *f, bool has, int32_t mode)
{
    return has ? (mode_t)mode : f->mode;
}

/* The object, or NULL where it may be missing. */
static int find(struct files *f, struct object **out, const struct kind *k, const char *name,
                bool optional)
{
    struct err why = ERR_INIT;
    struct object *o = node_ref_get(f->s->refs, k, name, &why);

    if (!o && !(optional && why.code == ERR_NOT_FOUND))
        return err_set(f->err, why.code, "%s", why.msg);
    *out = o;
    return 0;
}

struct keys { const struct key_to_path_view *items; unsigned n; bool optional; };

static int add_config_map(struct files *f, const char *name, struct keys k)
{
    const struct config_map_view *cm;
    struct object *o;

    if (find(f, &o, kind_config_map(), name, k.optional) < 0)
        return -1;
    if (!o)
        return 0;
    cm = config_map_view(o);
    for (unsigned i = 0; !k.n && i < cm->data.n; i++)
        if (add_file(f, cm->data.v[i].key, f->mode, -1, slice_of(cm->data.v[i].value)) < 0)
            return -1;
    for (unsigned i = 0; !k.n && i < cm->binary_data.n; i++)
        if (add_file(f, cm->binary_data.v[i].key, f->mode, -1, cm->binary_data.v[i].value) < 0)
            return -1;
    for (unsigned i = 0; i < k.n; i++) {
        const char *text = view_map_get(&cm->data, k.items[i].key);
        const struct slice *bytes = view_bytes_get(&cm->binary_data, k.items[i].key);

        if (!text && !bytes && k.optional)
            continue;
        if (!text && !bytes)
            return err_set(f->err, ERR_NOT_FOUND,
                           "configmap references non-existent config key: %s",
                           k.items[i].key);
        if (add_file(f, k.items[i].path, mode_of(f, k.items[i].has_mode, k.items[i].mode), -1,
                     text ? slice_of(text) : *bytes) < 0)
            return -1;
    }
    return 0;
}

static int add_secret(struct files *f, const char *name, struct keys k)
{
    const struct secret_view *s;
    struct object *o;

    if (find(f, &o, kind_secret(), name, k.optional) < 0)
        return -1;
    if (!o)
        return 0;
    s = secret_view(o);
    for (unsigned i = 0; !k.n && i < s->data.n; i++)
        if (add_file(f, s->data.v[i].key, f->mode, -1, s->data.v[i].value) < 0)
            return -1;
    for (unsigned i = 0; i < k.n; i++) {
        const struct slice *bytes = view_bytes_get(&s->data, k.items[i].key);

        if (!bytes && k.optional)
            continue;
        if (!bytes)
            return err_set(f->err, ERR_NOT_FOUND, "references non-existent secret key: %s",
                           k.items[i].key);
        if (add_file(f, k.items[i].path, mode_of(f, k.items[i].has_mode, k.items[i].mode), -1,
                     *bytes) < 0)
            return -1;
    }
    return 0;
}

static int add_downward(struct files *f, const struct downward_api_volume_file_view *items,
                        unsigned n)
{
    struct node_env_of of = { f->s->a, f->s->pod, f->s->facts };

    for (unsigned i = 0; i < n; i++) {
        const struct downward_api_volume_file_view *d = &items[i];
        const char *text = "";

        if (d->field_ref && node_env_field(&text, &of, d->field_ref->field_path, f->err) < 0)
            return -1;
        if (d->resource_field_ref &&
            node_env_resource(&text, &of, NULL, d->resource_field_ref, f->err) < 0)
            return -1;
        if (add_file(f, d->path, mode_of(f, d->has_mode, d->mode), -1, slice_of(text)) < 0)
            return -1;
    }
    return 0;
}

/* The user of all containers, when they agree on one: then the token is for that user alone. */
static int64_t common_user(const struct pod_spec_view *s)
{
    const struct pod_security_context_view *p = s->security_context;
    int64_t user = -1;

    for (unsigned i = 0; i < s->n_init_containers + s->n_containers; i++) {
        const struct container_view *c = &s->containers[i];
        const struct security_context_view *sc;
        int64_t own = p && p->has_run_as_user ? p->run_as_user : -1;

        if (i >= s->n_containers)
            c = &s->init_containers[i - s->n_containers];
        sc = c->security_context;
        if (sc && sc->has_run_as_user)
            own = sc->run_as_user;

        if (own < 0 || (user >= 0 && own != user))
            return -1;
        user = own;
    }
    return user;
}

static int add_token(struct files *f, const struct service_account_token_projection_view *p)
{
    const struct node_volume_token *t = f->s->token(f->s->ctx, p);
    int64_t user = common_user(&pod_view(f->s->pod)->spec);

    if (!t || !t->text)
        return err_set(f->err, t && t->err.code ? t->err.code : ERR_UNAVAILABLE,
                       "failed to fetch token: %s",
                       t && t->err.code ? t->err.msg : "not yet answered");
    return add_file(f, p->path, user >= 0 || f->t->fs_group >= 0 ? 0600 : f->mode, user,
                    slice_of(t->text));
}

static int add_projected(struct files *f, const struct projected_volume_source_view *v)
{
    for (unsigned i = 0; i < v->n_sources; i++) {
        const struct volume_projection_view *p = &v->sources[i];
        int r = 0;

        if (p->secret)
            r = add_secret(f, p->secret->name, (struct keys){ p->secret->items, p->secret->n_items,
                                                              p->secret->optional });
        else if (p->config_map)
            r = add_config_map(f, p->config_map->name, (struct keys){ p->config_map->items,
                                                                      p->config_map->n_items,
                                                                      p->config_map->optional });
        else if (p->downward_api)
            r = add_downward(f, p->downward_api->items, p->downward_api->n_items);
        else if (p->service_account_token)
            r = add_token(f, p->service_account_token);
        else
            return err_set(f->err, ERR_UNSUPPORTED,
                           "sources[%u]: this kind of projection is not supported", i);
        if (r < 0)
            return -1;
    }
    return 0;
}

static mode_t default_mode(const struct volume_view *v)
{
    if (v->config_map)
        return v->config_map->has_default_mode ? (mode_t)v->config_map->default_mode : 0644;
    if (v->secret)
        return v->secret->has_default_mode ? (mode_t)v->secret->default_mode : 0644;
    if (v->projected)
        return v->projected->has_default_mode ? (mode_t)v->projected->default_mode : 0644;
    return v->downward_api->has_default_mode ? (mode_t)v->downward_api->default_mode : 0644;
}

static int files_task(struct node_volume_task *t, const struct node_volume_spec *s,
                      const struct volume_view *v,
                      struct err *err)
{
    struct files f = { t, s, default_mode(v), err };

    t->kind = NODE_VOLUME_FILES;
    if (v->config_map)
        return add_config_map(&f, v->config_map->name, (struct keys){ v->config_map->items,
                                                                      v->config_map->n_items,
                                                                      v->config_map->optional });
    if (v->secret)
        return add_secret(&f, v->secret->secret_name, (struct keys){ v->secret->items,
                                                                     v->secret->n_items,
                                                                     v->secret->optional });
    if (v->downward_api)
        return add_downward(&f, v->downward_api->items, v->downward_api->n_items);
    return add_projected(&f, v->projected);
}

/* --- emptyDir on memory: as large as the limit, the pod's memory or the node allow */

static int64_t pod_memory_limit(const struct pod_spec_view *s)
{
    int64_t sum = 0, one;

    for (unsigned i = 0; i < s->n_containers; i++) {
        const char *text = view_map_get(&s->containers[i].resources.limits, "memory");

        if (!text || quantity_value(text, &one, NULL) < 0 || one <= 0)
            return 0;
        sum += one;
    }
    return sum;
}

static int memory_task(struct node_volume_task *t, const struct node_volume_spec *s,
                       const char *limit,
                       struct err *err)
{
    int64_t sizes[] = { 0, pod_memory_limit(&pod_view(s->pod)->spec), s->facts->node_memory_bytes };

    t->kind = NODE_VOLUME_MEMORY;
    if (!str_empty(limit) && quantity_value(limit, &sizes[0], err) < 0)
        return err_wrap(err, "sizeLimit");
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
        if (sizes[i] > 0 && (t->size_bytes == 0 || sizes[i] < t->size_bytes))
            t->size_bytes = sizes[i];
    return 0;
}

/* --- all kinds */

/* The key of a volume that is of none of our kinds. */
static int unsupported(const struct node_volume_spec *s, const struct volume_view *v,
                       struct err *err)
{
    struct json *list = json_path(object_tree(s->pod, s->a), "spec.volumes"), *it;

    json_each(it, list) {
        if (!str_eq(json_get_str(it, "name"), v->name))
            continue;
        json_each_member(m, it)
            if (!str_eq(m->key, "name"))
                return err_set(err, ERR_UNSUPPORTED,
                               "no volume plugin matched: %s is not supported", m->key);
    }
    return err_set(err, ERR_UNSUPPORTED, "no volume plugin matched");
}

static int empty_dir_task(struct node_volume_task *t, const struct node_volume_spec *s,
                          const struct empty_dir_volume_source_view *e, struct err *err)
{
    t->kind = NODE_VOLUME_DISK;
    if (str_empty(e->medium))
        return 0;
    if (!str_eq(e->medium, "Memory"))
        return err_set(err, ERR_UNSUPPORTED, "emptyDir medium \"%s\" is not supported", e->medium);
    return memory_task(t, s, e->size_limit, err);
}

int node_volume_spec_task(struct node_volume_task *out, const struct node_volume_spec *s,
                          const struct volume_view *v, struct err *err)
{
    const struct pod_security_context_view *sc = pod_view(s->pod)->spec.security_context;
    struct node_volume_task t = { .name = arena_strdup(s->a, v->name),
                                  .fs_group = sc && sc->has_fs_group ? sc->fs_group : -1 };
    const char *plugin = node_volume_plugin(v);
    struct node_volume_host host = { s->pod, s->data_dir, s->run_dir };
    int r = 0;

    if (!plugin)
        return unsupported(s, v, err);
    t.dir = node_volume_place(&host, s->a, v);
    if (!t.dir)
        return err_set(err, ERR_INVALID, "invalid volume name or pod uid");
    if (v->host_path) {
        t.kind = NODE_VOLUME_HOST;
        t.host_type = arena_strdup(s->a, v->host_path->type ? v->host_path->type : "");
        if (t.dir[0] != '/')
            return err_set(err, ERR_INVALID, "hostPath \"%s\" is not absolute", t.dir);
    } else if (v->empty_dir) {
        r = empty_dir_task(&t, s, v->empty_dir, err);
    } else {
        r = files_task(&t, s, v, err);
    }
    if (r < 0)
        node_volume_task_deinit(&t);
    else
        *out = t;
    return r;
}

void node_volume_task_deinit(struct node_volume_task *t)
{
    vec_deinit(&t->files);
}
