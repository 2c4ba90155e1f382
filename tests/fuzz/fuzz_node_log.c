/* fuzz_node_log.c -- a log file of any bytes: the same output however it is cut, within the limit.
 * The first three bytes choose the options. */
#include "core/base/check.h"
#include "core/base/mem.h"
#include "runtime/node/node_log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void format(struct buf *out, const uint8_t *options, const uint8_t *p, size_t len,
                   size_t step)
{
    struct node_log_format f = {
        .timestamps = options[0] & 1, .since_us = options[0] & 2 ? 1790000000000000 : 0,
        .skip = options[1] & 7, .limit = options[2] ? options[2] : -1,
    };

    for (size_t i = 0; i < len; i += step)
        node_log_format_add(&f, out, (const char *)p + i, len - i < step ? len - i : step);
    check(!options[2] || out->len <= options[2]);
    node_log_format_deinit(&f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_buf_ struct buf whole = BUF_INIT;
    _cleanup_buf_ struct buf cut = BUF_INIT;
    struct node_log_count count = { .lines = 0 };

    if (size < 3)
        return 0;
    format(&whole, data, data + 3, size - 3, size);
    format(&cut, data, data + 3, size - 3, 1 + data[1] % 61);
    check(whole.len == cut.len && memcmp(whole.p ? whole.p : "", cut.p ? cut.p : "", cut.len) == 0);
    node_log_count_add(&count, (const char *)data + 3, size - 3);
    check(count.lines >= 0 && count.lines <= (int64_t)size);
    node_log_format_deinit(&count.f);
    return 0;
}
