/* check.c -- the end of a process that broke its own promise. */
#include "core/base/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

_Noreturn void check_fail(const char *what, const char *file, int line)
{
    char text[512];
    int len = snprintf(text, sizeof(text), "check failed: %s at %s:%d\n", what, file, line);
    size_t size = len < 0 ? 0 : (size_t)len < sizeof(text) ? (size_t)len : sizeof(text) - 1;

    if (write(STDERR_FILENO, text, size) < 0)
        abort();
    abort();
}
