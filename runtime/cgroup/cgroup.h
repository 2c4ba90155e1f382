/* runtime/cgroup/cgroup.h -- the door: groups of processes with limits, on version 1, version 2 and
 * mixed hosts.
 *
 * A path here is relative to our root in every hierarchy: "pod<uid>" is a pod,
 * "pod<uid>/<container-id>" one of its containers, "" the root itself. cgroup_open() finds the
 * hierarchies in /proc/self/mountinfo; the directory used in each is <mount point>/<root>, so a
 * delegated or nested tree needs nothing special.
 *
 *   pure v2     one tree; controllers are enabled downwards in cgroup.subtree_control
 *   v1          one directory per hierarchy of cpu, cpuacct, memory, pids and freezer, co-mounted
 *   or not
 *   hybrid      v1 as above, and the v2 tree without controllers, used for cgroup.kill instead of
 *   the freezer
 *
 * Plain file work, no thread, no state besides the list of hierarchies: callable from loops, jobs
 * and children. Nothing here waits for long: cgroup_remove() of a group whose processes still die
 * is ERR_UNAVAILABLE.
 */
#ifndef RUNTIME_CGROUP_CGROUP_H
#define RUNTIME_CGROUP_CGROUP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/base/cleanup.h"
#include "core/base/err.h"
#include "core/base/str.h"

#define CGROUP_ROOT_DEFAULT "inro"
#define CGROUP_PATH_BYTES 512        /* longest relative path */

struct cgroup;                       /* one host's hierarchies with our root in them */

/* Finds the hierarchies and makes the root in each. root: "inro", "a/b"; NULL gives the default. */
int cgroup_open(struct cgroup **out, const char *root, struct err *err);
struct cgroup *cgroup_free(struct cgroup *c);
CLEANUP_DEFINE(struct cgroup, cgroup_free)
/* The same without looking again, for children: text written by cgroup_describe(). */
void cgroup_describe(const struct cgroup *c, struct buf *out);
int cgroup_from_text(struct cgroup **out, const char *text, struct err *err);
bool cgroup_is_v2(const struct cgroup *c);           /* pure v2 */
bool cgroup_has(const struct cgroup *c, const char *controller);   /* "memory" "cpu" "pids" ... */

/* A limit of 0 is left alone (unlimited in a new group), a negative one is taken away. A limit
 * whose controller the host lacks is skipped: cgroup_has() tells. */
struct cgroup_limits {
    uint64_t cpu_shares;             /* v1 scale: 1024 a core, at least 2; from requests */
    int64_t cpu_quota_us;            /* per period; from limits */
    int64_t cpu_period_us;           /* 0: 100000 */
    int64_t memory_max_bytes;
    int64_t memory_low_bytes;        /* v2 memory.min of guaranteed memory; ignored on v1 */
    int64_t pids_max;
};
/* Kubernetes's arithmetic: millicores to shares and to a quota of 100 ms periods (at least 1000
 * us). */
uint64_t cgroup_shares(int64_t milli_cpu);
uint64_t cgroup_weight(uint64_t shares);             /* cpu.weight of v2: 1024 shares are 100 */
int64_t cgroup_quota_us(int64_t milli_cpu);

/* Makes the group (its parent must exist or be the root; existing is fine) and sets the limits. */
int cgroup_make(const struct cgroup *c, const char *path, const struct cgroup_limits *limits,
                struct err *err);
int cgroup_set(const struct cgroup *c, const char *path, const struct cgroup_limits *limits,
               struct err *err);

/* Moves the calling single-threaded process in, in every hierarchy (in_v2: it was cloned into that
 * one already). On v1 through "tasks": moving oneself there needs no lock over the whole system,
 * which costs milliseconds. */
int cgroup_join(const struct cgroup *c, const char *path, bool in_v2, struct err *err);
/* The same for a process by id. */
int cgroup_add(const struct cgroup *c, const char *path, pid_t pid, struct err *err);
/* Directory of the group in the v2 tree for CLONE_INTO_CGROUP; ERR_UNSUPPORTED without one. */
int cgroup_open_v2(const struct cgroup *c, const char *path, struct err *err);
/* true: CLONE_INTO_CGROUP alone joins everything */
bool cgroup_v2_is_all(const struct cgroup *c);

/* Kills every process in the group and below; new ones forked meanwhile die too. Returns before
 * they are gone. */
int cgroup_kill(const struct cgroup *c, const char *path, struct err *err);
/* Number of processes in the group and below; 0 when the group is missing. */
int cgroup_count(const struct cgroup *c, const char *path, struct err *err);
/* Removes the group and all below. Missing is fine; processes inside: ERR_UNAVAILABLE, try again.
 */
int cgroup_remove(const struct cgroup *c, const char *path, struct err *err);

struct cgroup_usage {
    uint64_t cpu_ns;                 /* since the group was made */
    uint64_t memory_bytes;           /* usage */
    uint64_t memory_rss_bytes;
    uint64_t memory_working_set_bytes;   /* usage - inactive file pages */
    uint64_t memory_limit_bytes;     /* 0: none */
    uint64_t memory_faults, memory_major_faults;
    uint64_t oom_kills;              /* processes killed for lack of memory in this group */
    uint64_t pids;
};
int cgroup_usage(const struct cgroup *c, const char *path, struct cgroup_usage *out,
                 struct err *err);

/* Direct children of a group, over all hierarchies, each once. ("" lists what pods have groups.) */
int cgroup_list(const struct cgroup *c, const char *path,
                void (*each)(void *ctx, const char *name), void *ctx, struct err *err);

/* The hierarchies, for a container's own view: calls each(name, directory of path), name "" on pure
 * v2, else "memory", "cpu,cpuacct", ... and "unified". */
void cgroup_each_dir(const struct cgroup *c, const char *path,
                     void (*each)(void *ctx, const char *name, const char *dir), void *ctx);

#endif
