/* kv_sqlite.c: SQL and the settings that make a commit durable and small. */
#include "store/kv/kv_sqlite.h"

#include "core/base/mem.h"

#include <sqlite3.h>
#include <stdio.h>
#include <sys/stat.h>

#define BUSY_MS 5000

struct kv_sqlite {
    sqlite3 *db;
    sqlite3_stmt *put, *del, *reserve;
    size_t written;                          /* bytes since the last checkpoint */
};

static int fail(sqlite3 *db, struct err *err, const char *what)
{
    int code = sqlite3_errcode(db);

    return err_set(err, code == SQLITE_CORRUPT || code == SQLITE_NOTADB ? ERR_CORRUPT : ERR_FAILED,
                   "%s: %s", what, sqlite3_errmsg(db));
}

static int exec(sqlite3 *db, const char *sql, struct err *err)
{
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        return fail(db, err, sql);
    return 0;
}

static int query_int(sqlite3 *db, const char *sql, int64_t *out, struct err *err)
{
    sqlite3_stmt *st = NULL;
    int result = 0;

    *out = 0;
    if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) != SQLITE_OK)
        return fail(db, err, sql);
    switch (sqlite3_step(st)) {
    case SQLITE_ROW: *out = sqlite3_column_int64(st, 0); break;
    case SQLITE_DONE: break;
    default: result = fail(db, err, sql);
    }
    sqlite3_finalize(st);
    return result;
}

/* auto_vacuum must be chosen before the first table is made. */
static int set_up(sqlite3 *db, struct err *err)
{
    static const char settings[] =
        "PRAGMA auto_vacuum=INCREMENTAL; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
        "PRAGMA cache_size=-2000; PRAGMA mmap_size=0; PRAGMA wal_autocheckpoint=0;"
        "PRAGMA journal_size_limit=8388608; PRAGMA temp_store=MEMORY;";
    static const char tables[] =
        "CREATE TABLE IF NOT EXISTS kv(key TEXT PRIMARY KEY, rev INTEGER NOT NULL, value BLOB NOT NULL)"
        " WITHOUT ROWID;"
        "CREATE TABLE IF NOT EXISTS meta(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
        "PRAGMA user_version=1;";
    int64_t version;

    if (exec(db, settings, err) < 0 || query_int(db, "PRAGMA user_version", &version, err) < 0)
        return -1;
    if (version > KV_SQLITE_VERSION)
        return err_set(err, ERR_UNSUPPORTED, "it was written by a newer release (format %d, "
                       "this one knows %d)",
                       (int)version, KV_SQLITE_VERSION);
    return version ? 0 : exec(db, tables, err);
}

static int prepare(struct kv_sqlite *s, sqlite3_stmt **out, const char *sql, struct err *err)
{
    if (sqlite3_prepare_v3(s->db, sql, -1, SQLITE_PREPARE_PERSISTENT, out, NULL) != SQLITE_OK)
        return fail(s->db, err, sql);
    return 0;
}

int kv_sqlite_open(struct kv_sqlite **out, const char *path, struct err *err)
{
    struct kv_sqlite *s = NEW(struct kv_sqlite);
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;

    if (sqlite3_open_v2(path, &s->db, flags, NULL) != SQLITE_OK) {
        fail(s->db, err, "open");
        goto failed;
    }
    sqlite3_busy_timeout(s->db, BUSY_MS);
    if (chmod(path, 0600) < 0) {
        err_set(err, ERR_SYSTEM, "chmod");
        goto failed;
    }
    if (set_up(s->db, err) < 0 ||
        prepare(s, &s->put, "INSERT INTO kv(key,rev,value) VALUES(?,?,?) ON CONFLICT(key) DO UPDATE SET "
                "rev=excluded.rev, value=excluded.value", err) < 0 ||
        prepare(s, &s->del, "DELETE FROM kv WHERE key=?", err) < 0 ||
        prepare(s, &s->reserve, "INSERT INTO meta(name,value) VALUES('reserved',?) ON CONFLICT(name) DO "
                "UPDATE SET value=excluded.value", err) < 0)
        goto failed;
    *out = s;
    return 0;
failed:
    kv_sqlite_close(s);
    return err_wrap(err, "data base %s", path);
}

struct kv_sqlite *kv_sqlite_close(struct kv_sqlite *s)
{
    if (!s)
        return NULL;
    sqlite3_finalize(s->put);
    sqlite3_finalize(s->del);
    sqlite3_finalize(s->reserve);
    sqlite3_close(s->db);                    /* the last connection checkpoints the log */
    return mem_free(s);
}

int kv_sqlite_load(struct kv_sqlite *s, void (*each)(void *ctx, const struct kv_change *pair), void *ctx,
                   int64_t *reserved, struct err *err)
{
    static const char sql[] = "SELECT key, rev, value FROM kv ORDER BY key";
    sqlite3_stmt *st = NULL;
    int step;

    if (query_int(s->db, "SELECT value FROM meta WHERE name='reserved'", reserved, err) < 0)
        return -1;
    if (sqlite3_prepare_v2(s->db, sql, -1, &st, NULL) != SQLITE_OK)
        return fail(s->db, err, sql);
    while ((step = sqlite3_step(st)) == SQLITE_ROW) {
        struct kv_change pair = {
            .key = (const char *)sqlite3_column_text(st, 0),
            .revision = sqlite3_column_int64(st, 1),
            .value = sqlite3_column_blob(st, 2),
            .value_len = (size_t)sqlite3_column_bytes(st, 2),
        };

        if (!pair.value)
            pair.value = "";
        each(ctx, &pair);
    }
    sqlite3_finalize(st);
    return step == SQLITE_DONE ? 0 : fail(s->db, err, "load");
}

int kv_sqlite_begin(struct kv_sqlite *s, struct err *err)
{
    return exec(s->db, "BEGIN IMMEDIATE", err);
}

static int run(struct kv_sqlite *s, sqlite3_stmt *st, struct err *err)
{
    int step = sqlite3_step(st);

    sqlite3_reset(st);
    sqlite3_clear_bindings(st);
    return step == SQLITE_DONE ? 0 : fail(s->db, err, "write");
}

int kv_sqlite_put(struct kv_sqlite *s, const char *key, int64_t revision, const char *value, size_t len,
                  struct err *err)
{
    if (!value) {
        sqlite3_bind_text(s->del, 1, key, -1, SQLITE_STATIC);
        s->written += 512;
        return run(s, s->del, err);
    }
    sqlite3_bind_text(s->put, 1, key, -1, SQLITE_STATIC);
    sqlite3_bind_int64(s->put, 2, revision);
    sqlite3_bind_blob64(s->put, 3, value, len, SQLITE_STATIC);
    s->written += len + 512;
    return run(s, s->put, err);
}

int kv_sqlite_reserve(struct kv_sqlite *s, int64_t revision, struct err *err)
{
    sqlite3_bind_int64(s->reserve, 1, revision);
    return run(s, s->reserve, err);
}

int kv_sqlite_commit(struct kv_sqlite *s, struct err *err)
{
    if (exec(s->db, "COMMIT", err) < 0)
        return -1;
    s->written += 4096;
    if (s->written < KV_SQLITE_WAL_BYTES)
        return 0;
    s->written = 0;
    /* A reader from outside may be in the way: then the log grows until the next try. */
    sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    sqlite3_exec(s->db, "PRAGMA incremental_vacuum(64)", NULL, NULL, NULL);
    return 0;
}

int kv_sqlite_copy(const char *from, const char *to, struct err *err)
{
    sqlite3 *src = NULL, *dst = NULL;
    sqlite3_backup *b = NULL;
    int result = -1, step = SQLITE_ERROR;

    if (sqlite3_open_v2(from, &src, SQLITE_OPEN_READONLY, NULL) != SQLITE_OK)
        fail(src, err, from);
    else if (sqlite3_open(to, &dst) != SQLITE_OK)
        fail(dst, err, to);
    else if (!(b = sqlite3_backup_init(dst, "main", src, "main")))
        fail(dst, err, to);
    else {
        sqlite3_busy_timeout(src, BUSY_MS);
        step = sqlite3_backup_step(b, -1);
        sqlite3_backup_finish(b);
        result = step == SQLITE_DONE ? 0 : fail(dst, err, to);
    }
    sqlite3_close(src);
    sqlite3_close(dst);
    return result;
}
