/* core/object/codec_protobuf_impl.h -- private: how fields lie in messages, for reading and
 * writing.
 *
 * A type embedded in another (VolumeSource in Volume) is flat in the tables and in JSON. On the
 * wire it is a message of its own, numbered by the embedding field; without a number (TypeMeta) it
 * is not on the wire. A level is the embedding whose message it is, NULL: the type itself. */
#ifndef CORE_OBJECT_CODEC_PROTOBUF_IMPL_H
#define CORE_OBJECT_CODEC_PROTOBUF_IMPL_H

#include "core/object/schema.h"

/* The field of this number in the message of that level; NULL: none. */
const struct schema_field *codec_protobuf_field(const struct schema_type *t,
                                                const struct schema_embed *level, uint32_t number);
/* The embedded message of this number in the message of that level; NULL: none. */
const struct schema_embed *codec_protobuf_embed(const struct schema_type *t,
                                                const struct schema_embed *level, uint32_t number);
bool codec_protobuf_is_message(unsigned base);       /* its wire type is 2 */

#endif
