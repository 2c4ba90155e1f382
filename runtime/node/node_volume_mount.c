/* node_volume_mount.c -- volumeMounts of a container as binds of its plan. */
#include "runtime/node/node_volume_int.h"

static const struct volume_view *find_volume(const struct pod_spec_view *s, const char *name)
{
    for (unsigned i = 0; i < s->n_volumes; i++)
        if (str_eq(s->volumes[i].name, name))
            return &s->volumes[i];
    return NULL;
}

const char *node_volumes_path(const struct node_volumes *v, struct arena *a, const char *name)
{
    struct node_volume_host h = node_volume_host_of(v);
    const struct volume_view *view = find_volume(&pod_view(h.pod)->spec, name);

    return view ? node_volume_place(&h, a, view) : NULL;
}

static int subpath(const char **out, struct arena *a, const struct volume_mount_view *m,
                   const struct plan_texts *own, struct err *err)
{
    const char *path = m->sub_path;

    if (!str_empty(m->sub_path_expr) && node_env_expand_strict(&path, a, m->sub_path_expr, own,
                                                               err) < 0)
        return -1;
    *out = NULL;
    if (str_empty(path))
        return 0;
    if (path[0] == '/')
        return err_set(err, ERR_INVALID, "error SubPath `%s` must not be an absolute path", path);
    for (struct slice rest = slice_of(path), part; slice_split(&rest, '/', &part);)
        if (slice_is(part, ".."))
            return err_set(err, ERR_INVALID,
                           "unable to provision SubPath `%s`: must not contain '..'", path);
    *out = arena_strdup(a, path);
    return 0;
}

static enum plan_propagation propagation(const char *text)
{
    if (str_eq(text, "HostToContainer"))
        return PLAN_SLAVE;
    return str_eq(text, "Bidirectional") ? PLAN_SHARED : PLAN_PRIVATE;
}

/* Devices of the host: only where they are meant. */
static bool devices_allowed(const struct container_view *c, const struct volume_view *v)
{
    const char *type = v->host_path ? v->host_path->type : NULL;

    return (v->host_path && c->security_context && c->security_context->privileged) ||
           str_eq(type, "CharDevice") || str_eq(type, "BlockDevice");
}

static int add_mount(const struct node_volume_host *h, const struct node_volume_mounts *to,
                     const struct volume_mount_view *m, const char *below)
{
    const struct volume_view *v = find_volume(&pod_view(h->pod)->spec, m->name);
    const char *place = v ? node_volume_place(h, to->a, v) : NULL;
    struct plan_mount *p;

    if (!place)
        return -1;
    p = plan_add_mount(to->plan, to->a);
    p->kind = PLAN_BIND;
    p->source = place;
    p->subpath = below;
    p->dest = arena_printf(to->a, "%s%s", m->mount_path[0] == '/' ? "" : "/", m->mount_path);
    /* What changes as a whole is never written to by a container. */
    p->read_only = m->read_only || !(v->host_path || v->empty_dir);
    p->make_subpath = v->empty_dir || v->host_path;
    p->recursive = true;
    p->propagation = propagation(m->mount_propagation);
    p->allow_dev = devices_allowed(to->c, v);
    p->allow_suid = true;
    return 0;
}

int node_volumes_add_mounts(const struct node_volumes *v, const struct node_volume_mounts *to,
                            struct err *err)
{
    struct node_volume_host h = node_volume_host_of(v);

    for (unsigned i = 0; i < to->c->n_volume_mounts; i++) {
        const struct volume_mount_view *m = &to->c->volume_mounts[i];
        const char *below;

        if (subpath(&below, to->a, m, to->own, err) < 0)
            return -1;
        if (add_mount(&h, to, m, below) < 0)
            return err_set(err, ERR_INVALID, "cannot find volume \"%s\" to mount into container "
                           "\"%s\"", m->name, to->c->name);
    }
    return 0;
}
