/* tests/fake/api_box.h -- a whole API server in one process: SQLite on a folder, watch cache, jobs,
 * the API.
 *
 * Nothing in it is fake but the environment; it stands here because tests of several rooms want
 * one. The loop is stepped by whoever made it. Jobs run inline on the loop (threads 0) or on real
 * threads.
 */
#ifndef TESTS_FAKE_API_BOX_H
#define TESTS_FAKE_API_BOX_H

#include "core/api/api.h"

#define API_BOX_TOKEN "server:secret"    /* the server's own */
#define API_BOX_NODE "n1"                /* its node */

struct api_box {
    struct loop *loop;
    struct job_pool *jobs;
    struct watch_cache *cache;
    struct kv *kv;
    struct crypto_key *sa_key;
    struct api *api;
    struct api_dial dial;               /* what connections to nodes and pods become, once set */
};

/* `dir` holds the data base; opened again it is the same cluster after a restart. */
int api_box_new(struct api_box **out, const char *dir, unsigned threads, struct err *err);
struct api_box *api_box_free(struct api_box *b);

#endif
