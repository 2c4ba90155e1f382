#include "core/base/check.h"
#include "core/base/mem.h"
#include "core/object/selector.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What parses must have a text that parses again to the same text. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(mem_freep) char *text = mem_strndup((const char *)data, size);
    _cleanup_(selector_freep) struct selector *once = NULL, *twice = NULL;
    _cleanup_(fieldsel_freep) struct fieldsel *f = NULL;
    _cleanup_buf_ struct buf x = BUF_INIT, y = BUF_INIT;

    fieldsel_parse(&f, kind_by_resource("", "v1", "pods"), text, NULL);
    if (selector_parse(&once, text, NULL) < 0)
        return 0;
    selector_matches_map(once, NULL);
    selector_write(&x, once);
    check(selector_parse(&twice, x.p, NULL) == 0);
    selector_write(&y, twice);
    check(str_eq(x.p, y.p));
    return 0;
}
