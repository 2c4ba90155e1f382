/* fuzz_codec.c -- any bytes as any kind: what the codec lets through must be stable under
 * everything after it. */
#include "core/base/check.h"
#include "core/object/codec.h"
#include "core/object/object.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void stable(struct arena *a, const struct kind *k, const struct json *tree)
{
    struct err err = ERR_INIT;
    struct json *back;
    struct buf once = BUF_INIT, twice = BUF_INIT;

    json_write(&once, tree);
    check(codec_parse(&back, a, MEDIA_JSON, (struct slice){ once.p, once.len }, NULL, &err) == 0);
    check(codec_canonical(&back, a, k->type, back, NULL, &err) == 0);
    json_write(&twice, back);
    check(once.len == twice.len && memcmp(once.p, twice.p, once.len) == 0);
    buf_deinit(&once);
    buf_deinit(&twice);
}

static void as_object(const struct kind *k, const struct json *tree)
{
    struct buf b = BUF_INIT;
    struct object *o = NULL;
    struct err err = ERR_INIT;

    object_encode(&b, tree, 0);
    if (object_new(&o, k, b.p, b.len, 0, &err) == 0) {
        object_view(o);
        check(object_rv(o) == 0);
    }
    object_unref(o);
    buf_deinit(&b);
}

/* The first byte chooses the kind. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new(0);
    struct codec_notes notes = { .a = a };
    struct err err = ERR_INIT;
    struct json *raw, *tree;
    const struct kind *k;

    if (size > 0) {
        k = kind_by_id(data[0] % kind_count());
        if (codec_parse(&raw, a, data[0] & 0x80 ? MEDIA_YAML : MEDIA_JSON,
                        (struct slice){ (const char *)data + 1, size - 1 }, &notes, &err) == 0 &&
            codec_canonical(&tree, a, k->type, raw, &notes, &err) == 0) {
            stable(a, k, tree);
            codec_default(tree, a, k);
            stable(a, k, tree);
            as_object(k, tree);
        }
    }
    arena_free(a);
    return 0;
}
