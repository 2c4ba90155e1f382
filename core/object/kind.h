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
    /* upgraded or proxied stream: exec, attach, log, portforward, proxy */
    bool connect;
};

struct kind_column {             /* of Table output; the cells are in table.c */
    const char *name, *type, *format;
    int priority;                /* above 0: wide output only */
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
    /* a status subresource: main writes keep status, status writes keep the rest */
    bool has_status;
    bool has_generation;         /* metadata.generation counts changes of spec */
    bool put_creates;            /* PUT to a name that is not there creates it */
    bool unconditional_put;      /* PUT without resourceVersion overwrites */
    bool returns_deleted;        /* a finished delete answers the object, not a Status */
    bool orphans;                /* deletes orphan the dependents when no option says otherwise */
    uint16_t verbs;              /* enum kind_verb */
    const char *const *short_names;        /* NULL-terminated, may be NULL */
    const char *const *categories;         /* NULL-terminated, may be NULL */
    const struct kind_subresource *subs;   /* n_subs */
    unsigned n_subs;
    const struct kind_column *columns;     /* n_columns; none: the server's generic pair */
    unsigned n_columns;
    const struct schema_type *type;
    /* first part of its key in the store: "pods", shared by versions of one kind */
    const char *storage_prefix;
    const struct kind *storage;  /* the version that is stored; itself for most */
    const char *storage_hash;    /* storageVersionHash of discovery; "" for none */
    const char *api_version;     /* "apps/v1" */
    const char *group_resource;  /* "deployments.apps" */
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

/* Short hands for the kinds that code names, generated: KIND_ID_POD (for switches) and kind_pod().
 * The preferred version has the plain name, others end in their version:
 * kind_horizontal_pod_autoscaler_v1(). Event of events.k8s.io is kind_events_event(). */
#include "gen/kinds.h"

#endif
