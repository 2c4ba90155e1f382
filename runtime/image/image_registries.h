/* runtime/image/image_registries.h -- where an image is asked for: the registry itself and, before
 * it, the mirrors of registries.yaml, as k3s reads it:
 *
 *   mirrors:
 *     docker.io:                  # or "*"
 *       endpoint: ["https://mirror.example.org:5000"]
 *       rewrite: {"^library/(.*)": "hub/$1"}
 *   configs:
 *     "mirror.example.org:5000":  # or "*"
 *       auth: {username: u, password: p}     # or auth: BASE64, identity_token: TOKEN
 *       tls: {ca_file: /x.pem, cert_file: /c.pem, key_file: /k.pem, insecure_skip_verify: false}
 */
#ifndef RUNTIME_IMAGE_IMAGE_REGISTRIES_H
#define RUNTIME_IMAGE_IMAGE_REGISTRIES_H

#include "runtime/image/image_auth.h"

#define IMAGE_ENDPOINTS_MAX 20
#define IMAGE_REGISTRIES_BYTES_MAX (1u << 20)
#define IMAGE_PEM_BYTES_MAX (1u << 20)

struct image_endpoint {
    const char *url;  /* "https://mirror.example.org:5000/v2", no slash at the end */
    const char *path;                   /* the repository there, rewritten */
    const char *ns;  /* a mirror is told whom it stands for; "" for the registry itself */
    const char *ca_pem, *cert_pem, *key_pem;  /* "" when not given; ca_pem "": the system's roots */
    bool insecure;                      /* any certificate will do */
    struct image_creds creds;           /* to be tried in order; none: anonymous */
};

struct image_endpoints { struct image_endpoint v[IMAGE_ENDPOINTS_MAX]; size_t n; };

/* file NULL or missing: only the registry. ca_pem: what the caller trusts beside, "" for nothing.
 * creds: of the pull secrets, for the registry only. */
struct image_registries_opts {
    const char *file;
    const char *ca_pem;
    const struct image_creds *creds;
};
int image_registries_find(struct image_endpoints *out, struct arena *a, const struct image_ref *ref,
                          const struct image_registries_opts *o, struct err *err);
/* Names that plain HTTP is spoken to: localhost, 127.0.0.0/8, [::1]; with or without a port. */
bool image_registries_is_loopback(const char *host);

#endif
