#include "cmd/progress.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "core/base/fd.h"
#include "core/base/str.h"

#define BAR_CELLS 30

void progress_bytes(char out[16], int64_t bytes)
{
    static const char *const units[] = { "B", "kB", "MB", "GB", "TB" };
    double n = (double)bytes;
    size_t u = 0;

    while (n >= 1000 && u + 1 < ARRAY_LEN(units)) {
        n /= 1000;
        u++;
    }
    snprintf(out, 16, u && n < 100 ? "%.1f %s" : "%.0f %s", n, units[u]);
}

static void draw_bar(struct progress *p, const struct image_progress *now)
{
    int cells = now->total > 0 ? (int)(now->done * BAR_CELLS / now->total) : 0;
    char done[16], total[16];

    cells = cells > BAR_CELLS ? BAR_CELLS : cells;
    progress_bytes(done, now->done);
    progress_bytes(total, now->total);
    fprintf(stderr, "\r\033[K%s [%.*s%*s] %s%s%s  layer %u of %u", now->what, cells,
            "==============================", BAR_CELLS - cells, "", done,
            now->total > 0 ? " of " : "", now->total > 0 ? total : "", now->layers_done,
                now->layers);
    p->drawn = true;
}

static void say_line(struct progress *p, const struct image_progress *now)
{
    char done[16];

    if (p->begun && now->layers_done == p->layers_done)
        return;
    p->begun = true;
    p->layers_done = now->layers_done;
    progress_bytes(done, now->done);
    fprintf(stderr, "%s: %s %s: %u of %u layers, %s\n", p->command, now->what, now->item,
            now->layers_done, now->layers, done);
}

static void on_progress(void *ctx, const struct image_progress *now)
{
    struct progress *p = ctx;

    if (p->quiet || !now->layers)
        return;
    if (p->tty)
        draw_bar(p, now);
    else
        say_line(p, now);
}

static bool is_canceled(void *ctx)
{
    struct progress *p = ctx;
    struct pollfd fd = { .fd = p->signals, .events = POLLIN };

    p->canceled = p->canceled || poll(&fd, 1, 0) > 0;
    return p->canceled;
}

int progress_init(struct progress *p, const char *command, bool quiet, struct err *err)
{
    const char *term = getenv("TERM");
    sigset_t set;

    *p = (struct progress){ .quiet = quiet, .command = command };
    p->tty = isatty(STDERR_FILENO) && !str_eq(term, "dumb");
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    p->signals = signalfd(-1, &set, SFD_CLOEXEC);
    return p->signals < 0 ? err_sys(err, "signals") : 0;
}

struct image_watch progress_watch(struct progress *p)
{
    return (struct image_watch){ .on_progress = on_progress, .is_canceled = is_canceled, .ctx = p };
}

void progress_end(struct progress *p)
{
    if (p->drawn)
        fputs("\r\033[K", stderr);
    p->drawn = p->begun = false;
}

void progress_deinit(struct progress *p)
{
    progress_end(p);
    p->signals = fd_close(p->signals);
}
