/* test_dns_resolv.c -- resolv.conf, and its changes. */
#include "net/dns/dns_resolv.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <unistd.h>

#include "core/base/fd.h"
#include "core/base/mem.h"
#include "tests/harness/test.h"

static const char *text_of(const struct dns_upstreams *u, unsigned i)
{
    static char out[80];
    char ip[INET6_ADDRSTRLEN];

    if (u->v[i].sa.ss_family == AF_INET) {
        const struct sockaddr_in *in = (const void *)&u->v[i].sa;

        snprintf(out, sizeof(out), "%s %u", inet_ntop(AF_INET, &in->sin_addr, ip, sizeof(ip)),
                 ntohs(in->sin_port));
    } else {
        const struct sockaddr_in6 *in = (const void *)&u->v[i].sa;

        snprintf(out, sizeof(out), "%s %u %u", inet_ntop(AF_INET6, &in->sin6_addr, ip, sizeof(ip)),
                 ntohs(in->sin6_port), in->sin6_scope_id);
    }
    return out;
}

TEST(lines)
{
    struct dns_upstreams u;

    dns_resolv_parse(&u, "# nameserver 1.1.1.1\n; nameserver 1.1.1.1\nsearch example.com\n"
                         "nameserver 10.0.0.1\n\tnameserver\t10.0.0.2 # yes\r\n"
                         "nameserver fe80::1%lo\nnameserver 300.0.0.1\nnameserver\n"
                         "nameservers 10.0.0.9\noptions ndots:5\nnameserver fd00::53");
    EXPECT_EQ(u.n, 4);
    EXPECT_STR(text_of(&u, 0), "10.0.0.1 53");
    EXPECT_STR(text_of(&u, 1), "10.0.0.2 53");
    EXPECT_STR(text_of(&u, 2), "fe80::1 53 1");
    EXPECT_STR(text_of(&u, 3), "fd00::53 53 0");
    dns_resolv_parse(&u, "");
    EXPECT_EQ(u.n, 0);
    dns_resolv_parse(&u, "nameserver 10.0.0.1\nnameserver 10.0.0.2\nnameserver 10.0.0.3\n"
                         "nameserver 10.0.0.4\nnameserver 10.0.0.5\nnameserver 10.0.0.6\n"
                         "nameserver 10.0.0.7\nnameserver 10.0.0.8\nnameserver 10.0.0.9\n");
    EXPECT_EQ(u.n, DNS_UPSTREAMS_MAX);
}

TEST(addresses)
{
    struct dns_upstreams u;
    struct err err = ERR_INIT;

    EXPECT_OK(dns_resolv_address(&u.v[0], "10.0.0.2:5353", &err), &err);
    EXPECT_STR(text_of(&u, 0), "10.0.0.2 5353");
    EXPECT_OK(dns_resolv_address(&u.v[0], "[fd00::1]:5353", &err), &err);
    EXPECT_STR(text_of(&u, 0), "fd00::1 5353 0");
    EXPECT_OK(dns_resolv_address(&u.v[0], "[fd00::1]", &err), &err);
    EXPECT_ERR(dns_resolv_address(&u.v[0], "10.0.0.2:0", &err), &err, ERR_INVALID);
    EXPECT_ERR(dns_resolv_address(&u.v[0], "10.0.0.2:x", &err), &err, ERR_INVALID);
    EXPECT_ERR(dns_resolv_address(&u.v[0], "dns.example.com", &err), &err, ERR_INVALID);
    EXPECT_STR(err.msg, "name server \"dns.example.com\" is no address");
    EXPECT_ERR(dns_resolv_address(&u.v[0], "[fd00::1]5", &err), &err, ERR_INVALID);
    EXPECT_ERR(dns_resolv_address(&u.v[0], "", &err), &err, ERR_INVALID);
}

TEST(changes_are_seen)
{
    _cleanup_(mem_freep) char *path = mem_printf("%s/resolv.conf", test_tmpdir());
    _cleanup_(mem_freep) char *other = mem_printf("%s/other", test_tmpdir());
    struct dns_upstreams u = { .n = 9 };
    struct err err = ERR_INIT;
    struct dns_resolv r;

    dns_resolv_init(&r, path);
    EXPECT(dns_resolv_changed(&r, 1000, &u));            /* there is none: that is an answer too */
    EXPECT_EQ(u.n, 0);
    EXPECT(!dns_resolv_changed(&r, 5000, &u));
    EXPECT_OK(fd_write_file(AT_FDCWD, path, "nameserver 10.0.0.1\n", 20, 0644, &err), &err);
    EXPECT(!dns_resolv_changed(&r, 5500, &u));           /* looked at just now */
    EXPECT(dns_resolv_changed(&r, 6000, &u));
    EXPECT_EQ(u.n, 1);
    EXPECT(!dns_resolv_changed(&r, 9000, &u));
    EXPECT_OK(fd_write_file(AT_FDCWD, other, "nameserver 10.0.0.2\n", 20, 0644, &err), &err);
    EXPECT_EQ(rename(other, path), 0);                   /* same size, same time perhaps */
    EXPECT(dns_resolv_changed(&r, 10000, &u));
    EXPECT_STR(text_of(&u, 0), "10.0.0.2 53");
    EXPECT_EQ(unlink(path), 0);
    EXPECT(dns_resolv_changed(&r, 12000, &u));
    EXPECT_EQ(u.n, 0);
    dns_resolv_deinit(&r);
    dns_resolv_deinit(&r);
}
