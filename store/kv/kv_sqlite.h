/* store/kv/kv_sqlite.h -- inside the room: the data base file. One thread at a time: the writer's.
 *
 *   kv(key, rev, value)    the current pairs
 *   meta(name, value)      "reserved": no revision above it was ever given out
 */
#ifndef STORE_KV_KV_SQLITE_H
#define STORE_KV_KV_SQLITE_H

#include "store/kv/kv.h"

struct kv_sqlite;

#define KV_SQLITE_VERSION 1                  /* PRAGMA user_version */
#define KV_SQLITE_WAL_BYTES (4u << 20)       /* checkpointed past it */

int kv_sqlite_open(struct kv_sqlite **out, const char *path, struct err *err);
struct kv_sqlite *kv_sqlite_close(struct kv_sqlite *s);
/* Each pair in key order; `reserved` is 0 in a new file. */
int kv_sqlite_load(struct kv_sqlite *s, void (*each)(void *ctx, const struct kv_change *pair), void *ctx,
                   int64_t *reserved, struct err *err);
int kv_sqlite_begin(struct kv_sqlite *s, struct err *err);
/* value NULL deletes. */
int kv_sqlite_put(struct kv_sqlite *s, const char *key, int64_t revision, const char *value, size_t len,
                  struct err *err);
int kv_sqlite_reserve(struct kv_sqlite *s, int64_t revision, struct err *err);
/* Durable when it returns; checkpoints when the log has grown. */
int kv_sqlite_commit(struct kv_sqlite *s, struct err *err);
int kv_sqlite_copy(const char *from, const char *to, struct err *err);

#endif
