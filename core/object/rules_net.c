/* core/object/rules_net.c -- Service, EndpointSlice, Lease. */
#include "core/base/check.h"
#include "core/object/rules_impl.h"

const struct rules_row rules_net_rows[] = {
    { 0 },
};
