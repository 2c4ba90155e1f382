/* box_resolve.c -- a host's addresses: numbers, /etc/hosts, then name servers with search list and
 * ndots, as libc does. */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "cmd/box/box_dns.h"
#include "cmd/box/box_run.h"
#include "core/base/fd.h"
#include "core/base/mem.h"
#include "core/base/str.h"

#define HOSTS_BYTES_MAX (1u << 20)

int64_t box_now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static bool add_number(struct box_addrs *out, const char *text)
{
    struct sockaddr_in *four = (void *)&out->v[out->n];
    struct sockaddr_in6 *six = (void *)&out->v[out->n];

    if (out->n == BOX_ADDRS_MAX)
        return false;
    memset(&out->v[out->n], 0, sizeof(out->v[0]));
    if (inet_pton(AF_INET, text, &four->sin_addr) == 1)
        four->sin_family = AF_INET;
    else if (inet_pton(AF_INET6, text, &six->sin6_addr) == 1)
        six->sin6_family = AF_INET6;
    else
        return false;
    out->n++;
    return true;
}

static void find_in_hosts(struct box_addrs *out, const char *host)
{
    _cleanup_buf_ struct buf text = BUF_INIT;
    char *line, *rest, *word, *addr, *next;

    if (fd_read_file(&text, AT_FDCWD, "/etc/hosts", HOSTS_BYTES_MAX, NULL) < 0 || !text.p)
        return;
    for (rest = text.p; (line = strsep(&rest, "\n"));) {
        line[strcspn(line, "#")] = '\0';
        addr = NULL;
        for (next = line; (word = strsep(&next, " \t\r"));) {
            if (!*word)
                continue;
            if (!addr)
                addr = word;
            else if (strcasecmp(word, host) == 0)
                add_number(out, addr);
        }
    }
}

static void add_records(struct box_addrs *out, const struct box_dns_answer *a)
{
    char text[512];

    for (size_t i = 0; i < a->n; i++)
        if (a->v[i].type == BOX_DNS_A || a->v[i].type == BOX_DNS_AAAA) {
            box_dns_show(text, sizeof(text), a, &a->v[i]);
            add_number(out, text);
        }
}

/* One whole name at the servers in turn: 0 answered (maybe with nothing), -1 nobody answers. */
static int ask_all(struct box_addrs *out, const struct box_dns_conf *c, const char *name,
                   int64_t until, struct err *err)
{
    static const uint16_t kinds[] = { BOX_DNS_A, BOX_DNS_AAAA };
    uint8_t *packet = mem_alloc(65536);
    bool answered = false;

    for (int try = 0; try < c->attempts && !answered; try++)
        for (size_t i = 0; i < c->n_servers && !answered; i++)
            for (size_t k = 0; k < 2; k++) {
                struct box_dns_answer a;
                int64_t left = until - box_now_ms();

                if (left <= 0)
                    break;
                if (box_dns_ask(&a, packet, &c->server[i], name, kinds[k],
                                left < c->timeout_ms ? left : c->timeout_ms, err) < 0)
                    break;
                if (a.rcode != 0 && a.rcode != 3)        /* this one cannot help */
                    break;
                answered = true;
                add_records(out, &a);
            }
    mem_free(packet);
    return answered ? 0 : -1;
}

static int find_in_dns(struct box_addrs *out, const char *host, int64_t until, struct err *err)
{
    struct box_dns_conf c;
    char name[2 * BOX_DNS_NAME + 2];
    size_t len = strlen(host);
    bool whole = host[len - 1] == '.', many = false;
    int dots = 0, result = -1;

    box_dns_conf_read(&c);
    for (const char *p = host; *p; p++)
        dots += *p == '.';
    many = dots >= c.ndots;
    if (whole || many || c.n_search == 0) {
        result = ask_all(out, &c, host, until, err);
        if (whole || out->n || result < 0)
            return result;
    }
    for (size_t i = 0; i < c.n_search && out->n == 0; i++) {
        snprintf(name, sizeof(name), "%s.%s", host, c.search[i]);
        if (strlen(name) > 253)
            continue;
        if (ask_all(out, &c, name, until, err) == 0)
            result = 0;
    }
    if (!many && c.n_search && out->n == 0 && ask_all(out, &c, host, until, err) == 0)
        result = 0;
    return result;
}

int box_resolve(struct box_addrs *out, const char *host, int64_t timeout_ms, struct err *err)
{
    struct err why = ERR_INIT;

    out->n = 0;
    if (!*host || strlen(host) > 253)
        return err_set(err, ERR_INVALID, "bad host name");
    if (add_number(out, host))
        return 0;
    find_in_hosts(out, host);
    if (out->n == 0 && strcasecmp(host, "localhost") == 0)
        add_number(out, "127.0.0.1");
    if (out->n)
        return 0;
    if (find_in_dns(out, host, box_now_ms() + timeout_ms, &why) < 0)
        return err_set(err, ERR_UNAVAILABLE, "cannot resolve %s: %s", host, why.msg);
    return out->n ? 0 : err_set(err, ERR_NOT_FOUND, "bad address '%s': no such host", host);
}

static int dial_one(const struct sockaddr_storage *to, int64_t until, struct err *err)
{
    _cleanup_fd_ int fd = socket(to->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    socklen_t len =
        to->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    int64_t left = until - box_now_ms();
    struct pollfd p = { .fd = fd, .events = POLLOUT };
    socklen_t code_len = sizeof(int);
    int code = 0;

    if (fd < 0 || (connect(fd, (const struct sockaddr *)to, len) < 0 && errno != EINPROGRESS))
        return err_sys(err, "connect");
    if (left <= 0 || poll(&p, 1, (int)left) == 0)
        return err_set(err, ERR_TIMEOUT, "connect: timed out");
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &code_len) < 0 || code) {
        errno = code ? code : errno;
        return err_sys(err, "connect");
    }
    (void)fcntl(fd, F_SETFL, 0);
    return TAKE_FD(fd);
}

int box_dial(const char *host, const char *port, int64_t timeout_ms, struct err *err)
{
    int64_t until = box_now_ms() + timeout_ms, number;
    struct box_addrs a;
    int fd = -1;

    if (str_to_i64(port, 1, 65535, &number, err) < 0 || box_resolve(&a, host, timeout_ms, err) < 0)
        return -1;
    for (size_t i = 0; i < a.n && fd < 0; i++) {
        if (a.v[i].ss_family == AF_INET6)
            ((struct sockaddr_in6 *)&a.v[i])->sin6_port = htons((uint16_t)number);
        else
            ((struct sockaddr_in *)&a.v[i])->sin_port = htons((uint16_t)number);
        fd = dial_one(&a.v[i], until, err);
    }
    return fd < 0 ? err_wrap(err, "%s:%s", host, port) : fd;
}
