/* runtime/image/image_pull.h -- how the room speaks to its children `pull`. Both ends are the same
 * binary.
 *
 *   parent -> child   PULL_ASK with a struct image_pull_ask and the plan's fd (JSON: reference,
 * endpoints and credentials); to resolve: also three files for the target, the manifest and the
 * configuration
 *   resolving:        PULL_RESOLVED, then the child ends
 *   fetching blobs:   parent -> child PULL_BLOB with a struct image_pull_blob and a file, child ->
 * parent PULL_PROGRESS ... PULL_BLOB_DONE, again and again until the parent closes the socket
 *   at any time       IMSG_ERR, then the child ends
 *
 * A plan's JSON:
 * {"domain","path","tag","digest","stall_ms","endpoints":[{"url","path","ns","ca","cert","key",
 * "insecure","creds":[{"user","password","identity","registry"}]}]}
 */
#ifndef RUNTIME_IMAGE_IMAGE_PULL_H
#define RUNTIME_IMAGE_IMAGE_PULL_H

#include "core/loop/imsg.h"
#include "runtime/image/image_manifest.h"

#define IMAGE_PULL_VERB "pull"
#define IMAGE_PULL_CHILDREN_MAX 3               /* blobs fetched at once */
#define IMAGE_PULL_PLAN_BYTES_MAX (16u << 20)
#define IMAGE_PULL_STALL_MS 60000
#define IMAGE_PULL_TRIES_MAX 5                  /* of one blob without a byte of progress between */
#define IMAGE_PULL_RESOLVE_TRIES_MAX 3
#define IMAGE_PULL_BACKOFF_MS 500               /* doubled each time */

enum { PULL_ASK = IMSG_USER, PULL_RESOLVED, PULL_BLOB, PULL_PROGRESS, PULL_BLOB_DONE };

struct image_pull_ask {
    bool resolve;
    unsigned endpoint, cred;            /* which resolved: the first to be asked for blobs */
};

struct image_pull_resolved {
    unsigned endpoint, cred;
    char target[IMAGE_DIGEST_BYTES], manifest[IMAGE_DIGEST_BYTES], config[IMAGE_DIGEST_BYTES];
};

struct image_pull_blob { unsigned index; char digest[IMAGE_DIGEST_BYTES]; int64_t size; };
struct image_pull_progress { unsigned index; int64_t bytes; };

#endif
