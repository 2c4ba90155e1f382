/* api_negotiate.c: the Accept header -> the form of the answer. */
#include "core/api/api_call.h"

#include <stdlib.h>

#define ACCEPT_CLAUSES_MAX 32

struct clause {
    struct slice type;                      /* "application/json" */
    struct slice as, version, group, stream, pretty;
    double q;
};

static void parse_param(struct clause *out, struct slice param)
{
    struct slice key, val = param;

    if (!slice_split(&val, '=', &key) || !key.len)
        return;
    key = slice_trim(key);
    val = slice_trim(val);
    if (val.len >= 2 && val.p[0] == '"')
        val = (struct slice){ val.p + 1, val.len - 2 };
    if (slice_is(key, "as"))
        out->as = val;
    else if (slice_is(key, "v"))
        out->version = val;
    else if (slice_is(key, "g"))
        out->group = val;
    else if (slice_is(key, "stream"))
        out->stream = val;
    else if (slice_is(key, "pretty"))
        out->pretty = val;
    else if (slice_is(key, "q") && val.len && val.len < 16) {
        char text[16];

        memcpy(text, val.p, val.len);
        text[val.len] = '\0';
        out->q = strtod(text, NULL);
    }
}

static unsigned parse_accept(struct clause *out, const char *accept)
{
    struct slice rest = slice_of(accept), part, param;
    unsigned n = 0;

    while (rest.len && n < ACCEPT_CLAUSES_MAX && slice_split(&rest, ',', &part)) {
        struct clause cl = { .q = 1 };
        unsigned at;

        if (!slice_split(&part, ';', &param))
            continue;
        cl.type = slice_trim(param);
        while (part.len && slice_split(&part, ';', &param))
            parse_param(&cl, slice_trim(param));
        for (at = n; at > 0 && out[at - 1].q < cl.q; at--)     /* stable by weight */
            out[at] = out[at - 1];
        out[at] = cl;
        n++;
    }
    return n;
}

static bool set_media(struct api_media *m, const struct clause *cl)
{
    *m = (struct api_media){ .as_version = "v1" };
    if (slice_is(cl->type, "*/*") || slice_is(cl->type, "application/json"))
        m->form = API_JSON;
    else if (slice_is(cl->type, "application/yaml"))
        m->form = API_YAML;
    else if (slice_is(cl->type, "application/vnd.kubernetes.protobuf"))
        m->form = API_PROTOBUF;
    else
        return false;
    if (slice_is(cl->pretty, "1") || slice_is(cl->pretty, "true"))
        m->pretty = true;
    return true;
}

/* as=Table;v=v1;g=meta.k8s.io. False when this form is not known. */
static bool set_as(struct api_media *m, const struct clause *cl)
{
    static const char *const names[] = { [API_AS_TABLE] = "Table",
        [API_AS_PARTIAL] = "PartialObjectMetadata", [API_AS_PARTIAL_LIST] =
            "PartialObjectMetadataList" };

    if (!cl->as.len)
        return true;
    if (!slice_is(cl->group, "meta.k8s.io"))
        return false;
    if (slice_is(cl->version, "v1beta1"))
        m->as_version = "v1beta1";
    else if (!slice_is(cl->version, "v1"))
        return false;
    for (unsigned i = API_AS_TABLE; i < ARRAY_LEN(names); i++) {
        if (!slice_is(cl->as, names[i]))
            continue;
        m->as = (enum api_as)i;
        return true;
    }
    return false;
}

static int not_acceptable(struct api_call *c, bool known_form)
{
    bool streams = c->route.verb == API_LIST || c->route.verb == API_WATCH;
    struct status *s;

    if (!known_form)
        return api_fail(c, status_new(c->a, 406, "NotAcceptable",
            "only the following media types are accepted: application/json, application/yaml, "
            "application/vnd.kubernetes.protobuf"));
    s = status_new(c->a, 406, "NotAcceptable",
        "406: Not Acceptable\n\nAvailable representations: application/json, application/yaml, "
        "application/vnd.kubernetes.protobuf%s", streams ? ", application/json;stream=watch, "
        "application/vnd.kubernetes.protobuf;stream=watch" : "");
    s->kind = "";
    return api_fail(c, s);
}

static void pretty_param(struct api_call *c)
{
    const char *p = api_query_get(&c->query, "pretty");

    if (p && (str_eq(p, "1") || str_eq(p, "true") || !*p))
        c->media.pretty = true;
}

static enum api_form first_form(const struct clause *clauses, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        struct api_media m;

        if (!clauses[i].as.len && set_media(&m, &clauses[i]))
            return m.form;
    }
    return API_JSON;
}

/* The options of a Table are looked at wherever one may come out. */
static int check_include(struct api_call *c)
{
    const char *v = api_query_get(&c->query, "includeObject");

    if (c->media.as != API_AS_TABLE || str_empty(v) || str_eq(v, "None") || str_eq(v, "Metadata") ||
        str_eq(v, "Object"))
        return 0;
    return api_fail(c, status_bad_request(c->a, "unrecognized includeObject value: \"%s\"", v));
}

int api_negotiate(struct api_call *c)
{
    struct clause clauses[ACCEPT_CLAUSES_MAX];
    unsigned n = str_empty(c->accept) ? 0 : parse_accept(clauses, c->accept);
    enum api_form failure = first_form(clauses, n);
    bool form_refused = false;

    c->media = (struct api_media){ .as_version = "v1", .failure_form = failure };
    pretty_param(c);
    if (!n)
        return 0;
    for (unsigned i = 0; i < n; i++) {
        struct api_media m;

        if (!set_media(&m, &clauses[i]))
            continue;
        if (!set_as(&m, &clauses[i])) {
            form_refused = true;
            continue;
        }
        c->media = m;
        c->media.failure_form = failure;
        pretty_param(c);
        return check_include(c);
    }
    return not_acceptable(c, !form_refused);
}

const char *api_internal_type(struct arena *a, const struct kind *k)
{
    static const struct { const char *group, *package; } rows[] = {
        { "", "core" }, { "apps", "apps" }, { "discovery.k8s.io", "discovery" },
        { "coordination.k8s.io", "coordination" }, { "events.k8s.io", "core" },
    };
    const char *package = "core";

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++)
        if (str_eq(rows[i].group, k->group))
            package = rows[i].package;
    return arena_printf(a, "%s.%s", package, k->kind);
}
