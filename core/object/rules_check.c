/* core/object/rules_check.c -- checks that several kinds share: labels, selectors, addresses,
 * ports. */
#include <arpa/inet.h>

#include "core/base/check.h"
#include "core/object/rules_impl.h"

#define SUBDOMAIN_MAX 253
#define SIGNER_MAX (SUBDOMAIN_MAX + SUBDOMAIN_MAX + 63 + 1 + 1)

void rules_check_labels(struct causes *c, const struct rules_path *p, const struct json *labels)
{
    json_each_member(m, labels) {
        rules_check_format(c, p, rules_fmt_qualified, m->key);
        rules_check_format(c, p, rules_fmt_label_value, json_text(m->val) ? m->val->s : "");
    }
}

static void check_expression(struct causes *c, const struct rules_path *p, const struct json *expr)
{
    const struct json *values = json_get(expr, "values");
    const char *op = rules_str(expr, "operator");
    struct json *v;

    if (str_eq(op, "In") || str_eq(op, "NotIn")) {
        if (json_len(values) == 0)
            rules_required(c, RULES_AT(p, "values"),
                           "must be specified when `operator` is 'In' or 'NotIn'");
    } else if (str_eq(op, "Exists") || str_eq(op, "DoesNotExist")) {
        if (json_len(values) > 0)
            rules_forbidden(c, RULES_AT(p, "values"),
                            "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
    } else {
        rules_invalid_s(c, RULES_AT(p, "operator"), op, "not a valid selector operator");
    }
    rules_check_format(c, RULES_AT(p, "key"), rules_fmt_qualified, rules_str(expr, "key"));
    json_each(v, values)
        rules_check_format(c, RULES_IDX(RULES_AT(p, "values"), v_i), rules_fmt_label_value,
                           json_text(v) ? v->s : "");
}

void rules_check_selector(struct causes *c, const struct rules_path *p, const struct json *selector)
{
    struct json *expr;

    rules_check_labels(c, RULES_AT(p, "matchLabels"), json_get(selector, "matchLabels"));
    json_each(expr, json_get(selector, "matchExpressions"))
        check_expression(c, RULES_IDX(RULES_AT(p, "matchExpressions"), expr_i), expr);
}

/* --- addresses */

/* Drops leading zeros of the parts of an IPv4 address, as lenient parsers read it. */
static bool strip_octet_zeros(const char *s, char *out, size_t size)
{
    size_t n = 0;
    bool start = true;

    for (; *s; s++) {
        if (start && *s == '0' && s[1] >= '0' && s[1] <= '9')
            continue;
        start = *s == '.';
        if (n + 1 >= size)
            return false;
        out[n++] = *s;
    }
    out[n] = 0;
    return true;
}

int rules_ip_parse(const char *s, unsigned char out[16])
{
    char plain[64];

    if (strchr(s, ':'))
        return inet_pton(AF_INET6, s, out) == 1 ? 6 : 0;
    if (!strip_octet_zeros(s, plain, sizeof(plain)))
        return 0;
    return inet_pton(AF_INET, plain, out) == 1 ? 4 : 0;
}

int rules_ip_family(const char *s)
{
    unsigned char bytes[16];

    return rules_ip_parse(s, bytes);
}

static bool is_mapped(const unsigned char *bytes)
{
    static const unsigned char prefix[12] = { [10] = 0xff, [11] = 0xff };

    return memcmp(bytes, prefix, sizeof(prefix)) == 0;
}

void rules_check_ip(struct causes *c, const struct rules_path *p, const char *s, bool legacy)
{
    unsigned char bytes[16];
    int family = rules_ip_parse(s, bytes);
    char text[INET6_ADDRSTRLEN];

    if (!family) {
        rules_invalid_s(c, p, s, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)");
        return;
    }
    inet_ntop(family == 4 ? AF_INET : AF_INET6, bytes, text, sizeof(text));
    if (family == 4 && !str_eq(text, s))
        rules_invalid_s(c, p, s, "must not have leading 0s");
    else if (family == 6 && is_mapped(bytes))
        rules_invalid_s(c, p, s, "must not be an IPv4-mapped IPv6 address");
    else if (!legacy && !str_eq(text, s))
        rules_invalid(c, p, json_str(c->a, s), "must be in canonical form (\"%s\")", text);
}

static bool has_host_bits(const unsigned char *bytes, int family, unsigned bits)
{
    for (unsigned i = bits; i < (family == 4 ? 32u : 128u); i++)
        if (bytes[i / 8] >> (7 - i % 8) & 1)
            return true;
    return false;
}

void rules_check_cidr(struct causes *c, const struct rules_path *p, const char *s)
{
    const char *slash = strchr(s, '/');
    const char *host = slash ? arena_strndup(c->a, s, (size_t)(slash - s)) : s;
    unsigned char bytes[16];
    int family = rules_ip_parse(host, bytes);
    char text[INET6_ADDRSTRLEN];
    int64_t bits;

    if (!slash || !family || strspn(slash + 1, "0123456789") != strlen(slash + 1) ||
        str_to_i64(slash + 1, 0, family == 4 ? 32 : 128, &bits, NULL) < 0) {
        rules_invalid_s(c, p, s, "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)");
        return;
    }
    inet_ntop(family == 4 ? AF_INET : AF_INET6, bytes, text, sizeof(text));
    if ((family == 4 && !str_eq(text, host)) || (slash[1] == '0' && slash[2]))
        rules_invalid_s(c, p, s, "must not have leading 0s in IP or prefix length");
    else if (family == 6 && is_mapped(bytes))
        rules_invalid_s(c, p, s, "must not have an IPv4-mapped IPv6 address");
    else if (has_host_bits(bytes, family, (unsigned)bits))
        rules_invalid_s(c, p, s, "must not have bits set beyond the prefix length");
}

void rules_check_port(struct causes *c, const struct rules_path *p, int64_t port)
{
    if (port < 1 || port > 65535)
        rules_invalid_i(c, p, port, "must be between 1 and 65535, inclusive");
}

void rules_check_int_or_string(struct causes *c, const struct rules_path *p, const struct json *v)
{
    if (json_text(v)) {
        struct rules_msgs m = { .a = c->a };

        rules_fmt_percent(&m, v->s);
        if (m.n)
            rules_invalid_s(c, p, v->s, m.v[0]);
    } else if (json_is(v, JSON_INT) && v->i < 0) {
        rules_invalid_i(c, p, v->i, "must be greater than or equal to 0");
    }
}

/* A port by number or name; absent counts as 0. */
void rules_check_port_ref(struct causes *c, const struct rules_path *p, const struct json *v)
{
    if (json_text(v))
        rules_check_format(c, p, rules_fmt_port_name, v->s);
    else
        rules_check_port(c, p, json_is(v, JSON_INT) ? v->i : 0);
}

bool rules_seen(struct json *seen, struct arena *a, const char *key)
{
    if (json_get(seen, key))
        return true;
    json_set(a, seen, key, json_bool(a, true));
    return false;
}

/* --- names of signers of certificates */

/* The first part that is not of this form is reported, then no more. */
static void check_parts(struct causes *c, const struct rules_path *p, const char *s,
                        rules_format *format)
{
    struct rules_msgs m = { .a = c->a };
    struct slice rest = slice_of(s), part;

    while (m.n == 0 && slice_split(&rest, '.', &part)) {
        const char *text = arena_strndup(c->a, part.p, part.len);

        format(&m, text);
        for (unsigned i = 0; i < m.n; i++)
            rules_invalid_s(c, p, s, arena_printf(c->a, "validating label \"%s\": %s", text,
                                                  m.v[i]));
    }
}

void rules_check_signer(struct causes *c, const struct rules_path *p, const char *s)
{
    const char *slash = strchr(s, '/'), *domain;

    if (!*s) {
        rules_required(c, p, "");
        return;
    }
    if (!slash || strchr(slash + 1, '/')) {
        rules_invalid_s(c, p, s, "must be a fully qualified domain and path of the form "
                        "'example.com/signer-name'");
        return;
    }
    domain = arena_strndup(c->a, s, (size_t)(slash - s));
    if (strlen(domain) > SUBDOMAIN_MAX)
        rules_too_long(c, p, SUBDOMAIN_MAX);
    check_parts(c, p, domain, rules_fmt_label);
    if (!strchr(domain, '.'))
        rules_invalid_s(c, p, domain,
                        "should be a domain with at least two segments separated by dots");
    check_parts(c, p, slash + 1, rules_fmt_subdomain);
    if (strlen(s) > SIGNER_MAX)
        rules_too_long(c, p, SIGNER_MAX);
}
