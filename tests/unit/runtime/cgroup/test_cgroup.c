/* The arithmetic and the paths of groups, over trees of plain files. */
#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/fd.h"
#include "core/base/mem.h"
#include "core/base/str.h"
#include "runtime/cgroup/cgroup.h"
#include "runtime/cgroup/cgroup_tree.h"
#include "tests/harness/test.h"

static struct arena *keep(void)              /* texts live as long as the test */
{
    static struct arena *a;

    return a = a ? a : arena_new(0);
}

static const char *at(const char *path)
{
    return arena_printf(keep(), "%s/%s", test_tmpdir(), path);
}

static void put(const char *path, const char *text)
{
    struct err err = ERR_INIT;
    int fd = open(at(path), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    EXPECT(fd >= 0);
    EXPECT_OK(fd_write_all(fd, text, strlen(text), &err), &err);
    close(fd);
}

static const char *get(const char *path)
{
    _cleanup_buf_ struct buf b = BUF_INIT;
    struct err err = ERR_INIT;

    EXPECT_OK(fd_read_file(&b, AT_FDCWD, at(path), 4096, &err), &err);
    return arena_strdup(keep(), b.len ? b.p : "");
}

static const char HYBRID[] =
    "22 1 0:21 / /proc rw - proc proc rw\n"
    "30 25 0:26 / /c/cpu rw,nosuid shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
    "31 25 0:27 / /c/memory rw - cgroup cgroup rw,memory\n"
    "32 25 0:28 / /c/systemd rw - cgroup cgroup rw,xattr,name=systemd\n"
    "33 25 0:29 / /c/with\\040space rw - cgroup2 cgroup2 rw,nsdelegate\n"
    "34 25 0:30 / /other/memory rw - cgroup cgroup rw,memory\n";

static void each_dir(void *ctx, const char *name, const char *dir)
{
    buf_fmt(ctx, "[%s %s]", name, dir);
}

TEST(finds_hierarchies)
{
    _cleanup_(cgroup_freep) struct cgroup *c = NULL, *again = NULL;
    struct buf text = BUF_INIT, text2 = BUF_INIT, dirs = BUF_INIT;
    struct err err = ERR_INIT;

    EXPECT_OK(cgroup_scan(&c, HYBRID, NULL, &err), &err);
    EXPECT_EQ(c->len, 3);
    EXPECT_STR(c->v[0].name, "cpu,cpuacct");
    EXPECT_STR(c->v[0].dir, "/c/cpu/inro");
    EXPECT_STR(c->v[2].mount, "/c/with space");
    EXPECT(c->v[2].v2);
    EXPECT(!cgroup_is_v2(c));
    EXPECT(cgroup_has(c, "memory") && cgroup_has(c, "cpuacct") && !cgroup_has(c, "pids"));
    cgroup_describe(c, &text);
    EXPECT_OK(cgroup_from_text(&again, text.p, &err), &err);
    cgroup_describe(again, &text2);
    EXPECT_STR(text.p, text2.p);
    cgroup_each_dir(again, "pod1/a", each_dir, &dirs);
    EXPECT_STR(dirs.p, "[cpu,cpuacct /c/cpu/inro/pod1/a][memory /c/memory/inro/pod1/a]"
                       "[unified /c/with space/inro/pod1/a]");
    buf_deinit(&text);
    buf_deinit(&text2);
    buf_deinit(&dirs);
}

TEST(refuses_bad_input)
{
    struct cgroup *c = NULL;
    struct err err = ERR_INIT;
    char path[CGROUP_PATH_BYTES + 2];

    EXPECT_ERR(cgroup_scan(&c, "22 1 0:21 / /proc rw - proc proc rw\n", NULL, &err), &err,
               ERR_UNSUPPORTED);
    EXPECT_ERR(cgroup_scan(&c, HYBRID, "a/../b", &err), &err, ERR_INVALID);
    EXPECT_ERR(cgroup_scan(&c, HYBRID, "/a", &err), &err, ERR_INVALID);
    EXPECT_ERR(cgroup_scan(&c, HYBRID, "a/", &err), &err, ERR_INVALID);
    EXPECT_ERR(cgroup_from_text(&c, "", &err), &err, ERR_INVALID);
    EXPECT_ERR(cgroup_from_text(&c, "inro\nnonsense\n", &err), &err, ERR_INVALID);
    EXPECT_ERR(cgroup_from_text(&c, "inro\n", &err), &err, ERR_INVALID);
    EXPECT(c == NULL);
    memset(path, 'a', sizeof(path));
    path[CGROUP_PATH_BYTES] = '\0';
    EXPECT_ERR(cgroup_check_path(path, &err), &err, ERR_INVALID);
    path[CGROUP_PATH_BYTES - 1] = '\0';
    EXPECT_EQ(cgroup_check_path(path, NULL), 0);
}

TEST(arithmetic)
{
    EXPECT_EQ(cgroup_shares(0), 2);
    EXPECT_EQ(cgroup_shares(1), 2);
    EXPECT_EQ(cgroup_shares(100), 102);
    EXPECT_EQ(cgroup_shares(1000), 1024);
    EXPECT_EQ(cgroup_shares(1000000), 262144);
    EXPECT_EQ(cgroup_quota_us(0), 0);
    EXPECT_EQ(cgroup_quota_us(1), 1000);
    EXPECT_EQ(cgroup_quota_us(100), 10000);
    EXPECT_EQ(cgroup_quota_us(2500), 250000);
    EXPECT_EQ(cgroup_weight(0), 1);
    EXPECT_EQ(cgroup_weight(2), 1);
    EXPECT_EQ(cgroup_weight(1024), 100);
    EXPECT_EQ(cgroup_weight(102), 17);
    EXPECT_EQ(cgroup_weight(262144), 10000);
}

static struct cgroup *fake_v2(void)
{
    struct cgroup *c = NULL;
    struct err err = ERR_INIT;
    char *info = arena_printf(keep(), "33 25 0:29 / %s rw - cgroup2 cgroup2 rw\n", at("v2"));

    mkdir(at("v2"), 0755);
    mkdir(at("v2/inro"), 0755);
    mkdir(at("v2/inro/pod1"), 0755);
    mkdir(at("v2/inro/pod1/a"), 0755);
    put("v2/cgroup.controllers", "cpuset cpu io memory pids\n");
    put("v2/cgroup.subtree_control", "");
    put("v2/inro/cgroup.controllers", "cpu memory\n");
    put("v2/inro/cgroup.subtree_control", "");
    put("v2/inro/pod1/cgroup.controllers", "cpu memory\n");
    put("v2/inro/pod1/cgroup.subtree_control", "");
    for (size_t i = 0; i < 6; i++) {
        static const char *const files[] = { "cpu.weight", "cpu.max", "memory.max", "memory.min",
                                             "pids.max", "memory.oom.group" };
        put(arena_printf(keep(), "v2/inro/pod1/a/%s", files[i]), "");
    }
    EXPECT_OK(cgroup_scan(&c, info, "inro", &err), &err);
    EXPECT_OK(cgroup_prepare(c, &err), &err);
    return c;
}

TEST(v2_limits)
{
    _cleanup_(cgroup_freep) struct cgroup *c = fake_v2();
    struct cgroup_limits l = { .cpu_shares = 1024, .cpu_quota_us = 50000,
                               .memory_max_bytes = 1 << 20, .memory_low_bytes = 4096, .pids_max = 7 };
    struct err err = ERR_INIT;

    EXPECT(cgroup_is_v2(c) && cgroup_has(c, "pids"));
    EXPECT_STR(get("v2/cgroup.subtree_control"), "+cpu +memory +pids");
    EXPECT_OK(cgroup_make(c, "pod1/a", &l, &err), &err);
    EXPECT_STR(get("v2/inro/pod1/cgroup.subtree_control"), "+cpu +memory");
    EXPECT_STR(get("v2/inro/pod1/a/cpu.weight"), "100");
    EXPECT_STR(get("v2/inro/pod1/a/cpu.max"), "50000 100000");
    EXPECT_STR(get("v2/inro/pod1/a/memory.max"), "1048576");
    EXPECT_STR(get("v2/inro/pod1/a/memory.min"), "4096");
    EXPECT_STR(get("v2/inro/pod1/a/pids.max"), "7");
    EXPECT_STR(get("v2/inro/pod1/a/memory.oom.group"), "1");
    for (size_t i = 0; i < 3; i++)
        put(arena_printf(keep(), "v2/inro/pod1/a/%s", (const char *[]){ "cpu.max", "memory.max", "pids.max" }[i]),
            "");
    l = (struct cgroup_limits){ .cpu_quota_us = -1, .memory_max_bytes = -1, .pids_max = -1 };
    EXPECT_OK(cgroup_set(c, "pod1/a", &l, &err), &err);
    EXPECT_STR(get("v2/inro/pod1/a/cpu.max"), "max 100000");
    EXPECT_STR(get("v2/inro/pod1/a/memory.max"), "max");
    EXPECT_STR(get("v2/inro/pod1/a/pids.max"), "max");
    EXPECT_ERR(cgroup_make(c, "../x", NULL, &err), &err, ERR_INVALID);
}

TEST(v2_usage)
{
    _cleanup_(cgroup_freep) struct cgroup *c = fake_v2();
    struct cgroup_usage u;
    struct err err = ERR_INIT;

    put("v2/inro/pod1/a/cpu.stat", "usage_usec 1500\nuser_usec 1000\n");
    put("v2/inro/pod1/a/memory.stat", "anon 4096\ninactive_file 1000\npgfault 5\npgmajfault 2\n");
    put("v2/inro/pod1/a/memory.current", "9000\n");
    put("v2/inro/pod1/a/memory.max", "max\n");
    put("v2/inro/pod1/a/memory.events", "low 0\noom 3\noom_kill 2\n");
    put("v2/inro/pod1/a/pids.current", "4\n");
    EXPECT_OK(cgroup_usage(c, "pod1/a", &u, &err), &err);
    EXPECT_EQ(u.cpu_ns, 1500000);
    EXPECT_EQ(u.memory_bytes, 9000);
    EXPECT_EQ(u.memory_rss_bytes, 4096);
    EXPECT_EQ(u.memory_working_set_bytes, 8000);
    EXPECT_EQ(u.memory_limit_bytes, 0);
    EXPECT_EQ(u.memory_faults, 5);
    EXPECT_EQ(u.memory_major_faults, 2);
    EXPECT_EQ(u.oom_kills, 2);
    EXPECT_EQ(u.pids, 4);
}

TEST(v1_limits_and_usage)
{
    _cleanup_(cgroup_freep) struct cgroup *c = NULL;
    struct cgroup_limits l = { .cpu_shares = 512, .cpu_quota_us = 20000, .memory_max_bytes = 8192,
                               .memory_low_bytes = 4096, .pids_max = 3 };
    struct cgroup_usage u;
    struct err err = ERR_INIT;
    char *info = arena_printf(keep(), "30 25 0:26 / %s rw - cgroup cgroup rw,cpu,cpuacct\n"
                            "31 25 0:27 / %s rw - cgroup cgroup rw,memory\n", at("cpu"), at("mem"));

    mkdir(at("cpu"), 0755);
    mkdir(at("mem"), 0755);
    EXPECT_OK(cgroup_scan(&c, info, "n/one", &err), &err);
    EXPECT_OK(cgroup_prepare(c, &err), &err);
    EXPECT_OK(cgroup_make(c, "p", NULL, &err), &err);
    put("cpu/n/one/p/cpu.shares", "");
    put("cpu/n/one/p/cpu.cfs_quota_us", "");
    put("cpu/n/one/p/cpu.cfs_period_us", "");
    put("mem/n/one/p/memory.limit_in_bytes", "");
    EXPECT_OK(cgroup_set(c, "p", &l, &err), &err);
    EXPECT_STR(get("cpu/n/one/p/cpu.shares"), "512");
    EXPECT_STR(get("cpu/n/one/p/cpu.cfs_quota_us"), "20000");
    EXPECT_STR(get("cpu/n/one/p/cpu.cfs_period_us"), "100000");
    EXPECT_STR(get("mem/n/one/p/memory.limit_in_bytes"), "8192");
    put("cpu/n/one/p/cpuacct.usage", "77\n");
    put("mem/n/one/p/memory.stat", "rss 1\ntotal_rss 50\ntotal_inactive_file 900\n");
    put("mem/n/one/p/memory.usage_in_bytes", "800\n");
    put("mem/n/one/p/memory.limit_in_bytes", "9223372036854771712\n");
    put("mem/n/one/p/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n");
    EXPECT_OK(cgroup_usage(c, "p", &u, &err), &err);
    EXPECT_EQ(u.cpu_ns, 77);
    EXPECT_EQ(u.memory_rss_bytes, 50);
    EXPECT_EQ(u.memory_working_set_bytes, 0);
    EXPECT_EQ(u.memory_limit_bytes, 0);
    EXPECT_EQ(u.oom_kills, 1);
    EXPECT_ERR(cgroup_usage(c, "missing", &u, &err), &err, ERR_NOT_FOUND);
}

static void each_name(void *ctx, const char *name)
{
    buf_fmt(ctx, "%s ", name);
}

TEST(lists_counts_and_removes)
{
    _cleanup_(cgroup_freep) struct cgroup *c = fake_v2();
    struct buf names = BUF_INIT;
    struct err err = ERR_INIT;

    mkdir(at("v2/inro/pod2"), 0755);
    EXPECT_OK(cgroup_list(c, "", each_name, &names, &err), &err);
    EXPECT(str_eq(names.p, "pod1 pod2 ") || str_eq(names.p, "pod2 pod1 "));
    buf_deinit(&names);
    put("v2/inro/pod1/cgroup.procs", "");
    put("v2/inro/pod1/a/cgroup.procs", "10\n11\n");
    EXPECT_EQ(cgroup_count(c, "pod1", &err), 2);
    EXPECT_EQ(cgroup_count(c, "missing", &err), 0);
    EXPECT_OK(cgroup_remove(c, "pod2", &err), &err);
    EXPECT(access(at("v2/inro/pod2"), F_OK) < 0);
    EXPECT_OK(cgroup_remove(c, "pod2", &err), &err);
    EXPECT_OK(cgroup_kill(c, "missing", &err), &err);
}
