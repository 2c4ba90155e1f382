/* runtime/image/image_confine.h -- what a child gives up before it looks at bytes of strangers. */
#ifndef RUNTIME_IMAGE_IMAGE_CONFINE_H
#define RUNTIME_IMAGE_IMAGE_CONFINE_H

#include <stdbool.h>

#include "core/base/err.h"

#define IMAGE_CONFINE_MEMORY_BYTES (1ull << 30)
#define IMAGE_CONFINE_UID 65534                 /* of children that need no file of their own */

/* For writing a tree: "/" becomes `root` (an open directory) without devices, setuid and programs;
 * only the capabilities to give files away and to make device nodes remain; no network, no
 * programs. *root becomes an fd of the same directory inside. Without privilege (unit tests) only
 * what needs none is done. */
int image_confine_tree(int *root, struct err *err);
/* For reading one file or talking to the network: an unprivileged user without any capability. */
int image_confine_user(bool network, struct err *err);

#endif
