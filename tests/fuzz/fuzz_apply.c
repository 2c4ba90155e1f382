#include "core/base/env.h"
#include "core/base/mem.h"
#include "core/object/apply.h"
#include "core/object/codec.h"
#include "core/object/kind.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct json *canonical(const struct kind *kind, struct arena *a, struct json *raw)
{
    struct json *out = NULL;

    if (!json_is(raw, JSON_OBJECT) || codec_canonical(&out, a, kind->type, raw, NULL, NULL) < 0)
        return NULL;
    json_set_str(a, out, "kind", kind->kind);
    json_set_str(a, out, "apiVersion", kind->api_version);
    return out;
}

static void apply(struct apply_ctx *c, const struct json *live, struct json *config)
{
    struct causes conflicts = { .a = c->a };
    struct json *merged = NULL;
    struct err err = ERR_INIT;

    c->conflicts = &conflicts;
    if (apply_apply(c, &merged, live, config, &err) == 0 && merged)
        canonical(c->kind, c->a, merged);
    else if (conflicts.len)
        apply_conflict(c->a, &conflicts);
}

/* {"l": what is there, "c": what is applied or, without it, "u": what is written,
 *  "s": subresource, "f": force}; c and u name a kind, or it is a Pod. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(16u << 20);
    struct apply_ctx c = { .a = a, .env = env_real(), .manager = "fuzz" };
    struct json *all, *config, *live, *update;

    if (size > 4096 || json_parse(&all, a, (const char *)data, size, NULL, NULL) < 0)
        return 0;
    config = json_get(all, "c");
    update = json_get(all, "u");
    c.kind = kind_by_api_version(json_get_str(config ? config : update, "apiVersion"),
                                 json_get_str(config ? config : update, "kind"));
    if (!c.kind)
        c.kind = kind_pod();
    c.subresource = json_get_str(all, "s") ? json_get_str(all, "s") : "";
    c.force = json_get(all, "f") != NULL;
    live = canonical(c.kind, a, json_get(all, "l"));
    update = canonical(c.kind, a, update);
    if (update)
        apply_update(&c, update, live);
    if (json_is(config, JSON_OBJECT))
        apply(&c, live, config);
    return 0;
}
