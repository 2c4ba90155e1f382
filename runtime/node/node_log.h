/* runtime/node/node_log.h -- reads a container's log (CRI's format, rotated files PATH.1, PATH.2
 * ... beside it).
 *
 * Files are read in jobs; while following, a watch says when to look again. Output comes in pieces
 * on the loop: on_data may pause, on_end may free. Lines that are not of the format are left out.
 */
#ifndef RUNTIME_NODE_NODE_LOG_H
#define RUNTIME_NODE_NODE_LOG_H

#include "core/base/str.h"
#include "core/loop/job.h"
#include "runtime/node/node_watch.h"

#define NODE_LOG_PIECE (128u << 10)              /* read at once */
#define NODE_LOG_LINE_MAX (64u << 10)            /* of the file; longer ones are left out */
#define NODE_LOG_FILES_MAX 100

struct node_log;

struct node_log_opts {
    const char *path;
    bool follow, timestamps;
    struct node_watch *watch;                    /* NULL: looks now and then; outlives the log */
    int64_t tail;                                /* lines; -1: all */
    int64_t limit_bytes;                         /* -1: none */
    int64_t since_us;                            /* since 1970; 0: all */
    void (*on_data)(void *ctx, const char *p, size_t len);
    void (*on_end)(void *ctx, const struct err *err);        /* once; then only free is left */
    void *ctx;
};

struct node_log *node_log_new(struct loop *l, struct job_pool *jobs, const struct node_log_opts *o);
struct node_log *node_log_free(struct node_log *g);
CLEANUP_DEFINE(struct node_log, node_log_free)
/* a piece that is being read still comes */
void node_log_pause(struct node_log *g, bool paused);
void node_log_finish(struct node_log *g);        /* nothing will be added: ends once all is read */

/* The pure part. Zero-initialise but for limit. */
struct node_log_format {
    bool timestamps;
    int64_t since_us, skip;                      /* whole lines to leave out first */
    int64_t limit;                               /* bytes still wanted; -1: all */
    bool in_line;                                /* the last one was a first part */
    bool lost;                                   /* within a line of the file that is too long */
    struct buf carry;                            /* a line of the file without its end */
};
void node_log_format_add(struct node_log_format *f, struct buf *out, const char *p, size_t len);
void node_log_format_deinit(struct node_log_format *f);
/* Whole lines of a file, added piece by piece. */
struct node_log_count { int64_t lines; struct node_log_format f; };
void node_log_count_add(struct node_log_count *c, const char *p, size_t len);

#endif
