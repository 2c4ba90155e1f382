/* runtime/confine/confine.h -- what a process of ours gives up before it hears a stranger's byte.
 *
 * All roles stand in one table (confine_table.c): user, capabilities, root directory, system
 * calls, socket families, paths and ports. confine_apply() puts a row into force, in the only
 * order that works:
 *
 *   paths opened -> "/" changed -> limits -> user -> capabilities -> no_new_privs -> Landlock
 *   -> system calls
 *
 * Call it while the process has one thread; threads made later inherit everything. What is not
 * allowed is refused with EPERM, or EACCES by Landlock; the calls of an attacker at work
 * (CONFINE_HOSTILE) end the process, which its parent starts anew.
 *
 * Older kernels: what they lack of Landlock (5.13 files, 6.7 TCP ports, 6.12 signals and abstract
 * sockets) or seccomp is left out; roles that live long say so in one warning.
 * Builds with a sanitizer have no filter of system calls and no Landlock, as the sanitizer's own
 * calls and files are not ours to list; users, capabilities and limits hold there too.
 *
 * A parent that asks for it (opts.refusals) hears of each refused call; confine_refusal.h answers.
 */
#ifndef RUNTIME_CONFINE_CONFINE_H
#define RUNTIME_CONFINE_CONFINE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/err.h"

#define CONFINE_UID 64210                /* and the next ones: of roles, unless they have names */
#define CONFINE_MEMORY_BYTES (1ull << 30)    /* of children */

enum confine_role {
    CONFINE_CONTROL, CONFINE_NODE, CONFINE_DNS,
    CONFINE_JOIN,                        /* asks a server for certificates */
    CONFINE_PROBE,                       /* talks to pods */
    CONFINE_PULL,                        /* talks to registries */
    CONFINE_UNPACK,                      /* makes a tree from a layer */
    CONFINE_LIST,                        /* reads one archive, given as a descriptor */
    CONFINE_ROLE_MAX
};

/* What a row names and only the caller knows; what is left empty is not there to be used. */
enum confine_place {
    CONFINE_STORE,                       /* folder of the database */
    CONFINE_PLUGINS,                     /* folder of Lua plugins */
    CONFINE_RESOLV,                      /* resolv.conf: its folder, as it is replaced by rename */
    CONFINE_HOSTS,
    CONFINE_TREE,                        /* the new "/" itself */
    CONFINE_PLACE_MAX
};
enum confine_port { CONFINE_API, CONFINE_PORT_MAX };

struct confine_opts {
    enum confine_role role;
    /* Rows with a root of their own: an open directory that becomes "/"; in its place comes a
     * descriptor of the same directory inside. Without privilege it stays where it is. */
    int *root;
    const char *places[CONFINE_PLACE_MAX];   /* paths as seen before "/" changes */
    uint16_t ports[CONFINE_PORT_MAX];
    /* Not NULL: out, a descriptor for confine_refusal_read() in another process; -1 where the
     * kernel has none to give (before 5.0, or a supervisor above us has it). */
    int *refusals;
    bool sanitized_too;                  /* tests: the whole row under a sanitizer, too, whose leak
                                          * checker it stops */
};

/* 1 when "/" has changed, 0 when not. */
int confine_apply(const struct confine_opts *o, struct err *err);

/* The user and group of a role; 0: as the parent's. */
unsigned confine_uid(enum confine_role role);
/* "control"; also the verb of the process. */
const char *confine_name(enum confine_role role);

#endif
