/* core/object/codec_syntax.h -- why a text is no JSON, in the words of Go's encoding/json, which
 * clients know: "invalid character 'x' after object key", "unexpected end of JSON input". Inside
 * core/object only. */
#ifndef CORE_OBJECT_CODEC_SYNTAX_H
#define CORE_OBJECT_CODEC_SYNTAX_H

#include "core/base/str.h"

/* Replaces the message of an error of json_parse, when Go would refuse the text too. Always -1. */
int codec_syntax_explain(struct slice text, struct err *err);

#endif
