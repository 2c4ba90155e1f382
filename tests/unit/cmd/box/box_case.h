/* Runs an applet in a child and catches what it says. */
#ifndef TESTS_UNIT_CMD_BOX_BOX_CASE_H
#define TESTS_UNIT_CMD_BOX_BOX_CASE_H

#include <sys/wait.h>
#include <unistd.h>

#include "cmd/box/box.h"
#include "core/base/str.h"
#include "tests/harness/test.h"

struct box_said { char text[65536]; size_t len; int status; };

/* argv ends with NULL; input may be NULL; errors go along with the output when both. */
static inline void box_case(struct box_said *out, const char *const *argv, const char *input, size_t input_len,
                            bool both)
{
    int in[2], from[2], argc = 0, status;
    char *copy[64];
    ssize_t n;
    pid_t pid;

    for (; argv[argc]; argc++)
        copy[argc] = strdup(argv[argc]);
    copy[argc] = NULL;
    EXPECT(pipe(in) == 0 && pipe(from) == 0);
    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        dup2(in[0], 0);
        dup2(from[1], 1);
        if (both)
            dup2(from[1], 2);
        close(in[0]), close(in[1]), close(from[0]), close(from[1]);
        _exit(box_main(argc, copy));
    }
    close(in[0]), close(from[1]);
    if (input && write(in[1], input, input_len) != (ssize_t)input_len)
        test_fail(__FILE__, __LINE__, "input not taken");
    close(in[1]);
    out->len = 0;
    while ((n = read(from[0], out->text + out->len, sizeof(out->text) - 1 - out->len)) > 0)
        out->len += (size_t)n;
    out->text[out->len] = '\0';
    close(from[0]);
    EXPECT(waitpid(pid, &status, 0) == pid);
    out->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    for (int i = 0; i < argc; i++)
        free(copy[i]);
}

#endif
