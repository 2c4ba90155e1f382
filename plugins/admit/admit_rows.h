/* plugins/admit/admit_rows.h -- inside the room: the built-in plugins. NULL: go on. */
#ifndef PLUGINS_ADMIT_ADMIT_ROWS_H
#define PLUGINS_ADMIT_ADMIT_ROWS_H

#include "plugins/admit/admit.h"

/* admit_namespace.c: nothing is created where no namespace is, or where it is going away. */
struct status *admit_namespace_lifecycle(const struct admit_request *r);
struct status *admit_namespace_delete(const struct admit_request *r);
/* admit_pod.c: what every pod gets. */
struct status *admit_service_account(const struct admit_request *r);
struct status *admit_priority(const struct admit_request *r);
struct status *admit_priority_update(const struct admit_request *r);
struct status *admit_tolerations(const struct admit_request *r);
struct status *admit_runtime_class(const struct admit_request *r);
/* admit_node.c: a new node takes no pod before it is ready. */
struct status *admit_taint_node(const struct admit_request *r);

#endif
