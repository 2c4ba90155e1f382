/* core/client/recorder.h -- Events: tells users, under an object, what was done to it or went
 * wrong.
 *
 * As upstream's recorder: the same event again raises the count of the one there is, and so do
 * many that differ in their message only ("(combined from similar events): ..."); one object may
 * say RECORDER_BURST things at once and one more every RECORDER_REFILL_MS. Nothing waits for the
 * answers: an event may be lost. Lives on the client's loop.
 */
#ifndef CORE_CLIENT_RECORDER_H
#define CORE_CLIENT_RECORDER_H

#include "core/client/client.h"

#define RECORDER_BURST 25
#define RECORDER_REFILL_MS 300000
/* events, and objects, remembered; the oldest are forgotten */
#define RECORDER_KNOWN_MAX 2048
#define RECORDER_KNOWN_MS 600000         /* after this long the same event is a new one */
/* different messages of one reason under one object; further ones are counted in one event */
#define RECORDER_SIMILAR_MAX 10
#define RECORDER_MESSAGE_MAX 1024        /* bytes, as upstream's validation */

struct recorder;

enum recorder_type { RECORDER_NORMAL, RECORDER_WARNING };

/* component: "replicaset-controller"; host: the node's name for components on nodes, or "". */
struct recorder *recorder_new(struct client *c, const char *component, const char *host);
struct recorder *recorder_free(struct recorder *r);
CLEANUP_DEFINE(struct recorder, recorder_free)

/* What the event is about, when there is no object at hand. Texts may be NULL. */
struct recorder_ref {
    const char *api_version, *kind, *ns, *name, *uid;
    const char *field_path;              /* "spec.containers{app}" */
    int64_t rv;
};
void recorder_normal(struct recorder *r, const struct object *about, const char *reason,
                     const char *format, ...) __attribute__((format(printf, 4, 5)));
void recorder_warning(struct recorder *r, const struct object *about, const char *reason,
                      const char *format, ...) __attribute__((format(printf, 4, 5)));
void recorder_event_ref(struct recorder *r, const struct recorder_ref *about,
                        enum recorder_type type, const char *reason, const char *message);

#endif
