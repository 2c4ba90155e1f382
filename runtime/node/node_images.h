/* runtime/node/node_images.h -- getting an image for a container: look, pull when the policy
 * says so, lease. Pulls of one image come one after the other; how many run at once is the job
 * pool's JOB_IMAGE. Also collects what is not used.
 *
 *   ensure: look (job) --there and not Always--> lease --> done
 *           --else--> on_pulling, pull secrets --> pull and lease (job) --> done
 */
#ifndef RUNTIME_NODE_NODE_IMAGES_H
#define RUNTIME_NODE_NODE_IMAGES_H

#include "gen/views.h"
#include "runtime/node/node_self.h"

#define NODE_IMAGES_GC_MS 300000
#define NODE_IMAGES_LOG_MS 5000          /* a progress line of a pull */
#define NODE_IMAGES_SECRETS_MAX 32       /* of one pod */

enum node_images_end {
    NODE_IMAGES_THERE,                   /* it was there */
    NODE_IMAGES_PULLED,
    NODE_IMAGES_BAD_NAME,                /* InvalidImageName */
    NODE_IMAGES_NEVER,                   /* ErrImageNeverPull */
    NODE_IMAGES_FAILED,                  /* ErrImagePull */
    NODE_IMAGES_BROKEN,                  /* ImageInspectError: the store */
};

struct node_images_result {
    enum node_images_end end;
    struct err err;                      /* when it failed */
    struct image *image;                 /* the callee's to take (TAKE) */
    struct image_mount mount;            /* the same */
    int64_t pull_ms, all_ms;
};

struct node_images_req;                  /* a handle */

struct node_images_opts {
    const char *image, *policy;          /* "Always", "IfNotPresent", "Never" */
    const char *lease;                   /* id */
    struct object *pod;                  /* its imagePullSecrets */
    bool may_pull;                       /* false: in back-off; end is NODE_IMAGES_FAILED then */
    void (*on_pulling)(void *ctx);
    /* Names of pull secrets that could not be read. */
    void (*on_no_secrets)(void *ctx, const char *names);
    void (*done)(void *ctx, struct node_images_result *r);
    void *ctx;
};

struct node_images *node_images_new(struct node_self *self, void (*on_change)(void *ctx),
                                    void *ctx);
struct node_images *node_images_free(struct node_images *n);     /* after its requests */

/* done never comes from inside. */
struct node_images_req *node_images_ensure(struct node_images *n,
                                           const struct node_images_opts *o);
void node_images_cancel(struct node_images_req *r);              /* no callback; NULL is fine */
void node_images_unlease(struct node_images *n, const char *lease);

#endif
