/* oci_child.c -- what a cloned process does on its way to be the container's own: a list of steps, told home when it
 * fails, in the order in which each step still has the rights it needs.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/base/check.h"
#include "core/base/fd.h"
#include "core/base/mem.h"
#include "runtime/oci/oci_child.h"

#define EXIT_SETUP 128
#define SIGNALS 64

static const char path_default[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

struct steps {
    struct oci_child *c;
    const struct oci_plan *p;
    struct oci_user user;
    char *exe;                           /* what to execute */
    char **argv, **envp;
    int apparmor;                        /* where to write the profile, or -1 */
    int pty;                             /* master, or -1 */
};

/* --- first: out of the caller's ways */

static int step_clean(struct steps *s, struct err *err)
{
    sigset_t none;

    sigemptyset(&none);
    for (int sig = 1; sig <= SIGNALS; sig++)
        signal(sig, SIG_DFL);            /* KILL and STOP say no, which is fine */
    sigprocmask(SIG_SETMASK, &none, NULL);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    if (setsid() < 0 && errno != EPERM)
        return err_sys(err, "new session");
    umask(0);
    /* The null device and the pipes stay, all else must not reach the container. */
    if (close_range(3, ~0u, CLOSE_RANGE_CLOEXEC) < 0)
        return err_sys(err, "mark descriptors");
    (void)s;
    return 0;
}

static int write_self(const char *name, const char *text, struct err *err)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/self/%s", name);
    return fd_write_kernel(AT_FDCWD, path, text, err);
}

static int step_host(struct steps *s, struct err *err)
{
    char text[16];
    struct err why = ERR_INIT;

    if (cgroup_join(s->c->pod->cgroup, s->c->cgroup_path, s->c->in_v2, err) < 0)
        return -1;
    snprintf(text, sizeof(text), "%d", s->p->oom_score_adj);
    /* Hosts without CAP_SYS_RESOURCE cannot lower it: the pod runs all the same. */
    if (write_self("oom_score_adj", text, &why) < 0 && why.sys_errno != EACCES &&
        why.sys_errno != EPERM)
        return err_set(err, why.code, "oom_score_adj: %s", why.msg);
    if (!str_empty(s->p->apparmor)) {
        s->apparmor = open("/proc/self/attr/apparmor/exec", O_WRONLY | O_CLOEXEC);
        if (s->apparmor < 0)
            s->apparmor = open("/proc/self/attr/exec", O_WRONLY | O_CLOEXEC);
        if (s->apparmor < 0)
            return err_sys(err, "apparmor profile %s", s->p->apparmor);
    }
    return 0;
}

static int step_limits(struct steps *s, struct err *err)
{
    static const struct { const char *name; int id; } ids[] = {
        { "as", RLIMIT_AS }, { "core", RLIMIT_CORE }, { "cpu", RLIMIT_CPU }, { "data", RLIMIT_DATA },
        { "fsize", RLIMIT_FSIZE }, { "locks", RLIMIT_LOCKS }, { "memlock", RLIMIT_MEMLOCK },
        { "msgqueue", RLIMIT_MSGQUEUE }, { "nice", RLIMIT_NICE }, { "nofile", RLIMIT_NOFILE },
        { "nproc", RLIMIT_NPROC }, { "rss", RLIMIT_RSS }, { "rtprio", RLIMIT_RTPRIO },
        { "rttime", RLIMIT_RTTIME }, { "sigpending", RLIMIT_SIGPENDING }, { "stack", RLIMIT_STACK },
    };

    for (size_t i = 0; i < s->p->rlimits.len; i++) {
        const struct plan_rlimit *r = &s->p->rlimits.v[i];
        struct rlimit limit = { .rlim_cur = r->soft, .rlim_max = r->hard };
        int id = -1;

        for (size_t k = 0; k < ARRAY_LEN(ids); k++)
            id = str_eq(ids[k].name, r->name) ? ids[k].id : id;
        if (id < 0)
            return err_set(err, ERR_INVALID, "unknown limit \"%s\"", r->name);
        if (prlimit(0, (unsigned)id, &limit, NULL) < 0)
            return err_sys(err, "limit %s", r->name);
    }
    return 0;
}

/* --- into the file tree: a new one, or that of a running container */

static int step_root(struct steps *s, struct err *err)
{
    if (s->c->container >= 0) {
        if (setns(s->c->container, CLONE_NEWNS | CLONE_NEWCGROUP) < 0)
            return err_sys(err, "enter the container");
        return 0;
    }
    if (!s->p->host_cgroup_ns && unshare(CLONE_NEWCGROUP) < 0)
        return err_sys(err, "new cgroup namespace");
    return oci_root_enter(s->c->pod, s->p, s->c->cgroup_path, err);
}

static int step_user(struct steps *s, struct err *err)
{
    _cleanup_fd_ int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

    if (root < 0)
        return err_sys(err, "open the root");
    return oci_user_find(&s->user, root, s->p, err);
}

static bool env_has(const struct plan_texts *env, const char *name)
{
    size_t len = strlen(name);

    for (size_t i = 0; i < env->len; i++)
        if (strncmp(env->v[i], name, len) == 0 && env->v[i][len] == '=')
            return true;
    return false;
}

static int step_vectors(struct steps *s, struct err *err)
{
    const struct plan_texts *args = &s->p->args, *env = &s->p->env;
    size_t n = 0;

    (void)err;
    s->argv = mem_alloc_array(args->len + 1, sizeof(char *));
    for (size_t i = 0; i < args->len; i++)
        s->argv[i] = (char *)args->v[i];
    s->envp = mem_alloc_array(env->len + 4, sizeof(char *));
    for (size_t i = 0; i < env->len; i++)
        s->envp[n++] = (char *)env->v[i];
    if (!env_has(env, "PATH"))
        s->envp[n++] = mem_printf("PATH=%s", path_default);
    if (!env_has(env, "HOME"))
        s->envp[n++] = mem_printf("HOME=%s", s->user.home);
    if (s->p->tty && !env_has(env, "TERM"))
        s->envp[n++] = mem_strdup("TERM=xterm");
    return 0;
}

static const char *path_of(char *const *envp)
{
    for (; *envp; envp++)
        if (str_starts(*envp, "PATH="))
            return *envp + 5;
    return path_default;
}

static bool is_program(const char *path, int *why)
{
    struct stat st;

    if (stat(path, &st) < 0) {
        *why = errno;
        return false;
    }
    if (S_ISREG(st.st_mode) && (st.st_mode & 0111))
        return true;
    *why = S_ISDIR(st.st_mode) ? EISDIR : EACCES;
    return false;
}

static int step_find(struct steps *s, struct err *err)
{
    const char *name = s->p->args.v[0];
    struct slice rest = slice_of(path_of(s->envp)), dir;
    int why = ENOENT;

    if (chdir(str_empty(s->p->cwd) ? "/" : s->p->cwd) < 0 && errno != EACCES)
        return err_sys(err, "chdir to cwd (\"%s\") set in config.json failed", s->p->cwd);
    if (strchr(name, '/')) {
        s->exe = mem_strdup(name);
        if (is_program(name, &why))
            return 0;
        errno = why;
        return why == ENOENT ? err_set(err, ERR_NOT_FOUND, "exec: \"%s\": stat %s: no such file or "
                                       "directory", name, name)
                             : err_sys(err, "exec: \"%s\"", name);
    }
    while (slice_split(&rest, ':', &dir)) {
        char *full = mem_printf("%.*s/%s", (int)dir.len, dir.p, name);

        if (dir.len && is_program(full, &why)) {
            s->exe = full;
            return 0;
        }
        mem_free(full);
    }
    return err_set(err, ERR_NOT_FOUND, "exec: \"%s\": executable file not found in $PATH", name);
}

/* --- standard descriptors */

static int bind_console(int slave, struct err *err)
{
    _cleanup_fd_ int tree = -1;
    char path[40];

    snprintf(path, sizeof(path), "/proc/self/fd/%d", slave);
    if (access("/dev/console", F_OK) < 0)
        return 0;
    tree = oci_mount_clone(AT_FDCWD, path, false, err);
    return tree < 0 ? -1 : oci_mount_attach(tree, AT_FDCWD, "/dev/console", err);
}

static int open_pty(struct steps *s, struct err *err)
{
    struct winsize size = { .ws_row = s->p->tty_rows, .ws_col = s->p->tty_cols };
    int unlock = 0;
    _cleanup_fd_ int slave = -1;

    s->pty = open("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (s->pty < 0)
        return err_sys(err, "open /dev/pts/ptmx");
    if (ioctl(s->pty, TIOCSPTLCK, &unlock) < 0)
        return err_sys(err, "unlock terminal");
    slave = ioctl(s->pty, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (slave < 0)
        return err_sys(err, "open terminal");
    if (size.ws_row)
        ioctl(slave, TIOCSWINSZ, &size);
    if (s->c->container < 0 && bind_console(slave, err) < 0)
        return err_wrap(err, "console");
    if (ioctl(slave, TIOCSCTTY, 0) < 0)
        return err_sys(err, "take the terminal");
    for (int i = 0; i < 3; i++)
        if (dup2(slave, i) < 0)
            return err_sys(err, "terminal");
    return 0;
}

static int step_stdio(struct steps *s, struct err *err)
{
    _cleanup_fd_ int null = -1;

    if (s->p->tty)
        return open_pty(s, err);
    null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0)
        return err_sys(err, "open /dev/null");
    for (int i = 0; i < 3; i++)
        if (dup2(s->c->stdio[i] >= 0 ? s->c->stdio[i] : null, i) < 0)
            return err_sys(err, "standard descriptors");
    return 0;
}

/* So that a program with another user id may open /dev/stdout. */
static void own_stdio(const struct steps *s)
{
    for (int i = 0; i < 3; i++) {
        struct stat st;

        if (fstat(i, &st) == 0 && st.st_uid != s->user.uid &&
            !(S_ISCHR(st.st_mode) && !s->p->tty) && fchown(i, s->user.uid, (gid_t)-1) < 0)
            continue;                    /* not ours to give: sockets, read-only mounts */
    }
}

/* --- home and away */

static int tell(int sync, uint32_t what, const struct err *why, int fd)
{
    struct oci_says m = { .what = what };

    if (why)
        m.err = *why;
    return fd_send(sync, &m, sizeof(m), &fd, fd >= 0 ? 1 : 0, NULL);
}

static int step_ready(struct steps *s, struct err *err)
{
    char go;
    size_t n_fds = 0;

    if (tell(s->c->sync, OCI_SAYS_CREATED, NULL, s->pty) < 0)
        return err_set(err, ERR_CANCELED, "the owner is gone");
    s->pty = fd_close(s->pty);
    if (s->c->container >= 0)
        return 0;
    if (fd_recv(s->c->sync, &go, 1, NULL, &n_fds, err) != 1)
        return err_set(err, ERR_CANCELED, "not started");
    return 0;
}

static int step_become(struct steps *s, struct err *err)
{
    const char *cwd = str_empty(s->p->cwd) ? "/" : s->p->cwd;

    own_stdio(s);
    umask(s->p->umask ? s->p->umask : 022);
    if (s->apparmor >= 0) {
        _cleanup_(mem_freep) char *text = mem_printf("exec %s", s->p->apparmor);

        if (fd_write_all(s->apparmor, text, strlen(text), err) < 0)
            return err_wrap(err, "apparmor profile %s", s->p->apparmor);
    }
    if (oci_caps_become(s->p, &s->user, err) < 0)
        return -1;
    if (chdir(cwd) < 0)
        return err_sys(err, "chdir to cwd (\"%s\") set in config.json failed", cwd);
    return 0;
}

static int step_exec(struct steps *s, struct err *err)
{
    execve(s->exe, s->argv, s->envp);
    return err_sys(err, "exec %s", s->exe);
}

_Noreturn void oci_child_run(struct oci_child *c)
{
    static int (*const steps[])(struct steps *, struct err *) = {
        step_clean, step_host, step_limits, step_root, step_user, step_vectors, step_find,
        step_stdio, step_ready, step_become, step_exec,
    };
    struct steps *s = NEW(struct steps);
    struct err err = ERR_INIT;

    s->c = c;
    s->p = c->plan;
    s->apparmor = s->pty = -1;
    for (size_t i = 0; i < ARRAY_LEN(steps); i++)
        if (steps[i](s, &err) < 0)
            break;
    tell(c->sync, OCI_SAYS_ERR, &err, -1);
    _exit(EXIT_SETUP);
}
