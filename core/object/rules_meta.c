/* core/object/rules_meta.c -- metadata of every kind. */
#include <ctype.h>

#include "core/base/check.h"
#include "core/object/rules_impl.h"

#define ANNOTATIONS_BYTES_MAX (256u << 10)

void rules_check_annotations(struct causes *c, const struct rules_path *p, const struct json *v)
{
    size_t total = 0;

    json_each_member(m, v) {
        char *lower = arena_strdup(c->a, m->key);
        struct rules_msgs msgs = { .a = c->a };

        for (char *s = lower; *s; s++)
            *s = (char)tolower((unsigned char)*s);
        rules_fmt_qualified(&msgs, lower);
        for (unsigned i = 0; i < msgs.n; i++)
            rules_invalid_s(c, p, m->key, msgs.v[i]);
        total += m->key_len + (json_text(m->val) ? m->val->len : 0);
    }
    if (total > ANNOTATIONS_BYTES_MAX)
        rules_too_long(c, p, ANNOTATIONS_BYTES_MAX);
}

/* "" for no part, and at most one slash. */
static bool version_is_empty(const char *api_version)
{
    const char *slash = strchr(api_version, '/');

    return slash ? !slash[1] || strchr(slash + 1, '/') : !*api_version;
}

static void check_owner(struct causes *c, const struct rules_path *p, const struct json *ref)
{
    static const char *const needed[] = { "kind", "name", "uid" };
    const char *api_version = rules_str(ref, "apiVersion");

    if (version_is_empty(api_version))
        rules_invalid_s(c, RULES_AT(p, "apiVersion"), api_version, "version must not be empty");
    for (size_t i = 0; i < ARRAY_LEN(needed); i++)
        if (!*rules_str(ref, needed[i]))
            rules_invalid_s(c, RULES_AT(p, needed[i]), "", "must not be empty");
    if (str_eq(api_version, "v1") && str_eq(rules_str(ref, "kind"), "Event"))
        rules_invalid(c, p, ref, "/v1, Kind=Event is disallowed from being an owner");
}

static void check_owners(struct causes *c, const struct rules_path *p, const struct json *refs)
{
    const struct json *first = NULL;
    struct json *ref;

    json_each(ref, refs) {
        check_owner(c, p, ref);
        if (!json_get_bool(ref, "controller", false))
            continue;
        if (first)
            rules_invalid(c, p, refs, "Only one reference can have Controller set to true. Found "
                          "\"true\" in references for %s/%s and %s/%s", rules_str(first, "kind"),
                          rules_str(first, "name"), rules_str(ref, "kind"), rules_str(ref, "name"));
        else
            first = ref;
    }
}

static bool has_text(const struct json *list, const char *text)
{
    struct json *v;

    json_each(v, list)
        if (str_eq(json_text(v), text))
            return true;
    return false;
}

static void check_finalizers(struct causes *c, const struct rules_path *p, const struct json *list)
{
    struct json *v;

    json_each(v, list)
        rules_check_format(c, p, rules_fmt_qualified, json_text(v) ? v->s : "");
    if (has_text(list, "orphan") && has_text(list, "foregroundDeletion"))
        rules_invalid(c, p, list, "finalizer orphan and foregroundDeletion cannot be both set");
}

static void check_short_name(struct causes *c, const struct rules_path *p, const char *s)
{
    static const char *const standard[] = { "kubernetes", "orphan", "foregroundDeletion", NULL };

    if (!strchr(s, '/') && !rules_in(s, standard))
        rules_invalid_s(c, p, s, "name is neither a standard finalizer name nor is it fully "
                        "qualified");
}

void rules_check_finalizer(struct causes *c, const struct rules_path *p, const char *s)
{
    rules_check_format(c, p, rules_fmt_qualified, s);
    check_short_name(c, p, s);
}

/* What the kinds themselves say on top of the general rules: short names must be well-known. */
void rules_meta_finalizers(struct causes *c, const struct json *obj)
{
    const struct rules_path *p = RULES_AT(RULES_AT(NULL, "metadata"), "finalizers");
    struct json *v;

    json_each(v, json_get(json_get(obj, "metadata"), "finalizers"))
        check_short_name(c, RULES_IDX(p, v_i), json_text(v) ? v->s : "");
}

static void check_namespace(struct causes *c, const struct rules_path *meta, const struct json *m,
                            const struct kind *kind)
{
    const char *ns = rules_str(m, "namespace");

    if (!kind->namespaced) {
        if (*ns)
            rules_forbidden(c, RULES_AT(meta, "namespace"), "not allowed on this type");
    } else if (!*ns) {
        rules_required(c, RULES_AT(meta, "namespace"), "");
    } else {
        rules_check_format(c, RULES_AT(meta, "namespace"), rules_fmt_label, ns);
    }
}

void rules_meta_common(struct causes *c, const struct rules_path *meta, const struct json *m)
{
    rules_check_nonneg(c, meta, m, "generation");
    rules_check_labels(c, RULES_AT(meta, "labels"), json_get(m, "labels"));
    rules_check_annotations(c, RULES_AT(meta, "annotations"), json_get(m, "annotations"));
    check_owners(c, RULES_AT(meta, "ownerReferences"), json_get(m, "ownerReferences"));
    check_finalizers(c, RULES_AT(meta, "finalizers"), json_get(m, "finalizers"));
}

static void check_name(struct causes *c, const struct rules_path *p, const char *name,
                       rules_format *format, bool prefix)
{
    struct rules_msgs m = { .a = c->a };

    format(&m, prefix ? rules_mask_dash(c->a, name) : name);
    for (unsigned i = 0; i < m.n; i++)
        rules_invalid_s(c, p, name, m.v[i]);
}

void rules_meta_create(struct causes *c, const struct json *obj, const struct kind *kind,
                       rules_format *format)
{
    const struct rules_path *meta = RULES_AT(NULL, "metadata");
    const struct json *m = json_get(obj, "metadata");
    const char *name = rules_str(m, "name"), *generate = rules_str(m, "generateName");

    if (*generate)
        check_name(c, RULES_AT(meta, "generateName"), generate, format, true);
    if (!*name)
        rules_required(c, RULES_AT(meta, "name"), "name or generateName is required");
    else
        check_name(c, RULES_AT(meta, "name"), name, format, false);
    check_namespace(c, meta, m, kind);
    rules_meta_common(c, meta, m);
}

static void check_no_new_finalizers(struct causes *c, const struct rules_path *meta,
                                    const struct json *m, const struct json *old)
{
    _cleanup_buf_ struct buf b = BUF_INIT;
    struct json *v;

    json_each(v, json_get(m, "finalizers")) {
        if (has_text(json_get(old, "finalizers"), json_text(v)))
            continue;
        buf_str(&b, b.len ? ", " : "");
        rules_quote(&b, v->s, v->len);
    }
    if (b.len)
        rules_forbidden(c, RULES_AT(meta, "finalizers"),
                        arena_printf(c->a, "no new finalizers can be added if the object is being "
                                     "deleted, found new finalizers []string{%s}", b.p));
}

void rules_meta_update(struct causes *c, const struct json *obj, const struct json *old_obj)
{
    static const char *const fixed[] = {
        "name", "namespace", "uid", "creationTimestamp", "deletionTimestamp",
        "deletionGracePeriodSeconds",
    };
    const struct rules_path *meta = RULES_AT(NULL, "metadata");
    const struct json *m = json_get(obj, "metadata"), *old = json_get(old_obj, "metadata");
    int64_t generation = json_get_int(m, "generation", 0);

    if (json_get(old, "deletionTimestamp"))
        check_no_new_finalizers(c, meta, m, old);
    if (generation < json_get_int(old, "generation", 0))
        rules_invalid_i(c, RULES_AT(meta, "generation"), generation, "must not be decremented");
    for (size_t i = 0; i < ARRAY_LEN(fixed); i++) {
        const struct json *v = json_get(m, fixed[i]), *before = json_get(old, fixed[i]);

        if (!v && i < 3)
            v = json_str(c->a, "");
        rules_check_immutable(c, RULES_AT(meta, fixed[i]), v, before);
    }
    rules_check_labels(c, RULES_AT(meta, "labels"), json_get(m, "labels"));
    rules_check_annotations(c, RULES_AT(meta, "annotations"), json_get(m, "annotations"));
    check_owners(c, RULES_AT(meta, "ownerReferences"), json_get(m, "ownerReferences"));
}
