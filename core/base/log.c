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

struct log_buf { char s[LOG_LINE_BYTES]; size_t len; bool cut, open; };

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

/* --- details: "key=value key=value", as callers print them. A value in quotes ends with them; of
 * those that hold foreign texts all of the rest is the value; another ends before the next key. */

struct log_field { const char *key, *value; size_t key_len, value_len; };

static size_t log_key_len(const char *p)
{
    size_t n = strspn(p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.");

    return n > 0 && p[n] == '=' ? n : 0;
}

static bool log_is_open(const char *key, size_t len)
{
    static const char *const open[] = { "error", "err", "why", "text", "message" };

    for (size_t i = 0; i < ARRAY_LEN(open); i++)
        if (strlen(open[i]) == len && memcmp(open[i], key, len) == 0)
            return true;
    return false;
}

static size_t log_value_len(const char *p, bool open)
{
    const char *end = p;

    if (open)
        return strlen(p);
    while (*end && !(*end == ' ' && log_key_len(end + 1)))
        end++;
    return (size_t)(end - p);
}

/* The length of "..." from p on if it ends the field; else 0. */
static size_t log_quoted_len(const char *p)
{
    const char *end = p + 1;

    if (*p != '"')
        return 0;
    while (*end && !(*end == '"' && (!end[1] || (end[1] == ' ' && log_key_len(end + 2)))))
        end++;
    return *end ? (size_t)(end - p) + 1 : 0;
}

static bool log_next(const char **at, struct log_field *out)
{
    const char *p = *at;
    size_t quoted;

    while (*p == ' ')
        p++;
    out->key = p;
    out->key_len = log_key_len(p);
    if (!out->key_len)
        return false;
    p += out->key_len + 1;
    quoted = log_quoted_len(p);
    out->value = quoted ? p + 1 : p;
    out->value_len = quoted ? quoted - 2
                            : log_value_len(p, log_is_open(out->key, out->key_len));
    *at = quoted ? p + quoted : p + out->value_len;
    return true;
}

static void log_part(struct log_buf *b, const char *p, size_t len, bool escape)
{
    char piece[65];

    for (size_t n; len > 0; p += n, len -= n) {
        n = len < sizeof(piece) - 1 ? len : sizeof(piece) - 1;
        memcpy(piece, p, n);
        piece[n] = 0;
        log_text(b, piece, escape);
    }
}

/* I1124 05:03:12.123456 node what key=value key="two words" */
static void log_as_text(struct log_buf *b, enum log_level level, const char *what,
                        const char *details)
{
    char now[TIMEFMT_BYTES];
    char head[64];
    struct log_field f;

    log_now(now);                   /* 2026-11-24T05:03:12.123456Z */
    snprintf(head, sizeof(head), "%c%.2s%.2s %.15s ", log_levels[level].letter, now + 5, now + 8,
             now + 11);
    log_raw(b, head);
    if (log_state.role[0]) {
        log_text(b, log_state.role, false);
        log_raw(b, " ");
    }
    log_text(b, what, false);
    while (log_next(&details, &f)) {
        bool plain = f.value_len > 0 && strcspn(f.value, " \"=") >= f.value_len;

        log_raw(b, " ");
        log_part(b, f.key, f.key_len, false);
        log_raw(b, plain ? "=" : "=\"");
        log_part(b, f.value, f.value_len, !plain);
        log_raw(b, plain ? "" : "\"");
    }
    if (details[0]) {
        log_raw(b, " ");
        log_text(b, details + (details[0] == ' '), false);
    }
    memcpy(b->s + b->len, b->cut ? "...\n" : "\n", b->cut ? 4 : 1);
    b->len += b->cut ? 4 : 1;
}

static bool log_is_number(const struct log_field *f)
{
    return f->value_len > 0 && f->value_len < 16 && (f->value_len == 1 || f->value[0] != '0') &&
           strspn(f->value, "0123456789") >= f->value_len;
}

/* ,"key":"value"; all of it or, when the line is full, as much of the value as fits. */
static void log_json_field(struct log_buf *b, const struct log_field *f)
{
    size_t before = b->len;

    log_raw(b, ",\"");
    log_part(b, f->key, f->key_len, true);
    log_raw(b, log_is_number(f) ? "\":" : "\":\"");
    if (log_is_number(f))
        log_part(b, f->value, f->value_len, true);
    if (b->cut)
        b->len = before;            /* without a place for a mark */
    if (b->cut || log_is_number(f))
        return;
    log_part(b, f->value, f->value_len, true);
    log_raw(b, b->cut ? "" : "\"");
    b->open = b->cut;
}

static void log_as_json(struct log_buf *b, enum log_level level, const char *what,
                        const char *details)
{
    char now[TIMEFMT_BYTES];
    struct log_field f;
    const char *tail;

    log_now(now);
    log_raw(b, "{\"ts\":\"");
    log_raw(b, now);
    log_raw(b, "\",\"level\":\"");
    log_raw(b, log_levels[level].name);
    log_raw(b, "\",\"role\":\"");
    log_text(b, log_state.role, true);
    log_raw(b, "\",\"msg\":\"");
    log_text(b, what, true);
    if (details[0] && !log_key_len(details)) {
        log_raw(b, " ");
        log_text(b, details, true);
        details = "";
    }
    log_raw(b, "\"");
    b->open = b->cut;
    while (!b->cut && log_next(&details, &f))
        log_json_field(b, &f);
    tail = b->open ? "...\"}\n" : "}\n";
    memcpy(b->s + b->len, tail, strlen(tail));
    b->len += strlen(tail);
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
