/* config_args.c -- the table of upstream's settings that mean something here. */
#include "cmd/config_args.h"

#include "core/base/timefmt.h"

#define OF(field) offsetof(struct config, field)
#define AT(field) offsetof(struct config_args, field)
#define DAY_MS 86400000ll

enum unit { COUNT, MILLISECONDS };

struct component { const char *flag; size_t list; };
static const struct component apiserver = { "kube-apiserver-arg", OF(kube_apiserver_arg) };
static const struct component manager = { "kube-controller-manager-arg",
                                          OF(kube_controller_manager_arg) };
static const struct component kubelet = { "kubelet-arg", OF(kubelet_arg) };
static const struct component *const components[] = { &apiserver, &manager, &kubelet };

static const struct arg {
    const struct component *of;
    const char *name;
    size_t at;
    enum unit unit;
    int64_t initial, min, max;
} args[] = {
    { &apiserver, "default-not-ready-toleration-seconds", AT(not_ready_toleration_s), COUNT,
      300, 0, INT32_MAX },
    { &apiserver, "default-unreachable-toleration-seconds", AT(unreachable_toleration_s), COUNT,
      300, 0, INT32_MAX },
    { &apiserver, "event-ttl", AT(event_ttl_ms), MILLISECONDS, 3600000, 1000, 30 * DAY_MS },
    { &manager, "node-monitor-grace-period", AT(node_grace_ms), MILLISECONDS, 50000, 1000, DAY_MS },
    { &manager, "node-startup-grace-period", AT(node_startup_grace_ms), MILLISECONDS,
      60000, 1000, DAY_MS },
    /* upstream's nodes tell that they are alive at this pace, too, once it is set */
    { &kubelet, "node-status-update-frequency", AT(heartbeat_ms), MILLISECONDS,
      10000, 1000, 3600000 },
    { &manager, "cluster-signing-duration", AT(sign_ms), MILLISECONDS, 365 * DAY_MS, 60000,
      3650 * DAY_MS },
    { &kubelet, "max-pods", AT(max_pods), COUNT, 110, 1, 10000 },
};

static int arg_value(const struct arg *arg, const char *text, int64_t *out, struct err *err)
{
    int64_t ns;

    if (arg->unit == COUNT)
        return str_to_i64(text, arg->min, arg->max, out, err);
    if (timefmt_parse_duration(text, &ns, err) < 0)
        return -1;
    *out = ns / 1000000;
    if (*out < arg->min || *out > arg->max)
        return err_set(err, ERR_INVALID, "\"%s\" must be %lld to %lld seconds", text,
                       (long long)arg->min / 1000, (long long)arg->max / 1000);
    return 0;
}

static const struct arg *arg_find(const struct component *of, struct slice name)
{
    for (size_t i = 0; i < ARRAY_LEN(args); i++)
        if (args[i].of == of && slice_is(name, args[i].name))
            return &args[i];
    return NULL;
}

int config_args(struct config_args *out, const struct config *c,
                void (*unknown)(const char *what, void *ctx), void *ctx, struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(args); i++)
        *(int64_t *)((char *)out + args[i].at) = args[i].initial;
    for (size_t i = 0; i < ARRAY_LEN(components); i++) {
        const struct component *of = components[i];
        const struct config_list *list = (const void *)((const char *)c + of->list);

        for (unsigned k = 0; k < list->n; k++) {
            const char *item = list->v[k], *bare = item + strspn(item, "-");
            const char *eq = strchr(bare, '=');
            struct slice name = { bare, eq ? (size_t)(eq - bare) : strlen(bare) };
            const struct arg *arg = arg_find(of, name);

            if (!arg && unknown)
                unknown(arena_printf(c->a, "%s=%.*s", of->flag, (int)name.len, name.p), ctx);
            if (arg && arg_value(arg, eq ? eq + 1 : "", (int64_t *)((char *)out + arg->at),
                                 err) < 0)
                return err_wrap(err, "--%s %s", of->flag, arg->name);
        }
    }
    return 0;
}
