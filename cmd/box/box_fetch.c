/* box_fetch.c -- gets one URL over HTTP/1.1 and prints its body: what probes, scripts and tests ask
 * with. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cmd/box/box.h"
#include "cmd/box/box_run.h"
#include "core/base/fd.h"
#include "core/base/mem.h"
#include "core/base/str.h"

#define HEAD_BYTES_MAX 65536
#define HEADERS_MAX 32

struct url { char host[256], port[8]; const char *path; };

struct fetch {
    const char *method, *data, *headers[HEADERS_MAX];
    size_t n_headers;
    bool show_head, status_only, fail;
    int64_t until;
    int fd;
    struct buf in;                       /* read and not yet used */
};

static int url_parse(struct url *u, const char *text, struct err *err)
{
    const char *at = str_starts(text, "http://") ? text + 7 : text, *end;
    size_t len;

    if (strstr(text, "://") && at == text)
        return err_set(err, ERR_UNSUPPORTED, "only http:// URLs: %s", text);
    len = strcspn(at, "/?#");
    u->path = at[len] ? at + len : "/";
    if (*at == '[') {                        /* [::1]:8080 */
        end = memchr(at, ']', len);
        if (!end || (size_t)(end - at) > sizeof(u->host))
            return err_set(err, ERR_INVALID, "bad URL %s", text);
        snprintf(u->host, sizeof(u->host), "%.*s", (int)(end - at - 1), at + 1);
        end++;
    } else {
        end = memchr(at, ':', len);
        end = end ? end : at + len;
        snprintf(u->host, sizeof(u->host), "%.*s", (int)(end - at), at);
    }
    if (end < at + len && *end == ':')
        snprintf(u->port, sizeof(u->port), "%.*s", (int)(at + len - end - 1), end + 1);
    else
        snprintf(u->port, sizeof(u->port), "80");
    return *u->host ? 0 : err_set(err, ERR_INVALID, "bad URL %s", text);
}

/* 1 more, 0 the end, -1 error. */
static int fetch_more(struct fetch *f, struct err *err)
{
    struct pollfd p = { .fd = f->fd, .events = POLLIN };
    int64_t left = f->until - box_now_ms();
    char chunk[16384];
    ssize_t n;

    if (left <= 0 || poll(&p, 1, (int)left) == 0)
        return err_set(err, ERR_TIMEOUT, "timed out");
    n = read(f->fd, chunk, sizeof(chunk));
    if (n < 0)
        return err_sys(err, "read");
    buf_add(&f->in, chunk, (size_t)n);
    return n > 0;
}

static int send_request(struct fetch *f, const struct url *u, struct err *err)
{
    _cleanup_buf_ struct buf b = BUF_INIT;
    const char *method = f->method ? f->method : f->data ? "POST" : "GET";
    bool port = strcmp(u->port, "80") != 0, six = strchr(u->host, ':') != NULL;
    bool has_host = false;

    buf_fmt(&b, "%s %s%.*s HTTP/1.1\r\n", method, *u->path == '/' ? "" : "/",
            (int)strcspn(u->path, "#"), u->path);
    for (size_t i = 0; i < f->n_headers; i++)
        has_host = has_host || strncasecmp(f->headers[i], "host:", 5) == 0;
    if (!has_host)
        buf_fmt(&b, "Host: %s%s%s%s%s\r\n", six ? "[" : "", u->host, six ? "]" : "",
                port ? ":" : "", port ? u->port : "");
    buf_str(&b, "User-Agent: inro-box\r\nAccept: */*\r\nConnection: close\r\n");
    for (size_t i = 0; i < f->n_headers; i++)
        buf_fmt(&b, "%s\r\n", f->headers[i]);
    if (f->data)
        buf_fmt(&b, "Content-Length: %zu\r\n", strlen(f->data));
    buf_fmt(&b, "\r\n%s", f->data ? f->data : "");
    return fd_write_all(f->fd, b.p, b.len, err);
}

static const char *head_value(const char *head, const char *name)
{
    size_t len = strlen(name);

    for (const char *line = strchr(head, '\n'); line; line = strchr(line, '\n')) {
        line++;
        if (strncasecmp(line, name, len) == 0 && line[len] == ':')
            return line + len + 1 + strspn(line + len + 1, " \t");
    }
    return NULL;
}

static int put(const char *p, size_t n, struct err *err)
{
    return fwrite(p, 1, n, stdout) == n ? 0 : err_sys(err, "write");
}

/* A body of known length, or to the end (left < 0). */
static int read_plain(struct fetch *f, long long left, struct err *err)
{
    int more = 1;

    for (;;) {
        size_t n = left >= 0 && (long long)f->in.len > left ? (size_t)left : f->in.len;

        if (put(f->in.p ? f->in.p : "", n, err) < 0)
            return -1;
        buf_eat(&f->in, n);
        left -= left >= 0 ? (long long)n : 0;
        if (left == 0)
            return 0;
        more = fetch_more(f, err);
        if (more < 0)
            return -1;
        if (more == 0)
            return left > 0 ? err_set(err, ERR_CORRUPT, "connection closed before the end") : 0;
    }
}

static int read_line(struct fetch *f, char *out, size_t size, struct err *err)
{
    char *end;

    while (!f->in.len || !(end = memchr(f->in.p, '\n', f->in.len)))
        if (f->in.len > 1024 || fetch_more(f, err) <= 0)
            return err_set(err, ERR_CORRUPT, "connection closed before the end");
    snprintf(out, size, "%.*s", (int)(end - f->in.p), f->in.p);
    buf_eat(&f->in, (size_t)(end - f->in.p) + 1);
    return 0;
}

static int read_chunked(struct fetch *f, struct err *err)
{
    char line[1100], *end;

    for (;;) {
        unsigned long long size;

        if (read_line(f, line, sizeof(line), err) < 0)
            return -1;
        size = strtoull(line, &end, 16);
        if (end == line || size > 1ull << 40)
            return err_set(err, ERR_CORRUPT, "bad chunk");
        if (size == 0)
            return 0;
        if (read_plain(f, (long long)size, err) < 0 || read_line(f, line, sizeof(line), err) < 0)
            return -1;
    }
}

/* Returns the status of the answer. */
static int read_answer(struct fetch *f, struct err *err)
{
    _cleanup_(mem_freep) char *head = NULL;
    const char *value;
    char *end;
    int status, result;

    while (!f->in.len || !(end = memmem(f->in.p, f->in.len, "\r\n\r\n", 4))) {
        int more = f->in.len > HEAD_BYTES_MAX ? 0 : fetch_more(f, err);

        if (more <= 0)
            return more < 0 ? -1 : err_set(err, ERR_CORRUPT, "no HTTP answer");
    }
    head = mem_strndup(f->in.p, (size_t)(end - f->in.p) + 2);
    buf_eat(&f->in, (size_t)(end - f->in.p) + 4);
    if (strncmp(head, "HTTP/1.", 7) != 0 || sscanf(head + 8, "%d", &status) != 1)
        return err_set(err, ERR_CORRUPT, "no HTTP answer");
    if (status == 100)
        return read_answer(f, err);
    if (f->show_head)
        printf("%s\r\n", head);
    if (f->status_only)
        printf("%d\n", status);
    if (status == 204 || status == 304 || (f->method && strcmp(f->method, "HEAD") == 0) ||
        f->status_only)
        return status;
    value = head_value(head, "transfer-encoding");
    if (value && strncasecmp(value, "chunked", 7) == 0) {
        result = read_chunked(f, err);
    } else {
        value = head_value(head, "content-length");
        result = read_plain(f, value ? strtoll(value, NULL, 10) : -1, err);
    }
    return result < 0 ? -1 : status;
}

static int fetch_url(struct fetch *f, const char *text, struct err *err)
{
    struct url u = { .host = "" };
    int status;

    if (url_parse(&u, text, err) < 0)
        return -1;
    f->fd = box_dial(u.host, u.port, f->until - box_now_ms(), err);
    status = f->fd < 0 || send_request(f, &u, err) < 0 ? -1 : read_answer(f, err);
    f->fd = fd_close(f->fd);
    buf_deinit(&f->in);
    if (status >= 400)
        return err_set(err, ERR_FAILED, "%s: the server answered %d", text, status);
    return status < 0 ? -1 : 0;
}

int box_fetch(int argc, char **argv)
{
    static const char *const longs[] = { "timeout:", "status", NULL };
    struct box_opts o = { .argc = argc, .argv = argv, .letters = "T:iX:d:H:sqO:", .longs = longs };
    struct fetch f = { .fd = -1 };
    struct err err = ERR_INIT;
    long long timeout = 30000;
    int c, result;

    while ((c = box_opt(&o)) != -1) {
        if (c == 'T' || c == 256)
            timeout = box_duration_ms(o.value, 1000);
        f.status_only = f.status_only || c == 257;
        f.show_head = f.show_head || c == 'i';
        f.method = c == 'X' ? o.value : f.method;
        f.data = c == 'd' ? o.value : f.data;
        if (c == 'H' && f.n_headers < HEADERS_MAX)
            f.headers[f.n_headers++] = o.value;
        if (c == '?' || timeout <= 0)
            return box_usage(argv, "bad option or value");
    }
    if (argc - o.at != 1)
        return box_usage(argv, "one URL");
    box_die_on_signals();
    f.until = box_now_ms() + timeout;
    result = fetch_url(&f, argv[o.at], &err);
    fflush(stdout);
    if (result < 0)
        fprintf(stderr, "%s: %s\n", argv[0], err.msg);
    return result < 0 ? 1 : 0;
}
