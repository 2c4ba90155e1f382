#include "store/kv/kv.h"

#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/mem.h"
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
