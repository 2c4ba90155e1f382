/* proc.c -- processes by descriptor: no race with the reuse of a pid. */
#include "core/base/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/fd.h"

static int proc_fail_code(int sys_errno)
{
    return sys_errno == ESRCH || sys_errno == ENOENT ? ERR_NOT_FOUND : ERR_SYSTEM;
}

int proc_pidfd(pid_t pid, struct err *err)
{
    long fd = syscall(SYS_pidfd_open, pid, 0);         /* close-on-exec by itself */

    if (fd < 0)
        return err_set_at(err, proc_fail_code(errno), errno, __FILE__, __LINE__, "pidfd_open %d",
                          (int)pid);
    return (int)fd;
}

int proc_signal(int pidfd, int sig, struct err *err)
{
    if (syscall(SYS_pidfd_send_signal, pidfd, sig, NULL, 0) < 0 && errno != ESRCH)
        return err_sys(err, "send signal %d", sig);
    return 0;
}

int proc_reap(int pidfd, int *out_status, int *out_signal, struct err *err)
{
    siginfo_t si = {0};
    bool killed;
    int result;

    do
        result = waitid(P_PIDFD, (id_t)pidfd, &si, WEXITED | WNOHANG);
    while (result < 0 && errno == EINTR);
    if (result < 0)
        return err_sys(err, "waitid");
    if (si.si_pid == 0)
        return 0;
    killed = si.si_code != CLD_EXITED;
    *out_status = killed ? 128 + si.si_status : si.si_status;
    if (out_signal)
        *out_signal = killed ? si.si_status : 0;
    return 1;
}

int proc_start_ticks(pid_t pid, uint64_t *out, struct err *err)
{
    _cleanup_buf_ struct buf text = BUF_INIT;
    char path[40];
    char *p;

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    if (fd_read_file(&text, AT_FDCWD, path, 4096, err) < 0) {
        if (err && proc_fail_code(err->sys_errno) == ERR_NOT_FOUND)
            err->code = ERR_NOT_FOUND;
        return -1;
    }
    p = strrchr(text.p, ')');         /* the name before it may hold anything */
    for (int field = 2; p && field < 22; field++)
        p = strchr(p + 1, ' ');
    if (!p || sscanf(p, " %" SCNu64, out) != 1)
        return err_set(err, ERR_FAILED, "%s has no start time", path);
    return 0;
}

int proc_self_exe(struct err *err)
{
    int fd = open("/proc/self/exe", O_PATH | O_CLOEXEC);

    return fd < 0 ? err_sys(err, "open /proc/self/exe") : fd;
}
