#include "runtime/confine/confine_refusal.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdio.h>
#include <sys/ioctl.h>

#include "core/base/mem.h"

int confine_refusal_read(int fd, struct confine_refusal *out, struct err *err)
{
    struct seccomp_notif asked = { 0 };
    struct seccomp_notif_resp answer = { .error = -EPERM };
    char *name;

    if (ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &asked) < 0)
        return errno == ENOENT || errno == EINTR ? 0 : err_sys(err, "refused system call");
    answer.id = asked.id;
    if (ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &answer) < 0 && errno != ENOENT)
        return err_sys(err, "refused system call");
    *out = (struct confine_refusal){ .nr = (unsigned)asked.data.nr,
                                     .args = { asked.data.args[0], asked.data.args[1] } };
    name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, asked.data.nr);
    if (name)
        snprintf(out->call, sizeof(out->call), "%s", name);
    else
        snprintf(out->call, sizeof(out->call), "%u", out->nr);
    mem_free(name);
    return 1;
}
