/* cmd/cmd.h -- the subcommands: each is given its own argv (argv[0] is its name) and returns the exit status:
 * 0, 1 failure, 2 wrong use. */
#ifndef CMD_CMD_H
#define CMD_CMD_H

int cmd_server(int argc, char **argv);
int cmd_version(int argc, char **argv);

/* "inro COMMAND: text" on stderr; returns 1. */
int cmd_fail(const char *command, const char *text);

#endif
