/* runtime/node/pod_self.h -- private to the machines: what pod*.c share. */
#ifndef RUNTIME_NODE_POD_SELF_H
#define RUNTIME_NODE_POD_SELF_H

#include "runtime/node/pod.h"

extern const struct sm_state pod_step_states[POD_STATE_MAX];          /* pod_step.c */
extern const struct sm_state pod_container_states[POD_C_MAX];         /* pod_container.c */

/* --- pod.c */
void pod_move(struct pod *p, unsigned to);
void pod_fail(struct pod *p, const char *reason, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
int64_t pod_now_ms(const struct pod *p);
int64_t pod_grace_ms(const struct pod *p);               /* of its end */
bool pod_wants_end(const struct pod *p);                 /* deleted, failed, node stops */
static inline void pod_op_begin(struct pod_op *op) { *op = (struct pod_op){ .busy = true }; }
static inline void pod_op_end(struct pod_op *op, const struct err *err)
{
    op->busy = false;
    op->over = true;
    op->err = err ? *err : ERR_INIT;
}
static inline bool pod_op_take(struct pod_op *op)        /* over: once */
{
    bool over = op->over;

    op->over = false;
    return over;
}
void pod_op_done(void *ctx, const struct err *err);      /* shim_done; ctx is the pod: ends p->op */
int64_t pod_backoff(int64_t *ms, int64_t min, int64_t max);      /* doubles; returns the new one */

/* --- pod_job.c: work on a job thread; it sees only its struct */
struct pod_job;
void pod_job_setup(struct pod *p);                       /* all end p->op */
void pod_job_attach(struct pod *p);
void pod_job_clean(struct pod *p);
void pod_job_forget(struct pod *p);                      /* the last traces */
void pod_job_prepare(struct pod_container *c);           /* directories of a run; ends c->op */
/* Nobody waits for it. */
void pod_job_drop_run(struct pod_container *c, const struct pod_run *r, bool with_log);
void pod_job_orphan(struct pod *p);                      /* those on their way tell nobody */
void pod_job_orphan_op(struct pod *p, struct pod_op *op);
/* The ledger's record; small, on memory. */
int pod_job_record(const struct pod *p, struct err *err);

/* --- pod_sandbox.c: the shim */
int pod_sandbox_start(struct pod *p, struct err *err);
int pod_sandbox_adopt(struct pod *p, struct err *err);
void pod_sandbox_lost(struct pod *p);                    /* reads what it left */
void pod_sandbox_free(struct pod *p);

/* --- pod_container.c */
int pod_container_make_all(struct pod *p);
void pod_container_set_attempts(struct pod *p, const char *text);   /* text of the next; or NULL */
char *pod_container_attempts(const struct pod *p);       /* {"name": runs so far}; to be freed */
bool pod_container_sync(struct pod *p);                  /* true: ephemeral ones have come */
void pod_container_free_all(struct pod *p);
void pod_container_tick_all(struct pod *p);
bool pod_container_all_dead(const struct pod *p);
bool pod_container_should_restart(const struct pod_container *c, int exit_code);
bool pod_container_is_done(const struct pod_container *c);       /* ended, and stays so */
void pod_container_on_shim(struct pod *p, const struct shim_container *sc);
void pod_container_stop(struct pod_container *c, const char *why, int64_t grace_ms);
void pod_container_ended(struct pod_container *c);       /* after now was filled */
/* preStop or postStart; the container must run. done never from inside. */
void pod_hook_start(struct pod_container *c, const struct lifecycle_handler_view *handler,
                    int64_t timeout_ms, void (*done)(void *ctx, const struct err *err));
void pod_hook_drop(struct pod_container *c);             /* cancels it; callable twice */
void pod_hook_over(struct pod_container *c);             /* first in done */
void pod_container_let_go(struct pod_container *c);      /* probes, hooks, pulls */
enum sm_next pod_container_step_kill(void *owner);       /* pod_kill.c */
void pod_container_started(struct pod_container *c);     /* hooks and probes; as often as wanted */
void pod_container_reset_all(struct pod *p);             /* there will be a new sandbox */
void pod_container_run_text(struct pod_run *r, const char *message);

/* --- pod_send.c: the API */
void pod_send_status(struct pod *p);                     /* when it differs */
void pod_send_check(struct pod *p);                      /* the object changed: is ours in it? */
void pod_send_delete(struct pod *p);
void pod_send_orphan(struct pod *p);
bool pod_send_is_settled(const struct pod *p);           /* the API has the newest */

/* --- pod_volume.c: refs and volumes */
bool pod_volume_refs_ready(struct pod *p);               /* asks for them at the first call */
bool pod_volume_ready(struct pod *p);
void pod_volume_ask_again(struct pod *p);                /* something was missing */
void pod_volume_keep(struct pod *p);                     /* makes and updates them */
void pod_volume_remove(struct pod *p);                   /* ends p->op */
void pod_volume_free(struct pod *p);

#endif
