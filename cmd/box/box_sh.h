/* cmd/box/box_sh.h -- private to the box: a small POSIX shell.
 *
 *   box_sh.c          main, variables, reading of commands
 *   box_sh_parse.c    text -> tree; words keep their quotes
 *   box_sh_expand.c   words -> fields: $, `, ~, splitting, patterns, quotes away
 *   box_sh_arith.c    $((...))
 *   box_sh_run.c      trees: processes, pipes, redirections, functions
 *   box_sh_builtin.c  commands that change the shell itself
 *
 * Not here: job control, aliases, arrays, line editing.
 */
#ifndef CMD_BOX_BOX_SH_H
#define CMD_BOX_BOX_SH_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "core/base/err.h"
#include "core/base/map.h"
#include "core/base/mem.h"
#include "core/base/str.h"
#include "core/base/vec.h"

#define SH_TEXT_BYTES_MAX (4u << 20)     /* a script */
#define SH_DEPTH_MAX 200                 /* of functions, sources and nested commands */

enum sh_kind {
    SH_CMD,
    SH_PIPE,
    SH_AND,
    SH_OR,
    SH_NOT,
    SH_SEQ,
    SH_BG,
    SH_IF,
    SH_LOOP,
    SH_FOR,
    SH_CASE,
    SH_GROUP,
    SH_SUB,
    SH_FUNC
};

enum sh_redir_op { SH_IN, SH_OUT, SH_APPEND, SH_BOTH, SH_DUP, SH_HERE };

struct sh_redir {
    struct sh_redir *next;
    enum sh_redir_op op;
    int fd;
    const char *word;                    /* SH_HERE: the text */
    bool quoted;                         /* SH_HERE: taken as it is */
};

struct sh_branch {                       /* of case */
    struct sh_branch *next;
    const char **patterns;
    size_t n_patterns;
    struct sh_node *body;
};

struct sh_node {
    enum sh_kind kind;
    struct sh_node *a, *b, *c;           /* parts in order; IF: condition, then, else */
    const char **words;                  /* CMD: all; FOR: the list; raw */
    size_t n;
    const char *name;                    /* FOR, CASE (word), FUNC */
    bool until, has_in;
    struct sh_branch *branches;
    struct sh_redir *redirs;
};

/* The next complete command at *at: 1 found (*at behind it), 0 only blanks left, -1 error:
 * ERR_UNAVAILABLE when more text would help. */
int box_sh_parse(struct sh_node **out, struct arena *a, struct slice text, size_t *at,
                 struct err *err);

struct sh_var { char *value; bool exported, fixed; };
struct sh_func { struct arena *arena; struct sh_node *body; };

enum sh_flow { SH_GO, SH_BREAK, SH_CONTINUE, SH_RETURN, SH_EXIT };

struct sh {
    struct map *vars, *funcs;            /* struct sh_var, struct sh_func */
    char **args;                         /* $1 ... */
    size_t n_args;
    const char *name;                    /* $0 */
    int status;                          /* $? */
    pid_t last_bg;
    bool interactive, exit_on_error, trace, unset_error, no_exec, no_glob;
    bool tested;                         /* in a condition: -e does not count */
    bool last;                           /* this command ends the shell: no need to fork for it */
    enum sh_flow flow;
    int levels;                          /* left to break out of */
    int depth;
    bool kept;                           /* the tree being run has become part of a function */
    char *traps[NSIG];                   /* [0]: at exit */
};

/* --- box_sh.c */
const char *box_sh_get(struct sh *s, const char *name);                  /* or NULL */
void box_sh_set(struct sh *s, const char *name, const char *value);
void box_sh_unset(struct sh *s, const char *name);
void box_sh_export(struct sh *s, const char *name);
char **box_sh_environ(struct sh *s, struct arena *a);
bool box_sh_is_name(const char *p, size_t len);
/* parses and runs all of it */
int box_sh_eval(struct sh *s, struct slice text);
void box_sh_error(struct sh *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
_Noreturn void box_sh_exit(struct sh *s, int status);
/* runs those whose signal came */
void box_sh_traps(struct sh *s);
/* 0 default, 1 ignore, 2 note it */
void box_sh_trap_signal(int sig, int how);

/* --- box_sh_expand.c; results live in the arena */
typedef VEC(char *) sh_fields;
int box_sh_fields(struct sh *s, struct arena *a, const char *raw, sh_fields *out);
/* One text without splitting; pattern: quoted letters are escaped for matching. NULL on error. */
char *box_sh_text(struct sh *s, struct arena *a, const char *raw, bool pattern);
char *box_sh_heredoc(struct sh *s, struct arena *a, const char *text);
char *box_sh_capture(struct sh *s, struct arena *a, struct slice command);    /* $(command) */

/* --- box_sh_arith.c */
int box_sh_arith(struct sh *s, const char *text, long long *out);

/* --- box_sh_run.c */
int box_sh_run(struct sh *s, struct sh_node *n);
int box_sh_wait(pid_t pid);

/* --- box_sh_builtin.c */
struct sh_builtin { const char *name; int (*run)(struct sh *s, int argc, char **argv); };
const struct sh_builtin *box_sh_builtin(const char *name);

#endif
