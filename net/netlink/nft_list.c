/* nft_list.c -- reading the kernel's rules: only what tidying up needs. */
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <sys/socket.h>

#include "core/base/str.h"
#include "net/netlink/netlink_int.h"
#include "net/netlink/nft_int.h"

struct chain_scan { struct nft_batch *b; const char *table; };

static int on_chain(const struct nlmsghdr *nlh, void *ctx, struct err *err)
{
    const struct nlattr *t[NFTA_CHAIN_USE + 1];
    struct chain_scan *scan = ctx;
    size_t head = NLMSG_HDRLEN + sizeof(struct nfgenmsg);

    (void)err;
    if (nlh->nlmsg_len < head)
        return 0;
    netlink_attrs(t, NFTA_CHAIN_USE, (const char *)nlh + head, nlh->nlmsg_len - head);
    if (!t[NFTA_CHAIN_TABLE] || !t[NFTA_CHAIN_NAME] || !t[NFTA_CHAIN_USE] || t[NFTA_CHAIN_HOOK] ||
        mnl_attr_get_payload_len(t[NFTA_CHAIN_USE]) != 4 ||
        mnl_attr_get_u32(t[NFTA_CHAIN_USE]) != 0 ||
        !str_eq(mnl_attr_get_str(t[NFTA_CHAIN_TABLE]), scan->table))
        return 0;
    nft_chain_del(scan->b, scan->table, mnl_attr_get_str(t[NFTA_CHAIN_NAME]));
    return 0;
}

/* Deleting a chain twice would fail: an interrupted dump starts with a fresh batch. */
static void on_restart(void *ctx)
{
    struct chain_scan *scan = ctx;

    buf_clear(&scan->b->bytes);
    scan->b->messages = 0;
}

int nft_chains_unused(struct nft_batch *b, struct netlink *nl, const char *table, struct err *err)
{
    struct chain_scan scan = { b, table };
    struct netlink_each each = { on_chain, on_restart, &scan };
    struct netlink_req r;
    struct nfgenmsg *head;

    netlink_req_init(&r, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETCHAIN, NLM_F_DUMP, sizeof(*head));
    head = r.head;
    head->nfgen_family = NFPROTO_IPV4;
    return netlink_dump(nl, &r, &each, "list chains", err);
}
