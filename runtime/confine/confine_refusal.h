/* runtime/confine/confine_refusal.h -- the other end of confine_opts.refusals: a process that
 * trusts nothing it reads there answers each refused system call with EPERM and may say which one
 * it was. While nobody answers, the caller waits; when the descriptor closes it gets ENOSYS. */
#ifndef RUNTIME_CONFINE_CONFINE_REFUSAL_H
#define RUNTIME_CONFINE_CONFINE_REFUSAL_H

#include <stdint.h>

#include "core/base/err.h"

#define CONFINE_CALL_NAME_BYTES 32

struct confine_refusal {
    unsigned nr;
    char call[CONFINE_CALL_NAME_BYTES];      /* "keyctl"; the number where it has no name */
    uint64_t args[2];                    /* the first ones, for people */
};

/* One: reads, answers EPERM. 1 one was there, 0 none (its caller has gone), -1 error: close fd. */
int confine_refusal_read(int fd, struct confine_refusal *out, struct err *err);

#endif
