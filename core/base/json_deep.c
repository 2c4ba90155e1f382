/* json_deep.c -- operations on whole trees: clone, equal, sort. Their stacks are on the heap. */
#include <stdlib.h>

#include "core/base/check.h"
#include "core/base/json.h"
#include "core/base/json_index.h"
#include "core/base/vec.h"

static bool is_container(const struct json *v)
{
    return v->type == JSON_ARRAY || v->type == JSON_OBJECT;
}

/* --- clone */

struct clone_frame { const struct json *from; struct json *to; };

/* The node itself, with room for its children. */
static struct json *clone_node(struct arena *a, const struct json *v)
{
    struct json *copy = ANEW(a, struct json);

    *copy = *v;
    copy->indexed = false;
    if (v->type == JSON_STRING)
        copy->s = arena_strndup(a, v->s, v->len);
    if (!is_container(v))
        return copy;
    copy->len = copy->cap = 0;
    copy->items = NULL;
    if (v->type == JSON_OBJECT && v->len) {
        check(json_index_reserve(a, copy, v->len) == 0);
    } else if (v->len) {
        copy->items = arena_alloc(a, v->len * sizeof(*copy->items));
        copy->cap = v->len;
    }
    return copy;
}

struct json *json_clone(struct arena *a, const struct json *v)
{
    VEC(struct clone_frame) stack = {0};
    struct json *root;

    if (!v)
        return NULL;
    root = clone_node(a, v);
    if (is_container(v) && v->len)
        vec_push(&stack, ((struct clone_frame){v, root}));
    while (stack.len) {
        struct clone_frame f = stack.v[stack.len - 1];
        const struct json *child;
        struct json *copy;

        if (f.to->len == f.from->len) {
            stack.len--;
            continue;
        }
        child = f.from->type == JSON_ARRAY ? f.from->items[f.to->len]
                                           : f.from->members[f.to->len].val;
        copy = clone_node(a, child);
        if (f.from->type == JSON_ARRAY) {
            f.to->items[f.to->len++] = copy;
        } else {
            struct json_member m = f.from->members[f.to->len];

            m.key = arena_strndup(a, m.key, m.key_len);
            m.val = copy;
            json_index_append(f.to, m);
        }
        if (is_container(child) && child->len)
            vec_push(&stack, ((struct clone_frame){child, copy}));
    }
    vec_deinit(&stack);
    return root;
}

/* --- equal */

struct equal_frame { const struct json *a, *b; uint32_t at; };

static bool same_number(const struct json *a, const struct json *b)
{
    const struct json *i = a->type == JSON_INT ? a : b;
    double d = i == a ? b->d : a->d;

    if (a->type == b->type)
        return a->type == JSON_INT ? a->i == b->i : a->d == b->d;
    return d >= -0x1p63 && d < 0x1p63 && (int64_t)d == i->i && (double)(int64_t)d == d;
}

/* The nodes themselves, without their children. */
static bool same_node(const struct json *a, const struct json *b)
{
    bool number = a->type == JSON_INT || a->type == JSON_FLOAT;

    if (number && (b->type == JSON_INT || b->type == JSON_FLOAT))
        return same_number(a, b);
    if (a->type != b->type)
        return false;
    switch (a->type) {
    case JSON_BOOL:
        return a->b == b->b;
    case JSON_STRING:
        return a->len == b->len && memcmp(a->s, b->s, a->len) == 0;
    case JSON_ARRAY:
    case JSON_OBJECT:
        return a->len == b->len;
    default:
        return true;
    }
}

/* The partner of a member of f->a in f->b; equal order is found without a search. */
static const struct json *equal_partner(const struct equal_frame *f, uint32_t at)
{
    const struct json_member *m, *same;

    if (f->a->type == JSON_ARRAY)
        return f->b->items[at];
    m = &f->a->members[at];
    same = &f->b->members[at];
    if (m->key_len == same->key_len && memcmp(m->key, same->key, m->key_len) == 0)
        return same->val;
    return json_getn(f->b, m->key, m->key_len);
}

bool json_equal(const struct json *a, const struct json *b)
{
    VEC(struct equal_frame) stack = {0};
    bool same;

    if (!a || !b)
        return a == b;
    same = same_node(a, b);
    if (same && is_container(a))
        vec_push(&stack, ((struct equal_frame){a, b, 0}));
    while (same && stack.len) {
        struct equal_frame *f = &stack.v[stack.len - 1];
        const struct json *x, *y;

        if (f->at == f->a->len) {
            stack.len--;
            continue;
        }
        x = f->a->type == JSON_ARRAY ? f->a->items[f->at] : f->a->members[f->at].val;
        y = equal_partner(f, f->at++);
        same = y && same_node(x, y);
        if (same && is_container(x) && x != y)
            vec_push(&stack, ((struct equal_frame){x, y, 0}));
    }
    vec_deinit(&stack);
    return same;
}

/* --- sort */

static int compare_members(const void *x, const void *y)
{
    const struct json_member *a = x, *b = y;
    size_t len = a->key_len < b->key_len ? a->key_len : b->key_len;
    int order = memcmp(a->key, b->key, len);

    if (order)
        return order;
    return a->key_len < b->key_len ? -1 : a->key_len > b->key_len;
}

static void sort_object(struct json *obj)
{
    for (uint32_t i = 1; i < obj->len; i++) {
        if (compare_members(&obj->members[i - 1], &obj->members[i]) > 0) {
            qsort(obj->members, obj->len, sizeof(*obj->members), compare_members);
            json_index_rebuild(obj);
            return;
        }
    }
}

void json_sort_keys(struct json *v)
{
    VEC(struct json *) todo = {0};

    if (v && is_container(v))
        vec_push(&todo, v);
    while (todo.len) {
        struct json *at = todo.v[--todo.len];

        if (at->type == JSON_OBJECT)
            sort_object(at);
        for (uint32_t i = 0; i < at->len; i++) {
            struct json *child = at->type == JSON_ARRAY ? at->items[i] : at->members[i].val;

            if (is_container(child) && child->len)
                vec_push(&todo, child);
        }
    }
    vec_deinit(&todo);
}

/* --- cost */

struct json_cost json_index_cost(const struct json *v)
{
    VEC(struct equal_frame) stack = {0};
    struct json_cost cost = {.nodes = 1, .bytes = 64};

    cost.bytes += v->type == JSON_STRING ? v->len : 0;
    if (is_container(v))
        vec_push(&stack, ((struct equal_frame){.a = v}));
    while (stack.len) {
        struct equal_frame *f = &stack.v[stack.len - 1];
        const struct json *child;

        cost.depth = stack.len > cost.depth ? stack.len : cost.depth;
        if (f->at == 0)       /* places and index of its children */
            cost.bytes += f->a->len * 64 + 512;
        if (f->at == f->a->len) {
            stack.len--;
            continue;
        }
        if (f->a->type == JSON_OBJECT)
            cost.bytes += f->a->members[f->at].key_len + 32;
        child = f->a->type == JSON_ARRAY ? f->a->items[f->at] : f->a->members[f->at].val;
        f->at++;
        cost.nodes++;
        cost.bytes += 64 + (child->type == JSON_STRING ? child->len : 0);
        if (is_container(child))
            vec_push(&stack, ((struct equal_frame){.a = child}));
    }
    vec_deinit(&stack);
    return cost;
}
