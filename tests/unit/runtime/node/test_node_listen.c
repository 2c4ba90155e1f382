/* Which ports listen: the kernel's text, and this process's own sockets. */
#include "runtime/node/node_listen.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/harness/test.h"

TEST(strikes_what_listens)
{
    static const char text[] =
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n"
        "   0: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0\n"
        "   1: 0100007F:1F90 0100007F:C000 01 00000000:00000000 00:00000000 00000000     0\n"
        "  12: 00000000000000000000000000000000:0035 00000000000000000000000000000000:0000 0A 0:0\n"
        "nonsense\n";
    struct node_listen_ports p = { 0 };

    node_listen_add(&p, 80);
    node_listen_add(&p, 80);
    node_listen_add(&p, 8080);
    node_listen_add(&p, 53);
    node_listen_add(&p, 0);
    EXPECT_EQ(p.n, 3);
    node_listen_strike(&p, text);
    EXPECT_EQ(p.n, 1);
    EXPECT_EQ(p.v[0], 8080);                 /* connected, not listening */
}

TEST(own_socket)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(a);
    struct node_listen_ports p = { 0 };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    EXPECT(fd >= 0);
    EXPECT_EQ(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    EXPECT_EQ(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    node_listen_add(&p, ntohs(a.sin_port));
    EXPECT(!node_listen_all(&p, getpid()));
    EXPECT_EQ(listen(fd, 1), 0);
    EXPECT(node_listen_all(&p, getpid()));
    EXPECT(!node_listen_all(&p, -1));
    close(fd);
}
