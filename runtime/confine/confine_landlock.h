/* runtime/confine/confine_landlock.h -- private to the room: a row's paths and ports, as much of
 * it as the kernel has. Three steps, as paths are opened with all rights and before "/" changes,
 * and the rules come into force after no_new_privs. */
#ifndef RUNTIME_CONFINE_CONFINE_LANDLOCK_H
#define RUNTIME_CONFINE_CONFINE_LANDLOCK_H

#include "runtime/confine/confine_table.h"

/* *rules: -1 where there is no Landlock. */
int confine_landlock_open(int *rules, const struct confine_row *row, const struct confine_opts *o,
                          struct err *err);
/* The new "/". */
int confine_landlock_tree(int rules, const struct confine_row *row, int root, struct err *err);
int confine_landlock_enter(int rules, struct err *err);

#endif
