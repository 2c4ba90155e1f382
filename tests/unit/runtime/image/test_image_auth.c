/* test_image_auth.c -- pull secrets are matched as kubelet does, challenges are read. */
#include "runtime/image/image_auth.h"
#include "tests/harness/test.h"

/* The users that match, in order, as "a,b". */
static const char *users(struct arena *a, const char *image, const char *const *secrets)
{
    struct image_creds creds;
    struct image_ref ref;
    struct err err = ERR_INIT;
    char *text = arena_strdup(a, "");

    EXPECT_OK(image_ref_parse(&ref, image, &err), &err);
    image_auth_match(&creds, a, secrets, &ref);
    for (size_t i = 0; i < creds.n; i++)
        text = arena_printf(a, "%s%s%s", text, i ? "," : "", creds.v[i].user);
    return text;
}

TEST(match)
{
    static const char *const secrets[] = {
        "{\"auths\":{\"https://index.docker.io/v1/\":{\"username\":\"hub\",\"password\":\"p\"},"
        "\"r.io\":{\"auth\":\"aG9zdDpwYXNz\"},"
        "\"r.io/team\":{\"username\":\"team\",\"password\":\"p\"},"
        "\"*.example.org\":{\"username\":\"star\",\"password\":\"p\"},"
        "\"http://plain.io:5000/v2/\":{\"username\":\"port\",\"password\":\"p\"},"
        "\"empty.io\":{}}}",
        "{\"r.io\":{\"username\":\"old\",\"password\":\"p\"}}",      /* .dockercfg */
        "not json", NULL,
    };
    static const struct { const char *image, *want; } rows[] = {
        { "nginx", "hub" }, { "docker.io/a/b", "hub" }, { "r.io/x", "host,old" },
        { "r.io/team/x", "team,host,old" }, { "r.io:5000/x", "" }, { "a.example.org/x", "star" },
        { "a.b.example.org/x", "" }, { "example.org/x", "" }, { "plain.io:5000/x", "port" },
        { "plain.io/x", "" }, { "empty.io/x", "" }, { "other.io/x", "" },
    };
    struct arena *a = arena_new(0);

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        EXPECT_STR(users(a, rows[i].image, secrets), rows[i].want);
    EXPECT_STR(users(a, "nginx", NULL), "");
    arena_free(a);
}

TEST(decode)
{
    struct arena *a = arena_new(0);
    struct image_cred c;

    EXPECT(image_auth_decode(&c, a, "dXNlcjpwYTpzcw=="));
    EXPECT_STR(c.user, "user");
    EXPECT_STR(c.password, "pa:ss");
    EXPECT(!image_auth_decode(&c, a, "dXNlcg=="));
    EXPECT(!image_auth_decode(&c, a, "!"));
    EXPECT(!image_auth_decode(&c, a, ""));
    arena_free(a);
}

TEST(challenge)
{
    struct arena *a = arena_new(0);
    struct image_challenge c;

    image_auth_challenge(&c, a, "Bearer realm=\"https://auth.io/token\",service=\"r.io\","
                         "scope=\"repository:a/b:pull,push\"");
    EXPECT(c.bearer && !c.basic);
    EXPECT_STR(c.realm, "https://auth.io/token");
    EXPECT_STR(c.service, "r.io");
    EXPECT_STR(c.scope, "repository:a/b:pull,push");
    image_auth_challenge(&c, a,
                         "basic realm=\"x \\\"y\\\"\", bearer REALM=http://t , error=\"invalid_t"
                         "oken\"");
    EXPECT(c.bearer && c.basic);
    EXPECT_STR(c.realm, "http://t");
    EXPECT_STR(c.error, "invalid_token");
    image_auth_challenge(&c, a, "Basic");
    EXPECT(!c.bearer && c.basic);
    EXPECT_STR(c.realm, "");
    image_auth_challenge(&c, a, "");
    EXPECT(!c.bearer && !c.basic);
    image_auth_challenge(&c, a, "=\"\" ,,, Bearer realm=\"open");
    EXPECT(c.bearer);
    EXPECT_STR(c.realm, "open");
    arena_free(a);
}
