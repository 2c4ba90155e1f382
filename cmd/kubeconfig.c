#include "cmd/kubeconfig.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "core/base/b64.h"
#include "core/base/fd.h"
#include "core/base/mem.h"

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
        fd_read_file(&old, AT_FDCWD, path, 1u << 20, NULL) == 0 &&
        slice_eq((struct slice){ old.p, old.len }, (struct slice){ text.p, text.len }))
        return 0;
    if (fd_write_file(AT_FDCWD, path, text.p, text.len, mode, err) < 0)
        return err_wrap(err, "write kubeconfig");
    return 0;
}
