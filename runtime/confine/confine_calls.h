/* runtime/confine/confine_calls.h -- private to the room: a row's system calls as a program. */
#ifndef RUNTIME_CONFINE_CONFINE_CALLS_H
#define RUNTIME_CONFINE_CONFINE_CALLS_H

#include "runtime/confine/confine_filter.h"
#include "runtime/confine/confine_table.h"

/* refuse: what the kernel shall do about calls that are not allowed. */
void confine_calls_program(struct confine_filter *out, const struct confine_row *row,
                           uint32_t refuse);
/* The last step: *refusals as confine_opts says, or NULL. */
int confine_calls_install(const struct confine_row *row, int *refusals, struct err *err);

#endif
