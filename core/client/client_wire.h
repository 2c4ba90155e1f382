/* core/client/client_wire.h -- private: URLs of the API, and pieces of JSON texts without a tree.
 */
#ifndef CORE_CLIENT_CLIENT_WIRE_H
#define CORE_CLIENT_CLIENT_WIRE_H

#include "core/base/str.h"
#include "core/object/kind.h"
#include "core/object/object.h"

/* "/apis/apps/v1/namespaces/ns/deployments/name/sub"; ns "" or NULL and name NULL leave out. */
void client_wire_path(struct buf *out, const struct kind *k, const char *ns, const char *name,
                      const char *sub);
/* "?a=b" or "&a=b", escaped. Nothing when value is NULL. */
void client_wire_query(struct buf *out, const char *name, const char *value);

/* The text of one member of an object's text; false when there is none. */
bool client_wire_member(struct slice text, const char *key, struct slice *out);
/* Walks an array's text: start with *rest = the array; false at the end. */
bool client_wire_item(struct slice *rest, struct slice *out);
/* An object out of the text of a list's item, which goes without kind and apiVersion. */
int client_wire_object(struct object **out, const struct kind *k, struct slice text,
                       struct err *err);

#endif
