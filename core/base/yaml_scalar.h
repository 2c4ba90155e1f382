/* core/base/yaml_scalar.h -- inside the room: what a plain scalar means, as Go's yaml.v2 has it.
 * The reader and the writer share it: a text is written plain only when it reads back as text. */
#ifndef CORE_BASE_YAML_SCALAR_H
#define CORE_BASE_YAML_SCALAR_H

#include "core/base/str.h"

enum yaml_kind {
    YAML_STR, YAML_NULL, YAML_BOOL, YAML_INT, YAML_FLOAT,
    YAML_TIME,           /* looks like a timestamp; its value is the text */
};

struct yaml_scalar {
    enum yaml_kind kind;
    bool b;
    int64_t i;
    double d;            /* may be infinite or NaN */
};

struct yaml_scalar yaml_scalar_resolve(const char *s, size_t len);
/* Texts like "12:30:45" that other YAML 1.1 readers take for numbers: quoted on the way out. */
bool yaml_scalar_is_base60(const char *s, size_t len);

#endif
