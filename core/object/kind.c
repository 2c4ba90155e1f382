/* core/object/kind.c -- finding kinds in the generated table. */
#include "core/object/kind.h"

#include <string.h>

#include "core/base/check.h"
#include "core/base/str.h"

unsigned kind_count(void)
{
    return KIND_ID_MAX;
}

const struct kind *kind_by_id(unsigned id)
{
    return id < KIND_ID_MAX ? &kind_rows[id] : NULL;
}

const struct kind *kind_by_resource(const char *group, const char *version, const char *resource)
{
    for (unsigned i = 0; i < KIND_ID_MAX; i++) {
        const struct kind *k = &kind_rows[i];

        if (str_eq(k->resource, resource) && str_eq(k->group, group) && str_eq(k->version, version))
            return k;
    }
    return NULL;
}

const struct kind *kind_by_gvk(const char *group, const char *version, const char *kind)
{
    for (unsigned i = 0; i < KIND_ID_MAX; i++) {
        const struct kind *k = &kind_rows[i];

        if (str_eq(k->kind, kind) && str_eq(k->group, group) && str_eq(k->version, version))
            return k;
    }
    return NULL;
}

const struct kind *kind_by_api_version(const char *api_version, const char *kind)
{
    for (unsigned i = 0; i < KIND_ID_MAX; i++) {
        const struct kind *k = &kind_rows[i];

        if (str_eq(k->kind, kind) && str_eq(k->api_version, api_version))
            return k;
    }
    return NULL;
}

const struct kind_subresource *kind_sub(const struct kind *k, const char *name)
{
    check(k);
    for (unsigned i = 0; i < k->n_subs; i++)
        if (str_eq(k->subs[i].name, name))
            return &k->subs[i];
    return NULL;
}

const char *kind_api_version(const struct kind *k)
{
    return k->api_version;
}

const char *kind_group_resource(const struct kind *k)
{
    return k->group_resource;
}
