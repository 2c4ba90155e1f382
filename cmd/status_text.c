/* status_text.c -- lines from the report, cut to the screen's width. */
#include "cmd/status_text.h"

#include <stdarg.h>
#include <stdio.h>

#include "cmd/progress.h"
#include "core/base/timefmt.h"

#define RED "\033[31m"
#define GREEN "\033[32m"
#define BOLD "\033[1m"
#define PLAIN "\033[0m"

struct page { struct buf *out; const struct status_look *look; };

static const char *text(const struct json *o, const char *key)
{
    const char *s = json_get_str(o, key);

    return s ? s : "";
}

/* Bytes of s that take at most `width` places on the screen. */
static size_t cut(const char *s, unsigned width)
{
    size_t at = 0, len = strlen(s);
    unsigned places = 0;

    while (at < len && places < width) {
        size_t n = str_utf8_len(s + at, len - at);

        at += n ? n : 1;
        places++;
    }
    return at;
}

/* One line; control characters of foreign texts become blanks. */
static void line(struct page *p, const char *colour, const char *format, ...)
{
    char all[2048];
    va_list args;
    size_t n;

    va_start(args, format);
    vsnprintf(all, sizeof(all), format, args);
    va_end(args);
    for (char *c = all; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = ' ';
    n = p->look->width ? cut(all, p->look->width) : strlen(all);
    while (n && all[n - 1] == ' ')
        n--;
    if (p->look->colour && colour)
        buf_str(p->out, colour);
    buf_add(p->out, all, n);
    if (p->look->colour && colour)
        buf_str(p->out, PLAIN);
    buf_chr(p->out, '\n');
}

static const char *age(char out[TIMEFMT_BYTES], const struct json *o)
{
    int64_t s = json_get_int(o, "uptimeSeconds", -1);

    out[0] = '\0';
    if (s >= 0)
        timefmt_age(out, s);
    return out;
}

static const char *bytes(char out[16], const struct json *o, const char *key)
{
    progress_bytes(out, json_get_int(o, key, 0));
    return out;
}

static void head(struct page *p, const struct json *r)
{
    const char *state = text(r, "state");
    char up[TIMEFMT_BYTES];

    line(p, str_eq(state, "healthy") ? GREEN : RED, "inro %s%s%s: %s%s%s", text(r, "version"),
         *text(r, "command") ? " " : "", text(r, "command"), state, *age(up, r) ? ", up " : "",
         up);
}

static void roles(struct page *p, const struct json *r)
{
    const struct json *o;

    if (!json_len(json_get(r, "roles")))
        return;
    line(p, BOLD, "%-9s %-9s %-9s %-9s %s", "ROLE", "PID", "UP", "MEMORY", "STATE");
    json_each(o, json_get(r, "roles")) {
        char up[TIMEFMT_BYTES], memory[16] = "", pid[16] = "-";
        int64_t n = json_get_int(o, "restarts", 0);

        if (json_get_int(o, "pid", 0))
            snprintf(pid, sizeof(pid), "%lld", (long long)json_get_int(o, "pid", 0));
        if (json_get(o, "memoryBytes"))
            bytes(memory, o, "memoryBytes");
        line(p, json_get_bool(o, "ready", false) ? NULL : RED, "%-9s %-9s %-9s %-9s %s%s%s",
             text(o, "name"), pid, age(up, o), memory,
             json_get_bool(o, "ready", false) ? "ready" : "not ready",
             n ? ", started again " : "", n == 1 ? "once" : n ? "several times" : "");
        if (*text(o, "why"))
            line(p, NULL, "          %s", text(o, "why"));
    }
}

static void places(struct page *p, const struct json *r)
{
    const struct json *api = json_get(r, "api"), *disk = json_get(r, "disk");
    const struct json *store = json_get(r, "store"), *certs = json_get(r, "certificates");
    char a[16], b[16];

    if (api)
        line(p, json_get_bool(api, "ready", false) ? NULL : RED, "API       %s %s%s%s",
             text(api, "url"), json_get_bool(api, "ready", false) ? "ready" : "not ready",
             *text(api, "why") ? ": " : "", text(api, "why"));
    if (store)
        line(p, NULL, "store     %s in %s", bytes(a, store, "bytes"), text(store, "path"));
    if (disk)
        line(p, json_get_bool(disk, "low", false) ? RED : NULL, "disk      %s free of %s at %s",
             bytes(a, disk, "freeBytes"), bytes(b, disk, "totalBytes"), text(disk, "path"));
    if (certs)
        line(p, json_get_int(certs, "days", 0) < 1 ? RED : NULL,
             "certs     the first ends in %lld days (%s, %s)",
             (long long)json_get_int(certs, "days", 0), text(certs, "first"),
             text(certs, "expires"));
}

static void nodes(struct page *p, const struct json *r)
{
    const struct json *n;
    size_t ready = 0, all = json_len(json_get(r, "nodes"));

    if (!json_get(r, "nodes"))
        return;
    json_each(n, json_get(r, "nodes"))
        ready += json_get_bool(n, "ready", false);
    line(p, ready == all && all ? NULL : RED, "nodes     %zu of %zu ready", ready, all);
    json_each(n, json_get(r, "nodes")) {
        if (!json_get_bool(n, "ready", false))
            line(p, RED, "  %s: %s: %s", text(n, "name"), text(n, "reason"), text(n, "message"));
        else if (json_get_bool(n, "cordoned", false))
            line(p, NULL, "  %s: ready, cordoned", text(n, "name"));
    }
}

static void pods(struct page *p, const struct json *r)
{
    const struct json *pods = json_get(r, "pods"), *bad = json_get(pods, "failing"), *o;
    _cleanup_buf_ struct buf phases = BUF_INIT;

    if (!pods)
        return;
    json_each_member(m, json_get(pods, "phases"))
        buf_fmt(&phases, "%s%lld %s", phases.len ? ", " : ": ", (long long)m->val->i, m->key);
    line(p, NULL, "pods      %lld%s", (long long)json_get_int(pods, "total", 0),
         phases.p ? phases.p : "");
    json_each(o, bad) {
        if (o_i == STATUS_TEXT_FAILING_MAX) {
            line(p, RED, "  and %zu more", json_len(bad) - o_i);
            break;
        }
        line(p, RED, "  %s/%s: %s%s%s", text(o, "namespace"), text(o, "name"), text(o, "reason"),
             *text(o, "message") ? ": " : "", text(o, "message"));
        if (*text(o, "last"))
            line(p, NULL, "    last: %s", text(o, "last"));
    }
}

static void plugins(struct page *p, const struct json *r)
{
    const struct json *list = json_get(r, "plugins"), *o;

    if (!json_len(list))
        return;
    line(p, NULL, "plugins   %zu", json_len(list));
    json_each(o, list)
        if (!json_get_bool(o, "loaded", true))
            line(p, RED, "  %s does not load: %s", text(o, "file"), text(o, "lastError"));
        else if (json_get_int(o, "failed", 0) + json_get_int(o, "stopped", 0))
            line(p, NULL, "  %s: %lld failed, %lld stopped by a limit; last: %s", text(o, "name"),
                 (long long)json_get_int(o, "failed", 0), (long long)json_get_int(o, "stopped", 0),
                 text(o, "lastError"));
}

static void problems(struct page *p, const struct json *r)
{
    const struct json *list = json_get(r, "problems"), *o;

    if (json_len(list))
        line(p, BOLD, "problems");
    json_each(o, list)
        line(p, RED, "  %s", json_text(o));
    if (*text(r, "next"))
        line(p, NULL, "next      %s", text(r, "next"));
}

void status_text(struct buf *out, const struct json *report, const struct status_look *look)
{
    struct page p = { out, look };

    head(&p, report);
    roles(&p, report);
    places(&p, report);
    nodes(&p, report);
    pods(&p, report);
    plugins(&p, report);
    problems(&p, report);
}
