#include "runtime/node/node_env.h"
#include "tests/unit/runtime/node/node_box.h"

struct box {
    struct node_box n;
    struct informer *services;
    struct object *pod;
    struct node_env_facts facts;
    struct plan_texts image, out, own;
    struct err err;
};

static void box_init(struct box *b)
{
    struct informer_opts o = { .kind = kind_service() };

    *b = (struct box){ .facts = { .node_name = "n1", .host_ip = "10.0.0.9", .pod_ip = "10.42.0.7",
                                  .node_milli_cpu = 2000, .node_memory_bytes = 1 << 30 } };
    node_box_init(&b->n);
    fake_client_put(b->n.cluster,
                    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: cm}\ndata: {k: v, EMPTY: "
                    "''}\n---\n"
                    "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {p: c2VjcmV0, nul: "
                    "YQBi}\n---\n"
                    "apiVersion: v1\nkind: Service\nmetadata: {name: kubernetes, namespace: "
                    "default}\n"
                    "spec: {clusterIP: 10.43.0.1, ports: [{name: https, port: 443}]}\n---\n"
                    "apiVersion: v1\nkind: Service\nmetadata: {name: 3-web.x}\n"
                    "spec: {clusterIP: 10.43.0.5, ports: [{port: 80}, {name: dns-u, port: 53, "
                    "protocol: UDP}]}\n---\n"
                    "apiVersion: v1\nkind: Service\nmetadata: {name: headless}\n"
                    "spec: {clusterIP: None, ports: [{port: 80}]}\n---\n"
                    "apiVersion: v1\nkind: Service\nmetadata: {name: other, namespace: elsewhere}\n"
                    "spec: {clusterIP: 10.43.0.8, ports: [{port: 80}]}\n");
    EXPECT_OK(informer_new(&b->services, fake_client_door(b->n.cluster), &o, &b->err), &b->err);
    fake_client_run(b->n.cluster);
}

/* container: the fields of one, in YAML's flow form. */
static int build(struct box *b, const char *spec, const char *container)
{
    struct node_env_in in = { .image_env = &b->image, .services = b->services, .facts = &b->facts };

    b->pod = fake_client_put(b->n.cluster, arena_printf(b->n.a,
        "apiVersion: v1\nkind: Pod\nmetadata: {name: p, uid: u1, labels: {app: foo, b: "
        "\"q\\\"q\"}}\n"
        "spec: {%s containers: [{name: c, image: i, %s}]}\n", spec, container));
    node_box_refs(&b->n, b->pod);
    in.pod = b->pod;
    in.c = &pod_view(b->pod)->spec.containers[0];
    in.refs = b->n.refs;
    return node_env_build(&b->out, &b->own, b->n.a, &in, &b->err);
}

static const char *get(const struct plan_texts *t, const char *name)
{
    const char *found = NULL;

    for (size_t i = 0; i < t->len; i++)
        if (str_starts(t->v[i], name) && t->v[i][strlen(name)] == '=') {
            EXPECT(!found);
            found = t->v[i] + strlen(name) + 1;
        }
    return found;
}

static void box_deinit(struct box *b)
{
    informer_free(b->services);
    node_box_deinit(&b->n);
}

TEST(services)
{
    struct box b;

    box_init(&b);
    EXPECT_OK(build(&b, "", "env: [{name: A, value: '$(KUBERNETES_SERVICE_HOST)'}]"), &b.err);
    EXPECT_STR(get(&b.out, "KUBERNETES_SERVICE_HOST"), "10.43.0.1");
    EXPECT_STR(get(&b.out, "KUBERNETES_SERVICE_PORT"), "443");
    EXPECT_STR(get(&b.out, "KUBERNETES_SERVICE_PORT_HTTPS"), "443");
    EXPECT_STR(get(&b.out, "KUBERNETES_PORT_443_TCP"), "tcp://10.43.0.1:443");
    EXPECT_STR(get(&b.out, "_3_WEB_X_SERVICE_HOST"), "10.43.0.5");
    EXPECT_STR(get(&b.out, "_3_WEB_X_SERVICE_PORT_DNS_U"), "53");
    EXPECT_STR(get(&b.out, "_3_WEB_X_PORT"), "tcp://10.43.0.5:80");
    EXPECT_STR(get(&b.out, "_3_WEB_X_PORT_53_UDP_PROTO"), "udp");
    EXPECT_STR(get(&b.out, "A"), "10.43.0.1");
    EXPECT(!get(&b.out, "HEADLESS_SERVICE_HOST"));
    EXPECT(!get(&b.out, "OTHER_SERVICE_HOST"));
    box_deinit(&b);
}

TEST(without_links_only_kubernetes)
{
    struct box b;

    box_init(&b);
    EXPECT_OK(build(&b, "enableServiceLinks: false,", ""), &b.err);
    EXPECT_STR(get(&b.out, "KUBERNETES_SERVICE_HOST"), "10.43.0.1");
    EXPECT(!get(&b.out, "_3_WEB_X_SERVICE_HOST"));
    box_deinit(&b);
}

TEST(order_and_expansion)
{
    struct box b;

    box_init(&b);
    plan_add_text(&b.image, b.n.a, "PATH=/bin");
    plan_add_text(&b.image, b.n.a, "A=image");
    EXPECT_OK(build(&b, "",
                    "envFrom: [{prefix: X_, configMapRef: {name: cm}}, {secretRef: {name: nope, "
                    "optional: true}}],"
                    "env: [{name: A, value: own}, {name: B, value: "
                    "'$(A)-$(X_k)-$(NO)-$$(A)-$(PATH)-$(A'},"
                    "{name: A, value: later}, {name: X_k, value: over}, {name: E, value: ''}]"),
                        &b.err);
    EXPECT_STR(get(&b.out, "PATH"), "/bin");
    EXPECT_STR(get(&b.out, "A"), "later");
    EXPECT_STR(get(&b.out, "B"), "own-v-$(NO)-$(A)-$(PATH)-$(A");
    EXPECT_STR(get(&b.out, "X_k"), "over");
    EXPECT_STR(get(&b.out, "X_EMPTY"), "");
    EXPECT_STR(get(&b.out, "E"), "");
    EXPECT(!get(&b.own, "PATH"));
    EXPECT_STR(get(&b.own, "A"), "later");
    box_deinit(&b);
}

TEST(value_from)
{
    struct box b;

    box_init(&b);
    EXPECT_OK(build(&b, "serviceAccountName: sa,",
        "resources: {requests: {cpu: 250m, memory: 1Mi}},"
        "env: [{name: K, valueFrom: {configMapKeyRef: {name: cm, key: k}}},"
        "{name: P, valueFrom: {secretKeyRef: {name: s, key: p}}},"
        "{name: O, valueFrom: {secretKeyRef: {name: s, key: none, optional: true}}},"
        "{name: NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}},"
        "{name: U, valueFrom: {fieldRef: {fieldPath: metadata.uid}}},"
        "{name: L, valueFrom: {fieldRef: {fieldPath: \"metadata.labels['app']\"}}},"
        "{name: SA, valueFrom: {fieldRef: {fieldPath: spec.serviceAccountName}}},"
        "{name: IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}},"
        "{name: H, valueFrom: {fieldRef: {fieldPath: status.hostIP}}},"
        "{name: CPU, valueFrom: {resourceFieldRef: {resource: requests.cpu}}},"
        "{name: CPUM, valueFrom: {resourceFieldRef: {resource: requests.cpu, divisor: 1m}}},"
        "{name: MEM, valueFrom: {resourceFieldRef: {resource: requests.memory, divisor: 1Ki}}},"
        "{name: LIM, valueFrom: {resourceFieldRef: {resource: limits.cpu}}}]"), &b.err);
    EXPECT_STR(get(&b.out, "K"), "v");
    EXPECT_STR(get(&b.out, "P"), "secret");
    EXPECT(!get(&b.out, "O"));
    EXPECT_STR(get(&b.out, "NAME"), "p");
    EXPECT_STR(get(&b.out, "U"), "u1");
    EXPECT_STR(get(&b.out, "L"), "foo");
    EXPECT_STR(get(&b.out, "SA"), "sa");
    EXPECT_STR(get(&b.out, "IP"), "10.42.0.7");
    EXPECT_STR(get(&b.out, "H"), "10.0.0.9");
    EXPECT_STR(get(&b.out, "CPU"), "1");
    EXPECT_STR(get(&b.out, "CPUM"), "250");
    EXPECT_STR(get(&b.out, "MEM"), "1024");
    EXPECT_STR(get(&b.out, "LIM"), "2");
    box_deinit(&b);
}

static void expect_error(const char *container, const char *message)
{
    struct box b;

    box_init(&b);
    EXPECT_EQ(build(&b, "", container), -1);
    EXPECT_STR(b.err.msg, message);
    box_deinit(&b);
}

TEST(errors)
{
    expect_error("envFrom: [{configMapRef: {name: nope}}]", "configmap \"nope\" not found");
    expect_error("envFrom: [{secretRef: {name: nope}}]", "secret \"nope\" not found");
    expect_error("env: [{name: A, valueFrom: {configMapKeyRef: {name: cm, key: x}}}]",
                 "couldn't find key x in ConfigMap default/cm");
    expect_error("env: [{name: A, valueFrom: {secretKeyRef: {name: s, key: x}}}]",
                 "couldn't find key x in Secret default/s");
    expect_error("env: [{name: A, valueFrom: {secretKeyRef: {name: s, key: nul}}}]",
                 "the value of environment variable A holds a NUL byte");
    expect_error("env: [{name: A, valueFrom: {fieldRef: {fieldPath: spec.dnsPolicy}}}]",
                 "unsupported fieldPath: spec.dnsPolicy");
    expect_error("env: [{name: A, valueFrom: {resourceFieldRef: {containerName: z, resource: "
                 "limits.cpu}}}]",
                 "container z not found");
}

TEST(command_and_args)
{
    struct node_box n;
    struct plan_texts own = { 0 }, entry = { 0 }, cmd = { 0 }, out = { 0 };
    const char *const command[] = { "echo", "$(A)" }, *const args[] = { "$$(A)", "$(B)" };
    struct container_view c = { 0 };
    struct node_env_command k = { &c, &own, &entry, &cmd };
    const char *text;
    struct err err = ERR_INIT;

    node_box_init(&n);
    plan_add_text(&own, n.a, "A=1");
    plan_add_text(&entry, n.a, "/entry");
    plan_add_text(&cmd, n.a, "cmd$(A)");
    node_env_args(&out, n.a, &k);
    EXPECT_EQ(out.len, 2);
    EXPECT_STR(out.v[1], "cmd$(A)");
    c.args = args;
    c.n_args = 2;
    out = (struct plan_texts){ 0 };
    node_env_args(&out, n.a, &k);
    EXPECT_EQ(out.len, 3);
    EXPECT_STR(out.v[0], "/entry");
    EXPECT_STR(out.v[1], "$(A)");
    EXPECT_STR(out.v[2], "$(B)");
    c.command = command;
    c.n_command = 2;
    c.n_args = 0;
    out = (struct plan_texts){ 0 };
    node_env_args(&out, n.a, &k);
    EXPECT_EQ(out.len, 2);
    EXPECT_STR(out.v[1], "1");
    EXPECT_OK(node_env_expand_strict(&text, n.a, "d/$(A)", &own, &err), &err);
    EXPECT_STR(text, "d/1");
    EXPECT_EQ(node_env_expand_strict(&text, n.a, "$(X)", &own, &err), -1);
    node_box_deinit(&n);
}

TEST(maps_in_files)
{
    struct box b;
    const char *text;
    struct node_env_of of;

    box_init(&b);
    EXPECT_OK(build(&b, "", ""), &b.err);
    of = (struct node_env_of){ b.n.a, b.pod, &b.facts };
    EXPECT_OK(node_env_field(&text, &of, "metadata.labels", &b.err), &b.err);
    EXPECT_STR(text, "app=\"foo\"\nb=\"q\\\"q\"");
    EXPECT_OK(node_env_field(&text, &of, "metadata.annotations", &b.err),
              &b.err);
    EXPECT_STR(text, "");
    EXPECT_OK(node_env_field(&text, &of, "metadata.labels['']", &b.err), &b.err);
    EXPECT_EQ(node_env_field(&text, &of, "metadata.labels[']", &b.err), -1);
    box_deinit(&b);
}
