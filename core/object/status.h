/* core/object/status.h -- metav1.Status: every error a client sees, in upstream's words. */
#ifndef CORE_OBJECT_STATUS_H
#define CORE_OBJECT_STATUS_H

#include "core/base/json.h"
#include "core/object/kind.h"
#include "core/object/rules.h"

struct status {
    int code;                    /* HTTP status */
    const char *reason;          /* "NotFound"; "" for none */
    const char *message;
    /* details; all optional */
    /* kind: resource name for API errors, Kind for Invalid */
    const char *name, *group, *kind, *uid;
    const struct causes *causes;
    int retry_after_s;
};

/* Constructors; texts live in the arena. `resource` errors name kind_group_resource(). */
struct status *status_new(struct arena *a, int code, const char *reason, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* pods "x" not found */
struct status *status_not_found(struct arena *a, const struct kind *k, const char *name);
struct status *status_exists(struct arena *a, const struct kind *k, const char *name);
struct status *status_conflict(struct arena *a, const struct kind *k, const char *name,
                               const char *why);
struct status *status_invalid(struct arena *a, const struct kind *k, const char *name,
                              const struct causes *c);
/* The same for a kind outside the table (custom resources, review bodies, "" for none). */
struct status *status_invalid_gk(struct arena *a, const char *group, const char *kind,
                                 const char *name,
                                 const struct causes *c);
struct status *status_bad_request(struct arena *a, const char *format,
                                  ...) __attribute__((format(printf, 2, 3)));
struct status *status_forbidden(struct arena *a, const struct kind *k, const char *name,
                                const char *why);
/* 410 */
struct status *status_expired(struct arena *a, const char *message);
struct status *status_internal(struct arena *a, const char *message);
/* By code; ERR_UNSUPPORTED is 422: well-formed, but it cannot be done (a patch that does not
 * apply). */
struct status *status_from_err(struct arena *a, const struct err *err);

void status_write(struct buf *b, const struct status *s);              /* JSON text of a Failure */
/* Reads a Status body from a server; NULL when it is none. */
struct status *status_read(struct arena *a, const struct json *body);

#endif
