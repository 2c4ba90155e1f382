#include "tests/sim/sim.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/harness/test.h"
#include "tests/sim/sim_shrink.h"

/* Two halves, so that two processors have work. INRO_SIM_SEEDS=N in the environment: so many seeds
 * of many nodes in all, but under a sanitizer. */
#ifdef __SANITIZE_ADDRESS__
#define SEEDS 4                          /* each takes ten times as long */
#define SEEDS_WIDE 2
#define SEEDS_WIDE_ASKED NULL
#define CUTS 5
#else
#define SEEDS 60
#define SEEDS_WIDE 20
#define SEEDS_WIDE_ASKED getenv("INRO_SIM_SEEDS")
#define CUTS 60
#endif
#define PLANT_SEEDS 12                   /* a planted bug is found in one of these */

/* What breaks it, in short, and how to see it again. */
static void explain(const struct sim_opts *o)
{
    static struct sim_case c;            /* its steps are too many for a stack of ours */
    struct sim_result r;
    char line[SIM_LINE_BYTES];

    c = (struct sim_case){ .o = *o };
    sim_shrink(&r, &c);
    sim_case_print(line, &c);
    fprintf(stderr, "%s\n%s\nagain: out/obj/amd64/sim replay '%s'\n", r.trace ? r.trace : "",
            r.broken ? r.broken : "it holds when it is run again", line);
    sim_result_deinit(&r);
}

static unsigned seeds_of(unsigned otherwise)
{
    const char *more = SEEDS_WIDE_ASKED;

    return more ? (unsigned)strtoul(more, NULL, 10) / 2 : otherwise;
}

static void run_seeds(uint64_t first, unsigned n, struct sim_opts o)
{
    o.dir = test_tmpdir();
    for (o.seed = first; o.seed < first + n; o.seed++) {
        struct sim_result r;

        sim_run(&r, &o);
        if (r.broken) {
            explain(&o);
            test_fail(__FILE__, __LINE__, "seed %llu, step %u: %s", (unsigned long long)o.seed,
                      r.step, r.broken);
        }
        sim_result_deinit(&r);
    }
}

TEST_SLOW(chaos_then_peace, 3600)
{
    run_seeds(1, SEEDS / 2, (struct sim_opts){ 0 });
}

TEST_SLOW(chaos_then_peace_again, 3600)
{
    run_seeds(1 + SEEDS / 2, SEEDS / 2, (struct sim_opts){ 0 });
}

TEST_SLOW(many_nodes, 3600)
{
    run_seeds(100000, seeds_of(SEEDS_WIDE / 2), (struct sim_opts){ .nodes = 50, .steps = 60 });
}

TEST_SLOW(many_nodes_again, 3600)
{
    run_seeds(200000, seeds_of(SEEDS_WIDE / 2), (struct sim_opts){ .nodes = 50, .steps = 60 });
}

TEST_SLOW(a_restart_in_each_step, 3600)
{
    run_seeds(300000, SEEDS / 10, (struct sim_opts){ .steps = 60, .restarts = true });
}

TEST_SLOW(same_seed_same_trace, 300)
{
    struct sim_result a, b, c;
    struct sim_opts o = { .dir = test_tmpdir(), .seed = 5, .steps = 40 };

    sim_run(&a, &o);
    sim_run(&b, &o);
    o.seed = 6;
    sim_run(&c, &o);
    EXPECT_STR(a.trace, b.trace);
    EXPECT_EQ(a.digest, b.digest);
    EXPECT(strcmp(a.trace, c.trace) != 0);
    sim_result_deinit(&a);
    sim_result_deinit(&b);
    sim_result_deinit(&c);
}

/* The whole role, users at work, and power that goes in one operation of the disk after another. */
TEST_SLOW(power_goes_anywhere, 3600)
{
    struct sim_opts o = { .dir = test_tmpdir(), .seed = 3, .nodes = 2, .steps = 12, .calm = true };
    struct sim_result r;
    uint64_t ops;

    sim_run(&r, &o);
    ops = r.disk_ops;
    EXPECT(!r.broken);
    EXPECT(ops > CUTS);
    sim_result_deinit(&r);
    for (unsigned i = 0; i < CUTS; i++) {
        o.cut_op = 1 + ops * i / CUTS;
        sim_run(&r, &o);
        if (r.broken) {
            explain(&o);
            test_fail(__FILE__, __LINE__, "power goes in operation %llu: %s",
                      (unsigned long long)o.cut_op, r.broken);
        }
        sim_result_deinit(&r);
    }
}

static void replay_elsewhere(const char *line, const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600), status;
    pid_t pid = fork();

    EXPECT(fd >= 0);
    if (pid == 0) {
        dup2(fd, STDOUT_FILENO);
        execl("/proc/self/exe", "sim", "replay", line, (char *)NULL);
        _exit(3);
    }
    close(fd);
    EXPECT_EQ(waitpid(pid, &status, 0), pid);
    EXPECT_EQ(status, 0);
}

/* The same in a process of its own: its addresses and its hash keys are others. */
TEST_SLOW(same_trace_in_another_process, 300)
{
    struct sim_opts o = { .dir = test_tmpdir(), .seed = 7, .nodes = 5, .steps = 60 };
    struct sim_result r;
    char path[256], want[32], got[32] = "";
    FILE *f;

    snprintf(path, sizeof(path), "%s/trace", o.dir);
    replay_elsewhere("seed=7 nodes=5 steps=60", path);
    sim_run(&r, &o);
    snprintf(want, sizeof(want), "%016llx holds\n", (unsigned long long)r.digest);
    f = fopen(path, "r");
    EXPECT(f);
    EXPECT_EQ(fseek(f, -(long)strlen(want), SEEK_END), 0);
    EXPECT(fgets(got, sizeof(got), f));
    EXPECT_STR(got, want);
    fclose(f);
    sim_result_deinit(&r);
}

/* --- planted bugs */

static void find(enum sim_plant plant)
{
    struct sim_opts o = { .dir = test_tmpdir(), .plant = plant };

    for (o.seed = 1; o.seed <= PLANT_SEEDS; o.seed++) {
        struct sim_result r;
        bool found;

        sim_run(&r, &o);
        found = r.broken;
        sim_result_deinit(&r);
        if (found)
            return;
    }
    test_fail(__FILE__, __LINE__, "planted bug not found: %s", sim_plant_name(plant));
}

TEST_SLOW(finds_planted_bugs, 600)
{
    for (int p = SIM_PLANT_NONE + 1; p < SIM_PLANT_MAX; p += 2)
        find((enum sim_plant)p);
}

TEST_SLOW(finds_more_planted_bugs, 600)
{
    for (int p = SIM_PLANT_NONE + 2; p < SIM_PLANT_MAX; p += 2)
        find((enum sim_plant)p);
}

/* --- by hand: "sim replay 'seed=7 nodes=3'", "sim shrink ...", "sim seeds N 'seed=1'" */

static int with_case(struct sim_case *c, const char *line)
{
    static char dir[] = "/tmp/inro-sim-XXXXXX";
    struct err err = ERR_INIT;

    if (sim_case_parse(c, line, &err) < 0) {
        fprintf(stderr, "%s\n", err.msg);
        return -1;
    }
    c->o.dir = mkdtemp(dir);
    return c->o.dir ? 0 : -1;
}

static void clean_up(const struct sim_case *c)
{
    char path[64];

    snprintf(path, sizeof(path), "%s/state.db", c->o.dir);
    (void)unlink(path);
    (void)rmdir(c->o.dir);
}

static int replay(int argc, char **argv)
{
    static struct sim_case c;
    struct sim_result r;
    bool broken;

    if (argc < 2 || with_case(&c, argv[1]) < 0)
        return 2;
    sim_run(&r, &c.o);
    broken = r.broken;
    printf("%s%016llx %s\n", r.trace, (unsigned long long)r.digest, r.broken ? r.broken : "holds");
    clean_up(&c);
    sim_result_deinit(&r);
    return broken ? 1 : 0;
}

static int shrink(int argc, char **argv)
{
    static struct sim_case c;

    if (argc < 2 || with_case(&c, argv[1]) < 0)
        return 2;
    explain(&c.o);
    clean_up(&c);
    return 0;
}

static int seeds(int argc, char **argv)
{
    static struct sim_case c;
    unsigned n = argc < 3 ? 0 : (unsigned)strtoul(argv[1], NULL, 10);

    if (argc < 3 || with_case(&c, argv[2]) < 0)
        return 2;
    for (; n > 0; n--, c.o.seed++) {
        struct sim_result r;

        sim_run(&r, &c.o);
        if (r.broken)
            printf("seed=%llu step=%u %s\n", (unsigned long long)c.o.seed, r.step, r.broken);
        sim_result_deinit(&r);
    }
    clean_up(&c);
    return 0;
}

TEST_VERB(replay, "replay", replay)
TEST_VERB(shrink, "shrink", shrink)
TEST_VERB(seeds, "seeds", seeds)
