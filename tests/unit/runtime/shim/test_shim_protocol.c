/* Shims of other versions, as records by hand: their numbers stand here as such, for ever. */
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/base/env.h"
#include "core/base/fd.h"
#include "core/loop/imsg.h"
#include "core/base/json.h"
#include "runtime/shim/shim_client.h"
#include "tests/harness/test.h"

/* Protocol 1, as the first release spoke it. */
enum { OLD_KILL = 19, OLD_READY = 31, OLD_DONE = 33, OLD_CONTAINER = 34 };

#define OLD_CONTAINER_REST                                                                         \
    "\"id\":\"c1\",\"note\":\"n\",\"state\":\"running\",\"pid\":42,\"exit\":0,\"signal\":0,"      \
    "\"oom\":false,\"created\":1,\"started\":2,\"finished\":0,\"log\":\"/l\",\"message\":\"\"}"

struct world {
    struct loop *loop;
    struct shim *shim;
    int listener, peer;
    bool ready, seen, done;
    struct err ready_err, done_err;
    pid_t pid;
};

static void on_ready(void *ctx, const struct err *err)
{
    struct world *w = ctx;

    w->ready = true;
    w->ready_err = err ? *err : ERR_INIT;
}

static void on_container(void *ctx, const struct shim_container *c)
{
    struct world *w = ctx;

    w->seen = true;
    w->pid = c->pid;
    EXPECT_STR(c->id, "c1");
    EXPECT_STR(c->note, "n");
    EXPECT_EQ(c->state, SHIM_RUNNING);
}

static void on_done(void *ctx, const struct err *err)
{
    struct world *w = ctx;

    w->done = true;
    w->done_err = err ? *err : ERR_INIT;
}

static void step(struct world *w, const bool *until)
{
    for (int i = 0; i < 1000 && !*until; i++)
        (void)loop_step(w->loop, 10);
    EXPECT(*until);
}

static void say(struct world *w, uint32_t type, const char *text)
{
    struct err err = ERR_INIT;

    EXPECT_OK(imsg_send(w->peer, type, text, strlen(text), NULL, 0, &err), &err);
}

/* A shim that waits in its folder, found by us. */
static void world_begin(struct world *w)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    struct shim_events ev = { .on_ready = on_ready, .on_container = on_container, .ctx = w };
    struct err err = ERR_INIT;

    *w = (struct world){ .peer = -1 };
    snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/shim.sock", test_tmpdir());
    w->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    EXPECT_EQ(bind(w->listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
    EXPECT_EQ(listen(w->listener, 1), 0);
    EXPECT_OK(loop_new(&w->loop, env_real(), &err), &err);
    EXPECT_OK(shim_client_driver()->adopt(NULL, &w->shim, w->loop, test_tmpdir(), &ev, &err), &err);
    w->peer = accept4(w->listener, NULL, NULL, SOCK_CLOEXEC);
    EXPECT(w->peer >= 0);
}

static void world_end(struct world *w)
{
    shim_client_driver()->free(w->shim);
    loop_free(w->loop);
    fd_close(w->peer);
    fd_close(w->listener);
}

/* Asks to end c1; the answer, as the shim gives it. */
static void kill_and_answer(struct world *w, const char *answer)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    _cleanup_(imsg_deinit) struct imsg m = { 0 };
    struct err err = ERR_INIT;
    struct json *v = NULL;
    char text[256];

    shim_client_driver()->kill_container(w->shim, "c1", 15, on_done, w);
    EXPECT_EQ(imsg_recv(w->peer, &m, &err), 1);
    EXPECT_EQ(m.type, OLD_KILL);
    EXPECT_OK(json_parse(&v, a, m.data, m.len, NULL, &err), &err);
    EXPECT_STR(json_get_str(v, "id"), "c1");
    EXPECT_EQ(json_get_int(v, "sig", 0), 15);
    snprintf(text, sizeof(text), "{\"seq\":%lld,%s}", (long long)json_get_int(v, "seq", 0), answer);
    say(w, OLD_DONE, text);
    step(w, &w->done);
}

TEST(a_shim_of_the_first_release)
{
    struct world w;

    world_begin(&w);
    say(&w, OLD_CONTAINER, "{" OLD_CONTAINER_REST);
    say(&w, OLD_READY, "{\"pid\":77}");
    step(&w, &w.ready);
    EXPECT_EQ(w.ready_err.code, ERR_NONE);
    EXPECT(w.seen);
    EXPECT_EQ(w.pid, 42);
    EXPECT_EQ(shim_client_driver()->pid(w.shim), 77);
    kill_and_answer(&w, "\"code\":0,\"errno\":0,\"msg\":\"\"");
    EXPECT_EQ(w.done_err.code, ERR_NONE);
    world_end(&w);
}

/* What an older shim cannot do is an error of that request alone. */
TEST(a_shim_that_does_not_know_a_request)
{
    struct world w;

    world_begin(&w);
    say(&w, OLD_READY, "{\"pid\":77,\"protocol\":1,\"oldest\":1}");
    step(&w, &w.ready);
    kill_and_answer(&w, "\"code\":12,\"errno\":0,\"msg\":\"of an older version\"");
    EXPECT_EQ(w.done_err.code, ERR_UNSUPPORTED);
    EXPECT_STR(w.done_err.msg, "of an older version");
    world_end(&w);
}

/* After a way back: it tells more than we know. */
TEST(a_newer_shim)
{
    struct world w;

    world_begin(&w);
    say(&w, 4711, "{\"news\":true}");
    say(&w, OLD_CONTAINER, "{\"id\":\"c2\",\"state\":\"frozen\"}");
    say(&w, OLD_CONTAINER, "{\"colour\":\"red\"," OLD_CONTAINER_REST);
    say(&w, OLD_READY, "{\"pid\":77,\"protocol\":9,\"oldest\":1,\"colours\":[\"red\"]}");
    step(&w, &w.ready);
    EXPECT_EQ(w.ready_err.code, ERR_NONE);
    EXPECT(w.seen);
    kill_and_answer(&w, "\"code\":0,\"errno\":0,\"msg\":\"\",\"more\":1");
    EXPECT_EQ(w.done_err.code, ERR_NONE);
    world_end(&w);
}

TEST(a_shim_that_is_too_new)
{
    struct world w;

    world_begin(&w);
    say(&w, OLD_READY, "{\"pid\":77,\"protocol\":9,\"oldest\":8}");
    step(&w, &w.ready);
    EXPECT_EQ(w.ready_err.code, ERR_UNSUPPORTED);
    EXPECT_STR(w.ready_err.msg, "shim: it is of a newer version (protocol 9, oldest 8; ours is 1)");
    world_end(&w);
}
