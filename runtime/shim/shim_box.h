/* runtime/shim/shim_box.h -- the built-in image and the sealed copy of our own binary.
 *
 * <run-dir>/box is a small tmpfs, read-only once filled:
 *
 *   bin/inro-box          a copy of our binary: what shims execute and built-in containers run
 *   bin/NAME              a link to it per applet
 *   etc/passwd etc/group tmp root proc sys dev var/run
 *
 * The folder is the one layer of the image inro.local/box: an ordinary overlay lower directory. A container that
 * opens /proc/self/exe, or the exe link of an entering process, reaches a file system without write access, and
 * all containers map the same pages. Made once per start of the node role; an equal one is kept; a replaced one
 * lives on under the containers that use it.
 */
#ifndef RUNTIME_SHIM_SHIM_BOX_H
#define RUNTIME_SHIM_SHIM_BOX_H

#include "core/base/err.h"

#define SHIM_BOX_IMAGE "inro.local/box"
#define SHIM_BOX_EXE "bin/inro-box"      /* below <run-dir>/box */

/* exe: our binary ("/proc/self/exe"); applets: NULL-terminated names. */
int shim_box_prepare(const char *run_dir, const char *exe, const char *const *applets, struct err *err);
int shim_box_remove(const char *run_dir, struct err *err);       /* unmounts; missing is fine */

#endif
