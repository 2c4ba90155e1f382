#include "cmd/join_config.h"

#include "core/base/json.h"
#include "core/crypto/crypto.h"

static const struct { const char *key; size_t at; int (*accept)(const char *, struct err *); }
    rows[] = {
    { "clusterCIDR", offsetof(struct config, cluster_cidr), config_check_net },
    { "serviceCIDR", offsetof(struct config, service_cidr), config_check_net },
    { "clusterDNS", offsetof(struct config, cluster_dns), config_check_ip },
    { "clusterDomain", offsetof(struct config, cluster_domain), config_check_domain },
    { "flannelBackend", offsetof(struct config, flannel_backend), config_check_backend },
};

void join_config_write(struct buf *out, const struct config *c, const char *client_ca_pem)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    struct json *o = json_object(a), *list = json_array(a);

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        json_set_str(a, o, rows[i].key, *(const char *const *)((const char *)c + rows[i].at));
    for (unsigned i = 0; i < c->disable.n; i++)
        json_append(a, list, json_str(a, c->disable.v[i]));
    json_set(a, o, "disable", list);
    json_set_str(a, o, "clientCA", client_ca_pem);
    json_write(out, o);
}

static int check(const struct json *o, struct err *err)
{
    _cleanup_(crypto_cert_unrefp) struct crypto_cert *ca = NULL;
    const char *pem = json_get_str(o, "clientCA");
    struct json *it;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const char *text = json_get_str(o, rows[i].key);

        if (str_empty(text))
            return err_set(err, ERR_CORRUPT, "%s is missing", rows[i].key);
        if (rows[i].accept(text, err) < 0)
            return err_wrap(err, "%s", rows[i].key);
    }
    json_each(it, json_get(o, "disable"))
        if (config_check_disable(json_text(it) ? json_text(it) : "", err) < 0)
            return err_wrap(err, "disable");
    if (!pem || crypto_cert_parse(&ca, pem, strlen(pem), err) < 0)
        return err_wrap(err, "clientCA");
    return 0;
}

int join_config_apply(struct config *c, struct slice text, const char **client_ca,
                      struct err *err)
{
    struct json *o, *it, *disable;
    const char **v;

    if (json_parse(&o, c->a, text.p, text.len, NULL, err) < 0 || check(o, err) < 0)
        return err_wrap(err, "settings of the cluster");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        *(const char **)((char *)c + rows[i].at) = json_get_str(o, rows[i].key);
    disable = json_get(o, "disable");
    v = arena_alloc(c->a, (json_len(disable) + 1) * sizeof(*v));
    json_each(it, disable)
        v[it_i] = json_text(it);
    c->disable = (struct config_list){ v, (unsigned)json_len(disable) };
    *client_ca = json_get_str(o, "clientCA");
    return 0;
}
