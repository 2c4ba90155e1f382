/* test_pod_net.c -- leases and their ledger. */
#include <fcntl.h>
#include <unistd.h>

#include "core/base/fd.h"
#include "core/base/mem.h"
#include "net/pod/pod_net.h"
#include "tests/harness/test.h"

static struct pod_net *open_net(const char *ledger, const char *pod_cidr)
{
    struct pod_net *net = NULL;
    struct err err = ERR_INIT;
    struct pod_net_opts opts = { .pod_cidr = pod_cidr, .ledger = ledger };

    EXPECT_OK(pod_net_new(&net, &opts, &err), &err);
    return net;
}

TEST(leases_survive_a_restart)
{
    _cleanup_(mem_freep) char *ledger = mem_printf("%s/ledger", test_tmpdir());
    struct pod_net *net = open_net(ledger, NULL);
    struct pod_net_lease a, b, again;
    struct err err = ERR_INIT;
    size_t at = 0;

    EXPECT_STR(pod_net_cidr(net), "10.42.0.0/24");
    EXPECT_OK(pod_net_reserve(net, "uid-a", &a, &err), &err);
    EXPECT_OK(pod_net_reserve(net, "uid-b", &b, &err), &err);
    EXPECT_OK(pod_net_reserve(net, "uid-a", &again, &err), &err);
    EXPECT_STR(a.ip, "10.42.0.2");
    EXPECT_STR(a.gateway, "10.42.0.1");
    EXPECT_EQ(a.prefix, 24);
    EXPECT_EQ(strlen(a.host_if), 13);
    EXPECT(strcmp(a.host_if, b.host_if) != 0);
    EXPECT_MEM(&a, &again, sizeof(a));
    pod_net_free(net);

    net = open_net(ledger, NULL);
    EXPECT(pod_net_find(net, "uid-b", &again));
    EXPECT_MEM(&b, &again, sizeof(b));
    EXPECT_OK(pod_net_release(net, "uid-a", &err), &err);
    EXPECT_OK(pod_net_release(net, "uid-a", &err), &err);
    EXPECT(!pod_net_find(net, "uid-a", &again));
    pod_net_free(net);

    net = open_net(ledger, NULL);
    EXPECT(pod_net_next(net, &at, &again));
    EXPECT_STR(again.uid, "uid-b");
    EXPECT(!pod_net_next(net, &at, &again));
    EXPECT_OK(pod_net_reserve(net, "uid-c", &a, &err), &err);
    EXPECT(strcmp(a.ip, b.ip) != 0);
    pod_net_free(net);
}

TEST(a_former_address)
{
    _cleanup_(mem_freep) char *ledger = mem_printf("%s/ledger", test_tmpdir());
    struct pod_net *net = open_net(ledger, NULL);
    struct pod_net_lease a, b;
    struct err err = ERR_INIT;

    EXPECT(pod_net_claim(net, "uid-a", "10.42.0.2", &a));
    EXPECT_STR(a.ip, "10.42.0.2");
    EXPECT_STR(a.gateway, "10.42.0.1");
    EXPECT(!pod_net_claim(net, "uid-a", "10.42.0.3", &b));           /* it has one */
    EXPECT(!pod_net_claim(net, "uid-b", "10.42.0.2", &b));           /* taken */
    EXPECT(!pod_net_claim(net, "uid-b", "10.42.0.1", &b));           /* the gateway's */
    EXPECT(!pod_net_claim(net, "uid-b", "10.42.1.2", &b));           /* another node's */
    EXPECT(!pod_net_claim(net, "uid-b", "", &b));
    EXPECT(!pod_net_claim(net, "uid-b", "fd00::1", &b));
    EXPECT(!pod_net_claim(net, "", "10.42.0.4", &b));
    EXPECT_OK(pod_net_reserve(net, "uid-b", &b, &err), &err);
    EXPECT_STR(b.ip, "10.42.0.3");
    pod_net_free(net);
    net = open_net(ledger, NULL);
    EXPECT(pod_net_find(net, "uid-a", &b));
    EXPECT_MEM(&a, &b, sizeof(a));
    pod_net_free(net);
}

TEST(the_node_learns_its_network)
{
    _cleanup_(mem_freep) char *ledger = mem_printf("%s/ledger", test_tmpdir());
    struct pod_net *net = open_net(ledger, NULL);
    struct pod_net_lease a, b;
    struct pod_net_node node;
    struct err err = ERR_INIT;

    EXPECT_OK(pod_net_reserve(net, "uid-a", &a, &err), &err);
    EXPECT_OK(pod_net_set_cidr(net, "10.42.9.0/24", &err), &err);
    EXPECT_OK(pod_net_reserve(net, "uid-b", &b, &err), &err);
    EXPECT_STR(b.ip, "10.42.9.2");
    EXPECT(pod_net_find(net, "uid-a", &a));
    EXPECT_STR(a.ip, "10.42.0.2");
    EXPECT_OK(pod_net_node_init(&node, net, NULL, NULL, &err), &err);
    EXPECT_STR(node.pod_cidr, "10.42.9.0/24");
    EXPECT_STR(node.cluster_cidr, "10.42.0.0/16");
    EXPECT_STR(node.service_cidr, "10.43.0.0/16");
    EXPECT_STR(node.dns_ip, "10.43.0.10");
    EXPECT_ERR(pod_net_node_init(&node, net, "10.43.0.0", NULL, &err), &err, ERR_INVALID);
    EXPECT_EQ(node.backend, POD_NET_NONE);
    EXPECT_OK(pod_net_node_reach(&node, NULL, "192.0.2.1", &err), &err);
    EXPECT_EQ(node.backend, POD_NET_VXLAN_OVERLAY);
    EXPECT_STR(node.node_ip, "192.0.2.1");
    EXPECT_ERR(pod_net_node_reach(&node, "ipsec", "192.0.2.1", &err), &err, ERR_INVALID);
    EXPECT_ERR(pod_net_node_reach(&node, "none", "192.0.2.0/24", &err), &err, ERR_INVALID);
    EXPECT_EQ(node.backend, POD_NET_VXLAN_OVERLAY);
    EXPECT_ERR(pod_net_set_cidr(net, "fd00::/64", &err), &err, ERR_INVALID);
    pod_net_free(net);
}

TEST(bad_uids_and_ledgers)
{
    _cleanup_(mem_freep) char *ledger = mem_printf("%s/ledger", test_tmpdir());
    static const char *const bad[] = { "nonsense\n", "10.42.0.2/24 10.42.0.1\n",
                                       "10.42.0.2/24 10.42.0.1 a\n10.42.0.3/24 10.42.0.1 a\n",
                                       "10.42.0.2/24 x a\n" };
    struct pod_net *net = open_net(ledger, NULL);
    struct pod_net_opts opts = { .ledger = ledger };
    struct pod_net_lease a;
    struct err err = ERR_INIT;
    char uid[POD_NET_UID_BYTES + 1];

    memset(uid, 'u', sizeof(uid));
    uid[POD_NET_UID_BYTES] = 0;
    EXPECT_ERR(pod_net_reserve(net, uid, &a, &err), &err, ERR_INVALID);
    uid[POD_NET_UID_BYTES - 1] = 0;
    EXPECT_OK(pod_net_reserve(net, uid, &a, &err), &err);
    EXPECT_ERR(pod_net_reserve(net, "", &a, &err), &err, ERR_INVALID);
    EXPECT_ERR(pod_net_reserve(net, "a\nb", &a, &err), &err, ERR_INVALID);
    pod_net_free(net);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        EXPECT_OK(fd_write_file(AT_FDCWD, ledger, bad[i], strlen(bad[i]), 0600, &err), &err);
        EXPECT_ERR(pod_net_new(&net, &opts, &err), &err,
                   i == 3 ? ERR_INVALID : ERR_CORRUPT);
    }
}

TEST(an_unwritable_ledger_gives_no_address)
{
    struct pod_net *net = open_net("/proc/no-such-place/ledger", NULL);
    struct pod_net_lease a;
    struct err err = ERR_INIT;

    EXPECT(pod_net_reserve(net, "uid-a", &a, &err) < 0);
    EXPECT(!pod_net_find(net, "uid-a", &a));
    pod_net_free(net);
}
