/* fuzz_manifest.c -- any bytes as a manifest, an index, a configuration, a pull secret and a
 * challenge. */
#include <stdint.h>
#include <string.h>

#include "core/base/check.h"
#include "runtime/image/image_auth.h"
#include "runtime/image/image_manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_texts(const char *const *list)
{
    for (; *list; list++)
        check(strlen(*list) < IMAGE_MANIFEST_BYTES_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(16u << 20);
    const char *text = (const char *)data;
    struct image_platform host = image_platform_host();
    struct image_ref ref = { .domain = "docker.io", .path = "library/x" };
    struct image_challenge challenge;
    struct image_manifest m;
    struct image_config c;
    struct image_creds creds;
    const char *secrets[] = { arena_strndup(a, text, size), NULL };

    if (size > 65536)
        return 0;
    if (image_manifest_parse(&m, a, text, size, NULL) == 0) {
        check(m.n <= IMAGE_INDEX_ENTRIES_MAX);
        for (size_t i = 0; i < m.n; i++)
            check(image_digest_ok(m.v[i].digest));
        if (m.is_index)
            image_manifest_select(&m, host);
    }
    if (image_config_parse(&c, a, text, size, NULL) == 0) {
        check(c.n_layers <= IMAGE_LAYERS_MAX && !c.layers[c.n_layers]);
        read_texts(c.entrypoint);
        read_texts(c.env);
        read_texts(c.labels);
        image_platform_runs(host, c.platform);
    }
    image_auth_match(&creds, a, secrets, &ref);
    image_auth_challenge(&challenge, a, secrets[0]);
    return 0;
}
