/* A pod's life through the client's door, with a real shim and real containers. The program in them is
 * test_payload(). */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd/box/box.h"
#include "core/base/fd.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/proc.h"
#include "core/loop/child.h"
#include "core/loop/imsg.h"
#include "runtime/shim/shim.h"
#include "runtime/shim/shim_box.h"
#include "runtime/shim/shim_chan.h"
#include "runtime/shim/shim_client.h"
#include "runtime/shim/shim_state.h"
#include "tests/sandbox/shim_scene.h"

/* --- inside */

static int prog_serve(void)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(8080),
                             .sin_addr = { htonl(INADDR_LOOPBACK) } };
    int fd = socket(AF_INET, SOCK_STREAM, 0), one;

    if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 4) < 0)
        return 3;
    printf("ready\n");
    fflush(stdout);
    one = accept(fd, NULL, NULL);
    return write(one, "hello", 5) == 5 ? 0 : 4;
}

static int prog_main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    char text[256];

    if (strcmp(what, "box") == 0)
        return box_main(argc - 2, argv + 2);
    if (strcmp(what, "print") == 0) {
        printf("one\ntwo\n");
        fflush(stdout);
        fprintf(stderr, "bad");
        return 5;
    }
    if (strcmp(what, "cat") == 0) {
        while (fgets(text, sizeof(text), stdin))
            printf("got %s", text), fflush(stdout);
        return 0;
    }
    if (strcmp(what, "eat") == 0)
        for (;;)
            memset(malloc(1 << 20), 1, 1 << 20);
    if (strcmp(what, "flood") == 0)
        for (int i = 0; i < 2000; i++)
            printf("line %d of some length to fill a log\n", i);
    if (strcmp(what, "serve") == 0)
        return prog_serve();
    if (strcmp(what, "wait") == 0) {
        signal(SIGTERM, SIG_DFL);
        for (;;)
            pause();
    }
    if (strcmp(what, "host") == 0) {
        gethostname(text, sizeof(text));
        printf("%s %d\n", text, getpid());
    }
    return 0;
}

TEST_VERB(prog, "prog", prog_main)
TEST_VERB(shim, SHIM_VERB, shim_main)

/* --- outside */

TEST(container_runs_and_logs)
{
    struct scene *s = scene_make();
    struct shim_create c = scene_create(s, "c1", "print");
    char *log;

    scene_start(s);
    EXPECT(driver()->netns(s->shim) >= 0);
    scene_run(s, &c);
    UNTIL(s, scene_seen(s, "c1")->state == SHIM_EXITED);
    EXPECT_EQ(scene_seen(s, "c1")->exit_code, 5);
    EXPECT_EQ(scene_seen(s, "c1")->pid, 0);
    EXPECT_STR(scene_seen(s, "c1")->note, "my note");
    log = scene_text(s, c.log_path);
    expect_text(log, "Z stdout F one\n");
    expect_text(log, "Z stdout F two\n");
    expect_text(log, "Z stderr F bad\n");
    EXPECT_EQ(log[4], '-');
    EXPECT_EQ(log[29], 'Z');
    DO(s, driver()->remove_container(s->shim, "c1", on_done, s));
    c.id = "c1";                                     /* the name is free again */
    scene_run(s, &c);
    UNTIL(s, scene_seen(s, "c1")->state == SHIM_EXITED);
    scene_stop(s);
    scene_end(s);
}

TEST(failures_are_told)
{
    struct scene *s = scene_make();
    struct shim_create c = scene_create(s, "c1", "print");

    scene_start(s);
    ((struct oci_plan *)c.plan)->args.v[0] = "/nope";
    driver()->create_container(s->shim, &c, on_done, s);
    UNTIL(s, s->done);
    expect_text(s->err.msg, "exec: \"/nope\": stat /nope: no such file or directory");
    s->done = false;
    driver()->start_container(s->shim, "c1", on_done, s);
    UNTIL(s, s->done);
    EXPECT_EQ(s->err.code, ERR_NOT_FOUND);
    scene_stop(s);
    s->opts.cgroup = "broken";
    s->ready = false;
    EXPECT_OK(driver()->start(NULL, &s->shim, s->loop, &s->opts, &(struct shim_events){ on_ready,
              on_container, on_lost, s }, &s->err), &s->err);
    UNTIL(s, s->ready);
    expect_text(s->err.msg, "bad cgroup description");
    driver()->free(s->shim);
    scene_end(s);
}

TEST(kill_and_out_of_memory)
{
    struct scene *s = scene_make();
    struct shim_create c = scene_create(s, "c1", "wait"), m = scene_create(s, "c2", "eat");
    struct cgroup_limits l = { .memory_max_bytes = 32 << 20 };

    scene_start(s);
    scene_run(s, &c);
    EXPECT_EQ(scene_seen(s, "c1")->state, SHIM_RUNNING);
    DO(s, driver()->kill_container(s->shim, "c1", SIGKILL, on_done, s));
    UNTIL(s, scene_seen(s, "c1")->state == SHIM_EXITED);
    EXPECT_EQ(scene_seen(s, "c1")->exit_code, 137);
    EXPECT_EQ(scene_seen(s, "c1")->signal, 9);
    EXPECT(!scene_seen(s, "c1")->oom);
    if (cgroup_has(s->cg, "memory")) {
        m.limits = &l;
        scene_run(s, &m);
        UNTIL(s, scene_seen(s, "c2")->state == SHIM_EXITED);
        EXPECT_EQ(scene_seen(s, "c2")->exit_code, 137);
        EXPECT(scene_seen(s, "c2")->oom);
    }
    scene_stop(s);
    scene_end(s);
}

static void on_attached(void *ctx, const struct err *err)
{
    on_done(ctx, err);
}

static void on_attach_end(void *ctx)
{
    ((struct scene *)ctx)->attach_ended++;
}

TEST(attach_reads_and_types)
{
    struct scene *s = scene_make();
    struct shim_create c = scene_create(s, "c1", "cat");
    int in[2], out[2];
    char text[256] = "";

    scene_start(s);
    c.with_stdin = c.stdin_once = true;
    scene_run(s, &c);
    EXPECT(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0);
    s->done = false;
    driver()->attach(s->shim, &(struct shim_attach){ "c1", in[0], out[1], -1, on_attached, on_attach_end, s });
    close(in[0]);
    close(out[1]);
    UNTIL(s, s->done);
    EXPECT_EQ(write(in[1], "abc\n", 4), 4);
    EXPECT(read(out[0], text, sizeof(text) - 1) > 0);
    EXPECT_STR(text, "got abc\n");
    close(in[1]);                                    /* its input ends with ours */
    UNTIL(s, scene_seen(s, "c1")->state == SHIM_EXITED);
    EXPECT_EQ(scene_seen(s, "c1")->exit_code, 0);
    UNTIL(s, s->attach_ended == 1);
    EXPECT_EQ(read(out[0], text, sizeof(text)), 0);
    scene_stop(s);
    scene_end(s);
}

static void on_exec_started(void *ctx, const struct err *err, pid_t pid, int pty)
{
    struct scene *s = ctx;

    s->exec_pid = pid;
    s->pty = pty;
    on_done(ctx, err);
}

static void on_exec_exit(void *ctx, int code, int sig)
{
    struct scene *s = ctx;

    (void)sig;
    s->exec_exit = code;
}

static struct shim_exec scene_exec(struct scene *s, const char *what)
{
    struct oci_plan *p = scene_plan(s, "e", what);

    p->mounts.len = 0;
    p->rootfs = (struct plan_rootfs){ 0 };
    s->exec_exit = -1;
    return (struct shim_exec){ .container_id = "c1", .plan = p, .fds = { -1, -1, -1 },
                               .on_started = on_exec_started, .on_exit = on_exec_exit, .ctx = s };
}

TEST(exec_with_and_without_terminal)
{
    struct scene *s = scene_make();
    struct shim_create c = scene_create(s, "c1", "wait");
    struct shim_exec e = scene_exec(s, "host");
    char text[256] = "";
    int fds[2];

    scene_start(s);
    scene_run(s, &c);
    EXPECT(pipe2(fds, O_CLOEXEC) == 0);
    e.fds[1] = fds[1];
    DO(s, driver()->exec(s->shim, &e));
    close(fds[1]);
    UNTIL(s, s->exec_exit >= 0);
    EXPECT_EQ(s->exec_exit, 0);
    EXPECT(read(fds[0], text, sizeof(text) - 1) > 0);
    EXPECT_STR(text, "mypod 2\n");
    e = scene_exec(s, "print");
    ((struct oci_plan *)e.plan)->tty = true;
    DO(s, driver()->exec(s->shim, &e));
    EXPECT(s->pty >= 0);
    memset(text, 0, sizeof(text));
    EXPECT(read(s->pty, text, sizeof(text) - 1) > 0);
    expect_text(text, "one\r\n");
    UNTIL(s, s->exec_exit >= 0);
    EXPECT_EQ(s->exec_exit, 5);
    e = scene_exec(s, "host");
    ((struct oci_plan *)e.plan)->args.v[0] = "sh";
    s->done = false;
    driver()->exec(s->shim, &e);
    UNTIL(s, s->done);
    expect_text(s->err.msg, "exec: \"sh\": executable file not found in $PATH");
    e = scene_exec(s, "wait");
    s->done = false;
    driver()->exec(s->shim, &e);
    UNTIL(s, s->done && s->exec_pid > 0);
    driver()->kill_container(s->shim, "c1", SIGKILL, on_done, s);    /* takes the other along */
    UNTIL(s, s->exec_exit == 137 && scene_seen(s, "c1")->state == SHIM_EXITED);
    scene_stop(s);
    scene_end(s);
}

static void on_dialed(void *ctx, const struct err *err, int fd)
{
    struct scene *s = ctx;

    s->dial_fd = fd;
    on_done(ctx, err);
}

TEST(dial_into_the_pod)
{
    struct scene *s = scene_make();
    struct shim_create c = scene_create(s, "c1", "serve");
    char text[16] = "";
    struct stat st;

    scene_start(s);
    s->done = false;
    driver()->dial(s->shim, 8080, on_dialed, s);
    UNTIL(s, s->done);
    expect_text(s->err.msg, "Connection refused");
    scene_run(s, &c);
    UNTIL(s, stat(c.log_path, &st) == 0 && st.st_size > 0);
    DO(s, driver()->dial(s->shim, 8080, on_dialed, s));
    EXPECT_EQ(poll(&(struct pollfd){ .fd = s->dial_fd, .events = POLLIN }, 1, 5000), 1);
    EXPECT_EQ(read(s->dial_fd, text, sizeof(text)), 5);
    EXPECT_STR(text, "hello");
    scene_stop(s);
    scene_end(s);
}

TEST(shared_pids)
{
    struct scene *s = scene_make();
    struct shim_create c = scene_create(s, "c1", "host");

    s->opts.share_pids = true;
    scene_start(s);
    scene_run(s, &c);
    UNTIL(s, scene_seen(s, "c1")->state == SHIM_EXITED);
    expect_text(scene_text(s, c.log_path), " mypod 2\n");
    scene_stop(s);
    scene_end(s);
}

TEST(log_rotates)
{
    struct scene *s = scene_make();
    struct shim_create c = scene_create(s, "c1", "flood");

    scene_start(s);
    c.log_bytes_max = 40000;
    c.log_files_max = 3;
    scene_run(s, &c);
    UNTIL(s, scene_seen(s, "c1")->state == SHIM_EXITED);
    EXPECT(access(arena_printf(s->a, "%s.2", c.log_path), F_OK) == 0);
    EXPECT(access(arena_printf(s->a, "%s.3", c.log_path), F_OK) < 0);
    expect_text(scene_text(s, c.log_path), "line 1999 of");
    scene_stop(s);
    scene_end(s);
}

static struct shim_create scene_box(struct scene *s, const char *id, const char *const *args)
{
    struct shim_create c = scene_create(s, id, "box");

    for (; *args; args++)
        plan_add_text(&((struct oci_plan *)c.plan)->args, s->a, *args);
    return c;
}

/* The applets as process 1: they end when asked to, and serve each other over the pod's loopback. */
TEST(box_in_a_pod)
{
    struct scene *s = scene_make();
    struct shim_create web = scene_box(s, "web", (const char *[]){ "http", "--port", "8080", NULL });
    struct shim_create sleep = scene_box(s, "sleep", (const char *[]){ "sleep", "infinity", NULL });
    struct shim_create ask = scene_box(s, "ask", (const char *[]){ "sh", "-c",
        "until fetch --timeout 1 http://localhost:8080/ 2>/dev/null; do sleep 0.05; done; echo $$; hostname; "
        "echo in > /dev/shm/x; ls /proc/1/fd >/dev/null && echo ok", NULL });
    int64_t from;

    scene_start(s);
    scene_run(s, &web);
    scene_run(s, &sleep);
    scene_run(s, &ask);
    UNTIL(s, scene_seen(s, "ask")->state == SHIM_EXITED);
    expect_text(scene_text(s, ask.log_path), " stdout F mypod\n");
    expect_text(scene_text(s, ask.log_path), " stdout F 1\n");
    expect_text(scene_text(s, ask.log_path), " stdout F ok\n");
    EXPECT_EQ(scene_seen(s, "ask")->exit_code, 0);
    from = env_mono_ms(env_real());
    DO(s, driver()->kill_container(s->shim, "web", SIGTERM, on_done, s));
    DO(s, driver()->kill_container(s->shim, "sleep", SIGTERM, on_done, s));
    UNTIL(s, scene_seen(s, "web")->state == SHIM_EXITED && scene_seen(s, "sleep")->state == SHIM_EXITED);
    EXPECT(env_mono_ms(env_real()) - from < 1000);
    EXPECT_EQ(scene_seen(s, "sleep")->exit_code, 143);
    scene_stop(s);
    scene_end(s);
}

static int count_fds(void)
{
    DIR *d = opendir("/proc/self/fd");
    int n = 0;

    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

/* Ten pods come and go: mounts, groups, processes and descriptors are what they were. */
TEST(nothing_is_left)
{
    struct scene *s = scene_make();
    char *mounts = scene_text(s, "/proc/self/mountinfo");
    int fds = count_fds(), status;

    for (int i = 0; i < 10; i++) {
        struct shim_create c = scene_create(s, i % 2 ? "odd" : "even", i % 2 ? "print" : "wait");

        s->ready = false;
        s->n_seen = 0;
        s->opts.share_pids = i % 3 == 0;
        scene_start(s);
        scene_run(s, &c);
        if (i % 2)
            UNTIL(s, scene_seen(s, "odd")->state == SHIM_EXITED);
        scene_stop(s);
        UNTIL(s, count_fds() == fds);                    /* the last: of the shim's end */
        EXPECT_EQ(cgroup_count(s->cg, "", &s->err), 0);
    }
    EXPECT_STR(scene_text(s, "/proc/self/mountinfo"), mounts);
    EXPECT(waitpid(-1, &status, WNOHANG) < 0 && errno == ECHILD);
    scene_end(s);
}

/* The binary that shims run cannot be written, however it is reached. */
TEST(sealed_binary)
{
    struct scene *s = scene_make();
    char *mounts = scene_text(s, "/proc/self/mountinfo"), text[256];
    struct shim_create c = scene_create(s, "c1", "wait");

    s->opts.box_exe = arena_printf(s->a, "%s/%s", test_tmpdir(), SHIM_BOX_EXE);
    EXPECT_OK(shim_box_prepare(test_tmpdir(), NULL, &s->err), &s->err);
    EXPECT_OK(shim_box_prepare(test_tmpdir(), NULL, &s->err), &s->err);      /* again: the same */
    scene_start(s);
    scene_run(s, &c);
    snprintf(text, sizeof(text), "/proc/%d/exe", (int)driver()->pid(s->shim));
    EXPECT(open(text, O_WRONLY | O_CLOEXEC) < 0);
    EXPECT(chmod(text, 0777) < 0 && errno == EROFS);         /* not just busy: the mount is read-only */
    EXPECT(chmod(s->opts.box_exe, 0777) < 0 && errno == EROFS);
    scene_stop(s);
    EXPECT_OK(shim_box_remove(test_tmpdir(), &s->err), &s->err);
    EXPECT_OK(shim_box_remove(test_tmpdir(), &s->err), &s->err);
    EXPECT_STR(scene_text(s, "/proc/self/mountinfo"), mounts);
    scene_end(s);
}

/* What a pod costs: the shim's own memory, and no more than a shared part of the program's pages. */
TEST(shim_is_small)
{
    struct scene *s = scene_make();
    struct shim_create c = scene_create(s, "c1", "wait");
    char path[64], *text;
    long anon = 0;

    scene_start(s);
    scene_run(s, &c);
    snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)driver()->pid(s->shim));
    text = scene_text(s, path);
    printf("%s", text);
    anon = strtol(strstr(text, "Pss_Anon:") + 9, NULL, 10);
    if (anon >= 1024 && !test_is_sanitized())
        test_fail(__FILE__, __LINE__, "%ld KB:\n%s", anon, text);
    scene_stop(s);
    scene_end(s);
}
