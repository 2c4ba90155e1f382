/* core/object/codec_scalar.c -- times, durations, quantities, base64 as Go reads and prints. */
#include "core/object/codec_scalar.h"

#include <string.h>

#include "core/base/b64.h"
#include "core/base/timefmt.h"
#include "core/object/quantity.h"

#define TIME_LAYOUT "2006-01-02T15:04:05Z07:00"
#define MICRO_LAYOUT "2006-01-02T15:04:05.000000Z07:00"

/* --- times: a walk over the pieces of the layout, as in Go, whose errors name the piece */

enum piece { YEAR, MONTH, DAY, HOUR, MINUTE, SECOND, MICROS, ZONE, PIECE_MAX };

static const struct piece_rule {
    const char *before;          /* literal text in front of it */
    const char *layout;          /* the piece, as errors name it */
    const char *name;            /* for range errors */
    int min, max;
    bool one_digit;              /* "7" is as good as "07" */
} pieces[PIECE_MAX] = {
    [YEAR] = { "", "2006", NULL, 0, 9999, false },
    [MONTH] = { "-", "01", "month", 1, 12, false },
    [DAY] = { "-", "02", NULL, 0, 99, false },
    [HOUR] = { "T", "15", "hour", 0, 23, true },
    [MINUTE] = { ":", "04", "minute", 0, 59, false },
    [SECOND] = { ":", "05", "second", 0, 59, false },
    [MICROS] = { "", ".000000", NULL, 0, 999999, false },
    [ZONE] = { "", "Z07:00", NULL, 0, 0, false },
};

struct clock_text {
    const char *all, *at, *end;
    bool micro;
    int value[PIECE_MAX];        /* ZONE: minutes east */
    int micros;
};

static bool is_digit(const struct clock_text *t, size_t i)
{
    return (size_t)(t->end - t->at) > i && t->at[i] >= '0' && t->at[i] <= '9';
}

static int parse_fails(const struct clock_text *t, const char *piece, const char *from,
                       struct err *err)
{
    return err_set(err, ERR_INVALID,
                   "parsing time \"%.*s\" as \"%s\": cannot parse \"%.*s\" as \"%s\"",
                   (int)(t->end - t->all), t->all, t->micro ? MICRO_LAYOUT : TIME_LAYOUT,
                   (int)(t->end - from), from, piece);
}

static int range_fails(const struct clock_text *t, const char *what, struct err *err)
{
    return err_set(err, ERR_INVALID, "parsing time \"%.*s\": %s out of range",
                   (int)(t->end - t->all), t->all, what);
}

/* A fraction of a second; digits past the sixth are cut. */
static void read_fraction(struct clock_text *t)
{
    int scale = 100000;

    t->at++;
    for (; is_digit(t, 0); t->at++, scale /= 10)
        t->micros += (t->at[0] - '0') * scale;
}

static int read_number(struct clock_text *t, enum piece p)
{
    unsigned digits = p == YEAR ? 4 : 2;

    if (!is_digit(t, 0))
        return -1;
    if (p != YEAR && !is_digit(t, 1)) {
        if (!pieces[p].one_digit)
            return -1;
        digits = 1;
    }
    for (unsigned i = 0; i < digits; i++) {
        if (!is_digit(t, i))
            return -1;
        t->value[p] = t->value[p] * 10 + (t->at[i] - '0');
    }
    t->at += digits;
    return 0;
}

static int read_zone(struct clock_text *t, struct err *err)
{
    const char *from = t->at;
    int hours, minutes;

    if (from < t->end && *from == 'Z') {
        t->at++;
        return 0;
    }
    if (t->end - from < 6 || from[3] != ':' || (from[0] != '+' && from[0] != '-') ||
        !is_digit(t, 1) || !is_digit(t, 2) || !is_digit(t, 4) || !is_digit(t, 5))
        return parse_fails(t, pieces[ZONE].layout, from, err);
    hours = (from[1] - '0') * 10 + from[2] - '0';
    minutes = (from[4] - '0') * 10 + from[5] - '0';
    if (hours > 24)
        return range_fails(t, "time zone offset hour", err);
    if (minutes > 60)
        return range_fails(t, "time zone offset minute", err);
    t->value[ZONE] = (hours * 60 + minutes) * (from[0] == '-' ? -1 : 1);
    t->at += 6;
    return 0;
}

static int read_micros(struct clock_text *t, struct err *err)
{
    const char *from = t->at;

    if (t->end - from < 7 || (*from != '.' && *from != ','))
        return parse_fails(t, pieces[MICROS].layout, from, err);
    for (unsigned i = 1; i < 7; i++) {
        if (!is_digit(t, i))
            return parse_fails(t, pieces[MICROS].layout, from, err);
        t->micros = t->micros * 10 + (from[i] - '0');
    }
    t->at += 7;
    return 0;
}

static int read_piece(struct clock_text *t, enum piece p, struct err *err)
{
    const struct piece_rule *rule = &pieces[p];
    const char *from;

    for (const char *c = rule->before; *c; c++, t->at++)
        if (t->at == t->end || *t->at != *c)
            return parse_fails(t, rule->before, t->at, err);
    if (p == ZONE)
        return read_zone(t, err);
    if (p == MICROS)
        return read_micros(t, err);
    from = t->at;
    if (read_number(t, p) < 0)
        return parse_fails(t, rule->layout, from, err);
    if (rule->name && (t->value[p] < rule->min || t->value[p] > rule->max))
        return range_fails(t, rule->name, err);
    if (p == SECOND && !t->micro && t->end - t->at >= 2 && (*t->at == '.' || *t->at == ',') &&
        is_digit(t, 1))
        read_fraction(t);
    return 0;
}

/* Days since 1970-01-01 of a date of the Gregorian calendar. */
static int64_t days_of(int year, int month, int day)
{
    int64_t y = year - (month <= 2), era = (y >= 0 ? y : y - 399) / 400;
    int64_t of_era = y - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static int days_in(int year, int month)
{
    static const uint8_t days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return days[month - 1] + (month == 2 && leap);
}

int codec_scalar_time(const char *text, size_t len, bool micro, int64_t *out_us, struct err *err)
{
    struct clock_text t = { .all = text, .at = text, .end = text + len, .micro = micro };
    int64_t seconds;

    for (enum piece p = YEAR; p < PIECE_MAX; p++)
        if ((p != MICROS || micro) && read_piece(&t, p, err) < 0)
            return -1;
    if (t.at != t.end)
        return err_set(err, ERR_INVALID, "parsing time \"%.*s\": extra text: \"%.*s\"", (int)len,
                       text, (int)(t.end - t.at), t.at);
    if (t.value[DAY] < 1 || t.value[DAY] > days_in(t.value[YEAR], t.value[MONTH]))
        return range_fails(&t, "day", err);
    seconds = days_of(t.value[YEAR], t.value[MONTH], t.value[DAY]) * 86400 + t.value[HOUR] * 3600 +
              t.value[MINUTE] * 60 + t.value[SECOND] - t.value[ZONE] * 60;
    *out_us = seconds * 1000000 + t.micros;
    return 0;
}

int codec_scalar_when(struct json **out, struct arena *a, const struct json *raw, bool micro,
                      bool *mismatch, struct err *err)
{
    char text[TIMEFMT_BYTES];
    int64_t us, seconds;

    *mismatch = raw->type != JSON_STRING;
    if (*mismatch || codec_scalar_time(raw->s, raw->len, micro, &us, err) < 0)
        return -1;
    seconds = us >= 0 ? us / 1000000 : -((-us + 999999) / 1000000);
    if (micro)
        timefmt_micro(text, us);
    else
        timefmt_rfc3339(text, seconds);
    *out = us == CODEC_SCALAR_ZERO_TIME_S * 1000000 ? json_null(a) : json_str(a, text);
    return 0;
}

int codec_scalar_duration(struct json **out, struct arena *a, const struct json *raw,
                          bool *mismatch, struct err *err)
{
    char text[TIMEFMT_BYTES];
    int64_t ns;

    *mismatch = raw->type != JSON_STRING;
    if (*mismatch || timefmt_parse_duration(raw->s, &ns, err) < 0)
        return -1;
    timefmt_duration(text, ns);
    *out = json_str(a, text);
    return 0;
}

int codec_scalar_quantity(struct json **out, struct arena *a, const struct json *raw,
                          struct err *err)
{
    char text[QUANTITY_BYTES];
    _cleanup_buf_ struct buf number = BUF_INIT;
    struct slice s;

    if (raw->type == JSON_STRING) {
        s = slice_trim((struct slice){ raw->s, raw->len });
    } else {                                /* a bare number; anything else fails as text */
        json_write(&number, raw);
        s = (struct slice){ number.p, number.len };
    }
    if (quantity_canonical(text, s.p, s.len, err) < 0)
        return -1;
    *out = json_str(a, text);
    return 0;
}

int codec_scalar_bytes(struct json **out, struct arena *a, const struct json *raw, bool *mismatch,
                       struct err *err)
{
    _cleanup_buf_ struct buf plain = BUF_INIT, text = BUF_INIT;

    *mismatch = raw->type != JSON_STRING;
    if (*mismatch || b64_decode(&plain, B64_STD, raw->s, raw->len, err) < 0)
        return -1;
    b64_encode(&text, B64_STD, plain.p, plain.len);
    *out = text.len ? json_strn(a, text.p, text.len) : json_strn(a, "", 0);
    return 0;
}
