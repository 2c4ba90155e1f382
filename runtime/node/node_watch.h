/* runtime/node/node_watch.h -- says that something in a folder changed: files written, made or
 * renamed there.
 *
 * One inotify(7) instance for all who ask, as a host gives each user few of them (128 by default).
 * On its loop.
 */
#ifndef RUNTIME_NODE_NODE_WATCH_H
#define RUNTIME_NODE_NODE_WATCH_H

#include "core/base/list.h"
#include "core/loop/loop.h"

struct node_watch;

/* Who asks. Embed it; all is node_watch's but what on_change does: it must not add or delete. */
struct node_watcher {
    struct list link;
    struct node_watch_dir *dir;              /* NULL: nothing will be told */
    void (*on_change)(struct node_watcher *w);
};

struct node_watch *node_watch_new(struct loop *l);
struct node_watch *node_watch_free(struct node_watch *w);        /* nobody asks any more */
/* False: the host has no instance or watch left, or there is no such folder; the watcher should
 * look now and then. One that was told of a folder's removal is told no more. */
bool node_watch_add(struct node_watch *w, struct node_watcher *out, const char *dir,
                    void (*on_change)(struct node_watcher *w));
void node_watch_del(struct node_watcher *w);                     /* callable twice, or zeroed */

#endif
