/* selfstat.c -- /proc/self by descriptors that stay open. */
#include "cmd/selfstat.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "core/base/fd.h"
#include "core/base/mem.h"
#include "core/base/metric.h"
#include "gen/version.h"

#define STAT_BYTES 1024
#define DIR_BYTES 16384
#if defined(__x86_64__)
#define PLATFORM "linux/amd64"
#elif defined(__aarch64__)
#define PLATFORM "linux/arm64"
#else
#define PLATFORM "linux/arm"
#endif

struct selfstat { int stat, fds; };

struct selfstat *selfstat_new(void)
{
    struct selfstat *s = NEW(struct selfstat);

    s->stat = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
    s->fds = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return s;
}

struct selfstat *selfstat_free(struct selfstat *s)
{
    if (!s)
        return NULL;
    fd_close(s->stat);
    fd_close(s->fds);
    return mem_free(s);
}

/* --- what it uses */

struct use { double cpu_s, start_s; uint64_t virtual_bytes, resident_bytes; };

/* Fields after the name, which may hold anything but the last ")". 0 is the state, number 3. */
static bool read_use(const struct selfstat *s, struct use *out)
{
    char text[STAT_BYTES], *p, *word, *rest;
    ssize_t n = pread(s->stat, text, sizeof(text) - 1, 0);
    double ticks = (double)sysconf(_SC_CLK_TCK);
    unsigned long long v[22] = { 0 };
    struct timespec now, up;
    unsigned i = 0;

    if (n <= 0)
        return false;
    text[n] = '\0';
    p = strrchr(text, ')');
    if (!p)
        return false;
    for (word = strtok_r(p + 2, " ", &rest); word && i < 22; word = strtok_r(NULL, " ", &rest))
        v[i++] = strtoull(word, NULL, 10);
    if (i < 22)
        return false;
    clock_gettime(CLOCK_REALTIME, &now);
    clock_gettime(CLOCK_BOOTTIME, &up);
    out->cpu_s = (double)(v[11] + v[12]) / ticks;
    out->start_s = (double)(now.tv_sec - up.tv_sec) + (double)(now.tv_nsec - up.tv_nsec) / 1e9 +
                   (double)v[19] / ticks;
    out->virtual_bytes = v[20];
    out->resident_bytes = v[21] * (uint64_t)sysconf(_SC_PAGESIZE);
    return true;
}

/* Entries but "." and "..", from the front each time. */
static bool count_fds(const struct selfstat *s, uint64_t *out)
{
    _Alignas(struct dirent64) char text[DIR_BYTES];
    uint64_t n = 0;
    ssize_t got;

    if (lseek(s->fds, 0, SEEK_SET) < 0)
        return false;
    while ((got = getdents64(s->fds, text, sizeof(text))) > 0)
        for (ssize_t at = 0; at < got;) {
            const struct dirent64 *d = (const struct dirent64 *)(const void *)(text + at);

            n += d->d_name[0] != '.';
            at += d->d_reclen;
        }
    *out = n;
    return got == 0;
}

static void write_use(const struct use *u, struct buf *out)
{
    static const struct metric_family
        cpu = { "process_cpu_seconds_total", "Total user and system CPU time spent in seconds.",
                METRIC_COUNTER, NULL, 0, 0 },
        start = { "process_start_time_seconds", "Start time of the process since unix epoch in "
                  "seconds.", METRIC_GAUGE, NULL, 0, 0 },
        virtual = { "process_virtual_memory_bytes", "Virtual memory size in bytes.", METRIC_GAUGE,
                    NULL, 0, 0 },
        resident = { "process_resident_memory_bytes", "Resident memory size in bytes.",
                     METRIC_GAUGE, NULL, 0, 0 };

    metric_write_head(out, &cpu);
    metric_write_real(out, &cpu, NULL, u->cpu_s);
    metric_write_head(out, &start);
    metric_write_real(out, &start, NULL, u->start_s);
    metric_write_one(out, &virtual, u->virtual_bytes);
    metric_write_one(out, &resident, u->resident_bytes);
}

/* --- what it is */

static void write_build(struct buf *out)
{
    static const struct metric_family f = {
        "kubernetes_build_info", "A metric with a constant '1' value labeled by major, minor, git "
        "version, git commit, git tree state, build date, Go version, and compiler from which "
        "Kubernetes was built, and platform on which it is running.", METRIC_GAUGE, NULL, 0, 0,
    };
    _cleanup_buf_ struct buf labels = BUF_INIT;
    int major = 1, minor = 0;
    char number[16];

    (void)!sscanf(INRO_VERSION, "v%d.%d", &major, &minor);
    metric_label(&labels, "build_date", INRO_COMMIT_DATE);
    metric_label(&labels, "compiler", "gcc");
    metric_label(&labels, "git_commit", INRO_COMMIT);
    metric_label(&labels, "git_tree_state", "clean");
    metric_label(&labels, "git_version", INRO_VERSION);
    metric_label(&labels, "go_version", "none");
    snprintf(number, sizeof(number), "%d", major);
    metric_label(&labels, "major", number);
    snprintf(number, sizeof(number), "%d", minor);
    metric_label(&labels, "minor", number);
    metric_label(&labels, "platform", PLATFORM);
    metric_write_head(out, &f);
    metric_write_u64(out, &f, labels.p, 1);
}

void selfstat_metrics(const struct selfstat *s, struct buf *out)
{
    static const struct metric_family
        open_fds = { "process_open_fds", "Number of open file descriptors.", METRIC_GAUGE, NULL, 0,
                     0 },
        max_fds = { "process_max_fds", "Maximum number of open file descriptors.", METRIC_GAUGE,
                    NULL, 0, 0 };
    struct use use;
    struct rlimit limit;
    uint64_t n;

    write_build(out);
    if (read_use(s, &use))
        write_use(&use, out);
    if (count_fds(s, &n))
        metric_write_one(out, &open_fds, n);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        metric_write_one(out, &max_fds, limit.rlim_cur);
}
