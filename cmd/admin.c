/* admin.c -- certificate and key from the disk, requests over HTTPS. */
#include "cmd/admin.h"

#include <fcntl.h>

#include "core/base/fd.h"
#include "core/http/http.h"

#define PEM_BYTES_MAX (64u << 10)
#define BODY_BYTES_MAX (256u << 20)

struct admin {
    char *api;
    struct buf ca, cert, key;
    struct http_fetcher *fetcher;
};

static int read_pem(struct buf *out, const char *data_dir, const char *name, struct err *err)
{
    _cleanup_(mem_freep) char *path = mem_printf("%s/server/tls/%s", data_dir, name);

    return fd_read_file(out, AT_FDCWD, path, PEM_BYTES_MAX, err);
}

static struct slice all(const struct buf *b) { return (struct slice){ b->p, b->len }; }

int admin_new(struct admin **out, const char *data_dir, const char *api, struct err *err)
{
    _cleanup_(admin_freep) struct admin *a = NEW(struct admin);
    struct http_client_opts o = { .user_agent = "inro", .conns_max = 2, .connect_ms = ADMIN_MS };

    a->api = mem_strdup(api);
    if (read_pem(&a->ca, data_dir, "server-ca.crt", err) < 0 ||
        read_pem(&a->cert, data_dir, "client-admin.crt", err) < 0 ||
        read_pem(&a->key, data_dir, "client-admin.key", err) < 0)
        return -1;
    o.ca_pem = all(&a->ca);
    o.cert_pem = all(&a->cert);
    o.key_pem = all(&a->key);
    if (http_fetcher_new(&a->fetcher, &o, err) < 0)
        return -1;
    *out = TAKE(a);
    return 0;
}

struct admin *admin_free(struct admin *a)
{
    if (!a)
        return NULL;
    http_fetcher_free(a->fetcher);
    if (a->key.p)
        explicit_bzero(a->key.p, a->key.len);
    buf_deinit(&a->ca);
    buf_deinit(&a->cert);
    buf_deinit(&a->key);
    mem_free(a->api);
    return mem_free(a);
}

int admin_get(struct admin *admin, const char *path, struct buf *out, struct err *err)
{
    _cleanup_(mem_freep) char *url = mem_printf("%s%s", admin->api, path);
    struct http_fetched r = { 0 };
    int result = http_fetch(&r, admin->fetcher, &(struct http_fetch){
        .method = "GET", .url = url, .deadline_ms = ADMIN_MS, .silence_ms = ADMIN_MS,
        .body_max = BODY_BYTES_MAX }, err);

    if (result == 0) {
        result = r.status;
        buf_add(out, r.body.p ? r.body.p : "", r.body.len);
        buf_str(out, "");
    }
    http_fetched_deinit(&r);
    return result;
}

int admin_get_json(struct admin *admin, struct arena *a, const char *path, struct json **out,
                   struct err *err)
{
    _cleanup_buf_ struct buf text = BUF_INIT;
    int status = admin_get(admin, path, &text, err);

    if (status < 0)
        return -1;
    if (status != 200)
        return err_set(err, ERR_UNAVAILABLE, "%s: answered %d", path, status);
    return json_parse(out, a, text.p, text.len, NULL, err) < 0 ? err_wrap(err, "%s", path) : 0;
}
