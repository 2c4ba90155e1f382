/* systemd's protocol: one datagram, to a path or an abstract name. */
#include "cmd/notify.h"

#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/base/mem.h"
#include "tests/harness/test.h"

static int listener(const char *name)
{
    struct sockaddr_un sa = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);

    memcpy(sa.sun_path, name, strlen(name));
    if (name[0] == '@')
        sa.sun_path[0] = '\0';
    EXPECT_EQ(bind(fd, (struct sockaddr *)&sa,
                   (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name))), 0);
    return fd;
}

static void expect_told(const char *name)
{
    int fd = listener(name);
    char got[64] = "";

    EXPECT_EQ(setenv("NOTIFY_SOCKET", name, 1), 0);
    notify_state("READY=1");
    EXPECT_EQ(read(fd, got, sizeof(got) - 1), 7);
    EXPECT_STR(got, "READY=1");
    close(fd);
}

TEST(told)
{
    char *path = mem_printf("%s/notify", test_tmpdir()), *name = mem_printf("@inro-test-%d",
                                                                            getpid());

    expect_told(path);
    expect_told(name);
    mem_free(path);
    mem_free(name);
}

TEST(nobody_listens)
{
    EXPECT_EQ(unsetenv("NOTIFY_SOCKET"), 0);
    notify_state("READY=1");
    EXPECT_EQ(setenv("NOTIFY_SOCKET", "/nonexistent/socket", 1), 0);
    notify_state("READY=1");
    EXPECT_EQ(setenv("NOTIFY_SOCKET", "relative", 1), 0);
    notify_state("READY=1");
}
