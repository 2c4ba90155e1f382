/* core/object/rules.h -- what a create or update of a kind means beyond its schema: preparation
 * (strategy), validation, immutability. Pure: clock and randomness come from env.
 */
#ifndef CORE_OBJECT_RULES_H
#define CORE_OBJECT_RULES_H

#include "core/base/env.h"
#include "core/object/kind.h"
#include "core/base/json.h"

/* One cause of a 422, in upstream's words (field.Error). */
enum cause_type {
    CAUSE_REQUIRED, CAUSE_INVALID, CAUSE_NOT_SUPPORTED, CAUSE_DUPLICATE, CAUSE_FORBIDDEN,
    CAUSE_TOO_LONG, CAUSE_TOO_MANY, CAUSE_NOT_FOUND, CAUSE_TYPE_INVALID, CAUSE_INTERNAL,
    /* of Forbidden and Timeout, not of Invalid */
    CAUSE_NAMESPACE_TERMINATING, CAUSE_RV_TOO_LARGE, CAUSE_MANAGER_CONFLICT,
    CAUSE_TYPE_MAX
};
struct cause {
    enum cause_type type;
    const char *field;           /* "spec.containers[0].image" */
    /* without the field: `Invalid value: "a_b": must ...` as field.Error.ErrorBody() */
    const char *message;
};
struct causes { struct cause *v; unsigned len, cap; struct arena *a; };

/* Adds a cause. `value`: the bad value as JSON or NULL; how it is printed follows
 * field.Error.ErrorBody(). */
void causes_add(struct causes *c, enum cause_type type, const char *field, const struct json *value,
                const char *format, ...) __attribute__((format(printf, 5, 6)));
const char *cause_reason(enum cause_type t);      /* "FieldValueInvalid" */

struct rules_ctx {
    struct arena *a;
    const struct env *env;
    const char *ns;              /* of the request; "" for cluster-scoped */
    /* "" or "status", "scale", "ephemeralcontainers", "resize", "binding", "finalize" */
    const char *subresource;
    bool dry_run;
    /* Warning headers (deprecated fields, suspicious values); may be NULL */
    struct codec_notes *warnings;
};

/* Create: drops what a client may not set (status, uid, resourceVersion handling is the API's),
 * sets generation, initial status (pod phase Pending, qosClass), kind-specific normalisation. On a
 * canonical, defaulted tree. */
void rules_prepare_create(struct json *obj, const struct kind *kind, const struct rules_ctx *ctx);
/* Update: restores what this (sub)resource may not change from `old`, bumps generation when spec
 * changed. */
void rules_prepare_update(struct json *obj, const struct json *old, const struct kind *kind,
                          const struct rules_ctx *ctx);
/* All causes are collected, in upstream's order where it is cheap. Metadata rules included. */
void rules_validate_create(struct causes *out, const struct json *obj, const struct kind *kind,
                           const struct rules_ctx *ctx);
void rules_validate_update(struct causes *out, const struct json *obj, const struct json *old,
                           const struct kind *kind, const struct rules_ctx *ctx);

/* A PUT of this kind needs a resourceVersion (else: 422 metadata.resourceVersion, `Invalid value:
 * 0: must be specified for an update`), and a PUT of a missing name creates it. */
bool rules_needs_version(const struct kind *kind);
bool rules_creates_on_update(const struct kind *kind);

/* Name rules that others need too. Return NULL when fine, else upstream's text. */
const char *rules_dns1123_label(struct arena *a, const char *s);
const char *rules_dns1123_subdomain(struct arena *a, const char *s);
const char *rules_dns1035_label(struct arena *a, const char *s);
const char *rules_qualified_name(struct arena *a, const char *s);
const char *rules_label_value(struct arena *a, const char *s);
/* The name check of a kind (used for URL names and generateName too): NULL when fine. */
const char *rules_object_name(struct arena *a, const struct kind *kind, const char *name,
                              bool prefix);

#endif
