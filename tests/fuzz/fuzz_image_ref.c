/* fuzz_image_ref.c -- any text as an image's name: what is taken is normal, and means itself
 * again. */
#include <stdint.h>
#include <string.h>

#include "core/base/check.h"
#include "core/base/mem.h"
#include "core/base/str.h"
#include "runtime/image/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = mem_strndup((const char *)data, size);
    struct image_ref ref, again;
    struct err err = ERR_INIT;

    if (image_ref_parse(&ref, text, &err) == 0) {
        check(*ref.domain && *ref.path && (*ref.tag || *ref.digest));
        check(image_ref_parse(&again, ref.text, NULL) == 0);
        check(str_eq(again.text, ref.text) && str_eq(again.domain, ref.domain));
        check(str_eq(again.path, ref.path) && str_eq(again.tag, ref.tag));
        check(str_eq(again.digest, ref.digest));
    } else {
        check(err.code == ERR_INVALID);
    }
    mem_free(text);
    return 0;
}
