/* node_facts.c -- small files into numbers and texts. */
#include "runtime/node/node_facts.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "core/base/fd.h"
#include "core/base/str.h"

#define FILE_MAX (64u << 10)
#define MEMORY_RESERVE_MAX (100ll << 20)
#define DISK_FREE_PERCENT 5              /* less is pressure */
#define PIDS_USED_PERCENT 90

static void read_text(char out[NODE_FACTS_TEXT], const char *path)
{
    _cleanup_buf_ struct buf b = BUF_INIT;
    struct slice s;

    out[0] = 0;
    if (fd_read_file(&b, AT_FDCWD, path, FILE_MAX, NULL) < 0 || b.len == 0)
        return;
    s = (struct slice){ b.p, strcspn(b.p, "\n") };
    s = slice_trim(s);
    snprintf(out, NODE_FACTS_TEXT, "%.*s", (int)s.len, s.p);
}

/* "Key:   123 kB" of /proc/meminfo, in bytes. */
static int64_t meminfo(const struct buf *b, const char *key)
{
    const char *at = b->p ? strstr(b->p, key) : NULL;

    return at ? (int64_t)strtoll(at + strlen(key), NULL, 10) * 1024 : 0;
}

static int64_t read_number(const char *path)
{
    char text[NODE_FACTS_TEXT];

    read_text(text, path);
    return strtoll(text, NULL, 10);
}

/* PRETTY_NAME="Debian GNU/Linux 13 (trixie)" */
static void read_os(char out[NODE_FACTS_TEXT])
{
    _cleanup_buf_ struct buf b = BUF_INIT;
    const char *at;

    snprintf(out, NODE_FACTS_TEXT, "Linux");
    if (fd_read_file(&b, AT_FDCWD, "/etc/os-release", FILE_MAX, NULL) < 0 || !b.p)
        return;
    at = strstr(b.p, "PRETTY_NAME=");
    if (!at)
        return;
    at += strlen("PRETTY_NAME=");
    at += *at == '"';
    snprintf(out, NODE_FACTS_TEXT, "%.*s", (int)strcspn(at, "\"\n"), at);
}

static const struct { const char *machine, *arch; } arches[] = {
    { "x86_64", "amd64" }, { "aarch64", "arm64" }, { "armv7l", "arm" }, { "armv6l", "arm" },
    { "riscv64", "riscv64" }, { "i686", "386" }, { "ppc64le", "ppc64le" }, { "s390x", "s390x" },
};

static bool read_hugepages(int64_t *bytes, const char *kb)
{
    char path[NODE_FACTS_TEXT];

    snprintf(path, sizeof(path), "/sys/kernel/mm/hugepages/hugepages-%skB/nr_hugepages", kb);
    if (access(path, F_OK) < 0)
        return false;
    *bytes = read_number(path) * strtoll(kb, NULL, 10) * 1024;
    return true;
}

void node_facts_read(struct node_facts *f, const char *data_dir)
{
    _cleanup_buf_ struct buf mem = BUF_INIT;
    struct utsname un = { 0 };
    struct statvfs fs;
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);

    *f = (struct node_facts){ .cpus = cpus > 0 ? (unsigned)cpus : 1 };
    uname(&un);
    snprintf(f->kernel, sizeof(f->kernel), "%s", un.release);
    snprintf(f->hostname, sizeof(f->hostname), "%.64s", un.nodename);
    snprintf(f->arch, sizeof(f->arch), "%.15s", un.machine);
    for (size_t i = 0; i < ARRAY_LEN(arches); i++)
        if (str_eq(arches[i].machine, un.machine))
            snprintf(f->arch, sizeof(f->arch), "%s", arches[i].arch);
    read_text(f->machine_id, "/etc/machine-id");
    read_text(f->system_uuid, "/sys/class/dmi/id/product_uuid");
    if (!f->system_uuid[0])
        memcpy(f->system_uuid, f->machine_id, sizeof(f->system_uuid));
    read_text(f->boot_id, "/proc/sys/kernel/random/boot_id");
    read_os(f->os_image);
    if (fd_read_file(&mem, AT_FDCWD, "/proc/meminfo", FILE_MAX, NULL) >= 0) {
        f->memory_bytes = meminfo(&mem, "MemTotal:");
        f->swap_bytes = meminfo(&mem, "SwapTotal:");
    }
    if (statvfs(data_dir, &fs) == 0)
        f->storage_bytes = (int64_t)fs.f_blocks * (int64_t)fs.f_frsize;
    f->has_hugepages_2m = read_hugepages(&f->hugepages_2m_bytes, "2048");
    f->has_hugepages_1g = read_hugepages(&f->hugepages_1g_bytes, "1048576");
}

int64_t node_facts_memory_reserve(const struct node_facts *f)
{
    int64_t part = f->memory_bytes / 20;

    return part < MEMORY_RESERVE_MAX ? part : MEMORY_RESERVE_MAX;
}

int64_t node_facts_storage_reserve(const struct node_facts *f)
{
    return f->storage_bytes / 100 * DISK_FREE_PERCENT;
}

/* The fourth field of /proc/loadavg is running/all threads. */
static bool many_pids(void)
{
    char text[NODE_FACTS_TEXT];
    const char *slash;
    int64_t max = read_number("/proc/sys/kernel/pid_max");

    read_text(text, "/proc/loadavg");
    slash = strchr(text, '/');
    return slash && max > 0 && strtoll(slash + 1, NULL, 10) > max / 100 * PIDS_USED_PERCENT;
}

void node_facts_pressure(struct node_pressure *out, const struct node_facts *f,
                         const char *data_dir)
{
    _cleanup_buf_ struct buf mem = BUF_INIT;
    struct statvfs fs;

    *out = (struct node_pressure){ .pids = many_pids() };
    if (fd_read_file(&mem, AT_FDCWD, "/proc/meminfo", FILE_MAX, NULL) >= 0)
        out->memory = meminfo(&mem, "MemAvailable:") < node_facts_memory_reserve(f);
    if (statvfs(data_dir, &fs) == 0 && fs.f_blocks > 0)
        out->disk = (uint64_t)fs.f_bavail * 100 < (uint64_t)fs.f_blocks * DISK_FREE_PERCENT;
}
