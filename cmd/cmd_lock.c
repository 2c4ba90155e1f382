/* cmd_lock.c -- record locks of fcntl: the kernel knows the holder's process and forgets it
 * when that ends. */
#include "cmd/cmd_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "core/base/fd.h"
#include "core/base/mem.h"

static int lock_open(const char *dir, int flags)
{
    _cleanup_(mem_freep) char *path = mem_printf("%s/lock", dir);

    return open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
}

int cmd_lock_take(const char *dir, const char *flag, struct err *err)
{
    struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    _cleanup_fd_ int fd = lock_open(dir, O_RDWR | O_CREAT);

    if (fd < 0)
        return err_sys(err, "%s %s: lock", flag, dir);
    if (fcntl(fd, F_SETLK, &whole) == 0) {
        (void)TAKE_FD(fd);               /* closing any descriptor of the file would end the lock */
        return 0;
    }
    if (errno != EAGAIN && errno != EACCES)
        return err_sys(err, "%s %s: lock", flag, dir);
    if (fcntl(fd, F_GETLK, &whole) == 0 && whole.l_type != F_UNLCK && whole.l_pid > 0)
        return err_set(err, ERR_EXISTS, "%s %s is in use by another inro server (process %d)", flag,
                       dir,
                       (int)whole.l_pid);
    return err_set(err, ERR_EXISTS, "%s %s is in use by another inro server", flag, dir);
}

int cmd_lock_holder(const char *dir, pid_t *out, struct err *err)
{
    struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    _cleanup_fd_ int fd = lock_open(dir, O_RDWR);

    *out = 0;
    if (fd < 0)
        return errno == ENOENT ? 0 : err_sys(err, "%s/lock", dir);
    if (fcntl(fd, F_GETLK, &whole) < 0)
        return err_sys(err, "%s/lock", dir);
    if (whole.l_type != F_UNLCK)
        *out = whole.l_pid;
    return 0;
}
