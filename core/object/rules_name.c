/* core/object/rules_name.c -- the formats of names, labels and their kin, with upstream's texts. */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>

#include "core/base/check.h"
#include "core/object/rules_impl.h"

#define LABEL_MAX 63
#define SUBDOMAIN_MAX 253
#define PORT_NAME_MAX 15

#define RE_LABEL "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
#define RE_LABEL_UNDERSCORE "_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
#define RE_KEY "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
#define MSG_KEY \
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an " \
    "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for " \
    "validation is '" RE_KEY "')"
#define MSG_LABEL \
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and " \
    "must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex " \
    "used for validation is '" RE_LABEL "')"
#define MSG_SUBDOMAIN \
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or " \
    "'.', and must start and end with an alphanumeric character (e.g. 'example.com', regex " \
    "used for validation is '" RE_LABEL "(\\." RE_LABEL ")*')"
#define MSG_SUBDOMAIN_UNDERSCORE \
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', " \
    "'-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', " \
    "regex used for validation is '" RE_LABEL_UNDERSCORE "(\\." RE_LABEL_UNDERSCORE ")*')"
#define MSG_DNS1035 \
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an " \
    "alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or " \
    "'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"
#define MSG_LABEL_VALUE \
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or " \
    "'.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or " \
    "'my_value',  or '12345', regex used for validation is '(" RE_KEY ")?')"
#define MSG_CONFIG_KEY \
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. " \
    "'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is " \
    "'[-._a-zA-Z0-9]+')"
#define MSG_WILDCARD \
    "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, " \
    "which must consist of lower case alphanumeric characters, '-' or '.' and end with an " \
    "alphanumeric character (e.g. '*.example.com', regex used for validation is '\\*\\." \
    RE_LABEL "(\\." RE_LABEL ")*')"

void rules_msg(struct rules_msgs *m, const char *format, ...)
{
    char text[700];
    va_list ap;

    check(m->n < RULES_MSGS_MAX);
    va_start(ap, format);
    vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    m->v[m->n++] = arena_strdup(m->a, text);
}

const char *rules_msgs_join(const struct rules_msgs *m, const char *sep)
{
    _cleanup_buf_ struct buf b = BUF_INIT;

    if (m->n == 0)
        return NULL;
    for (unsigned i = 0; i < m->n; i++) {
        if (i)
            buf_str(&b, sep);
        buf_str(&b, m->v[i]);
    }
    return arena_strdup(m->a, b.p);
}

static bool is_lower_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_alnum(char c)
{
    return is_lower_alnum(c) || (c >= 'A' && c <= 'Z');
}

static bool is_label(const char *s, size_t len)
{
    if (len == 0 || !is_lower_alnum(s[0]) || !is_lower_alnum(s[len - 1]))
        return false;
    for (size_t i = 0; i < len; i++)
        if (!is_lower_alnum(s[i]) && s[i] != '-')
            return false;
    return true;
}

static bool is_label_underscore(const char *s, size_t len)
{
    if (len && s[0] == '_') {
        s++;
        len--;
    }
    if (len == 0 || !is_lower_alnum(s[0]) || !is_lower_alnum(s[len - 1]))
        return false;
    for (size_t i = 0; i < len; i++)
        if (!is_lower_alnum(s[i]) && s[i] != '-' && s[i] != '_')
            return false;
    return true;
}

static bool is_dotted(const char *s, bool (*part)(const char *, size_t))
{
    for (;;) {
        size_t len = strcspn(s, ".");

        if (!part(s, len))
            return false;
        if (!s[len])
            return true;
        s += len + 1;
    }
}

/* The name part of a label key, and a label value that is not empty. */
static bool is_key_name(const char *s, size_t len)
{
    if (len == 0 || !is_alnum(s[0]) || !is_alnum(s[len - 1]))
        return false;
    for (size_t i = 0; i < len; i++)
        if (!is_alnum(s[i]) && !strchr("-_.", s[i]))
            return false;
    return true;
}

void rules_fmt_label(struct rules_msgs *m, const char *s)
{
    if (strlen(s) > LABEL_MAX)
        rules_msg(m, "must be no more than %d characters", LABEL_MAX);
    if (is_label(s, strlen(s)))
        return;
    rules_msg(m, "%s", is_dotted(s, is_label) ? "must not contain dots" : MSG_LABEL);
}

void rules_fmt_subdomain(struct rules_msgs *m, const char *s)
{
    if (strlen(s) > SUBDOMAIN_MAX)
        rules_msg(m, "must be no more than %d characters", SUBDOMAIN_MAX);
    if (!is_dotted(s, is_label))
        rules_msg(m, "%s", MSG_SUBDOMAIN);
}

void rules_fmt_subdomain_underscore(struct rules_msgs *m, const char *s)
{
    if (strlen(s) > SUBDOMAIN_MAX)
        rules_msg(m, "must be no more than %d characters", SUBDOMAIN_MAX);
    if (!is_dotted(s, is_label_underscore))
        rules_msg(m, "%s", MSG_SUBDOMAIN_UNDERSCORE);
}

void rules_fmt_wildcard(struct rules_msgs *m, const char *s)
{
    if (strlen(s) > SUBDOMAIN_MAX)
        rules_msg(m, "must be no more than %d characters", SUBDOMAIN_MAX);
    if (!str_starts(s, "*.") || !is_dotted(s + 2, is_label))
        rules_msg(m, "%s", MSG_WILDCARD);
}

void rules_fmt_dns1035(struct rules_msgs *m, const char *s)
{
    if (strlen(s) > LABEL_MAX)
        rules_msg(m, "must be no more than %d characters", LABEL_MAX);
    if (!is_label(s, strlen(s)) || !(s[0] >= 'a' && s[0] <= 'z'))
        rules_msg(m, "%s", MSG_DNS1035);
}

void rules_fmt_qualified(struct rules_msgs *m, const char *s)
{
    const char *slash = strchr(s, '/'), *name = slash ? slash + 1 : s;
    size_t len = strlen(name);

    if (slash && strchr(name, '/')) {
        rules_msg(m, "a valid label key " MSG_KEY
                  " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')");
        return;
    }
    if (slash == s) {
        rules_msg(m, "prefix part must be non-empty");
    } else if (slash) {
        const char *prefix = arena_strndup(m->a, s, (size_t)(slash - s));

        if (strlen(prefix) > SUBDOMAIN_MAX)
            rules_msg(m, "prefix part must be no more than %d bytes", SUBDOMAIN_MAX);
        if (!is_dotted(prefix, is_label))
            rules_msg(m, "prefix part %s", MSG_SUBDOMAIN);
    }
    if (len == 0)
        rules_msg(m, "name part must be non-empty");
    else if (len > LABEL_MAX)
        rules_msg(m, "name part must be no more than %d bytes", LABEL_MAX);
    if (!is_key_name(name, len))
        rules_msg(m, "name part " MSG_KEY);
}

void rules_fmt_label_value(struct rules_msgs *m, const char *s)
{
    size_t len = strlen(s);

    if (len > LABEL_MAX)
        rules_msg(m, "must be no more than %d bytes", LABEL_MAX);
    if (len && !is_key_name(s, len))
        rules_msg(m, "%s", MSG_LABEL_VALUE);
}

static void forbid_dots(struct rules_msgs *m, const char *s)
{
    if (str_eq(s, "."))
        rules_msg(m, "must not be '.'");
    else if (str_eq(s, ".."))
        rules_msg(m, "must not be '..'");
    else if (str_starts(s, ".."))
        rules_msg(m, "must not start with '..'");
}

void rules_fmt_config_key(struct rules_msgs *m, const char *s)
{
    bool good = *s;

    if (strlen(s) > SUBDOMAIN_MAX)
        rules_msg(m, "must be no more than %d characters", SUBDOMAIN_MAX);
    for (const char *p = s; *p; p++)
        good = good && (is_alnum(*p) || strchr("-._", *p));
    if (!good)
        rules_msg(m, "%s", MSG_CONFIG_KEY);
    forbid_dots(m, s);
}

void rules_fmt_port_name(struct rules_msgs *m, const char *s)
{
    bool charset = *s, letter = false;
    size_t len = strlen(s);

    if (len > PORT_NAME_MAX)
        rules_msg(m, "must be no more than %d characters", PORT_NAME_MAX);
    for (const char *p = s; *p; p++) {
        charset = charset && (is_lower_alnum(*p) || *p == '-');
        letter = letter || (*p >= 'a' && *p <= 'z');
    }
    if (!charset)
        rules_msg(m, "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)");
    if (!letter)
        rules_msg(m, "must contain at least one letter (a-z)");
    if (strstr(s, "--"))
        rules_msg(m, "must not contain consecutive hyphens");
    if (len && (s[0] == '-' || s[len - 1] == '-'))
        rules_msg(m, "must not begin or end with a hyphen");
}

void rules_fmt_env_name(struct rules_msgs *m, const char *s)
{
    if (!*s)
        rules_msg(m, "environment variable name must be non-empty");
    for (; *s; s++)
        if (*s < ' ' || *s > '~' || *s == '=') {
            rules_msg(m, "a valid environment variable name must consist only of printable ASCII "
                      "characters other than '='");
            return;
        }
}

void rules_fmt_http_header(struct rules_msgs *m, const char *s)
{
    bool good = *s;

    for (const char *p = s; *p; p++)
        good = good && (is_alnum(*p) || *p == '-');
    if (!good)
        rules_msg(m, "a valid HTTP header must consist of alphanumeric characters or '-' "
                  "(e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')");
}

void rules_fmt_percent(struct rules_msgs *m, const char *s)
{
    size_t digits = strspn(s, "0123456789");

    if (digits == 0 || !str_eq(s + digits, "%"))
        rules_msg(m, "a valid percent string must be a numeric string followed by an ending '%%' "
                  "(e.g. '1%%',  or '93%%', regex used for validation is '[0-9]+%%')");
}

void rules_fmt_c_identifier(struct rules_msgs *m, const char *s)
{
    bool good = *s && !(*s >= '0' && *s <= '9');

    for (const char *p = s; *p; p++)
        good = good && (is_alnum(*p) || *p == '_');
    if (!good)
        rules_msg(m,
                  "a valid C identifier must start with alphabetic character or '_', followed by a "
                  "string of alphanumeric characters or '_' (e.g. 'my_name',  or 'MY_NAME',  or "
                  "'MyName', regex used for validation is '[A-Za-z_][A-Za-z0-9_]*')");
}

void rules_fmt_path_segment(struct rules_msgs *m, const char *s)
{
    if (str_eq(s, "."))
        rules_msg(m, "may not be '.'");
    if (str_eq(s, ".."))
        rules_msg(m, "may not be '..'");
    if (strchr(s, '/'))
        rules_msg(m, "may not contain '/'");
    if (strchr(s, '%'))
        rules_msg(m, "may not contain '%%'");
}

bool rules_is(rules_format *format, const char *s)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    struct rules_msgs m = { .a = a };

    format(&m, s);
    return m.n == 0;
}

const char *rules_mask_dash(struct arena *a, const char *s)
{
    size_t len = strlen(s);

    if (len < 2 || s[len - 1] != '-')
        return s;
    return arena_printf(a, "%.*sa", (int)(len - 2), s);
}

static const char *run(struct arena *a, rules_format *format, const char *s)
{
    struct rules_msgs m = { .a = a };

    format(&m, s);
    return rules_msgs_join(&m, ", ");
}

const char *rules_dns1123_label(struct arena *a, const char *s)
{
    return run(a, rules_fmt_label, s);
}

const char *rules_dns1123_subdomain(struct arena *a, const char *s)
{
    return run(a, rules_fmt_subdomain, s);
}

const char *rules_dns1035_label(struct arena *a, const char *s)
{
    return run(a, rules_fmt_dns1035, s);
}

const char *rules_qualified_name(struct arena *a, const char *s)
{
    return run(a, rules_fmt_qualified, s);
}

const char *rules_label_value(struct arena *a, const char *s)
{
    return run(a, rules_fmt_label_value, s);
}


const char *rules_object_name(struct arena *a, const struct kind *kind, const char *name,
                              bool prefix)
{
    return run(a, rules_name_format(kind), prefix ? rules_mask_dash(a, name) : name);
}

/* Kinds named otherwise than by a DNS subdomain. */
static const struct { const char *group, *resource; rules_format *format; } name_formats[] = {
    { "", "namespaces", rules_fmt_label },
    { "", "services", rules_fmt_label },
    { "apps", "statefulsets", rules_fmt_label },
    { "rbac.authorization.k8s.io", "roles", rules_fmt_path_segment },
    { "rbac.authorization.k8s.io", "clusterroles", rules_fmt_path_segment },
    { "rbac.authorization.k8s.io", "rolebindings", rules_fmt_path_segment },
    { "rbac.authorization.k8s.io", "clusterrolebindings", rules_fmt_path_segment },
    { "certificates.k8s.io", "certificatesigningrequests", rules_fmt_path_segment },
};

rules_format *rules_name_format(const struct kind *kind)
{
    for (size_t i = 0; i < ARRAY_LEN(name_formats); i++)
        if (str_eq(name_formats[i].group, kind->group) &&
            str_eq(name_formats[i].resource, kind->resource))
            return name_formats[i].format;
    return rules_fmt_subdomain;
}
