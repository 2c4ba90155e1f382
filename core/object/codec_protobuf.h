/* core/object/codec_protobuf.h -- application/vnd.kubernetes.protobuf: typed clients send it. The
 * tables of schema.h say each field's number; messages follow the Go types' generated.proto
 * (proto2 as gogo writes it: fields in order of their numbers, plain ones always, optional ones
 * when set).
 *
 *   "k8s\0" + runtime.Unknown{1: TypeMeta{1: apiVersion, 2: kind}, 2: the message, 3, 4: ""}
 */
#ifndef CORE_OBJECT_CODEC_PROTOBUF_H
#define CORE_OBJECT_CODEC_PROTOBUF_H

#include "core/object/codec.h"

#define CODEC_PROTOBUF_MAGIC "k8s\0"
#define CODEC_PROTOBUF_MAGIC_BYTES 4

/* The envelope and what is in it -> raw tree with apiVersion and kind, to be made canonical like
 * any other. A message that does not say its version or kind is of `expected` (NULL: none).
 * Unknown field numbers are skipped, as Go does. ERR_INVALID: broken bytes, or a kind nobody
 * knows; ERR_QUOTA: deeper than CODEC_DEPTH_MAX. */
int codec_protobuf_read(struct json **out, struct arena *a, struct slice bytes,
                        const struct kind *expected, struct err *err);
/* One message of this type, without an envelope. */
int codec_protobuf_read_message(struct json **out, struct arena *a, const struct schema_type *type,
                                struct slice bytes, struct err *err);
/* "v1", "Pod" -> the type: a kind, a list, or a body that is neither (Scale, Status); or NULL. */
const struct schema_type *codec_protobuf_type(const char *api_version, const char *kind);
/* A canonical tree -> envelope and message. */
void codec_protobuf_write(struct buf *b, const struct schema_type *type, const struct json *tree,
                          const char *api_version, const char *kind);
void codec_protobuf_write_message(struct buf *b, const struct schema_type *type,
                                  const struct json *tree);

#endif
