/* api_encode.c: object, list, Table, partial metadata or Status -> the bytes of the answer. */
#include "core/api/api_call.h"

#include "core/base/check.h"
#include "core/base/yaml.h"
#include "core/object/codec_protobuf.h"
#include "core/object/convert.h"
#include "core/object/table.h"

#include <stdio.h>

/* a whole list as a tree, for YAML and pretty printing */
#define CALL_REWRITE_BYTES (256u << 20)

/* The TypeMeta every stored object begins with; list items go without it. */
static size_t type_meta(char out[256], const struct kind *k)
{
    int n = snprintf(out, 256, "{\"kind\":\"%s\",\"apiVersion\":\"%s\",", k->kind,
                     kind_api_version(k));

    check(n > 0 && n < 256);
    return (size_t)n;
}

static void write_bytes(struct buf *b, const struct kind *k, struct slice bytes, bool bare)
{
    char meta[256];
    size_t len = type_meta(meta, k);

    if (bare && bytes.len > len && memcmp(bytes.p, meta, len) == 0) {
        buf_chr(b, '{');
        buf_add(b, bytes.p + len, bytes.len - len);
        return;
    }
    buf_add(b, bytes.p, bytes.len);
}

void api_write_object(struct buf *b, struct api_call *c, struct object *o, bool bare)
{
    const struct kind *k = c->route.kind;
    _cleanup_buf_ struct buf text = BUF_INIT;
    struct json *tree;

    if (!k || object_kind(o) == k || k->storage != object_kind(o)) {
        write_bytes(b, object_kind(o), object_bytes(o), bare);
        return;
    }
    tree = convert_tree(c->a, object_tree(o, c->a), object_kind(o), k);
    json_write(&text, tree);
    write_bytes(b, k, (struct slice){ text.p, text.len }, bare);
}

static void write_partial(struct buf *b, struct api_call *c, struct object *o)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    struct json *tree = object_tree(o, a);

    buf_fmt(b,
            "{\"kind\":\"PartialObjectMetadata\",\"apiVersion\":\"meta.k8s.io/%s\",\"metadata\":",
            c->media.as_version);
    json_write(b, json_get(tree, "metadata"));
    buf_chr(b, '}');
}

static void write_row(struct buf *b, struct api_call *c, struct object *o)
{
    const char *include = c->opt.include_object;

    buf_str(b, "{\"cells\":");
    table_cells(b, o, env_wall_s(c->api->env));
    buf_str(b, ",\"object\":");
    if (str_eq(include, "None"))
        buf_str(b, "null");
    else if (str_eq(include, "Object"))
        api_write_object(b, c, o, false);
    else
        write_partial(b, c, o);
    buf_chr(b, '}');
}

static void table_head(struct buf *b, struct api_call *c, const char *list_meta, bool columns)
{
    buf_fmt(b, "{\"kind\":\"Table\",\"apiVersion\":\"meta.k8s.io/%s\",\"metadata\":%s,"
            "\"columnDefinitions\":", c->media.as_version, list_meta);
    if (columns)
        table_columns(b, c->route.kind);
    else
        buf_str(b, "null");
    buf_str(b, ",\"rows\":[");
}

void api_encode_row_table(struct buf *b, struct api_call *c, struct object *o,
                          const char *list_meta,
                          bool columns)
{
    table_head(b, c, list_meta, columns);
    write_row(b, c, o);
    buf_str(b, "]}");
}

void api_encode_table(struct buf *b, struct api_call *c, struct object *const *v, size_t n,
                      const char *list_meta)
{
    table_head(b, c, list_meta, true);
    for (size_t i = 0; i < n; i++) {
        if (i)
            buf_chr(b, ',');
        write_row(b, c, v[i]);
    }
    buf_str(b, "]}");
}

void api_encode_object(struct buf *b, struct api_call *c, struct object *o)
{
    char meta[96];

    switch (c->media.as) {
    case API_AS_TABLE:
        snprintf(meta, sizeof(meta), "{\"resourceVersion\":\"%lld\"}", (long long)object_rv(o));
        api_encode_table(b, c, &o, 1, meta);
        return;
    case API_AS_PARTIAL:
        write_partial(b, c, o);
        return;
    default:
        api_write_object(b, c, o, false);
    }
}

/* --- the end of a call */

int api_encode_protobuf(struct buf *b, const struct json *tree)
{
    const char *version = json_get_str(tree, "apiVersion"), *kind = json_get_str(tree, "kind");
    const struct schema_type *type = version && kind ? codec_protobuf_type(version, kind) : NULL;

    if (!type)
        return -1;
    codec_protobuf_write(b, type, tree, version, kind);
    return 0;
}

/* The answer, which is JSON, in the form that the client asked for, if it has that form. */
static void rewrite(struct api_call *c)
{
    _cleanup_(arena_freep) struct arena *a = NULL;
    _cleanup_buf_ struct buf other = BUF_INIT;
    struct json *tree;

    if (c->media.form == API_JSON && !c->media.pretty)
        return;
    a = arena_new(CALL_REWRITE_BYTES);
    if (json_parse(&tree, a, c->text.p, c->text.len, NULL, NULL) < 0)
        return;
    if (c->media.form == API_YAML) {
        json_sort_keys(tree);
        yaml_write(&other, tree);
        c->text_type = "application/yaml";
    } else if (c->media.form == API_PROTOBUF) {
        if (api_encode_protobuf(&other, tree) < 0)
            return;
        c->text_type = API_TYPE_PROTOBUF;
    } else {
        json_write_pretty(&other, tree, 2);
    }
    buf_deinit(&c->text);
    c->text = other;
    other = (struct buf)BUF_INIT;
}

static void encode_failure(struct api_call *c)
{
    buf_clear(&c->text);
    c->media.form = c->media.failure_form;
    c->code = c->status->code;
    status_write(&c->text, c->status);
}

/* Tables are not for protobuf, and single objects refuse to be a partial list. */
static int check_form(struct api_call *c)
{
    if (c->media.form == API_PROTOBUF && c->media.as == API_AS_TABLE && c->route.kind)
        return api_fail(c, status_new(c->a, 406, "NotAcceptable",
            "object *v1.Table does not implement the protobuf marshalling interface and cannot be "
            "encoded to a protobuf message"));
    if (!c->object || c->media.as != API_AS_PARTIAL_LIST)
        return 0;
    return api_fail(c, status_new(c->a, 406, "NotAcceptable",
        "you requested PartialObjectMetadataList, but the requested object is not a list (*%s)",
        api_internal_type(c->a, c->route.kind)));
}

void api_encode(struct api_call *c)
{
    if (!c->transport)                       /* in-process callers read object and tree */
        return;
    if (!c->status)
        check_form(c);
    if (c->status) {
        c->text_type = "application/json";
        encode_failure(c);
    } else if (c->object) {
        c->text_type = "application/json";
        api_encode_object(&c->text, c, c->object);
    } else if (c->tree) {
        c->text_type = "application/json";
        json_write(&c->text, c->tree);
    } else if (c->text_type && strcmp(c->text_type, "application/json") != 0) {
        return;
    }
    if (c->text_type && !*c->text_type)      /* no body at all */
        return;
    c->text_type = c->text_type ? c->text_type : "application/json";
    rewrite(c);
    if (c->media.form != API_PROTOBUF && c->text.len && c->text.p[c->text.len - 1] != '\n')
        buf_chr(&c->text, '\n');
}
