#include <linux/capability.h>

#include "runtime/oci/plan.h"
#include "tests/harness/test.h"

#define BIT(c) ((uint64_t)1 << (c))

static struct oci_plan sample(struct arena *a)
{
    struct oci_plan p;
    struct plan_mount *m;

    plan_defaults(&p, a, false);
    p.id = "c-1";
    p.rootfs.dir = "/rootfs";
    plan_add_text(&p.args, a, "/bin/app");
    plan_add_text(&p.args, a, "two words \"quoted\"\n");
    plan_add_text(&p.env, a, "A=1");
    p.user = "web:www";
    p.gid = 7;
    p.groups.v[p.groups.len++] = 100;
    p.tty = true;
    p.tty_rows = 24;
    p.oom_score_adj = -998;
    p.rlimits.v = arena_alloc(a, sizeof(*p.rlimits.v));
    p.rlimits.v[p.rlimits.len++] = (struct plan_rlimit){ "nofile", 1024, UINT64_MAX };
    p.sysctls.v = arena_alloc(a, sizeof(*p.sysctls.v));
    p.sysctls.v[p.sysctls.len++] = (struct plan_sysctl){ "net.core.somaxconn", "128" };
    m = plan_add_mount(&p, a);
    *m = (struct plan_mount){ .kind = PLAN_BIND, .source = "/vol", .subpath = "a/b", .dest = "/data",
                              .recursive = true, .propagation = PLAN_SLAVE, .mode = 0700 };
    return p;
}

TEST(record_keeps_everything)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    struct oci_plan p = sample(a), q;
    struct buf one = BUF_INIT, two = BUF_INIT;
    struct err err = ERR_INIT;

    EXPECT_OK(plan_check(&p, &err), &err);
    plan_encode(&one, &p);
    EXPECT_OK(plan_decode(&q, a, one.p, one.len, &err), &err);
    plan_encode(&two, &q);
    EXPECT_STR(one.p, two.p);
    EXPECT_EQ(q.mounts.len, p.mounts.len);
    EXPECT_STR(q.mounts.v[q.mounts.len - 1].subpath, "a/b");
    EXPECT_EQ(q.mounts.v[q.mounts.len - 1].propagation, PLAN_SLAVE);
    EXPECT_STR(q.args.v[1], "two words \"quoted\"\n");
    EXPECT_EQ(q.uid, PLAN_NO_ID);
    EXPECT_EQ(q.gid, 7);
    EXPECT_EQ(q.groups.v[0], 100);
    EXPECT(q.rlimits.v[0].hard == UINT64_MAX);
    EXPECT_EQ(q.caps[PLAN_CAP_BOUNDING], plan_caps_default());
    EXPECT_EQ(q.oom_score_adj, -998);
    EXPECT_STR(q.sysctls.v[0].value, "128");
    EXPECT_EQ(q.masked.len, p.masked.len);
    buf_deinit(&one);
    buf_deinit(&two);
}

TEST(bad_records)
{
    static const struct { const char *text; int code; } cases[] = {
        { "", ERR_INVALID }, { "[]", ERR_INVALID }, { "{\"id\":1}", ERR_INVALID },
        { "{\"args\":[1]}", ERR_INVALID }, { "{\"args\":\"x\"}", ERR_INVALID },
        { "{\"mounts\":[{\"kind\":99}]}", ERR_INVALID }, { "{\"mounts\":[7]}", ERR_INVALID },
        { "{\"umask\":100000}", ERR_INVALID }, { "{\"rlimits\":[{}]}", ERR_INVALID },
        { "{\"id\":\"a\\u0000b\"}", ERR_INVALID },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(arena_freep) struct arena *a = arena_new(0);
        struct err err = ERR_INIT;
        struct oci_plan p;

        EXPECT_ERR(plan_decode(&p, a, cases[i].text, strlen(cases[i].text), &err), &err, cases[i].code);
    }
}

static void expect_bad(struct oci_plan *p, const char *part)
{
    struct err err = ERR_INIT;

    EXPECT(plan_check(p, &err) < 0);
    if (!strstr(err.msg, part))
        test_fail(__FILE__, __LINE__, "\"%s\" does not say \"%s\"", err.msg, part);
}

TEST(checks_name_the_field)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    struct oci_plan good = sample(a), p = good;
    struct plan_mount *m = &good.mounts.v[good.mounts.len - 1], kept = *m;

    p.id = "";
    expect_bad(&p, "id");
    p = good;
    p.args.len = 0;
    expect_bad(&p, "args");
    p = good;
    plan_add_text(&p.env, a, "novalue");
    expect_bad(&p, "env");
    p = good;
    p.cwd = "relative";
    expect_bad(&p, "cwd");
    p = good;
    p.rootfs.dir = NULL;
    expect_bad(&p, "rootfs");
    p.rootfs.lower.v = &(const char *){ "/a" };
    p.rootfs.lower.len = 1;
    p.rootfs.upper = "/u";
    expect_bad(&p, "rootfs");
    p.rootfs.lower.len = PLAN_LOWER_MAX + 1;
    expect_bad(&p, "layers");
    p = good;
    p.seccomp = PLAN_SECCOMP_PROFILE;
    expect_bad(&p, "Localhost");
    p = good;
    p.oom_score_adj = 1001;
    expect_bad(&p, "oom_score_adj");
    p = good;
    p.uid = (int64_t)INT32_MAX + 1;
    expect_bad(&p, "uid");
    p = good;
    m->dest = "x";
    expect_bad(&p, "destination");
    m->dest = "//";
    expect_bad(&p, "can't be '/'");
    m->dest = "/a/../b";
    expect_bad(&p, "..");
    *m = kept;
    m->source = NULL;
    expect_bad(&p, "source");
    *m = kept;
    m->subpath = "../up";
    expect_bad(&p, "subpath");
    *m = kept;
    m->kind = PLAN_TMPFS;
    expect_bad(&p, "only a bind");
}

TEST(a_further_process_has_no_mounts)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    struct oci_plan p = sample(a);
    struct err err = ERR_INIT;

    EXPECT_ERR(plan_check_exec(&p, &err), &err, ERR_INVALID);
    p.mounts.len = 0;
    p.rootfs.dir = NULL;
    EXPECT_OK(plan_check_exec(&p, &err), &err);
}

TEST(capabilities)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    struct oci_plan p;
    struct plan_texts add = { 0 }, drop = { 0 };
    struct err err = ERR_INIT;

    EXPECT_EQ(plan_cap("NET_ADMIN"), CAP_NET_ADMIN);
    EXPECT_EQ(plan_cap("cap_net_admin"), CAP_NET_ADMIN);
    EXPECT_EQ(plan_cap("ALL"), PLAN_CAP_ALL);
    EXPECT_EQ(plan_cap("NONSENSE"), -1);
    EXPECT_EQ(plan_caps_default(), 0xa80425fb);
    plan_defaults(&p, a, false);
    plan_add_text(&add, a, "NET_ADMIN");
    plan_add_text(&drop, a, "ALL");
    EXPECT_OK(plan_set_caps(&p, &add, &drop, &err), &err);
    EXPECT_EQ(p.caps[PLAN_CAP_EFFECTIVE], BIT(CAP_NET_ADMIN));
    EXPECT_EQ(p.caps[PLAN_CAP_INHERITABLE], 0);
    plan_defaults(&p, a, false);
    add.v[0] = "ALL";
    drop.v[0] = "CAP_SYS_ADMIN";
    EXPECT_OK(plan_set_caps(&p, &add, &drop, &err), &err);
    EXPECT_EQ(p.caps[PLAN_CAP_BOUNDING], plan_caps_all() & ~BIT(CAP_SYS_ADMIN));
    drop.v[0] = "SYS_NONE";
    EXPECT_ERR(plan_set_caps(&p, &add, &drop, &err), &err, ERR_INVALID);
    plan_defaults(&p, a, true);
    EXPECT_EQ(p.caps[PLAN_CAP_BOUNDING], plan_caps_all());
    EXPECT_EQ(p.masked.len, 0);
}
