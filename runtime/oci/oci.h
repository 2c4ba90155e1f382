/* runtime/oci/oci.h -- the door: processes in containers, made from plans (plan.h).
 *
 * Only for single-threaded children (the shim): both calls below clone the caller. The new process does all
 * the work and speaks over `sync`; its owner watches that descriptor and never blocks:
 *
 *   oci_create --> oci_next: OCI_CREATED --> oci_go --> oci_next: OCI_STARTED     sync says no more then
 *   oci_exec   --> oci_next: OCI_CREATED -----------> oci_next: OCI_STARTED
 *                  any oci_next: -1, what went wrong in the process's own words; it is dead or dying
 *
 * Network, IPC and UTS namespaces are the caller's; mount, cgroup and PID namespaces are the container's own.
 * No mount ever appears outside of the container, so nothing is left when its last process ends.
 * Needs Linux 5.12 (mount_setattr).
 */
#ifndef RUNTIME_OCI_OCI_H
#define RUNTIME_OCI_OCI_H

#include <sys/types.h>

#include "runtime/cgroup/cgroup.h"
#include "runtime/oci/plan.h"

#define OCI_SHM_BYTES (64ll << 20)       /* /dev/shm of a pod */

struct oci_pod {                         /* what all containers of a pod have in common */
    const struct cgroup *cgroup;
    int shm;                             /* from oci_shm_make(); -1: each container has a tmpfs of its own */
    int mounts;                          /* the caller's own mount namespace; needed with shm */
    int pids;                            /* pidfd of a process whose PID namespace all share; -1: none */
};

struct oci_proc {
    pid_t pid;
    int pidfd, sync;                     /* the owner's to close */
    int pty;                             /* with a tty: its master, from OCI_CREATED on; else -1 */
};

#define OCI_PROC_NONE ((struct oci_proc){ .pidfd = -1, .sync = -1, .pty = -1 })

enum oci_step { OCI_WAIT, OCI_CREATED, OCI_STARTED };

/* stdio: the process's standard descriptors, -1 for /dev/null; not used with a tty. Borrowed. The group must exist. */
int oci_create(struct oci_proc *out, const struct oci_pod *pod, const struct oci_plan *plan,
               const char *cgroup_path, const int stdio[3], struct err *err);
/* container: pidfd of its first process. */
struct oci_enter { const char *cgroup_path; int container; int stdio[3]; };
int oci_exec(struct oci_proc *out, const struct oci_pod *pod, const struct oci_plan *plan,
             const struct oci_enter *into, struct err *err);
/* Reads what the process has to say, without blocking. */
int oci_next(struct oci_proc *p, enum oci_step *out, struct err *err);
int oci_go(struct oci_proc *p, struct err *err);
/* Kills and reaps it if it is still there, closes all. */
void oci_proc_deinit(struct oci_proc *p);

/* Pid 1 of a PID namespace shared by a pod's containers: reaps what is left to it. */
int oci_pause(struct oci_proc *out, const struct oci_pod *pod, const char *cgroup_path, struct err *err);

/* Shared memory of a pod, for PLAN_SHM: a mount namespace with a tmpfs as its root and nothing else, so that no mount
 * appears on the host and none of the host's is held. Returns its descriptor. */
int oci_shm_make(int64_t bytes, struct err *err);

#endif
