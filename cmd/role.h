/* cmd/role.h -- a role: this program re-executed by the parent, with one job and as few rights
 * as that needs.
 *
 *   parent                         role
 *   child_start "control" -------> role_main: waits
 *   ROLE_CONFIG, ROLE_PEM... ----> kept
 *   ROLE_GO ---------------------> lock (the former one has gone), rights given up, start
 *   refusals <------------------- ROLE_REFUSALS, where the kernel can tell
 *   ready <---------------------- ROLE_READY
 *   ROLE_PEM..., ROLE_RELOAD ----> other secrets from now on, without a new start
 *   SIGTERM, or our end closes --> stop in reverse, exit 0
 *
 * A role that fails exits; the parent starts it again. Secrets come by the socket: a role reads
 * no key file.
 */
#ifndef CMD_ROLE_H
#define CMD_ROLE_H

#include "cmd/config.h"
#include "core/base/str.h"
#include "core/loop/imsg.h"
#include "core/loop/loop.h"
#include "runtime/confine/confine.h"

#define ROLE_FD (IMSG_FD + 1)            /* the first descriptor given by the parent */

enum { ROLE_CONFIG = IMSG_USER, ROLE_PEM, ROLE_GO, ROLE_READY, ROLE_RELOAD, ROLE_STOP_PODS,
       ROLE_REFUSALS };                  /* a descriptor for refusals.h */

/* ROLE_JOIN is short-lived, an agent's: it asks the server for certificates and settings, sends
 * them home as ROLE_PEM, or an error, and ends. */
enum role_id { ROLE_CONTROL, ROLE_NODE, ROLE_DNS, ROLE_JOIN, ROLE_MAX };

/* What a role is given. */
enum role_pem {
    ROLE_SERVER_CA, ROLE_CLIENT_CA, ROLE_SA_KEY, ROLE_CERT, ROLE_KEY, ROLE_CLIENT_CERT,
    ROLE_CLIENT_KEY,
    ROLE_SERVER_CA_KEY, ROLE_CLIENT_CA_KEY,      /* control: signs with them */
    ROLE_TOKEN,                          /* control: digest of the server's; join: a token */
    ROLE_DNS_CERT, ROLE_DNS_KEY,         /* from join: client certificate of the name server */
    ROLE_CLUSTER,                        /* from join: join_config.h */
    ROLE_NODE_PASSWORD,                  /* join: proves that the node's name is ours */
    ROLE_WANT,                           /* join: which certificates, ROLE_WANT_* */
    ROLE_PEM_MAX
};

/* Letters of ROLE_WANT. */
#define ROLE_WANT_CLIENT 'c'
#define ROLE_WANT_SERVING 's'
#define ROLE_WANT_DNS 'd'

struct role {
    const struct role_row *row;
    struct config *config;
    char *pem[ROLE_PEM_MAX];
    struct loop *loop;
    const char *root;                    /* <data-dir>/server, as this process sees it */
    struct plugins *plugins;             /* control: what open() opened */
    bool stop_pods;                      /* stop: the pods too */
    struct selfstat *selfstat;           /* opened before the rights go */
    void *state;                         /* the row's */
    struct loop_io on_parent, on_signal; /* private */
    struct loop_timer trim;
    int lock, signals;
};

struct role_row {
    const char *verb;
    enum confine_role confined;          /* the rights it keeps */
    int (*open)(struct role *r, struct err *err);    /* with all rights; or NULL */
    int (*start)(struct role *r, struct err *err);
    /* On the loop; the loop ends when the role calls loop_stop, at once or later. */
    void (*stop)(struct role *r);
    void (*release)(struct role *r);     /* after the loop; also after a failed start */
    /* Secrets are others now: connections to come use them. NULL: nothing to do. */
    int (*reload)(struct role *r, struct err *err);
};

extern const struct role_row role_rows[ROLE_MAX];

/* The hidden verbs: exit status. */
int role_main(int argc, char **argv);
/* Tells the parent; once. */
void role_ready(void);
/* Waits until no process of this role of a former server is left: it may hold what we need. */
int role_wait_former(const struct config *c, enum role_id id, struct err *err);
struct slice role_pem(const struct role *r, enum role_pem id);
/* A secret that is not needed any more. */
void role_pem_wipe(struct role *r, enum role_pem id);

int role_control_open(struct role *r, struct err *err);
int role_control_start(struct role *r, struct err *err);
void role_control_stop(struct role *r);
void role_control_release(struct role *r);
int role_control_reload(struct role *r, struct err *err);
int role_node_start(struct role *r, struct err *err);
void role_node_stop(struct role *r);
void role_node_release(struct role *r);
int role_node_reload(struct role *r, struct err *err);
int role_dns_open(struct role *r, struct err *err);
int role_dns_start(struct role *r, struct err *err);
void role_dns_stop(struct role *r);
void role_dns_release(struct role *r);
int role_dns_reload(struct role *r, struct err *err);
int role_join_start(struct role *r, struct err *err);
void role_join_stop(struct role *r);
void role_join_release(struct role *r);

#endif
