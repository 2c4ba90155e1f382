/* test_map.c -- order, deletion and growth. */
#include "core/base/map.h"

#include "core/base/mem.h"
#include "tests/harness/test.h"

static int freed;
static void count_free(void *value) { (void)value; freed++; }

static void key_of(char out[16], int i) { snprintf(out, 16, "key-%d", i); }

TEST(put_get_del)
{
    struct map *m = map_new();
    int a = 1, b = 2;

    EXPECT(map_get(m, "a") == NULL);
    EXPECT(map_del(m, "a") == NULL);
    EXPECT(map_put(m, "a", &a) == NULL);
    EXPECT(map_put(m, "a", &b) == &a);
    EXPECT(map_get(m, "a") == &b);
    EXPECT_EQ(map_len(m), 1);
    EXPECT(map_del(m, "a") == &b);
    EXPECT(map_get(m, "a") == NULL);
    EXPECT_EQ(map_len(m), 0);
    EXPECT(map_free(m, NULL) == NULL);
    EXPECT(map_free(NULL, NULL) == NULL);
}

TEST(insertion_order)
{
    struct map *m = map_new();
    static int values[1000];
    const char *key;
    void *value;
    char want[16];
    size_t at = 0;
    int n = 0;

    for (int i = 0; i < 1000; i++) {
        key_of(want, i);
        map_put(m, want, &values[i]);
    }
    while (map_next(m, &at, &key, &value)) {       /* delete every other one on the way */
        key_of(want, n);
        EXPECT_STR(key, want);
        EXPECT(value == &values[n]);
        if (n++ % 2)
            EXPECT(map_del(m, want) == value);
    }
    EXPECT_EQ(n, 1000);
    EXPECT_EQ(map_len(m), 500);
    for (int i = 1000; i < 3000; i++) {
        key_of(want, i);
        map_put(m, want, &values[i % 1000]);
    }
    at = 0;
    n = 0;
    while (map_next(m, &at, &key, NULL)) {
        key_of(want, n);
        EXPECT_STR(key, want);
        n += n < 1000 ? 2 : 1;
    }
    EXPECT_EQ(n, 3000);
    map_free(m, count_free);
    EXPECT_EQ(freed, 2500);
}

TEST(one_key_in_and_out_stays_small)
{
    struct map *m = map_new();
    int value;
    char key[16];

    map_put(m, "stays", &value);
    for (int i = 0; i < 100000; i++) {
        key_of(key, i);
        EXPECT(map_put(m, key, &value) == NULL);
        EXPECT(map_get(m, "stays") == &value);
        EXPECT(map_del(m, key) == &value);
    }
    EXPECT_EQ(map_len(m), 1);
    map_free(m, NULL);
}
