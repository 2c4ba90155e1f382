/* pod_files.c -- hosts, host name, resolver. */
#include "runtime/node/pod_files.h"

#include <stdio.h>
#include <unistd.h>

#include "core/base/mem.h"
#include "core/base/str.h"

static const char *short_name(struct arena *a, const struct pod_view *pod)
{
    const char *name = pod->metadata.name;
    size_t len;

    if (!str_empty(pod->spec.hostname_override))
        return pod->spec.hostname_override;
    if (!str_empty(pod->spec.hostname))
        name = pod->spec.hostname;
    len = strlen(name);
    if (len > POD_FILES_NAME_MAX)
        len = POD_FILES_NAME_MAX;
    while (len > 0 && (name[len - 1] == '-' || name[len - 1] == '.'))
        len--;
    return arena_strndup(a, name, len);
}

static const char *domain_name(struct arena *a, const struct node_conf *conf,
                               const struct pod_view *pod)
{
    if (str_empty(pod->spec.subdomain) || !str_empty(pod->spec.hostname_override))
        return "";
    return arena_printf(a, "%s.%s.svc.%s", pod->spec.subdomain, pod->metadata.namespace,
                        conf->cluster_domain);
}

const char *pod_files_hostname(struct arena *a, const struct node_conf *conf,
                               const struct pod_view *pod)
{
    const char *domain = domain_name(a, conf, pod), *name = short_name(a, pod);
    char host[256] = "";

    if (pod->spec.host_network && str_empty(pod->spec.hostname_override)) {
        gethostname(host, sizeof(host) - 1);
        return arena_strdup(a, host);
    }
    if (pod->spec.set_hostname_as_fqdn && *domain)
        return arena_printf(a, "%s.%s", name, domain);
    return name;
}

static void add_aliases(struct buf *out, const struct pod_spec_view *s)
{
    if (s->n_host_aliases == 0)
        return;
    buf_str(out, "\n# Entries added by HostAliases.\n");
    for (unsigned i = 0; i < s->n_host_aliases; i++) {
        buf_str(out, s->host_aliases[i].ip);
        for (unsigned n = 0; n < s->host_aliases[i].n_hostnames; n++)
            buf_fmt(out, "\t%s", s->host_aliases[i].hostnames[n]);
        buf_chr(out, '\n');
    }
}

void pod_files_hosts(struct buf *out, const struct node_conf *conf, const struct pod_view *pod,
                     const char *ip, const char *host_text)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(64u << 10);
    const char *name = short_name(a, pod), *domain = domain_name(a, conf, pod);

    if (pod->spec.host_network) {
        buf_str(out, "# Kubernetes-managed hosts file (host network).\n");
        buf_str(out, host_text ? host_text : "127.0.0.1\tlocalhost\n");
        add_aliases(out, &pod->spec);
        return;
    }
    buf_str(out, "# Kubernetes-managed hosts file.\n"
                 "127.0.0.1\tlocalhost\n"
                 "::1\tlocalhost ip6-localhost ip6-loopback\n"
                 "fe00::\tip6-localnet\n"
                 "fe00::\tip6-mcastprefix\n"
                 "fe00::1\tip6-allnodes\n"
                 "fe00::2\tip6-allrouters\n");
    if (*domain)
        buf_fmt(out, "%s\t%s.%s\t%s\n", ip, name, domain, name);
    else
        buf_fmt(out, "%s\t%s\n", ip, name);
    add_aliases(out, &pod->spec);
}

/* --- resolv.conf */

struct resolv {
    struct arena *a;
    const char *servers[POD_FILES_SERVERS_MAX], *search[POD_FILES_SEARCH_MAX];
    const char *options[POD_FILES_SEARCH_MAX];
    size_t n_servers, n_search, n_options, search_bytes;
};

static bool has(const char *const *list, size_t n, const char *text)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(list[i], text))
            return true;
    return false;
}

static void add_server(struct resolv *r, const char *ip)
{
    if (!str_empty(ip) && r->n_servers < POD_FILES_SERVERS_MAX &&
        !has(r->servers, r->n_servers, ip))
        r->servers[r->n_servers++] = ip;
}

static void add_search(struct resolv *r, const char *domain)
{
    size_t len = strlen(domain) + 1;

    if (r->n_search >= POD_FILES_SEARCH_MAX || has(r->search, r->n_search, domain) ||
        r->search_bytes + len > POD_FILES_SEARCH_BYTES_MAX)
        return;
    r->search[r->n_search++] = domain;
    r->search_bytes += len;
}

/* "ndots:5" replaces an earlier "ndots:...". */
static void add_option(struct resolv *r, const char *text)
{
    size_t name = strcspn(text, ":");

    for (size_t i = 0; i < r->n_options; i++)
        if (strcspn(r->options[i], ":") == name && strncmp(r->options[i], text, name) == 0) {
            r->options[i] = text;
            return;
        }
    if (r->n_options < POD_FILES_SEARCH_MAX)
        r->options[r->n_options++] = text;
}

static void read_host(struct resolv *r, const char *text)
{
    struct slice rest = slice_of(text ? text : ""), line, word;

    while (slice_split(&rest, '\n', &line)) {
        void (*add)(struct resolv *, const char *) = NULL;

        line = (struct slice){ line.p, line.len };
        for (char *c = arena_strndup(r->a, line.p, line.len); c; c = NULL) {
            c[strcspn(c, "#;")] = 0;
            for (char *t = c; *t; t++)
                *t = *t == '\t' ? ' ' : *t;
            line = slice_of(c);
        }
        line = slice_trim(line);
        if (!slice_split(&line, ' ', &word))
            continue;
        if (slice_is(word, "nameserver"))
            add = add_server;
        else if (slice_is(word, "search") || slice_is(word, "domain"))
            add = add_search;
        else if (slice_is(word, "options"))
            add = add_option;
        while (add && slice_split(&line, ' ', &word))
            if (word.len > 0)
                add(r, arena_strndup(r->a, word.p, word.len));
    }
}

static void by_cluster(struct resolv *r, const struct node_conf *conf, const struct pod_view *pod,
                       const char *host_text)
{
    struct resolv host = { .a = r->a };

    read_host(&host, host_text);
    add_server(r, conf->cluster_dns);
    add_search(r, arena_printf(r->a, "%s.svc.%s", pod->metadata.namespace, conf->cluster_domain));
    add_search(r, arena_printf(r->a, "svc.%s", conf->cluster_domain));
    add_search(r, conf->cluster_domain);
    for (size_t i = 0; i < host.n_search; i++)
        if (!str_eq(host.search[i], "."))
            add_search(r, host.search[i]);
    add_option(r, "ndots:5");
}

static void by_config(struct resolv *r, const struct pod_dns_config_view *c)
{
    for (unsigned i = 0; c && i < c->n_nameservers; i++)
        add_server(r, c->nameservers[i]);
    for (unsigned i = 0; c && i < c->n_searches; i++)
        add_search(r, c->searches[i]);
    for (unsigned i = 0; c && i < c->n_options; i++) {
        const struct pod_dns_config_option_view *o = &c->options[i];

        add_option(r, o->value ? arena_printf(r->a, "%s:%s", o->name, o->value) : o->name);
    }
}

static void add_line(struct buf *out, const char *word, const char *const *texts, size_t n)
{
    if (n == 0)
        return;
    buf_str(out, word);
    for (size_t i = 0; i < n; i++)
        buf_fmt(out, " %s", texts[i]);
    buf_chr(out, '\n');
}

void pod_files_resolv(struct buf *out, const struct node_conf *conf, const struct pod_view *pod,
                      const char *host_text)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(1u << 20);
    const char *policy = pod->spec.dns_policy;
    struct resolv r = { .a = a };
    bool cluster = str_eq(policy, "ClusterFirstWithHostNet") ||
                   (!str_eq(policy, "Default") && !str_eq(policy, "None") &&
                    !pod->spec.host_network);

    if (cluster && *conf->cluster_dns)
        by_cluster(&r, conf, pod, host_text);
    else if (!str_eq(policy, "None"))
        read_host(&r, host_text);
    by_config(&r, pod->spec.dns_config);
    add_line(out, "search", r.search, r.n_search);
    for (size_t i = 0; i < r.n_servers; i++)
        buf_fmt(out, "nameserver %s\n", r.servers[i]);
    add_line(out, "options", r.options, r.n_options);
}
