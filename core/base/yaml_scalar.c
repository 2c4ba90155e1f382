/* yaml_scalar.c -- YAML 1.1 core rules as Go's yaml.v2 reads them: words by table, then timestamps,
 * integers in Go's notations (0x 0o 0b, a leading 0 is octal, '_' anywhere), floats. */
#include "core/base/yaml_scalar.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#define NUMBER_BYTES_MAX 400u      /* longer texts are no numbers that a double could tell apart */

static const struct { const char *text; struct yaml_scalar value; } words[] = {
    {"", {.kind = YAML_NULL}},
    {"~", {.kind = YAML_NULL}},
    {"null", {.kind = YAML_NULL}},
    {"Null", {.kind = YAML_NULL}},
    {"NULL", {.kind = YAML_NULL}},
    {"y", {.kind = YAML_BOOL, .b = true}},
    {"Y", {.kind = YAML_BOOL, .b = true}},
    {"yes", {.kind = YAML_BOOL, .b = true}},
    {"Yes", {.kind = YAML_BOOL, .b = true}},
    {"YES", {.kind = YAML_BOOL, .b = true}},
    {"true", {.kind = YAML_BOOL, .b = true}},
    {"True", {.kind = YAML_BOOL, .b = true}},
    {"TRUE", {.kind = YAML_BOOL, .b = true}},
    {"on", {.kind = YAML_BOOL, .b = true}},
    {"On", {.kind = YAML_BOOL, .b = true}},
    {"ON", {.kind = YAML_BOOL, .b = true}},
    {"n", {.kind = YAML_BOOL}},
    {"N", {.kind = YAML_BOOL}},
    {"no", {.kind = YAML_BOOL}},
    {"No", {.kind = YAML_BOOL}},
    {"NO", {.kind = YAML_BOOL}},
    {"false", {.kind = YAML_BOOL}},
    {"False", {.kind = YAML_BOOL}},
    {"FALSE", {.kind = YAML_BOOL}},
    {"off", {.kind = YAML_BOOL}},
    {"Off", {.kind = YAML_BOOL}},
    {"OFF", {.kind = YAML_BOOL}},
    {".nan", {.kind = YAML_FLOAT, .d = NAN}},
    {".NaN", {.kind = YAML_FLOAT, .d = NAN}},
    {".NAN", {.kind = YAML_FLOAT, .d = NAN}},
    {".inf", {.kind = YAML_FLOAT, .d = INFINITY}},
    {".Inf", {.kind = YAML_FLOAT, .d = INFINITY}},
    {".INF", {.kind = YAML_FLOAT, .d = INFINITY}},
    {"+.inf", {.kind = YAML_FLOAT, .d = INFINITY}},
    {"+.Inf", {.kind = YAML_FLOAT, .d = INFINITY}},
    {"+.INF", {.kind = YAML_FLOAT, .d = INFINITY}},
    {"-.inf", {.kind = YAML_FLOAT, .d = -INFINITY}},
    {"-.Inf", {.kind = YAML_FLOAT, .d = -INFINITY}},
    {"-.INF", {.kind = YAML_FLOAT, .d = -INFINITY}},
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* --- timestamps: 2006-1-2, or with T15:4:5.999Z07:00, or with " 15:4:5.999" */

/* One to `most` digits, as a number; -1 when there are none. */
static int take_number(const char **p, int most)
{
    int v = 0;
    int n = 0;

    for (; n < most && is_digit(**p); n++, ++*p)
        v = v * 10 + (**p - '0');
    return n ? v : -1;
}

static bool take_clock(const char **p)
{
    int part[3];

    for (int i = 0; i < 3; i++) {
        if (i && *(*p)++ != ':')
            return false;
        part[i] = take_number(p, 2);
        if (part[i] < 0)
            return false;
    }
    if (**p == '.' || **p == ',') {
        ++*p;
        if (!is_digit(**p))
            return false;
        while (is_digit(**p))
            ++*p;
    }
    return part[0] < 24 && part[1] < 60 && part[2] < 60;
}

static bool take_zone(const char **p)
{
    if (**p == 'Z') {
        ++*p;
        return true;
    }
    if (**p != '+' && **p != '-')
        return false;
    for (int i = 1; i <= 5; i++)
        if (i == 3 ? (*p)[i] != ':' : !is_digit((*p)[i]))
            return false;
    *p += 6;
    return true;
}

static bool is_timestamp(const char *s)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const char *p = s;
    int year, month, day;
    bool leap;

    if (strspn(s, "0123456789") != 4 || s[4] != '-')
        return false;
    year = take_number(&p, 4);
    p++;
    month = take_number(&p, 2);
    if (month < 1 || month > 12 || *p++ != '-')
        return false;
    day = take_number(&p, 2);
    leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    if (day < 1 || day > days[month - 1] + (month == 2 && leap))
        return false;
    if (*p == 'T' || *p == 't') {
        p++;
        return take_clock(&p) && take_zone(&p) && !*p;
    }
    if (*p == ' ') {
        p++;
        return take_clock(&p) && !*p;
    }
    return !*p;
}

/* --- numbers */

static int digit_value(char c)
{
    if (is_digit(c))
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 99;
}

/* Go's strconv.ParseInt and ParseUint with base 0. Past int64 the value is a double. */
static bool read_int(const char *s, struct yaml_scalar *out)
{
    bool negative = *s == '-';
    bool sign = negative || *s == '+';
    unsigned base = 10;
    uint64_t v = 0;

    s += sign;
    if (s[0] == '0' && s[1]) {
        char c = (char)(s[1] | 0x20);

        base = c == 'x' ? 16 : c == 'b' ? 2 : 8;
        s += base == 16 || base == 2 || c == 'o' ? 2 : 1;
    }
    if (!*s)
        return false;
    for (; *s; s++) {
        unsigned digit = (unsigned)digit_value(*s);

        if (digit >= base || __builtin_mul_overflow(v, base, &v) ||
            __builtin_add_overflow(v, digit, &v))
            return false;
    }
    if (negative && v <= (uint64_t)INT64_MAX + 1)
        *out = (struct yaml_scalar){.kind = YAML_INT, .i = (int64_t)(0 - v)};
    else if (v <= INT64_MAX)
        *out = (struct yaml_scalar){.kind = YAML_INT, .i = (int64_t)v};
    else if (!sign)
        *out = (struct yaml_scalar){.kind = YAML_FLOAT, .d = (double)v};
    else
        return false;
    return true;
}

/* [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)? that a double can hold */
static bool read_float(const char *s, struct yaml_scalar *out)
{
    const char *p = s + (*s == '-' || *s == '+');
    size_t whole = strspn(p, "0123456789");
    size_t fraction = 0;
    double d;

    p += whole;
    if (*p == '.') {
        fraction = strspn(p + 1, "0123456789");
        p += 1 + fraction;
    }
    if (whole + fraction == 0)
        return false;
    if (*p == 'e' || *p == 'E') {
        p += 1 + (p[1] == '-' || p[1] == '+');
        if (!is_digit(*p))
            return false;
        p += strspn(p, "0123456789");
    }
    if (*p)
        return false;
    d = strtod(s, NULL);
    if (!isfinite(d))
        return false;
    *out = (struct yaml_scalar){.kind = YAML_FLOAT, .d = d};
    return true;
}

static bool read_number(const char *s, struct yaml_scalar *out)
{
    char plain[NUMBER_BYTES_MAX + 1];
    size_t n = 0;

    for (; *s; s++)
        if (*s != '_')
            plain[n++] = *s;
    plain[n] = 0;
    if (!n)
        return false;
    return read_int(plain, out) || read_float(plain, out);
}

struct yaml_scalar yaml_scalar_resolve(const char *s, size_t len)
{
    struct yaml_scalar out = {.kind = YAML_STR};
    char text[NUMBER_BYTES_MAX + 1];
    bool number;

    if (len > NUMBER_BYTES_MAX || (len && memchr(s, 0, len)))
        return out;
    if (len)
        memcpy(text, s, len);
    text[len] = 0;
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (strcmp(words[i].text, text) == 0)
            return words[i].value;
    number = is_digit(text[0]) || text[0] == '-' || text[0] == '+';
    if (number && is_timestamp(text))
        out.kind = YAML_TIME;
    else if (number)
        read_number(text, &out);
    else if (text[0] == '.')
        read_float(text, &out);
    return out;
}

/* [-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)? */
bool yaml_scalar_is_base60(const char *s, size_t len)
{
    const char *end = s + len;
    int groups = 0;

    s += s < end && (*s == '-' || *s == '+');
    if (s == end || !is_digit(*s))
        return false;
    while (s < end && (is_digit(*s) || *s == '_'))
        s++;
    for (; s < end && *s == ':'; groups++) {
        s++;
        if (end - s >= 2 && *s >= '0' && *s <= '5' && is_digit(s[1]))
            s += 2;
        else if (s < end && is_digit(*s))
            s++;
        else
            return false;
    }
    if (groups && s < end && *s == '.')
        for (s++; s < end && (is_digit(*s) || *s == '_'); s++)
            ;
    return groups && s == end;
}
