#include "core/object/podrefs.h"

#include "core/base/str.h"

struct walk { podrefs_fn *fn; void *ctx; };

static void tell(const struct walk *w, const struct kind *kind, const char *name)
{
    if (!str_empty(name))
        w->fn(w->ctx, kind, name);
}

/* The parts of a container that matter, whatever its kind. */
struct part {
    const struct env_from_source_view *from;
    unsigned n_from;
    const struct env_var_view *env;
    unsigned n_env;
};

static void each_of_container(const struct walk *w, struct part c)
{
    for (unsigned i = 0; i < c.n_from; i++) {
        if (c.from[i].config_map_ref)
            tell(w, kind_config_map(), c.from[i].config_map_ref->name);
        if (c.from[i].secret_ref)
            tell(w, kind_secret(), c.from[i].secret_ref->name);
    }
    for (unsigned i = 0; i < c.n_env; i++) {
        const struct env_var_source_view *v = c.env[i].value_from;

        if (v && v->config_map_key_ref)
            tell(w, kind_config_map(), v->config_map_key_ref->name);
        if (v && v->secret_key_ref)
            tell(w, kind_secret(), v->secret_key_ref->name);
    }
}

static void each_of_volume(const struct walk *w, const struct volume_view *v)
{
    if (v->config_map)
        tell(w, kind_config_map(), v->config_map->name);
    if (v->secret)
        tell(w, kind_secret(), v->secret->secret_name);
    for (unsigned i = 0; v->projected && i < v->projected->n_sources; i++) {
        const struct volume_projection_view *p = &v->projected->sources[i];

        if (p->config_map)
            tell(w, kind_config_map(), p->config_map->name);
        if (p->secret)
            tell(w, kind_secret(), p->secret->name);
    }
}

#define PART(c) (struct part){ (c).env_from, (c).n_env_from, (c).env, (c).n_env }

void podrefs_each(const struct pod_spec_view *p, podrefs_fn *fn, void *ctx)
{
    const struct walk w = { fn, ctx };

    for (unsigned i = 0; i < p->n_init_containers; i++)
        each_of_container(&w, PART(p->init_containers[i]));
    for (unsigned i = 0; i < p->n_containers; i++)
        each_of_container(&w, PART(p->containers[i]));
    for (unsigned i = 0; i < p->n_ephemeral_containers; i++)
        each_of_container(&w, PART(p->ephemeral_containers[i]));
    for (unsigned i = 0; i < p->n_volumes; i++)
        each_of_volume(&w, &p->volumes[i]);
}

void podrefs_each_pull(const struct pod_spec_view *p, podrefs_fn *fn, void *ctx)
{
    const struct walk w = { fn, ctx };

    for (unsigned i = 0; i < p->n_image_pull_secrets; i++)
        tell(&w, kind_secret(), p->image_pull_secrets[i].name);
}
