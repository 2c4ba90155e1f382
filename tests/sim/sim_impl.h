/* sim_impl.h -- between the files of the simulation. */
#ifndef TESTS_SIM_SIM_IMPL_H
#define TESTS_SIM_SIM_IMPL_H

#include "core/api/api.h"
#include "core/base/map.h"
#include "core/base/vec.h"
#include "core/control/control.h"
#include "core/sched/sched.h"
#include "tests/fake/fake_disk.h"
#include "tests/fake/fake_env.h"
#include "tests/sim/sim.h"

#define SIM_CALM_MS 15000                /* without trouble for so long: strict bounds hold */
#define SIM_WINDOW_MS 120000             /* so old may be what a controller acts on */

struct sim;

/* --- a door of the cluster to somebody: controllers, scheduler, a user, a node (sim_net.c) */

enum sim_who { SIM_CONTROL, SIM_SCHED, SIM_USER, SIM_NODE };

struct sim_door {
    struct client client;                /* first */
    struct sim *s;
    enum sim_who who;
    char name[48];
    struct client *inner;                /* the API's; NULL while the role is down */
    struct list calls, watches;
    bool cut;                            /* nothing gets through */
};

struct sim_fault {                       /* of the next `left` requests of this verb */
    enum client_verb verb;
    unsigned left;
    int code;                            /* 0: it takes effect, and the answer is lost */
};

/* --- what the store has published, and what has to hold for it (sim_truth.c) */

struct sim_entry { int64_t revision, previous; int node_before, node_after; };
struct sim_history { VEC(struct sim_entry) v; };      /* of one kind, since the role started */

struct sim_set {                         /* by uid of a ReplicaSet */
    int64_t most;                        /* replicas it was ever asked for */
    unsigned active;
};

struct sim_size { int64_t at_ms, replicas; };

struct sim_app {
    bool exists, paused, dirty, busy;    /* what its user wants; not yet told; being told */
    bool delete_foreground;
    int replicas, image;
    int64_t revision;                    /* the highest seen */
    int64_t hurt_ms;                     /* when it last lost a ready pod to trouble */
    unsigned wish;                       /* counts the user's changes of mind */
    VEC(struct sim_size) sizes;          /* of its Deployment, as published */
};

struct sim_extra { bool exists, busy; };    /* a Service that comes and goes */

struct sim_team { bool exists, busy; };  /* a namespace that comes and goes, with a ConfigMap */

struct sim_pod {                         /* as its node sees it */
    struct object *o;
    bool busy, listed;
};

struct sim_node {
    char name[16];
    struct sim_door door;
    struct client_watch *watch;
    struct map *pods;                    /* -> struct sim_pod */
    bool exists, silent, cordoned;
    bool renewing, telling;
    int64_t lease_ms, cordon_ms;
    bool has_todo;
    int64_t milli;                       /* published: CPU of bound pods that are not over */
    int bound;                           /* and their number */
};

/* --- the control role: one process (sim_role.c) */

struct sim_role {
    bool up, dying;
    struct watch_cache *cache;
    struct kv *kv;
    struct job_pool *jobs;
    struct api *api;
    struct control *control;
    struct sched *sched;
    int64_t start_ms;                    /* when it is started again */
    struct map *loaded;                  /* while it loads: keys */
    struct map *unanswered;              /* keys it was asked to write when it died */
    unsigned rivals;
};

struct sim {
    struct sim_opts o;
    struct fake_env env;
    struct fake_disk *disk;
    char path[256];
    struct loop *loop;
    struct sim_role role;
    struct sim_door control_door, sched_door, user_door;
    struct arena *a;                     /* of one step */
    uint64_t random, net_random;
    struct buf trace;
    uint64_t disk_ops;                   /* at the end */
    unsigned step;
    bool peace;
    int64_t trouble_ms;                  /* when there was some last */
    /* the net */
    VEC(struct sim_fault) faults;
    int64_t delay_ms, lag_ms;            /* messages take at most so long; watches are behind */
    unsigned loss;                       /* of 1000 messages */
    unsigned rival;                      /* of 1000 requests: another writer is in their way */
    /* the world */
    struct sim_app apps[SIM_APPS];
    struct sim_extra extras[SIM_EXTRAS];
    struct sim_team team;
    struct sim_node nodes[SIM_NODES_MAX];
    unsigned n_nodes;
    int node_milli, node_pods;
    unsigned next_ip, lost_creates;
    int64_t full_until_ms;
    bool precious;                       /* the ConfigMap was there */
    /* the truth */
    int64_t top;                         /* newest revision ever published */
    size_t writes;                       /* published ones that are not volatile */
    struct map *objects[KIND_ID_MAX];    /* "ns/name" -> struct object, by stored kind */
    struct sim_history history[KIND_ID_MAX];
    struct map *uids;                    /* every one there ever was -> itself */
    struct map *bound;                   /* uid of a pod -> char *: its node */
    struct map *sets;                    /* uid -> struct sim_set */
    struct map *addresses;               /* or network, or port -> char *: whose */
    char *broken;
    const char *rule;
};

/* --- sim.c */
unsigned sim_pick(struct sim *s, unsigned n);            /* 0 .. n-1 */
void sim_log(struct sim *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The first one counts. */
void sim_break(struct sim *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
int64_t sim_now_ms(const struct sim *s);
struct json *sim_tree(struct sim *s, const struct object *o);
void sim_trouble(struct sim *s);                         /* some was made now */
bool sim_is_calm(const struct sim *s);

/* --- sim_role.c */
enum sim_end { SIM_END_CLEAN, SIM_END_KILL, SIM_END_POWER };
void sim_role_start(struct sim *s);                      /* or tries again later */
void sim_role_stop(struct sim *s, enum sim_end how);
void sim_role_tick(struct sim *s);                       /* starts what is down, and so on */
/* Past the API, as another writer would: an RFC 7386 patch in YAML; NULL: away with it. Takes
 * effect at the store's next turn, if nobody was faster. */
void sim_role_edit(struct sim *s, const struct object *o, const char *yaml);

/* --- sim_net.c */
void sim_net_open(struct sim *s, struct sim_door *d, enum sim_who who, const char *name);
void sim_net_close(struct sim_door *d);
/* The role is up, or gone: watches begin anew, or hang. */
void sim_net_connect(struct sim *s);
void sim_net_hang_up(struct sim *s);
void sim_net_drop_calls(struct sim_door *d);             /* who asked is dead */
void sim_net_break_watches(struct sim *s, const struct kind *kind);
void sim_net_break_door(struct sim_door *d);             /* its watches begin anew later */
void sim_net_calm(struct sim *s);                        /* no more faults */
/* Whose request to this object is being answered by the API now; NULL: nobody's. */
const struct sim_door *sim_net_actor(struct sim *s, enum client_verb verb, const struct object *o);
void sim_net_check_end(struct sim *s);                   /* every watch has heard all */
struct sim_ask {
    enum client_verb verb;
    const struct kind *kind;
    const char *ns, *name, *subresource, *yaml;
    const char *uid, *propagation;
    bool at_once;                        /* a delete without grace */
    void (*on_done)(const struct client_result *r, void *ctx);
    void *ctx;
};
void sim_net_ask(struct sim_door *d, const struct sim_ask *ask);

/* --- sim_truth.c */
void sim_truth_begin(struct sim *s);
void sim_truth_end(struct sim *s);
void sim_truth_on_change(struct sim *s, const struct kv_change *c, struct object *now);
void sim_truth_on_load(struct sim *s, const struct kv_change *pair);
void sim_truth_loaded(struct sim *s);                    /* all that must have survived has */
struct object *sim_get(struct sim *s, const struct kind *kind, const char *ns, const char *name);
struct object *sim_next(struct sim *s, const struct kind *kind, size_t *at);
size_t sim_count(struct sim *s, const struct kind *kind);
const struct kind *sim_kind_of(const char *key, const char **name);     /* of a key of the store */
struct sim_node *sim_node_of(struct sim *s, const char *name);          /* or NULL */
bool sim_is_active(const struct object *pod);
bool sim_is_ready(const struct object *pod);

/* --- sim_user.c */
void sim_user_begin(struct sim *s);
void sim_user_act(struct sim *s);
void sim_user_tick(struct sim *s);
void sim_user_peace(struct sim *s);                      /* nothing is paused any more */
void sim_user_last_wish(struct sim *s);                  /* a roll-out of everything, in calm */
bool sim_user_is_content(const struct sim *s);           /* all wishes were told */
const char *sim_user_app(struct sim *s, unsigned i);     /* "d0" */

/* --- sim_node.c */
void sim_node_begin(struct sim *s);
void sim_node_end(struct sim *s);
void sim_node_tick(struct sim *s);
void sim_node_trouble(struct sim *s);
void sim_node_peace(struct sim *s);

/* --- sim_plant.c */
void sim_plant(struct sim *s);                           /* after a step */
/* A request on its way into the API; what it becomes. False: it is answered with 200, no more. */
bool sim_plant_request(struct sim *s, struct sim_door *d, struct client_req *req, struct arena *a);
bool sim_plant_hides(struct sim *s, const struct kv_change *c);         /* from the watch cache */
bool sim_plant_forgets(struct sim *s, const struct kv_change *pair);    /* while it loads */
void sim_plant_before_open(struct sim *s);
bool sim_plant_deaf(struct sim *s, const struct sim_door *d, const struct object *o);

/* --- sim_check.c */
void sim_check_always(struct sim *s);
const char *sim_check_end(struct sim *s);                /* NULL: all is as it should be */

#endif
