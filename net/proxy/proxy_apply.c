/* proxy_apply.c -- the proxy's only touch of the kernel. */
#include "net/proxy/proxy_apply.h"

#include "core/base/log.h"
#include "net/proxy/proxy.h"

static void sweep_chains(struct netlink *nl)
{
    _cleanup_(nft_batch_freep) struct nft_batch *b = nft_batch_new();
    struct err err = ERR_INIT;

    if (nft_chains_unused(b, nl, PROXY_TABLE, &err) < 0 || nft_batch_send(b, nl, &err) < 0)
        log_warn("chains of a former run stay, empty", "why=\"%s\"", err.msg);
}

int proxy_apply(const struct proxy_batch *b, bool sweep, struct err *err)
{
    _cleanup_(netlink_freep) struct netlink *nl = NULL;
    struct err own = ERR_INIT;

    if (netlink_open(&nl, NETLINK_BUS_NETFILTER, err) < 0)
        return -1;
    netlink_set_timeout(nl, PROXY_APPLY_MS);
    if (nft_batch_send(b->chains, nl, err) < 0 || nft_batch_send(b->rules, nl, err) < 0)
        return -1;
    if (netlink_conntrack_del(nl, b->flows.v, b->flows.len, &own) < 0)
        log_warn("UDP clients may stay with endpoints that are gone", "why=\"%s\"", own.msg);
    if (sweep)
        sweep_chains(nl);
    return 0;
}

int proxy_cleanup(struct err *err)
{
    _cleanup_(proxy_batch_deinit) struct proxy_batch b;

    proxy_batch_init(&b);
    nft_table_add(b.rules, PROXY_TABLE);
    nft_table_del(b.rules, PROXY_TABLE);
    return proxy_apply(&b, false, err) < 0 ? err_wrap(err, "remove the Service rules") : 0;
}
