#include "core/http/resolve.h"

#include <errno.h>
#include <fcntl.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/fd.h"
#include "core/base/mem.h"

/* the name itself and those made with the search list */
#define RESOLVE_NAMES_MAX 8
#define RESOLVE_NAME_BYTES 256
#define RESOLVE_PACKET 4096
#define RESOLVE_PORT 53
#define RESOLVE_NDOTS_MAX 15

enum { DNS_A = 1, DNS_AAAA = 28, DNS_IN = 1 };

struct resolve {
    struct loop *loop;
    struct resolve_opts o;
    struct loop_timer timer;
    struct loop_io io;
    int fd;
    struct resolve_address found[RESOLVE_ADDRESSES_MAX];
    unsigned n_found;
    struct resolve_address servers[RESOLVE_SERVERS_MAX];
    unsigned n_servers, server, round;
    char names[RESOLVE_NAMES_MAX][RESOLVE_NAME_BYTES];
    unsigned n_names, name;
    uint16_t id[2];                          /* of the questions for A and AAAA */
    bool answered[2], failed;
    struct err err;
};

/* --- files --- */

static bool resolve_word(struct slice *line, struct slice *out)
{
    while (line->len && (*line->p == ' ' || *line->p == '\t'))
        line->p++, line->len--;
    if (!line->len || *line->p == '#' || *line->p == ';')
        return false;
    *out = (struct slice){ line->p, 0 };
    while (line->len && *line->p != ' ' && *line->p != '\t' && *line->p != '#' && *line->p != '\r')
        line->p++, line->len--, out->len++;
    return out->len > 0;
}

static bool resolve_copy(char *out, size_t bytes, struct slice s)
{
    if (s.len >= bytes)
        return false;
    memcpy(out, s.p, s.len);
    out[s.len] = 0;
    return true;
}

static bool resolve_same(struct slice s, const char *name)
{
    size_t len = strlen(name);

    if (len && name[len - 1] == '.')
        len--;
    return s.len == len && strncasecmp(s.p, name, len) == 0;
}

static void resolve_found(struct resolve *r, const struct resolve_address *a)
{
    unsigned at = r->n_found;

    if (r->n_found == RESOLVE_ADDRESSES_MAX)
        return;
    while (a->sa.ss_family == AF_INET && at > 0 && r->found[at - 1].sa.ss_family == AF_INET6)
        at--;                                /* IPv4 goes before IPv6 */
    memmove(r->found + at + 1, r->found + at, (r->n_found - at) * sizeof(*a));
    r->found[at] = *a;
    r->n_found++;
}

static void resolve_hosts(struct resolve *r)
{
    _cleanup_buf_ struct buf text = BUF_INIT;
    const char *path = r->o.hosts_file ? r->o.hosts_file : "/etc/hosts";
    struct slice rest, line, word;

    if (fd_read_file(&text, AT_FDCWD, path, RESOLVE_FILE_MAX, NULL) < 0)
        return;
    rest = (struct slice){ text.p, text.len };
    while (slice_split(&rest, '\n', &line)) {
        struct resolve_address a;
        char ip[64];

        if (!resolve_word(&line, &word) || !resolve_copy(ip, sizeof(ip), word) ||
            !resolve_numeric(&a, ip))
            continue;
        while (resolve_word(&line, &word))
            if (resolve_same(word, r->o.host)) {
                resolve_found(r, &a);
                break;
            }
    }
}

struct resolve_conf {
    struct slice search[RESOLVE_NAMES_MAX - 1];
    unsigned n_search;
    int64_t ndots;
};

static void resolve_conf_line(struct resolve *r, struct resolve_conf *c, struct slice line)
{
    struct slice word, value;
    char text[64];

    if (!resolve_word(&line, &word))
        return;
    if (slice_is(word, "nameserver") && r->n_servers < RESOLVE_SERVERS_MAX &&
        resolve_word(&line, &value)) {
        if (resolve_copy(text, sizeof(text), value) &&
            resolve_numeric(&r->servers[r->n_servers], text))
            resolve_set_port(&r->servers[r->n_servers++], RESOLVE_PORT);
    } else if (slice_is(word, "search") || slice_is(word, "domain")) {
        c->n_search = 0;
        while (c->n_search < ARRAY_LEN(c->search) && resolve_word(&line, &value))
            c->search[c->n_search++] = value;
    } else if (slice_is(word, "options")) {
        while (resolve_word(&line, &value))
            if (resolve_copy(text, sizeof(text), value) && str_starts(text, "ndots:"))
                str_to_i64(text + 6, 0, RESOLVE_NDOTS_MAX, &c->ndots, NULL);
    }
}

static void resolve_add_name(struct resolve *r, const char *name, struct slice domain)
{
    size_t len = strlen(name);

    if (r->n_names == RESOLVE_NAMES_MAX || len + domain.len + 2 > RESOLVE_NAME_BYTES)
        return;
    memcpy(r->names[r->n_names], name, len);
    if (domain.len) {
        r->names[r->n_names][len++] = '.';
        memcpy(r->names[r->n_names] + len, domain.p, domain.len);
    }
    r->n_names++;
}

/* The servers to ask, and the names in the order to try. */
static void resolve_read_conf(struct resolve *r)
{
    _cleanup_buf_ struct buf text = BUF_INIT;
    const char *path = r->o.conf_file ? r->o.conf_file : "/etc/resolv.conf", *host = r->o.host;
    struct resolve_conf c = { .ndots = 1 };
    struct slice rest, line;
    int64_t dots = 0;

    if (fd_read_file(&text, AT_FDCWD, path, RESOLVE_FILE_MAX, NULL) == 0) {
        rest = (struct slice){ text.p, text.len };
        while (slice_split(&rest, '\n', &line))
            resolve_conf_line(r, &c, line);
    }
    for (const char *p = host; *p; p++)
        dots += *p == '.';
    if (str_ends(host, ".")) {
        resolve_add_name(r, host, SLICE(""));
        return;
    }
    if (dots >= c.ndots)
        resolve_add_name(r, host, SLICE(""));
    for (unsigned i = 0; i < c.n_search; i++)
        resolve_add_name(r, host, c.search[i]);
    if (dots < c.ndots)
        resolve_add_name(r, host, SLICE(""));
}

/* --- packets --- */

static bool resolve_question(struct buf *b, const char *name, uint16_t id, unsigned type)
{
    unsigned char head[12] = { (unsigned char)(id >> 8), (unsigned char)id, 1, 0, 0, 1 };
    struct slice rest = slice_of(name), label;

    buf_add(b, head, sizeof(head));
    while (slice_split(&rest, '.', &label)) {
        if (!label.len && !rest.len)
            break;                           /* the final dot */
        if (!label.len || label.len > 63)
            return false;
        buf_chr(b, (char)label.len);
        buf_add(b, label.p, label.len);
    }
    buf_chr(b, 0);
    buf_add(b, (unsigned char[]){ 0, (unsigned char)type, 0, DNS_IN }, 4);
    return true;
}

/* Past a name at `at`; 0 when it runs out of the packet. */
static size_t resolve_skip_name(const unsigned char *p, size_t len, size_t at)
{
    while (at < len) {
        if (p[at] >= 0xc0)
            return at + 2 <= len ? at + 2 : 0;
        if (p[at] == 0)
            return at + 1;
        at += p[at] + 1u;
    }
    return 0;
}

static unsigned resolve_u16(const unsigned char *p)
{
    return (unsigned)p[0] << 8 | p[1];
}

static void resolve_record(struct resolve *r, unsigned type, const unsigned char *p, size_t len)
{
    struct resolve_address a = { 0 };

    if (type == DNS_A && len == 4) {
        struct sockaddr_in v4 = { .sin_family = AF_INET };

        memcpy(&v4.sin_addr, p, 4);
        memcpy(&a.sa, &v4, sizeof(v4));
        a.len = sizeof(v4);
        resolve_found(r, &a);
    } else if (type == DNS_AAAA && len == 16) {
        struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };

        memcpy(&v6.sin6_addr, p, 16);
        memcpy(&a.sa, &v6, sizeof(v6));
        a.len = sizeof(v6);
        resolve_found(r, &a);
    }
}

/* Does the packet repeat our question? A guess from outside must hit port, id and this. */
static size_t resolve_check(struct resolve *r, const unsigned char *p, size_t len, int *which)
{
    _cleanup_buf_ struct buf ask = BUF_INIT;

    if (len < 12 || !(p[2] & 0x80) || resolve_u16(p + 4) != 1)
        return 0;
    for (*which = 0; *which < 2; ++*which) {
        if (resolve_u16(p) != r->id[*which] || r->answered[*which])
            continue;
        buf_clear(&ask);
        resolve_question(&ask, r->names[r->name], 0, *which ? DNS_AAAA : DNS_A);
        if (len < ask.len)
            return 0;
        for (size_t i = 12; i < ask.len; i++) {
            unsigned char a = (unsigned char)ask.p[i], b = p[i];

            if (a != b && ((a ^ b) != 0x20 || (a | 0x20) < 'a' || (a | 0x20) > 'z'))
                return 0;
        }
        return ask.len;
    }
    return 0;
}

static void resolve_answer(struct resolve *r, const unsigned char *p, size_t len)
{
    int which = 0;
    size_t at = resolve_check(r, p, len, &which);
    unsigned code, n;

    if (!at)
        return;
    r->answered[which] = true;
    code = p[3] & 15;
    if (code != 0 && code != 3) {
        r->failed = true;
        return;
    }
    n = resolve_u16(p + 6);
    for (unsigned i = 0; i < n; i++) {
        unsigned type;
        size_t data;

        at = resolve_skip_name(p, len, at);
        if (!at || at + 10 > len)
            return;
        type = resolve_u16(p + at);
        data = resolve_u16(p + at + 8);
        at += 10;
        if (at + data > len)
            return;
        if (resolve_u16(p + at - 8) == DNS_IN && type == (which ? DNS_AAAA : DNS_A))
            resolve_record(r, type, p + at, data);
        at += data;
    }
}

/* --- asking --- */

static void resolve_ask(struct resolve *r);

static void resolve_hang_up(struct resolve *r)
{
    loop_timer_del(&r->timer);
    loop_io_del(&r->io);
    r->fd = fd_close(r->fd);
}

static void resolve_finish(struct resolve *r)
{
    resolve_hang_up(r);
    if (!r->n_found && !r->err.code)
        err_set(&r->err, ERR_NOT_FOUND, "no address for \"%s\"", r->o.host);
    r->o.on_done(r->found, r->n_found, r->n_found ? NULL : &r->err, r->o.ctx);
    resolve_free(r);
}

/* The next server, then the next round over all of them. */
static void resolve_next_server(struct resolve *r)
{
    if (++r->server == r->n_servers) {
        r->server = 0;
        r->round++;
    }
    if (r->round == RESOLVE_TRIES) {
        err_set(&r->err, ERR_TIMEOUT, "no name server answers about \"%s\"", r->o.host);
        resolve_finish(r);
        return;
    }
    resolve_ask(r);
}

static void resolve_judge(struct resolve *r, bool timed_out)
{
    if (r->n_found && (timed_out || (r->answered[0] && r->answered[1]))) {
        resolve_finish(r);
        return;
    }
    if (!timed_out && !(r->answered[0] && r->answered[1]))
        return;
    resolve_hang_up(r);
    if (timed_out || r->failed) {
        resolve_next_server(r);
    } else if (++r->name < r->n_names) {
        resolve_ask(r);
    } else {
        resolve_finish(r);
    }
}

static void resolve_on_time(struct loop_timer *t)
{
    resolve_judge(container_of(t, struct resolve, timer), true);
}

static void resolve_on_packet(struct loop_io *io, unsigned events)
{
    struct resolve *r = container_of(io, struct resolve, io);
    unsigned char packet[RESOLVE_PACKET];
    ssize_t n;

    (void)events;
    while ((n = recv(r->fd, packet, sizeof(packet), MSG_DONTWAIT)) > 0)
        resolve_answer(r, packet, (size_t)n);
    resolve_judge(r, n < 0 && errno != EAGAIN && errno != EINTR);
}

static void resolve_ask(struct resolve *r)
{
    const struct resolve_address *a = &r->servers[r->server];
    struct err *err = &r->err;

    r->answered[0] = r->answered[1] = r->failed = false;
    loop_timer_set(r->loop, &r->timer, RESOLVE_TRY_MS, resolve_on_time);
    r->fd = socket(a->sa.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (r->fd < 0 || connect(r->fd, (const struct sockaddr *)&a->sa, a->len) < 0 ||
        loop_io_add(r->loop, &r->io, r->fd, LOOP_READ, resolve_on_packet, err) < 0) {
        loop_timer_set(r->loop, &r->timer, 0, resolve_on_time);
        return;
    }
    err_clear(err);
    for (int i = 0; i < 2; i++) {
        _cleanup_buf_ struct buf ask = BUF_INIT;

        env_random(loop_env(r->loop), &r->id[i], sizeof(r->id[i]));
        if (i && r->id[1] == r->id[0])
            r->id[1] ^= 1;
        if (!resolve_question(&ask, r->names[r->name], r->id[i], i ? DNS_AAAA : DNS_A)) {
            r->answered[0] = r->answered[1] = true;
            loop_timer_set(r->loop, &r->timer, 0, resolve_on_time);
            return;
        }
        if (send(r->fd, ask.p, ask.len, MSG_NOSIGNAL) < 0)
            loop_timer_set(r->loop, &r->timer, 0, resolve_on_time);
    }
}

static void resolve_on_start(struct loop_timer *t)
{
    struct resolve *r = container_of(t, struct resolve, timer);

    if (r->n_found || r->err.code)
        resolve_finish(r);
    else
        resolve_ask(r);
}

int resolve_new(struct resolve **out, struct loop *l, const struct resolve_opts *opts,
                struct err *err)
{
    struct resolve_address a;
    struct resolve *r;

    if (str_empty(opts->host) || strlen(opts->host) >= RESOLVE_NAME_BYTES - 1)
        return err_set(err, ERR_INVALID, "a host name has 1 to %d bytes", RESOLVE_NAME_BYTES - 2);
    r = NEW(struct resolve);
    r->loop = l;
    r->o = *opts;
    r->o.host = mem_strdup(opts->host);
    r->fd = -1;
    if (resolve_numeric(&a, opts->host)) {
        resolve_found(r, &a);
    } else if (strcasecmp(opts->host, "localhost") == 0 ||
               strcasecmp(opts->host, "localhost.") == 0) {
        resolve_numeric(&a, "127.0.0.1");
        resolve_found(r, &a);
        resolve_numeric(&a, "::1");
        resolve_found(r, &a);
    } else {
        resolve_hosts(r);
    }
    if (!r->n_found) {
        resolve_read_conf(r);
        if (!r->n_servers || !r->n_names)
            err_set(&r->err, ERR_UNAVAILABLE, "no name server to ask about \"%s\"", opts->host);
    }
    loop_timer_set(l, &r->timer, 0, resolve_on_start);
    *out = r;
    return 0;
}

struct resolve *resolve_free(struct resolve *r)
{
    if (!r)
        return NULL;
    resolve_hang_up(r);
    mem_free((void *)(uintptr_t)r->o.host);
    return mem_free(r);
}
