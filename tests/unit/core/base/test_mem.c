/* test_mem.c -- allocation and arenas. */
#include "core/base/mem.h"

#include "core/base/list.h"
#include "core/base/str.h"
#include "core/base/vec.h"
#include "tests/harness/test.h"

TEST(zeroed)
{
    char *p = mem_alloc(100);

    for (int i = 0; i < 100; i++)
        EXPECT_EQ(p[i], 0);
    EXPECT(mem_free(p) == NULL);
    EXPECT(mem_free(NULL) == NULL);
}

TEST(try_fails)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    test_skip("the sanitizer's allocator aborts instead");
#endif
    EXPECT(mem_try(SIZE_MAX - 4096) == NULL);
    EXPECT(mem_try_grow(NULL, SIZE_MAX - 4096) == NULL);
}

TEST(texts)
{
    char *a = mem_strdup("abc");
    char *b = mem_strndup("abc", 2);
    char *c = mem_printf("%d-%s", 5, a);

    EXPECT_STR(a, "abc");
    EXPECT_STR(b, "ab");
    EXPECT_STR(c, "5-abc");
    EXPECT(mem_strdup(NULL) == NULL);
    mem_free(a);
    mem_free(b);
    mem_free(c);
}

TEST(arena_keeps_what_it_gave)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    char *p[2000];

    for (size_t i = 0; i < ARRAY_LEN(p); i++) {
        p[i] = arena_alloc(a, i);
        EXPECT_EQ((uintptr_t)p[i] % _Alignof(max_align_t), 0);
        for (size_t k = 0; k < i; k++)
            EXPECT_EQ(p[i][k], 0);
        memset(p[i], (int)(i & 0xff), i);
    }
    for (size_t i = 0; i < ARRAY_LEN(p); i++)
        for (size_t k = 0; k < i; k++)
            EXPECT_EQ((unsigned char)p[i][k], i & 0xff);
    EXPECT_STR(arena_strdup(a, "abc"), "abc");
    EXPECT_STR(arena_strndup(a, "abc", 1), "a");
    EXPECT_STR(arena_printf(a, "%s/%d", "x", 7), "x/7");
    EXPECT(arena_strdup(a, NULL) == NULL);
}

TEST(arena_cap)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(160);

    EXPECT_EQ(arena_left(a), 160);
    EXPECT(arena_try(a, 144));                /* limit - 1 unit of 16 */
    EXPECT_EQ(arena_used(a), 144);
    EXPECT(arena_try(a, 17) == NULL);         /* limit + 1 */
    EXPECT(arena_try(a, 16));                 /* limit */
    EXPECT(arena_try(a, 1) == NULL);
    EXPECT(arena_try(a, SIZE_MAX) == NULL);
    EXPECT_EQ(arena_left(a), 0);
    arena_reset(a);
    EXPECT_EQ(arena_left(a), 160);
    EXPECT(arena_try(a, 160));
}

TEST(arena_reset_zeroes_again)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);

    memset(arena_alloc(a, 3000), 0xaa, 3000);
    arena_alloc(a, 100000);
    arena_reset(a);
    for (int round = 0; round < 100; round++) {
        char *p = arena_alloc(a, 1000);

        for (int i = 0; i < 1000; i++)
            EXPECT_EQ(p[i], 0);
        memset(p, 0xbb, 1000);
    }
}

TEST(vec)
{
    VEC(int) v = {0};

    for (int i = 0; i < 1000; i++)
        vec_push(&v, i);
    EXPECT_EQ(v.len, 1000);
    for (int i = 0; i < 1000; i++)
        EXPECT_EQ(v.v[i], i);
    vec_deinit(&v);
    EXPECT(v.v == NULL);
}

struct thing { int n; struct list link; };

TEST(list)
{
    struct thing t[3] = {{.n = 1}, {.n = 2}, {.n = 3}};
    struct list head;
    int sum = 0;

    list_init(&head);
    EXPECT(list_empty(&head));
    EXPECT(list_first(&head, struct thing, link) == NULL);
    for (int i = 0; i < 3; i++)
        list_push(&head, &t[i].link);
    EXPECT_EQ(list_first(&head, struct thing, link)->n, 1);
    list_each(it, &head, struct thing, link) {
        sum = sum * 10 + it->n;
        if (it->n == 2)
            list_del(&it->link);
    }
    EXPECT_EQ(sum, 123);
    sum = 0;
    list_each(it, &head, struct thing, link)
        sum = sum * 10 + it->n;
    EXPECT_EQ(sum, 13);
    list_del(&t[1].link);
    list_del(&t[0].link);
    list_del(&t[2].link);
    EXPECT(list_empty(&head));
}

TEST(cleanup)
{
    _cleanup_(mem_freep) char *p = mem_strdup("x");
    _cleanup_(mem_freep) char *q = TAKE(p);
    int fd = 5;

    EXPECT(p == NULL);
    EXPECT_STR(q, "x");
    EXPECT_EQ(TAKE_FD(fd), 5);
    EXPECT_EQ(fd, -1);
}
