/* main.c -- the one binary under all its names: a subcommand, a hidden verb of a child, or an
 * applet of the box. */
#include <stdio.h>

#include "cmd/box/box.h"
#include "cmd/cmd.h"
#include "cmd/keep.h"
#include "cmd/role.h"
#include "core/base/str.h"
#include "net/pod/pod_net.h"
#include "runtime/image/image.h"
#include "runtime/node/node.h"
#include "runtime/shim/shim.h"

struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;                    /* NULL: a hidden verb */
};

static const struct command commands[] = {
    { "server", cmd_server, "run a cluster on this machine" },
    { "agent", cmd_agent, "make this machine a node of a cluster" },
    { "token", cmd_token, "create, list and delete tokens for agents; rotate the server's" },
    { "image", cmd_image, "import, pull, list, name and remove images" },
    { "kubectl", cmd_kubectl, "run kubectl with this cluster's kubeconfig" },
    { "stop", cmd_stop, "end a server, with --all also its pods and every trace" },
    { "status", cmd_status, "tell what runs, what does not, and why" },
    { "plugin", cmd_plugin, "list Lua plugins, and test them against fixtures" },
    { "restore", cmd_restore, "go back to the data before a newer version's migration" },
    { "version", cmd_version, "print the version" },

    { "control", role_main, NULL },
    { "node", role_main, NULL },
    { "dns", role_main, NULL },
    { "join", role_main, NULL },
    { SHIM_VERB, shim_main, NULL },
    { KEEP_VERB, keep_main, NULL },
    { "pull", image_child_pull, NULL },
    { "unpack", image_child_unpack, NULL },
    { NODE_PROBE_VERB, node_probe_main, NULL },
    { POD_NET_VERB, pod_net_verb_main, NULL },
};

static void usage(FILE *to)
{
    fputs("usage: inro COMMAND [flags]\n\nKubernetes in one binary.\n\ncommands:\n", to);
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        if (commands[i].help)
            fprintf(to, "  %-10s %s\n", commands[i].name, commands[i].help);
    fputs("\n\"inro COMMAND --help\" tells more.\n", to);
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";

    if (argc > 0 && box_is_called(argv[0]))
        return box_main(argc, argv);
    if (argc > 0 && str_eq(strrchr(argv[0], '/') ? strrchr(argv[0], '/') + 1 : argv[0], "kubectl"))
        return cmd_kubectl(argc, argv);
    if (str_eq(name, "--version") || str_eq(name, "-v"))
        name = "version";
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        if (str_eq(name, commands[i].name))
            return commands[i].run(argc - 1, argv + 1);
    if (!*name || str_eq(name, "help") || str_eq(name, "--help") || str_eq(name, "-h")) {
        usage(*name ? stdout : stderr);
        return *name ? 0 : 2;
    }
    fprintf(stderr, "inro: unknown command \"%s\"\n", name);
    usage(stderr);
    return 2;
}
