/* fuzz_tar.c -- any bytes as a tar, in reads of odd lengths: entries keep what the door
 * promises. */
#include <stdint.h>
#include <string.h>

#include "core/base/check.h"
#include "runtime/image/image_tar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct source { const uint8_t *p; size_t left; };

static ssize_t source_read(void *ctx, void *p, size_t len, struct err *err)
{
    struct source *s = ctx;
    size_t n = len < s->left ? len : s->left;

    (void)err;
    n = n > 100 ? n - n % 7 : n;
    memcpy(p, s->p, n);
    s->p += n;
    s->left -= n;
    return (ssize_t)n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct source s = { data, size };
    _cleanup_(image_tar_freep) struct image_tar *t = image_tar_new(source_read, &s);
    const struct image_tar_entry *e;
    struct err err = ERR_INIT;
    char block[700];
    int r;

    while ((r = image_tar_next(&e, t, &err)) == 1) {
        size_t len = strlen(e->path);
        ssize_t n = 0;

        check(len > 0 && len <= IMAGE_TAR_PATH_MAX && strlen(e->link) <= IMAGE_TAR_PATH_MAX);
        check(e->size >= 0 && (e->type == IMAGE_TAR_FILE || e->size == 0));
        check((e->mode & ~07777u) == 0 && e->mtime_ns < 1000000000);
        check(e->uid != UINT32_MAX && e->gid != UINT32_MAX);
        check(image_tar_offset(t) <= (int64_t)size);
        if (e->uid % 2)
            while ((n = image_tar_data(t, block, sizeof(block), &err)) > 0)
                ;
        if (n < 0)
            break;
    }
    check(r >= 0 || err.code != ERR_NONE);
    return 0;
}
