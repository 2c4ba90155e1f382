/* test_job.c -- keys, classes, limits, inline mode; run it under TSan as well. */
#include <stdatomic.h>
#include <unistd.h>

#include "core/base/mem.h"
#include "core/loop/job.h"
#include "tests/fake/fake_env.h"
#include "tests/harness/test.h"

struct shared {
    atomic_int now[8], most[8];         /* running at once, by slot */
    atomic_int turn[8];
    atomic_bool out_of_order;
    atomic_bool hold;                   /* jobs wait while it is set */
    int done, unrun;
};

struct work { struct job j; struct shared *s; int slot, i; };

static void raise_to(atomic_int *most, int n)
{
    int was = atomic_load(most);

    while (n > was && !atomic_compare_exchange_weak(most, &was, n))
        ;
}

static void work_run(struct job *j)
{
    struct work *w = container_of(j, struct work, j);
    struct shared *s = w->s;

    raise_to(&s->most[w->slot], atomic_fetch_add(&s->now[w->slot], 1) + 1);
    if (atomic_fetch_add(&s->turn[w->slot], 1) != w->i)
        atomic_store(&s->out_of_order, true);
    while (atomic_load(&s->hold))
        usleep(100);
    if (w->i % 64 == 0)
        usleep(50);
    atomic_fetch_sub(&s->now[w->slot], 1);
}

static void work_done(struct job *j)
{
    struct work *w = container_of(j, struct work, j);

    w->s->done++;
    if (!job_was_run(j))
        w->s->unrun++;
    mem_free(w);
}

static struct work *work_new(struct shared *s, int slot, int i)
{
    struct work *w = NEW(struct work);

    w->s = s;
    w->slot = slot;
    w->i = i;
    return w;
}

static void add(struct job_pool *p, struct loop *l, struct work *w, enum job_class cls,
                const char *key)
{
    struct err err = ERR_INIT;

    EXPECT_OK(job_add(p, l, &w->j, cls, key, work_run, work_done, &err), &err);
}

static void until_done(struct loop *l, const struct shared *s, int n)
{
    while (s->done < n)
        loop_step(l, 1000);
}

TEST(one_key_never_runs_twice_at_once_and_keeps_order)
{
    static const char *const keys[] = { "a", "b", "c" };
    struct shared s = { 0 };
    struct job_pool *p = NULL;
    struct loop *l = NULL;
    struct err err = ERR_INIT;

    EXPECT_OK(loop_new(&l, NULL, &err), &err);
    EXPECT_OK(job_pool_new(&p, 4, (const unsigned[JOB_CLASS_MAX]){ 0 }, &err), &err);
    for (int i = 0; i < 500; i++)
        for (int k = 0; k < 3; k++)
            add(p, l, work_new(&s, k, i), (enum job_class)(i % JOB_CLASS_MAX), keys[k]);
    until_done(l, &s, 1500);
    EXPECT(!s.out_of_order);
    for (int k = 0; k < 3; k++)
        EXPECT_EQ(s.most[k], 1);
    EXPECT_EQ(s.unrun, 0);
    job_pool_free(p);
    loop_free(l);
}

TEST(a_class_has_its_limit_and_leaves_room_for_others)
{
    struct shared s = { 0 };
    struct job_pool *p = NULL;
    struct loop *l = NULL;
    struct err err = ERR_INIT;

    EXPECT_OK(loop_new(&l, NULL, &err), &err);
    EXPECT_OK(job_pool_new(&p, 4, (const unsigned[JOB_CLASS_MAX]){ [JOB_IMAGE] = 2 }, &err), &err);
    s.hold = true;
    for (int i = 0; i < 6; i++)
        add(p, l, work_new(&s, 0, i), JOB_IMAGE, "");
    for (int i = 0; i < 2; i++)
        add(p, l, work_new(&s, 1, i), JOB_READ, NULL);
    while (s.now[0] < 2 || s.now[1] < 2)
        usleep(1000);
    usleep(5000);
    EXPECT_EQ(s.now[0], 2);
    s.hold = false;
    until_done(l, &s, 8);
    EXPECT_EQ(s.most[0], 2);
    EXPECT_EQ(s.most[1], 2);
    job_pool_free(p);
    loop_free(l);
}

TEST(freeing_the_pool_hands_waiting_jobs_back)
{
    struct shared s = { 0 };
    struct job_pool *p = NULL;
    struct loop *l = NULL;
    struct err err = ERR_INIT;

    EXPECT_OK(loop_new(&l, NULL, &err), &err);
    EXPECT_OK(job_pool_new(&p, 1, NULL, &err), &err);
    for (int i = 0; i < 50; i++)
        add(p, l, work_new(&s, 0, i), JOB_WRITE, i % 2 ? "key" : "");
    p = job_pool_free(p);
    EXPECT(!p);
    until_done(l, &s, 50);
    EXPECT_EQ(s.turn[0] + s.unrun, 50);
    loop_free(l);
}

TEST(inline_jobs_run_at_the_next_step)
{
    struct shared s = { 0 };
    struct fake_env fe;
    struct job_pool *p = NULL;
    struct loop *l = NULL;
    struct err err = ERR_INIT;

    fake_env_init(&fe, 1);
    EXPECT_OK(loop_new(&l, &fe.env, &err), &err);
    EXPECT_OK(job_pool_new(&p, 0, NULL, &err), &err);
    add(p, l, work_new(&s, 0, 0), JOB_READ, "k");
    add(p, l, work_new(&s, 0, 1), JOB_WRITE, "k");
    EXPECT_EQ(s.turn[0], 0);
    EXPECT(loop_step(l, 0));
    EXPECT_EQ(s.done, 2);
    EXPECT(!s.out_of_order);
    add(p, l, work_new(&s, 0, 2), JOB_READ, "");
    p = job_pool_free(p);
    EXPECT(loop_step(l, 0));
    EXPECT_EQ(s.done, 3);
    EXPECT_EQ(s.unrun, 1);
    loop_free(l);
}

TEST(inline_jobs_do_not_run_on_a_closing_loop)
{
    struct shared s = { 0 };
    struct job_pool *p = NULL;
    struct loop *l = NULL;
    struct err err = ERR_INIT;

    EXPECT_OK(loop_new(&l, NULL, &err), &err);
    EXPECT_OK(job_pool_new(&p, 0, NULL, &err), &err);
    add(p, l, work_new(&s, 0, 0), JOB_READ, "");
    loop_free(l);
    EXPECT_EQ(s.unrun, 1);
    job_pool_free(p);
}

TEST(limits_of_keys_and_of_waiting_jobs)
{
    struct shared s = { 0 };
    struct job_pool *p = NULL;
    struct loop *l = NULL;
    struct err err = ERR_INIT;
    char key[JOB_KEY_BYTES + 1];
    struct work *w = work_new(&s, 0, 0);

    EXPECT_OK(loop_new(&l, NULL, &err), &err);
    EXPECT_OK(job_pool_new(&p, 0, NULL, &err), &err);
    memset(key, 'k', sizeof(key));
    key[JOB_KEY_BYTES] = 0;
    EXPECT_ERR(job_add(p, l, &w->j, JOB_READ, key, work_run, work_done, &err), &err, ERR_INVALID);
    key[JOB_KEY_BYTES - 1] = 0;
    add(p, l, w, JOB_READ, key);
    for (int i = 1; i < JOB_WAITING_MAX; i++)
        add(p, l, work_new(&s, 0, i), JOB_READ, "");
    w = work_new(&s, 0, JOB_WAITING_MAX);
    EXPECT_ERR(job_add(p, l, &w->j, JOB_READ, "", work_run, work_done, &err), &err, ERR_QUOTA);
    s.hold = false;
    p = job_pool_free(p);
    EXPECT(loop_step(l, 0));
    EXPECT_EQ(s.unrun, JOB_WAITING_MAX);
    mem_free(w);
    loop_free(l);
}
