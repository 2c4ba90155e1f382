/* core/sched/sched_impl.h -- private: what the files of the scheduler share.
 *
 * A pod is one struct sched_pod from the first sight to its end, in one state:
 *
 *   GATED --gates gone--> ACTIVE --cycle--> BINDING --watch shows the node--> PLACED
 *   ACTIVE --fits nowhere--> PARKED --an event may help--> BACKOFF --time--> ACTIVE
 *   BINDING --bind failed--> BACKOFF
 *
 * BINDING and PLACED pods count on their node. Pods that are alike to every rule about other pods
 * (namespace, labels, pod affinity) share a struct sched_class, so that a rule is matched once per
 * class and summed per node, not once per pod.
 */
#ifndef CORE_SCHED_SCHED_IMPL_H
#define CORE_SCHED_SCHED_IMPL_H

#include "core/base/check.h"
#include "core/base/heap.h"
#include "core/base/list.h"
#include "core/base/map.h"
#include "core/base/mem.h"
#include "core/base/metric.h"
#include "core/base/str.h"
#include "core/base/vec.h"
#include "core/client/informer.h"
#include "core/sched/sched.h"
#include "gen/views.h"

#define SCHED_BINDS_MAX 256              /* bindings under way; the queue waits beyond */
#define SCHED_BACKOFF_MIN_MS 1000
#define SCHED_BACKOFF_MAX_MS 10000
#define SCHED_PARKED_MAX_MS 300000       /* a parked pod is tried again after this in any case */
#define SCHED_TURN_MS 5                  /* of one turn on the loop */
#define SCHED_SCORE_MAX 100
#define SCHED_FEASIBLE_MIN 100           /* nodes that are always looked for */
#define SCHED_FEASIBLE_PERCENT_MIN 5
#define SCHED_EVENT_SERIES_MS 360000     /* an event that repeats is written this often */
#define SCHED_CPU_DEFAULT_M 100          /* of a container that asks for none, in scores */
#define SCHED_MEMORY_DEFAULT (200ll << 20)
#define SCHED_ARENA_MAX (256u << 20)     /* of one decision */
#define SCHED_HOSTNAME "kubernetes.io/hostname"
#define SCHED_ZONE "topology.kubernetes.io/zone"
#define SCHED_REGION "topology.kubernetes.io/region"

/* What may make a parked pod fit. */
enum {
    SCHED_ON_NODE_ADD = 1, SCHED_ON_NODE_GONE = 2, SCHED_ON_NODE_SIZE = 4, SCHED_ON_NODE_LABEL = 8,
    SCHED_ON_NODE_TAINT = 16, SCHED_ON_POD_ADD = 32, SCHED_ON_POD_GONE = 64,
};

/* --- amounts (sched_pod.c) */

struct sched_amount { unsigned id; int64_t v; };         /* id: index in sched.extended */

struct sched_amounts {
    int64_t cpu_m, memory, storage;
    VEC(struct sched_amount) extended;
};

struct sched_extended { char *name, *insufficient; };    /* "nvidia.com/gpu", "Insufficient ..." */

/* --- pods, classes, nodes */

struct sched_class {
    unsigned id;                         /* index in sched.classes */
    size_t refs;
    char *key;
    struct object *like;                 /* one pod of it: namespace, labels, affinity */
    bool leaving;                        /* deleted, still there */
    bool has_terms, has_anti;            /* pod (anti-)affinity; required anti-affinity */
};

enum sched_state {
    SCHED_NEW, SCHED_GATED, SCHED_ACTIVE, SCHED_PARKED, SCHED_BACKOFF, SCHED_BINDING, SCHED_PLACED,
    SCHED_STATE_MAX
};

enum sched_result { SCHED_SCHEDULED, SCHED_UNSCHEDULABLE, SCHED_ERROR, SCHED_RESULT_MAX };

struct sched_figures {                   /* sched_metric.c */
    _Atomic uint64_t attempts[SCHED_RESULT_MAX], preempt;
    _Atomic int64_t pods[SCHED_STATE_MAX];
    struct metric_hist duration[SCHED_RESULT_MAX], sli, tries, victims;
};

struct sched_port { const char *ip, *protocol; int32_t port; };

struct sched_pod {
    struct sched *s;
    struct object *object;
    enum sched_state state;
    struct sched_amounts ask;
    int64_t full_cpu_m, full_memory;     /* with the defaults of scores */
    VEC(struct sched_port) ports;
    struct sched_class *class;
    struct sched_node *node;             /* it counts there */
    struct heap_node in_heap;            /* active or backing off */
    struct list parked;
    unsigned attempts;
    int64_t queued_ns, begun_ns;         /* first in the queue; the present attempt: for figures */
    unsigned wakes;                      /* SCHED_ON_*; of the filters that refused it */
    int64_t parked_ms;
    struct sched_node *nominated;        /* room is being made for it there; never with a node */
    struct list in_nominated;
    char *event;                         /* the last FailedScheduling: its name and text */
    char *event_text;
    unsigned event_count;
    int64_t event_ms;
};

struct sched_count { struct sched_class *class; unsigned n; };
struct sched_image { size_t nodes; };                    /* how many nodes hold it */
struct sched_held { struct sched_image *image; char *name; int64_t bytes; };

struct sched_node {
    char *name;
    struct object *object;               /* NULL: pods name it, but it is not (yet) there */
    struct sched_amounts has, used;
    int64_t pods_max, full_cpu_m, full_memory;
    VEC(struct sched_pod *) pods;
    VEC(struct sched_count) classes;
    VEC(struct sched_port) ports;
    VEC(struct sched_held) images;
    VEC(int32_t) topo;                   /* per sched.topos: value's number or -1; grows lazily */
    size_t n_terms, n_anti;              /* pods with such classes */
    struct list nominated;
    size_t at;                           /* in sched.order */
};

/* A topology key that some rule uses, and the values that nodes have for it. */
struct sched_topo {
    char *key;
    struct map *values;
    unsigned n;
    uint64_t numbered;                   /* for sched.order_round: all values have their number */
};

struct sched {
    struct client *client;
    struct loop *loop;
    char *name;
    struct informer *pods_in, *nodes_in, *services_in, *sets_in, *namespaces_in;
    _Atomic bool ready;
    /* snapshot */
    struct map *pods, *nodes;            /* "ns/name" and name */
    VEC(struct sched_node *) order;      /* nodes that exist, zones interleaved */
    bool order_stale;
    uint64_t order_round;
    size_t next_start;
    struct map *class_by_key;
    VEC(struct sched_class *) classes;   /* holes are NULL */
    VEC(unsigned) class_holes;
    VEC(struct sched_topo) topos;
    VEC(struct sched_extended) extended;
    struct map *images;
    /* queue */
    struct heap active, backoff;
    struct list parked;
    unsigned woken;                      /* SCHED_ON_* since the last turn */
    struct loop_timer turn, tick;
    size_t binding;                      /* bindings under way */
    struct list calls;                   /* of sched_bind.c */
    uint64_t event_seq;
    struct sched_figures figures;
};

static inline const struct node_view *sched_node_view(const struct sched_node *n)
{
    return node_view(n->object);
}
static inline const struct pod_view *sched_pod_view(const struct sched_pod *p)
{
    return pod_view(p->object);
}

/* sched_pod.c: facts of one pod. */
void sched_pod_describe(struct sched_pod *p);            /* from p->object */
struct sched_pod *sched_pod_free(struct sched_pod *p);
void sched_pod_amounts_of(struct sched *s, struct sched_amounts *out, const struct view_map *list);
int64_t sched_pod_amount(const struct sched_amounts *a, unsigned id);
void sched_pod_amount_add(struct sched_amounts *a, const struct sched_amounts *b, int sign);
bool sched_pod_terminal(const struct object *o);

/* sched_snapshot.c: nodes and what runs on them. */
void sched_snapshot_init(struct sched *s);
void sched_snapshot_deinit(struct sched *s);
void sched_snapshot_node(struct sched *s, struct object *before, struct object *after);
struct sched_node *sched_snapshot_find(struct sched *s, const char *name, bool make);
void sched_snapshot_place(struct sched_pod *p, struct sched_node *n);
void sched_snapshot_unplace(struct sched_pod *p);
void sched_snapshot_tidy(struct sched *s, struct sched_node *n);  /* away, when nobody needs it */
void sched_snapshot_order(struct sched *s);
struct sched_class *sched_snapshot_class(struct sched *s, struct object *pod);
void sched_snapshot_class_drop(struct sched *s, struct sched_class *c);
/* A key by its number; every value that a node of the order has for it is numbered. */
unsigned sched_snapshot_topo(struct sched *s, const char *key);
int32_t sched_snapshot_topo_of(struct sched *s, struct sched_node *n, unsigned topo);  /* or -1 */

/* sched_match.c: labels, selectors, tolerations. */
bool sched_match_labels(const struct label_selector_view *sel, const struct object *o);
bool sched_match_node_affinity(const struct pod_view *p, const struct object *node);
bool sched_match_node_term(const struct node_selector_term_view *t, const struct object *node);
bool sched_match_tolerates(const struct pod_view *p, const struct taint_view *t);
/* The pod bears every taint of the node that keeps pods out. */
bool sched_match_taints(const struct pod_view *p, const struct node_view *n);

/* sched_queue.c */
void sched_queue_init(struct sched *s);
void sched_queue_deinit(struct sched *s);
void sched_queue_active(struct sched_pod *p);
void sched_queue_backoff(struct sched_pod *p);
void sched_queue_park(struct sched_pod *p, unsigned wakes);
void sched_queue_remove(struct sched_pod *p);            /* from wherever it waits */
struct sched_pod *sched_queue_pop(struct sched *s);
void sched_queue_wake(struct sched *s, unsigned events); /* noted; acted on in the next turn */
void sched_queue_stir(struct sched *s);                  /* acts on what was noted */

/* sched_metric.c */
void sched_metric_attempt(struct sched *s, enum sched_result result, int64_t begun_ns);
void sched_metric_bound(struct sched *s, unsigned attempts, int64_t queued_ns);
void sched_metric_preempt(struct sched *s, size_t victims);
void sched_metric_state(struct sched_pod *p, enum sched_state state);    /* sets it */

/* sched.c: a turn soon. */
void sched_kick(struct sched *s);

/* sched_bind.c: assumes at once, binds, forgets and tries again when that fails. */
void sched_bind(struct sched_pod *p, struct sched_node *n);
void sched_bind_deinit(struct sched *s);

/* sched_report.c: events, and the pod's condition PodScheduled. */
struct sched_report {
    const char *type, *reason, *action, *message;
    const struct object *related;        /* another pod, or NULL */
};
void sched_report_event(struct sched *s, const struct object *pod, const struct sched_report *r,
                        char **out_name);                /* out_name may be NULL */
void sched_report_failed(struct sched_pod *p, const char *reason, const char *message);
void sched_report_nominated(struct sched_pod *p, const char *node);
void sched_report_victim(struct sched_pod *victim, const struct sched_pod *by, const char *node);

#endif
