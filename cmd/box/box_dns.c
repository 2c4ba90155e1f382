/* box_dns.c -- DNS messages and resolv.conf. Lengths come from the network: each is checked where
 * it is used. */
#include "cmd/box/box_dns.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <unistd.h>

#include "cmd/box/box_run.h"
#include "core/base/cleanup.h"
#include "core/base/fd.h"
#include "core/base/str.h"

#define POINTERS_MAX 32

static const struct { uint16_t type; const char *name; } types[] = {
    { BOX_DNS_A, "A" }, { BOX_DNS_NS, "NS" }, { BOX_DNS_CNAME, "CNAME" }, { BOX_DNS_SOA, "SOA" },
    { BOX_DNS_PTR, "PTR" }, { BOX_DNS_MX, "MX" }, { BOX_DNS_TXT, "TXT" }, { BOX_DNS_AAAA, "AAAA" },
    { BOX_DNS_SRV, "SRV" }, { BOX_DNS_ANY, "ANY" },
};

uint16_t box_dns_type(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (strcasecmp(types[i].name, name) == 0)
            return types[i].type;
    return 0;
}

const char *box_dns_type_name(uint16_t type)
{
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (types[i].type == type)
            return types[i].name;
    return "UNKNOWN";
}

/* --- resolv.conf */

static bool parse_server(struct sockaddr_storage *out, const char *text)
{
    struct sockaddr_in *four = (void *)out;
    struct sockaddr_in6 *six = (void *)out;

    *out = (struct sockaddr_storage){ 0 };
    if (inet_pton(AF_INET, text, &four->sin_addr) == 1) {
        four->sin_family = AF_INET;
        four->sin_port = htons(53);
        return true;
    }
    if (inet_pton(AF_INET6, text, &six->sin6_addr) == 1) {
        six->sin6_family = AF_INET6;
        six->sin6_port = htons(53);
        return true;
    }
    return false;
}

static void parse_options(struct box_dns_conf *c, const char *word)
{
    if (str_starts(word, "ndots:"))
        c->ndots = (int)strtol(word + 6, NULL, 10);
    else if (str_starts(word, "timeout:"))
        c->timeout_ms = (int)strtol(word + 8, NULL, 10) * 1000;
    else if (str_starts(word, "attempts:"))
        c->attempts = (int)strtol(word + 9, NULL, 10);
    c->ndots = c->ndots < 0 ? 0 : c->ndots > 15 ? 15 : c->ndots;
    c->timeout_ms = c->timeout_ms < 1000 ? 1000 : c->timeout_ms > 30000 ? 30000 : c->timeout_ms;
    c->attempts = c->attempts < 1 ? 1 : c->attempts > 5 ? 5 : c->attempts;
}

static void parse_line(struct box_dns_conf *c, struct slice line)
{
    char key[BOX_DNS_NAME] = "", word[BOX_DNS_NAME];
    size_t at = 0;

    if (line.len && (line.p[0] == '#' || line.p[0] == ';'))
        return;
    while (at < line.len) {
        size_t len = 0;

        while (at < line.len && isspace((unsigned char)line.p[at]))
            at++;
        while (at + len < line.len && !isspace((unsigned char)line.p[at + len]))
            len++;
        if (len == 0 || len >= sizeof(word))
            return;
        memcpy(word, line.p + at, len);
        word[len] = '\0';
        at += len;
        if (!key[0]) {
            memcpy(key, word, len + 1);
            if (strcmp(key, "search") == 0 || strcmp(key, "domain") == 0)
                c->n_search = 0;
        } else if (strcmp(key, "nameserver") == 0 && c->n_servers < BOX_DNS_SERVERS) {
            c->n_servers += parse_server(&c->server[c->n_servers], word);
        } else if ((strcmp(key, "search") == 0 || strcmp(key, "domain") == 0) &&
                   c->n_search < BOX_DNS_SEARCH) {
            memcpy(c->search[c->n_search++], word, len + 1);
        } else if (strcmp(key, "options") == 0) {
            parse_options(c, word);
        }
    }
}

void box_dns_conf_parse(struct box_dns_conf *out, const char *text)
{
    struct slice rest = slice_of(text), line;

    *out = (struct box_dns_conf){ .ndots = 1, .timeout_ms = 5000, .attempts = 2 };
    while (slice_split(&rest, '\n', &line))
        parse_line(out, line);
    if (out->n_servers == 0)
        out->n_servers = parse_server(&out->server[0], "127.0.0.1");
}

void box_dns_conf_read(struct box_dns_conf *out)
{
    _cleanup_buf_ struct buf text = BUF_INIT;
    struct err err = ERR_INIT;
    const char *p =
        fd_read_file(&text, -100, "/etc/resolv.conf", 65536, &err) < 0 || !text.p ? "" : text.p;

    box_dns_conf_parse(out, p);
}

/* --- messages */

static uint16_t get16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t get32(const uint8_t *p)
{
    return (uint32_t)get16(p) << 16 | get16(p + 2);
}

static void put16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

int box_dns_question(uint8_t out[512], uint16_t id, const char *name, uint16_t type,
                     struct err *err)
{
    struct slice rest = slice_of(name), part;
    size_t at = 12;

    memset(out, 0, 12);
    put16(out, id);
    out[2] = 1;                              /* recursion desired */
    put16(out + 4, 1);
    if (rest.len && rest.p[rest.len - 1] == '.')
        rest.len--;
    if (rest.len > 253)
        return err_set(err, ERR_INVALID, "name too long");
    while (rest.len && slice_split(&rest, '.', &part)) {
        if (part.len == 0 || part.len > 63)
            return err_set(err, ERR_INVALID, "bad name \"%s\"", name);
        out[at++] = (uint8_t)part.len;
        memcpy(out + at, part.p, part.len);
        at += part.len;
    }
    out[at++] = 0;
    put16(out + at, type);
    put16(out + at + 2, 1);
    return (int)at + 4;
}

int box_dns_name(char out[BOX_DNS_NAME], const uint8_t *p, size_t len, size_t at)
{
    size_t n = 0;
    int jumps = 0;

    for (;;) {
        uint8_t c;

        if (at >= len)
            return -1;
        c = p[at];
        if ((c & 0xc0) == 0xc0) {
            if (at + 1 >= len || ++jumps > POINTERS_MAX)
                return -1;
            at = (size_t)(c & 0x3f) << 8 | p[at + 1];
            continue;
        }
        if ((c & 0xc0) || at + 1 + c > len || n + c + 2 > BOX_DNS_NAME)
            return -1;
        at++;
        if (c == 0)
            break;
        for (size_t i = 0; i < c; i++)
            out[n++] = isgraph(p[at + i]) ? (char)p[at + i] : '?';
        out[n++] = '.';
        at += c;
    }
    if (n == 0)
        out[n++] = '.';
    out[n] = '\0';
    return 0;
}

/* Bytes that a name takes where it stands. */
static int name_bytes(const uint8_t *p, size_t len, size_t at)
{
    size_t from = at;

    while (at < len) {
        if ((p[at] & 0xc0) == 0xc0)
            return at + 2 <= len ? (int)(at + 2 - from) : -1;
        if (p[at] == 0)
            return (int)(at + 1 - from);
        at += 1u + p[at];
    }
    return -1;
}

int box_dns_parse(struct box_dns_answer *out, const uint8_t *p, size_t len, struct err *err)
{
    size_t at = 12;
    int n;

    *out = (struct box_dns_answer){ .packet = p, .len = len };
    if (len < 12)
        return err_set(err, ERR_CORRUPT, "answer too short");
    out->id = get16(p);
    out->flags = get16(p + 2);
    out->rcode = p[3] & 15;
    out->truncated = p[2] & 2;
    for (int i = 0; i < 4; i++)
        out->counts[i] = get16(p + 4 + 2 * i);
    for (int i = 0; i < out->counts[0]; i++) {
        if ((n = name_bytes(p, len, at)) < 0 || at + (size_t)n + 4 > len)
            return err_set(err, ERR_CORRUPT, "bad question in answer");
        at += (size_t)n + 4;
    }
    for (int i = 0; i < out->counts[1] + out->counts[2] && out->n < BOX_DNS_RECORDS; i++) {
        struct box_dns_record *r = &out->v[out->n];

        if (box_dns_name(r->name, p, len, at) < 0 || (n = name_bytes(p, len, at)) < 0 ||
            at + (size_t)n + 10 > len)
            return err_set(err, ERR_CORRUPT, "bad record in answer");
        at += (size_t)n;
        r->type = get16(p + at);
        r->cls = get16(p + at + 2);
        r->ttl = get32(p + at + 4);
        r->len = get16(p + at + 8);
        r->data = p + at + 10;
        at += 10;
        if (r->len > len - at)
            return err_set(err, ERR_CORRUPT, "bad record in answer");
        at += r->len;
        out->n++;
    }
    return 0;
}

static void show_txt(char *out, size_t size, const struct box_dns_record *r)
{
    size_t n = 0;

    for (size_t at = 0; at < r->len; at += 1u + r->data[at]) {
        size_t len = r->data[at];

        len = at + 1 + len > r->len ? r->len - at - 1 : len;
        n += (size_t)snprintf(out + n, size - n, "%s\"", at ? " " : "");
        for (size_t i = 0; i < len && n + 4 < size; i++)
            out[n++] = isprint(r->data[at + 1 + i]) ? (char)r->data[at + 1 + i] : '?';
        if (n + 2 >= size)
            break;
        n += (size_t)snprintf(out + n, size - n, "\"");
    }
}

void box_dns_show(char *out, size_t size, const struct box_dns_answer *a,
                  const struct box_dns_record *r)
{
    size_t at = (size_t)(r->data - a->packet);
    char name[BOX_DNS_NAME] = "?", second[BOX_DNS_NAME] = "?";
    int n;

    out[0] = '\0';
    switch (r->type) {
    case BOX_DNS_A:
        if (r->len == 4)
            inet_ntop(AF_INET, r->data, out, (socklen_t)size);
        break;
    case BOX_DNS_AAAA:
        if (r->len == 16)
            inet_ntop(AF_INET6, r->data, out, (socklen_t)size);
        break;
    case BOX_DNS_NS: case BOX_DNS_CNAME: case BOX_DNS_PTR:
        box_dns_name(name, a->packet, a->len, at);
        snprintf(out, size, "%s", name);
        break;
    case BOX_DNS_MX:
        if (r->len > 2 && box_dns_name(name, a->packet, a->len, at + 2) >= 0)
            snprintf(out, size, "%u %s", get16(r->data), name);
        break;
    case BOX_DNS_SRV:
        if (r->len > 6 && box_dns_name(name, a->packet, a->len, at + 6) >= 0)
            snprintf(out, size, "%u %u %u %s", get16(r->data), get16(r->data + 2),
                     get16(r->data + 4), name);
        break;
    case BOX_DNS_SOA:
        n = name_bytes(a->packet, a->len, at);
        if (n < 0 || box_dns_name(name, a->packet, a->len, at) < 0 ||
            box_dns_name(second, a->packet, a->len, at + (size_t)n) < 0)
            break;
        if (r->len >= 22)
            snprintf(out, size, "%s %s %u %u %u %u %u", name, second, get32(r->data + r->len - 20),
                     get32(r->data + r->len - 16), get32(r->data + r->len - 12),
                     get32(r->data + r->len - 8), get32(r->data + r->len - 4));
        break;
    case BOX_DNS_TXT: show_txt(out, size, r); break;
    default: snprintf(out, size, "\\# %zu", r->len); break;
    }
}

/* --- asking */

static socklen_t addr_len(const struct sockaddr_storage *a)
{
    return a->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
}

static int wait_for(int fd, short events, int64_t until)
{
    struct pollfd p = { .fd = fd, .events = events };
    int64_t left = until - box_now_ms();

    return left > 0 && poll(&p, 1, (int)left) > 0 ? 0 : -1;
}

static ssize_t ask_udp(uint8_t *packet, const struct sockaddr_storage *server, const uint8_t *q,
                       int q_len, int64_t until)
{
    _cleanup_fd_ int fd = socket(server->ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ssize_t n;

    if (fd < 0 || connect(fd, (const struct sockaddr *)server, addr_len(server)) < 0 ||
        send(fd, q, (size_t)q_len, MSG_NOSIGNAL) < 0)
        return -1;
    while (wait_for(fd, POLLIN, until) == 0) {
        n = recv(fd, packet, 65536, 0);
        if (n < 0)
            return -1;
        if (n >= 12 && packet[0] == q[0] && packet[1] == q[1])       /* others' answers are none */
            return n;
    }
    errno = ETIMEDOUT;
    return -1;
}

static ssize_t ask_tcp(uint8_t *packet, const struct sockaddr_storage *server, const uint8_t *q,
                       int q_len, int64_t until)
{
    _cleanup_fd_ int fd = socket(server->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    uint8_t head[2];
    size_t have = 0, want = 2;
    ssize_t n;

    put16(head, (uint16_t)q_len);
    if (fd < 0 || connect(fd, (const struct sockaddr *)server, addr_len(server)) < 0 ||
        send(fd, head, 2, MSG_NOSIGNAL | MSG_MORE) != 2 ||
        send(fd, q, (size_t)q_len, MSG_NOSIGNAL) != q_len)
        return -1;
    while (have < want) {
        if (wait_for(fd, POLLIN, until) < 0)
            return errno = ETIMEDOUT, -1;
        n = recv(fd, packet + have, want - have, 0);
        if (n <= 0)
            return n < 0 ? -1 : (errno = ECONNRESET, -1);
        have += (size_t)n;
        if (have == 2 && want == 2) {
            want = get16(packet);
            have = 0;
            if (want < 12)
                return errno = EPROTO, -1;
        }
    }
    return (ssize_t)have;
}

int box_dns_ask(struct box_dns_answer *out, uint8_t packet[65536],
                const struct sockaddr_storage *server, const char *name, uint16_t type,
                int64_t timeout_ms, struct err *err)
{
    int64_t until = box_now_ms() + timeout_ms;
    uint8_t q[512];
    uint16_t id = 0;
    ssize_t n;
    int len;

    (void)!getrandom(&id, sizeof(id), 0);
    len = box_dns_question(q, id, name, type, err);
    if (len < 0)
        return -1;
    n = ask_udp(packet, server, q, len, until);
    if (n > 0 && box_dns_parse(out, packet, (size_t)n, err) == 0 && out->truncated)
        n = ask_tcp(packet, server, q, len, until);
    if (n < 0)
        return err_sys(err, "name server");
    return box_dns_parse(out, packet, (size_t)n, err);
}
