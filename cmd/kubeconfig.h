/* cmd/kubeconfig.h -- the administrator's kubeconfig: one cluster, one user, one context, all
 * named "default". */
#ifndef CMD_KUBECONFIG_H
#define CMD_KUBECONFIG_H

#include "core/base/mem.h"
#include "core/base/str.h"

#define KUBECONFIG_FILE_MAX (1u << 20)

struct kubeconfig {
    const char *server;                          /* "https://127.0.0.1:6443" */
    const char *ca_pem, *cert_pem, *key_pem;     /* embedded */
};

void kubeconfig_text(struct buf *out, const struct kubeconfig *k);
/* Atomic; makes the folder. A file with the same content is left alone. */
int kubeconfig_write(const struct kubeconfig *k, const char *path, unsigned mode, struct err *err);
/* One of this form, read back; texts live in the arena. */
int kubeconfig_read(struct kubeconfig *out, struct arena *a, const char *path, struct err *err);

#endif
