/* cmd/plugins.h -- the folder of Lua plugins of the control role: <data-dir>/plugins, watched,
 * so that a changed file counts at once (plugins/admit/admit_lua.h).
 *
 * plugins_open comes before the role gives up its rights and its view of the disk; what it
 * opens lasts. */
#ifndef CMD_PLUGINS_H
#define CMD_PLUGINS_H

#include "core/client/client.h"
#include "core/loop/job.h"
#include "plugins/admit/admit_lua.h"

#define PLUGINS_QUIET_MS 100             /* a change waits this long for more changes */
#define PLUGINS_POLL_MS 5000             /* without inotify: the folder is read so often */

struct plugins;

/* Makes the folder when it is missing. */
int plugins_open(struct plugins **out, const char *data_dir, struct err *err);
/* Loads what is there, and again after each change; on the loop. */
int plugins_start(struct plugins *p, struct loop *l, struct job_pool *jobs, struct err *err);
#define PLUGINS_STUCK_MS 10000           /* of one reload */
/* -1: changes do not count any more: a reload hangs, or the folder was removed. On the loop. */
int plugins_health(const struct plugins *p, struct err *err);
#define PLUGINS_EVENTS_MAX 64            /* waiting to be written; further ones are dropped */
/* What plugins do becomes Events in kube-system, about an "AdmissionPlugin" of the plugin's name.
 * c NULL: no more of them. On the loop, which is the client's. */
void plugins_tell(struct plugins *p, struct client *c);
/* A list of the plugins and what they did. */
void plugins_page(struct plugins *p, struct buf *out);
struct admit_lua *plugins_lua(struct plugins *p);
struct plugins *plugins_free(struct plugins *p);     /* after the pool is freed */

#endif
