/* core/object/codec_convert.c -- between the versions of one object.
 *
 * Most versions differ in nothing that is served: the tree is read anew by the other type. Events
 * of the core group and of events.k8s.io are one object under two sets of names.
 */
#include <string.h>

#include "core/base/check.h"
#include "core/object/codec.h"
#include "core/object/schema.h"

static const struct { const char *core, *events; } event_names[] = {
    { "involvedObject", "regarding" },
    { "message", "note" },
    { "reportingComponent", "reportingController" },
    { "source", "deprecatedSource" },
    { "firstTimestamp", "deprecatedFirstTimestamp" },
    { "lastTimestamp", "deprecatedLastTimestamp" },
    { "count", "deprecatedCount" },
};

static const char *event_name(const char *name, bool to_core)
{
    for (size_t i = 0; i < ARRAY_LEN(event_names); i++) {
        if (to_core && !strcmp(name, event_names[i].events))
            return event_names[i].core;
        if (!to_core && !strcmp(name, event_names[i].core))
            return event_names[i].events;
    }
    return name;
}

static bool is_event(const struct kind *k)
{
    return k->id == KIND_ID_EVENT || k->id == KIND_ID_EVENTS_EVENT;
}

int codec_convert(struct json **out, struct arena *a, const struct json *tree,
                  const struct kind *from,
                  const struct kind *to, struct err *err)
{
    bool events = is_event(from) && is_event(to);
    struct json *named;

    check(json_is(tree, JSON_OBJECT));
    if (from->storage != to->storage)
        return err_set(err, ERR_UNSUPPORTED, "%s %s is no version of %s %s", from->api_version,
                       from->kind,
                       to->api_version, to->kind);
    named = json_object(a);
    json_each_member(m, tree) {
        const char *name = events && from != to ? event_name(m->key,
                                                             to->id == KIND_ID_EVENT) : m->key;

        json_set(a, named, name, m->val);
    }
    if (json_get(named, "kind"))
        json_set_str(a, named, "kind", to->kind);
    if (json_get(named, "apiVersion"))
        json_set_str(a, named, "apiVersion", to->api_version);
    return codec_canonical(out, a, to->type, named, NULL, err);
}
