/* tokenclean.c: bootstrap tokens go at their expiration, as by upstream's tokencleaner. */
#include "core/control/control_impl.h"

#include "core/base/timefmt.h"
#include "gen/views.h"

static bool is_token(const struct object *secret)
{
    return str_eq(secret_view(secret)->type, "bootstrap.kubernetes.io/token") &&
           str_eq(object_ns(secret), "kube-system");
}

static void on_secret(struct controller *c, struct object *before, struct object *after)
{
    (void)before;
    if (after && is_token(after))
        control_enqueue_object(c, after);
}

static void reconcile(struct pass *p)
{
    struct object *secret = control_get(p, kind_secret());
    const struct slice *when;
    int64_t us;

    if (!secret || object_is_deleting(secret) || !is_token(secret))
        return;
    when = view_bytes_get(&secret_view(secret)->data, "expiration");
    if (!when || !when->len)
        return;
    if (timefmt_parse(arena_strndup(p->a, when->p, when->len), &us, NULL) == 0)
        control_delete_at(p, secret, us / 1000000);
}

const struct control_def tokenclean_control = {
    .name = "token-cleaner-controller",
    .watches = { { kind_secret, on_secret } },
    .reconcile = reconcile,
};
