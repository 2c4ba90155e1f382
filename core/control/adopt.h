/* adopt.h -- which objects belong to a controller object: by their controller reference and its
 * selector. Those it owns but does not select are let go, those that nobody owns are taken.
 * Inside core/control only.
 */
#ifndef CORE_CONTROL_ADOPT_H
#define CORE_CONTROL_ADOPT_H

#include "core/base/vec.h"
#include "core/control/control_impl.h"
#include "core/object/selector.h"

/* Objects of one kind without a controlling owner, by key: so that none need be searched for. */
struct adopt_orphans { struct map *keys; };

void adopt_init(struct adopt_orphans *o);
void adopt_deinit(struct adopt_orphans *o);
/* From the kind's on_change, first of all. */
void adopt_note(struct adopt_orphans *o, struct object *before, struct object *after);

struct adopt_list { struct object **v; size_t len, cap; };      /* borrowed from the informer */

/* The objects of `kind` in the namespace of `owner` that are its own after this pass. Sends the
 * patches that adopt and release. Ended and deleted ones are among them: the caller filters. */
struct adopt_list adopt_claim(struct pass *p, struct object *owner,
                              const struct selector *selector, const struct kind *kind,
                              const struct adopt_orphans *orphans);
static inline void adopt_list_deinit(struct adopt_list *l) { vec_deinit(l); }
/* {apiVersion, kind, name, uid, controller, blockOwnerDeletion} of this owner. */
struct json *adopt_reference(struct arena *a, const struct object *owner);

#endif
