/* fuzz_box.c -- the first byte says what the rest is to the box: a script to parse, a name server's answer, its
 * configuration, a tar header, a pax header. */
#include "cmd/box/box_dns.h"
#include "cmd/box/box_sh.h"
#include "cmd/box/box_tar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void script(const char *p, size_t len)
{
    size_t at = 0;
    int r = 1;

    while (r > 0) {
        _cleanup_(arena_freep) struct arena *a = arena_new(0);
        struct err err = ERR_INIT;
        struct sh_node *n = NULL;

        r = box_sh_parse(&n, a, (struct slice){ p, len }, &at, &err);
    }
}

static void answer(const uint8_t *p, size_t len)
{
    struct box_dns_answer a;
    struct err err = ERR_INIT;
    char text[300];

    if (box_dns_parse(&a, p, len, &err) == 0)
        for (size_t i = 0; i < a.n; i++)
            box_dns_show(text, sizeof(text), &a, &a.v[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(mem_freep) struct box_tar_entry *e = mem_alloc(sizeof(*e));
    _cleanup_(mem_freep) char *text = NULL;
    struct box_dns_conf c;
    struct err err = ERR_INIT;
    const char *path;

    if (size < 1 || size > 65536)
        return 0;
    text = mem_strndup((const char *)data + 1, size - 1);
    switch (data[0] % 5) {
    case 0: script(text, size - 1); break;
    case 1: answer(data + 1, size - 1); break;
    case 2: box_dns_conf_parse(&c, text); break;
    case 3:
        if (size > BOX_TAR_BLOCK && box_tar_read(e, text, &err) > 0)
            (void)box_tar_safe(&path, e->name, &err);
        break;
    case 4: (void)box_tar_pax(e, text, size - 1, &err); break;
    }
    return 0;
}
