/* cmd/deciders.h -- controllers and scheduler: one loop and thread of their own beside the
 * API's, on clients that call the API in process. */
#ifndef CMD_DECIDERS_H
#define CMD_DECIDERS_H

#include "cmd/config.h"
#include "core/api/api.h"
#include "core/control/control.h"

struct deciders;

struct deciders_facts {
    const char *root_ca_pem;             /* what pods are to trust; copied */
    struct control_signer server_signer, client_signer;      /* borrowed, as the next */
    const struct crypto_cert *api_cert;
};

int deciders_new(struct deciders **out, struct api *api, const struct config *c,
                 const struct deciders_facts *facts, struct err *err);
#define DECIDERS_STUCK_MS 10000          /* of one round of their loop */
/* -1: they hang, or did not start. */
int deciders_health(const struct deciders *d, struct err *err);
void deciders_metrics(const struct deciders *d, struct buf *out);
struct deciders *deciders_free(struct deciders *d);      /* before the API; ends the thread */
CLEANUP_DEFINE(struct deciders, deciders_free)

#endif
