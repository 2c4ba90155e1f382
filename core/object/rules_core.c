/* core/object/rules_core.c -- ConfigMap, Secret, Namespace, ServiceAccount, Node. */
#include "core/base/b64.h"
#include "core/base/check.h"
#include "core/object/rules_impl.h"

#define DATA_BYTES_MAX (1u << 20)
#define IMMUTABLE_TEXT "field is immutable when `immutable` is set"

/* --- ConfigMap, Secret */

/* Length of the bytes behind base64 text. */
static size_t b64_bytes(const struct json *v)
{
    size_t len = json_text(v) ? v->len : 0, pad = 0;

    while (pad < len && pad < 2 && v->s[len - 1 - pad] == '=')
        pad++;
    return len / 4 * 3 - (len ? pad : 0);
}

static void configmap_create(struct causes *c, const struct json *obj, const struct rules_ctx *ctx)
{
    const struct json *data = json_get(obj, "data"), *binary = json_get(obj, "binaryData");
    const struct rules_path *data_at = RULES_AT(NULL, "data");
    const struct rules_path *binary_at = RULES_AT(NULL, "binaryData");
    size_t total = 0;

    (void)ctx;
    json_each_member(m, data) {
        rules_check_format(c, RULES_KEY(data_at, m->key), rules_fmt_config_key, m->key);
        if (json_get(binary, m->key))
            rules_invalid_s(c, RULES_KEY(data_at, m->key), m->key,
                            "duplicate of key present in binaryData");
        total += json_text(m->val) ? m->val->len : 0;
    }
    json_each_member(b, binary) {
        rules_check_format(c, RULES_KEY(binary_at, b->key), rules_fmt_config_key, b->key);
        total += b64_bytes(b->val);
    }
    if (total > DATA_BYTES_MAX)
        rules_too_long(c, NULL, DATA_BYTES_MAX);
}

/* What `immutable: true` of the old object forbids. */
static void check_frozen(struct causes *c, const struct json *obj, const struct json *old,
                         const char *const *fields)
{
    if (!json_get_bool(old, "immutable", false))
        return;
    if (!json_get_bool(obj, "immutable", false))
        rules_forbidden(c, RULES_AT(NULL, "immutable"), IMMUTABLE_TEXT);
    for (; *fields; fields++)
        if (!rules_same(json_get(obj, *fields), json_get(old, *fields)))
            rules_forbidden(c, RULES_AT(NULL, *fields), IMMUTABLE_TEXT);
}

static void configmap_update(struct causes *c, const struct json *obj, const struct json *old,
                             const struct rules_ctx *ctx)
{
    static const char *const frozen[] = { "data", "binaryData", NULL };

    check_frozen(c, obj, old, frozen);
    configmap_create(c, obj, ctx);
}

/* What the types of Secret need: a key of data, and whether an empty value will do. */
static const struct { const char *type, *key, *other; bool nonempty, is_json; } secret_types[] = {
    { "kubernetes.io/dockercfg", ".dockercfg", NULL, false, true },
    { "kubernetes.io/dockerconfigjson", ".dockerconfigjson", NULL, false, true },
    { "kubernetes.io/basic-auth", "username", "password", false, false },
    { "kubernetes.io/ssh-auth", "ssh-privatekey", NULL, true, false },
    { "kubernetes.io/tls", "tls.crt", NULL, false, false },
    { "kubernetes.io/tls", "tls.key", NULL, false, false },
};

static bool is_json_object(const struct json *b64, struct arena *a)
{
    _cleanup_buf_ struct buf text = BUF_INIT;
    struct json *v = NULL;

    if (!json_text(b64) || b64_decode(&text, B64_STD, b64->s, b64->len, NULL) < 0 || !text.p)
        return false;
    return json_parse(&v, a, text.p, text.len, NULL, NULL) == 0 &&
           (v->type == JSON_OBJECT || v->type == JSON_NULL);
}

static void check_secret_type(struct causes *c, const struct json *obj, const struct json *data)
{
    const struct rules_path *at = RULES_AT(NULL, "data");
    const char *type = rules_str(obj, "type");

    for (size_t i = 0; i < ARRAY_LEN(secret_types); i++) {
        const char *key = secret_types[i].key, *other = secret_types[i].other;
        const struct json *v = json_get(data, key);

        if (!str_eq(secret_types[i].type, type))
            continue;
        if (!v && other && json_get(data, other))
            continue;
        if (!v || (secret_types[i].nonempty && v->len == 0))
            rules_required(c, RULES_KEY(at, key), "");
        else if (secret_types[i].is_json && !is_json_object(v, c->a))
            rules_invalid_s(c, RULES_KEY(at, key), "<secret contents redacted>",
                            "invalid character in JSON");
        if (!v && other)
            rules_required(c, RULES_KEY(at, other), "");
    }
}

static void secret_create(struct causes *c, const struct json *obj, const struct rules_ctx *ctx)
{
    static const char owner[] = "kubernetes.io/service-account.name";
    const struct json *data = json_get(obj, "data");
    const struct json *notes = json_get(json_get(obj, "metadata"), "annotations");
    size_t total = 0;

    (void)ctx;
    json_each_member(m, data) {
        rules_check_format(c, RULES_KEY(RULES_AT(NULL, "data"), m->key), rules_fmt_config_key,
                           m->key);
        total += b64_bytes(m->val);
    }
    if (total > DATA_BYTES_MAX)
        rules_too_long(c, RULES_AT(NULL, "data"), DATA_BYTES_MAX);
    if (str_eq(rules_str(obj, "type"), "kubernetes.io/service-account-token") &&
        !*rules_str(notes, owner))
        rules_required(c, RULES_KEY(RULES_AT(RULES_AT(NULL, "metadata"), "annotations"), owner),
                       "");
    check_secret_type(c, obj, data);
}

static void secret_update(struct causes *c, const struct json *obj, const struct json *old,
                          const struct rules_ctx *ctx)
{
    static const char *const frozen[] = { "data", NULL };

    rules_check_immutable(c, RULES_AT(NULL, "type"), json_get(obj, "type"), json_get(old, "type"));
    check_frozen(c, obj, old, frozen);
    secret_create(c, obj, ctx);
}

static void secret_prepare_update(struct json *obj, const struct json *old, const struct kind *kind,
                                  const struct rules_ctx *ctx)
{
    if (!*rules_str(obj, "type"))
        rules_put_or_del(ctx->a, obj, kind->type, "type", json_get(old, "type"));
}

/* --- Namespace */

static void namespace_label(struct json *obj, const struct kind *kind, struct arena *a)
{
    struct json *meta = json_get(obj, "metadata"), *labels = json_get(meta, "labels");

    if (!*rules_str(meta, "name"))
        return;
    if (!json_is(labels, JSON_OBJECT)) {
        labels = json_object(a);
        rules_put(a, meta, rules_type(kind->type, "metadata"), "labels", labels);
    }
    rules_put_key(a, labels, "kubernetes.io/metadata.name", json_str(a, rules_str(meta, "name")));
}

static void namespace_prepare(struct json *obj, const struct kind *kind,
                              const struct rules_ctx *ctx)
{
    const struct schema_type *spec_type = rules_type(kind->type, "spec");
    struct json *spec = json_get(obj, "spec"), *status = json_get(obj, "status"), *list, *v;
    bool has = false;

    if (!spec) {
        spec = json_object(ctx->a);
        rules_put(ctx->a, obj, kind->type, "spec", spec);
    }
    list = json_get(spec, "finalizers");
    if (!json_is(list, JSON_ARRAY)) {
        list = json_array(ctx->a);
        rules_put(ctx->a, spec, spec_type, "finalizers", list);
    }
    json_each(v, list)
        has = has || str_eq(json_text(v), "kubernetes");
    if (!has)
        json_append(ctx->a, list, json_str(ctx->a, "kubernetes"));
    rules_put(ctx->a, status, rules_type(kind->type, "status"), "phase",
              json_str(ctx->a, "Active"));
    namespace_label(obj, kind, ctx->a);
}

static void namespace_prepare_update(struct json *obj, const struct json *old,
                                     const struct kind *kind, const struct rules_ctx *ctx)
{
    if (!str_eq(ctx->subresource, "finalize"))
        rules_put_or_del(ctx->a, obj, kind->type, "spec", json_get(old, "spec"));
    namespace_label(obj, kind, ctx->a);
}

static void namespace_create(struct causes *c, const struct json *obj, const struct rules_ctx *ctx)
{
    const struct rules_path *p = RULES_AT(RULES_AT(NULL, "spec"), "finalizers");
    struct json *v;

    (void)ctx;
    json_each(v, json_get(json_get(obj, "spec"), "finalizers"))
        rules_check_finalizer(c, p, json_text(v) ? v->s : "");
}

static void namespace_update(struct causes *c, const struct json *obj, const struct json *old,
                             const struct rules_ctx *ctx)
{
    const struct rules_path *phase_at = RULES_AT(RULES_AT(NULL, "status"), "Phase");
    const char *phase = rules_str(json_get(obj, "status"), "phase");
    bool deleting = json_get(json_get(obj, "metadata"), "deletionTimestamp");

    (void)old;
    if (!str_eq(ctx->subresource, "status")) {
        namespace_create(c, obj, ctx);
        return;
    }
    if (!deleting && !str_eq(phase, "Active"))
        rules_invalid_s(c, phase_at, phase, "may only be 'Active' if `deletionTimestamp` is empty");
    if (deleting && !str_eq(phase, "Terminating"))
        rules_invalid_s(c, phase_at, phase,
                        "may only be 'Terminating' if `deletionTimestamp` is not empty");
}

/* --- ServiceAccount: the references to secrets keep their names only */

static void account_prepare(struct json *obj, const struct kind *kind, const struct rules_ctx *ctx)
{
    struct json *list = json_get(obj, "secrets"), *v;

    (void)kind;
    json_each(v, list) {
        struct json *clean = json_object(ctx->a);

        if (json_get(v, "name"))
            json_set(ctx->a, clean, "name", json_get(v, "name"));
        list->items[v_i] = clean;
    }
}

static void account_prepare_update(struct json *obj, const struct json *old,
                                   const struct kind *kind,
                                   const struct rules_ctx *ctx)
{
    (void)old;
    account_prepare(obj, kind, ctx);
}

/* --- Node */

static void check_taints(struct causes *c, const struct json *taints)
{
    static const char *const effects[] = { "NoSchedule", "PreferNoSchedule", "NoExecute", NULL };
    const struct rules_path *p = RULES_AT(RULES_AT(NULL, "metadata"), "taints");
    struct json *seen = json_object(c->a), *t;

    json_each(t, taints) {
        const struct rules_path *at = RULES_IDX(p, t_i);
        const char *effect = rules_str(t, "effect"), *value = rules_str(t, "value");
        struct rules_msgs m = { .a = c->a };

        rules_check_format(c, RULES_AT(at, "key"), rules_fmt_qualified, rules_str(t, "key"));
        rules_fmt_label_value(&m, value);
        if (m.n)
            rules_invalid_s(c, RULES_AT(at, "value"), value, rules_msgs_join(&m, ";"));
        if (!*effect)
            rules_required(c, RULES_AT(at, "effect"), "");
        else if (!rules_in(effect, effects))
            rules_unsupported(c, RULES_AT(at, "effect"), effect, effects);
        if (rules_seen(seen, c->a, arena_printf(c->a, "%s\n%s", rules_str(t, "key"), effect)))
            rules_duplicate(c, at, t);
    }
}

static void check_pod_cidrs(struct causes *c, const struct json *spec)
{
    const struct rules_path *p = RULES_AT(RULES_AT(NULL, "spec"), "podCIDRs");
    const struct json *list = json_get(spec, "podCIDRs");
    bool seen[7] = { false }, twice = false;
    struct json *v;

    json_each(v, list) {
        const char *s = json_text(v) ? v->s : "", *slash = strchr(s, '/');
        int family = slash ? rules_ip_family(arena_strndup(c->a, s, (size_t)(slash - s))) : 0;

        rules_check_cidr(c, RULES_IDX(p, v_i), s);
        twice = twice || (family && seen[family]);
        seen[family] = true;
    }
    if (twice || json_len(list) > 2)
        rules_invalid(c, p, list, "may specify no more than one CIDR for each IP family");
}

/* Amounts are not negative; what is counted is whole. */
static void check_node_resources(struct causes *c, const struct json *status)
{
    static const char *const lists[] = { "capacity", "allocatable" };

    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        json_each_member(m, json_get(status, lists[i]))
            rules_check_amount(c, RULES_KEY(RULES_AT(RULES_AT(NULL, "status"), lists[i]), m->key),
                               m->key,
                               json_text(m->val) ? m->val->s : "0");
}

static void node_create(struct causes *c, const struct json *obj, const struct rules_ctx *ctx)
{
    const struct json *spec = json_get(obj, "spec");

    (void)ctx;
    check_taints(c, json_get(spec, "taints"));
    check_node_resources(c, json_get(obj, "status"));
    check_pod_cidrs(c, spec);
}

static void node_update(struct causes *c, const struct json *obj, const struct json *old,
                        const struct rules_ctx *ctx)
{
    const struct json *spec = json_get(obj, "spec"), *before = json_get(old, "spec");
    const struct rules_path *at = RULES_AT(NULL, "spec");
    struct json *seen = json_object(c->a), *v;

    node_create(c, obj, ctx);
    json_each(v, json_get(json_get(obj, "status"), "addresses"))
        if (rules_seen(seen, c->a, arena_printf(c->a, "%s\n%s", rules_str(v, "type"),
                                                rules_str(v, "address"))))
            rules_duplicate(c, RULES_IDX(RULES_AT(RULES_AT(NULL, "status"), "addresses"), v_i), v);
    if (json_len(json_get(before, "podCIDRs")) > 0 &&
        !rules_same(json_get(spec, "podCIDRs"), json_get(before, "podCIDRs")))
        rules_forbidden(c, RULES_AT(at, "podCIDRs"),
                        "node updates may not change podCIDR except from \"\" to valid");
    if (*rules_str(before, "providerID") &&
        !str_eq(rules_str(spec, "providerID"), rules_str(before, "providerID")))
        rules_forbidden(c, RULES_AT(at, "providerID"),
                        "node updates may not change providerID except from \"\" to valid");
    if (!str_eq(rules_str(spec, "externalID"), rules_str(before, "externalID")))
        rules_forbidden(c, RULES_AT(at, "externalID"), "may not be updated");
    check_taints(c, json_get(spec, "taints"));
}

/* podCIDR is the first of podCIDRs; a client that knows only the former means a list of one. */
static void mirror_cidr(struct json *spec, const struct schema_type *type, struct arena *a)
{
    struct json *list = json_get(spec, "podCIDRs");
    const char *one = rules_str(spec, "podCIDR");

    if (*one && !str_eq(json_text(json_at(list, 0)), one)) {
        list = json_array(a);
        json_append(a, list, json_str(a, one));
        rules_put(a, spec, type, "podCIDRs", list);
    } else if (!*one && json_len(list)) {
        rules_put(a, spec, type, "podCIDR", json_clone(a, json_at(list, 0)));
    }
}

static void node_prepare(struct json *obj, const struct kind *kind, const struct rules_ctx *ctx)
{
    struct json *spec = json_get(obj, "spec");

    json_del(spec, "configSource");
    json_del(json_get(obj, "status"), "config");
    if (spec)
        mirror_cidr(spec, rules_type(kind->type, "spec"), ctx->a);
}

static void node_prepare_update(struct json *obj, const struct json *old, const struct kind *kind,
                                const struct rules_ctx *ctx)
{
    struct json *spec = json_get(obj, "spec");

    (void)old;
    if (spec)
        mirror_cidr(spec, rules_type(kind->type, "spec"), ctx->a);
}

const struct rules_row rules_core_rows[] = {
    { .group = "", .resource = "configmaps", .create = configmap_create, .update = configmap_update,
      .meta_create_on_update = true },
    { .group = "", .resource = "secrets", .create = secret_create, .update = secret_update,
      .prepare_update = secret_prepare_update,
      .meta_create_on_update = true },
    { .group = "", .resource = "namespaces", .create = namespace_create, .update = namespace_update,
      .prepare_create = namespace_prepare, .prepare_update = namespace_prepare_update,
      .meta_create_on_update = true },
    { .group = "", .resource = "serviceaccounts", .prepare_create = account_prepare,
      .prepare_update = account_prepare_update, .meta_create_on_update = true },
    { .group = "", .resource = "nodes", .create = node_create, .update = node_update,
      .prepare_create = node_prepare, .prepare_update = node_prepare_update,
      .keeps_status_on_create = true, .meta_create_on_update = true },
    { 0 },
};
