/* cmd/parent.h -- the process above the roles: starts them, watches them, starts them again when
 * they end, and ends them in order. One thread, no request.
 *
 *   parent_new --parent_want...--> parent_go --all ready--> "is ready"
 *   SIGTERM, SIGINT (containers go on), SIGUSR1 (pods too) --> roles end, parent_run returns
 */
#ifndef CMD_PARENT_H
#define CMD_PARENT_H

#include "cmd/config.h"
#include "cmd/role.h"

#define PARENT_FDS 2                     /* descriptors given to a role */

struct child;                            /* core/loop/child.h */
struct parent;

struct parent_opts {
    const struct config *config;         /* given to the roles; borrowed */
    const char *command, *api;           /* for runfile.h; api NULL: none of ours; borrowed */
    int64_t begun_ms;
    /* The secret of this kind, if the role may know it; else NULL. */
    const char *(*secret)(void *ctx, enum role_id role, enum role_pem id);
    void (*on_ready)(void *ctx, int64_t ms);         /* all that is wanted is there; once */
    void (*on_hup)(void *ctx);           /* SIGHUP: look at the secrets now */
    void *ctx;
};

/* Takes the signals and a place in the queue of the kernel's OOM killer. */
int parent_new(struct parent **out, const struct parent_opts *opts, struct err *err);
struct parent *parent_free(struct parent *p);        /* kills what is left */
CLEANUP_DEFINE(struct parent, parent_free)
struct loop *parent_loop(struct parent *p);
/* The role is to run, with these descriptors (-1: none); they stay the caller's. */
void parent_want(struct parent *p, enum role_id id, int fd0, int fd1);
void parent_go(struct parent *p);                    /* starts what is wanted */
/* Secrets are others: running roles are given them, and use them without a new start. */
void parent_reload(struct parent *p);
void parent_end(struct parent *p);                   /* as a signal would; containers go on */
/* One secret to a child that speaks as roles do (role.h). */
int parent_send_secret(struct child *to, enum role_pem id, const char *text, struct err *err);
/* Until it was told to end and all roles have ended. */
void parent_run(struct parent *p);
/* How long to wait before a role that ended is started again: it had run for ran_ms, after a wait
 * of wait_ms (0: its first start), and had become ready or not. A role that ends again and again
 * takes little of the machine, one that had been ready is back soon, and one that had worked for a
 * while at once. */
int64_t parent_wait_ms(int64_t wait_ms, int64_t ran_ms, bool was_ready);

#endif
