/* shim_state.c -- the record on disk: JSON, the same words as on the wire. */
#include "runtime/shim/shim_state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <unistd.h>

#include "core/base/fd.h"

#define STATE_BYTES_MAX (1u << 20)

static const char *const state_names[] = {
    [SHIM_CREATED] = "created", [SHIM_RUNNING] = "running", [SHIM_EXITED] = "exited",
};
_Static_assert(ARRAY_LEN(state_names) == SHIM_STATE_MAX, "a name per state");

static void add_text(struct buf *out, const char *key, const char *text)
{
    buf_fmt(out, ",\"%s\":", key);
    json_write_string(out, text ? text : "", text ? strlen(text) : 0);
}

void shim_state_encode_container(struct buf *out, const struct shim_container *c)
{
    buf_str(out, "{\"id\":");
    json_write_string(out, c->id, strlen(c->id));
    add_text(out, "note", c->note);
    add_text(out, "state", state_names[c->state]);
    buf_fmt(out, ",\"pid\":%d,\"exit\":%d,\"signal\":%d,\"oom\":%s", (int)c->pid, c->exit_code, c->signal,
            c->oom_killed ? "true" : "false");
    buf_fmt(out, ",\"created\":%lld,\"started\":%lld,\"finished\":%lld", (long long)c->created_ns,
            (long long)c->started_ns, (long long)c->finished_ns);
    add_text(out, "log", c->log_path);
    add_text(out, "message", c->message);
    buf_chr(out, '}');
}

static const char *text_of(const struct json *v, const char *key)
{
    const char *s = json_get_str(v, key);

    return s ? s : "";
}

int shim_state_decode_container(struct shim_container *out, const struct json *v, struct err *err)
{
    const char *state = text_of(v, "state");
    int at = 0;

    while (at < SHIM_STATE_MAX && strcmp(state_names[at], state) != 0)
        at++;
    if (at == SHIM_STATE_MAX || !*text_of(v, "id"))
        return err_set(err, ERR_CORRUPT, "bad container record");
    *out = (struct shim_container){
        .id = text_of(v, "id"), .note = text_of(v, "note"), .state = (enum shim_state)at,
        .pid = (pid_t)json_get_int(v, "pid", 0), .exit_code = (int)json_get_int(v, "exit", 0),
        .signal = (int)json_get_int(v, "signal", 0), .oom_killed = json_get_bool(v, "oom", false),
        .created_ns = json_get_int(v, "created", 0), .started_ns = json_get_int(v, "started", 0),
        .finished_ns = json_get_int(v, "finished", 0), .log_path = text_of(v, "log"),
        .message = text_of(v, "message"),
    };
    return 0;
}

void shim_state_encode(struct buf *out, const struct shim_state_file *s)
{
    buf_fmt(out, "{\"shim\":%d,\"ticks\":%lld", (int)s->shim_pid, (long long)s->shim_ticks);
    add_text(out, "cgroup", s->cgroup_path);
    buf_str(out, ",\"containers\":[");
    for (size_t i = 0; i < s->len; i++) {
        buf_str(out, i ? "," : "");
        shim_state_encode_container(out, &s->containers[i]);
    }
    buf_str(out, "]}");
}

int shim_state_decode(struct shim_state_file *out, struct arena *a, const char *text, size_t len,
                      struct err *err)
{
    struct shim_state_file s = { 0 };
    struct json *v = NULL, *list, *item;

    if (json_parse(&v, a, text, len, NULL, err) < 0)
        return err_wrap(err, "shim state");
    list = json_get(v, "containers");
    s.shim_pid = (pid_t)json_get_int(v, "shim", 0);
    s.shim_ticks = (uint64_t)json_get_int(v, "ticks", 0);
    s.cgroup_path = text_of(v, "cgroup");
    if (s.shim_pid <= 0 || !json_is(list, JSON_ARRAY) || json_len(list) > SHIM_CONTAINERS_MAX)
        return err_set(err, ERR_CORRUPT, "bad shim state");
    s.containers = arena_alloc(a, (json_len(list) + 1) * sizeof(*s.containers));
    json_each(item, list)
        if (shim_state_decode_container(&s.containers[s.len++], item, err) < 0)
            return -1;
    *out = s;
    return 0;
}

int shim_state_read(struct shim_state_file *out, struct arena *a, const char *dir, struct err *err)
{
    _cleanup_buf_ struct buf text = BUF_INIT;
    char path[4096];

    snprintf(path, sizeof(path), "%s/%s", dir, SHIM_STATE_FILE);
    if (fd_read_file(&text, AT_FDCWD, path, STATE_BYTES_MAX, err) < 0)
        return -1;
    return shim_state_decode(out, a, text.p ? text.p : "", text.len, err);
}

int shim_state_clean(const char *dir, struct err *err)
{
    static const char *const files[] = { SHIM_SOCKET_FILE, SHIM_STATE_FILE };
    char path[4096];

    snprintf(path, sizeof(path), "%s/%s", dir, SHIM_NETNS_FILE);
    if (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) < 0 && errno != EINVAL && errno != ENOENT)
        return err_sys(err, "unmount %s", path);
    if (unlink(path) < 0 && errno != ENOENT)
        return err_sys(err, "remove %s", path);
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        snprintf(path, sizeof(path), "%s/%s", dir, files[i]);
        if (unlink(path) < 0 && errno != ENOENT)
            return err_sys(err, "remove %s", path);
    }
    return 0;
}
