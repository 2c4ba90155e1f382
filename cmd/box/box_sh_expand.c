/* box_sh_expand.c -- from a raw word to fields. Each letter of the result has a mark: where it came
 * from decides whether it may split a field or be part of a pattern. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/box/box_sh.h"

enum mark { QUOTED = 'q', LITERAL = 'l', EXPANDED = 'x', BREAK = 'b' };

struct out {
    struct sh *s;
    struct arena *a;
    struct buf text, mark;
    bool some;                           /* quotes make a field even when nothing is in them */
    bool bad;
    int depth;
};

static void expand(struct out *o, const char *raw, size_t len, bool quoted);

static void put(struct out *o, const char *p, size_t len, enum mark m)
{
    buf_add(&o->text, p, len);
    for (size_t i = 0; i < len; i++)
        buf_chr(&o->mark, (char)m);
}

static void out_deinit(struct out *o)
{
    buf_deinit(&o->text);
    buf_deinit(&o->mark);
}

/* --- finding ends in raw text (the parser has seen that they are there) */

static size_t piece_end(const char *p, size_t at, size_t len);

static size_t group_end(const char *p, size_t at, size_t len, char open, char close)
{
    int depth = 1;

    while (at < len && depth > 0) {
        size_t next = piece_end(p, at, len);

        if (next > at) {
            at = next;
            continue;
        }
        depth += p[at] == open ? 1 : p[at] == close ? -1 : 0;
        at++;
    }
    return at;
}

static size_t piece_end(const char *p, size_t at, size_t len)
{
    char c = p[at];

    if (c == '\\')
        return at + 2 < len ? at + 2 : len;
    if (c == '\'') {
        const char *end = memchr(p + at + 1, '\'', len - at - 1);

        return end ? (size_t)(end - p) + 1 : len;
    }
    if (c == '"' || c == '`') {
        for (at++; at < len && p[at] != c;) {
            size_t next = p[at] == '\'' || (c == '`' && p[at] != '\\') ? at : piece_end(p, at, len);

            at = next > at ? next : at + 1;
        }
        return at < len ? at + 1 : len;
    }
    if (c == '$' && at + 1 < len && (p[at + 1] == '(' || p[at + 1] == '{'))
        return group_end(p, at + 2, len, p[at + 1], p[at + 1] == '(' ? ')' : '}');
    return at;
}

/* --- parameters */

static void put_args(struct out *o, bool quoted, bool at)
{
    const char *ifs = box_sh_get(o->s, "IFS");
    char space = ifs ? *ifs : ' ';

    for (size_t i = 0; i < o->s->n_args; i++) {
        if (i && at)
            put(o, " ", 1, BREAK);
        else if (i && space)
            put(o, &space, 1, quoted ? QUOTED : EXPANDED);
        put(o, o->s->args[i], strlen(o->s->args[i]), quoted ? QUOTED : EXPANDED);
        o->some = o->some || quoted;
    }
}

/* The value of a name or special parameter; in text when made. */
static const char *value_of(struct sh *s, const char *name, char text[32])
{
    long long n;
    char *end;

    if (isdigit((unsigned char)name[0])) {
        n = strtoll(name, &end, 10);
        return n == 0 ? s->name : (size_t)n <= s->n_args ? s->args[n - 1] : NULL;
    }
    switch (name[1] ? 0 : name[0]) {
    case '?': n = s->status; break;
    case '$': n = getpid(); break;
    case '!': n = s->last_bg; break;
    case '#': n = (long long)s->n_args; break;
    case '-': return s->interactive ? "i" : "";
    default: return box_sh_get(s, name);
    }
    snprintf(text, 32, "%lld", n);
    return text;
}

static size_t name_len(const char *p, size_t len)
{
    size_t n = 0;

    if (len == 0)
        return 0;
    if (strchr("?$!#@*-", p[0]) || isdigit((unsigned char)p[0]))
        while (isdigit((unsigned char)p[0]) && n + 1 < len && isdigit((unsigned char)p[n + 1]))
            n++;
    else if (!isalpha((unsigned char)p[0]) && p[0] != '_')
        return 0;
    else
        while (n + 1 < len && (isalnum((unsigned char)p[n + 1]) || p[n + 1] == '_'))
            n++;
    return n + 1;
}

/* ${x%pattern} and its three brothers. */
static void put_trimmed(struct out *o, const char *value, const char *op, size_t op_len,
                        const char *pattern, bool quoted)
{
    size_t len = strlen(value), best = len + 1;
    bool longest = op_len == 2, suffix = op[0] == '%';
    char *copy = arena_strdup(o->a, value);

    for (size_t i = 0; i <= len; i++) {
        size_t cut = longest == suffix ? i : len - i;       /* the first that fits is the one */
        char kept;
        bool fits;

        if (suffix) {
            fits = fnmatch(pattern, value + cut, 0) == 0;
        } else {
            kept = copy[cut];
            copy[cut] = '\0';
            fits = fnmatch(pattern, copy, 0) == 0;
            copy[cut] = kept;
        }
        if (fits) {
            best = cut;
            break;
        }
    }
    if (best > len)
        put(o, value, len, quoted ? QUOTED : EXPANDED);
    else if (suffix)
        put(o, value, best, quoted ? QUOTED : EXPANDED);
    else
        put(o, value + best, len - best, quoted ? QUOTED : EXPANDED);
}

static void put_default(struct out *o, const char *name, const char *value, struct slice op,
                        struct slice word, bool quoted)
{
    char kind = op.p[op.len - 1];
    bool set = value && !(op.len == 2 && !*value);
    char *text;

    if (kind == '+') {
        if (set)
            expand(o, word.p, word.len, quoted);
        return;
    }
    if (set) {
        put(o, value, strlen(value), quoted ? QUOTED : EXPANDED);
        return;
    }
    if (kind == '-') {
        expand(o, word.p, word.len, quoted);
        return;
    }
    text = box_sh_text(o->s, o->a, arena_strndup(o->a, word.p, word.len), false);
    if (kind == '=' && text) {
        box_sh_set(o->s, name, text);
        put(o, text, strlen(text), quoted ? QUOTED : EXPANDED);
        return;
    }
    box_sh_error(o->s, "%s: %s", name, text && *text ? text : "parameter not set");
    o->bad = true;
}

/* What stands in ${...}. */
static void put_braced(struct out *o, const char *p, size_t len, bool quoted)
{
    bool length = len > 1 && p[0] == '#' && name_len(p + 1, len - 1) == len - 1;
    size_t n = name_len(p + length, len - length);
    char *name = arena_strndup(o->a, p + length, n), text[32];
    struct slice op = { p + length + n, 0 }, word;
    const char *value;

    if (n == 0) {
        box_sh_error(o->s, "${%.*s}: bad substitution", (int)len, p);
        o->bad = true;
        return;
    }
    value = value_of(o->s, name, text);
    if (length) {
        snprintf(text, sizeof(text), "%zu", value ? strlen(value) : 0);
        put(o, text, strlen(text), quoted ? QUOTED : EXPANDED);
        return;
    }
    if (n == len && (name[0] == '@' || name[0] == '*')) {
        put_args(o, quoted, name[0] == '@' || !quoted);
        return;
    }
    if (n < len)
        op.len = 1 + (n + 1 < len && (op.p[0] == ':' ||
                                      ((op.p[0] == '%' || op.p[0] == '#') && op.p[1] == op.p[0])));
    word = (struct slice){ op.p + op.len, len - n - op.len };
    if (op.len == 0) {
        if (!value && o->s->unset_error) {
            box_sh_error(o->s, "%s: parameter not set", name);
            o->bad = true;
        }
        put(o, value ? value : "", value ? strlen(value) : 0, quoted ? QUOTED : EXPANDED);
    } else if (op.p[0] == '%' || op.p[0] == '#') {
        char *pattern = box_sh_text(o->s, o->a, arena_strndup(o->a, word.p, word.len), true);

        put_trimmed(o, value ? value : "", op.p, op.len, pattern ? pattern : "", quoted);
    } else if (strchr("-=+?", op.p[op.len - 1])) {
        put_default(o, name, value, op, word, quoted);
    } else {
        box_sh_error(o->s, "${%.*s}: bad substitution", (int)len, p);
        o->bad = true;
    }
}

static void put_command(struct out *o, struct slice command, bool quoted)
{
    char *text = box_sh_capture(o->s, o->a, command);

    put(o, text, strlen(text), quoted ? QUOTED : EXPANDED);
}

static void put_arith(struct out *o, const char *p, size_t len, bool quoted)
{
    char *text = box_sh_heredoc(o->s, o->a, arena_strndup(o->a, p, len)), number[32];
    long long n;

    if (!text || box_sh_arith(o->s, text, &n) < 0) {
        o->bad = true;
        return;
    }
    snprintf(number, sizeof(number), "%lld", n);
    put(o, number, strlen(number), quoted ? QUOTED : EXPANDED);
}

/* What begins with a dollar sign at p; returns its length. */
static size_t put_dollar(struct out *o, const char *p, size_t len, bool quoted)
{
    size_t end = piece_end(p, 0, len), n;
    char *name, text[32];
    const char *value;

    if (end > 0 && p[1] == '{') {
        put_braced(o, p + 2, end - 3, quoted);
        return end;
    }
    if (end > 4 && p[2] == '(' && p[end - 2] == ')') {
        put_arith(o, p + 3, end - 5, quoted);
        return end;
    }
    if (end > 0) {
        put_command(o, (struct slice){ p + 2, end - 3 }, quoted);
        return end;
    }
    n = name_len(p + 1, len - 1);
    if (n > 1 && isdigit((unsigned char)p[1]))
        n = 1;                               /* $12 is $1 and a 2 */
    if (n == 0) {
        put(o, "$", 1, quoted ? QUOTED : LITERAL);
        return 1;
    }
    if (p[1] == '@' || p[1] == '*') {
        put_args(o, quoted, p[1] == '@' || !quoted);
        return 2;
    }
    name = arena_strndup(o->a, p + 1, n);
    value = value_of(o->s, name, text);
    if (!value && o->s->unset_error) {
        box_sh_error(o->s, "%s: parameter not set", name);
        o->bad = true;
    }
    put(o, value ? value : "", value ? strlen(value) : 0, quoted ? QUOTED : EXPANDED);
    return n + 1;
}

static size_t put_backquote(struct out *o, const char *p, size_t len, bool quoted)
{
    size_t end = piece_end(p, 0, len), n = 0;
    char *text = arena_alloc(o->a, end + 1);

    for (size_t i = 1; i + 1 < end; i++) {
        if (p[i] == '\\' && i + 2 < end && strchr("\\`$", p[i + 1]))
            i++;
        text[n++] = p[i];
    }
    put_command(o, (struct slice){ text, n }, quoted);
    return end;
}

static size_t put_escape(struct out *o, const char *p, size_t len, bool quoted)
{
    if (len < 2) {
        put(o, "\\", 1, QUOTED);
        return 1;
    }
    if (p[1] == '\n')
        return 2;
    if (quoted && !strchr("$`\"\\", p[1]))
        put(o, p, 2, QUOTED);
    else
        put(o, p + 1, 1, QUOTED);
    return 2;
}

static void expand(struct out *o, const char *p, size_t len, bool quoted)
{
    if (++o->depth > 50) {
        o->bad = true;
        return;
    }
    for (size_t at = 0; at < len && !o->bad;) {
        size_t end;

        switch (p[at]) {
        case '\\': at += put_escape(o, p + at, len - at, quoted); break;
        case '$': at += put_dollar(o, p + at, len - at, quoted); break;
        case '`': at += put_backquote(o, p + at, len - at, quoted); break;
        case '\'': case '"':
            if (quoted && p[at] == '\'') {
                put(o, p + at++, 1, QUOTED);
                break;
            }
            end = piece_end(p, at, len);
            /* without arguments: no field */
            if (end - at != 4 || strncmp(p + at, "\"$@\"", 4) != 0)
                o->some = true;
            if (p[at] == '\'')
                put(o, p + at + 1, end - at - 2, QUOTED);
            else
                expand(o, p + at + 1, end - at - 2, true);
            at = end;
            break;
        default: put(o, p + at++, 1, quoted ? QUOTED : LITERAL);
        }
    }
    o->depth--;
}

/* --- patterns over files */

static bool has_pattern(const char *text, const char *mark, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (mark[i] != QUOTED && strchr("*?[", text[i]) && text[i])
            return true;
    return false;
}

/* Quoted letters that mean something to fnmatch get a backslash. */
static char *as_pattern(struct arena *a, const char *text, const char *mark, size_t len)
{
    char *out = arena_alloc(a, 2 * len + 1);
    size_t n = 0;

    for (size_t i = 0; i < len; i++) {
        if ((mark[i] == QUOTED && strchr("*?[]\\", text[i])) ||
            (mark[i] != QUOTED && text[i] == '\\'))
            out[n++] = '\\';
        out[n++] = text[i];
    }
    return out;
}

static int compare(const void *x, const void *y)
{
    return strcmp(*(char *const *)x, *(char *const *)y);
}

static void glob_in(struct arena *a, const char *base, const char *pattern, sh_fields *out)
{
    size_t skip = strspn(pattern, "/"), len = strcspn(pattern + skip, "/");
    const char *rest = pattern + skip + len;
    char *part = arena_strndup(a, pattern + skip, len);
    const char *dir = arena_printf(a, "%s%.*s", base, (int)skip, pattern);
    struct dirent *e;
    struct stat st;
    DIR *d;

    if (len == 0) {
        if (*base)
            vec_push(out, arena_strdup(a, dir));
        return;
    }
    if (!part[strcspn(part, "*?[\\")]) {
        const char *path = arena_printf(a, "%s%s", dir, part);

        if (*rest)
            glob_in(a, path, rest, out);
        else if (lstat(path, &st) == 0)
            vec_push(out, (char *)path);
        return;
    }
    d = opendir(*dir ? dir : ".");
    while (d && (e = readdir(d))) {
        const char *path;

        if (fnmatch(part, e->d_name, FNM_PERIOD) != 0)
            continue;
        path = arena_printf(a, "%s%s", dir, e->d_name);
        if (!*rest)
            vec_push(out, (char *)path);
        else if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
            glob_in(a, path, rest, out);
    }
    if (d)
        closedir(d);
}

static void add_field(struct out *o, size_t from, size_t to, sh_fields *out)
{
    const char *text = o->text.p + from, *mark = o->mark.p + from;
    size_t before = out->len;

    if (!o->s->no_glob && has_pattern(text, mark, to - from)) {
        glob_in(o->a, "", as_pattern(o->a, text, mark, to - from), out);
        if (out->len > before) {
            qsort(out->v + before, out->len - before, sizeof(char *), compare);
            return;
        }
    }
    vec_push(out, arena_strndup(o->a, text, to - from));
}

static void split(struct out *o, sh_fields *out)
{
    const char *ifs = box_sh_get(o->s, "IFS");
    size_t from = 0, i;
    bool in_field = false;

    ifs = ifs ? ifs : " \t\n";
    for (i = 0; i < o->text.len; i++) {
        char m = o->mark.p[i], c = o->text.p[i];
        bool cut = m == BREAK || (m == EXPANDED && c && strchr(ifs, c));

        if (!cut) {
            from = in_field ? from : i;
            in_field = true;
            continue;
        }
        if (in_field || (m == BREAK && o->some) || (m == EXPANDED && !isspace((unsigned char)c)))
            add_field(o, in_field ? from : i, i, out);
        in_field = false;
    }
    if (in_field)
        add_field(o, from, i, out);
    else if (o->some && (o->text.len == 0 || o->mark.p[o->text.len - 1] == BREAK))
        vec_push(out, arena_strdup(o->a, ""));
}

/* ~ and ~/path */
static const char *tilde(struct out *o, const char *raw)
{
    const char *home =
        raw[0] == '~' && (!raw[1] || raw[1] == '/') ? box_sh_get(o->s, "HOME") : NULL;

    if (!home)
        return raw;
    put(o, home, strlen(home), QUOTED);
    return raw + 1;
}

int box_sh_fields(struct sh *s, struct arena *a, const char *raw, sh_fields *out)
{
    struct out o = { .s = s, .a = a };

    raw = tilde(&o, raw);
    expand(&o, raw, strlen(raw), false);
    if (!o.bad)
        split(&o, out);
    out_deinit(&o);
    return o.bad ? -1 : 0;
}

char *box_sh_text(struct sh *s, struct arena *a, const char *raw, bool pattern)
{
    struct out o = { .s = s, .a = a };
    char *text = NULL;

    raw = tilde(&o, raw);
    expand(&o, raw, strlen(raw), false);
    if (!o.bad)
        text = pattern ? as_pattern(a, o.text.p ? o.text.p : "", o.mark.p, o.text.len)
                       : arena_strndup(a, o.text.p ? o.text.p : "", o.text.len);
    out_deinit(&o);
    return text;
}

/* Quotes are letters like others here. */
char *box_sh_heredoc(struct sh *s, struct arena *a, const char *raw)
{
    struct out o = { .s = s, .a = a };
    size_t len = strlen(raw);
    char *text = NULL;

    for (size_t at = 0; at < len && !o.bad;) {
        if (raw[at] == '\\' && raw[at + 1] != '"')
            at += put_escape(&o, raw + at, len - at, true);
        else if (raw[at] == '$')
            at += put_dollar(&o, raw + at, len - at, true);
        else if (raw[at] == '`')
            at += put_backquote(&o, raw + at, len - at, true);
        else
            put(&o, raw + at++, 1, QUOTED);
    }
    if (!o.bad)
        text = arena_strndup(a, o.text.p ? o.text.p : "", o.text.len);
    out_deinit(&o);
    return text;
}
