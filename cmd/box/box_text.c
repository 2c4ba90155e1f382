/* box_text.c -- applets on text. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cmd/box/box.h"
#include "cmd/box/box_run.h"
#include "core/base/cleanup.h"
#include "core/base/fd.h"
#include "core/base/mem.h"
#include "core/base/str.h"

#define CHUNK 65536

int box_text_true(int argc, char **argv)
{
    (void)argc, (void)argv;
    return 0;
}

int box_text_false(int argc, char **argv)
{
    (void)argc, (void)argv;
    return 1;
}

/* Runs each over the files, "-" or none: standard input. */
static int each_file(int argc, char **argv, int at,
                     int (*each)(void *ctx, int fd, const char *name), void *ctx)
{
    int status = 0;

    if (at >= argc)
        return each(ctx, 0, NULL);
    for (; at < argc; at++) {
        bool is_stdin = strcmp(argv[at], "-") == 0;
        int fd = is_stdin ? 0 : open(argv[at], O_RDONLY | O_CLOEXEC);

        if (fd < 0 || each(ctx, fd, argv[at]) != 0)
            status = fd < 0 ? box_fail(argv, "%s", argv[at]) : 1;
        if (fd > 0)
            close(fd);
    }
    return status;
}

static int cat_file(void *ctx, int fd, const char *name)
{
    char chunk[CHUNK];
    ssize_t n;

    fflush(stdout);
    while ((n = read(fd, chunk, sizeof(chunk))) > 0)
        if (fd_write_all(1, chunk, (size_t)n, NULL) < 0)
            return box_fail(ctx, "write");
    return n < 0 ? box_fail(ctx, "%s", name ? name : "-") : 0;
}

int box_text_cat(int argc, char **argv)
{
    struct box_opts o = { .argc = argc, .argv = argv, .letters = "u" };
    int c;

    while ((c = box_opt(&o)) != -1)
        if (c == '?')
            return box_usage(argv, "bad option");
    return each_file(argc, argv, o.at, cat_file, argv);
}

/* One escape after a backslash; advances *p. False for \c: no more output. */
static bool put_escape(const char **p)
{
    static const char from[] = "abefnrtv\\", to[] = "\a\b\033\f\n\r\t\v\\";
    const char *found = **p ? strchr(from, **p) : NULL;
    int n = 0, digits = 0;

    if (found) {
        putchar(to[found - from]);
        (*p)++;
        return true;
    }
    if (**p == 'c')
        return false;
    if (**p == 'x' && isxdigit((unsigned char)(*p)[1])) {
        char text[3] = { (*p)[1], isxdigit((unsigned char)(*p)[2]) ? (*p)[2] : '\0', '\0' };

        putchar((int)strtol(text, NULL, 16));
        *p += 1 + strlen(text);
        return true;
    }
    for (; digits < 4 && **p >= '0' && **p <= '7'; digits++, (*p)++)
        n = n * 8 + (**p - '0');
    putchar(digits ? n : '\\');
    return true;
}

static bool put_escaped(const char *text)
{
    while (*text) {
        if (*text != '\\') {
            putchar(*text++);
            continue;
        }
        text++;
        if (!put_escape(&text))
            return false;
    }
    return true;
}

int box_text_echo(int argc, char **argv)
{
    bool line = true, escapes = false;
    int i = 1;

    for (; i < argc && argv[i][0] == '-' && argv[i][1] &&
           strspn(argv[i] + 1, "neE") == strlen(argv[i] + 1);
         i++) {
        line = line && !strchr(argv[i], 'n');
        escapes = escapes || strchr(argv[i], 'e');
    }
    for (int first = i; i < argc; i++) {
        if (i > first)
            putchar(' ');
        if (!escapes)
            fputs(argv[i], stdout);
        else if (!put_escaped(argv[i]))
            return 0;
    }
    if (line)
        putchar('\n');
    return 0;
}

/* One conversion "%-5s"; returns what follows it. */
static const char *printf_one(const char *format, const char *arg, bool *stop)
{
    char spec[40];
    size_t len = 1 + strspn(format + 1, "-+ #0123456789.");
    char kind = format[len];

    if (len + 4 > sizeof(spec) || !kind)
        return putchar('%'), format + 1;
    memcpy(spec, format, len);
    spec[len] = '\0';
    switch (kind) {
    case '%': putchar('%'); break;
    case 's': spec[len] = 's'; spec[len + 1] = '\0'; printf(spec, arg ? arg : ""); break;
    case 'b': *stop = !put_escaped(arg ? arg : ""); break;
    case 'c': putchar(arg ? arg[0] : '\0'); break;
    case 'd': case 'i': case 'u': case 'x': case 'X': case 'o':
        spec[len] = 'l', spec[len + 1] = 'l', spec[len + 2] = kind, spec[len + 3] = '\0';
        printf(spec, arg && arg[0] == '\'' ? (long long)(unsigned char)arg[1]
                                           : strtoll(arg ? arg : "0", NULL, 0));
        break;
    case 'f': case 'g': case 'e':
        spec[len] = kind, spec[len + 1] = '\0';
        printf(spec, strtod(arg ? arg : "0", NULL));
        break;
    default: putchar('%'); return format + 1;
    }
    return format + len + 1;
}

int box_text_printf(int argc, char **argv)
{
    int at = 2;
    bool stop = false;

    if (argc < 2)
        return box_usage(argv, "no format");
    do {
        int before = at;

        for (const char *p = argv[1]; *p && !stop;) {
            if (*p == '\\') {
                p++;
                stop = !put_escape(&p);
            } else if (*p == '%') {
                bool takes = p[1] != '%';

                p = printf_one(p, takes && at < argc ? argv[at] : NULL, &stop);
                at += takes;
            } else {
                putchar(*p++);
            }
        }
        if (at == before)
            break;
    } while (at < argc && !stop);
    return 0;
}

/* --- head, tail, wc, grep, seq */

struct part { char **argv; long long n; bool bytes, from, quiet, follow, many; int shown; };

static void part_title(struct part *p, const char *name)
{
    if (p->many && name)
        printf("%s==> %s <==\n", p->shown++ ? "\n" : "", name);
}

static int head_file(void *ctx, int fd, const char *name)
{
    struct part *p = ctx;
    FILE *f = fdopen(dup(fd), "r");
    long long left = p->n;
    int c;

    if (!f)
        return box_fail(p->argv, "%s", name);
    part_title(p, name);
    while (left > 0 && (c = getc(f)) != EOF) {
        putchar(c);
        left -= p->bytes || c == '\n';
    }
    fclose(f);
    return 0;
}

static int part_opts(struct part *p, struct box_opts *o)
{
    int c;

    p->n = 10;
    if (o->argc > 1 && o->argv[1][0] == '-' && isdigit((unsigned char)o->argv[1][1])) {
        p->n = strtoll(o->argv[1] + 1, NULL, 10);
        o->at = 2;
    }
    while ((c = box_opt(o)) != -1) {
        if (c == '?')
            return box_usage(o->argv, "bad option");
        p->quiet = p->quiet || c == 'q';
        p->follow = p->follow || c == 'f';
        p->bytes = c == 'c' || (p->bytes && c != 'n');
        p->from = o->value && o->value[0] == '+';
        if (o->value)
            p->n = strtoll(o->value[0] == '+' ? o->value + 1 : o->value, NULL, 10);
    }
    p->many = o->argc - o->at > 1 && !p->quiet;
    return p->n < 0 ? box_usage(o->argv, "bad number") : 0;
}

int box_text_head(int argc, char **argv)
{
    struct box_opts o = { .argc = argc, .argv = argv, .letters = "n:c:q" };
    struct part p = { .argv = argv };
    int bad = part_opts(&p, &o);

    return bad ? bad : each_file(argc, argv, o.at, head_file, &p);
}

/* "+N": all from the Nth line or byte on. */
static int tail_from(struct part *p, int fd)
{
    char chunk[CHUNK];
    long long at = 1;
    ssize_t n, skip;

    while ((n = read(fd, chunk, sizeof(chunk))) > 0) {
        for (skip = 0; skip < n && at < p->n; skip++)
            at += p->bytes || chunk[skip] == '\n';
        fwrite(chunk + skip, 1, (size_t)(n - skip), stdout);
    }
    return n < 0;
}

static int tail_file(void *ctx, int fd, const char *name)
{
    struct part *p = ctx;
    _cleanup_buf_ struct buf all = BUF_INIT;
    char chunk[CHUNK];
    long long units = 0;
    size_t from;
    ssize_t n;

    part_title(p, name);
    if (p->from)
        return tail_from(p, fd);
    while ((n = read(fd, chunk, sizeof(chunk))) > 0) {
        buf_add(&all, chunk, (size_t)n);
        if (p->bytes && (long long)all.len > p->n)
            buf_eat(&all, all.len - (size_t)p->n);
    }
    for (from = all.len; from > 0; from--) {
        units += p->bytes || (all.p[from - 1] == '\n' && from < all.len);
        if (!p->bytes && units == p->n)
            break;
        if (p->bytes && units > p->n)
            break;
    }
    if (p->n > 0)
        fwrite(all.p ? all.p + from : "", 1, all.len - from, stdout);
    while (p->follow) {
        fflush(stdout);
        n = read(fd, chunk, sizeof(chunk));
        if (n > 0)
            fwrite(chunk, 1, (size_t)n, stdout);
        else
            nanosleep(&(struct timespec){ .tv_nsec = 200000000 }, NULL);
    }
    return 0;
}

int box_text_tail(int argc, char **argv)
{
    struct box_opts o = { .argc = argc, .argv = argv, .letters = "n:c:qfF" };
    struct part p = { .argv = argv };
    int bad = part_opts(&p, &o);

    if (p.follow)
        box_die_on_signals();
    return bad ? bad : each_file(argc, argv, o.at, tail_file, &p);
}

struct count { bool lines, words, bytes; };

static int wc_file(void *ctx, int fd, const char *name)
{
    const struct count *k = ctx;
    long long lines = 0, words = 0, bytes = 0;
    char chunk[CHUNK];
    bool in_word = false;
    ssize_t n;

    while ((n = read(fd, chunk, sizeof(chunk))) > 0)
        for (ssize_t i = 0; i < n; i++) {
            bool space = isspace((unsigned char)chunk[i]);

            bytes++;
            lines += chunk[i] == '\n';
            words += !space && !in_word;
            in_word = !space;
        }
    long long all[3] = { lines, words, bytes };
    bool want[3] = { k->lines, k->words, k->bytes }, one = k->lines + k->words + k->bytes == 1;

    for (int i = 0, shown = 0; i < 3; i++)
        if (want[i])
            printf(one ? "%lld" : shown++ ? " %7lld" : "%7lld", all[i]);
    printf("%s%s\n", name ? " " : "", name ? name : "");
    return n < 0;
}

int box_text_wc(int argc, char **argv)
{
    struct box_opts o = { .argc = argc, .argv = argv, .letters = "lwc" };
    struct count k = { false, false, false };
    int c;

    while ((c = box_opt(&o)) != -1) {
        k.lines = k.lines || c == 'l';
        k.words = k.words || c == 'w';
        k.bytes = k.bytes || c == 'c';
        if (c == '?')
            return box_usage(argv, "bad option");
    }
    if (!k.lines && !k.words && !k.bytes)
        k = (struct count){ true, true, true };
    return each_file(argc, argv, o.at, wc_file, &k);
}

struct grep { regex_t re; bool invert, count, number, quiet, many, list; long long found; };

static int grep_file(void *ctx, int fd, const char *name)
{
    struct grep *g = ctx;
    FILE *f = fdopen(dup(fd), "r");
    long long line_no = 0, here = 0;
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;

    while (f && (n = getline(&line, &cap, f)) > 0) {
        line_no++;
        if (line[n - 1] == '\n')
            line[n - 1] = '\0';
        if ((regexec(&g->re, line, 0, NULL, 0) == 0) == g->invert)
            continue;
        here++;
        if (g->quiet || g->count || g->list)
            continue;
        if (g->many)
            printf("%s:", name ? name : "-");
        if (g->number)
            printf("%lld:", line_no);
        puts(line);
    }
    if (g->count)
        printf(g->many ? "%s:%lld\n" : "%.0s%lld\n", name ? name : "-", here);
    if (g->list && here)
        puts(name ? name : "(standard input)");
    g->found += here;
    free(line);
    if (f)
        fclose(f);
    return 0;
}

int box_text_grep(int argc, char **argv)
{
    struct box_opts o = { .argc = argc, .argv = argv, .letters = "ivcnqElFhe:" };
    struct grep g = { .found = 0 };
    const char *pattern = NULL;
    int flags = REG_NOSUB, c, status;

    while ((c = box_opt(&o)) != -1) {
        flags |= c == 'i' ? REG_ICASE : c == 'E' ? REG_EXTENDED : 0;
        g.invert = g.invert || c == 'v';
        g.count = g.count || c == 'c';
        g.number = g.number || c == 'n';
        g.quiet = g.quiet || c == 'q';
        g.list = g.list || c == 'l';
        pattern = c == 'e' ? o.value : pattern;
        if (c == '?')
            return box_usage(argv, "bad option");
    }
    if (!pattern)
        pattern = o.at < argc ? argv[o.at++] : NULL;
    if (!pattern)
        return box_usage(argv, "no pattern");
    if (regcomp(&g.re, pattern, flags) != 0)
        return box_usage(argv, "bad pattern \"%s\"", pattern);
    g.many = argc - o.at > 1;
    status = each_file(argc, argv, o.at, grep_file, &g);
    regfree(&g.re);
    return status ? 2 : g.found ? 0 : 1;
}

int box_text_seq(int argc, char **argv)
{
    long long first = 1, step = 1, last;

    if (argc < 2 || argc > 4)
        return box_usage(argv, "one to three numbers");
    last = strtoll(argv[argc - 1], NULL, 10);
    if (argc > 2)
        first = strtoll(argv[1], NULL, 10);
    if (argc > 3)
        step = strtoll(argv[2], NULL, 10);
    if (step == 0)
        return box_usage(argv, "step is zero");
    for (long long i = first; step > 0 ? i <= last : i >= last; i += step)
        printf("%lld\n", i);
    return 0;
}
