/* net/netlink/nft.h -- nftables batches: tables, chains, sets, maps, elements and rules, applied
 * all or none.
 *
 * Building is pure memory work and cannot fail: a batch that grew past its limit, or was built with
 * a too long name, fails as a whole when sent. Order matters, as in `nft -f`. Only family ip (IPv4)
 * so far.
 *
 *   _cleanup_(nft_batch_freep) struct nft_batch *b = nft_batch_new();
 *   nft_table_add(b, "inro");
 *   nft_chain_add(b, "inro", "masq", &(struct nft_hook){ "nat", NFT_HOOK_POSTROUTING, 100 });
 *   nft_rule_begin(b, "inro", "masq");
 *   nft_load_payload(b, 0, NFT_IP_SADDR);
 *   nft_cmp(b, 0, NFT_EQ, &addr, 4);
 *   nft_masquerade(b);
 *   nft_rule_end(b);
 *   nft_batch_send(b, nl, err);
 *
 * Registers are the 16 32-bit ones, 0..15. A key of several fields takes neighbouring registers,
 * one per field of up to 4 bytes.
 */
#ifndef NET_NETLINK_NFT_H
#define NET_NETLINK_NFT_H

#include "net/netlink/netlink.h"

#define NFT_NAME_BYTES 64                /* of tables, chains and sets, with the end */
#define NFT_KEY_BYTES_MAX 40             /* ten fields */
#define NFT_BATCH_BYTES_MAX (256u << 20)

struct nft_batch;

struct nft_batch *nft_batch_new(void);
struct nft_batch *nft_batch_free(struct nft_batch *b);
CLEANUP_DEFINE(struct nft_batch, nft_batch_free)
bool nft_batch_empty(const struct nft_batch *b);
size_t nft_batch_bytes(const struct nft_batch *b);
size_t nft_batch_messages(const struct nft_batch *b);
/* One transaction. The error names the first operation that failed: "add element of inro/svc". */
int nft_batch_send(struct nft_batch *b, struct netlink *nl, struct err *err);

/* --- tables and chains. add: there already is fine. */
void nft_table_add(struct nft_batch *b, const char *table);
/* must be there: add it first to be sure */
void nft_table_del(struct nft_batch *b, const char *table);
/* All rules of all its chains; must be there. */
void nft_table_flush(struct nft_batch *b, const char *table);
/* Asks the kernel which chains of the table have no hook, no rule and no way to them; the batch
 * gets to delete them. No such table is fine. */
int nft_chains_unused(struct nft_batch *b, struct netlink *nl, const char *table, struct err *err);

enum nft_hook_num {
    NFT_HOOK_PREROUTING, NFT_HOOK_INPUT, NFT_HOOK_FORWARD, NFT_HOOK_OUTPUT, NFT_HOOK_POSTROUTING,
};
struct nft_hook { const char *type; enum nft_hook_num num; int32_t priority; };
void nft_chain_add(struct nft_batch *b, const char *table, const char *chain,
                   const struct nft_hook *hook);
void nft_chain_flush(struct nft_batch *b, const char *table, const char *chain);
void nft_chain_del(struct nft_batch *b, const char *table, const char *chain);

/* --- sets and maps */
enum nft_field {                         /* one field of a key or of data; all take one register */
    NFT_FIELD_NONE, NFT_FIELD_IP, NFT_FIELD_PROTO, NFT_FIELD_PORT, NFT_FIELD_MARK,
};
struct nft_set {
    const char *name;
    enum nft_field key[10];              /* up to NFT_FIELD_NONE */
    enum nft_field data[4];              /* a map when the first is set */
    bool verdicts;                       /* a map to verdicts */
    bool dynamic;                        /* filled by rules, elements time out */
    uint32_t size;                       /* 0: no limit; needed for dynamic ones */
};
void nft_set_add(struct nft_batch *b, const char *table, const struct nft_set *set);
void nft_set_flush(struct nft_batch *b, const char *table, const char *set);
void nft_set_del(struct nft_batch *b, const char *table, const char *set);

enum nft_verdict { NFT_V_NONE, NFT_V_ACCEPT, NFT_V_DROP, NFT_V_RETURN, NFT_V_JUMP, NFT_V_GOTO };

/* Fields are given as 4 bytes each, in network byte order (ports in the first two bytes, marks in
 * host order): nft_ip(), nft_port(), ... write them. Neighbouring calls on the same set share
 * messages. */
struct nft_elem {
    const uint32_t *key; unsigned key_fields;
    const uint32_t *data; unsigned data_fields;      /* of a map */
    enum nft_verdict verdict; const char *chain;     /* of a verdict map */
};
void nft_elem_add(struct nft_batch *b, const char *table, const char *set,
                  const struct nft_elem *e);
void nft_elem_del(struct nft_batch *b, const char *table, const char *set,
                  const struct nft_elem *e);
uint32_t nft_ip(uint32_t addr);                      /* host order in */
uint32_t nft_port(uint16_t port);
uint32_t nft_proto(uint8_t proto);

/* --- rules: begin, expressions, end. Appended to the chain. */
void nft_rule_begin(struct nft_batch *b, const char *table, const char *chain);
void nft_rule_end(struct nft_batch *b);

enum nft_packet { NFT_IP_SADDR, NFT_IP_DADDR, NFT_TH_SPORT, NFT_TH_DPORT, NFT_ICMP_TYPE };
enum nft_info {
    NFT_INFO_L4PROTO, NFT_INFO_MARK, NFT_INFO_IIFNAME, NFT_INFO_OIFNAME, NFT_INFO_CT_STATE,
    NFT_INFO_CT_STATUS, NFT_INFO_DADDR_TYPE, NFT_INFO_SADDR_TYPE,
};
enum nft_op { NFT_EQ, NFT_NE };
enum { NFT_STATE_ESTABLISHED = 2, NFT_STATE_RELATED = 4, NFT_STATE_NEW = 8, NFT_STATUS_DNAT = 32,
       NFT_ADDRTYPE_LOCAL = 2 };

void nft_load_payload(struct nft_batch *b, unsigned reg, enum nft_packet what);
void nft_load_info(struct nft_batch *b, unsigned reg, enum nft_info what);
void nft_load_value(struct nft_batch *b, unsigned reg, uint32_t value);  /* as an element's field */
/* A number below `modulus` plus `offset` into the register: random each time. */
void nft_load_random(struct nft_batch *b, unsigned reg, uint32_t modulus, uint32_t offset);
void nft_cmp(struct nft_batch *b, unsigned reg, enum nft_op op, const void *value, unsigned len);
/* reg = (reg & mask) ^ bits */
void nft_bits(struct nft_batch *b, unsigned reg, uint32_t mask, uint32_t bits);
/* Goes on when the key in reg... is in the set; a map's data goes to data_reg. */
void nft_lookup(struct nft_batch *b, const char *set, unsigned reg);
void nft_lookup_not(struct nft_batch *b, const char *set, unsigned reg);
void nft_lookup_map(struct nft_batch *b, const char *set, unsigned reg, unsigned data_reg);
void nft_lookup_verdict(struct nft_batch *b, const char *set, unsigned reg);
/* A dynamic set: adds an element, or keeps the one that is there for longer. */
void nft_update(struct nft_batch *b, const char *set, unsigned reg, uint32_t timeout_s);
void nft_set_mark(struct nft_batch *b, unsigned reg);
void nft_counter(struct nft_batch *b);
void nft_dnat(struct nft_batch *b, unsigned addr_reg, unsigned port_reg);
void nft_masquerade(struct nft_batch *b);
void nft_reject(struct nft_batch *b, bool tcp_reset);               /* else ICMP port unreachable */
void nft_verdict(struct nft_batch *b, enum nft_verdict v, const char *chain);

/* Shorthands: compare a source or destination address with a network; match a protocol, a conntrack
 * state. */
void nft_match_net(struct nft_batch *b, enum nft_packet what, enum nft_op op, struct ip4 net);
void nft_match_l4proto(struct nft_batch *b, enum nft_op op, uint8_t proto);
void nft_match_bit(struct nft_batch *b, enum nft_info what, uint32_t bit);  /* the bit is set */
void nft_match_ifname(struct nft_batch *b, enum nft_info what, enum nft_op op, const char *name);

#endif
