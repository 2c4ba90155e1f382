/* nft.c -- batches: tables, chains, sets and elements as nf_tables messages, and sending them.
 *
 * Messages lie one after the other in one buffer, with sequence numbers given when they are sent.
 * The kernel answers only for messages that failed, and for the last one, which asks for it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdio.h>
#include <sys/socket.h>

#include "core/base/check.h"
#include "core/base/mem.h"
#include "net/netlink/netlink_int.h"
#include "net/netlink/nft_int.h"

#define ELEM_LIST_BYTES_MAX 60000        /* a nest's length has 16 bits */

struct nft_head { struct nlmsghdr nlh; struct nfgenmsg gen; };

struct nft_batch *nft_batch_new(void)
{
    return NEW(struct nft_batch);
}

struct nft_batch *nft_batch_free(struct nft_batch *b)
{
    if (!b)
        return NULL;
    buf_deinit(&b->bytes);
    return mem_free(b);
}

bool nft_batch_empty(const struct nft_batch *b)
{
    return b->messages == 0;
}

size_t nft_batch_bytes(const struct nft_batch *b)
{
    return b->bytes.len;
}

size_t nft_batch_messages(const struct nft_batch *b)
{
    return b->messages;
}

/* --- attributes */

void nft_msg(struct nft_batch *b, uint16_t type, uint16_t flags)
{
    struct nft_head h = {
        .nlh = { .nlmsg_type = (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type),
                 .nlmsg_flags = NLM_F_REQUEST | flags, .nlmsg_len = sizeof(h) },
        .gen = { .nfgen_family = NFPROTO_IPV4, .version = NFNETLINK_V0 },
    };

    check(!b->in_rule);
    b->elem_list = 0;
    b->at = b->bytes.len;
    b->messages++;
    if (b->bytes.len > NFT_BATCH_BYTES_MAX)
        b->broken = true;
    if (b->broken)
        b->at = b->bytes.len = 0;        /* nothing of it is sent */
    buf_add(&b->bytes, &h, sizeof(h));
}

void nft_msg_end(struct nft_batch *b)
{
    uint32_t len = (uint32_t)(b->bytes.len - b->at);

    memcpy(b->bytes.p + b->at, &len, sizeof(len));
}

void nft_put(struct nft_batch *b, uint16_t type, const void *p, size_t len)
{
    static const char zero[4];
    struct nlattr a = { .nla_type = type, .nla_len = (uint16_t)(sizeof(a) + len) };

    check(len < 4096);
    buf_add(&b->bytes, &a, sizeof(a));
    buf_add(&b->bytes, p, len);
    if (len % 4)
        buf_add(&b->bytes, zero, 4 - len % 4);
}

void nft_put_u32(struct nft_batch *b, uint16_t type, uint32_t v)
{
    v = htonl(v);
    nft_put(b, type, &v, sizeof(v));
}

void nft_put_u64(struct nft_batch *b, uint16_t type, uint64_t v)
{
    uint32_t be[2] = { htonl((uint32_t)(v >> 32)), htonl((uint32_t)v) };

    nft_put(b, type, be, sizeof(be));
}

void nft_put_name(struct nft_batch *b, uint16_t type, const char *name)
{
    if (str_empty(name) || strlen(name) >= NFT_NAME_BYTES)
        b->broken = true;
    else
        nft_put(b, type, name, strlen(name) + 1);
}

size_t nft_nest(struct nft_batch *b, uint16_t type)
{
    struct nlattr a = { .nla_type = NLA_F_NESTED | type };
    size_t at = b->bytes.len;

    buf_add(&b->bytes, &a, sizeof(a));
    return at;
}

void nft_nest_end(struct nft_batch *b, size_t nest)
{
    uint16_t len = (uint16_t)(b->bytes.len - nest);

    check(b->bytes.len - nest <= UINT16_MAX);
    memcpy(b->bytes.p + nest, &len, sizeof(len));
}

void nft_put_verdict(struct nft_batch *b, uint16_t type, enum nft_verdict v, const char *chain)
{
    static const int32_t codes[] = {
        [NFT_V_ACCEPT] = NF_ACCEPT, [NFT_V_DROP] = NF_DROP, [NFT_V_RETURN] = NFT_RETURN,
        [NFT_V_JUMP] = NFT_JUMP, [NFT_V_GOTO] = NFT_GOTO,
    };
    size_t data = nft_nest(b, type), verdict = nft_nest(b, NFTA_DATA_VERDICT);

    check(v > NFT_V_NONE && v <= NFT_V_GOTO);
    nft_put_u32(b, NFTA_VERDICT_CODE, (uint32_t)codes[v]);
    if (v >= NFT_V_JUMP)
        nft_put_name(b, NFTA_VERDICT_CHAIN, chain);
    nft_nest_end(b, verdict);
    nft_nest_end(b, data);
}

/* --- tables and chains */

void nft_table_add(struct nft_batch *b, const char *table)
{
    nft_msg(b, NFT_MSG_NEWTABLE, NLM_F_CREATE);
    nft_put_name(b, NFTA_TABLE_NAME, table);
    nft_msg_end(b);
}

void nft_table_del(struct nft_batch *b, const char *table)
{
    nft_msg(b, NFT_MSG_DELTABLE, 0);
    nft_put_name(b, NFTA_TABLE_NAME, table);
    nft_msg_end(b);
}

void nft_table_flush(struct nft_batch *b, const char *table)
{
    nft_msg(b, NFT_MSG_DELRULE, 0);
    nft_put_name(b, NFTA_RULE_TABLE, table);
    nft_msg_end(b);
}

void nft_chain_add(struct nft_batch *b, const char *table, const char *chain,
                   const struct nft_hook *hook)
{
    size_t nest;

    nft_msg(b, NFT_MSG_NEWCHAIN, NLM_F_CREATE);
    nft_put_name(b, NFTA_CHAIN_TABLE, table);
    nft_put_name(b, NFTA_CHAIN_NAME, chain);
    if (hook) {
        nest = nft_nest(b, NFTA_CHAIN_HOOK);
        nft_put_u32(b, NFTA_HOOK_HOOKNUM, hook->num);
        nft_put_u32(b, NFTA_HOOK_PRIORITY, (uint32_t)hook->priority);
        nft_nest_end(b, nest);
        nft_put_u32(b, NFTA_CHAIN_POLICY, NF_ACCEPT);
        nft_put_name(b, NFTA_CHAIN_TYPE, hook->type);
    }
    nft_msg_end(b);
}

void nft_chain_flush(struct nft_batch *b, const char *table, const char *chain)
{
    nft_msg(b, NFT_MSG_DELRULE, 0);
    nft_put_name(b, NFTA_RULE_TABLE, table);
    nft_put_name(b, NFTA_RULE_CHAIN, chain);
    nft_msg_end(b);
}

void nft_chain_del(struct nft_batch *b, const char *table, const char *chain)
{
    nft_chain_flush(b, table, chain);
    nft_msg(b, NFT_MSG_DELCHAIN, 0);
    nft_put_name(b, NFTA_CHAIN_TABLE, table);
    nft_put_name(b, NFTA_CHAIN_NAME, chain);
    nft_msg_end(b);
}

/* --- sets */

/* The numbers that nft(8) shows types by; several are packed 6 bits each. */
static uint32_t type_of(const enum nft_field *fields, unsigned max, unsigned *out_n)
{
    static const uint32_t types[] = {
        [NFT_FIELD_IP] = 7, [NFT_FIELD_PROTO] = 12, [NFT_FIELD_PORT] = 13, [NFT_FIELD_MARK] = 19,
    };
    uint32_t type = 0;
    unsigned n = 0;

    for (; n < max && fields[n] != NFT_FIELD_NONE; n++)
        type = n < 5 ? type << 6 | types[fields[n]] : type;
    *out_n = n;
    return type;
}

void nft_set_add(struct nft_batch *b, const char *table, const struct nft_set *set)
{
    unsigned key_n, data_n;
    uint32_t key = type_of(set->key, ARRAY_LEN(set->key), &key_n);
    uint32_t data = type_of(set->data, ARRAY_LEN(set->data), &data_n);
    uint32_t flags = 0;

    check(key_n > 0);
    check(!set->verdicts || data_n == 0);
    if (set->verdicts || data_n)
        flags |= NFT_SET_MAP;
    if (set->dynamic)
        flags |= NFT_SET_TIMEOUT | NFT_SET_EVAL;
    nft_msg(b, NFT_MSG_NEWSET, NLM_F_CREATE);
    nft_put_name(b, NFTA_SET_TABLE, table);
    nft_put_name(b, NFTA_SET_NAME, set->name);
    nft_put_u32(b, NFTA_SET_ID, ++b->set_id);
    nft_put_u32(b, NFTA_SET_FLAGS, flags);
    nft_put_u32(b, NFTA_SET_KEY_TYPE, key);
    nft_put_u32(b, NFTA_SET_KEY_LEN, key_n * 4);
    if (flags & NFT_SET_MAP) {
        nft_put_u32(b, NFTA_SET_DATA_TYPE, set->verdicts ? (uint32_t)NFT_DATA_VERDICT : data);
        nft_put_u32(b, NFTA_SET_DATA_LEN, set->verdicts ? 0 : data_n * 4);
    }
    if (set->size) {
        size_t desc = nft_nest(b, NFTA_SET_DESC);

        nft_put_u32(b, NFTA_SET_DESC_SIZE, set->size);
        nft_nest_end(b, desc);
    }
    nft_msg_end(b);
}

void nft_set_flush(struct nft_batch *b, const char *table, const char *set)
{
    nft_msg(b, NFT_MSG_DELSETELEM, 0);
    nft_put_name(b, NFTA_SET_ELEM_LIST_TABLE, table);
    nft_put_name(b, NFTA_SET_ELEM_LIST_SET, set);
    nft_msg_end(b);
}

void nft_set_del(struct nft_batch *b, const char *table, const char *set)
{
    nft_msg(b, NFT_MSG_DELSET, 0);
    nft_put_name(b, NFTA_SET_TABLE, table);
    nft_put_name(b, NFTA_SET_NAME, set);
    nft_msg_end(b);
}

/* --- elements */

static void elem_open(struct nft_batch *b, uint16_t type, const char *table, const char *set)
{
    if (b->elem_list && b->elem_type == type && str_eq(b->elem_table, table) &&
        str_eq(b->elem_set, set) && b->bytes.len - b->elem_list < ELEM_LIST_BYTES_MAX)
        return;
    nft_msg(b, type, type == NFT_MSG_NEWSETELEM ? NLM_F_CREATE : 0);
    nft_put_name(b, NFTA_SET_ELEM_LIST_TABLE, table);
    nft_put_name(b, NFTA_SET_ELEM_LIST_SET, set);
    if (str_copy(b->elem_table, sizeof(b->elem_table), table, NULL) < 0 ||
        str_copy(b->elem_set, sizeof(b->elem_set), set, NULL) < 0)
        b->broken = true;
    b->elem_list = nft_nest(b, NFTA_SET_ELEM_LIST_ELEMENTS);
    b->elem_type = type;
}

static void elem_put(struct nft_batch *b, uint16_t type, const char *table, const char *set,
                     const struct nft_elem *e)
{
    size_t elem, nest;

    check(e->key_fields > 0 && e->key_fields * 4 <= NFT_KEY_BYTES_MAX);
    elem_open(b, type, table, set);
    elem = nft_nest(b, NFTA_LIST_ELEM);
    nest = nft_nest(b, NFTA_SET_ELEM_KEY);
    nft_put(b, NFTA_DATA_VALUE, e->key, e->key_fields * 4);
    nft_nest_end(b, nest);
    if (type == NFT_MSG_NEWSETELEM && e->verdict != NFT_V_NONE) {
        nft_put_verdict(b, NFTA_SET_ELEM_DATA, e->verdict, e->chain);
    } else if (type == NFT_MSG_NEWSETELEM && e->data_fields) {
        nest = nft_nest(b, NFTA_SET_ELEM_DATA);
        nft_put(b, NFTA_DATA_VALUE, e->data, e->data_fields * 4);
        nft_nest_end(b, nest);
    }
    nft_nest_end(b, elem);
    nft_nest_end(b, b->elem_list);
    nft_msg_end(b);
}

void nft_elem_add(struct nft_batch *b, const char *table, const char *set, const struct nft_elem *e)
{
    elem_put(b, NFT_MSG_NEWSETELEM, table, set, e);
}

void nft_elem_del(struct nft_batch *b, const char *table, const char *set, const struct nft_elem *e)
{
    elem_put(b, NFT_MSG_DELSETELEM, table, set, e);
}

uint32_t nft_ip(uint32_t addr)
{
    return htonl(addr);
}

/* Fields shorter than a register fill its first bytes in memory. */
uint32_t nft_port(uint16_t port)
{
    uint8_t bytes[4] = { (uint8_t)(port >> 8), (uint8_t)port };
    uint32_t v;

    memcpy(&v, bytes, sizeof(v));
    return v;
}

uint32_t nft_proto(uint8_t proto)
{
    uint8_t bytes[4] = { proto };
    uint32_t v;

    memcpy(&v, bytes, sizeof(v));
    return v;
}

/* --- sending */

/* "add element of inro/svc": what a message asked for, for an error. */
static void msg_name(const struct nlmsghdr *nlh, char *out, size_t out_bytes)
{
    static const struct { uint8_t type; const char *verb; } verbs[] = {
        { NFT_MSG_NEWTABLE, "add table" }, { NFT_MSG_DELTABLE, "delete table" },
        { NFT_MSG_NEWCHAIN, "add chain" }, { NFT_MSG_DELCHAIN, "delete chain" },
        { NFT_MSG_NEWSET, "add set" }, { NFT_MSG_DELSET, "delete set" },
        { NFT_MSG_NEWRULE, "add rule to" }, { NFT_MSG_DELRULE, "delete rules of" },
        { NFT_MSG_NEWSETELEM, "add element of" }, { NFT_MSG_DELSETELEM, "delete element of" },
    };
    const struct nlattr *t[3];
    const char *verb = "change";

    for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
        if (verbs[i].type == (nlh->nlmsg_type & 0xff))
            verb = verbs[i].verb;
    }
    /* In all these messages attribute 1 is the table; for all but rules 2 is the name in it, and
     * for chains 3 is. */
    netlink_attrs(t, 2, (const char *)nlh + sizeof(struct nft_head),
                  nlh->nlmsg_len - sizeof(struct nft_head));
    snprintf(out, out_bytes, "nftables: %s %s", verb, t[1] ? mnl_attr_get_str(t[1]) : "");
    if ((nlh->nlmsg_type & 0xff) == NFT_MSG_NEWCHAIN ||
        (nlh->nlmsg_type & 0xff) == NFT_MSG_DELCHAIN) {
        const struct nlattr *c[NFTA_CHAIN_NAME + 1];

        netlink_attrs(c, NFTA_CHAIN_NAME, (const char *)nlh + sizeof(struct nft_head),
                      nlh->nlmsg_len - sizeof(struct nft_head));
        t[2] = c[NFTA_CHAIN_NAME];
    }
    if (t[2] && (nlh->nlmsg_type & 0xff) != NFT_MSG_NEWTABLE)
        snprintf(out + strlen(out), out_bytes - strlen(out), "/%s", mnl_attr_get_str(t[2]));
}

/* The kernel says no more than "no such file" when it cannot load a part that a table, a chain or a
 * rule needs. */
static void hint_at_modules(const struct nlmsghdr *asked, struct err *err)
{
    uint8_t type = asked->nlmsg_type & 0xff;
    int no = err ? err->sys_errno : 0;

    if (!err || (err->code != ERR_NOT_FOUND && err->code != ERR_UNSUPPORTED) ||
        (type != NFT_MSG_NEWTABLE && type != NFT_MSG_NEWCHAIN && type != NFT_MSG_NEWRULE))
        return;
    err_set(err, err->code,
            "%s (gone meanwhile, or the kernel lacks one of nf_tables, nf_conntrack, nft_ct, "
            "nft_chain_nat, nft_masq, nft_fib_ipv4, nft_numgen, nft_reject_ipv4)", err->msg);
    err->sys_errno = no;
}

/* Numbers the messages; the last one asks for an acknowledgement. */
static void batch_number(struct nft_batch *b, uint32_t first)
{
    struct nlmsghdr nlh;

    for (size_t at = 0; at < b->bytes.len; at += nlh.nlmsg_len) {
        memcpy(&nlh, b->bytes.p + at, sizeof(nlh));
        nlh.nlmsg_seq = first++;
        nlh.nlmsg_flags &= (uint16_t)~NLM_F_ACK;
        if (at + nlh.nlmsg_len == b->bytes.len)
            nlh.nlmsg_flags |= NLM_F_ACK;
        memcpy(b->bytes.p + at, &nlh, sizeof(nlh));
    }
}

static const struct nlmsghdr *batch_find(const struct nft_batch *b, uint32_t seq)
{
    const struct nlmsghdr *nlh;

    for (size_t at = 0; at < b->bytes.len; at += nlh->nlmsg_len) {
        nlh = (const void *)(b->bytes.p + at);
        if (nlh->nlmsg_seq == seq)
            return nlh;
    }
    return NULL;
}

/* Waits for the answers to messages first..last; first - 1 is the batch itself. */
static int batch_answers(struct nft_batch *b, struct netlink *nl, uint32_t first, uint32_t last,
                         struct err *err)
{
    int64_t until = netlink_now_ms() + nl->timeout_ms;
    bool failed = false;
    char what[192];

    for (;;) {
        ssize_t len = netlink_receive(nl, until, failed ? NULL : err);
        int left = (int)len;

        if (len < 0)
            return failed ? -1 : err_wrap(err, "nftables");
        for (struct nlmsghdr *nlh = (struct nlmsghdr *)(void *)nl->recv; mnl_nlmsg_ok(nlh, left);
             nlh = mnl_nlmsg_next(nlh, &left)) {
            uint32_t seq = nlh->nlmsg_seq;
            const struct nlmsghdr *asked;

            if (nlh->nlmsg_type != NLMSG_ERROR || seq - (first - 1) > last - (first - 1))
                continue;
            asked = batch_find(b, seq);
            if (asked)
                msg_name(asked, what, sizeof(what));
            if (netlink_nak(nlh, asked ? what : "nftables", failed ? NULL : err) < 0) {
                if (!failed && asked)
                    hint_at_modules(asked, err);
                failed = true;
            }
            if (seq == last || (failed && seq == first - 1))
                return failed ? -1 : 0;
        }
    }
}

static int batch_transmit(struct nft_batch *b, struct netlink *nl, struct err *err)
{
    struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
    struct nft_head begin = {
        .nlh = { .nlmsg_len = sizeof(begin), .nlmsg_type = NFNL_MSG_BATCH_BEGIN,
                 .nlmsg_flags = NLM_F_REQUEST, .nlmsg_seq = nl->seq + 1 },
        .gen = { .nfgen_family = AF_UNSPEC, .res_id = htons(NFNL_SUBSYS_NFTABLES) },
    }, end = begin;
    struct iovec iov[] = {
        { &begin, sizeof(begin) }, { b->bytes.p, b->bytes.len }, { &end, sizeof(end) },
    };
    struct msghdr msg = { .msg_name = &kernel, .msg_namelen = sizeof(kernel), .msg_iov = iov,
                          .msg_iovlen = ARRAY_LEN(iov) };
    int room = (int)(b->bytes.len + (64 << 10));

    end.nlh.nlmsg_type = NFNL_MSG_BATCH_END;
    end.nlh.nlmsg_seq = nl->seq + 2 + (uint32_t)b->messages;
    batch_number(b, nl->seq + 2);
    if (setsockopt(nl->fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room)) < 0)
        (void)setsockopt(nl->fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
    while (sendmsg(nl->fd, &msg, 0) < 0) {
        if (errno != EINTR)
            return err_sys(err, "nftables: send a batch of %zu bytes", b->bytes.len);
    }
    return 0;
}

int nft_batch_send(struct nft_batch *b, struct netlink *nl, struct err *err)
{
    uint32_t first = nl->seq + 2;

    check(!b->in_rule);
    if (b->broken)
        return err_set(err, ERR_QUOTA, "nftables: the batch is over %u bytes or has a bad name",
                       NFT_BATCH_BYTES_MAX);
    if (b->messages == 0)
        return 0;
    if (batch_transmit(b, nl, err) < 0)
        return -1;
    nl->seq += (uint32_t)b->messages + 2;
    return batch_answers(b, nl, first, first + (uint32_t)b->messages - 1, err);
}
