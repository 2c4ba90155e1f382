/* nft_int.h -- inside the room: a batch under construction and how attributes get into it. */
#ifndef NET_NETLINK_NFT_INT_H
#define NET_NETLINK_NFT_INT_H

#include "core/base/str.h"
#include "net/netlink/nft.h"

struct nft_batch {
    struct buf bytes;                    /* messages one after the other, without begin and end */
    size_t at;                           /* where the message under construction begins */
    size_t messages;
    uint32_t set_id;
    bool broken;                         /* past the limit, or a name too long: fails when sent */
    bool in_rule;
    size_t rule_exprs;                   /* where the open rule's list of expressions begins */
    /* The open message of elements, when elem_list is not 0. */
    size_t elem_list;
    uint16_t elem_type;
    char elem_table[NFT_NAME_BYTES], elem_set[NFT_NAME_BYTES];
};

void nft_msg(struct nft_batch *b, uint16_t type, uint16_t flags);
void nft_put(struct nft_batch *b, uint16_t type, const void *p, size_t len);
void nft_put_u32(struct nft_batch *b, uint16_t type, uint32_t v);       /* in network order */
void nft_put_u64(struct nft_batch *b, uint16_t type, uint64_t v);
void nft_put_name(struct nft_batch *b, uint16_t type, const char *name);
size_t nft_nest(struct nft_batch *b, uint16_t type);
void nft_nest_end(struct nft_batch *b, size_t nest);
/* The whole message so far has its length written. */
void nft_msg_end(struct nft_batch *b);
void nft_put_verdict(struct nft_batch *b, uint16_t type, enum nft_verdict v, const char *chain);

#endif
