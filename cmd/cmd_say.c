/* cmd_say.c -- how the commands speak: errors on stderr, help on stdout. */
#include <stdio.h>

#include "cmd/cmd.h"
#include "cmd/config.h"

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

int cmd_later(int argc, char **argv)
{
    (void)argc;
    return cmd_fail(argv[0], "not available in this release");
}
