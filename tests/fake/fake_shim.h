/* tests/fake/fake_shim.h -- shims without processes behind the door runtime/shim/shim_client.h.
 *
 *     struct fake_shims *f = fake_shims_new(loop);
 *     opts.shims = fake_shims_door(f);
 *     ...
 *     fake_shims_exit(f, "web", 1);            the container of this name in its note ends
 *
 * As the real ones: answers come from the loop, in order, each once; a shim outlives its handle and
 * is found again by its directory. Two live shims of one directory, or two running containers of
 * one name in one shim, stop the test: something was started twice.
 */
#ifndef TESTS_FAKE_FAKE_SHIM_H
#define TESTS_FAKE_FAKE_SHIM_H

#include "runtime/shim/shim_client.h"

struct fake_shims;

struct fake_shims *fake_shims_new(struct loop *loop);
struct fake_shims *fake_shims_free(struct fake_shims *f);        /* after all handles */
CLEANUP_DEFINE(struct fake_shims, fake_shims_free)
const struct shim_driver *fake_shims_door(struct fake_shims *f);

/* --- what happens inside. `name` is "name" of the container's note, of any shim; it must run. */
void fake_shims_exit(struct fake_shims *f, const char *name, int exit_code);
void fake_shims_oom(struct fake_shims *f, const char *name);
void fake_shims_deaf(struct fake_shims *f, bool deaf);   /* TERM does nothing */
void fake_shims_lose_all(struct fake_shims *f);          /* every shim dies, its containers too */

/* --- faults: the next n fail with this message */
enum fake_shim_fault { FAKE_SHIM_START, FAKE_SHIM_CREATE, FAKE_SHIM_RUN, FAKE_SHIM_SHUTDOWN,
                       FAKE_SHIM_FAULTS };
void fake_shims_fail(struct fake_shims *f, enum fake_shim_fault what, unsigned n,
                     const char *message);
/* Exit codes of commands in containers (hooks, probes), from now on. */
void fake_shims_exec_exit(struct fake_shims *f, int exit_code);

/* --- looking */
unsigned fake_shims_alive(const struct fake_shims *f);
unsigned fake_shims_started(const struct fake_shims *f);         /* shims, in all */
unsigned fake_shims_running(const struct fake_shims *f, const char *name);   /* NULL: all */
unsigned fake_shims_runs(const struct fake_shims *f, const char *name);      /* starts so far */
unsigned fake_shims_kept(const struct fake_shims *f);    /* containers, exited ones too */
/* Every event so far, a word each: "start create:web run:web TERM:web KILL:web exit:web exec". */
const char *fake_shims_story(const struct fake_shims *f);

#endif
