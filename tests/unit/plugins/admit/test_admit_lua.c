/* test_admit_lua.c: a folder of plugins: what they did is counted, and told. */
#include "plugins/admit/admit_lua.h"

#include <fcntl.h>
#include <unistd.h>

#include "core/base/fd.h"
#include "core/base/mem.h"
#include "tests/harness/test.h"

struct box {
    struct admit_lua *lua;
    struct arena *a;
    struct buf told;
};

static void on_event(void *ctx, const struct admit_lua_event *e)
{
    buf_fmt(&((struct box *)ctx)->told, "%s %s: %s\n", e->plugin, e->reason, e->message);
}

static void open_box(struct box *b)
{
    *b = (struct box){ .a = arena_new(0) };
    b->lua = admit_lua_new(open(test_tmpdir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC), env_real());
    admit_lua_on_event(b->lua, on_event, b);
    buf_str(&b->told, "");
}

static void close_box(struct box *b)
{
    admit_lua_free(b->lua);
    arena_free(b->a);
    buf_deinit(&b->told);
}

static unsigned put(struct box *b, const char *file, const char *text)
{
    _cleanup_(mem_freep) char *path = mem_printf("%s/%s", test_tmpdir(), file);
    struct err err = ERR_INIT;

    EXPECT_OK(fd_replace_file(AT_FDCWD, path, slice_of(text), 0644, &err), &err);
    return admit_lua_reload(b->lua);
}

static int code_of(const struct status *s) { return s ? s->code : 200; }

static int ask(struct box *b, const struct kind *kind, bool dry)
{
    struct codec_notes notes = { .a = b->a };
    struct json *o = NULL;
    const char text[] = "{\"metadata\":{\"name\":\"x\",\"namespace\":\"d\"}}";
    struct admit_request r = { .a = b->a, .env = env_real(), .verb = ADMIT_CREATE, .kind = kind,
                               .subresource = "", .ns = "d", .name = "x", .user = "joe",
                               .dry_run = dry, .warnings = &notes, .lua = b->lua };

    EXPECT_EQ(json_parse(&o, b->a, text, strlen(text), NULL, NULL), 0);
    r.object = o;
    buf_clear(&b->told);
    return code_of(admit_lua_validate(b->lua, &r));
}

static const struct admit_lua_row *row(struct box *b, const char *file)
{
    static struct admit_lua_row r;

    for (size_t at = 0; admit_lua_next(b->lua, &at, &r);)
        if (str_eq(r.file, file))
            return &r;
    test_fail(__FILE__, __LINE__, "no row of %s", file);
}

#define DENY "plugin { name = 'no', kinds = { 'ConfigMap', 'Event' } }\n" \
             "function validate(req) deny('not %s', req.name) end\n"

TEST(denials_are_counted_and_told)
{
    _cleanup_buf_ struct buf out = BUF_INIT;
    struct box b;

    open_box(&b);
    EXPECT_EQ(put(&b, "no.lua", DENY), 0);
    EXPECT_STR(b.told.p, "");
    EXPECT_EQ(ask(&b, kind_config_map(), false), 403);
    EXPECT_STR(b.told.p, "no Denied: create ConfigMap d/x: not x\n");
    EXPECT_EQ(ask(&b, kind_config_map(), true), 403);
    EXPECT_STR(b.told.p, "");                        /* a dry run */
    EXPECT_EQ(ask(&b, kind_event(), false), 403);
    EXPECT_STR(b.told.p, "");                        /* would tell of itself, for ever */
    EXPECT_EQ(ask(&b, kind_secret(), false), 200);
    EXPECT_EQ(row(&b, "no.lua")->calls, 3);
    EXPECT_EQ(row(&b, "no.lua")->denied, 3);
    EXPECT_STR(row(&b, "no.lua")->error, "");
    admit_lua_metrics(b.lua, &out);
    EXPECT(strstr(out.p, "inro_plugin_calls_total{plugin=\"no\",handler=\"validate\","
                         "result=\"denied\"} 3\n"));
    EXPECT(strstr(out.p, "inro_plugin_calls_total{plugin=\"no\",handler=\"validate\","
                         "result=\"stopped\"} 0\n"));
    EXPECT(strstr(out.p, "inro_plugin_duration_seconds_count{plugin=\"no\",handler=\"validate\"} "
                         "3\n"));
    EXPECT(!strstr(out.p, "mutate"));
    EXPECT(strstr(out.p, "inro_plugin_loaded{file=\"no.lua\"} 1\n"));
    close_box(&b);
}

TEST(limits_and_errors)
{
    struct box b;

    open_box(&b);
    put(&b, "loop.lua", "plugin { kinds = { 'ConfigMap' } }\n"
                        "function validate() while true do end end\n");
    EXPECT_EQ(ask(&b, kind_config_map(), false), 500);
    EXPECT(str_starts(b.told.p, "loop Stopped: create ConfigMap d/x: "));
    EXPECT_EQ(row(&b, "loop.lua")->stopped, 1);
    EXPECT(*row(&b, "loop.lua")->error && row(&b, "loop.lua")->error_s > 0);
    /* the figures are the file's, whatever its version */
    put(&b, "loop.lua", "plugin { kinds = { 'ConfigMap' }, failure = 'Ignore' }\n"
                        "function validate() error('oh') end\n");
    EXPECT_EQ(ask(&b, kind_config_map(), false), 200);
    EXPECT(str_starts(b.told.p, "loop Failed: create ConfigMap d/x: "));
    EXPECT_EQ(row(&b, "loop.lua")->stopped, 1);
    EXPECT_EQ(row(&b, "loop.lua")->failed, 1);
    EXPECT(strstr(row(&b, "loop.lua")->error, "oh"));
    close_box(&b);
}

TEST(what_does_not_load)
{
    _cleanup_buf_ struct buf out = BUF_INIT;
    struct box b;

    open_box(&b);
    EXPECT_EQ(put(&b, "bad.lua", "plugin { kinds = "), 1);
    EXPECT(str_starts(b.told.p, "bad FailedLoad: "));
    EXPECT(row(&b, "bad.lua")->broken);
    EXPECT_STR(row(&b, "bad.lua")->handlers, "");
    admit_lua_metrics(b.lua, &out);
    EXPECT(strstr(out.p, "inro_plugin_loaded{file=\"bad.lua\"} 0\n"));
    EXPECT(strstr(out.p, "inro_plugin_loads_total{result=\"failed\"} 1\n"));
    EXPECT_EQ(put(&b, "bad.lua", DENY), 0);
    EXPECT(!row(&b, "bad.lua")->broken);
    EXPECT_EQ(put(&b, "bad.lua", "("), 1);           /* the former version stands in */
    EXPECT(row(&b, "bad.lua")->broken);
    EXPECT_STR(row(&b, "bad.lua")->handlers, "validate");
    EXPECT_EQ(ask(&b, kind_config_map(), false), 403);
    close_box(&b);
}
