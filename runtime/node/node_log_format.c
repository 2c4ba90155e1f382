/* node_log_format.c -- lines of CRI's format into what the container wrote:
 *
 *     2026-11-24T10:00:00.000000000Z stdout P the first part of
 *     2026-11-24T10:00:00.000000000Z stdout F a long line
 */
#include "runtime/node/node_log.h"

#include "core/base/timefmt.h"

struct line { struct slice time, text; bool whole; };

static bool parse_line(struct line *out, struct slice l)
{
    struct slice stream, tag;

    if (!slice_split(&l, ' ', &out->time) || !slice_split(&l, ' ', &stream) ||
        !slice_split(&l, ' ', &tag))
        return false;
    if (out->time.len == 0 || out->time.len >= TIMEFMT_BYTES || tag.len == 0 ||
        (!slice_is(stream, "stdout") && !slice_is(stream, "stderr")))
        return false;
    /* Further tags may follow behind colons. */
    out->whole = tag.p[0] != 'P' || (tag.len > 1 && tag.p[1] != ':');
    out->text = l.p ? l : SLICE("");
    return true;
}

static bool is_old(const struct node_log_format *f, struct slice time)
{
    char text[TIMEFMT_BYTES];
    int64_t us;

    if (!f->since_us)
        return false;
    memcpy(text, time.p, time.len);
    text[time.len] = '\0';
    return timefmt_parse(text, &us, NULL) < 0 || us < f->since_us;
}

static void put(struct node_log_format *f, struct buf *out, const char *p, size_t len)
{
    if (f->limit >= 0 && (int64_t)len > f->limit)
        len = (size_t)f->limit;
    buf_add(out, p, len);
    if (f->limit >= 0)
        f->limit -= (int64_t)len;
}

static void take_line(struct node_log_format *f, struct buf *out, struct slice text)
{
    struct line l;
    bool begins = !f->in_line;

    if (f->limit == 0 || !parse_line(&l, text))
        return;
    f->in_line = !l.whole;
    if (f->skip > 0) {
        f->skip -= l.whole;
        return;
    }
    if (is_old(f, l.time))
        return;
    if (f->timestamps && begins) {
        put(f, out, l.time.p, l.time.len);
        put(f, out, " ", 1);
    }
    put(f, out, l.text.p, l.text.len);
    if (l.whole)
        put(f, out, "\n", 1);
}

/* Hands whole lines of the file to fn; what is left is carried over. */
static void each_line(struct node_log_format *f, const char *p, size_t len,
                      void (*fn)(void *ctx, struct slice line), void *ctx)
{
    const char *end;

    while (len && (end = memchr(p, '\n', len))) {
        size_t n = (size_t)(end - p);

        if (f->lost) {
            f->lost = false;
        } else if (f->carry.len) {
            buf_add(&f->carry, p, n);
            if (f->carry.len <= NODE_LOG_LINE_MAX)
                fn(ctx, (struct slice){ f->carry.p, f->carry.len });
            buf_clear(&f->carry);
        } else if (n <= NODE_LOG_LINE_MAX) {
            fn(ctx, (struct slice){ p, n });
        }
        p = end + 1;
        len -= n + 1;
    }
    if (f->lost || len == 0)
        return;
    if (f->carry.len + len > NODE_LOG_LINE_MAX) {
        f->lost = true;
        buf_clear(&f->carry);
        return;
    }
    buf_add(&f->carry, p, len);
}

struct to { struct node_log_format *f; struct buf *out; };

static void format_line(void *ctx, struct slice line)
{
    struct to *t = ctx;

    take_line(t->f, t->out, line);
}

void node_log_format_add(struct node_log_format *f, struct buf *out, const char *p, size_t len)
{
    struct to t = { f, out };

    each_line(f, p, len, format_line, &t);
}

void node_log_format_deinit(struct node_log_format *f)
{
    buf_deinit(&f->carry);
}

static void count_line(void *ctx, struct slice line)
{
    struct node_log_count *c = ctx;
    struct line l;

    c->lines += parse_line(&l, line) && l.whole;
}

void node_log_count_add(struct node_log_count *c, const char *p, size_t len)
{
    each_line(&c->f, p, len, count_line, c);
}
