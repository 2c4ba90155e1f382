/* runtime/oci/oci_child.h -- private to the room: the steps of a process on its way into a container. */
#ifndef RUNTIME_OCI_OCI_CHILD_H
#define RUNTIME_OCI_OCI_CHILD_H

#include <stdbool.h>

#include "runtime/confine/confine_filter.h"
#include "runtime/oci/oci.h"

/* --- oci_path.c: paths inside a root directory that a container may have written to */
int oci_path_open(int root, const char *path, struct err *err);      /* O_PATH; ERR_NOT_FOUND */
/* Makes what is missing, following links as if root were "/". O_PATH. */
int oci_path_make(int root, const char *path, bool directory, struct err *err);

/* --- oci_mount.c: detached mounts */
struct oci_opt { const char *key, *value; };                          /* value NULL: a flag */
int oci_mount_new(const char *type, const struct oci_opt *opts, size_t n, unsigned attr, struct err *err);
/* A copy of the mount at a path (dir: a descriptor it is relative to). */
int oci_mount_clone(int dir, const char *path, bool recursive, struct err *err);
int oci_mount_set(int tree, uint64_t attr, uint64_t propagation, bool recursive, struct err *err);
int oci_mount_attach(int tree, int to_dir, const char *to, struct err *err);
/* Makes an attached mount the root and drops the old one with all it holds; "/" is the working directory then. */
int oci_mount_pivot(int root, struct err *err);

/* --- oci_dev.c: /dev */
int oci_dev_make(int *out, const struct oci_plan *p, struct err *err);       /* detached and filled */
int oci_dev_bind(int dev, const struct oci_plan *p, struct err *err);        /* after it is attached */
int oci_dev_extra(int root, const struct oci_plan *p, struct err *err);

/* --- oci_root.c: from the plan to a new root directory; leaves the caller in its own mount namespace, in it. */
int oci_root_enter(const struct oci_pod *pod, const struct oci_plan *p, const char *cgroup_path,
                   struct err *err);

/* --- oci_user.c */
struct oci_user {
    uid_t uid;
    gid_t gid;
    gid_t groups[PLAN_GROUPS_MAX * 2];
    size_t n_groups;
    char home[256];
};
/* Looks the plan's user up below root. */
int oci_user_find(struct oci_user *out, int root, const struct oci_plan *p, struct err *err);

/* --- oci_caps.c: the last steps before exec */
int oci_caps_become(const struct oci_plan *p, const struct oci_user *u, struct err *err);

/* --- seccomp_rules.c, seccomp_program.c: the default profile */
enum seccomp_rule { SECCOMP_DENY, SECCOMP_ALLOW, SECCOMP_NOSYS, SECCOMP_PERSONALITY, SECCOMP_CLONE,
                    SECCOMP_SOCKET, SECCOMP_RULE_MAX };
/* Ranges over all system call numbers for a process with these capabilities. */
size_t seccomp_rules(struct confine_range out[CONFINE_RANGES_MAX], uint64_t caps);
void seccomp_program(struct confine_filter *out, uint64_t caps);
int seccomp_install(uint64_t caps, struct err *err);

/* --- oci_child.c: what runs after the clone; never returns */
struct oci_child {
    const struct oci_pod *pod;
    const struct oci_plan *plan;
    const char *cgroup_path;
    int container;                       /* pidfd of the container to enter; -1: a new one */
    int stdio[3];
    int sync;
    bool in_v2;                          /* cloned into its v2 group already */
};
_Noreturn void oci_child_run(struct oci_child *c);

enum { OCI_SAYS_CREATED = 1, OCI_SAYS_ERR = 2 };
struct oci_says { uint32_t what; struct err err; };

#endif
