/* runtime/cgroup/cgroup_tree.h -- private to the room: the hierarchies and how paths in them are
 * made. */
#ifndef RUNTIME_CGROUP_CGROUP_TREE_H
#define RUNTIME_CGROUP_CGROUP_TREE_H

#include <limits.h>

#include "runtime/cgroup/cgroup.h"

#define CGROUP_TREES_MAX 16
#define CGROUP_FILE_BYTES_MAX (1u << 20)

enum {
    CGROUP_CPU = 1, CGROUP_CPUACCT = 2, CGROUP_MEMORY = 4, CGROUP_PIDS = 8, CGROUP_FREEZER = 16
};

struct cgroup_tree {
    char *mount;                     /* mount point */
    char *dir;                       /* mount point and our root */
    char *name;                      /* "" for v2, else the controllers as mounted: "cpu,cpuacct" */
    unsigned has;                    /* CGROUP_CPU ... */
    bool v2;
};

struct cgroup {
    struct cgroup_tree v[CGROUP_TREES_MAX];
    size_t len;
    char *root;
};

/* Finds hierarchies in the text of a mountinfo file, without touching them. */
int cgroup_scan(struct cgroup **out, const char *mountinfo, const char *root, struct err *err);
/* Reads which controllers v2 trees have, makes the root everywhere. */
int cgroup_prepare(struct cgroup *c, struct err *err);

/* or NULL */
const struct cgroup_tree *cgroup_tree_of(const struct cgroup *c, unsigned controller);
const struct cgroup_tree *cgroup_tree_v2(const struct cgroup *c);
/* A relative path without "..", "." and empty parts. */
int cgroup_check_path(const char *path, struct err *err);
/* "<dir>/<path>/<file>"; file may be NULL. */
int cgroup_file(char out[PATH_MAX], const struct cgroup_tree *t, const char *path, const char *file,
                struct err *err);
int cgroup_read(struct buf *out, const struct cgroup_tree *t, const char *path, const char *file,
                struct err *err);
int cgroup_write(const struct cgroup_tree *t, const char *path, const char *file, const char *text,
                 struct err *err);
/* hands its controllers down to children */
int cgroup_enable_v2(const char *dir, struct err *err);

#endif
