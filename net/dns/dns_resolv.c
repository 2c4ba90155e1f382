/* dns_resolv.c -- resolv.conf and addresses of name servers. */
#include "net/dns/dns_resolv.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>

#include "core/base/fd.h"
#include "core/base/mem.h"
#include "core/base/str.h"

#define DNS_PORT 53
#define ADDRESS_BYTES 80

static int read_port(const char *text, uint16_t *out, struct err *err)
{
    int64_t port;

    if (str_to_i64(text, 1, 65535, &port, err) < 0)
        return err_wrap(err, "port of a name server");
    *out = (uint16_t)port;
    return 0;
}

static int read_four(struct dns_upstream *out, char *text, struct err *err)
{
    struct sockaddr_in *in = (struct sockaddr_in *)&out->sa;
    char *colon = strchr(text, ':');
    uint16_t port = DNS_PORT;

    if (colon) {
        *colon = '\0';
        if (read_port(colon + 1, &port, err) < 0)
            return -1;
    }
    if (inet_pton(AF_INET, text, &in->sin_addr) != 1)
        return err_set(err, ERR_INVALID, "name server \"%s\" is no address", text);
    in->sin_family = AF_INET;
    in->sin_port = htons(port);
    out->len = sizeof(*in);
    return 0;
}

static int read_six(struct dns_upstream *out, char *text, struct err *err)
{
    struct sockaddr_in6 *in = (struct sockaddr_in6 *)&out->sa;
    char *scope, *close = strchr(text, ']');
    uint16_t port = DNS_PORT;
    int64_t index;

    if (text[0] == '[' && close) {
        *close = '\0';
        if (close[1] && (close[1] != ':' || read_port(close + 2, &port, err) < 0))
            return err_set(err, ERR_INVALID, "name server \"%s\" has a bad port", text + 1);
        text++;
    }
    scope = strchr(text, '%');
    if (scope) {
        *scope++ = '\0';
        in->sin6_scope_id = if_nametoindex(scope);
        if (!in->sin6_scope_id && str_to_i64(scope, 1, UINT32_MAX, &index, err) == 0)
            in->sin6_scope_id = (uint32_t)index;
    }
    if (inet_pton(AF_INET6, text, &in->sin6_addr) != 1)
        return err_set(err, ERR_INVALID, "name server \"%s\" is no address", text);
    in->sin6_family = AF_INET6;
    in->sin6_port = htons(port);
    out->len = sizeof(*in);
    return 0;
}

int dns_resolv_address(struct dns_upstream *out, const char *text, struct err *err)
{
    struct dns_upstream u = { .len = 0 };
    char copy[ADDRESS_BYTES];
    const char *colon = strchr(text, ':');
    bool six = text[0] == '[' || (colon && strchr(colon + 1, ':'));

    if (str_copy(copy, sizeof(copy), text, NULL) < 0)
        return err_set(err, ERR_INVALID, "name server \"%.40s...\" is no address", text);
    if ((six ? read_six : read_four)(&u, copy, err) < 0)
        return -1;
    *out = u;
    return 0;
}

/* The next word of a line; "" at its end. */
static struct slice next_word(struct slice *line)
{
    struct slice word;
    size_t n = 0;

    *line = slice_trim(*line);
    while (n < line->len && line->p[n] != ' ' && line->p[n] != '\t' && line->p[n] != '\r')
        n++;
    word = (struct slice){ line->p, n };
    line->p += n;
    line->len -= n;
    return word;
}

void dns_resolv_parse(struct dns_upstreams *out, const char *text)
{
    struct slice rest = slice_of(text), line, word;
    char address[ADDRESS_BYTES];

    out->n = 0;
    while (rest.len && slice_split(&rest, '\n', &line) && out->n < DNS_UPSTREAMS_MAX) {
        if (!slice_is(next_word(&line), "nameserver"))
            continue;
        word = next_word(&line);
        if (word.len == 0 || word.len >= sizeof(address))
            continue;
        memcpy(address, word.p, word.len);
        address[word.len] = '\0';
        if (dns_resolv_address(&out->v[out->n], address, NULL) == 0)
            out->n++;
    }
}

void dns_resolv_init(struct dns_resolv *r, const char *path)
{
    *r = (struct dns_resolv){ .path = mem_strdup(path) };
}

void dns_resolv_deinit(struct dns_resolv *r)
{
    r->path = mem_free(r->path);
}

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
           a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

bool dns_resolv_changed(struct dns_resolv *r, int64_t now_ms, struct dns_upstreams *out)
{
    _cleanup_buf_ struct buf text = BUF_INIT;
    bool first = r->checked_ms == 0;
    struct stat now;

    if (!first && now_ms - r->checked_ms < DNS_RESOLV_CHECK_MS)
        return false;
    r->checked_ms = now_ms ? now_ms : 1;
    if (stat(r->path, &now) < 0)
        now = (struct stat){ 0 };
    if (!first && same_file(&now, &r->seen))
        return false;
    r->seen = now;
    if (fd_read_file(&text, AT_FDCWD, r->path, DNS_RESOLV_BYTES_MAX, NULL) < 0 || !text.p)
        out->n = 0;
    else
        dns_resolv_parse(out, text.p);
    return true;
}
