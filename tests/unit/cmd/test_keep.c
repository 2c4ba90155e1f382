/* The name server's sockets from one parent to the next, through a child that is this test. */
#include "cmd/keep.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/fd.h"
#include "tests/harness/test_ports.h"

TEST_VERB(keep, KEEP_VERB, keep_main)

struct pair { int udp, tcp; struct sockaddr_in at; };

static void bind_pair(struct pair *p)
{
    test_bind_both(&p->udp, &p->tcp, &p->at);
    EXPECT_EQ(listen(p->tcp, 4), 0);
}

/* The parent ends: only the child has the sockets now. */
static void end_of_parent(struct pair *p)
{
    struct err err = ERR_INIT;
    struct loop *l = NULL;

    (void)signal(SIGPIPE, SIG_IGN);
    EXPECT_OK(loop_new(&l, env_real(), &err), &err);
    EXPECT_OK(keep_start(l, test_tmpdir(), p->udp, p->tcp, &err), &err);
    loop_free(l);
    p->udp = fd_close(p->udp);
    p->tcp = fd_close(p->tcp);
}

TEST(what_is_asked_meanwhile_waits)
{
    int asks = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int dials = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct pair p;
    char text[8] = "";

    bind_pair(&p);
    end_of_parent(&p);
    EXPECT_EQ(connect(asks, (struct sockaddr *)&p.at, sizeof(p.at)), 0);
    EXPECT_EQ(send(asks, "name?", 5, 0), 5);
    EXPECT_EQ(connect(dials, (struct sockaddr *)&p.at, sizeof(p.at)), 0);
    EXPECT(keep_take(test_tmpdir(), "127.0.0.1", &p.udp, &p.tcp));
    EXPECT_EQ(recv(p.udp, text, sizeof(text), MSG_DONTWAIT), 5);
    EXPECT_STR(text, "name?");
    EXPECT(accept(p.tcp, NULL, NULL) >= 0);
    EXPECT(!keep_take(test_tmpdir(), "127.0.0.1", &p.udp, &p.tcp));      /* once */
}

TEST(nobody_keeps)
{
    int udp = -1, tcp = -1;

    EXPECT(!keep_take(test_tmpdir(), "127.0.0.1", &udp, &tcp));
    EXPECT(!keep_take("/nonexistent", "127.0.0.1", &udp, &tcp));
    keep_drop(test_tmpdir());
    EXPECT_EQ(udp, -1);
}

/* Another address is wanted now, or nothing at all: the port is free again. */
TEST(not_taken)
{
    struct pair p, again;

    bind_pair(&p);
    end_of_parent(&p);
    EXPECT(!keep_take(test_tmpdir(), "127.0.0.9", &p.udp, &p.tcp));
    bind_pair(&p);
    end_of_parent(&p);
    keep_drop(test_tmpdir());
    again.udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    while (bind(again.udp, (struct sockaddr *)&p.at, sizeof(p.at)) < 0)      /* it is ending */
        usleep(1000);
}
