/* node_env_service.c -- FOO_SERVICE_HOST, FOO_SERVICE_PORT and Docker's link variables of services.
 * */
#include "runtime/node/node_env_int.h"

#include <ctype.h>

static const char *variable_name(struct arena *a, const char *name)
{
    char *out = arena_printf(a, "%s%s", isdigit((unsigned char)name[0]) ? "_" : "", name);

    for (char *p = out; *p; p++)
        *p = *p == '.' || *p == '-' ? '_' : (char)toupper((unsigned char)*p);
    return out;
}

static const char *lower(struct arena *a, const char *text)
{
    char *out = arena_strdup(a, text);

    for (char *p = out; *p; p++)
        *p = (char)tolower((unsigned char)*p);
    return out;
}

static void add_port(struct node_env_vars *v, const char *prefix, const char *ip,
                     const struct service_port_view *p,
                     bool first)
{
    const char *protocol = str_empty(p->protocol) ? "TCP" : p->protocol, *low =
        lower(v->a, protocol);
    const char *url = arena_printf(v->a, strchr(ip, ':') ? "%s://[%s]:%d" : "%s://%s:%d", low, ip,
                                   (int)p->port);
    const char *number = arena_printf(v->a, "%d", (int)p->port);
    const char *name = arena_printf(v->a, "%s_PORT_%s_%s", prefix, number, protocol);

    if (!str_empty(p->name))
        node_env_put(v, arena_printf(v->a, "%s_SERVICE_PORT_%s", prefix,
                                     variable_name(v->a, p->name)), number);
    if (first)
        node_env_put(v, arena_printf(v->a, "%s_PORT", prefix), url);
    node_env_put(v, name, url);
    node_env_put(v, arena_printf(v->a, "%s_PROTO", name), low);
    node_env_put(v, arena_printf(v->a, "%s_PORT", name), number);
    node_env_put(v, arena_printf(v->a, "%s_ADDR", name), ip);
}

static void add_service(struct node_env_vars *v, struct object *o)
{
    const struct service_spec_view *s = &service_view(o)->spec;
    const char *prefix, *ip = s->cluster_ip;

    if (str_empty(ip) || str_eq(ip, "None") || s->n_ports == 0 || str_eq(s->type, "ExternalName"))
        return;
    prefix = variable_name(v->a, object_name(o));
    node_env_put(v, arena_printf(v->a, "%s_SERVICE_HOST", prefix), ip);
    node_env_put(v, arena_printf(v->a, "%s_SERVICE_PORT", prefix),
                 arena_printf(v->a, "%d", (int)s->ports[0].port));
    for (unsigned i = 0; i < s->n_ports; i++)
        add_port(v, prefix, ip, &s->ports[i], i == 0);
}

/* default/kubernetes is for everyone; a service of that name in the pod's own namespace wins over
 * it. */
void node_env_add_services(struct node_env_vars *v, const struct informer *services,
                           const char *ns, bool links)
{
    struct object *master = informer_get(services, "default", "kubernetes"), *o;
    size_t at = 0;

    if (master)
        add_service(v, master);
    while (links && (o = informer_next(services, &at)))
        if (str_eq(object_ns(o), ns) && o != master)
            add_service(v, o);
}
