/* cmd/admin.h -- a command's way to the API of the server on this machine: as the administrator,
 * with the certificate of <data-dir>/server/tls. Blocking. */
#ifndef CMD_ADMIN_H
#define CMD_ADMIN_H

#include "core/base/json.h"

#define ADMIN_MS 3000                    /* for one answer */

struct admin;

/* ERR_DENIED, ERR_NOT_FOUND: the certificate cannot be read here. */
int admin_new(struct admin **out, const char *data_dir, const char *api, struct err *err);
struct admin *admin_free(struct admin *a);
CLEANUP_DEFINE(struct admin, admin_free)
/* The status of the answer and its body (terminated); -1: there was none. */
int admin_get(struct admin *admin, const char *path, struct buf *out, struct err *err);
/* The same for an answer of 200 with JSON, in the arena. */
int admin_get_json(struct admin *admin, struct arena *a, const char *path, struct json **out,
                   struct err *err);

#endif
