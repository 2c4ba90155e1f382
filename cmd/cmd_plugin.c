/* cmd_plugin.c -- looks at Lua plugins without a server: what is there, and whether they do
 * what their fixtures say.
 *
 * Fixtures of NAME.lua lie beside it in NAME_test.yaml: a list of cases.
 *     name, operation (CREATE), object, old, user, dryRun
 *     objects: what get() finds          denied: part of the text of the denial
 *     warnings: parts of warnings        unchanged: true
 *     result: what the object holds after mutate
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cmd/admin.h"
#include "cmd/cmd.h"
#include "cmd/cmd_lock.h"
#include "cmd/config.h"
#include "cmd/runfile.h"
#include "core/base/fd.h"
#include "core/base/log.h"
#include "core/base/yaml.h"
#include "plugins/admit/admit_lua.h"
#include "plugins/lua/lua_host.h"

#define FIXTURES_BYTES_MAX (4u << 20)

/* --- one case */

struct test_case {
    struct arena *a;
    const struct json *fixture;
    struct lua_host *host;
    char why[600];                       /* it fails because */
};

static const struct json *find_object(void *ctx, struct arena *a, const struct lua_host_key *key)
{
    const struct test_case *t = ctx;
    struct json *o;

    (void)a;
    json_each(o, json_get(t->fixture, "objects"))
        if (str_eq(json_get_str(o, "kind"), key->kind) &&
            str_eq(json_get_str(o, "apiVersion"), key->api_version) &&
            str_eq(json_path_str(o, "metadata.name"), key->name) &&
            (str_empty(key->ns) || str_eq(json_path_str(o, "metadata.namespace"), key->ns)))
            return o;
    return NULL;
}

/* Is everything of `want` in `have`? Lists are compared item by item from the front. */
static bool holds(const struct json *have, const struct json *want)
{
    if (json_is(want, JSON_OBJECT) && json_is(have, JSON_OBJECT)) {
        json_each_member(m, want)
            if (!holds(json_getn(have, m->key, m->key_len), m->val))
                return false;
        return true;
    }
    if (json_is(want, JSON_ARRAY) && json_is(have, JSON_ARRAY)) {
        for (size_t i = 0; i < json_len(want); i++)
            if (!holds(json_at(have, i), json_at(want, i)))
                return false;
        return true;
    }
    return json_equal(have, want);
}

static bool fails(struct test_case *t, const char *format, const char *text)
{
    snprintf(t->why, sizeof(t->why), format, text);
    return false;
}

static bool check_warnings(struct test_case *t, const struct lua_host_verdict *v)
{
    struct json *w;

    json_each(w, json_get(t->fixture, "warnings")) {
        unsigned i = 0;

        while (i < v->n_warnings && !strstr(v->warnings[i], json_text(w) ? json_text(w) : ""))
            i++;
        if (i == v->n_warnings)
            return fails(t, "no warning holds \"%s\"", json_text(w));
    }
    return true;
}

static bool check_verdict(struct test_case *t, const struct lua_host_verdict *v,
                          const struct json *object)
{
    const char *denied = json_get_str(t->fixture, "denied");
    const struct json *result = json_get(t->fixture, "result");
    _cleanup_buf_ struct buf text = BUF_INIT;

    if (denied && !v->denied)
        return fails(t, "it was let through; a denial with \"%s\" is wanted", denied);
    if (denied && !strstr(v->denied, denied))
        return fails(t, "it was denied with \"%s\"", v->denied);
    if (!denied && v->denied)
        return fails(t, "it was denied: %s", v->denied);
    if (json_get_bool(t->fixture, "unchanged", false) &&
        !json_equal(object, json_get(t->fixture, "object")))
        return fails(t, "%s", "the object was changed");
    if (result && !holds(object, result)) {
        json_write(&text, object);
        return fails(t, "the object is not as wanted: %.500s", text.p);
    }
    return check_warnings(t, v);
}

static enum lua_operation operation_of(const char *text)
{
    return str_eq(text, "UPDATE") ? LUA_UPDATE : str_eq(text, "DELETE") ? LUA_DELETE : LUA_CREATE;
}

static bool run_case(struct test_case *t)
{
    const struct json *object = json_get(t->fixture, "object");
    const struct lua_host_decl *d = lua_host_decl(t->host);
    struct lua_host_verdict v = { 0 };
    struct err err = ERR_INIT;
    const char *user = json_get_str(t->fixture, "user");
    struct lua_host_request r = {
        .a = t->a, .operation = operation_of(json_get_str(t->fixture, "operation")),
        .api_version = json_get_str(object, "apiVersion"), .kind = json_get_str(object, "kind"),
        .resource = "", .subresource = "", .ns = json_path_str(object, "metadata.namespace"),
        .name = json_path_str(object, "metadata.name"), .user = user ? user : "admin",
        .dry_run = json_get_bool(t->fixture, "dryRun", false), .object = object,
        .old = json_get(t->fixture, "old"), .get = find_object, .ctx = t,
    };

    if (!json_is(object, JSON_OBJECT))
        return fails(t, "%s", "the case has no object");
    if (d->mutates && lua_host_mutate(t->host, &r, &v, &err) < 0)
        return fails(t, "%s", err.msg);
    if (v.object)
        object = r.object = v.object;
    if (!v.denied && d->validates && lua_host_validate(t->host, &r, &v, &err) < 0)
        return fails(t, "%s", err.msg);
    return check_verdict(t, &v, object);
}

/* --- files */

static void on_print(void *ctx, const char *plugin, const char *line)
{
    (void)ctx;
    printf("    %s: %s\n", plugin, line);
}

static int load(struct lua_host **out, const char *file, struct err *err)
{
    _cleanup_buf_ struct buf text = BUF_INIT;
    const char *slash = strrchr(file, '/'), *base = slash ? slash + 1 : file;
    _cleanup_(mem_freep) char *name = mem_strndup(base, strlen(base) - (str_ends(base,
                                                                                 ".lua") ? 4 : 0));
    struct lua_host_opts o = { .name = name, .env = env_real(), .on_print = on_print };

    if (fd_read_file(&text, AT_FDCWD, file, LUA_HOST_SOURCE_BYTES_MAX + 1, err) < 0)
        return -1;
    o.source = (struct slice){ text.p ? text.p : "", text.len };
    return lua_host_new(out, &o, err);
}

static int read_fixtures(struct json **out, struct arena *a, const char *file, struct err *err)
{
    _cleanup_buf_ struct buf text = BUF_INIT;
    _cleanup_(mem_freep) char *path = mem_printf("%.*s_test.yaml",
                                                 (int)(strlen(file) -
                                                       (str_ends(file, ".lua") ? 4 : 0)), file);

    if (fd_read_file(&text, AT_FDCWD, path, FIXTURES_BYTES_MAX, err) < 0)
        return -1;
    if (yaml_parse(out, a, text.p ? text.p : "", text.len, NULL, err) < 0)
        return err_wrap(err, "%s", path);
    if (!json_is(*out, JSON_ARRAY) || !json_len(*out))
        return err_set(err, ERR_INVALID, "%s: a list of cases is wanted", path);
    return 0;
}

/* Adds to the figures; -1: it could not be tested at all. */
static int test_file(const char *file, unsigned *passed, unsigned *failed, struct err *err)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    _cleanup_(lua_host_freep) struct lua_host *host = NULL;
    struct json *cases = NULL, *one;

    if (load(&host, file, err) < 0 || read_fixtures(&cases, a, file, err) < 0)
        return -1;
    json_each(one, cases) {
        struct test_case t = { .a = a, .fixture = one, .host = host };
        const char *name = json_get_str(one, "name");
        bool good = run_case(&t);

        *(good ? passed : failed) += 1;
        printf("%s %s: %s%s%s\n", good ? "ok" : "not ok", file, name ? name : "a case",
               good ? "" : ": ", t.why);
    }
    return 0;
}

static int test(int n, char **files)
{
    unsigned passed = 0, failed = 0;

    for (int i = 0; i < n; i++) {
        struct err err = ERR_INIT;

        if (test_file(files[i], &passed, &failed, &err) < 0) {
            printf("not ok %s: %s\n", files[i], err.msg);
            failed++;
        }
    }
    printf("%u passed, %u failed\n", passed, failed);
    return failed ? 1 : 0;
}

/* --- list */

/* What a server that runs here says; NULL: none does, or it cannot be asked. */
static struct json *ask(const struct config *c, struct arena *a)
{
    _cleanup_(admin_freep) struct admin *admin = NULL;
    struct runfile run;
    struct json *o;
    pid_t pid;

    if (cmd_lock_holder(c->run_dir, &pid, NULL) < 0 || !pid ||
        runfile_read(&run, a, c->run_dir, NULL) < 0 || run.pid != pid || !*run.api ||
        admin_new(&admin, c->data_dir, run.api, NULL) < 0 ||
        admin_get_json(admin, a, "/inro/plugins", &o, NULL) < 0)
        return NULL;
    return json_get(o, "items");
}

static int print_live(const struct json *items)
{
    const struct json *p;
    bool failed = false;

    printf("%-24s %-28s %-17s %8s %8s %8s %8s  %s\n", "NAME", "FILE", "HANDLERS", "CALLS", "DENIED",
           "FAILED", "STOPPED", "LAST ERROR");
    json_each(p, items) {
        const char *error = json_get_str(p, "lastError");

        failed = failed || !json_get_bool(p, "loaded", true);
        printf("%-24s %-28s %-17s %8lld %8lld %8lld %8lld  %s%s\n", json_get_str(p, "name"),
               json_get_str(p, "file"), json_get_str(p, "handlers"),
               (long long)json_get_int(p, "calls", 0), (long long)json_get_int(p, "denied", 0),
               (long long)json_get_int(p, "failed", 0), (long long)json_get_int(p, "stopped", 0),
               json_get_bool(p, "loaded", true) ? "" : "does not load: ", error ? error : "");
    }
    return failed ? 1 : 0;
}

static int list_folder(const char *data_dir)
{
    _cleanup_(mem_freep) char *path = mem_printf("%s/plugins", data_dir);
    _cleanup_(admit_lua_freep) struct admit_lua *l = NULL;
    struct admit_lua_row row;
    unsigned failed;
    int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (dir < 0)
        return cmd_fail("plugin", errno == ENOENT ? "there is no folder of plugins: start a server "
                                                    "first, or name its --data-dir"
                                                  : strerror(errno));
    l = admit_lua_new(dir, env_real());
    failed = admit_lua_reload(l);        /* what does not load is told on standard error */
    printf("%-32s %-32s %s\n", "NAME", "FILE", "HANDLERS");
    for (size_t at = 0; admit_lua_next(l, &at, &row);)
        if (!row.broken)
            printf("%-32s %-32s %s\n", row.name, row.file, row.handlers);
    return failed ? 1 : 0;
}

static int list(struct config *c)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    struct err err = ERR_INIT;
    struct json *items;

    if (config_derive(c, &err) < 0)
        return cmd_fail("plugin", err.msg);
    items = ask(c, a);
    return items ? print_live(items) : list_folder(c->data_dir);
}

int cmd_plugin(int argc, char **argv)
{
    static const char intro[] =
        "usage: inro plugin list [flags]\n"
        "       inro plugin test FILE.lua...\n\n"
        "list shows the plugins of <data-dir>/plugins and, while a server runs, what they did;\n"
        "a server loads each NAME.lua there, and again when it changes. test runs the cases\n"
        "of FILE_test.yaml through FILE.lua, without a server.\n";
    struct config_input in = {
        .command = CONFIG_PLUGIN, .argc = argc, .argv = argv, .env = environ,
    };
    _cleanup_(config_freep) struct config *c = NULL;
    struct err err = ERR_INIT;

    if (argc > 2 && str_eq(argv[1], "test"))
        return test(argc - 2, argv + 2);
    if (argc > 1 && str_eq(argv[1], "test"))
        return cmd_misuse("plugin", "test: name a file");
    if (config_parse(&c, &in, &err) < 0)
        return cmd_misuse("plugin", err.msg);
    if (c->help)
        return cmd_help(intro, CONFIG_PLUGIN);
    log_setup("plugin", LOG_WARN, LOG_TEXT);
    if (c->operands.n == 1 && str_eq(c->operands.v[0], "list"))
        return list(c);
    return cmd_misuse("plugin", "list or test?");
}
