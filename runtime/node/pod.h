/* runtime/node/pod.h -- one pod on this node, as two kinds of state machines.
 *
 * Called on the node's loop only. Long work leaves as a job, a request or to the shim; its callback
 * only notes the result and touches the pod: the tick runs from the loop, never inside a callback.
 *
 *   the pod (pod_step.c):
 *     ADMIT -> SETUP -> SANDBOX -> NETWORK -> RUN -> STOP -> CLEAN -> DONE -> GONE
 *     SETUP..NETWORK --failure--> CLEAN -> BACKOFF -> SETUP      shim lost: RUN -> CLEAN -> SETUP
 *     ADMIT..RUN --deleted, finished, too long--> STOP           adopted: ADMIT -> SANDBOX
 *   each container (pod_container.c), ticked by the pod while it is in RUN or STOP:
 *     WAIT -> PULL -> CONFIG -> CREATE -> START -> RUN -> EXITED -> WAIT (again) or the end
 *     RUN --probe, change, pod ends--> KILL -> EXITED            PULL..START --failure--> WAIT
 *
 * On disk: <run-dir>/pods/UID is the ledger: pod.json is there before anything else of the pod is,
 * and goes last; the shim keeps its state beside it. <data-dir>/pods/UID holds what may be large:
 * volumes, writable layers; <data-dir>/logs/NS_NAME_UID the logs, as long as the object is there.
 */
#ifndef RUNTIME_NODE_POD_H
#define RUNTIME_NODE_POD_H

#include "core/loop/sm.h"
#include "gen/views.h"
#include "runtime/node/node_env.h"
#include "runtime/node/node_exec.h"
#include "runtime/node/node_listen.h"
#include "runtime/node/node_self.h"
#include "runtime/node/probe.h"

struct node_hook;
struct node_images_req;
struct node_ref_set;
struct node_volumes;
struct pod_flight;

#define POD_BACKOFF_MIN_MS 10000         /* of a container that ends, and of a pull that fails */
#define POD_BACKOFF_MAX_MS 300000
#define POD_BACKOFF_FORGET_MS 600000     /* ran longer: starts from the beginning */
#define POD_RETRY_MIN_MS 1000            /* of volumes, sandbox and configuration */
#define POD_RETRY_MAX_MS 60000
#define POD_GRACE_MIN_MS 2000            /* between TERM and KILL, whatever is asked */
#define POD_CONTAINERS_MAX 60            /* of all kinds; the shim's limit includes exited ones */
#define POD_EPHEMERAL_SPARE 8            /* that may come later */
#define POD_ID_BYTES 65                  /* container id: 64 hex digits */
#define POD_MESSAGE_MAX 4096             /* bytes of a termination message */
#define POD_GRACE_SPEC (-1)              /* the grace period that object or spec say */

enum pod_state { POD_ADMIT, POD_SETUP, POD_SANDBOX, POD_NETWORK, POD_RUN, POD_BACKOFF, POD_STOP,
                 POD_CLEAN, POD_DONE, POD_GONE, POD_STATE_MAX };

enum pod_kind { POD_INIT, POD_SIDECAR, POD_MAIN, POD_EPHEMERAL };

enum pod_c_state { POD_C_WAIT, POD_C_PULL, POD_C_CONFIG, POD_C_CREATE, POD_C_START, POD_C_RUN,
                   POD_C_KILL, POD_C_EXITED, POD_C_MAX };

/* One run of a container. */
struct pod_run {
    char id[POD_ID_BYTES];               /* "": never */
    bool created, started, ended;
    int exit_code, signal;
    int64_t started_ns, finished_ns;     /* since 1970 */
    const char *reason;                  /* when ended: "Completed", "Error", "OOMKilled" ... */
    char *message;
    unsigned attempt;                    /* restartCount of it */
};

/* Work on its way for a pod or a container: begun, and then over, with err. */
struct pod_op { bool busy, over; struct err err; };

struct pod_kill {
    int64_t grace_ms, since_ms;
    bool hook_begun, hook_over, termed, killed;
};

struct pod;

struct pod_container {
    struct pod *pod;
    struct sm sm;
    char *name, *field;                  /* field: spec.containers{web}, of Events */
    enum pod_kind kind;
    unsigned index;                      /* in its list of the spec */
    struct pod_run now, last;
    unsigned attempts;                   /* runs so far: the next one's number */
    char *image, *image_id, *stop_signal;        /* of this run */
    char next_id[POD_ID_BYTES];          /* of the run that is being made */
    struct arena *plan_arena;            /* from CONFIG to CREATE */
    struct oci_plan *plan;
    struct object *plan_object;          /* whose texts it borrows */
    struct cgroup_limits limits;
    struct node_images_req *pull;
    struct image *im;                    /* from PULL to CREATE */
    struct image_mount mount;
    bool has_image;
    struct pod_op op;
    unsigned stage;                      /* within CREATE */
    const char *waiting;                 /* reason while it waits; NULL: by the pod's progress */
    char *waiting_message;
    int64_t again_ms, told_ms;           /* WAIT: not before; when it began to wait */
    int64_t backoff_ms, pull_backoff_ms, config_backoff_ms;
    const char *stop_why;                /* not NULL: kill it (it runs anew unless the pod ends) */
    int64_t stop_grace_ms;
    bool judged;                         /* what follows now's end is decided */
    bool again_anyway;                   /* killed by us to run anew, whatever its exit code */
    struct pod_kill kill;
    bool post_start_over;
    bool was_started, was_ready;         /* by the API's status, when adopted */
    struct node_listen_ports serves;     /* TCP: spec.ports, else what the image exposes */
    struct probe_set *probes;
    struct probe_counts probed;
    struct node_hook *hook;              /* postStart or preStop on its way */
    struct object *hook_object;          /* whose handler it runs */
};

struct pod {
    struct node_self *self;
    struct object *object;               /* the newest; its last when it is deleted */
    const struct pod_view *view;         /* of it */
    char *uid, *ns, *name;
    struct sm sm;
    struct pod_container *containers;    /* init and sidecars, main, ephemeral */
    size_t n_containers, cap_containers;
    struct list jobs;                    /* struct pod_job */
    struct pod_op op;
    unsigned stage;                      /* within a state */
    struct shim *shim;
    bool shim_ready, shim_lost;
    struct pod_net_lease lease;
    bool has_lease;
    int64_t start_us;                    /* status.startTime */
    int64_t again_ms, backoff_ms, stop_since_ms, clean_again_ms, clean_backoff_ms;
    bool deleting;                       /* the object asks to go */
    bool gone;                           /* no object of this uid any more */
    bool ending;                         /* node_stop_pods */
    bool adopted;                        /* a shim of a former run may be there */
    bool recorded;                       /* pod.json is there */
    bool counted;                        /* as started */
    bool known;                          /* from the disk, before the API said anything */
    bool again;                          /* CLEAN leads to BACKOFF, not to DONE */
    int64_t end_grace_ms;
    const char *fail_reason;             /* status.reason with phase Failed */
    char *fail_message;
    char *dir, *data, *group, *logs;     /* <run>/pods/UID, <data>/pods/UID, "podUID", see above */
    struct node_ref_set *refs;
    struct node_volumes *volumes;
    bool volumes_stale;                  /* prepare again */
    int64_t volumes_again_ms, volumes_backoff_ms;
    struct loop_timer tick, timer;
    int64_t timer_ms;
    char *final;                         /* status at the end, as sent; kept in pod.json */
    char *sent, *sending;                /* texts of status: acknowledged, on its way */
    bool delete_done;
    int64_t status_again_ms, sent_ms;
    int64_t sent_rv;                     /* resource version that the acknowledged write gave */
    char *told;                          /* what of the sent status users wait for */
    struct pod_flight *status_flight, *delete_flight;
};

struct pod_new_opts {
    struct object *object;
    int64_t start_us;                    /* 0: now */
    const char *final;                   /* from pod.json; NULL: it did not end */
    const char *attempts;                /* from pod.json; NULL: nothing */
    bool adopted;
};
struct pod *pod_new(struct node_self *self, const struct pod_new_opts *o);
/* Lets go of the shim; nothing ends. NULL is fine. */
struct pod *pod_free(struct pod *p);
/* Once the node's network is known: the address that the object says, when this pod has none. */
void pod_claim_address(struct pod *p);
void pod_set_object(struct pod *p, struct object *o);    /* newer, of the same uid */
void pod_set_gone(struct pod *p);                        /* the object is deleted */
void pod_end(struct pod *p, int64_t grace_ms);           /* stop it, the object stays */
void pod_touch(struct pod *p);                           /* tick soon */
void pod_touch_at(struct pod *p, int64_t at_ms);         /* tick at this time at the latest */

struct pod_container *pod_find(const struct pod *p, const char *container);
/* Its part of the spec, always the newest; ephemeral ones are read through the common part. */
const struct container_view *pod_spec(const struct pod_container *c);
bool pod_is_running(const struct pod_container *c);      /* its process is there */
const char *pod_ip(const struct pod *p);                 /* "" when it has none yet */
bool pod_is_stopping(const struct pod *p);
/* Events of type Normal and Warning; c NULL: of the pod as a whole. */
void pod_event(struct pod *p, const struct pod_container *c, const char *reason,
               const char *format, ...) __attribute__((format(printf, 4, 5)));
void pod_warn(struct pod *p, const struct pod_container *c, const char *reason,
              const char *format, ...) __attribute__((format(printf, 4, 5)));
const char *pod_key(const struct pod *p, char out[OBJECT_KEY_BYTES]);    /* "name_ns(uid)" */
/* For probes, hooks and streams; false when it does not run. */
bool pod_target(struct pod_container *c, struct node_exec_target *out);
struct node_env_facts pod_facts(struct pod *p);          /* texts live with the pod */

#endif
