#include "core/object/status.h"
#include "tests/harness/test.h"

static void expect_text(const struct status *s, const char *text)
{
    _cleanup_buf_ struct buf b = BUF_INIT;

    status_write(&b, s);
    EXPECT_STR(b.p, text);
}

TEST(resource_errors)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    const struct kind *k = kind_by_resource("apps", "v1", "deployments");

    expect_text(status_not_found(a, k, "x"),
        "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\","
        "\"message\":\"deployments.apps \\\"x\\\" not found\",\"reason\":\"NotFound\","
        "\"details\":{\"name\":\"x\",\"group\":\"apps\",\"kind\":\"deployments\"},\"code\":404}");
    EXPECT_STR(status_forbidden(a, k, "", "no")->message, "deployments.apps is forbidden: no");
    EXPECT_STR(status_conflict(a, k, "x", "why")->message,
               "Operation cannot be fulfilled on deployments.apps \"x\": why");
    EXPECT_EQ(status_exists(a, k, "x")->code, 409);
}

TEST(invalid)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    struct causes c = { .a = a };
    struct status *s, *back;
    _cleanup_buf_ struct buf b = BUF_INIT;
    struct json *body = NULL;
    struct err err = ERR_INIT;

    causes_add(&c, CAUSE_REQUIRED, "spec.a", NULL, "%s", "");
    causes_add(&c, CAUSE_INVALID, "spec.b", json_str(a, "x\"y"), "bad");
    causes_add(&c, CAUSE_INVALID, "spec.b", json_str(a, "x\"y"), "bad");
    causes_add(&c, CAUSE_INVALID, "spec.n", json_int(a, -1), "low");
    s = status_invalid(a, kind_by_resource("", "v1", "pods"), "p", &c);
    EXPECT_STR(s->message, "Pod \"p\" is invalid: [spec.a: Required value, "
               "spec.b: Invalid value: \"x\\\"y\": bad, spec.n: Invalid value: -1: low]");
    status_write(&b, s);
    EXPECT_OK(json_parse(&body, a, b.p, b.len, NULL, &err), &err);
    back = status_read(a, body);
    EXPECT(back != NULL);
    EXPECT_EQ(back->code, 422);
    EXPECT_EQ(back->causes->len, 4);
    EXPECT_EQ(back->causes->v[0].type, CAUSE_REQUIRED);
    EXPECT_STR(back->causes->v[3].field, "spec.n");
}

TEST(from_err)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    struct err err = ERR_INIT;

    err_set(&err, ERR_TIMEOUT, "slow");
    EXPECT_EQ(status_from_err(a, &err)->code, 504);
    err_set(&err, ERR_FAILED, "boom");
    EXPECT_STR(status_from_err(a, &err)->message, "Internal error occurred: boom");
    EXPECT(status_read(a, json_object(a)) == NULL);
}
