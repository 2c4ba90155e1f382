/* test_env.c -- the real effects and what is derived from them. */
#include "core/base/env.h"

#include "tests/harness/test.h"

static void fixed(void *ctx, void *out, size_t len)
{
    memset(out, *(int *)ctx, len);
}

TEST(clocks)
{
    const struct env *e = env_real();
    int64_t a = env_mono_ms(e);

    EXPECT(env_mono_ms(e) >= a);
    EXPECT(env_wall_s(e) > 1700000000);
    EXPECT(env_wall_us(e) / 1000000 - env_wall_s(e) <= 1);
}

TEST(uuid)
{
    int byte = 0xff;
    const struct env e = {.random = fixed, .ctx = &byte};
    char text[UUID_BYTES], other[UUID_BYTES];

    env_uuid(&e, text);
    EXPECT_STR(text, "ffffffff-ffff-4fff-bfff-ffffffffffff");
    byte = 0;
    env_uuid(&e, text);
    EXPECT_STR(text, "00000000-0000-4000-8000-000000000000");
    env_uuid(env_real(), text);
    env_uuid(env_real(), other);
    EXPECT(strcmp(text, other) != 0);
}

TEST(suffix)
{
    char text[1001];
    int seen[256] = {0};

    env_suffix(env_real(), text, 1000);
    EXPECT_EQ(strlen(text), 1000);
    EXPECT_EQ(strspn(text, "bcdfghjklmnpqrstvwxz2456789"), 1000);
    for (int i = 0; i < 1000; i++)
        seen[(unsigned char)text[i]]++;
    for (const char *p = "bcdfghjklmnpqrstvwxz2456789"; *p; p++)
        EXPECT(seen[(unsigned char)*p] > 0);
    env_suffix(env_real(), text, 0);
    EXPECT_STR(text, "");
}
