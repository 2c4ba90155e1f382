/* core/base/fd_walk.h -- inside the room: openat2 for kernels before 5.6 and emulators that lack
 * it, one component after the other.
 *
 * Knows RESOLVE_BENEATH, _IN_ROOT, _NO_SYMLINKS, _NO_XDEV and _NO_MAGICLINKS. Each directory on the
 * way is held open and ".." goes back to the one that was come from, so nothing that is renamed or
 * replaced meanwhile leads outside. Stricter than the kernel in two ways: no link on procfs is
 * followed where magic links are not, and there are limits of depth.
 */
#ifndef CORE_BASE_FD_WALK_H
#define CORE_BASE_FD_WALK_H

#include <linux/openat2.h>

#define FD_WALK_DEPTH_MAX 128            /* directories held open; more: ENAMETOOLONG */
#define FD_WALK_LINKS_MAX 40             /* as the kernel; more: ELOOP */

/* As the system call: a descriptor, or -1 and errno. */
int fd_walk(int dir, const char *path, const struct open_how *how);

#endif
