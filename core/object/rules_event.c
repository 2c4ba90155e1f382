/* core/object/rules_event.c -- Event in both its versions. One stored form; each version names its
 * fields its own way, and only events.k8s.io insists on the new ones. */
#include "core/base/check.h"
#include "core/object/rules_impl.h"

#define TEXT_MAX 128
#define NOTE_MAX 1024

/* The same field in the two versions. */
static const struct json *pick(const struct json *obj, const char *core_name, const char *new_name)
{
    const struct json *v = json_get(obj, core_name);

    return v ? v : json_get(obj, new_name);
}

static const char *pick_str(const struct json *obj, const char *core_name, const char *new_name)
{
    const struct json *v = pick(obj, core_name, new_name);

    return json_text(v) ? v->s : "";
}

static bool is_v1(const struct json *obj)
{
    return str_eq(rules_str(obj, "apiVersion"), "v1");
}

/* NULL: not set. */
static const struct json *time_of(const struct json *obj, const char *field)
{
    const struct json *v = json_get(obj, field);

    return json_text(v) ? v : NULL;
}

static void check_text(struct causes *c, const char *field, const char *s, size_t max,
                       bool required)
{
    const struct rules_path *p = RULES_AT(NULL, field);

    if (required && !*s)
        rules_required(c, p, "");
    if (strlen(s) > max)
        rules_invalid_s(c, p, "", arena_printf(c->a, "can have at most %zu characters", max));
}

static void check_new_fields(struct causes *c, const struct json *obj)
{
    const char *controller = pick_str(obj, "reportingComponent", "reportingController");
    const struct rules_path *p = RULES_AT(NULL, is_v1(obj) ? "reportingComponent"
                                                           : "reportingController");

    if (!*controller)
        rules_required(c, p, "");
    rules_check_format(c, p, rules_fmt_qualified, controller);
    check_text(c, "reportingInstance", rules_str(obj, "reportingInstance"), TEXT_MAX, true);
    check_text(c, "action", rules_str(obj, "action"), TEXT_MAX, true);
    check_text(c, "reason", rules_str(obj, "reason"), TEXT_MAX, true);
    check_text(c, "message", pick_str(obj, "message", "note"), NOTE_MAX, false);
}

static void check_legacy(struct causes *c, const struct json *obj)
{
    const struct rules_path *at = RULES_AT(RULES_AT(NULL, "involvedObject"), "namespace");
    const char *ns = rules_str(json_get(obj, "metadata"), "namespace");
    const char *about = rules_str(pick(obj, "involvedObject", "regarding"), "namespace");
    bool fits;

    if (!time_of(obj, "eventTime")) {
        fits = *about ? str_eq(ns, about) : !*ns || str_eq(ns, "default");
    } else {
        fits = *about || str_eq(ns, "default") || str_eq(ns, "kube-system");
        check_new_fields(c, obj);
    }
    if (!fits)
        rules_invalid_s(c, at, about, "does not match event.namespace");
    rules_check_format(c, RULES_AT(NULL, "namespace"), rules_fmt_subdomain, ns);
}

static void check_series(struct causes *c, const struct json *obj)
{
    const struct json *series = json_get(obj, "series");
    const struct rules_path *p = RULES_AT(NULL, "series");

    if (!series)
        return;
    if (json_get_int(series, "count", 0) < 2)
        rules_invalid_s(c, RULES_AT(p, "count"), "", "should be at least 2");
    if (!time_of(series, "lastObservedTime"))
        rules_required(c, RULES_AT(p, "lastObservedTime"), "");
}

static void check_unset(struct causes *c, const char *field, bool set)
{
    if (set)
        rules_invalid_s(c, RULES_AT(NULL, field), "", "needs to be unset");
}

static void event_create(struct causes *c, const struct json *obj, const struct rules_ctx *ctx)
{
    const char *type = rules_str(obj, "type");

    (void)ctx;
    check_legacy(c, obj);
    if (is_v1(obj) || json_get(obj, "involvedObject"))
        return;
    if (!time_of(obj, "eventTime"))
        rules_required(c, RULES_AT(NULL, "eventTime"), "");
    check_series(c, obj);
    if (!str_eq(type, "Normal") && !str_eq(type, "Warning"))
        rules_invalid_s(c, RULES_AT(NULL, "type"), "",
                        arena_printf(c->a, "has invalid value: %s", type));
    check_unset(c, "firstTimestamp", time_of(obj, "deprecatedFirstTimestamp"));
    check_unset(c, "lastTimestamp", time_of(obj, "deprecatedLastTimestamp"));
    check_unset(c, "count", json_get_int(obj, "deprecatedCount", 0) != 0);
    check_unset(c, "source", json_len(json_get(obj, "deprecatedSource")) > 0);
}

static void new_event_create(struct causes *c, const struct json *obj, const struct rules_ctx *ctx)
{
    event_create(c, obj, ctx);
}

/* The fields of a new-style event that never change, by their stored names. */
static const struct { const char *field, *new_name; } fixed[] = {
    { "involvedObject", "regarding" },   { "reason", "reason" },
    { "message", "note" },               { "source", "deprecatedSource" },
    { "firstTimestamp", "deprecatedFirstTimestamp" },
    { "lastTimestamp", "deprecatedLastTimestamp" },
    { "count", "deprecatedCount" },      { "type", "type" },
    { "eventTime", "eventTime" },        { "action", "action" },
    { "related", "related" },            { "reportingController", "reportingController" },
    { "reportingInstance", "reportingInstance" },
};

static void event_update(struct causes *c, const struct json *obj, const struct json *old,
                         const struct rules_ctx *ctx)
{
    (void)ctx;
    (void)old;
    check_legacy(c, obj);
}

static void new_event_update(struct causes *c, const struct json *obj, const struct json *old,
                             const struct rules_ctx *ctx)
{
    (void)ctx;
    check_legacy(c, obj);
    if (!time_of(old, "eventTime"))
        return;
    for (size_t i = 0; i < ARRAY_LEN(fixed); i++)
        rules_check_immutable(c, RULES_AT(NULL, fixed[i].field),
                              pick(obj, fixed[i].new_name, fixed[i].field),
                              pick(old, fixed[i].new_name, fixed[i].field));
    if (!rules_same(json_get(obj, "series"), json_get(old, "series")))
        check_series(c, obj);
}

const struct rules_row rules_event_rows[] = {
    { .group = "", .resource = "events", .create = event_create, .update = event_update,
      .no_meta_create = true, .no_meta_update = true, .creates_on_update = true },
    { .group = "events.k8s.io", .resource = "events", .create = new_event_create,
      .update = new_event_update, .creates_on_update = true },
    { 0 },
};
