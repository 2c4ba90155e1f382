/* config_help.c -- the flags of a command, as text, from the table. */
#include "cmd/config.h"

#define COLUMN 36

static const char sources[] =
    "\nEach flag may also be a variable (INRO_DATA_DIR for --data-dir) or a key of the\n"
    "configuration file (data-dir: /data; lists for what may be repeated; \"key+\" adds to a\n"
    "list of an earlier file). A flag beats a variable, a variable beats the file.\n";

static void flag_help(struct buf *out, const struct config_flag *f)
{
    size_t start = out->len;

    if (f->letter && f->name[1])
        buf_fmt(out, "  -%c, --%s", f->letter, f->name);
    else if (f->letter)
        buf_fmt(out, "  -%c", f->letter);
    else
        buf_fmt(out, "      --%s", f->name);
    if (f->value)
        buf_fmt(out, " %s", f->value);
    if (out->len - start >= COLUMN)
        buf_chr(out, '\n');
    for (size_t n = out->len - start < COLUMN ? out->len - start : 0; n < COLUMN; n++)
        buf_chr(out, ' ');
    buf_str(out, f->help);
    if (f->type == CONFIG_LIST)
        buf_str(out, " (may be repeated)");
    if (!str_empty(f->initial) && !str_eq(f->initial, "0"))
        buf_fmt(out, " (default %s)", f->initial);
    buf_chr(out, '\n');
}

void config_help(struct buf *out, unsigned command)
{
    bool file = false;

    buf_str(out, "\nflags:\n");
    for (const struct config_flag *f = config_flags; f->name; f++) {
        if (!f->help || !(f->commands & command))
            continue;
        flag_help(out, f);
        file = file || str_eq(f->name, "config");
    }
    if (file)
        buf_str(out, sources);
}
