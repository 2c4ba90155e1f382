/* bench_store.c: durable writes through store/kv against the same rows written to SQLite by hand,
 * with the same sync policy, on the same disk; and the fan-out of one write to many watches.
 *
 *     bench_store [FOLDER]        where files are made and removed again; default out
 *     bench_store --raw FOLDER    only the peer's rate of single commits, as a number
 */
#include <sqlite3.h>
#include <stdatomic.h>
#include <unistd.h>

#include "core/base/mem.h"
#include "store/kv/kv.h"
#include "store/watch/watch.h"
#include "tests/bench/bench.h"

#define SECONDS 0.5                      /* of each part of each round */
#define ROUNDS 5                         /* ours and the peer's in turn: disks have moods */
#define VALUE_BYTES 1024
#define WRITERS 64
#define WATCHES 1000
#define EVENTS 200

static char value[VALUE_BYTES];

/* One file of the folder, fresh: no part reads what another left. */
static void path_in(char out[512], const char *dir, const char *name)
{
    int n = snprintf(out, 512, "%s/%s", dir, name);

    if (n < 0 || n >= 512)
        bench_fail("store", "the folder's name is too long");
}

static void forget(const char *path)
{
    static const char *const ends[] = { "", "-wal", "-shm", ".lock" };
    char name[600];

    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        snprintf(name, sizeof(name), "%s%s", path, ends[i]);
        unlink(name);
    }
}

/* --- by hand */

static void run_sql(sqlite3 *db, const char *text)
{
    if (sqlite3_exec(db, text, NULL, NULL, NULL) != SQLITE_OK)
        bench_fail("store", sqlite3_errmsg(db));
}

/* Commits of `batch` rows each, one after the other: rows per second. */
static double raw_rows_s(const char *dir, unsigned batch)
{
    sqlite3_stmt *put = NULL;
    sqlite3 *db = NULL;
    double start, end;
    char path[512], key[64];
    unsigned rows = 0;

    path_in(path, dir, "raw.db");
    if (sqlite3_open(path, &db) != SQLITE_OK)
        bench_fail("store", "cannot open a data base");
    run_sql(db, "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL;"
                "PRAGMA synchronous = FULL;"
                "CREATE TABLE t (key TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID");
    sqlite3_prepare_v2(db, "INSERT INTO t VALUES (?, ?)", -1, &put, NULL);
    start = bench_now_s();
    do {
        run_sql(db, "BEGIN IMMEDIATE");
        for (unsigned i = 0; i < batch; i++) {
            snprintf(key, sizeof(key), "configmaps/default/object-%u", rows++);
            sqlite3_bind_text(put, 1, key, -1, SQLITE_TRANSIENT);
            sqlite3_bind_blob(put, 2, value, sizeof(value), SQLITE_STATIC);
            if (sqlite3_step(put) != SQLITE_DONE)
                bench_fail("store", sqlite3_errmsg(db));
            sqlite3_reset(put);
        }
        run_sql(db, "COMMIT");
    } while ((end = bench_now_s()) - start < SECONDS);
    sqlite3_finalize(put);
    sqlite3_close(db);
    forget(path);
    return rows / (end - start);
}

/* --- through the door */

static void on_fatal(void *ctx, const struct err *err)
{
    (void)ctx;
    bench_fail("store", err->msg);
}

static void on_pair(void *ctx, const struct kv_change *c)
{
    (void)ctx;
    (void)c;
}

static struct kv *open_kv(const char *path)
{
    struct kv_opts opts = { .env = env_real(), .on_fatal = on_fatal, .on_change = on_pair };
    struct err err = ERR_INIT;
    struct kv *kv = NULL;

    opts.path = path;
    if (kv_open(&kv, &opts, on_pair, &err) < 0)
        bench_fail("store", err.msg);
    return kv;
}

static double serial_rows_s(const char *dir)
{
    double start, end;
    unsigned rows = 0;
    struct kv *kv;
    char path[512];

    path_in(path, dir, "serial.db");
    kv = open_kv(path);
    start = bench_now_s();
    do {
        char key[64];
        struct kv_commit c = { .key = key, .value = value, .value_len = sizeof(value) };

        snprintf(key, sizeof(key), "configmaps/default/object-%u", rows++);
        kv_commit_wait(kv, &c);
        if (c.err.code)
            bench_fail("store", c.err.msg);
    } while ((end = bench_now_s()) - start < SECONDS);
    kv_close(kv);
    forget(path);
    return rows / (end - start);
}

struct writer {
    struct kv_commit commit;
    struct kv *kv;
    atomic_uint *rows, *running;
    double until;
    char key[64];
};

static void next_row(struct writer *w);

static void on_written(struct kv_commit *c)
{
    struct writer *w = container_of(c, struct writer, commit);

    if (c->err.code)
        bench_fail("store", c->err.msg);
    if (bench_now_s() < w->until)
        next_row(w);
    else
        atomic_fetch_sub(w->running, 1);
}

static void next_row(struct writer *w)
{
    snprintf(w->key, sizeof(w->key), "configmaps/default/object-%u", atomic_fetch_add(w->rows, 1));
    w->commit = (struct kv_commit){ .key = w->key, .value = value, .value_len = sizeof(value),
                                    .on_done = on_written };
    kv_submit(w->kv, &w->commit);
}

/* WRITERS commits are under way at any time. */
static double group_rows_s(const char *dir)
{
    static struct writer writers[WRITERS];
    atomic_uint rows = 0, running = WRITERS;
    double start, took;
    struct kv *kv;
    char path[512];

    path_in(path, dir, "group.db");
    kv = open_kv(path);
    start = bench_now_s();
    for (unsigned i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){ .kv = kv, .rows = &rows, .running = &running,
                                      .until = start + SECONDS };
        next_row(&writers[i]);
    }
    while (atomic_load(&running))
        usleep(1000);
    took = bench_now_s() - start;
    kv_close(kv);
    forget(path);
    return atomic_load(&rows) / took;
}

/* --- watches */

struct watcher { struct watch_cursor *cursor; unsigned *seen; };

static void on_more(void *ctx)
{
    struct watcher *w = ctx;
    struct watch_event *e;
    struct err err = ERR_INIT;

    for (;;) {
        if (watch_cursor_next(w->cursor, &e, &err) < 0)
            bench_fail("watch", err.msg);
        if (!e)
            return;
        (*w->seen)++;
        watch_event_unref(e);
    }
}

static double fan_out_ms(void)
{
    static struct watcher watchers[WATCHES];
    struct watch_cache *cache = watch_cache_new(env_real());
    struct loop *loop = NULL;
    struct err err = ERR_INIT;
    double took[EVENTS];
    unsigned seen = 0;

    if (loop_new(&loop, env_real(), &err) < 0)
        bench_fail("watch", err.msg);
    watch_cache_ready(cache, 1);
    for (unsigned i = 0; i < WATCHES; i++) {
        struct watch_cursor_opts opts = { .kind = kind_config_map(), .ns = "", .after = 1,
                                          .loop = loop, .on_more = on_more, .ctx = &watchers[i] };

        watchers[i].seen = &seen;
        if (watch_cursor_new(&watchers[i].cursor, cache, &opts, &err) < 0)
            bench_fail("watch", err.msg);
    }
    for (unsigned i = 0; i < EVENTS; i++) {
        static const char text[] = "{\"kind\":\"ConfigMap\",\"apiVersion\":\"v1\",\"metadata\":"
            "{\"name\":\"a\",\"namespace\":\"default\",\"resourceVersion\":\"\"}}";
        struct kv_change change = { .revision = 2 + i, .previous = i ? 1 + i : 0,
                                    .key = "configmaps/default/a", .value = text,
                                    .value_len = sizeof(text) - 1 };
        double start = bench_now_s();

        watch_cache_apply(cache, &change);
        while (seen < WATCHES * (i + 1))
            loop_step(loop, 100);
        took[i] = (bench_now_s() - start) * 1000;
    }
    for (unsigned i = 0; i < WATCHES; i++)
        watch_cursor_free(watchers[i].cursor);
    watch_cache_free(cache);
    loop_free(loop);
    return bench_median(took, EVENTS);
}

/* Medians of the rounds; the ratio is the median of each round's own. */
static void rate_row(const char *what, const double ours[ROUNDS], const double peer[ROUNDS])
{
    double a[ROUNDS], b[ROUNDS], ratio[ROUNDS];
    char x[64], y[96];

    for (unsigned i = 0; i < ROUNDS; i++) {
        a[i] = ours[i];
        b[i] = peer[i];
        ratio[i] = ours[i] / peer[i];
    }
    snprintf(x, sizeof(x), "%.0f/s", bench_median(a, ROUNDS));
    snprintf(y, sizeof(y), "SQLite %.0f/s", bench_median(b, ROUNDS));
    bench_row(what, x, y, bench_median(ratio, ROUNDS));
}

int main(int argc, char **argv)
{
    double raw[ROUNDS], batch[ROUNDS], serial[ROUNDS], group[ROUNDS];
    char dir[512], text[64];

    memset(value, 'v', sizeof(value));
    path_in(dir, argc > 1 ? argv[argc - 1] : "out", "bench-store.XXXXXX");
    if (!mkdtemp(dir))
        bench_fail("store", "cannot make a folder");
    if (argc > 2 && strcmp(argv[1], "--raw") == 0) {
        printf("%.1f\n", raw_rows_s(dir, 1));
        return rmdir(dir);
    }
    for (unsigned i = 0; i < ROUNDS; i++) {
        raw[i] = raw_rows_s(dir, 1);
        serial[i] = serial_rows_s(dir);
        group[i] = group_rows_s(dir);
        batch[i] = raw_rows_s(dir, WRITERS);
    }
    rate_row("store: durable commits, one writer", serial, raw);
    rate_row("store: durable commits, 64 writers", group, raw);
    rate_row("store: the same, peer writes 64 rows a transaction", group, batch);
    snprintf(text, sizeof(text), "%.3f ms", fan_out_ms());
    bench_row("watch cache: one write to 1,000 watches", text, NULL, 0);
    return rmdir(dir);
}
