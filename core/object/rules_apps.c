/* core/object/rules_apps.c -- Deployment, ReplicaSet. */
#include "core/base/check.h"
#include "core/object/rules_impl.h"

const struct rules_row rules_apps_rows[] = {
    { 0 },
};
