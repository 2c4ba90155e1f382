/* core/base/fd_fail.h -- inside the room: a failed system call on a path as an error. */
#ifndef CORE_BASE_FD_FAIL_H
#define CORE_BASE_FD_FAIL_H

#include <errno.h>

#include "core/base/err.h"

/* Missing files are an expected error; what leads outside is refused. Both keep errno. */
static inline int fd_fail_code(int sys_errno)
{
    if (sys_errno == ENOENT)
        return ERR_NOT_FOUND;
    return sys_errno == EXDEV ? ERR_DENIED : ERR_SYSTEM;
}

#define fd_fail(err, ...) \
    err_set_at((err), fd_fail_code(errno), errno, __FILE__, __LINE__, __VA_ARGS__)

#endif
