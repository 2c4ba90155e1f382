/* node_stats.c -- usage of groups as JSON. */
#include "runtime/node/node_stats.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>

#include "core/base/fd.h"
#include "core/base/mem.h"
#include "core/base/timefmt.h"
#include "runtime/node/pod_self.h"
#include "runtime/node/podset.h"

/* --- one group */

static bool usage_of(const struct node_self *self, const char *pod_group, const char *id,
                     struct cgroup_usage *out)
{
    _cleanup_(mem_freep) char *path = id ? mem_printf("%s/%s", pod_group, id)
                                         : mem_strdup(pod_group);

    return self->kernel->group_usage(self->cgroup, path, out, NULL) == 0;
}

static void add_usage(struct buf *out, const struct cgroup_usage *u, const char *now)
{
    buf_fmt(out, "\"cpu\":{\"time\":\"%s\",\"usageCoreNanoSeconds\":%" PRIu64 "},"
            "\"memory\":{\"time\":\"%s\",\"usageBytes\":%" PRIu64 ",\"workingSetBytes\":%" PRIu64
            ",\"rssBytes\":%" PRIu64 ",\"pageFaults\":%" PRIu64 ",\"majorPageFaults\":%" PRIu64
            "}", now, u->cpu_ns, now, u->memory_bytes, u->memory_working_set_bytes,
            u->memory_rss_bytes, u->memory_faults, u->memory_major_faults);
}

void node_stats_machine(struct cgroup_usage *out)
{
    _cleanup_buf_ struct buf cpu = BUF_INIT, mem = BUF_INIT;
    uint64_t user = 0, nice = 0, sys = 0, total = 0, available = 0;
    const char *at;

    *out = (struct cgroup_usage){ 0 };
    if (fd_read_file(&cpu, AT_FDCWD, "/proc/stat", 1u << 20, NULL) == 0 && cpu.p &&
        sscanf(cpu.p, "cpu %" SCNu64 " %" SCNu64 " %" SCNu64, &user, &nice, &sys) == 3)
        out->cpu_ns = (user + nice + sys) * 10000000;
    if (fd_read_file(&mem, AT_FDCWD, "/proc/meminfo", 1u << 16, NULL) < 0 || !mem.p)
        return;
    at = strstr(mem.p, "MemTotal:");
    if (at)
        sscanf(at, "MemTotal: %" SCNu64, &total);
    at = strstr(mem.p, "MemAvailable:");
    if (at)
        sscanf(at, "MemAvailable: %" SCNu64, &available);
    out->memory_bytes = out->memory_working_set_bytes = (total - available) * 1024;
}

static void start_text(char out[TIMEFMT_BYTES], int64_t ns)
{
    timefmt_rfc3339(out, ns / 1000000000);
}

/* --- summary */

static void add_container(struct buf *out, const struct pod_container *c, const char *now)
{
    struct cgroup_usage u;
    char start[TIMEFMT_BYTES];

    if (!usage_of(c->pod->self, c->pod->group, c->now.id, &u))
        return;
    start_text(start, c->now.started_ns);
    buf_fmt(out, "%s{\"name\":\"%s\",\"startTime\":\"%s\",",
            out->len && out->p[out->len - 1] == '[' ? "" : ",", c->name, start);
    add_usage(out, &u, now);
    buf_chr(out, '}');
}

static void add_pod(struct buf *out, const struct pod *p, const char *now)
{
    struct cgroup_usage u;
    char start[TIMEFMT_BYTES];

    if (!usage_of(p->self, p->group, NULL, &u))
        return;
    start_text(start, p->start_us * 1000);
    buf_fmt(out, "%s{\"podRef\":{\"name\":\"%s\",\"namespace\":\"%s\",\"uid\":\"%s\"},"
            "\"startTime\":\"%s\",\"containers\":[",
            out->len && out->p[out->len - 1] == '[' ? "" : ",", p->name, p->ns, p->uid, start);
    for (size_t i = 0; i < p->n_containers; i++)
        if (pod_is_running(&p->containers[i]))
            add_container(out, &p->containers[i], now);
    buf_str(out, "],");
    add_usage(out, &u, now);
    buf_chr(out, '}');
}

int node_stats_summary(struct buf *out, struct node_self *self, struct err *err)
{
    struct cgroup_usage u;
    char now[TIMEFMT_BYTES];
    struct pod *p;

    (void)err;
    timefmt_rfc3339(now, env_wall_s(self->clock));
    node_stats_machine(&u);
    buf_fmt(out, "{\"node\":{\"nodeName\":\"%s\",", self->conf->name);
    add_usage(out, &u, now);
    buf_str(out, "},\"pods\":[");
    for (size_t at = 0; (p = podset_next(self->pods, &at)) != NULL;)
        if (p->shim)
            add_pod(out, p, now);
    buf_str(out, "]}");
    return 0;
}
