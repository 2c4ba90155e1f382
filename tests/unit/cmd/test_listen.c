/* The API's socket: all addresses or one; a port that is taken is one clear error. */
#include "cmd/listen.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/harness/test.h"

static uint16_t port_of(int fd)
{
    struct sockaddr_storage sa;
    socklen_t len = sizeof(sa);

    EXPECT_EQ(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
    return ntohs(sa.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&sa)->sin6_port
                                          : ((struct sockaddr_in *)&sa)->sin_port);
}

static bool answers(uint16_t port)
{
    struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(port) };
    int fd = socket(AF_INET, SOCK_STREAM, 0), rc;

    sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    rc = connect(fd, (struct sockaddr *)&sa, sizeof(sa));
    close(fd);
    return rc == 0;
}

TEST(one_address_and_all)
{
    static const char *const addresses[] = { "127.0.0.1", "" };

    for (size_t i = 0; i < 2; i++) {
        struct err err = ERR_INIT;
        int fd = -1;

        EXPECT_OK(listen_tcp(&fd, addresses[i], 0, &err), &err);
        EXPECT(answers(port_of(fd)));
        close(fd);
    }
}

TEST(taken)
{
    struct err err = ERR_INIT;
    int fd, again = -1;

    EXPECT_OK(listen_tcp(&fd, "", 0, &err), &err);
    EXPECT_ERR(listen_tcp(&again, "", port_of(fd), &err), &err, ERR_EXISTS);
    EXPECT_STR(err.msg, "another program listens on this port already");
    EXPECT_EQ(again, -1);
    close(fd);
}

TEST(bad_address)
{
    struct err err = ERR_INIT;
    int fd;

    EXPECT_ERR(listen_tcp(&fd, "localhost", 0, &err), &err, ERR_INVALID);
    EXPECT_ERR(listen_tcp(&fd, "192.0.2.77", 0, &err), &err, ERR_SYSTEM);
}

TEST(from_this_host)
{
    EXPECT_STR(listen_local(""), "127.0.0.1");
    EXPECT_STR(listen_local("0.0.0.0"), "127.0.0.1");
    EXPECT_STR(listen_local("10.0.0.5"), "10.0.0.5");
}
