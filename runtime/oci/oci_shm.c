/* oci_shm.c -- a mount namespace that holds one tmpfs. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/fd.h"
#include "runtime/oci/oci_child.h"

/* In a child: builds it, returns a descriptor of the namespace. */
static int shm_build(int64_t bytes, struct err *err)
{
    char size[32];
    struct oci_opt opts[] = { { "mode", "1777" }, { "size", size } };
    _cleanup_fd_ int tree = -1, ns = -1;

    snprintf(size, sizeof(size), "%lld", (long long)bytes);
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return err_sys(err, "new mount namespace");
    ns = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
    if (ns < 0)
        return err_sys(err, "open the mount namespace");
    tree = oci_mount_new("tmpfs", opts, ARRAY_LEN(opts),
                         MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, err);
    if (tree < 0 || oci_mount_attach(tree, AT_FDCWD, "/", err) < 0 || oci_mount_pivot(tree, err) < 0)
        return -1;
    return TAKE_FD(ns);
}

static _Noreturn void shm_child(int sock, int64_t bytes)
{
    struct err err = ERR_INIT;
    int ns = shm_build(bytes, &err);

    fd_send(sock, &err, sizeof(err), &ns, ns >= 0 ? 1 : 0, NULL);
    _exit(0);
}

int oci_shm_make(int64_t bytes, struct err *err)
{
    _cleanup_fd_ int ours = -1, theirs = -1;
    struct err why = ERR_INIT;
    int pair[2], ns = -1;
    size_t n_fds = 1;
    ssize_t n;
    pid_t pid;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return err_sys(err, "socket pair");
    ours = pair[0];
    theirs = pair[1];
    pid = fork();
    if (pid < 0)
        return err_sys(err, "fork");
    if (pid == 0)
        shm_child(theirs, bytes);
    theirs = fd_close(theirs);
    n = fd_recv(ours, &why, sizeof(why), &ns, &n_fds, err);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    if (n == sizeof(why) && n_fds == 1)
        return ns;
    if (n != sizeof(why))
        return err_set(err, ERR_FAILED, "shared memory: no answer");
    why.msg[sizeof(why.msg) - 1] = '\0';
    return err_set(err, why.code, "shared memory: %s", why.msg);
}
