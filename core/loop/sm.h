/* core/loop/sm.h -- state machines as data: a table of states, one mover, one tick.
 *
 * A step returns SM_AGAIN to run the step of the state it moved to, or SM_WAIT until someone ticks
 * again.
 */
#ifndef CORE_LOOP_SM_H
#define CORE_LOOP_SM_H

#include <stdint.h>

#include "core/base/check.h"

enum sm_next { SM_WAIT, SM_AGAIN };

struct sm_state {
    const char *name;
    enum sm_next (*step)(void *owner);
    uint32_t allowed;                    /* bit per state it may move to */
};

struct sm { const struct sm_state *states; unsigned n_states; unsigned now; int64_t since_ms; };

#define SM_TO(s) (1u << (s))
/* steps in one tick: more is a loop in the table, and fatal */
#define SM_STEPS_MAX 64

void sm_init(struct sm *m, const struct sm_state *states, unsigned n_states, unsigned first,
             int64_t now_ms);
void sm_move(struct sm *m, unsigned to, int64_t now_ms);   /* asserts that the table allows it */
void sm_tick(struct sm *m, void *owner);
static inline const char *sm_name(const struct sm *m) { return m->states[m->now].name; }

#endif
