/* core/object/codec_syntax.c -- a scanner that only finds the first fault of a JSON text. */
#include "core/object/codec_syntax.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define GO_DEPTH_MAX 10000

struct scan {
    const unsigned char *p, *end;
    struct err *err;
    unsigned depth;
    uint8_t nest[GO_DEPTH_MAX / 8 + 1];      /* a bit for each open bracket: 1 for an object */
};

static int unexpected_end(struct scan *s)
{
    return err_set(s->err, ERR_INVALID, "unexpected end of JSON input");
}

/* The byte as Go quotes it: taken for a character of its own. */
static int bad_char(struct scan *s, const char *where)
{
    unsigned char c = *s->p;
    char shown[8];

    if (c == '\'')
        snprintf(shown, sizeof(shown), "\\'");
    else if (c == '\\')
        snprintf(shown, sizeof(shown), "\\\\");
    else if (c == '\n' || c == '\r' || c == '\t')
        snprintf(shown, sizeof(shown), "\\%c", c == '\n' ? 'n' : c == '\r' ? 'r' : 't');
    else if (c >= '\a' && c <= '\f')         /* the others of these six were before */
        snprintf(shown, sizeof(shown), "\\%c", "abtnvf"[c - '\a']);
    else if (c < 0x20 || c == 0x7f)
        snprintf(shown, sizeof(shown), "\\x%02x", c);
    else if (c < 0x7f)
        snprintf(shown, sizeof(shown), "%c", c);
    else if (c < 0xa1 || c == 0xad)
        snprintf(shown, sizeof(shown), "\\u%04x", c);
    else
        snprintf(shown, sizeof(shown), "%c%c", 0xc0 | c >> 6, 0x80 | (c & 0x3f));
    return err_set(s->err, ERR_INVALID, "invalid character '%s' %s", shown, where);
}

static void skip_space(struct scan *s)
{
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\t' || *s->p == '\r' || *s->p == '\n'))
        s->p++;
}

static int scan_escape(struct scan *s)
{
    if (s->p == s->end)
        return unexpected_end(s);
    if (*s->p != 'u') {
        if (!strchr("bfnrt\\/\"", *s->p) || !*s->p)
            return bad_char(s, "in string escape code");
        s->p++;
        return 0;
    }
    s->p++;
    for (unsigned i = 0; i < 4; i++, s->p++) {
        if (s->p == s->end)
            return unexpected_end(s);
        if (!strchr("0123456789abcdefABCDEF", *s->p) || !*s->p)
            return bad_char(s, "in \\u hexadecimal character escape");
    }
    return 0;
}

/* From behind the opening quote. */
static int scan_string(struct scan *s)
{
    while (s->p < s->end) {
        if (*s->p < 0x20)
            return bad_char(s, "in string literal");
        if (*s->p == '"') {
            s->p++;
            return 0;
        }
        if (*s->p++ == '\\' && scan_escape(s) < 0)
            return -1;
    }
    return unexpected_end(s);
}

static int scan_literal(struct scan *s, const char *word)
{
    char where[48];

    for (const char *c = word; *c; c++, s->p++) {
        if (s->p == s->end)
            return unexpected_end(s);
        if (*s->p != (unsigned char)*c) {
            snprintf(where, sizeof(where), "in literal %s (expecting '%c')", word, *c);
            return bad_char(s, where);
        }
    }
    return 0;
}

static bool at_digit(const struct scan *s)
{
    return s->p < s->end && *s->p >= '0' && *s->p <= '9';
}

static int scan_digits(struct scan *s, const char *where)
{
    if (s->p == s->end)
        return unexpected_end(s);
    if (!at_digit(s))
        return bad_char(s, where);
    while (at_digit(s))
        s->p++;
    return 0;
}

static int scan_number(struct scan *s)
{
    if (*s->p == '-')
        s->p++;
    if (s->p < s->end && *s->p == '0')
        s->p++;
    else if (scan_digits(s, "in numeric literal") < 0)
        return -1;
    if (s->p < s->end && *s->p == '.') {
        s->p++;
        if (scan_digits(s, "after decimal point in numeric literal") < 0)
            return -1;
    }
    if (s->p < s->end && (*s->p == 'e' || *s->p == 'E')) {
        s->p++;
        if (s->p < s->end && (*s->p == '+' || *s->p == '-'))
            s->p++;
        if (scan_digits(s, "in exponent of numeric literal") < 0)
            return -1;
    }
    return 0;
}

static bool in_object(const struct scan *s)
{
    return s->depth && s->nest[(s->depth - 1) / 8] & 1u << (s->depth - 1) % 8;
}

static int open_bracket(struct scan *s, bool object)
{
    unsigned bit = s->depth % 8;

    if (s->depth == GO_DEPTH_MAX)
        return bad_char(s, "exceeded max depth");
    s->nest[s->depth / 8] &= (uint8_t)~(1u << bit);
    s->nest[s->depth / 8] |= (uint8_t)((unsigned)object << bit);
    s->depth++;
    s->p++;
    return 0;
}

static int scan_key(struct scan *s)
{
    skip_space(s);
    if (s->p == s->end)
        return unexpected_end(s);
    if (*s->p != '"')
        return bad_char(s, "looking for beginning of object key string");
    s->p++;
    if (scan_string(s) < 0)
        return -1;
    skip_space(s);
    if (s->p == s->end)
        return unexpected_end(s);
    if (*s->p != ':')
        return bad_char(s, "after object key");
    s->p++;
    return 0;
}

/* One value, or the opening of one. 1: an array or object was opened and is not empty. */
static int scan_value(struct scan *s)
{
    bool object;

    skip_space(s);
    if (s->p == s->end)
        return unexpected_end(s);
    switch (*s->p) {
    case '"': s->p++; return scan_string(s);
    case 't': return scan_literal(s, "true");
    case 'f': return scan_literal(s, "false");
    case 'n': return scan_literal(s, "null");
    case '{': case '[': break;
    default:
        if (*s->p == '-' || at_digit(s))
            return scan_number(s);
        return bad_char(s, "looking for beginning of value");
    }
    object = *s->p == '{';
    if (open_bracket(s, object) < 0)
        return -1;
    skip_space(s);
    if (s->p == s->end)
        return unexpected_end(s);
    if (*s->p == (object ? '}' : ']')) {
        s->p++;
        s->depth--;
        return 0;
    }
    return object && scan_key(s) < 0 ? -1 : 1;
}

/* What follows a value: a comma, or closing brackets. */
static int scan_after(struct scan *s)
{
    while (s->depth) {
        bool object = in_object(s);

        skip_space(s);
        if (s->p == s->end)
            return unexpected_end(s);
        if (*s->p == ',') {
            s->p++;
            return object ? scan_key(s) : 0;
        }
        if (*s->p != (object ? '}' : ']'))
            return bad_char(s, object ? "after object key:value pair" : "after array element");
        s->p++;
        s->depth--;
    }
    return 0;
}

int codec_syntax_explain(struct slice text, struct err *err)
{
    struct err found = ERR_INIT;
    struct scan s = { .p = (const unsigned char *)text.p,
                      .end = (const unsigned char *)text.p + text.len,
                      .err = &found };
    int r;

    do {
        r = scan_value(&s);
        if (r == 0)
            r = scan_after(&s);
    } while (r >= 0 && (r == 1 || s.depth));
    skip_space(&s);
    if (r >= 0 && s.p < s.end)
        bad_char(&s, "after top-level value");
    if (found.code && err)
        *err = found;
    return -1;
}
