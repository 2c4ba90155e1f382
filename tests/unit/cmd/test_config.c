/* The sources of a configuration: flags, environment, files; their order, their errors. */
#include "cmd/config_args.h"

#include "core/base/fd.h"
#include "tests/harness/test.h"

#include <fcntl.h>

struct given { const char *args[12]; const char *env[6]; const char *file; unsigned command; };

static int parse(struct config **out, const struct given *g, struct err *err)
{
    char *argv[16] = { (char *)"server" };
    int argc = 1;

    for (; g->args[argc - 1]; argc++)
        argv[argc] = (char *)g->args[argc - 1];
    return config_parse(out, &(struct config_input){
        .command = g->command ? g->command : CONFIG_SERVER, .argc = argc, .argv = argv,
        .env = (char *const *)g->env, .file = g->file ? g->file : "/nonexistent" }, err);
}

static const char *file(const char *name, const char *text)
{
    char *path = mem_printf("%s/%s", test_tmpdir(), name);
    char *slash = strrchr(path, '/');
    struct err err = ERR_INIT;

    *slash = '\0';
    EXPECT_OK(fd_mkdirs(path, 0700, &err), &err);
    *slash = '/';
    EXPECT_OK(fd_write_file(AT_FDCWD, path, text, strlen(text), 0600, &err), &err);
    return path;
}

#define EXPECT_REFUSED(text, ...)                                                                  \
    do {                                                                                           \
        struct given g_ = { __VA_ARGS__ };                                                         \
        struct err err_ = ERR_INIT;                                                                \
        struct config *c_ = NULL;                                                                  \
        EXPECT_EQ(parse(&c_, &g_, &err_), -1);                                                     \
        EXPECT_STR(err_.msg, text);                                                                \
    } while (0)

TEST(initial_values)
{
    struct given g = { 0 };
    struct err err = ERR_INIT;
    struct config *c;
    int min, max;

    EXPECT_OK(parse(&c, &g, &err), &err);
    EXPECT_STR(c->data_dir, "/var/lib/inro");
    EXPECT_STR(c->run_dir, "/run/inro");
    EXPECT_STR(c->write_kubeconfig, "/etc/inro/inro.yaml");
    EXPECT_EQ(c->https_listen_port, 6443);
    EXPECT_STR(c->cluster_dns, "10.43.0.10");
    EXPECT_STR(c->node_name, "");
    EXPECT_EQ(c->tls_san.n, 0);
    EXPECT(!c->disable_agent);
    EXPECT_EQ(config_log_level(c), LOG_INFO);
    config_node_ports(c, &min, &max);
    EXPECT_EQ(min, 30000);
    EXPECT_EQ(max, 32767);
    config_free(c);
}

TEST(the_name_server_follows_the_network_of_services)
{
    struct given g = { .args = { "--service-cidr=10.99.128.0/20" } };
    struct err err = ERR_INIT;
    struct config *c;

    EXPECT_OK(parse(&c, &g, &err), &err);
    EXPECT_STR(c->cluster_dns, "10.99.128.10");
    config_free(c);
}

TEST(forms_of_flags)
{
    struct given g = { .args = { "--data-dir", "/a", "--run-dir=/b", "-o/c", "-v", "4",
                                 "--disable-agent", "--disable-scheduler=false",
                                 "--tls-san=x,10.0.0.1", "--tls-san", "y" } };
    struct err err = ERR_INIT;
    struct config *c;

    EXPECT_OK(parse(&c, &g, &err), &err);
    EXPECT_STR(c->data_dir, "/a");
    EXPECT_STR(c->run_dir, "/b");
    EXPECT_STR(c->write_kubeconfig, "/c");
    EXPECT_EQ(config_log_level(c), LOG_DEBUG);
    EXPECT(c->disable_agent);
    EXPECT(!c->disable_scheduler);
    EXPECT_EQ(c->tls_san.n, 3);
    EXPECT_STR(c->tls_san.v[0], "x");
    EXPECT_STR(c->tls_san.v[1], "10.0.0.1");
    EXPECT_STR(c->tls_san.v[2], "y");
    EXPECT(!c->tls_san.v[3]);
    config_free(c);
}

TEST(operands_end_with_two_dashes)
{
    struct given g = { .args = { "import", "--", "--name" }, .command = CONFIG_IMAGE };
    struct err err = ERR_INIT;
    struct config *c;

    EXPECT_OK(parse(&c, &g, &err), &err);
    EXPECT_EQ(c->operands.n, 2);
    EXPECT_STR(c->operands.v[1], "--name");
    config_free(c);
}

TEST(a_flag_beats_a_variable_beats_the_file)
{
    struct given g = {
        .args = { "--run-dir=/flag", "--tls-san=flag" },
        .env = { "INRO_RUN_DIR=/env", "INRO_DATA_DIR=/env", "INRO_TLS_SAN=env" },
        .file = file("c.yaml", "run-dir: /file\ndata-dir: /file\ncgroup-root: file\n"
                               "tls-san: [file]\nnode-label:\n- a=b\n- c=d\ndisable-agent: true\n"
                               "https-listen-port: 7443\n"),
    };
    struct err err = ERR_INIT;
    struct config *c;

    EXPECT_OK(parse(&c, &g, &err), &err);
    EXPECT_STR(c->run_dir, "/flag");
    EXPECT_STR(c->data_dir, "/env");
    EXPECT_STR(c->cgroup_root, "file");
    EXPECT_EQ(c->tls_san.n, 1);
    EXPECT_STR(c->tls_san.v[0], "flag");
    EXPECT_EQ(c->node_label.n, 2);
    EXPECT(c->disable_agent);
    EXPECT_EQ(c->https_listen_port, 7443);
    config_free(c);
    mem_free((char *)g.file);
}

TEST(folder_of_files)
{
    struct given g = { .file = file("c.yaml", "node-label: [a=1]\ntls-san: [a]\n") };
    struct err err = ERR_INIT;
    struct config *c;

    mem_free((char *)file("c.yaml.d/20.yaml", "node-label+: [c=3]\n"));
    mem_free((char *)file("c.yaml.d/10.yaml", "node-label+: b=2\ntls-san: b\n"));
    mem_free((char *)file("c.yaml.d/ignored.txt", "nonsense: true\n"));
    EXPECT_OK(parse(&c, &g, &err), &err);
    EXPECT_EQ(c->node_label.n, 3);
    EXPECT_STR(c->node_label.v[0], "a=1");
    EXPECT_STR(c->node_label.v[1], "b=2");
    EXPECT_STR(c->node_label.v[2], "c=3");
    EXPECT_EQ(c->tls_san.n, 1);
    EXPECT_STR(c->tls_san.v[0], "b");
    config_free(c);
    mem_free((char *)g.file);
}

TEST(the_file_that_is_asked_for_must_be_there)
{
    EXPECT_REFUSED("configuration: open /nonexistent/c: No such file or directory",
                   .args = { "--config=/nonexistent/c" });
    EXPECT_REFUSED("configuration: open /nonexistent/d: No such file or directory",
                   .env = { "INRO_CONFIG_FILE=/nonexistent/d" });
}

TEST(errors_name_the_source)
{
    const char *path = file("c.yaml", "# here\n\ndata-dirr: /x\n");
    const char *bad = file("d.yaml", "a: 1\n"), *list = file("e.yaml", "\nnode-name: [a, b]\n");
    const char *value = file("f.yaml", "\n\nhttps-listen-port: 0\n");
    char *text = mem_printf("configuration: %s:3: unknown key \"data-dirr\": did you mean "
                            "\"data-dir\"?", path);

    EXPECT_REFUSED(text, .file = path);
    mem_free(text);
    text = mem_printf("configuration: %s:1: unknown key \"a\"", bad);
    EXPECT_REFUSED(text, .file = bad);
    mem_free(text);
    text = mem_printf("configuration: %s:2: node-name takes one value, not a list", list);
    EXPECT_REFUSED(text, .file = list);
    mem_free(text);
    text = mem_printf("%s:3: https-listen-port: 0 is not between 1 and 65535", value);
    EXPECT_REFUSED(text, .file = value);
    mem_free(text);
    EXPECT_REFUSED("INRO_NODE_IP: \"x\" is not an IPv4 address", .env = { "INRO_NODE_IP=x" });
    mem_free((char *)path);
    mem_free((char *)bad);
    mem_free((char *)list);
    mem_free((char *)value);
}

TEST(bad_flags)
{
    EXPECT_REFUSED("unknown flag --date-dir: did you mean --data-dir?", .args = { "--date-dir=x" });
    EXPECT_REFUSED("unknown flag --xyzzy; see inro server --help", .args = { "--xyzzy" });
    EXPECT_REFUSED("unknown flag -Z; see inro server --help", .args = { "-Z" });
    EXPECT_REFUSED("unknown flag --all; see inro server --help", .args = { "--all" });
    EXPECT_REFUSED("--data-dir needs a value", .args = { "--data-dir" });
    EXPECT_REFUSED("--disable-agent: \"maybe\" is neither true nor false",
                   .args = { "--disable-agent=maybe" });
    EXPECT_REFUSED("--data-dir must not be empty", .args = { "--data-dir=" });
    EXPECT_REFUSED("--cluster-dns 10.9.0.1 is not in --service-cidr 10.43.0.0/16",
                   .args = { "--cluster-dns=10.9.0.1" });
    EXPECT_REFUSED("--cluster-cidr 10.43.0.0/16 and --service-cidr 10.43.0.0/16 overlap",
                   .args = { "--cluster-cidr=10.43.0.0/16" });
    EXPECT_REFUSED("--node-label: \"x\" is not KEY=VALUE", .args = { "--node-label=x" });
    EXPECT_REFUSED("--node-taint: \"a=b:No\" is not KEY=VALUE:EFFECT with one of the effects "
                   "NoSchedule, PreferNoSchedule, NoExecute", .args = { "--node-taint=a=b:No" });
    EXPECT_REFUSED("--service-node-port-range: \"9-1\" is no range of ports such as 30000-32767",
                   .args = { "--service-node-port-range=9-1" });
    EXPECT_REFUSED("--log-level: \"loud\" is none of debug, info, warn, error",
                   .args = { "--log-level=loud" });
    EXPECT_REFUSED("--flannel-backend: \"wireguard-native\" is none of vxlan, host-gw, none",
                   .args = { "--flannel-backend=wireguard-native" });
    EXPECT_REFUSED("--write-kubeconfig-mode: \"9\" is no octal file mode such as 0600",
                   .args = { "--write-kubeconfig-mode=9" });
}

TEST(k3s_flags_without_meaning)
{
    struct given g = { .args = { "--flannel-iface=eth0", "--kubelet-arg", "a=b", "--kubelet-arg",
                                 "c=d", "--selinux" } };
    struct err err = ERR_INIT;
    struct config *c;

    EXPECT_OK(parse(&c, &g, &err), &err);
    EXPECT_EQ(c->ignored.n, 2);
    EXPECT_STR(c->ignored.v[0], "flannel-iface");
    EXPECT_STR(c->ignored.v[1], "selinux");
    config_free(c);
}

static void note_unknown(const char *what, void *ctx)
{
    buf_fmt(ctx, "%s ", what);
}

TEST(settings_of_upstreams_components)
{
    struct given g = { .args = { "--kubelet-arg=max-pods=7", "--kubelet-arg=--v=2",
                                 "--kube-controller-manager-arg=node-monitor-grace-period=1m2s",
                                 "--kube-apiserver-arg=default-unreachable-toleration-seconds=0",
                                 "--kube-apiserver-arg=event-ttl=10m" } };
    struct buf unknown = BUF_INIT;
    struct config_args args;
    struct err err = ERR_INIT;
    struct config *c;

    EXPECT_OK(parse(&c, &g, &err), &err);
    EXPECT_OK(config_args(&args, c, note_unknown, &unknown, &err), &err);
    EXPECT_EQ(args.max_pods, 7);
    EXPECT_EQ(args.node_grace_ms, 62000);
    EXPECT_EQ(args.node_startup_grace_ms, 60000);
    EXPECT_EQ(args.unreachable_toleration_s, 0);
    EXPECT_EQ(args.not_ready_toleration_s, 300);
    EXPECT_EQ(args.event_ttl_ms, 600000);
    EXPECT_STR(unknown.p, "kubelet-arg=v ");
    buf_deinit(&unknown);
    config_free(c);
}

TEST(bad_settings_are_named)
{
    static const char *const bad[][2] = {
        { "--kubelet-arg=max-pods=0", "--kubelet-arg max-pods" },
        { "--kubelet-arg=max-pods", "--kubelet-arg max-pods" },
        { "--kube-controller-manager-arg=node-monitor-grace-period=5",
          "--kube-controller-manager-arg node-monitor-grace-period" },
        { "--kube-controller-manager-arg=node-monitor-grace-period=999ms", "1 to 86400 seconds" },
    };

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct given g = { .args = { bad[i][0] } };
        struct err err = ERR_INIT;
        struct config *c;

        EXPECT_EQ(parse(&c, &g, &err), -1);
        EXPECT(strstr(err.msg, bad[i][1]));
    }
}

TEST(to_another_process_and_back)
{
    struct given g = { .args = { "--data-dir=/a b", "--node-label=a=b,c=d", "--disable-agent",
                                 "--https-listen-port=1", "--node-taint=x=:NoSchedule" } };
    struct buf text = BUF_INIT, again = BUF_INIT;
    struct err err = ERR_INIT;
    struct config *c, *d;

    EXPECT_OK(parse(&c, &g, &err), &err);
    config_write(&text, c);
    EXPECT_OK(config_read(&d, text.p, text.len, &err), &err);
    EXPECT_STR(d->data_dir, "/a b");
    EXPECT_EQ(d->node_label.n, 2);
    EXPECT_STR(d->node_label.v[1], "c=d");
    EXPECT(d->disable_agent);
    EXPECT_EQ(d->https_listen_port, 1);
    config_write(&again, d);
    EXPECT_EQ(text.len, again.len);
    EXPECT_MEM(text.p, again.p, text.len);
    config_free(c);
    config_free(d);
    EXPECT_EQ(config_read(&d, "--nonsense=1", 13, &err), -1);
    buf_deinit(&text);
    buf_deinit(&again);
}

TEST(help_has_each_flag_of_the_command_and_no_other)
{
    struct buf text = BUF_INIT;

    config_help(&text, CONFIG_IMAGE);
    EXPECT(strstr(text.p, "--data-dir DIR"));
    EXPECT(strstr(text.p, "--quiet"));
    EXPECT(!strstr(text.p, "--cluster-cidr"));
    EXPECT(!strstr(text.p, "flannel"));
    buf_deinit(&text);
}

/* k3s's names of variables, which ours beat. */
TEST(flags_of_agents)
{
    struct given g = { .command = CONFIG_AGENT,
                       .env = { "K3S_URL=https://a:6443", "K3S_TOKEN=t", "K3S_NODE_NAME=n" } };
    struct given ours = { .command = CONFIG_AGENT,
                          .env = { "K3S_URL=https://a:6443", "INRO_URL=https://b:6443" } };
    struct given flag = { .command = CONFIG_AGENT, .args = { "-s", "https://c" },
                          .env = { "INRO_SERVER=https://b:6443" } };
    struct err err = ERR_INIT;
    struct config *c;

    EXPECT_OK(parse(&c, &g, &err), &err);
    EXPECT_STR(config_api_url(c), "https://a:6443");
    EXPECT_STR(c->token, "t");
    EXPECT_STR(c->node_name, "n");
    config_free(c);
    EXPECT_OK(parse(&c, &ours, &err), &err);
    EXPECT_STR(c->server, "https://b:6443");
    config_free(c);
    EXPECT_OK(parse(&c, &flag, &err), &err);
    EXPECT_STR(c->server, "https://c");
    config_free(c);
    EXPECT_REFUSED("--server: \"http://a\" is not https://HOST:PORT", .command = CONFIG_AGENT,
                   .args = { "--server=http://a" });
    EXPECT_REFUSED("--server: \"https://a/b\" is not https://HOST:PORT", .command = CONFIG_AGENT,
                   .args = { "--server=https://a/b" });
    EXPECT_REFUSED("--ttl: \"-1h\" is negative", .command = CONFIG_TOKEN,
                   .args = { "--ttl=-1h" });
    EXPECT_REFUSED("--groups: \"people\" is not system:bootstrappers:NAME",
                   .command = CONFIG_TOKEN, .args = { "--groups=people" });
    EXPECT_REFUSED("--usages: \"x\" is none of authentication, signing",
                   .command = CONFIG_TOKEN, .args = { "--usages=x" });
}
