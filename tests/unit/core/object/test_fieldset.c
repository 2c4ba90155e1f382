#include "core/object/fieldset.h"
#include "tests/harness/test.h"
#include "tests/unit/core/object/quotes.h"

static struct json *set(struct arena *a, const char *text)
{
    struct json *v = NULL;
    struct err err = ERR_INIT;
    const char *json = quotes(a, text);

    EXPECT_OK(json_parse(&v, a, json, strlen(json), NULL, &err), &err);
    return v;
}

#define EXPECT_SET(a, got, want) EXPECT(json_equal((got), set((a), (want))))

TEST(operations)
{
    struct arena *a = arena_new(0);
    struct json *x = set(a, "{'f:a':{'.':{},'f:b':{},'f:c':{}},'f:d':{}}");
    struct json *y = set(a, "{'f:a':{'f:b':{},'f:e':{}},'f:f':{}}");

    EXPECT_SET(a, fieldset_union(a, x, y),
               "{'f:a':{'.':{},'f:b':{},'f:c':{},'f:e':{}},'f:d':{},'f:f':{}}");
    EXPECT_SET(a, fieldset_difference(a, x, y), "{'f:a':{'.':{},'f:c':{}},'f:d':{}}");
    EXPECT_SET(a, fieldset_intersection(a, x, y), "{'f:a':{'f:b':{}}}");
    EXPECT_SET(a, fieldset_difference(a, x, set(a, "{'f:a':{}}")),
               "{'f:a':{'f:b':{},'f:c':{}},'f:d':{}}");
    EXPECT_SET(a, fieldset_difference(a, x, x), "{}");
    EXPECT_SET(a, fieldset_intersection(a, x, set(a, "{'f:a':{}}")), "{'f:a':{}}");
    EXPECT(fieldset_is_empty(set(a, "{}")));
    EXPECT(fieldset_is_empty(NULL));
    EXPECT(!fieldset_is_empty(x));
    arena_free(a);
}

TEST(members)
{
    struct arena *a = arena_new(0);
    struct json *x = set(a, "{'f:leaf':{},'f:both':{'.':{},'f:b':{}},'f:below':{'f:c':{}}}");
    struct json *made = json_object(a);

    EXPECT(fieldset_is_member(json_get(x, "f:leaf")));
    EXPECT(fieldset_is_member(json_get(x, "f:both")));
    EXPECT(!fieldset_is_member(json_get(x, "f:below")));
    EXPECT(!fieldset_is_member(NULL));
    fieldset_put(a, made, "f:leaf", true, NULL);
    fieldset_put(a, made, "f:both", true, set(a, "{'f:b':{}}"));
    fieldset_put(a, made, "f:below", false, set(a, "{'f:c':{}}"));
    fieldset_put(a, made, "f:none", false, set(a, "{}"));
    EXPECT(json_equal(made, x));
    arena_free(a);
}
