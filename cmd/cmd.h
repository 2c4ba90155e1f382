/* cmd/cmd.h -- the subcommands: each is given its own argv (argv[0] is its name) and returns
 * the exit status: 0, 1 failure, 2 wrong use. */
#ifndef CMD_CMD_H
#define CMD_CMD_H

int cmd_server(int argc, char **argv);
int cmd_agent(int argc, char **argv);
int cmd_token(int argc, char **argv);
int cmd_image(int argc, char **argv);
int cmd_kubectl(int argc, char **argv);
int cmd_stop(int argc, char **argv);
int cmd_status(int argc, char **argv);       /* also 3: nothing runs */
int cmd_plugin(int argc, char **argv);
int cmd_restore(int argc, char **argv);
int cmd_version(int argc, char **argv);

struct config;

/* Logging from here on, under this name: version first, then flags without meaning here. */
void cmd_start_log(const char *command, const struct config *c);

/* "inro COMMAND: text" on stderr; 1 and 2. */
int cmd_fail(const char *command, const char *text);
int cmd_misuse(const char *command, const char *text);
/* Prints intro, then the flags of the command (one CONFIG_*); 0. */
int cmd_help(const char *intro, unsigned command);

#endif
