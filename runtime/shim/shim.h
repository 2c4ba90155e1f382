/* runtime/shim/shim.h -- the shim process itself: entry point of the hidden verb "shim" (runtime/shim/shim.c).
 * Single-threaded, never used inside another process. */
#ifndef RUNTIME_SHIM_SHIM_H
#define RUNTIME_SHIM_SHIM_H

#define SHIM_VERB "shim"

int shim_main(int argc, char **argv);    /* argv[0] is the verb; exit status */

#endif
