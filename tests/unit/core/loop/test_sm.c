/* test_sm.c -- the mover and the tick. */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/loop/sm.h"
#include "tests/harness/test.h"

enum { A, B, C, N };

struct owner { struct sm sm; int steps; enum sm_next c_says; };

static enum sm_next step_a(void *arg)
{
    struct owner *o = arg;

    o->steps++;
    sm_move(&o->sm, B, 10);
    return SM_AGAIN;
}

static enum sm_next step_b(void *arg)
{
    struct owner *o = arg;

    o->steps++;
    sm_move(&o->sm, C, 20);
    return SM_WAIT;
}

static enum sm_next step_c(void *arg)
{
    struct owner *o = arg;

    o->steps++;
    return o->c_says;
}

static const struct sm_state states[N] = {
    [A] = { "a", step_a, SM_TO(B) },
    [B] = { "b", step_b, SM_TO(C) },
    [C] = { "c", step_c, 0 },
};

TEST(a_tick_runs_until_a_step_waits)
{
    struct owner o = { .c_says = SM_WAIT };

    sm_init(&o.sm, states, N, A, 5);
    EXPECT_STR(sm_name(&o.sm), "a");
    EXPECT_EQ(o.sm.since_ms, 5);
    sm_tick(&o.sm, &o);
    EXPECT_EQ(o.steps, 2);
    EXPECT_STR(sm_name(&o.sm), "c");
    EXPECT_EQ(o.sm.since_ms, 20);
    sm_tick(&o.sm, &o);
    EXPECT_EQ(o.steps, 3);
}

static void move_not_allowed(void)
{
    struct owner o = { 0 };

    sm_init(&o.sm, states, N, A, 0);
    sm_move(&o.sm, C, 0);
}

static void never_waits(void)
{
    struct owner o = { .c_says = SM_AGAIN };

    sm_init(&o.sm, states, N, C, 0);
    sm_tick(&o.sm, &o);
}

static int signal_of(void (*fn)(void))
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        fn();
        _exit(0);
    }
    EXPECT(waitpid(pid, &status, 0) == pid);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

TEST(what_the_table_does_not_allow_is_fatal)
{
    EXPECT_EQ(signal_of(move_not_allowed), SIGABRT);
    EXPECT_EQ(signal_of(never_waits), SIGABRT);
}
