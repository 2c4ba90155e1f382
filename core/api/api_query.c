/* api_query.c: the query of a request: decoding, and the typed options upstream calls
 * ListOptions and so on. */
#include "core/api/api_call.h"

#include <stdlib.h>

#define QUERY_PARAMS_MAX 256

static int hex_digit(char ch)
{
    if (ch >= '0' && ch <= '9')
        return ch - '0';
    if (ch >= 'a' && ch <= 'f')
        return ch - 'a' + 10;
    if (ch >= 'A' && ch <= 'F')
        return ch - 'A' + 10;
    return -1;
}

char *api_unescape(struct arena *a, const char *p, size_t len, bool plus)
{
    char *out = arena_alloc(a, len + 1), *w = out;
    size_t i;

    for (i = 0; i < len; i++) {
        if (p[i] == '%') {
            int hi = i + 2 < len ? hex_digit(p[i + 1]) : -1;
            int lo = i + 2 < len ? hex_digit(p[i + 2]) : -1;

            if (hi < 0 || lo < 0)
                return NULL;
            *w++ = (char)(hi * 16 + lo);
            i += 2;
        } else {
            *w++ = plus && p[i] == '+' ? ' ' : p[i];
        }
    }
    *w = '\0';
    return out;
}

void api_query_parse(struct api_query *out, struct arena *a, const char *text)
{
    struct slice rest = slice_of(text), part;

    *out = (struct api_query){ .v = arena_alloc(a, QUERY_PARAMS_MAX * sizeof(*out->v)) };
    while (rest.len && out->len < QUERY_PARAMS_MAX && slice_split(&rest, '&', &part)) {
        const char *eq = part.len ? memchr(part.p, '=', part.len) : NULL;
        size_t key_len = eq ? (size_t)(eq - part.p) : part.len;
        char *key, *val;

        if (!part.len)
            continue;
        key = api_unescape(a, part.p, key_len, true);
        val = eq ? api_unescape(a, eq + 1, part.len - key_len - 1, true) : arena_strdup(a, "");
        if (key && val)
            out->v[out->len++] = (struct api_param){ key, val };
    }
}

const char *api_query_get(const struct api_query *q, const char *key)
{
    for (unsigned i = 0; i < q->len; i++)
        if (str_eq(q->v[i].key, key))
            return q->v[i].val;
    return NULL;
}

/* Go's conversion of a query text to bool: absent, "", "0" and "false" are false, all else is
 * true. */
static bool flag(const struct api_call *c, const char *key)
{
    const char *v = api_query_get(&c->query, key);

    return v && strcmp(v, "0") != 0 && strcmp(v, "false") != 0;
}

static int number(struct api_call *c, const char *key, int64_t *out)
{
    const char *v = api_query_get(&c->query, key);

    if (!v || !*v)
        return 0;
    if (str_to_i64(v, INT64_MIN, INT64_MAX, out, NULL) < 0)
        return api_fail(c, status_bad_request(c->a,
            "strconv.ParseInt: parsing \"%s\": invalid syntax", v));
    return 0;
}

/* The options of a verb have a kind of their own, named in failures. */
static const char *options_kind(const struct api_call *c)
{
    static const char *const names[API_VERB_MAX] = {
        [API_GET] = "GetOptions", [API_LIST] = "ListOptions", [API_WATCH] = "ListOptions",
        [API_CREATE] = "CreateOptions", [API_UPDATE] = "UpdateOptions",
            [API_PATCH] = "PatchOptions",
        [API_DELETE] = "DeleteOptions", [API_DELETECOLLECTION] = "DeleteOptions",
        [API_CONNECT] = "ConnectOptions", [API_NONRESOURCE] = "Options",
    };
    return names[c->route.verb];
}

static int settle(struct api_call *c, const struct causes *causes)
{
    if (!causes->len)
        return 0;
    return api_fail(c, status_invalid_gk(c->a, "meta.k8s.io", options_kind(c), "", causes));
}

static void check_dry_run(struct api_call *c, struct causes *causes)
{
    struct json *all = NULL;
    bool bad = false;

    for (unsigned i = 0; i < c->query.len; i++) {
        if (!str_eq(c->query.v[i].key, "dryRun"))
            continue;
        if (!all)
            all = json_array(c->a);
        json_append(c->a, all, json_str(c->a, c->query.v[i].val));
        if (str_eq(c->query.v[i].val, "All"))
            c->opt.dry_run = true;
        else
            bad = true;
    }
    if (bad)
        causes_add(causes, CAUSE_NOT_SUPPORTED, "dryRun", all, "supported values: \"All\"");
}

static void check_manager(struct api_call *c, struct causes *causes)
{
    const char *m = api_query_get(&c->query, "fieldManager");

    if (str_empty(m))
        return;
    if (strlen(m) > 128)
        causes_add(causes, CAUSE_TOO_LONG, "fieldManager", NULL, "may not be more than 128 bytes");
    for (const char *p = m; *p; p++) {
        if ((unsigned char)*p >= 0x20 && *p != 0x7f)
            continue;
        causes_add(causes, CAUSE_INVALID, "fieldManager", json_str(c->a, m),
                   "should only contain printable characters");
        break;
    }
    c->opt.field_manager = m;
}

static void check_strict(struct api_call *c, struct causes *causes)
{
    static const char *const modes[] = { [STRICT_IGNORE] = "Ignore", [STRICT_WARN] = "Warn",
                                         [STRICT_STRICT] = "Strict" };
    const char *v = api_query_get(&c->query, "fieldValidation");

    c->opt.strict = STRICT_WARN;
    if (str_empty(v))
        return;
    for (unsigned i = 0; i < ARRAY_LEN(modes); i++) {
        if (!str_eq(v, modes[i]))
            continue;
        c->opt.strict = (enum codec_strict)i;
        return;
    }
    causes_add(causes, CAUSE_NOT_SUPPORTED, "fieldValidation", json_str(c->a, v),
               "supported values: \"Ignore\", \"Strict\", \"Warn\"");
}

static int write_options(struct api_call *c)
{
    struct causes causes = { .a = c->a };
    const char *type = c->content_type ? c->content_type : "";

    if (c->route.verb == API_PATCH && api_query_get(&c->query, "force")) {
        c->opt.force = flag(c, "force");
        if (!strstr(type, "apply-patch"))
            causes_add(&causes, CAUSE_FORBIDDEN, "force", NULL,
                       "may not be specified for non-apply patch");
    }
    check_manager(c, &causes);
    check_dry_run(c, &causes);
    check_strict(c, &causes);
    return settle(c, &causes);
}

static void forbid(struct causes *causes, const char *field, const char *text)
{
    causes_add(causes, CAUSE_FORBIDDEN, field, NULL, "%s", text);
}

static void check_match(struct api_call *c, struct causes *causes)
{
    const struct api_options *o = &c->opt;
    static const char field[] = "resourceVersionMatch";
    bool no_rv = str_empty(o->rv);

    if (str_empty(o->rv_match))
        return;
    if (no_rv)
        forbid(causes, field, "resourceVersionMatch is forbidden unless resourceVersion is "
               "provided");
    if (!str_empty(o->cont))
        forbid(causes, field, "resourceVersionMatch is forbidden when continue is provided");
    if (!str_eq(o->rv_match, "Exact") && !str_eq(o->rv_match, "NotOlderThan"))
        causes_add(causes, CAUSE_NOT_SUPPORTED, field, json_str(c->a, o->rv_match),
                   "supported values: \"Exact\", \"NotOlderThan\", \"\"");
    if (str_eq(o->rv_match, "Exact") && str_eq(o->rv, "0"))
        forbid(causes, field, "resourceVersionMatch \"exact\" is forbidden for resourceVersion "
               "\"0\"");
}

static void check_watch(struct api_call *c, struct causes *causes)
{
    const struct api_options *o = &c->opt;
    static const char field[] = "resourceVersionMatch";

    bool fits = str_eq(o->rv_match, "NotOlderThan");

    if (o->has_send_initial && !fits)
        forbid(causes, field, "sendInitialEvents requires setting resourceVersionMatch to "
               "NotOlderThan");
    if (str_empty(o->rv_match))
        return;
    if (!o->has_send_initial)
        forbid(causes, field, "resourceVersionMatch is forbidden for watch unless "
               "sendInitialEvents is provided");
    if (!fits)
        causes_add(causes, CAUSE_NOT_SUPPORTED, field, json_str(c->a, o->rv_match),
                   "supported values: \"NotOlderThan\"");
    if (!str_empty(o->cont))
        forbid(causes, field, "resourceVersionMatch is forbidden when continue is provided");
}

static int list_options(struct api_call *c)
{
    struct causes causes = { .a = c->a };
    struct api_options *o = &c->opt;

    o->label_selector = api_query_get(&c->query, "labelSelector");
    o->field_selector = api_query_get(&c->query, "fieldSelector");
    o->rv = api_query_get(&c->query, "resourceVersion");
    o->rv_match = api_query_get(&c->query, "resourceVersionMatch");
    o->cont = api_query_get(&c->query, "continue");
    o->bookmarks = flag(c, "allowWatchBookmarks");
    o->has_send_initial = api_query_get(&c->query, "sendInitialEvents") != NULL;
    o->send_initial = flag(c, "sendInitialEvents");
    if (number(c, "limit", &o->limit) < 0 || number(c, "timeoutSeconds", &o->timeout_s) < 0)
        return -1;
    if (o->limit < 0)
        o->limit = 0;
    if (c->route.verb == API_WATCH) {
        check_watch(c, &causes);
    } else {
        if (o->has_send_initial)
            forbid(&causes, "sendInitialEvents", "sendInitialEvents is forbidden for list");
        check_match(c, &causes);
    }
    return settle(c, &causes);
}

static int delete_options(struct api_call *c)
{
    c->opt.grace = api_query_get(&c->query, "gracePeriodSeconds");
    c->opt.propagation = api_query_get(&c->query, "propagationPolicy");
    c->opt.orphan = api_query_get(&c->query, "orphanDependents");
    c->opt.dry_run_text = api_query_get(&c->query, "dryRun");
    return c->route.verb == API_DELETECOLLECTION ? list_options(c) : 0;
}

int api_options_parse(struct api_call *c)
{
    c->opt.strict = STRICT_WARN;
    c->opt.include_object = api_query_get(&c->query, "includeObject");
    switch (c->route.verb) {
    case API_CREATE: case API_UPDATE: case API_PATCH: return write_options(c);
    case API_LIST: case API_WATCH: return list_options(c);
    case API_DELETE: case API_DELETECOLLECTION: return delete_options(c);
    case API_GET: c->opt.rv = api_query_get(&c->query, "resourceVersion"); return 0;
    default: return 0;
    }
}
