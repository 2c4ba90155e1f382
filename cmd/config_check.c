/* config_check.c -- whether the value of a flag makes sense, and which name was probably meant. */
#include "cmd/config_args.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>

#include "core/base/timefmt.h"
#include "core/http/http.h"
#include "core/object/rules.h"
#include "net/netlink/netlink.h"
#include "net/pod/pod_net.h"

int config_check_port(const char *text, struct err *err)
{
    int64_t port;

    return str_to_i64(text, 1, 65535, &port, err);
}

int config_check_ip(const char *text, struct err *err)
{
    struct in_addr ip;

    if (inet_pton(AF_INET, text, &ip) == 1)
        return 0;
    return err_set(err, ERR_INVALID, "\"%s\" is not an IPv4 address", text);
}

int config_check_net(const char *text, struct err *err)
{
    struct ip4 net;

    if (ip4_parse_net(&net, text, err) < 0)
        return -1;
    if (net.prefix < 8 || net.prefix > 28)
        return err_set(err, ERR_INVALID, "the prefix of \"%s\" must be 8 to 28 bits long", text);
    return 0;
}

int config_check_backend(const char *text, struct err *err)
{
    enum pod_net_backend backend;

    return pod_net_backend_parse(&backend, text, err);
}

int config_check_range(const char *text, struct err *err)
{
    char *end;
    long min = strtol(text, &end, 10), max = *end == '-' ? strtol(end + 1, &end, 10) : 0;

    if (*end || min < 1 || max > 65535 || min > max)
        return err_set(err, ERR_INVALID, "\"%s\" is no range of ports such as 30000-32767", text);
    return 0;
}

int config_check_mode(const char *text, struct err *err)
{
    char *end;
    long mode = strtol(text, &end, 8);

    if (*end || !*text || mode < 0 || mode > 0777)
        return err_set(err, ERR_INVALID, "\"%s\" is no octal file mode such as 0600", text);
    return 0;
}

typedef const char *check_text(struct arena *a, const char *s);

static int check_by(check_text *rule, const char *text, struct err *err)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    const char *why = rule(a, text);

    return why ? err_set(err, ERR_INVALID, "\"%s\": %s", text, why) : 0;
}

int config_check_node_name(const char *text, struct err *err)
{
    return check_by(rules_dns1123_subdomain, text, err);
}

int config_check_domain(const char *text, struct err *err)
{
    return check_by(rules_dns1123_subdomain, text, err);
}

int config_check_san(const char *text, struct err *err)
{
    if (config_check_ip(text, NULL) == 0)
        return 0;
    return check_by(rules_dns1123_subdomain, str_starts(text, "*.") ? text + 2 : text, err);
}

int config_check_server(const char *text, struct err *err)
{
    struct http_url url;

    if (http_url_parse(&url, text, err) < 0)
        return -1;
    if (!url.tls || (!str_eq(url.target, "/") && *url.target))
        return err_set(err, ERR_INVALID, "\"%s\" is not https://HOST:PORT", text);
    return 0;
}

int config_check_ttl(const char *text, struct err *err)
{
    int64_t ns;

    if (str_eq(text, "0"))
        return 0;
    if (timefmt_parse_duration(text, &ns, err) < 0)
        return -1;
    return ns < 0 ? err_set(err, ERR_INVALID, "\"%s\" is negative", text) : 0;
}

static int check_pair(const char *key, size_t key_len, const char *value, struct err *err)
{
    _cleanup_(mem_freep) char *k = mem_strndup(key, key_len);

    if (check_by(rules_qualified_name, k, err) < 0)
        return -1;
    return check_by(rules_label_value, value, err);
}

int config_check_label(const char *text, struct err *err)
{
    const char *eq = strchr(text, '=');

    if (!eq)
        return err_set(err, ERR_INVALID, "\"%s\" is not KEY=VALUE", text);
    return check_pair(text, (size_t)(eq - text), eq + 1, err);
}

int config_check_taint(const char *text, struct err *err)
{
    static const char *const effects[] = { "NoSchedule", "PreferNoSchedule", "NoExecute" };
    const char *colon = strrchr(text, ':');
    bool known = false;
    const char *eq;

    for (size_t i = 0; colon && i < ARRAY_LEN(effects); i++)
        known = known || str_eq(colon + 1, effects[i]);
    if (!known)
        return err_set(err, ERR_INVALID, "\"%s\" is not KEY=VALUE:EFFECT with one of the effects "
                       "NoSchedule, PreferNoSchedule, NoExecute", text);
    _cleanup_(mem_freep) char *pair = mem_strndup(text, (size_t)(colon - text));
    eq = strchr(pair, '=');
    return check_pair(pair, eq ? (size_t)(eq - pair) : strlen(pair), eq ? eq + 1 : "", err);
}

static int check_word(const char *text, const char *const *words, struct err *err)
{
    _cleanup_buf_ struct buf all = BUF_INIT;

    for (const char *const *w = words; *w; w++) {
        if (str_eq(text, *w))
            return 0;
        buf_fmt(&all, "%s%s", w == words ? "" : ", ", *w);
    }
    return err_set(err, ERR_INVALID, "\"%s\" is none of %s", text, all.p);
}

int config_check_level(const char *text, struct err *err)
{
    static const char *const words[] = { "debug", "info", "warn", "error", NULL };

    return check_word(text, words, err);
}

int config_check_usage(const char *text, struct err *err)
{
    static const char *const words[] = { "authentication", "signing", NULL };

    return check_word(text, words, err);
}

/* Upstream's rule: what a token may make its user a member of. */
int config_check_group(const char *text, struct err *err)
{
    static const char prefix[] = "system:bootstrappers:";
    bool good = str_starts(text, prefix) && text[sizeof(prefix) - 1];

    for (const char *p = text; *p; p++)
        good = good && (islower((unsigned char)*p) || isdigit((unsigned char)*p) ||
                        *p == ':' || *p == '-');
    if (good && text[strlen(text) - 1] != '-' && text[strlen(text) - 1] != ':')
        return 0;
    return err_set(err, ERR_INVALID, "\"%s\" is not %sNAME", text, prefix);
}

int config_check_format(const char *text, struct err *err)
{
    static const char *const words[] = { "text", "json", NULL };

    return check_word(text, words, err);
}

/* k3s's parts are accepted: what they name is not here, or is called otherwise (coredns). */
int config_check_disable(const char *text, struct err *err)
{
    static const char *const words[] = { "dns", "proxy", "coredns", "servicelb", "traefik",
                                         "local-storage",
                                         "metrics-server", "runtimes", NULL };

    return check_word(text, words, err);
}

int config_check_cgroup(const char *text, struct err *err)
{
    bool good = text[0] != '.' && strlen(text) <= 100;

    for (const char *p = text; *p; p++)
        good = good && (isalnum((unsigned char)*p) || strchr("-_.", *p));
    return good ? 0 : err_set(err, ERR_INVALID, "\"%s\" is no name of a control group", text);
}

static int check_networks(struct config *c, struct err *err)
{
    char text[IP4_TEXT_BYTES];
    struct ip4 pods, services, dns;

    if (ip4_parse_net(&pods, c->cluster_cidr, err) < 0 || ip4_parse_net(&services, c->service_cidr,
                                                                        err) < 0)
        return -1;
    if (ip4_contains(pods, services.addr) || ip4_contains(services, pods.addr))
        return err_set(err, ERR_INVALID, "--cluster-cidr %s and --service-cidr %s overlap",
                       c->cluster_cidr,
                       c->service_cidr);
    if (str_empty(c->cluster_dns))
        c->cluster_dns = arena_strdup(c->a, ip4_addr_text(text, services.addr + 10));
    if (ip4_parse(&dns, c->cluster_dns, err) < 0)
        return err_wrap(err, "--cluster-dns");
    if (!ip4_contains(services, dns.addr))
        return err_set(err, ERR_INVALID, "--cluster-dns %s is not in --service-cidr %s",
                       c->cluster_dns,
                       c->service_cidr);
    return 0;
}

int config_check_whole(struct config *c, struct err *err)
{
    static const struct { const char *flag; size_t at; } needed[] = {
        { "--data-dir", offsetof(struct config, data_dir) },
        { "--run-dir", offsetof(struct config, run_dir) },
        { "--cgroup-root", offsetof(struct config, cgroup_root) },
        { "--cluster-cidr", offsetof(struct config, cluster_cidr) },
        { "--service-cidr", offsetof(struct config, service_cidr) },
        { "--service-node-port-range", offsetof(struct config, node_port_range) },
        { "--cluster-domain", offsetof(struct config, cluster_domain) },
        { "--log-level", offsetof(struct config, log_level) },
    };
    struct config_args args;

    for (size_t i = 0; i < ARRAY_LEN(needed); i++)
        if (str_empty(*(const char *const *)((const char *)c + needed[i].at)))
            return err_set(err, ERR_INVALID, "%s must not be empty", needed[i].flag);
    if (c->https_listen_port == 0)
        return err_set(err, ERR_INVALID, "--https-listen-port must not be empty");
    if (config_args(&args, c, NULL, NULL, err) < 0)
        return -1;
    return check_networks(c, err);
}

/* --- the nearest name: fewest letters to add, drop, change or swap */

#define NAME_MAX_LEN 48

static unsigned distance(const char *a, const char *b)
{
    unsigned row[3][NAME_MAX_LEN + 1];
    size_t la = strlen(a), lb = strlen(b);

    if (la > NAME_MAX_LEN || lb > NAME_MAX_LEN)
        return NAME_MAX_LEN;
    for (size_t j = 0; j <= lb; j++)
        row[1][j] = (unsigned)j;
    for (size_t i = 1; i <= la; i++) {
        unsigned *now = row[(i + 1) % 3], *before = row[i % 3], *older = row[(i + 2) % 3];

        now[0] = (unsigned)i;
        for (size_t j = 1; j <= lb; j++) {
            unsigned best = before[j - 1] + (a[i - 1] != b[j - 1]);

            best = before[j] + 1 < best ? before[j] + 1 : best;
            best = now[j - 1] + 1 < best ? now[j - 1] + 1 : best;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                older[j - 2] + 1 < best)
                best = older[j - 2] + 1;
            now[j] = best;
        }
    }
    return row[(la + 1) % 3][lb];
}

const char *config_flag_near(const char *name, unsigned commands)
{
    _cleanup_(mem_freep) char *bare = mem_strndup(name, strcspn(name, "=+"));
    unsigned best = (unsigned)strlen(bare) / 3 + 1;
    const char *found = NULL;

    for (const struct config_flag *f = config_flags; f->name; f++) {
        unsigned d = f->help && f->commands & commands ? distance(bare, f->name) : NAME_MAX_LEN;

        if (d < best) {
            best = d;
            found = f->name;
        }
    }
    return found;
}
