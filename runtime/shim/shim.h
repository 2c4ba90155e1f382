/* runtime/shim/shim.h -- the shim process itself: entry point of the hidden verb "shim".
 * Single-threaded, never used inside another process. The processes of containers are clones of it, so it is the only
 * verb of runtime/oci and runtime/shim; the applets of the built-in image have a door of their own (cmd/box/box.h).
 */
#ifndef RUNTIME_SHIM_SHIM_H
#define RUNTIME_SHIM_SHIM_H

#define SHIM_VERB "shim"

int shim_main(int argc, char **argv);    /* argv[0] is the verb; exit status */

#endif
