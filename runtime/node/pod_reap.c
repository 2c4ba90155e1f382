/* pod_reap.c -- the process of the record, unless another one has its number by now. */
#include "runtime/node/pod_reap.h"

#include <poll.h>
#include <signal.h>

#include "core/base/fd.h"
#include "core/base/proc.h"
#include "runtime/shim/shim_state.h"

#define STATE_ARENA_BYTES (4u << 20)

int pod_reap_shim(const char *dir, struct err *err)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(STATE_ARENA_BYTES);
    struct shim_state_file f = { 0 };
    _cleanup_fd_ int fd = -1;
    uint64_t ticks = 0;
    struct pollfd gone = { .events = POLLIN };

    if (shim_state_read(&f, a, dir, NULL) < 0 || f.shim_pid <= 1)
        return 0;
    fd = proc_pidfd(f.shim_pid, NULL);
    if (fd < 0 || proc_start_ticks(f.shim_pid, &ticks, NULL) < 0 || ticks != f.shim_ticks)
        return 0;
    if (proc_signal(fd, SIGKILL, err) < 0)
        return err_wrap(err, "kill shim %d", (int)f.shim_pid);
    gone.fd = fd;
    if (poll(&gone, 1, POD_REAP_MS) == 0)
        return err_set(err, ERR_UNAVAILABLE, "shim %d does not end", (int)f.shim_pid);
    return 0;
}
