#include "core/client/client_wire.h"

#include "tests/harness/test.h"

TEST(paths)
{
    _cleanup_buf_ struct buf b = BUF_INIT;

    client_wire_path(&b, kind_pod(), "ns", "a", "status");
    EXPECT_STR(b.p, "/api/v1/namespaces/ns/pods/a/status");
    buf_clear(&b);
    client_wire_path(&b, kind_deployment(), "", NULL, NULL);
    client_wire_query(&b, "labelSelector", "a=b,c in (d)");
    client_wire_query(&b, "none", NULL);
    client_wire_query(&b, "limit", "5");
    EXPECT_STR(b.p, "/apis/apps/v1/deployments?labelSelector=a%3Db%2Cc%20in%20%28d%29&limit=5");
    buf_clear(&b);
    client_wire_path(&b, kind_node(), "ignored", "n/1", NULL);
    EXPECT_STR(b.p, "/api/v1/nodes/n%2F1");
}

TEST(members)
{
    struct slice text = SLICE(" { \"a\\\"b\" : \"x}\\\\\" , \"n\":12, \"o\":{\"n\":[1,{\"q\":\"]\"}]},\"last\":null } "), v;

    EXPECT(client_wire_member(text, "n", &v));
    EXPECT(slice_is(v, "12"));
    EXPECT(client_wire_member(text, "o", &v));
    EXPECT(slice_is(v, "{\"n\":[1,{\"q\":\"]\"}]}"));
    EXPECT(client_wire_member(text, "last", &v));
    EXPECT(slice_is(v, "null"));
    EXPECT(!client_wire_member(text, "q", &v));
    EXPECT(!client_wire_member(SLICE("[1]"), "q", &v));
    EXPECT(!client_wire_member(SLICE("{\"q\":{\"a\":1"), "q", &v));
    EXPECT(!client_wire_member(SLICE("{\"q"), "q", &v));
    EXPECT(!client_wire_member(SLICE("{\"q\":"), "q", &v));
    EXPECT(!client_wire_member(SLICE(""), "q", &v));
}

TEST(items)
{
    struct slice rest = SLICE("[ {\"a\":[1,2]} , 3,\"x\"]"), v;

    EXPECT(client_wire_item(&rest, &v));
    EXPECT(slice_is(v, "{\"a\":[1,2]}"));
    EXPECT(client_wire_item(&rest, &v));
    EXPECT(slice_is(v, "3"));
    EXPECT(client_wire_item(&rest, &v));
    EXPECT(slice_is(v, "\"x\""));
    EXPECT(!client_wire_item(&rest, &v));
    rest = SLICE("[]");
    EXPECT(!client_wire_item(&rest, &v));
    rest = SLICE("[{\"a\":");
    EXPECT(!client_wire_item(&rest, &v));
}

TEST(object_of_a_list)
{
    struct object *o = NULL;
    struct err err = ERR_INIT;

    EXPECT_OK(client_wire_object(&o, kind_pod(), SLICE("{\"metadata\":{\"name\":\"a\",\"namespace\":\"n\","
                                                       "\"resourceVersion\":\"7\"}}"), &err), &err);
    EXPECT_STR(object_name(o), "a");
    EXPECT_EQ(object_rv(o), 7);
    o = object_unref(o);
    EXPECT_ERR(client_wire_object(&o, kind_pod(), SLICE("{\"kind\":\"Node\",\"apiVersion\":\"v1\"}"), &err), &err,
               ERR_CORRUPT);
    EXPECT_ERR(client_wire_object(&o, kind_pod(), SLICE("7"), &err), &err, ERR_CORRUPT);
}
