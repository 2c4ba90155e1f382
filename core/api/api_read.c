/* api_read.c: get and list, answered from the watch cache; the disk is never touched. */
#include "core/api/api_call.h"

#include "core/base/b64.h"

#include <stdio.h>

struct object *api_lookup(struct api *api, const struct kind *kind, const char *ns,
                          const char *name)
{
    return watch_cache_get(api->cache, kind->storage, kind->namespaced ? ns : "", name);
}

static int too_new(struct api_call *c, int64_t asked)
{
    struct causes *causes = ANEW(c->a, struct causes);
    struct status *s;
    int64_t now = watch_cache_revision(c->api->cache);

    causes->a = c->a;
    s = status_new(c->a, 504, "Timeout", "Timeout: Too large resource version: %lld, current: %lld",
                   (long long)asked, (long long)now);
    causes_add(causes, CAUSE_RV_TOO_LARGE, "", NULL, "Too large resource version");
    s->causes = causes;
    s->retry_after_s = 1;
    return api_fail(c, s);
}

int api_rv_parse(struct api_call *c, const char *text, int64_t *out)
{
    *out = 0;
    if (str_empty(text))
        return 0;
    if (str_to_i64(text, 0, INT64_MAX, out, NULL) < 0) {
        if (c->route.verb == API_WATCH)
            return api_fail(c, status_new(c->a, 500, "", "resourceVersion: Invalid value: \"%s\": "
                "strconv.ParseUint: parsing \"%s\": invalid syntax", text, text));
        return api_fail(c, status_bad_request(c->a, "invalid resource version: resourceVersion: "
                                              "Invalid "
            "value: \"%s\": strconv.ParseUint: parsing \"%s\": invalid syntax", text, text));
    }
    if (c->route.verb != API_WATCH && *out > watch_cache_revision(c->api->cache))
        return too_new(c, *out);
    return 0;
}

int api_get(struct api_call *c)
{
    const struct api_route *r = &c->route;
    int64_t rv;

    if (api_rv_parse(c, c->opt.rv, &rv) < 0)
        return -1;
    c->object = api_lookup(c->api, r->kind, r->ns, r->name);
    if (!c->object)
        return api_fail(c, status_not_found(c->a, r->kind, r->name));
    c->code = 200;
    return 0;
}

/* --- filters */

int api_filter_init(struct api_filter *f, struct api_call *c)
{
    struct err err = ERR_INIT;

    *f = (struct api_filter){ 0 };
    if (!str_empty(c->opt.label_selector) &&
        selector_parse(&f->labels, c->opt.label_selector, &err) < 0)
        return api_fail(c, status_bad_request(c->a, "%s", err.msg));
    if (!str_empty(c->opt.field_selector) &&
        fieldsel_parse(&f->fields, c->route.kind, c->opt.field_selector, &err) < 0) {
        api_filter_deinit(f);
        return api_fail(c, status_bad_request(c->a, "%s", err.msg));
    }
    return 0;
}

void api_filter_deinit(struct api_filter *f)
{
    f->labels = selector_free(f->labels);
    f->fields = fieldsel_free(f->fields);
}

bool api_filter_keeps(const struct api_filter *f, struct object *o)
{
    return (!f->labels || selector_matches(f->labels, o)) &&
        (!f->fields || fieldsel_matches(f->fields, o));
}

uint64_t api_filter_topic(const struct api_filter *f, const struct api_call *c)
{
    if (*c->route.name)
        return fieldsel_topic_name(c->route.name);
    return f->fields ? fieldsel_topic(f->fields) : 0;
}

static bool keep(void *ctx, struct object *o)
{
    return api_filter_keeps(ctx, o);
}

/* --- continue tokens: {"v":"meta.k8s.io/v1","rv":N,"start":"key"} in base64url, as upstream's */

static void token_write(struct buf *out, int64_t rv, const char *start)
{
    _cleanup_buf_ struct buf text = BUF_INIT;

    buf_fmt(&text, "{\"v\":\"meta.k8s.io/v1\",\"rv\":%lld,\"start\":", (long long)rv);
    json_write_string(&text, start, strlen(start));
    buf_chr(&text, '}');
    b64_encode(out, B64_URL, text.p, text.len);
}

static int token_read(struct api_call *c, int64_t *rv, const char **start)
{
    _cleanup_buf_ struct buf text = BUF_INIT;
    struct json *tree;
    struct err err = ERR_INIT;

    if (b64_decode(&text, B64_URL, c->opt.cont, strlen(c->opt.cont), &err) < 0)
        return api_fail(c, status_bad_request(c->a, "continue key is not valid: %s", err.msg));
    if (json_parse(&tree, c->a, text.p, text.len, NULL, &err) < 0)
        return api_fail(c, status_bad_request(c->a, "continue key is not valid: %s", err.msg));
    if (!str_eq(json_get_str(tree, "v"), "meta.k8s.io/v1"))
        return api_fail(c, status_bad_request(c->a, "continue key is not valid: server does not "
                                              "recognize "
                                              "this encoded version \"%s\"",
                                                  json_get_str(tree, "v")));
    *rv = json_get_int(tree, "rv", 0);
    *start = json_get_str(tree, "start");
    if (*rv == 0)
        return api_fail(c, status_bad_request(c->a, "continue key is not valid: incorrect encoded "
                                              "start "
                                              "resourceVersion (version meta.k8s.io/v1)"));
    if (str_empty(*start))
        return api_fail(c, status_bad_request(c->a, "continue key is not valid: encoded start key "
                                              "empty (version meta.k8s.io/v1)"));
    return 0;
}

/* --- the list */

static int expired(struct api_call *c, bool by_token)
{
    return api_fail(c, status_expired(c->a, by_token ?
        "The provided continue parameter is too old to display a consistent list result. You can "
            "start a new "
        "list without the continue parameter, or use the continue token in this response to "
            "retrieve the "
        "remainder of the results. Continuing with the provided token results in an inconsistent "
            "list - "
        "objects that were created, modified, or deleted between the time the first chunk was "
            "returned and "
        "now may show up in the list." : "The resourceVersion for the provided list is too old."));
}

static void list_meta(struct buf *b, const struct watch_list *l, const struct api_filter *f)
{
    struct object *last = l->len ? l->v[l->len - 1] : NULL;

    buf_fmt(b, "{\"resourceVersion\":\"%lld\"", (long long)l->revision);
    if (l->more && last) {
        _cleanup_buf_ struct buf token = BUF_INIT;
        char key[KV_KEY_BYTES_MAX];

        watch_key(key, object_kind(last), object_ns(last), object_name(last));
        token_write(&token, l->revision, key);
        buf_fmt(b, ",\"continue\":\"%s\"", token.p);
        if (!f->labels && !f->fields)            /* upstream counts only what it need not filter */
            buf_fmt(b, ",\"remainingItemCount\":%zu", l->remaining);
    }
    buf_chr(b, '}');
}

static void write_items(struct api_call *c, const struct watch_list *l, const char *meta)
{
    bool partial = c->media.as == API_AS_PARTIAL_LIST;
    struct buf *b = &c->text;

    if (partial)
        buf_fmt(b, "{\"kind\":\"PartialObjectMetadataList\",\"apiVersion\":\"meta.k8s.io/%s\"",
                c->media.as_version);
    else
        buf_fmt(b, "{\"kind\":\"%sList\",\"apiVersion\":\"%s\"", c->route.kind->kind,
                kind_api_version(c->route.kind));
    buf_fmt(b, ",\"metadata\":%s,\"items\":[", meta);
    for (size_t i = 0; i < l->len; i++) {
        if (i)
            buf_chr(b, ',');
        if (partial) {
            enum api_as as = c->media.as;

            c->media.as = API_AS_PARTIAL;
            api_encode_object(b, c, l->v[i]);
            c->media.as = as;
        } else {
            api_write_object(b, c, l->v[i], true);
        }
    }
    buf_str(b, "]}\n");
}

static int encode_list(struct api_call *c, const struct watch_list *l, const struct api_filter *f)
{
    _cleanup_buf_ struct buf meta = BUF_INIT;

    if (c->media.as == API_AS_PARTIAL)
        return api_fail(c, status_new(c->a, 406, "NotAcceptable",
            "you requested PartialObjectMetadata, but the requested object is a list (*%sList)",
            api_internal_type(c->a, c->route.kind)));
    list_meta(&meta, l, f);
    if (c->media.as == API_AS_TABLE)
        api_encode_table(&c->text, c, l->v, l->len, meta.p);
    else
        write_items(c, l, meta.p);
    c->text_type = "application/json";
    c->code = 200;
    return 0;
}

/* What revision and place a list starts at. */
static int list_from(struct api_call *c, struct watch_list_opts *o)
{
    int64_t rv;

    if (!str_empty(c->opt.cont)) {
        if (!str_empty(c->opt.rv) && !str_eq(c->opt.rv, "0"))
            return api_fail(c, status_bad_request(c->a,
                "specifying resource version is not allowed when using continue"));
        return token_read(c, &o->at, &o->after);
    }
    if (api_rv_parse(c, c->opt.rv, &rv) < 0)
        return -1;
    if (rv && (str_eq(c->opt.rv_match, "Exact")))
        o->at = rv;
    /* "any version": from the cache, which does not page */
    if (str_eq(c->opt.rv, "0"))
        o->limit = 0;
    return 0;
}

int api_list(struct api_call *c)
{
    struct api_filter f;
    struct watch_list_opts o = { .kind = c->route.kind->storage, .ns = c->route.ns,
                                 .limit = (size_t)c->opt.limit, .keep = keep, .ctx = &f };
    struct watch_list l;
    struct err err = ERR_INIT;
    int result;

    if (api_filter_init(&f, c) < 0)
        return -1;
    if (!f.labels && !f.fields)
        o.keep = NULL;
    result = list_from(c, &o);
    if (result == 0 && watch_cache_list(&l, c->api->cache, &o, &err) < 0)
        result = err.code == ERR_EXPIRED ? expired(c, o.after != NULL) : api_fail_err(c, &err);
    else if (result == 0) {
        result = encode_list(c, &l, &f);
        watch_list_deinit(&l);
    }
    api_filter_deinit(&f);
    return result;
}
