/* box.c -- the table of applets, and what they share. */
#include "cmd/box/box.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/box/box_run.h"
#include "core/base/cleanup.h"
#include "core/base/mem.h"

const struct box_applet box_applets[] = {
    { "[", box_text_test, "EXPRESSION ]" },
    { "cat", box_text_cat, "[FILE...]" },
    { "date", box_sys_date, "[-u] [+FORMAT]" },
    { "dig", box_dig, "NAME [TYPE] [@SERVER] [+short]" },
    { "echo", box_text_echo, "[-ne] [TEXT...]" },
    { "env", box_sys_env, "[NAME=VALUE...] [COMMAND...]" },
    { "false", box_text_false, "" },
    { "fetch", box_fetch, "[--timeout T] [-i] [-X METHOD] [-d DATA] [-H HEADER] URL" },
    { "grep", box_text_grep, "[-ivcnqE] PATTERN [FILE...]" },
    { "head", box_text_head, "[-n LINES] [-c BYTES] [FILE...]" },
    { "hostname", box_sys_hostname, "" },
    { "http", box_http, "[--port N] [--delay MS] [--text TEXT]" },
    { "id", box_sys_id, "[-ugn]" },
    { "kill", box_sys_kill, "[-SIGNAL] PID..." },
    { "ls", box_files_ls, "[-la1] [PATH...]" },
    { "mkdir", box_files_mkdir, "[-p] [-m MODE] DIR..." },
    { "nc", box_nc, "[-l] [-w SECONDS] [-z] [HOST] PORT" },
    { "printf", box_text_printf, "FORMAT [ARGUMENT...]" },
    { "ps", box_sys_ps, "" },
    { "pwd", box_sys_pwd, "" },
    { "rm", box_files_rm, "[-rf] PATH..." },
    { "seq", box_text_seq, "[FIRST [STEP]] LAST" },
    { "sh", box_sh, "[-ex] [-c TEXT | FILE] [ARGUMENT...]" },
    { "sleep", box_sys_sleep, "DURATION|infinity" },
    { "stat", box_files_stat, "[-c FORMAT] PATH..." },
    { "tail", box_text_tail, "[-n LINES] [-f] [FILE...]" },
    { "tar", box_tar, "c|x|t[f FILE] [-C DIR] [PATH...]" },
    { "test", box_text_test, "EXPRESSION" },
    { "touch", box_files_touch, "FILE..." },
    { "true", box_text_true, "" },
    { "wc", box_text_wc, "[-lwc] [FILE...]" },
    { NULL, NULL, NULL },
};

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

const struct box_applet *box_find(const char *name)
{
    for (const struct box_applet *a = box_applets; a->name; a++)
        if (strcmp(a->name, name) == 0)
            return a;
    return NULL;
}

bool box_is_called(const char *argv0)
{
    const char *name = base_name(argv0);

    if (*name == '-')                    /* a login shell */
        name++;
    return strcmp(name, BOX_EXE) == 0 || box_find(name);
}

const char **box_names(void)
{
    const char **names = mem_alloc_array(ARRAY_LEN(box_applets), sizeof(*names));

    for (size_t i = 0; box_applets[i].name; i++)
        names[i] = box_applets[i].name;
    return names;
}

int box_main(int argc, char **argv)
{
    const char *name = argc > 0 ? base_name(argv[0]) : BOX_EXE;
    const struct box_applet *a;
    int status;

    if (*name == '-')
        name++;
    a = box_find(name);
    if (!a && argc > 1) {
        argc--;
        argv++;
        a = box_find(argv[0]);
    }
    if (!a) {
        fprintf(stderr, "the programs of this image:\n");
        for (a = box_applets; a->name; a++)
            fprintf(stderr, "  %s %s\n", a->name, a->use);
        return 2;
    }
    status = a->run(argc, argv);
    if (fflush(stdout) != 0 && status == 0)
        status = box_fail(argv, "write");
    return status;
}

int box_fail(char **argv, const char *format, ...)
{
    int code = errno;
    va_list args;

    fflush(stdout);
    fprintf(stderr, "%s: ", argv[0]);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, ": %s\n", strerror(code));
    return 1;
}

int box_usage(char **argv, const char *format, ...)
{
    const struct box_applet *a = box_find(base_name(argv[0]));
    va_list args;

    fflush(stdout);
    fprintf(stderr, "%s: ", argv[0]);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, "\nusage: %s %s\n", argv[0], a ? a->use : "");
    return 2;
}

static int opt_long(struct box_opts *o, const char *name)
{
    for (int i = 0; o->longs && o->longs[i]; i++) {
        size_t len = strcspn(o->longs[i], ":");
        bool wants = o->longs[i][len] == ':';

        if (strncmp(name, o->longs[i], len) != 0 || (name[len] && name[len] != '='))
            continue;
        o->value = name[len] ? name + len + 1 : NULL;
        if (!wants)
            return o->value ? '?' : 256 + i;
        if (!o->value)
            o->value = o->at < o->argc ? o->argv[o->at++] : NULL;
        return o->value ? 256 + i : '?';
    }
    return '?';
}

int box_opt(struct box_opts *o)
{
    const char *arg, *found;
    char letter;

    o->value = NULL;
    if (o->at == 0)
        o->at = 1;
    if (!o->rest || !*o->rest) {
        arg = o->at < o->argc ? o->argv[o->at] : NULL;
        o->rest = NULL;
        if (!arg || arg[0] != '-' || !arg[1])
            return -1;
        o->at++;
        if (strcmp(arg, "--") == 0)
            return -1;
        if (arg[1] == '-')
            return opt_long(o, arg + 2);
        o->rest = arg + 1;
    }
    letter = *o->rest++;
    found = o->letters && letter != ':' ? strchr(o->letters, letter) : NULL;
    if (!found)
        return '?';
    if (found[1] == ':') {
        o->value = *o->rest ? o->rest : o->at < o->argc ? o->argv[o->at++] : NULL;
        o->rest = NULL;
        if (!o->value)
            return '?';
    }
    return (unsigned char)letter;
}

long long box_duration_ms(const char *text, long long unit_ms)
{
    static const struct { const char *name; double ms; } units[] = {
        { "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 }, { "d", 86400000 },
    };
    double sum = 0;

    if (!*text)
        return -1;
    while (*text) {
        char *end;
        double n = strtod(text, &end), ms = (double)unit_ms;
        size_t len = strcspn(end, "0123456789.");

        if (end == text || n < 0 || n > 1e9)
            return -1;
        for (size_t i = 0; len && i < ARRAY_LEN(units); i++)
            if (strlen(units[i].name) == len && strncmp(end, units[i].name, len) == 0) {
                ms = units[i].ms;
                len = 0;
                end += strlen(units[i].name);
            }
        if (len)
            return -1;
        sum += n * ms;
        text = end;
    }
    return sum < 9e15 ? (long long)sum : -1;
}

static void on_signal(int sig)
{
    _exit(128 + sig);
}

void box_die_on_signals(void)
{
    struct sigaction sa = { .sa_handler = on_signal };

    /* Process 1 of a namespace is not ended by signals that it does not handle. */
    sigaction(SIGTERM, &sa, NULL);
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGHUP, &sa, NULL);
}
