/* runtime/image/image_crew.h -- the children of one import or pull, on a private loop of the job
 * that runs it.
 *
 *   image_crew_init; image_task_start ...; while (something runs) image_crew_step; deinit
 *
 * The first failure, or the caller's wish to stop, ends image_crew_step() with -1; deinit then
 * kills what runs. Layers are unpacked into tmp directories, and get their names together once all
 * of them are there and synced.
 */
#ifndef RUNTIME_IMAGE_IMAGE_CREW_H
#define RUNTIME_IMAGE_IMAGE_CREW_H

#include "core/loop/child.h"
#include "core/loop/loop.h"
#include "runtime/image/image_store.h"
#include "runtime/image/image_unpack.h"

#define IMAGE_CREW_STEP_MS 200
#define IMAGE_CREW_PROGRESS_MS 100
#define IMAGE_CREW_UNPACKS_MAX 2                /* layers unpacked at once */
#define IMAGE_CREW_RESERVE_BYTES (64ll << 20)   /* of the file system, never filled by an image */

struct image_crew {
    const struct image_store *s;
    struct loop *loop;
    const char *exe;
    struct image_watch watch;
    int64_t told_ms;
    struct err err;                             /* the first failure */
    bool failed;
    bool killed;                                /* it was a child killed by SIGKILL */
};

int image_crew_init(struct image_crew *c, const struct image_store *s, const struct image_watch *w,
                    const char *exe, struct err *err);
void image_crew_deinit(struct image_crew *c);   /* callable twice; tasks first */
int image_crew_step(struct image_crew *c, struct err *err);
void image_crew_fail(struct image_crew *c, const struct err *why);
/* A child was ended by this signal, unasked. */
void image_crew_lost(struct image_crew *c, const char *what, int sig);
void image_crew_progress(struct image_crew *c, const struct image_progress *p);
/* What may be unpacked now: bytes and files, by the limits of image.h and the room on the file
 * system. */
int image_crew_room(const struct image_crew *c, int64_t *bytes, int64_t *files, struct err *err);

/* One unpack child. Embed it; zero-initialise. */
struct image_task {
    struct image_crew *crew;
    struct child *child;
    char what[64];                              /* for errors: "layer 0123456789ab" */
    int target;                                 /* borrowed; where opaque directories are */
    bool running, answered;
    int64_t in_bytes;                           /* of the input done so far */
    struct image_unpack_done done;
    int (*on_entry)(struct image_task *t, const struct image_unpack_entry *e, struct err *err);
    void *ctx;
};
/* The fds stay the caller's; target -1: none. */
int image_task_start(struct image_task *t, struct image_crew *c, const struct image_unpack_ask *ask,
                     int input, int target, struct err *err);
void image_task_deinit(struct image_task *t);   /* kills it; callable twice */
/* Starts it and waits for its end. */
int image_task_run(struct image_task *t, struct image_crew *c, const struct image_unpack_ask *ask,
                   int input, int target, struct err *err);

/* One layer on its way into the store. Embed it; zero-initialise. */
struct image_layer {
    struct image_task task;
    const char *diff_id;
    char tmp[IMAGE_TMP_NAME_BYTES];             /* "": nothing made */
    int fs;                                     /* open while it is unpacked; else 0 */
    bool present;                               /* it was in the store already */
};
/* digest "": not known. offset and length: the piece of `input`; -1: to its end. */
struct image_layer_source { int input; int64_t offset, length; const char *digest; };
int image_layer_start(struct image_layer *l, struct image_crew *c, const char *diff_id,
                      const struct image_layer_source *from, struct err *err);
/* removes what is not done */
void image_layer_deinit(struct image_layer *l, const struct image_store *s);
/* Gives it its name; after image_store_sync(). Nothing to do for one that was there already. */
int image_layer_commit(struct image_layer *l, const struct image_store *s, struct err *err);

#endif
