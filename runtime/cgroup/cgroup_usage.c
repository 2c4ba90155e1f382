/* cgroup_usage.c -- what a group uses, from either version's files. */
#include <stdio.h>
#include <stdlib.h>

#include "core/base/check.h"
#include "runtime/cgroup/cgroup.h"
#include "runtime/cgroup/cgroup_tree.h"

#define NO_LIMIT_FROM ((uint64_t)1 << 62)        /* v1 says "none" as a page-rounded INT64_MAX */

/* The number of a line "key number"; 0 when the key is missing. */
static uint64_t keyed(const char *text, const char *key)
{
    size_t len = strlen(key);

    for (const char *line = text; line && *line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, key, len) == 0 && line[len] == ' ')
            return strtoull(line + len + 1, NULL, 10);
    }
    return 0;
}

/* A file of one number; 0 when it is missing, "max" or no limit. */
static uint64_t number(const struct cgroup_tree *t, const char *path, const char *file)
{
    _cleanup_buf_ struct buf text = BUF_INIT;
    uint64_t n;

    if (cgroup_read(&text, t, path, file, NULL) < 0 || text.len == 0)
        return 0;
    n = strtoull(text.p, NULL, 10);
    return n >= NO_LIMIT_FROM ? 0 : n;
}

static int read_memory(const struct cgroup_tree *t, const char *path, struct cgroup_usage *u,
                       struct err *err)
{
    _cleanup_buf_ struct buf stat = BUF_INIT, events = BUF_INIT;
    uint64_t inactive;

    if (cgroup_read(&stat, t, path, "memory.stat", err) < 0)
        return -1;
    u->memory_bytes = number(t, path, t->v2 ? "memory.current" : "memory.usage_in_bytes");
    u->memory_rss_bytes = keyed(stat.p, t->v2 ? "anon" : "total_rss");
    inactive = keyed(stat.p, t->v2 ? "inactive_file" : "total_inactive_file");
    u->memory_working_set_bytes = u->memory_bytes > inactive ? u->memory_bytes - inactive : 0;
    u->memory_limit_bytes = number(t, path, t->v2 ? "memory.max" : "memory.limit_in_bytes");
    u->memory_faults = keyed(stat.p, t->v2 ? "pgfault" : "total_pgfault");
    u->memory_major_faults = keyed(stat.p, t->v2 ? "pgmajfault" : "total_pgmajfault");
    if (cgroup_read(&events, t, path, t->v2 ? "memory.events" : "memory.oom_control", NULL) == 0)
        u->oom_kills = keyed(events.p, "oom_kill");
    return 0;
}

int cgroup_usage(const struct cgroup *c, const char *path, struct cgroup_usage *out,
                 struct err *err)
{
    const struct cgroup_tree *memory = cgroup_tree_of(c, CGROUP_MEMORY);
    const struct cgroup_tree *acct = cgroup_tree_of(c, CGROUP_CPUACCT);
    const struct cgroup_tree *pids = cgroup_tree_of(c, CGROUP_PIDS);
    const struct cgroup_tree *v2 = cgroup_tree_v2(c);
    struct cgroup_usage u = { 0 };

    check(out);
    if (acct) {
        u.cpu_ns = number(acct, path, "cpuacct.usage");
    } else if (v2) {                     /* cpu.stat is there without the controller, too */
        _cleanup_buf_ struct buf stat = BUF_INIT;

        if (cgroup_read(&stat, v2, path, "cpu.stat", err) < 0)
            return err_wrap(err, "usage of group %s", path);
        u.cpu_ns = keyed(stat.p, "usage_usec") * 1000;
    }
    if (memory && read_memory(memory, path, &u, err) < 0)
        return err_wrap(err, "usage of group %s", path);
    if (pids)
        u.pids = number(pids, path, "pids.current");
    *out = u;
    return 0;
}
