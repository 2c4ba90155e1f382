/* runtime/shim/shim_log.h -- private to the room: a container's output as lines of CRI's log format, with rotation.
 *
 *     2026-11-24T10:00:00.000000000Z stdout F a whole line
 *     2026-11-24T10:00:00.000000000Z stderr P the first part of a long one
 *
 * The file is renamed to PATH.1 (and PATH.1 to PATH.2 ...) when it would grow past its limit. A full disk
 * loses lines, never stops the container.
 */
#ifndef RUNTIME_SHIM_SHIM_LOG_H
#define RUNTIME_SHIM_SHIM_LOG_H

#include "core/base/str.h"

#define SHIM_LOG_LINE_MAX 16384          /* longer lines come in parts */
#define SHIM_LOG_BYTES_DEFAULT (10ll << 20)
#define SHIM_LOG_FILES_DEFAULT 5
#define SHIM_LOG_FILES_MAX 100

enum shim_log_stream { SHIM_LOG_STDOUT, SHIM_LOG_STDERR, SHIM_LOG_STREAMS };

struct shim_log {
    char *path;
    int fd;                              /* -1: dropped */
    int64_t bytes, bytes_max;
    int files_max;
    struct buf part[SHIM_LOG_STREAMS];   /* the line begun */
};

/* Pure: appends the lines that text completes; what is left over goes to *part. */
void shim_log_format(struct buf *out, struct buf *part, enum shim_log_stream s, int64_t now_ns,
                     struct slice text);
/* Ends a line that has no end yet. */
void shim_log_format_rest(struct buf *out, struct buf *part, enum shim_log_stream s, int64_t now_ns);

int shim_log_open(struct shim_log *l, const char *path, int64_t bytes_max, int files_max, struct err *err);
void shim_log_write(struct shim_log *l, enum shim_log_stream s, int64_t now_ns, struct slice text);
int shim_log_reopen(struct shim_log *l, struct err *err);
void shim_log_close(struct shim_log *l, int64_t now_ns);         /* callable twice */

#endif
