/* quotes.h -- JSON in tests is written with ' for ", which keeps it readable. */
#ifndef TESTS_UNIT_CORE_OBJECT_QUOTES_H
#define TESTS_UNIT_CORE_OBJECT_QUOTES_H

#include "core/base/mem.h"

static inline const char *quotes(struct arena *a, const char *text)
{
    char *out = arena_strdup(a, text);

    for (char *p = out; *p; p++)
        if (*p == '\'')
            *p = '"';
    return out;
}

#endif
