/* cmd/config.h -- everything that a user can set, as one constant struct.
 *
 * One table (config_flags) names each flag with its type, its initial value and its help; the
 * command line, the environment (INRO_DATA_DIR for --data-dir), the configuration file and
 * --help are all read off it. A flag beats a variable, a variable beats the file, the file
 * beats the initial value. Lists are replaced as a whole by the stronger source; within one
 * source each mention adds, and commas separate items.
 */
#ifndef CMD_CONFIG_H
#define CMD_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/cleanup.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/str.h"

#define CONFIG_FILE_DEFAULT "/etc/inro/config.yaml"
#define CONFIG_FILE_MAX (1u << 20)       /* bytes of one file */
#define CONFIG_FILES_MAX 100             /* in config.yaml.d */
#define CONFIG_LIST_MAX 256              /* items of one list */
#define CONFIG_ENTRIES_MAX 4096          /* settings of all sources */

/* Which commands know a flag. */
enum {
    CONFIG_SERVER = 1, CONFIG_IMAGE = 2, CONFIG_STOP = 4, CONFIG_KUBECTL = 8, CONFIG_VERSION = 16,
    CONFIG_PLUGIN = 32, CONFIG_AGENT = 64, CONFIG_TOKEN = 128, CONFIG_RESTORE = 1024,
    CONFIG_STATUS = 2048,
    CONFIG_NODE = CONFIG_SERVER | CONFIG_AGENT,
    CONFIG_STORED = CONFIG_NODE | CONFIG_IMAGE | CONFIG_STOP | CONFIG_PLUGIN | CONFIG_TOKEN |
                    CONFIG_RESTORE | CONFIG_STATUS,
};

/* v ends with NULL and is never NULL */
struct config_list { const char *const *v; unsigned n; };

struct config {
    /* Places. */
    const char *config_file, *data_dir, *run_dir, *cgroup_root;
    const char *write_kubeconfig, *write_kubeconfig_mode;
    const char *resolv_conf, *private_registry;
    /* The API. */
    const char *bind_address, *advertise_address;   /* "": all addresses; "": node-ip */
    int64_t https_listen_port;
    struct config_list tls_san;
    /* The node. */
    const char *node_name, *node_ip;                /* "" until config_derive */
    struct config_list node_label, node_taint;
    /* Joining. */
    const char *server, *token, *token_file;        /* "https://host:port" */
    /* The cluster. */
    const char *cluster_cidr, *service_cidr, *node_port_range, *cluster_dns, *cluster_domain;
    const char *flannel_backend;
    /* NAME=VALUE with upstream's names: config_args.h reads them. */
    struct config_list kube_apiserver_arg, kube_controller_manager_arg, kubelet_arg;
    /* What runs. */
    struct config_list disable;
    bool disable_agent, disable_scheduler, disable_controller_manager, stop_pods;
    /* Talk. */
    const char *log_level, *log_format, *log_file;
    int64_t verbosity;
    bool debug, help;
    /* Of other commands. */
    const char *name, *output;                      /* image import --name, -o */
    bool all, quiet, short_form;
    const char *kubeconfig, *ttl, *description, *new_token;    /* token */
    struct config_list groups, usages;
    struct config_list operands;
    struct config_list ignored;                     /* given, but without meaning here: names */
    struct arena *a;                                /* private: owns all of it */
};

struct config_input {
    unsigned command;                    /* one CONFIG_* */
    int argc;                            /* argv[0] is the command's name */
    char *const *argv;
    char *const *env;                    /* "NAME=value", NULL-terminated */
    /* NULL: CONFIG_FILE_DEFAULT; need not exist unless it is asked for */
    const char *file;
};

/* Errors name the flag, the variable, or the file with its line. */
int config_parse(struct config **out, const struct config_input *in, struct err *err);
struct config *config_free(struct config *c);
CLEANUP_DEFINE(struct config, config_free)

/* Fills what depends on this machine: node name, node address, absolute paths. */
int config_derive(struct config *c, struct err *err);

/* Where this process finds the API: --server, or the port of this machine's own. */
const char *config_api_url(const struct config *c);

/* The same configuration as a text for another process of this program, and back. */
void config_write(struct buf *out, const struct config *c);
int config_read(struct config **out, const char *text, size_t len, struct err *err);

enum log_level config_log_level(const struct config *c);
enum log_format config_log_format(const struct config *c);
void config_node_ports(const struct config *c, int *out_min, int *out_max);
bool config_has(const struct config_list *l, const char *item);

/* Help of one command: its flags, by group. */
void config_help(struct buf *out, unsigned command);

/* --- inside: config_file.c, config_help.c, config_check.c */

enum config_type { CONFIG_TEXT, CONFIG_INT, CONFIG_BOOL, CONFIG_LIST, CONFIG_IGNORED,
                   CONFIG_IGNORED_BOOL };

struct config_flag {
    const char *name;
    char letter;                         /* 0: none */
    enum config_type type;
    unsigned commands;
    size_t at;                           /* in struct config */
    const char *initial;                 /* NULL: "", 0, false or an empty list */
    const char *value;                   /* what the help calls it */
    const char *help;                    /* NULL: not shown */
    int (*accept)(const char *text, struct err *err);
    bool no_file;                        /* neither in files nor in the environment */
};

extern const struct config_flag config_flags[];      /* ends with a NULL name */
const struct config_flag *config_flag_find(const char *name, size_t len);
/* The known name that this one was probably meant to be; NULL: none is near. */
const char *config_flag_near(const char *name, unsigned commands);

/* One setting as a source gives it. */
struct config_entry { const struct config_flag *flag; const char *value, *source; bool append; };
struct config_entries { struct config_entry *v; size_t len, cap; };

/* Adds the entries of a file and of FILE.d in order; must: a missing file is an error. */
int config_file_read(struct config_entries *out, struct arena *a, const char *path, bool must,
                     struct err *err);

int config_check_port(const char *text, struct err *err);
int config_check_ip(const char *text, struct err *err);
int config_check_backend(const char *text, struct err *err);
int config_check_net(const char *text, struct err *err);
int config_check_range(const char *text, struct err *err);
int config_check_mode(const char *text, struct err *err);
int config_check_node_name(const char *text, struct err *err);
int config_check_label(const char *text, struct err *err);
int config_check_taint(const char *text, struct err *err);
int config_check_level(const char *text, struct err *err);
int config_check_format(const char *text, struct err *err);
int config_check_cgroup(const char *text, struct err *err);
int config_check_domain(const char *text, struct err *err);
int config_check_disable(const char *text, struct err *err);
int config_check_san(const char *text, struct err *err);
int config_check_server(const char *text, struct err *err);
int config_check_ttl(const char *text, struct err *err);
int config_check_usage(const char *text, struct err *err);
int config_check_group(const char *text, struct err *err);
/* What one flag cannot see: the DNS address lies in the Services' network, and the like. Sets what
 * follows from other flags. */
int config_check_whole(struct config *c, struct err *err);

#endif
