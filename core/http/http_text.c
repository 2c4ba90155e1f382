#include "core/http/http.h"

static const struct { int status; const char *text;
} text_statuses[] = {
    { 100, "Continue" },
    { 101, "Switching Protocols" },
    { 200, "OK" },
    { 201, "Created" },
    { 202, "Accepted" },
    { 204, "No Content" },
    { 206, "Partial Content" },
    { 301, "Moved Permanently" },
    { 302, "Found" },
    { 303, "See Other" },
    { 304, "Not Modified" },
    { 307, "Temporary Redirect" },
    { 308, "Permanent Redirect" },
    { 400, "Bad Request" },
    { 401, "Unauthorized" },
    { 402, "Payment Required" },
    { 403, "Forbidden" },
    { 404, "Not Found" },
    { 405, "Method Not Allowed" },
    { 406, "Not Acceptable" },
    { 408, "Request Timeout" },
    { 409, "Conflict" },
    { 410, "Gone" },
    { 411, "Length Required" },
    { 412, "Precondition Failed" },
    { 413, "Request Entity Too Large" },
    { 414, "Request URI Too Long" },
    { 415, "Unsupported Media Type" },
    { 416, "Requested Range Not Satisfiable" },
    { 417, "Expectation Failed" },
    { 422, "Unprocessable Entity" },
    { 426, "Upgrade Required" },
    { 429, "Too Many Requests" },
    { 431, "Request Header Fields Too Large" },
    { 500, "Internal Server Error" },
    { 501, "Not Implemented" },
    { 502, "Bad Gateway" },
    { 503, "Service Unavailable" },
    { 504, "Gateway Timeout" },
    { 505, "HTTP Version Not Supported" },
};

const char *http_status_text(int status)
{
    for (size_t i = 0; i < ARRAY_LEN(text_statuses); i++)
        if (text_statuses[i].status == status)
            return text_statuses[i].text;
    return "";
}

static int text_hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int http_unescape(struct buf *out, struct slice text, bool form, struct err *err)
{
    size_t before = out->len;

    buf_reserve(out, text.len + 1);
    for (size_t i = 0; i < text.len; i++) {
        char c = text.p[i];

        if (c == '%') {
            int hi = i + 2 < text.len ? text_hex(text.p[i + 1]) : -1;
            int lo = i + 2 < text.len ? text_hex(text.p[i + 2]) : -1;

            if (hi < 0 || lo < 0 || (hi == 0 && lo == 0)) {
                out->len = before;
                out->p[before] = 0;
                return err_set(err, ERR_INVALID, "invalid URL escape at byte %zu", i);
            }
            c = (char)(hi << 4 | lo);
            i += 2;
        } else if (c == '+' && form) {
            c = ' ';
        }
        buf_chr(out, c);
    }
    out->p[out->len] = 0;
    return 0;
}

static bool text_unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

void http_escape(struct buf *out, struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text_unreserved(text.p[i]))
            buf_chr(out, text.p[i]);
        else
            buf_fmt(out, "%%%02X", (unsigned char)text.p[i]);
    }
}

bool http_query_next(struct slice *rest, struct arena *a, const char **name, const char **value)
{
    struct slice part;

    while (slice_split(rest, '&', &part)) {
        _cleanup_buf_ struct buf n = BUF_INIT;
        _cleanup_buf_ struct buf v = BUF_INIT;
        const char *eq = part.len ? memchr(part.p, '=', part.len) : NULL;
        struct slice left = { part.p, eq ? (size_t)(eq - part.p) : part.len };
        struct slice right = { eq ? eq + 1 : part.p + part.len, eq ? part.len - left.len - 1 : 0 };

        if (!part.len || http_unescape(&n, left, true, NULL) < 0 ||
            http_unescape(&v, right, true, NULL) < 0)
            continue;
        *name = arena_strndup(a, n.p, n.len);
        *value = arena_strndup(a, v.p, v.len);
        return true;
    }
    return false;
}

/* host[:port] of a URL. */
static int url_authority(struct http_url *out, struct slice s, struct err *err)
{
    const char *colon;
    struct slice host = s;
    int64_t port = out->tls ? 443 : 80;

    if (s.len && memchr(s.p, '@', s.len))
        return err_set(err, ERR_INVALID, "a URL with user information is not taken");
    if (s.len && s.p[0] == '[') {
        const char *end = memchr(s.p, ']', s.len);

        if (!end)
            return err_set(err, ERR_INVALID, "a URL's address has no ']'");
        host = (struct slice){ s.p + 1, (size_t)(end - s.p) - 1 };
        colon = end + 1 < s.p + s.len ? end + 1 : NULL;
        if (colon && *colon != ':')
            return err_set(err, ERR_INVALID, "a URL's port begins with ':'");
    } else {
        colon = s.len ? memrchr(s.p, ':', s.len) : NULL;
        if (colon)
            host.len = (size_t)(colon - s.p);
    }
    if (colon) {
        char text[8] = { 0 };
        size_t len = (size_t)(s.p + s.len - colon) - 1;

        if (len >= sizeof(text))
            return err_set(err, ERR_INVALID, "a URL's port is too long");
        memcpy(text, colon + 1, len);
        if (str_to_i64(text, 1, 65535, &port, err) < 0)
            return err_wrap(err, "a URL's port");
    }
    if (!host.len || host.len >= sizeof(out->host))
        return err_set(err, ERR_INVALID, "a URL's host has 1 to %zu bytes", sizeof(out->host) - 1);
    for (size_t i = 0; i < host.len; i++)
        if (!text_unreserved(host.p[i]) && host.p[i] != ':')
            return err_set(err, ERR_INVALID, "a URL's host has a bad byte");
    memcpy(out->host, host.p, host.len);
    out->host[host.len] = 0;
    out->port = (uint16_t)port;
    return 0;
}

int http_url_parse(struct http_url *out, const char *url, struct err *err)
{
    struct http_url u = { .target = "/" };
    size_t len;

    if (strlen(url) > HTTP_URL_MAX)
        return err_set(err, ERR_QUOTA, "a URL has at most %d bytes", HTTP_URL_MAX);
    if (str_starts(url, "https://"))
        u.tls = true;
    else if (!str_starts(url, "http://"))
        return err_set(err, ERR_INVALID, "a URL begins with http:// or https://");
    url += u.tls ? 8 : 7;
    len = strcspn(url, "/?#");
    if (url_authority(&u, (struct slice){ url, len }, err) < 0)
        return -1;
    if (url[len] && url[len] != '/')
        return err_set(err, ERR_INVALID, "a URL's path begins with '/'");
    if (url[len])
        u.target = url + len;
    for (const char *p = u.target; *p; p++)
        if ((unsigned char)*p <= ' ' || *p == 0x7f || *p == '#')
            return err_set(err, ERR_INVALID, "a URL's path has a bad byte");
    *out = u;
    return 0;
}
