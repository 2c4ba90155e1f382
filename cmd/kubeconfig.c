#include "cmd/kubeconfig.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "core/base/b64.h"
#include "core/base/fd.h"
#include "core/base/json.h"
#include "core/base/yaml.h"

static void data(struct buf *out, const char *key, const char *pem)
{
    buf_fmt(out, "    %s: ", key);
    b64_encode(out, B64_STD, pem, strlen(pem));
    buf_chr(out, '\n');
}

void kubeconfig_text(struct buf *out, const struct kubeconfig *k)
{
    buf_str(out, "apiVersion: v1\nclusters:\n- cluster:\n");
    data(out, "certificate-authority-data", k->ca_pem);
    buf_fmt(out, "    server: %s\n  name: default\n"
                 "contexts:\n- context:\n    cluster: default\n    user: default\n  name: default\n"
                 "current-context: default\nkind: Config\nusers:\n- name: default\n  user:\n",
                     k->server);
    data(out, "client-certificate-data", k->cert_pem);
    data(out, "client-key-data", k->key_pem);
}

int kubeconfig_write(const struct kubeconfig *k, const char *path, unsigned mode, struct err *err)
{
    _cleanup_buf_ struct buf text = BUF_INIT;
    _cleanup_buf_ struct buf old = BUF_INIT;
    const char *slash = strrchr(path, '/');
    struct stat st;

    if (slash && slash > path) {
        _cleanup_(mem_freep) char *dir = mem_strndup(path, (size_t)(slash - path));

        if (fd_mkdirs(dir, 0755, err) < 0)
            return err_wrap(err, "write kubeconfig");
    }
    kubeconfig_text(&text, k);
    if (stat(path, &st) == 0 && (st.st_mode & 07777) == mode &&
        fd_read_file(&old, AT_FDCWD, path, KUBECONFIG_FILE_MAX, NULL) == 0 &&
        slice_eq((struct slice){ old.p, old.len }, (struct slice){ text.p, text.len }))
        return 0;
    if (fd_write_file(AT_FDCWD, path, text.p, text.len, mode, err) < 0)
        return err_wrap(err, "write kubeconfig");
    return 0;
}

static const char *decoded(struct arena *a, const struct json *o, const char *key)
{
    const char *text = json_get_str(o, key);
    _cleanup_buf_ struct buf b = BUF_INIT;
    const char *out;

    if (!text || b64_decode(&b, B64_STD, text, strlen(text), NULL) < 0 || !b.len)
        return NULL;
    out = arena_strndup(a, b.p, b.len);
    explicit_bzero(b.p, b.len);
    return out;
}

int kubeconfig_read(struct kubeconfig *out, struct arena *a, const char *path, struct err *err)
{
    _cleanup_buf_ struct buf text = BUF_INIT;
    struct kubeconfig k;
    struct json *o, *cluster, *user;

    buf_str(&text, "");
    if (fd_read_file(&text, AT_FDCWD, path, KUBECONFIG_FILE_MAX, err) < 0 ||
        yaml_parse(&o, a, text.p, text.len, NULL, err) < 0)
        return -1;
    cluster = json_get(json_at(json_get(o, "clusters"), 0), "cluster");
    user = json_get(json_at(json_get(o, "users"), 0), "user");
    k = (struct kubeconfig){
        .server = json_get_str(cluster, "server"),
        .ca_pem = decoded(a, cluster, "certificate-authority-data"),
        .cert_pem = decoded(a, user, "client-certificate-data"),
        .key_pem = decoded(a, user, "client-key-data"),
    };
    if (!k.server || !k.ca_pem || !k.cert_pem || !k.key_pem)
        return err_set(err, ERR_INVALID, "not a kubeconfig with embedded certificates");
    *out = k;
    return 0;
}
