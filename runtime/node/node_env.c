/* node_env.c -- envFrom, env, service variables and the image's, in this order of precedence:
 *
 *     env > envFrom > services > image
 *
 * $(NAME) is replaced while env is walked: by what was set before it, else by a service variable.
 */
#include "runtime/node/node_env_int.h"


struct build {
    const struct node_env_in *in;
    struct arena *a;
    struct node_env_vars set, services;
    struct err *err;
};

static void free_vars(struct map **m)
{
    *m = map_free(*m, NULL);
}

void node_env_put(struct node_env_vars *v, const char *name, const char *value)
{
    map_put(v->m, name, arena_strdup(v->a, value));
}

/* --- $(NAME) */

typedef const char *lookup_fn(const void *ctx, const char *name);

struct expand { struct arena *a; lookup_fn *look; const void *ctx; const char *missing; };

/* Answers how many bytes of p, which begins with '$', were dealt with. */
static size_t expand_one(struct buf *out, struct expand *x, const char *p)
{
    const char *end, *name, *value;

    if (p[1] == '$') {
        buf_chr(out, '$');
        return 2;
    }
    end = p[1] == '(' ? strchr(p, ')') : NULL;
    if (!end) {
        buf_chr(out, '$');
        return 1;
    }
    name = arena_strndup(x->a, p + 2, (size_t)(end - p) - 2);
    value = x->look(x->ctx, name);
    if (value) {
        buf_str(out, value);
    } else {
        buf_add(out, p, (size_t)(end - p) + 1);
        x->missing = x->missing ? x->missing : name;
    }
    return (size_t)(end - p) + 1;
}

static const char *expand(struct expand *x, const char *text)
{
    _cleanup_buf_ struct buf out = BUF_INIT;

    if (!text || !strchr(text, '$'))
        return text ? text : "";
    while (*text) {
        size_t plain = strcspn(text, "$");

        buf_add(&out, text, plain);
        text += plain;
        if (*text)
            text += expand_one(&out, x, text);
    }
    return arena_strndup(x->a, out.p ? out.p : "", out.len);
}

static const char *look_texts(const void *ctx, const char *name)
{
    const struct plan_texts *env = ctx;
    size_t len = strlen(name);

    for (size_t i = 0; i < env->len; i++)
        if (strncmp(env->v[i], name, len) == 0 && env->v[i][len] == '=')
            return env->v[i] + len + 1;
    return NULL;
}

static const char *look_build(const void *ctx, const char *name)
{
    const struct build *b = ctx;
    const char *value = map_get(b->set.m, name);

    return value ? value : map_get(b->services.m, name);
}

const char *node_env_expand(struct arena *a, const char *text, const struct plan_texts *own)
{
    struct expand x = { a, look_texts, own, NULL };

    return expand(&x, text);
}

int node_env_expand_strict(const char **out, struct arena *a, const char *text,
                           const struct plan_texts *own, struct err *err)
{
    struct expand x = { a, look_texts, own, NULL };
    const char *got = expand(&x, text);

    if (x.missing)
        return err_set(err, ERR_INVALID, "missing value for %s", x.missing);
    *out = got;
    return 0;
}

void node_env_args(struct plan_texts *out, struct arena *a, const struct node_env_command *k)
{
    const struct container_view *c = k->c;

    for (unsigned i = 0; i < c->n_command; i++)
        plan_add_text(out, a, node_env_expand(a, c->command[i], k->own));
    for (size_t i = 0; !c->n_command && k->entrypoint && i < k->entrypoint->len; i++)
        plan_add_text(out, a, k->entrypoint->v[i]);
    for (unsigned i = 0; i < c->n_args; i++)
        plan_add_text(out, a, node_env_expand(a, c->args[i], k->own));
    /* A command of its own makes the image's arguments meaningless. */
    for (size_t i = 0; !c->n_command && !c->n_args && k->cmd && i < k->cmd->len; i++)
        plan_add_text(out, a, k->cmd->v[i]);
}

/* --- sources */

static int put_bytes(struct build *b, const char *name, struct slice value)
{
    if (memchr(value.p ? value.p : "", '\0', value.len))
        return err_set(b->err, ERR_INVALID,
                       "the value of environment variable %s holds a NUL byte", name);
    node_env_put(&b->set, name, arena_strndup(b->a, value.len ? value.p : "", value.len));
    return 0;
}

/* 0: *out, or NULL when it is missing and may be. */
static int find(struct build *b, struct object **out, const struct kind *k, const char *name,
                bool optional)
{
    struct err why = ERR_INIT;
    struct object *o = node_ref_get(b->in->refs, k, name, &why);

    if (!o && !(optional && why.code == ERR_NOT_FOUND))
        return err_set(b->err, why.code, "%s", why.msg);
    *out = o;
    return 0;
}

static int from_config_map(struct build *b, const struct env_from_source_view *from)
{
    const struct config_map_env_source_view *ref = from->config_map_ref;
    const struct config_map_view *cm;
    struct object *o;

    if (find(b, &o, kind_config_map(), ref->name, ref->optional) < 0)
        return -1;
    cm = o ? config_map_view(o) : NULL;
    for (unsigned i = 0; cm && i < cm->data.n; i++)
        node_env_put(&b->set, arena_printf(b->a, "%s%s", from->prefix ? from->prefix : "",
                                           cm->data.v[i].key),
                     cm->data.v[i].value);
    return 0;
}

static int from_secret(struct build *b, const struct env_from_source_view *from)
{
    const struct secret_env_source_view *ref = from->secret_ref;
    const struct secret_view *s;
    struct object *o;

    if (find(b, &o, kind_secret(), ref->name, ref->optional) < 0)
        return -1;
    s = o ? secret_view(o) : NULL;
    for (unsigned i = 0; s && i < s->data.n; i++)
        if (put_bytes(b, arena_printf(b->a, "%s%s", from->prefix ? from->prefix : "",
                                      s->data.v[i].key),
                      s->data.v[i].value) < 0)
            return -1;
    return 0;
}

static int key_of_config_map(struct build *b, const char *name,
                             const struct config_map_key_selector_view *ref)
{
    struct object *o;
    const char *value;

    if (find(b, &o, kind_config_map(), ref->name, ref->optional) < 0)
        return -1;
    value = o ? view_map_get(&config_map_view(o)->data, ref->key) : NULL;
    if (value)
        node_env_put(&b->set, name, value);
    else if (!ref->optional)
        return err_set(b->err, ERR_NOT_FOUND, "couldn't find key %s in ConfigMap %s/%s", ref->key,
                       object_ns(b->in->pod), ref->name);
    return 0;
}

static int key_of_secret(struct build *b, const char *name,
                         const struct secret_key_selector_view *ref)
{
    struct object *o;
    const struct slice *value;

    if (find(b, &o, kind_secret(), ref->name, ref->optional) < 0)
        return -1;
    value = o ? view_bytes_get(&secret_view(o)->data, ref->key) : NULL;
    if (value)
        return put_bytes(b, name, *value);
    if (!ref->optional)
        return err_set(b->err, ERR_NOT_FOUND, "couldn't find key %s in Secret %s/%s", ref->key,
                       object_ns(b->in->pod), ref->name);
    return 0;
}

static int from_value(struct build *b, const char *name, const struct env_var_source_view *from)
{
    struct node_env_of of = { b->a, b->in->pod, b->in->facts };
    const char *value = "";

    if (from->config_map_key_ref)
        return key_of_config_map(b, name, from->config_map_key_ref);
    if (from->secret_key_ref)
        return key_of_secret(b, name, from->secret_key_ref);
    if (from->file_key_ref)
        return err_set(b->err, ERR_UNSUPPORTED,
                       "environment variable %s: fileKeyRef is not supported", name);
    if (from->field_ref && node_env_field(&value, &of, from->field_ref->field_path, b->err) < 0)
        return -1;
    if (from->resource_field_ref &&
        node_env_resource(&value, &of, b->in->c->name, from->resource_field_ref, b->err) < 0)
        return -1;
    node_env_put(&b->set, name, value);
    return 0;
}

/* --- all of it */

static int build_set(struct build *b)
{
    const struct container_view *c = b->in->c;
    struct expand x = { b->a, look_build, b, NULL };

    for (unsigned i = 0; i < c->n_env_from; i++) {
        if (c->env_from[i].config_map_ref && from_config_map(b, &c->env_from[i]) < 0)
            return -1;
        if (c->env_from[i].secret_ref && from_secret(b, &c->env_from[i]) < 0)
            return -1;
    }
    for (unsigned i = 0; i < c->n_env; i++) {
        const struct env_var_view *e = &c->env[i];

        if (str_empty(e->value) && e->value_from) {
            if (from_value(b, e->name, e->value_from) < 0)
                return -1;
        } else {
            node_env_put(&b->set, e->name, expand(&x, e->value));
        }
    }
    return 0;
}

static void add_all(struct plan_texts *out, struct arena *a, const struct map *m,
                    const struct map *unless)
{
    const char *name;
    void *value;
    size_t at = 0;

    while (map_next(m, &at, &name, &value))
        if (!unless || !map_get(unless, name))
            plan_add_text(out, a, arena_printf(a, "%s=%s", name, (const char *)value));
}

static bool is_named_before(const struct plan_texts *t, size_t i, const char *name)
{
    size_t len = strlen(name);

    for (size_t k = 0; k < i; k++)
        if (strncmp(t->v[k], name, len) == 0 && t->v[k][len] == '=')
            return true;
    return false;
}

/* What the image sets and nobody overrides; of equal names the first. */
static void add_image(struct build *b, struct plan_texts *out)
{
    const struct plan_texts *image = b->in->image_env;

    for (size_t i = 0; image && i < image->len; i++) {
        const char *name = arena_strndup(b->a, image->v[i], strcspn(image->v[i], "="));

        if (!look_build(b, name) && !is_named_before(image, i, name))
            plan_add_text(out, b->a, image->v[i]);
    }
}

int node_env_build(struct plan_texts *out, struct plan_texts *own, struct arena *a,
                   const struct node_env_in *in,
                   struct err *err)
{
    _cleanup_(free_vars) struct map *set = map_new();
    _cleanup_(free_vars) struct map *services = map_new();
    struct build b = { .in = in, .a = a, .set = { set, a }, .services = { services, a },
                       .err = err };
    const struct pod_spec_view *spec = &pod_view(in->pod)->spec;

    if (in->services && !informer_synced(in->services))
        return err_set(err, ERR_UNAVAILABLE,
                       "services have not yet been read at least once, cannot "
                       "construct envvars");
    if (in->services)
        node_env_add_services(&b.services, in->services, object_ns(in->pod),
                              spec->has_enable_service_links ? spec->enable_service_links : true);
    if (build_set(&b) < 0)
        return -1;
    add_all(own, a, set, NULL);
    add_all(own, a, services, set);
    add_image(&b, out);
    for (size_t i = 0; i < own->len; i++)
        plan_add_text(out, a, own->v[i]);
    return 0;
}
