/* role_dns.c -- the cluster's name server, on sockets that the parent bound. */
#include "cmd/role.h"

#include "cmd/role_slice.h"
#include "core/base/fd.h"
#include "core/client/client_http.h"
#include "net/dns/dns.h"

#define DNS_POLL_MS 5                    /* until the zone is there */
#define DNS_POLL_LATE_MS 500
#define DNS_POLLS 200                    /* before it is late */

struct dns_role {
    struct role *role;
    struct client *client;               /* over HTTP */
    struct client *slice;                /* of an agent: over client, which it owns */
    struct dns_server *server;
    struct loop_timer poll;
    unsigned polls;
    int lists[ROLE_SLICE_LISTS];         /* of an agent, until they are given on */
};

int role_dns_open(struct role *r, struct err *err)
{
    struct dns_role *d = NEW(struct dns_role);

    (void)err;
    d->role = r;
    r->state = d;
    role_slice_open(r, d->lists);
    return 0;
}

static void on_poll(struct loop_timer *t)
{
    struct dns_role *d = container_of(t, struct dns_role, poll);

    if (dns_server_ready(d->server))
        role_ready();
    else
        loop_timer_set(d->role->loop, t,
                       d->polls++ < DNS_POLLS ? DNS_POLL_MS : DNS_POLL_LATE_MS, on_poll);
}

static struct http_client_opts api_opts(const struct role *r)
{
    return (struct http_client_opts){
        .base_url = config_api_url(r->config),
        .ca_pem = role_pem(r, ROLE_SERVER_CA), .cert_pem = role_pem(r, ROLE_CLIENT_CERT),
        .key_pem = role_pem(r, ROLE_CLIENT_KEY), .user_agent = "inro-dns",
    };
}

int role_dns_start(struct role *r, struct err *err)
{
    const struct config *c = r->config;
    struct dns_role *d = r->state;
    struct client_http_opts http = { .name = "inro-dns", .http = api_opts(r) };
    struct dns_server_opts opts = {
        .listen_ip = c->cluster_dns, .udp_fd = ROLE_FD, .tcp_fd = ROLE_FD + 1,
        .domain = c->cluster_domain, .resolv_conf = c->resolv_conf,
        .pod_names = !role_slice_wanted(r),      /* an agent does not follow all of the cluster */
    };

    if (client_http_new(&d->client, r->loop, &http, err) < 0 ||
        (role_slice_wanted(r) &&
         role_slice_read(&d->slice, r, d->client, d->lists, err) < 0) ||
        dns_server_new(&d->server, r->loop, d->slice ? d->slice : d->client, &opts, err) < 0)
        return -1;
    loop_timer_set(r->loop, &d->poll, DNS_POLL_MS, on_poll);
    return 0;
}

int role_dns_reload(struct role *r, struct err *err)
{
    struct dns_role *d = r->state;
    struct http_client_opts http = api_opts(r);

    return client_http_reload(d->client, &http, err);
}

void role_dns_stop(struct role *r)
{
    loop_stop(r->loop);
}

void role_dns_release(struct role *r)
{
    struct dns_role *d = r->state;

    if (!d)
        return;
    loop_timer_del(&d->poll);
    dns_server_free(d->server);
    client_free(d->slice ? d->slice : d->client);
    for (int i = 0; i < ROLE_SLICE_LISTS; i++)
        fd_close(d->lists[i]);
    mem_free(d);
}
