/* core/tls/tls.h -- TLS 1.2 and 1.3 sessions over a non-blocking socket.
 *
 * A session never waits: calls answer TLS_AGAIN, and tls_events() says what the socket must be
 * ready for. The fd and its loop_io stay the caller's. A context may be shared by the loops of one
 * process (it is refcounted, its material immutable); a session belongs to one loop.
 *
 *   NEW --tls_handshake: 0--> OPEN --tls_read: 0 or tls_shutdown--> CLOSED
 */
#ifndef CORE_TLS_TLS_H
#define CORE_TLS_TLS_H

#include <sys/types.h>

#include "core/base/cleanup.h"
#include "core/base/env.h"
#include "core/base/str.h"
#include "core/crypto/crypto.h"

#define TLS_AGAIN (-2)
#define TLS_SESSION_BYTES (44u << 10)    /* what one open session holds, about; for budgets */
#define TLS_RECORD_MAX 16384

struct tls_ctx;

struct tls_ctx_opts {
    bool server;
    /* own certificate with its chain; a client's may be empty */
    struct slice cert_pem, key_pem;
    /* client: the trusted roots; server: the client CAs (may be empty) */
    struct slice ca_pem;
    const char *const *alpn;             /* NULL-terminated, static; NULL: none */
    bool insecure;                       /* client: takes any certificate */
    /* server: asks for a client certificate; a bad one does not end the handshake: tls_peer() and
     * tls_peer_why() tell */
    bool want_peer;
};

int tls_ctx_new(struct tls_ctx **out, const struct tls_ctx_opts *opts, struct err *err);
struct tls_ctx *tls_ctx_ref(struct tls_ctx *c);
struct tls_ctx *tls_ctx_unref(struct tls_ctx *c);
CLEANUP_DEFINE(struct tls_ctx, tls_ctx_unref)
/* New material for sessions to come, from any thread; open sessions keep theirs. On error all stays
 * as it was. */
int tls_ctx_reload(struct tls_ctx *c, const struct tls_ctx_opts *opts, struct err *err);

struct tls;

/* server_name: client: the name or address in the peer's certificate (also SNI); NULL on a server.
 */
int tls_new(struct tls **out, struct tls_ctx *ctx, int fd, const char *server_name,
            struct err *err);
struct tls *tls_free(struct tls *t);
CLEANUP_DEFINE(struct tls, tls_free)

/* 0 done, TLS_AGAIN, -1 */
int tls_handshake(struct tls *t, struct err *err);
/* bytes, 0 at the end, TLS_AGAIN, -1 */
ssize_t tls_read(struct tls *t, void *p, size_t len, struct err *err);
/* Bytes taken (maybe fewer), TLS_AGAIN, -1. After TLS_AGAIN call again with at least the same
 * bytes. */
ssize_t tls_write(struct tls *t, const void *p, size_t len, struct err *err);
/* sends close-notify: 0, TLS_AGAIN, -1 */
int tls_shutdown(struct tls *t, struct err *err);
/* LOOP_READ or LOOP_WRITE, after TLS_AGAIN */
unsigned tls_events(const struct tls *t);
/* decrypted bytes that wait inside */
size_t tls_pending(const struct tls *t);

/* After the handshake. */
/* "h2"; "" when none was agreed */
const char *tls_alpn(const struct tls *t);
/* borrowed; NULL: it showed none */
struct crypto_cert *tls_peer(const struct tls *t);
/* NULL: trusted; else why it is not */
const char *tls_peer_why(const struct tls *t);
const char *tls_version(const struct tls *t);                             /* "TLSv1.3" */

#endif
