/* node_watch.c -- folders by inotify's number of them; a folder goes with the last who asks. */
#include "runtime/node/node_watch.h"

#include <sys/inotify.h>
#include <unistd.h>

#include "core/base/check.h"
#include "core/base/fd.h"
#include "core/base/mem.h"

#define EVENTS (IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_ONLYDIR)

struct node_watch_dir {
    struct list link, watchers;
    struct node_watch *watch;
    int number;                              /* inotify's; -1: the folder is gone */
    bool changed;
};

struct node_watch {
    struct loop *loop;
    struct loop_io io;
    int fd;                                  /* -1: nobody asked yet, or the host gave none */
    struct list dirs;
};

static void mark(struct node_watch *w, const struct inotify_event *e)
{
    list_each(d, &w->dirs, struct node_watch_dir, link) {
        if (d->number != e->wd && !(e->mask & IN_Q_OVERFLOW))
            continue;
        d->changed = true;
        if (e->mask & IN_IGNORED)
            d->number = -1;
    }
}

static void tell(struct node_watch *w)
{
    list_each(d, &w->dirs, struct node_watch_dir, link) {
        if (!d->changed)
            continue;
        d->changed = false;
        list_each(who, &d->watchers, struct node_watcher, link)
            who->on_change(who);
    }
}

static void on_ready(struct loop_io *io, unsigned events)
{
    struct node_watch *w = container_of(io, struct node_watch, io);
    _Alignas(struct inotify_event) char records[4096];
    ssize_t n;

    (void)events;
    while ((n = read(w->fd, records, sizeof(records))) > 0)
        for (ssize_t at = 0; at < n;) {
            const struct inotify_event *e = (const void *)(records + at);

            mark(w, e);
            at += (ssize_t)sizeof(*e) + e->len;
        }
    tell(w);
}

static int open_instance(struct node_watch *w)
{
    if (w->fd >= 0)
        return 0;
    w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (w->fd >= 0 && loop_io_add(w->loop, &w->io, w->fd, LOOP_READ, on_ready, NULL) < 0)
        w->fd = fd_close(w->fd);
    return w->fd < 0 ? -1 : 0;
}

static struct node_watch_dir *find(struct node_watch *w, int number)
{
    struct node_watch_dir *found;

    list_each(d, &w->dirs, struct node_watch_dir, link)
        if (d->number == number)
            return d;
    found = NEW(struct node_watch_dir);
    found->watch = w;
    found->number = number;
    list_init(&found->watchers);
    list_push(&w->dirs, &found->link);
    return found;
}

bool node_watch_add(struct node_watch *w, struct node_watcher *out, const char *dir,
                    void (*on_change)(struct node_watcher *w))
{
    int number;

    *out = (struct node_watcher){ .on_change = on_change };
    list_init(&out->link);
    if (open_instance(w) < 0)
        return false;
    number = inotify_add_watch(w->fd, dir, EVENTS);          /* the same for the same folder */
    if (number < 0)
        return false;
    out->dir = find(w, number);
    list_push(&out->dir->watchers, &out->link);
    return true;
}

void node_watch_del(struct node_watcher *who)
{
    struct node_watch_dir *d = who->dir;

    if (!d)
        return;
    who->dir = NULL;
    list_del(&who->link);
    if (!list_empty(&d->watchers))
        return;
    if (d->number >= 0)
        (void)inotify_rm_watch(d->watch->fd, d->number);
    list_del(&d->link);
    mem_free(d);
}

struct node_watch *node_watch_new(struct loop *l)
{
    struct node_watch *w = NEW(struct node_watch);

    w->loop = l;
    w->fd = -1;
    list_init(&w->dirs);
    return w;
}

struct node_watch *node_watch_free(struct node_watch *w)
{
    if (!w)
        return NULL;
    check(list_empty(&w->dirs));
    loop_io_del(&w->io);
    fd_close(w->fd);
    return mem_free(w);
}
