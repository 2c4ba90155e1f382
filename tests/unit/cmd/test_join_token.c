/* Texts by which machines join: their forms, and the server's own. */
#include "cmd/join_token.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/fd.h"
#include "tests/harness/test.h"

#define HASH "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define BOOT "abcdef.0123456789abcdef"

TEST(forms)
{
    static const struct { const char *text, *hash, *secret; } rows[] = {
        { "K10" HASH "::" BOOT, HASH, BOOT },
        { "K10" HASH "::server:pass:word", HASH, "server:pass:word" },
        { "K10" HASH "::node:pw", HASH, "server:pw" },
        { BOOT, "", BOOT },
        { "server:pw", "", "server:pw" },
        { "pw", "", "server:pw" },
        { "K10pw", "", "server:K10pw" },
        { "abcdef.0123456789abcdeF", "", "server:abcdef.0123456789abcdeF" },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err err = ERR_INIT;
        struct join_token t;

        EXPECT_OK(join_token_parse(&t, rows[i].text, &err), &err);
        EXPECT_STR(t.ca_hash, rows[i].hash);
        EXPECT_STR(t.secret, rows[i].secret);
    }
}

TEST(bad_forms)
{
    static const char *const texts[] = {
        "", "K10::" BOOT, "K10" HASH "0::" BOOT, "K10" HASH "::", "a b", "a\nb",
        "K10zz23456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef::" BOOT,
    };
    char longest[JOIN_TOKEN_SECRET_MAX + 1] = "";
    struct err err = ERR_INIT;
    struct join_token t;

    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        EXPECT(join_token_parse(&t, texts[i], NULL) < 0);
    memset(longest, 'a', JOIN_TOKEN_SECRET_MAX - strlen("server:") - 1);
    EXPECT_OK(join_token_parse(&t, longest, &err), &err);
    longest[strlen(longest)] = 'a';
    EXPECT(join_token_parse(&t, longest, &err) < 0);
}

TEST(random_ones)
{
    char a[JOIN_TOKEN_SECRET_MAX], b[JOIN_TOKEN_SECRET_MAX];

    join_token_random(a);
    join_token_random(b);
    EXPECT(join_token_is_bootstrap(a) && join_token_is_bootstrap(b));
    EXPECT(strcmp(a, b) != 0);
}

static struct config *config(const char *flag, const char *value)
{
    char *argv[] = { (char *)"server", (char *)"--data-dir", (char *)test_tmpdir(), (char *)flag,
                     (char *)value };
    struct err err = ERR_INIT;
    struct config *c;
    char *dir = mem_printf("%s/server", test_tmpdir());

    EXPECT_OK(config_parse(&c, &(struct config_input){ .command = CONFIG_SERVER,
                                                       .argc = flag ? 5 : 3, .argv = argv,
                                                       .file = "/nonexistent" }, &err), &err);
    EXPECT_OK(fd_mkdirs(dir, 0700, &err), &err);
    mem_free(dir);
    return c;
}

static char *stored(void)
{
    char *path = mem_printf("%s/server/node-token", test_tmpdir());
    struct buf b = BUF_INIT;
    struct err err = ERR_INIT;

    EXPECT_OK(fd_read_file(&b, AT_FDCWD, path, 4096, &err), &err);
    mem_free(path);
    return buf_take(&b, NULL);
}

TEST(the_server_keeps_its_own)
{
    struct config *c = config(NULL, NULL), *given;
    struct join_token a, b;
    struct err err = ERR_INIT;
    char *text, hash[CRYPTO_SHA256_HEX_BYTES];

    EXPECT_OK(join_token_of_server(&a, c, "CA", &err), &err);
    EXPECT(str_starts(a.secret, "server:") && strlen(a.secret) > 30);
    EXPECT_OK(join_token_of_server(&b, c, "CA", &err), &err);
    EXPECT_STR(a.secret, b.secret);
    /* another certificate of the authority: the same secret under its digest */
    EXPECT_OK(join_token_of_server(&b, c, "CA2", &err), &err);
    EXPECT_STR(a.secret, b.secret);
    text = stored();
    join_token_ca_hash(hash, SLICE("CA2"));
    EXPECT(strncmp(text + 3, hash, strlen(hash)) == 0);
    mem_free(text);
    /* a given one replaces it */
    given = config("--token", "hush");
    EXPECT_OK(join_token_of_server(&b, given, "CA", &err), &err);
    EXPECT_STR(b.secret, "server:hush");
    EXPECT_OK(join_token_of_server(&b, c, "CA", &err), &err);
    EXPECT_STR(b.secret, "server:hush");
    config_free(given);
    config_free(c);
}

TEST(tokens_that_no_server_has)
{
    static const char *const texts[] = { BOOT, "K10" HASH "::server:pw" };
    struct join_token t;

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct config *c = config("--token", texts[i]);
        struct err err = ERR_INIT;

        EXPECT(join_token_of_server(&t, c, "CA", &err) < 0);
        EXPECT(strstr(err.msg, "--token"));
        config_free(c);
    }
}

TEST(from_a_file)
{
    char *path = mem_printf("%s/token", test_tmpdir());
    struct config *c = config("--token-file", path);
    struct err err = ERR_INIT;
    const char *text;

    EXPECT(join_token_given(c, &text, &err) < 0);
    EXPECT(strstr(err.msg, "--token-file"));
    EXPECT_OK(fd_write_file(AT_FDCWD, path, " \n", 2, 0600, &err), &err);
    EXPECT(join_token_given(c, &text, &err) < 0);
    EXPECT_OK(fd_write_file(AT_FDCWD, path, " pw\n", 4, 0600, &err), &err);
    EXPECT_OK(join_token_given(c, &text, &err), &err);
    EXPECT_STR(text, "pw");
    config_free(c);
    mem_free(path);
}
