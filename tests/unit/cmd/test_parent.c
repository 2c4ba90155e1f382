/* When roles are started again. */
#include "cmd/parent.h"

#include "tests/harness/test.h"

TEST(waits)
{
    int64_t wait = 0;

    EXPECT_EQ(parent_wait_ms(0, 0, false), 20);
    for (int i = 0; i < 20; i++)             /* ends at once, again and again */
        wait = parent_wait_ms(wait, 50, false);
    EXPECT_EQ(wait, 10000);
    EXPECT_EQ(parent_wait_ms(wait, 9999, false), 10000);
    EXPECT_EQ(parent_wait_ms(wait, 10000, false), 20);
    EXPECT_EQ(parent_wait_ms(20, 199, false), 40);
    EXPECT_EQ(parent_wait_ms(20, 200, false), 20);  /* had worked for a while */
    EXPECT_EQ(parent_wait_ms(320, 3199, false), 640);
    EXPECT_EQ(parent_wait_ms(320, 3200, false), 20);
    EXPECT_EQ(parent_wait_ms(320, 3199, true), 640);
    EXPECT_EQ(parent_wait_ms(640, 3199, true), 1000);    /* its start works */
    EXPECT_EQ(parent_wait_ms(10000, 9999, true), 1000);
}
