/* test_svcmap.c */
#include <netinet/in.h>
#include <string.h>

#include "net/proxy/proxy.h"
#include "net/proxy/svcmap.h"
#include "tests/harness/test.h"

static const uint32_t vip = 0x0a2b0007;
static const struct svcmap_in_port web = { "web", IPPROTO_TCP, 80, 0 };
static const struct svcmap_slice_port web_at[] = { { "web", IPPROTO_TCP, 8080 },
                                                   { "web", IPPROTO_UDP, 8081 },
                                                   { "other", IPPROTO_TCP, 8082 } };

static struct svcmap *make(const struct svcmap_endpoint *eps, unsigned n,
                           const struct svcmap *before)
{
    struct svcmap_slice slice = { web_at, 3, eps, n };
    struct svcmap_in in = { .cluster_ips = &vip, .n_cluster_ips = 1, .ports = &web, .n_ports = 1,
                            .slices = &slice, .n_slices = 1 };

    return svcmap_new(&in, before);
}

#define READY(ip_) { .ip = (ip_), .ready = true, .serving = true }
#define LOCAL(ip_) { .ip = (ip_), .ready = true, .serving = true, .local = true }
#define ENDING(ip_) { .ip = (ip_), .serving = true, .terminating = true }
#define DOWN(ip_) { .ip = (ip_) }

TEST(ports_are_matched_by_name_and_protocol)
{
    static const struct svcmap_endpoint eps[] = { READY(1), LOCAL(2) };
    struct svcmap *m = make(eps, 2, NULL);

    EXPECT_EQ(m->n_ports, 1);
    EXPECT_EQ(m->ports[0].all.n, 2);
    EXPECT_EQ(m->ports[0].all.v[0].ip, 1);
    EXPECT_EQ(m->ports[0].all.v[0].port, 8080);
    EXPECT_EQ(m->ports[0].local.n, 1);
    EXPECT_EQ(m->ports[0].local.v[0].ip, 2);
    svcmap_free(m);
}

TEST(ending_ones_serve_when_no_other_does)
{
    static const struct svcmap_endpoint a[] = { READY(1), ENDING(2), DOWN(3) };
    static const struct svcmap_endpoint b[] = { ENDING(2), DOWN(3) };
    static const struct svcmap_endpoint c[] = { READY(1), { .ip = 2, .serving = true,
                                                            .terminating = true, .local = true } };
    struct svcmap *m = make(a, 3, NULL);

    EXPECT_EQ(m->ports[0].all.n, 1);
    EXPECT_EQ(m->ports[0].all.v[0].ip, 1);
    svcmap_free(m);
    m = make(b, 2, NULL);
    EXPECT_EQ(m->ports[0].all.n, 1);
    EXPECT_EQ(m->ports[0].all.v[0].ip, 2);
    svcmap_free(m);
    m = make(c, 2, NULL);                        /* decided for this node's endpoints apart */
    EXPECT_EQ(m->ports[0].all.n, 1);
    EXPECT_EQ(m->ports[0].local.n, 1);
    EXPECT_EQ(m->ports[0].local.v[0].ip, 2);
    svcmap_free(m);
}

TEST(an_endpoint_in_two_slices_counts_once)
{
    static const struct svcmap_endpoint a[] = { READY(1), DOWN(2) }, b[] = { READY(2), DOWN(1) };
    struct svcmap_slice slices[] = { { web_at, 1, a, 2 }, { web_at, 1, b, 2 } };
    struct svcmap_in in = { .ports = &web, .n_ports = 1, .slices = slices, .n_slices = 2 };
    struct svcmap *m = svcmap_new(&in, NULL);

    EXPECT_EQ(m->ports[0].all.n, 2);
    svcmap_free(m);
}

TEST(endpoints_keep_their_places)
{
    static const struct svcmap_endpoint a[] = { READY(1), READY(2), READY(3), READY(4) };
    static const struct svcmap_endpoint b[] = { READY(1), READY(3), READY(4) };
    static const struct svcmap_endpoint c[] = { READY(1), READY(3), READY(4), READY(9), READY(8) };
    struct svcmap *m = make(a, 4, NULL), *n = make(b, 3, m), *o = make(c, 5, n);
    static const uint32_t want_n[] = { 1, 4, 3 }, want_o[] = { 1, 4, 3, 8, 9 };

    for (unsigned i = 0; i < 3; i++)
        EXPECT_EQ(n->ports[0].all.v[i].ip, want_n[i]);
    for (unsigned i = 0; i < 5; i++)
        EXPECT_EQ(o->ports[0].all.v[i].ip, want_o[i]);
    svcmap_free(m);
    svcmap_free(n);
    svcmap_free(o);
}

TEST(too_many_endpoints_are_cut)
{
    static struct svcmap_endpoint eps[PROXY_ENDPOINTS_MAX + 1];
    struct svcmap *m;

    for (unsigned i = 0; i <= PROXY_ENDPOINTS_MAX; i++)
        eps[i] = (struct svcmap_endpoint)READY(i + 1);
    for (int more = -1; more <= 1; more++) {
        m = make(eps, (unsigned)(PROXY_ENDPOINTS_MAX + more), NULL);
        EXPECT_EQ(m->ports[0].all.n, more < 0 ? PROXY_ENDPOINTS_MAX - 1 : PROXY_ENDPOINTS_MAX);
        svcmap_free(m);
    }
}

TEST(nothing_at_all)
{
    struct svcmap_in in = { 0 };
    struct svcmap *m = svcmap_new(&in, NULL);

    EXPECT_EQ(m->n_ports, 0);
    svcmap_free(m);
    svcmap_free(NULL);
}
