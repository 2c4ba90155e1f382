/* yaml.c -- YAML text -> tree, from libyaml's events with a stack of open nodes.
 *
 * Aliases are expanded by copies, each counted before it is made. As trees are built with functions
 * that abort when the arena is full, every event first makes sure that what it may take is there.
 */
#include "core/base/yaml.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <yaml.h>

#include "core/base/b64.h"
#include "core/base/check.h"
#include "core/base/json_index.h"
#include "core/base/map.h"
#include "core/base/vec.h"
#include "core/base/yaml_scalar.h"

#define YAML_TAG "tag:yaml.org,2002:"

struct yaml_frame {
    struct json *v;
    const char *key;       /* of an object: of the child that comes or is open */
    size_t key_len;
    bool has_key;
    bool is_merge;         /* the child that comes is the value of "<<" */
    bool merged;
};

struct yaml_reader {
    yaml_parser_t parser;
    struct arena *a;
    const struct json_opts *opts;
    struct json *root;     /* of the document read last, or NULL */
    VEC(struct yaml_frame) stack;
    struct map *anchors;
    size_t nodes;
};

static int yaml_fail(struct err *err, const yaml_mark_t *mark, const char *what)
{
    if (mark && mark->line)
        return err_set(err, ERR_INVALID, "yaml: line %zu: %s", mark->line, what);
    return err_set(err, ERR_INVALID, "yaml: %s", what);
}

/* Go counts lines so: from the problem's mark, one more for what the scanner found. */
static int yaml_syntax(const struct yaml_reader *r, struct err *err)
{
    const yaml_parser_t *p = &r->parser;
    yaml_mark_t mark = {0};

    if (p->error == YAML_MEMORY_ERROR)
        return err_set(err, ERR_QUOTA, "yaml: memory is out");
    if (p->problem_mark.line)
        mark.line = p->problem_mark.line + (p->error == YAML_SCANNER_ERROR);
    else
        mark.line = p->context_mark.line;
    return yaml_fail(err, &mark, p->problem ? p->problem : "unknown problem parsing YAML content");
}

/* --- limits */

/* Makes sure that `bytes` can be built, and room for one more child of the open node. */
static int yaml_room(const struct yaml_reader *r, size_t bytes, struct err *err)
{
    size_t cap = r->stack.len ? r->stack.v[r->stack.len - 1].v->cap : 0;
    size_t left = arena_left(r->a);
    size_t grow = cap * 96 + 2048;

    if (bytes > left || grow > left - bytes)
        return err_set(err, ERR_QUOTA, "yaml: takes more than %zu bytes of memory",
                       arena_used(r->a));
    return 0;
}

static int yaml_count(struct yaml_reader *r, size_t nodes, size_t depth, struct err *err)
{
    r->nodes += nodes;
    if (r->nodes > YAML_NODES_MAX)
        return err_set(err, ERR_QUOTA, "yaml: more than %d nodes", YAML_NODES_MAX);
    if (r->stack.len + depth > JSON_DEPTH_MAX)
        return err_set(err, ERR_QUOTA, "yaml: nested deeper than %d", JSON_DEPTH_MAX);
    return 0;
}

/* --- scalars */

static bool is_tag(const char *tag, const char *name)
{
    return str_starts(tag, YAML_TAG) && strcmp(tag + strlen(YAML_TAG), name) == 0;
}

static struct json *yaml_value(struct arena *a, const struct yaml_scalar *s, const char *text,
                               size_t len)
{
    switch (s->kind) {
    case YAML_NULL:
        return json_null(a);
    case YAML_BOOL:
        return json_bool(a, s->b);
    case YAML_INT:
        return json_int(a, s->i);
    case YAML_FLOAT:
        return json_float(a, s->d);
    default:
        return json_strn(a, text, len);
    }
}

/* Is a scalar of this kind what an explicit tag says? A null, bool, int or float tag binds. */
static bool fits_tag(enum yaml_kind kind, const char *tag)
{
    if (is_tag(tag, "null"))
        return kind == YAML_NULL;
    if (is_tag(tag, "bool"))
        return kind == YAML_BOOL;
    if (is_tag(tag, "int"))
        return kind == YAML_INT;
    if (is_tag(tag, "float"))
        return kind == YAML_FLOAT || kind == YAML_INT;
    return true;
}

static int yaml_binary(struct yaml_reader *r, struct json **out, const yaml_event_t *event,
                       struct err *err)
{
    _cleanup_buf_ struct buf bytes = BUF_INIT, text = BUF_INIT;

    if (b64_decode(&bytes, B64_STD, (const char *)event->data.scalar.value,
                   event->data.scalar.length, NULL) < 0)
        return yaml_fail(err, &event->start_mark, "!!binary value contains invalid base64 data");
    buf_utf8(&text, bytes.p, bytes.len);
    *out = json_strn(r->a, text.p, text.len);
    return 0;
}

static int yaml_scalar_node(struct yaml_reader *r, struct json **out, const yaml_event_t *event,
                            struct err *err)
{
    const char *text = (const char *)event->data.scalar.value;
    size_t len = event->data.scalar.length;
    const char *tag = (const char *)event->data.scalar.tag;
    struct yaml_scalar s = {.kind = YAML_STR};

    if (tag && is_tag(tag, "binary"))
        return yaml_binary(r, out, event, err);
    if (tag ? str_starts(tag, YAML_TAG) && !is_tag(tag, "str") : event->data.scalar.plain_implicit)
        s = yaml_scalar_resolve(text, len);
    if (tag && !fits_tag(s.kind, tag))
        return err_set(err, ERR_INVALID, "yaml: line %zu: cannot decode `%.80s` as a !!%.40s",
                       event->start_mark.line + 1, text, tag + strlen(YAML_TAG));
    if (s.kind == YAML_FLOAT && !isfinite(s.d))
        return err_set(err, ERR_INVALID, "json: unsupported value: %s",
                       isnan(s.d) ? "NaN" : s.d > 0 ? "+Inf" : "-Inf");
    *out = yaml_value(r->a, &s, text, len);
    return 0;
}

/* --- what becomes of a finished or opened node */

/* Upstream's texts name the line of the value where a key is repeated. */
static void yaml_report_duplicate(const struct yaml_reader *r, const char *key,
                                  const yaml_mark_t *mark)
{
    char line[40];

    snprintf(line, sizeof(line), "line %zu", mark->line + 1);
    r->opts->on_duplicate(r->opts->ctx, line, key);
}

static int yaml_set_key(struct yaml_reader *r, struct yaml_frame *f, const struct json *v,
                        const yaml_mark_t *mark, struct err *err)
{
    char text[40];

    switch (v->type) {
    case JSON_STRING:
        f->key = v->s;
        f->key_len = v->len;
        f->has_key = true;
        return 0;
    case JSON_BOOL:
        snprintf(text, sizeof(text), "%s", v->b ? "true" : "false");
        break;
    case JSON_INT:
        snprintf(text, sizeof(text), "%" PRId64, v->i);
        break;
    case JSON_FLOAT:             /* Go prints them with the fewest digits that a float32 needs */
        for (int precision = 1; precision <= 9; precision++) {
            snprintf(text, sizeof(text), "%.*g", precision, v->d);
            if (strtof(text, NULL) == (float)v->d)
                break;
        }
        break;
    default:
        return yaml_fail(err, mark, "unsupported map key");
    }
    f->key = arena_strdup(r->a, text);
    f->key_len = strlen(text);
    f->has_key = true;
    return 0;
}

/* The members of `from`, which nobody else holds, into the open object. */
static int yaml_merge_one(struct yaml_reader *r, struct json *into, const struct json *from,
                          const yaml_mark_t *mark, struct err *err)
{
    if (from->type != JSON_OBJECT)
        return yaml_fail(err, mark, "map merge requires map or sequence of maps as the value");
    json_each_member(m, from) {
        if (yaml_room(r, m->key_len + 64, err) < 0)
            return -1;
        json_setn(r->a, into, m->key, m->key_len, m->val);
    }
    return 0;
}

/* Applies the finished value of "<<"; in a list the first map wins. */
static int yaml_merge(struct yaml_reader *r, const struct json *v, const yaml_mark_t *mark,
                      struct err *err)
{
    struct yaml_frame *f = &r->stack.v[r->stack.len - 1];

    f->is_merge = f->has_key = false;
    f->merged = true;
    if (v->type != JSON_ARRAY)
        return yaml_merge_one(r, f->v, v, mark, err);
    for (size_t i = v->len; i-- > 0;)
        if (yaml_merge_one(r, f->v, v->items[i], mark, err) < 0)
            return -1;
    return 0;
}

/* Puts a new node where it belongs. Containers are put there before their children come, except
 * the value of "<<", which is merged when it is complete. */
static int yaml_attach(struct yaml_reader *r, struct json *v, bool complete,
                       const yaml_mark_t *mark, struct err *err)
{
    struct yaml_frame *f = r->stack.len ? &r->stack.v[r->stack.len - 1] : NULL;

    if (!f) {
        r->root = v;
        return 0;
    }
    if (f->v->type == JSON_ARRAY) {
        json_append(r->a, f->v, v);
        return 0;
    }
    if (!f->has_key)
        return yaml_set_key(r, f, v, mark, err);
    if (f->is_merge)
        return complete ? yaml_merge(r, v, mark, err) : 0;
    f->has_key = false;
    if (!f->merged && r->opts && r->opts->on_duplicate && json_getn(f->v, f->key, f->key_len))
        yaml_report_duplicate(r, f->key, mark);
    json_setn(r->a, f->v, f->key, f->key_len, v);
    return 0;
}

static int yaml_anchor(struct yaml_reader *r, const yaml_char_t *name, struct json *v,
                       struct err *err)
{
    if (!name)
        return 0;
    if (map_len(r->anchors) >= YAML_ANCHORS_MAX)
        return err_set(err, ERR_QUOTA, "yaml: more than %d anchors", YAML_ANCHORS_MAX);
    map_put(r->anchors, (const char *)name, v);
    return 0;
}

/* --- events */

static int yaml_on_alias(struct yaml_reader *r, const yaml_event_t *event, struct err *err)
{
    const char *name = (const char *)event->data.alias.anchor;
    struct json *v = map_get(r->anchors, name);
    struct json_cost cost;

    if (!v)
        return err_set(err, ERR_INVALID, "yaml: unknown anchor '%.80s' referenced", name);
    for (size_t i = 0; i < r->stack.len; i++)
        if (r->stack.v[i].v == v)
            return err_set(err, ERR_INVALID, "yaml: anchor '%.80s' value contains itself", name);
    cost = json_index_cost(v);
    if (yaml_count(r, cost.nodes, cost.depth, err) < 0 || yaml_room(r, cost.bytes, err) < 0)
        return -1;
    return yaml_attach(r, json_clone(r->a, v), true, &event->start_mark, err);
}

static int yaml_on_scalar(struct yaml_reader *r, const yaml_event_t *event, struct err *err)
{
    struct yaml_frame *f = r->stack.len ? &r->stack.v[r->stack.len - 1] : NULL;
    struct json *v = NULL;

    if (yaml_count(r, 1, 0, err) < 0 ||
        yaml_room(r, event->data.scalar.length * 3 + 256, err) < 0)
        return -1;
    if (f && f->v->type == JSON_OBJECT && !f->has_key && event->data.scalar.plain_implicit &&
        str_eq((const char *)event->data.scalar.value, "<<")) {
        f->has_key = f->is_merge = true;
        f->key = "<<";
        f->key_len = 2;
        return 0;
    }
    if (yaml_scalar_node(r, &v, event, err) < 0 ||
        yaml_anchor(r, event->data.scalar.anchor, v, err) < 0)
        return -1;
    return yaml_attach(r, v, true, &event->start_mark, err);
}

static int yaml_on_start(struct yaml_reader *r, const yaml_event_t *event, struct err *err)
{
    bool sequence = event->type == YAML_SEQUENCE_START_EVENT;
    const yaml_char_t *anchor =
        sequence ? event->data.sequence_start.anchor : event->data.mapping_start.anchor;
    struct json *v;

    if (yaml_count(r, 1, 1, err) < 0 || yaml_room(r, 0, err) < 0)
        return -1;
    v = sequence ? json_array(r->a) : json_object(r->a);
    if (yaml_anchor(r, anchor, v, err) < 0 ||
        yaml_attach(r, v, false, &event->start_mark, err) < 0)
        return -1;
    vec_push(&r->stack, ((struct yaml_frame){.v = v}));
    return 0;
}

static int yaml_on_end(struct yaml_reader *r, const yaml_event_t *event, struct err *err)
{
    struct json *v = r->stack.v[--r->stack.len].v;
    struct yaml_frame *f = r->stack.len ? &r->stack.v[r->stack.len - 1] : NULL;

    if (f && f->is_merge)
        return yaml_merge(r, v, &event->start_mark, err);
    return 0;
}

static int yaml_on_event(struct yaml_reader *r, const yaml_event_t *event, struct err *err)
{
    switch (event->type) {
    case YAML_ALIAS_EVENT:
        return yaml_on_alias(r, event, err);
    case YAML_SCALAR_EVENT:
        return yaml_on_scalar(r, event, err);
    case YAML_SEQUENCE_START_EVENT:
    case YAML_MAPPING_START_EVENT:
        return yaml_on_start(r, event, err);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        return yaml_on_end(r, event, err);
    default:
        return 0;
    }
}

/* Reads up to the end of the next document: 1, or 0 at the end of the stream. */
static int yaml_next_document(struct yaml_reader *r, struct err *err)
{
    yaml_event_type_t type = YAML_NO_EVENT;

    r->root = NULL;
    while (type != YAML_DOCUMENT_END_EVENT && type != YAML_STREAM_END_EVENT) {
        yaml_event_t event;
        int result;

        if (!yaml_parser_parse(&r->parser, &event))
            return yaml_syntax(r, err);
        type = event.type;
        result = yaml_on_event(r, &event, err);
        yaml_event_delete(&event);
        if (result < 0)
            return -1;
    }
    map_free(r->anchors, NULL);
    r->anchors = map_new();
    return type == YAML_DOCUMENT_END_EVENT;
}

static void yaml_reader_init(struct yaml_reader *r, struct arena *a, const char *text, size_t len)
{
    *r = (struct yaml_reader){.a = a, .anchors = map_new()};
    check(yaml_parser_initialize(&r->parser));
    yaml_parser_set_input_string(&r->parser, (const unsigned char *)text, len);
}

static void yaml_reader_deinit(struct yaml_reader *r)
{
    yaml_parser_delete(&r->parser);
    r->anchors = map_free(r->anchors, NULL);
    vec_deinit(&r->stack);
}

static bool looks_like_json(const char *text, size_t len)
{
    while (len && strchr(" \t\r\n", *text) && *text)
        text++, len--;
    return len && *text == '{';
}

static void note_duplicate(void *ctx, const char *path, const char *key)
{
    (void)path, (void)key;
    *(bool *)ctx = true;
}

/* As kubectl and Go's helpers guess: what begins with a brace is tried as JSON first. False when it
 * is not that, or when a duplicate key has to be reported with its line. */
static bool yaml_try_json(struct json **out, struct arena *a, const char *text, size_t len,
                          const struct json_opts *opts)
{
    bool repeated = false;
    struct json_opts noting = {.on_duplicate = note_duplicate, .ctx = &repeated};
    struct json *v;

    if (!looks_like_json(text, len) || json_parse(&v, a, text, len, &noting, NULL) < 0 ||
        (repeated && opts && opts->on_duplicate))
        return false;
    *out = v;
    return true;
}

int yaml_parse(struct json **out, struct arena *a, const char *text, size_t len,
               const struct json_opts *opts, struct err *err)
{
    struct yaml_reader r;
    int result;

    if (yaml_try_json(out, a, text, len, opts))
        return 0;
    yaml_reader_init(&r, a, text, len);
    r.opts = opts;
    result = yaml_next_document(&r, err);
    if (result >= 0 && !r.root)
        result = yaml_room(&r, 0, err);
    if (result >= 0)
        *out = r.root ? r.root : json_null(a);
    yaml_reader_deinit(&r);
    return result < 0 ? -1 : 0;
}

int yaml_parse_all(struct json **out, struct arena *a, const char *text, size_t len,
                   struct err *err)
{
    struct yaml_reader r;
    struct json *all, *one;
    int result = 1;

    if (arena_left(a) < 4096)
        return err_set(err, ERR_QUOTA, "yaml: takes more than %zu bytes of memory", arena_used(a));
    all = json_array(a);
    if (yaml_try_json(&one, a, text, len, NULL)) {
        json_append(a, all, one);
        *out = all;
        return 0;
    }
    yaml_reader_init(&r, a, text, len);
    while (result > 0) {
        result = yaml_next_document(&r, err);
        if (result <= 0 || !r.root || r.root->type == JSON_NULL)
            continue;
        if (arena_left(a) < (size_t)all->cap * 96 + 2048)
            result = err_set(err, ERR_QUOTA, "yaml: takes more than %zu bytes of memory",
                             arena_used(a));
        else
            json_append(a, all, r.root);
    }
    if (result == 0)
        *out = all;
    yaml_reader_deinit(&r);
    return result;
}
