/* core/loop/job.h -- a bounded pool of threads for straight-line blocking work.
 *
 * Jobs with the same key never run at the same time and run in the order given; jobs of a class are
 * limited in number at once. The number of threads is fixed. A finished job comes home as a message
 * on the loop that asked. In inline mode (0 threads; tests, simulator) the job runs when the asking
 * loop takes its next step.
 */
#ifndef CORE_LOOP_JOB_H
#define CORE_LOOP_JOB_H

#include "core/loop/loop.h"

enum job_class { JOB_READ, JOB_WRITE, JOB_NODE, JOB_IMAGE, JOB_CLASS_MAX };

#define JOB_KEY_BYTES 320
#define JOB_WAITING_MAX 65536       /* jobs waiting in all; job_add fails with ERR_QUOTA past it */

struct job_pool;

struct job {
    struct loop_msg msg;            /* private: the way home */
    struct list link;               /* private */
    void (*run)(struct job *j);     /* on a job thread; may block with deadlines */
    void (*done)(struct job *j);    /* on the loop that asked; owns and frees j */
    struct loop *home;
    struct job_pool *pool;
    enum job_class cls;
    char key[JOB_KEY_BYTES];        /* "": no key */
};

/* class_max[i]: how many of class i may run at once (0: no limit but the threads). */
int job_pool_new(struct job_pool **out, unsigned threads, const unsigned class_max[JOB_CLASS_MAX],
                 struct err *err);
/* waits for running jobs; waiting ones are done() unrun */
struct job_pool *job_pool_free(struct job_pool *p);
CLEANUP_DEFINE(struct job_pool, job_pool_free)
/* Callable from loops only. The key is copied; a too long one is ERR_INVALID. j->home, run and done
 * are set here. */
int job_add(struct job_pool *p, struct loop *home, struct job *j, enum job_class cls,
            const char *key, void (*run)(struct job *), void (*done)(struct job *),
            struct err *err);
/* in done(): false when the pool was freed first */
bool job_was_run(const struct job *j);

#endif
