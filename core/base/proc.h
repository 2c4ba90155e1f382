/* core/base/proc.h -- processes as descriptors. */
#ifndef CORE_BASE_PROC_H
#define CORE_BASE_PROC_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/base/err.h"

int proc_pidfd(pid_t pid, struct err *err);                /* pidfd_open, close-on-exec */
int proc_signal(int pidfd, int sig, struct err *err);      /* a process already gone is no error */
/* Reaps a child by its pidfd without blocking: 1 reaped, 0 still running. *out_status: exit code
 * 0-255, or 128 + signal; *out_signal is 0 or the signal. */
int proc_reap(int pidfd, int *out_status, int *out_signal, struct err *err);
/* Start time of a process in clock ticks since boot (field 22 of /proc/PID/stat): with the pid it
 * is an identity that survives our restart. Gone is ERR_NOT_FOUND. */
int proc_start_ticks(pid_t pid, uint64_t *out, struct err *err);
int proc_self_exe(struct err *err);                 /* an O_PATH|O_CLOEXEC fd of our own binary */

#endif
