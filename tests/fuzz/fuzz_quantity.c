#include "core/base/check.h"
#include "core/base/mem.h"
#include "core/object/quantity.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What parses must have a canonical text that parses again to the same. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(mem_freep) char *text = mem_strndup((const char *)data, size);
    char once[QUANTITY_BYTES], twice[QUANTITY_BYTES];
    int64_t v;

    if (quantity_canonical(once, text, strlen(text), NULL) < 0)
        return 0;
    check(quantity_canonical(twice, once, strlen(once), NULL) == 0);
    check(quantity_cmp(once, twice) == 0);
    check(quantity_cmp(text, once) == 0);
    check(quantity_value(text, &v, NULL) == 0);
    check(quantity_milli(text, &v, NULL) == 0);
    check(quantity_round_milli(twice, text, NULL) == 0);
    return 0;
}
