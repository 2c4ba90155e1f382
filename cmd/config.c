/* config.c -- the table of flags, and the sources that fill the struct. */
#include "cmd/config.h"

#include <errno.h>
#include <stdlib.h>

#include "core/base/check.h"
#include "core/base/vec.h"

#define AT(field) offsetof(struct config, field)
#define S CONFIG_SERVER
#define ST CONFIG_STORED
#define N CONFIG_NODE
#define T CONFIG_TOKEN

const struct config_flag config_flags[] = {
    { "config", 'c', CONFIG_TEXT, ST | CONFIG_KUBECTL, AT(config_file), CONFIG_FILE_DEFAULT, "FILE",
      "configuration file; FILE.d/*.yaml are read after it", NULL, true },
    { "data-dir", 'd', CONFIG_TEXT, ST, AT(data_dir), "/var/lib/inro", "DIR",
      "where objects, certificates, images and volumes are kept", NULL, false },
    { "run-dir", 0, CONFIG_TEXT, ST, AT(run_dir), "/run/inro", "DIR",
      "where sockets and state that ends with a reboot are kept", NULL, false },
    { "cgroup-root", 0, CONFIG_TEXT, ST, AT(cgroup_root), "inro", "NAME",
      "control group of this node's pods", config_check_cgroup, false },

    { "write-kubeconfig", 'o', CONFIG_TEXT, S | CONFIG_KUBECTL, AT(write_kubeconfig),
      "/etc/inro/inro.yaml", "FILE", "administrator's kubeconfig", NULL, false },
    { "write-kubeconfig-mode", 0, CONFIG_TEXT, S, AT(write_kubeconfig_mode), "0600", "MODE",
      "its permissions", config_check_mode, false },
    { "bind-address", 0, CONFIG_TEXT, S, AT(bind_address), NULL, "IP",
      "address to listen on (default: all)", config_check_ip, false },
    { "https-listen-port", 0, CONFIG_INT, S, AT(https_listen_port), "6443", "PORT",
      "port of the API", config_check_port, false },
    { "advertise-address", 0, CONFIG_TEXT, S, AT(advertise_address), NULL, "IP",
      "address of the API that pods are told (default: --node-ip)", config_check_ip, false },
    { "tls-san", 0, CONFIG_LIST, S, AT(tls_san), NULL, "NAME",
      "further name or address in the API's certificate", config_check_san, false },

    { "node-name", 0, CONFIG_TEXT, N | CONFIG_STOP, AT(node_name), NULL, "NAME",
      "name of this node (default: the host's)", config_check_node_name, false },
    { "node-ip", 'i', CONFIG_TEXT, N, AT(node_ip), NULL, "IP",
      "address of this node (default: of the link with the default route)", config_check_ip,
          false },
    { "node-label", 0, CONFIG_LIST, N, AT(node_label), NULL, "KEY=VALUE",
      "label of this node", config_check_label, false },
    { "node-taint", 0, CONFIG_LIST, N, AT(node_taint), NULL, "KEY=VALUE:EFFECT",
      "taint of this node", config_check_taint, false },
    { "resolv-conf", 0, CONFIG_TEXT, N, AT(resolv_conf), "/etc/resolv.conf", "FILE",
      "name servers for names outside the cluster", NULL, false },
    { "private-registry", 0, CONFIG_TEXT, N | CONFIG_IMAGE, AT(private_registry),
      "/etc/inro/registries.yaml",
      "FILE", "mirrors, credentials and certificates of image registries", NULL, false },

    { "server", 's', CONFIG_TEXT, CONFIG_AGENT, AT(server), NULL, "URL",
      "server to join: https://HOST:6443", config_check_server, false },
    { "token", 't', CONFIG_TEXT, N | T, AT(token), NULL, "TOKEN",
      "shared secret of server and agents (agent: also one of \"inro token create\"; token "
      "rotate: the present one)", NULL, false },
    { "token-file", 0, CONFIG_TEXT, N, AT(token_file), NULL, "FILE",
      "file that holds the token", NULL, false },

    { "cluster-cidr", 0, CONFIG_TEXT, S, AT(cluster_cidr), "10.42.0.0/16", "NET",
      "network of the pods", config_check_net, false },
    { "service-cidr", 0, CONFIG_TEXT, S, AT(service_cidr), "10.43.0.0/16", "NET",
      "network of the Services", config_check_net, false },
    { "service-node-port-range", 0, CONFIG_TEXT, S, AT(node_port_range), "30000-32767", "MIN-MAX",
      "ports of NodePort Services", config_check_range, false },
    { "cluster-dns", 0, CONFIG_TEXT, S, AT(cluster_dns), NULL, "IP",
      "address of the cluster's name server (default: the tenth of --service-cidr)",
      config_check_ip, false },
    { "cluster-domain", 0, CONFIG_TEXT, S, AT(cluster_domain), "cluster.local", "DOMAIN",
      "domain of the cluster's names", config_check_domain, false },

    { "flannel-backend", 0, CONFIG_TEXT, S, AT(flannel_backend), "vxlan", "BACKEND",
      "how pods reach those of other nodes: vxlan, host-gw (nodes share a network), none",
      config_check_backend, false },

    { "disable", 0, CONFIG_LIST, S, AT(disable), NULL, "PART",
      "do not run this part: dns, proxy", config_check_disable, false },
    { "disable-agent", 0, CONFIG_BOOL, S, AT(disable_agent), NULL, NULL,
      "no node here: only the API and what belongs to it", NULL, false },
    { "disable-scheduler", 0, CONFIG_BOOL, S, AT(disable_scheduler), NULL, NULL,
      "no scheduler", NULL, false },
    { "disable-controller-manager", 0, CONFIG_BOOL, S, AT(disable_controller_manager), NULL, NULL,
      "no controllers", NULL, false },
    { "stop-pods", 0, CONFIG_BOOL, N, AT(stop_pods), NULL, NULL,
      "end all pods when the server is told to stop (default: they go on)", NULL, false },

    { "kube-apiserver-arg", 0, CONFIG_LIST, S, AT(kube_apiserver_arg), NULL, "NAME=VALUE",
      "setting of the API with upstream's name: default-not-ready-toleration-seconds, "
      "default-unreachable-toleration-seconds, event-ttl", NULL, false },
    { "kube-controller-manager-arg", 0, CONFIG_LIST, S, AT(kube_controller_manager_arg), NULL,
      "NAME=VALUE", "of the controllers: node-monitor-grace-period, node-startup-grace-period, "
      "cluster-signing-duration",
      NULL, false },
    { "kubelet-arg", 0, CONFIG_LIST, N, AT(kubelet_arg), NULL, "NAME=VALUE",
      "of the node: max-pods, node-status-update-frequency", NULL, false },

    { "log", 'l', CONFIG_TEXT, N, AT(log_file), NULL, "FILE",
      "append the log to this file, instead of standard error", NULL, false },
    { "log-level", 0, CONFIG_TEXT, ST, AT(log_level), "info", "LEVEL",
      "debug, info, warn or error", config_check_level, false },
    { "log-format", 0, CONFIG_TEXT, ST, AT(log_format), "text", "FORMAT",
      "text or json", config_check_format, false },
    { "debug", 0, CONFIG_BOOL, ST, AT(debug), NULL, NULL, "as --log-level debug", NULL, false },
    { "v", 'v', CONFIG_INT, ST, AT(verbosity), "0", "N",
      "as in Kubernetes: from 4 on, --log-level debug",
      NULL, false },

    { "name", 0, CONFIG_TEXT, CONFIG_IMAGE, AT(name), NULL, "NAME",
      "import: name of the image, instead of those in the file", NULL, true },
    { "quiet", 'q', CONFIG_BOOL, CONFIG_IMAGE, AT(quiet), NULL, NULL, "no progress; ls: only names",
      NULL, true },
    { "kubeconfig", 0, CONFIG_TEXT, T, AT(kubeconfig), NULL, "FILE",
      "how to reach the API (default: DIR/server/cred/admin.kubeconfig of --data-dir)", NULL,
      true },
    { "description", 0, CONFIG_TEXT, T, AT(description), NULL, "TEXT",
      "create: what the token is for", NULL, true },
    { "groups", 0, CONFIG_LIST, T, AT(groups), NULL, "GROUP",
      "create: further groups of who uses it", config_check_group, true },
    { "ttl", 0, CONFIG_TEXT, T, AT(ttl), "24h", "TIME",
      "create: how long it is good for, such as 30m; 0: for ever", config_check_ttl, true },
    { "usages", 0, CONFIG_LIST, T, AT(usages), NULL, "USE",
      "create: authentication, signing (default: both)", config_check_usage, true },
    { "new-token", 0, CONFIG_TEXT, T, AT(new_token), NULL, "TOKEN",
      "rotate: the server's next token (default: a random one)", NULL, true },
    { "output", 'o', CONFIG_TEXT, CONFIG_IMAGE | CONFIG_VERSION | CONFIG_STATUS | T,
      AT(output), NULL, "FORMAT",
      "json, instead of text", NULL, true },
    { "short", 0, CONFIG_BOOL, CONFIG_VERSION, AT(short_form), NULL, NULL, "the version alone",
      NULL, true },
    { "all", 0, CONFIG_BOOL, CONFIG_STOP, AT(all), NULL, NULL,
      "end all pods too and remove every trace of them", NULL, true },
    { "help", 'h', CONFIG_BOOL, ~0u, AT(help), NULL, NULL, "this text", NULL, true },

    /* k3s's flags that ask for what is always so here, or for parts that are not there. */
    { "kube-scheduler-arg", 0, CONFIG_IGNORED, S, 0, NULL, NULL, NULL, NULL, false },
    { "kube-proxy-arg", 0, CONFIG_IGNORED, N, 0, NULL, NULL, NULL, NULL, false },
    { "kube-cloud-controller-manager-arg", 0, CONFIG_IGNORED, S, 0, NULL, NULL, NULL, NULL, false },
    { "etcd-arg", 0, CONFIG_IGNORED, S, 0, NULL, NULL, NULL, NULL, false },
    { "flannel-iface", 0, CONFIG_IGNORED, N, 0, NULL, NULL, NULL, NULL, false },
    { "flannel-conf", 0, CONFIG_IGNORED, N, 0, NULL, NULL, NULL, NULL, false },
    { "flannel-cni-conf", 0, CONFIG_IGNORED, N, 0, NULL, NULL, NULL, NULL, false },
    { "flannel-ipv6-masq", 0, CONFIG_IGNORED_BOOL, S, 0, NULL, NULL, NULL, NULL, false },
    { "flannel-external-ip", 0, CONFIG_IGNORED_BOOL, S, 0, NULL, NULL, NULL, NULL, false },
    { "egress-selector-mode", 0, CONFIG_IGNORED, S, 0, NULL, NULL, NULL, NULL, false },
    { "servicelb-namespace", 0, CONFIG_IGNORED, S, 0, NULL, NULL, NULL, NULL, false },
    { "write-kubeconfig-group", 0, CONFIG_IGNORED, S, 0, NULL, NULL, NULL, NULL, false },
    { "pause-image", 0, CONFIG_IGNORED, N, 0, NULL, NULL, NULL, NULL, false },
    { "snapshotter", 0, CONFIG_IGNORED, N, 0, NULL, NULL, NULL, NULL, false },
    { "airgap-extra-registry", 0, CONFIG_IGNORED, N, 0, NULL, NULL, NULL, NULL, false },
    { "vmodule", 0, CONFIG_IGNORED, N, 0, NULL, NULL, NULL, NULL, false },
    { "alsologtostderr", 0, CONFIG_IGNORED_BOOL, N, 0, NULL, NULL, NULL, NULL, false },
    { "disable-cloud-controller", 0, CONFIG_IGNORED_BOOL, S, 0, NULL, NULL, NULL, NULL, false },
    { "disable-kube-proxy", 0, CONFIG_IGNORED_BOOL, S, 0, NULL, NULL, NULL, NULL, false },
    { "disable-network-policy", 0, CONFIG_IGNORED_BOOL, S, 0, NULL, NULL, NULL, NULL, false },
    { "disable-helm-controller", 0, CONFIG_IGNORED_BOOL, S, 0, NULL, NULL, NULL, NULL, false },
    { "disable-etcd", 0, CONFIG_IGNORED_BOOL, S, 0, NULL, NULL, NULL, NULL, false },
    { "embedded-registry", 0, CONFIG_IGNORED_BOOL, S, 0, NULL, NULL, NULL, NULL, false },
    { "protect-kernel-defaults", 0, CONFIG_IGNORED_BOOL, N, 0, NULL, NULL, NULL, NULL, false },
    { "enable-pprof", 0, CONFIG_IGNORED_BOOL, S, 0, NULL, NULL, NULL, NULL, false },
    { "prefer-bundled-bin", 0, CONFIG_IGNORED_BOOL, N, 0, NULL, NULL, NULL, NULL, false },
    { "selinux", 0, CONFIG_IGNORED_BOOL, N, 0, NULL, NULL, NULL, NULL, false },
    { 0 },
};

const struct config_flag *config_flag_find(const char *name, size_t len)
{
    for (const struct config_flag *f = config_flags; f->name; f++)
        if (slice_is((struct slice){ name, len }, f->name))
            return f;
    return NULL;
}

static bool config_is_bool(const struct config_flag *f)
{
    return f->type == CONFIG_BOOL || f->type == CONFIG_IGNORED_BOOL;
}

/* --- sources */

struct config_argv { const struct config_input *in; int at; struct arena *a; };

/* The first mention in a source replaces what weaker sources said, the next ones add to it. */
static void add(struct config_entries *out, const struct config_flag *f, const char *value,
                const char *source)
{
    bool again = false;

    for (size_t i = 0; i < out->len && !again; i++)
        again = out->v[i].flag == f;
    vec_push(out, ((struct config_entry){ f, value, source, again }));
}

static int flag_unknown(const struct config_argv *x, const char *arg, struct err *err)
{
    const char *near = arg[1] == '-' ? config_flag_near(arg + 2, x->in->command) : NULL;
    int len = (int)strcspn(arg, "=");

    if (near)
        return err_set(err, ERR_INVALID, "unknown flag %.*s: did you mean --%s?", len, arg, near);
    return err_set(err, ERR_INVALID, "unknown flag %.*s; see inro %s --help", len, arg,
                   x->in->argv[0]);
}

static const struct config_flag *flag_of_letter(unsigned command, char letter)
{
    for (const struct config_flag *f = config_flags; f->name; f++)
        if (f->letter == letter && f->commands & command)
            return f;
    return NULL;
}

static int flag_value(struct config_argv *x, const struct config_flag *f, const char *rest,
                      const char **out, struct err *err)
{
    const char *arg = x->in->argv[x->at];

    if (rest)
        *out = rest;
    else if (config_is_bool(f))
        *out = "true";
    else if (x->at + 1 < x->in->argc)
        *out = x->in->argv[++x->at];
    else
        return err_set(err, ERR_INVALID, "%s needs a value", arg);
    return 0;
}

/* "--name", "--name=value", "--name value", "-n value", "-nvalue". */
static int flag_read(struct config_argv *x, struct config_entries *out, struct err *err)
{
    const char *arg = x->in->argv[x->at], *eq = strchr(arg, '='), *rest = NULL, *value = NULL;
    const struct config_flag *f;

    if (arg[1] == '-') {
        f = config_flag_find(arg + 2, eq ? (size_t)(eq - arg - 2) : strlen(arg + 2));
        rest = eq ? eq + 1 : NULL;
    } else {
        f = flag_of_letter(x->in->command, arg[1]);
        if (arg[2])
            rest = arg + 2 + (arg[2] == '=');
        if (f && config_is_bool(f) && rest && arg[2] != '=')
            f = NULL;
    }
    if (!f || !(f->commands & x->in->command))
        return flag_unknown(x, arg, err);
    if (flag_value(x, f, rest, &value, err) < 0)
        return -1;
    add(out, f, value, arena_printf(x->a, "--%s", f->name));
    return 0;
}

static int args_read(struct config_entries *out, struct config_list *operands, struct arena *a,
                     const struct config_input *in, struct err *err)
{
    const char **v = arena_alloc(a, (size_t)(in->argc + 1) * sizeof(*v));
    struct config_argv x = { .in = in, .at = 1, .a = a };
    bool only_operands = false;
    unsigned n = 0;

    for (; x.at < in->argc; x.at++) {
        const char *arg = in->argv[x.at];

        if (!only_operands && str_eq(arg, "--"))
            only_operands = true;
        else if (only_operands || arg[0] != '-' || !arg[1])
            v[n++] = arg;
        else if (flag_read(&x, out, err) < 0)
            return -1;
    }
    *operands = (struct config_list){ v, n };
    return 0;
}

static const char *env_of(char *const *env, const char *name)
{
    size_t len = strlen(name);

    for (; env && *env; env++)
        if (strncmp(*env, name, len) == 0 && (*env)[len] == '=')
            return *env + len + 1;
    return NULL;
}

/* Other names that k3s's users know. The flag's own variable comes after them and is stronger. */
static const struct { const char *env, *flag; } env_aliases[] = {
    { "K3S_URL", "server" }, { "INRO_URL", "server" }, { "K3S_TOKEN", "token" },
    { "K3S_TOKEN_FILE", "token-file" }, { "K3S_NODE_NAME", "node-name" },
};

static void env_read_aliases(struct config_entries *out, const struct config_input *in)
{
    for (size_t i = 0; i < ARRAY_LEN(env_aliases); i++) {
        const char *flag = env_aliases[i].flag;
        const struct config_flag *f = config_flag_find(flag, strlen(flag));
        const char *value = f->commands & in->command ? env_of(in->env, env_aliases[i].env) : NULL;

        if (!str_empty(value))
            add(out, f, value, env_aliases[i].env);
    }
}

static void env_read(struct config_entries *out, struct arena *a, const struct config_input *in)
{
    env_read_aliases(out, in);
    for (const struct config_flag *f = config_flags; f->name; f++) {
        char *name = arena_printf(a, "INRO_%s", f->name);
        const char *value;

        for (char *p = name; *p; p++)
            *p = *p == '-' ? '_' : *p >= 'a' && *p <= 'z' ? (char)(*p - 32) : *p;
        value = f->no_file || !(f->commands & in->command) ? NULL : env_of(in->env, name);
        if (value)
            add(out, f, value, name);
    }
}

/* --- into the struct */

static int bool_read(const char *text, bool *out, struct err *err)
{
    static const struct { const char *text; bool value; } words[] = {
        { "true", true }, { "1", true }, { "yes", true }, { "false", false }, { "0", false },
            { "no", false },
    };

    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (str_eq(text, words[i].text)) {
            *out = words[i].value;
            return 0;
        }
    return err_set(err, ERR_INVALID, "\"%s\" is neither true nor false", text);
}

static int list_add(struct config_list *l, struct arena *a, const struct config_entry *e,
                    struct err *err)
{
    struct slice rest = slice_of(e->value), one;

    while (rest.len && slice_split(&rest, ',', &one)) {
        const char **v = arena_alloc(a, (l->n + 2) * sizeof(*v));

        if (!one.len)
            continue;
        if (l->n == CONFIG_LIST_MAX)
            return err_set(err, ERR_QUOTA, "more than %d items", CONFIG_LIST_MAX);
        memcpy(v, l->v, l->n * sizeof(*v));
        v[l->n] = arena_strndup(a, one.p, one.len);
        if (e->flag->accept && e->flag->accept(v[l->n], err) < 0)
            return -1;
        *l = (struct config_list){ v, l->n + 1 };
    }
    return 0;
}

static int store(struct config *c, const struct config_entry *e, struct err *err)
{
    void *at = (char *)c + e->flag->at;

    if (e->flag->type == CONFIG_LIST)
        return list_add(at, c->a, e, err);
    if (e->flag->type == CONFIG_BOOL)
        return bool_read(e->value, at, err);
    if (e->flag->accept && *e->value && e->flag->accept(e->value, err) < 0)
        return -1;
    if (e->flag->type == CONFIG_INT)
        return str_to_i64(e->value, 0, INT32_MAX, at, err);
    if (e->flag->type == CONFIG_TEXT)
        *(const char **)at = arena_strdup(c->a, e->value);
    else if (!config_has(&c->ignored, e->flag->name))
        return list_add(&c->ignored, c->a, &(struct config_entry){ e->flag, e->flag->name, "",
                                                                   true }, err);
    return 0;
}

static const char *const no_items[] = { NULL };

static int apply(struct config *c, const struct config_entries *all, struct err *err)
{
    for (size_t i = 0; i < all->len; i++) {
        const struct config_entry *e = &all->v[i];

        if (e->flag->type == CONFIG_LIST && !e->append)
            *(struct config_list *)((char *)c + e->flag->at) = (struct config_list){ no_items, 0 };
        if (store(c, e, err) < 0)
            return err_wrap(err, "%s", e->source);
    }
    return 0;
}

static struct config *config_new(void)
{
    struct arena *a = arena_new(0);
    struct config *c = ANEW(a, struct config);

    c->a = a;
    c->ignored = c->operands = (struct config_list){ no_items, 0 };
    for (const struct config_flag *f = config_flags; f->name; f++) {
        struct config_entry e = { f, f->initial ? f->initial : "", f->name, true };

        if (f->type == CONFIG_LIST)
            *(struct config_list *)((char *)c + f->at) = (struct config_list){ no_items, 0 };
        else if (f->type == CONFIG_TEXT || (f->type == CONFIG_INT && f->initial))
            check(store(c, &e, NULL) == 0);
    }
    return c;
}

struct config *config_free(struct config *c)
{
    if (c)
        arena_free(c->a);
    return NULL;
}

static void entries_deinit(struct config_entries *e)
{
    vec_deinit(e);
}

/* The file is named by --config, else INRO_CONFIG_FILE, else it is the usual one. */
static int file_read(struct config_entries *out, struct arena *a,
                     const struct config_entries *flags,
                     const struct config_input *in, struct err *err)
{
    const char *path = in->file ? in->file : CONFIG_FILE_DEFAULT, *env = env_of(in->env,
                                                                                "INRO_CONFIG_FILE");
    bool must = false;

    if (!str_empty(env)) {
        path = env;
        must = true;
    }
    for (size_t i = 0; i < flags->len; i++)
        if (str_eq(flags->v[i].flag->name, "config")) {
            path = flags->v[i].value;
            must = true;
        }
    return config_file_read(out, a, path, must, err);
}

int config_parse(struct config **out, const struct config_input *in, struct err *err)
{
    _cleanup_(config_freep) struct config *c = config_new();
    _cleanup_(entries_deinit) struct config_entries flags = { 0 }, env = { 0 }, file = { 0 };

    if (args_read(&flags, &c->operands, c->a, in, err) < 0)
        return -1;
    for (size_t i = 0; i < flags.len; i++)
        c->help = c->help || str_eq(flags.v[i].flag->name, "help");
    if (!c->help) {
        env_read(&env, c->a, in);
        if (file_read(&file, c->a, &flags, in, err) < 0 || apply(c, &file, err) < 0 ||
            apply(c, &env, err) < 0 || apply(c, &flags, err) < 0 || config_check_whole(c, err) < 0)
            return -1;
    }
    *out = TAKE(c);
    return 0;
}

/* --- to another process */

void config_write(struct buf *out, const struct config *c)
{
    for (const struct config_flag *f = config_flags; f->name; f++) {
        const void *at = (const char *)c + f->at;

        if (f->type == CONFIG_TEXT) {
            buf_fmt(out, "--%s=%s", f->name, *(const char *const *)at);
            buf_chr(out, '\0');
        } else if (f->type == CONFIG_INT) {
            buf_fmt(out, "--%s=%lld", f->name, (long long)*(const int64_t *)at);
            buf_chr(out, '\0');
        } else if (f->type == CONFIG_BOOL) {
            buf_fmt(out, "--%s=%d", f->name, *(const bool *)at);
            buf_chr(out, '\0');
        } else if (f->type == CONFIG_LIST) {
            for (const char *const *v = ((const struct config_list *)at)->v; *v; v++) {
                buf_fmt(out, "--%s=%s", f->name, *v);
                buf_chr(out, '\0');
            }
        }
    }
}

int config_read(struct config **out, const char *text, size_t len, struct err *err)
{
    _cleanup_(config_freep) struct config *c = config_new();
    _cleanup_(entries_deinit) struct config_entries all = { 0 };

    for (const char *p = text; p < text + len; p += strlen(p) + 1) {
        const char *eq = strchr(p, '=');
        const struct config_flag *f = eq ? config_flag_find(p + 2, (size_t)(eq - p - 2)) : NULL;

        if (!f)
            return err_set(err, ERR_CORRUPT, "configuration from the parent: %s", p);
        add(&all, f, eq + 1, p);
    }
    if (apply(c, &all, err) < 0)
        return -1;
    *out = TAKE(c);
    return 0;
}

/* --- reading it */

bool config_has(const struct config_list *l, const char *item)
{
    for (unsigned i = 0; i < l->n; i++)
        if (str_eq(l->v[i], item))
            return true;
    return false;
}

enum log_level config_log_level(const struct config *c)
{
    static const char *const names[LOG_LEVEL_MAX] = { "debug", "info", "warn", "error" };

    if (c->debug || c->verbosity >= 4)
        return LOG_DEBUG;
    for (int i = 0; i < LOG_LEVEL_MAX; i++)
        if (str_eq(c->log_level, names[i]))
            return (enum log_level)i;
    return LOG_INFO;
}

enum log_format config_log_format(const struct config *c)
{
    return str_eq(c->log_format, "json") ? LOG_JSON : LOG_TEXT;
}

void config_node_ports(const struct config *c, int *out_min, int *out_max)
{
    char *end;

    *out_min = (int)strtol(c->node_port_range, &end, 10);
    *out_max = (int)strtol(end + 1, NULL, 10);
}
