/* job.c -- the pool. A waiting job is in one list: ready (by class), or behind its key, which is
 * busy.
 *
 * A key is busy from the moment its first job is ready until that job has run; the next job of the
 * key becomes ready then. A thread takes the first ready job of the next class that is below its
 * limit.
 */
#include "core/loop/job.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>

#include "core/base/check.h"
#include "core/base/map.h"
#include "core/base/mem.h"
#include "core/base/str.h"

struct job_key { struct list waiting; };

struct job_pool {
    pthread_mutex_t lock;                       /* guards all below but threads */
    pthread_cond_t work;
    struct list ready[JOB_CLASS_MAX];
    unsigned running[JOB_CLASS_MAX], max[JOB_CLASS_MAX];
    unsigned next_class;
    unsigned idle;
    size_t waiting;
    struct map *keys;                           /* text -> struct job_key: busy keys */
    bool stopping;
    pthread_t *threads;
    unsigned n_threads;                         /* 0: inline mode; ready[0] holds what is posted */
};

bool job_was_run(const struct job *j)
{
    return j->run;
}

static void job_deliver(struct loop_msg *m)
{
    struct job *j = container_of(m, struct job, msg);

    j->done(j);
}

static void job_send_home(struct job *j, bool was_run)
{
    j->pool = NULL;
    if (!was_run)
        j->run = NULL;
    loop_post(j->home, &j->msg, job_deliver);
}

/* --- the queue; the lock is held */

static void job_enqueue(struct job_pool *p, struct job *j)
{
    struct job_key *k = j->key[0] ? map_get(p->keys, j->key) : NULL;

    p->waiting++;
    if (k) {
        list_push(&k->waiting, &j->link);
        return;
    }
    if (j->key[0]) {
        k = NEW(struct job_key);
        list_init(&k->waiting);
        map_put(p->keys, j->key, k);
    }
    list_push(&p->ready[j->cls], &j->link);
}

static struct job *job_pick(struct job_pool *p)
{
    for (unsigned i = 0; i < JOB_CLASS_MAX; i++) {
        unsigned cls = (p->next_class + i) % JOB_CLASS_MAX;
        struct job *j = list_first(&p->ready[cls], struct job, link);

        if (!j || (p->max[cls] > 0 && p->running[cls] >= p->max[cls]))
            continue;
        list_del(&j->link);
        p->next_class = cls + 1;
        p->running[cls]++;
        p->waiting--;
        return j;
    }
    return NULL;
}

static void job_finish(struct job_pool *p, struct job *j)
{
    struct job_key *k = j->key[0] ? map_get(p->keys, j->key) : NULL;
    struct job *next;

    p->running[j->cls]--;
    if (k) {
        next = list_first(&k->waiting, struct job, link);
        if (next) {
            list_del(&next->link);
            list_push(&p->ready[next->cls], &next->link);
        } else {
            mem_free(map_del(p->keys, j->key));
        }
    }
    if (p->idle > 0)                            /* a class and a key became free: two may start */
        pthread_cond_signal(&p->work);
}

static void *job_thread(void *arg)
{
    struct job_pool *p = arg;

    pthread_mutex_lock(&p->lock);
    while (!p->stopping) {
        struct job *j = job_pick(p);

        if (!j) {
            p->idle++;
            pthread_cond_wait(&p->work, &p->lock);
            p->idle--;
            continue;
        }
        pthread_mutex_unlock(&p->lock);
        j->run(j);
        pthread_mutex_lock(&p->lock);
        job_finish(p, j);
        job_send_home(j, true);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

/* --- inline mode */

static void job_run_inline(struct loop_msg *m)
{
    struct job *j = container_of(m, struct job, msg);
    struct job_pool *p = j->pool;

    if (p) {
        pthread_mutex_lock(&p->lock);
        list_del(&j->link);
        p->waiting--;
        pthread_mutex_unlock(&p->lock);
        j->pool = NULL;
        if (loop_is_closing(j->home))
            j->run = NULL;
        else
            j->run(j);
    }
    j->done(j);
}

/* --- door */

static int job_start_threads(struct job_pool *p, unsigned threads, struct err *err)
{
    sigset_t all, before;
    int rc = 0;

    sigfillset(&all);                           /* signals are the main thread's */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (; p->n_threads < threads; p->n_threads++) {
        char name[16];

        rc = pthread_create(&p->threads[p->n_threads], NULL, job_thread, p);
        if (rc != 0)
            break;
        snprintf(name, sizeof(name), "job%u", p->n_threads);
        pthread_setname_np(p->threads[p->n_threads], name);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = rc;
    return rc == 0 ? 0 : err_sys(err, "start job thread %u", p->n_threads);
}

int job_pool_new(struct job_pool **out, unsigned threads, const unsigned class_max[JOB_CLASS_MAX],
                 struct err *err)
{
    _cleanup_(job_pool_freep) struct job_pool *p = NEW(struct job_pool);

    check(pthread_mutex_init(&p->lock, NULL) == 0);
    check(pthread_cond_init(&p->work, NULL) == 0);
    for (unsigned i = 0; i < JOB_CLASS_MAX; i++) {
        list_init(&p->ready[i]);
        p->max[i] = class_max ? class_max[i] : 0;
    }
    p->keys = map_new();
    p->threads = mem_alloc_array(threads + 1, sizeof(*p->threads));
    if (job_start_threads(p, threads, err) < 0)
        return -1;
    *out = TAKE(p);
    return 0;
}

/* Inline jobs are posted already: they only learn that there is no pool. */
static void job_cancel_list(struct list *head, bool inlined)
{
    struct job *j;

    while ((j = list_first(head, struct job, link))) {
        list_del(&j->link);
        if (inlined) {
            j->pool = NULL;
            j->run = NULL;
        } else {
            job_send_home(j, false);
        }
    }
}

static void job_key_free(void *k)
{
    mem_free(k);
}

struct job_pool *job_pool_free(struct job_pool *p)
{
    const char *key;
    void *value;
    size_t at = 0;

    if (!p)
        return NULL;
    pthread_mutex_lock(&p->lock);
    p->stopping = true;
    pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->lock);
    for (unsigned i = 0; i < p->n_threads; i++)
        check(pthread_join(p->threads[i], NULL) == 0);
    for (unsigned i = 0; i < JOB_CLASS_MAX; i++)
        job_cancel_list(&p->ready[i], p->n_threads == 0);
    while (map_next(p->keys, &at, &key, &value))
        job_cancel_list(&((struct job_key *)value)->waiting, false);
    map_free(p->keys, job_key_free);
    mem_free(p->threads);
    pthread_cond_destroy(&p->work);
    pthread_mutex_destroy(&p->lock);
    return mem_free(p);
}

static int job_check_room(struct job_pool *p, struct err *err)
{
    check(!p->stopping);
    if (p->waiting >= JOB_WAITING_MAX)
        return err_set(err, ERR_QUOTA, "too many jobs wait (%d)", JOB_WAITING_MAX);
    return 0;
}

int job_add(struct job_pool *p, struct loop *home, struct job *j, enum job_class cls,
            const char *key, void (*run)(struct job *), void (*done)(struct job *), struct err *err)
{
    int rc;

    check(loop_is_mine(home));
    check(cls < JOB_CLASS_MAX);
    check(run);
    check(done);
    if (str_copy(j->key, sizeof(j->key), key ? key : "", err) < 0)
        return err_wrap(err, "job key");
    j->run = run;
    j->done = done;
    j->home = home;
    j->pool = p;
    j->cls = cls;
    list_init(&j->link);
    pthread_mutex_lock(&p->lock);
    rc = job_check_room(p, err);
    if (rc == 0 && p->n_threads == 0) {
        p->waiting++;
        list_push(&p->ready[0], &j->link);
        loop_post(home, &j->msg, job_run_inline);
    } else if (rc == 0) {
        job_enqueue(p, j);
        pthread_cond_signal(&p->work);
    }
    pthread_mutex_unlock(&p->lock);
    return rc;
}
