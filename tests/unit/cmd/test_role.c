/* What the parent and a role agree on. */
#include "cmd/role.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/harness/test.h"

TEST(a_former_role_is_waited_for)
{
    struct config c = { .a = arena_new(0), .run_dir = test_tmpdir() };
    const char *lock = arena_printf(c.a, "%s/dns.lock", test_tmpdir());
    const char *mark = arena_printf(c.a, "%s/ended", test_tmpdir());
    struct err err = ERR_INIT;
    int ready[2], status;
    char byte;
    pid_t pid;

    EXPECT_OK(role_wait_former(&c, ROLE_DNS, &err), &err);      /* there was none */
    EXPECT(pipe(ready) == 0);
    pid = fork();
    if (pid == 0) {
        int fd = open(lock, O_RDWR | O_CREAT, 0600);

        if (flock(fd, LOCK_EX) < 0 || write(ready[1], "r", 1) != 1)
            _exit(1);
        usleep(30000);
        close(open(mark, O_WRONLY | O_CREAT, 0600));
        _exit(0);
    }
    EXPECT_EQ(read(ready[0], &byte, 1), 1);
    EXPECT_OK(role_wait_former(&c, ROLE_DNS, &err), &err);
    EXPECT_EQ(access(mark, F_OK), 0);
    EXPECT_OK(role_wait_former(&c, ROLE_CONTROL, &err), &err);
    EXPECT_EQ(waitpid(pid, &status, 0), pid);
    EXPECT_EQ(status, 0);
    arena_free(c.a);
}
