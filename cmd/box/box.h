/* cmd/box/box.h -- the programs of the built-in image inro.local/box: small ones for trying out,
 * testing and looking into a cluster without a registry. The binary is its own image: it runs the
 * applet it is called as ("sleep 5"), or the one named first ("inro-box sleep 5").
 *
 * An applet uses only libc and core/base, needs no file of the system, and may end the process.
 * Exit status 2 is wrong use, as usual.
 */
#ifndef CMD_BOX_BOX_H
#define CMD_BOX_BOX_H

#include <stdbool.h>
#include <stddef.h>

#define BOX_EXE "inro-box"

struct box_applet {
    const char *name;
    int (*run)(int argc, char **argv);   /* argv[0] is the name; returns the exit status */
    const char *use;                     /* arguments, for help */
};

extern const struct box_applet box_applets[];    /* ends with a NULL name */

const struct box_applet *box_find(const char *name);
/* True when a program called so (argv[0]) is an applet, or the box itself. */
bool box_is_called(const char *argv0);
int box_main(int argc, char **argv);
/* Names of all applets, NULL-terminated: what image and shim_box are given. The array is the
 * caller's to free. */
const char **box_names(void);

/* --- for applets */

/* "NAME: text: strerror" on stderr; returns 1. */
int box_fail(char **argv, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same without the system's error; returns 2. */
int box_usage(char **argv, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Options of one letter each ("la" or with values "n:"), and --long ones in `longs` ("port:" has a
 * value), NULL-ended. Each call gives the next one: its letter, or 256 + index of a long one; -1 at
 * the first operand, '?' for a bad one. State is in *o, so applets may run one after the other
 * in one process. */
struct box_opts {
    int argc;
    char **argv;
    const char *letters;
    const char *const *longs;
    int at;                              /* operands begin here at the end */
    const char *value;
    const char *rest;                    /* private: of a group of letters */
};
int box_opt(struct box_opts *o);
/* "5", "1.5", "500ms", "2m", "1h30m" -> milliseconds; bare numbers are `unit_ms`. -1 when it is
 * none. */
long long box_duration_ms(const char *text, long long unit_ms);
/* Ends the process when asked to, also as process 1. */
void box_die_on_signals(void);

#endif
