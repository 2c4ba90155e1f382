/* oci.c -- the owner's side: clone, listen, let go. */
#include "runtime/oci/oci.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/check.h"
#include "core/base/fd.h"
#include "core/base/proc.h"
#include "runtime/oci/oci_child.h"

/* Like fork(), with namespaces and a pidfd; group: directory in the v2 tree or -1. */
static pid_t clone_process(uint64_t flags, int group, int *pidfd)
{
    struct clone_args args = {
        .flags = flags | CLONE_PIDFD, .pidfd = (uint64_t)(uintptr_t)pidfd, .exit_signal = SIGCHLD,
    };

    if (group >= 0) {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = (uint64_t)group;
    }
    return (pid_t)syscall(SYS_clone3, &args, sizeof(args));
}

/* The PID namespace of children is the only one that must be chosen before the clone. */
static int enter_pids(int pidfd, struct err *err)
{
    if (pidfd >= 0 && setns(pidfd, CLONE_NEWPID) < 0)
        return err_sys(err, "enter the PID namespace");
    return 0;
}

static void leave_pids(int pidfd)
{
    _cleanup_fd_ int self = -1;

    if (pidfd < 0)
        return;
    self = proc_pidfd(getpid(), NULL);
    check(self >= 0 && setns(self, CLONE_NEWPID) == 0);
}

struct launch {
    uint64_t flags;
    int pids;                            /* pidfd whose PID namespace the child joins, or -1 */
    struct oci_child child;
};

static int launch(struct oci_proc *out, struct launch *l, struct err *err)
{
    _cleanup_fd_ int group = cgroup_open_v2(l->child.pod->cgroup, l->child.cgroup_path, NULL);
    _cleanup_fd_ int ours = -1, theirs = -1, pidfd = -1;
    int pair[2];
    pid_t pid;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return err_sys(err, "socket pair");
    ours = pair[0];
    theirs = pair[1];
    if (enter_pids(l->pids, err) < 0)
        return -1;
    pid = clone_process(l->flags, group, &pidfd);
    if (pid < 0 && group >= 0) {             /* a kernel or tree that does not take us there */
        group = fd_close(group);
        pid = clone_process(l->flags, -1, &pidfd);
    }
    if (pid == 0) {
        l->child.in_v2 = group >= 0;
        l->child.sync = theirs;
        fd_close(ours);
        oci_child_run(&l->child);
    }
    leave_pids(l->pids);
    if (pid < 0)
        return err_sys(err, "clone");
    *out = (struct oci_proc){ .pid = pid, .pidfd = TAKE_FD(pidfd), .sync = TAKE_FD(ours), .pty = -1 };
    return 0;
}

int oci_create(struct oci_proc *out, const struct oci_pod *pod, const struct oci_plan *plan,
               const char *cgroup_path, const int stdio[3], struct err *err)
{
    struct launch l = {
        .flags = plan->host_pid || pod->pids >= 0 ? 0 : CLONE_NEWPID,
        .pids = plan->host_pid ? -1 : pod->pids,
        .child = { .pod = pod, .plan = plan, .cgroup_path = cgroup_path, .container = -1,
                   .stdio = { stdio[0], stdio[1], stdio[2] } },
    };

    if (plan_check(plan, err) < 0)
        return -1;
    return launch(out, &l, err);
}

int oci_exec(struct oci_proc *out, const struct oci_pod *pod, const struct oci_plan *plan,
             const struct oci_enter *into, struct err *err)
{
    struct launch l = {
        .pids = into->container,
        .child = { .pod = pod, .plan = plan, .cgroup_path = into->cgroup_path,
                   .container = into->container,
                   .stdio = { into->stdio[0], into->stdio[1], into->stdio[2] } },
    };

    if (plan_check_exec(plan, err) < 0)
        return -1;
    return launch(out, &l, err);
}

int oci_next(struct oci_proc *p, enum oci_step *out, struct err *err)
{
    struct oci_says m;
    struct iovec iov = { .iov_base = &m, .iov_len = sizeof(m) };
    union { struct cmsghdr align; char room[CMSG_SPACE(sizeof(int))]; } control;
    struct msghdr h = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
                        .msg_controllen = sizeof(control) };
    struct cmsghdr *c;
    ssize_t n = recvmsg(p->sync, &h, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        *out = OCI_WAIT;
        return 0;
    }
    if (n < 0 && errno != ECONNRESET)
        return err_sys(err, "listen to the container's process");
    if (n <= 0) {                            /* closed at exec, or it died: its exit says which */
        *out = OCI_STARTED;
        return 0;
    }
    c = CMSG_FIRSTHDR(&h);
    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
        fd_close(p->pty);
        memcpy(&p->pty, CMSG_DATA(c), sizeof(int));
    }
    if (n == sizeof(m) && m.what == OCI_SAYS_CREATED) {
        *out = OCI_CREATED;
        return 0;
    }
    if (n != sizeof(m) || m.what != OCI_SAYS_ERR)
        return err_set(err, ERR_CORRUPT, "bad record from the container's process");
    m.err.msg[sizeof(m.err.msg) - 1] = '\0';
    m.err.file = NULL;
    if (err)
        *err = m.err;
    return -1;
}

int oci_go(struct oci_proc *p, struct err *err)
{
    return fd_send(p->sync, "g", 1, NULL, 0, err);
}

void oci_proc_deinit(struct oci_proc *p)
{
    if (p->pidfd >= 0 && p->pid > 0) {
        siginfo_t info;

        proc_signal(p->pidfd, SIGKILL, NULL);
        while (waitid(P_PIDFD, (id_t)p->pidfd, &info, WEXITED) < 0 && errno == EINTR)
            ;
    }
    p->pidfd = fd_close(p->pidfd);
    p->sync = fd_close(p->sync);
    p->pty = fd_close(p->pty);
    p->pid = 0;
}

static _Noreturn void pause_run(void)
{
    sigset_t set;
    int sig;

    prctl(PR_SET_NAME, "pause");
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_SETMASK, &set, NULL);
    for (;;) {
        sigwait(&set, &sig);
        if (sig != SIGCHLD)
            _exit(0);
        while (waitpid(-1, NULL, WNOHANG) > 0)
            ;
    }
}

static _Noreturn void pause_begin(const struct oci_pod *pod, const char *cgroup_path, int ready)
{
    struct err err = ERR_INIT;

    if (cgroup_join(pod->cgroup, cgroup_path, false, &err) < 0) {
        (void)!write(ready, err.msg, strlen(err.msg));
        _exit(1);
    }
    if (write(ready, "", 1) != 1)
        _exit(1);
    close_range(0, ~0u, 0);
    pause_run();
}

/* Waits until it is in its group: whoever empties the group then finds it there. */
int oci_pause(struct oci_proc *out, const struct oci_pod *pod, const char *cgroup_path,
              struct err *err)
{
    _cleanup_fd_ int heard = -1, ready = -1;
    char text[ERR_MSG_BYTES] = "";
    int fds[2], pidfd = -1;
    ssize_t n;
    pid_t pid;

    if (pipe2(fds, O_CLOEXEC) < 0)
        return err_sys(err, "pipe");
    heard = fds[0];
    ready = fds[1];
    pid = clone_process(CLONE_NEWPID, -1, &pidfd);
    if (pid < 0)
        return err_sys(err, "clone");
    if (pid == 0)
        pause_begin(pod, cgroup_path, ready);
    *out = (struct oci_proc){ .pid = pid, .pidfd = pidfd, .sync = -1, .pty = -1 };
    ready = fd_close(ready);
    while ((n = read(heard, text, sizeof(text) - 1)) < 0 && errno == EINTR)
        ;
    if (n == 1 && !text[0])
        return 0;
    oci_proc_deinit(out);
    return err_set(err, ERR_FAILED, "pause process: %s", text[0] ? text : "ended at once");
}
