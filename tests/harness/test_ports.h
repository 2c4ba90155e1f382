/* test_ports.h -- a port of loopback that is free for both UDP and TCP, bound by both. */
#ifndef TESTS_HARNESS_TEST_PORTS_H
#define TESTS_HARNESS_TEST_PORTS_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/harness/test.h"

/* UDP chooses; others may have that number for TCP, then again. Nothing listens yet. */
static inline void test_bind_both(int *udp, int *tcp, struct sockaddr_in *at)
{
    socklen_t len = sizeof(*at);

    for (int i = 0; i < 100; i++) {
        *at = (struct sockaddr_in){ .sin_family = AF_INET,
                                    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        *udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        *tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        EXPECT_EQ(bind(*udp, (struct sockaddr *)at, sizeof(*at)), 0);
        EXPECT_EQ(getsockname(*udp, (struct sockaddr *)at, &len), 0);
        if (bind(*tcp, (struct sockaddr *)at, sizeof(*at)) == 0)
            return;
        close(*udp);
        close(*tcp);
    }
    test_fail(__FILE__, __LINE__, "no port is free for both");
}

#endif
