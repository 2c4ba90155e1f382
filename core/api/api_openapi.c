/* api_openapi.c: the schema as OpenAPI: /openapi/v2 whole, /openapi/v3 as an index and a document
 * for each group and version. kubectl explains and validates from it.
 */
#include "core/api/api_call.h"
#include "core/api/api_openapi.h"

#include <stdio.h>

#include "gen/version.h"

#define DISCOVERY "meta.v1."

/* --- the documents */

static void info(struct api_openapi_doc *d)
{
    api_openapi_open(d, "info", '{');
    api_openapi_member(d, "title", "Kubernetes");
    api_openapi_member(d, "version", INRO_VERSION);
    api_openapi_close(d, '}');
}

static void security(struct api_openapi_doc *d, const char *key)
{
    api_openapi_open(d, key, '{');
    api_openapi_open(d, "BearerToken", '{');
    api_openapi_member(d, "description", "Bearer Token authentication");
    api_openapi_member(d, "type", "apiKey");
    api_openapi_member(d, "name", "authorization");
    api_openapi_member(d, "in", "header");
    api_openapi_close(d, '}');
    api_openapi_close(d, '}');
}

static void group_paths(struct api_openapi_doc *d, const char *group)
{
    char path[96], id[96], title[64], tag[64];

    api_openapi_group_title(title, sizeof(title), group);
    snprintf(path, sizeof(path), "/apis/%s/", group);
    snprintf(id, sizeof(id), "get%sAPIGroup", title);
    snprintf(tag, sizeof(tag), "%c%s", title[0] | 0x20, title + 1);
    api_openapi_get(d, &(struct api_openapi_answer){ path, id, tag, DISCOVERY "APIGroup", false });
}

static bool is_served(const char *group, const char *version)
{
    for (unsigned i = 0; i < kind_count(); i++) {
        const struct kind *k = kind_by_id(i);

        if (k->served && str_eq(k->group, group) && (!version || str_eq(k->version, version)))
            return true;
    }
    return false;
}

/* What one document of v3 is about: "api", "api/v1", "apis", "apis/apps", "apis/apps/v1",
 * "version". */
static bool write_paths(struct api_openapi_doc *d, const char *name)
{
    const char *group = str_starts(name, "apis/") ? name + 5 : NULL,
        *slash = group ? strchr(group, '/') : NULL;
    char text[64];

    if (str_eq(name, "api")) {
        api_openapi_get(d, &(struct api_openapi_answer){ "/api/", "getCoreAPIVersions", "core",
                                                         DISCOVERY "APIVersions", false });
    } else if (str_eq(name, "apis")) {
        api_openapi_get(d, &(struct api_openapi_answer){ "/apis/", "getAPIVersions", "apis",
                                                         DISCOVERY "APIGroupList", false });
    } else if (str_eq(name, "version")) {
        api_openapi_get(d, &(struct api_openapi_answer){ "/version/", "getCodeVersion", "version",
                                                         "version.Info", true });
    } else if (str_eq(name, "api/v1")) {
        api_openapi_paths(d, "", "v1");
    } else if (slash && (size_t)(slash - group) < sizeof(text)) {
        snprintf(text, sizeof(text), "%.*s", (int)(slash - group), group);
        if (!is_served(text, slash + 1))
            return false;
        api_openapi_paths(d, text, slash + 1);
    } else if (group && *group && is_served(group, NULL)) {
        group_paths(d, group);
    } else {
        return false;
    }
    return true;
}

static bool write_v3(struct buf *out, const char *name)
{
    struct api_openapi_doc d = { .b = out };

    api_openapi_open(&d, NULL, '{');
    api_openapi_member(&d, "openapi", "3.0.0");
    info(&d);
    api_openapi_open(&d, "paths", '{');
    if (!write_paths(&d, name))
        return false;
    api_openapi_close(&d, '}');
    api_openapi_open(&d, "components", '{');
    api_openapi_open(&d, "schemas", '{');
    api_openapi_define(&d);
    api_openapi_close(&d, '}');
    security(&d, "securitySchemes");
    api_openapi_close(&d, '}');
    api_openapi_close(&d, '}');
    return true;
}

/* Calls each with the name of every document. */
static void each_document(void (*each)(void *ctx, const char *name), void *ctx)
{
    char name[128];

    each(ctx, "api");
    each(ctx, "apis");
    each(ctx, "version");
    for (unsigned g = 0; g < schema_group_count(); g++) {
        const char *group = schema_group_name(g), *version;

        if (*group && is_served(group, NULL)) {
            snprintf(name, sizeof(name), "apis/%s", group);
            each(ctx, name);
        }
        for (unsigned v = 0; (version = schema_group_version(g, v)); v++) {
            snprintf(name, sizeof(name), *group ? "apis/%s/%s" : "api%s/%s", group, version);
            if (is_served(group, version))
                each(ctx, name);
        }
    }
}

static void add_paths(void *ctx, const char *name)
{
    write_paths(ctx, name);
}

static void write_v2(struct buf *out)
{
    struct api_openapi_doc d = { .b = out, .v2 = true };

    api_openapi_open(&d, NULL, '{');
    api_openapi_member(&d, "swagger", "2.0");
    info(&d);
    api_openapi_open(&d, "paths", '{');
    each_document(add_paths, &d);
    api_openapi_close(&d, '}');
    api_openapi_open(&d, "definitions", '{');
    api_openapi_define(&d);
    api_openapi_close(&d, '}');
    security(&d, "securityDefinitions");
    api_openapi_close(&d, '}');
}

/* --- answers */

static const char *hash_of(struct api_call *c, const struct buf *b)
{
    char hex[CRYPTO_SHA256_HEX_BYTES];

    crypto_sha256_hex(hex, b->p, b->len);
    for (char *p = hex; *p; p++)
        if (*p >= 'a')
            *p = (char)(*p - 'a' + 'A');
    return arena_strdup(c->a, hex);
}

struct index { struct api_call *c; struct api_openapi_doc d; };

static void add_to_index(void *ctx, const char *name)
{
    struct index *x = ctx;
    _cleanup_buf_ struct buf doc = BUF_INIT;

    write_v3(&doc, name);
    api_openapi_open(&x->d, name, '{');
    api_openapi_member(&x->d, "serverRelativeURL",
                       arena_printf(x->c->a, "/openapi/v3/%s?hash=%s", name, hash_of(x->c, &doc)));
    api_openapi_close(&x->d, '}');
}

/* Every document must be made to know its hash: done once, the text is kept. Jobs of this key
 * never run together. */
static void write_index(struct api_call *c)
{
    struct buf *kept = &c->api->openapi_index;
    struct index x = { .c = c, .d = { .b = kept } };

    if (!kept->len) {
        api_openapi_open(&x.d, NULL, '{');
        api_openapi_open(&x.d, "paths", '{');
        each_document(add_to_index, &x);
        api_openapi_close(&x.d, '}');
        api_openapi_close(&x.d, '}');
    }
    buf_add(&c->text, kept->p, kept->len);
}

static int answer_empty(struct api_call *c, int code)
{
    c->code = code;
    c->text_type = "";
    return 0;
}

/* A client that sent the hash may keep the document for ever; one that has it gets it no second
 * time. */
static int answer_document(struct api_call *c)
{
    const char *asked = api_query_get(&c->query, "hash"), *name = c->path + strlen("/openapi/v3/");

    if (!str_starts(c->path, "/openapi/v3/") || !write_v3(&c->text, name)) {
        buf_clear(&c->text);
        return answer_empty(c, 404);
    }
    c->etag = arena_printf(c->a, "\"%s\"", hash_of(c, &c->text));
    c->lasting = asked && strlen(asked) == strlen(c->etag) - 2 && strstr(c->etag, asked);
    return 0;
}

static bool takes_json(const struct api_call *c)
{
    static const char *const types[] = { "application/json", "application/*", "*/*" };
    struct slice rest = slice_of(c->accept ? c->accept : ""), part, type;

    if (!rest.len)
        return true;
    while (rest.len && slice_split(&rest, ',', &part)) {
        slice_split(&part, ';', &type);
        for (size_t i = 0; i < ARRAY_LEN(types); i++)
            if (slice_is(slice_trim(type), types[i]))
                return true;
    }
    return false;
}

static bool unchanged(const struct api_call *c)
{
    return c->if_none_match && c->etag && strstr(c->if_none_match, c->etag);
}

int api_openapi(struct api_call *c)
{
    bool v2 = str_eq(c->path, "/openapi/v2"), index = str_eq(c->path, "/openapi/v3");

    if (!v2 && !index && !str_starts(c->path, "/openapi/v3/"))
        return api_page_not_found(c);
    if (!takes_json(c))
        return answer_empty(c, 406);
    c->code = 200;
    c->text_type = "application/json";
    if (index)
        write_index(c);
    else if (!v2)
        answer_document(c);
    else
        write_v2(&c->text);
    if (c->code == 200 && !c->etag)
        c->etag = arena_printf(c->a, "\"%s\"", hash_of(c, &c->text));
    if (unchanged(c)) {
        buf_clear(&c->text);
        return answer_empty(c, 304);
    }
    return 0;
}
