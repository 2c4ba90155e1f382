/* cmd/kubeconfig.h -- the administrator's kubeconfig: one cluster, one user, one context, all
 * named "default". */
#ifndef CMD_KUBECONFIG_H
#define CMD_KUBECONFIG_H

#include "core/base/str.h"

struct kubeconfig {
    const char *server;                          /* "https://127.0.0.1:6443" */
    const char *ca_pem, *cert_pem, *key_pem;     /* embedded */
};

void kubeconfig_text(struct buf *out, const struct kubeconfig *k);
/* Atomic; makes the folder. A file with the same content is left alone. */
int kubeconfig_write(const struct kubeconfig *k, const char *path, unsigned mode, struct err *err);

#endif
