/* core/object/quantity.c -- a quantity is sign * mantissa * 10^exp, in 128 bits, plus the family
 * its text used. */
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>

#include "core/base/check.h"
#include "core/base/cleanup.h"
#include "core/object/quantity.h"
#include "core/object/wide.h"

#define NANO (-9)
#define DIGITS_FAST 18               /* as many digits always fit int64 */
#define DIGITS_MAX 38                /* as many always fit 128 bits */

enum family { DECIMAL_SI, BINARY_SI, DECIMAL_EXP };

struct quantity {
    bool neg;
    bool verbatim;                   /* the text counts as canonical already */
    enum family family;
    struct wide mant;
    int32_t exp;
};

/* The pieces of a text: digits before and after the dot (leading zeros dropped), and the suffix. */
struct pieces { bool neg; struct slice num, frac, suffix; };

static const struct suffix { const char *text; enum family family; int32_t exp; } suffixes[] = {
    { "", DECIMAL_SI, 0 },   { "n", DECIMAL_SI, -9 }, { "u", DECIMAL_SI, -6 },
    { "m", DECIMAL_SI, -3 },
    { "k", DECIMAL_SI, 3 },  { "M", DECIMAL_SI, 6 },  { "G", DECIMAL_SI, 9 },
    { "T", DECIMAL_SI, 12 },
    { "P", DECIMAL_SI, 15 }, { "E", DECIMAL_SI, 18 },
    { "Ki", BINARY_SI, 10 }, { "Mi", BINARY_SI, 20 }, { "Gi", BINARY_SI, 30 },
    { "Ti", BINARY_SI, 40 },
    { "Pi", BINARY_SI, 50 }, { "Ei", BINARY_SI, 60 },
};

static int bad_format(struct err *err)
{
    return err_set(err, ERR_INVALID, "quantities must match the regular expression "
                   "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'");
}

static struct slice take_digits(const char *s, size_t len, size_t *at)
{
    size_t from = *at;

    while (*at < len && s[*at] >= '0' && s[*at] <= '9')
        ++*at;
    return (struct slice){ s + from, *at - from };
}

static int split(struct pieces *p, const char *s, size_t len, struct err *err)
{
    size_t at = 0, suffix;

    if (len == 0)
        return bad_format(err);
    *p = (struct pieces){ .neg = s[0] == '-' };
    if (s[0] == '-' || s[0] == '+')
        at++;
    while (at < len && s[at] == '0')
        at++;
    p->num = take_digits(s, len, &at);
    if (at < len && s[at] == '.') {
        at++;
        p->frac = take_digits(s, len, &at);
    }
    suffix = at;
    while (at < len && s[at] && strchr("eEinumkKMGTP", s[at]))
        at++;
    if (at < len && (s[at] == '-' || s[at] == '+'))
        at++;
    take_digits(s, len, &at);
    if (at < len)
        return bad_format(err);
    p->suffix = (struct slice){ s + suffix, len - suffix };
    return 0;
}

static int read_suffix(struct slice s, enum family *family, int32_t *exp, struct err *err)
{
    char digits[16];
    int64_t v;

    for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
        if (!slice_is(s, suffixes[i].text))
            continue;
        *family = suffixes[i].family;
        *exp = suffixes[i].exp;
        return 0;
    }
    if (s.len < 2 || s.len > sizeof(digits) || (s.p[0] != 'e' && s.p[0] != 'E'))
        return err_set(err, ERR_INVALID, "unable to parse quantity's suffix");
    memcpy(digits, s.p + 1, s.len - 1);
    digits[s.len - 1] = 0;
    if (str_to_i64(digits[0] == '+' ? digits + 1 : digits, INT32_MIN / 2, INT32_MAX / 2, &v,
                   NULL) < 0)
        return err_set(err, ERR_INVALID, "unable to parse quantity's suffix");
    *family = DECIMAL_EXP;
    *exp = (int32_t)v;
    return 0;
}

static bool below_pow10(const struct wide *a, int n)
{
    struct wide limit;

    check(n >= 0 && n <= DIGITS_MAX);
    limit = wide_pow10((unsigned)n);
    return wide_cmp(a, &limit) < 0;
}

/* Brings the exponent up to `exp`, rounding away from zero. True when nothing was lost. */
static bool round_up(struct quantity *q, int32_t exp)
{
    int64_t steps = (int64_t)exp - q->exp;
    bool lost = false;

    if (steps <= 0 || wide_is_zero(&q->mant))
        return true;
    q->exp = exp;
    if (steps > DIGITS_MAX) {
        q->mant = wide_of(1);
        return false;
    }
    while (steps-- > 0)
        lost |= wide_div(&q->mant, 10) != 0;
    wide_mul_add(&q->mant, 1, lost);
    return !lost;
}

/* Moves trailing zeros of the mantissa into the exponent. */
static void strip_zeros(struct quantity *q)
{
    struct wide shorter = q->mant;

    if (wide_is_zero(&q->mant))
        q->exp = 0;
    while (!wide_is_zero(&q->mant) && wide_div(&shorter, 10) == 0) {
        q->mant = shorter;
        q->exp++;
    }
}

/* Upstream keeps a text as it is when a cheap test says that it is canonical. The test is not
 * exact ("1.500" passes), but clients see its outcome. */
static bool is_verbatim(const struct quantity *q, const struct pieces *p, int32_t shift)
{
    size_t digits = (p->num.len ? p->num.len : 1) + p->frac.len;
    char all[DIGITS_FAST + 2];

    if (q->family == BINARY_SI)
        return p->frac.len == 0 && 15 - (int)digits - shift * 3 / 10 - 1 >= 0 &&
               (wide_bits(&q->mant, (unsigned)shift) & 7u) != 0;
    if (digits > DIGITS_FAST || q->exp < NANO || q->exp % 3 != 0 || p->num.len == 0)
        return false;
    memcpy(all, p->num.p, p->num.len);
    if (p->frac.len)
        memcpy(all + p->num.len, p->frac.p, p->frac.len);
    all[digits] = 0;
    return !str_ends(all, "000");
}

static int read_digits(struct quantity *q, const struct pieces *p, struct err *err)
{
    struct slice part[] = { p->num, p->frac };
    size_t frac = p->frac.len;

    while (frac && p->frac.p[frac - 1] == '0')
        frac--;
    part[1].len = frac;
    if (p->num.len + frac > DIGITS_MAX)
        return err_set(err, ERR_INVALID, "unable to parse numeric part of quantity");
    for (size_t k = 0; k < ARRAY_LEN(part); k++)
        for (size_t i = 0; i < part[k].len; i++)
            wide_mul_add(&q->mant, 10, (uint32_t)(part[k].p[i] - '0'));
    q->exp = -(int32_t)frac;
    return 0;
}

/* More than int64 holds is cut to that, as upstream cuts binary quantities. */
static void multiply_binary(struct quantity *q, int32_t shift)
{
    struct quantity whole = *q;
    struct wide v = q->mant;
    bool over = !wide_shift_up(&v, (unsigned)shift);

    if (!over) {
        q->mant = v;
        round_up(q, NANO);
        whole = *q;
        round_up(&whole, 0);
        over = !wide_fits_i64(&whole.mant);
    }
    if (over) {
        q->mant = wide_of(INT64_MAX);
        q->exp = 0;
    }
}

static int parse(struct quantity *q, const char *text, size_t len, struct err *err)
{
    struct pieces p;
    int32_t exp = 0;

    while (len && (unsigned char)text[0] <= ' ') {
        text++;
        len--;
    }
    while (len && (unsigned char)text[len - 1] <= ' ')
        len--;
    *q = (struct quantity){ 0 };
    if (split(&p, text, len, err) < 0 || read_suffix(p.suffix, &q->family, &exp, err) < 0 ||
        read_digits(q, &p, err) < 0)
        return -1;
    q->neg = p.neg && !wide_is_zero(&q->mant);
    if (q->family == BINARY_SI) {
        multiply_binary(q, exp);
        q->verbatim = is_verbatim(q, &p, exp);
        if (q->exp < 0 && below_pow10(&q->mant, -q->exp))
            q->family = DECIMAL_SI;
        return 0;
    }
    q->exp = exp - (int32_t)p.frac.len;      /* as written, before trailing zeros go */
    q->verbatim = is_verbatim(q, &p, 0);
    while (q->exp < exp && p.frac.len && p.frac.p[p.frac.len - 1] == '0') {
        q->exp++;
        p.frac.len--;
    }
    round_up(q, NANO);
    return 0;
}

static void write_number(struct buf *b, struct wide v)
{
    char digits[40];
    size_t at = sizeof(digits);

    do {
        digits[--at] = (char)('0' + (int)wide_div(&v, 10));
    } while (!wide_is_zero(&v));
    buf_add(b, digits + at, sizeof(digits) - at);
}

static void write_decimal(struct buf *b, struct quantity q)
{
    strip_zeros(&q);
    while (q.exp % 3 != 0) {
        wide_mul_add(&q.mant, 10, 0);
        q.exp--;
    }
    write_number(b, q.mant);
    if (q.family != DECIMAL_EXP)
        for (size_t i = 0; i < ARRAY_LEN(suffixes); i++)
            if (suffixes[i].family == DECIMAL_SI && suffixes[i].exp == q.exp) {
                buf_str(b, suffixes[i].text);
                return;
            }
    if (q.exp != 0)
        buf_fmt(b, "e%d", (int)q.exp);
}

static void write_binary(struct buf *b, struct wide v)
{
    struct wide smaller = v;
    int32_t shift = 0;

    while (!wide_is_zero(&v) && wide_div(&smaller, 1024) == 0 && shift < 60) {
        v = smaller;
        shift += 10;
    }
    write_number(b, v);
    for (size_t i = 0; shift && i < ARRAY_LEN(suffixes); i++)
        if (suffixes[i].family == BINARY_SI && suffixes[i].exp == shift)
            buf_str(b, suffixes[i].text);
}

static void write_canonical(char out[QUANTITY_BYTES], const struct quantity *q)
{
    _cleanup_buf_ struct buf b = BUF_INIT;
    struct quantity whole = *q;
    struct wide value;

    strip_zeros(&whole);
    value = whole.mant;
    for (int32_t i = 0; whole.exp <= 19 && i < whole.exp; i++)
        wide_mul_add(&value, 10, 0);
    if (wide_is_zero(&whole.mant)) {
        buf_chr(&b, '0');
    } else {
        if (whole.neg)
            buf_chr(&b, '-');
        if (whole.family == BINARY_SI && whole.exp >= 0 && whole.exp <= 19 &&
            !(wide_fits_i64(&value) && wide_low(&value) < 1024))
            write_binary(&b, value);
        else
            write_decimal(&b, whole);
    }
    check(str_copy(out, QUANTITY_BYTES, b.p, NULL) == 0);
}

int quantity_canonical(char out[QUANTITY_BYTES], const char *text, size_t len, struct err *err)
{
    struct quantity q;
    struct slice s = { text, len };

    if (parse(&q, text, len, err) < 0)
        return -1;
    while (s.len && (unsigned char)s.p[0] <= ' ') {
        s.p++;
        s.len--;
    }
    while (s.len && (unsigned char)s.p[s.len - 1] <= ' ')
        s.len--;
    if (q.verbatim && s.len < QUANTITY_BYTES) {
        memcpy(out, s.p, s.len);
        out[s.len] = 0;
    } else {
        write_canonical(out, &q);
    }
    return 0;
}

int quantity_round_milli(char out[QUANTITY_BYTES], const char *text, struct err *err)
{
    struct quantity q;

    if (parse(&q, text, strlen(text), err) < 0)
        return -1;
    if (q.exp >= -3)
        return quantity_canonical(out, text, strlen(text), err);
    round_up(&q, -3);
    write_canonical(out, &q);
    return 0;
}

/* The value in units of 10^unit, rounded away from zero, saturating. */
static int scaled(const char *text, int32_t unit, int64_t *out, struct err *err)
{
    struct quantity q;

    if (parse(&q, text, strlen(text), err) < 0)
        return -1;
    round_up(&q, unit);
    strip_zeros(&q);
    while (!wide_is_zero(&q.mant) && q.exp > unit && wide_fits_i64(&q.mant)) {
        wide_mul_add(&q.mant, 10, 0);
        q.exp--;
    }
    if (!wide_fits_i64(&q.mant))
        *out = q.neg ? INT64_MIN : INT64_MAX;
    else
        *out = q.neg ? -(int64_t)wide_low(&q.mant) : (int64_t)wide_low(&q.mant);
    return 0;
}

int quantity_value(const char *text, int64_t *out, struct err *err)
{
    return scaled(text, 0, out, err);
}

int quantity_milli(const char *text, int64_t *out, struct err *err)
{
    return scaled(text, -3, out, err);
}

static int cmp_magnitude(struct quantity a, struct quantity b)
{
    strip_zeros(&a);
    strip_zeros(&b);
    if (wide_is_zero(&a.mant) || wide_is_zero(&b.mant))
        return wide_is_zero(&b.mant) - wide_is_zero(&a.mant);
    /* The one with the higher exponent gets its zeros back, as far as they fit. */
    while (a.exp > b.exp && below_pow10(&a.mant, DIGITS_MAX - 1)) {
        wide_mul_add(&a.mant, 10, 0);
        a.exp--;
    }
    while (b.exp > a.exp && below_pow10(&b.mant, DIGITS_MAX - 1)) {
        wide_mul_add(&b.mant, 10, 0);
        b.exp--;
    }
    if (a.exp != b.exp)
        return a.exp > b.exp ? 1 : -1;
    return wide_cmp(&a.mant, &b.mant);
}

int quantity_cmp(const char *a, const char *b)
{
    struct quantity x, y;

    check(parse(&x, a, strlen(a), NULL) == 0);
    check(parse(&y, b, strlen(b), NULL) == 0);
    if (x.neg != y.neg)
        return x.neg ? -1 : 1;
    return x.neg ? cmp_magnitude(y, x) : cmp_magnitude(x, y);
}

static struct quantity from_int(int64_t v, int32_t exp, enum family family)
{
    return (struct quantity){ .neg = v < 0, .family = family, .exp = exp,
                              .mant = wide_of(v < 0 ? -(uint64_t)v : (uint64_t)v) };
}

void quantity_from_milli(char out[QUANTITY_BYTES], int64_t milli)
{
    struct quantity q = from_int(milli, -3, DECIMAL_SI);

    write_canonical(out, &q);
}

void quantity_from_bytes(char out[QUANTITY_BYTES], int64_t bytes)
{
    struct quantity q = from_int(bytes, 0, BINARY_SI);

    write_canonical(out, &q);
}
