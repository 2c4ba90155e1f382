/* convert.c: renamed fields between versions, as rows. */
#include "core/object/convert.h"

struct rename { const char *core, *events; };

static const struct rename event_fields[] = {
    { "involvedObject", "regarding" },
    { "message", "note" },
    { "source", "deprecatedSource" },
    { "firstTimestamp", "deprecatedFirstTimestamp" },
    { "lastTimestamp", "deprecatedLastTimestamp" },
    { "count", "deprecatedCount" },
    { "reportingComponent", "reportingController" },
};

static const char *renamed(const char *key, bool to_core)
{
    for (size_t i = 0; i < ARRAY_LEN(event_fields); i++) {
        const struct rename *r = &event_fields[i];

        if (str_eq(key, to_core ? r->events : r->core))
            return to_core ? r->core : r->events;
    }
    return key;
}

struct json *convert_tree(struct arena *a, struct json *tree, const struct kind *from,
                          const struct kind *to)
{
    bool to_core = !*to->group;
    struct json *out;

    if (from == to)
        return tree;
    out = json_object(a);
    json_each_member(m, tree) {
        if (str_eq(m->key, "apiVersion"))
            json_set_str(a, out, "apiVersion", kind_api_version(to));
        else if (str_eq(m->key, "kind"))
            json_set_str(a, out, "kind", to->kind);
        else
            json_set(a, out, from->storage == to || to->storage == from ? renamed(m->key, to_core)
                                                                        : m->key, m->val);
    }
    return out;
}
