/* core/object/codec_default.h -- tools of the defaults. Inside core/object only. */
#ifndef CORE_OBJECT_CODEC_DEFAULT_H
#define CORE_OBJECT_CODEC_DEFAULT_H

#include "core/base/json.h"
#include "core/object/schema.h"

/* Sets a field of a struct, a key of a map, at its place in the canonical order. */
void codec_default_put(struct json *obj, struct arena *a, const struct schema_type *t,
                       const char *name, struct json *val);
void codec_default_put_key(struct json *map, struct arena *a, const char *key, struct json *val);
/* The struct or map behind an optional field, made when it is not there. */
struct json *codec_default_ensure(struct json *obj, struct arena *a, const struct schema_type *t,
                                  const char *name);
const struct schema_type *codec_default_type_in(const struct schema_type *t, const char *name);

/* Of a whole object, by kind. */
typedef void codec_default_kind(struct json *tree, struct arena *a, const struct schema_type *t);
codec_default_kind codec_default_pod;
codec_default_kind codec_default_job;
codec_default_kind codec_default_daemon_set;
codec_default_kind codec_default_stateful_set;
codec_default_kind codec_default_replication_controller;
codec_default_kind codec_default_network_policy;
codec_default_kind codec_default_binding;
codec_default_kind codec_default_limit_range;
codec_default_kind codec_default_secret;
codec_default_kind codec_default_autoscaler;
codec_default_kind codec_default_persistent_volume;

#endif
