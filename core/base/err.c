/* err.c -- filling and wrapping of struct err. Allocates nothing. */
#include "core/base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/base/check.h"
#include "core/base/cleanup.h"

static const char *const err_names[] = {
    [ERR_NONE] = "no error",
    [ERR_FAILED] = "failed",
    [ERR_SYSTEM] = "system call failed",
    [ERR_INVALID] = "invalid",
    [ERR_NOT_FOUND] = "not found",
    [ERR_EXISTS] = "exists",
    [ERR_CONFLICT] = "conflict",
    [ERR_QUOTA] = "limit reached",
    [ERR_TIMEOUT] = "timeout",
    [ERR_CANCELED] = "canceled",
    [ERR_UNAVAILABLE] = "unavailable",
    [ERR_DENIED] = "denied",
    [ERR_UNSUPPORTED] = "unsupported",
    [ERR_EXPIRED] = "expired",
    [ERR_CORRUPT] = "corrupt",
};
_Static_assert(ARRAY_LEN(err_names) == ERR_CODE_MAX, "a name for each code");

const char *err_name(int code)
{
    return code >= 0 && code < ERR_CODE_MAX ? err_names[code] : "unknown error";
}

void err_clear(struct err *err)
{
    if (err)
        *err = ERR_INIT;
}

/* Adds text to the message in `msg`; what does not fit is cut at a character and marked "...". */
static void err_append(char msg[ERR_MSG_BYTES], const char *text)
{
    size_t len = strlen(msg);
    size_t more = strlen(text);
    size_t cut = ERR_MSG_BYTES - sizeof("...");

    if (more < ERR_MSG_BYTES - len) {
        memcpy(msg + len, text, more + 1);
        return;
    }
    memcpy(msg + len, text, ERR_MSG_BYTES - 1 - len);
    while (cut > 0 && (msg[cut] & 0xc0) == 0x80)
        cut--;
    memcpy(msg + cut, "...", sizeof("..."));
}

/* One byte larger than a message, so that err_append sees that a text was too long. */
struct err_text { char s[ERR_MSG_BYTES + 1]; };

int err_set_at(struct err *err, int code, int sys_errno, const char *file, int line,
               const char *format, ...)
{
    struct err_text text;
    char sys[96];
    va_list args;

    check(code > ERR_NONE && code < ERR_CODE_MAX);
    if (!err)
        return -1;
    va_start(args, format);
    if (vsnprintf(text.s, sizeof(text.s), format, args) < 0)
        text.s[0] = 0;
    va_end(args);
    *err = (struct err){.code = code, .sys_errno = sys_errno, .file = file, .line = line};
    err_append(err->msg, text.s);
    if (sys_errno) {
        err_append(err->msg, ": ");
        err_append(err->msg, strerror_r(sys_errno, sys, sizeof(sys)));
    }
    return -1;
}

int err_wrap(struct err *err, const char *format, ...)
{
    struct err_text text;
    char inner[ERR_MSG_BYTES];
    va_list args;

    if (!err)
        return -1;
    va_start(args, format);
    if (vsnprintf(text.s, sizeof(text.s), format, args) < 0)
        text.s[0] = 0;
    va_end(args);
    if (err->code == ERR_NONE)
        err->code = ERR_FAILED;
    memcpy(inner, err->msg, sizeof(inner));
    err->msg[0] = 0;
    err_append(err->msg, text.s);
    err_append(err->msg, ": ");
    err_append(err->msg, inner);
    return -1;
}
