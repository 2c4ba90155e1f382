/* core/client/client_slice_impl.h -- private: what client_slice*.c share. */
#ifndef CORE_CLIENT_CLIENT_SLICE_IMPL_H
#define CORE_CLIENT_CLIENT_SLICE_IMPL_H

#include "core/base/vec.h"
#include "core/client/client_slice.h"
#include "core/client/slice_file.h"
#include "core/crypto/crypto.h"

/* A file, and when it is to be written. */
struct client_slice_kept {
    struct slice_file *file;
    char *name;
    bool wide;
    bool told_full;
    bool told_corrupt;
    int64_t due_ms;                      /* 0: nothing new */
};

struct client_slice_job;

struct client_slice {
    struct client base;
    char *name, *scope;
    struct client *inner;
    struct job_pool *jobs;
    int dir;
    unsigned char seal[CRYPTO_SEAL_KEY_BYTES];
    VEC(struct client_slice_kept *) files;
    struct client_slice_kept *configmaps, *secrets, *tokens;     /* NULL without dir */
    struct loop_timer timer;
    struct client_slice_job *job;
    bool disk_failed;
    enum { CLIENT_SLICE_UNKNOWN, CLIENT_SLICE_HERE, CLIENT_SLICE_AWAY } server;
    struct list topics, calls;
};

static inline struct client_slice *client_slice_of(struct client *c)
{
    return container_of(c, struct client_slice, base);
}

/* --- client_slice.c */
/* Something answered, or nothing did. */
void client_slice_heard(struct client_slice *c, bool here);

/* --- client_slice_disk.c */
int client_slice_disk_open(struct client_slice *c, const struct client_slice_opts *o,
                           struct err *err);
void client_slice_disk_close(struct client_slice *c);
/* The file of that name, opened when it is not; NULL: nothing is kept. */
struct client_slice_kept *client_slice_disk_file(struct client_slice *c, const char *name);
void client_slice_disk_touch(struct client_slice *c, struct client_slice_kept *k);
/* False: there is none, or it cannot be read (said once). */
bool client_slice_disk_get(struct client_slice *c, struct client_slice_kept *k, const char *key,
                           struct buf *out);

/* --- client_slice_call.c */
int client_slice_call_do(struct client *c, const struct client_req *req, struct err *err);
void client_slice_call_drop(struct client_slice *c);
/* Strikes what no pod names. */
void client_slice_call_sweep(struct client_slice *c);

/* --- client_slice_watch.c */
int client_slice_watch_new(struct client *c, struct client_watch **out,
                           const struct client_watch_opts *o, struct err *err);
struct client_watch *client_slice_watch_free(struct client_watch *w);
void client_slice_watch_drop(struct client_slice *c);
/* Walks the pods that are watched; false: they are not known (yet). fn may be NULL. */
bool client_slice_watch_pods(struct client_slice *c, void (*fn)(void *ctx, struct object *pod),
                             void *ctx);

/* --- client_slice_text.c: pure. What is kept of an object, and what it is compared by. */
void client_slice_text(struct buf *value, struct buf *mark, const struct object *o);

#endif
