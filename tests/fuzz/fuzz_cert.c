/* Certificates, requests, keys and tokens from strangers: any bytes may fail, none may crash. */
#include "core/crypto/crypto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct crypto_cert *cert = NULL;
    struct crypto_csr *csr = NULL;
    struct crypto_key *key = NULL;
    _cleanup_buf_ struct buf claims = BUF_INIT;
    const char *p = (const char *)data;

    if (crypto_cert_parse(&cert, p, size, NULL) == 0) {
        crypto_cert_verify(cert, crypto_cert_der(cert), CRYPTO_USE_CLIENT, 1, NULL);
        cert = crypto_cert_unref(cert);
    }
    if (crypto_csr_parse(&csr, p, size, NULL) == 0)
        csr = crypto_csr_free(csr);
    if (crypto_key_parse(&key, p, size, NULL) == 0) {
        const struct crypto_key *keys[] = { key };

        crypto_key_jwk(&claims, key, NULL);
        crypto_jwt_verify(&claims, SLICE("eyJhbGciOiJFUzI1NiJ9.e30.AAAA"), keys, 1, NULL);
        key = crypto_key_unref(key);
    }
    crypto_jwt_verify(&claims, (struct slice){ p, size }, NULL, 0, NULL);
    return 0;
}
