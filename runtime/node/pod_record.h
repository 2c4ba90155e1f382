/* runtime/node/pod_record.h -- <run-dir>/pods/UID/pod.json: that this pod is (or was) here. Written
 * before anything is made for it, removed last. It outlives us, not a reboot.
 */
#ifndef RUNTIME_NODE_POD_RECORD_H
#define RUNTIME_NODE_POD_RECORD_H

#include "core/base/mem.h"
#include "core/object/object.h"

#define POD_RECORD_FILE "pod.json"
#define POD_RECORD_BYTES_MAX (8u << 20)

struct pod_record {
    struct slice object;                 /* its bytes */
    const char *final;                   /* status at its end, as JSON; or NULL */
    const char *attempts;                /* {"container": runs so far}, as JSON; or NULL */
    int64_t start_us;
};

int pod_record_write(const char *dir, const struct pod_record *r, struct err *err);
/* The object, with the final status as its status where there is one. */
struct pod_record_read { struct object *object; char *final, *attempts; int64_t start_us; };
/* ERR_NOT_FOUND, ERR_CORRUPT. */
int pod_record_read(struct pod_record_read *out, const char *dir, struct err *err);
void pod_record_deinit(struct pod_record_read *r);

#endif
