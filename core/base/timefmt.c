/* timefmt.c -- times as text. UTC only and by arithmetic: no time zone files, no libc calendar. */
#include "core/base/timefmt.h"

#include <stdio.h>
#include <string.h>

#include "core/base/check.h"
#include "core/base/cleanup.h"
#include "core/base/str.h"

#define DAY_S 86400

struct civil { int64_t year; int month, day; };

/* Days since 1970-01-01 <-> date of the proleptic Gregorian calendar, in eras of 400 years that
 * begin on 1 March. */
static struct civil timefmt_civil(int64_t days)
{
    int64_t z = days + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int mp = (int)((5 * doy + 2) / 153);
    struct civil c = {.day = (int)(doy - (153 * mp + 2) / 5 + 1),
                      .month = mp < 10 ? mp + 3 : mp - 9};

    c.year = yoe + era * 400 + (c.month <= 2);
    return c;
}

static int64_t timefmt_days(struct civil c)
{
    int64_t y = c.year - (c.month <= 2);
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t yoe = y - era * 400;
    int64_t doy = (153 * (c.month + (c.month > 2 ? -3 : 9)) + 2) / 5 + c.day - 1;

    return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

static int64_t floor_mod(int64_t a, int64_t b)
{
    return a % b + (a % b < 0 ? b : 0);
}

/* With `digits` digits of `fraction`; 0 for none. */
static void timefmt_write(char out[TIMEFMT_BYTES], int64_t unix_s, int digits, int64_t fraction)
{
    int64_t days = floor_div(unix_s, DAY_S);
    int s = (int)floor_mod(unix_s, DAY_S);
    struct civil c = timefmt_civil(days);
    char text[96];         /* what the compiler thinks possible; TIMEFMT_BYTES are enough */
    char tail[16] = "";

    if (digits)
        snprintf(tail, sizeof(tail), ".%0*lld", digits, (long long)fraction);
    snprintf(text, sizeof(text), "%04lld-%02d-%02dT%02d:%02d:%02d%.10sZ", (long long)c.year,
             c.month, c.day, s / 3600, s / 60 % 60, s % 60, tail);
    check(strlen(text) < TIMEFMT_BYTES);
    memcpy(out, text, strlen(text) + 1);
}

void timefmt_rfc3339(char out[TIMEFMT_BYTES], int64_t unix_s)
{
    timefmt_write(out, unix_s, 0, 0);
}

void timefmt_micro(char out[TIMEFMT_BYTES], int64_t unix_us)
{
    timefmt_write(out, floor_div(unix_us, 1000000), 6, floor_mod(unix_us, 1000000));
}

void timefmt_nano(char out[TIMEFMT_BYTES], int64_t unix_ns)
{
    timefmt_write(out, floor_div(unix_ns, 1000000000), 9, floor_mod(unix_ns, 1000000000));
}

/* --- reading times */

/* Exactly n digits, advancing; -1 when there are fewer. */
static int take_digits(const char **p, int n)
{
    int v = 0;

    for (int i = 0; i < n; i++, ++*p) {
        if (**p < '0' || **p > '9')
            return -1;
        v = v * 10 + (**p - '0');
    }
    return v;
}

static bool take_char(const char **p, char c)
{
    if (**p != c)
        return false;
    ++*p;
    return true;
}

static int days_in_month(int64_t year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return days[month - 1] + (month == 2 && leap);
}

static bool take_date(const char **p, int64_t *out_days)
{
    struct civil c;

    c.year = take_digits(p, 4);
    if (c.year < 0 || !take_char(p, '-'))
        return false;
    c.month = take_digits(p, 2);
    if (c.month < 1 || c.month > 12 || !take_char(p, '-'))
        return false;
    c.day = take_digits(p, 2);
    if (c.day < 1 || c.day > days_in_month(c.year, c.month))
        return false;
    *out_days = timefmt_days(c);
    return true;
}

static bool take_clock(const char **p, bool seconds, int64_t *out_s)
{
    int h = take_digits(p, 2), m, s = 0;

    if (h < 0 || h > 23 || !take_char(p, ':'))
        return false;
    m = take_digits(p, 2);
    if (m < 0 || m > 59 || (seconds && !take_char(p, ':')))
        return false;
    if (seconds)
        s = take_digits(p, 2);
    if (s < 0 || s > 59)
        return false;
    *out_s = h * 3600 + m * 60 + s;
    return true;
}

/* An optional fraction, in microseconds. */
static bool take_fraction(const char **p, int64_t *out_us)
{
    int64_t unit = 100000;

    *out_us = 0;
    if (**p != '.' && **p != ',')
        return true;
    ++*p;
    if (**p < '0' || **p > '9')
        return false;
    for (; **p >= '0' && **p <= '9'; ++*p, unit /= 10)
        *out_us += unit * (**p - '0');
    return true;
}

static bool take_zone(const char **p, int64_t *out_s)
{
    bool west = **p == '-';

    *out_s = 0;
    if (take_char(p, 'Z'))
        return true;
    if (!take_char(p, '+') && !take_char(p, '-'))
        return false;
    if (!take_clock(p, false, out_s))
        return false;
    *out_s = west ? -*out_s : *out_s;
    return true;
}

int timefmt_parse(const char *text, int64_t *out_us, struct err *err)
{
    const char *p = text;
    int64_t days, clock, us, zone;

    if (!take_date(&p, &days) || !take_char(&p, 'T') || !take_clock(&p, true, &clock) ||
        !take_fraction(&p, &us) || !take_zone(&p, &zone) || *p)
        return err_set(err, ERR_INVALID, "not an RFC 3339 time: \"%s\"", text);
    *out_us = (days * DAY_S + clock - zone) * 1000000 + us;
    return 0;
}

/* --- durations */

static const struct { const char *name; int64_t ns; } duration_units[] = {
    {"ns", 1},
    {"us", 1000},
    {"\xc2\xb5s", 1000},          /* micro sign */
    {"\xce\xbcs", 1000},          /* Greek mu */
    {"ms", 1000000},
    {"s", 1000000000},
    {"m", 60000000000},
    {"h", 3600000000000},
};

/* The unit up to the next digit or dot; 0 when there is no such unit. */
static int64_t take_unit(const char **p, size_t *out_len)
{
    size_t len = strcspn(*p, "0123456789.");

    *out_len = len;
    for (size_t i = 0; i < ARRAY_LEN(duration_units); i++) {
        if (strlen(duration_units[i].name) == len &&
            strncmp(duration_units[i].name, *p, len) == 0) {
            *p += len;
            return duration_units[i].ns;
        }
    }
    return 0;
}

/* One "1.5h", added to *sum. Returns NULL, or what is wrong. */
static const char *take_term(const char **p, uint64_t *sum, struct slice *unit)
{
    uint64_t whole = 0, fraction = 0, scale = 1;
    const char *start = *p;
    int64_t ns;
    size_t len;

    for (; **p >= '0' && **p <= '9'; ++*p)
        if (__builtin_mul_overflow(whole, 10, &whole) ||
            __builtin_add_overflow(whole, (uint64_t)(**p - '0'), &whole))
            return "invalid";
    if (**p == '.') {
        const char *dot = (*p)++;

        for (; **p >= '0' && **p <= '9'; ++*p) {
            if (scale >= 1000000000000000)
                continue;
            fraction = fraction * 10 + (uint64_t)(**p - '0');
            scale *= 10;
        }
        if (*p == dot + 1 && dot == start)
            return "invalid";
    } else if (*p == start) {
        return "invalid";
    }
    ns = take_unit(p, &len);
    *unit = (struct slice){*p, len};
    if (!ns)
        return len ? "unknown unit" : "missing unit";
    if (__builtin_mul_overflow(whole, (uint64_t)ns, &whole) || whole > (uint64_t)INT64_MAX + 1)
        return "invalid";
    whole += (uint64_t)((double)fraction * ((double)ns / (double)scale));
    if (__builtin_add_overflow(*sum, whole, sum) || *sum > (uint64_t)INT64_MAX + 1)
        return "invalid";
    return NULL;
}

int timefmt_parse_duration(const char *text, int64_t *out_ns, struct err *err)
{
    struct slice unit = SLICE("");
    const char *p = text;
    const char *wrong = NULL;
    bool negative = *p == '-';
    uint64_t sum = 0;

    if (*p == '-' || *p == '+')
        p++;
    if (strcmp(p, "0") == 0) {
        *out_ns = 0;
        return 0;
    }
    if (!*p)
        wrong = "invalid";
    while (*p && !wrong)
        wrong = take_term(&p, &sum, &unit);
    if (!wrong && !negative && sum > INT64_MAX)
        wrong = "invalid";
    if (wrong && strcmp(wrong, "invalid") == 0)
        return err_set(err, ERR_INVALID, "time: invalid duration \"%s\"", text);
    if (wrong && unit.len == 0)
        return err_set(err, ERR_INVALID, "time: missing unit in duration \"%s\"", text);
    if (wrong)
        return err_set(err, ERR_INVALID, "time: unknown unit \"%.*s\" in duration \"%s\"",
                       (int)unit.len, unit.p, text);
    *out_ns = negative ? (int64_t)(0 - sum) : (int64_t)sum;
    return 0;
}

/* Writes v / 10^digits without trailing zeros before `p`; returns the new start. */
static char *put_fraction(char *p, uint64_t *v, int digits)
{
    bool print = false;

    for (int i = 0; i < digits; i++, *v /= 10) {
        print = print || *v % 10;
        if (print)
            *--p = (char)('0' + *v % 10);
    }
    if (print)
        *--p = '.';
    return p;
}

static char *put_number(char *p, uint64_t v)
{
    do
        *--p = (char)('0' + v % 10);
    while (v /= 10);
    return p;
}

void timefmt_duration(char out[TIMEFMT_BYTES], int64_t ns)
{
    char text[TIMEFMT_BYTES];
    char *p = text + sizeof(text) - 1;
    uint64_t u = ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns;

    *p = 0;
    *--p = 's';
    if (u == 0) {
        *--p = '0';
    } else if (u < 1000000000) {
        *--p = u < 1000 ? 'n' : u < 1000000 ? 'u' : 'm';
        if (*p == 'u') {
            *p = '\xb5';
            *--p = '\xc2';
        }
        p = put_fraction(p, &u, u < 1000 ? 0 : u < 1000000 ? 3 : 6);
        p = put_number(p, u);
    } else {
        p = put_fraction(p, &u, 9);
        p = put_number(p, u % 60);
        if (u >= 60) {
            *--p = 'm';
            p = put_number(p, u / 60 % 60);
        }
        if (u >= 3600) {
            *--p = 'h';
            p = put_number(p, u / 3600);
        }
    }
    if (ns < 0)
        *--p = '-';
    memcpy(out, p, (size_t)(text + sizeof(text) - p));
}

/* "5d3h": two units, the second left out when it is 0. */
static void age_pair(char out[TIMEFMT_BYTES], int64_t a, char a_unit, int64_t b, char b_unit)
{
    if (b)
        snprintf(out, TIMEFMT_BYTES, "%lld%c%lld%c", (long long)a, a_unit, (long long)b, b_unit);
    else
        snprintf(out, TIMEFMT_BYTES, "%lld%c", (long long)a, a_unit);
}

void timefmt_age(char out[TIMEFMT_BYTES], int64_t seconds)
{
    int64_t minutes = seconds / 60;
    int64_t hours = seconds / 3600;
    int64_t days = seconds / DAY_S;

    if (seconds < -1)                 /* clocks may differ by less than two seconds */
        snprintf(out, TIMEFMT_BYTES, "<invalid>");
    else if (seconds < 120)
        age_pair(out, seconds < 0 ? 0 : seconds, 's', 0, 0);
    else if (minutes < 10)
        age_pair(out, minutes, 'm', seconds % 60, 's');
    else if (minutes < 180)
        age_pair(out, minutes, 'm', 0, 0);
    else if (hours < 8)
        age_pair(out, hours, 'h', minutes % 60, 'm');
    else if (hours < 48)
        age_pair(out, hours, 'h', 0, 0);
    else if (days < 8)
        age_pair(out, days, 'd', hours % 24, 'h');
    else if (days < 365 * 2)
        age_pair(out, days, 'd', 0, 0);
    else if (days < 365 * 8)
        age_pair(out, days / 365, 'y', days % 365, 'd');
    else
        age_pair(out, days / 365, 'y', 0, 0);
}
