/* test_kv_disk.c -- the store in one thread on a disk that loses power, fails or is full in each of
 * its operations in turn. */
#include "store/kv/kv.h"

#include <fcntl.h>
#include <unistd.h>

#include "tests/fake/fake_disk.h"
#include "tests/fake/fake_env.h"
#include "tests/harness/test.h"

#define KEYS 12
#define OPS_MAX 2000

struct world {
    struct fake_env env;
    struct fake_disk *disk;
    struct kv *kv;
    char path[256];
    int64_t top;                         /* newest revision ever published or loaded */
    int acked[KEYS], tried[KEYS];        /* versions: 0 is absent */
    int found[KEYS];
    unsigned fatal;
};

static void on_change(void *ctx, const struct kv_change *c)
{
    struct world *w = ctx;

    EXPECT(c->revision > w->top);
    w->top = c->revision;
}

static void on_load(void *ctx, const struct kv_change *pair)
{
    struct world *w = ctx;
    char text[64];

    snprintf(text, sizeof(text), "%.*s", (int)pair->value_len, pair->value);
    w->found[strtol(pair->key + 1, NULL, 10)] = (int)strtol(text, NULL, 10);
    if (pair->revision > w->top)
        w->top = pair->revision;
}

static void on_fatal(void *ctx, const struct err *why)
{
    struct world *w = ctx;

    EXPECT(why->code != ERR_NONE);
    w->fatal++;
}

static int open_store(struct world *w)
{
    struct kv_opts o = { .path = w->path, .env = &w->env.env, .inlined = true, .ctx = w,
                         .on_change = on_change, .on_fatal = on_fatal };
    struct err err = ERR_INIT;

    memset(w->found, 0, sizeof(w->found));
    return kv_open(&w->kv, &o, on_load, &err);
}

static void begin(struct world *w, uint64_t seed)
{
    int fd;

    *w = (struct world){ 0 };
    fake_env_init(&w->env, seed);
    w->disk = fake_disk_new(seed);
    snprintf(w->path, sizeof(w->path), "%s/a.db", test_tmpdir());
    fd = open(w->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    EXPECT(fd >= 0);
    close(fd);
}

static void end(struct world *w)
{
    w->kv = kv_close(w->kv);
    w->disk = fake_disk_free(w->disk);
}

static int put(struct world *w, int key, int version)
{
    char name[16], value[64];
    struct kv_commit c = { .key = name, .value = version ? value : NULL, .expect = KV_ANY };

    snprintf(name, sizeof(name), "k%d", key);
    snprintf(value, sizeof(value), "%d and some bytes more", version);
    c.value_len = strlen(value);
    w->tried[key] = version;
    kv_commit_wait(w->kv, &c);
    if (c.err.code == ERR_NONE)
        w->acked[key] = version;
    return c.err.code;
}

/* True when all was written. */
static bool work(struct world *w, int from, int n)
{
    for (int i = from; i < from + n; i++) {
        int key = i * 5 % KEYS;
        int version = i % 7 == 6 && w->acked[key] ? 0 : i + 1;

        if (put(w, key, version) != ERR_NONE)
            return false;
        if (i % 10 == 9)
            fake_env_advance(&w->env, 10000);
    }
    return true;
}

/* What was acknowledged is there; what was tried last may be. */
static void check_found(struct world *w, const char *when, uint64_t op)
{
    for (int i = 0; i < KEYS; i++) {
        if (w->found[i] != w->acked[i] && w->found[i] != w->tried[i])
            test_fail(__FILE__, __LINE__, "%s in operation %llu: k%d is %d, acknowledged %d", when,
                      (unsigned long long)op, i, w->found[i], w->acked[i]);
        w->acked[i] = w->tried[i] = w->found[i];
    }
}

static void reopen(struct world *w, bool power, const char *when, uint64_t op)
{
    w->kv = kv_close(w->kv);
    fake_disk_revive(w->disk, power);
    EXPECT_EQ(open_store(w), 0);
    check_found(w, when, op);
}

TEST(without_a_thread)
{
    struct world w;

    begin(&w, 1);
    EXPECT_EQ(open_store(&w), 0);
    EXPECT(work(&w, 0, 40));
    reopen(&w, true, "a clean end", 0);
    EXPECT_EQ(w.fatal, 0);
    end(&w);
}

static void count(struct kv_commit *c)
{
    ++*(int *)c->ctx;
}

/* What nobody waits for is done by kv_step, together. */
TEST(steps)
{
    struct world w;
    int done = 0;
    struct kv_commit a = { .key = "k1", .value = "1", .value_len = 1, .expect = KV_ANY,
                           .on_done = count, .ctx = &done };
    struct kv_commit b = a;

    begin(&w, 1);
    EXPECT_EQ(open_store(&w), 0);
    b.key = "k2";
    kv_submit(w.kv, &a);
    kv_submit(w.kv, &b);
    EXPECT_EQ(done, 0);
    kv_step(w.kv);
    EXPECT_EQ(done, 2);
    EXPECT_EQ(a.err.code, ERR_NONE);
    EXPECT_EQ(b.revision, a.revision + 1);
    end(&w);
}

TEST_SLOW(power_goes_in_each_operation, 120)
{
    bool all = false;

    for (uint64_t op = 0; !all; op++) {
        struct world w;

        EXPECT(op < OPS_MAX);
        begin(&w, op);
        fake_disk_cut_after(w.disk, op);
        if (open_store(&w) == 0)
            work(&w, 0, 60);
        w.kv = kv_close(w.kv);
        all = !fake_disk_is_stopped(w.disk);
        reopen(&w, true, "power went", op);
        EXPECT(work(&w, 100, 5));
        reopen(&w, true, "after the power cut", op);
        end(&w);
    }
}

/* A sync that fails may leave behind what readers see and the medium does not hold. The store must
 * not build on it, also not after a restart. */
TEST_SLOW(an_operation_fails_then_power_goes, 120)
{
    bool all = false;

    for (uint64_t op = 0; !all; op++) {
        struct world w;

        EXPECT(op < OPS_MAX);
        begin(&w, op);
        fake_disk_fail_after(w.disk, op);
        if (open_store(&w) == 0 && work(&w, 0, 60))
            w.kv = kv_close(w.kv);           /* moves the log into the file */
        all = fake_disk_ops(w.disk) <= op;
        fake_disk_stop(w.disk);              /* the process ends as it is */
        reopen(&w, false, "it failed", op);
        EXPECT(work(&w, 100, 5));
        fake_disk_stop(w.disk);
        reopen(&w, true, "power went after a failure", op);
        end(&w);
    }
}

TEST(a_full_disk)
{
    struct world w;
    int refused = 0;

    begin(&w, 1);
    EXPECT_EQ(open_store(&w), 0);
    EXPECT(work(&w, 0, 20));
    fake_disk_fill(w.disk, true);
    for (int i = 0; i < 300; i++) {
        int code = put(&w, i % KEYS, 1000 + i);

        EXPECT(code == ERR_NONE || code == ERR_QUOTA);
        refused += code == ERR_QUOTA;
        if (code == ERR_QUOTA)
            w.tried[i % KEYS] = w.acked[i % KEYS];
    }
    EXPECT(refused > 0);
    EXPECT_EQ(w.fatal, 0);
    fake_disk_stop(w.disk);                  /* what there is can be read, also after a restart */
    w.kv = kv_close(w.kv);
    fake_disk_revive(w.disk, false);
    fake_disk_fill(w.disk, true);
    EXPECT_EQ(open_store(&w), 0);
    check_found(&w, "full at the start", 0);
    EXPECT_EQ(put(&w, 1, 5000), ERR_QUOTA);
    w.tried[1] = w.acked[1];
    fake_disk_fill(w.disk, false);
    EXPECT(work(&w, 500, 10));
    fake_disk_stop(w.disk);
    reopen(&w, true, "it was full", 0);
    end(&w);
}
