/* store/kv/kv_table.h -- private to the room: which key is at which revision, what is not on disk
 * yet, and how a batch of commits becomes one transaction. One thread at a time: the opener's, then
 * the writer's.
 *
 * Revisions never repeat, also after a kill: the disk holds a mark that no revision given out has
 * passed. It is moved KV_REVISION_BLOCK ahead before it is reached; a clean close sets it back to
 * the newest revision.
 */
#ifndef STORE_KV_KV_TABLE_H
#define STORE_KV_KV_TABLE_H

#include "core/base/metric.h"
#include "store/kv/kv.h"
#include "store/kv/kv_sqlite.h"

#define KV_REVISION_BLOCK 10000
#define KV_VOLATILE_BYTES_MAX (8u << 20)    /* values not on disk: past it they are written */

struct kv_table;

/* Figures; read by any thread. */
struct kv_figures {
    struct metric_hist sync;                /* of transactions' ends: kv_sync_family */
    _Atomic uint64_t written, kept, refused;    /* commits: to disk, volatile, not taken */
    _Atomic uint64_t waiting_bytes;         /* of the volatile class */
    atomic_bool full;                       /* the last write found no room */
};
extern const struct metric_family kv_table_sync;
const struct kv_figures *kv_table_figures(const struct kv_table *t);

int kv_table_open(struct kv_table **out, const struct kv_opts *opts,
                  void (*on_load)(void *ctx, const struct kv_change *pair), struct err *err);
/* Writes what is volatile and the exact mark, checkpoints, closes. */
struct kv_table *kv_table_close(struct kv_table *t);
CLEANUP_DEFINE(struct kv_table, kv_table_close)

/* Checks, writes and publishes (opts.on_change) n <= KV_BATCH_MAX commits, in order; err and
 * revision of each are set. on_done is left to the caller. *published follows opts.on_change. */
void kv_table_apply(struct kv_table *t, struct kv_commit *const *v, unsigned n,
                    _Atomic int64_t *published);
int64_t kv_table_revision(const struct kv_table *t);
/* Something on disk is broken: nothing is written any more (opts.on_fatal was called). */
bool kv_table_failed(const struct kv_table *t);

/* Upkeep. Times are env's monotonic ones; INT64_MAX: nothing to do. */
int64_t kv_table_due_ms(const struct kv_table *t);
void kv_table_upkeep(struct kv_table *t);
int kv_table_backup_new(struct kv_sqlite_backup **out, struct kv_table *t, const char *path,
                        struct err *err);

#endif
