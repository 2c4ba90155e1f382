/* box_sh_run.c -- trees at work. Applets run in a fork of ourselves without exec. */
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd/box/box.h"
#include "cmd/box/box_sh.h"
#include "core/base/fd.h"

#define SAVED_MAX 16
/* where descriptors are kept while others take their numbers */
#define SAVED_FROM 50

struct saved { int fd[SAVED_MAX], copy[SAVED_MAX]; size_t n; };

/* --- processes */

int box_sh_wait(pid_t pid)
{
    int status;

    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return 127;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* In a child: signals as they were before us. */
static pid_t fork_shell(struct sh *s)
{
    pid_t pid;

    fflush(stdout);
    fflush(stderr);
    pid = fork();
    if (pid < 0)
        box_sh_error(s, "fork: %s", strerror(errno));
    if (pid != 0)
        return pid;
    for (int i = 1; i < NSIG; i++)
        if (s->traps[i]) {
            if (*s->traps[i])
                box_sh_trap_signal(i, 0);
            s->traps[i] = NULL;
        }
    s->traps[0] = NULL;
    box_sh_trap_signal(SIGINT, 0);
    box_sh_trap_signal(SIGQUIT, 0);
    s->interactive = false;
    return 0;
}

static char *find_program(struct sh *s, struct arena *a, const char *name)
{
    const char *path = box_sh_get(s, "PATH");
    struct slice rest = slice_of(path ? path : "/bin:/usr/bin"), dir;
    char *found = NULL;

    if (strchr(name, '/'))
        return arena_strdup(a, name);
    while (slice_split(&rest, ':', &dir)) {
        char *full =
            arena_printf(a, "%.*s/%s", dir.len ? (int)dir.len : 1, dir.len ? dir.p : ".", name);
        struct stat st;

        if (stat(full, &st) == 0 && S_ISREG(st.st_mode)) {
            if (access(full, X_OK) == 0)
                return full;
            found = found ? found : full;
        }
    }
    return found;
}

static _Noreturn void run_program(struct sh *s, struct arena *a, char **argv, int argc)
{
    const struct box_applet *applet = box_find(argv[0]);
    char *path;

    environ = box_sh_environ(s, a);
    if (applet) {
        int status = applet->run(argc, argv);

        if (fflush(stdout) != 0 && status == 0)
            status = 1;
        _exit(status);
    }
    path = find_program(s, a, argv[0]);
    if (!path) {
        fprintf(stderr, "%s: %s: not found\n", s->name, argv[0]);
        _exit(127);
    }
    execve(path, argv, environ);
    if (errno == ENOEXEC) {                  /* a script without #! */
        char **with = arena_alloc(a, ((size_t)argc + 2) * sizeof(char *));

        with[0] = (char *)"sh";
        memcpy(with + 1, argv, ((size_t)argc + 1) * sizeof(char *));
        with[1] = path;
        _exit(box_main(argc + 1, with));
    }
    fprintf(stderr, "%s: %s: %s\n", s->name, argv[0], strerror(errno));
    _exit(errno == ENOENT ? 127 : 126);
}

/* --- redirections */

static int open_redir(struct sh *s, struct arena *a, const struct sh_redir *r)
{
    static const int flags[] = { [SH_IN] = O_RDONLY,
                                 [SH_OUT] = O_WRONLY | O_CREAT | O_TRUNC,
                                 [SH_APPEND] = O_WRONLY | O_CREAT | O_APPEND,
                                 [SH_BOTH] = O_RDWR | O_CREAT };
    char *text = r->op == SH_HERE
                     ? r->quoted ? arena_strdup(a, r->word) : box_sh_heredoc(s, a, r->word)
                     : box_sh_text(s, a, r->word, false);
    int64_t n;
    int fd;

    if (!text)
        return -1;
    if (r->op == SH_DUP) {
        if (strcmp(text, "-") == 0)
            return -2;
        fd = str_to_i64(text, 0, 1000, &n, NULL) < 0 ? -1
                                                     : fcntl((int)n, F_DUPFD_CLOEXEC, SAVED_FROM);
        if (fd < 0)
            box_sh_error(s, "%s: bad file descriptor", text);
        return fd;
    }
    if (r->op == SH_HERE) {
        fd = memfd_create("here", MFD_CLOEXEC);
        if (fd < 0 || fd_write_all(fd, text, strlen(text), NULL) < 0 || lseek(fd, 0, SEEK_SET) < 0)
            box_sh_error(s, "here-document: %s", strerror(errno));
        return fd;
    }
    fd = open(text, flags[r->op] | O_CLOEXEC, 0666);
    if (fd < 0)
        box_sh_error(s, "%s: %s", text, strerror(errno));
    return fd;
}

/* saved NULL: for good. */
static int redirect(struct sh *s, const struct sh_redir *r, struct saved *saved)
{
    int result = 0;

    if (!r)
        return 0;
    fflush(stdout);
    for (; r && result == 0; r = r->next) {
        struct arena *a = arena_new(0);
        int fd = open_redir(s, a, r);

        arena_free(a);
        if (fd == -1) {
            result = -1;
            break;
        }
        if (saved && saved->n < SAVED_MAX) {
            saved->fd[saved->n] = r->fd;
            saved->copy[saved->n++] = fcntl(r->fd, F_DUPFD_CLOEXEC, SAVED_FROM);
        }
        if (fd == -2) {
            close(r->fd);
        } else if (fd != r->fd) {
            result = dup2(fd, r->fd) < 0 ? -1 : 0;
            close(fd);
        } else {
            (void)fcntl(fd, F_SETFD, 0);
        }
    }
    return result;
}

static void restore(struct saved *saved)
{
    if (saved->n)
        fflush(stdout);
    while (saved->n > 0) {
        saved->n--;
        if (saved->copy[saved->n] >= 0) {
            dup2(saved->copy[saved->n], saved->fd[saved->n]);
            close(saved->copy[saved->n]);
        } else {
            close(saved->fd[saved->n]);
        }
    }
}

/* --- simple commands */

static size_t assignment_len(const char *word)
{
    const char *eq = strchr(word, '=');

    return eq && box_sh_is_name(word, (size_t)(eq - word)) ? (size_t)(eq - word) : 0;
}

/* The first `n` words of a command as assignments. */
static int assign(struct sh *s, struct arena *a, const struct sh_node *n, size_t count, bool export)
{
    for (size_t i = 0; i < count; i++) {
        size_t len = assignment_len(n->words[i]);
        char *name = arena_strndup(a, n->words[i], len);
        char *value = box_sh_text(s, a, n->words[i] + len + 1, false);

        if (!value)
            return -1;
        box_sh_set(s, name, value);
        if (export)
            box_sh_export(s, name);
        if (s->trace)
            fprintf(stderr, "+ %s=%s\n", name, value);
    }
    return 0;
}

static int run_function(struct sh *s, struct sh_func *f, int argc, char **argv)
{
    char **args = s->args;
    size_t n = s->n_args;
    int status;

    if (s->depth >= SH_DEPTH_MAX) {
        box_sh_error(s, "%s: called too deep", argv[0]);
        return 2;
    }
    s->depth++;
    s->args = argv + 1;
    s->n_args = (size_t)argc - 1;
    status = box_sh_run(s, f->body);
    if (s->flow == SH_RETURN) {
        s->flow = SH_GO;
        status = s->status;
    }
    s->args = args;
    s->n_args = n;
    s->depth--;
    return status;
}

static int run_external(struct sh *s, struct arena *a, const struct sh_node *n, size_t assigns,
                        int argc, char **argv)
{
    bool fork_it = !s->last;
    pid_t pid = fork_it ? fork_shell(s) : 0;
    int status;

    if (pid < 0)
        return 126;
    if (pid == 0) {
        if (redirect(s, n->redirs, NULL) < 0 || assign(s, a, n, assigns, true) < 0)
            _exit(1);
        run_program(s, a, argv, argc);
    }
    status = box_sh_wait(pid);
    if (status == 130 && s->interactive)
        fputc('\n', stderr);
    return status;
}

static void trace(struct sh *s, int argc, char **argv)
{
    if (!s->trace)
        return;
    fputc('+', stderr);
    for (int i = 0; i < argc; i++)
        fprintf(stderr, " %s", argv[i]);
    fputc('\n', stderr);
}

static int run_words(struct sh *s, struct arena *a, const struct sh_node *n, size_t assigns,
                     sh_fields *f)
{
    int argc = (int)f->len, status;
    struct saved saved = { .n = 0 };
    const struct sh_builtin *b;
    struct sh_func *func;
    bool keep;

    vec_push(f, NULL);
    trace(s, argc, f->v);
    func = map_get(s->funcs, f->v[0]);
    b = func ? NULL : box_sh_builtin(f->v[0]);
    if (!func && !b)
        return run_external(s, a, n, assigns, argc, f->v);
    keep = b && strcmp(b->name, "exec") == 0;
    if (redirect(s, n->redirs, keep ? NULL : &saved) < 0 || assign(s, a, n, assigns, false) < 0) {
        restore(&saved);
        return 1;
    }
    status = func ? run_function(s, func, argc, f->v) : b->run(s, argc, f->v);
    fflush(stdout);
    restore(&saved);
    return status;
}

static int run_cmd(struct sh *s, const struct sh_node *n)
{
    struct arena *a = arena_new(0);
    struct saved saved = { .n = 0 };
    sh_fields f = { 0 };
    size_t assigns = 0;
    int status = 0;

    while (assigns < n->n && assignment_len(n->words[assigns]))
        assigns++;
    for (size_t i = assigns; i < n->n && status == 0; i++)
        status = box_sh_fields(s, a, n->words[i], &f) < 0 ? 1 : 0;
    if (status)
        s->status = status = 2;
    if (status && !s->interactive)           /* an expansion that cannot be ends a script */
        s->flow = SH_EXIT;
    if (status == 0 && f.len > 0) {
        status = run_words(s, a, n, assigns, &f);
    } else if (status == 0) {
        s->status = 0;                       /* x=$(false) keeps the status of the substitution */
        status = assign(s, a, n, assigns, false) < 0 ? 1 : s->status;
        if (n->redirs)
            status = redirect(s, n->redirs, &saved) < 0 ? 1 : status;
        restore(&saved);
    }
    vec_deinit(&f);
    arena_free(a);
    return status;
}

/* --- compound commands */

static int run_pipe(struct sh *s, const struct sh_node *n)
{
    int fds[2], status;
    pid_t left, right;

    if (pipe2(fds, O_CLOEXEC) < 0) {
        box_sh_error(s, "pipe: %s", strerror(errno));
        return 1;
    }
    left = fork_shell(s);
    if (left == 0) {
        dup2(fds[1], 1);
        close(fds[0]), close(fds[1]);
        s->last = true;
        box_sh_exit(s, box_sh_run(s, n->a));
    }
    right = fork_shell(s);
    if (right == 0) {
        dup2(fds[0], 0);
        close(fds[0]), close(fds[1]);
        s->last = true;
        box_sh_exit(s, box_sh_run(s, n->b));
    }
    close(fds[0]), close(fds[1]);
    status = right > 0 ? box_sh_wait(right) : 1;
    if (left > 0)
        box_sh_wait(left);
    return status;
}

static int run_apart(struct sh *s, struct sh_node *n, bool wait)
{
    pid_t pid = fork_shell(s);

    if (pid == 0) {
        if (!wait) {
            int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

            if (null >= 0)
                dup2(null, 0);
            box_sh_trap_signal(SIGINT, 1);
        }
        if (redirect(s, wait ? n->redirs : NULL, NULL) < 0)
            _exit(1);
        s->last = true;
        box_sh_exit(s, box_sh_run(s, n->a));
    }
    if (pid < 0)
        return 1;
    if (wait)
        return box_sh_wait(pid);
    s->last_bg = pid;
    if (s->interactive)
        fprintf(stderr, "[%d]\n", (int)pid);
    return 0;
}

/* After a body: true when the loop goes on. */
static bool loop_goes_on(struct sh *s)
{
    if (s->flow == SH_BREAK || s->flow == SH_CONTINUE) {
        bool again = s->flow == SH_CONTINUE && s->levels == 1;

        if (--s->levels == 0)
            s->flow = SH_GO;
        return again;
    }
    return s->flow == SH_GO;
}

static int run_tested(struct sh *s, struct sh_node *n)
{
    bool tested = s->tested;
    int status;

    s->tested = true;
    status = box_sh_run(s, n);
    s->tested = tested;
    return status;
}

static int run_loop(struct sh *s, const struct sh_node *n)
{
    int status = 0;

    while ((run_tested(s, n->a) == 0) != n->until && s->flow == SH_GO) {
        status = box_sh_run(s, n->b);
        if (!loop_goes_on(s))
            break;
    }
    return s->flow == SH_GO ? status : s->status;
}

static int run_for(struct sh *s, const struct sh_node *n)
{
    struct arena *a = arena_new(0);
    sh_fields f = { 0 };
    int status = 0;

    for (size_t i = 0; i < n->n && status == 0; i++)
        status = box_sh_fields(s, a, n->words[i], &f) < 0 ? 1 : 0;
    for (size_t i = 0; i < s->n_args && !n->has_in; i++)
        vec_push(&f, arena_strdup(a, s->args[i]));
    for (size_t i = 0; i < f.len && status >= 0; i++) {
        box_sh_set(s, n->name, f.v[i]);
        status = box_sh_run(s, n->a);
        if (!loop_goes_on(s))
            break;
    }
    vec_deinit(&f);
    arena_free(a);
    return status;
}

static int run_case(struct sh *s, const struct sh_node *n)
{
    struct arena *a = arena_new(0);
    char *word = box_sh_text(s, a, n->name, false);
    struct sh_branch *found = NULL;

    for (struct sh_branch *b = n->branches; word && b && !found; b = b->next)
        for (size_t i = 0; i < b->n_patterns && !found; i++) {
            char *pattern = box_sh_text(s, a, b->patterns[i], true);

            found = pattern && fnmatch(pattern, word, 0) == 0 ? b : NULL;
        }
    arena_free(a);
    return !word ? 1 : found && found->body ? box_sh_run(s, found->body) : 0;
}

static int define(struct sh *s, const struct sh_node *n)
{
    struct sh_func *f = NEW(struct sh_func);

    f->body = n->a;
    s->kept = true;                          /* its tree lives on */
    mem_free(map_put(s->funcs, n->name, f));
    return 0;
}

static int run_kind(struct sh *s, struct sh_node *n)
{
    int status;

    switch (n->kind) {
    case SH_CMD: return run_cmd(s, n);
    case SH_PIPE: return run_pipe(s, n);
    case SH_AND:
        status = run_tested(s, n->a);
        return status == 0 && s->flow == SH_GO ? box_sh_run(s, n->b) : status;
    case SH_OR:
        status = run_tested(s, n->a);
        return status != 0 && s->flow == SH_GO ? box_sh_run(s, n->b) : status;
    case SH_NOT: return !run_tested(s, n->a);
    case SH_SEQ:
        status = box_sh_run(s, n->a);
        return s->flow == SH_GO ? box_sh_run(s, n->b) : status;
    case SH_BG: return run_apart(s, n, false);
    case SH_SUB: return run_apart(s, n, true);
    case SH_IF:
        status = run_tested(s, n->a);
        if (s->flow != SH_GO)
            return status;
        return status == 0 ? box_sh_run(s, n->b) : n->c ? box_sh_run(s, n->c) : 0;
    case SH_LOOP: return run_loop(s, n);
    case SH_FOR: return run_for(s, n);
    case SH_CASE: return run_case(s, n);
    case SH_GROUP: return box_sh_run(s, n->a);
    case SH_FUNC: return define(s, n);
    }
    return 2;
}

/* Parts of n that do not end the shell although n does. */
static bool is_plain(const struct sh_node *n)
{
    return n->kind == SH_CMD;
}

int box_sh_run(struct sh *s, struct sh_node *n)
{
    struct saved saved = { .n = 0 };
    bool own = n->redirs && n->kind != SH_CMD && n->kind != SH_SUB, last = s->last;
    int status;

    if (!is_plain(n))
        s->last = false;
    if (own && redirect(s, n->redirs, &saved) < 0) {
        restore(&saved);
        s->last = last;
        return s->status = 1;
    }
    status = run_kind(s, n);
    restore(&saved);
    if (s->flow != SH_EXIT)
        s->status = status;
    s->last = last;
    box_sh_traps(s);
    if (s->exit_on_error && status != 0 && !s->tested && s->flow == SH_GO &&
        (n->kind == SH_CMD || n->kind == SH_PIPE || n->kind == SH_SUB))
        s->flow = SH_EXIT;
    return s->status;
}

char *box_sh_capture(struct sh *s, struct arena *a, struct slice command)
{
    struct buf text = BUF_INIT;
    char chunk[4096], *out;
    int fds[2];
    pid_t pid;
    ssize_t n;

    if (pipe2(fds, O_CLOEXEC) < 0)
        return arena_strdup(a, "");
    pid = fork_shell(s);
    if (pid == 0) {
        dup2(fds[1], 1);
        close(fds[0]), close(fds[1]);
        s->last = false;
        s->depth++;
        box_sh_exit(s, s->depth > SH_DEPTH_MAX ? 2 : box_sh_eval(s, command));
    }
    close(fds[1]);
    while ((n = read(fds[0], chunk, sizeof(chunk))) > 0 || (n < 0 && errno == EINTR))
        if (n > 0 && text.len < SH_TEXT_BYTES_MAX)
            buf_add(&text, chunk, (size_t)n);
    close(fds[0]);
    s->status = pid > 0 ? box_sh_wait(pid) : 1;
    while (text.len && text.p[text.len - 1] == '\n')
        text.len--;
    out = arena_strndup(a, text.p ? text.p : "", text.len);
    buf_deinit(&text);
    return out;
}
