/* tests/sim/sim.h -- the control role and its nodes in one thread, by seed.
 *
 * Controllers and scheduler as they are, over the fake client, with fake nodes that run pods, and
 * with users. A run has two parts: `steps` steps of chaos (users change their minds, requests fail
 * or get lost, watches lag and break, nodes fall silent or go, both parts are restarted, the clock
 * jumps), each followed by the invariants that always hold; then peace, after which everything must
 * be as it was asked and nobody may write any more.
 *
 * The same options give the same trace, byte for byte.
 *
 *   sim.c         the world, its clock, the table of what may happen
 *   sim_user.c    Deployments, Services and what users do to them
 *   sim_node.c    nodes
 *   sim_check.c   the invariants
 */
#ifndef TESTS_SIM_SIM_H
#define TESTS_SIM_SIM_H

#include "core/control/control.h"
#include "core/sched/sched.h"
#include "tests/fake/fake_client.h"
#include "tests/fake/fake_env.h"

#define SIM_APPS 3
#define SIM_NODES_MAX 64
#define SIM_NODE_PODS 30                 /* a node takes so many */

/* A bug of the surroundings, planted to see that the invariants find it. */
enum sim_plant {
    SIM_PLANT_NONE,
    SIM_PLANT_CREATE_TWICE,              /* a pod is made a second time */
    SIM_PLANT_LOST_DELETE,               /* a delete is answered, and nothing goes */
    SIM_PLANT_DEAF_PODS,                 /* a watch forgets a change of a pod */
    SIM_PLANT_DEAF_SETS,
    SIM_PLANT_STUCK_NODE,                /* a node never ends a pod */
    SIM_PLANT_SAME_NETWORK,              /* two nodes get one network */
    SIM_PLANT_REBIND,                    /* a pod moves to another node */
    SIM_PLANT_GREEDY_GC,                 /* somebody deletes what has a living owner */
    SIM_PLANT_STALE_SLICE,               /* an endpoint of a pod that is gone comes back */
    SIM_PLANT_CHATTER,                   /* somebody writes for ever */
    SIM_PLANT_MAX
};

struct sim_opts {
    uint64_t seed;
    unsigned steps, nodes;               /* 0: 120 and 6 */
    enum sim_plant plant;
};

struct sim_result {
    char *broken;                        /* what did not hold; NULL: all held */
    char *trace;                         /* a line for each thing that happened */
    unsigned step;                       /* at which it broke */
};

void sim_run(struct sim_result *out, const struct sim_opts *o);
void sim_result_deinit(struct sim_result *r);

#endif
