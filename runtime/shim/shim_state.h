/* runtime/shim/shim_state.h -- what a shim leaves on disk: <dir>/state.json, replaced atomically at each change, so
 * that exit codes outlive even the shim, and <dir>/shim.sock, where it listens. */
#ifndef RUNTIME_SHIM_SHIM_STATE_H
#define RUNTIME_SHIM_SHIM_STATE_H

#include "core/base/mem.h"
#include "runtime/shim/shim_client.h"

#define SHIM_STATE_FILE "state.json"
#define SHIM_SOCKET_FILE "shim.sock"
#define SHIM_NETNS_FILE "netns"          /* the pod's network namespace is bound here: nsenter --net= */

struct shim_state_file {
    pid_t shim_pid;
    uint64_t shim_ticks;                 /* proc_start_ticks() of it */
    const char *cgroup_path;
    struct shim_container *containers;
    size_t len;
};

void shim_state_encode(struct buf *out, const struct shim_state_file *s);
int shim_state_decode(struct shim_state_file *out, struct arena *a, const char *text, size_t len, struct err *err);
/* Reads <dir>/state.json; ERR_NOT_FOUND when there is none. */
int shim_state_read(struct shim_state_file *out, struct arena *a, const char *dir, struct err *err);
/* One container, as in the file and in records. The texts of *out belong to v. */
void shim_state_encode_container(struct buf *out, const struct shim_container *c);
int shim_state_decode_container(struct shim_container *out, const struct json *v, struct err *err);
/* After a shim that died: takes away the bound namespace, the socket and the record. Missing ones are fine. */
int shim_state_clean(const char *dir, struct err *err);

#endif
