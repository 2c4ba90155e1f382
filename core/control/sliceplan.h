/* sliceplan.h -- which endpoints go into which slice of a Service. Pure; inside core/control only.
 *
 *   plan = sliceplan_new(arena);
 *   sliceplan_take(plan, slice)...           the slices there are
 *   sliceplan_add(plan, ports, endpoint)...  the endpoints there should be
 *   sliceplan_fit(plan);                     then read plan->slices
 */
#ifndef CORE_CONTROL_SLICEPLAN_H
#define CORE_CONTROL_SLICEPLAN_H

#include "core/control/adopt.h"

#define SLICEPLAN_MAX 100                /* endpoints of a slice */
#define SLICEPLAN_SERVICE_LABEL "kubernetes.io/service-name"
#define SLICEPLAN_MANAGER_LABEL "endpointslice.kubernetes.io/managed-by"
#define SLICEPLAN_MANAGER "endpointslice-controller.k8s.io"

struct sliceplan_slice {
    struct object *object;               /* NULL: to be made */
    struct json *ports, *endpoints;
    bool changed, drop;
};

struct sliceplan {
    struct arena *a;
    struct sliceplan_slice *slices;
    size_t n_slices, cap_slices;
    struct sliceplan_group *groups;
    size_t n_groups, cap_groups;
};

struct sliceplan *sliceplan_new(struct arena *a);
void sliceplan_take(struct sliceplan *plan, struct object *slice);
void sliceplan_add(struct sliceplan *plan, struct json *ports, struct json *endpoint);
/* Endpoints stay where they are; new ones fill slices that change anyway, then one that has room,
 * then new slices. A Service without endpoints has one empty slice. */
void sliceplan_fit(struct sliceplan *plan);

#endif
