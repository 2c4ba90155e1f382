/* core/object/kind.h -- the kinds there are: constant tables generated from core/object/schema.
 *
 * Everything that knows a kind by name asks here. Tables are constant, shared by all threads.
 */
#ifndef CORE_OBJECT_KIND_H
#define CORE_OBJECT_KIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct schema_type;              /* core/object/schema.h */

enum kind_verb {
    VERB_GET = 1, VERB_LIST = 2, VERB_WATCH = 4, VERB_CREATE = 8, VERB_UPDATE = 16, VERB_PATCH = 32,
    VERB_DELETE = 64, VERB_DELETECOLLECTION = 128,
};

struct kind_subresource {
    const char *name;            /* "status" */
    const char *group, *version; /* of the body, when it differs from the kind's; else NULL */
    const char *kind;            /* of the body: "Pod", "Scale", "Eviction", "PodExecOptions" */
    uint16_t verbs;              /* enum kind_verb; connect subresources: VERB_GET|VERB_CREATE */
    bool connect;                /* upgraded or proxied stream: exec, attach, log, portforward, proxy */
};

struct kind {
    uint16_t id;                 /* dense, 0-based; the same object of two versions has two kinds */
    const char *group;           /* "" for core */
    const char *version;         /* "v1" */
    const char *kind;            /* "Pod" */
    const char *resource;        /* "pods" */
    const char *singular;        /* "pod" */
    bool namespaced;
    bool served;                 /* this release answers it */
    bool volatile_class;         /* Events, Leases: kept in memory, written in batches */
    bool has_status;             /* a status subresource: main writes keep status, status writes keep the rest */
    bool has_generation;         /* metadata.generation counts changes of spec */
    uint16_t verbs;              /* enum kind_verb */
    const char *const *short_names;        /* NULL-terminated, may be NULL */
    const char *const *categories;         /* NULL-terminated, may be NULL */
    const struct kind_subresource *subs;   /* n_subs */
    unsigned n_subs;
    const struct schema_type *type;
    const char *storage_prefix;  /* first part of its key in the store: "pods", shared by versions of one kind */
    const struct kind *storage;  /* the version that is stored; itself for most */
};

unsigned kind_count(void);
const struct kind *kind_by_id(unsigned id);
/* NULL when unknown. Any argument may be compared as it is: case matters. */
const struct kind *kind_by_resource(const char *group, const char *version, const char *resource);
const struct kind *kind_by_gvk(const char *group, const char *version, const char *kind);
const struct kind *kind_by_api_version(const char *api_version, const char *kind);   /* "apps/v1" */
const struct kind_subresource *kind_sub(const struct kind *k, const char *name);
/* "v1" or "apps/v1"; a static text. */
const char *kind_api_version(const struct kind *k);
/* "pods" or "deployments.apps", as errors and kubectl name it; a static text. */
const char *kind_group_resource(const struct kind *k);

/* Short hands for the kinds that code names: generated, see gen/kinds.h: `extern const struct kind *const KIND_POD;`
 * is avoided (no globals): kind_pod() ... are generated inline functions over the table. */
#include "gen/kinds.h"

#endif
