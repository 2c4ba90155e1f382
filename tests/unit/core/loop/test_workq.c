/* test_workq.c -- order, one run per key, delay, back-off. */
#include "core/base/str.h"
#include "core/loop/workq.h"
#include "tests/fake/fake_env.h"
#include "tests/harness/test.h"

struct fixture {
    struct fake_env fe;
    struct loop *l;
    struct workq *q;
    struct buf trace;
    enum { LEAVE, DONE, FAIL, DONE_AFTER_ADD } then;
};

static void on_key(void *ctx, const char *key)
{
    struct fixture *f = ctx;

    buf_str(&f->trace, key);
    if (f->then == DONE_AFTER_ADD)
        workq_add(f->q, key);
    if (f->then == FAIL)
        workq_failed(f->q, key);
    else if (f->then != LEAVE)
        workq_done(f->q, key);
    buf_str(&f->trace, key[0] ? " " : "");      /* key must still be readable */
}

static void setup(struct fixture *f, unsigned running_max)
{
    struct err err;
    struct workq_opts o = { .name = "test", .running_max = running_max, .on_key = on_key, .ctx = f };

    fake_env_init(&f->fe, 1);
    EXPECT_OK(loop_new(&f->l, &f->fe.env, &err), &err);
    f->q = workq_new(f->l, &o);
}

static void teardown(struct fixture *f)
{
    workq_free(f->q);
    loop_free(f->l);
    buf_deinit(&f->trace);
}

static const char *run(struct fixture *f)
{
    buf_clear(&f->trace);
    buf_str(&f->trace, "");
    for (int i = 0; i < 100 && loop_step(f->l, 0); i++)
        ;
    return f->trace.p;
}

TEST(keys_run_once_in_order)
{
    struct fixture f = { .then = DONE };

    setup(&f, 1);
    workq_add(f.q, "b");
    workq_add(f.q, "a");
    workq_add(f.q, "b");
    EXPECT_EQ(workq_len(f.q), 2);
    EXPECT_STR(run(&f), "b a ");
    EXPECT_EQ(workq_len(f.q), 0);
    EXPECT_STR(run(&f), "");
    teardown(&f);
}

TEST(running_max_at_once)
{
    struct fixture f = { .then = LEAVE };

    setup(&f, 2);
    workq_add(f.q, "a");
    workq_add(f.q, "b");
    workq_add(f.q, "c");
    EXPECT_STR(run(&f), "a b ");
    EXPECT_EQ(workq_len(f.q), 3);
    workq_done(f.q, "a");
    EXPECT_STR(run(&f), "c ");
    workq_done(f.q, "b");
    workq_done(f.q, "c");
    EXPECT_EQ(workq_len(f.q), 0);
    teardown(&f);
}

TEST(dirty_while_running_runs_again)
{
    struct fixture f = { .then = LEAVE };

    setup(&f, 4);
    workq_add(f.q, "a");
    EXPECT_STR(run(&f), "a ");
    workq_add(f.q, "a");
    workq_add(f.q, "a");
    EXPECT_STR(run(&f), "");
    workq_done(f.q, "a");
    EXPECT_STR(run(&f), "a ");
    workq_add_after(f.q, "a", 100);
    workq_done(f.q, "a");
    EXPECT_STR(run(&f), "");
    fake_env_advance(&f.fe, 100);
    EXPECT_STR(run(&f), "a ");
    workq_done(f.q, "a");
    EXPECT_EQ(workq_len(f.q), 0);
    teardown(&f);
}

TEST(a_key_dirtied_by_itself_yields_each_round)
{
    struct fixture f = { .then = DONE_AFTER_ADD };

    setup(&f, 1);
    workq_add(f.q, "a");
    EXPECT(loop_step(f.l, 0));
    EXPECT(loop_step(f.l, 0));
    EXPECT_STR(f.trace.p, "a a ");
    teardown(&f);
}

TEST(an_earlier_time_wins)
{
    struct fixture f = { .then = DONE };

    setup(&f, 1);
    workq_add_after(f.q, "a", 100);
    workq_add_after(f.q, "a", 50);
    workq_add_after(f.q, "a", 70);
    fake_env_advance(&f.fe, 49);
    EXPECT_STR(run(&f), "");
    fake_env_advance(&f.fe, 1);
    EXPECT_STR(run(&f), "a ");
    fake_env_advance(&f.fe, 1000);
    EXPECT_STR(run(&f), "");
    workq_add_after(f.q, "b", 100);
    workq_add(f.q, "b");
    EXPECT_STR(run(&f), "b ");
    teardown(&f);
}

TEST(back_off_doubles_to_its_limit_and_is_reset)
{
    struct fixture f = { .then = FAIL };
    static const int64_t wants[] = { 5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 5120, 10240, 20480,
                                     30000, 30000 };

    setup(&f, 1);
    workq_add(f.q, "a");
    EXPECT_STR(run(&f), "a ");
    for (size_t i = 0; i < ARRAY_LEN(wants); i++) {
        fake_env_advance(&f.fe, wants[i] - 1);
        EXPECT_STR(run(&f), "");
        fake_env_advance(&f.fe, 1);
        EXPECT_STR(run(&f), "a ");
    }
    f.then = DONE;
    workq_add(f.q, "a");
    EXPECT_STR(run(&f), "a ");
    f.then = FAIL;
    workq_add(f.q, "a");
    EXPECT_STR(run(&f), "a ");
    fake_env_advance(&f.fe, 5);
    EXPECT_STR(run(&f), "a ");
    teardown(&f);
}

TEST(freed_with_keys_in_every_place)
{
    struct fixture f = { .then = LEAVE };

    setup(&f, 1);
    workq_add(f.q, "running");
    EXPECT_STR(run(&f), "running ");
    workq_add(f.q, "ready");
    workq_add_after(f.q, "later", 1000);
    EXPECT_EQ(workq_len(f.q), 3);
    teardown(&f);
}

TEST(figures)
{
    struct fixture f = { .then = LEAVE };
    _cleanup_buf_ struct buf b = BUF_INIT;

    setup(&f, 1);
    workq_add(f.q, "a");
    workq_add(f.q, "b");
    run(&f);
    workq_metrics(&b, (const struct workq *const *)&f.q, 1);
    EXPECT(strstr(b.p, "workqueue_adds_total{name=\"test\"} 2\n"));
    EXPECT(strstr(b.p, "workqueue_depth{name=\"test\"} 1\n"));
    EXPECT(strstr(b.p, "workqueue_queue_duration_seconds_count{name=\"test\"} 1\n"));
    EXPECT(strstr(b.p, "workqueue_work_duration_seconds_bucket{name=\"test\",le=\"1e-08\"} 0\n"));
    workq_failed(f.q, "a");
    run(&f);
    workq_done(f.q, "b");
    buf_clear(&b);
    workq_metrics(&b, (const struct workq *const *)&f.q, 1);
    EXPECT(strstr(b.p, "workqueue_retries_total{name=\"test\"} 1\n"));
    EXPECT(strstr(b.p, "workqueue_depth{name=\"test\"} 0\n"));
    EXPECT(strstr(b.p, "workqueue_work_duration_seconds_count{name=\"test\"} 2\n"));
    teardown(&f);
}
