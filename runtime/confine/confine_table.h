/* runtime/confine/confine_table.h -- private to the room: what a row of the table says. */
#ifndef RUNTIME_CONFINE_CONFINE_TABLE_H
#define RUNTIME_CONFINE_CONFINE_TABLE_H

#include "runtime/confine/confine.h"

#define CONFINE_PATHS_MAX 4
#define CONFINE_NO_PORT 0
#define CONFINE_PORTS_MAX 4

/* Groups of system calls; their names stand in confine_table.c. */
enum {
    CONFINE_BASIC = 1 << 0,              /* memory, time, descriptors, the end */
    CONFINE_THREADS = 1 << 1,            /* more threads; never a process */
    CONFINE_LOOP = 1 << 2,
    CONFINE_PARENT = 1 << 3,             /* records on the socket to the parent */
    CONFINE_NET = 1 << 4,                /* connect and accept; bound sockets are given */
    CONFINE_FILES = 1 << 5,              /* open and look */
    CONFINE_DATABASE = 1 << 6,           /* what SQLite does besides */
    CONFINE_MAKE = 1 << 7,               /* a tree of files of all kinds and owners */
    CONFINE_GROUPS = 8
};

enum confine_root {
    CONFINE_ROOT_KEPT,
    CONFINE_ROOT_DIR,                    /* chroot */
    CONFINE_ROOT_CLONE,                  /* of a mount of its own: no devices, setuid, programs */
};

enum confine_access {
    CONFINE_READ = 1,                    /* files and lists of them */
    CONFINE_READ_FILE,                   /* this file, or files below whose names are known */
    CONFINE_READ_REPLACED,               /* this file, also when another takes its name: all files
                                          * of its folder */
    CONFINE_WRITE,                       /* plain files there, read, written, made and removed */
    CONFINE_ANY,                         /* everything but to run programs */
};

enum confine_connect {
    CONFINE_CONNECT_NONE,                /* no socket of its own at all */
    CONFINE_CONNECT_PORTS,               /* TCP to these ports of any address */
    CONFINE_CONNECT_ANY,
};

struct confine_path { enum confine_place place; enum confine_access access; };

struct confine_row {
    const char *name;
    const char *user;                    /* of /etc/passwd; NULL: stays who it is */
    unsigned uid;                        /* where that is not there */
    uint64_t caps;                       /* kept, of those there are */
    bool filtered;                       /* no_new_privs, no other capability ever, seccomp, ... */
    bool lives;                          /* says what the kernel lacks; outlives its parent */
    enum confine_root root;
    uint64_t memory_bytes;               /* of addresses; 0: as it was */
    unsigned groups;
    const char *more;                    /* further system calls */
    enum confine_connect connect;
    uint16_t ports[CONFINE_PORTS_MAX];
    bool api;                            /* also the port of the API */
    struct confine_path paths[CONFINE_PATHS_MAX];
};

extern const struct confine_row confine_rows[CONFINE_ROLE_MAX];
extern const char *const confine_groups[CONFINE_GROUPS];
extern const char *const confine_hostile;

#endif
