/* cmd_kubectl.c -- runs the kubectl that is installed, with the administrator's kubeconfig. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "cmd/config.h"

#define NOT_FOUND 127

static const char missing[] =
    "inro kubectl: no kubectl in PATH. Get one with \"apt-get install kubectl\" (Debian 13) or\n"
    "\"apt-get install kubernetes-client\" (Debian 12), or see\n"
    "https://kubernetes.io/docs/tasks/tools/\n";

/* A "kubectl" that leads back to this binary is none. */
static bool is_program(const char *path, const struct stat *self)
{
    struct stat st;

    return access(path, X_OK) == 0 && stat(path, &st) == 0 && S_ISREG(st.st_mode) &&
           (st.st_dev != self->st_dev || st.st_ino != self->st_ino);
}

static const char *find(struct arena *a)
{
    const char *path = getenv("PATH");
    struct slice rest = slice_of(path ? path : "/usr/local/bin:/usr/bin:/bin"), dir;
    struct stat self = { 0 };

    (void)stat("/proc/self/exe", &self);
    while (rest.len && slice_split(&rest, ':', &dir)) {
        const char *file = arena_printf(a, "%.*s/kubectl", (int)dir.len, dir.len ? dir.p : ".");

        if (is_program(file, &self))
            return file;
    }
    return NULL;
}

int cmd_kubectl(int argc, char **argv)
{
    struct config_input in = {
        .command = CONFIG_KUBECTL, .argc = 1, .argv = argv, .env = environ,
    };
    _cleanup_(config_freep) struct config *c = NULL;
    struct err err = ERR_INIT;
    const char *program;

    (void)argc;
    if (config_parse(&c, &in, &err) < 0)
        return cmd_fail("kubectl", err.msg);
    program = find(c->a);
    if (!program) {
        fputs(missing, stderr);
        return NOT_FOUND;
    }
    if (setenv("KUBECONFIG", c->write_kubeconfig, 0) < 0)
        return cmd_fail("kubectl", "no memory for the environment");
    argv[0] = (char *)"kubectl";
    execv(program, argv);
    err_sys(&err, "%s", program);
    return cmd_fail("kubectl", err.msg);
}
