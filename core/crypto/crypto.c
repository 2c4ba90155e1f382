#include "core/crypto/crypto_priv.h"

#include <errno.h>
#include <sys/random.h>

#include <mbedtls/error.h>
#include <psa/crypto.h>

int crypto_init(struct err *err)
{
    psa_status_t rc = psa_crypto_init();

    return rc == PSA_SUCCESS
               ? 0
               : err_set(err, ERR_FAILED, "start the crypto library: error %d", (int)rc);
}

int crypto_fail(struct err *err, int code, int rc, const char *what)
{
    char text[128];

    mbedtls_strerror(rc, text, sizeof(text));
    return err_set(err, code, "%s: %s (-0x%04x)", what, text, (unsigned)-rc);
}

void crypto_random(void *out, size_t len)
{
    unsigned char *p = out;

    while (len) {
        ssize_t n = getrandom(p, len, 0);

        if (n < 0 && errno == EINTR)
            continue;
        check(n > 0);
        p += n;
        len -= (size_t)n;
    }
}

int crypto_rng(void *ctx, unsigned char *out, size_t len)
{
    (void)ctx;
    crypto_random(out, len);
    return 0;
}

void crypto_hex(char *out, const unsigned char *p, size_t len)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < len; i++) {
        out[2 * i] = digits[p[i] >> 4];
        out[2 * i + 1] = digits[p[i] & 15];
    }
    out[2 * len] = 0;
}

static int unhex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int crypto_unhex(unsigned char *out, size_t len, const char *text, struct err *err)
{
    if (strlen(text) != 2 * len)
        return err_set(err, ERR_INVALID, "expected %zu hexadecimal digits", 2 * len);
    for (size_t i = 0; i < 2 * len; i++)
        if (unhex_digit(text[i]) < 0)
            return err_set(err, ERR_INVALID, "no hexadecimal digit at %zu", i);
    for (size_t i = 0; i < len; i++)
        out[i] = (unsigned char)(unhex_digit(text[2 * i]) << 4 | unhex_digit(text[2 * i + 1]));
    return 0;
}

bool crypto_equal(const void *a, const void *b, size_t len)
{
    const volatile unsigned char *x = a, *y = b;
    unsigned char differ = 0;

    for (size_t i = 0; i < len; i++)
        differ |= x[i] ^ y[i];
    return differ == 0;
}

/* Sealing: one AES-256-GCM message under a key that lives in the library only as long as the call.
 */
#define SEAL_NONCE 12
#define SEAL_TAG 16
_Static_assert(SEAL_NONCE + SEAL_TAG == CRYPTO_SEAL_OVERHEAD, "overhead");

static int seal_key(psa_key_id_t *out, const unsigned char *key, psa_key_usage_t usage,
                    struct err *err)
{
    psa_key_attributes_t attr = PSA_KEY_ATTRIBUTES_INIT;

    if (crypto_init(err) < 0)
        return -1;
    psa_set_key_type(&attr, PSA_KEY_TYPE_AES);
    psa_set_key_algorithm(&attr, PSA_ALG_GCM);
    psa_set_key_usage_flags(&attr, usage);
    if (psa_import_key(&attr, key, CRYPTO_SEAL_KEY_BYTES, out) != PSA_SUCCESS)
        return err_set(err, ERR_FAILED, "import a sealing key");
    return 0;
}

int crypto_seal(struct buf *out, const unsigned char key[CRYPTO_SEAL_KEY_BYTES], struct slice bind,
                struct slice plain, struct err *err)
{
    psa_key_id_t id;
    psa_status_t rc;
    size_t len = 0;
    unsigned char *at;

    if (seal_key(&id, key, PSA_KEY_USAGE_ENCRYPT, err) < 0)
        return -1;
    buf_reserve(out, plain.len + CRYPTO_SEAL_OVERHEAD);
    at = (unsigned char *)out->p + out->len;
    crypto_random(at, SEAL_NONCE);
    rc = psa_aead_encrypt(id, PSA_ALG_GCM, at, SEAL_NONCE, (const unsigned char *)bind.p, bind.len,
                          (const unsigned char *)plain.p, plain.len, at + SEAL_NONCE,
                          plain.len + SEAL_TAG, &len);
    psa_destroy_key(id);
    if (rc != PSA_SUCCESS)
        return err_set(err, ERR_FAILED, "seal: error %d", (int)rc);
    out->len += SEAL_NONCE + len;
    return 0;
}

int crypto_open(struct buf *out, const unsigned char key[CRYPTO_SEAL_KEY_BYTES], struct slice bind,
                struct slice sealed, struct err *err)
{
    const unsigned char *p = (const unsigned char *)sealed.p;
    psa_key_id_t id;
    psa_status_t rc;
    size_t len = 0;

    if (sealed.len < CRYPTO_SEAL_OVERHEAD)
        return err_set(err, ERR_CORRUPT, "sealed bytes are too short");
    if (seal_key(&id, key, PSA_KEY_USAGE_DECRYPT, err) < 0)
        return -1;
    buf_reserve(out, sealed.len);
    rc = psa_aead_decrypt(id, PSA_ALG_GCM, p, SEAL_NONCE, (const unsigned char *)bind.p, bind.len,
                          p + SEAL_NONCE, sealed.len - SEAL_NONCE,
                          (unsigned char *)out->p + out->len, sealed.len - CRYPTO_SEAL_OVERHEAD,
                          &len);
    psa_destroy_key(id);
    if (rc != PSA_SUCCESS)
        return err_set(err, ERR_CORRUPT, "sealed bytes were changed or sealed with another key");
    out->len += len;
    out->p[out->len] = 0;
    return 0;
}
