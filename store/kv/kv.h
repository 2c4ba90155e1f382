/* store/kv/kv.h -- the narrow door to durable storage: an ordered log of revisions over keys.
 *
 * The door assumes a log: a commit is asynchronous, is answered with the revision the log gave it,
 * and may fail as "not the leader" (ERR_UNAVAILABLE). Back ends: SQLite (kv_sqlite.c), later etcd;
 * tests: tests/fake/fake_kv.c.
 *
 * Threads: kv_submit() from any; completion and publication happen on the writer's thread, in
 * revision order. A crash loses at most volatile pairs made or deleted within volatile_flush_ms,
 * and newer values of volatile pairs (they are written beside such news, and at a clean close); no
 * revision is given out twice. A full disk refuses writes (ERR_QUOTA) until there is room again;
 * any other failure of the disk is fatal. The file is locked: a second kv_open of it, by any
 * process, is ERR_UNAVAILABLE.
 */
#ifndef STORE_KV_KV_H
#define STORE_KV_KV_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/cleanup.h"
#include "core/base/env.h"
#include "core/base/err.h"
#include "core/base/str.h"

#define KV_KEY_BYTES_MAX 1024
#define KV_VALUE_BYTES_MAX (3u << 20)
#define KV_QUEUE_MAX 8192              /* commits waiting; past it ERR_QUOTA */
#define KV_BATCH_MAX 512               /* commits of one transaction */
#define KV_BATCH_BYTES_MAX (8u << 20)  /* of their values; a single larger one still goes */
#define KV_STUCK_MS 10000              /* a batch that takes longer: the disk hangs */

struct kv;

enum kv_expect { KV_ANY = -1, KV_ABSENT = 0 };    /* or a revision > 0 that the key must be at */

struct kv_commit {
    struct kv_commit *next;            /* private */
    /* In: */
    const char *key;                   /* "pods/default/a"; memory is the caller's until on_done */
    const char *value;                 /* NULL deletes; deleting an absent key is ERR_CONFLICT */
    size_t value_len;
    int64_t expect;                    /* enum kv_expect or a revision */
    bool volatile_class;               /* need not be on disk when answered (leases, events) */
    /* Out, valid in on_done: */
    int64_t revision;                  /* given by the log; on conflict: where the key is (0: absent) */
    struct err err;                    /* ERR_NONE, ERR_CONFLICT, ERR_UNAVAILABLE, ERR_QUOTA */
    void (*on_done)(struct kv_commit *c);    /* on the writer's thread, after publication */
    void *ctx;
};

/* One change, published in revision order before its commit's on_done. */
struct kv_change {
    int64_t revision, previous;        /* previous revision of the key; 0: it did not exist */
    const char *key;
    const char *value;                 /* NULL: deleted */
    size_t value_len;
    void *commit_ctx;                  /* ctx of the kv_commit that made it, or NULL */
};

struct kv_opts {
    const char *path;                  /* data base file; its directory exists, mode 0700 */
    const struct env *env;
    int64_t volatile_flush_ms;         /* how long volatile changes may stay unwritten; 0: 60000 */
    int64_t keep_revisions;            /* history kept on disk; SQLite: 0 only (see watch.h) */
    /* No thread: whoever waits for a commit, a backup or the close does the writer's work, on one
     * thread; commits that nobody waits for and upkeep are done by kv_step. For the simulator. */
    bool inlined;
    /* On the writer's thread. */
    void (*on_change)(void *ctx, const struct kv_change *change);
    /* A failed sync or a damaged file: nothing is acknowledged any more; the process must stop. */
    void (*on_fatal)(void *ctx, const struct err *err);
    void *ctx;
};

/* Opens, checks, loads: each current pair is given to on_load in key order before it returns. */
int kv_open(struct kv **out, const struct kv_opts *opts,
            void (*on_load)(void *ctx, const struct kv_change *pair), struct err *err);
/* Answers what is queued, flushes the volatile class, checkpoints, closes. */
struct kv *kv_close(struct kv *kv);
CLEANUP_DEFINE(struct kv, kv_close)
void kv_submit(struct kv *kv, struct kv_commit *c);  /* on_done is never called from inside */
/* Waits for a commit from a job thread: submits a copy, sleeps until it is done. Result in c;
 * c->on_done is not called. */
void kv_commit_wait(struct kv *kv, struct kv_commit *c);
void kv_step(struct kv *kv);                         /* inlined only: a turn of the writer */
int64_t kv_revision(const struct kv *kv);            /* newest published; any thread */
/* Can it still write? -1: the writer hangs (KV_STUCK_MS in one batch) or has failed. Any thread. */
int kv_health(const struct kv *kv, struct err *err);
void kv_metrics(const struct kv *kv, struct buf *out);       /* any thread */
/* An online copy into a new file (ERR_EXISTS); blocks, while commits go on. For job threads. */
int kv_backup(struct kv *kv, const char *path, struct err *err);
/* The same of a store that nobody has open, whatever the version of its tables. */
int kv_copy(const char *from, const char *to, struct err *err);

#endif
