#include "core/base/mem.h"
#include "core/object/patch.h"
#include "core/object/schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* {"d": document, "p": patch}; all three forms, which must leave their input alone. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(16u << 20);
    struct json *both, *doc, *patch, *out;

    if (size > 4096 || json_parse(&both, a, (const char *)data, size, NULL, NULL) < 0)
        return 0;
    doc = json_get(both, "d");
    patch = json_get(both, "p");
    if (!doc || !patch)
        return 0;
    patch_json(&out, a, doc, patch, NULL);
    patch_merge(&out, a, doc, patch, NULL);
    patch_strategic(&out, a, doc, patch, schema_type_by_id("core.v1.Pod"), NULL);
    patch_merge_diff(a, doc, patch);
    return 0;
}
