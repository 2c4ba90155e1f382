/* Children are this binary again, under verbs of its own. */
#include "core/loop/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "core/base/proc.h"
#include "tests/harness/test.h"

#define ROUNDS 1000                          /* of 10 ms */

static int echo_main(int argc, char **argv)
{
    struct imsg m = { 0 };
    struct err err = ERR_INIT;

    if (argc > 1 && strcmp(argv[1], "fail") == 0)
        return imsg_send_err(IMSG_FD, &(struct err){ ERR_CONFLICT, .msg = "said no" }, &err) < 0;
    while (imsg_recv(IMSG_FD, &m, &err) == 1) {
        imsg_send(IMSG_FD, m.type, m.data, m.len, NULL, 0, &err);
        imsg_deinit(&m);
        if (argc > 1)
            return (int)strtol(argv[1], NULL, 10);
    }
    return 0;
}

static int wait_main(int argc, char **argv)
{
    (void)argv;
    while (argc > 0)
        pause();
    return 0;
}

TEST_VERB(echo, "child-echo", echo_main)
TEST_VERB(wait, "child-wait", wait_main)

struct seen { int records, exits, status, sig; char text[16]; };

static void on_msg(struct child *c, struct imsg *m, void *ctx)
{
    struct seen *s = ctx;

    (void)c;
    s->records++;
    snprintf(s->text, sizeof(s->text), "%s", m->data);
}

static void on_exit_child(struct child *c, int status, int sig, void *ctx)
{
    struct seen *s = ctx;

    (void)c;
    s->exits++;
    s->status = status;
    s->sig = sig;
}

static struct child *start(struct loop *l, struct seen *s, const struct child_opts *opts)
{
    struct child_opts o = *opts;
    struct child *c = NULL;
    struct err err = ERR_INIT;

    o.fds[0] = -1;
    o.on_msg = on_msg;
    o.on_exit = on_exit_child;
    o.ctx = s;
    EXPECT_OK(child_start(&c, l, &o, &err), &err);
    return c;
}

static void until_exit(struct loop *l, const struct seen *s)
{
    for (int i = 0; !s->exits && i < ROUNDS; i++)
        loop_step(l, 10);
    EXPECT_EQ(s->exits, 1);
}

TEST(records_then_exit)
{
    const char *args[] = { "7", NULL };
    struct loop *l = NULL;
    struct seen s = { 0 };
    struct err err = ERR_INIT;
    struct child *c;

    EXPECT_OK(loop_new(&l, env_real(), &err), &err);
    c = start(l, &s, &(struct child_opts){ .verb = "child-echo", .args = args });
    EXPECT_OK(child_send(c, IMSG_USER, "hello", 5, NULL, 0, &err), &err);
    until_exit(l, &s);
    EXPECT_EQ(s.records, 1);
    EXPECT_STR(s.text, "hello");
    EXPECT_EQ(s.status, 7);
    child_free(c);
    loop_free(l);
}

TEST(killed_with_its_handle)
{
    struct loop *l = NULL;
    struct seen s = { 0 };
    struct err err = ERR_INIT;
    struct child *c;
    pid_t pid;

    EXPECT_OK(loop_new(&l, env_real(), &err), &err);
    c = start(l, &s, &(struct child_opts){ .verb = "child-wait" });
    EXPECT_OK(child_kill(c, SIGTERM, &err), &err);
    usleep(20000);                                       /* it may have gone by now, or not */
    EXPECT_OK(child_send(c, IMSG_USER, "x", 1, NULL, 0, &err), &err);
    until_exit(l, &s);
    EXPECT_EQ(s.status, 128 + SIGTERM);
    EXPECT_EQ(s.sig, SIGTERM);
    child_free(c);
    s = (struct seen){ 0 };
    c = start(l, &s, &(struct child_opts){ .verb = "child-wait" });
    pid = child_pid(c);
    child_free(c);
    EXPECT(kill(pid, 0) < 0 && errno == ESRCH);          /* reaped, too */
    EXPECT_EQ(s.exits, 0);
    loop_free(l);
}

/* A detached one outlives its handle: the loop reaps it if it ends, and forgets it with itself. */
TEST(detached_is_the_loops)
{
    struct child_opts o = { .verb = "child-wait", .detached = true };
    struct loop *l = NULL;
    struct seen s = { 0 };
    struct err err = ERR_INIT;
    struct child *a, *b;
    pid_t first, second;

    EXPECT_OK(loop_new(&l, env_real(), &err), &err);
    a = start(l, &s, &o);
    b = start(l, &s, &o);
    first = child_pid(a);
    second = child_pid(b);
    child_free(a);
    child_free(b);
    EXPECT_EQ(kill(first, SIGKILL), 0);
    for (int i = 0; kill(first, 0) == 0 && i < ROUNDS; i++)
        loop_step(l, 10);
    EXPECT(kill(first, 0) < 0 && errno == ESRCH);
    EXPECT_EQ(s.exits, 0);
    loop_free(l);                                        /* leaks nothing, kills nothing */
    EXPECT_EQ(kill(second, 0), 0);
    EXPECT_EQ(kill(second, SIGKILL), 0);
}

TEST(call_and_answer)
{
    const char *seven[] = { "7", NULL }, *zero[] = { "0", NULL }, *fail[] = { "fail", NULL };
    struct child_opts o = { .verb = "child-echo", .args = zero, .fds = { -1 } };
    struct imsg reply = { 0 };
    struct err err = ERR_INIT;

    EXPECT_OK(child_call(&o, IMSG_USER, "ab", 2, 10000, &reply, &err), &err);
    EXPECT_STR(reply.data, "ab");
    imsg_deinit(&reply);
    o.args = seven;
    EXPECT_ERR(child_call(&o, IMSG_USER, "ab", 2, 10000, NULL, &err), &err, ERR_FAILED);
    EXPECT(strstr(err.msg, "exit status 7"));
    o.args = fail;
    EXPECT_ERR(child_call(&o, IMSG_USER, "ab", 2, 10000, NULL, &err), &err, ERR_CONFLICT);
    EXPECT(strstr(err.msg, "said no"));
    o = (struct child_opts){ .verb = "child-wait", .fds = { -1 } };
    EXPECT_ERR(child_call(&o, IMSG_USER, "ab", 2, 50, NULL, &err), &err, ERR_TIMEOUT);
    o.exe = "/nonexistent";
    EXPECT(child_call(&o, IMSG_USER, "ab", 2, 50, NULL, &err) < 0 && err.sys_errno == ENOENT);
}

/* A record behind one of ours that the peer never read is not lost when it closes. */
TEST(last_words)
{
    struct imsg m = { 0 };
    struct err err = ERR_INIT;
    int pair[2];

    EXPECT_OK(imsg_pair(pair, &err), &err);
    EXPECT_OK(imsg_send(pair[0], IMSG_USER, "unread", 6, NULL, 0, &err), &err);
    EXPECT_OK(imsg_send(pair[1], IMSG_USER, "last", 4, NULL, 0, &err), &err);
    close(pair[1]);
    EXPECT_EQ(imsg_recv(pair[0], &m, &err), 1);
    EXPECT_STR(m.data, "last");
    imsg_deinit(&m);
    EXPECT_EQ(imsg_recv(pair[0], &m, &err), 0);
    close(pair[0]);
}
