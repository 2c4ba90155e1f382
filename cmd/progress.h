/* cmd/progress.h -- how far an import or pull is, on stderr: a bar on a terminal, else a line for
 * each layer that is done. */
#ifndef CMD_PROGRESS_H
#define CMD_PROGRESS_H

#include "runtime/image/image.h"

struct progress {
    bool quiet, tty;
    const char *command;                 /* begins each line */
    unsigned layers_done;
    bool begun, drawn;
    int signals;                         /* a signalfd: SIGINT and SIGTERM end it tidily */
    bool canceled;
};

int progress_init(struct progress *p, const char *command, bool quiet, struct err *err);
struct image_watch progress_watch(struct progress *p);
void progress_end(struct progress *p);   /* the bar goes away */
void progress_deinit(struct progress *p);

/* "12.3 MB", as decimal units. */
void progress_bytes(char out[16], int64_t bytes);

#endif
