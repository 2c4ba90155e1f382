/* box_sh.c -- the shell's state, and where its commands come from. */
#include "cmd/box/box_sh.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cmd/box/box.h"
#include "cmd/box/box_run.h"
#include "core/base/fd.h"

static volatile sig_atomic_t caught[NSIG];       /* a handler has nowhere else to write to */

/* --- variables */

bool box_sh_is_name(const char *p, size_t len)
{
    if (len == 0 || isdigit((unsigned char)p[0]))
        return false;
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)p[i]) && p[i] != '_')
            return false;
    return true;
}

const char *box_sh_get(struct sh *s, const char *name)
{
    struct sh_var *v = map_get(s->vars, name);

    return v ? v->value : NULL;
}

static struct sh_var *var_make(struct sh *s, const char *name)
{
    struct sh_var *v = map_get(s->vars, name);

    if (!v) {
        v = NEW(struct sh_var);
        map_put(s->vars, name, v);
    }
    return v;
}

void box_sh_set(struct sh *s, const char *name, const char *value)
{
    struct sh_var *v = var_make(s, name);
    char *copy = mem_strdup(value);              /* value may be its own */

    if (v->fixed) {
        box_sh_error(s, "%s: is read-only", name);
        mem_free(copy);
        return;
    }
    mem_free(v->value);
    v->value = copy;
}

void box_sh_unset(struct sh *s, const char *name)
{
    struct sh_var *v = map_del(s->vars, name);

    if (v)
        mem_free(v->value);
    mem_free(v);
}

void box_sh_export(struct sh *s, const char *name)
{
    var_make(s, name)->exported = true;
}

char **box_sh_environ(struct sh *s, struct arena *a)
{
    char **out = arena_alloc(a, (map_len(s->vars) + 1) * sizeof(char *));
    size_t at = 0, n = 0;
    const char *key;
    void *value;

    while (map_next(s->vars, &at, &key, &value)) {
        struct sh_var *v = value;

        if (v->exported && v->value)
            out[n++] = arena_printf(a, "%s=%s", key, v->value);
    }
    return out;
}

static void import_environ(struct sh *s)
{
    char cwd[PATH_MAX];

    for (char **e = environ; e && *e; e++) {
        char *eq = strchr(*e, '='), *name;

        if (!eq)
            continue;
        name = mem_strndup(*e, (size_t)(eq - *e));
        box_sh_set(s, name, eq + 1);
        box_sh_export(s, name);
        mem_free(name);
    }
    if (getcwd(cwd, sizeof(cwd)))
        box_sh_set(s, "PWD", cwd);
    if (!box_sh_get(s, "PATH"))
        box_sh_set(s, "PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
}

/* --- signals and ends */

static void on_signal(int sig)
{
    caught[sig] = 1;
}

void box_sh_trap_signal(int sig, int how)
{
    struct sigaction sa = { .sa_handler = how == 2 ? on_signal : how == 1 ? SIG_IGN : SIG_DFL };

    sigaction(sig, &sa, NULL);
}

void box_sh_traps(struct sh *s)
{
    for (int i = 1; i < NSIG; i++)
        if (caught[i] && s->traps[i] && *s->traps[i]) {
            int status = s->status;

            caught[i] = 0;
            box_sh_eval(s, slice_of(s->traps[i]));
            if (s->flow != SH_EXIT)
                s->status = status;
        }
}

void box_sh_exit(struct sh *s, int status)
{
    char *trap = s->traps[0];

    s->status = s->flow == SH_EXIT ? s->status : status;
    s->traps[0] = NULL;
    if (trap) {
        s->flow = SH_GO;
        status = s->status;
        box_sh_eval(s, slice_of(trap));
        s->status = s->flow == SH_EXIT ? s->status : status;
    }
    fflush(stdout);
    _exit(s->status);
}

void box_sh_error(struct sh *s, const char *format, ...)
{
    va_list args;

    fflush(stdout);
    fprintf(stderr, "%s: ", s->name);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

/* --- commands from text */

/* One command; 1 there was one, 0 nothing left, -1 error (*need: more text may help). */
static int eval_one(struct sh *s, struct slice text, size_t *at, bool *need, bool final)
{
    struct arena *a = arena_new(0);
    struct sh_node *n = NULL;
    struct err err = ERR_INIT;
    int result = box_sh_parse(&n, a, text, at, &err);
    bool kept = s->kept, last = s->last;

    *need = result < 0 && err.code == ERR_UNAVAILABLE;
    if (result < 0 && !*need) {
        box_sh_error(s, "%s", err.msg);
        s->status = 2;
    }
    if (result > 0 && !s->no_exec) {
        size_t left = *at;

        while (left < text.len && isspace((unsigned char)text.p[left]))
            left++;
        s->kept = false;
        s->last = last && final && left == text.len && !s->traps[0];
        box_sh_run(s, n);
        s->last = last;
        if (s->kept)
            a = NULL;                            /* a function's now, until the end */
        s->kept = kept;
    }
    arena_free(a);
    return result;
}

int box_sh_eval(struct sh *s, struct slice text)
{
    size_t at = 0;
    bool need;
    int r;

    while (s->flow == SH_GO && (r = eval_one(s, text, &at, &need, true)) != 0) {
        if (r < 0 && need)
            box_sh_error(s, "syntax error: unexpected end");
        if (r < 0) {
            if (!s->interactive)
                s->flow = SH_EXIT;
            return s->status = 2;
        }
    }
    return s->status;
}

/* --- commands from a terminal or a pipe */

static void prompt(struct sh *s, bool more)
{
    const char *ps = box_sh_get(s, more ? "PS2" : "PS1");
    char cwd[PATH_MAX];

    if (!s->interactive)
        return;
    if (ps)
        fputs(ps, stderr);
    else if (more)
        fputs("> ", stderr);
    else
        fprintf(stderr, "%s %s ", getcwd(cwd, sizeof(cwd)) ? cwd : "?", geteuid() == 0 ? "#" : "$");
    fflush(stderr);
}

/* Appends a line; false at the end. Interrupted: the line begun is dropped. */
static bool more_text(struct sh *s, struct buf *text)
{
    size_t from = text->len;
    char c;

    for (;;) {
        ssize_t n = read(0, &c, 1);

        if (n < 0 && errno == EINTR) {
            if (s->interactive && caught[SIGINT]) {
                caught[SIGINT] = 0;
                fputc('\n', stderr);
                buf_clear(text);
                return true;
            }
            box_sh_traps(s);
            continue;
        }
        if (n <= 0 || text->len > SH_TEXT_BYTES_MAX)
            return text->len > from;
        buf_chr(text, c);
        if (c == '\n')
            return true;
    }
}

static void run_input(struct sh *s)
{
    _cleanup_buf_ struct buf text = BUF_INIT;
    bool need = false;

    if (s->interactive)
        box_sh_trap_signal(SIGINT, 2);
    for (;;) {
        size_t at = 0;
        int r;

        prompt(s, need);
        if (!more_text(s, &text))
            break;
        need = false;
        while (s->flow == SH_GO && at < text.len &&
               (r = eval_one(s, (struct slice){ text.p, text.len }, &at, &need, false)) > 0)
            ;
        caught[SIGINT] = 0;
        if (s->flow == SH_EXIT)
            return;
        s->flow = SH_GO;
        if (!need)
            buf_clear(&text);
        else
            buf_eat(&text, at);
    }
    if (need)
        box_sh_error(s, "syntax error: unexpected end");
    if (s->interactive)
        fputs("exit\n", stderr);
}

static int run_file(struct sh *s, const char *path)
{
    _cleanup_buf_ struct buf text = BUF_INIT;
    struct err err = ERR_INIT;

    if (fd_read_file(&text, AT_FDCWD, path, SH_TEXT_BYTES_MAX, &err) < 0) {
        box_sh_error(s, "%s", err.msg);
        return 127;
    }
    return box_sh_eval(s, (struct slice){ text.p ? text.p : "", text.len });
}

int box_sh(int argc, char **argv)
{
    struct box_opts o = { .argc = argc, .argv = argv, .letters = "c:exunsilf" };
    struct sh *s = NEW(struct sh);
    const char *command = NULL;
    bool from_input = false;
    int c;

    s->vars = map_new();
    s->funcs = map_new();
    s->name = argv[0][0] == '-' ? argv[0] + 1 : argv[0];
    while ((c = box_opt(&o)) != -1) {
        s->exit_on_error = s->exit_on_error || c == 'e';
        s->trace = s->trace || c == 'x';
        s->unset_error = s->unset_error || c == 'u';
        s->no_exec = s->no_exec || c == 'n';
        s->no_glob = s->no_glob || c == 'f';
        s->interactive = s->interactive || c == 'i';
        from_input = from_input || c == 's';
        command = c == 'c' ? o.value : command;
        if (c == '?')
            return box_usage(argv, "bad option");
    }
    import_environ(s);
    if (command || (!from_input && o.at < argc))
        s->name = o.at < argc ? argv[o.at++] : s->name;
    s->args = argv + o.at;
    s->n_args = (size_t)(argc - o.at);
    if (command) {
        s->last = true;
        box_sh_exit(s, box_sh_eval(s, slice_of(command)));
    }
    if (!from_input && o.at > 1 && s->name == argv[o.at - 1] && s->name != argv[0])
        box_sh_exit(s, run_file(s, s->name));
    s->interactive = s->interactive || (isatty(0) && isatty(2));
    run_input(s);
    box_sh_exit(s, s->status);
}
