#include "store/watch/watch.h"

#include "core/base/mem.h"
#include "tests/harness/test.h"

struct fixture { struct watch_cache *cache; struct loop *loop; int64_t rev; unsigned told; };

static struct fixture setup(void)
{
    struct fixture f = { .cache = watch_cache_new(env_real()), .rev = 100 };
    struct err err = ERR_INIT;

    EXPECT_OK(loop_new(&f.loop, env_real(), &err), &err);
    watch_cache_ready(f.cache, f.rev);
    return f;
}

static void teardown(struct fixture *f)
{
    watch_cache_free(f->cache);
    loop_free(f->loop);
}

static int64_t put(struct fixture *f, const char *ns, const char *name, const char *value)
{
    char key[KV_KEY_BYTES_MAX], text[512];
    struct kv_change c = { .key = key, .revision = ++f->rev };

    watch_key(key, kind_config_map(), ns, name);
    snprintf(text, sizeof(text), "{\"kind\":\"ConfigMap\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"%s\","
             "\"namespace\":\"%s\",\"uid\":\"u\",\"resourceVersion\":\"\"},\"data\":{\"v\":\"%s\"}}", name, ns,
             value);
    c.value = text;
    c.value_len = strlen(text);
    watch_cache_apply(f->cache, &c);
    return f->rev;
}

static void del(struct fixture *f, const char *ns, const char *name)
{
    char key[KV_KEY_BYTES_MAX];
    struct kv_change c = { .key = key, .revision = ++f->rev };

    watch_key(key, kind_config_map(), ns, name);
    watch_cache_apply(f->cache, &c);
}

static char *names(struct fixture *f, struct watch_list_opts o)
{
    struct watch_list l;
    struct err err = ERR_INIT;
    struct buf b = BUF_INIT;

    o.kind = kind_config_map();
    o.ns = o.ns ? o.ns : "";
    EXPECT_OK(watch_cache_list(&l, f->cache, &o, &err), &err);
    for (size_t i = 0; i < l.len; i++)
        buf_fmt(&b, "%s/%s@%lld ", object_ns(l.v[i]), object_name(l.v[i]), (long long)object_rv(l.v[i]));
    buf_fmt(&b, "rv=%lld more=%d remaining=%zu", (long long)l.revision, l.more, l.remaining);
    watch_list_deinit(&l);
    return buf_take(&b, NULL);
}

#define EXPECT_NAMES(f, text, ...)                                                                 \
    do {                                                                                           \
        char *got_ = names(f, (struct watch_list_opts){ __VA_ARGS__ });                  \
        EXPECT_STR(got_, text);                                                                    \
        mem_free(got_);                                                                            \
    } while (0)

TEST(lists_are_sorted_limited_and_of_the_past)
{
    struct fixture f = setup();

    put(&f, "b", "x", "1");
    put(&f, "a", "y", "1");
    put(&f, "a", "x", "1");
    put(&f, "a-b", "x", "1");
    EXPECT_NAMES(&f, "a-b/x@104 a/x@103 a/y@102 b/x@101 rv=104 more=0 remaining=0", .limit = 0);
    EXPECT_NAMES(&f, "a/x@103 a/y@102 rv=104 more=0 remaining=0", .ns = "a");
    EXPECT_NAMES(&f, "a-b/x@104 a/x@103 rv=104 more=1 remaining=2", .limit = 2);
    EXPECT_NAMES(&f, "a/y@102 b/x@101 rv=104 more=0 remaining=0", .limit = 2, .after = "configmaps/a/x");
    put(&f, "a", "x", "2");
    del(&f, "b", "x");
    EXPECT_NAMES(&f, "a-b/x@104 a/x@103 a/y@102 b/x@101 rv=104 more=0 remaining=0", .at = 104);
    EXPECT_NAMES(&f, "a-b/x@104 a/x@105 a/y@102 rv=106 more=0 remaining=0", .limit = 0);
    teardown(&f);
}

TEST(too_old_lists_are_expired)
{
    struct fixture f = setup();
    struct watch_list_opts o = { .kind = kind_config_map(), .ns = "", .at = 99 };
    struct watch_list l;
    struct err err = ERR_INIT;

    EXPECT_ERR(watch_cache_list(&l, f.cache, &o, &err), &err, ERR_EXPIRED);
    teardown(&f);
}

TEST(many_objects_keep_their_order)
{
    struct fixture f = setup();
    struct watch_list_opts o = { .kind = kind_config_map(), .ns = "" };
    struct watch_list l;
    struct err err = ERR_INIT;
    char name[32];

    for (unsigned i = 0; i < 2000; i++) {
        snprintf(name, sizeof(name), "n%05u", i * 7919 % 2000);
        put(&f, "a", name, "1");
    }
    for (unsigned i = 0; i < 2000; i += 2) {
        snprintf(name, sizeof(name), "n%05u", i);
        del(&f, "a", name);
    }
    EXPECT_OK(watch_cache_list(&l, f.cache, &o, &err), &err);
    EXPECT_EQ(l.len, 1000);
    for (unsigned i = 0; i < l.len; i++) {
        snprintf(name, sizeof(name), "n%05u", 2 * i + 1);
        EXPECT_STR(object_name(l.v[i]), name);
    }
    watch_list_deinit(&l);
    teardown(&f);
}

static void on_more(void *ctx)
{
    ((struct fixture *)ctx)->told++;
}

static const char *next(struct watch_cursor *c, char text[128])
{
    struct watch_event *e;
    struct err err = ERR_INIT;

    EXPECT_OK(watch_cursor_next(c, &e, &err), &err);
    if (!e)
        return "";
    snprintf(text, 128, "%d %s@%lld%s", (int)e->type, object_name(e->object), (long long)object_rv(e->object),
             e->prev ? " prev" : "");
    watch_event_unref(e);
    return text;
}

TEST(cursors_are_told_once_and_see_all)
{
    struct fixture f = setup();
    struct watch_cursor_opts o = { .kind = kind_config_map(), .ns = "a", .after = 101, .loop = f.loop,
                                   .on_more = on_more, .ctx = &f };
    struct watch_cursor *c;
    struct err err = ERR_INIT;
    char t[128];

    put(&f, "a", "x", "1");
    EXPECT_OK(watch_cursor_new(&c, f.cache, &o, &err), &err);
    put(&f, "a", "x", "2");
    put(&f, "b", "x", "2");
    del(&f, "a", "x");
    loop_step(f.loop, 0);
    EXPECT_EQ(f.told, 1);
    EXPECT_STR(next(c, t), "1 x@102 prev");
    EXPECT_STR(next(c, t), "2 x@104 prev");
    EXPECT_STR(next(c, t), "");
    EXPECT_EQ(watch_cursor_revision(c), 104);
    put(&f, "a", "y", "2");
    loop_step(f.loop, 0);
    EXPECT_EQ(f.told, 2);
    EXPECT_STR(next(c, t), "0 y@105");
    put(&f, "a", "z", "2");
    watch_cursor_free(c);                    /* while it is to be told again */
    loop_step(f.loop, 0);
    EXPECT_EQ(f.told, 2);
    teardown(&f);
}

TEST(a_cursor_that_falls_behind_is_expired)
{
    struct fixture f = setup();
    struct watch_cursor_opts o = { .kind = kind_config_map(), .ns = "", .after = 100, .loop = f.loop,
                                   .on_more = on_more, .ctx = &f };
    struct watch_cursor *c, *late;
    struct watch_event *e;
    struct err err = ERR_INIT;

    EXPECT_OK(watch_cursor_new(&c, f.cache, &o, &err), &err);
    for (unsigned i = 0; i < WATCH_RING_EVENTS + 1; i++)
        put(&f, "a", "x", "1");
    EXPECT_ERR(watch_cursor_next(c, &e, &err), &err, ERR_EXPIRED);
    EXPECT_ERR(watch_cursor_new(&late, f.cache, &o, &err), &err, ERR_EXPIRED);
    o.after = 101;
    EXPECT_OK(watch_cursor_new(&late, f.cache, &o, &err), &err);
    watch_cursor_free(late);
    watch_cursor_free(c);
    teardown(&f);
}

/* Only what it is about wakes it, and nothing else is even looked at. */
TEST(a_cursor_with_a_topic)
{
    struct fixture f = setup();
    struct watch_cursor_opts o = { .kind = kind_config_map(), .ns = "a", .after = 101,
                                   .topic = fieldsel_topic_name("x"), .loop = f.loop,
                                   .on_more = on_more, .ctx = &f };
    struct watch_cursor *c, *same;
    struct err err = ERR_INIT;
    char t[128];

    put(&f, "a", "before", "1");
    put(&f, "a", "y", "1");
    put(&f, "a", "x", "1");
    EXPECT_OK(watch_cursor_new(&c, f.cache, &o, &err), &err);    /* from the past */
    EXPECT_OK(watch_cursor_new(&same, f.cache, &o, &err), &err);
    EXPECT_STR(next(c, t), "0 x@103");
    EXPECT_STR(next(c, t), "");
    watch_cursor_free(same);
    loop_step(f.loop, 0);
    f.told = 0;
    put(&f, "a", "y", "2");
    put(&f, "b", "x", "2");
    loop_step(f.loop, 0);
    EXPECT_EQ(f.told, 0);
    EXPECT_STR(next(c, t), "");
    EXPECT_EQ(watch_cursor_revision(c), 105);
    put(&f, "a", "x", "2");
    put(&f, "a", "y", "3");
    loop_step(f.loop, 0);
    EXPECT_EQ(f.told, 1);
    EXPECT_EQ(watch_cursor_revision(c), 105);
    EXPECT_STR(next(c, t), "1 x@106 prev");
    EXPECT_STR(next(c, t), "");
    EXPECT_EQ(watch_cursor_revision(c), 107);
    del(&f, "a", "x");
    EXPECT_STR(next(c, t), "2 x@108 prev");
    watch_cursor_free(c);
    teardown(&f);
}

/* One that waits has missed nothing, however much else has left the ring. */
TEST(a_quiet_cursor_does_not_fall_behind)
{
    struct fixture f = setup();
    struct watch_cursor_opts o = { .kind = kind_config_map(), .ns = "quiet", .after = 100,
                                   .loop = f.loop, .on_more = on_more, .ctx = &f };
    struct watch_cursor *c;
    struct err err = ERR_INIT;
    char t[128];

    EXPECT_OK(watch_cursor_new(&c, f.cache, &o, &err), &err);
    for (unsigned i = 0; i < WATCH_RING_EVENTS + 1; i++)
        put(&f, "a", "x", "1");
    EXPECT_STR(next(c, t), "");
    put(&f, "quiet", "x", "1");
    loop_step(f.loop, 0);
    EXPECT_EQ(f.told, 1);
    EXPECT_STR(next(c, t), "0 x@16486");
    watch_cursor_free(c);
    teardown(&f);
}

TEST(figures)
{
    struct fixture f = setup();
    _cleanup_buf_ struct buf b = BUF_INIT;

    put(&f, "a", "x", "1");
    put(&f, "a", "y", "1");
    del(&f, "a", "x");
    watch_cache_metrics(f.cache, &b);
    EXPECT(strstr(b.p, "apiserver_resource_objects{group=\"\",resource=\"configmaps\"} 1\n"));
    EXPECT(strstr(b.p, "apiserver_resource_objects{group=\"apps\",resource=\"deployments\"} 0\n"));
    EXPECT(strstr(b.p, "apiserver_storage_objects{resource=\"deployments.apps\"} 0\n"));
    EXPECT(strstr(b.p, "inro_watch_ring_events 3\n"));
    EXPECT(strstr(b.p, "inro_watch_compacted_revision 100\n"));
    teardown(&f);
}
