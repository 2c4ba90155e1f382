#include "tests/fake/api_box.h"

#include "core/base/check.h"

static void on_load(void *ctx, const struct kv_change *pair)
{
    struct api_box *b = ctx;
    struct err err = ERR_INIT;

    check(watch_cache_load(b->cache, pair, &err) == 0);
}

static void on_change(void *ctx, const struct kv_change *change)
{
    struct api_box *b = ctx;

    watch_cache_apply(b->cache, change);
}

static void on_fatal(void *ctx, const struct err *err)
{
    (void)ctx;
    (void)err;
    check(!"the store failed");
}

static int open_store(struct api_box *b, const char *dir, struct err *err)
{
    _cleanup_(mem_freep) char *path = mem_printf("%s/state.db", dir);
    struct kv_opts o = { .path = path, .env = env_real(), .on_change = on_change,
                         .on_fatal = on_fatal,
                         .ctx = b };

    b->cache = watch_cache_new(env_real());
    if (kv_open(&b->kv, &o, on_load, err) < 0)
        return -1;
    watch_cache_ready(b->cache, kv_revision(b->kv));
    return 0;
}

static int dial(void *ctx, const char *node, const char *host, uint16_t port, struct err *err)
{
    const struct api_dial *d = &((struct api_box *)ctx)->dial;

    return d->dial ? d->dial(d->ctx, node, host, port, err) : HTTP_DIAL_DIRECT;
}

static int open_api(struct api_box *b, struct err *err)
{
    char hash[CRYPTO_SHA256_HEX_BYTES];
    struct api_join join = { .ca_pem = "CA\n", .config = "{\"a\":\"b\"}", .token_hash = hash,
                             .node_name = API_BOX_NODE };
    struct api_opts o = { .dial = { dial, b },
                          .loop = b->loop, .jobs = b->jobs, .cache = b->cache, .kv = b->kv,
                          .env = env_real(), .sa_key = b->sa_key, .advertise = "10.1.2.3:6443",
                          .cluster_dns = "10.43.0.10", .join = &join };

    crypto_sha256_hex(hash, API_BOX_TOKEN, strlen(API_BOX_TOKEN));

    if (api_new(&b->api, &o, err) < 0 || api_bootstrap(b->api, err) < 0)
        return -1;
    api_ready(b->api);
    return 0;
}

int api_box_new(struct api_box **out, const char *dir, unsigned threads, struct err *err)
{
    static const unsigned no_limits[JOB_CLASS_MAX];
    struct api_box *b = NEW(struct api_box);

    if (loop_new(&b->loop, env_real(), err) < 0 ||
        job_pool_new(&b->jobs, threads, no_limits, err) < 0 || open_store(b, dir, err) < 0 ||
        crypto_key_new(&b->sa_key, err) < 0 || open_api(b, err) < 0) {
        api_box_free(b);
        return -1;
    }
    *out = b;
    return 0;
}

struct api_box *api_box_free(struct api_box *b)
{
    if (!b)
        return NULL;
    b->jobs = job_pool_free(b->jobs);
    b->api = api_free(b->api);
    b->kv = kv_close(b->kv);
    b->cache = watch_cache_free(b->cache);
    b->loop = loop_free(b->loop);
    b->sa_key = crypto_key_unref(b->sa_key);
    return mem_free(b);
}
