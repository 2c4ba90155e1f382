/* core/object/podrefs.h -- the ConfigMaps and Secrets that a pod names. Pure. */
#ifndef CORE_OBJECT_PODREFS_H
#define CORE_OBJECT_PODREFS_H

#include "gen/views.h"

/* Calls fn for each mention in env, envFrom and volumes, in order; the same one may come again.
 * kind is kind_config_map() or kind_secret(); name is never empty. */
typedef void podrefs_fn(void *ctx, const struct kind *kind, const char *name);
void podrefs_each(const struct pod_spec_view *pod, podrefs_fn *fn, void *ctx);
/* The Secrets of imagePullSecrets. */
void podrefs_each_pull(const struct pod_spec_view *pod, podrefs_fn *fn, void *ctx);

#endif
