/* tests/unit/core/object/try_rules.h -- what a create says about an object written with quotes as
 * '. */
#ifndef TESTS_UNIT_CORE_OBJECT_TRY_RULES_H
#define TESTS_UNIT_CORE_OBJECT_TRY_RULES_H

#include "core/object/codec.h"
#include "core/object/rules.h"
#include "tests/harness/test.h"

/* The prepared object and its causes, "field: message|field: message". */
static inline const char *try_create(struct arena *a, const struct kind *kind, const char *text,
                                     struct json **out)
{
    struct rules_ctx ctx = { .a = a, .env = env_real(), .ns = "ns", .subresource = "" };
    struct causes causes = { .a = a };
    _cleanup_buf_ struct buf b = BUF_INIT;
    char *json = arena_strdup(a, text);
    struct json *raw = NULL, *obj = NULL;
    struct err err = ERR_INIT;

    for (char *s = json; *s; s++)
        *s = *s == '\'' ? '"' : *s;
    EXPECT_OK(codec_parse(&raw, a, MEDIA_JSON, slice_of(json), NULL, &err), &err);
    EXPECT_OK(codec_canonical(&obj, a, kind->type, raw, NULL, &err), &err);
    codec_default(obj, a, kind);
    rules_prepare_create(obj, kind, &ctx);
    rules_validate_create(&causes, obj, kind, &ctx);
    for (unsigned i = 0; i < causes.len; i++)
        buf_fmt(&b, "%s%s: %s", i ? "|" : "", causes.v[i].field, causes.v[i].message);
    if (out)
        *out = obj;
    return arena_strdup(a, b.p ? b.p : "");
}

/* A pod with one container and these annotations, container fields, spec fields (each may be "",
 * else begins with a comma). */
static inline const char *try_pod(struct arena *a, const char *notes, const char *container,
                                  const char *spec, struct json **out)
{
    return try_create(a, kind_pod(), arena_printf(a,
        "{'metadata':{'name':'p','namespace':'ns','annotations':{%s}},'spec':{'containers':[{"
        "'name':'c','image':'i'%s}]%s}}", notes, container, spec), out);
}

#endif
