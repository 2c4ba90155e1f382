#include "cmd/cmd.h"

#include <stdio.h>
#include <unistd.h>

#include "cmd/config.h"
#include "out/gen/version.h"

static void print_json(void)
{
    const char *p = INRO_DEPS;
    bool first = true;

    printf("{\"version\":\"%s\",\"commit\":\"%s\",\"date\":\"%s\",\"libraries\":{", INRO_VERSION, INRO_COMMIT,
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
    struct config_input in = { .command = CONFIG_VERSION, .argc = argc, .argv = argv, .file = "/dev/null" };
    _cleanup_(config_freep) struct config *c = NULL;
    _cleanup_buf_ struct buf text = BUF_INIT;
    struct err err = ERR_INIT;

    if (config_parse(&c, &in, &err) < 0)
        return cmd_fail("version", err.msg) + 1;
    if (c->help) {
        buf_str(&text, "usage: inro version [flags]\n\nPrints the version, and those of the libraries inside.\n");
        config_help(&text, CONFIG_VERSION);
        fputs(text.p, stdout);
    } else if (str_eq(c->output, "json")) {
        print_json();
    } else if (!str_empty(c->output)) {
        return cmd_fail("version", "--output: only json is known") + 1;
    } else if (c->short_form) {
        puts(INRO_VERSION);
    } else {
        printf("inro version %s (%s)\n%s", INRO_VERSION, INRO_COMMIT, INRO_DEPS);
    }
    return 0;
}
