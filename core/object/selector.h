/* core/object/selector.h -- label selectors and field selectors. Immutable once parsed. */
#ifndef CORE_OBJECT_SELECTOR_H
#define CORE_OBJECT_SELECTOR_H

#include "core/base/json.h"
#include "core/object/object.h"

#define SELECTOR_BYTES_MAX (64u << 10)

struct selector;

/* "a=b,c in (d,e),!f"; "" selects everything. ERR_INVALID in upstream's words ("unable to parse
 * requirement: ..."). */
int selector_parse(struct selector **out, const char *text, struct err *err);
/* A LabelSelector {matchLabels, matchExpressions}; NULL selects nothing, {} everything. */
int selector_from_json(struct selector **out, const struct json *label_selector, struct err *err);
/* A plain map of equalities (Service.spec.selector); empty or NULL selects nothing. */
struct selector *selector_from_map(const struct json *map);
struct selector *selector_free(struct selector *s);
CLEANUP_DEFINE(struct selector, selector_free)
bool selector_matches(const struct selector *s, const struct object *o);
/* labels may be NULL */
bool selector_matches_map(const struct selector *s, const struct json *labels);
bool selector_is_everything(const struct selector *s);
/* Canonical text (Scale.status.selector). */
void selector_write(struct buf *b, const struct selector *s);

struct fieldsel;

/* "metadata.name=a,status.phase!=Running" for this kind. ERR_INVALID: `field label not supported:
 * x`. */
int fieldsel_parse(struct fieldsel **out, const struct kind *kind, const char *text,
                   struct err *err);
struct fieldsel *fieldsel_free(struct fieldsel *f);
CLEANUP_DEFINE(struct fieldsel, fieldsel_free)
bool fieldsel_matches(const struct fieldsel *f, const struct object *o);
/* The name (or namespace) it pins by equality, or NULL. */
const char *fieldsel_name(const struct fieldsel *f);
const char *fieldsel_ns(const struct fieldsel *f);

/* Topics: what most watches with a selector are after, one value of one field -- an object by its
 * name, the pods of a node -- as a number, so that a change finds those watches without asking all.
 * Two values may have the same number: the selector still decides. Never 0. */
#define FIELDSEL_TOPICS_MAX 2
uint64_t fieldsel_topic(const struct fieldsel *f);           /* that it pins; 0: none */
uint64_t fieldsel_topic_name(const char *name);
/* Those of an object; returns how many. */
unsigned fieldsel_topics(const struct object *o, uint64_t out[FIELDSEL_TOPICS_MAX]);

#endif
