/* runtime/image/image_auth.h -- who we are to a registry: pull secrets as kubelet matches them, and
 * challenges. Pure.
 */
#ifndef RUNTIME_IMAGE_IMAGE_AUTH_H
#define RUNTIME_IMAGE_IMAGE_AUTH_H

#include "core/base/json.h"
#include "runtime/image/image.h"

#define IMAGE_SECRET_BYTES_MAX (1u << 20)       /* of one secret, as in the API */
#define IMAGE_CREDS_MAX 100                     /* that match one image */

/* Texts are "" when not given. */
struct image_cred { const char *user, *password, *identity_token, *registry_token; };

struct image_creds { struct image_cred v[IMAGE_CREDS_MAX]; size_t n; };

/* Those of the secrets that fit the image, the most specific first. Secrets that cannot be read are
 * passed over, as kubelet does. Texts in the arena. */
void image_auth_match(struct image_creds *out, struct arena *a, const char *const *dockerconfigs,
                      const struct image_ref *ref);
/* "dXNlcjpwdw==" -> user and password; false when it is none. */
bool image_auth_decode(struct image_cred *out, struct arena *a, const char *basic);

/* A WWW-Authenticate header: the first challenge in it that we can answer, Bearer before Basic. */
struct image_challenge { bool bearer, basic; const char *realm, *service, *scope, *error; };
void image_auth_challenge(struct image_challenge *out, struct arena *a, const char *header);

#endif
