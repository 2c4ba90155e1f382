/* test_kv.c -- the store on a real file: expectations, limits, kills, and a disk that fails. */
#include "store/kv/kv.h"

#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/mem.h"
#include "tests/fake/fake_vfs.h"
#include "tests/harness/test.h"

struct seen { int64_t last; unsigned n, loaded; char key[64]; };

static void on_change(void *ctx, const struct kv_change *c)
{
    struct seen *s = ctx;

    EXPECT(c->revision > s->last);
    s->last = c->revision;
    s->n++;
}

static void on_load(void *ctx, const struct kv_change *pair)
{
    struct seen *s = ctx;

    s->loaded++;
    snprintf(s->key, sizeof(s->key), "%s=%.*s", pair->key, (int)pair->value_len, pair->value);
}

static struct kv *open_kv(const char *name, struct seen *seen)
{
    char path[256];
    struct kv_opts o = { .path = path, .env = env_real(), .on_change = on_change, .ctx = seen };
    struct err err = ERR_INIT;
    struct kv *kv;

    snprintf(path, sizeof(path), "%s/%s", test_tmpdir(), name);
    EXPECT_OK(kv_open(&kv, &o, on_load, &err), &err);
    return kv;
}

static int put(struct kv *kv, const char *key, const char *value, int64_t expect, int64_t *revision)
{
    struct kv_commit c = { .key = key, .value = value, .value_len = value ? strlen(value) : 0,
                           .expect = expect };

    kv_commit_wait(kv, &c);
    if (revision)
        *revision = c.revision;
    return c.err.code;
}

TEST(write_and_reopen)
{
    struct seen seen = { 0 };
    struct kv *kv = open_kv("a.db", &seen);
    int64_t r1, r2, at;

    EXPECT_EQ(put(kv, "pods/default/a", "1", KV_ABSENT, &r1), ERR_NONE);
    EXPECT_EQ(put(kv, "pods/default/a", "2", r1, &r2), ERR_NONE);
    EXPECT(r2 > r1);
    EXPECT_EQ(kv_revision(kv), r2);
    EXPECT_EQ(put(kv, "pods/default/a", "3", r1, &at), ERR_CONFLICT);
    EXPECT_EQ(at, r2);
    EXPECT_EQ(put(kv, "pods/default/a", "3", KV_ABSENT, &at), ERR_CONFLICT);
    EXPECT_EQ(put(kv, "pods/default/b", NULL, KV_ANY, &at), ERR_CONFLICT);
    EXPECT_EQ(seen.n, 2);
    kv_close(kv);

    seen = (struct seen){ 0 };
    kv = open_kv("a.db", &seen);
    EXPECT_EQ(seen.loaded, 1);
    EXPECT_STR(seen.key, "pods/default/a=2");
    EXPECT_EQ(kv_revision(kv), r2);
    EXPECT_EQ(put(kv, "pods/default/a", NULL, r2, &at), ERR_NONE);
    EXPECT(at > r2);
    kv_close(kv);
}

TEST(limits)
{
    struct seen seen = { 0 };
    struct kv *kv = open_kv("l.db", &seen);
    char *key = mem_alloc(KV_KEY_BYTES_MAX + 2), *value = mem_alloc(KV_VALUE_BYTES_MAX + 2);
    struct kv_commit c = { .key = "k", .value = value, .expect = KV_ANY };

    memset(key, 'k', KV_KEY_BYTES_MAX);
    memset(value, 'v', KV_VALUE_BYTES_MAX + 1);
    EXPECT_EQ(put(kv, key, "x", KV_ANY, NULL), ERR_NONE);
    key[KV_KEY_BYTES_MAX] = 'k';
    EXPECT_EQ(put(kv, key, "x", KV_ANY, NULL), ERR_QUOTA);
    c.value_len = KV_VALUE_BYTES_MAX;
    kv_commit_wait(kv, &c);
    EXPECT_EQ(c.err.code, ERR_NONE);
    c.value_len = KV_VALUE_BYTES_MAX + 1;
    kv_commit_wait(kv, &c);
    EXPECT_EQ(c.err.code, ERR_QUOTA);
    kv_close(kv);
    mem_free(key);
    mem_free(value);
}

TEST(volatile_pairs_survive_a_clean_close)
{
    struct seen seen = { 0 };
    struct kv *kv = open_kv("v.db", &seen);
    struct kv_commit c = { .key = "leases/x/y", .value = "1", .value_len = 1, .expect = KV_ABSENT,
                           .volatile_class = true };

    kv_commit_wait(kv, &c);
    EXPECT_EQ(c.err.code, ERR_NONE);
    EXPECT_EQ(seen.n, 1);
    kv_close(kv);
    seen = (struct seen){ 0 };
    kv = open_kv("v.db", &seen);
    EXPECT_EQ(seen.loaded, 1);
    kv_close(kv);
}

/* A writer that tells each acknowledged revision through a pipe, until it is killed. */
static _Noreturn void write_for_ever(int out)
{
    struct seen seen = { 0 };
    struct kv *kv = open_kv("k.db", &seen);

    for (unsigned i = 0;; i++) {
        struct kv_commit c = { .expect = KV_ANY, .volatile_class = i % 3 == 0 };
        char key[32], value[32];
        int64_t ack[2];

        snprintf(key, sizeof(key), c.volatile_class ? "leases/a/%u" : "pods/a/%u", i);
        snprintf(value, sizeof(value), "%u", i);
        c.key = key;
        c.value = value;
        c.value_len = strlen(value);
        kv_commit_wait(kv, &c);
        ack[0] = c.revision;
        ack[1] = c.volatile_class;
        if (c.err.code || write(out, ack, sizeof(ack)) != sizeof(ack))
            _exit(1);
    }
}

TEST_SLOW(kill_loses_nothing_acknowledged, 60)
{
    int pipe_fds[2], status;
    int64_t ack[2], last = 0, durable = 0;
    struct seen seen = { 0 };
    struct kv *kv;
    pid_t pid;

    EXPECT_EQ(pipe(pipe_fds), 0);
    pid = fork();
    if (pid == 0)
        write_for_ever(pipe_fds[1]);
    close(pipe_fds[1]);
    for (unsigned i = 0; i < 250; i++) {
        EXPECT_EQ(read(pipe_fds[0], ack, sizeof(ack)), sizeof(ack));
        last = ack[0];
        durable += !ack[1];
    }
    EXPECT_EQ(kill(pid, SIGKILL), 0);
    while (read(pipe_fds[0], ack, sizeof(ack)) == sizeof(ack)) {
        last = ack[0];
        durable += !ack[1];
    }
    EXPECT_EQ(waitpid(pid, &status, 0), pid);
    kv = open_kv("k.db", &seen);
    EXPECT((int64_t)seen.loaded >= durable);
    EXPECT(kv_revision(kv) >= last);
    EXPECT_EQ(put(kv, "pods/a/after", "x", KV_ABSENT, &ack[0]), ERR_NONE);
    EXPECT(ack[0] > last);
    kv_close(kv);
}

TEST(backup)
{
    struct seen seen = { 0 };
    struct kv *kv = open_kv("b.db", &seen);
    struct err err = ERR_INIT;
    char path[256];

    EXPECT_EQ(put(kv, "a", "1", KV_ANY, NULL), ERR_NONE);
    snprintf(path, sizeof(path), "%s/copy.db", test_tmpdir());
    EXPECT_OK(kv_backup(kv, path, &err), &err);
    kv_close(kv);
    kv = open_kv("copy.db", &seen);
    EXPECT_EQ(seen.loaded, 1);
    kv_close(kv);
}

/* Also of one whose tables are of another version; a missing one is not made. */
TEST(copy_of_a_store_at_rest)
{
    struct seen seen = { 0 };
    struct kv *kv = open_kv("r.db", &seen);
    struct err err = ERR_INIT;
    char from[256], to[256];

    EXPECT_EQ(put(kv, "a", "1", KV_ANY, NULL), ERR_NONE);
    snprintf(from, sizeof(from), "%s/r.db", test_tmpdir());
    snprintf(to, sizeof(to), "%s/s.db", test_tmpdir());
    EXPECT_ERR(kv_copy(from, to, &err), &err, ERR_UNAVAILABLE);      /* it is in use */
    kv_close(kv);
    EXPECT_OK(kv_copy(from, to, &err), &err);
    EXPECT_ERR(kv_copy(from, to, &err), &err, ERR_EXISTS);
    seen = (struct seen){ 0 };
    kv = open_kv("s.db", &seen);
    EXPECT_EQ(seen.loaded, 1);
    kv_close(kv);
    snprintf(from, sizeof(from), "%s/none.db", test_tmpdir());
    EXPECT_EQ(kv_copy(from, to, &err), -1);
    EXPECT_EQ(access(from, F_OK), -1);
}

TEST(a_file_that_is_no_data_base)
{
    struct seen seen = { 0 };
    char path[256];
    struct kv_opts o = { .path = path, .env = env_real(), .on_change = on_change, .ctx = &seen };
    struct err err = ERR_INIT;
    struct kv *kv;
    FILE *f;

    snprintf(path, sizeof(path), "%s/x.db", test_tmpdir());
    f = fopen(path, "w");
    for (int i = 0; i < 2000; i++)
        fputs("this is no data base", f);
    fclose(f);
    EXPECT_ERR(kv_open(&kv, &o, on_load, &err), &err, ERR_CORRUPT);
}

/* --- many at once */

struct many { struct kv_commit c; struct many_ctx *of; char key[32]; };
struct many_ctx { atomic_int done; atomic_int refused; int64_t last; bool in_order; };

static void on_many(struct kv_commit *c)
{
    struct many_ctx *m = ((struct many *)c->ctx)->of;

    if (c->err.code == ERR_QUOTA)
        atomic_fetch_add(&m->refused, 1);
    else if (c->err.code != ERR_NONE || c->revision <= m->last)
        m->in_order = false;
    else
        m->last = c->revision;
    atomic_fetch_add(&m->done, 1);
}

static void submit_many(struct kv *kv, struct many *v, unsigned n, struct many_ctx *m)
{
    for (unsigned i = 0; i < n; i++) {
        v[i] = (struct many){ .of = m };
        snprintf(v[i].key, sizeof(v[i].key), "pods/default/%u", i);
        v[i].c = (struct kv_commit){ .key = v[i].key, .value = v[i].key, .value_len = 4,
                                     .expect = KV_ABSENT, .on_done = on_many, .ctx = &v[i] };
        kv_submit(kv, &v[i].c);
    }
}

static void until_done(const struct many_ctx *m, int n)
{
    while (atomic_load(&m->done) < n)
        usleep(1000);
}

TEST(a_batch_is_answered_in_order_with_few_syncs)
{
    enum { N = KV_BATCH_MAX * 4 };
    struct seen seen = { 0 };
    struct fake_vfs v = { .syncs_left = -1, .writes_left = -1 };
    struct many_ctx m = { .in_order = true };
    struct many *all = mem_alloc_array(N, sizeof(*all));
    struct kv *kv;
    int before;

    fake_vfs_install(&v);
    kv = open_kv("m.db", &seen);
    before = v.syncs;
    submit_many(kv, all, N, &m);
    until_done(&m, N);
    EXPECT(m.in_order);
    EXPECT_EQ(seen.n, N);
    EXPECT(v.syncs - before < N / 10);
    EXPECT(v.syncs - before >= N / KV_BATCH_MAX);
    kv_close(kv);
    mem_free(all);
}

static atomic_bool hold;

static void on_held(struct kv_commit *c)
{
    (void)c;
    while (atomic_load(&hold))
        usleep(100);
}

TEST(the_queue_has_its_limit)
{
    enum { N = KV_QUEUE_MAX + 1 };
    struct seen seen = { 0 };
    struct kv *kv = open_kv("q.db", &seen);
    struct many_ctx m = { .in_order = true };
    struct many *all = mem_alloc_array(N, sizeof(*all));
    struct kv_commit first = { .key = "a", .value = "", .expect = KV_ANY, .on_done = on_held };

    hold = true;
    kv_submit(kv, &first);
    while (kv_revision(kv) == 0)
        usleep(100);
    submit_many(kv, all, N, &m);                /* one more than may wait */
    EXPECT_EQ(m.refused, 0);                    /* never from inside kv_submit */
    hold = false;
    until_done(&m, N);
    EXPECT(m.in_order);
    EXPECT_EQ(m.refused, 1);
    EXPECT_EQ(all[N - 1].c.err.code, ERR_QUOTA);
    EXPECT_EQ(all[N - 2].c.err.code, ERR_NONE);
    kv_close(kv);
    mem_free(all);
}

/* Commits of one batch see each other. */
TEST(a_batch_sees_itself)
{
    struct seen seen = { 0 };
    struct kv *kv = open_kv("s.db", &seen);
    struct many_ctx m = { .in_order = true };
    struct many x[4] = { { .of = &m }, { .of = &m }, { .of = &m }, { .of = &m } };
    struct kv_commit first = { .key = "a", .value = "", .expect = KV_ANY, .on_done = on_held };

    for (int i = 0; i < 4; i++)
        x[i].c = (struct kv_commit){ .key = "k", .value = i == 2 ? NULL : "v", .value_len = 1,
                                     .expect = i == 1 ? KV_ABSENT : KV_ANY, .on_done = on_many,
                                     .ctx = &x[i] };
    hold = true;
    kv_submit(kv, &first);
    while (kv_revision(kv) == 0)
        usleep(100);
    for (int i = 0; i < 4; i++)
        kv_submit(kv, &x[i].c);
    hold = false;
    until_done(&m, 4);
    EXPECT_EQ(x[0].c.err.code, ERR_NONE);
    EXPECT_EQ(x[1].c.err.code, ERR_CONFLICT);
    EXPECT_EQ(x[1].c.revision, x[0].c.revision);
    EXPECT_EQ(x[2].c.err.code, ERR_NONE);
    EXPECT_EQ(x[3].c.err.code, ERR_NONE);
    EXPECT_EQ(x[3].c.revision, x[0].c.revision + 2);
    kv_close(kv);
    seen = (struct seen){ 0 };
    kv = open_kv("s.db", &seen);
    EXPECT_EQ(seen.loaded, 2);
    EXPECT_STR(seen.key, "k=v");
    kv_close(kv);
}

/* --- volatile and durable changes of one key */

static int put_volatile(struct kv *kv, const char *key, const char *value)
{
    struct kv_commit c = { .key = key, .value = value, .value_len = value ? strlen(value) : 0,
                           .expect = KV_ANY, .volatile_class = true };

    kv_commit_wait(kv, &c);
    return c.err.code;
}

TEST(the_newest_change_of_either_class_wins)
{
    struct seen seen = { 0 };
    struct kv *kv = open_kv("w.db", &seen);

    EXPECT_EQ(put_volatile(kv, "a", "old"), ERR_NONE);
    EXPECT_EQ(put(kv, "a", "new", KV_ANY, NULL), ERR_NONE);
    EXPECT_EQ(put(kv, "gone", "x", KV_ANY, NULL), ERR_NONE);
    EXPECT_EQ(put_volatile(kv, "gone", NULL), ERR_NONE);
    EXPECT_EQ(put_volatile(kv, "never", "x"), ERR_NONE);
    EXPECT_EQ(put_volatile(kv, "never", NULL), ERR_NONE);
    EXPECT_EQ(put_volatile(kv, "never", NULL), ERR_CONFLICT);
    kv_close(kv);
    seen = (struct seen){ 0 };
    kv = open_kv("w.db", &seen);
    EXPECT_EQ(seen.loaded, 1);
    EXPECT_STR(seen.key, "a=new");
    kv_close(kv);
}

/* Volatile changes touch the disk when they are flushed, and heartbeats alone never. */
TEST(volatile_changes_are_written_in_batches)
{
    struct seen seen = { 0 };
    struct fake_vfs v = { .syncs_left = -1, .writes_left = -1 };
    char path[256];
    struct kv_opts o = { .path = path, .on_change = on_change, .ctx = &seen,
                         .volatile_flush_ms = 100 };
    struct err err = ERR_INIT;
    struct kv *kv;
    int before;

    fake_vfs_install(&v);
    snprintf(path, sizeof(path), "%s/vb.db", test_tmpdir());
    EXPECT_OK(kv_open(&kv, &o, on_load, &err), &err);
    EXPECT_EQ(put(kv, "pods/a", "0", KV_ANY, NULL), ERR_NONE);   /* moves the mark */
    before = v.syncs;
    for (int i = 0; i < 200; i++)
        EXPECT_EQ(put_volatile(kv, "leases/a", "1"), ERR_NONE);
    EXPECT(v.syncs - before <= 1);
    for (int i = 0; i < 1000 && v.syncs == before; i++)
        usleep(5000);
    EXPECT(v.syncs > before);
    EXPECT_EQ(put(kv, "pods/a", "1", KV_ANY, NULL), ERR_NONE);   /* after all of that */
    before = v.syncs;
    EXPECT_EQ(put_volatile(kv, "leases/a", "2"), ERR_NONE);
    usleep(3 * 100 * 1000);                  /* nothing is due */
    EXPECT_EQ(v.syncs, before);
    EXPECT_EQ(put_volatile(kv, "leases/b", "1"), ERR_NONE);
    for (int i = 0; i < 1000 && v.syncs == before; i++)
        usleep(5000);
    EXPECT(v.syncs > before);
    kv_close(kv);
    seen = (struct seen){ 0 };
    kv = open_kv("vb.db", &seen);
    EXPECT_EQ(seen.loaded, 3);
    kv_close(kv);
}

/* --- a disk that fails */

struct fatal { struct seen seen; atomic_int n; };

static void on_fatal(void *ctx, const struct err *err)
{
    struct fatal *f = ctx;

    EXPECT(err->code != ERR_NONE);
    atomic_fetch_add(&f->n, 1);
}

static struct kv *open_faulty(struct fatal *f, struct fake_vfs *v)
{
    char path[256];
    struct kv_opts o = { .path = path, .on_change = on_change, .on_fatal = on_fatal, .ctx = f };
    struct err err = ERR_INIT;
    struct kv *kv;

    *v = (struct fake_vfs){ .syncs_left = -1, .writes_left = -1 };
    fake_vfs_install(v);
    snprintf(path, sizeof(path), "%s/f.db", test_tmpdir());
    EXPECT_OK(kv_open(&kv, &o, on_load, &err), &err);
    return kv;
}

TEST(a_failed_sync_is_fatal_and_nothing_is_acknowledged_after)
{
    struct fatal f = { 0 };
    struct fake_vfs v;
    struct kv *kv = open_faulty(&f, &v);
    struct err err = ERR_INIT;
    int64_t before;

    EXPECT_EQ(put(kv, "a", "1", KV_ANY, NULL), ERR_NONE);
    before = kv_revision(kv);
    v.syncs_left = 0;
    EXPECT_EQ(put(kv, "a", "2", KV_ANY, NULL), ERR_UNAVAILABLE);
    EXPECT_EQ(f.n, 1);
    EXPECT(kv_health(kv, &err) < 0);
    EXPECT_STR(err.msg, "the store has failed");
    v.syncs_left = -1;                          /* even if the disk seems well again */
    EXPECT_EQ(put(kv, "a", "3", KV_ANY, NULL), ERR_UNAVAILABLE);
    EXPECT_EQ(put_volatile(kv, "b", "1"), ERR_UNAVAILABLE);
    EXPECT_EQ(f.n, 1);
    EXPECT_EQ(kv_revision(kv), before);
    EXPECT_EQ(f.seen.n, 1);
    kv_close(kv);
}

TEST(a_full_disk_refuses_and_recovers)
{
    struct fatal f = { 0 };
    struct fake_vfs v;
    struct kv *kv = open_faulty(&f, &v);
    int64_t r1, r2;

    EXPECT_EQ(put(kv, "a", "1", KV_ANY, &r1), ERR_NONE);
    for (int left = 0; left < 6; left++) {      /* full at each of the writes of a transaction */
        v.writes_left = left;
        if (put(kv, "a", "2", KV_ANY, NULL) == ERR_NONE)
            r1 = kv_revision(kv);
        EXPECT(left > 0 || kv_revision(kv) == r1);
        put(kv, "new", "2", KV_ABSENT, NULL);
        put(kv, "new", NULL, KV_ANY, NULL);
        v.writes_left = -1;
        put(kv, "new", NULL, KV_ANY, NULL);
    }
    EXPECT_EQ(f.n, 0);
    r1 = kv_revision(kv);
    EXPECT_EQ(put(kv, "a", "3", KV_ANY, &r2), ERR_NONE);
    EXPECT_EQ(r2, r1 + 1);
    EXPECT_EQ(put(kv, "new", "4", KV_ABSENT, NULL), ERR_NONE);
    kv_close(kv);
    f.seen = (struct seen){ 0 };
    kv = open_faulty(&f, &v);
    EXPECT_EQ(f.seen.loaded, 2);
    EXPECT_STR(f.seen.key, "new=4");
    EXPECT_EQ(f.n, 0);
    kv_close(kv);
}

TEST(a_file_is_open_once)
{
    struct seen seen = { 0 };
    struct kv *kv = open_kv("o.db", &seen);
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        char path[256];
        struct kv_opts o = { .path = path, .on_change = on_change, .ctx = &seen };
        struct err err = ERR_INIT;
        struct kv *other;

        snprintf(path, sizeof(path), "%s/o.db", test_tmpdir());
        EXPECT_ERR(kv_open(&other, &o, on_load, &err), &err, ERR_UNAVAILABLE);
        _exit(0);
    }
    EXPECT_EQ(waitpid(pid, &status, 0), pid);
    EXPECT_EQ(status, 0);
    EXPECT_EQ(put(kv, "a", "1", KV_ANY, NULL), ERR_NONE);
    kv_close(kv);
}

/* The log does not grow without end, nor does the file after many deletions. */
TEST_SLOW(the_log_stays_small, 60)
{
    struct seen seen = { 0 };
    struct kv *kv = open_kv("big.db", &seen);
    char *value = mem_alloc(100000), path[256];
    struct kv_commit c = { .key = "k", .value = value, .value_len = 100000, .expect = KV_ANY };
    FILE *f;

    memset(value, 'x', 100000);
    for (int i = 0; i < 300; i++) {             /* 30 MB through the log */
        kv_commit_wait(kv, &c);
        EXPECT_EQ(c.err.code, ERR_NONE);
    }
    snprintf(path, sizeof(path), "%s/big.db-wal", test_tmpdir());
    f = fopen(path, "r");
    EXPECT(f);
    fseek(f, 0, SEEK_END);
    EXPECT(ftell(f) < 6 << 20);
    fclose(f);
    kv_close(kv);
    mem_free(value);
}

TEST(health_and_figures)
{
    struct seen seen = { 0 };
    struct kv *kv = open_kv("a.db", &seen);
    _cleanup_buf_ struct buf b = BUF_INIT;
    struct err err = ERR_INIT;
    int64_t at;

    EXPECT_EQ(put(kv, "pods/default/a", "1", KV_ABSENT, &at), ERR_NONE);
    EXPECT_EQ(put(kv, "pods/default/a", "2", KV_ABSENT, &at), ERR_CONFLICT);
    EXPECT_EQ(kv_health(kv, &err), 0);
    kv_metrics(kv, &b);
    EXPECT(strstr(b.p, "inro_store_commits_total{result=\"durable\"} 1\n"));
    EXPECT(strstr(b.p, "inro_store_commits_total{result=\"conflict\"} 1\n"));
    EXPECT(strstr(b.p, "inro_store_sync_duration_seconds_count 1\n"));
    EXPECT(strstr(b.p, "inro_store_full 0\n"));
    kv_close(kv);
}
