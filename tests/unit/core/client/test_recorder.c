#include "core/client/recorder.h"

#include "tests/fake/fake_client.h"
#include "tests/fake/fake_env.h"
#include "tests/harness/test.h"

static const struct kind *kind_ev(void) { return kind_by_gvk("", "v1", "Event"); }

static struct object *last_event(struct fake_client *f)
{
    struct object *o, *last = NULL;

    for (size_t at = 0; (o = fake_client_next(f, kind_ev(), &at));)
        last = o;
    return last;
}

TEST(counts_and_limits)
{
    struct fake_env env;
    struct loop *loop;
    struct fake_client *f;
    struct recorder *r;
    struct object *o, *e;
    struct arena *a = arena_new(0);
    struct err err = ERR_INIT;
    size_t at = 0;

    fake_env_init(&env, 1);
    EXPECT_OK(loop_new(&loop, &env.env, &err), &err);
    f = fake_client_new(loop);
    r = recorder_new(fake_client_door(f), "tester", "");
    o = fake_client_put(f, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n");
    recorder_normal(r, o, "Did", "this %d", 1);
    fake_client_run(f);
    recorder_normal(r, o, "Did", "this %d", 1);
    fake_client_run(f);
    EXPECT_EQ(fake_client_count(f, kind_ev()), 1);
    e = fake_client_next(f, kind_ev(), &at);
    EXPECT_EQ(json_get_int(object_tree(e, a), "count", 0), 2);
    EXPECT_STR(json_path_str(object_tree(e, a), "involvedObject.kind"), "ConfigMap");
    for (int i = 0; i < 9; i++)
        recorder_warning(r, o, "Did", "that %d", i);
    fake_client_run(f);
    EXPECT_EQ(fake_client_count(f, kind_ev()), 10);
    for (int i = 9; i < 40; i++)                         /* 14 of them until the object is mute */
        recorder_warning(r, o, "Did", "that %d", i);
    fake_client_run(f);
    EXPECT_EQ(fake_client_count(f, kind_ev()), 11);
    e = last_event(f);
    EXPECT_STR(json_get_str(object_tree(e, a), "message"),
               "(combined from similar events): that 22");
    EXPECT_EQ(json_get_int(object_tree(e, a), "count", 0), 14);
    fake_env_advance(&env, RECORDER_REFILL_MS);
    recorder_warning(r, o, "Other", "more");
    recorder_warning(r, o, "Other", "too much");
    fake_client_run(f);
    EXPECT_EQ(fake_client_count(f, kind_ev()), 12);
    recorder_free(r);
    fake_client_free(f);
    loop_free(loop);
    arena_free(a);
}
