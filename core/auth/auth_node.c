#include "core/auth/auth_node.h"

#include "core/base/str.h"
#include "gen/views.h"

const char *auth_node_of(const struct auth_user *u)
{
    if (!auth_user_in(u, AUTH_NODE_GROUP) || !str_starts(u->name, AUTH_NODE_PREFIX) ||
        !u->name[strlen(AUTH_NODE_PREFIX)])
        return NULL;
    return u->name + strlen(AUTH_NODE_PREFIX);
}

bool auth_node_runs(const char *node, const struct object *pod)
{
    return str_eq(pod_view(pod)->spec.node_name, node);
}

/* --- names in a pod */

struct sought { bool secret; const char *name; };

static bool is(const struct sought *s, bool secret, const char *name)
{
    return s->secret == secret && str_eq(name, s->name);
}

static bool in_volume(const struct sought *s, const struct volume_view *v)
{
    if ((v->secret && is(s, true, v->secret->secret_name)) ||
        (v->config_map && is(s, false, v->config_map->name)))
        return true;
    for (unsigned i = 0; v->projected && i < v->projected->n_sources; i++) {
        const struct volume_projection_view *p = &v->projected->sources[i];

        if ((p->secret && is(s, true, p->secret->name)) ||
            (p->config_map && is(s, false, p->config_map->name)))
            return true;
    }
    return v->csi && is(s, true, json_path_str(v->csi, "nodePublishSecretRef.name"));
}

static bool in_env_from(const struct sought *s, const struct env_from_source_view *v, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if ((v[i].secret_ref && is(s, true, v[i].secret_ref->name)) ||
            (v[i].config_map_ref && is(s, false, v[i].config_map_ref->name)))
            return true;
    return false;
}

static bool in_env(const struct sought *s, const struct env_var_view *v, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        const struct env_var_source_view *from = v[i].value_from;

        if (from && ((from->secret_key_ref && is(s, true, from->secret_key_ref->name)) ||
                     (from->config_map_key_ref && is(s, false, from->config_map_key_ref->name))))
            return true;
    }
    return false;
}

static bool in_containers(const struct sought *s, const struct container_view *v, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (in_env_from(s, v[i].env_from, v[i].n_env_from) || in_env(s, v[i].env, v[i].n_env))
            return true;
    return false;
}

bool auth_node_pod_names(const struct object *pod, const struct kind *kind, const char *name)
{
    const struct pod_spec_view *spec = &pod_view(pod)->spec;
    struct sought s = { kind->storage == kind_secret(), name };

    for (unsigned i = 0; i < spec->n_volumes; i++)
        if (in_volume(&s, &spec->volumes[i]))
            return true;
    for (unsigned i = 0; i < spec->n_image_pull_secrets; i++)
        if (is(&s, true, spec->image_pull_secrets[i].name))
            return true;
    for (unsigned i = 0; i < spec->n_ephemeral_containers; i++) {
        const struct ephemeral_container_view *e = &spec->ephemeral_containers[i];

        if (in_env_from(&s, e->env_from, e->n_env_from) || in_env(&s, e->env, e->n_env))
            return true;
    }
    return in_containers(&s, spec->init_containers, spec->n_init_containers) ||
           in_containers(&s, spec->containers, spec->n_containers);
}
