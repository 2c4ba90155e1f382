/* sim_watch.h -- watches of a door: between the API's own and whoever listens. */
#ifndef TESTS_SIM_SIM_WATCH_H
#define TESTS_SIM_SIM_WATCH_H

#include "tests/sim/sim_impl.h"

int sim_watch_new(struct client *c, struct client_watch **out, const struct client_watch_opts *o,
                  struct err *err);
struct client_watch *sim_watch_free(struct client_watch *w);
void sim_watch_connect(struct sim_door *d, int64_t after_ms);
void sim_watch_hang_up(struct sim_door *d);              /* the API goes away */
/* What was not yet heard is lost, and the watches (of this kind, unless NULL) begin anew. */
void sim_watch_break(struct sim_door *d, const struct kind *kind, int64_t after_ms);
void sim_watch_close(struct sim_door *d);                /* there must be none any more */
void sim_watch_check_end(struct sim_door *d);

#endif
