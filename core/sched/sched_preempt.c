/* sched_preempt.c: words about preemption. */
#include "core/sched/sched_cycle.h"

void sched_preempt(struct sched_cycle *c, const uint8_t *fits, struct buf *message)
{
    (void)c; (void)fits; (void)message;
}
