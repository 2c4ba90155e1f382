/* json_write.c -- tree -> text, byte for byte as Go's encoding/json writes it. */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/json.h"
#include "core/base/vec.h"

/* --- strings */

static void write_ascii_escape(struct buf *b, unsigned char c)
{
    static const char from[] = "\"\\\b\f\n\r\t";
    static const char to[] = "\"\\bfnrt";
    const char *at = c ? strchr(from, c) : NULL;

    if (at)
        buf_add(b, (char[]){'\\', to[at - from]}, 2);
    else
        buf_fmt(b, "\\u%04x", c);
}

/* The character at s, which is not plain; returns its bytes. */
static size_t write_special(struct buf *b, const char *s, size_t len)
{
    size_t n = str_utf8_len(s, len);

    if (n == 0) {
        buf_str(b, "\\ufffd");
        return 1;
    }
    if (n == 1)
        write_ascii_escape(b, (unsigned char)*s);
    else if (n == 3 && (memcmp(s, "\xe2\x80\xa8", 3) == 0 || memcmp(s, "\xe2\x80\xa9", 3) == 0))
        buf_str(b, s[2] == '\xa8' ? "\\u2028" : "\\u2029");
    else
        buf_add(b, s, n);
    return n;
}

/* How many bytes from s on may stand in a string as they are: no control character, quote,
 * backslash, <, >, & among them. */
static size_t plain_run(const char *s, size_t len)
{
    static const bool plain[256] = {
        [' ' ... '!'] = true, ['#' ... '%'] = true, ['\'' ... ';'] = true, ['='] = true,
        ['?' ... '['] = true, [']' ... 0x7f] = true,
    };
    size_t i = 0;

    while (i < len && plain[(unsigned char)s[i]])
        i++;
    return i;
}

void json_write_string(struct buf *b, const char *s, size_t len)
{
    size_t i = plain_run(s, len);

    buf_reserve(b, len + 2);
    b->p[b->len] = '"';
    if (i)
        memcpy(b->p + b->len + 1, s, i);
    b->len += i + 1;
    while (i < len) {
        size_t n;

        i += write_special(b, s + i, len - i);
        n = plain_run(s + i, len - i);
        buf_add(b, s + i, n);
        i += n;
    }
    buf_chr(b, '"');
}

/* --- numbers */

/* The fewest digits that read back as size; returns how many. *exponent is of the first digit. */
static int shortest_digits(char digits[32], int *exponent, double size)
{
    int precision = size < DBL_MIN ? 1 : 15;      /* normal doubles keep any 15 digits */
    char text[40];
    int n = 0;
    char *e;

    do          /* 17 digits are enough for every double */
        snprintf(text, sizeof(text), "%.*e", precision - 1, size);
    while (precision++ < 17 && strtod(text, NULL) != size);
    e = strchr(text, 'e');
    *exponent = (int)strtol(e + 1, NULL, 10);
    for (const char *p = text; p < e; p++)
        if (*p != '.')
            digits[n++] = *p;
    while (n > 1 && digits[n - 1] == '0')
        n--;
    return n;
}

/* digits with a point after the first `whole` of them, zeros where there are none */
static void write_digits(struct buf *b, const char *digits, int n, int whole)
{
    if (whole <= 0)
        buf_str(b, "0.");
    for (int i = whole; i < 0; i++)
        buf_chr(b, '0');
    for (int i = 0; i < n; i++) {
        if (i == whole && whole > 0)
            buf_chr(b, '.');
        buf_chr(b, digits[i]);
    }
    for (int i = n; i < whole; i++)
        buf_chr(b, '0');
}

void json_write_double(struct buf *b, double d)
{
    char digits[32];
    double size = fabs(d);
    int exponent, n;

    if (!isfinite(d)) {
        buf_str(b, "null");
        return;
    }
    n = shortest_digits(digits, &exponent, size);
    if (signbit(d))
        buf_chr(b, '-');
    if (size == 0) {
        buf_chr(b, '0');
    } else if (size < 1e-6 || size >= 1e21) {
        write_digits(b, digits, n, 1);
        buf_fmt(b, exponent < 0 ? "e-%d" : "e+%d", abs(exponent));
    } else {
        write_digits(b, digits, n, exponent + 1);
    }
}

/* --- trees */

struct write_frame { const struct json *v; uint32_t at; };

static void write_leaf(struct buf *b, const struct json *v)
{
    switch (v->type) {
    case JSON_BOOL:
        buf_str(b, v->b ? "true" : "false");
        break;
    case JSON_INT:
        buf_i64(b, v->i);
        break;
    case JSON_FLOAT:
        json_write_double(b, v->d);
        break;
    case JSON_STRING:
        json_write_string(b, v->s, v->len);
        break;
    case JSON_ARRAY:
        buf_str(b, "[]");
        break;
    case JSON_OBJECT:
        buf_str(b, "{}");
        break;
    default:
        buf_str(b, "null");
    }
}

static void write_break(struct buf *b, int spaces, size_t depth)
{
    size_t n = (size_t)spaces * depth;

    if (spaces <= 0)
        return;
    buf_chr(b, '\n');
    buf_reserve(b, n);
    memset(b->p + b->len, ' ', n);
    b->len += n;
    b->p[b->len] = 0;
}

/* What stands before child f->at; returns the child. */
static const struct json *write_child(struct buf *b, struct write_frame *f, int spaces,
                                      size_t depth)
{
    uint32_t at = f->at++;

    if (at)
        buf_chr(b, ',');
    write_break(b, spaces, depth);
    if (f->v->type == JSON_ARRAY)
        return f->v->items[at];
    json_write_string(b, f->v->members[at].key, f->v->members[at].key_len);
    buf_str(b, spaces > 0 ? ": " : ":");
    return f->v->members[at].val;
}

void json_write_pretty(struct buf *b, const struct json *v, int spaces)
{
    VEC(struct write_frame) stack = {0};

    for (;;) {
        if (v && (v->type == JSON_ARRAY || v->type == JSON_OBJECT) && v->len) {
            buf_chr(b, v->type == JSON_ARRAY ? '[' : '{');
            vec_push(&stack, ((struct write_frame){v, 0}));
        } else if (v) {
            write_leaf(b, v);
        } else {
            buf_str(b, "null");
        }
        while (stack.len && stack.v[stack.len - 1].at == stack.v[stack.len - 1].v->len) {
            stack.len--;
            write_break(b, spaces, stack.len);
            buf_chr(b, stack.v[stack.len].v->type == JSON_ARRAY ? ']' : '}');
        }
        if (!stack.len)
            break;
        v = write_child(b, &stack.v[stack.len - 1], spaces, stack.len);
    }
    vec_deinit(&stack);
}

void json_write(struct buf *b, const struct json *v)
{
    json_write_pretty(b, v, 0);
}
