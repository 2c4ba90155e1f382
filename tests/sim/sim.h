/* tests/sim/sim.h -- the control role, its disk and its nodes in one thread, by seed.
 *
 * All of the control role is real: API, watch cache, store and SQLite, controllers, scheduler.
 * Below it lies a disk in memory that loses power, fails and fills up; around it are nodes that run
 * pods, and users, whose messages get lost, are late and overtake each other.
 *
 * A run has two parts: `steps` steps of chaos (users change their minds, requests fail or get lost,
 * other writers are in the way, watches lag and break, nodes fall silent or go, the role is killed,
 * power fails in the midst of a write, the disk fails or is full, the clock jumps); then peace,
 * after which everything must be as it was asked and nobody may write any more. What must always
 * hold is checked at each change that the store publishes, at each event that a watch gets and at
 * each start of the role.
 *
 * The same options give the same trace, byte for byte. What happens at a step depends on the seed
 * and the step alone, so that steps can be left out to find the few that matter (sim_shrink.h).
 *
 *   sim.c         the world, its clock, the table of what may happen
 *   sim_role.c    the control role: a process that starts and dies
 *   sim_net.c     requests and watches on their way
 *   sim_truth.c   what the store published, and the invariants of it
 *   sim_check.c   what must have come about in peace
 *   sim_user.c    Deployments, Services and what users do to them
 *   sim_node.c    nodes
 *   sim_plant.c   bugs, planted to see that they are found
 */
#ifndef TESTS_SIM_SIM_H
#define TESTS_SIM_SIM_H

#include <stdbool.h>
#include <stdint.h>

#define SIM_APPS 3
#define SIM_EXTRAS 4                     /* Services that come and go */
#define SIM_NODES_MAX 64
#define SIM_STEPS_MAX 1024
/* CPU of a node, and how many pods it takes; of fewer than SIM_NODES_FULL nodes each has more, so
 * that all pods fit. */
#define SIM_NODE_MILLI 2000
#define SIM_NODE_PODS 30
#define SIM_NODES_FULL 6

/* A bug of the surroundings, planted to see that the invariants find it. */
enum sim_plant {
    SIM_PLANT_NONE,
    /* the disk and the store */
    SIM_PLANT_ACK_BEFORE_SYNC,           /* a sync says that it was done, and was not */
    SIM_PLANT_REVISION_REUSE,            /* after a power cut revisions begin where the rows end */
    SIM_PLANT_LOST_EVENT,                /* a change does not get to the watch cache */
    SIM_PLANT_STALE_LIST,                /* after a restart the watch cache lacks an object */
    SIM_PLANT_NO_PRECONDITION,           /* an update writes over what it has not seen */
    /* the API */
    SIM_PLANT_DOUBLE_BIND,               /* a pod moves to another node */
    SIM_PLANT_UNFIT_BIND,                /* a pod gets to a node that does not fit */
    SIM_PLANT_ADDRESS_TWICE,             /* two Services get one address */
    SIM_PLANT_LOST_DELETE,               /* a delete is answered, and nothing goes */
    /* controllers and nodes */
    SIM_PLANT_CREATE_TWICE,              /* a pod is made a second time */
    SIM_PLANT_SURGE,                     /* a roll-out makes more pods than it may */
    SIM_PLANT_DEAF_PODS,                 /* a controller's watch forgets a change of a pod */
    SIM_PLANT_STUCK_NODE,                /* a node never ends a pod */
    SIM_PLANT_SAME_NETWORK,              /* two nodes get one network */
    SIM_PLANT_GREEDY_GC,                 /* somebody deletes what has a living owner */
    SIM_PLANT_STALE_SLICE,               /* an endpoint of a pod that is gone comes back */
    SIM_PLANT_CHATTER,                   /* somebody writes for ever */
    SIM_PLANT_MAX
};

struct sim_opts {
    const char *dir;                     /* a folder of the caller's */
    uint64_t seed;
    unsigned steps, nodes;               /* 0: 120 and 6 */
    enum sim_plant plant;
    bool restarts;                       /* the role ends in each step, in one way or another */
    bool calm;                           /* users act, and nothing else happens */
    uint64_t cut_op;                     /* power goes in this operation of the disk; 0: in none */
    const bool *skip;                    /* [steps]: nothing happens in these; NULL: none */
};

struct sim_result {
    char *broken;                        /* what did not hold; NULL: all held */
    const char *rule;                    /* the same without names and numbers; static */
    char *trace;                         /* a line for each thing that happened */
    uint64_t digest;                     /* of the trace */
    uint64_t disk_ops;
    unsigned step;                       /* at which it broke */
};

void sim_run(struct sim_result *out, const struct sim_opts *o);
void sim_result_deinit(struct sim_result *r);
const char *sim_plant_name(enum sim_plant p);

#endif
