/* Amounts as people read them. */
#include "cmd/progress.h"

#include "tests/harness/test.h"

TEST(bytes)
{
    static const struct { int64_t bytes; const char *text; } rows[] = {
        { 0, "0 B" }, { 999, "999 B" }, { 1000, "1.0 kB" }, { 12345, "12.3 kB" },
        { 123456, "123 kB" }, { 6851885, "6.9 MB" }, { 1500000000, "1.5 GB" },
        { 5000000000000000ll, "5000 TB" },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[16];

        progress_bytes(text, rows[i].bytes);
        EXPECT_STR(text, rows[i].text);
    }
}
