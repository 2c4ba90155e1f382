/* cmd/keep.h -- the name server's sockets between the end of one parent and the start of the
 * next. A small child holds them for KEEP_MS: what pods ask meanwhile waits in them, and is
 * answered late instead of refused. It ends when they are taken, and with it the ports are free
 * when nobody comes.
 *
 *   parent ends, pods go on --keep_start--> "keep" --keep_take--> the next parent
 *
 * They meet at <run-dir>/dns.sock; both must be of the same user.
 */
#ifndef CMD_KEEP_H
#define CMD_KEEP_H

#include <stdbool.h>

#include "core/base/err.h"
#include "core/loop/loop.h"

#define KEEP_VERB "keep"
#define KEEP_MS 15000
#define KEEP_ANSWER_MS 2000              /* a child that says nothing for so long keeps nothing */

/* The sockets stay the caller's, too. */
int keep_start(struct loop *l, const char *run_dir, int udp, int tcp, struct err *err);
/* False: nobody keeps any, or they are bound to another address than ip. */
bool keep_take(const char *run_dir, const char *ip, int *udp, int *tcp);
/* Ends a child that keeps some; it has gone then. */
void keep_drop(const char *run_dir);
int keep_main(int argc, char **argv);    /* the hidden verb */

#endif
