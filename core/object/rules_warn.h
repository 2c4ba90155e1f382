/* core/object/rules_warn.h -- warnings of accepted writes; for this room only. */
#ifndef CORE_OBJECT_RULES_WARN_H
#define CORE_OBJECT_RULES_WARN_H

#include "core/object/rules_impl.h"

/* Once a write is known to be valid: adds to ctx->warnings, if anyone wants them. */
void rules_warn_create(const struct json *obj, const struct kind *kind,
                       const struct rules_ctx *ctx);
void rules_warn_update(const struct json *obj, const struct json *old, const struct kind *kind,
                       const struct rules_ctx *ctx);

/* base: NULL for a pod, the path of the template otherwise. */
void rules_warn_pod_spec(const struct rules_ctx *ctx, const struct rules_path *base,
                         const struct json *meta, const struct json *spec);
void rules_warn_at(const struct rules_ctx *ctx, const struct rules_path *p, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
