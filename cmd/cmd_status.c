/* cmd_status.c -- what runs on this machine, what does not, and why.
 *
 * Everything is gathered into one report (status_judge.h, status_text.h): the parent's note and
 * lock, /proc, files, and the API as the administrator sees it. Exit status: 0 healthy, 1 degraded
 * (or it cannot be told), 2 wrong use, 3 not running.
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "cmd/admin.h"
#include "cmd/cmd.h"
#include "cmd/cmd_lock.h"
#include "cmd/config.h"
#include "cmd/runfile.h"
#include "cmd/status_judge.h"
#include "cmd/status_text.h"
#include "core/base/env.h"
#include "core/base/fd.h"
#include "core/base/timefmt.h"
#include "core/crypto/crypto.h"
#include "gen/version.h"

#define DISK_LOW_PERCENT 5
#define CERTS_SOON_DAYS 7
#define PEM_BYTES_MAX (64u << 10)
#define ROLLUP_BYTES_MAX 65536
#define DAY_S 86400

struct status {
    const struct config *config;
    struct arena *a;
    struct json *report, *problems;
    struct runfile run;
    pid_t pid;                           /* of the parent; 0: none */
    int64_t now_s;
};

static void problem(struct status *s, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void problem(struct status *s, const char *format, ...)
{
    char text[ERR_MSG_BYTES + 200];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    json_append(s->a, s->problems, json_str(s->a, text));
}

/* --- processes */

/* Bytes, with a share of what several processes map; 0: it cannot be read. */
static int64_t memory_of(pid_t pid)
{
    _cleanup_(mem_freep) char *path = mem_printf("/proc/%d/smaps_rollup", (int)pid);
    _cleanup_buf_ struct buf text = BUF_INIT;
    const char *at;

    if (fd_read_file(&text, AT_FDCWD, path, ROLLUP_BYTES_MAX, NULL) < 0 || !text.p)
        return 0;
    at = strstr(text.p, "\nPss:");
    return at ? strtoll(at + 5, NULL, 10) * 1024 : 0;
}

static struct json *process(struct status *s, const char *name, pid_t pid, int64_t started_s)
{
    struct json *o = json_object(s->a);

    json_set_str(s->a, o, "name", name);
    if (pid) {
        json_set_int(s->a, o, "pid", pid);
        json_set_int(s->a, o, "uptimeSeconds", s->now_s - started_s);
        json_set_int(s->a, o, "memoryBytes", memory_of(pid));
    }
    return o;
}

static void add_role(struct status *s, struct json *list, const struct runfile_role *r)
{
    struct json *o = process(s, r->name, r->pid, r->started_s);
    char when[TIMEFMT_BYTES];

    json_set_bool(s->a, o, "ready", r->ready);
    json_set_int(s->a, o, "restarts", r->restarts);
    if (r->ended_s) {
        timefmt_rfc3339(when, r->ended_s);
        json_set(s->a, o, "why", r->signal
            ? json_fmt(s->a, "ended at %s by signal %d (%s)", when, r->signal, strsignal(r->signal))
            : json_fmt(s->a, "ended at %s with status %d; the log says why", when, r->status));
    }
    if (!r->ready)
        problem(s, "the role %s is not ready", r->name);
    json_append(s->a, list, o);
}

static void add_roles(struct status *s)
{
    struct json *list = json_array(s->a);
    struct json *parent = process(s, s->run.command, s->pid, s->run.started_s);

    json_set_bool(s->a, parent, "ready", true);
    json_append(s->a, list, parent);
    for (unsigned i = 0; i < s->run.n_roles; i++)
        add_role(s, list, &s->run.roles[i]);
    json_set(s->a, s->report, "roles", list);
}

/* --- files */

static void add_store(struct status *s)
{
    static const char *const parts[] = { "", "-wal" };
    const char *path = arena_printf(s->a, "%s/server/db/state.db", s->config->data_dir);
    struct json *o = json_object(s->a);
    int64_t bytes = 0;
    struct stat st;

    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        if (stat(arena_printf(s->a, "%s%s", path, parts[i]), &st) == 0)
            bytes += st.st_size;
    if (!bytes)
        return;
    json_set_str(s->a, o, "path", path);
    json_set_int(s->a, o, "bytes", bytes);
    json_set(s->a, s->report, "store", o);
}

static void add_disk(struct status *s)
{
    struct json *o = json_object(s->a);
    struct statvfs v;
    int64_t total, left;

    if (statvfs(s->config->data_dir, &v) < 0)
        return;
    total = (int64_t)v.f_blocks * (int64_t)v.f_frsize;
    left = (int64_t)v.f_bavail * (int64_t)v.f_frsize;
    json_set_str(s->a, o, "path", s->config->data_dir);
    json_set_int(s->a, o, "freeBytes", left);
    json_set_int(s->a, o, "totalBytes", total);
    json_set_bool(s->a, o, "low", left < total / 100 * DISK_LOW_PERCENT);
    if (left < total / 100 * DISK_LOW_PERCENT)
        problem(s, "less than %d%% of the disk at %s is free", DISK_LOW_PERCENT,
                s->config->data_dir);
    json_set(s->a, s->report, "disk", o);
}

/* 0: no certificate. */
static int64_t expiry_of(const char *path)
{
    _cleanup_(crypto_cert_unrefp) struct crypto_cert *cert = NULL;
    _cleanup_buf_ struct buf pem = BUF_INIT;

    if (fd_read_file(&pem, AT_FDCWD, path, PEM_BYTES_MAX, NULL) < 0 ||
        crypto_cert_parse(&cert, pem.p ? pem.p : "", pem.len, NULL) < 0)
        return 0;
    return crypto_cert_not_after_s(cert);
}

static int is_cert(const struct dirent *e)
{
    return str_ends(e->d_name, ".crt");
}

static void add_certs(struct status *s)
{
    const char *dir = arena_printf(s->a, "%s/server/tls", s->config->data_dir), *first = NULL;
    struct json *o = json_object(s->a);
    struct dirent **names = NULL;
    int n = scandir(dir, &names, is_cert, alphasort);
    int64_t soonest = INT64_MAX, days;
    char when[TIMEFMT_BYTES];

    for (int i = 0; i < n; i++) {
        int64_t at = expiry_of(arena_printf(s->a, "%s/%s", dir, names[i]->d_name));

        if (at && at < soonest) {
            soonest = at;
            first = arena_strdup(s->a, names[i]->d_name);
        }
        mem_free(names[i]);
    }
    mem_free(names);
    if (!first)
        return;
    days = (soonest - s->now_s) / DAY_S;
    timefmt_rfc3339(when, soonest);
    json_set_str(s->a, o, "first", first);
    json_set_str(s->a, o, "expires", when);
    json_set_int(s->a, o, "days", days);
    json_set(s->a, s->report, "certificates", o);
    if (days < CERTS_SOON_DAYS)
        problem(s, "the certificate %s %s; a restart makes a new one", first,
                soonest <= s->now_s ? "has expired" : "ends within days");
}

/* --- the API */

/* The names of failed checks: "[-]etcd failed: reason withheld". */
static const char *failed_checks(struct arena *a, const char *text)
{
    const char *names = "";

    for (const char *at = text; (at = strstr(at, "[-]")); at += 3)
        names = arena_printf(a, "%s%s%.*s", names, *names ? ", " : "",
                             (int)strcspn(at + 3, " \n"), at + 3);
    return names;
}

static bool add_ready(struct status *s, struct admin *admin, struct json *api)
{
    _cleanup_buf_ struct buf text = BUF_INIT;
    struct err err = ERR_INIT;
    int status = admin_get(admin, "/readyz?verbose", &text, &err);
    const char *why = status < 0 ? err.msg : status == 200 ? "" : failed_checks(s->a, text.p);

    json_set_bool(s->a, api, "ready", status == 200);
    if (status == 200)
        return true;
    json_set_str(s->a, api, "why", *why ? why : arena_printf(s->a, "answered %d", status));
    problem(s, "the API is not ready: %s", json_get_str(api, "why"));
    return status > 0;
}

static void add_nodes(struct status *s, struct admin *admin)
{
    struct json *list, *nodes, *n;
    struct err err = ERR_INIT;

    if (admin_get_json(admin, s->a, "/api/v1/nodes", &list, &err) < 0) {
        problem(s, "nodes cannot be listed: %s", err.msg);
        return;
    }
    nodes = status_judge_nodes(s->a, json_get(list, "items"));
    json_set(s->a, s->report, "nodes", nodes);
    json_each(n, nodes)
        if (!json_get_bool(n, "ready", false))
            problem(s, "the node %s is not ready", json_get_str(n, "name"));
}

static void add_pods(struct status *s, struct admin *admin)
{
    struct json *list, *pods, *p;
    struct err err = ERR_INIT;
    unsigned bad = 0;

    if (admin_get_json(admin, s->a, "/api/v1/pods", &list, &err) < 0) {
        problem(s, "pods cannot be listed: %s", err.msg);
        return;
    }
    pods = status_judge_pods(s->a, json_get(list, "items"));
    json_set(s->a, s->report, "pods", pods);
    json_each(p, json_get(pods, "failing"))
        bad += !str_eq(json_get_str(p, "phase"), "Failed");      /* those have ended */
    if (bad)
        problem(s, "%u pod%s in trouble", bad, bad == 1 ? " is" : "s are");
}

static void add_plugins(struct status *s, struct admin *admin)
{
    struct json *list, *p;

    if (admin_get_json(admin, s->a, "/inro/plugins", &list, NULL) < 0)
        return;
    json_set(s->a, s->report, "plugins", json_get(list, "items"));
    json_each(p, json_get(list, "items"))
        if (!json_get_bool(p, "loaded", true))
            problem(s, "the plugin %s does not load", json_get_str(p, "file"));
}

static void add_api(struct status *s)
{
    _cleanup_(admin_freep) struct admin *admin = NULL;
    struct json *api = json_object(s->a);
    struct err err = ERR_INIT;

    if (!*s->run.api)
        return;
    json_set_str(s->a, api, "url", s->run.api);
    json_set(s->a, s->report, "api", api);
    if (admin_new(&admin, s->config->data_dir, s->run.api, &err) < 0) {
        json_set_str(s->a, api, "why", err.msg);
        problem(s, "the API cannot be asked: %s", err.msg);
        return;
    }
    if (!add_ready(s, admin, api))
        return;
    add_nodes(s, admin);
    add_pods(s, admin);
    add_plugins(s, admin);
}

/* --- the whole */

/* How many pods go on without us. */
static unsigned pods_left(const struct config *c)
{
    _cleanup_(mem_freep) char *path = mem_printf("%s/pods", c->run_dir);
    DIR *d = opendir(path);
    unsigned n = 0;

    if (!d)
        return 0;
    for (struct dirent *e; (e = readdir(d));)
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

static void not_running(struct status *s)
{
    const char *db = arena_printf(s->a, "%s/server/db", s->config->data_dir);
    unsigned pods = pods_left(s->config);
    struct stat st;

    if (pods)
        problem(s, "%u pod%s on without a server", pods, pods == 1 ? " goes" : "s go");
    json_set_str(s->a, s->report, "command", "");
    json_set_str(s->a, s->report, "state", "not running");
    json_set(s->a, s->report, "next", json_fmt(s->a, stat(db, &st) == 0
        ? "\"inro server\" starts the cluster of %s; the log of the last run says why it ended"
        : "\"inro server\" makes a cluster in %s", s->config->data_dir));
}

static int gather(struct status *s, struct err *err)
{
    s->report = json_object(s->a);
    s->problems = json_array(s->a);
    s->now_s = env_wall_s(env_real());
    json_set_str(s->a, s->report, "version", INRO_VERSION);
    if (cmd_lock_holder(s->config->run_dir, &s->pid, err) < 0) {
        if (err->code != ERR_NOT_FOUND)
            return -1;
        s->pid = 0;
    }
    if (s->pid && runfile_read(&s->run, s->a, s->config->run_dir, err) < 0 &&
        err->code != ERR_NOT_FOUND)
        return -1;
    if (!s->pid) {
        not_running(s);
    } else if (s->run.pid != s->pid) {
        s->run = (struct runfile){ .command = "server", .api = "", .node = "" };
        problem(s, "it is starting, or its note in %s is missing", s->config->run_dir);
    } else {
        add_roles(s);
        add_api(s);
    }
    add_store(s);
    add_disk(s);
    if (s->pid)
        add_certs(s);
    return 0;
}

static int conclude(struct status *s)
{
    bool bad = json_len(s->problems) > 0;

    json_set(s->a, s->report, "problems", s->problems);
    if (!s->pid)
        return 3;
    json_set_str(s->a, s->report, "command", s->run.command);
    json_set_str(s->a, s->report, "node", s->run.node);
    if (s->run.started_s)
        json_set_int(s->a, s->report, "uptimeSeconds", s->now_s - s->run.started_s);
    json_set_str(s->a, s->report, "state", bad ? "degraded" : "healthy");
    return bad ? 1 : 0;
}

static void print(const struct status *s, bool as_json)
{
    struct status_look look = { 0, isatty(STDOUT_FILENO) && !getenv("NO_COLOR") };
    _cleanup_buf_ struct buf out = BUF_INIT;
    struct winsize size;

    if (isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0)
        look.width = size.ws_col;
    if (as_json) {
        json_write_pretty(&out, s->report, 2);
        buf_chr(&out, '\n');
    } else {
        status_text(&out, s->report, &look);
    }
    fwrite(out.p, 1, out.len, stdout);
}

static const char intro[] =
    "usage: inro status [flags]\n\n"
    "Tells what runs on this machine, what does not, and why. Exit status: 0 healthy,\n"
    "1 degraded, 3 not running.\n";

int cmd_status(int argc, char **argv)
{
    struct config_input in = {
        .command = CONFIG_STATUS, .argc = argc, .argv = argv, .env = environ,
    };
    _cleanup_(config_freep) struct config *c = NULL;
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    struct status s = { .a = a };
    struct err err = ERR_INIT;
    int code;

    if (config_parse(&c, &in, &err) < 0)
        return cmd_misuse("status", err.msg);
    if (c->help)
        return cmd_help(intro, CONFIG_STATUS);
    if (c->operands.n)
        return cmd_misuse("status", "takes no arguments, only flags (see --help)");
    if (!str_empty(c->output) && !str_eq(c->output, "json"))
        return cmd_misuse("status", "--output: only json is known");
    log_setup("status", LOG_WARN, LOG_TEXT);
    s.config = c;
    if (config_derive(c, &err) < 0 || gather(&s, &err) < 0)
        return cmd_fail("status", err.msg);
    code = conclude(&s);
    print(&s, str_eq(c->output, "json"));
    return code;
}
