/* The folder of plugins: a change counts at once, or after a while where nothing can be watched. */
#include "cmd/plugins.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/base/fd.h"
#include "tests/fake/fake_env.h"
#include "tests/harness/test.h"

#define GOOD "plugin { kinds = { 'Pod' } } function validate(req) end"

struct fix {
    struct fake_env env;
    struct loop *loop;
    struct job_pool *jobs;
    struct plugins *plugins;
};

/* watched false: no descriptor is left for a watch. */
static void begin(struct fix *f, bool watched)
{
    struct err err = ERR_INIT;
    struct rlimit was, few;
    int next;

    fake_env_init(&f->env, 1);
    EXPECT_OK(loop_new(&f->loop, &f->env.env, &err), &err);
    EXPECT_OK(job_pool_new(&f->jobs, 0, (unsigned[JOB_CLASS_MAX]){ 0 }, &err), &err);
    next = open("/dev/null", O_RDONLY | O_CLOEXEC);
    fd_close(next);
    EXPECT_EQ(getrlimit(RLIMIT_NOFILE, &was), 0);
    few = was;
    few.rlim_cur = (rlim_t)next + 1;         /* one: for the folder */
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, watched ? &was : &few), 0);
    EXPECT_OK(plugins_open(&f->plugins, test_tmpdir(), &err), &err);
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &was), 0);
    EXPECT_OK(plugins_start(f->plugins, f->loop, f->jobs, &err), &err);
}

static void end(struct fix *f)
{
    job_pool_free(f->jobs);
    plugins_free(f->plugins);
    loop_free(f->loop);
}

static void put(const char *name, const char *text)
{
    char path[300];

    snprintf(path, sizeof(path), "%s/plugins/%s", test_tmpdir(), name);
    EXPECT_EQ(fd_write_file(AT_FDCWD, path, text, strlen(text), 0644, NULL), 0);
}

static void pass(struct fix *f, int64_t ms)
{
    for (int64_t at = 0; at <= ms; at += 100) {
        for (int i = 0; i < 4; i++)
            loop_step(f->loop, 0);
        fake_env_advance(&f->env, 100);
    }
}

static bool has(struct fix *f, const char *name)
{
    _cleanup_buf_ struct buf page = BUF_INIT;
    char text[80];

    plugins_page(f->plugins, &page);
    snprintf(text, sizeof(text), "\"name\":\"%s\"", name);
    return strstr(page.p, text);
}

static void comes_and_goes(struct fix *f, int64_t within_ms)
{
    char path[300];

    EXPECT(!has(f, "a"));
    put("a.lua", GOOD);
    pass(f, within_ms);
    EXPECT(has(f, "a"));
    put("b.lua", GOOD);
    pass(f, within_ms);
    EXPECT(has(f, "a") && has(f, "b"));
    snprintf(path, sizeof(path), "%s/plugins/a.lua", test_tmpdir());
    EXPECT_EQ(unlink(path), 0);
    pass(f, within_ms);
    EXPECT(!has(f, "a") && has(f, "b"));
    EXPECT_EQ(plugins_health(f->plugins, NULL), 0);
}

TEST(a_change_counts_at_once)
{
    struct fix f = { 0 };

    begin(&f, true);
    comes_and_goes(&f, PLUGINS_QUIET_MS + 200);
    end(&f);
}

TEST(without_a_watch_it_looks_now_and_then)
{
    struct fix f = { 0 };

    begin(&f, false);
    comes_and_goes(&f, PLUGINS_POLL_MS + 200);
    put("c.lua", GOOD);
    pass(&f, PLUGINS_QUIET_MS + 200);
    EXPECT(!has(&f, "c"));                   /* it is really not watched */
    end(&f);
}
