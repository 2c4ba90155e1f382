#include "cmd/agent_store.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/fd.h"
#include "core/crypto/crypto.h"

#define PASSWORD_BYTES 16
#define FILE_MAX (256u << 10)

/* One file each; `more` follows in the same one. */
static const struct { enum role_pem id, more; const char *file; } files[] = {
    { ROLE_SERVER_CA, ROLE_PEM_MAX, "server-ca.crt" },
    { ROLE_CLUSTER, ROLE_PEM_MAX, "cluster.json" },
    { ROLE_NODE_PASSWORD, ROLE_PEM_MAX, "node-password" },
    { ROLE_CLIENT_CERT, ROLE_CLIENT_KEY, "client-kubelet.pem" },
    { ROLE_CERT, ROLE_KEY, "serving-kubelet.pem" },
    { ROLE_DNS_CERT, ROLE_DNS_KEY, "client-dns.pem" },
};

struct pair { char letter; enum role_pem cert, key; };

static const struct pair pairs[] = {
    { ROLE_WANT_CLIENT, ROLE_CLIENT_CERT, ROLE_CLIENT_KEY },
    { ROLE_WANT_SERVING, ROLE_CERT, ROLE_KEY },
    { ROLE_WANT_DNS, ROLE_DNS_CERT, ROLE_DNS_KEY },
};

static void set(struct agent_store *s, enum role_pem id, char *text)
{
    if (s->text[id])
        explicit_bzero(s->text[id], strlen(s->text[id]));
    mem_free(s->text[id]);
    s->text[id] = text;
}

/* --- files */

static void load(struct agent_store *s, size_t row)
{
    _cleanup_buf_ struct buf b = BUF_INIT;
    const char *second;

    if (fd_read_file(&b, s->dir, files[row].file, FILE_MAX, NULL) < 0 || !b.len)
        return;
    if (files[row].more == ROLE_PEM_MAX) {
        set(s, files[row].id, mem_strndup(b.p, b.len));
        return;
    }
    second = strstr(b.p + 1, "-----BEGIN");
    if (!second)
        return;
    set(s, files[row].id, mem_strndup(b.p, (size_t)(second - b.p)));
    set(s, files[row].more, mem_strdup(second));
    explicit_bzero(b.p, b.len);
}

static int save(struct agent_store *s, size_t row, struct err *err)
{
    _cleanup_buf_ struct buf b = BUF_INIT;
    int result;

    buf_str(&b, s->text[files[row].id]);
    if (files[row].more != ROLE_PEM_MAX)
        buf_str(&b, s->text[files[row].more]);
    result = fd_write_file(s->dir, files[row].file, b.p, b.len, 0600, err);
    explicit_bzero(b.p, b.len);
    return result;
}

static int make_password(struct agent_store *s, struct err *err)
{
    unsigned char bytes[PASSWORD_BYTES];
    char hex[2 * PASSWORD_BYTES + 1];

    if (s->text[ROLE_NODE_PASSWORD])
        return 0;
    crypto_random(bytes, sizeof(bytes));
    crypto_hex(hex, bytes, sizeof(bytes));
    set(s, ROLE_NODE_PASSWORD, mem_strdup(hex));
    for (size_t i = 0; i < ARRAY_LEN(files); i++)
        if (files[i].id == ROLE_NODE_PASSWORD)
            return save(s, i, err);
    return 0;
}

int agent_store_open(struct agent_store *s, const struct config *c, struct err *err)
{
    const char *path = arena_printf(c->a, "%s/agent", c->data_dir);

    *s = (struct agent_store){ .dir = -1 };
    if (fd_mkdirs(path, 0700, err) < 0)
        return -1;
    s->dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (s->dir < 0 || fchmod(s->dir, 0700) < 0)
        return err_sys(err, "%s", path);
    for (size_t i = 0; i < ARRAY_LEN(files); i++)
        load(s, i);
    if (make_password(s, err) < 0)
        return err_wrap(err, "%s", path);
    return 0;
}

void agent_store_close(struct agent_store *s)
{
    for (int i = 0; i < ROLE_PEM_MAX; i++)
        set(s, (enum role_pem)i, NULL);
    s->dir = fd_close(s->dir);
}

int agent_store_put(struct agent_store *s, char *const got[ROLE_PEM_MAX], struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        enum role_pem id = files[i].id, more = files[i].more;

        if (!got[id] || (more != ROLE_PEM_MAX && !got[more]))
            continue;
        if (s->text[id] && str_eq(s->text[id], got[id]))
            continue;
        set(s, id, mem_strdup(got[id]));
        if (more != ROLE_PEM_MAX)
            set(s, more, mem_strdup(got[more]));
        if (save(s, i, err) < 0)
            return err_wrap(err, "keep %s", files[i].file);
    }
    return 0;
}

/* --- certificates */

const char *agent_store_address(const struct agent_store *s, const struct config *c)
{
    _cleanup_(crypto_cert_unrefp) struct crypto_cert *cert = NULL;
    const char *pem = s->text[ROLE_CERT];

    if (!pem || crypto_cert_parse(&cert, pem, strlen(pem), NULL) < 0 ||
        crypto_cert_names(cert)->n_ips == 0)
        return NULL;
    return arena_strdup(c->a, crypto_cert_names(cert)->ips[0]);
}

static bool has_text(const char *const *v, unsigned n, const char *text)
{
    for (unsigned i = 0; i < n; i++)
        if (str_eq(v[i], text))
            return true;
    return false;
}

static bool is_ours(const struct pair *p, const struct config *c, const struct crypto_cert *cert)
{
    const struct crypto_names *n = crypto_cert_names(cert);

    if (p->letter == ROLE_WANT_DNS)
        return true;
    if (!str_starts(n->cn, "system:node:") ||
        !str_eq(n->cn + strlen("system:node:"), c->node_name))
        return false;
    return p->letter == ROLE_WANT_CLIENT ||
           (has_text(n->dns, n->n_dns, c->node_name) && has_text(n->ips, n->n_ips, c->node_ip));
}

struct life { int64_t begin_s, end_s; };

/* False: it is missing, or not for us. */
static bool life_of(const struct agent_store *s, const struct pair *p, const struct config *c,
                    struct life *out)
{
    _cleanup_(crypto_cert_unrefp) struct crypto_cert *cert = NULL;
    _cleanup_(crypto_key_unrefp) struct crypto_key *key = NULL;
    const char *cert_pem = s->text[p->cert], *key_pem = s->text[p->key];

    if (!cert_pem || !key_pem || crypto_cert_parse(&cert, cert_pem, strlen(cert_pem), NULL) < 0 ||
        crypto_key_parse(&key, key_pem, strlen(key_pem), NULL) < 0 ||
        !crypto_cert_has_key(cert, key) || !is_ours(p, c, cert))
        return false;
    *out = (struct life){ crypto_cert_not_before_s(cert), crypto_cert_not_after_s(cert) };
    return out->end_s > out->begin_s;
}

/* Has it not ended yet? */
static bool is_alive(const struct agent_store *s, const struct pair *p, const struct config *c,
                     int64_t now_s)
{
    struct life l;

    return life_of(s, p, c, &l) && now_s < l.end_s;
}

static int64_t due_s(const struct agent_store *s, const struct pair *p, const struct config *c,
                     int64_t now_s)
{
    struct life l;
    int64_t at;

    if (!life_of(s, p, c, &l))
        return 0;
    at = l.end_s - (l.end_s - l.begin_s) * AGENT_STORE_RENEW_PERCENT / 100;
    return at > now_s ? at - now_s : 0;
}

int64_t agent_store_due_s(const struct agent_store *s, const struct config *c, int64_t now_s)
{
    int64_t first = INT64_MAX / 10000;

    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        int64_t due = due_s(s, &pairs[i], c, now_s);

        first = due < first ? due : first;
    }
    return first;
}

void agent_store_wants(const struct agent_store *s, const struct config *c, int64_t now_s,
                       char out[8])
{
    size_t n = 0;

    for (size_t i = 0; i < ARRAY_LEN(pairs); i++)
        if (due_s(s, &pairs[i], c, now_s) == 0)
            out[n++] = pairs[i].letter;
    out[n] = '\0';
}

bool agent_store_has_client(const struct agent_store *s, const struct config *c, int64_t now_s)
{
    return s->text[ROLE_SERVER_CA] && is_alive(s, &pairs[0], c, now_s);
}

bool agent_store_is_complete(const struct agent_store *s, const struct config *c, int64_t now_s)
{
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++)
        if (!is_alive(s, &pairs[i], c, now_s))
            return false;
    return s->text[ROLE_SERVER_CA] && s->text[ROLE_CLUSTER];
}
