#include "tests/sim/sim.h"

#include "tests/harness/test.h"

/* INRO_SIM_SEEDS=N in the environment asks for more of them. */
#ifdef __SANITIZE_ADDRESS__
#define SEEDS 4                          /* each takes ten times as long */
#else
#define SEEDS 40
#endif

/* The fewest steps of chaos with which a seed still breaks, and what happened in them. */
static void explain(const struct sim_opts *o, unsigned broke_at)
{
    struct sim_opts less = *o;
    struct sim_result best = { 0 };

    for (less.steps = 1; less.steps <= broke_at + 1; less.steps += 1 + less.steps / 8) {
        sim_run(&best, &less);
        if (best.broken)
            break;
        sim_result_deinit(&best);
    }
    if (!best.broken) {
        less.steps = o->steps;
        sim_run(&best, &less);
    }
    fprintf(stderr, "seed %llu, %u steps, %u nodes: %s\n%s", (unsigned long long)o->seed,
            less.steps,
            o->nodes, best.broken ? best.broken : "nothing",
            best.trace ? best.trace : "");
    sim_result_deinit(&best);
}

static void run_seeds(uint64_t first, unsigned n, struct sim_opts o)
{
    const char *more = getenv("INRO_SIM_SEEDS");

    if (more)
        n = (unsigned)strtoul(more, NULL, 10);
    for (o.seed = first; o.seed < first + n; o.seed++) {
        struct sim_result r;

        sim_run(&r, &o);
        if (r.broken) {
            fprintf(stderr, "seed %llu: %s\n", (unsigned long long)o.seed, r.broken);
            explain(&o, r.step);
            EXPECT_STR(r.broken, "");
        }
        sim_result_deinit(&r);
    }
}

TEST_SLOW(chaos_then_peace, 3600)
{
    run_seeds(1, SEEDS, (struct sim_opts){ 0 });
}

TEST_SLOW(many_nodes, 3600)
{
    run_seeds(100000, 8, (struct sim_opts){ .nodes = 50, .steps = 60 });
}

TEST_SLOW(same_seed_same_trace, 300)
{
    struct sim_result a, b, c;

    sim_run(&a, &(struct sim_opts){ .seed = 5, .steps = 40 });
    sim_run(&b, &(struct sim_opts){ .seed = 5, .steps = 40 });
    sim_run(&c, &(struct sim_opts){ .seed = 6, .steps = 40 });
    EXPECT_STR(a.trace, b.trace);
    EXPECT(strcmp(a.trace, c.trace) != 0);
    sim_result_deinit(&a);
    sim_result_deinit(&b);
    sim_result_deinit(&c);
}

/* Each planted bug is found within a few seeds. */
TEST_SLOW(finds_planted_bugs, 600)
{
    for (int plant = SIM_PLANT_NONE + 1; plant < SIM_PLANT_MAX; plant++) {
        bool found = false;

        for (uint64_t seed = 1; seed <= 10 && !found; seed++) {
            struct sim_result r;

            sim_run(&r, &(struct sim_opts){ .seed = seed, .plant = (enum sim_plant)plant });
            found = r.broken;
            sim_result_deinit(&r);
        }
        if (!found)
            test_fail(__FILE__, __LINE__, "planted bug %d is not found", plant);
    }
}
