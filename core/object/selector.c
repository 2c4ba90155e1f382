/* core/object/selector.c -- label selectors: a list of requirements sorted by key, and the parser
 * of their text. */
#include "core/base/check.h"
#include "core/base/mem.h"
#include "core/base/vec.h"
#include "core/object/rules_impl.h"
#include "core/object/selector.h"

enum op { OP_EXISTS, OP_MISSING, OP_IN, OP_EQ, OP_EQ2, OP_NOTIN, OP_NE, OP_GT, OP_LT };

struct requirement { char *key; enum op op; VEC(char *) values; };
struct selector { VEC(struct requirement) reqs; bool nothing; };

static void requirement_deinit(struct requirement *r)
{
    for (size_t i = 0; i < r->values.len; i++)
        mem_free(r->values.v[i]);
    vec_deinit(&r->values);
    r->key = mem_free(r->key);
}

struct selector *selector_free(struct selector *s)
{
    if (!s)
        return NULL;
    for (size_t i = 0; i < s->reqs.len; i++)
        requirement_deinit(&s->reqs.v[i]);
    vec_deinit(&s->reqs);
    return mem_free(s);
}

/* Sorted, without duplicates. */
static void add_value(struct requirement *r, const char *value, size_t len)
{
    char *copy = mem_strndup(value, len);
    size_t at = 0;

    while (at < r->values.len && strcmp(r->values.v[at], copy) < 0)
        at++;
    if (at < r->values.len && str_eq(r->values.v[at], copy)) {
        mem_free(copy);
        return;
    }
    vec_push(&r->values, copy);
    memmove(r->values.v + at + 1, r->values.v + at, (r->values.len - 1 - at) * sizeof(char *));
    r->values.v[at] = copy;
}

static bool is_int(const char *s, int64_t *out)
{
    return str_to_i64(s[0] == '+' && s[1] != '-' ? s + 1 : s, INT64_MIN, INT64_MAX, out, NULL) == 0;
}

/* What upstream's NewRequirement refuses. */
static int check_requirement(const struct requirement *r, struct err *err)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    struct causes c = { .a = a };
    const struct rules_path *values = RULES_AT(NULL, "values");
    struct rules_msgs m = { .a = a };
    _cleanup_buf_ struct buf text = BUF_INIT;
    int64_t v;

    rules_fmt_qualified(&m, r->key);
    if (m.n)
        rules_invalid_s(&c, RULES_AT(NULL, "key"), r->key, rules_msgs_join(&m, "; "));
    if ((r->op == OP_IN || r->op == OP_NOTIN) && r->values.len == 0)
        rules_invalid(&c, values, json_array(a),
                      "for 'in', 'notin' operators, values set can't be empty");
    for (size_t i = 0; i < r->values.len; i++) {
        const struct rules_path *at = RULES_IDX(values, i);

        if ((r->op == OP_GT || r->op == OP_LT) && !is_int(r->values.v[i], &v))
            rules_invalid_s(&c, at, r->values.v[i],
                            "for 'Gt', 'Lt' operators, the value must be an integer");
        m.n = 0;
        rules_fmt_label_value(&m, r->values.v[i]);
        if (m.n)
            rules_invalid_s(&c, RULES_KEY(at, r->key), r->values.v[i], rules_msgs_join(&m, "; "));
    }
    if (c.len == 0)
        return 0;
    for (unsigned i = 0; i < c.len; i++)
        buf_fmt(&text, "%s%s: %s", i ? ", " : "", c.v[i].field, c.v[i].message);
    return err_set(err, ERR_INVALID, c.len > 1 ? "[%s]" : "%s", text.p);
}

/* Keeps the requirements sorted by key. Takes what `r` owns. */
static void add_requirement(struct selector *s, struct requirement *r)
{
    size_t at;

    vec_push(&s->reqs, *r);
    for (at = s->reqs.len - 1; at > 0 && strcmp(s->reqs.v[at - 1].key, r->key) > 0; at--)
        s->reqs.v[at] = s->reqs.v[at - 1];
    s->reqs.v[at] = *r;
    *r = (struct requirement){ 0 };
}

/* --- text */

enum token { TOK_END, TOK_WORD, TOK_IN, TOK_NOTIN, TOK_OPEN, TOK_CLOSE, TOK_COMMA, TOK_NOT, TOK_EQ,
             TOK_EQ2, TOK_NE, TOK_GT, TOK_LT, TOK_BAD };

struct lexer { const char *at; enum token tok; const char *text; size_t len; };

static const struct { const char *text; enum token tok; } symbols[] = {
    { "==", TOK_EQ2 }, { "!=", TOK_NE }, { "=", TOK_EQ }, { "!", TOK_NOT }, { "(", TOK_OPEN },
    { ")", TOK_CLOSE }, { ",", TOK_COMMA }, { ">", TOK_GT }, { "<", TOK_LT },
};

/* The next token into l->tok. `values`: in and notin are words there. */
static void lex(struct lexer *l, bool values)
{
    const char *s = l->at + strspn(l->at, " \t\r\n");
    size_t len = strcspn(s, " \t\r\n=!(),><");

    l->text = s;
    l->len = len;
    l->at = s + len;
    if (len) {
        l->tok = values ? TOK_WORD : slice_is((struct slice){ s, len }, "in") ? TOK_IN :
                 slice_is((struct slice){ s, len }, "notin") ? TOK_NOTIN : TOK_WORD;
        return;
    }
    l->tok = *s ? TOK_BAD : TOK_END;
    for (size_t i = 0; *s && i < ARRAY_LEN(symbols); i++) {
        if (!str_starts(s, symbols[i].text))
            continue;
        l->tok = symbols[i].tok;
        l->len = strlen(symbols[i].text);
        l->at = s + l->len;
        return;
    }
}

static struct lexer peek(const struct lexer *l, bool values)
{
    struct lexer next = *l;

    lex(&next, values);
    return next;
}

static int unexpected(const struct lexer *l, const char *want, struct err *err)
{
    return err_set(err, ERR_INVALID, "found '%.*s'%s", (int)(l->len > 200 ? 200 : l->len), l->text,
                   want);
}

/* "(a,b)" with upstream's reading of missing words as "". */
static int parse_values(struct lexer *l, struct requirement *r, struct err *err)
{
    struct lexer next;

    lex(l, true);
    if (l->tok != TOK_OPEN)
        return unexpected(l, " expected: '('", err);
    next = peek(l, true);
    if (next.tok == TOK_CLOSE) {
        *l = next;
        add_value(r, "", 0);
        return 0;
    }
    if (next.tok != TOK_WORD && next.tok != TOK_COMMA)
        return unexpected(&next, ", expected: ',', ')' or identifier", err);
    for (;;) {
        lex(l, true);
        next = peek(l, true);
        if (l->tok == TOK_WORD) {
            add_value(r, l->text, l->len);
            if (next.tok != TOK_COMMA && next.tok != TOK_CLOSE)
                return unexpected(&next, ", expected: ',' or ')'", err);
        } else if (l->tok == TOK_COMMA) {
            if (r->values.len == 0 || next.tok == TOK_CLOSE || next.tok == TOK_COMMA)
                add_value(r, "", 0);
        } else {
            return unexpected(l, ", expected: ',', or identifier", err);
        }
        if (next.tok == TOK_CLOSE) {
            *l = next;
            return 0;
        }
    }
}

static int parse_exact(struct lexer *l, struct requirement *r, struct err *err)
{
    struct lexer next = peek(l, true);

    if (next.tok == TOK_END || next.tok == TOK_COMMA) {
        add_value(r, "", 0);
        return 0;
    }
    *l = next;
    if (l->tok != TOK_WORD)
        return unexpected(l, ", expected: identifier", err);
    add_value(r, l->text, l->len);
    return 0;
}

static int parse_key(struct lexer *l, struct requirement *r, struct err *err)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    struct causes c = { .a = a };
    struct rules_msgs m = { .a = a };

    r->op = OP_EXISTS;
    lex(l, true);
    if (l->tok == TOK_NOT) {
        r->op = OP_MISSING;
        lex(l, true);
    }
    if (l->tok != TOK_WORD)
        return unexpected(l, ", expected: identifier", err);
    r->key = mem_strndup(l->text, l->len);
    rules_fmt_qualified(&m, r->key);
    if (m.n == 0)
        return 0;
    rules_invalid_s(&c, NULL, r->key, rules_msgs_join(&m, "; "));
    return err_set(err, ERR_INVALID, "<nil>: %s", c.v[0].message);
}

static int parse_requirement(struct lexer *l, struct requirement *r, struct err *err)
{
    static const enum op ops[TOK_BAD + 1] = {
        [TOK_IN] = OP_IN, [TOK_NOTIN] = OP_NOTIN, [TOK_EQ] = OP_EQ, [TOK_EQ2] = OP_EQ2,
        [TOK_NE] = OP_NE, [TOK_GT] = OP_GT, [TOK_LT] = OP_LT,
    };
    struct lexer next;

    if (parse_key(l, r, err) < 0)
        return -1;
    next = peek(l, true);
    if (r->op == OP_EXISTS && next.tok != TOK_END && next.tok != TOK_COMMA) {
        lex(l, false);
        r->op = ops[l->tok];
        if (r->op == OP_EXISTS)
            return unexpected(l, ", expected: in, notin, =, ==, !=, gt, lt", err);
        if (r->op == OP_IN || r->op == OP_NOTIN ? parse_values(l, r, err) < 0
                                                : parse_exact(l, r, err) < 0)
            return -1;
    }
    return check_requirement(r, err);
}

int selector_parse(struct selector **out, const char *text, struct err *err)
{
    _cleanup_(selector_freep) struct selector *s = NEW(struct selector);
    struct lexer l = { .at = text };

    if (strlen(text) > SELECTOR_BYTES_MAX)
        return err_set(err, ERR_INVALID, "selector is longer than %u bytes", SELECTOR_BYTES_MAX);
    for (;;) {
        struct requirement r = { 0 };
        struct lexer next = peek(&l, true);

        if (next.tok == TOK_END)
            break;
        if (next.tok != TOK_WORD && next.tok != TOK_NOT)
            return unexpected(&next, ", expected: !, identifier, or 'end of string'", err);
        if (parse_requirement(&l, &r, err) < 0) {
            requirement_deinit(&r);
            return err_wrap(err, "unable to parse requirement");
        }
        add_requirement(s, &r);
        lex(&l, true);
        if (l.tok == TOK_END)
            break;
        if (l.tok != TOK_COMMA)
            return unexpected(&l, ", expected: ',' or 'end of string'", err);
        next = peek(&l, true);
        if (next.tok != TOK_WORD && next.tok != TOK_NOT)
            return unexpected(&next, ", expected: identifier after ','", err);
    }
    *out = TAKE(s);
    return 0;
}

/* --- JSON */

static int add_expression(struct selector *s, const struct json *expr, struct err *err)
{
    static const struct { const char *name; enum op op; } ops[] = {
        { "In", OP_IN }, { "NotIn", OP_NOTIN }, { "Exists", OP_EXISTS },
        { "DoesNotExist", OP_MISSING },
    };
    const char *name = rules_str(expr, "operator");
    struct requirement r = { 0 };
    struct json *v;
    size_t i;

    for (i = 0; i < ARRAY_LEN(ops) && !str_eq(ops[i].name, name); i++)
        ;
    if (i == ARRAY_LEN(ops))
        return err_set(err, ERR_INVALID, "\"%s\" is not a valid label selector operator", name);
    r.op = ops[i].op;
    r.key = mem_strdup(rules_str(expr, "key"));
    json_each(v, json_get(expr, "values"))
        if (json_text(v))
            add_value(&r, v->s, v->len);
    if (check_requirement(&r, err) < 0) {
        requirement_deinit(&r);
        return -1;
    }
    add_requirement(s, &r);
    return 0;
}

static void add_equal(struct selector *s, const char *key, const struct json *value)
{
    struct requirement r = { .key = mem_strdup(key), .op = OP_EQ };

    add_value(&r, json_text(value) ? value->s : "", json_text(value) ? value->len : 0);
    add_requirement(s, &r);
}

int selector_from_json(struct selector **out, const struct json *label_selector, struct err *err)
{
    _cleanup_(selector_freep) struct selector *s = NEW(struct selector);
    struct json *expr;

    s->nothing = !json_is(label_selector, JSON_OBJECT);
    json_each_member(m, json_get(label_selector, "matchLabels"))
        add_equal(s, m->key, m->val);
    for (size_t i = 0; i < s->reqs.len; i++)
        if (check_requirement(&s->reqs.v[i], err) < 0)
            return -1;
    json_each(expr, json_get(label_selector, "matchExpressions"))
        if (add_expression(s, expr, err) < 0)
            return -1;
    *out = TAKE(s);
    return 0;
}

struct selector *selector_from_map(const struct json *map)
{
    struct selector *s = NEW(struct selector);

    s->nothing = json_len(map) == 0;
    json_each_member(m, map)
        add_equal(s, m->key, m->val);
    return s;
}

/* --- matching */

static bool has_value(const struct requirement *r, const char *value)
{
    for (size_t i = 0; i < r->values.len; i++)
        if (str_eq(r->values.v[i], value))
            return true;
    return false;
}

/* `value` is NULL when the label is missing. */
static bool matches(const struct requirement *r, const char *value)
{
    int64_t have, want;

    switch (r->op) {
    case OP_EXISTS:
        return value;
    case OP_MISSING:
        return !value;
    case OP_IN:
    case OP_EQ:
    case OP_EQ2:
        return value && has_value(r, value);
    case OP_NOTIN:
    case OP_NE:
        return !value || !has_value(r, value);
    case OP_GT:
    case OP_LT:
        if (!value || !is_int(value, &have) || !is_int(r->values.v[0], &want))
            return false;
        return r->op == OP_GT ? have > want : have < want;
    }
    check_unreachable();
}

bool selector_matches(const struct selector *s, const struct object *o)
{
    for (size_t i = 0; i < s->reqs.len; i++)
        if (!matches(&s->reqs.v[i], object_label(o, s->reqs.v[i].key)))
            return false;
    return !s->nothing;
}

bool selector_matches_map(const struct selector *s, const struct json *labels)
{
    for (size_t i = 0; i < s->reqs.len; i++)
        if (!matches(&s->reqs.v[i], json_get_str(labels, s->reqs.v[i].key)))
            return false;
    return !s->nothing;
}

bool selector_is_everything(const struct selector *s)
{
    return s->reqs.len == 0 && !s->nothing;
}

void selector_write(struct buf *b, const struct selector *s)
{
    static const char *const words[] = {
        [OP_EXISTS] = "", [OP_MISSING] = "", [OP_IN] = " in (", [OP_NOTIN] = " notin (",
        [OP_EQ] = "=",
        [OP_EQ2] = "==", [OP_NE] = "!=", [OP_GT] = ">", [OP_LT] = "<",
    };

    buf_str(b, "");
    for (size_t i = 0; i < s->reqs.len; i++) {
        const struct requirement *r = &s->reqs.v[i];

        buf_fmt(b, "%s%s%s%s", i ? "," : "", r->op == OP_MISSING ? "!" : "", r->key, words[r->op]);
        for (size_t k = 0; k < r->values.len; k++)
            buf_fmt(b, "%s%s", k ? "," : "", r->values.v[k]);
        if (r->op == OP_IN || r->op == OP_NOTIN)
            buf_chr(b, ')');
    }
}
