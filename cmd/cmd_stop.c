/* cmd_stop.c -- ends a server; with --all also its pods, and every trace of them. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "cmd/cmd_lock.h"
#include "cmd/config.h"
#include "cmd/keep.h"
#include "core/base/fd.h"
#include "core/base/log.h"
#include "core/base/proc.h"
#include "net/proxy/proxy.h"
#include "runtime/node/node.h"

#define STOP_MS 180000                   /* a server may take this long */

/* 1: it ended; 0: none ran. */
static int end_server(const struct config *c, struct err *err)
{
    _cleanup_fd_ int pidfd = -1;
    pid_t pid, again;
    struct pollfd p;
    int ready;

    if (cmd_lock_holder(c->run_dir, &pid, err) < 0)
        return -1;
    if (!pid)
        return 0;
    pidfd = proc_pidfd(pid, err);
    if (pidfd < 0 || cmd_lock_holder(c->run_dir, &again, err) < 0)
        return -1;
    if (again != pid)                    /* it ended meanwhile: the number may be another's now */
        return 1;
    if (proc_signal(pidfd, c->all ? SIGUSR1 : SIGTERM, err) < 0)
        return err_wrap(err, "process %d", (int)pid);
    p = (struct pollfd){ .fd = pidfd, .events = POLLIN };
    do
        ready = poll(&p, 1, STOP_MS);
    while (ready < 0 && errno == EINTR);
    if (ready > 0)
        return 1;
    return err_set(err, ERR_TIMEOUT, "the server (process %d) does not end", (int)pid);
}

/* What a server and its pods left, also one that was killed. */
static int clean_up(const struct config *c, struct err *err)
{
    struct node_opts opts = {
        .name = c->node_name, .data_dir = c->data_dir, .run_dir = c->run_dir,
        .cgroup_root = c->cgroup_root,
    };

    if (cmd_lock_take(c->run_dir, "--run-dir", err) < 0)
        return -1;
    keep_drop(c->run_dir);
    if (node_cleanup(&opts, err) < 0 || proxy_cleanup(err) < 0)
        return err_wrap(err, "clean up");
    return fd_remove_tree(AT_FDCWD, c->run_dir, err);
}

static int stop(struct config *c, struct err *err)
{
    struct stat st;
    int ended;

    if (config_derive(c, err) < 0)
        return -1;
    if (stat(c->run_dir, &st) < 0 && errno == ENOENT) {
        fprintf(stderr, "inro stop: nothing runs in %s\n", c->run_dir);
        return 0;
    }
    ended = end_server(c, err);
    if (ended < 0)
        return -1;
    if (c->all)
        return clean_up(c, err);
    if (!ended)
        fprintf(stderr, "inro stop: no server runs in %s\n", c->run_dir);
    return 0;
}

static const char intro[] =
    "usage: inro stop [--all] [flags]\n\n"
    "Ends the server of this --run-dir. Its containers go on, unless --all is given: then they\n"
    "are ended as when a pod is deleted, and no mount, link, rule, control group or file of\n"
    "theirs remains. Works also after a crash.\n";

int cmd_stop(int argc, char **argv)
{
    struct config_input in = {
        .command = CONFIG_STOP, .argc = argc, .argv = argv, .env = environ,
    };
    _cleanup_(config_freep) struct config *c = NULL;
    struct err err = ERR_INIT;

    if (config_parse(&c, &in, &err) < 0)
        return cmd_misuse("stop", err.msg);
    if (c->help)
        return cmd_help(intro, CONFIG_STOP);
    if (c->operands.n)
        return cmd_misuse("stop", "takes no arguments, only flags (see --help)");
    log_setup("stop", config_log_level(c), config_log_format(c));
    return stop(c, &err) < 0 ? cmd_fail("stop", err.msg) : 0;
}
