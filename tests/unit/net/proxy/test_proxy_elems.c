/* test_proxy_elems.c */
#include "net/proxy/proxy_elems.h"
#include "tests/harness/test.h"

static struct proxy_elem elem(uint32_t key, uint32_t data)
{
    return (struct proxy_elem){ .set = PROXY_SERVICES, .key = { key }, .data = { data } };
}

static unsigned changes(const struct proxy_elems *t, unsigned *gone)
{
    unsigned fresh = 0;

    *gone = 0;
    for (struct proxy_entry *e = proxy_elems_changed(t); e; e = e->next_changed) {
        fresh += proxy_entry_new(e);
        *gone += proxy_entry_gone(e);
    }
    return fresh;
}

TEST(only_differences_are_changes)
{
    struct proxy_elems *t = proxy_elems_new();
    struct proxy_elem a = elem(1, 10), a2 = elem(1, 20);
    struct proxy_entry *e = proxy_elems_claim(t, &a);
    unsigned gone;

    EXPECT_EQ(changes(t, &gone), 1);
    proxy_elems_settle(t);
    EXPECT_EQ(changes(t, &gone), 0);
    proxy_elems_release(t, e);
    e = proxy_elems_claim(t, &a);                /* released and claimed: nothing for the kernel */
    EXPECT_EQ(changes(t, &gone), 0);
    EXPECT_EQ(gone, 0);
    proxy_elems_release(t, e);
    e = proxy_elems_claim(t, &a2);               /* other data: delete and add */
    EXPECT_EQ(changes(t, &gone), 1);
    EXPECT_EQ(gone, 1);
    proxy_elems_settle(t);
    proxy_elems_release(t, e);
    EXPECT_EQ(changes(t, &gone), 0);
    EXPECT_EQ(gone, 1);
    proxy_elems_settle(t);
    EXPECT_EQ(proxy_elems_len(t), 0);
    proxy_elems_free(t);
}

TEST(the_first_claim_wins)
{
    struct proxy_elems *t = proxy_elems_new();
    struct proxy_elem a = elem(1, 10), b = elem(1, 20);
    struct proxy_entry *e = proxy_elems_claim(t, &a);
    unsigned gone;

    EXPECT(proxy_elems_claim(t, &b) == NULL);
    EXPECT(proxy_elems_claim(t, &a) == e);
    proxy_elems_release(t, e);
    EXPECT(proxy_elems_claim(t, &b) == NULL);
    proxy_elems_release(t, e);
    EXPECT(proxy_elems_claim(t, &b) != NULL);
    EXPECT_EQ(changes(t, &gone), 1);
    proxy_elems_free(t);
}

TEST(forgetting_makes_all_new)
{
    struct proxy_elems *t = proxy_elems_new();
    unsigned gone;

    for (uint32_t i = 0; i < 1000; i++) {
        struct proxy_elem e = elem(i, i);

        EXPECT(proxy_elems_claim(t, &e) != NULL);
    }
    proxy_elems_settle(t);
    EXPECT_EQ(proxy_elems_len(t), 1000);
    proxy_elems_forget(t);
    EXPECT_EQ(changes(t, &gone), 1000);
    EXPECT_EQ(gone, 0);
    proxy_elems_free(t);
}
