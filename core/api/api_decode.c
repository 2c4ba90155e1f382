/* api_decode.c: the body of a request -> a canonical, defaulted tree of the expected kind. */
#include "core/api/api_call.h"

#include "core/object/codec_protobuf.h"
#include "core/object/convert.h"

#include <stdio.h>

/* application/json and the like; parameters do not count. */
static struct slice media_type(const struct api_call *c)
{
    struct slice rest = slice_of(c->content_type ? c->content_type : ""), first = { "", 0 };

    slice_split(&rest, ';', &first);
    return slice_trim(first);
}

static bool is_blank(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!strchr(" \t\r\n", s.p[i]))
            return false;
    return true;
}

static int unrecognized(struct api_call *c, const char *why)
{
    char hex[64] = "";
    size_t n = c->body.len < 24 ? c->body.len : 24;
    const char *kind = c->route.sub && c->route.sub->kind ? c->route.sub->kind
        : c->route.kind->kind;

    for (size_t i = 0; i < n; i++)
        snprintf(hex + 2 * i, 3, "%02x", (unsigned char)c->body.p[i]);
    return api_fail(c, status_bad_request(c->a, "the object provided is unrecognized (must be of "
                                          "type %s): "
        "%s (%s%s)", kind, why, hex, c->body.len > 24 ? " ..." : ""));
}

static int no_json(struct api_call *c, const char *why)
{
    return unrecognized(c, arena_printf(c->a, "couldn't get version/kind; json parse error: %s",
                                        why));
}

static int not_protobuf(struct api_call *c)
{
    static const char why[] =
        "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]";

    if (c->route.verb == API_DELETE || c->route.verb == API_DELETECOLLECTION)
        return api_fail(c, status_bad_request(c->a, "%s", why));
    return unrecognized(c, why);
}

static bool is_protobuf(const struct api_call *c)
{
    return slice_is(media_type(c), "application/vnd.kubernetes.protobuf");
}

static int decode_protobuf(struct api_call *c, struct json **out)
{
    struct err err = ERR_INIT;

    if (c->body.len < CODEC_PROTOBUF_MAGIC_BYTES ||
        memcmp(c->body.p, CODEC_PROTOBUF_MAGIC, CODEC_PROTOBUF_MAGIC_BYTES) != 0)
        return not_protobuf(c);
    if (codec_protobuf_read(out, c->a, c->body, c->route.kind, &err) == 0)
        return 0;
    return err.code == ERR_QUOTA ? api_fail_err(c, &err) : unrecognized(c,
                                                                        arena_strdup(c->a,
                                                                                     err.msg));
}

static int body_media(struct api_call *c, enum codec_media *out)
{
    struct slice type = media_type(c);

    if (!type.len || slice_is(type, "application/json") || slice_is(type, "*/*"))
        *out = MEDIA_JSON;
    else if (slice_is(type, "application/yaml") || slice_is(type, "application/apply-patch+yaml"))
        *out = MEDIA_YAML;
    else
        return api_fail(c, status_new(c->a, 415, "UnsupportedMediaType",
            "the body of the request was in an unknown format - accepted media types include: "
            "application/json, application/yaml, application/vnd.kubernetes.protobuf"));
    return 0;
}

int api_decode_raw(struct api_call *c, struct json **out)
{
    enum codec_media media;
    struct err err = ERR_INIT;

    if (is_protobuf(c))
        return decode_protobuf(c, out);
    if (body_media(c, &media) < 0)
        return -1;
    if (media == MEDIA_JSON && is_blank(c->body))
        return no_json(c, "unexpected end of JSON input");
    if (codec_parse(out, c->a, media, c->body, &c->notes, &err) < 0) {
        if (err.code == ERR_QUOTA)
            return api_fail_err(c, &err);
        return no_json(c, err.msg);
    }
    if (json_is(*out, JSON_NULL))
        *out = json_object(c->a);
    if (!json_is(*out, JSON_OBJECT))
        return no_json(c, arena_printf(c->a, "json: cannot unmarshal %s into Go value of type "
            "struct { APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; Kind string "
            "\"json:\\\"kind,omitempty\\\"\" }", json_type_name((int)(*out)->type)));
    return 0;
}

static int cannot_be_handled(struct api_call *c, const char *kind, const char *version,
                             const char *as,
                             const char *why)
{
    const char *slash = strrchr(version, '/');

    return api_fail(c, status_bad_request(c->a, "%s in version \"%s\" cannot be handled as a %s: "
                                          "%s", kind,
                                          slash ? slash + 1 : version, as, why));
}

/* The body says what it is; silence means what is expected. */
static int check_kind(struct api_call *c, struct json *raw, const struct kind *want)
{
    const char *kind = json_get_str(raw, "kind"), *version = json_get_str(raw, "apiVersion");
    const struct kind *is;

    if (str_empty(kind))
        kind = want->kind;
    if (str_empty(version))
        version = kind_api_version(want);
    if (str_eq(kind, want->kind) && str_eq(version, kind_api_version(want)))
        return 0;
    is = kind_by_api_version(version, kind);
    if (is && is->storage == want->storage)              /* the same objects, another version */
        return 0;
    if (is || codec_type(arena_printf(c->a, "%s%s.%s", *want->group ? want->group : "core",
                                      strchr(version, '/') ? "" : ".v1", kind))) {
        const char *slash = strrchr(version, '/');

        return cannot_be_handled(c, kind, version, want->kind, arena_printf(c->a,
            "converting (%s.%s) to (%s): unknown conversion", slash ? slash + 1 : version, kind,
            api_internal_type(c->a, want)));
    }
    return cannot_be_handled(c, kind, version, want->kind, arena_printf(c->a,
        "no kind \"%s\" is registered for version \"%s\" in scheme "
            "\"pkg/api/legacyscheme/scheme.go:30\"",
        kind, version));
}

int api_canonical(struct api_call *c, const struct kind *kind, const struct json *raw,
                  struct json **out)
{
    struct err err = ERR_INIT;

    if (codec_canonical(out, c->a, kind->type, raw, &c->notes, &err) < 0)
        return cannot_be_handled(c, kind->kind, kind_api_version(kind), kind->kind, err.msg);
    json_set_str(c->a, *out, "kind", kind->kind);
    json_set_str(c->a, *out, "apiVersion", kind_api_version(kind));
    api_keep_reset(c, raw, *out);
    return 0;
}

static void warn(struct api_call *c, const char *text)
{
    struct codec_notes *w = &c->warnings;

    if (w->len == w->cap) {
        const char **more = arena_alloc(c->a, (w->cap * 2 + 8) * sizeof(*more));

        if (w->len)
            memcpy(more, w->v, w->len * sizeof(*more));
        w->v = more;
        w->cap = w->cap * 2 + 8;
    }
    w->v[w->len++] = text;
}

int api_notes_settle(struct api_call *c, const struct kind *kind, const char *what)
{
    if (!c->notes.len || c->opt.strict == STRICT_IGNORE) {
        c->notes.len = 0;
        return 0;
    }
    if (c->opt.strict == STRICT_WARN) {
        for (unsigned i = 0; i < c->notes.len; i++)
            warn(c, c->notes.v[i]);
        c->notes.len = 0;
        return 0;
    }
    if (*what) {
        struct causes causes = { .a = c->a };

        causes_add(&causes, CAUSE_INVALID, "patch", json_strn(c->a, c->body.p, c->body.len),
                   "strict decoding error: %s", codec_notes_text(&c->notes));
        return api_fail(c, status_invalid_gk(c->a, "", "", "", &causes));
    }
    return cannot_be_handled(c, kind->kind, kind_api_version(kind), kind->kind,
        arena_printf(c->a, "strict decoding error: %s", codec_notes_text(&c->notes)));
}

int api_decode(struct api_call *c, const struct kind *kind, struct json **out)
{
    struct json *raw;

    if (api_decode_raw(c, &raw) < 0 || check_kind(c, raw, kind) < 0 ||
        api_canonical(c, kind, raw, out) < 0 || api_notes_settle(c, kind, "") < 0)
        return -1;
    if (kind->storage != kind)
        *out = convert_tree(c->a, *out, kind, kind->storage);
    codec_default(*out, c->a, kind->storage);
    return 0;
}
