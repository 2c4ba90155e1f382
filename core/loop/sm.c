/* sm.c -- the one mover and the one tick of state machines. */
#include "core/loop/sm.h"

void sm_init(struct sm *m, const struct sm_state *states, unsigned n_states, unsigned first,
             int64_t now_ms)
{
    check(n_states > 0);
    check(n_states <= 32);
    check(first < n_states);
    *m = (struct sm){ .states = states, .n_states = n_states, .now = first, .since_ms = now_ms };
}

void sm_move(struct sm *m, unsigned to, int64_t now_ms)
{
    check(to < m->n_states);
    check(m->states[m->now].allowed & SM_TO(to));
    m->now = to;
    m->since_ms = now_ms;
}

void sm_tick(struct sm *m, void *owner)
{
    for (unsigned i = 0; i < SM_STEPS_MAX; i++) {
        enum sm_next (*step)(void *) = m->states[m->now].step;

        if (!step || step(owner) == SM_WAIT)
            return;
    }
    check(!"a state machine that never waits");
}
