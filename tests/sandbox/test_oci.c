/* Containers made straight from plans, with real namespaces and groups. The program in them is test_payload(), bound into
 * an empty root file system, under the verb "inside": it prints what it sees, or does what it is told. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/fd.h"
#include "core/base/mem.h"
#include "core/base/proc.h"
#include "runtime/oci/oci.h"
#include "tests/harness/test.h"

/* --- inside */

static void show_file(const char *path)
{
    char text[4096];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));

    printf("%s: %.*s\n", path, n < 0 ? (int)strlen(strerror(errno)) : (int)n,
           n < 0 ? strerror(errno) : text);
}

static const char *try_write(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

    if (fd < 0)
        return strerror(errno);
    close(fd);
    return "yes";
}

static int inside_see(void)
{
    gid_t groups[16];
    int n = getgroups(16, groups);
    char cwd[256] = "";

    printf("pid %d uid %d gid %d groups", getpid(), getuid(), getgid());
    for (int i = 0; i < n; i++)
        printf(" %d", groups[i]);
    printf("\ncwd %s\nHOME %s PATH %s A %s\n", getcwd(cwd, sizeof(cwd)), getenv("HOME"), getenv("PATH"),
           getenv("A"));
    printf("nnp %d seccomp %d\n", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0),
           prctl(PR_GET_SECCOMP, 0, 0, 0, 0));
    printf("write /x: %s\nwrite /proc/sys/kernel/core_pattern: %s\nwrite /data/f: %s\n", try_write("/x"),
           try_write("/proc/sys/kernel/core_pattern"), try_write("/data/f"));
    printf("write /dev/null: %s\nwrite /dev/shm/a: %s\n", try_write("/dev/null"), try_write("/dev/shm/a"));
    printf("unshare: %s\n", unshare(CLONE_NEWUSER) < 0 ? strerror(errno) : "yes");
    printf("io_uring: %s\n", syscall(SYS_io_uring_setup, 1, NULL) < 0 ? strerror(errno) : "yes");
    printf("unknown: %s\n", syscall(511, 0) < 0 ? strerror(errno) : "yes");
    printf("vsock: %s\n", socket(40, SOCK_STREAM, 0) < 0 ? strerror(errno) : "yes");
    printf("mknod: %s\n", mknod("/dev/shm/m", S_IFCHR | 0600, makedev(1, 3)) < 0 ? strerror(errno) : "yes");
    printf("use of it: %s\n", try_write("/dev/shm/m"));
    show_file("/proc/self/oom_score_adj");
    show_file("/proc/keys");
    show_file("/proc/self/cgroup");
    show_file("/proc/self/mounts");
    show_file("/proc/self/status");
    return 0;
}

static int inside_main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";

    if (strcmp(what, "exit") == 0)
        return (int)strtol(argv[2], NULL, 10);
    if (strcmp(what, "wait") == 0)
        for (;;)
            pause();
    if (strcmp(what, "eat") == 0)
        for (;;)
            memset(malloc(1 << 20), 1, 1 << 20);
    if (strcmp(what, "tty") == 0)
        return printf("tty %d %s\n", isatty(0), ttyname(1)) < 0;
    if (strcmp(what, "ids") == 0)
        return printf("pid %d uid %d\n", getpid(), getuid()) < 0;
    return inside_see();
}

TEST_VERB(inside, "inside", inside_main)

/* --- outside */

struct scene {
    struct arena *a;
    struct cgroup *cg;
    struct oci_pod pod;
    struct oci_plan plan;
    struct oci_proc proc;
    int out;
    char root[64];
    struct err err;
};

static struct scene scene_make(const char *const *args)
{
    struct scene s = { .a = arena_new(0), .proc = OCI_PROC_NONE, .err = ERR_INIT };
    struct plan_mount *m;

    snprintf(s.root, sizeof(s.root), "%s", strrchr(test_tmpdir(), '/') + 1);
    if (geteuid() != 0 || cgroup_open(&s.cg, s.root, &s.err) < 0)
        test_skip(geteuid() != 0 ? "needs root" : s.err.msg);
    s.pod = (struct oci_pod){ .cgroup = s.cg, .shm = -1, .mounts = -1, .pids = -1 };
    plan_defaults(&s.plan, s.a, false);
    s.plan.id = "c1";
    s.plan.no_new_privs = true;
    mkdir(arena_printf(s.a, "%s/low", test_tmpdir()), 0755);
    mkdir(arena_printf(s.a, "%s/low/etc", test_tmpdir()), 0755);
    mkdir(arena_printf(s.a, "%s/up", test_tmpdir()), 0755);
    mkdir(arena_printf(s.a, "%s/work", test_tmpdir()), 0755);
    EXPECT_OK(fd_write_file(AT_FDCWD, arena_printf(s.a, "%s/low/etc/passwd", test_tmpdir()),
                            "root:x:0:0::/root:/bin/sh\nweb:x:33:34::/srv/web:/bin/sh\n", 54, 0644,
                            &s.err), &s.err);
    EXPECT_OK(fd_write_file(AT_FDCWD, arena_printf(s.a, "%s/low/etc/group", test_tmpdir()),
                            "root:x:0:\nwww:x:34:\nextra:x:70:web,other\n", 41, 0644, &s.err), &s.err);
    plan_add_text(&s.plan.rootfs.lower, s.a, arena_printf(s.a, "%s/low", test_tmpdir()));
    s.plan.rootfs.upper = arena_printf(s.a, "%s/up", test_tmpdir());
    s.plan.rootfs.work = arena_printf(s.a, "%s/work", test_tmpdir());
    m = plan_add_mount(&s.plan, s.a);
    *m = (struct plan_mount){ .kind = PLAN_BIND, .source = test_payload(), .dest = "/bin/t",
                              .read_only = true };
    plan_add_text(&s.plan.args, s.a, "t");
    plan_add_text(&s.plan.args, s.a, "inside");
    for (; *args; args++)
        plan_add_text(&s.plan.args, s.a, *args);
    plan_add_text(&s.plan.env, s.a, "A=b c");
    plan_add_text(&s.plan.env, s.a, "PATH=/none:/bin");
    EXPECT_OK(cgroup_make(s.cg, "p", NULL, &s.err), &s.err);
    EXPECT_OK(cgroup_make(s.cg, "p/c1", NULL, &s.err), &s.err);
    return s;
}

static enum oci_step scene_wait(struct oci_proc *p, struct err *err)
{
    enum oci_step step = OCI_WAIT;

    while (step == OCI_WAIT) {
        struct pollfd pf = { .fd = p->sync, .events = POLLIN };

        poll(&pf, 1, 5000);
        if (oci_next(p, &step, err) < 0)
            return OCI_WAIT;
    }
    return step;
}

static void scene_start(struct scene *s)
{
    int pipe_fds[2];

    EXPECT(pipe2(pipe_fds, O_CLOEXEC) == 0);
    EXPECT_OK(oci_create(&s->proc, &s->pod, &s->plan, "p/c1", (int[]){ -1, pipe_fds[1], pipe_fds[1] },
                         &s->err), &s->err);
    close(pipe_fds[1]);
    s->out = pipe_fds[0];
    if (scene_wait(&s->proc, &s->err) != OCI_CREATED)
        test_fail(__FILE__, __LINE__, "not created: %s", s->err.msg);
    EXPECT_OK(oci_go(&s->proc, &s->err), &s->err);
    if (scene_wait(&s->proc, &s->err) != OCI_STARTED)
        test_fail(__FILE__, __LINE__, "not started: %s", s->err.msg);
}

static char *scene_output(struct scene *s)
{
    _cleanup_buf_ struct buf b = BUF_INIT;
    char chunk[4096];
    ssize_t n;

    while ((n = read(s->out, chunk, sizeof(chunk))) > 0)
        buf_add(&b, chunk, (size_t)n);
    return arena_strdup(s->a, b.p ? b.p : "");
}

static int scene_status(struct oci_proc *p)
{
    struct pollfd pf = { .fd = p->pidfd, .events = POLLIN };
    int status = -1, sig = 0;

    poll(&pf, 1, 10000);
    EXPECT_EQ(proc_reap(p->pidfd, &status, &sig, NULL), 1);
    p->pid = 0;
    return status;
}

static void scene_end(struct scene *s)
{
    int tries = 0;

    oci_proc_deinit(&s->proc);
    EXPECT_OK(cgroup_kill(s->cg, "p", &s->err), &s->err);
    while (cgroup_remove(s->cg, "", &s->err) < 0 && tries++ < 200)
        usleep(10000);
    EXPECT(tries < 200);
    cgroup_free(s->cg);
    arena_free(s->a);
}

static void expect_text(const char *text, const char *part)
{
    if (!strstr(text, part))
        test_fail(__FILE__, __LINE__, "no \"%s\" in:\n%s", part, text);
}

TEST(default_container)
{
    struct scene s = scene_make((const char *[]){ NULL });
    char *out;
    struct stat st;

    mkdir(arena_printf(s.a, "%s/vol", test_tmpdir()), 0755);
    *plan_add_mount(&s.plan, s.a) = (struct plan_mount){
        .kind = PLAN_BIND, .source = arena_printf(s.a, "%s/vol", test_tmpdir()), .dest = "/data" };
    s.plan.oom_score_adj = 500;
    s.plan.cwd = "/made/here";
    scene_start(&s);
    out = scene_output(&s);
    EXPECT_EQ(scene_status(&s.proc), 0);
    expect_text(out, "pid 1 uid 0 gid 0 groups\n");
    expect_text(out, "cwd /made/here\nHOME /root PATH /none:/bin A b c\n");
    expect_text(out, "nnp 1 seccomp 2\n");
    expect_text(out, "write /x: yes\n");
    expect_text(out, "core_pattern: Read-only file system\n");
    expect_text(out, "write /data/f: yes\n");
    expect_text(out, "write /dev/null: yes\nwrite /dev/shm/a: yes\n");
    expect_text(out, "unshare: Operation not permitted\n");
    expect_text(out, "io_uring: Operation not permitted\n");
    expect_text(out, "unknown: Function not implemented\n");
    expect_text(out, "vsock: Operation not permitted\n");
    expect_text(out, "mknod: yes\nuse of it: Permission denied\n");
    expect_text(out, "/proc/self/oom_score_adj: 500\n");
    expect_text(out, "/proc/keys: \n");
    expect_text(out, ":/\n");
    expect_text(out, "CapEff:\t00000000a80425fb\n");
    expect_text(out, "CapBnd:\t00000000a80425fb\n");
    EXPECT(!strstr(out, "p/c1"));
    EXPECT(stat(arena_printf(s.a, "%s/vol/f", test_tmpdir()), &st) == 0);
    EXPECT(stat(arena_printf(s.a, "%s/up/x", test_tmpdir()), &st) == 0);
    scene_end(&s);
}

/* What is missing of a subPath is made with the mode of its volume; a link in the volume leads nowhere else. */
TEST(sub_path)
{
    struct scene s = scene_make((const char *[]){ NULL });
    const char *vol = arena_printf(s.a, "%s/vol", test_tmpdir());
    struct plan_mount *m = plan_add_mount(&s.plan, s.a);
    struct stat st;
    char *out;

    EXPECT(mkdir(vol, 0755) == 0 && chmod(vol, 02777) == 0);
    *m = (struct plan_mount){ .kind = PLAN_BIND, .source = vol, .dest = "/data", .subpath = "a/./b",
                              .make_subpath = true };
    scene_start(&s);
    out = scene_output(&s);
    expect_text(out, "write /data/f: yes\n");
    EXPECT_EQ(scene_status(&s.proc), 0);
    EXPECT(stat(arena_printf(s.a, "%s/a/b/f", vol), &st) == 0);
    EXPECT(stat(arena_printf(s.a, "%s/a", vol), &st) == 0 && (st.st_mode & 07777) == 02777);
    scene_end(&s);
}

TEST(sub_path_refused)
{
    static const struct { const char *path; bool make; } bad[] = {
        { "missing", false }, { "out/x", true }, { "out", true }, { "abs/x", true }, { "file/x", true },
    };
    struct scene s = scene_make((const char *[]){ NULL });
    const char *vol = arena_printf(s.a, "%s/vol", test_tmpdir());
    struct plan_mount *m = plan_add_mount(&s.plan, s.a);
    struct stat st;

    EXPECT(mkdir(vol, 0755) == 0 && mknod(arena_printf(s.a, "%s/file", vol), S_IFREG | 0644, 0) == 0);
    EXPECT(symlink("../outside", arena_printf(s.a, "%s/out", vol)) == 0);
    EXPECT(symlink("/etc", arena_printf(s.a, "%s/abs", vol)) == 0);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        *m = (struct plan_mount){ .kind = PLAN_BIND, .source = vol, .dest = "/data",
                                  .subpath = bad[i].path, .make_subpath = bad[i].make };
        EXPECT_OK(oci_create(&s.proc, &s.pod, &s.plan, "p/c1", (int[]){ -1, -1, -1 }, &s.err), &s.err);
        EXPECT_EQ(scene_wait(&s.proc, &s.err), OCI_WAIT);
        expect_text(s.err.msg, "subPath");
        oci_proc_deinit(&s.proc);
    }
    EXPECT(stat(arena_printf(s.a, "%s/outside", test_tmpdir()), &st) < 0);
    EXPECT(stat("/etc/x", &st) < 0);
    scene_end(&s);
}

TEST(user_from_image_and_read_only_root)
{
    struct scene s = scene_make((const char *[]){ NULL });
    char *out;

    s.plan.user = "web";
    s.plan.groups.v[s.plan.groups.len++] = 2000;
    s.plan.rootfs.read_only = true;
    scene_start(&s);
    out = scene_output(&s);
    EXPECT_EQ(scene_status(&s.proc), 0);
    expect_text(out, "uid 33 gid 34 groups 70 2000\n");
    expect_text(out, "HOME /srv/web ");
    expect_text(out, "write /x: Read-only file system\n");
    expect_text(out, "CapEff:\t0000000000000000\n");
    scene_end(&s);
}

TEST(privileged)
{
    struct scene s = scene_make((const char *[]){ NULL });
    struct oci_plan p;
    char *out;

    plan_defaults(&p, s.a, true);
    s.plan.mounts.v[1].read_only = false;
    s.plan.host_dev = true;
    s.plan.seccomp = p.seccomp;
    s.plan.masked = p.masked;
    s.plan.readonly = p.readonly;
    s.plan.no_new_privs = false;
    memcpy(s.plan.caps, p.caps, sizeof(p.caps));
    scene_start(&s);
    out = scene_output(&s);
    EXPECT_EQ(scene_status(&s.proc), 0);
    expect_text(out, "unshare: yes\n");
    expect_text(out, "core_pattern: yes\n");
    expect_text(out, "nnp 0 seccomp 0\n");
    scene_end(&s);
}

TEST(exit_status_and_errors)
{
    struct scene s = scene_make((const char *[]){ "exit", "7", NULL });
    int fds[3] = { -1, -1, -1 };

    scene_start(&s);
    EXPECT_EQ(scene_status(&s.proc), 7);
    oci_proc_deinit(&s.proc);
    s.plan.args.v[0] = "absent";
    EXPECT_OK(oci_create(&s.proc, &s.pod, &s.plan, "p/c1", fds, &s.err), &s.err);
    EXPECT_EQ(scene_wait(&s.proc, &s.err), OCI_WAIT);
    EXPECT_STR(s.err.msg, "exec: \"absent\": executable file not found in $PATH");
    oci_proc_deinit(&s.proc);
    s.plan.args.v[0] = "/etc/passwd";
    EXPECT_OK(oci_create(&s.proc, &s.pod, &s.plan, "p/c1", fds, &s.err), &s.err);
    EXPECT_EQ(scene_wait(&s.proc, &s.err), OCI_WAIT);
    expect_text(s.err.msg, "ermission denied");
    oci_proc_deinit(&s.proc);
    s.plan.args.v[0] = "t";
    s.plan.user = "nobody-here";
    EXPECT_OK(oci_create(&s.proc, &s.pod, &s.plan, "p/c1", fds, &s.err), &s.err);
    EXPECT_EQ(scene_wait(&s.proc, &s.err), OCI_WAIT);
    expect_text(s.err.msg, "unable to find user nobody-here");
    scene_end(&s);
}

TEST(memory_limit_kills)
{
    struct scene s = scene_make((const char *[]){ "eat", NULL });
    struct cgroup_limits l = { .memory_max_bytes = 32 << 20, .pids_max = 16 };
    struct cgroup_usage u;

    if (!cgroup_has(s.cg, "memory"))
        test_skip("no memory controller");
    EXPECT_OK(cgroup_set(s.cg, "p/c1", &l, &s.err), &s.err);
    scene_start(&s);
    EXPECT_EQ(scene_status(&s.proc), 137);
    EXPECT_OK(cgroup_usage(s.cg, "p/c1", &u, &s.err), &s.err);
    EXPECT(u.oom_kills > 0);
    EXPECT_EQ(u.memory_limit_bytes, 32 << 20);
    scene_end(&s);
}

static struct oci_plan exec_plan(struct scene *s, const char *what)
{
    struct oci_plan p;

    plan_defaults(&p, s->a, false);
    p.id = "e";
    p.mounts.len = 0;
    p.no_new_privs = true;
    plan_add_text(&p.args, s->a, "/bin/t");
    plan_add_text(&p.args, s->a, "inside");
    plan_add_text(&p.args, s->a, what);
    return p;
}

TEST(exec_and_shared_pids)
{
    struct scene s = scene_make((const char *[]){ "wait", NULL });
    struct oci_plan p = exec_plan(&s, "ids");
    struct oci_proc e = OCI_PROC_NONE, pause = OCI_PROC_NONE;
    char text[200] = "";
    int fds[2];

    EXPECT_OK(cgroup_make(s.cg, "p/sandbox", NULL, &s.err), &s.err);
    EXPECT_OK(oci_pause(&pause, &s.pod, "p/sandbox", &s.err), &s.err);
    s.pod.pids = pause.pidfd;
    scene_start(&s);
    EXPECT(pipe2(fds, O_CLOEXEC) == 0);
    p.user = "33";
    EXPECT_OK(oci_exec(&e, &s.pod, &p, &(struct oci_enter){ "p/c1", s.proc.pidfd, { -1, fds[1], -1 } },
                       &s.err), &s.err);
    EXPECT_EQ(scene_wait(&e, &s.err), OCI_CREATED);
    EXPECT_EQ(scene_wait(&e, &s.err), OCI_STARTED);
    close(fds[1]);
    EXPECT_EQ(scene_status(&e), 0);
    EXPECT(read(fds[0], text, sizeof(text) - 1) > 0);
    EXPECT_STR(text, "pid 3 uid 33\n");
    oci_proc_deinit(&e);
    EXPECT_EQ(cgroup_count(s.cg, "p", &s.err), 2);
    EXPECT_OK(proc_signal(pause.pidfd, SIGKILL, &s.err), &s.err);
    EXPECT_EQ(scene_status(&s.proc), 137);          /* pid 1 of the namespace went */
    oci_proc_deinit(&pause);                        /* ends only when we have reaped the others */
    scene_end(&s);
}

TEST(pause_needs_its_group)
{
    struct scene s = scene_make((const char *[]){ "wait", NULL });
    struct oci_proc pause = OCI_PROC_NONE;

    EXPECT_EQ(oci_pause(&pause, &s.pod, "p/none", &s.err), -1);
    expect_text(s.err.msg, "pause process: ");
    expect_text(s.err.msg, "p/none");
    EXPECT_EQ(waitpid(-1, NULL, WNOHANG), -1);      /* it is reaped */
    err_clear(&s.err);
    EXPECT_OK(cgroup_make(s.cg, "p/sandbox", NULL, &s.err), &s.err);
    EXPECT_OK(oci_pause(&pause, &s.pod, "p/sandbox", &s.err), &s.err);
    EXPECT_EQ(cgroup_count(s.cg, "p/sandbox", &s.err), 1);
    oci_proc_deinit(&pause);
    scene_end(&s);
}

TEST(terminal)
{
    struct scene s = scene_make((const char *[]){ "tty", NULL });
    char text[200] = "";

    s.plan.tty = true;
    s.plan.tty_rows = 24;
    s.plan.tty_cols = 80;
    scene_start(&s);
    EXPECT(s.proc.pty >= 0);
    EXPECT(read(s.proc.pty, text, sizeof(text) - 1) > 0);
    EXPECT_STR(text, "tty 1 /dev/pts/0\r\n");
    EXPECT_EQ(scene_status(&s.proc), 0);
    scene_end(&s);
}

TEST(shared_memory_of_a_pod)
{
    struct scene s = scene_make((const char *[]){ NULL });
    _cleanup_buf_ struct buf before = BUF_INIT, after = BUF_INIT;
    char *out;

    EXPECT_OK(fd_read_file(&before, AT_FDCWD, "/proc/self/mountinfo", 1 << 20, &s.err), &s.err);
    s.pod.shm = oci_shm_make(1 << 20, &s.err);
    EXPECT_OK(s.pod.shm, &s.err);
    s.pod.mounts = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
    for (int i = 0; i < 2; i++) {
        scene_start(&s);
        out = scene_output(&s);
        EXPECT_EQ(scene_status(&s.proc), 0);
        expect_text(out, "tmpfs /dev/shm tmpfs rw,nosuid,nodev,noexec,relatime,size=1024k");
        if (i == 1)                                  /* left there by the first one */
            expect_text(out, "mknod: File exists\n");
        oci_proc_deinit(&s.proc);
    }
    EXPECT_OK(fd_read_file(&after, AT_FDCWD, "/proc/self/mountinfo", 1 << 20, &s.err), &s.err);
    EXPECT_STR(before.p, after.p);
    scene_end(&s);
}
