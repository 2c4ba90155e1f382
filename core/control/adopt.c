/* adopt.c -- see adopt.h. */
#include "core/control/adopt.h"

#include "core/base/map.h"

void adopt_init(struct adopt_orphans *o)
{
    o->keys = map_new();
}

void adopt_deinit(struct adopt_orphans *o)
{
    o->keys = map_free(o->keys, NULL);
}

void adopt_note(struct adopt_orphans *o, struct object *before, struct object *after)
{
    char key[OBJECT_KEY_BYTES];

    object_key(after ? after : before, key);
    if (after && !object_controller(after))
        map_put(o->keys, key, o);
    else
        map_del(o->keys, key);
}

struct json *adopt_reference(struct arena *a, const struct object *owner)
{
    struct json *ref = json_object(a);

    json_set_str(a, ref, "apiVersion", object_kind(owner)->api_version);
    json_set_str(a, ref, "kind", object_kind(owner)->kind);
    json_set_str(a, ref, "name", object_name(owner));
    json_set_str(a, ref, "uid", object_uid(owner));
    json_set_bool(a, ref, "controller", true);
    json_set_bool(a, ref, "blockOwnerDeletion", true);
    return ref;
}

/* The object may have gone, or be another by now: then there is nothing to do. */
static void on_patched(struct pass *p, const struct client_result *r, void *arg)
{
    (void)arg;
    if (!client_ok(r) && r->code != 404 && r->code != 422)
        control_fail(p);
}

static void patch_owner(struct pass *p, struct object *o, struct json *ref)
{
    struct json *patch = json_object(p->a), *meta = json_ensure_object(p->a, patch, "metadata");

    json_set_str(p->a, meta, "uid", object_uid(o));
    json_append(p->a, json_ensure_array(p->a, meta, "ownerReferences"), ref);
    control_patch_strategic(p, o, patch, on_patched, NULL);
}

static void release(struct pass *p, struct object *o, const struct object *owner)
{
    struct json *ref = json_object(p->a);

    json_set_str(p->a, ref, "$patch", "delete");
    json_set_str(p->a, ref, "uid", object_uid(owner));
    patch_owner(p, o, ref);
}

struct adopt_list adopt_claim(struct pass *p, struct object *owner,
                              const struct selector *selector, const struct kind *kind,
                              const struct adopt_orphans *orphans)
{
    struct adopt_list out = { 0 };
    struct informer *i = control_informer(p->c, kind);
    struct object *o;
    const char *key;
    void *value;

    for (size_t at = 0; (o = informer_next_owned(i, object_uid(owner), &at));) {
        if (!str_eq(object_ns(o), object_ns(owner)))
            continue;
        if (selector_matches(selector, o))
            vec_push(&out, o);
        else if (!object_is_deleting(owner) && !object_is_deleting(o))
            release(p, o, owner);
    }
    if (object_is_deleting(owner))
        return out;
    for (size_t at = 0; map_next(orphans->keys, &at, &key, &value);) {
        char ns[OBJECT_KEY_BYTES], name[OBJECT_KEY_BYTES];

        object_key_split(key, ns, name);
        o = str_eq(ns, object_ns(owner)) ? informer_get(i, ns, name) : NULL;
        if (!o || object_is_deleting(o) || !selector_matches(selector, o))
            continue;
        vec_push(&out, o);
        patch_owner(p, o, adopt_reference(p->a, owner));
    }
    return out;
}
