/* box_sh_arith.c -- integers as in C: one function climbs over operators by their strength. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/box/box_sh.h"

struct arith { struct sh *s; const char *p; bool bad; int depth; };

static const struct { const char *text; int level; } ops[] = {
    { "||", 1 }, { "&&", 2 }, { "|", 3 }, { "^", 4 }, { "&", 5 }, { "==", 6 }, { "!=", 6 },
    { "<=", 7 }, { ">=", 7 }, { "<<", 8 }, { ">>", 8 }, { "<", 7 }, { ">", 7 }, { "+", 9 },
    { "-", 9 }, { "*", 10 }, { "/", 10 }, { "%", 10 },
};

static long long expression(struct arith *a, int level);
static long long assignment(struct arith *a);

static void blanks(struct arith *a)
{
    a->p += strspn(a->p, " \t\n");
}

static int find_op(const char *p)
{
    for (int i = 0; i < (int)ARRAY_LEN(ops); i++) {
        size_t len = strlen(ops[i].text);

        if (strncmp(p, ops[i].text, len) == 0 &&
            !(p[len] == '=' && ops[i].level != 6 && len == 1 && p[0] != '<' && p[0] != '>'))
            return i;
    }
    return -1;
}

static long long apply(struct arith *a, const char *op, long long x, long long y)
{
    unsigned long long ux = (unsigned long long)x, uy = (unsigned long long)y;

    switch (op[0]) {
    case '|': return op[1] ? x || y : x | y;
    case '&': return op[1] ? x && y : x & y;
    case '^': return x ^ y;
    case '=': return x == y;
    case '!': return x != y;
    case '<': return op[1] == '<' ? (long long)(ux << (uy & 63)) : op[1] ? x <= y : x < y;
    case '>': return op[1] == '>' ? x >> (uy & 63) : op[1] ? x >= y : x > y;
    case '+': return (long long)(ux + uy);
    case '-': return (long long)(ux - uy);
    case '*': return (long long)(ux * uy);
    default:
        if (y == 0 || (y == -1 && op[0] == '/')) {
            a->bad = a->bad || y == 0;
            return y ? (long long)(0 - ux) : 0;
        }
        return op[0] == '/' ? x / y : y == -1 ? 0 : x % y;
    }
}

static long long variable(struct arith *a)
{
    size_t len = 0;
    char name[128];
    const char *value;

    while (isalnum((unsigned char)a->p[len]) || a->p[len] == '_')
        len++;
    if (len >= sizeof(name)) {
        a->bad = true;
        return 0;
    }
    memcpy(name, a->p, len);
    name[len] = '\0';
    a->p += len;
    value = box_sh_get(a->s, name);
    return value ? strtoll(value, NULL, 0) : 0;
}

static long long primary(struct arith *a)
{
    long long v;
    char c;
    char *end;

    blanks(a);
    c = *a->p;
    if (++a->depth > SH_DEPTH_MAX) {
        a->bad = true;
        return 0;
    }
    if (c == '(') {
        a->p++;
        v = assignment(a);
        blanks(a);
        a->bad = a->bad || *a->p != ')';
        a->p += *a->p == ')';
    } else if (c && strchr("-+!~", c)) {
        a->p++;
        v = primary(a);
        v = c == '-' ? (long long)(0 - (unsigned long long)v) : c == '!' ? !v : c == '~' ? ~v : v;
    } else if (isdigit((unsigned char)c)) {
        v = strtoll(a->p, &end, 0);
        a->p = end;
    } else if (isalpha((unsigned char)c) || c == '_') {
        v = variable(a);
    } else {
        a->bad = true;
        v = 0;
    }
    a->depth--;
    return v;
}

static long long expression(struct arith *a, int level)
{
    long long x = primary(a);

    while (!a->bad) {
        int op;
        long long y;

        blanks(a);
        op = find_op(a->p);
        if (op < 0 || ops[op].level < level)
            return x;
        a->p += strlen(ops[op].text);
        y = expression(a, ops[op].level + 1);
        x = apply(a, ops[op].text, x, y);
    }
    return x;
}

static long long ternary(struct arith *a)
{
    long long x = expression(a, 1), y, z;

    blanks(a);
    if (*a->p != '?' || a->bad)
        return x;
    a->p++;
    y = assignment(a);
    blanks(a);
    a->bad = a->bad || *a->p != ':';
    a->p += *a->p == ':';
    z = assignment(a);
    return x ? y : z;
}

/* name = ..., name += ... */
static long long assignment(struct arith *a)
{
    size_t len = 0;
    const char *op;
    char name[128], text[32], with[2] = "";
    long long v;

    blanks(a);
    if (!isalpha((unsigned char)*a->p) && *a->p != '_')
        return ternary(a);
    while (isalnum((unsigned char)a->p[len]) || a->p[len] == '_')
        len++;
    op = a->p + len + strspn(a->p + len, " \t");
    if (strchr("+-*/%", *op) && *op && op[1] == '=')
        with[0] = *op++;
    if (*op != '=' || op[1] == '=' || len >= sizeof(name))
        return ternary(a);
    memcpy(name, a->p, len);
    name[len] = '\0';
    a->p = op + 1;
    v = assignment(a);
    if (with[0]) {
        const char *old = box_sh_get(a->s, name);

        v = apply(a, with, old ? strtoll(old, NULL, 0) : 0, v);
    }
    snprintf(text, sizeof(text), "%lld", v);
    if (!a->bad)
        box_sh_set(a->s, name, text);
    return v;
}

int box_sh_arith(struct sh *s, const char *text, long long *out)
{
    struct arith a = { .s = s, .p = text };

    blanks(&a);
    *out = *a.p ? assignment(&a) : 0;
    blanks(&a);
    if (a.bad || *a.p) {
        box_sh_error(s, "arithmetic: bad expression \"%s\"", text);
        return -1;
    }
    return 0;
}
