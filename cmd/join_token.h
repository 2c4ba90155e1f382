/* cmd/join_token.h -- the texts by which a machine joins, in k3s's form:
 *
 *   K10<sha256 in hex of the authority's certificate, as PEM>::<secret>
 *
 * The secret is "abcdef.0123456789abcdef" (inro token create) or "server:PASSWORD" (the server's
 * own, in <data-dir>/server/token). A secret alone is a token too, but pins no authority.
 */
#ifndef CMD_JOIN_TOKEN_H
#define CMD_JOIN_TOKEN_H

#include "cmd/config.h"
#include "core/crypto/crypto.h"

#define JOIN_TOKEN_SECRET_MAX 256        /* bytes, with terminator */
#define JOIN_TOKEN_FILE_MAX 4096

struct join_token {
    char ca_hash[CRYPTO_SHA256_HEX_BYTES];       /* "": pins nothing */
    char secret[JOIN_TOKEN_SECRET_MAX];
};

int join_token_parse(struct join_token *out, const char *text, struct err *err);
void join_token_write(struct buf *out, const char *ca_pem, const char *secret);
bool join_token_is_bootstrap(const char *secret);        /* six, a dot, sixteen */
void join_token_random(char out[JOIN_TOKEN_SECRET_MAX]);  /* a new one of that form */
void join_token_random_password(struct join_token *out); /* the same for a server's own */
void join_token_ca_hash(char out[CRYPTO_SHA256_HEX_BYTES], struct slice ca_pem);

/* What --token or the file of --token-file says, without white space around it; "" for neither. */
int join_token_given(const struct config *c, const char **out, struct err *err);

/* The server's own: --token, or what its file holds, or a random one. The file names the
 * authority that is there now. */
int join_token_of_server(struct join_token *out, const struct config *c, const char *ca_pem,
                         struct err *err);
/* Makes this secret ("server:PASSWORD") the server's own. */
int join_token_store(const struct config *c, const char *ca_pem, const char *secret,
                     struct err *err);

#endif
