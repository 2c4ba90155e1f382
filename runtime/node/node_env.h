/* runtime/node/node_env.h -- the environment of a container, command and args, and the texts that a
 * pod may ask of itself (fieldRef, resourceFieldRef). Pure: everything it needs is in node_env_in.
 * Errors are the messages of CreateContainerConfigError (ERR_INVALID, ERR_NOT_FOUND: `couldn't find
 * key k in ConfigMap ns/name`).
 */
#ifndef RUNTIME_NODE_NODE_ENV_H
#define RUNTIME_NODE_NODE_ENV_H

#include "core/client/informer.h"
#include "gen/views.h"
#include "runtime/node/node_ref.h"
#include "runtime/oci/plan.h"

/* What the pod cannot know from its object. Texts borrowed; NULL reads as "". */
struct node_env_facts {
    const char *node_name, *host_ip;
    const char *pod_ip;                      /* first of pod_ips */
    const char *const *pod_ips;              /* NULL-terminated, or NULL */
    const char *const *host_ips;             /* NULL-terminated, or NULL: host_ip alone */
    /* allocatable: limits that are not set */
    int64_t node_milli_cpu, node_memory_bytes, node_storage_bytes;
};

struct node_env_in {
    struct object *pod;
    /* of the pod; an ephemeral container's common part too */
    const struct container_view *c;
    const struct plan_texts *image_env;      /* "NAME=value"; or NULL */
    const struct informer *services;         /* of all namespaces; or NULL */
    const struct node_ref_set *refs;         /* ready */
    const struct node_env_facts *facts;
};

/* "NAME=value" of the container: image, envFrom, env, then service variables that are not yet
 * there. `own`: the same without what only the image says: $(NAME) in args, subPathExpr and env
 * sees just these, as upstream. */
int node_env_build(struct plan_texts *out, struct plan_texts *own, struct arena *a,
                   const struct node_env_in *in, struct err *err);
/* What runs: command and args with $(NAME) put in from `own`, falling back to the image's
 * entrypoint and cmd. */
struct node_env_command {
    const struct container_view *c;
    const struct plan_texts *own;
    const struct plan_texts *entrypoint, *cmd;           /* or NULL */
};
void node_env_args(struct plan_texts *out, struct arena *a, const struct node_env_command *k);
/* $(NAME) of own put in; $$(NAME) stays $(NAME); unknown names stay as they are. */
const char *node_env_expand(struct arena *a, const char *text, const struct plan_texts *own);
/* As above, but an unknown name is an error: subPathExpr. */
int node_env_expand_strict(const char **out, struct arena *a, const char *text,
                           const struct plan_texts *own, struct err *err);

/* Whose fields; texts that are made go to the arena. */
struct node_env_of { struct arena *a; struct object *pod; const struct node_env_facts *f; };
/* fieldRef: "metadata.name", "metadata.labels['k']", "status.podIP", in volumes also
 * "metadata.labels". */
int node_env_field(const char **out, const struct node_env_of *of, const char *path,
                   struct err *err);
/* resourceFieldRef: "limits.cpu" ...; `container` is meant when the selector names none. */
int node_env_resource(const char **out, const struct node_env_of *of, const char *container,
                      const struct resource_field_selector_view *r, struct err *err);

#endif
