/* test_node_ops.c -- who may be reached by way of this node. */
#include "runtime/node/node_ops.h"

#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/runtime/node/pod_box.h"

static bool may(struct pod_box *b, const char *host, uint16_t port)
{
    struct err err = ERR_INIT;
    bool yes = node_ops_may_dial(&b->self, host, port, &err) == 0;

    EXPECT_EQ(err.code, yes ? ERR_NONE : ERR_DENIED);
    return yes;
}

TEST(its_own_port_and_its_pods_alone)
{
    _cleanup_(pod_box_deinit) struct pod_box b;

    pod_box_init(&b);
    b.self.pods = b.pods;
    EXPECT(may(&b, "192.0.2.1", 10250));
    EXPECT(!may(&b, "192.0.2.1", 22));
    EXPECT(!may(&b, "192.0.2.2", 10250));
    EXPECT(!may(&b, "127.0.0.1", 10250));
    EXPECT(!may(&b, "10.42.0.2", 80));
    EXPECT(!may(&b, "", 80));

    pod_box_pod(&b, "a", "containers: [{name: c, image: 'i:1'}]");
    pod_box_pass(&b, 5000);
    EXPECT_STR(pod_box_says(&b, "a"), "Running/True");
    EXPECT(may(&b, "10.42.0.2", 80));
    EXPECT(may(&b, "10.42.0.2", 65535));
    EXPECT(!may(&b, "10.42.0.3", 80));

    pod_box_pod(&b, "host", "hostNetwork: true, containers: [{name: c, image: 'i:1', "
                "ports: [{containerPort: 9100, hostPort: 9100}]}]");
    pod_box_pass(&b, 5000);
    EXPECT(may(&b, "192.0.2.1", 9100));
    EXPECT(!may(&b, "192.0.2.1", 9101));

    fake_client_delete(b.f, kind_pod(), "default", "a", NULL);
    pod_box_pass(&b, 60000);
    EXPECT(!may(&b, "10.42.0.2", 80));
}
