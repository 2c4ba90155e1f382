/* box_sh_builtin.c -- commands that must run in the shell, and small ones for which a process would
 * be waste. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd/box/box.h"
#include "cmd/box/box_run.h"
#include "cmd/box/box_sh.h"
#include "core/base/fd.h"

static int64_t number(const char *text, int64_t otherwise)
{
    int64_t n;

    return text && str_to_i64(text, INT32_MIN, INT32_MAX, &n, NULL) == 0 ? n : otherwise;
}

static int do_cd(struct sh *s, int argc, char **argv)
{
    const char *to = argc > 1 ? argv[1] : box_sh_get(s, "HOME");
    bool back = to && strcmp(to, "-") == 0;
    char path[PATH_MAX];

    if (back)
        to = box_sh_get(s, "OLDPWD");
    if (!to || chdir(to) < 0) {
        box_sh_error(s, "cd: %s: %s", to ? to : "HOME", to ? strerror(errno) : "not set");
        return 1;
    }
    if (box_sh_get(s, "PWD"))
        box_sh_set(s, "OLDPWD", box_sh_get(s, "PWD"));
    if (getcwd(path, sizeof(path)))
        box_sh_set(s, "PWD", path);
    if (back)
        puts(path);
    return 0;
}

static int do_exit(struct sh *s, int argc, char **argv)
{
    s->status = argc > 1 ? (int)(number(argv[1], 2) & 255) : s->status;
    s->flow = SH_EXIT;
    return s->status;
}

static int do_return(struct sh *s, int argc, char **argv)
{
    s->status = argc > 1 ? (int)(number(argv[1], 2) & 255) : s->status;
    s->flow = SH_RETURN;
    return s->status;
}

static int do_break(struct sh *s, int argc, char **argv)
{
    s->levels = (int)number(argc > 1 ? argv[1] : NULL, 1);
    s->levels = s->levels < 1 ? 1 : s->levels;
    s->flow = argv[0][0] == 'b' ? SH_BREAK : SH_CONTINUE;
    return 0;
}

static int do_export(struct sh *s, int argc, char **argv)
{
    bool fixed = argv[0][0] == 'r', list = argc == 1 || strcmp(argv[1], "-p") == 0;
    size_t at = 0;
    const char *key;
    void *value;

    while (list && map_next(s->vars, &at, &key, &value)) {
        struct sh_var *v = value;

        if (fixed ? v->fixed : v->exported)
            printf("%s %s='%s'\n", argv[0], key, v->value ? v->value : "");
    }
    for (int i = 1; i < argc && !list; i++) {
        char *eq = strchr(argv[i], '=');
        char *name = eq ? mem_strndup(argv[i], (size_t)(eq - argv[i])) : mem_strdup(argv[i]);
        bool ok = box_sh_is_name(name, strlen(name));
        struct sh_var *v;

        if (!ok) {
            box_sh_error(s, "%s: %s: bad variable name", argv[0], name);
            mem_free(name);
            return 1;
        }
        if (eq)
            box_sh_set(s, name, eq + 1);
        if (!fixed)
            box_sh_export(s, name);
        v = map_get(s->vars, name);
        if (fixed && v)
            v->fixed = true;
        mem_free(name);
    }
    return 0;
}

static int do_unset(struct sh *s, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "-v") == 0 || strcmp(argv[i], "-f") == 0)
            continue;
        box_sh_unset(s, argv[i]);
        mem_free(map_del(s->funcs, argv[i]));
    }
    return 0;
}

static bool set_flag(struct sh *s, char flag, bool on)
{
    switch (flag) {
    case 'e': s->exit_on_error = on; return true;
    case 'x': s->trace = on; return true;
    case 'u': s->unset_error = on; return true;
    case 'f': s->no_glob = on; return true;
    case 'n': s->no_exec = on; return true;
    default: return strchr("amhbCv", flag) != NULL;
    }
}

static int do_set(struct sh *s, int argc, char **argv)
{
    size_t at = 0;
    const char *key;
    void *value;
    int i = 1;

    while (argc == 1 && map_next(s->vars, &at, &key, &value))
        printf("%s='%s'\n", key,
               ((struct sh_var *)value)->value ? ((struct sh_var *)value)->value : "");
    for (; i < argc && (argv[i][0] == '-' || argv[i][0] == '+') && argv[i][1]; i++) {
        if (strcmp(argv[i], "--") == 0)
            break;
        if (argv[i][1] == 'o') {             /* -o pipefail and its like: no such here */
            i++;
            continue;
        }
        for (const char *p = argv[i] + 1; *p; p++)
            if (!set_flag(s, *p, argv[i][0] == '-')) {
                box_sh_error(s, "set: bad option %s", argv[i]);
                return 2;
            }
    }
    if (i < argc) {
        bool dashes = strcmp(argv[i], "--") == 0;
        size_t n = (size_t)(argc - i - dashes);
        char **args = mem_alloc_array(n + 1, sizeof(char *));

        for (size_t k = 0; k < n; k++)
            args[k] = mem_strdup(argv[i + dashes + (int)k]);
        /* the former belong to the caller or to an earlier set */
        s->args = args;
        s->n_args = n;
    }
    return 0;
}

static int do_shift(struct sh *s, int argc, char **argv)
{
    size_t n = (size_t)number(argc > 1 ? argv[1] : NULL, 1);

    if (n > s->n_args)
        return 1;
    s->args += n;
    s->n_args -= n;
    return 0;
}

static int do_eval(struct sh *s, int argc, char **argv)
{
    _cleanup_buf_ struct buf text = BUF_INIT;

    for (int i = 1; i < argc; i++)
        buf_fmt(&text, "%s%s", i > 1 ? " " : "", argv[i]);
    return box_sh_eval(s, (struct slice){ text.p ? text.p : "", text.len });
}

static int do_source(struct sh *s, int argc, char **argv)
{
    _cleanup_buf_ struct buf text = BUF_INIT;
    struct err err = ERR_INIT;
    int status;

    if (argc < 2 || s->depth >= SH_DEPTH_MAX ||
        fd_read_file(&text, AT_FDCWD, argv[1], SH_TEXT_BYTES_MAX, &err) < 0) {
        box_sh_error(s, ".: %s", argc < 2 ? "no file" : err.msg);
        return 1;
    }
    s->depth++;
    status = box_sh_eval(s, (struct slice){ text.p ? text.p : "", text.len });
    s->depth--;
    if (s->flow == SH_RETURN)
        s->flow = SH_GO;
    return status;
}

static int do_exec(struct sh *s, int argc, char **argv)
{
    struct sh_node empty = { .kind = SH_CMD };
    const char *words[256];

    if (argc == 1)
        return 0;                            /* its redirections stay */
    empty.words = words;
    for (int i = 1; i < argc && empty.n < ARRAY_LEN(words); i++) {
        struct buf quoted = BUF_INIT;        /* kept: the process is about to be another */

        buf_chr(&quoted, '\'');
        for (const char *p = argv[i]; *p; p++)
            if (*p == '\'')
                buf_str(&quoted, "'\\''");
            else
                buf_chr(&quoted, *p);
        buf_chr(&quoted, '\'');
        words[empty.n++] = quoted.p;
    }
    s->last = true;
    box_sh_run(s, &empty);                   /* returns only from what runs without exec */
    s->flow = SH_EXIT;
    return s->status;
}

/* One line, byte by byte: what follows belongs to others. */
static bool read_line(struct buf *line, bool raw)
{
    char c;
    ssize_t n;

    buf_str(line, "");
    while ((n = read(0, &c, 1)) > 0 || (n < 0 && errno == EINTR)) {
        if (n < 0)
            continue;
        if (c == '\n')
            return true;
        if (c == '\\' && !raw) {
            if (read(0, &c, 1) != 1)
                return false;
            if (c == '\n')
                continue;
        }
        if (line->len < SH_TEXT_BYTES_MAX)
            buf_chr(line, c);
    }
    return false;
}

static int do_read(struct sh *s, int argc, char **argv)
{
    struct box_opts o = { .argc = argc, .argv = argv, .letters = "rp:" };
    const char *ifs = box_sh_get(s, "IFS"), *p;
    _cleanup_buf_ struct buf line = BUF_INIT;
    bool raw = false, whole;
    int c;

    while ((c = box_opt(&o)) != -1) {
        raw = raw || c == 'r';
        if (c == 'p')
            fprintf(stderr, "%s", o.value);
        if (c == '?')
            return box_usage(argv, "bad option");
    }
    whole = read_line(&line, raw);
    ifs = ifs ? ifs : " \t\n";
    p = line.p ? line.p : "";
    for (int i = o.at; i < argc; i++) {
        size_t len;
        char *value;

        p += strspn(p, ifs);
        len = i == argc - 1 ? strlen(p) : strcspn(p, ifs);
        while (i == argc - 1 && len && strchr(ifs, p[len - 1]))
            len--;
        value = mem_strndup(p, len);
        box_sh_set(s, argv[i], value);
        mem_free(value);
        p += len;
        if (*p && i < argc - 1)
            p++;
    }
    if (o.at == argc)
        box_sh_set(s, "REPLY", p);
    return whole ? 0 : 1;
}

static int do_wait(struct sh *s, int argc, char **argv)
{
    int status = 0;

    (void)s;
    if (argc == 1)
        while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
            ;
    for (int i = 1; i < argc; i++)
        status = box_sh_wait((pid_t)number(argv[i], -1));
    return status;
}

static int signal_number(const char *name)
{
    static const struct { const char *name; int number; } all[] = {
        { "EXIT", 0 },       { "HUP", SIGHUP },   { "INT", SIGINT },
        { "QUIT", SIGQUIT }, { "TERM", SIGTERM }, { "USR1", SIGUSR1 },
        { "USR2", SIGUSR2 }, { "PIPE", SIGPIPE }, { "ALRM", SIGALRM },
    };

    if (str_starts(name, "SIG"))
        name += 3;
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        if (strcmp(all[i].name, name) == 0)
            return all[i].number;
    return (int)number(name, -1);
}

static int do_trap(struct sh *s, int argc, char **argv)
{
    bool reset = argc > 1 && strcmp(argv[1], "-") == 0;

    for (int i = 2; i < argc; i++) {
        int sig = signal_number(argv[i]);

        if (sig < 0 || sig >= NSIG || sig == SIGKILL || sig == SIGSTOP) {
            box_sh_error(s, "trap: %s: bad signal", argv[i]);
            return 1;
        }
        mem_free(s->traps[sig]);
        s->traps[sig] = reset ? NULL : mem_strdup(argv[1]);
        if (sig)
            box_sh_trap_signal(sig, reset ? 0 : *argv[1] ? 2 : 1);
    }
    return 0;
}

static int do_umask(struct sh *s, int argc, char **argv)
{
    mode_t old;

    (void)s;
    if (argc > 1) {
        umask((mode_t)strtol(argv[1], NULL, 8) & 0777);
        return 0;
    }
    old = umask(0);
    umask(old);
    printf("%04o\n", old);
    return 0;
}

static int do_type(struct sh *s, int argc, char **argv)
{
    int status = 0;

    for (int i = 1; i < argc; i++) {
        bool command = strcmp(argv[i], "-v") == 0;
        struct stat st;

        if (command)
            continue;
        if (map_get(s->funcs, argv[i]) || box_sh_builtin(argv[i]) || box_find(argv[i]) ||
            (strchr(argv[i], '/') && stat(argv[i], &st) == 0))
            printf(argv[0][0] == 't' ? "%s is known here\n" : "%s\n", argv[i]);
        else
            status = 127;
    }
    return status;
}

/* command NAME ...: without functions; command -v NAME */
static int do_command(struct sh *s, int argc, char **argv)
{
    const struct sh_builtin *b;

    if (argc > 1 && (strcmp(argv[1], "-v") == 0 || strcmp(argv[1], "-V") == 0))
        return do_type(s, argc, argv);
    if (argc == 1)
        return 0;
    b = box_sh_builtin(argv[1]);
    if (b)
        return b->run(s, argc - 1, argv + 1);
    {
        pid_t pid = fork();

        if (pid == 0)
            box_sh_exit(s, do_exec(s, argc, argv));
        return pid < 0 ? 1 : box_sh_wait(pid);
    }
}

static int do_local(struct sh *s, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {         /* scopes are not kept apart */
        char *eq = strchr(argv[i], '=');
        char *name = eq ? mem_strndup(argv[i], (size_t)(eq - argv[i])) : mem_strdup(argv[i]);

        box_sh_set(s, name, eq ? eq + 1 : "");
        mem_free(name);
    }
    return 0;
}

static int do_true(struct sh *s, int argc, char **argv)
{
    (void)s, (void)argc;
    return argv[0][0] == 'f';
}

#define IN_PROCESS(name, applet) \
    static int name(struct sh *s, int argc, char **argv) { (void)s; return applet(argc, argv); }

IN_PROCESS(do_echo, box_text_echo)
IN_PROCESS(do_printf, box_text_printf)
IN_PROCESS(do_test, box_text_test)
IN_PROCESS(do_pwd, box_sys_pwd)
IN_PROCESS(do_kill, box_sys_kill)

static const struct sh_builtin builtins[] = {
    { ".", do_source }, { ":", do_true }, { "[", do_test }, { "break", do_break }, { "cd", do_cd },
    { "command", do_command }, { "continue", do_break }, { "echo", do_echo }, { "eval", do_eval },
    { "exec", do_exec }, { "exit", do_exit }, { "export", do_export }, { "false", do_true },
    { "kill", do_kill }, { "local", do_local }, { "printf", do_printf }, { "pwd", do_pwd },
    { "read", do_read }, { "readonly", do_export }, { "return", do_return }, { "set", do_set },
    { "shift", do_shift }, { "source", do_source }, { "test", do_test }, { "trap", do_trap },
    { "true", do_true }, { "type", do_type }, { "umask", do_umask }, { "unset", do_unset },
    { "wait", do_wait },
};

const struct sh_builtin *box_sh_builtin(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(builtins); i++)
        if (strcmp(builtins[i].name, name) == 0)
            return &builtins[i];
    return NULL;
}
