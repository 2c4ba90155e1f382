/* core/control/csr.h -- a CertificateSigningRequest as approver and signer see it, and upstream's
 * rules of what each signer signs. For this room only. */
#ifndef CORE_CONTROL_CSR_H
#define CORE_CONTROL_CSR_H

#include "core/control/control_impl.h"
#include "core/crypto/crypto.h"

#define CSR_SIGNER_CLIENT "kubernetes.io/kube-apiserver-client"
#define CSR_SIGNER_KUBELET "kubernetes.io/kube-apiserver-client-kubelet"
#define CSR_SIGNER_SERVING "kubernetes.io/kubelet-serving"
#define CSR_NODE_PREFIX "system:node:"
#define CSR_NODES "system:nodes"

struct csr {
    struct json *tree;                   /* the object's, in the pass's arena */
    const struct json *spec;
    const char *signer, *username;
    struct crypto_csr *request;          /* owned */
    const struct crypto_names *names;
    bool approved, denied, failed, issued;
};

/* ERR_INVALID: its request cannot be read. */
int csr_init(struct csr *c, const struct object *o, struct arena *a, struct err *err);
void csr_deinit(struct csr *c);
bool csr_by_group(const struct csr *c, const char *group);       /* its maker is of this group */
/* Whether subject, names and usages are what this request's signer signs. */
int csr_check(const struct csr *c, struct err *err);
/* Adds a condition of status True to the tree. */
void csr_set_condition(struct csr *c, struct arena *a, const char *type, const char *reason,
                       const char *message);

#endif
