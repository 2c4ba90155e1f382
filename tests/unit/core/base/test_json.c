/* test_json.c -- building, reading and changing trees. */
#include "core/base/json.h"

#include "tests/harness/test.h"

static void expect_text(const struct json *v, const char *want)
{
    _cleanup_buf_ struct buf b = BUF_INIT;

    json_write(&b, v);
    EXPECT_STR(b.p, want);
}

static struct json *parsed(struct arena *a, const char *text)
{
    struct json *v = NULL;
    struct err err;

    EXPECT_OK(json_parse(&v, a, text, strlen(text), NULL, &err), &err);
    return v;
}

TEST(build)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    struct json *o = json_object(a);
    struct json *list = json_ensure_array(a, o, "list");

    json_set_str(a, o, "s", "x");
    json_set_str(a, o, "none", NULL);
    json_set_int(a, o, "i", -5);
    json_set_bool(a, o, "b", true);
    json_set(a, o, "f", json_float(a, 1.5));
    json_set(a, o, "n", NULL);
    json_append(a, list, json_fmt(a, "%d%%", 5));
    json_insert(a, list, 0, json_int(a, 0));
    json_insert(a, list, 2, json_int(a, 2));
    expect_text(o, "{\"list\":[0,\"5%\",2],\"s\":\"x\",\"none\":null,\"i\":-5,\"b\":true,"
                   "\"f\":1.5,\"n\":null}");
    json_remove(list, 1);
    json_set_int(a, o, "s", 1);
    EXPECT(json_del(o, "i"));
    EXPECT(!json_del(o, "i"));
    EXPECT(json_ensure_array(a, o, "list") == list);
    json_set_str(a, json_ensure_object(a, o, "b"), "c", "d");
    expect_text(o, "{\"list\":[0,2],\"s\":1,\"none\":null,\"b\":{\"c\":\"d\"},\"f\":1.5,"
                   "\"n\":null}");
}

TEST(read)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    struct json *v = parsed(a, "{\"a\":{\"b\":{\"c\":\"x\"},\"n\":3,\"f\":3.0,\"g\":3.5},"
                               "\"t\":true,\"l\":[1,2],\"a.b\":1}");
    struct json *it;
    int sum = 0, members = 0;

    EXPECT_STR(json_path_str(v, "a.b.c"), "x");
    EXPECT(json_path(v, "a.x.c") == NULL);
    EXPECT(json_path(v, "a.n.c") == NULL);
    EXPECT(json_path_str(v, "a.n") == NULL);
    EXPECT(json_path(v, "a.b") != json_get(v, "a.b"));
    EXPECT_EQ(json_get_int(json_get(v, "a"), "n", 7), 3);
    EXPECT_EQ(json_get_int(json_get(v, "a"), "f", 7), 3);
    EXPECT_EQ(json_get_int(json_get(v, "a"), "g", 7), 7);
    EXPECT_EQ(json_get_int(json_get(v, "a"), "missing", 7), 7);
    EXPECT(json_get_bool(v, "t", false));
    EXPECT(json_get_bool(v, "l", true));
    EXPECT_STR(json_get_str(json_path(v, "a.b"), "c"), "x");
    EXPECT_EQ(json_len(json_get(v, "l")), 2);
    EXPECT_EQ(json_len(v), 4);
    EXPECT_EQ(json_len(json_get(v, "t")), 0);
    EXPECT_EQ(json_at(json_get(v, "l"), 1)->i, 2);
    EXPECT(json_at(json_get(v, "l"), 2) == NULL);
    json_each(it, json_get(v, "l"))
        sum += (int)it->i;
    EXPECT_EQ(sum, 3);
    json_each(it, json_get(v, "t"))
        EXPECT(0);
    json_each_member(m, v)
        members += (int)m->key_len;
    EXPECT_EQ(members, 6);
    json_each_member(m, json_get(v, "l"))
        EXPECT(m == NULL);
    EXPECT(json_get(NULL, "x") == NULL && json_at(NULL, 0) == NULL && json_len(NULL) == 0);
    EXPECT(json_text(NULL) == NULL && json_path(NULL, "a") == NULL && !json_del(NULL, "x"));
}

TEST(large_objects)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    struct json *o = json_object(a);
    char key[16];

    for (int i = 0; i < 5000; i++) {
        snprintf(key, sizeof(key), "k%d", i);
        json_set_int(a, o, key, i);
    }
    for (int i = 0; i < 5000; i += 3) {
        snprintf(key, sizeof(key), "k%d", i);
        EXPECT(json_del(o, key));
        EXPECT(!json_get(o, key));
    }
    for (int i = 0; i < 5000; i++) {
        snprintf(key, sizeof(key), "k%d", i);
        EXPECT_EQ(json_get_int(o, key, -1), i % 3 ? i : -1);
    }
    EXPECT_EQ(o->len, 5000 - 1667);
    for (int round = 0; round < 30000; round++) {       /* tombstones do not pile up */
        json_set_int(a, o, "x", round);
        EXPECT_EQ(json_get_int(o, "x", -1), round);
        EXPECT(json_del(o, "x"));
    }
    json_sort_keys(o);
    EXPECT_STR(o->members[0].key, "k1");
    EXPECT_STR(o->members[1].key, "k10");
    for (int i = 0; i < 5000; i++) {
        snprintf(key, sizeof(key), "k%d", i);
        EXPECT_EQ(json_get_int(o, key, -1), i % 3 ? i : -1);
    }
}

TEST(index_survives_cuts_by_hand)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    struct json *o = json_object(a);
    char key[16];

    for (int i = 0; i < 100; i++) {
        snprintf(key, sizeof(key), "k%d", i);
        json_set_int(a, o, key, i);
    }
    for (int i = 0; i < 50; i++)
        o->members[i] = o->members[i * 2];
    o->len = 50;
    EXPECT_EQ(json_get_int(o, "k98", -1), 98);
    EXPECT_EQ(json_get_int(o, "k99", -1), -1);
    json_set_int(a, o, "new", 5);
    EXPECT_EQ(json_get_int(o, "new", -1), 5);
    EXPECT_EQ(json_get_int(o, "k98", -1), 98);
    EXPECT_EQ(json_get_int(o, "k97", -1), -1);
}

TEST(equal)
{
    static const struct { const char *a, *b; bool same; } cases[] = {
        {"1", "1.0", true}, {"1", "1.5", false}, {"1", "\"1\"", false}, {"null", "false", false},
        {"9007199254740993", "9007199254740992.0", false}, {"1e3", "1000", true},
        {"[1,2]", "[2,1]", false}, {"[1,2]", "[1,2]", true}, {"[1]", "[1,1]", false},
        {"{\"a\":1,\"b\":[{}]}", "{\"b\":[{}],\"a\":1}", true}, {"{}", "[]", false},
        {"{\"a\":1}", "{\"b\":1}", false}, {"{\"a\":null}", "{\"b\":null}", false},
        {"\"a\\u0000b\"", "\"a\\u0000c\"", false},
        {"{\"a\":{\"b\":1}}", "{\"a\":{\"b\":2}}", false},
    };
    _cleanup_(arena_freep) struct arena *a = arena_new(0);

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        EXPECT_EQ(json_equal(parsed(a, cases[i].a), parsed(a, cases[i].b)), cases[i].same);
        EXPECT_EQ(json_equal(parsed(a, cases[i].b), parsed(a, cases[i].a)), cases[i].same);
    }
    EXPECT(json_equal(NULL, NULL));
    EXPECT(!json_equal(NULL, parsed(a, "null")));
}

TEST(clone_shares_nothing)
{
    const char *text = "{\"a\":[1,{\"b\":\"x\",\"c\":[]}],\"d\":{},\"e\":-1.5,\"f\":null,"
                       "\"g\":true}";
    struct arena *a = arena_new(0);
    _cleanup_(arena_freep) struct arena *b = arena_new(0);
    struct json *v = parsed(a, text);
    struct json *copy = json_clone(b, v);

    EXPECT(json_equal(v, copy));
    arena_free(a);
    expect_text(copy, text);
    json_set_int(b, copy, "h", 1);
    json_append(b, json_get(copy, "a"), json_int(b, 2));
    EXPECT_EQ(json_len(copy), 6);
    EXPECT(json_clone(b, NULL) == NULL);
}

TEST(sort)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    struct json *v = parsed(a, "{\"b\":[{\"z\":1,\"y\":2}],\"a\":{\"d\":1,\"c\":2},\"ab\":0,"
                               "\"B\":0}");

    json_sort_keys(v);
    expect_text(v, "{\"B\":0,\"a\":{\"c\":2,\"d\":1},\"ab\":0,\"b\":[{\"y\":2,\"z\":1}]}");
    json_sort_keys(NULL);
}

TEST(deep_trees_take_no_stack)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(512u << 20);
    _cleanup_buf_ struct buf b = BUF_INIT;
    struct json *v = json_array(a);
    struct json *copy;

    for (int i = 0; i < 1000000; i++) {
        struct json *outer = json_array(a);

        json_append(a, outer, v);
        v = outer;
    }
    copy = json_clone(a, v);
    EXPECT(json_equal(v, copy));
    json_sort_keys(v);
    json_write(&b, v);
    EXPECT_EQ(b.len, 2000002);
}

TEST(type_names)
{
    EXPECT_STR(json_type_name(JSON_INT), "number");
    EXPECT_STR(json_type_name(JSON_OBJECT), "object");
}
