/* store/kv/kv_sqlite.h -- private to the room: pairs and the revision mark in one SQLite file.
 *
 * One connection that locks the file for itself (so the WAL index is private memory and no second
 * process gets in), WAL, synchronous=FULL, no mmap, a page cache of 2 MB. Checkpoints only when
 * told. One thread at a time.
 *
 * Errors: ERR_QUOTA: the disk is full; the transaction can be rolled back and the store goes on.
 * ERR_UNAVAILABLE: another process has it open. All others mean that the file cannot be trusted any
 * more.
 */
#ifndef STORE_KV_KV_SQLITE_H
#define STORE_KV_KV_SQLITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/cleanup.h"
#include "core/base/err.h"

#define KV_SQLITE_VERSION 1                 /* of the tables; kept in user_version */
#define KV_SQLITE_APP_ID 0x696e726f         /* "inro" */
#define KV_SQLITE_WAL_BYTES_MAX (4u << 20)  /* the file is cut to this when it starts over */

struct kv_sqlite;
struct kv_sqlite_backup;

struct kv_sqlite_row {
    int64_t id;                             /* of the row on disk */
    int64_t revision;
    const char *key;
    const char *value;
    size_t value_len;
};

int kv_sqlite_open(struct kv_sqlite **out, const char *path, struct err *err);
struct kv_sqlite *kv_sqlite_close(struct kv_sqlite *s);
CLEANUP_DEFINE(struct kv_sqlite, kv_sqlite_close)
/* Every pair in key order. */
typedef int (*kv_sqlite_row_fn)(void *ctx, const struct kv_sqlite_row *row, struct err *err);
int kv_sqlite_load(struct kv_sqlite *s, kv_sqlite_row_fn on_row, void *ctx, struct err *err);
int64_t kv_sqlite_mark(const struct kv_sqlite *s);      /* the mark as it was when opened */

int kv_sqlite_begin(struct kv_sqlite *s, struct err *err);
/* id 0 inserts. The id of the row is in *id after. */
int kv_sqlite_put(struct kv_sqlite *s, int64_t *id, const struct kv_sqlite_row *row,
                  struct err *err);
int kv_sqlite_delete(struct kv_sqlite *s, int64_t id, struct err *err);
int kv_sqlite_set_mark(struct kv_sqlite *s, int64_t revision, struct err *err);
int kv_sqlite_commit(struct kv_sqlite *s, struct err *err);          /* durable when it returns 0 */
int kv_sqlite_rollback(struct kv_sqlite *s, struct err *err);

size_t kv_sqlite_wal_bytes(const struct kv_sqlite *s);  /* not yet in the data base file */
/* Moves the WAL into the file and gives free pages back to the file system. */
int kv_sqlite_checkpoint(struct kv_sqlite *s, bool truncate, struct err *err);

/* Online copy into a new file. Steps may be mixed with transactions. */
int kv_sqlite_backup_new(struct kv_sqlite_backup **out, struct kv_sqlite *s, const char *path,
                         struct err *err);
/* 1: more to do, 0: done. */
int kv_sqlite_backup_step(struct kv_sqlite_backup *b, int pages, struct err *err);
/* Removes the file when it was not done. */
struct kv_sqlite_backup *kv_sqlite_backup_free(struct kv_sqlite_backup *b);
CLEANUP_DEFINE(struct kv_sqlite_backup, kv_sqlite_backup_free)
/* A whole file, whose tables may be of any version. */
int kv_sqlite_copy(const char *from, const char *to, struct err *err);

#endif
