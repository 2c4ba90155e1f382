/* pki.c -- load what is there, make what is missing. */
#include "cmd/pki.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <stdio.h>
#include <unistd.h>

#include "core/base/fd.h"
#include "core/crypto/crypto.h"
#include "net/netlink/netlink.h"

#define SANS_MAX CRYPTO_SANS_MAX

enum pki_ca { CA_SERVER, CA_CLIENT, CA_MAX };

static const struct { const char *file, *cn; } authorities[CA_MAX] = {
    [CA_SERVER] = { "server-ca", "inro-server-ca" },
    [CA_CLIENT] = { "client-ca", "inro-client-ca" },
};

enum pki_sans { SANS_NONE, SANS_API, SANS_NODE };

static const struct pki_row {
    const char *file, *cn, *org;         /* cn ending with ':' is followed by the node's name */
    enum pki_ca ca;
    enum pki_sans sans;
} rows[PKI_MAX] = {
    [PKI_API] = { "serving-api", "kube-apiserver", NULL, CA_SERVER, SANS_API },
    [PKI_API_CLIENT] = { "client-api", "system:apiserver", "system:masters", CA_CLIENT, SANS_NONE },
    [PKI_ADMIN] = { "client-admin", "admin", "system:masters", CA_CLIENT, SANS_NONE },
    [PKI_NODE] = { "client-node", "system:node:", "system:nodes", CA_CLIENT, SANS_NONE },
    [PKI_NODE_SERVER] = { "serving-node", "system:node:", "system:nodes", CA_SERVER, SANS_NODE },
    [PKI_DNS] = { "client-dns", "system:inro-dns", "inro:dns", CA_CLIENT, SANS_NONE },
};

struct pki_authority { struct crypto_cert *cert; struct crypto_key *key; struct buf pem; };

struct pki_work {
    const struct config *config;
    struct pki *out;
    int dir;
    int64_t now_s;
    struct arena *a;
    struct pki_authority ca[CA_MAX];
};

/* --- files */

static const char *file_name(struct pki_work *w, const char *file, const char *kind)
{
    return arena_printf(w->a, "%s.%s", file, kind);
}

/* Not made durable: what is lost is made anew. */
static int write_quick(struct pki_work *w, const char *name, const struct buf *text,
                       struct err *err)
{
    _cleanup_fd_ int fd = openat(w->dir, name,
                                 O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0 || fchmod(fd, 0600) < 0)
        return err_sys(err, "write %s", name);
    return fd_write_all(fd, text->p, text->len, err);
}

/* --- authorities and the service accounts' key */

/* 0: loaded or made; the key's PEM goes to out when that is not NULL. */
static int key_load(struct pki_work *w, const char *name, struct crypto_key **out, bool *made,
                    struct err *err)
{
    _cleanup_(crypto_key_unrefp) struct crypto_key *key = NULL;
    _cleanup_buf_ struct buf pem = BUF_INIT;
    struct err why = ERR_INIT;

    *made = false;
    if (fd_read_file(&pem, w->dir, name, CRYPTO_PEM_MAX, &why) == 0) {
        if (crypto_key_parse(out, pem.p, pem.len, err) < 0)
            return err_wrap(err, "%s", name);
        return 0;
    }
    if (why.code != ERR_NOT_FOUND) {
        if (err)
            *err = why;
        return err_wrap(err, "%s", name);
    }
    if (crypto_key_new(&key, err) < 0 || crypto_key_write(&pem, key, err) < 0 ||
        fd_write_file(w->dir, name, pem.p, pem.len, 0600, err) < 0)
        return err_wrap(err, "make %s", name);
    *made = true;
    *out = TAKE(key);
    return 0;
}

static int authority_make(struct pki_work *w, enum pki_ca id, struct err *err)
{
    struct pki_authority *ca = &w->ca[id];
    struct crypto_issue what = {
        .cn = authorities[id].cn, .uses = CRYPTO_USE_CA,
        .not_before_s = w->now_s - PKI_EARLY_S, .not_after_s = w->now_s + PKI_CA_S,
    };

    buf_clear(&ca->pem);
    ca->cert = crypto_cert_unref(ca->cert);
    if (crypto_ca_new(&ca->pem, ca->key, &what, err) < 0 ||
        fd_write_file(w->dir, file_name(w, authorities[id].file, "crt"), ca->pem.p, ca->pem.len,
                      0644,
                      err) < 0 ||
        crypto_cert_parse(&ca->cert, ca->pem.p, ca->pem.len, err) < 0)
        return err_wrap(err, "make %s", authorities[id].file);
    w->out->issued++;
    return 0;
}

static int authority_load(struct pki_work *w, enum pki_ca id, struct err *err)
{
    const char *name = file_name(w, authorities[id].file, "crt");
    struct pki_authority *ca = &w->ca[id];
    struct err why = ERR_INIT;
    bool made;

    if (key_load(w, file_name(w, authorities[id].file, "key"), &ca->key, &made, err) < 0)
        return -1;
    if (fd_read_file(&ca->pem, w->dir, name, CRYPTO_PEM_MAX, &why) < 0) {
        if (why.code == ERR_NOT_FOUND)
            return authority_make(w, id, err);
        if (err)
            *err = why;
        return -1;
    }
    if (crypto_cert_parse(&ca->cert, ca->pem.p, ca->pem.len, err) < 0)
        return err_wrap(err, "%s", name);
    if (made || !crypto_cert_has_key(ca->cert, ca->key))
        return err_set(err, ERR_CORRUPT, "%s.key does not belong to %s", authorities[id].file,
                       name);
    /* The same key under a new certificate: what it has signed stays valid. */
    if (crypto_cert_not_after_s(ca->cert) - w->now_s < PKI_RENEW_S)
        return authority_make(w, id, err);
    return 0;
}

/* --- what a certificate should say */

struct pki_names { const char *cn; const char *orgs[2], *dns[SANS_MAX],
                   *ips[SANS_MAX]; unsigned n_dns, n_ips; };

static void add_san(struct pki_names *n, const char *san)
{
    bool ip = config_check_ip(san, NULL) == 0;
    const char **v = ip ? n->ips : n->dns;
    unsigned *len = ip ? &n->n_ips : &n->n_dns;

    if (str_empty(san))
        return;
    for (unsigned i = 0; i < *len; i++)
        if (str_eq(v[i], san))
            return;
    if (*len + 1 < SANS_MAX)
        v[(*len)++] = san;
}

static int sans_of_api(struct pki_work *w, struct pki_names *n, struct err *err)
{
    const struct config *c = w->config;
    char text[IP4_TEXT_BYTES];
    struct ip4 net;

    if (ip4_parse_net(&net, c->service_cidr, err) < 0)
        return -1;
    add_san(n, "kubernetes");
    add_san(n, "kubernetes.default");
    add_san(n, "kubernetes.default.svc");
    add_san(n, arena_printf(w->a, "kubernetes.default.svc.%s", c->cluster_domain));
    add_san(n, "localhost");
    add_san(n, "127.0.0.1");
    add_san(n, c->node_name);
    add_san(n, c->node_ip);
    add_san(n, c->advertise_address);
    if (!str_eq(c->bind_address, "0.0.0.0"))
        add_san(n, c->bind_address);
    add_san(n, arena_strdup(w->a, ip4_addr_text(text, net.addr + 1)));
    for (unsigned i = 0; i < c->tls_san.n; i++)
        add_san(n, c->tls_san.v[i]);
    return 0;
}

static int names_of(struct pki_work *w, const struct pki_row *row, struct pki_names *n,
                    struct err *err)
{
    *n = (struct pki_names){ .cn = row->cn, .orgs = { row->org } };
    if (str_ends(row->cn, ":"))
        n->cn = arena_printf(w->a, "%s%s", row->cn, w->config->node_name);
    if (row->sans == SANS_API)
        return sans_of_api(w, n, err);
    if (row->sans == SANS_NODE) {
        add_san(n, w->config->node_name);
        add_san(n, w->config->node_ip);
        add_san(n, "127.0.0.1");
    }
    return 0;
}

/* The same texts, whatever the order of addresses in the certificate. */
static bool same(const char *const *have, unsigned n_have, const char *const *want, unsigned n_want)
{
    unsigned found = 0;

    for (unsigned i = 0; i < n_want; i++)
        for (unsigned j = 0; j < n_have; j++)
            if (str_eq(want[i], have[j])) {
                found++;
                break;
            }
    return found == n_want && n_have == n_want;
}

static bool is_as_wanted(const struct pki_work *w, const struct pki_row *row,
                         const struct pki_names *n,
                         const struct crypto_cert *cert)
{
    const struct crypto_names *have = crypto_cert_names(cert);
    const struct pki_authority *ca = &w->ca[row->ca];
    struct slice root = { ca->pem.p, ca->pem.len };

    return str_eq(have->cn, n->cn) && same(have->orgs, have->n_orgs, n->orgs, n->orgs[0] ? 1 : 0) &&
           same(have->dns, have->n_dns, n->dns, n->n_dns) && same(have->ips, have->n_ips, n->ips,
                                                                  n->n_ips) &&
           crypto_cert_not_after_s(cert) - w->now_s >= PKI_RENEW_S &&
           crypto_cert_verify(cert, root,
                              row->ca == CA_SERVER ? CRYPTO_USE_SERVER : CRYPTO_USE_CLIENT, 0,
                              NULL) == 0;
}

/* --- certificates */

/* False: it is not there, damaged, or not what it should be any more. */
static bool pair_load(struct pki_work *w, const struct pki_row *row, const struct pki_names *n,
                      struct pki_pair *out)
{
    _cleanup_(crypto_cert_unrefp) struct crypto_cert *cert = NULL;
    _cleanup_(crypto_key_unrefp) struct crypto_key *key = NULL;
    _cleanup_buf_ struct buf cert_pem = BUF_INIT;
    _cleanup_buf_ struct buf key_pem = BUF_INIT;

    if (fd_read_file(&cert_pem, w->dir, file_name(w, row->file, "crt"), CRYPTO_PEM_MAX, NULL) < 0 ||
        fd_read_file(&key_pem, w->dir, file_name(w, row->file, "key"), CRYPTO_PEM_MAX, NULL) < 0 ||
        crypto_cert_parse(&cert, cert_pem.p, cert_pem.len, NULL) < 0 ||
        crypto_key_parse(&key, key_pem.p, key_pem.len, NULL) < 0 || !crypto_cert_has_key(cert,
                                                                                         key) ||
        !is_as_wanted(w, row, n, cert))
        return false;
    *out = (struct pki_pair){ buf_take(&cert_pem, NULL), buf_take(&key_pem, NULL) };
    return true;
}

static int pair_make(struct pki_work *w, const struct pki_row *row, const struct pki_names *n,
                     struct pki_pair *out, struct err *err)
{
    _cleanup_(crypto_key_unrefp) struct crypto_key *key = NULL;
    _cleanup_buf_ struct buf cert_pem = BUF_INIT;
    _cleanup_buf_ struct buf key_pem = BUF_INIT;
    const struct pki_authority *ca = &w->ca[row->ca];
    struct crypto_issue what = {
        .cn = n->cn, .orgs = n->orgs, .dns = n->dns, .ips = n->ips,
        .uses = row->ca == CA_SERVER ? CRYPTO_USE_SERVER : CRYPTO_USE_CLIENT,
        .not_before_s = w->now_s - PKI_EARLY_S, .not_after_s = w->now_s + PKI_CERT_S,
    };

    if (crypto_key_new(&key, err) < 0 || crypto_key_write(&key_pem, key, err) < 0 ||
        crypto_cert_issue(&cert_pem, ca->cert, ca->key, key, &what, err) < 0 ||
        write_quick(w, file_name(w, row->file, "key"), &key_pem, err) < 0 ||
        write_quick(w, file_name(w, row->file, "crt"), &cert_pem, err) < 0)
        return err_wrap(err, "certificate %s", row->file);
    *out = (struct pki_pair){ buf_take(&cert_pem, NULL), buf_take(&key_pem, NULL) };
    w->out->issued++;
    return 0;
}

static int ca_key_text(struct pki_work *w, enum pki_ca id, char **out, struct err *err)
{
    _cleanup_buf_ struct buf pem = BUF_INIT;

    if (crypto_key_write(&pem, w->ca[id].key, err) < 0)
        return -1;
    *out = buf_take(&pem, NULL);
    return 0;
}

static int load_all(struct pki_work *w, struct err *err)
{
    _cleanup_(crypto_key_unrefp) struct crypto_key *sa = NULL;
    _cleanup_buf_ struct buf sa_pem = BUF_INIT;
    struct pki_names names;
    bool made;

    for (int i = 0; i < CA_MAX; i++)
        if (authority_load(w, (enum pki_ca)i, err) < 0)
            return -1;
    if (key_load(w, "service.key", &sa, &made, err) < 0 || crypto_key_write(&sa_pem, sa, err) < 0)
        return -1;
    for (int i = 0; i < PKI_MAX; i++)
        if (names_of(w, &rows[i], &names, err) < 0 ||
            (!pair_load(w, &rows[i], &names, &w->out->v[i]) &&
             pair_make(w, &rows[i], &names, &w->out->v[i], err) < 0))
            return -1;
    if (ca_key_text(w, CA_SERVER, &w->out->server_ca_key, err) < 0 ||
        ca_key_text(w, CA_CLIENT, &w->out->client_ca_key, err) < 0)
        return -1;
    w->out->server_ca = mem_strndup(w->ca[CA_SERVER].pem.p, w->ca[CA_SERVER].pem.len);
    w->out->client_ca = mem_strndup(w->ca[CA_CLIENT].pem.p, w->ca[CA_CLIENT].pem.len);
    w->out->sa_key = buf_take(&sa_pem, NULL);
    return 0;
}

int pki_load(struct pki *out, const struct config *c, int64_t now_s, struct err *err)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    char *path = arena_printf(a, "%s/server/tls", c->data_dir);
    struct pki_work w = { .config = c, .out = out, .now_s = now_s, .a = a };
    _cleanup_fd_ int dir = -1;
    int result = -1;

    *out = (struct pki){ 0 };
    if (fd_mkdirs(path, 0700, err) < 0)
        return -1;
    w.dir = dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0 || fchmod(dir, 0700) < 0)
        return err_sys(err, "%s", path);
    result = load_all(&w, err);
    for (int i = 0; i < CA_MAX; i++) {
        crypto_cert_unref(w.ca[i].cert);
        crypto_key_unref(w.ca[i].key);
        buf_deinit(&w.ca[i].pem);
    }
    if (result < 0) {
        pki_deinit(out);
        return err_wrap(err, "%s", path);
    }
    return 0;
}

static void wipe(char *secret)
{
    if (secret)
        explicit_bzero(secret, strlen(secret));
    mem_free(secret);
}

void pki_deinit(struct pki *p)
{
    mem_free(p->server_ca);
    mem_free(p->client_ca);
    wipe(p->server_ca_key);
    wipe(p->client_ca_key);
    wipe(p->sa_key);
    for (int i = 0; i < PKI_MAX; i++) {
        mem_free(p->v[i].cert);
        wipe(p->v[i].key);
    }
    *p = (struct pki){ 0 };
}
