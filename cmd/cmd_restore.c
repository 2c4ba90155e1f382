/* cmd_restore.c -- the way back after a migration: the backup it made, in place of what is
 * there. */
#include <stdio.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "cmd/cmd_lock.h"
#include "cmd/config.h"
#include "cmd/data_dir.h"
#include "core/base/log.h"

static int restore(struct config *c, struct data_dir_state *out, struct err *err)
{
    if (config_derive(c, err) < 0)
        return -1;
    if (access(c->data_dir, F_OK) < 0)
        return err_sys(err, "--data-dir %s", c->data_dir);
    if (cmd_lock_take(c->data_dir, "--data-dir", err) < 0)
        return -1;
    return data_dir_restore(out, c->data_dir, &data_dir_ours, err);
}

static const char intro[] =
    "usage: inro restore [flags]\n\n"
    "A newer inro that changes how data are kept makes a backup first, in <data-dir>/backup. This\n"
    "puts that backup in place, so that this version can start again. What the newer one wrote\n"
    "since is set aside in <data-dir>/backup/replaced. No server may run meanwhile.\n";

int cmd_restore(int argc, char **argv)
{
    struct config_input in = {
        .command = CONFIG_RESTORE, .argc = argc, .argv = argv, .env = environ,
    };
    _cleanup_(config_freep) struct config *c = NULL;
    struct data_dir_state now;
    struct err err = ERR_INIT;

    if (config_parse(&c, &in, &err) < 0)
        return cmd_misuse("restore", err.msg);
    if (c->help)
        return cmd_help(intro, CONFIG_RESTORE);
    if (c->operands.n)
        return cmd_misuse("restore", "takes no arguments, only flags (see --help)");
    log_setup("restore", config_log_level(c), config_log_format(c));
    if (restore(c, &now, &err) < 0)
        return cmd_fail("restore", err.msg);
    printf("%s has format %d again, as written by inro %s; what was replaced is in %s/"
           DATA_DIR_BACKUP "/replaced\n", c->data_dir, now.format, now.version, c->data_dir);
    return 0;
}
