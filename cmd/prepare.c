#include "cmd/prepare.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/cmd_lock.h"
#include "cmd/data_dir.h"
#include "cmd/join_token.h"
#include "cmd/keep.h"
#include "cmd/kubeconfig.h"
#include "cmd/listen.h"
#include "cmd/role.h"
#include "core/base/env.h"
#include "core/base/fd.h"
#include "net/dns/dns.h"
#include "runtime/confine/confine.h"

static int make_dir(const char *path, const char *flag, struct err *err)
{
    struct err why = ERR_INIT;

    if (fd_mkdirs(path, 0755, &why) == 0 && access(path, W_OK | X_OK) == 0)
        return 0;
    if (geteuid() != 0)
        return err_set(err, ERR_DENIED, "%s %s cannot be written by user %u: run as root, or name "
                       "another folder", flag, path, geteuid());
    if (why.code)
        return err_set(err, ERR_FAILED, "%s: %s", flag, why.msg);
    return err_sys(err, "%s %s", flag, path);
}

static int make_dirs(const struct config *c, struct err *err)
{
    if (make_dir(c->run_dir, "--run-dir", err) < 0 ||
        cmd_lock_take(c->run_dir, "--run-dir", err) < 0)
        return -1;
    if (make_dir(c->data_dir, "--data-dir", err) < 0)
        return -1;
    if (cmd_lock_take(c->data_dir, "--data-dir", err) < 0)
        return -1;
    return data_dir_open(c->data_dir, &data_dir_ours, err);
}

/* A user namespace may not know the user: the role stays who it is then (confine.c). */
static int give(int dir, const char *name, uid_t uid, struct err *err)
{
    if (fchownat(dir, name, uid, uid, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) == 0)
        return 0;
    if (errno == ENOENT || errno == EINVAL || errno == EPERM)
        return 0;
    return err_sys(err, "give the store to user %u", uid);
}

/* The store's folder belongs to the user of the control role, with what is in it. */
static int make_store(const struct config *c, struct err *err)
{
    static const char *const files[] = {
        "", "state.db", "state.db-wal", "state.db-shm", "state.db-journal",
    };
    const char *top = arena_printf(c->a, "%s/server", c->data_dir);
    const char *path = arena_printf(c->a, "%s/db", top);
    _cleanup_fd_ int dir = -1;

    if (fd_mkdirs(path, 0700, err) < 0)
        return -1;
    if (chmod(top, 0711) < 0)            /* the role's "/" */
        return err_sys(err, "%s", top);
    dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (dir < 0 || fchmod(dir, 0700) < 0)
        return err_sys(err, "%s", path);
    for (size_t i = 0; geteuid() == 0 && i < ARRAY_LEN(files); i++)
        if (give(dir, files[i], confine_uid(CONFINE_CONTROL), err) < 0)
            return -1;
    return 0;
}

/* Beside the one that users get: for "inro token" and the like. */
static int write_own_kubeconfig(const struct config *c, const struct kubeconfig *k,
                                struct err *err)
{
    const char *dir = arena_printf(c->a, "%s/server/cred", c->data_dir);

    if (fd_mkdirs(dir, 0700, err) < 0)
        return -1;
    return kubeconfig_write(k, arena_printf(c->a, "%s/admin.kubeconfig", dir), 0600, err);
}

static int make_token(struct prepared *p, const struct config *c, struct err *err)
{
    struct join_token t;

    if (join_token_of_server(&t, c, p->pki.server_ca, err) < 0)
        return -1;
    crypto_sha256_hex(p->token_hash, t.secret, strlen(t.secret));
    explicit_bzero(&t, sizeof(t));
    return 0;
}

static int write_kubeconfig(const struct config *c, const struct pki *pki, struct err *err)
{
    unsigned mode = (unsigned)strtoul(c->write_kubeconfig_mode, NULL, 8);
    struct kubeconfig k = {
        .server = arena_printf(c->a, "https://%s:%d", listen_local(c->bind_address),
                               (int)c->https_listen_port),
        .ca_pem = pki->server_ca, .cert_pem = pki->v[PKI_ADMIN].cert,
        .key_pem = pki->v[PKI_ADMIN].key,
    };

    if (write_own_kubeconfig(c, &k, err) < 0)
        return -1;
    if (str_empty(c->write_kubeconfig) || kubeconfig_write(&k, c->write_kubeconfig, mode, err) == 0)
        return 0;
    return err_wrap(err, "--write-kubeconfig %s", c->write_kubeconfig);
}

bool prepare_has_dns(const struct config *c)
{
    return !config_has(&c->disable, "dns") && !config_has(&c->disable, "coredns");
}

bool prepare_wants_dns(const struct config *c)
{
    return !c->disable_agent && prepare_has_dns(c);
}

static int make_sockets(struct prepared *p, const struct config *c, struct err *err)
{
    /* after a parent was killed its roles end, but not at once, and they hold the same sockets */
    if (role_wait_former(c, ROLE_CONTROL, err) < 0 || role_wait_former(c, ROLE_DNS, err) < 0)
        return -1;
    if (listen_tcp(&p->api, c->bind_address, (uint16_t)c->https_listen_port, err) < 0)
        return err_wrap(err, "--https-listen-port %d", (int)c->https_listen_port);
    return prepare_dns(c, &p->dns_udp, &p->dns_tcp, err);
}

int prepare_dns(const struct config *c, int *udp, int *tcp, struct err *err)
{
    if (!prepare_wants_dns(c) || keep_take(c->run_dir, c->cluster_dns, udp, tcp))
        return 0;
    if (dns_bind(c->cluster_dns, 0, udp, tcp, err) < 0)
        return err_wrap(err, "--cluster-dns %s", c->cluster_dns);
    return 0;
}

int prepare_agent(const struct config *c, struct err *err)
{
    if (geteuid() != 0)
        return err_set(err, ERR_DENIED, "a node needs root");
    return make_dirs(c, err);
}

int prepare_server(struct prepared *out, const struct config *c, struct err *err)
{
    struct prepared p = { .api = -1, .dns_udp = -1, .dns_tcp = -1 };

    if (!c->disable_agent && geteuid() != 0)
        return err_set(err, ERR_DENIED, "a node needs root: run as root, or use --disable-agent");
    if (make_dirs(c, err) < 0)
        return -1;
    if (make_sockets(&p, c, err) < 0 || pki_load(&p.pki, c, env_wall_s(env_real()), err) < 0 ||
        make_store(c, err) < 0 || make_token(&p, c, err) < 0 ||
        write_kubeconfig(c, &p.pki, err) < 0) {
        prepare_deinit(&p);
        return -1;
    }
    *out = p;
    return 0;
}

int prepare_again(struct prepared *p, const struct config *c, struct err *err)
{
    struct prepared now = { .api = -1, .dns_udp = -1, .dns_tcp = -1 };
    bool changed;

    if (pki_load(&now.pki, c, env_wall_s(env_real()), err) < 0)
        return -1;
    if (make_token(&now, c, err) < 0 || write_kubeconfig(c, &now.pki, err) < 0) {
        pki_deinit(&now.pki);
        return -1;
    }
    changed = now.pki.issued || !str_eq(now.token_hash, p->token_hash);
    pki_deinit(&p->pki);
    p->pki = now.pki;
    str_copy(p->token_hash, sizeof(p->token_hash), now.token_hash, NULL);
    return changed;
}

void prepare_deinit(struct prepared *p)
{
    pki_deinit(&p->pki);
    p->api = fd_close(p->api);
    p->dns_udp = fd_close(p->dns_udp);
    p->dns_tcp = fd_close(p->dns_tcp);
}
