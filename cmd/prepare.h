/* cmd/prepare.h -- what must be there before the first role of a server starts: folders, locks,
 * sockets, keys, the kubeconfig. Each failure is one error that names the flag to change. */
#ifndef CMD_PREPARE_H
#define CMD_PREPARE_H

#include "cmd/config.h"
#include "cmd/pki.h"

struct prepared {
    struct pki pki;
    int api;                             /* listening */
    int dns_udp, dns_tcp;                /* -1: no dns role */
};

bool prepare_has_dns(const struct config *c);            /* the cluster: its nodes answer names */
bool prepare_wants_dns(const struct config *c);          /* this host is one of them */
/* The locks stay until the process ends. */
int prepare_server(struct prepared *out, const struct config *c, struct err *err);
void prepare_deinit(struct prepared *p);

#endif
