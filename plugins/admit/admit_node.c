/* admit_node.c: TaintNodesByCondition. */
#include "plugins/admit/admit_rows.h"

#define NOT_READY "node.kubernetes.io/not-ready"

struct status *admit_taint_node(const struct admit_request *r)
{
    struct json *spec = json_ensure_object(r->a, r->object, "spec");
    struct json *taints = json_ensure_array(r->a, spec, "taints"), *it, *taint;

    json_each(it, taints)
        if (str_eq(json_get_str(it, "key"), NOT_READY) && str_eq(json_get_str(it, "effect"),
                                                                 "NoSchedule"))
            return NULL;
    taint = json_object(r->a);
    json_set_str(r->a, taint, "key", NOT_READY);
    json_set_str(r->a, taint, "effect", "NoSchedule");
    json_append(r->a, taints, taint);
    return NULL;
}
