/* core/object/rules_pod.c -- Pod: the whole, and what an update may change. */
#include "core/base/check.h"
#include "core/object/rules_impl.h"

const struct rules_row rules_pod_rows[] = {
    { 0 },
};
