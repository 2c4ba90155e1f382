/* cmd/cmd_lock.h -- one server per run directory and per data directory; and who that is. */
#ifndef CMD_CMD_LOCK_H
#define CMD_CMD_LOCK_H

#include <sys/types.h>

#include "core/base/err.h"

/* The lock is a file "lock" in dir, held by this process until it ends. ERR_EXISTS names the
 * flag and the holder. */
int cmd_lock_take(const char *dir, const char *flag, struct err *err);
/* The process that holds it; 0: nobody. */
int cmd_lock_holder(const char *dir, pid_t *out, struct err *err);

#endif
