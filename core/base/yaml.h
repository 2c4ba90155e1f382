/* core/base/yaml.h -- YAML manifests -> JSON trees, resolved as sigs.k8s.io/yaml (YAML 1.1 core as
 * Go's yaml.v2) does: yes/no/on/off are booleans when plain, quoted scalars are strings, keys
 * become strings, merge keys work. Aliases are limited (bombs), depth as JSON. libyaml is
 * underneath. */
#ifndef CORE_BASE_YAML_H
#define CORE_BASE_YAML_H

#include "core/base/json.h"

#define YAML_NODES_MAX 2000000   /* nodes after alias expansion */
#define YAML_ANCHORS_MAX 10000

/* The first document; as Go's decoder, it does not look at others. Text that begins with '{' is
 * read as JSON where it is that. Errors: ERR_INVALID ("yaml: line N: ..."), ERR_QUOTA (also the
 * arena's cap). Empty input gives JSON null. Of opts only on_duplicate has a meaning: it gets
 * "line N" in place of a path, because upstream's texts name lines here. */
int yaml_parse(struct json **out, struct arena *a, const char *text, size_t len,
               const struct json_opts *opts, struct err *err);
/* All documents separated by '---', empty ones dropped; out is a JSON array. */
int yaml_parse_all(struct json **out, struct arena *a, const char *text, size_t len,
                   struct err *err);
/* Block style, keys in order, as kubectl -o yaml prints (sorted keys are the caller's choice). */
void yaml_write(struct buf *b, const struct json *v);

#endif
