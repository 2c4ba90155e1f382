/* test_runfile.c -- the parent's note is read as it was written. */
#include "cmd/runfile.h"

#include "core/base/fd.h"
#include "core/base/str.h"
#include "tests/harness/test.h"

#include <fcntl.h>

TEST(round_trip)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    struct runfile in = { .command = "server", .node = "n1", .api = "https://127.0.0.1:6443",
                          .pid = 7, .started_s = 1700000000, .n_roles = 2 }, out;
    struct err err = ERR_INIT;

    in.roles[0] = (struct runfile_role){ .name = "control", .pid = 8, .ready = true,
                                         .started_s = 1700000001 };
    in.roles[1] = (struct runfile_role){ .name = "node", .restarts = 3, .ended_s = 1700000002,
                                         .signal = 9 };
    EXPECT_ERR(runfile_read(&out, a, test_tmpdir(), &err), &err, ERR_NOT_FOUND);
    EXPECT_OK(runfile_write(&in, test_tmpdir(), &err), &err);
    EXPECT_OK(runfile_read(&out, a, test_tmpdir(), &err), &err);
    EXPECT_STR(out.command, "server");
    EXPECT_STR(out.api, "https://127.0.0.1:6443");
    EXPECT_EQ(out.pid, 7);
    EXPECT_EQ(out.n_roles, 2);
    EXPECT_STR(out.roles[0].name, "control");
    EXPECT(out.roles[0].ready && out.roles[0].pid == 8);
    EXPECT_EQ(out.roles[1].restarts, 3);
    EXPECT_EQ(out.roles[1].signal, 9);
    runfile_remove(test_tmpdir());
    EXPECT_ERR(runfile_read(&out, a, test_tmpdir(), &err), &err, ERR_NOT_FOUND);
}

TEST(damaged)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    const char *path = arena_printf(a, "%s/" RUNFILE_NAME, test_tmpdir());
    struct runfile out;
    struct err err = ERR_INIT;

    EXPECT_OK(fd_replace_file(AT_FDCWD, path, slice_of("{\"pid\":"), 0600, &err), &err);
    EXPECT_ERR(runfile_read(&out, a, test_tmpdir(), &err), &err, ERR_INVALID);
}
