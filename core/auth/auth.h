/* core/auth/auth.h -- who are you, and may you.
 *
 * A user is named by the certificate of the connection (CN is the name, O are the groups, as
 * upstream's x509 authenticator has it) or by a service-account token. What may be done is a table
 * of rules per group: the cluster's own identities; RBAC objects come with the next slice. Pure;
 * any thread.
 */
#ifndef CORE_AUTH_AUTH_H
#define CORE_AUTH_AUTH_H

#include <stdbool.h>
#include <stddef.h>

#include "core/base/mem.h"
#include "core/crypto/crypto.h"

#define AUTH_GROUPS_MAX 32
#define AUTH_BOOTSTRAPPERS "system:bootstrappers"    /* machines that want to be nodes */

struct auth_user {
    const char *name;                    /* "system:anonymous" for none */
    const char *uid;                     /* "" for certificates */
    const char *groups[AUTH_GROUPS_MAX];
    size_t n_groups;
};

/* Texts live in the arena. A NULL certificate is anonymous; every other user also gets
 * system:authenticated. */
void auth_user_of_cert(struct auth_user *out, struct arena *a, const struct crypto_cert *cert);
void auth_user_named(struct auth_user *out, const char *name, const char *group);
void auth_user_of_service_account(struct auth_user *out, struct arena *a, const char *ns,
                                  const char *name,
                                  const char *uid);
bool auth_user_in(const struct auth_user *u, const char *group);

struct auth_request {
    /* "get", "list", "create", ...; lower-case method for a path */
    const char *verb;
    const char *path;                    /* of a non-resource request, else NULL */
    const char *group, *resource, *subresource, *ns, *name;   /* "" where not given */
};

bool auth_allows(const struct auth_user *u, const struct auth_request *r);

#endif
