#include "core/tls/tls.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>

#include <mbedtls/error.h>
#include <mbedtls/net_sockets.h>
#include <mbedtls/ssl.h>

#include "core/base/mem.h"
#include "core/base/ref.h"
#include "core/loop/loop.h"

/* What a context consists of: immutable once made, shared by the sessions begun with it. */
struct tls_material {
    struct ref ref;
    mbedtls_ssl_config conf;
    mbedtls_x509_crt own, ca;
    mbedtls_pk_context key;
};

/* The lock guards the pointer alone: a reload comes from another thread than new sessions do. */
struct tls_ctx {
    struct ref ref;
    pthread_mutex_t lock;
    struct tls_material *now;
};

struct tls {
    mbedtls_ssl_context ssl;
    struct tls_material *material;
    struct crypto_cert *peer;
    char why[128];
    int fd;
    unsigned events;
    bool open, over;
    /* length of the write that is half done; it must be repeated as it was */
    size_t unsent;
};

/* AES first: every machine of today has instructions for it. */
static const int tls_suites[] = {
    MBEDTLS_TLS1_3_AES_128_GCM_SHA256,
    MBEDTLS_TLS1_3_AES_256_GCM_SHA384,
    MBEDTLS_TLS1_3_CHACHA20_POLY1305_SHA256,
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    MBEDTLS_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    MBEDTLS_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    MBEDTLS_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    0,
};

static int tls_rng(void *ctx, unsigned char *out, size_t len)
{
    (void)ctx;
    crypto_random(out, len);
    return 0;
}

static int tls_fail(struct err *err, int code, int rc, const char *what)
{
    char text[128];

    mbedtls_strerror(rc, text, sizeof(text));
    return err_set(err, code, "%s: %s (-0x%04x)", what, text, (unsigned)-rc);
}

static struct tls_material *material_unref(struct tls_material *m)
{
    if (!m || !ref_put(&m->ref))
        return NULL;
    mbedtls_ssl_config_free(&m->conf);
    mbedtls_x509_crt_free(&m->own);
    mbedtls_x509_crt_free(&m->ca);
    mbedtls_pk_free(&m->key);
    return mem_free(m);
}
CLEANUP_DEFINE(struct tls_material, material_unref)

/* Certificates of a PEM text; those of a bundle that the library cannot read are left out. */
static int material_certs(mbedtls_x509_crt *out, struct slice pem, const char *what,
                          struct err *err)
{
    _cleanup_buf_ struct buf text = BUF_INIT;
    int rc;

    if (!pem.len)
        return 0;
    if (pem.len > CRYPTO_BUNDLE_MAX)
        return err_set(err, ERR_QUOTA, "%s: more than %u bytes", what, CRYPTO_BUNDLE_MAX);
    buf_add(&text, pem.p, pem.len);
    rc = mbedtls_x509_crt_parse(out, (unsigned char *)text.p, text.len + 1);
    if (rc < 0)
        return tls_fail(err, ERR_INVALID, rc, what);
    if (!out->raw.p)
        return err_set(err, ERR_INVALID, "%s: no certificate that can be read", what);
    return 0;
}

static int material_key(struct tls_material *m, struct slice pem, struct err *err)
{
    _cleanup_buf_ struct buf text = BUF_INIT;
    int rc;

    buf_add(&text, pem.p, pem.len);
    buf_chr(&text, 0);
    rc = mbedtls_pk_parse_key(&m->key, (unsigned char *)text.p, text.len, NULL, 0, tls_rng, NULL);
    explicit_bzero(text.p, text.len);
    if (rc)
        return tls_fail(err, ERR_INVALID, rc, "private key");
    if (mbedtls_pk_check_pair(&m->own.pk, &m->key, tls_rng, NULL))
        return err_set(err, ERR_INVALID, "certificate and private key do not belong together");
    return 0;
}

static int material_conf(struct tls_material *m, const struct tls_ctx_opts *o, struct err *err)
{
    mbedtls_ssl_config *c = &m->conf;
    int rc, mode = MBEDTLS_SSL_VERIFY_REQUIRED;

    rc = mbedtls_ssl_config_defaults(c, o->server ? MBEDTLS_SSL_IS_SERVER : MBEDTLS_SSL_IS_CLIENT,
                                     MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT);
    if (rc == 0 && m->own.raw.p)
        rc = mbedtls_ssl_conf_own_cert(c, &m->own, &m->key);
    if (rc == 0 && o->alpn)
        rc = mbedtls_ssl_conf_alpn_protocols(c, (const char **)o->alpn);
    if (rc)
        return tls_fail(err, ERR_FAILED, rc, "set up TLS");
    if (o->server)
        mode = o->want_peer ? MBEDTLS_SSL_VERIFY_OPTIONAL : MBEDTLS_SSL_VERIFY_NONE;
    else if (o->insecure)
        mode = MBEDTLS_SSL_VERIFY_NONE;
    mbedtls_ssl_conf_authmode(c, mode);
    if (m->ca.raw.p)
        mbedtls_ssl_conf_ca_chain(c, &m->ca, NULL);
    mbedtls_ssl_conf_rng(c, tls_rng, NULL);
    mbedtls_ssl_conf_min_tls_version(c, MBEDTLS_SSL_VERSION_TLS1_2);
    mbedtls_ssl_conf_ciphersuites(c, tls_suites);
    /* a ticket saves little with P-256 and costs memory on both sides */
    mbedtls_ssl_conf_session_tickets(c, MBEDTLS_SSL_SESSION_TICKETS_DISABLED);
    if (o->server)
        mbedtls_ssl_conf_new_session_tickets(c, 0);
    return 0;
}

static int material_new(struct tls_material **out, const struct tls_ctx_opts *o, struct err *err)
{
    _cleanup_(material_unrefp) struct tls_material *m = NULL;

    if (crypto_init(err) < 0)
        return -1;
    m = NEW(struct tls_material);
    ref_init(&m->ref);
    mbedtls_ssl_config_init(&m->conf);
    mbedtls_x509_crt_init(&m->own);
    mbedtls_x509_crt_init(&m->ca);
    mbedtls_pk_init(&m->key);
    if (o->server && !o->cert_pem.len)
        return err_set(err, ERR_INVALID, "a TLS server needs a certificate");
    if (!o->server && !o->insecure && !o->ca_pem.len)
        return err_set(err, ERR_INVALID, "a TLS client needs roots to trust");
    if (material_certs(&m->own, o->cert_pem, "own certificate", err) < 0 ||
        material_certs(&m->ca, o->ca_pem, "trusted roots", err) < 0)
        return -1;
    if (o->cert_pem.len && material_key(m, o->key_pem, err) < 0)
        return -1;
    if (material_conf(m, o, err) < 0)
        return -1;
    *out = TAKE(m);
    return 0;
}

int tls_ctx_new(struct tls_ctx **out, const struct tls_ctx_opts *opts, struct err *err)
{
    struct tls_material *m = NULL;
    struct tls_ctx *c;

    if (material_new(&m, opts, err) < 0)
        return -1;
    c = NEW(struct tls_ctx);
    ref_init(&c->ref);
    pthread_mutex_init(&c->lock, NULL);
    c->now = m;
    *out = c;
    return 0;
}

struct tls_ctx *tls_ctx_ref(struct tls_ctx *c)
{
    ref_get(&c->ref);
    return c;
}

struct tls_ctx *tls_ctx_unref(struct tls_ctx *c)
{
    if (!c || !ref_put(&c->ref))
        return NULL;
    material_unref(c->now);
    pthread_mutex_destroy(&c->lock);
    return mem_free(c);
}

int tls_ctx_reload(struct tls_ctx *c, const struct tls_ctx_opts *opts, struct err *err)
{
    struct tls_material *m = NULL, *before;

    if (material_new(&m, opts, err) < 0)
        return -1;
    pthread_mutex_lock(&c->lock);
    before = c->now;
    c->now = m;
    pthread_mutex_unlock(&c->lock);
    material_unref(before);
    return 0;
}

static int tls_send(void *ctx, const unsigned char *p, size_t len)
{
    ssize_t n = send(((struct tls *)ctx)->fd, p, len, MSG_NOSIGNAL | MSG_DONTWAIT);

    if (n >= 0)
        return (int)n;
    if (errno == EAGAIN || errno == EINTR)
        return MBEDTLS_ERR_SSL_WANT_WRITE;
    return errno == EPIPE || errno == ECONNRESET ? MBEDTLS_ERR_NET_CONN_RESET
                                                 : MBEDTLS_ERR_NET_SEND_FAILED;
}

static int tls_recv(void *ctx, unsigned char *p, size_t len)
{
    ssize_t n = recv(((struct tls *)ctx)->fd, p, len, MSG_DONTWAIT);

    if (n >= 0)
        return (int)n;
    if (errno == EAGAIN || errno == EINTR)
        return MBEDTLS_ERR_SSL_WANT_READ;
    return errno == ECONNRESET ? MBEDTLS_ERR_NET_CONN_RESET : MBEDTLS_ERR_NET_RECV_FAILED;
}

int tls_new(struct tls **out, struct tls_ctx *ctx, int fd, const char *server_name, struct err *err)
{
    _cleanup_(tls_freep) struct tls *t = NEW(struct tls);
    int rc;

    t->fd = fd;
    mbedtls_ssl_init(&t->ssl);
    pthread_mutex_lock(&ctx->lock);
    t->material = ctx->now;
    ref_get(&t->material->ref);
    pthread_mutex_unlock(&ctx->lock);
    rc = mbedtls_ssl_setup(&t->ssl, &t->material->conf);
    if (rc == 0 && mbedtls_ssl_conf_get_endpoint(&t->material->conf) == MBEDTLS_SSL_IS_CLIENT)
        rc = mbedtls_ssl_set_hostname(&t->ssl, server_name);
    if (rc)
        return tls_fail(err, ERR_FAILED, rc, "begin a TLS session");
    mbedtls_ssl_set_bio(&t->ssl, t, tls_send, tls_recv, NULL);
    *out = TAKE(t);
    return 0;
}

struct tls *tls_free(struct tls *t)
{
    if (!t)
        return NULL;
    mbedtls_ssl_free(&t->ssl);
    material_unref(t->material);
    crypto_cert_unref(t->peer);
    return mem_free(t);
}

/* TLS_AGAIN with the events to wait for, or -1. */
static int tls_result(struct tls *t, int rc, const char *what, struct err *err)
{
    switch (rc) {
    case MBEDTLS_ERR_SSL_WANT_READ:
        t->events = LOOP_READ;
        return TLS_AGAIN;
    case MBEDTLS_ERR_SSL_WANT_WRITE:
        t->events = LOOP_WRITE;
        return TLS_AGAIN;
    case MBEDTLS_ERR_NET_CONN_RESET:
    case MBEDTLS_ERR_SSL_CONN_EOF:
        t->over = true;
        return err_set(err, ERR_UNAVAILABLE, "%s: connection closed by the peer", what);
    case MBEDTLS_ERR_X509_CERT_VERIFY_FAILED:
        t->over = true;
        if (mbedtls_x509_crt_verify_info(t->why, sizeof(t->why), "",
                                         mbedtls_ssl_get_verify_result(&t->ssl)) > 0)
            t->why[strcspn(t->why, "\n")] = 0;
        return err_set(err, ERR_DENIED, "%s: the peer's certificate: %s", what, t->why);
    default:
        t->over = true;
        return tls_fail(err, ERR_FAILED, rc, what);
    }
}

static void tls_note_peer(struct tls *t)
{
    const mbedtls_x509_crt *crt = mbedtls_ssl_get_peer_cert(&t->ssl);
    uint32_t flags = mbedtls_ssl_get_verify_result(&t->ssl);
    struct err err = ERR_INIT;

    if (!crt)
        return;
    if (crypto_cert_parse(&t->peer, (const char *)crt->raw.p, crt->raw.len, &err) < 0) {
        snprintf(t->why, sizeof(t->why), "%.100s", err.msg);
        return;
    }
    if (!flags)
        return;
    if (mbedtls_x509_crt_verify_info(t->why, sizeof(t->why), "", flags) <= 0)
        snprintf(t->why, sizeof(t->why), "certificate is not trusted");
    t->why[strcspn(t->why, "\n")] = 0;
}

int tls_handshake(struct tls *t, struct err *err)
{
    int rc;

    if (t->open)
        return 0;
    if (t->over)
        return err_set(err, ERR_UNAVAILABLE, "TLS handshake: the session is over");
    rc = mbedtls_ssl_handshake(&t->ssl);
    if (rc)
        return tls_result(t, rc, "TLS handshake", err);
    t->open = true;
    tls_note_peer(t);
    return 0;
}

ssize_t tls_read(struct tls *t, void *p, size_t len, struct err *err)
{
    int rc;

    if (t->over)
        return 0;
    do
        rc = mbedtls_ssl_read(&t->ssl, p, len);
    while (rc == MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET);
    if (rc > 0)
        return rc;
    if (rc == 0 || rc == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY || rc == MBEDTLS_ERR_SSL_CONN_EOF) {
        t->over = true;
        return 0;
    }
    return tls_result(t, rc, "TLS read", err);
}

ssize_t tls_write(struct tls *t, const void *p, size_t len, struct err *err)
{
    int rc;

    if (t->over)
        return err_set(err, ERR_UNAVAILABLE, "TLS write: the session is over");
    if (t->unsent) {
        check(len >= t->unsent);
        len = t->unsent;
    }
    do
        rc = mbedtls_ssl_write(&t->ssl, p, len);
    while (rc == MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET);
    if (rc >= 0) {
        t->unsent = 0;
        return rc;
    }
    if (rc == MBEDTLS_ERR_SSL_WANT_WRITE)
        t->unsent = len < TLS_RECORD_MAX ? len : TLS_RECORD_MAX;
    return tls_result(t, rc, "TLS write", err);
}

int tls_shutdown(struct tls *t, struct err *err)
{
    int rc;

    if (!t->open || t->over)
        return 0;
    rc = mbedtls_ssl_close_notify(&t->ssl);
    return rc ? tls_result(t, rc, "TLS close", err) : 0;
}

unsigned tls_events(const struct tls *t)
{
    return t->events;
}

size_t tls_pending(const struct tls *t)
{
    return mbedtls_ssl_get_bytes_avail(&t->ssl);
}

const char *tls_alpn(const struct tls *t)
{
    const char *p = mbedtls_ssl_get_alpn_protocol(&t->ssl);

    return p ? p : "";
}

struct crypto_cert *tls_peer(const struct tls *t)
{
    return t->peer;
}

const char *tls_peer_why(const struct tls *t)
{
    return t->why[0] ? t->why : NULL;
}

const char *tls_version(const struct tls *t)
{
    return mbedtls_ssl_get_version(&t->ssl);
}
