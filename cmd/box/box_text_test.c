/* box_text_test.c -- test and [: expressions with ! -a -o ( ), on files, texts and numbers. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/box/box.h"
#include "cmd/box/box_run.h"

struct test_args { char **v; int n, at; bool bad; };

static bool test_or(struct test_args *t);

static const char *peek(const struct test_args *t, int ahead)
{
    return t->at + ahead < t->n ? t->v[t->at + ahead] : NULL;
}

static bool test_file(char what, const char *path)
{
    struct stat st;

    if (what == 't')
        return isatty((int)strtol(path, NULL, 10));
    if (what == 'h' || what == 'L')
        return lstat(path, &st) == 0 && S_ISLNK(st.st_mode);
    if (strchr("rwx", what))
        return access(path, what == 'r' ? R_OK : what == 'w' ? W_OK : X_OK) == 0;
    if (stat(path, &st) < 0)
        return false;
    switch (what) {
    case 'f': return S_ISREG(st.st_mode);
    case 'd': return S_ISDIR(st.st_mode);
    case 'b': return S_ISBLK(st.st_mode);
    case 'c': return S_ISCHR(st.st_mode);
    case 'p': return S_ISFIFO(st.st_mode);
    case 'S': return S_ISSOCK(st.st_mode);
    case 's': return st.st_size > 0;
    default: return true;
    }
}

static bool number(struct test_args *t, const char *text, long long *out)
{
    char *end;

    *out = strtoll(text, &end, 10);
    if (end == text || *end)
        t->bad = true;
    return !t->bad;
}

static bool is_binary(const char *op)
{
    static const char *const ops[] = { "=", "==", "!=", "<", ">", "-eq", "-ne", "-lt", "-le", "-gt",
                                       "-ge", "-nt", "-ot" };

    for (size_t i = 0; op && i < sizeof(ops) / sizeof(ops[0]); i++)
        if (strcmp(op, ops[i]) == 0)
            return true;
    return false;
}

static bool test_binary(struct test_args *t, const char *a, const char *op, const char *b)
{
    struct stat sa = { 0 }, sb = { 0 };
    long long x, y;

    if (op[0] != '-') {
        int order = strcmp(a, b);

        return op[0] == '!'   ? order != 0
               : op[0] == '<' ? order < 0
               : op[0] == '>' ? order > 0
                              : order == 0;
    }
    if (strcmp(op, "-nt") == 0 || strcmp(op, "-ot") == 0) {
        stat(a, &sa);
        stat(b, &sb);
        return op[1] == 'n' ? sa.st_mtime > sb.st_mtime : sa.st_mtime < sb.st_mtime;
    }
    if (!number(t, a, &x) || !number(t, b, &y))
        return false;
    switch (op[1] << 8 | op[2]) {
    case 'e' << 8 | 'q': return x == y;
    case 'n' << 8 | 'e': return x != y;
    case 'l' << 8 | 't': return x < y;
    case 'l' << 8 | 'e': return x <= y;
    case 'g' << 8 | 't': return x > y;
    default: return x >= y;
    }
}

static bool test_primary(struct test_args *t)
{
    const char *a = peek(t, 0), *op = peek(t, 1), *b = peek(t, 2);
    bool result;

    if (!a)
        return t->bad = true, false;
    if (b && is_binary(op)) {
        t->at += 3;
        return test_binary(t, a, op, b);
    }
    if (strcmp(a, "!") == 0 && op) {
        t->at++;
        return !test_primary(t);
    }
    if (strcmp(a, "(") == 0 && op) {
        t->at++;
        result = test_or(t);
        t->bad = t->bad || !peek(t, 0) || strcmp(peek(t, 0), ")") != 0;
        t->at++;
        return result;
    }
    if (a[0] == '-' && a[1] && !a[2] && strchr("bcdefhLnprsStuwxz", a[1]) && op) {
        t->at += 2;
        return a[1] == 'n' ? *op != '\0' : a[1] == 'z' ? *op == '\0' : test_file(a[1], op);
    }
    t->at++;
    return *a != '\0';
}

static bool test_and(struct test_args *t)
{
    bool result = test_primary(t);

    while (!t->bad && peek(t, 0) && strcmp(peek(t, 0), "-a") == 0) {
        t->at++;
        result = test_primary(t) && result;
    }
    return result;
}

static bool test_or(struct test_args *t)
{
    bool result = test_and(t);

    while (!t->bad && peek(t, 0) && strcmp(peek(t, 0), "-o") == 0) {
        t->at++;
        result = test_and(t) || result;
    }
    return result;
}

int box_text_test(int argc, char **argv)
{
    struct test_args t = { .v = argv + 1, .n = argc - 1 };
    bool result;

    if (strcmp(argv[0], "[") == 0) {
        if (argc < 2 || strcmp(argv[argc - 1], "]") != 0)
            return box_usage(argv, "missing ]");
        t.n--;
    }
    if (t.n == 0)
        return 1;
    result = test_or(&t);
    if (t.bad || t.at != t.n)
        return box_usage(argv, "bad expression");
    return result ? 0 : 1;
}
