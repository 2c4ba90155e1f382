/* cgroup_limits.c -- making groups and setting limits: one table of files per version. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <sys/stat.h>

#include "core/base/check.h"
#include "runtime/cgroup/cgroup.h"
#include "runtime/cgroup/cgroup_tree.h"

#define SHARES_MIN 2
#define SHARES_MAX 262144
#define PERIOD_US_DEFAULT 100000
#define QUOTA_US_MIN 1000

uint64_t cgroup_shares(int64_t milli_cpu)
{
    int64_t shares = milli_cpu * 1024 / 1000;

    if (milli_cpu <= 0 || shares < SHARES_MIN)
        return SHARES_MIN;
    return shares > SHARES_MAX ? SHARES_MAX : (uint64_t)shares;
}

int64_t cgroup_quota_us(int64_t milli_cpu)
{
    int64_t quota = milli_cpu * PERIOD_US_DEFAULT / 1000;

    if (milli_cpu <= 0)
        return 0;
    return quota < QUOTA_US_MIN ? QUOTA_US_MIN : quota;
}

/* The curve of the OCI runtimes since 2025: 2 -> 1, 1024 -> 100, 262144 -> 10000. */
uint64_t cgroup_weight(uint64_t shares)
{
    double l;

    if (shares <= SHARES_MIN)
        return 1;
    if (shares >= SHARES_MAX)
        return 10000;
    l = log2((double)shares);
    return (uint64_t)ceil(pow(10, (l * l + 125 * l) / 612.0 - 7.0 / 34.0));
}

/* Text of a limit: negative is the version's word for "none". */
static const char *limit_text(char out[24], int64_t value, const char *none)
{
    if (value < 0)
        return none;
    snprintf(out, 24, "%lld", (long long)value);
    return out;
}

static int set_cpu(const struct cgroup_tree *t, const char *path, const struct cgroup_limits *l,
                   struct err *err)
{
    int64_t period = l->cpu_period_us > 0 ? l->cpu_period_us : PERIOD_US_DEFAULT;
    char text[64], number[24];

    if (l->cpu_shares) {
        limit_text(number, (int64_t)(t->v2 ? cgroup_weight(l->cpu_shares) : l->cpu_shares), "");
        if (cgroup_write(t, path, t->v2 ? "cpu.weight" : "cpu.shares", number, err) < 0)
            return -1;
    }
    if (l->cpu_quota_us == 0)
        return 0;
    if (t->v2) {
        snprintf(text, sizeof(text), "%s %lld", limit_text(number, l->cpu_quota_us, "max"),
                 (long long)period);
        return cgroup_write(t, path, "cpu.max", text, err);
    }
    snprintf(text, sizeof(text), "%lld", (long long)period);
    if (cgroup_write(t, path, "cpu.cfs_period_us", text, err) < 0)
        return -1;
    return cgroup_write(t, path, "cpu.cfs_quota_us", limit_text(number, l->cpu_quota_us, "-1"),
                        err);
}

static int set_memory(const struct cgroup_tree *t, const char *path, const struct cgroup_limits *l,
                      struct err *err)
{
    char number[24];

    if (l->memory_low_bytes && t->v2 &&
        cgroup_write(t, path, "memory.min", limit_text(number, l->memory_low_bytes, "0"), err) < 0)
        return -1;
    if (l->memory_max_bytes == 0)
        return 0;
    return cgroup_write(t, path, t->v2 ? "memory.max" : "memory.limit_in_bytes",
                        limit_text(number, l->memory_max_bytes, t->v2 ? "max" : "-1"), err);
}

int cgroup_set(const struct cgroup *c, const char *path, const struct cgroup_limits *limits,
               struct err *err)
{
    const struct cgroup_tree *cpu = cgroup_tree_of(c, CGROUP_CPU);
    const struct cgroup_tree *memory = cgroup_tree_of(c, CGROUP_MEMORY);
    const struct cgroup_tree *pids = cgroup_tree_of(c, CGROUP_PIDS);
    char number[24];

    check(limits);
    if (cpu && set_cpu(cpu, path, limits, err) < 0)
        return err_wrap(err, "cpu limit of group %s", path);
    if (memory && set_memory(memory, path, limits, err) < 0)
        return err_wrap(err, "memory limit of group %s", path);
    if (pids && limits->pids_max &&
        cgroup_write(pids, path, "pids.max", limit_text(number, limits->pids_max, "max"), err) < 0)
        return err_wrap(err, "process limit of group %s", path);
    return 0;
}

static int make_in(const struct cgroup_tree *t, const char *path, struct err *err)
{
    char dir[PATH_MAX];

    if (cgroup_file(dir, t, path, NULL, err) < 0)
        return -1;
    if (mkdir(dir, 0755) < 0 && errno != EEXIST)
        return err_sys(err, "make group %s", dir);
    return 0;
}

/* The parent of a v2 group hands its controllers down; only once, as the kernel takes it again for
 * nothing. */
static int enable_parent(const struct cgroup_tree *t, const char *path, struct err *err)
{
    char dir[PATH_MAX];

    if (!t->v2 || !t->has || !strrchr(path, '/'))
        return 0;
    if (cgroup_file(dir, t, path, NULL, err) < 0)
        return -1;
    *strrchr(dir, '/') = '\0';
    return cgroup_enable_v2(dir, err);
}

int cgroup_make(const struct cgroup *c, const char *path, const struct cgroup_limits *limits,
                struct err *err)
{
    for (size_t i = 0; i < c->len; i++)
        if (enable_parent(&c->v[i], path, err) < 0 || make_in(&c->v[i], path, err) < 0)
            return err_wrap(err, "make group %s", path);
    /* A container dies as a whole when its memory is out, as kubelet asks for on v2. */
    if (strrchr(path, '/') && cgroup_is_v2(c) && cgroup_has(c, "memory"))
        cgroup_write(&c->v[0], path, "memory.oom.group", "1", NULL);
    return limits ? cgroup_set(c, path, limits, err) : 0;
}
