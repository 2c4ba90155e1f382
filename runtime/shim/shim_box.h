/* runtime/shim/shim_box.h -- the copy of our own binary that shims execute.
 *
 * <run-dir>/box/inro is our binary bound to itself, read-only. What a process in a container may reach of a shim or of
 * a process on its way in (/proc/PID/exe) then lies on a mount without write access, whatever the container may
 * do; and nothing is copied: all shims map the pages that the daemon maps. Made once per start of the node role; a
 * binary replaced meanwhile lives on under the shims that run it.
 */
#ifndef RUNTIME_SHIM_SHIM_BOX_H
#define RUNTIME_SHIM_SHIM_BOX_H

#include "core/base/err.h"

#define SHIM_BOX_EXE "box/inro"          /* below the run directory: shim_opts.box_exe */

/* exe: our binary; NULL: /proc/self/exe. One that is bound already is kept, an other one replaced. */
int shim_box_prepare(const char *run_dir, const char *exe, struct err *err);
int shim_box_remove(const char *run_dir, struct err *err);       /* unmounts; missing is fine */

#endif
