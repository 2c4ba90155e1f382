/* dns_wire_render.c -- messages put together: records as they fit, names compressed. */
#include "core/base/check.h"
#include "net/dns/dns_wire.h"
#include "net/dns/dns_wire_int.h"

#define OPT_BYTES 11
#define SUFFIXES_MAX 128                 /* names remembered for compression */
#define POINTER_MAX 0x3fff

struct writer {
    uint8_t *p;
    size_t len, limit;
    uint16_t suffix[SUFFIXES_MAX];       /* where names and their tails begin */
    unsigned n_suffixes;
};

/* --- answers as lists of records: section, type, ttl, length of the data, name, data */

#define RR_HEAD 9

void dns_wire_answer_clear(struct dns_answer *a)
{
    a->rcode = DNS_NOERROR;
    a->aa = a->tc = a->ad = false;
    buf_clear(&a->rrs);
}

void dns_wire_answer_deinit(struct dns_answer *a)
{
    buf_deinit(&a->rrs);
}

void dns_wire_add(struct dns_answer *a, enum dns_section section, const struct dns_name *name,
                  const struct dns_data *data)
{
    uint8_t head[RR_HEAD];

    check(data->len <= UINT16_MAX);
    head[0] = (uint8_t)section;
    dns_wire_put16(head + 1, data->type);
    dns_wire_put32(head + 3, data->ttl > INT32_MAX ? 0 : data->ttl); /* RFC 2181, section 8 */
    dns_wire_put16(head + 7, (uint16_t)data->len);
    buf_add(&a->rrs, head, RR_HEAD);
    buf_add(&a->rrs, &name->len, 1);
    buf_add(&a->rrs, name->w, name->len);
    buf_add(&a->rrs, data->p, data->len);
}

bool dns_wire_next(const struct dns_answer *a, size_t *at, struct dns_rr *out)
{
    const uint8_t *p = (const uint8_t *)a->rrs.p + *at;

    if (*at >= a->rrs.len)
        return false;
    out->section = p[0];
    out->type = dns_wire_get16(p + 1);
    out->ttl = dns_wire_get32(p + 3);
    out->len = dns_wire_get16(p + 7);
    out->name.len = p[RR_HEAD];
    memcpy(out->name.w, p + RR_HEAD + 1, out->name.len);
    out->data = p + RR_HEAD + 1 + out->name.len;
    *at += RR_HEAD + 1u + out->name.len + out->len;
    check(*at <= a->rrs.len);
    return true;
}

/* --- writing */

static int put(struct writer *w, const void *p, size_t len)
{
    if (len > w->limit - w->len)
        return -1;
    memcpy(w->p + w->len, p, len);
    w->len += len;
    return 0;
}

/* Is what was written at `at` this tail of a name? Pointers that we wrote lead backwards. */
static bool written_is(const struct writer *w, size_t at, const uint8_t *tail)
{
    for (;;) {
        while ((w->p[at] & 0xc0) == 0xc0)
            at = (size_t)(w->p[at] & 0x3f) << 8 | w->p[at + 1];
        if (w->p[at] != *tail || memcmp(w->p + at, tail, 1u + *tail) != 0)
            return false;
        if (*tail == 0)
            return true;
        at += 1u + *tail;
        tail += 1u + *tail;
    }
}

static int put_name(struct writer *w, const uint8_t *name, bool compress)
{
    unsigned whole = compress ? w->n_suffixes : 0;       /* not our own, which is half written */

    while (*name) {
        for (unsigned i = 0; i < whole; i++) {
            uint8_t pointer[2];

            if (!written_is(w, w->suffix[i], name))
                continue;
            dns_wire_put16(pointer, (uint16_t)(0xc000 | w->suffix[i]));
            return put(w, pointer, 2);
        }
        if (w->len <= POINTER_MAX && w->n_suffixes < SUFFIXES_MAX &&
            w->limit - w->len > *name + 1u)
            w->suffix[w->n_suffixes++] = (uint16_t)w->len;
        if (put(w, name, 1u + *name) < 0)
            return -1;
        name += 1u + *name;
    }
    return put(w, name, 1);
}

static size_t name_len(const uint8_t *p)
{
    size_t n = 0;

    while (p[n])
        n += 1u + p[n];
    return n + 1;
}

/* SRV and newer types are written whole: old readers do not expand them (RFC 3597, section 4). */
static int put_data(struct writer *w, const struct dns_rr *rr)
{
    const uint8_t *p = rr->data, *end = rr->data + rr->len;
    bool compress = rr->type < DNS_TXT;

    for (const char *f = dns_wire_form(rr->type); *f; f++) {
        size_t n = *f == 'n' ? name_len(p) : *f == '2' ? 2 : *f == '4' ? 4 :
                   *f == 's' ? 1u + *p : (size_t)(end - p);

        if ((*f == 'n' ? put_name(w, p, compress) : put(w, p, n)) < 0)
            return -1;
        p += n;
    }
    return 0;
}

/* Whole or not at all. */
static int put_rr(struct writer *w, const struct dns_rr *rr, uint32_t age_s)
{
    size_t before = w->len, length_at;
    unsigned suffixes = w->n_suffixes;
    uint8_t fixed[10];

    dns_wire_put16(fixed, rr->type);
    dns_wire_put16(fixed + 2, DNS_IN);
    dns_wire_put32(fixed + 4, rr->ttl > age_s ? rr->ttl - age_s : 0);
    dns_wire_put16(fixed + 8, 0);
    if (put_name(w, rr->name.w, true) == 0 && put(w, fixed, sizeof(fixed)) == 0) {
        length_at = w->len - 2;
        if (put_data(w, rr) == 0) {
            dns_wire_put16(w->p + length_at, (uint16_t)(w->len - length_at - 2));
            return 0;
        }
    }
    w->len = before;
    w->n_suffixes = suffixes;
    return -1;
}

static void put_opt(struct writer *w, const struct dns_query *q, unsigned rcode, uint16_t udp_bytes)
{
    uint8_t opt[OPT_BYTES] = { 0 };

    dns_wire_put16(opt + 1, DNS_OPT);
    dns_wire_put16(opt + 3, udp_bytes);
    opt[5] = (uint8_t)(rcode >> 4);
    opt[7] = q->dnssec_ok ? 0x80 : 0;
    put(w, opt, sizeof(opt));
    dns_wire_put16(w->p + 10, (uint16_t)(dns_wire_get16(w->p + 10) + 1));
}

static void put_header(struct writer *w, const struct dns_query *q, const struct dns_answer *a)
{
    uint8_t h[DNS_HEADER_BYTES] = { 0 };

    dns_wire_put16(h, q->id);
    h[2] = (uint8_t)(0x80 | q->opcode << 3 | (a->aa ? 4 : 0) | (a->tc ? 2 : 0) | (q->rd ? 1 : 0));
    h[3] = (uint8_t)(0x80 | (a->ad ? 0x20 : 0) | (q->cd ? 0x10 : 0) | (a->rcode & 15));
    h[5] = q->has_question;
    put(w, h, sizeof(h));
}

static void put_question(struct writer *w, const struct dns_query *q)
{
    uint8_t fixed[4];

    dns_wire_put16(fixed, q->type);
    dns_wire_put16(fixed + 2, q->cls);
    put_name(w, q->name.w, true);
    put(w, fixed, sizeof(fixed));
}

size_t dns_wire_render(uint8_t *out, size_t limit, const struct dns_query *q,
                       const struct dns_answer *a, uint32_t age_s)
{
    struct writer w = { .p = out, .limit = limit - (q->edns ? OPT_BYTES : 0) };
    bool full[DNS_ADDITIONAL + 1] = { false };
    uint16_t counts[DNS_ADDITIONAL + 1] = { 0 };
    struct dns_rr rr;
    size_t at = 0;

    check(limit >= 512);
    put_header(&w, q, a);
    if (q->has_question)
        put_question(&w, q);
    while (dns_wire_next(a, &at, &rr)) {
        if (full[DNS_ANSWER] || full[rr.section])
            continue;
        if (put_rr(&w, &rr, age_s) == 0)
            counts[rr.section]++;
        else
            full[rr.section] = true;
    }
    if (full[DNS_ANSWER])
        out[2] |= 2;
    for (int s = DNS_ANSWER; s <= DNS_ADDITIONAL; s++)
        dns_wire_put16(out + 4 + 2 * s, counts[s]);
    w.limit = limit;
    if (q->edns)
        put_opt(&w, q, a->rcode, 1232);
    return w.len;
}

size_t dns_wire_question(uint8_t out[512], uint16_t id, const struct dns_query *q, bool edns)
{
    struct writer w = { .p = out, .limit = 512 };
    struct dns_query mine = *q;

    mine.has_question = true;
    mine.id = id;
    put_header(&w, &mine, &(struct dns_answer){ 0 });
    out[2] = 1;                          /* recursion desired */
    out[3] = q->cd ? 0x10 : 0;
    put_question(&w, &mine);
    if (edns)
        put_opt(&w, q, 0, 1232);
    return w.len;
}
