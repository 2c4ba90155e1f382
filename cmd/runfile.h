/* cmd/runfile.h -- what the parent of the roles notes in <run-dir>/parent.json, for `inro status`:
 * who runs, since when, and how the last of each role ended. Written anew at each change, gone
 * when it ends; after a kill it is stale, and the lock of the folder tells (cmd_lock.h). */
#ifndef CMD_RUNFILE_H
#define CMD_RUNFILE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/base/err.h"
#include "core/base/mem.h"

#define RUNFILE_NAME "parent.json"
#define RUNFILE_BYTES_MAX 65536
#define RUNFILE_ROLES_MAX 8

struct runfile_role {
    const char *name;                    /* "control" */
    pid_t pid;                           /* 0: none runs */
    bool ready;
    int64_t started_s;                   /* since 1970 */
    unsigned restarts;
    int64_t ended_s;                     /* the one before; 0: there was none */
    int status, signal;                  /* how that one ended */
};

struct runfile {
    const char *command;                 /* "server", "agent" */
    const char *node;
    const char *api;                     /* "https://127.0.0.1:6443"; "" where it is unknown */
    pid_t pid;
    int64_t started_s;
    struct runfile_role roles[RUNFILE_ROLES_MAX];
    unsigned n_roles;
};

int runfile_write(const struct runfile *r, const char *run_dir, struct err *err);
/* Texts in the arena. ERR_NOT_FOUND: there is none. */
int runfile_read(struct runfile *out, struct arena *a, const char *run_dir, struct err *err);
void runfile_remove(const char *run_dir);

#endif
