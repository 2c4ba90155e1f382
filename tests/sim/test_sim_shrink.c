#include "tests/sim/sim_shrink.h"

#include "tests/harness/test.h"

static unsigned steps_in(const struct sim_case *c)
{
    unsigned n = 0;

    for (unsigned i = 0; i < c->o.steps; i++)
        n += !c->skip[i];
    return n;
}

TEST(names_of_runs)
{
    static const char *const lines[] = {
        "seed=7 nodes=3 steps=41",
        "seed=1 nodes=6 steps=9 plant=4 restarts=1 calm=1 cut=3 only=2,8",
        "seed=1 nodes=6 steps=9 only=",
    };
    static const char *const bad[] = { "seed=x", "nodes=65", "steps=1025", "colour=1", "only=1,b" };
    static struct sim_case c;
    struct err err = ERR_INIT;
    char line[SIM_LINE_BYTES];

    for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
        EXPECT_OK(sim_case_parse(&c, lines[i], &err), &err);
        sim_case_print(line, &c);
        EXPECT_STR(line, lines[i]);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        EXPECT(sim_case_parse(&c, bad[i], &err) < 0);
}

/* A bug that needs a restart comes down to very few steps, which break it again. */
TEST_SLOW(a_failing_seed_becomes_short, 300)
{
    static struct sim_case c, again;
    struct sim_result r, r2;
    struct err err = ERR_INIT;
    char line[SIM_LINE_BYTES];

    c.o = (struct sim_opts){ .dir = test_tmpdir(), .seed = 1, .nodes = 6, .steps = 120,
                             .plant = SIM_PLANT_STALE_LIST };
    sim_shrink(&r, &c);
    EXPECT(r.broken);
    EXPECT(steps_in(&c) <= 4);
    EXPECT(c.o.nodes < 6);
    sim_case_print(line, &c);
    EXPECT_OK(sim_case_parse(&again, line, &err), &err);
    again.o.dir = c.o.dir;
    sim_run(&r2, &again.o);
    EXPECT_STR(r2.trace, r.trace);
    EXPECT_STR(r2.broken, r.broken);
    sim_result_deinit(&r);
    sim_result_deinit(&r2);
}
