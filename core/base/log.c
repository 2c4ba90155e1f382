/* log.c -- one line, one write(2), no allocation: usable when memory is out. */
#include "core/base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/base/check.h"
#include "core/base/cleanup.h"
#include "core/base/timefmt.h"

static const struct { char letter; const char *name; } log_levels[] = {
    [LOG_DEBUG] = {'D', "debug"},
    [LOG_INFO] = {'I', "info"},
    [LOG_WARN] = {'W', "warn"},
    [LOG_ERROR] = {'E', "error"},
};
_Static_assert(ARRAY_LEN(log_levels) == LOG_LEVEL_MAX, "a name for each level");

/* The one permitted global: written once, at start. */
static struct {
    char role[32];
    enum log_level least;
    enum log_format format;
} log_state = {.least = LOG_INFO};

void log_setup(const char *role, enum log_level least, enum log_format format)
{
    check(least < LOG_LEVEL_MAX);
    snprintf(log_state.role, sizeof(log_state.role), "%s", role ? role : "");
    log_state.least = least;
    log_state.format = format;
}

struct log_buf { char s[LOG_LINE_BYTES]; size_t len; bool cut; };

#define LOG_TAIL_BYTES 8       /* kept free for what closes a line */

static void log_raw(struct log_buf *b, const char *text)
{
    size_t len = strlen(text);

    if (len > sizeof(b->s) - LOG_TAIL_BYTES - b->len)
        b->cut = true;
    if (b->cut)
        return;
    memcpy(b->s + b->len, text, len);
    b->len += len;
}

/* Adds text with control characters escaped; in JSON also quotes and backslashes. */
static void log_text(struct log_buf *b, const char *text, bool json)
{
    for (const char *p = text; *p; p++) {
        unsigned char c = (unsigned char)*p;
        char piece[8] = {(char)c, 0};

        if (json && (c == '"' || c == '\\'))
            snprintf(piece, sizeof(piece), "\\%c", c);
        else if (c == '\n')
            snprintf(piece, sizeof(piece), "\\n");
        else if (c < 0x20 || c == 0x7f)
            snprintf(piece, sizeof(piece), json ? "\\u%04x" : "\\x%02x", c);
        log_raw(b, piece);
    }
}

static void log_now(char out[TIMEFMT_BYTES])
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    timefmt_micro(out, (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000);
}

/* I1124 05:03:12.123456 node what details */
static void log_as_text(struct log_buf *b, enum log_level level, const char *what,
                        const char *details)
{
    char now[TIMEFMT_BYTES];
    char head[64];

    log_now(now);                   /* 2026-11-24T05:03:12.123456Z */
    snprintf(head, sizeof(head), "%c%.2s%.2s %.15s ", log_levels[level].letter, now + 5, now + 8,
             now + 11);
    log_raw(b, head);
    if (log_state.role[0]) {
        log_text(b, log_state.role, false);
        log_raw(b, " ");
    }
    log_text(b, what, false);
    if (details[0]) {
        log_raw(b, " ");
        log_text(b, details, false);
    }
    memcpy(b->s + b->len, b->cut ? "...\n" : "\n", b->cut ? 4 : 1);
    b->len += b->cut ? 4 : 1;
}

static void log_as_json(struct log_buf *b, enum log_level level, const char *what,
                        const char *details)
{
    char now[TIMEFMT_BYTES];

    log_now(now);
    log_raw(b, "{\"ts\":\"");
    log_raw(b, now);
    log_raw(b, "\",\"level\":\"");
    log_raw(b, log_levels[level].name);
    log_raw(b, "\",\"role\":\"");
    log_text(b, log_state.role, true);
    log_raw(b, "\",\"msg\":\"");
    log_text(b, what, true);
    log_raw(b, details[0] ? " " : "");
    log_text(b, details, true);
    memcpy(b->s + b->len, b->cut ? "...\"}\n" : "\"}\n", b->cut ? 6 : 3);
    b->len += b->cut ? 6 : 3;
}

void log_line(enum log_level level, const char *what, const char *format, ...)
{
    struct log_buf b = {.len = 0};
    char details[LOG_LINE_BYTES];
    int saved = errno;
    va_list args;
    ssize_t n;

    if (level < log_state.least)
        return;
    va_start(args, format);
    if (vsnprintf(details, sizeof(details), format, args) < 0)
        details[0] = 0;
    va_end(args);
    if (log_state.format == LOG_JSON)
        log_as_json(&b, level, what, details);
    else
        log_as_text(&b, level, what, details);
    do
        n = write(STDERR_FILENO, b.s, b.len);
    while (n < 0 && errno == EINTR);
    errno = saved;
}
