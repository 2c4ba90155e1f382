#include "core/object/selector.h"
#include "tests/harness/test.h"

static const char pod_text[] =
    "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"a\",\"namespace\":\"n\",\"uid\":\"u\","
    "\"resourceVersion\":\"7\",\"labels\":{\"spec\":\"}{\\\"\"}},\"spec\":{\"containers\":[{\"name\":\"c\"}],"
    "\"restartPolicy\":\"Always\",\"nodeName\":\"n1\"},\"status\":{\"phase\":\"Running\"}}";

static bool match(const char *text)
{
    _cleanup_(fieldsel_freep) struct fieldsel *f = NULL;
    _cleanup_(object_unrefp) struct object *o = NULL;
    const struct kind *pod = kind_by_resource("", "v1", "pods");
    struct err err = ERR_INIT;

    EXPECT_OK(object_new(&o, pod, pod_text, strlen(pod_text), 0, &err), &err);
    EXPECT_OK(fieldsel_parse(&f, pod, text, &err), &err);
    return fieldsel_matches(f, o);
}

TEST(matches)
{
    EXPECT(match(""));
    EXPECT(match("metadata.name=a,metadata.namespace==n"));
    EXPECT(!match("metadata.name=b"));
    EXPECT(match("spec.nodeName=n1,status.phase!=Failed"));
    EXPECT(!match("spec.nodeName!=n1"));
    EXPECT(match("spec.hostNetwork=false"));
    EXPECT(match("status.podIP="));
    EXPECT(match("spec.host=n1"));
    EXPECT(!match("spec.restartPolicy=Never"));
}

TEST(errors)
{
    static const char *const bad[][3] = {
        { "pods", "spec.foo=1", "field label not supported: spec.foo" },
        { "configmaps", "data.x=1",
          "\"data.x\" is not a known field selector: only \"metadata.name\", "
          "\"metadata.namespace\"" },
        { "pods", "metadata.name",
          "invalid selector: 'metadata.name'; can't understand 'metadata.name'" },
        { "pods", "metadata.name=a=b", "invalid field selector: unescaped character in value: 61" },
        { "nodes", "metadata.namespace=x", "field label not supported: metadata.namespace" },
    };
    struct err err = ERR_INIT;

    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct fieldsel *f = NULL;

        EXPECT_ERR(fieldsel_parse(&f, kind_by_resource("", "v1", bad[i][0]), bad[i][1], &err), &err,
                   ERR_INVALID);
        EXPECT_STR(err.msg, bad[i][2]);
    }
}

TEST(pins)
{
    _cleanup_(fieldsel_freep) struct fieldsel *f = NULL;
    struct err err = ERR_INIT;

    EXPECT_OK(fieldsel_parse(&f, kind_by_resource("", "v1", "pods"),
                             "metadata.name=a\\,b,metadata.namespace!=x", &err), &err);
    EXPECT_STR(fieldsel_name(f), "a,b");
    EXPECT(fieldsel_ns(f) == NULL);
}

static uint64_t topic_of(const char *text)
{
    _cleanup_(fieldsel_freep) struct fieldsel *f = NULL;
    struct err err = ERR_INIT;

    EXPECT_OK(fieldsel_parse(&f, kind_by_resource("", "v1", "pods"), text, &err), &err);
    return fieldsel_topic(f);
}

static bool has_topic(const char *bytes, uint64_t topic)
{
    uint64_t all[FIELDSEL_TOPICS_MAX];
    struct object *o = NULL;
    struct err err = ERR_INIT;
    bool has = false;

    EXPECT_OK(object_new(&o, kind_pod(), bytes, strlen(bytes), 0, &err), &err);
    for (unsigned i = 0, n = fieldsel_topics(o, all); i < n; i++)
        has = has || all[i] == topic;
    object_unref(o);
    return has;
}

TEST(topics)
{
#define POD(spec) "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"p\"," \
                  "\"namespace\":\"d\",\"uid\":\"u\",\"resourceVersion\":\"7\"}," \
                  "\"spec\":{" spec "}}"
    EXPECT_EQ(topic_of("status.phase=Running"), 0);
    EXPECT_EQ(topic_of("spec.nodeName!=n1"), 0);
    EXPECT_EQ(topic_of("metadata.name=p"), fieldsel_topic_name("p"));
    EXPECT_EQ(topic_of("spec.nodeName=n1,status.phase=Running"), topic_of("spec.nodeName=n1"));
    EXPECT(topic_of("spec.nodeName=p") != topic_of("metadata.name=p"));
    EXPECT(has_topic(POD("\"nodeName\":\"n1\""), topic_of("spec.nodeName=n1")));
    EXPECT(has_topic(POD("\"nodeName\":\"n1\""), fieldsel_topic_name("p")));
    EXPECT(!has_topic(POD("\"nodeName\":\"n1\""), topic_of("spec.nodeName=n2")));
    EXPECT(has_topic(POD(""), topic_of("spec.nodeName=")));
    EXPECT(has_topic(POD("\"nodeName\":\"\""), topic_of("spec.nodeName=")));
}
