/* box_sh_parse.c -- recursive descent over the text; a word stays as it was written. */
#include <ctype.h>
#include <string.h>

#include "cmd/box/box_sh.h"

#define HERE_MAX 16

struct parser {
    const char *s;
    size_t len, at;
    struct arena *a;
    struct err *err;
    struct { struct sh_redir *r; const char *end; bool tabs; } here[HERE_MAX];
    size_t n_here;
    int depth;
    bool failed;
};

static struct sh_node *parse_list(struct parser *p, bool one_line);
static struct sh_node *parse_command(struct parser *p);

static void *fail(struct parser *p, int code, const char *what)
{
    if (!p->failed)
        err_set(p->err, code, "%s", what);
    p->failed = true;
    return NULL;
}

static void *incomplete(struct parser *p)
{
    return fail(p, ERR_UNAVAILABLE, "unexpected end of input");
}

static void *unexpected(struct parser *p)
{
    size_t n = 0;

    if (p->at >= p->len)
        return incomplete(p);
    while (p->at + n < p->len && n < 20 && !isspace((unsigned char)p->s[p->at + n]))
        n++;
    if (!p->failed)
        err_set(p->err, ERR_INVALID, "syntax error near \"%.*s\"", (int)n, p->s + p->at);
    p->failed = true;
    return NULL;
}

static int peek(const struct parser *p, size_t ahead)
{
    return p->at + ahead < p->len ? (unsigned char)p->s[p->at + ahead] : -1;
}

/* --- blanks and here-documents */

static void skip_blanks(struct parser *p)
{
    for (;;) {
        int c = peek(p, 0);

        if (c == ' ' || c == '\t' || c == '\r')
            p->at++;
        else if (c == '\\' && peek(p, 1) == '\n')
            p->at += 2;
        else if (c == '#')
            while (peek(p, 0) != -1 && peek(p, 0) != '\n')
                p->at++;
        else
            return;
    }
}

static void read_here(struct parser *p, size_t i)
{
    const char *end = p->here[i].end;
    struct buf text = BUF_INIT;

    for (;;) {
        size_t from = p->at, n;
        const char *line;

        if (p->at >= p->len) {
            incomplete(p);
            break;
        }
        while (p->at < p->len && p->s[p->at] != '\n')
            p->at++;
        line = p->s + from;
        n = p->at - from;
        p->at += p->at < p->len;
        while (p->here[i].tabs && n && *line == '\t')
            line++, n--;
        if (n == strlen(end) && strncmp(line, end, n) == 0)
            break;
        buf_add(&text, line, n);
        buf_chr(&text, '\n');
    }
    p->here[i].r->word = arena_strndup(p->a, text.p ? text.p : "", text.len);
    buf_deinit(&text);
}

/* Takes a line end and the here-documents that begin after it. */
static bool take_newline(struct parser *p)
{
    skip_blanks(p);
    if (peek(p, 0) != '\n')
        return false;
    p->at++;
    for (size_t i = 0; i < p->n_here; i++)
        read_here(p, i);
    p->n_here = 0;
    return true;
}

static void skip_newlines(struct parser *p)
{
    while (!p->failed && take_newline(p))
        ;
}

/* --- words */

static void skip_group(struct parser *p, int open, int close);

/* Over one quoted or substituted piece that begins here; false when there is none. */
static bool skip_piece(struct parser *p)
{
    int c = peek(p, 0);

    if (c == '\\') {
        p->at += peek(p, 1) == -1 ? 1 : 2;
        if (p->at >= p->len && peek(p, 0) == -1 && p->s[p->len - 1] == '\\')
            incomplete(p);
    } else if (c == '\'') {
        const char *end = memchr(p->s + p->at + 1, '\'', p->len - p->at - 1);

        if (!end)
            return incomplete(p), true;
        p->at = (size_t)(end - p->s) + 1;
    } else if (c == '"' || c == '`') {
        p->at++;
        while (!p->failed && peek(p, 0) != c) {
            if (peek(p, 0) == -1)
                incomplete(p);
            else if (peek(p, 0) == '\'' || (c == '`' && peek(p, 0) != '\\') || !skip_piece(p))
                p->at++;
        }
        p->at++;
    } else if (c == '$' && (peek(p, 1) == '(' || peek(p, 1) == '{')) {
        int open = peek(p, 1);

        p->at += 2;
        skip_group(p, open, open == '(' ? ')' : '}');
    } else {
        return false;
    }
    return true;
}

static void skip_group(struct parser *p, int open, int close)
{
    int depth = 1;

    while (!p->failed && depth > 0) {
        int c = peek(p, 0);

        if (c == -1)
            incomplete(p);
        else if (skip_piece(p))
            continue;
        else
            depth += c == open ? 1 : c == close ? -1 : 0;
        p->at++;
    }
}

static bool ends_word(int c)
{
    return c == -1 || strchr(" \t\r\n;&|<>()", c) != NULL;
}

/* The word here, or NULL. */
static const char *take_word(struct parser *p)
{
    size_t from;

    skip_blanks(p);
    from = p->at;
    while (!p->failed && !ends_word(peek(p, 0)))
        if (!skip_piece(p))
            p->at++;
    if (p->failed || p->at == from)
        return NULL;
    return arena_strndup(p->a, p->s + from, p->at - from);
}

static bool at_text(struct parser *p, const char *op)
{
    skip_blanks(p);
    return p->at + strlen(op) <= p->len && strncmp(p->s + p->at, op, strlen(op)) == 0;
}

static bool take_op(struct parser *p, const char *op)
{
    if (!at_text(p, op))
        return false;
    p->at += strlen(op);
    return true;
}

static bool at_keyword(struct parser *p, const char *word)
{
    return at_text(p, word) && ends_word(peek(p, strlen(word)));
}

static bool take_keyword(struct parser *p, const char *word)
{
    if (!at_keyword(p, word))
        return false;
    p->at += strlen(word);
    return true;
}

static void need_keyword(struct parser *p, const char *word)
{
    if (!p->failed && !take_keyword(p, word))
        unexpected(p);
}

/* --- redirections */

/* The end mark of a here-document without its quotes. */
static const char *unquoted(struct parser *p, const char *word, bool *quoted)
{
    char *out = arena_strdup(p->a, word), *to = out;

    for (const char *from = word; *from; from++) {
        if (*from == '\'' || *from == '"' || *from == '\\')
            *quoted = true;
        else
            *to++ = *from;
    }
    *to = '\0';
    return out;
}

static bool take_redir(struct parser *p, struct sh_redir ***tail)
{
    static const struct { const char *text; enum sh_redir_op op; int fd; } ops[] = {
        { "<<", SH_HERE, 0 }, { "<&", SH_DUP, 0 }, { "<>", SH_BOTH, 0 }, { "<", SH_IN, 0 },
        { ">>", SH_APPEND, 1 }, { ">&", SH_DUP, 1 }, { ">|", SH_OUT, 1 }, { ">", SH_OUT, 1 },
    };
    size_t from, i;
    struct sh_redir *r;
    bool tabs = false;

    skip_blanks(p);
    from = p->at;
    while (isdigit(peek(p, 0)))
        p->at++;
    for (i = 0; i < ARRAY_LEN(ops) &&
                strncmp(p->s + p->at, ops[i].text,
                        p->at + strlen(ops[i].text) <= p->len ? strlen(ops[i].text) : 99);
         i++)
        ;
    if (p->at >= p->len || i == ARRAY_LEN(ops) || p->at - from > 3) {
        p->at = from;
        return false;
    }
    r = ANEW(p->a, struct sh_redir);
    r->op = ops[i].op;
    r->fd = ops[i].fd;
    if (p->at > from) {
        r->fd = 0;
        for (size_t k = from; k < p->at; k++)
            r->fd = r->fd * 10 + (p->s[k] - '0');
    }
    p->at += strlen(ops[i].text);
    if (r->op == SH_HERE && peek(p, 0) == '-') {
        tabs = true;
        p->at++;
    }
    r->word = take_word(p);
    if (!r->word)
        return unexpected(p) != NULL;
    if (r->op == SH_HERE) {
        if (p->n_here == HERE_MAX)
            return fail(p, ERR_QUOTA, "too many here-documents") != NULL;
        p->here[p->n_here].end = unquoted(p, r->word, &r->quoted);
        p->here[p->n_here].tabs = tabs;
        p->here[p->n_here++].r = r;
    }
    **tail = r;
    *tail = &r->next;
    return true;
}

static void take_redirs(struct parser *p, struct sh_node *n)
{
    struct sh_redir **tail = &n->redirs;

    while (!p->failed && take_redir(p, &tail))
        ;
}

/* --- commands */

static struct sh_node *node(struct parser *p, enum sh_kind kind, struct sh_node *a,
                            struct sh_node *b)
{
    struct sh_node *n = ANEW(p->a, struct sh_node);

    n->kind = kind;
    n->a = a;
    n->b = b;
    return n;
}

struct words { const char **v; size_t n; };

static void add_word(struct parser *p, struct words *w, const char *word)
{
    if ((w->n & (w->n - 1)) == 0) {
        const char **v = arena_alloc(p->a, (w->n ? w->n * 2 : 1) * sizeof(*v));

        if (w->n)
            memcpy(v, w->v, w->n * sizeof(*v));
        w->v = v;
    }
    w->v[w->n++] = word;
}

static struct sh_node *parse_body(struct parser *p)
{
    struct sh_node *n = parse_list(p, false);

    return n || p->failed ? n : unexpected(p);
}

static struct sh_node *parse_if(struct parser *p)
{
    struct sh_node *n = node(p, SH_IF, parse_body(p), NULL);

    need_keyword(p, "then");
    n->b = p->failed ? NULL : parse_body(p);
    if (p->failed)
        return NULL;
    if (take_keyword(p, "elif")) {
        n->c = parse_if(p);
        return n;
    }
    if (take_keyword(p, "else"))
        n->c = parse_body(p);
    need_keyword(p, "fi");
    return n;
}

static struct sh_node *parse_do(struct parser *p)
{
    struct sh_node *body;

    need_keyword(p, "do");
    body = p->failed ? NULL : parse_body(p);
    need_keyword(p, "done");
    return body;
}

static struct sh_node *parse_for(struct parser *p)
{
    struct sh_node *n = node(p, SH_FOR, NULL, NULL);
    struct words w = { 0 };
    const char *word;

    n->name = take_word(p);
    if (!n->name || !box_sh_is_name(n->name, strlen(n->name)))
        return unexpected(p);
    skip_newlines(p);
    n->has_in = take_keyword(p, "in");
    while (n->has_in && (word = take_word(p)))
        add_word(p, &w, word);
    (void)take_op(p, ";");
    skip_newlines(p);
    n->words = w.v;
    n->n = w.n;
    n->a = parse_do(p);
    return n;
}

static struct sh_node *parse_case(struct parser *p)
{
    struct sh_node *n = node(p, SH_CASE, NULL, NULL);
    struct sh_branch **tail = &n->branches;

    n->name = take_word(p);
    skip_newlines(p);
    need_keyword(p, "in");
    skip_newlines(p);
    while (!p->failed && n->name && !take_keyword(p, "esac")) {
        struct sh_branch *b = ANEW(p->a, struct sh_branch);
        struct words w = { 0 };

        (void)take_op(p, "(");
        do {
            const char *word = take_word(p);

            if (!word)
                return unexpected(p);
            add_word(p, &w, word);
        } while (take_op(p, "|"));
        if (!take_op(p, ")"))
            return unexpected(p);
        b->patterns = w.v;
        b->n_patterns = w.n;
        b->body = parse_list(p, false);
        *tail = b;
        tail = &b->next;
        if (!take_op(p, ";;") && !at_keyword(p, "esac"))
            return unexpected(p);
        skip_newlines(p);
    }
    return n->name ? n : unexpected(p);
}

static struct sh_node *parse_function(struct parser *p, const char *name)
{
    struct sh_node *n = node(p, SH_FUNC, NULL, NULL);

    n->name = name;
    skip_newlines(p);
    n->a = parse_command(p);
    return n->a || p->failed ? n : unexpected(p);
}

static struct sh_node *parse_simple(struct parser *p)
{
    struct sh_node *n = node(p, SH_CMD, NULL, NULL);
    struct sh_redir **tail = &n->redirs;
    struct words w = { 0 };

    while (!p->failed) {
        const char *word;

        if (take_redir(p, &tail))
            continue;
        word = p->failed ? NULL : take_word(p);
        if (!word)
            break;
        if (w.n == 0 && at_text(p, "(") && box_sh_is_name(word, strlen(word))) {
            p->at++;
            if (!take_op(p, ")"))
                return unexpected(p);
            return parse_function(p, word);
        }
        add_word(p, &w, word);
    }
    n->words = w.v;
    n->n = w.n;
    return p->failed || (w.n == 0 && !n->redirs) ? NULL : n;
}

/* Words that end a list where a command would begin. */
static bool at_end_word(struct parser *p)
{
    static const char *const words[] = { "then", "else", "elif", "fi", "do", "done", "esac", "}" };

    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (at_keyword(p, words[i]))
            return true;
    return false;
}

static struct sh_node *parse_compound(struct parser *p, bool *is_one)
{
    struct sh_node *n;

    *is_one = true;
    if (take_keyword(p, "if"))
        return parse_if(p);
    if (take_keyword(p, "for"))
        return parse_for(p);
    if (take_keyword(p, "case"))
        return parse_case(p);
    if (at_keyword(p, "while") || at_keyword(p, "until")) {
        bool until = at_keyword(p, "until");

        p->at += 5;
        n = node(p, SH_LOOP, parse_body(p), NULL);
        n->until = until;
        n->b = p->failed ? NULL : parse_do(p);
        return n;
    }
    if (take_keyword(p, "{")) {
        n = node(p, SH_GROUP, parse_body(p), NULL);
        need_keyword(p, "}");
        return n;
    }
    if (take_op(p, "(")) {
        n = node(p, SH_SUB, parse_body(p), NULL);
        if (!p->failed && !take_op(p, ")"))
            return unexpected(p);
        return n;
    }
    *is_one = false;
    return NULL;
}

static struct sh_node *parse_command(struct parser *p)
{
    struct sh_node *n;
    bool compound;

    if (at_end_word(p))
        return NULL;
    if (++p->depth > SH_DEPTH_MAX)
        return fail(p, ERR_QUOTA, "nested too deep");
    n = parse_compound(p, &compound);
    if (n && compound && !p->failed)
        take_redirs(p, n);
    if (!compound)
        n = parse_simple(p);
    p->depth--;
    return n;
}

static struct sh_node *parse_pipeline(struct parser *p)
{
    bool negate = take_keyword(p, "!");
    struct sh_node *n = parse_command(p);

    while (n && !p->failed && at_text(p, "|") && peek(p, 1) != '|') {
        p->at++;
        skip_newlines(p);
        n = node(p, SH_PIPE, n, parse_command(p));
        if (!n->b)
            return unexpected(p);
    }
    if (negate && !n)
        return unexpected(p);
    return negate ? node(p, SH_NOT, n, NULL) : n;
}

static struct sh_node *parse_and_or(struct parser *p)
{
    struct sh_node *n = parse_pipeline(p);

    while (n && !p->failed) {
        enum sh_kind kind = at_text(p, "&&") ? SH_AND : SH_OR;

        if (kind == SH_OR && !at_text(p, "||"))
            break;
        p->at += 2;
        skip_newlines(p);
        n = node(p, kind, n, parse_pipeline(p));
        if (!n->b)
            return unexpected(p);
    }
    return n;
}

static struct sh_node *parse_list(struct parser *p, bool one_line)
{
    struct sh_node *list = NULL;

    if (!one_line)
        skip_newlines(p);
    while (!p->failed) {
        struct sh_node *n = parse_and_or(p);

        if (!n)
            break;
        if (at_text(p, "&") && peek(p, 1) != '&') {
            p->at++;
            n = node(p, SH_BG, n, NULL);
        } else if (at_text(p, ";") && peek(p, 1) != ';') {
            p->at++;
        } else if (peek(p, 0) != '\n') {
            list = list ? node(p, SH_SEQ, list, n) : n;
            break;
        }
        list = list ? node(p, SH_SEQ, list, n) : n;
        skip_blanks(p);
        if (one_line && peek(p, 0) == '\n')
            break;
        skip_newlines(p);
    }
    return p->failed ? NULL : list;
}

int box_sh_parse(struct sh_node **out, struct arena *a, struct slice text, size_t *at,
                 struct err *err)
{
    struct parser p = { .s = text.p, .len = text.len, .at = *at, .a = a, .err = err };
    struct sh_node *n;

    skip_newlines(&p);
    if (p.at >= p.len) {
        *at = p.at;
        return 0;
    }
    n = parse_list(&p, true);
    if (!p.failed && !n)
        unexpected(&p);
    if (!p.failed && !take_newline(&p) && p.at < p.len)
        unexpected(&p);
    if (!p.failed && p.n_here)
        incomplete(&p);
    if (p.failed)
        return -1;
    *at = p.at;
    *out = n;
    return 1;
}
