/* cmd/pki.h -- the keys and certificates of a server, in <data-dir>/server/tls (0700, files
 * 0600).
 *
 * Two authorities: one signs what servers show (server-ca), one what clients show (client-ca).
 * Authorities and the service accounts' key are made once and kept; the certificates below them
 * are made anew at a start when they are missing or damaged, end within PKI_RENEW_S, were not
 * signed by the authority that is there, or name other things than they should (a new --tls-
 * san, another address).
 */
#ifndef CMD_PKI_H
#define CMD_PKI_H

#include <stdint.h>

#include "cmd/config.h"

#define PKI_CA_S (3650ll * 86400)
#define PKI_CERT_S (365ll * 86400)
#define PKI_RENEW_S (90ll * 86400)
/* certificates are valid from this long before they are made */
#define PKI_EARLY_S 3600

enum pki_id {
    PKI_API,                             /* the API, to its clients */
    PKI_API_CLIENT,                      /* the API, to nodes: logs, exec */
    PKI_ADMIN,                           /* of the kubeconfig: group system:masters */
    PKI_NODE,                            /* this node, to the API */
    PKI_NODE_SERVER,                     /* this node, to the API when that connects to it */
    PKI_DNS,                             /* the dns role, to the API */
    PKI_MAX
};

struct pki_pair { char *cert, *key; };   /* PEM */

struct pki {
    char *server_ca, *client_ca;         /* certificates, PEM */
    char *server_ca_key, *client_ca_key; /* PEM */
    char *sa_key;                        /* private key that signs service accounts' tokens, PEM */
    struct pki_pair v[PKI_MAX];
    unsigned issued;                     /* certificates made by this call, authorities included */
};

/* c after config_derive. */
int pki_load(struct pki *out, const struct config *c, int64_t now_s, struct err *err);
void pki_deinit(struct pki *p);          /* callable twice */

#endif
