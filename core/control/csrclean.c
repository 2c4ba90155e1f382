/* csrclean.c: requests for certificates go an hour after they were answered, or a day after nobody
 * answered, as by upstream's csrcleaner. */
#include "core/control/control_impl.h"

#include "core/base/timefmt.h"

#define ANSWERED_S 3600
#define PENDING_S 86400

static void on_csr(struct controller *c, struct object *before, struct object *after)
{
    (void)before;
    if (after)
        control_enqueue_object(c, after);
}

static int64_t seconds_of(const char *text, int64_t otherwise)
{
    int64_t us;

    return text && timefmt_parse(text, &us, NULL) == 0 ? us / 1000000 : otherwise;
}

static void reconcile(struct pass *p)
{
    struct object *o = control_get(p, kind_certificate_signing_request());
    int64_t at;
    struct json *tree, *it;

    if (!o || object_is_deleting(o))
        return;
    tree = object_tree(o, p->a);
    at = seconds_of(json_path_str(tree, "metadata.creationTimestamp"), 0) + PENDING_S;
    json_each(it, json_path(tree, "status.conditions"))
        at = seconds_of(json_get_str(it, "lastUpdateTime"), at - ANSWERED_S) + ANSWERED_S;
    control_delete_at(p, o, at);
}

const struct control_def csrclean_control = {
    .name = "certificatesigningrequest-cleaner-controller",
    .watches = { { kind_certificate_signing_request, on_csr } },
    .reconcile = reconcile,
};
