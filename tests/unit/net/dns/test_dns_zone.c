/* test_dns_zone.c -- the records of the Kubernetes DNS specification. */
#include "net/dns/dns_zone.h"

#include "tests/fake/fake_client.h"
#include "tests/fake/fake_env.h"
#include "tests/unit/net/dns/dns_case.h"

#define ZONE "cluster.local"

struct box {
    struct fake_env env;
    struct loop *loop;
    struct fake_client *fake;
    struct dns_zone *z;
    struct dns_answer a;
    struct dns_name chase;
    uint32_t turn;
};

static void box_init(struct box *b)
{
    struct err err = ERR_INIT;

    memset(b, 0, sizeof(*b));
    fake_env_init(&b->env, 1);
    EXPECT_OK(loop_new(&b->loop, &b->env.env, &err), &err);
    b->fake = fake_client_new(b->loop);
    b->z = dns_zone_new(ZONE, 0x0a2b000a, 1, &err);
    EXPECT(b->z);
}

static void box_deinit(struct box *b)
{
    dns_zone_free(b->z);
    dns_wire_answer_deinit(&b->a);
    fake_client_free(b->fake);
    loop_free(b->loop);
}

static void put(struct box *b, const char *yaml)
{
    struct object *o = fake_client_put(b->fake, yaml);

    if (object_kind(o) == kind_service())
        dns_zone_service(b->z, o);
    else if (object_kind(o) == kind_endpoint_slice())
        dns_zone_slice(b->z, o);
    else
        dns_zone_pod(b->z, o);
}

static enum dns_zone_said said(struct box *b, const char *name, uint16_t type)
{
    struct dns_query q = dns_case_query(name, type);

    return dns_zone_ask(b->z, &q, b->turn, &b->a, &b->chase);
}

static const char *ask(struct box *b, const char *name, uint16_t type)
{
    struct dns_query q = dns_case_query(name, type);

    EXPECT_EQ(dns_zone_ask(b->z, &q, b->turn, &b->a, &b->chase), DNS_ZONE_DONE);
    EXPECT(b->a.aa);
    return dns_case_wire(&q, &b->a);
}

#define NODATA "~SOA"
#define NXDOMAIN "NXDOMAIN ~SOA"

static const char web[] =
    "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: default}\n"
    "spec: {clusterIP: 10.43.0.7, clusterIPs: [10.43.0.7], selector: {a: b}, ports: ["
    "{name: http, port: 80, protocol: TCP}, {name: dns, port: 53, protocol: UDP}]}\n";
static const char db[] =
    "apiVersion: v1\nkind: Service\nmetadata: {name: db, namespace: prod}\n"
    "spec: {clusterIP: None, clusterIPs: [None], selector: {a: b}, ports: ["
    "{name: sql, port: 5432, protocol: TCP}]}\n";
static const char db_slice[] =
    "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"
    "metadata: {name: db-x, namespace: prod, labels: {kubernetes.io/service-name: db}}\n"
    "addressType: IPv4\nports: [{name: sql, port: 15432, protocol: TCP}]\nendpoints:\n"
    "- {addresses: [10.42.0.5], hostname: db-0, conditions: {ready: true}}\n"
    "- {addresses: [10.42.1.6], conditions: {ready: true}}\n"
    "- {addresses: [10.42.1.7], hostname: db-2, conditions: {ready: false}}\n";

TEST(cluster_ip)
{
    struct box b;

    box_init(&b);
    put(&b, web);
    EXPECT_STR(ask(&b, "web.default.svc.cluster.local", DNS_A), "A 10.43.0.7");
    EXPECT_STR(ask(&b, "WEB.Default.svc.CLUSTER.local.", DNS_A), "A 10.43.0.7");
    EXPECT_STR(ask(&b, "web.default.svc.cluster.local", DNS_AAAA), NODATA);
    EXPECT_STR(ask(&b, "web.default.svc.cluster.local", DNS_MX), NODATA);
    EXPECT_STR(ask(&b, "web.default.svc.cluster.local", DNS_ANY), NODATA);
    EXPECT_STR(ask(&b, "_http._tcp.web.default.svc.cluster.local", DNS_SRV),
               "SRV 0 100 80 web.default.svc.cluster.local. "
               "+web.default.svc.cluster.local. A 10.43.0.7");
    EXPECT_STR(ask(&b, "web.default.svc.cluster.local", DNS_SRV),
               "SRV 0 50 53 web.default.svc.cluster.local. "
               "SRV 0 50 80 web.default.svc.cluster.local. +A 10.43.0.7");
    EXPECT_STR(ask(&b, "_http._tcp.web.default.svc.cluster.local", DNS_A), NODATA);
    EXPECT_STR(ask(&b, "_tcp.web.default.svc.cluster.local", DNS_SRV), NODATA);
    EXPECT_STR(ask(&b, "_sctp.web.default.svc.cluster.local", DNS_SRV), NXDOMAIN);
    EXPECT_STR(ask(&b, "_dns._tcp.web.default.svc.cluster.local", DNS_SRV), NXDOMAIN);
    EXPECT_STR(ask(&b, "_dns._udp.web.default.svc.cluster.local", DNS_SRV),
               "SRV 0 100 53 web.default.svc.cluster.local. "
               "+web.default.svc.cluster.local. A 10.43.0.7");
    EXPECT_STR(ask(&b, "7.0.43.10.in-addr.arpa", DNS_PTR), "PTR web.default.svc.cluster.local.");
    EXPECT_STR(ask(&b, "7.0.43.10.in-addr.arpa", DNS_A), NODATA);
    EXPECT_EQ(said(&b, "8.0.43.10.in-addr.arpa", DNS_PTR), DNS_ZONE_OTHER);
    box_deinit(&b);
}

TEST(names_around_it)
{
    struct box b;

    box_init(&b);
    put(&b, web);
    EXPECT_STR(ask(&b, "dns-version.cluster.local", DNS_TXT), "TXT \"1.1.0\"");
    EXPECT_STR(ask(&b, "dns-version.cluster.local", DNS_A), NODATA);
    EXPECT_STR(ask(&b, "x.dns-version.cluster.local", DNS_TXT), NXDOMAIN);
    EXPECT_STR(ask(&b, "cluster.local", DNS_SOA), "SOA");
    EXPECT_STR(ask(&b, "cluster.local", DNS_NS),
               "NS ns.dns.cluster.local. +ns.dns.cluster.local. A 10.43.0.10");
    EXPECT_STR(ask(&b, "cluster.local", DNS_A), NODATA);
    EXPECT_STR(ask(&b, "ns.dns.cluster.local", DNS_A), "A 10.43.0.10");
    EXPECT_STR(ask(&b, "dns.cluster.local", DNS_A), NODATA);
    EXPECT_STR(ask(&b, "svc.cluster.local", DNS_A), NODATA);
    EXPECT_STR(ask(&b, "default.svc.cluster.local", DNS_A), NODATA);
    EXPECT_STR(ask(&b, "nowhere.svc.cluster.local", DNS_A), NXDOMAIN);
    EXPECT_STR(ask(&b, "web.nowhere.svc.cluster.local", DNS_A), NXDOMAIN);
    EXPECT_STR(ask(&b, "wep.default.svc.cluster.local", DNS_A), NXDOMAIN);
    EXPECT_STR(ask(&b, "web.default.pod.cluster.local", DNS_A), NXDOMAIN);
    EXPECT_STR(ask(&b, "a.b.c.web.default.svc.cluster.local", DNS_A), NXDOMAIN);
    EXPECT_STR(ask(&b, "_http._tcp.x.web.default.svc.cluster.local", DNS_A), NXDOMAIN);
    EXPECT_STR(ask(&b, "web/default.svc.cluster.local", DNS_A), NXDOMAIN);
    EXPECT_STR(ask(&b, "foo.cluster.local", DNS_A), NXDOMAIN);
    EXPECT_EQ(said(&b, "cluster.locale", DNS_A), DNS_ZONE_OTHER);
    EXPECT_EQ(said(&b, "acluster.local", DNS_A), DNS_ZONE_OTHER);
    EXPECT_EQ(said(&b, "local", DNS_A), DNS_ZONE_OTHER);
    EXPECT_EQ(said(&b, ".", DNS_NS), DNS_ZONE_OTHER);
    EXPECT_EQ(said(&b, "web", DNS_A), DNS_ZONE_OTHER);
    box_deinit(&b);
}

TEST(headless)
{
    struct box b;

    box_init(&b);
    put(&b, db_slice);                           /* in any order */
    EXPECT_STR(ask(&b, "db.prod.svc.cluster.local", DNS_A), NXDOMAIN);
    put(&b, db);
    EXPECT_STR(ask(&b, "db.prod.svc.cluster.local", DNS_A), "A 10.42.0.5 A 10.42.1.6");
    b.turn = 1;
    EXPECT_STR(ask(&b, "db.prod.svc.cluster.local", DNS_A), "A 10.42.1.6 A 10.42.0.5");
    EXPECT_STR(ask(&b, "db.prod.svc.cluster.local", DNS_AAAA), NODATA);
    EXPECT_STR(ask(&b, "db-0.db.prod.svc.cluster.local", DNS_A), "A 10.42.0.5");
    EXPECT_STR(ask(&b, "db-0.db.prod.svc.cluster.local", DNS_AAAA), NODATA);
    EXPECT_STR(ask(&b, "10-42-1-6.db.prod.svc.cluster.local", DNS_A), "A 10.42.1.6");
    EXPECT_STR(ask(&b, "10-42-0-5.db.prod.svc.cluster.local", DNS_A), NXDOMAIN);
    EXPECT_STR(ask(&b, "db-1.db.prod.svc.cluster.local", DNS_A), NXDOMAIN);
    EXPECT_STR(ask(&b, "db-2.db.prod.svc.cluster.local", DNS_A), NXDOMAIN);
    EXPECT_STR(ask(&b, "_sql._tcp.db.prod.svc.cluster.local", DNS_SRV),
               "SRV 0 50 15432 db-0.db.prod.svc.cluster.local. "
               "SRV 0 50 15432 10-42-1-6.db.prod.svc.cluster.local. "
               "+db-0.db.prod.svc.cluster.local. A 10.42.0.5 "
               "+10-42-1-6.db.prod.svc.cluster.local. A 10.42.1.6");
    EXPECT_STR(ask(&b, "5.0.42.10.in-addr.arpa", DNS_PTR), "PTR db-0.db.prod.svc.cluster.local.");
    EXPECT_EQ(said(&b, "6.1.42.10.in-addr.arpa", DNS_PTR), DNS_ZONE_OTHER);
    dns_zone_slice_gone(b.z, "prod", "db-x");
    EXPECT_STR(ask(&b, "db.prod.svc.cluster.local", DNS_A), NODATA);
    EXPECT_STR(ask(&b, "_sql._tcp.db.prod.svc.cluster.local", DNS_SRV), NODATA);
    EXPECT_EQ(said(&b, "5.0.42.10.in-addr.arpa", DNS_PTR), DNS_ZONE_OTHER);
    box_deinit(&b);
}

TEST(an_endpoint_in_two_slices_is_told_once)
{
    struct box b;

    box_init(&b);
    put(&b, db);
    put(&b, db_slice);
    put(&b, "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"
            "metadata: {name: db-y, namespace: prod, labels: {kubernetes.io/service-name: db}}\n"
            "addressType: IPv4\nports: [{name: sql, port: 15432}, {name: web, port: 80}]\n"
            "endpoints: [{addresses: [10.42.0.5]}]\n");
    put(&b, "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"
            "metadata: {name: db-6, namespace: prod, labels: {kubernetes.io/service-name: db}}\n"
            "addressType: IPv6\nendpoints: [{addresses: ['fd00::1']}]\n");
    EXPECT_STR(ask(&b, "db.prod.svc.cluster.local", DNS_A), "A 10.42.0.5 A 10.42.1.6");
    EXPECT_STR(ask(&b, "_sql._tcp.db.prod.svc.cluster.local", DNS_SRV),
               "SRV 0 50 15432 db-0.db.prod.svc.cluster.local. "
               "SRV 0 50 15432 10-42-1-6.db.prod.svc.cluster.local. "
               "+db-0.db.prod.svc.cluster.local. A 10.42.0.5 "
               "+10-42-1-6.db.prod.svc.cluster.local. A 10.42.1.6");
    EXPECT_STR(ask(&b, "_web._tcp.db.prod.svc.cluster.local", DNS_SRV),
               "SRV 0 100 80 10-42-0-5.db.prod.svc.cluster.local. "
               "+10-42-0-5.db.prod.svc.cluster.local. A 10.42.0.5");
    box_deinit(&b);
}

TEST(external_names)
{
    struct box b;
    char target[DNS_NAME_TEXT_BYTES];

    box_init(&b);
    put(&b, web);
    put(&b, "apiVersion: v1\nkind: Service\nmetadata: {name: in, namespace: default}\n"
            "spec: {type: ExternalName, externalName: web.default.svc.cluster.local}\n");
    put(&b, "apiVersion: v1\nkind: Service\nmetadata: {name: out, namespace: default}\n"
            "spec: {type: ExternalName, externalName: Db.example.com.}\n");
    put(&b, "apiVersion: v1\nkind: Service\nmetadata: {name: ip, namespace: default}\n"
            "spec: {type: ExternalName, externalName: 10.1.2.3}\n");
    put(&b, "apiVersion: v1\nkind: Service\nmetadata: {name: self, namespace: default}\n"
            "spec: {type: ExternalName, externalName: self.default.svc.cluster.local}\n");
    put(&b, "apiVersion: v1\nkind: Service\nmetadata: {name: lost, namespace: default}\n"
            "spec: {type: ExternalName, externalName: no.default.svc.cluster.local}\n");
    EXPECT_STR(ask(&b, "in.default.svc.cluster.local", DNS_A),
               "CNAME web.default.svc.cluster.local. web.default.svc.cluster.local. A 10.43.0.7");
    EXPECT_STR(ask(&b, "in.default.svc.cluster.local", DNS_AAAA),
               "CNAME web.default.svc.cluster.local. ~SOA");
    EXPECT_STR(ask(&b, "in.default.svc.cluster.local", DNS_CNAME),
               "CNAME web.default.svc.cluster.local.");
    EXPECT_EQ(said(&b, "out.default.svc.cluster.local", DNS_A), DNS_ZONE_CHASE);
    dns_wire_name_text(&b.chase, target);
    EXPECT_STR(target, "db.example.com.");
    EXPECT_STR(ask(&b, "out.default.svc.cluster.local", DNS_CNAME), "CNAME db.example.com.");
    EXPECT_STR(ask(&b, "x.out.default.svc.cluster.local", DNS_A), NXDOMAIN);
    EXPECT_STR(ask(&b, "ip.default.svc.cluster.local", DNS_A), NXDOMAIN);
    EXPECT(strncmp(ask(&b, "self.default.svc.cluster.local", DNS_A), "SERVFAIL", 8) == 0);
    EXPECT_STR(ask(&b, "lost.default.svc.cluster.local", DNS_A),
               "NXDOMAIN CNAME no.default.svc.cluster.local. ~SOA");
    box_deinit(&b);
}

TEST(pods)
{
    struct box b;

    box_init(&b);
    put(&b, "apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: default}\n"
            "spec: {containers: [{name: c, image: i}]}\n"
            "status: {phase: Running, podIP: 10.42.0.5}\n");
    put(&b, "apiVersion: v1\nkind: Pod\nmetadata: {name: b, namespace: default}\n"
            "spec: {containers: [{name: c, image: i}]}\n"
            "status: {phase: Failed, podIP: 10.42.0.6}\n");
    EXPECT_STR(ask(&b, "10-42-0-5.default.pod.cluster.local", DNS_A), "A 10.42.0.5");
    EXPECT_STR(ask(&b, "10-42-0-5.default.pod.cluster.local", DNS_AAAA), NODATA);
    EXPECT_STR(ask(&b, "10-42-0-5.other.pod.cluster.local", DNS_A), NXDOMAIN);
    EXPECT_STR(ask(&b, "10-42-0-6.default.pod.cluster.local", DNS_A), NXDOMAIN);
    EXPECT_STR(ask(&b, "10-42-0-256.default.pod.cluster.local", DNS_A), NXDOMAIN);
    EXPECT_STR(ask(&b, "default.pod.cluster.local", DNS_A), NODATA);
    EXPECT_STR(ask(&b, "other.pod.cluster.local", DNS_A), NXDOMAIN);
    EXPECT_STR(ask(&b, "pod.cluster.local", DNS_A), NODATA);
    dns_zone_pod_gone(b.z, "default", "a");
    EXPECT_STR(ask(&b, "10-42-0-5.default.pod.cluster.local", DNS_A), NXDOMAIN);
    box_deinit(&b);
}

TEST(pods_unseen)
{
    struct box b;

    box_init(&b);
    dns_zone_trust_pod_names(b.z);
    EXPECT_STR(ask(&b, "10-42-0-5.default.pod.cluster.local", DNS_A), "A 10.42.0.5");
    EXPECT_STR(ask(&b, "10-42-0-5.default.pod.cluster.local", DNS_AAAA), NODATA);
    EXPECT_STR(ask(&b, "10-42-0-256.default.pod.cluster.local", DNS_A), NXDOMAIN);
    EXPECT_STR(ask(&b, "default.pod.cluster.local", DNS_A), NODATA);
    box_deinit(&b);
}

TEST(changes_and_new_lists)
{
    struct box b;

    box_init(&b);
    for (int i = 0; i < DNS_ZONE_LISTS; i++) {
        dns_zone_list_begin(b.z, i);
        dns_zone_list_end(b.z, i);
    }
    put(&b, web);
    put(&b, db);
    put(&b, db_slice);
    EXPECT_EQ(dns_zone_names(b.z), 3);
    put(&b, "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: default}\n"
            "spec: {clusterIP: 10.43.0.9, clusterIPs: [10.43.0.9], ports: [{port: 81}]}\n");
    EXPECT_STR(ask(&b, "web.default.svc.cluster.local", DNS_A), "A 10.43.0.9");
    EXPECT_EQ(said(&b, "7.0.43.10.in-addr.arpa", DNS_PTR), DNS_ZONE_OTHER);
    EXPECT_STR(ask(&b, "9.0.43.10.in-addr.arpa", DNS_PTR), "PTR web.default.svc.cluster.local.");
    dns_zone_list_begin(b.z, DNS_ZONE_SERVICES);
    put(&b, db);
    dns_zone_list_end(b.z, DNS_ZONE_SERVICES);
    EXPECT_STR(ask(&b, "web.default.svc.cluster.local", DNS_A), NXDOMAIN);
    EXPECT_STR(ask(&b, "default.svc.cluster.local", DNS_A), NXDOMAIN);
    EXPECT_STR(ask(&b, "db-0.db.prod.svc.cluster.local", DNS_A), "A 10.42.0.5");
    dns_zone_list_begin(b.z, DNS_ZONE_SLICES);
    dns_zone_list_end(b.z, DNS_ZONE_SLICES);
    EXPECT_STR(ask(&b, "db.prod.svc.cluster.local", DNS_A), NODATA);
    dns_zone_service_gone(b.z, "prod", "db");
    dns_zone_service_gone(b.z, "prod", "db");
    EXPECT_EQ(dns_zone_names(b.z), 0);
    box_deinit(&b);
}

TEST(a_domain_that_is_none)
{
    struct err err = ERR_INIT;

    EXPECT(!dns_zone_new("cluster..local", 1, 1, &err));
    EXPECT_STR(err.msg, "cluster domain \"cluster..local\" is no domain name");
    EXPECT(!dns_zone_new("", 1, 1, &err));
    EXPECT(!dns_zone_new(".", 1, 1, &err));
}
