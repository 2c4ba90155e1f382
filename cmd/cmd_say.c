/* cmd_say.c -- how the commands speak: errors on stderr, help on stdout. */
#include <stdio.h>

#include "cmd/cmd.h"
#include "cmd/config_args.h"
#include "core/base/log.h"
#include "gen/version.h"

static void on_unknown_arg(const char *what, void *ctx)
{
    (void)ctx;
    log_warn("flag without meaning here", "flag=--%s", what);
}

void cmd_start_log(const char *command, const struct config *c)
{
    struct config_args args;

    log_setup(command, config_log_level(c), config_log_format(c));
    log_info("starting", "version=%s commit=%s data-dir=%s", INRO_VERSION, INRO_COMMIT,
             c->data_dir);
    for (unsigned i = 0; i < c->ignored.n; i++)
        log_warn("flag without meaning here", "flag=--%s", c->ignored.v[i]);
    (void)config_args(&args, c, on_unknown_arg, NULL, NULL);
}

int cmd_fail(const char *command, const char *text)
{
    fprintf(stderr, "inro %s: %s\n", command, text);
    return 1;
}

int cmd_misuse(const char *command, const char *text)
{
    fprintf(stderr, "inro %s: %s\n", command, text);
    return 2;
}

int cmd_help(const char *intro, unsigned command)
{
    _cleanup_buf_ struct buf text = BUF_INIT;

    buf_str(&text, intro);
    config_help(&text, command);
    fputs(text.p, stdout);
    return 0;
}
