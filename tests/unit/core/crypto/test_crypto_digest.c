#include "core/crypto/crypto.h"
#include "tests/harness/test.h"

static const char *sha256_of(const char *text)
{
    static char hex[CRYPTO_SHA256_HEX_BYTES];

    crypto_sha256_hex(hex, text, strlen(text));
    return hex;
}

TEST(sha256_known)
{
    EXPECT_STR(sha256_of(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    EXPECT_STR(sha256_of("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    EXPECT_STR(sha256_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
               "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

/* Every length around the block borders, whole and in pieces, gives the same. */
TEST(sha256_pieces)
{
    unsigned char data[300], a[32], b[32];

    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (unsigned char)(i * 7);
    for (size_t len = 0; len <= sizeof(data); len++)
        for (size_t step = 1; step < 130; step += 21) {
            struct crypto_digest d;

            crypto_sha256(a, data, len);
            crypto_digest_init(&d, CRYPTO_SHA256);
            for (size_t i = 0; i < len; i += step)
                crypto_digest_add(&d, data + i, len - i < step ? len - i : step);
            crypto_digest_end(&d, b);
            EXPECT_MEM(a, b, 32);
        }
}

TEST(sha256_million)
{
    struct crypto_digest d;
    unsigned char out[32];
    char block[1000], hex[65];

    memset(block, 'a', sizeof(block));
    crypto_digest_init(&d, CRYPTO_SHA256);
    for (int i = 0; i < 1000; i++)
        crypto_digest_add(&d, block, sizeof(block));
    crypto_digest_end(&d, out);
    crypto_hex(hex, out, 32);
    EXPECT_STR(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(sha512_and_sha1)
{
    unsigned char out[64];
    char hex[129];

    crypto_sha512(out, "abc", 3);
    crypto_hex(hex, out, 64);
    EXPECT_STR(hex, "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
                    "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f");
    crypto_sha1(out, "abc", 3);
    crypto_hex(hex, out, 20);
    EXPECT_STR(hex, "a9993e364706816aba3e25717850c26c9cd0d89d");
}

TEST(hmac)
{
    unsigned char out[32], key[131];
    char hex[65];

    crypto_hmac_sha256(out, SLICE("Jefe"), "what do ya want for nothing?", 28);
    crypto_hex(hex, out, 32);
    EXPECT_STR(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    memset(key, 0xaa, sizeof(key));
    crypto_hmac_sha256(out, (struct slice){ (char *)key, sizeof(key) },
                       "Test Using Larger Than Block-Size Key - Hash Key First", 54);
    crypto_hex(hex, out, 32);
    EXPECT_STR(hex, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

TEST(hex)
{
    unsigned char out[2];
    struct err err = ERR_INIT;

    EXPECT_OK(crypto_unhex(out, 2, "aF09", &err), &err);
    EXPECT_EQ(out[0], 0xaf);
    EXPECT_EQ(out[1], 0x09);
    EXPECT_ERR(crypto_unhex(out, 2, "aF0", &err), &err, ERR_INVALID);
    EXPECT_ERR(crypto_unhex(out, 2, "aF0g", &err), &err, ERR_INVALID);
    EXPECT(crypto_equal("abc", "abc", 3));
    EXPECT(!crypto_equal("abc", "abd", 3));
}
