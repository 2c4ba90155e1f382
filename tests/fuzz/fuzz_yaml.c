/* fuzz_yaml.c -- any bytes: what parses is written as YAML, parsed again and equal. */
#include "core/base/check.h"
#include "core/base/yaml.h"

#define CAP_BYTES (8u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Written and parsed again; NULL past the limits. */
static struct json *again(struct arena *a, const struct json *v)
{
    _cleanup_buf_ struct buf text = BUF_INIT;
    struct json *back = NULL;
    struct err err = ERR_INIT;

    yaml_write(&text, v);
    if (yaml_parse(&back, a, text.p, text.len, NULL, &err) < 0)
        check(err.code == ERR_QUOTA);
    return back;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(CAP_BYTES);
    struct json *v = NULL, *back = NULL;
    struct err err = ERR_INIT;

    if (yaml_parse_all(&v, a, (const char *)data, size, &err) < 0)
        check(err.code == ERR_INVALID || err.code == ERR_QUOTA);
    arena_reset(a);
    v = NULL;
    if (yaml_parse(&v, a, (const char *)data, size, NULL, &err) < 0) {
        check(err.code == ERR_INVALID || err.code == ERR_QUOTA);
        check(!v);
        return 0;
    }
    v = again(a, v);               /* now doubles without a fraction are integers */
    back = v ? again(a, v) : NULL;
    check(!back || json_equal(v, back));
    return 0;
}
