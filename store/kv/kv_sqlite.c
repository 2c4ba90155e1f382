/* kv_sqlite.c -- see kv_sqlite.h.
 *
 * pair has a rowid of its own rather than being WITHOUT ROWID: values are 1-4 KB, and rows of that
 * size would spill into overflow pages of an index tree. An update goes by rowid and leaves the key
 * index alone.
 */
#include "store/kv/kv_sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/check.h"
#include "core/base/mem.h"

#define KV_SQLITE_HEADER_BYTES 100
#define KV_SQLITE_VACUUM_PAGES 256          /* free pages given back by one checkpoint */
#define KV_SQLITE_RENEW_BYTES (64 << 10)

enum { ST_BEGIN, ST_COMMIT, ST_ROLLBACK, ST_INSERT, ST_UPDATE, ST_DELETE, ST_MARK, ST_MAX };

static const char *const kv_sqlite_texts[ST_MAX] = {
    [ST_BEGIN] = "BEGIN IMMEDIATE",
    [ST_COMMIT] = "COMMIT",
    [ST_ROLLBACK] = "ROLLBACK",
    [ST_INSERT] = "INSERT INTO pair (key, revision, value) VALUES (?1, ?2, ?3)",
    [ST_UPDATE] = "UPDATE pair SET revision = ?2, value = ?3 WHERE id = ?4",
    [ST_DELETE] = "DELETE FROM pair WHERE id = ?4",
    [ST_MARK] = "UPDATE meta SET revision_mark = ?2",
};

/* Before the file is looked at. */
static const char kv_sqlite_alone[] = "PRAGMA locking_mode = EXCLUSIVE";
/* Counts only in an empty file. In another it would be written again, for which there may be no
 * room. */
static const char kv_sqlite_new[] = "PRAGMA auto_vacuum = INCREMENTAL";
/* Settings that hold for the connection. */
static const char kv_sqlite_setup[] =
    "PRAGMA cache_size = -2048;"
    "PRAGMA mmap_size = 0;"
    "PRAGMA temp_store = MEMORY;"
    "PRAGMA cell_size_check = ON;"
    "PRAGMA trusted_schema = OFF;"
    "PRAGMA journal_mode = WAL;"
    "PRAGMA synchronous = FULL;"
    "PRAGMA wal_autocheckpoint = 0;"
    "PRAGMA journal_size_limit = 4194304;";
_Static_assert(KV_SQLITE_WAL_BYTES_MAX == 4194304, "as in kv_sqlite_setup");

static const char kv_sqlite_schema[] =
    "BEGIN IMMEDIATE;"
    "CREATE TABLE pair (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE,"
    " revision INTEGER NOT NULL, value BLOB NOT NULL);"
    "CREATE TABLE meta (one INTEGER PRIMARY KEY CHECK (one = 1), revision_mark INTEGER NOT NULL);"
    "INSERT INTO meta VALUES (1, 0);"
    "PRAGMA application_id = 0x696e726f;"
    "PRAGMA user_version = 1;"
    "COMMIT;";
_Static_assert(KV_SQLITE_VERSION == 1 && KV_SQLITE_APP_ID == 0x696e726f, "as in kv_sqlite_schema");

struct kv_sqlite {
    sqlite3 *db;
    sqlite3_stmt *st[ST_MAX];
    int64_t mark;
    int page_bytes;
    int wal_pages;
};

struct kv_sqlite_backup {
    sqlite3 *to;
    sqlite3_backup *copy;
    char *path;
    bool done;
};

static int kv_sqlite_error(sqlite3 *db, int rc, const char *what, struct err *err)
{
    int code = ERR_FAILED;

    switch (rc & 0xff) {
    case SQLITE_FULL: case SQLITE_NOMEM: code = ERR_QUOTA; break;
    case SQLITE_BUSY: case SQLITE_LOCKED: code = ERR_UNAVAILABLE; break;
    case SQLITE_CORRUPT: case SQLITE_NOTADB: code = ERR_CORRUPT; break;
    default: break;
    }
    return err_set(err, code, "%s: %s (%d)", what, db ? sqlite3_errmsg(db) : sqlite3_errstr(rc),
                   rc);
}

static int kv_sqlite_exec(sqlite3 *db, const char *text, struct err *err)
{
    int rc = sqlite3_exec(db, text, NULL, NULL, NULL);

    return rc == SQLITE_OK ? 0 : kv_sqlite_error(db, rc, "store", err);
}

/* The first column of the first row. */
static int kv_sqlite_number(sqlite3 *db, const char *text, int64_t *out, struct err *err)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(db, text, -1, &st, NULL);

    if (rc == SQLITE_OK)
        rc = sqlite3_step(st);
    if (rc == SQLITE_ROW)
        *out = sqlite3_column_int64(st, 0);
    else
        kv_sqlite_error(db, rc == SQLITE_DONE ? SQLITE_CORRUPT : rc, text, err);
    sqlite3_finalize(st);
    return rc == SQLITE_ROW ? 0 : -1;
}

/* --- open */

static int kv_sqlite_sync_dir(const char *path, struct err *err)
{
    _cleanup_(mem_freep) char *copy = mem_strdup(path);
    int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = fd < 0 || fsync(fd) < 0 ? err_sys(err, "sync the directory of %s", path) : 0;

    if (fd >= 0)
        close(fd);
    return rc;
}

/* A new file is ours alone (0600; SQLite gives the WAL the same mode). An old one must begin as one
 * does. */
static int kv_sqlite_check_file(const char *path, struct err *err)
{
    unsigned char head[KV_SQLITE_HEADER_BYTES] = { 0 };
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    struct stat st;
    unsigned page;
    ssize_t n;

    if (fd < 0)
        return err_sys(err, "open %s", path);
    n = fstat(fd, &st) < 0 ? -1 : pread(fd, head, sizeof(head), 0);
    close(fd);                              /* before SQLite opens it: closing drops fcntl locks */
    if (n < 0)
        return err_sys(err, "read %s", path);
    if (!S_ISREG(st.st_mode))
        return err_set(err, ERR_INVALID, "%s is no regular file", path);
    if (st.st_size == 0)
        return kv_sqlite_sync_dir(path, err);
    page = head[16] << 8 | head[17];
    page = page == 1 ? 65536 : page;
    if (n < (ssize_t)sizeof(head) || memcmp(head, "SQLite format 3", 16) != 0 || page < 512 ||
        (page & (page - 1)) != 0)
        return err_set(err, ERR_CORRUPT, "%s has no header of a data base", path);
    return 0;
}

static int kv_sqlite_check_schema(struct kv_sqlite *s, struct err *err)
{
    int64_t version, app, tables, page;

    if (kv_sqlite_number(s->db, "SELECT count(*) FROM sqlite_schema", &tables, err) < 0)
        return -1;
    if (tables == 0 && kv_sqlite_exec(s->db, kv_sqlite_schema, err) < 0)
        return err_wrap(err, "create tables");
    if (kv_sqlite_number(s->db, "PRAGMA user_version", &version, err) < 0 ||
        kv_sqlite_number(s->db, "PRAGMA application_id", &app, err) < 0 ||
        kv_sqlite_number(s->db, "PRAGMA page_size", &page, err) < 0)
        return -1;
    if (app != KV_SQLITE_APP_ID)
        return err_set(err, ERR_CORRUPT, "a data base of another program");
    if (version != KV_SQLITE_VERSION)
        return err_set(err, ERR_UNSUPPORTED, "its tables have version %lld, this program knows %d",
                       (long long)version, KV_SQLITE_VERSION);
    s->page_bytes = (int)page;
    return kv_sqlite_number(s->db, "SELECT revision_mark FROM meta", &s->mark, err);
}

static int kv_sqlite_on_wal(void *arg, sqlite3 *db, const char *name, int pages)
{
    struct kv_sqlite *s = arg;

    (void)db;
    (void)name;
    s->wal_pages = pages;
    return SQLITE_OK;
}

static int kv_sqlite_setup_db(struct kv_sqlite *s, struct err *err)
{
    int persist = 1, rc;
    sqlite3_stmt *st = NULL;
    int64_t pages;
    bool wal;

    if (kv_sqlite_exec(s->db, kv_sqlite_alone, err) < 0 ||
        kv_sqlite_number(s->db, "PRAGMA page_count", &pages, err) < 0 ||
        (pages == 0 && kv_sqlite_exec(s->db, kv_sqlite_new, err) < 0) ||
        kv_sqlite_exec(s->db, kv_sqlite_setup, err) < 0)
        return -1;
    rc = sqlite3_prepare_v2(s->db, "PRAGMA journal_mode", -1, &st, NULL);
    wal = rc == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW &&
          strcmp((const char *)sqlite3_column_text(st, 0), "wal") == 0;
    sqlite3_finalize(st);
    if (!wal)
        return err_set(err, ERR_UNSUPPORTED, "its file system cannot hold a write-ahead log");
    (void)sqlite3_file_control(s->db, NULL, SQLITE_FCNTL_PERSIST_WAL, &persist);
    sqlite3_wal_hook(s->db, kv_sqlite_on_wal, s);
    return 0;
}

static int kv_sqlite_renew_part(sqlite3_file *log, char *part, sqlite3_int64 at, sqlite3_int64 end)
{
    int n = end - at < KV_SQLITE_RENEW_BYTES ? (int)(end - at) : KV_SQLITE_RENEW_BYTES;
    int rc = log->pMethods->xRead(log, part, n, at);

    return rc == SQLITE_OK ? log->pMethods->xWrite(log, part, n, at) : rc;
}

/* A sync that failed, and made an end of the process before this one, may have left a log that is
 * read well from memory and has holes on the medium. What is appended to it would be lost behind
 * them when power goes, so all of it is written and synced again. */
static int kv_sqlite_renew_log(struct kv_sqlite *s, struct err *err)
{
    _cleanup_(mem_freep) char *part = mem_alloc(KV_SQLITE_RENEW_BYTES);
    sqlite3_file *log = NULL;
    sqlite3_int64 end = 0;
    int rc = sqlite3_file_control(s->db, NULL, SQLITE_FCNTL_JOURNAL_POINTER, &log);

    if (rc != SQLITE_OK || !log || !log->pMethods)
        return 0;                           /* a new file: there is no log yet */
    rc = log->pMethods->xFileSize(log, &end);
    for (sqlite3_int64 at = 0; rc == SQLITE_OK && at < end; at += KV_SQLITE_RENEW_BYTES)
        rc = kv_sqlite_renew_part(log, part, at, end);
    if (rc == SQLITE_OK && end > 0)
        rc = log->pMethods->xSync(log, SQLITE_SYNC_NORMAL);
    if (rc == SQLITE_OK || (rc & 0xff) == SQLITE_FULL)
        return 0;                           /* full: as good as it was */
    return kv_sqlite_error(NULL, rc, "write the log anew", err);
}

static int kv_sqlite_prepare(struct kv_sqlite *s, struct err *err)
{
    for (int i = 0; i < ST_MAX; i++) {
        int rc = sqlite3_prepare_v3(s->db, kv_sqlite_texts[i], -1, SQLITE_PREPARE_PERSISTENT,
                                    &s->st[i], NULL);

        if (rc != SQLITE_OK)
            return kv_sqlite_error(s->db, rc, kv_sqlite_texts[i], err);
    }
    return 0;
}

static int kv_sqlite_open_db(struct kv_sqlite *s, const char *path, struct err *err)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    int rc;

    if (kv_sqlite_check_file(path, err) < 0)
        return -1;
    rc = sqlite3_open_v2(path, &s->db, flags, NULL);
    if (rc != SQLITE_OK)
        return kv_sqlite_error(s->db, rc, path, err);
    return kv_sqlite_setup_db(s, err) < 0 ? err_wrap(err, "%s", path) : 0;
}

int kv_sqlite_open(struct kv_sqlite **out, const char *path, struct err *err)
{
    _cleanup_(kv_sqlite_closep) struct kv_sqlite *s = NEW(struct kv_sqlite);

    if (kv_sqlite_open_db(s, path, err) < 0)
        return -1;
    if (kv_sqlite_renew_log(s, err) < 0 || kv_sqlite_check_schema(s, err) < 0 ||
        kv_sqlite_prepare(s, err) < 0)
        return err_wrap(err, "%s", path);
    *out = TAKE(s);
    return 0;
}

struct kv_sqlite *kv_sqlite_close(struct kv_sqlite *s)
{
    if (!s)
        return NULL;
    for (int i = 0; i < ST_MAX; i++)
        sqlite3_finalize(s->st[i]);
    check(sqlite3_close(s->db) == SQLITE_OK);
    return mem_free(s);
}

int64_t kv_sqlite_mark(const struct kv_sqlite *s)
{
    return s->mark;
}

static int kv_sqlite_row(sqlite3_stmt *st, struct kv_sqlite_row *row)
{
    row->id = sqlite3_column_int64(st, 0);
    row->key = (const char *)sqlite3_column_text(st, 1);
    row->revision = sqlite3_column_int64(st, 2);
    row->value = sqlite3_column_blob(st, 3);
    row->value_len = (size_t)sqlite3_column_bytes(st, 3);
    if (row->value_len == 0)
        row->value = "";
    return row->key && row->value ? 0 : -1;
}

int kv_sqlite_load(struct kv_sqlite *s, kv_sqlite_row_fn on_row, void *ctx, struct err *err)
{
    static const char text[] = "SELECT id, key, revision, value FROM pair ORDER BY key";
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(s->db, text, -1, &st, NULL);
    int result = 0;

    while (rc == SQLITE_OK || rc == SQLITE_ROW) {
        struct kv_sqlite_row row;

        rc = sqlite3_step(st);
        if (rc != SQLITE_ROW)
            break;
        if (kv_sqlite_row(st, &row) < 0)
            result = err_set(err, ERR_QUOTA, "load: out of memory");
        else
            result = on_row(ctx, &row, err);
        if (result < 0)
            break;
    }
    if (result == 0 && rc != SQLITE_DONE)
        result = kv_sqlite_error(s->db, rc, "load", err);
    sqlite3_finalize(st);
    return result;
}

/* --- transactions */

static int kv_sqlite_run(struct kv_sqlite *s, int which, struct err *err)
{
    int rc = sqlite3_step(s->st[which]);

    (void)sqlite3_reset(s->st[which]);      /* repeats the code of the step */
    return rc == SQLITE_DONE ? 0 : kv_sqlite_error(s->db, rc, "write", err);
}

int kv_sqlite_begin(struct kv_sqlite *s, struct err *err)
{
    return kv_sqlite_run(s, ST_BEGIN, err);
}

int kv_sqlite_put(struct kv_sqlite *s, int64_t *id, const struct kv_sqlite_row *row,
                  struct err *err)
{
    int which = *id == 0 ? ST_INSERT : ST_UPDATE;
    sqlite3_stmt *st = s->st[which];
    int rc = sqlite3_bind_int64(st, 2, row->revision);

    if (rc == SQLITE_OK)
        rc = sqlite3_bind_blob64(st, 3, row->value, row->value_len, SQLITE_STATIC);
    if (rc == SQLITE_OK && which == ST_UPDATE)
        rc = sqlite3_bind_int64(st, 4, *id);
    if (rc == SQLITE_OK && which == ST_INSERT)
        rc = sqlite3_bind_text(st, 1, row->key, -1, SQLITE_STATIC);
    if (rc != SQLITE_OK)
        return kv_sqlite_error(s->db, rc, "bind", err);
    if (kv_sqlite_run(s, which, err) < 0)
        return -1;
    if (sqlite3_changes(s->db) != 1)
        return err_set(err, ERR_CORRUPT, "row %lld of %s is gone", (long long)*id, row->key);
    if (which == ST_INSERT)
        *id = sqlite3_last_insert_rowid(s->db);
    return 0;
}

int kv_sqlite_delete(struct kv_sqlite *s, int64_t id, struct err *err)
{
    int rc = sqlite3_bind_int64(s->st[ST_DELETE], 4, id);

    if (rc != SQLITE_OK)
        return kv_sqlite_error(s->db, rc, "bind", err);
    if (kv_sqlite_run(s, ST_DELETE, err) < 0)
        return -1;
    if (sqlite3_changes(s->db) != 1)
        return err_set(err, ERR_CORRUPT, "row %lld is gone", (long long)id);
    return 0;
}

int kv_sqlite_set_mark(struct kv_sqlite *s, int64_t revision, struct err *err)
{
    int rc = sqlite3_bind_int64(s->st[ST_MARK], 2, revision);

    return rc == SQLITE_OK ? kv_sqlite_run(s, ST_MARK, err)
                           : kv_sqlite_error(s->db, rc, "bind", err);
}

int kv_sqlite_commit(struct kv_sqlite *s, struct err *err)
{
    return kv_sqlite_run(s, ST_COMMIT, err);
}

int kv_sqlite_rollback(struct kv_sqlite *s, struct err *err)
{
    if (sqlite3_get_autocommit(s->db))
        return 0;                           /* the failed statement has rolled back itself */
    return kv_sqlite_run(s, ST_ROLLBACK, err);
}

/* --- upkeep */

size_t kv_sqlite_wal_bytes(const struct kv_sqlite *s)
{
    return (size_t)s->wal_pages * (size_t)s->page_bytes;
}

/* Gives pages back when a quarter of the file is free. */
static int kv_sqlite_vacuum(struct kv_sqlite *s, struct err *err)
{
    int64_t free_pages, pages;
    char text[64];

    if (kv_sqlite_number(s->db, "PRAGMA freelist_count", &free_pages, err) < 0 ||
        kv_sqlite_number(s->db, "PRAGMA page_count", &pages, err) < 0)
        return -1;
    if (free_pages < KV_SQLITE_VACUUM_PAGES || free_pages * 4 < pages)
        return 0;
    sqlite3_snprintf(sizeof(text), text, "PRAGMA incremental_vacuum(%d)", KV_SQLITE_VACUUM_PAGES);
    return kv_sqlite_exec(s->db, text, err);
}

int kv_sqlite_checkpoint(struct kv_sqlite *s, bool truncate, struct err *err)
{
    int mode = truncate ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_PASSIVE;
    int in_log = 0, moved = 0, rc;

    if (kv_sqlite_vacuum(s, err) < 0)
        return -1;
    rc = sqlite3_wal_checkpoint_v2(s->db, NULL, mode, &in_log, &moved);
    if (rc != SQLITE_OK)
        return kv_sqlite_error(s->db, rc, "checkpoint", err);
    if (in_log == moved)
        s->wal_pages = 0;
    return 0;
}

/* --- backup */

static int kv_sqlite_create(const char *path, struct err *err)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0)
        return errno == EEXIST ? err_set(err, ERR_EXISTS, "%s exists", path)
                               : err_sys(err, "create %s", path);
    close(fd);
    return 0;
}

int kv_sqlite_backup_new(struct kv_sqlite_backup **out, struct kv_sqlite *s, const char *path,
                         struct err *err)
{
    struct kv_sqlite_backup *b;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    int rc;

    if (kv_sqlite_create(path, err) < 0)
        return -1;
    b = NEW(struct kv_sqlite_backup);
    b->path = mem_strdup(path);
    rc = sqlite3_open_v2(path, &b->to, flags, NULL);
    if (rc == SQLITE_OK)
        b->copy = sqlite3_backup_init(b->to, "main", s->db, "main");
    if (!b->copy) {
        kv_sqlite_error(b->to, rc == SQLITE_OK ? sqlite3_errcode(b->to) : rc, path, err);
        kv_sqlite_backup_free(b);
        return -1;
    }
    *out = b;
    return 0;
}

int kv_sqlite_backup_step(struct kv_sqlite_backup *b, int pages, struct err *err)
{
    int rc = sqlite3_backup_step(b->copy, pages);

    if (rc == SQLITE_OK)
        return 1;
    if (rc == SQLITE_DONE)
        rc = sqlite3_backup_finish(b->copy);
    else
        (void)sqlite3_backup_finish(b->copy);
    b->copy = NULL;
    if (rc != SQLITE_OK)
        return kv_sqlite_error(b->to, rc, b->path, err);
    if (kv_sqlite_sync_dir(b->path, err) < 0)
        return -1;
    b->done = true;
    return 0;
}

struct kv_sqlite_backup *kv_sqlite_backup_free(struct kv_sqlite_backup *b)
{
    if (!b)
        return NULL;
    if (b->copy)
        (void)sqlite3_backup_finish(b->copy);
    (void)sqlite3_close(b->to);
    if (!b->done)
        (void)unlink(b->path);
    mem_free(b->path);
    return mem_free(b);
}

int kv_sqlite_copy(const char *from, const char *to, struct err *err)
{
    _cleanup_(kv_sqlite_closep) struct kv_sqlite *s = NEW(struct kv_sqlite);
    _cleanup_(kv_sqlite_backup_freep) struct kv_sqlite_backup *b = NULL;
    int64_t app;

    if (access(from, F_OK) < 0)             /* opening would make it */
        return err_sys(err, "%s", from);
    if (kv_sqlite_open_db(s, from, err) < 0 ||
        kv_sqlite_number(s->db, "PRAGMA application_id", &app, err) < 0)
        return -1;
    if (app != KV_SQLITE_APP_ID)
        return err_set(err, ERR_CORRUPT, "%s: a data base of another program", from);
    if (kv_sqlite_backup_new(&b, s, to, err) < 0)
        return -1;
    return kv_sqlite_backup_step(b, -1, err);
}
