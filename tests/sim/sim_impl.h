/* sim_impl.h -- between the files of the simulator. */
#ifndef TESTS_SIM_SIM_IMPL_H
#define TESTS_SIM_SIM_IMPL_H

#include "core/base/map.h"
#include "tests/sim/sim.h"

struct sim_app {
    bool exists, paused;
    int replicas, image;
    int64_t revision;                    /* the highest seen */
};

struct sim_node {
    char name[16];
    bool exists, silent;
    int64_t lease_ms;                    /* when it renews next */
};

struct sim {
    struct sim_opts o;
    struct fake_env env;
    struct loop *loop;
    struct fake_client *f;
    struct control *control;
    struct sched *sched;
    struct arena *a;                     /* of one step */
    uint64_t random;
    struct buf trace;
    unsigned step;
    bool peace;
    struct sim_app apps[SIM_APPS];
    struct sim_node nodes[SIM_NODES_MAX];
    unsigned n_nodes;
    unsigned next_ip, lost_creates;
    struct map *bound;                   /* uid of a pod -> char *: its node */
    struct map *sizes;                   /* uid of a set -> int64_t: the largest it was lately */
    char *broken;
};

/* --- sim.c */
unsigned sim_pick(struct sim *s, unsigned n);            /* 0 .. n-1 */
void sim_log(struct sim *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The first one counts. */
void sim_break(struct sim *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
int64_t sim_now_ms(const struct sim *s);
struct json *sim_tree(struct sim *s, const struct object *o);

/* --- sim_user.c */
void sim_user_begin(struct sim *s);
void sim_user_act(struct sim *s);
void sim_user_peace(struct sim *s);                      /* nothing is paused any more */
const char *sim_user_app(struct sim *s, unsigned i);     /* "d0" */

/* --- sim_node.c */
void sim_node_begin(struct sim *s);
void sim_node_tick(struct sim *s);
void sim_node_trouble(struct sim *s);
void sim_node_peace(struct sim *s);

/* --- sim_check.c */
/* before it takes effect */
void sim_check_request(struct sim *s, const struct client_req *req);
void sim_check_always(struct sim *s);
void sim_check_end(struct sim *s);

#endif
