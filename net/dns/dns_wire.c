/* dns_wire.c -- names, and messages taken apart. */
#include "net/dns/dns_wire.h"

#include <ctype.h>
#include <stdio.h>

#include "core/base/check.h"
#include "net/dns/dns_wire_int.h"

/* Where names are in the data of a type: n name, 2 4 s numbers and a text, * the rest. Other types
 * have none that may be compressed (RFC 3597). */
static const struct { uint16_t type; const char *form; } forms[] = {
    { DNS_NS, "n" }, { 3, "n" }, { 4, "n" }, { DNS_CNAME, "n" }, { DNS_SOA, "nn44444" },
    { 7, "n" }, { 8, "n" }, { 9, "n" }, { DNS_PTR, "n" }, { 14, "nn" }, { DNS_MX, "2n" },
    { 17, "nn" }, { 18, "2n" }, { 21, "2n" }, { 26, "2nn" }, { DNS_SRV, "222n" },
    { 35, "22sssn" }, { 36, "2n" }, { 39, "n" },
};

const char *dns_wire_form(uint16_t type)
{
    for (size_t i = 0; i < ARRAY_LEN(forms); i++)
        if (forms[i].type == type)
            return forms[i].form;
    return "*";
}

/* --- names */

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

int dns_wire_name_join(struct dns_name *out, const char *front, const struct dns_name *rest)
{
    struct slice text = slice_of(front), label;
    struct dns_name n = { 0 };

    if (text.len && text.p[text.len - 1] == '.')
        text.len--;
    if (text.len && text.p[text.len - 1] == '.')
        return -1;
    while (text.len && slice_split(&text, '.', &label)) {
        if (label.len == 0 || label.len > DNS_LABEL_BYTES ||
            n.len + 1u + label.len >= DNS_NAME_BYTES)
            return -1;
        n.w[n.len++] = (uint8_t)label.len;
        memcpy(n.w + n.len, label.p, label.len);
        n.len = (uint8_t)(n.len + label.len);
    }
    if (!rest) {
        n.w[n.len++] = 0;
    } else {
        if (n.len + rest->len > DNS_NAME_BYTES)
            return -1;
        memcpy(n.w + n.len, rest->w, rest->len);
        n.len = (uint8_t)(n.len + rest->len);
    }
    *out = n;
    return 0;
}

int dns_wire_name(struct dns_name *out, const char *text)
{
    if (str_empty(text))
        return -1;
    return dns_wire_name_join(out, str_eq(text, ".") ? "" : text, NULL);
}

void dns_wire_name_text(const struct dns_name *n, char out[DNS_NAME_TEXT_BYTES])
{
    size_t to = 0;

    for (unsigned at = 0; at < n->len && n->w[at]; at += 1u + n->w[at]) {
        for (unsigned i = 1; i <= n->w[at]; i++) {
            uint8_t c = lower(n->w[at + i]);

            if (isgraph(c) && c != '.' && c != '\\' && c < 127)
                out[to++] = (char)c;
            else
                to += (size_t)snprintf(out + to, 5, "\\%03u", c);
        }
        out[to++] = '.';
    }
    if (to == 0)
        out[to++] = '.';
    out[to] = '\0';
}

/* Length bytes are below 64: lowering leaves them alone. */
static bool same(const uint8_t *a, const uint8_t *b, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (lower(a[i]) != lower(b[i]))
            return false;
    return true;
}

bool dns_wire_name_eq(const struct dns_name *a, const struct dns_name *b)
{
    return a->len == b->len && same(a->w, b->w, a->len);
}

bool dns_wire_name_under(const struct dns_name *n, const struct dns_name *top)
{
    unsigned at = 0;

    if (n->len < top->len)
        return false;
    while (n->len - at > top->len)
        at += 1u + n->w[at];
    return n->len - at == top->len && same(n->w + at, top->w, top->len);
}

unsigned dns_wire_labels(const struct dns_name *n, uint8_t out[DNS_LABELS_MAX])
{
    unsigned count = 0;

    for (unsigned at = 0; at < n->len && n->w[at]; at += 1u + n->w[at])
        out[count++] = (uint8_t)at;
    return count;
}

/* Reads the name at *at, which moves behind it. */
static int read_name(struct dns_name *out, const uint8_t *p, size_t len, size_t *at)
{
    size_t from = *at, earliest = *at;
    unsigned jumps = 0;

    out->len = 0;
    for (;;) {
        uint8_t c;

        if (from >= len)
            return -1;
        c = p[from];
        if ((c & 0xc0) == 0xc0) {
            size_t to;

            if (from + 1 >= len)
                return -1;
            to = (size_t)(c & 0x3f) << 8 | p[from + 1];
            if (jumps++ == 0)
                *at = from + 2;
            if (to >= earliest || to < DNS_HEADER_BYTES || jumps > DNS_LABELS_MAX)
                return -1;
            from = earliest = to;
            continue;
        }
        if ((c & 0xc0) || from + 1u + c > len || out->len + 1u + c > DNS_NAME_BYTES)
            return -1;
        memcpy(out->w + out->len, p + from, 1u + c);
        out->len = (uint8_t)(out->len + 1u + c);
        from += 1u + c;
        if (c == 0)
            break;
        if (out->len == DNS_NAME_BYTES)
            return -1;
    }
    if (jumps == 0)
        *at = from;
    return 0;
}

/* --- questions */

struct raw_rr {
    struct dns_name name;
    uint16_t type, cls;
    uint32_t ttl;
    size_t at;                           /* of the data */
    uint16_t len;
};

static int read_rr(struct raw_rr *out, const uint8_t *p, size_t len, size_t *at)
{
    if (read_name(&out->name, p, len, at) < 0 || *at + 10 > len)
        return -1;
    out->type = dns_wire_get16(p + *at);
    out->cls = dns_wire_get16(p + *at + 2);
    out->ttl = dns_wire_get32(p + *at + 4);
    out->len = dns_wire_get16(p + *at + 8);
    out->at = *at + 10;
    *at = out->at + out->len;
    return *at <= len ? 0 : -1;
}

/* The records behind the question: at most one OPT, and of nothing else any meaning. */
static int read_edns(struct dns_query *q, const uint8_t *p, size_t len, size_t at)
{
    unsigned n = 0;
    struct raw_rr rr;

    for (int i = 6; i < DNS_HEADER_BYTES; i += 2)
        n += dns_wire_get16(p + i);
    while (n--) {
        if (read_rr(&rr, p, len, &at) < 0)
            return DNS_FORMERR;
        if (rr.type != DNS_OPT)
            continue;
        if (q->edns || rr.name.len != 1)
            return DNS_FORMERR;
        q->edns = true;
        q->udp_bytes = rr.cls < 512 ? 512 : rr.cls;
        q->dnssec_ok = rr.ttl & 0x8000;
        if (rr.ttl >> 16 & 0xff)
            return DNS_BADVERS;
    }
    return DNS_NOERROR;
}

int dns_wire_parse_query(struct dns_query *q, const uint8_t *p, size_t len)
{
    size_t at = DNS_HEADER_BYTES;
    int code;

    *q = (struct dns_query){ .udp_bytes = 512 };
    if (len < DNS_HEADER_BYTES || p[2] & 0x80)           /* answers are not answered */
        return -1;
    q->id = dns_wire_get16(p);
    q->opcode = p[2] >> 3 & 15;
    q->rd = p[2] & 1;
    q->cd = p[3] & 0x10;
    if (q->opcode != 0)
        return DNS_NOTIMP;
    if (p[2] & 2 || dns_wire_get16(p + 4) != 1)
        return DNS_FORMERR;
    if (read_name(&q->name, p, len, &at) < 0 || at + 4 > len)
        return DNS_FORMERR;
    q->type = dns_wire_get16(p + at);
    q->cls = dns_wire_get16(p + at + 2);
    q->has_question = true;
    code = read_edns(q, p, len, at + 4);
    if (code != DNS_NOERROR)
        return code;
    if (q->cls != DNS_IN || q->type == DNS_AXFR || q->type == DNS_IXFR)
        return DNS_REFUSED;
    if (q->type == 0 || q->type == DNS_OPT || q->type == DNS_MAILA || q->type == DNS_MAILB)
        return DNS_NOTIMP;
    return DNS_NOERROR;
}

/* --- answers of other servers */

/* One name or number of the data; names come out whole. */
static int copy_field(struct buf *to, char form, const uint8_t *p, size_t end, size_t *at)
{
    struct dns_name name;
    size_t n;

    if (form == 'n') {
        if (read_name(&name, p, end, at) < 0)
            return -1;
        buf_add(to, name.w, name.len);
        return 0;
    }
    n = form == '2' ? 2 : form == '4' ? 4 : form == '*' ? end - *at : 0;
    if (form == 's')
        n = *at < end ? 1u + p[*at] : 1;
    if (*at + n > end)
        return -1;
    buf_add(to, p + *at, n);
    *at += n;
    return 0;
}

static int copy_data(struct buf *to, const uint8_t *p, const struct raw_rr *rr)
{
    size_t at = rr->at, end = rr->at + rr->len;

    buf_clear(to);
    for (const char *f = dns_wire_form(rr->type); *f; f++)
        if (copy_field(to, *f, p, end, &at) < 0)
            return -1;
    return at == end && to->len <= UINT16_MAX ? 0 : -1;
}

static int read_section(struct dns_answer *out, enum dns_section s, const uint8_t *p, size_t len,
                        size_t *at)
{
    _cleanup_buf_ struct buf data = BUF_INIT;
    unsigned n = dns_wire_get16(p + 4 + 2 * s);
    struct raw_rr rr;

    while (n--) {
        if (read_rr(&rr, p, len, at) < 0)
            return -1;
        if (rr.type == DNS_OPT && s == DNS_ADDITIONAL)
            out->rcode |= (uint8_t)(rr.ttl >> 24 << 4);
        if (rr.cls != DNS_IN || rr.type == DNS_OPT)
            continue;
        if (copy_data(&data, p, &rr) < 0)
            return -1;
        dns_wire_add(out, s, &rr.name, &(struct dns_data){ rr.type, rr.ttl, data.p, data.len });
    }
    return 0;
}

static int check_question(const uint8_t *p, size_t len, const struct dns_query *asked,
                          size_t *at, struct err *err)
{
    struct dns_name name;

    if (len < DNS_HEADER_BYTES || !(p[2] & 0x80))
        return err_set(err, ERR_CORRUPT, "no answer");
    if (dns_wire_get16(p) != asked->id)
        return err_set(err, ERR_INVALID, "answer to another question");
    if (dns_wire_get16(p + 4) == 0 && (p[3] & 15) != DNS_NOERROR && (p[3] & 15) != DNS_NXDOMAIN)
        return 0;                        /* some servers give a failure without the question */
    if (dns_wire_get16(p + 4) != 1 || read_name(&name, p, len, at) < 0 || *at + 4 > len)
        return err_set(err, ERR_CORRUPT, "no question in the answer");
    if (!dns_wire_name_eq(&name, &asked->name) || dns_wire_get16(p + *at) != asked->type ||
        dns_wire_get16(p + *at + 2) != DNS_IN)
        return err_set(err, ERR_INVALID, "answer to another question");
    *at += 4;
    return 0;
}

int dns_wire_parse_answer(struct dns_answer *out, const uint8_t *p, size_t len,
                          const struct dns_query *asked, struct err *err)
{
    size_t at = DNS_HEADER_BYTES;

    dns_wire_answer_clear(out);
    if (check_question(p, len, asked, &at, err) < 0)
        return -1;
    out->rcode = p[3] & 15;
    out->tc = p[2] & 2;
    out->ad = p[3] & 0x20;
    for (enum dns_section s = DNS_ANSWER; s <= DNS_ADDITIONAL; s++) {
        if (read_section(out, s, p, len, &at) == 0)
            continue;
        if (out->tc)                     /* cut off in the middle: TCP will bring the whole */
            break;
        return err_set(err, ERR_CORRUPT, "bad record in the answer");
    }
    return 0;
}
