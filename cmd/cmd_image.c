/* cmd_image.c -- images by hand, beside a running server or without one. */
#include <stdio.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "cmd/config.h"
#include "cmd/data_dir.h"
#include "cmd/progress.h"
#include "core/base/json.h"
#include "core/base/log.h"
#include "core/base/timefmt.h"
#include "runtime/image/image.h"

#define ID_DIGITS 12

struct image_cmd {
    struct config *config;
    const char *const *args;             /* after the verb */
    unsigned n;
    struct image_store *store;
};

/* --- import, pull */

static int import_one(struct image_cmd *x, struct progress *p, const char *file, struct err *err)
{
    struct image_import_opts opts = { .file = file, .watch = progress_watch(p) };
    char **names = NULL;
    int result;

    if (!str_empty(x->config->name))
        opts.name = x->config->name;
    result = image_import(x->store, &opts, &names, err);
    progress_end(p);
    if (result < 0)
        return -1;
    for (char **n = names; n && *n; n++)
        puts(*n);
    if (names)
        image_names_free(names);
    return 0;
}

static int run_import(struct image_cmd *x, struct err *err)
{
    _cleanup_(progress_deinit) struct progress p = { .signals = -1 };

    if (progress_init(&p, "inro image import", x->config->quiet, err) < 0)
        return -1;
    for (unsigned i = 0; i < x->n; i++)
        if (import_one(x, &p, x->args[i], err) < 0)
            return -1;
    return 0;
}

static int run_pull(struct image_cmd *x, struct err *err)
{
    _cleanup_(progress_deinit) struct progress p = { .signals = -1 };

    if (progress_init(&p, "inro image pull", x->config->quiet, err) < 0)
        return -1;
    for (unsigned i = 0; i < x->n; i++) {
        _cleanup_(image_freep) struct image *im = NULL;
        struct image_pull_opts opts = {
            .name = x->args[i], .registries_file = x->config->private_registry,
            .watch = progress_watch(&p),
        };
        int result = image_pull(&im, x->store, &opts, err);

        progress_end(&p);
        if (result < 0)
            return -1;
        puts(im->digests[0] ? im->digests[0] : im->id);
    }
    return 0;
}

/* --- ls */

static struct json *list_of(struct arena *a, const char *const *texts)
{
    struct json *out = json_array(a);

    for (; *texts; texts++)
        json_append(a, out, json_str(a, *texts));
    return out;
}

static void print_json(const struct image_list *l)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    _cleanup_buf_ struct buf text = BUF_INIT;
    struct json *all = json_array(a);
    char added[TIMEFMT_BYTES];

    for (size_t i = 0; i < l->n; i++) {
        struct json *one = json_object(a);

        json_set_str(a, one, "id", l->v[i]->id);
        json_set(a, one, "names", list_of(a, l->v[i]->names));
        json_set(a, one, "digests", list_of(a, l->v[i]->digests));
        json_set_int(a, one, "sizeBytes", l->v[i]->size_bytes);
        json_set_int(a, one, "diskBytes", l->v[i]->disk_bytes);
        timefmt_rfc3339(added, l->v[i]->added_s);
        json_set_str(a, one, "added", added);
        json_set_bool(a, one, "pinned", l->v[i]->pinned);
        json_append(a, all, one);
    }
    json_write_pretty(&text, all, 2);
    puts(text.p);
}

static const char *short_id(const struct image *im)
{
    const char *colon = strchr(im->id, ':');

    return colon ? colon + 1 : im->id;
}

static void print_row(const struct image *im, const char *name, int width)
{
    char size[16], disk[16];

    progress_bytes(size, im->size_bytes);
    progress_bytes(disk, im->disk_bytes);
    printf("%-*s  %-*.*s  %9s  %9s\n", width, name, ID_DIGITS, ID_DIGITS, short_id(im), size, disk);
}

static void print_table(const struct image_list *l, bool quiet)
{
    int width = 4;

    for (size_t i = 0; i < l->n; i++)
        for (const char *const *n = l->v[i]->names; *n; n++)
            width = (int)strlen(*n) > width ? (int)strlen(*n) : width;
    if (!quiet)
        printf("%-*s  %-*s  %9s  %9s\n", width, "NAME", ID_DIGITS, "ID", "SIZE", "ON DISK");
    for (size_t i = 0; i < l->n; i++) {
        const struct image *im = l->v[i];
        const char *none = im->digests[0] ? im->digests[0] : "<none>";

        for (const char *const *n = im->names; *n; n++) {
            if (quiet)
                puts(*n);
            else
                print_row(im, *n, width);
        }
        if (!*im->names && quiet)
            puts(im->id);
        else if (!*im->names)
            print_row(im, none, width);
    }
}

static int run_ls(struct image_cmd *x, struct err *err)
{
    struct image_list l = { 0 };

    if (image_list(&l, x->store, err) < 0)
        return -1;
    if (str_eq(x->config->output, "json"))
        print_json(&l);
    else
        print_table(&l, x->config->quiet);
    image_list_deinit(&l);
    return 0;
}

/* --- rm, tag */

static int run_rm(struct image_cmd *x, struct err *err)
{
    for (unsigned i = 0; i < x->n; i++)
        if (image_remove(x->store, x->args[i], err) < 0)
            return -1;
    return 0;
}

static int run_tag(struct image_cmd *x, struct err *err)
{
    return image_tag(x->store, x->args[0], x->args[1], err);
}

static const struct image_verb {
    const char *name;
    int (*run)(struct image_cmd *x, struct err *err);
    unsigned min, max;                   /* arguments */
    const char *use;
} verbs[] = {
    { "import", run_import, 1, ~0u, "import FILE... [--name NAME]" },
    { "pull", run_pull, 1, ~0u, "pull NAME..." },
    { "ls", run_ls, 0, 0, "ls [-q] [-o json]" },
    { "rm", run_rm, 1, ~0u, "rm NAME..." },
    { "tag", run_tag, 2, 2, "tag NAME NEW-NAME" },
};

static const struct image_verb *verb_of(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
        if (str_eq(verbs[i].name, name))
            return &verbs[i];
    return str_eq(name, "list") ? verb_of("ls") : str_eq(name, "remove") ? verb_of("rm") : NULL;
}

static int run(struct image_cmd *x, const struct image_verb *verb, struct err *err)
{
    _cleanup_(mem_freep) char *dir = NULL;
    int result;

    if (config_derive(x->config, err) < 0 ||
        data_dir_check(x->config->data_dir, &data_dir_ours, err) < 0)
        return -1;
    dir = mem_printf("%s/images", x->config->data_dir);
    if (image_store_open(&x->store, dir, env_real(), err) < 0)
        return -1;
    result = verb->run(x, err);
    image_store_free(x->store);
    return result;
}

static const char intro[] =
    "usage: inro image import FILE... [--name NAME]   from a tar: OCI layout or docker-archive\n"
    "       inro image pull NAME...                   from a registry\n"
    "       inro image ls [-q] [-o json]\n"
    "       inro image rm NAME...\n"
    "       inro image tag NAME NEW-NAME\n\n"
    "Works beside a running server of the same --data-dir, which sees the change at once, and\n"
    "without one. Imported images stay until they are removed by hand; pulled ones may be\n"
    "collected.\n";

int cmd_image(int argc, char **argv)
{
    struct config_input in = {
        .command = CONFIG_IMAGE, .argc = argc, .argv = argv, .env = environ,
    };
    _cleanup_(config_freep) struct config *c = NULL;
    const struct image_verb *verb;
    struct err err = ERR_INIT;
    struct image_cmd x;

    if (config_parse(&c, &in, &err) < 0)
        return cmd_misuse("image", err.msg);
    if (c->help)
        return cmd_help(intro, CONFIG_IMAGE);
    verb = c->operands.n ? verb_of(c->operands.v[0]) : NULL;
    if (!verb)
        return cmd_misuse("image", "one of import, pull, ls, rm, tag is wanted (see --help)");
    x = (struct image_cmd){ .config = c, .args = c->operands.v + 1, .n = c->operands.n - 1 };
    if (x.n < verb->min || x.n > verb->max) {
        err_set(&err, ERR_INVALID, "usage: inro image %s", verb->use);
        return cmd_misuse("image", err.msg);
    }
    if (!str_empty(c->output) && (verb->run != run_ls || !str_eq(c->output, "json")))
        return cmd_misuse("image", "--output: only \"ls\" has it, and only json is known");
    if (!str_empty(c->name) && (verb->run != run_import || x.n != 1))
        return cmd_misuse("image", "--name goes with the import of one file");
    log_setup("image", config_log_level(c), config_log_format(c));
    return run(&x, verb, &err) < 0 ? cmd_fail("image", err.msg) : 0;
}
