/* cmd/box/box_tar.h -- private to the box: headers of tar archives, pure. */
#ifndef CMD_BOX_BOX_TAR_H
#define CMD_BOX_BOX_TAR_H

#include <limits.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/base/err.h"

#define BOX_TAR_BLOCK 512
#define BOX_TAR_META_MAX (1u << 20)      /* a long name or a pax header */

struct box_tar_entry {
    char name[PATH_MAX], link[PATH_MAX];
    /* '0' file '1' hard link '2' link '5' directory 'L' 'K' 'x' 'g' ... */
    char type;
    mode_t mode;
    int64_t uid, gid, size, mtime;
};

/* 1 an entry, 0 the end mark, -1 ERR_CORRUPT. */
int box_tar_read(struct box_tar_entry *out, const char block[BOX_TAR_BLOCK], struct err *err);
/* The name must be at most 100 bytes: longer ones go before as entries of type 'L' and 'K'. */
void box_tar_write(char block[BOX_TAR_BLOCK], const struct box_tar_entry *e);
/* "NN key=value\n" records over the entry they precede. */
int box_tar_pax(struct box_tar_entry *e, const char *text, size_t len, struct err *err);
/* Where an entry may go: without leading slashes; ERR_DENIED for one with "..". "" is the directory
 * itself. */
int box_tar_safe(const char **out, const char *name, struct err *err);

#endif
