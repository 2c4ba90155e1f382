/* api_hop.c -- clients to nodes and pods, by node and origin; the ones unused longest go first. */
#include "core/api/api_hop.h"

#include "core/base/map.h"

struct api_hops {
    struct loop *loop;
    struct api_dial dial;
    char *ca, *cert, *key;
    struct map *clients;                     /* key() -> struct api_hop */
    unsigned idle;
    uint64_t turn;
};

struct api_hop {
    struct api_hops *all;
    struct http_client *client;
    char *key, *node;
    bool kubelet;
    unsigned users;
    uint64_t used;                           /* turn of its last use */
};

int api_hops_new(struct api_hops **out, const struct api_opts *opts, struct err *err)
{
    struct api_hops *a = NEW(struct api_hops);

    (void)err;
    a->loop = opts->loop;
    a->dial = opts->dial;
    a->ca = mem_strdup(opts->node_ca_pem);
    a->cert = mem_strdup(opts->node_cert_pem);
    a->key = mem_strdup(opts->node_key_pem);
    a->clients = map_new();
    *out = a;
    return 0;
}

static void hop_free(void *p)
{
    struct api_hop *h = p;

    http_client_free(h->client);
    mem_free(h->key);
    mem_free(h->node);
    mem_free(h);
}

struct api_hops *api_hops_free(struct api_hops *a)
{
    if (!a)
        return NULL;
    map_free(a->clients, hop_free);
    mem_free(a->ca);
    mem_free(a->cert);
    mem_free(a->key);
    return mem_free(a);
}

static int on_dial(void *ctx, const char *host, uint16_t port, struct err *err)
{
    struct api_hop *h = ctx;
    const struct api_dial *d = &h->all->dial;

    return d->dial && *h->node ? d->dial(d->ctx, h->node, host, port, err) : HTTP_DIAL_DIRECT;
}

/* Not from inside a client's callbacks: requests come from the server's side of the loop. */
static void make_room(struct api_hops *a)
{
    while (a->idle >= API_HOPS_IDLE_MAX) {
        struct api_hop *oldest = NULL;
        const char *key;
        void *value;

        for (size_t at = 0; map_next(a->clients, &at, &key, &value);) {
            struct api_hop *h = value;

            if (!h->users && (!oldest || h->used < oldest->used))
                oldest = h;
        }
        check(oldest);
        map_del(a->clients, oldest->key);
        a->idle--;
        hop_free(oldest);
    }
}

static int hop_new(struct api_hop **out, struct api_hops *a, const struct api_target *t,
                   struct err *err)
{
    struct api_hop *h = NEW(struct api_hop);
    struct http_client_opts o = {
        .base_url = t->origin, .conns_max = API_HOP_CONNS_MAX, .user_agent = "inro-apiserver",
        .dial = on_dial, .dial_ctx = h, .insecure = !t->kubelet,
    };

    /* What a pod shows as certificate says nothing, and ours is none of its business. */
    if (t->kubelet) {
        o.ca_pem = slice_of(a->ca);
        o.cert_pem = slice_of(a->cert);
        o.key_pem = slice_of(a->key);
    }
    h->all = a;
    h->kubelet = t->kubelet;
    h->node = mem_strdup(t->node);
    if (http_client_new(&h->client, a->loop, &o, err) < 0) {
        hop_free(h);
        return -1;
    }
    *out = h;
    return 0;
}

int api_node_identity_set(struct api *api, const struct api_node_identity *id, struct err *err)
{
    struct http_client_opts o = { .ca_pem = slice_of(id->ca_pem),
                                  .cert_pem = slice_of(id->cert_pem),
                                  .key_pem = slice_of(id->key_pem) };
    struct api_hops *a = api->hops;
    const char *key;
    void *value;

    mem_free(a->ca);
    mem_free(a->cert);
    mem_free(a->key);
    a->ca = mem_strdup(id->ca_pem);
    a->cert = mem_strdup(id->cert_pem);
    a->key = mem_strdup(id->key_pem);
    for (size_t at = 0; map_next(a->clients, &at, &key, &value);) {
        const struct api_hop *h = value;

        if (h->kubelet && http_client_reload(h->client, &o, err) < 0)
            return err_wrap(err, "client of %s", key);
    }
    return 0;
}

int api_hop_take(struct api_hop **out, struct api_hops *a, const struct api_target *t,
                 struct err *err)
{
    _cleanup_(mem_freep) char *key = mem_printf("%d %s %s", t->kubelet, t->node, t->origin);
    struct api_hop *h = map_get(a->clients, key);

    if (!h) {
        make_room(a);
        if (hop_new(&h, a, t, err) < 0)
            return -1;
        h->key = TAKE(key);
        map_put(a->clients, h->key, h);
    } else if (!h->users) {
        a->idle--;
    }
    h->users++;
    h->used = ++a->turn;
    *out = h;
    return 0;
}

struct http_client *api_hop_client(const struct api_hop *h)
{
    return h->client;
}

void api_hop_drop(struct api_hop *h)
{
    if (h && --h->users == 0)
        h->all->idle++;
}
