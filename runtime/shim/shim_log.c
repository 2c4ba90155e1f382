/* shim_log.c -- format, write, rotate. */
#include "runtime/shim/shim_log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/fd.h"
#include "core/base/mem.h"
#include "core/base/timefmt.h"

static const char *const stream_names[] = { "stdout", "stderr" };

static void add_line(struct buf *out, enum shim_log_stream s, int64_t now_ns, char tag, struct slice a,
                     struct slice b)
{
    char when[TIMEFMT_BYTES];

    timefmt_nano(when, now_ns);
    buf_fmt(out, "%s %s %c ", when, stream_names[s], tag);
    buf_add(out, a.p, a.len);
    buf_add(out, b.p, b.len);
    buf_chr(out, '\n');
}

void shim_log_format(struct buf *out, struct buf *part, enum shim_log_stream s, int64_t now_ns,
                     struct slice text)
{
    while (text.len > 0) {
        size_t room = SHIM_LOG_LINE_MAX - part->len;
        size_t look = text.len < room ? text.len : room;
        const char *end = memchr(text.p, '\n', look);
        size_t len = end ? (size_t)(end - text.p) : look;
        struct slice had = { part->p, part->len }, now = { text.p, len };

        if (end) {
            add_line(out, s, now_ns, 'F', had, now);
            len++;
        } else if (part->len + len == SHIM_LOG_LINE_MAX && text.len > len && text.p[len] == '\n') {
            add_line(out, s, now_ns, 'F', had, now);
            len++;
        } else if (part->len + len == SHIM_LOG_LINE_MAX) {
            add_line(out, s, now_ns, 'P', had, now);
        } else {
            buf_add(part, text.p, len);
            return;
        }
        buf_clear(part);
        text.p += len;
        text.len -= len;
    }
}

void shim_log_format_rest(struct buf *out, struct buf *part, enum shim_log_stream s, int64_t now_ns)
{
    if (part->len == 0)
        return;
    add_line(out, s, now_ns, 'F', (struct slice){ part->p, part->len }, SLICE(""));
    buf_clear(part);
}

int shim_log_reopen(struct shim_log *l, struct err *err)
{
    _cleanup_fd_ int fd = -1;
    struct stat st;

    if (!l->path)
        return 0;
    fd = open(l->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (fd < 0 || fstat(fd, &st) < 0)
        return err_sys(err, "open log %s", l->path);
    if (!S_ISREG(st.st_mode))
        return err_set(err, ERR_INVALID, "log %s is no file", l->path);
    fd_close(l->fd);
    l->fd = TAKE_FD(fd);
    l->bytes = st.st_size;
    return 0;
}

int shim_log_open(struct shim_log *l, const char *path, int64_t bytes_max, int files_max, struct err *err)
{
    *l = (struct shim_log){ .fd = -1 };
    l->bytes_max = bytes_max > 0 ? bytes_max : SHIM_LOG_BYTES_DEFAULT;
    l->files_max = files_max > 0 ? files_max : SHIM_LOG_FILES_DEFAULT;
    if (l->files_max > SHIM_LOG_FILES_MAX)
        return err_set(err, ERR_INVALID, "more than %d log files", SHIM_LOG_FILES_MAX);
    l->path = str_empty(path) ? NULL : mem_strdup(path);
    if (shim_log_reopen(l, err) < 0) {
        l->path = mem_free(l->path);
        return -1;
    }
    return 0;
}

static void log_rotate(struct shim_log *l)
{
    char from[PATH_MAX], to[PATH_MAX];

    for (int i = l->files_max - 1; i >= 1; i--) {
        snprintf(to, sizeof(to), "%s.%d", l->path, i);
        snprintf(from, sizeof(from), i > 1 ? "%s.%d" : "%s", l->path, i - 1);
        (void)rename(from, to);
    }
    if (l->files_max == 1)
        (void)unlink(l->path);
    if (shim_log_reopen(l, NULL) < 0)
        l->bytes = 0;                    /* goes on in the old file; tries again a file's length later */
}

/* Whole lines. */
static void log_put(struct shim_log *l, const struct buf *lines)
{
    const char *p = lines->p;
    size_t left = lines->len;

    if (l->fd < 0 || left == 0)
        return;
    if (l->bytes > 0 && l->bytes + (int64_t)left > l->bytes_max)
        log_rotate(l);
    while (left > 0) {
        ssize_t n = write(l->fd, p, left);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return;
        p += n;
        left -= (size_t)n;
        l->bytes += n;
    }
}

void shim_log_write(struct shim_log *l, enum shim_log_stream s, int64_t now_ns, struct slice text)
{
    _cleanup_buf_ struct buf lines = BUF_INIT;

    if (l->fd < 0)
        return;
    shim_log_format(&lines, &l->part[s], s, now_ns, text);
    log_put(l, &lines);
}

void shim_log_close(struct shim_log *l, int64_t now_ns)
{
    for (int s = 0; s < SHIM_LOG_STREAMS; s++) {
        _cleanup_buf_ struct buf lines = BUF_INIT;

        shim_log_format_rest(&lines, &l->part[s], (enum shim_log_stream)s, now_ns);
        log_put(l, &lines);
        buf_deinit(&l->part[s]);
    }
    l->fd = fd_close(l->fd);
    l->path = mem_free(l->path);
}
