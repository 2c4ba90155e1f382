/* cmd/join_config.h -- the settings that a whole cluster shares: a server tells them as JSON at
 * /v1-inro/config, an agent takes them over its own and keeps the text for a start without a
 * server. */
#ifndef CMD_JOIN_CONFIG_H
#define CMD_JOIN_CONFIG_H

#include "cmd/config.h"

#define JOIN_CONFIG_MAX (64u << 10)      /* bytes of the text */

/* client_ca_pem: of the certificates that the API shows to nodes. */
void join_config_write(struct buf *out, const struct config *c, const char *client_ca_pem);
/* Checks all of it before anything is taken; *client_ca lives in the configuration's arena. */
int join_config_apply(struct config *c, struct slice text, const char **client_ca,
                      struct err *err);

#endif
