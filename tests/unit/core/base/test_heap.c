/* test_heap.c -- order, moves and removal, against a plain search. */
#include "core/base/heap.h"

#include "tests/harness/test.h"

TEST(equal_keys_in_push_order)
{
    struct heap h = {0};
    struct heap_node n[10] = {0};

    EXPECT(heap_min(&h) == NULL);
    for (int i = 0; i < 10; i++)
        heap_push(&h, &n[i], 7);
    for (int i = 0; i < 10; i++) {
        EXPECT(heap_min(&h) == &n[i]);
        heap_remove(&h, &n[i]);
        heap_remove(&h, &n[i]);
    }
    EXPECT(heap_min(&h) == NULL);
    heap_deinit(&h);
    heap_deinit(&h);
}

TEST(random_use)
{
    struct heap h = {0};
    static struct heap_node n[200];
    unsigned seed = 1;

    for (int step = 0; step < 20000; step++) {
        struct heap_node *x, *least = NULL;

        seed = seed * 1103515245 + 12345;
        x = &n[(seed >> 16) % 200];
        if ((seed >> 8) % 3)
            heap_push(&h, x, (seed >> 10) % 50);
        else
            heap_remove(&h, x);
        for (int i = 0; i < 200; i++) {
            if (n[i].at && (!least || n[i].key < least->key ||
                            (n[i].key == least->key && n[i].seq < least->seq)))
                least = &n[i];
        }
        EXPECT(heap_min(&h) == least);
    }
    heap_deinit(&h);
    for (int i = 0; i < 200; i++)
        EXPECT_EQ(n[i].at, 0);
}
