#include "core/object/codec.h"

#include "core/object/schema.h"
#include "tests/harness/test.h"
#include "tests/unit/core/object/quotes.h"

static void converts(const struct kind *from, const char *text, const struct kind *to,
                     const char *want)
{
    struct arena *a = arena_new(0);
    struct json *raw, *tree, *there, *back;
    struct buf b = BUF_INIT;
    struct err err = ERR_INIT;

    EXPECT_OK(codec_parse(&raw, a, MEDIA_JSON, slice_of(quotes(a, text)), NULL, &err), &err);
    EXPECT_OK(codec_canonical(&tree, a, from->type, raw, NULL, &err), &err);
    EXPECT_OK(codec_convert(&there, a, tree, from, to, &err), &err);
    json_write(&b, there);
    EXPECT_STR(b.p, quotes(a, want));
    EXPECT_OK(codec_convert(&back, a, there, to, from, &err), &err);
    EXPECT(json_equal(back, tree));
    buf_deinit(&b);
    arena_free(a);
}

TEST(events)
{
    converts(kind_events_event(),
             "{'kind':'Event','apiVersion':'events.k8s.io/v1','metadata':{'name':'e'},"
             "'eventTime':'2026-11-24T17:00:00.000001Z','reportingController':'c',"
             "'reportingInstance':'i','action':'a','reason':'r','regarding':{'kind':'Pod'},"
             "'note':'n','type':'Normal','deprecatedCount':3}",
             kind_event(),
             "{'kind':'Event','apiVersion':'v1','metadata':{'name':'e'},"
             "'involvedObject':{'kind':'Pod'},'reason':'r','message':'n','source':{},"
             "'firstTimestamp':null,'lastTimestamp':null,'count':3,'type':'Normal',"
             "'eventTime':'2026-11-24T17:00:00.000001Z','action':'a','reportingComponent':'c',"
             "'reportingInstance':'i'}");
}

TEST(same_version)
{
    const char *text = "{'kind':'ConfigMap','apiVersion':'v1','metadata':{'name':'c'},"
        "'data':{'a':''}}";

    converts(kind_config_map(), text, kind_config_map(), text);
}

TEST(other_objects)
{
    struct arena *a = arena_new(0);
    struct json *out = NULL;
    struct err err = ERR_INIT;

    EXPECT_ERR(codec_convert(&out, a, json_object(a), kind_pod(), kind_node(), &err), &err,
               ERR_UNSUPPORTED);
    EXPECT(!out);
    arena_free(a);
}
