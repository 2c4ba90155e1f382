/* nft_rule.c -- the expressions of rules. */
#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netlink.h>

#include "core/base/check.h"
#include "net/netlink/nft_int.h"

#define NFT_REGISTERS 16

void nft_rule_begin(struct nft_batch *b, const char *table, const char *chain)
{
    nft_msg(b, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND);
    nft_put_name(b, NFTA_RULE_TABLE, table);
    nft_put_name(b, NFTA_RULE_CHAIN, chain);
    b->rule_exprs = nft_nest(b, NFTA_RULE_EXPRESSIONS);
    b->in_rule = true;
}

void nft_rule_end(struct nft_batch *b)
{
    check(b->in_rule);
    b->in_rule = false;
    nft_nest_end(b, b->rule_exprs);
    nft_msg_end(b);
}

struct expr { size_t elem, data; };

static struct expr expr_begin(struct nft_batch *b, const char *name)
{
    struct expr e;

    check(b->in_rule);
    e.elem = nft_nest(b, NFTA_LIST_ELEM);
    nft_put_name(b, NFTA_EXPR_NAME, name);
    e.data = nft_nest(b, NFTA_EXPR_DATA);
    return e;
}

static void expr_end(struct nft_batch *b, struct expr e)
{
    nft_nest_end(b, e.data);
    nft_nest_end(b, e.elem);
}

static void put_reg(struct nft_batch *b, uint16_t type, unsigned reg)
{
    check(reg < NFT_REGISTERS);
    nft_put_u32(b, type, NFT_REG32_00 + reg);
}

static void put_value(struct nft_batch *b, uint16_t type, const void *p, size_t len)
{
    size_t nest = nft_nest(b, type);

    nft_put(b, NFTA_DATA_VALUE, p, len);
    nft_nest_end(b, nest);
}

void nft_load_payload(struct nft_batch *b, unsigned reg, enum nft_packet what)
{
    static const struct { uint8_t base, offset, len; } where[] = {
        [NFT_IP_SADDR] = { NFT_PAYLOAD_NETWORK_HEADER, 12, 4 },
        [NFT_IP_DADDR] = { NFT_PAYLOAD_NETWORK_HEADER, 16, 4 },
        [NFT_TH_SPORT] = { NFT_PAYLOAD_TRANSPORT_HEADER, 0, 2 },
        [NFT_TH_DPORT] = { NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2 },
        [NFT_ICMP_TYPE] = { NFT_PAYLOAD_TRANSPORT_HEADER, 0, 1 },
    };
    struct expr e = expr_begin(b, "payload");

    put_reg(b, NFTA_PAYLOAD_DREG, reg);
    nft_put_u32(b, NFTA_PAYLOAD_BASE, where[what].base);
    nft_put_u32(b, NFTA_PAYLOAD_OFFSET, where[what].offset);
    nft_put_u32(b, NFTA_PAYLOAD_LEN, where[what].len);
    expr_end(b, e);
}

static void load_fib(struct nft_batch *b, unsigned reg, uint32_t flags)
{
    struct expr e = expr_begin(b, "fib");

    put_reg(b, NFTA_FIB_DREG, reg);
    nft_put_u32(b, NFTA_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE);
    nft_put_u32(b, NFTA_FIB_FLAGS, flags);
    expr_end(b, e);
}

void nft_load_info(struct nft_batch *b, unsigned reg, enum nft_info what)
{
    static const struct { const char *name; uint16_t dreg, key_type; uint32_t key; } how[] = {
        [NFT_INFO_L4PROTO] = { "meta", NFTA_META_DREG, NFTA_META_KEY, NFT_META_L4PROTO },
        [NFT_INFO_MARK] = { "meta", NFTA_META_DREG, NFTA_META_KEY, NFT_META_MARK },
        [NFT_INFO_IIFNAME] = { "meta", NFTA_META_DREG, NFTA_META_KEY, NFT_META_IIFNAME },
        [NFT_INFO_OIFNAME] = { "meta", NFTA_META_DREG, NFTA_META_KEY, NFT_META_OIFNAME },
        [NFT_INFO_CT_STATE] = { "ct", NFTA_CT_DREG, NFTA_CT_KEY, NFT_CT_STATE },
        [NFT_INFO_CT_STATUS] = { "ct", NFTA_CT_DREG, NFTA_CT_KEY, NFT_CT_STATUS },
    };
    struct expr e;

    if (what == NFT_INFO_DADDR_TYPE || what == NFT_INFO_SADDR_TYPE) {
        load_fib(b, reg, what == NFT_INFO_DADDR_TYPE ? NFTA_FIB_F_DADDR : NFTA_FIB_F_SADDR);
        return;
    }
    e = expr_begin(b, how[what].name);
    put_reg(b, how[what].dreg, reg);
    nft_put_u32(b, how[what].key_type, how[what].key);
    expr_end(b, e);
}

void nft_load_value(struct nft_batch *b, unsigned reg, uint32_t value)
{
    struct expr e = expr_begin(b, "immediate");

    put_reg(b, NFTA_IMMEDIATE_DREG, reg);
    put_value(b, NFTA_IMMEDIATE_DATA, &value, sizeof(value));
    expr_end(b, e);
}

void nft_load_random(struct nft_batch *b, unsigned reg, uint32_t modulus, uint32_t offset)
{
    struct expr e = expr_begin(b, "numgen");

    check(modulus > 0);
    put_reg(b, NFTA_NG_DREG, reg);
    nft_put_u32(b, NFTA_NG_MODULUS, modulus);
    nft_put_u32(b, NFTA_NG_TYPE, NFT_NG_RANDOM);
    nft_put_u32(b, NFTA_NG_OFFSET, offset);
    expr_end(b, e);
}

void nft_cmp(struct nft_batch *b, unsigned reg, enum nft_op op, const void *value, unsigned len)
{
    struct expr e = expr_begin(b, "cmp");

    put_reg(b, NFTA_CMP_SREG, reg);
    nft_put_u32(b, NFTA_CMP_OP, op == NFT_EQ ? NFT_CMP_EQ : NFT_CMP_NEQ);
    put_value(b, NFTA_CMP_DATA, value, len);
    expr_end(b, e);
}

void nft_bits(struct nft_batch *b, unsigned reg, uint32_t mask, uint32_t bits)
{
    struct expr e = expr_begin(b, "bitwise");

    put_reg(b, NFTA_BITWISE_SREG, reg);
    put_reg(b, NFTA_BITWISE_DREG, reg);
    nft_put_u32(b, NFTA_BITWISE_LEN, sizeof(mask));
    put_value(b, NFTA_BITWISE_MASK, &mask, sizeof(mask));
    put_value(b, NFTA_BITWISE_XOR, &bits, sizeof(bits));
    expr_end(b, e);
}

static struct expr lookup_begin(struct nft_batch *b, const char *set, unsigned reg)
{
    struct expr e = expr_begin(b, "lookup");

    nft_put_name(b, NFTA_LOOKUP_SET, set);
    put_reg(b, NFTA_LOOKUP_SREG, reg);
    return e;
}

void nft_lookup(struct nft_batch *b, const char *set, unsigned reg)
{
    expr_end(b, lookup_begin(b, set, reg));
}

void nft_lookup_not(struct nft_batch *b, const char *set, unsigned reg)
{
    struct expr e = lookup_begin(b, set, reg);

    nft_put_u32(b, NFTA_LOOKUP_FLAGS, NFT_LOOKUP_F_INV);
    expr_end(b, e);
}

void nft_lookup_map(struct nft_batch *b, const char *set, unsigned reg, unsigned data_reg)
{
    struct expr e = lookup_begin(b, set, reg);

    put_reg(b, NFTA_LOOKUP_DREG, data_reg);
    expr_end(b, e);
}

void nft_lookup_verdict(struct nft_batch *b, const char *set, unsigned reg)
{
    struct expr e = lookup_begin(b, set, reg);

    nft_put_u32(b, NFTA_LOOKUP_DREG, NFT_REG_VERDICT);
    expr_end(b, e);
}

void nft_update(struct nft_batch *b, const char *set, unsigned reg, uint32_t timeout_s)
{
    struct expr e = expr_begin(b, "dynset");

    nft_put_name(b, NFTA_DYNSET_SET_NAME, set);
    nft_put_u32(b, NFTA_DYNSET_OP, NFT_DYNSET_OP_UPDATE);
    put_reg(b, NFTA_DYNSET_SREG_KEY, reg);
    nft_put_u64(b, NFTA_DYNSET_TIMEOUT, (uint64_t)timeout_s * 1000);
    expr_end(b, e);
}

void nft_set_mark(struct nft_batch *b, unsigned reg)
{
    struct expr e = expr_begin(b, "meta");

    put_reg(b, NFTA_META_SREG, reg);
    nft_put_u32(b, NFTA_META_KEY, NFT_META_MARK);
    expr_end(b, e);
}

void nft_counter(struct nft_batch *b)
{
    expr_end(b, expr_begin(b, "counter"));
}

void nft_dnat(struct nft_batch *b, unsigned addr_reg, unsigned port_reg)
{
    struct expr e = expr_begin(b, "nat");

    nft_put_u32(b, NFTA_NAT_TYPE, NFT_NAT_DNAT);
    nft_put_u32(b, NFTA_NAT_FAMILY, NFPROTO_IPV4);
    put_reg(b, NFTA_NAT_REG_ADDR_MIN, addr_reg);
    put_reg(b, NFTA_NAT_REG_PROTO_MIN, port_reg);
    expr_end(b, e);
}

void nft_masquerade(struct nft_batch *b)
{
    struct expr e = expr_begin(b, "masq");

    nft_put_u32(b, NFTA_MASQ_FLAGS, NF_NAT_RANGE_PROTO_RANDOM_FULLY);
    expr_end(b, e);
}

void nft_reject(struct nft_batch *b, bool tcp_reset)
{
    uint8_t port_unreachable = 3;
    struct expr e = expr_begin(b, "reject");

    nft_put_u32(b, NFTA_REJECT_TYPE, tcp_reset ? NFT_REJECT_TCP_RST : NFT_REJECT_ICMP_UNREACH);
    if (!tcp_reset)
        nft_put(b, NFTA_REJECT_ICMP_CODE, &port_unreachable, 1);
    expr_end(b, e);
}

void nft_verdict(struct nft_batch *b, enum nft_verdict v, const char *chain)
{
    struct expr e = expr_begin(b, "immediate");

    nft_put_u32(b, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
    nft_put_verdict(b, NFTA_IMMEDIATE_DATA, v, chain);
    expr_end(b, e);
}

void nft_match_net(struct nft_batch *b, enum nft_packet what, enum nft_op op, struct ip4 net)
{
    uint32_t addr = htonl(net.addr & ip4_mask(net.prefix));

    nft_load_payload(b, 0, what);
    if (net.prefix < 32)
        nft_bits(b, 0, htonl(ip4_mask(net.prefix)), 0);
    nft_cmp(b, 0, op, &addr, sizeof(addr));
}

void nft_match_l4proto(struct nft_batch *b, enum nft_op op, uint8_t proto)
{
    nft_load_info(b, 0, NFT_INFO_L4PROTO);
    nft_cmp(b, 0, op, &proto, sizeof(proto));
}

void nft_match_bit(struct nft_batch *b, enum nft_info what, uint32_t bit)
{
    uint32_t zero = 0;

    nft_load_info(b, 0, what);
    nft_bits(b, 0, bit, 0);
    nft_cmp(b, 0, NFT_NE, &zero, sizeof(zero));
}

void nft_match_ifname(struct nft_batch *b, enum nft_info what, enum nft_op op, const char *name)
{
    char text[NETLINK_IFNAME_BYTES] = { 0 };

    if (str_copy(text, sizeof(text), name, NULL) < 0)
        b->broken = true;
    nft_load_info(b, 0, what);
    nft_cmp(b, 0, op, text, sizeof(text));
}
