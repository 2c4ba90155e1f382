/* cmd/data_dir.h -- which version of this program a data directory belongs to, and the way to
 * another one.
 *
 *   <data-dir>/version             {"format":2,"oldest":2,"version":"v1.37.0+inro0.2.0"}
 *   <data-dir>/backup/format-1/    what was there before the last migration: state.db, version
 *
 * The format is one number for all of the data directory; `oldest` is the oldest format whose
 * programs can still use what is there. A program whose format is older than that refuses. A
 * directory without the file is of format 1, the first. A start brings an older format up to
 * ours by a table of steps, after a backup of the store; a step that was interrupted begins anew
 * from that backup. data_dir_restore() is the way back: it puts the backup in place, for the
 * older program to start from.
 *
 * The directory's lock (cmd_lock.h) is held by whoever calls open or restore; no server runs
 * meanwhile.
 */
#ifndef CMD_DATA_DIR_H
#define CMD_DATA_DIR_H

#include <stddef.h>

#include "core/base/err.h"

#define DATA_DIR_FORMAT 1
#define DATA_DIR_OLDEST 1
#define DATA_DIR_FILE "version"
#define DATA_DIR_BACKUP "backup"
#define DATA_DIR_VERSION_BYTES 64        /* longest version of a program, with its NUL */

struct data_dir_step {
    int from;                            /* to from + 1 */
    const char *what;                    /* for the log: "..." of "migrating" */
    int (*run)(const char *data_dir, struct err *err);
};

/* What a program knows. Tests give their own. */
struct data_dir_rules {
    int format, oldest;                  /* what it writes */
    const char *version;                 /* its own */
    const struct data_dir_step *steps;   /* in order, without a gap */
    size_t n_steps;
};

struct data_dir_state {
    int format, oldest;
    int from;                            /* > 0: a migration from this format has not ended */
    char version[DATA_DIR_VERSION_BYTES];    /* of who wrote last; "": no file was there */
};

extern const struct data_dir_rules data_dir_ours;

/* Before anything else is done in it: checks, migrates, notes our version. ERR_UNSUPPORTED: of a
 * newer program, or older than the first step; ERR_CORRUPT: the file is damaged. Messages name
 * versions and the way back. */
int data_dir_open(const char *data_dir, const struct data_dir_rules *rules, struct err *err);
/* For commands beside a server: the same check, changes nothing. A missing directory is fine. */
int data_dir_check(const char *data_dir, const struct data_dir_rules *rules, struct err *err);
/* Puts the backup in place of what is there, which moves to <data-dir>/backup/replaced. *out:
 * what is there now. */
int data_dir_restore(struct data_dir_state *out, const char *data_dir,
                     const struct data_dir_rules *rules, struct err *err);

#endif
