/* The version of a data directory: noted, refused, migrated with a backup, brought back. Formats
 * 2 and 3 exist here alone, as tables of steps. */
#include "cmd/data_dir.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/fd.h"
#include "core/base/mem.h"
#include "core/base/str.h"
#include "store/kv/kv.h"
#include "tests/harness/test.h"

static const char *dir(void)
{
    return test_tmpdir();
}

static char *path(const char *name)
{
    return mem_printf("%s/%s", dir(), name);
}

static void put(const char *name, const char *text)
{
    _cleanup_(mem_freep) char *p = path(name);
    struct err err = ERR_INIT;

    EXPECT_OK(fd_write_file(AT_FDCWD, p, text, strlen(text), 0600, &err), &err);
}

static char *get(const char *name)
{
    _cleanup_(mem_freep) char *p = path(name);
    _cleanup_buf_ struct buf b = BUF_INIT;

    if (fd_read_file(&b, AT_FDCWD, p, 1 << 20, NULL) < 0)
        return mem_strdup("(none)");
    return buf_take(&b, NULL);
}

static bool there(const char *name)
{
    _cleanup_(mem_freep) char *p = path(name);

    return access(p, F_OK) == 0;
}

/* --- a store with one pair */

static struct kv *store_open(char *seen, void (*on_load)(void *, const struct kv_change *))
{
    _cleanup_(mem_freep) char *d = path("server/db"), *p = path("server/db/state.db");
    struct kv_opts o = { .path = p, .ctx = seen };
    struct err err = ERR_INIT;
    struct kv *kv;

    EXPECT_OK(fd_mkdirs(d, 0700, &err), &err);
    EXPECT_OK(kv_open(&kv, &o, on_load, &err), &err);
    return kv;
}

static void store_put(const char *value)
{
    struct kv *kv = store_open(NULL, NULL);
    struct kv_commit c = { .key = "k", .value = value, .value_len = strlen(value),
                           .expect = KV_ANY };

    kv_commit_wait(kv, &c);
    EXPECT_EQ(c.err.code, ERR_NONE);
    kv_close(kv);
}

static void on_pair(void *ctx, const struct kv_change *pair)
{
    snprintf(ctx, 64, "%.*s", (int)pair->value_len, pair->value);
}

static const char *store_get(void)
{
    static _Thread_local char seen[64];

    snprintf(seen, sizeof(seen), "(none)");
    kv_close(store_open(seen, on_pair));
    return seen;
}

/* --- programs of other times */

static int step_two(const char *data_dir, struct err *err)
{
    (void)data_dir, (void)err;
    store_put(there("fail-late") ? "half" : "two");
    return there("fail-late") ? err_set(err, ERR_FAILED, "power") : 0;
}

static int step_three(const char *data_dir, struct err *err)
{
    bool good = strcmp(store_get(), "two") == 0 || !there("backup/format-2/state.db");

    (void)data_dir, (void)err;
    store_put(good ? "three" : "bad");
    return 0;
}

static const struct data_dir_step steps[] = {
    { 1, "other values", step_two }, { 2, "again others", step_three },
};
static const struct data_dir_rules v1 = { .format = 1, .oldest = 1, .version = "v1" };
static const struct data_dir_rules v1b = { .format = 1, .oldest = 1, .version = "v1b" };
static const struct data_dir_rules v2 = { 2, 2, "v2", steps, 1 };
static const struct data_dir_rules v3 = { 3, 2, "v3", steps, 2 };
static const struct data_dir_rules v3_only = { 3, 3, "v3", steps + 1, 1 };
static const struct data_dir_rules v4_easy = { .format = 4, .oldest = 1, .version = "v4" };

static void opens(const struct data_dir_rules *r)
{
    struct err err = ERR_INIT;

    EXPECT_OK(data_dir_open(dir(), r, &err), &err);
    EXPECT_OK(data_dir_check(dir(), r, &err), &err);
}

static void refuses(const struct data_dir_rules *r, int code, const char *const *words)
{
    _cleanup_(mem_freep) char *before = get("version"), *after = NULL;
    struct err err = ERR_INIT;

    EXPECT_EQ(data_dir_open(dir(), r, &err), -1);
    EXPECT_EQ(err.code, code);
    for (; *words; words++)
        if (!strstr(err.msg, *words))
            test_fail(__FILE__, __LINE__, "no \"%s\" in: %s", *words, err.msg);
    err_clear(&err);
    EXPECT_EQ(data_dir_check(dir(), r, &err), -1);
    EXPECT_EQ(err.code, code);
    after = get("version");
    EXPECT_STR(after, before);
}
#define REFUSES(r, code, ...) refuses(r, code, (const char *const[]){ __VA_ARGS__, NULL })

static void says(const char *name, const char *want)
{
    _cleanup_(mem_freep) char *have = get(name);

    EXPECT_STR(have, want);
}

TEST(new_directory)
{
    opens(&v3);
    says("version", "{\"format\":3,\"oldest\":2,\"version\":\"v3\"}\n");
    EXPECT(!there("backup"));
}

TEST(missing_directory_for_commands)
{
    struct err err = ERR_INIT;

    EXPECT_OK(data_dir_check("/nonexistent/inro", &v1, &err), &err);
}

TEST(without_the_file_it_is_format_1)
{
    store_put("one");
    opens(&v1);
    says("version", "{\"format\":1,\"oldest\":1,\"version\":\"v1\"}\n");
    EXPECT_STR(store_get(), "one");
}

TEST(same_format_up_and_down)
{
    store_put("one");
    opens(&v1);
    opens(&v1b);
    says("version", "{\"format\":1,\"oldest\":1,\"version\":\"v1b\"}\n");
    opens(&v1);
    says("version", "{\"format\":1,\"oldest\":1,\"version\":\"v1\"}\n");
    EXPECT(!there("backup"));
}

TEST(same_version_writes_nothing)
{
    _cleanup_(mem_freep) char *p = path("version");
    struct stat before, after;

    opens(&v1);
    EXPECT_EQ(stat(p, &before), 0);
    opens(&v1);
    EXPECT_EQ(stat(p, &after), 0);
    EXPECT_EQ(before.st_ino, after.st_ino);
}

TEST(migration_with_backup)
{
    store_put("one");
    opens(&v1);
    opens(&v2);
    says("version", "{\"format\":2,\"oldest\":2,\"version\":\"v2\"}\n");
    says("backup/format-1/version", "{\"format\":1,\"oldest\":1,\"version\":\"v1\"}\n");
    EXPECT(there("backup/format-1/state.db"));
    EXPECT_STR(store_get(), "two");
    opens(&v3);
    EXPECT_STR(store_get(), "three");
    EXPECT(there("backup/format-2/state.db"));
    EXPECT(!there("backup/format-1"));                   /* the last one is kept */
}

TEST(migration_over_two_formats)
{
    store_put("one");
    opens(&v3);
    EXPECT_STR(store_get(), "three");
    says("backup/format-1/version", "{\"format\":1,\"oldest\":1,\"version\":\"unknown\"}\n");
}

TEST(migration_without_a_store)
{
    put("version", "{\"format\":2,\"oldest\":2,\"version\":\"v2\"}");
    opens(&v3_only);
    EXPECT(!there("backup/format-2/state.db"));
    EXPECT_STR(store_get(), "three");
}

/* What a migration that was cut short has written does not reach the one that begins anew. */
TEST(interrupted_migration_begins_anew)
{
    struct err err = ERR_INIT;
    _cleanup_(mem_freep) char *flag = path("fail-late");

    store_put("one");
    opens(&v1);
    put("fail-late", "");
    EXPECT_EQ(data_dir_open(dir(), &v2, &err), -1);
    EXPECT(strstr(err.msg, "migration from format 1 (other values): power"));
    EXPECT_STR(store_get(), "half");
    says("version", "{\"format\":2,\"oldest\":2,\"from\":1,\"version\":\"v2\"}\n");
    REFUSES(&v1, ERR_UNSUPPORTED, "format 2", "inro restore");
    unlink(flag);
    opens(&v3);
    EXPECT_STR(store_get(), "three");
    says("version", "{\"format\":3,\"oldest\":2,\"version\":\"v3\"}\n");
}

TEST(older_program_refuses)
{
    store_put("one");
    opens(&v1);
    opens(&v2);
    REFUSES(&v1, ERR_UNSUPPORTED, "has format 2, written by inro v2", "this is inro v1",
            "up to 1", "Start inro v2 or newer", "inro restore --data-dir", "backup/format-1");
    EXPECT_STR(store_get(), "two");
}

TEST(older_program_without_a_backup)
{
    put("version", "{\"format\":9,\"oldest\":9,\"version\":\"v9\"}");
    REFUSES(&v1, ERR_UNSUPPORTED, "has format 9", "no backup");
}

TEST(newer_but_compatible)
{
    opens(&v4_easy);
    opens(&v1);
    says("version", "{\"format\":4,\"oldest\":1,\"version\":\"v1\"}\n");
    opens(&v4_easy);
}

TEST(too_old_to_migrate)
{
    store_put("one");
    opens(&v1);
    REFUSES(&v3_only, ERR_UNSUPPORTED, "has format 1, written by inro v1",
            "cannot bring up to date");
}

TEST(restore)
{
    struct data_dir_state now;
    struct err err = ERR_INIT;

    store_put("one");
    opens(&v1);
    opens(&v2);
    EXPECT_OK(data_dir_restore(&now, dir(), &v1, &err), &err);
    EXPECT_EQ(now.format, 1);
    EXPECT_STR(now.version, "v1");
    opens(&v1);
    EXPECT_STR(store_get(), "one");
    EXPECT(there("backup/replaced/state.db"));
    EXPECT_EQ(data_dir_restore(&now, dir(), &v1, &err), -1);     /* nothing to go back to */
    EXPECT_EQ(err.code, ERR_CONFLICT);
    opens(&v2);                                          /* and forward again */
    EXPECT_STR(store_get(), "two");
    EXPECT_OK(data_dir_restore(&now, dir(), &v2, &err), &err);   /* by the newer program, too */
    EXPECT_STR(store_get(), "one");
}

/* Cut short between its steps: the same again ends it, and what was replaced is still there. */
TEST(interrupted_restore)
{
    struct data_dir_state now;
    struct err err = ERR_INIT;

    store_put("one");
    opens(&v2);
    EXPECT_OK(data_dir_restore(&now, dir(), &v1, &err), &err);
    put("version", "{\"format\":2,\"oldest\":2,\"from\":1,\"version\":\"v2\"}");
    REFUSES(&v1, ERR_UNSUPPORTED, "inro restore");
    EXPECT_OK(data_dir_restore(&now, dir(), &v1, &err), &err);
    opens(&v1);
    EXPECT_STR(store_get(), "one");
    EXPECT(there("backup/replaced/state.db"));
}

TEST(restore_without_backup)
{
    struct data_dir_state now;
    struct err err = ERR_INIT;

    opens(&v1);
    EXPECT_EQ(data_dir_restore(&now, dir(), &v1, &err), -1);
    EXPECT_EQ(err.code, ERR_NOT_FOUND);
}

TEST(damaged_file)
{
    static const char *const bad[] = {
        "", "{", "[]", "7", "{}", "{\"format\":1,\"oldest\":1}",
        "{\"format\":0,\"oldest\":0,\"version\":\"v\"}",
        "{\"format\":\"1\",\"oldest\":1,\"version\":\"v\"}",
        "{\"format\":1,\"oldest\":2,\"version\":\"v\"}",
        "{\"format\":1000001,\"oldest\":1,\"version\":\"v\"}",
        "{\"format\":2,\"oldest\":1,\"from\":2,\"version\":\"v\"}",
        "{\"format\":1,\"oldest\":1,\"version\":\"\"}",
        "{\"format\":-1,\"oldest\":1,\"version\":\"v\"}",
    };
    _cleanup_(mem_freep) char *p = path("version");

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        put("version", bad[i]);
        REFUSES(&v1, ERR_CORRUPT, p, "is damaged", "it should be like");
    }
}

TEST(version_of_limited_length)
{
    char text[256], longest[DATA_DIR_VERSION_BYTES];

    memset(longest, 'v', sizeof(longest));
    longest[sizeof(longest) - 1] = 0;
    snprintf(text, sizeof(text), "{\"format\":1,\"oldest\":1,\"version\":\"%s\"}", longest);
    put("version", text);
    opens(&v1);
    snprintf(text, sizeof(text), "{\"format\":1,\"oldest\":1,\"version\":\"%sx\"}", longest);
    put("version", text);
    REFUSES(&v1, ERR_CORRUPT, "\"version\" is no version");
}
