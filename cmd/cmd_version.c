/* cmd_version.c -- what this binary is, and what is inside it. */
#include "cmd/cmd.h"

#include <stdio.h>
#include <unistd.h>

#include "cmd/config.h"
#include "gen/version.h"

static void print_json(void)
{
    const char *p = INRO_DEPS;
    bool first = true;

    printf("{\"version\":\"%s\",\"commit\":\"%s\",\"date\":\"%s\",\"libraries\":{", INRO_VERSION,
           INRO_COMMIT,
           INRO_COMMIT_DATE);
    for (; *p; p = strchr(p, '\n') + 1) {
        int name = (int)strcspn(p, " "), value = (int)strcspn(p + name + 1, "\n");

        printf("%s\"%.*s\":\"%.*s\"", first ? "" : ",", name, p, value, p + name + 1);
        first = false;
    }
    puts("}}");
}

int cmd_version(int argc, char **argv)
{
    struct config_input in = { .command = CONFIG_VERSION, .argc = argc, .argv = argv,
                               .file = "/dev/null" };
    _cleanup_(config_freep) struct config *c = NULL;
    struct err err = ERR_INIT;

    if (config_parse(&c, &in, &err) < 0)
        return cmd_misuse("version", err.msg);
    if (c->help)
        return cmd_help("usage: inro version [flags]\n\n"
                        "Prints the version, and those of the libraries inside.\n", CONFIG_VERSION);
    if (str_eq(c->output, "json")) {
        print_json();
    } else if (!str_empty(c->output)) {
        return cmd_misuse("version", "--output: only json is known");
    } else if (c->short_form) {
        puts(INRO_VERSION);
    } else {
        printf("inro version %s%s%s%s\n%s", INRO_VERSION, *INRO_COMMIT ? " (" : "", INRO_COMMIT,
               *INRO_COMMIT ? ")" : "", INRO_DEPS);
    }
    return 0;
}
