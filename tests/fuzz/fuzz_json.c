/* fuzz_json.c -- any bytes: what parses is written, parsed again and equal; so are its clone, its
 * sorted form and its pretty form. */
#include "core/base/check.h"
#include "core/base/json.h"

#define CAP_BYTES (8u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Written and parsed again; NULL past the limits. */
static struct json *again(struct arena *a, const struct json *v, int spaces)
{
    _cleanup_buf_ struct buf text = BUF_INIT;
    struct json *back = NULL;
    struct err err = ERR_INIT;

    json_write_pretty(&text, v, spaces);
    check(str_is_utf8(text.p, text.len));
    if (json_parse(&back, a, text.p, text.len, NULL, &err) < 0)
        check(err.code == ERR_QUOTA);
    return back;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(CAP_BYTES);
    _cleanup_(arena_freep) struct arena *b = arena_new(CAP_BYTES * 4);
    struct json *v = NULL, *back, *copy;
    struct err err = ERR_INIT;

    if (json_parse(&v, a, (const char *)data, size, NULL, &err) < 0) {
        check(err.code == ERR_INVALID || err.code == ERR_QUOTA);
        check(!v);
        return 0;
    }
    v = again(a, v, 0);            /* now doubles without a fraction are integers */
    back = v ? again(a, v, 3) : NULL;
    if (!back)
        return 0;
    check(json_equal(v, back) && json_equal(back, v));
    copy = json_clone(b, v);
    json_sort_keys(copy);
    check(json_equal(v, copy));
    return 0;
}
