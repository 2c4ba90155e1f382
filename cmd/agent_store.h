/* cmd/agent_store.h -- what an agent keeps in <data-dir>/agent (0700, files 0600): who it is, whom
 * it trusts, and the settings of its cluster. With it a node starts without a token, and without
 * a server.
 *
 * A certificate and its key are one file, so that a power cut leaves the old pair or the new one.
 */
#ifndef CMD_AGENT_STORE_H
#define CMD_AGENT_STORE_H

#include <stdint.h>

#include "cmd/config.h"
#include "cmd/role.h"

/* With so much of its life left a certificate is renewed. */
#define AGENT_STORE_RENEW_PERCENT 30

struct agent_store {
    int dir;                             /* -1: not open */
    char *text[ROLE_PEM_MAX];            /* NULL: not there */
};

/* Makes the folder and the node's password when they are missing. Damaged files count as
 * missing. */
int agent_store_open(struct agent_store *s, const struct config *c, struct err *err);
void agent_store_close(struct agent_store *s);       /* callable twice */
/* Remembers what came home: durable before it is used. NULL entries stay as they are. */
int agent_store_put(struct agent_store *s, char *const got[ROLE_PEM_MAX], struct err *err);

/* The address that this node joined with; NULL: it did not. In the configuration's arena. */
const char *agent_store_address(const struct agent_store *s, const struct config *c);
/* Which certificates should be asked for, as ROLE_WANT letters: missing, for another name or
 * address, signed by another authority's server, or near their end. */
void agent_store_wants(const struct agent_store *s, const struct config *c, int64_t now_s,
                       char out[8]);
/* Seconds until a certificate should be renewed; 0: now. */
int64_t agent_store_due_s(const struct agent_store *s, const struct config *c, int64_t now_s);
/* The node's client certificate can still be shown. */
bool agent_store_has_client(const struct agent_store *s, const struct config *c, int64_t now_s);
/* All that the roles need is there and has not ended. */
bool agent_store_is_complete(const struct agent_store *s, const struct config *c, int64_t now_s);

#endif
