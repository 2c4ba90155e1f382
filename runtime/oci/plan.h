/* runtime/oci/plan.h -- one container as a flat, validated description; pure.
 *
 * The node role fills a struct oci_plan from pod and image (plan_defaults() first), plan_encode() makes it a
 * record, and the child that becomes the container decodes and checks it with plan_decode(): what arrives there
 * is complete, so that the steps hold no policy. All texts and arrays live in the arena given.
 *
 * Sources of mounts are host paths or, for RUN-time objects, kinds of file systems. Destinations are container
 * paths: absolute, resolved inside the root file system by the kernel (links never lead outside).
 */
#ifndef RUNTIME_OCI_PLAN_H
#define RUNTIME_OCI_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/base/json.h"

#define PLAN_LOWER_MAX 256
#define PLAN_MOUNTS_MAX 512
#define PLAN_ARGS_BYTES_MAX (2u << 20)          /* args and env together, as the kernel allows by default */
#define PLAN_RECORD_BYTES_MAX (8u << 20)
#define PLAN_GROUPS_MAX 256

struct plan_texts { const char **v; size_t len; };

enum plan_mount_kind {
    PLAN_BIND,            /* source: host path */
    PLAN_TMPFS, PLAN_PROC, PLAN_SYSFS, PLAN_DEVPTS, PLAN_MQUEUE,
    PLAN_CGROUP,          /* the container's own groups */
    PLAN_SHM,             /* the pod's shared memory, kept by the shim */
    PLAN_DEV,             /* tmpfs with the devices and links every container has */
    PLAN_MOUNT_MAX
};
enum plan_propagation { PLAN_PRIVATE, PLAN_SLAVE, PLAN_SHARED, PLAN_PROPAGATION_MAX };

struct plan_mount {
    enum plan_mount_kind kind;
    const char *source;                 /* PLAN_BIND: file or directory on the host */
    const char *subpath;                /* PLAN_BIND: below source, resolved without leaving it; or NULL */
    bool make_subpath;                  /* as a directory with the mode of source, when it is missing */
    const char *dest;
    bool read_only;
    bool recursive;                     /* PLAN_BIND: with what is mounted below; read_only then holds below too */
    bool noexec, allow_dev, allow_suid; /* binds are nodev unless allow_dev; tmpfs nosuid,nodev */
    enum plan_propagation propagation;
    int64_t size_bytes;                 /* PLAN_TMPFS; 0: no limit of its own */
    mode_t mode;                        /* PLAN_TMPFS; 0: 01777 */
};

enum plan_cap_set { PLAN_CAP_BOUNDING, PLAN_CAP_EFFECTIVE, PLAN_CAP_PERMITTED, PLAN_CAP_INHERITABLE,
                    PLAN_CAP_AMBIENT, PLAN_CAP_SETS };

enum plan_seccomp { PLAN_SECCOMP_DEFAULT, PLAN_SECCOMP_UNCONFINED, PLAN_SECCOMP_PROFILE, PLAN_SECCOMP_MAX };

struct plan_rlimit { const char *name; uint64_t soft, hard; };     /* "nofile"; UINT64_MAX: infinity */
struct plan_device { const char *host, *dest; mode_t mode; uid_t uid; gid_t gid; };
struct plan_sysctl { const char *name, *value; };

struct plan_rootfs {
    const char *dir;                    /* a ready directory; or NULL and then an overlay of: */
    struct plan_texts lower;            /* topmost first */
    const char *upper, *work;           /* NULL both: read-only overlay */
    bool read_only;                     /* readOnlyRootFilesystem */
};

struct oci_plan {
    const char *id;                     /* container id */
    struct plan_rootfs rootfs;
    struct plan_texts args;             /* args[0] is searched in PATH of env */
    struct plan_texts env;              /* "NAME=value" */
    const char *cwd;                    /* "" or NULL: "/"; made when missing */

    /* "": root. "name", "uid", "name:group", "uid:gid": looked up inside the root file system. The numbers win over
     * it when set (not PLAN_NO_ID). */
    const char *user;
    int64_t uid, gid;
    struct { uint32_t v[PLAN_GROUPS_MAX]; size_t len; } groups;     /* added to those of /etc/group */
    bool strict_groups;                 /* supplementalGroupsPolicy: Strict: none from /etc/group */
    bool must_run_as_non_root;          /* a user that turns out to be 0 is refused */
    mode_t umask;                       /* 0: 022 */

    bool tty;
    uint16_t tty_rows, tty_cols;
    struct { struct plan_mount *v; size_t len; } mounts;            /* done in order of their depth */
    struct { struct plan_device *v; size_t len; } devices;          /* beyond null zero full random urandom tty */
    bool host_dev;                      /* privileged: all of the host's /dev */
    struct plan_texts masked, readonly; /* paths */
    uint64_t caps[PLAN_CAP_SETS];       /* bit per capability number */
    bool no_new_privs;
    enum plan_seccomp seccomp;
    const char *seccomp_profile;        /* PLAN_SECCOMP_PROFILE: not supported yet, refused by plan_check() */
    struct { struct plan_rlimit *v; size_t len; } rlimits;
    int oom_score_adj;
    struct { struct plan_sysctl *v; size_t len; } sysctls;          /* set by the shim for the pod */
    bool host_pid;                      /* stay in the host's process tree */
    const char *join_pids;              /* id of a running container of the pod whose processes it shares; or NULL */
    bool host_cgroup_ns;
    const char *apparmor;               /* profile to change to at exec, or NULL */
};

#define PLAN_NO_ID (-1)

/* What every container has unless told otherwise: mounts /proc /dev /dev/pts /dev/mqueue /dev/shm /sys
 * /sys/fs/cgroup, masked and read-only paths, 14 capabilities, default seccomp, cwd "/". (/etc files are binds that
 * the node adds. A later mount with the same destination replaces an earlier one.) `privileged` gives the other
 * extreme. */
void plan_defaults(struct oci_plan *p, struct arena *a, bool privileged);
struct plan_mount *plan_add_mount(struct oci_plan *p, struct arena *a);          /* zeroed, appended */
void plan_add_text(struct plan_texts *t, struct arena *a, const char *text);     /* copies */
#define PLAN_CAP_ALL 64
/* "NET_ADMIN" or "CAP_NET_ADMIN" -> its number, "ALL" -> PLAN_CAP_ALL, unknown -> -1. */
int plan_cap(const char *name);
uint64_t plan_caps_default(void);
uint64_t plan_caps_all(void);                        /* every capability this program knows */
/* Adds and drops as Kubernetes does, over all sets but inheritable and ambient. */
int plan_set_caps(struct oci_plan *p, const struct plan_texts *add, const struct plan_texts *drop, struct err *err);

int plan_check(const struct oci_plan *p, struct err *err);        /* ERR_INVALID names the field */
int plan_check_exec(const struct oci_plan *p, struct err *err);   /* of a further process in a container */
void plan_encode(struct buf *out, const struct oci_plan *p);
int plan_decode(struct oci_plan *out, struct arena *a, const char *text, size_t len, struct err *err);

#endif
