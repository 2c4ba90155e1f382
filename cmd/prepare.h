/* cmd/prepare.h -- what must be there before the first role of a server starts: folders, locks,
 * sockets, keys, the kubeconfig. Each failure is one error that names the flag to change. */
#ifndef CMD_PREPARE_H
#define CMD_PREPARE_H

#include "cmd/config.h"
#include "cmd/pki.h"
#include "core/crypto/crypto.h"

struct prepared {
    struct pki pki;
    int api;                             /* listening */
    int dns_udp, dns_tcp;                /* -1: no dns role */
    char token_hash[CRYPTO_SHA256_HEX_BYTES];    /* of the server's own token */
};

bool prepare_has_dns(const struct config *c);            /* the cluster: its nodes answer names */
bool prepare_wants_dns(const struct config *c);          /* this host is one of them */
/* The locks stay until the process ends. */
int prepare_server(struct prepared *out, const struct config *c, struct err *err);
/* Of a running server: certificates that are near their end, the token that is in its file now.
 * 1: some of it is new. */
int prepare_again(struct prepared *p, const struct config *c, struct err *err);
void prepare_deinit(struct prepared *p);

/* The same for an agent: folders and locks; and, once the settings are known, the sockets of the
 * name server (-1 when this cluster has none). */
int prepare_agent(const struct config *c, struct err *err);
int prepare_dns(const struct config *c, int *udp, int *tcp, struct err *err);

#endif
