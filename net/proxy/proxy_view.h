/* proxy_view.h -- inside the room: Service and EndpointSlice objects as svcmap wants them. Pure. */
#ifndef NET_PROXY_PROXY_VIEW_H
#define NET_PROXY_PROXY_VIEW_H

#include "core/object/object.h"
#include "net/proxy/svcmap.h"

/* Everything is in the arena or borrowed from the objects. False: this Service has no rules. */
bool proxy_view_service(struct svcmap_in *out, struct arena *a, const struct object *service);
void proxy_view_slices(struct svcmap_in *out, struct arena *a, struct object *const *slices,
                       size_t n,
                       const char *node_name);
/* "ns/name" of the Service that a slice belongs to; false when it says none, or is not IPv4. */
bool proxy_view_slice_key(const struct object *slice, char out[OBJECT_KEY_BYTES]);

#endif
