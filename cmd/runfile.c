/* runfile.c -- the parent's note, as JSON. */
#include "cmd/runfile.h"

#include <fcntl.h>
#include <unistd.h>

#include "core/base/fd.h"
#include "core/base/json.h"

static struct json *role_json(struct arena *a, const struct runfile_role *r)
{
    struct json *o = json_object(a);

    json_set_str(a, o, "name", r->name);
    json_set_int(a, o, "pid", r->pid);
    json_set_bool(a, o, "ready", r->ready);
    json_set_int(a, o, "started", r->started_s);
    json_set_int(a, o, "restarts", r->restarts);
    json_set_int(a, o, "ended", r->ended_s);
    json_set_int(a, o, "status", r->status);
    json_set_int(a, o, "signal", r->signal);
    return o;
}

int runfile_write(const struct runfile *r, const char *run_dir, struct err *err)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    struct json *o = json_object(a), *roles = json_array(a);
    _cleanup_buf_ struct buf text = BUF_INIT;

    json_set_str(a, o, "command", r->command);
    json_set_str(a, o, "node", r->node);
    json_set_str(a, o, "api", r->api);
    json_set_int(a, o, "pid", r->pid);
    json_set_int(a, o, "started", r->started_s);
    for (unsigned i = 0; i < r->n_roles; i++)
        json_append(a, roles, role_json(a, &r->roles[i]));
    json_set(a, o, "roles", roles);
    json_write(&text, o);
    return fd_replace_file(AT_FDCWD, arena_printf(a, "%s/" RUNFILE_NAME, run_dir),
                           (struct slice){ text.p, text.len }, 0600, err);
}

static const char *text_of(const struct json *o, const char *key)
{
    const char *s = json_get_str(o, key);

    return s ? s : "";
}

static void read_role(struct runfile_role *out, const struct json *o)
{
    *out = (struct runfile_role){
        .name = text_of(o, "name"), .pid = (pid_t)json_get_int(o, "pid", 0),
        .ready = json_get_bool(o, "ready", false), .started_s = json_get_int(o, "started", 0),
        .restarts = (unsigned)json_get_int(o, "restarts", 0),
        .ended_s = json_get_int(o, "ended", 0), .status = (int)json_get_int(o, "status", 0),
        .signal = (int)json_get_int(o, "signal", 0),
    };
}

int runfile_read(struct runfile *out, struct arena *a, const char *run_dir, struct err *err)
{
    const char *path = arena_printf(a, "%s/" RUNFILE_NAME, run_dir);
    _cleanup_buf_ struct buf text = BUF_INIT;
    struct json *o, *role;

    if (fd_read_file(&text, AT_FDCWD, path, RUNFILE_BYTES_MAX, err) < 0)
        return -1;
    if (json_parse(&o, a, text.p ? text.p : "", text.len, NULL, err) < 0)
        return err_wrap(err, "%s", path);
    *out = (struct runfile){
        .command = text_of(o, "command"), .node = text_of(o, "node"), .api = text_of(o, "api"),
        .pid = (pid_t)json_get_int(o, "pid", 0), .started_s = json_get_int(o, "started", 0),
    };
    json_each(role, json_get(o, "roles"))
        if (out->n_roles < RUNFILE_ROLES_MAX)
            read_role(&out->roles[out->n_roles++], role);
    return 0;
}

void runfile_remove(const char *run_dir)
{
    char *path = mem_printf("%s/" RUNFILE_NAME, run_dir);

    (void)unlink(path);
    mem_free(path);
}
