/* runtime/node/node_volume_int.h -- private to node_volume*.c.
 *
 *   node_volume_spec.c   pod + what it refers to -> tasks (pure)
 *   node_volume_job.c    tasks -> files, directories, mounts (blocking, in a job)
 *   node_volume_write.c  the files of one volume, changed as a whole (blocking)
 *   node_volume_clean.c  away with them (blocking)
 */
#ifndef RUNTIME_NODE_NODE_VOLUME_INT_H
#define RUNTIME_NODE_NODE_VOLUME_INT_H

#include "core/base/vec.h"
#include "runtime/node/node_volume.h"

enum node_volume_kind { NODE_VOLUME_FILES, NODE_VOLUME_DISK, NODE_VOLUME_MEMORY, NODE_VOLUME_HOST };

struct node_volume_file {
    const char *path;                    /* below the volume; checked */
    mode_t mode;
    int64_t uid;                         /* -1: root */
    struct slice data;
};

struct node_volume_task {
    enum node_volume_kind kind;
    const char *name, *dir;              /* of the volume; where it is on the host */
    bool made;                           /* by an earlier run: nothing to do but new files */
    VEC(struct node_volume_file) files;
    size_t bytes;                        /* of them together */
    int64_t size_bytes;                  /* NODE_VOLUME_MEMORY; 0: the kernel's default */
    const char *host_type;
    int64_t fs_group;                    /* -1: none */
};

/* A service account token of the pod, fetched before the tasks are made. */
struct node_volume_token {
    char *audience;
    int64_t expiration_s;                /* asked for */
    char *text;                          /* NULL: none yet */
    int64_t issued_s, expires_s;
    struct err err;                      /* why the last try failed */
};

struct node_volume_spec {
    struct object *pod;
    const struct node_ref_set *refs;
    const struct node_env_facts *facts;
    const char *data_dir, *run_dir;
    const struct node_volume_token *(*token)(void *ctx,
                                             const struct service_account_token_projection_view *p);
    void *ctx;
    struct arena *a;                     /* everything of the tasks; but files, see deinit */
};

/* What node_volume_mount.c needs of it. */
struct node_volume_host { struct object *pod; const char *data_dir, *run_dir; };
struct node_volume_host node_volume_host_of(const struct node_volumes *v);

/* Where a volume is on the host: its directory, of a hostPath the path. NULL: no kind of ours, or
 * names that cannot be one. */
const char *node_volume_place(const struct node_volume_host *h, struct arena *a,
                              const struct volume_view *v);
const char *node_volume_plugin(const struct volume_view *v);     /* NULL: not supported */
/* The error names the reason only; the caller puts the volume's name in front. */
int node_volume_spec_task(struct node_volume_task *out, const struct node_volume_spec *s,
                          const struct volume_view *v, struct err *err);
void node_volume_task_deinit(struct node_volume_task *t);        /* callable twice */

/* Blocking. */
int node_volume_job_run(const struct node_volume_task *t, struct err *err);
int node_volume_job_memory(const char *run_dir, struct err *err);    /* a tmpfs below run_dir */
/* Makes dir hold exactly these files. now_us: for the name of the dated directory. */
int node_volume_write(const struct node_volume_task *t, int64_t now_us, struct err *err);
int node_volume_clean_pod(const char *data_dir, const char *run_dir, const char *uid,
                          struct err *err);

/* Go's checks of AtomicWriter. */
int node_volume_check_path(const char *path, struct err *err);

#endif
