/* When roles are started again. */
#include "cmd/parent.h"

#include "tests/harness/test.h"

TEST(waits)
{
    int64_t wait = 0;

    EXPECT_EQ(parent_wait_ms(0, 0), 20);
    for (int i = 0; i < 20; i++)             /* ends at once, again and again */
        wait = parent_wait_ms(wait, 50);
    EXPECT_EQ(wait, 10000);
    EXPECT_EQ(parent_wait_ms(wait, 9999), 10000);
    EXPECT_EQ(parent_wait_ms(wait, 10000), 20);
    EXPECT_EQ(parent_wait_ms(20, 199), 40);
    EXPECT_EQ(parent_wait_ms(20, 200), 20);  /* had worked for a while */
    EXPECT_EQ(parent_wait_ms(320, 3199), 640);
    EXPECT_EQ(parent_wait_ms(320, 3200), 20);
}
