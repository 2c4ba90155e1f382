/* core/base/fd.h -- file descriptors: whole reads and writes, small files, safe opens, passing. */
#ifndef CORE_BASE_FD_H
#define CORE_BASE_FD_H

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "core/base/cleanup.h"
#include "core/base/str.h"

int fd_close(int fd);                                            /* ignores -1; always returns -1 */
static inline void fd_closep(int *fd) { *fd = fd_close(*fd); }
#define _cleanup_fd_ _cleanup_(fd_closep)

int fd_write_all(int fd, const void *p, size_t len, struct err *err);
/* Exactly len; EOF earlier is ERR_CORRUPT. */
int fd_read_all(int fd, void *p, size_t len, struct err *err);
int fd_set_nonblock(int fd, struct err *err);
int fd_set_cloexec(int fd, bool on, struct err *err);

/* Whole small files. `dir` is an open directory or AT_FDCWD. Too big is ERR_QUOTA, missing
 * ERR_NOT_FOUND. Adds to `out`; on failure it is as it was. */
int fd_read_file(struct buf *out, int dir, const char *path, size_t max_bytes, struct err *err);
/* Atomic and durable: temporary file, fsync, rename, fsync of the directory. */
int fd_write_file(int dir, const char *path, const void *p, size_t len, mode_t mode,
                  struct err *err);
/* Atomic, but not synced: for what need not outlive a power cut, as in a run directory. Does not
 * wait for a disk. */
#define FD_REPLACE_SUFFIX ".new~"        /* of the temporary file: a death in between leaves it */
int fd_replace_file(int dir, const char *path, struct slice text, mode_t mode, struct err *err);
/* As it is, without sync: for /proc, /sys and cgroup files. */
int fd_write_kernel(int dir, const char *path, const char *text, struct err *err);

int fd_mkdirs(const char *path, mode_t mode, struct err *err);   /* like mkdir -p */
/* Removes a tree below dir without following links or crossing mounts (a mount point below is an
 * error); missing is fine. */
int fd_remove_tree(int dir, const char *path, struct err *err);
/* A directory to be read; NULL: failed. closedir() ends it, dirfd() is good until then. */
DIR *fd_opendir(int dir, const char *path, struct err *err);
/* openat2 with RESOLVE_IN_ROOT: `path` as seen by a process whose root is `root`. -1 on error. */
int fd_open_in_root(int root, const char *path, int flags, mode_t mode, struct err *err);
/* openat2 with RESOLVE_BENEATH|RESOLVE_NO_MAGICLINKS: links leading outside are ERR_DENIED. Both
 * add O_CLOEXEC; missing is ERR_NOT_FOUND. */
int fd_open_beneath(int root, const char *path, int flags, mode_t mode, struct err *err);

/* Unix sockets: one message with up to FD_PASS_MAX descriptors. Where a non-blocking socket would
 * wait: ERR_UNAVAILABLE. */
#define FD_PASS_MAX 16
int fd_send(int sock, const void *p, size_t len, const int *fds, size_t n_fds, struct err *err);
/* Returns bytes read, 0 at EOF; *n_fds in: room, out: received (all close-on-exec). More
 * descriptors, or a longer packet, than there is room for: ERR_QUOTA, and nothing leaks. */
ssize_t fd_recv(int sock, void *p, size_t len, int *fds, size_t *n_fds, struct err *err);

#endif
