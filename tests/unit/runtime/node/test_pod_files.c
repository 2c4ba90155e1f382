/* test_pod_files.c -- hosts, host name and resolver of pods. */
#include "core/object/codec.h"
#include "runtime/node/pod_files.h"
#include "tests/harness/test.h"

static struct node_conf conf = { .cluster_dns = "10.43.0.10", .cluster_domain = "cluster.local" };

static struct object *pod_of(struct arena *a, const char *spec)
{
    struct err err = ERR_INIT;
    struct object *o = NULL;
    struct json *raw, *tree;
    const char *text = arena_printf(a, "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":"
                                    "{\"name\":\"p\",\"namespace\":\"n\"},"
                                    "\"spec\":{%s%s\"containers\":[]}}",
                                    spec, *spec ? "," : "");

    EXPECT_OK(json_parse(&raw, a, text, strlen(text), NULL, &err), &err);
    EXPECT_OK(codec_canonical(&tree, a, kind_pod()->type, raw, NULL, &err), &err);
    EXPECT_OK(object_from_tree(&o, kind_pod(), tree, 1, &err), &err);
    return o;
}

#define HOST "# the host\nsearch home lan\nnameserver 1.1.1.1\nnameserver\t1.0.0.1\noptions edns0\n"

struct resolv_case { const char *spec, *text; };

static const struct resolv_case resolvs[] = {
    { "\"dnsPolicy\":\"ClusterFirst\"",
      "search n.svc.cluster.local svc.cluster.local cluster.local home lan\n"
      "nameserver 10.43.0.10\noptions ndots:5\n" },
    { "\"dnsPolicy\":\"Default\"",
      "search home lan\nnameserver 1.1.1.1\nnameserver 1.0.0.1\noptions edns0\n" },
    { "\"dnsPolicy\":\"ClusterFirst\",\"hostNetwork\":true",
      "search home lan\nnameserver 1.1.1.1\nnameserver 1.0.0.1\noptions edns0\n" },
    { "\"dnsPolicy\":\"ClusterFirstWithHostNet\",\"hostNetwork\":true",
      "search n.svc.cluster.local svc.cluster.local cluster.local home lan\n"
      "nameserver 10.43.0.10\noptions ndots:5\n" },
    { "\"dnsPolicy\":\"None\",\"dnsConfig\":{\"nameservers\":[\"9.9.9.9\"],\"searches\":[\"a.b\"],"
      "\"options\":[{\"name\":\"ndots\",\"value\":\"1\"},{\"name\":\"rotate\"}]}",
      "search a.b\nnameserver 9.9.9.9\noptions ndots:1 rotate\n" },
    { "\"dnsPolicy\":\"ClusterFirst\",\"dnsConfig\":{\"nameservers\":[\"10.43.0.10\",\"2.2.2.2\"],"
      "\"options\":[{\"name\":\"ndots\",\"value\":\"2\"}]}",
      "search n.svc.cluster.local svc.cluster.local cluster.local home lan\n"
      "nameserver 10.43.0.10\nnameserver 2.2.2.2\noptions ndots:2\n" },
};

TEST(resolv_conf)
{
    for (size_t i = 0; i < ARRAY_LEN(resolvs); i++) {
        struct arena *a = arena_new(0);
        struct object *o = pod_of(a, resolvs[i].spec);
        struct buf b = BUF_INIT;

        pod_files_resolv(&b, &conf, pod_view(o), HOST);
        EXPECT_STR(b.p, resolvs[i].text);
        buf_clear(&b);
        pod_files_resolv(&b, &conf, pod_view(o), NULL);      /* no file is no obstacle */
        buf_deinit(&b);
        object_unref(o);
        arena_free(a);
    }
}

struct name_case { const char *spec, *name; };

static const struct name_case names[] = {
    { "", "p" },
    { "\"hostname\":\"h\"", "h" },
    { "\"hostname\":\"h\",\"subdomain\":\"s\"", "h" },
    { "\"hostname\":\"h\",\"subdomain\":\"s\",\"setHostnameAsFQDN\":true",
      "h.s.n.svc.cluster.local" },
    { "\"hostnameOverride\":\"other.example\"", "other.example" },
};

TEST(host_names)
{
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct arena *a = arena_new(0);
        struct object *o = pod_of(a, names[i].spec);

        EXPECT_STR(pod_files_hostname(a, &conf, pod_view(o)), names[i].name);
        object_unref(o);
        arena_free(a);
    }
}

TEST(hosts)
{
    struct arena *a = arena_new(0);
    struct object *o = pod_of(a, "\"hostname\":\"h\",\"subdomain\":\"s\",\"hostAliases\":[{\"ip\":"
                                 "\"1.2.3.4\",\"hostnames\":[\"x\",\"y\"]}]");
    struct buf b = BUF_INIT;

    pod_files_hosts(&b, &conf, pod_view(o), "10.42.0.9", NULL);
    EXPECT(str_starts(b.p, "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n"));
    EXPECT(str_ends(b.p, "10.42.0.9\th.s.n.svc.cluster.local\th\n\n"
                         "# Entries added by HostAliases.\n1.2.3.4\tx\ty\n"));
    object_unref(o);
    buf_clear(&b);
    o = pod_of(a, "\"hostNetwork\":true");
    pod_files_hosts(&b, &conf, pod_view(o), "10.42.0.9", "127.0.0.1\tme\n");
    EXPECT_STR(b.p, "# Kubernetes-managed hosts file (host network).\n127.0.0.1\tme\n");
    object_unref(o);
    buf_deinit(&b);
    arena_free(a);
}
