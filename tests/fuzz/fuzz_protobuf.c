/* fuzz_protobuf.c -- any bytes as a protobuf body: what is read becomes canonical, is written, and reads
 * back as the same. */
#include "core/base/check.h"
#include "core/object/codec_protobuf.h"

#define CAP_BYTES (16u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(CAP_BYTES);
    _cleanup_buf_ struct buf wire = BUF_INIT;
    struct json *raw = NULL, *tree = NULL, *back = NULL;
    const struct kind *k;
    struct err err = ERR_INIT;

    if (size > 65536 ||
        codec_protobuf_read(&raw, a, (struct slice){ (const char *)data, size }, NULL,
                            &err) < 0)
        return 0;
    k = kind_by_api_version(json_get_str(raw, "apiVersion"), json_get_str(raw, "kind"));
    if (!k || codec_canonical(&tree, a, k->type, raw, NULL, &err) < 0)
        return 0;
    codec_protobuf_write(&wire, k->type, tree, k->api_version, k->kind);
    check(codec_protobuf_read(&back, a, (struct slice){ wire.p, wire.len }, NULL, &err) == 0);
    return 0;
}
