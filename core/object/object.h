/* core/object/object.h -- an object as everyone holds it: immutable, refcounted, shared by threads.
 *
 * It is the stored JSON bytes (canonical field order, resourceVersion inside), the metadata that
 * everyone needs, and a typed view decoded once on demand. Nothing is serialised per reader: a GET
 * writes the bytes.
 */
#ifndef CORE_OBJECT_OBJECT_H
#define CORE_OBJECT_OBJECT_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/json.h"
#include "core/object/kind.h"

struct object;

/* From canonical bytes. `bytes` either holds `"resourceVersion":""` (then `rv` is spliced in at its
 * first occurrence) or a full resourceVersion and rv is 0. The bytes are copied. ERR_CORRUPT when
 * they are no object of this kind. */
int object_new(struct object **out, const struct kind *kind, const char *bytes, size_t len,
               int64_t rv, struct err *err);
/* Canonical tree -> the bytes of an object: with rv, or with the placeholder when rv is 0 (the form
 * in the store). */
void object_encode(struct buf *b, const struct json *tree, int64_t rv);
/* From a canonical tree (as codec.h makes it); rv 0 keeps the tree's own resourceVersion. */
int object_from_tree(struct object **out, const struct kind *kind, const struct json *tree,
                     int64_t rv, struct err *err);
struct object *object_ref(struct object *o);                    /* NULL is fine; returns o */
struct object *object_unref(struct object *o);                  /* NULL is fine; returns NULL */
CLEANUP_DEFINE(struct object, object_unref)

const struct kind *object_kind(const struct object *o);
const char *object_ns(const struct object *o);                  /* "" for cluster-scoped */
const char *object_name(const struct object *o);
const char *object_uid(const struct object *o);
int64_t object_rv(const struct object *o);
int64_t object_generation(const struct object *o);              /* 0 when it has none */
/* creationTimestamp, seconds since 1970 */
int64_t object_created_s(const struct object *o);
bool object_is_deleting(const struct object *o);                /* deletionTimestamp is set */
struct slice object_bytes(const struct object *o);
const char *object_label(const struct object *o, const char *key);          /* or NULL */
const char *object_annotation(const struct object *o, const char *key);     /* or NULL */
/* Labels in order of keys; start with *at = 0. */
bool object_next_label(const struct object *o, unsigned *at, const char **key, const char **value);

struct object_owner {
    const char *api_version, *kind, *name, *uid;
    bool controller, block_deletion;
};
unsigned object_owners(const struct object *o, const struct object_owner **out);
/* the owner with controller: true */
const struct object_owner *object_controller(const struct object *o);

/* A fresh mutable tree of it in the arena. Cannot fail: object_new read the same bytes. */
struct json *object_tree(const struct object *o, struct arena *a);

/* The typed view of its kind, decoded at the first call, freed with the object. Use the typed
 * wrappers of gen/views.h: `const struct pod_view *pod_view(const struct object *o)` and so on,
 * which check the kind. */
const void *object_view(const struct object *o);

/* "ns/name" or "name" into out; the key of work queues and informers. */
#define OBJECT_KEY_BYTES 320
void object_key(const struct object *o, char out[OBJECT_KEY_BYTES]);
void object_key_of(char out[OBJECT_KEY_BYTES], const char *ns, const char *name);
/* Splits a key; ns is "" when it has none. */
void object_key_split(const char *key, char ns[OBJECT_KEY_BYTES], char name[OBJECT_KEY_BYTES]);

#endif
