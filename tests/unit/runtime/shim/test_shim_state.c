#include <fcntl.h>
#include <unistd.h>

#include "core/base/fd.h"
#include "runtime/shim/shim_state.h"
#include "tests/harness/test.h"

static struct shim_container one(void)
{
    return (struct shim_container){
        .id = "c1", .note = "a \"note\"\n", .state = SHIM_EXITED, .exit_code = 137, .signal = 9, .oom_killed = true,
        .created_ns = 1, .started_ns = 2, .finished_ns = 1795514400000000001ll, .log_path = "/l/0.log",
        .message = "why",
    };
}

TEST(keeps_everything)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    struct shim_container list[2] = { one(), { .id = "c2", .state = SHIM_RUNNING, .pid = 42 } };
    struct shim_state_file f = { .shim_pid = 7, .shim_ticks = 99, .cgroup_path = "pod1", .containers = list,
                                 .len = 2 }, g;
    _cleanup_buf_ struct buf text = BUF_INIT;
    struct err err = ERR_INIT;

    shim_state_encode(&text, &f);
    EXPECT_OK(shim_state_decode(&g, a, text.p, text.len, &err), &err);
    EXPECT_EQ(g.shim_pid, 7);
    EXPECT_EQ(g.shim_ticks, 99);
    EXPECT_STR(g.cgroup_path, "pod1");
    EXPECT_EQ(g.len, 2);
    EXPECT_STR(g.containers[0].note, "a \"note\"\n");
    EXPECT_EQ(g.containers[0].state, SHIM_EXITED);
    EXPECT_EQ(g.containers[0].exit_code, 137);
    EXPECT(g.containers[0].oom_killed);
    EXPECT_EQ(g.containers[0].finished_ns, 1795514400000000001ll);
    EXPECT_STR(g.containers[0].message, "why");
    EXPECT_EQ(g.containers[1].pid, 42);
    EXPECT_STR(g.containers[1].message, "");
}

TEST(refuses_what_is_none)
{
    static const char *const texts[] = { "", "[]", "{}", "{\"shim\":0,\"containers\":[]}",
                                         "{\"shim\":1,\"containers\":{}}", "{\"shim\":1,\"containers\":[1]}",
                                         "{\"shim\":1,\"containers\":[{\"id\":\"a\",\"state\":\"odd\"}]}",
                                         "{\"shim\":1,\"containers\":[{\"state\":\"running\"}]}" };

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        _cleanup_(arena_freep) struct arena *a = arena_new(0);
        struct shim_state_file f;
        struct err err = ERR_INIT;

        EXPECT(shim_state_decode(&f, a, texts[i], strlen(texts[i]), &err) < 0);
    }
}

TEST(missing_and_clean)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    struct shim_state_file f;
    struct err err = ERR_INIT;
    const char *path = arena_printf(a, "%s/%s", test_tmpdir(), SHIM_STATE_FILE);

    EXPECT_ERR(shim_state_read(&f, a, test_tmpdir(), &err), &err, ERR_NOT_FOUND);
    if (geteuid() == 0)
        EXPECT_OK(shim_state_clean(test_tmpdir(), &err), &err);
    EXPECT_OK(fd_write_file(AT_FDCWD, path, "{\"shim\":1,\"containers\":[]}", 26, 0600, &err), &err);
    EXPECT_OK(shim_state_read(&f, a, test_tmpdir(), &err), &err);
    EXPECT_EQ(f.len, 0);
    if (geteuid() == 0) {
        EXPECT_OK(shim_state_clean(test_tmpdir(), &err), &err);
        EXPECT(access(path, F_OK) < 0);
    }
}
