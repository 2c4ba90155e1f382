/* core/crypto/crypto_priv.h -- shared inside the room only. */
#ifndef CORE_CRYPTO_CRYPTO_PRIV_H
#define CORE_CRYPTO_CRYPTO_PRIV_H

#include <mbedtls/pk.h>
#include <mbedtls/x509.h>

#include "core/base/mem.h"
#include "core/base/ref.h"
#include "core/crypto/crypto.h"

struct crypto_key {
    struct ref ref;
    mbedtls_pk_context pk;
    bool is_private;
};

/* The library's text for one of its negative codes, after ours. Always -1. */
int crypto_fail(struct err *err, int code, int rc, const char *what);
int crypto_rng(void *ctx, unsigned char *out, size_t len);            /* the library's f_rng */
struct crypto_key *crypto_key_wrap(void);                             /* empty, one reference */
int crypto_key_from_spki(struct crypto_key **out, const unsigned char *p, size_t len,
                         struct err *err);
void crypto_key_spki(struct buf *out, const struct crypto_key *k);    /* DER */
/* Signs sha256(p); EC gives DER. */
int crypto_key_sign(struct buf *sig, const struct crypto_key *k, const void *p, size_t len,
                    struct err *err);

/* PEM text of a DER block, and the first block of this label in a PEM text. */
void crypto_pem_write(struct buf *out, const char *label, const void *der, size_t len);
int crypto_pem_read(struct buf *der, const char *label, const char *p, size_t len, struct err *err);

struct slice crypto_cert_subject(const struct crypto_cert *c);        /* DER */
struct slice crypto_cert_spki(const struct crypto_cert *c);           /* DER */

/* What a parsed subject and list of SANs say; owns its texts in an arena. */
struct crypto_said { struct arena *a; struct crypto_names names; };
int crypto_said_fill(struct crypto_said *s, const mbedtls_x509_name *subject,
                     const mbedtls_x509_sequence *sans, struct err *err);
void crypto_said_deinit(struct crypto_said *s);

/* DER, built by appending: open a value, add to it, close it. */
size_t der_open(struct buf *b, unsigned tag);
void der_close(struct buf *b, size_t at);
void der_value(struct buf *b, unsigned tag, const void *p, size_t len);
void der_oid(struct buf *b, const char *oid, size_t len);             /* encoded content octets */
void der_uint(struct buf *b, const unsigned char *p, size_t len);     /* big-endian, any length */
#define DER_OID(b, lit) der_oid((b), (lit), sizeof(lit) - 1)

enum {
    DER_BOOL = 0x01,
    DER_INT = 0x02,
    DER_BITS = 0x03,
    DER_OCTETS = 0x04,
    DER_NULL = 0x05,
    DER_OBJECT = 0x06,
    DER_UTF8 = 0x0c,
    DER_UTCTIME = 0x17,
    DER_GENTIME = 0x18,
    DER_SEQ = 0x30,
    DER_SET = 0x31,
};

#endif
