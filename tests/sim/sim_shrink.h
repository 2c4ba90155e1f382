/* tests/sim/sim_shrink.h -- from a seed that breaks to the few things that break it, and back.
 *
 * A run is named by a line of text, "seed=7 nodes=3 steps=41 only=12,40": the steps in which
 * something happens, of those there are. Without "only" all do.
 */
#ifndef TESTS_SIM_SIM_SHRINK_H
#define TESTS_SIM_SIM_SHRINK_H

#include "core/base/err.h"
#include "tests/sim/sim.h"

#define SIM_SHRINK_RUNS 150              /* of the simulation, at most */
#define SIM_SHRINK_S 60                  /* of processor time, at most */
#define SIM_LINE_BYTES 4096

struct sim_case {
    struct sim_opts o;
    bool skip[SIM_STEPS_MAX];            /* what o.skip points to */
};

int sim_case_parse(struct sim_case *out, const char *line, struct err *err);
void sim_case_print(char out[SIM_LINE_BYTES], const struct sim_case *c);
/* `c` breaks; afterwards it is smaller and breaks the same rule. The result is the caller's. */
void sim_shrink(struct sim_result *out, struct sim_case *c);

#endif
