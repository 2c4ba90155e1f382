#include "core/base/fd.h"
#include "core/base/timefmt.h"
#include "runtime/node/node_log.h"
#include "tests/fake/fake_env.h"
#include "tests/harness/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

/* --- the pure part */

static const char two[] = "2026-11-24T10:00:00.000000001Z stdout F one\n"
                          "2026-11-24T10:00:05.000000002Z stderr P tw\n"
                          "2026-11-24T10:00:06.000000003Z stderr F o\n"
                          "2026-11-24T10:00:10.000000004Z stdout F \n"
                          "2026-11-24T10:00:11.000000005Z stdout F four x\n";

static const char *format_with(struct node_log_format f, const char *text, size_t len, size_t step)
{
    static char out[4096];
    _cleanup_buf_ struct buf b = BUF_INIT;

    for (size_t i = 0; i < len; i += step)
        node_log_format_add(&f, &b, text + i, len - i < step ? len - i : step);
    node_log_format_deinit(&f);
    EXPECT(b.len < sizeof(out));
    memcpy(out, b.p ? b.p : "", b.len);
    out[b.len] = '\0';
    return out;
}

static void expect(struct node_log_format f, const char *text, const char *want)
{
    for (size_t step = 1; step < 50; step += 7)
        EXPECT_STR(format_with(f, text, strlen(text), step), want);
    EXPECT_STR(format_with(f, text, strlen(text), strlen(text) + 1), want);
}

TEST(lines_and_parts)
{
    expect((struct node_log_format){ .limit = -1 }, two, "one\ntwo\n\nfour x\n");
    expect((struct node_log_format){ .limit = -1, .timestamps = true }, two,
           "2026-11-24T10:00:00.000000001Z one\n2026-11-24T10:00:05.000000002Z two\n"
           "2026-11-24T10:00:10.000000004Z \n2026-11-24T10:00:11.000000005Z four x\n");
    expect((struct node_log_format){ .limit = -1, .skip = 1 }, two, "two\n\nfour x\n");
    expect((struct node_log_format){ .limit = -1, .skip = 3 }, two, "four x\n");
    expect((struct node_log_format){ .limit = -1, .skip = 9 }, two, "");
    expect((struct node_log_format){ .limit = 5 }, two, "one\nt");
    expect((struct node_log_format){ .limit = 4 }, two, "one\n");
    expect((struct node_log_format){ .limit = 0 }, two, "");
}

TEST(since)
{
    struct node_log_format f = { .limit = -1 };

    EXPECT(timefmt_parse("2026-11-24T10:00:10Z", &f.since_us, NULL) == 0);
    expect(f, two, "\nfour x\n");
    f.since_us += 100000000;
    expect(f, two, "");
}

TEST(hostile)
{
    static const char *const bad[] = {
        "", "\n\n\n", "x", "no format\n", "2026-11-24T10:00:00Z stdout\n",
            "2026-11-24T10:00:00Z stdin F x\n",
        " stdout F x\n", "2026-11-24T10:00:00Z stdout  x\n", "a stdout F without an end",
        "1111111111111111111111111111111111111111111111111111111111 stdout F x\n",
    };
    struct node_log_format f = { .limit = -1 };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        expect(f, bad[i], "");
    f.since_us = 1;
    expect(f, "yesterday stdout F x\n", "");
    f.since_us = 0;
    expect(f, "2026-11-24T10:00:00Z stdout F\n", "\n");
    expect(f, "2026-11-24T10:00:00Z stdout F:more x y\n", "x y\n");
    expect(f, "2026-11-24T10:00:00Z stdout P:more x y\n2026-11-24T10:00:00Z stdout F z\n",
           "x yz\n");
}

TEST(lines_that_are_too_long_are_left_out)
{
    _cleanup_buf_ struct buf b = BUF_INIT;
    struct node_log_format f = { .limit = -1 };

    buf_str(&b, "2026-11-24T10:00:00Z stdout F ");
    while (b.len < NODE_LOG_LINE_MAX)
        buf_chr(&b, 'a');
    buf_str(&b, "a\n2026-11-24T10:00:00Z stdout F next\n");
    EXPECT_STR(format_with(f, b.p, b.len, 1000), "next\n");
    EXPECT_STR(format_with(f, b.p, b.len, b.len), "next\n");
}

/* --- files */

struct box {
    struct fake_env env;
    struct loop *loop;
    struct job_pool *jobs;
    struct node_log *log;
    struct node_watch *watch;
    struct node_log_opts o;
    char path[256];
    struct buf got;
    int ended;
    struct err err;
};

static void on_data(void *ctx, const char *p, size_t len)
{
    buf_add(&((struct box *)ctx)->got, p, len);
}

static void on_end(void *ctx, const struct err *err)
{
    struct box *b = ctx;

    b->ended++;
    if (err)
        b->err = *err;
    b->log = node_log_free(b->log);
}

static void box_init(struct box *b)
{
    static const unsigned limits[JOB_CLASS_MAX];

    *b = (struct box){ .err = ERR_INIT };
    fake_env_init(&b->env, 1);
    EXPECT_OK(loop_new(&b->loop, &b->env.env, &b->err), &b->err);
    EXPECT_OK(job_pool_new(&b->jobs, 0, limits, &b->err), &b->err);
    snprintf(b->path, sizeof(b->path), "%s/0.log", test_tmpdir());
    b->watch = node_watch_new(b->loop);
    b->o = (struct node_log_opts){ .path = b->path, .tail = -1, .limit_bytes = -1,
                                   .watch = b->watch, .on_data = on_data,
                                   .on_end = on_end, .ctx = b };
}

static void box_deinit(struct box *b)
{
    node_log_free(b->log);
    job_pool_free(b->jobs);
    node_watch_free(b->watch);
    loop_free(b->loop);
    buf_deinit(&b->got);
}

static void settle(struct box *b)
{
    while (loop_step(b->loop, 0))
        ;
}

static void append(struct box *b, const char *suffix, int first, int last)
{
    char name[300];
    FILE *f;

    snprintf(name, sizeof(name), "%s%s", b->path, suffix);
    f = fopen(name, "a");
    EXPECT(f);
    for (int i = first; i <= last; i++)
        fprintf(f, "2026-11-24T10:00:00.000000000Z stdout F line %d\n", i);
    fclose(f);
}

static void rotate(struct box *b)
{
    char from[300], to[300];

    snprintf(from, sizeof(from), "%s.1", b->path);
    snprintf(to, sizeof(to), "%s.2", b->path);
    (void)rename(from, to);
    EXPECT(rename(b->path, from) == 0);
}

static void expect_lines(struct box *b, int first, int last)
{
    _cleanup_buf_ struct buf want = BUF_INIT;

    for (int i = first; i <= last; i++)
        buf_fmt(&want, "line %d\n", i);
    EXPECT_STR(b->got.p ? b->got.p : "", want.p ? want.p : "");
}

static void run(struct box *b, int64_t tail)
{
    buf_clear(&b->got);
    b->ended = 0;
    b->o.tail = tail;
    b->log = node_log_new(b->loop, b->jobs, &b->o);
    settle(b);
}

TEST(whole_and_tail_over_rotated_files)
{
    struct box b;

    box_init(&b);
    append(&b, ".2", 1, 3);
    append(&b, ".1", 4, 6);
    append(&b, "", 7, 9);
    run(&b, -1);
    expect_lines(&b, 1, 9);
    run(&b, 2);
    expect_lines(&b, 8, 9);
    run(&b, 3);
    expect_lines(&b, 7, 9);
    run(&b, 4);
    expect_lines(&b, 6, 9);
    run(&b, 100);
    expect_lines(&b, 1, 9);
    run(&b, INT64_MAX);
    expect_lines(&b, 1, 9);
    run(&b, 0);
    EXPECT_EQ(b.got.len, 0);
    EXPECT_EQ(b.ended, 1);
    box_deinit(&b);
}

TEST(missing_file)
{
    struct box b;

    box_init(&b);
    run(&b, -1);
    EXPECT_EQ(b.ended, 1);
    EXPECT(b.err.code);
    box_deinit(&b);
}

TEST(follow_through_rotation)
{
    struct box b;

    box_init(&b);
    append(&b, "", 1, 2);
    b.o.follow = true;
    run(&b, 1);
    expect_lines(&b, 2, 2);
    append(&b, "", 3, 4);
    settle(&b);
    expect_lines(&b, 2, 4);
    append(&b, "", 5, 5);
    rotate(&b);
    append(&b, "", 6, 6);
    rotate(&b);
    append(&b, "", 7, 7);
    settle(&b);
    expect_lines(&b, 2, 7);
    EXPECT_EQ(b.ended, 0);
    append(&b, "", 8, 8);
    node_log_finish(b.log);
    settle(&b);
    expect_lines(&b, 2, 8);
    EXPECT_EQ(b.ended, 1);
    box_deinit(&b);
}

TEST(paused)
{
    struct box b;

    box_init(&b);
    append(&b, "", 1, 1);
    b.o.follow = true;
    run(&b, -1);
    node_log_pause(b.log, true);
    append(&b, "", 2, 2);
    settle(&b);
    expect_lines(&b, 1, 1);
    node_log_pause(b.log, false);
    settle(&b);
    expect_lines(&b, 1, 2);
    box_deinit(&b);
}

TEST(freed_while_reading)
{
    struct box b;

    box_init(&b);
    append(&b, "", 1, 1);
    b.log = node_log_new(b.loop, b.jobs, &b.o);
    loop_step(b.loop, 0);
    b.log = node_log_free(b.log);
    settle(&b);
    EXPECT_EQ(b.ended, 0);
    box_deinit(&b);
}
