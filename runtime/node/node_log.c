/* node_log.c -- follows the files of a log.
 *
 *   READ (a job) --some--> on_data --> READ ...            paused: READ waits
 *        --end of all--> WAIT --inotify or finish--> READ  not following: on_end
 *
 * The file being read is known by its inode, so that a rotation meanwhile changes nothing: when it
 * is at its end, and was no longer the current one before that was seen, the next younger file
 * follows.
 */
#include "runtime/node/node_log.h"

#include "core/base/fd.h"
#include "core/base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOOK_AGAIN_MS 10000              /* should there be no watch */

struct node_log {
    struct loop *loop;
    struct job_pool *jobs;
    struct node_log_opts o;
    char *path;
    struct work *work;                   /* state of the reading; a job's while that runs */
    struct node_watcher watcher;
    struct loop_timer next;              /* from callbacks, and to look again */
    bool paused, finished, dirty, ended;
};

/* What a job needs: passed to it and back as a whole. */
struct work {
    struct job job;
    struct node_log *g;                  /* NULL: it was freed meanwhile */
    char *path;
    int64_t tail;
    bool placed;                         /* tail was dealt with */
    int fd;
    struct node_log_format f;
    struct buf out;
    bool at_end;                         /* of everything there is */
    bool busy;                           /* the job is under way */
    bool after_finish;                   /* it began after all had been written */
    struct err err;
};

/* --- in the job */

static void file_name(const struct work *w, int i, char out[PATH_MAX])
{
    if (i == 0)
        snprintf(out, PATH_MAX, "%s", w->path);
    else
        snprintf(out, PATH_MAX, "%s.%d", w->path, i);
}

static int open_file(const struct work *w, int i)
{
    char name[PATH_MAX];

    file_name(w, i, name);
    return open(name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
}

static int oldest(const struct work *w)
{
    char name[PATH_MAX];
    struct stat st;
    int i = 0;

    while (i < NODE_LOG_FILES_MAX) {
        file_name(w, i + 1, name);
        if (lstat(name, &st) < 0)
            break;
        i++;
    }
    return i;
}

/* Number of the file that fd is; -1: it is gone. */
static int index_of(const struct work *w)
{
    struct stat mine, st;
    char name[PATH_MAX];

    if (fstat(w->fd, &mine) < 0)
        return -1;
    for (int i = 0; i <= NODE_LOG_FILES_MAX; i++) {
        file_name(w, i, name);
        if (lstat(name, &st) < 0 && i > 0)
            return -1;
        if (st.st_ino == mine.st_ino && st.st_dev == mine.st_dev)
            return i;
    }
    return -1;
}

static int64_t count_lines(int fd)
{
    _cleanup_(mem_freep) char *p = mem_alloc(NODE_LOG_PIECE);
    struct node_log_count c = { .lines = 0 };
    ssize_t n;

    while ((n = read(fd, p, NODE_LOG_PIECE)) > 0)
        node_log_count_add(&c, p, (size_t)n);
    node_log_format_deinit(&c.f);
    return c.lines;
}

/* Opens the file where the last `tail` lines begin, and says how many to skip there. */
static int place_tail(struct work *w)
{
    int64_t sum = 0;
    int last = oldest(w);

    for (int i = 0; i <= last; i++) {
        _cleanup_fd_ int fd = open_file(w, i);

        if (fd < 0)
            return i == 0 ? -1 : 0;
        sum += count_lines(fd);
        if (sum < w->tail && i < last)
            continue;
        w->f.skip = sum > w->tail ? sum - w->tail : 0;
        if (lseek(fd, 0, SEEK_SET) < 0)
            return -1;
        w->fd = TAKE_FD(fd);
        return 0;
    }
    return 0;
}

static int place(struct work *w, struct err *err)
{
    int r = 0;

    if (w->tail >= 0)
        r = place_tail(w);
    else
        w->fd = open_file(w, oldest(w));
    if (r < 0 || w->fd < 0)
        return err_sys(err, "failed to try resolving symlinks in path \"%s\"", w->path);
    w->placed = true;
    return 0;
}

/* The next younger file. False: this is the youngest. */
static bool step_file(struct work *w)
{
    int i = index_of(w), fd;

    if (i == 0)
        return false;
    fd = open_file(w, i > 0 ? i - 1 : oldest(w));
    if (fd < 0)
        return false;
    fd_close(w->fd);
    w->fd = fd;
    buf_clear(&w->f.carry);
    w->f.lost = false;
    return true;
}

static void work_run(struct job *j)
{
    struct work *w = container_of(j, struct work, job);
    _cleanup_(mem_freep) char *p = NULL;

    w->at_end = false;
    if (!w->placed && place(w, &w->err) < 0)
        return;
    p = mem_alloc(NODE_LOG_PIECE);
    while (w->out.len < NODE_LOG_PIECE && w->f.limit != 0) {
        bool rotated = index_of(w) != 0;         /* before reading: nothing is added to it after */
        ssize_t n = read(w->fd, p, NODE_LOG_PIECE);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            err_sys(&w->err, "read %s", w->path);
            return;
        }
        if (n > 0)
            node_log_format_add(&w->f, &w->out, p, (size_t)n);
        else if (!rotated || !step_file(w)) {
            w->at_end = true;
            return;
        }
    }
}

/* --- on the loop */

static void work_free(struct work *w)
{
    fd_close(w->fd);
    node_log_format_deinit(&w->f);
    buf_deinit(&w->out);
    mem_free(w->path);
    mem_free(w);
}

static void read_on(struct node_log *g);

static void on_next(struct loop_timer *t)
{
    read_on(container_of(t, struct node_log, next));
}

static void work_done(struct job *j);

static void end(struct node_log *g, const struct err *err)
{
    g->ended = true;
    loop_timer_del(&g->next);
    node_watch_del(&g->watcher);
    g->o.on_end(g->o.ctx, err);
}

static void read_on(struct node_log *g)
{
    struct work *w = g->work;
    struct err err = ERR_INIT;

    if (w->busy || g->paused || g->ended)
        return;
    loop_timer_del(&g->next);
    g->dirty = false;
    w->after_finish = g->finished;
    w->busy = true;
    if (job_add(g->jobs, g->loop, &w->job, JOB_READ, "", work_run, work_done, &err) == 0)
        return;
    w->busy = false;
    loop_timer_set(g->loop, &g->next, 1000, on_next);        /* too many jobs wait */
}

static void work_done(struct job *j)
{
    struct work *w = container_of(j, struct work, job);
    struct node_log *g = w->g;

    w->busy = false;
    if (!g || !job_was_run(j)) {
        if (g)
            g->work = NULL;
        work_free(w);
        return;
    }
    if (w->out.len)
        g->o.on_data(g->o.ctx, w->out.p, w->out.len);
    buf_deinit(&w->out);
    if (w->f.limit == 0 || w->err.code || (w->at_end && (!g->o.follow || w->after_finish)))
        end(g, w->err.code ? &w->err : NULL);
    else if (w->at_end && !g->dirty)
        loop_timer_set(g->loop, &g->next, LOOK_AGAIN_MS, on_next);
    else
        loop_timer_set(g->loop, &g->next, 0, on_next);
}

static void on_change(struct node_watcher *watcher)
{
    struct node_log *g = container_of(watcher, struct node_log, watcher);

    g->dirty = true;
    if (g->work && !g->work->busy && !g->paused && !g->ended)
        loop_timer_set(g->loop, &g->next, 0, on_next);
}

/* The folder, as names come and go when files are rotated. Without it we look now and then. */
static void watch(struct node_log *g)
{
    _cleanup_(mem_freep) char *dir = mem_strdup(g->path);
    char *slash = strrchr(dir, '/');

    if (slash)
        *slash = '\0';
    (void)node_watch_add(g->o.watch, &g->watcher, slash ? dir : ".", on_change);
}

struct node_log *node_log_new(struct loop *l, struct job_pool *jobs, const struct node_log_opts *o)
{
    struct node_log *g = NEW(struct node_log);
    struct work *w = NEW(struct work);

    *g = (struct node_log){ .loop = l, .jobs = jobs, .o = *o, .path = mem_strdup(o->path),
                            .work = w };
    *w = (struct work){ .g = g, .path = mem_strdup(o->path), .tail = o->tail, .fd = -1,
                        .err = ERR_INIT };
    w->f = (struct node_log_format){ .timestamps = o->timestamps, .since_us = o->since_us,
                                     .limit = o->limit_bytes };
    if (o->follow && o->watch)
        watch(g);
    loop_timer_set(l, &g->next, 0, on_next);
    return g;
}

struct node_log *node_log_free(struct node_log *g)
{
    if (!g)
        return NULL;
    loop_timer_del(&g->next);
    node_watch_del(&g->watcher);
    if (g->work && g->work->busy)
        g->work->g = NULL;
    else if (g->work)
        work_free(g->work);
    mem_free(g->path);
    return mem_free(g);
}

void node_log_pause(struct node_log *g, bool paused)
{
    g->paused = paused;
    if (!paused && g->work && !g->work->busy && !g->ended)
        loop_timer_set(g->loop, &g->next, 0, on_next);
}

void node_log_finish(struct node_log *g)
{
    g->finished = g->dirty = true;
    if (g->work && !g->work->busy && !g->ended)
        loop_timer_set(g->loop, &g->next, 0, on_next);
}
