/* test_loop.c -- rounds, timers with a fake clock, messages, descriptors, threads. */
#include <pthread.h>
#include <unistd.h>

#include "core/base/mem.h"
#include "core/loop/loop.h"
#include "tests/fake/fake_env.h"
#include "tests/harness/test.h"

struct fixture {
    struct fake_env fe;
    struct loop *l;
    struct err err;
};

static void setup(struct fixture *f)
{
    fake_env_init(&f->fe, 1);
    EXPECT_OK(loop_new(&f->l, &f->fe.env, &f->err), &f->err);
}

/* --- timers */

struct tick {
    struct loop_timer t;
    int n;
    int64_t every_ms;
    char *trace;
    char name;
    struct loop *l;
};

static void on_tick(struct loop_timer *t)
{
    struct tick *k = container_of(t, struct tick, t);

    k->n++;
    if (k->trace)
        k->trace[strlen(k->trace)] = k->name;
}

static void on_again(struct loop_timer *t)
{
    struct tick *k = container_of(t, struct tick, t);

    k->n++;
    loop_timer_set(k->l, t, k->every_ms, on_again);
}

TEST(timers_fire_in_order_when_due)
{
    struct fixture f = { 0 };
    char trace[8] = "";
    struct tick a = { .name = 'a', .trace = trace }, b = a, c = a;

    setup(&f);
    b.name = 'b';
    c.name = 'c';
    loop_timer_set(f.l, &a.t, 30, on_tick);
    loop_timer_set(f.l, &b.t, 10, on_tick);
    loop_timer_set(f.l, &c.t, 10, on_tick);
    EXPECT(!loop_step(f.l, 0));
    fake_env_advance(&f.fe, 9);
    EXPECT(!loop_step(f.l, 0));
    fake_env_advance(&f.fe, 1);
    EXPECT(loop_step(f.l, 0));
    EXPECT_STR(trace, "bc");
    EXPECT(loop_timer_is_set(&a.t));
    EXPECT(!loop_timer_is_set(&b.t));
    fake_env_advance(&f.fe, 100);
    EXPECT(loop_step(f.l, 0));
    EXPECT_STR(trace, "bca");
    loop_free(f.l);
}

TEST(a_timer_moves_and_goes)
{
    struct fixture f = { 0 };
    struct tick a = { 0 };

    setup(&f);
    loop_timer_set(f.l, &a.t, 10, on_tick);
    loop_timer_set(f.l, &a.t, 50, on_tick);
    fake_env_advance(&f.fe, 20);
    EXPECT(!loop_step(f.l, 0));
    loop_timer_del(&a.t);
    loop_timer_del(&a.t);
    fake_env_advance(&f.fe, 100);
    EXPECT(!loop_step(f.l, 0));
    EXPECT_EQ(a.n, 0);
    loop_timer_set(f.l, &a.t, -5, on_tick);
    EXPECT(loop_step(f.l, 0));
    EXPECT_EQ(a.n, 1);
    loop_timer_set(f.l, &a.t, 5, on_tick);      /* goes with the loop */
    loop_free(f.l);
    EXPECT(!loop_timer_is_set(&a.t));
}

TEST(a_timer_that_sets_itself_does_not_hold_the_round)
{
    struct fixture f = { 0 };
    struct tick a = { 0 };

    setup(&f);
    a.l = f.l;
    loop_timer_set(f.l, &a.t, 0, on_again);
    for (int i = 1; i <= 5; i++) {
        EXPECT(loop_step(f.l, 0));
        EXPECT_EQ(a.n, i);
    }
    loop_free(f.l);
}

struct owned_timer { struct loop_timer t; struct owned_timer *other; };

static void on_free_both(struct loop_timer *t)
{
    struct owned_timer *o = container_of(t, struct owned_timer, t);

    loop_timer_del(&o->other->t);
    mem_free(o->other);
    mem_free(o);
}

TEST(a_timer_may_free_itself_and_another)
{
    struct fixture f = { 0 };
    struct owned_timer *a = NEW(struct owned_timer), *b = NEW(struct owned_timer);

    setup(&f);
    a->other = b;
    b->other = a;
    loop_timer_set(f.l, &a->t, 1, on_free_both);
    loop_timer_set(f.l, &b->t, 1, on_free_both);
    fake_env_advance(&f.fe, 5);
    EXPECT(loop_step(f.l, 0));
    EXPECT(!loop_step(f.l, 0));
    loop_free(f.l);
}

/* --- messages */

struct note { struct loop_msg m; struct loop *l; char name; char *trace; bool closing; int posts; };

static void on_note(struct loop_msg *m)
{
    struct note *n = container_of(m, struct note, m);

    n->closing = loop_is_closing(n->l);
    n->trace[strlen(n->trace)] = n->name;
    if (n->posts-- > 0)
        loop_post(n->l, m, on_note);
}

TEST(messages_arrive_in_order_and_not_from_inside)
{
    struct fixture f = { 0 };
    char trace[8] = "";
    struct note a, b;

    setup(&f);
    a = (struct note){ .l = f.l, .name = 'a', .trace = trace, .posts = 1 };
    b = (struct note){ .l = f.l, .name = 'b', .trace = trace };
    loop_post(f.l, &a.m, on_note);
    loop_post(f.l, &b.m, on_note);
    EXPECT_STR(trace, "");
    EXPECT(loop_step(f.l, 0));
    EXPECT_STR(trace, "ab");            /* what a posted meanwhile is for the next round */
    EXPECT(loop_step(f.l, 0));
    EXPECT_STR(trace, "aba");
    EXPECT(!loop_step(f.l, 0));
    loop_free(f.l);
}

TEST(messages_left_are_delivered_at_the_end)
{
    struct fixture f = { 0 };
    char trace[8] = "";
    struct note a;

    setup(&f);
    a = (struct note){ .l = f.l, .name = 'a', .trace = trace, .posts = 1 };
    loop_post(f.l, &a.m, on_note);
    loop_free(f.l);
    EXPECT_STR(trace, "aa");
    EXPECT(a.closing);
}

/* --- descriptors */

struct pipe_end { struct loop_io io; unsigned seen; int n; struct pipe_end *kill; };

static void on_pipe(struct loop_io *io, unsigned events)
{
    struct pipe_end *p = container_of(io, struct pipe_end, io);

    p->seen = events;
    p->n++;
    if (p->kill)
        loop_io_del(&p->kill->io);
}

TEST(descriptors)
{
    struct fixture f = { 0 };
    struct pipe_end r = { 0 }, w = { 0 };
    int fds[2];

    setup(&f);
    EXPECT_EQ(pipe(fds), 0);
    EXPECT_OK(loop_io_add(f.l, &r.io, fds[0], LOOP_READ, on_pipe, &f.err), &f.err);
    EXPECT(!loop_step(f.l, 0));
    EXPECT_OK(loop_io_add(f.l, &w.io, fds[1], LOOP_WRITE, on_pipe, &f.err), &f.err);
    EXPECT(loop_step(f.l, 0));
    EXPECT_EQ(w.seen, LOOP_WRITE);
    loop_io_set(&w.io, 0);
    EXPECT(!loop_step(f.l, 0));
    EXPECT_EQ(write(fds[1], "x", 1), 1);
    EXPECT(loop_step(f.l, 0));
    EXPECT_EQ(r.seen, LOOP_READ);
    loop_io_set(&r.io, 0);
    EXPECT(!loop_step(f.l, 0));
    loop_io_del(&w.io);
    close(fds[1]);
    EXPECT(loop_step(f.l, 0));
    EXPECT_EQ(r.seen, LOOP_HANGUP);
    loop_io_set(&r.io, LOOP_READ);
    EXPECT(loop_step(f.l, 0));
    EXPECT_EQ(r.seen, LOOP_HANGUP | LOOP_READ);
    loop_io_del(&r.io);
    loop_io_del(&r.io);
    EXPECT(!loop_step(f.l, 0));
    close(fds[0]);
    loop_free(f.l);
}

TEST(a_deleted_descriptor_is_not_called_in_the_same_round)
{
    struct fixture f = { 0 };
    struct pipe_end a = { 0 }, b = { 0 };
    int fds[2], other[2];

    setup(&f);
    EXPECT_EQ(pipe(fds), 0);
    EXPECT_EQ(pipe(other), 0);
    a.kill = &b;
    b.kill = &a;
    EXPECT_OK(loop_io_add(f.l, &a.io, fds[1], LOOP_WRITE, on_pipe, &f.err), &f.err);
    EXPECT_OK(loop_io_add(f.l, &b.io, other[1], LOOP_WRITE, on_pipe, &f.err), &f.err);
    EXPECT(loop_step(f.l, 0));
    EXPECT_EQ(a.n + b.n, 1);
    loop_io_del(&a.io);
    loop_io_del(&b.io);
    loop_free(f.l);
}

TEST(a_bad_descriptor_is_an_error)
{
    struct fixture f = { 0 };
    struct loop_io io = { 0 };

    setup(&f);
    EXPECT_ERR(loop_io_add(f.l, &io, -1, LOOP_READ, on_pipe, &f.err), &f.err, ERR_SYSTEM);
    EXPECT(!io.loop);
    loop_free(f.l);
}

/* --- threads */

#define POSTS 2000

struct poster {
    pthread_t thread;
    struct loop *to;
    struct counted { struct loop_msg m; struct poster *of; int i; } msgs[POSTS];
    int got;
    bool in_order;
};

static void on_counted(struct loop_msg *m)
{
    struct counted *c = container_of(m, struct counted, m);

    c->of->in_order = c->of->in_order && c->i == c->of->got;
    c->of->got++;
}

static void *poster_main(void *arg)
{
    struct poster *p = arg;

    for (int i = 0; i < POSTS; i++)
        loop_post(p->to, &p->msgs[i].m, on_counted);
    return NULL;
}

TEST(threads_post_to_a_loop_thread)
{
    struct loop *l = NULL;
    struct loop_thread *t = NULL;
    struct err err = ERR_INIT;
    struct poster *p = mem_alloc_array(3, sizeof(*p));

    EXPECT_OK(loop_new(&l, NULL, &err), &err);
    EXPECT(loop_is_mine(l));
    EXPECT_OK(loop_thread_start(&t, l, "a name longer than sixteen", &err), &err);
    EXPECT(!loop_is_mine(l));
    for (int i = 0; i < 3; i++) {
        p[i].to = l;
        p[i].in_order = true;
        for (int j = 0; j < POSTS; j++)
            p[i].msgs[j] = (struct counted){ .of = &p[i], .i = j };
        EXPECT_EQ(pthread_create(&p[i].thread, NULL, poster_main, &p[i]), 0);
    }
    for (int i = 0; i < 3; i++)
        pthread_join(p[i].thread, NULL);
    loop_stop(l);
    t = loop_thread_join(t);
    EXPECT(!t);
    EXPECT(loop_is_mine(l));
    loop_free(l);                       /* delivers what the thread did not */
    for (int i = 0; i < 3; i++) {
        EXPECT_EQ(p[i].got, POSTS);
        EXPECT(p[i].in_order);
    }
    mem_free(p);
}

TEST(stop_before_run_is_not_lost)
{
    struct fixture f = { 0 };

    setup(&f);
    loop_stop(f.l);
    loop_run(f.l);                      /* returns at once, or the test times out */
    loop_free(f.l);
}

static void on_stop(struct loop_timer *t)
{
    loop_stop(container_of(t, struct tick, t)->l);
}

TEST(a_real_timer_wakes_the_loop)
{
    struct loop *l = NULL;
    struct err err = ERR_INIT;
    struct tick k = { 0 };
    int64_t before = env_mono_ms(env_real());

    EXPECT_OK(loop_new(&l, NULL, &err), &err);
    k.l = l;
    loop_timer_set(l, &k.t, 30, on_stop);
    loop_run(l);
    EXPECT(env_mono_ms(env_real()) - before >= 29);
    loop_free(l);
}

struct long_turn { struct loop_timer t; struct fixture *f; int64_t busy_ms; };

static void on_long_turn(struct loop_timer *t)
{
    struct long_turn *turn = container_of(t, struct long_turn, t);

    fake_env_advance(&turn->f->fe, 500);
    turn->busy_ms = loop_busy_ms(turn->f->l);
}

TEST(a_long_round_can_be_seen)
{
    struct fixture f = { 0 };
    struct long_turn turn = { .f = &f };

    setup(&f);
    EXPECT_EQ(loop_busy_ms(f.l), 0);
    loop_timer_set(f.l, &turn.t, 0, on_long_turn);
    loop_step(f.l, 0);
    EXPECT_EQ(turn.busy_ms, 500);
    fake_env_advance(&f.fe, 9000);
    EXPECT_EQ(loop_busy_ms(f.l), 0);
    loop_free(f.l);
}
