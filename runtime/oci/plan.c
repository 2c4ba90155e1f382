/* plan.c -- checks of a plan, and its record: one JSON object, written and read by the same tables. */
#include "runtime/oci/plan.h"

#include <linux/capability.h>
#include <stddef.h>

#include "core/base/check.h"

enum field_type { F_TEXT, F_BOOL, F_I64, F_INT, F_U16, F_MODE, F_U32, F_ENUM, F_TEXTS };

struct field {
    const char *key;
    enum field_type type;
    size_t at;
    int max;                             /* F_ENUM: first value that is none */
};

#define AT(s, m) offsetof(struct s, m)

static const struct field plan_fields[] = {
    { "id", F_TEXT, AT(oci_plan, id), 0 },
    { "rootfs", F_TEXT, AT(oci_plan, rootfs.dir), 0 },
    { "lower", F_TEXTS, AT(oci_plan, rootfs.lower), 0 },
    { "upper", F_TEXT, AT(oci_plan, rootfs.upper), 0 },
    { "work", F_TEXT, AT(oci_plan, rootfs.work), 0 },
    { "readOnly", F_BOOL, AT(oci_plan, rootfs.read_only), 0 },
    { "args", F_TEXTS, AT(oci_plan, args), 0 },
    { "env", F_TEXTS, AT(oci_plan, env), 0 },
    { "cwd", F_TEXT, AT(oci_plan, cwd), 0 },
    { "user", F_TEXT, AT(oci_plan, user), 0 },
    { "uid", F_I64, AT(oci_plan, uid), 0 },
    { "gid", F_I64, AT(oci_plan, gid), 0 },
    { "strictGroups", F_BOOL, AT(oci_plan, strict_groups), 0 },
    { "nonRoot", F_BOOL, AT(oci_plan, must_run_as_non_root), 0 },
    { "umask", F_MODE, AT(oci_plan, umask), 0 },
    { "tty", F_BOOL, AT(oci_plan, tty), 0 },
    { "rows", F_U16, AT(oci_plan, tty_rows), 0 },
    { "cols", F_U16, AT(oci_plan, tty_cols), 0 },
    { "hostDev", F_BOOL, AT(oci_plan, host_dev), 0 },
    { "masked", F_TEXTS, AT(oci_plan, masked), 0 },
    { "readonly", F_TEXTS, AT(oci_plan, readonly), 0 },
    { "noNewPrivs", F_BOOL, AT(oci_plan, no_new_privs), 0 },
    { "seccomp", F_ENUM, AT(oci_plan, seccomp), PLAN_SECCOMP_MAX },
    { "seccompProfile", F_TEXT, AT(oci_plan, seccomp_profile), 0 },
    { "oomScoreAdj", F_INT, AT(oci_plan, oom_score_adj), 0 },
    { "hostPid", F_BOOL, AT(oci_plan, host_pid), 0 },
    { "joinPids", F_TEXT, AT(oci_plan, join_pids), 0 },
    { "hostCgroupNs", F_BOOL, AT(oci_plan, host_cgroup_ns), 0 },
    { "apparmor", F_TEXT, AT(oci_plan, apparmor), 0 },
};

static const struct field mount_fields[] = {
    { "kind", F_ENUM, AT(plan_mount, kind), PLAN_MOUNT_MAX },
    { "source", F_TEXT, AT(plan_mount, source), 0 },
    { "subpath", F_TEXT, AT(plan_mount, subpath), 0 },
    { "makeSubpath", F_BOOL, AT(plan_mount, make_subpath), 0 },
    { "dest", F_TEXT, AT(plan_mount, dest), 0 },
    { "readOnly", F_BOOL, AT(plan_mount, read_only), 0 },
    { "recursive", F_BOOL, AT(plan_mount, recursive), 0 },
    { "noexec", F_BOOL, AT(plan_mount, noexec), 0 },
    { "dev", F_BOOL, AT(plan_mount, allow_dev), 0 },
    { "suid", F_BOOL, AT(plan_mount, allow_suid), 0 },
    { "propagation", F_ENUM, AT(plan_mount, propagation), PLAN_PROPAGATION_MAX },
    { "size", F_I64, AT(plan_mount, size_bytes), 0 },
    { "mode", F_MODE, AT(plan_mount, mode), 0 },
};

static const struct field device_fields[] = {
    { "host", F_TEXT, AT(plan_device, host), 0 },
    { "dest", F_TEXT, AT(plan_device, dest), 0 },
    { "mode", F_MODE, AT(plan_device, mode), 0 },
    { "uid", F_U32, AT(plan_device, uid), 0 },
    { "gid", F_U32, AT(plan_device, gid), 0 },
};

static const struct field sysctl_fields[] = {
    { "name", F_TEXT, AT(plan_sysctl, name), 0 },
    { "value", F_TEXT, AT(plan_sysctl, value), 0 },
};

/* --- arrays of structs inside the plan: { pointer, size_t } at one place */

struct table {
    const char *key;
    size_t at, item_bytes;
    const struct field *fields;
    size_t n_fields;
};

struct any_array { char *v; size_t len; };

#define ARRAY_OF(key, m, type, fields) { key, AT(oci_plan, m), sizeof(struct type), fields, ARRAY_LEN(fields) }

static const struct table plan_tables[] = {
    ARRAY_OF("mounts", mounts, plan_mount, mount_fields),
    ARRAY_OF("devices", devices, plan_device, device_fields),
    ARRAY_OF("sysctls", sysctls, plan_sysctl, sysctl_fields),
};

_Static_assert(AT(oci_plan, mounts.len) - AT(oci_plan, mounts.v) == AT(any_array, len), "array form");
_Static_assert(AT(plan_texts, len) == AT(any_array, len), "array form");

/* --- writing */

static void encode_texts(struct buf *out, const struct plan_texts *t)
{
    buf_chr(out, '[');
    for (size_t i = 0; i < t->len; i++) {
        if (i)
            buf_chr(out, ',');
        json_write_string(out, t->v[i], strlen(t->v[i]));
    }
    buf_chr(out, ']');
}

static int64_t field_number(const struct field *f, const char *p)
{
    switch (f->type) {
    case F_BOOL: return *(const bool *)p;
    case F_I64: return *(const int64_t *)p;
    case F_INT: return *(const int *)p;
    case F_U16: return *(const uint16_t *)p;
    case F_MODE: return *(const mode_t *)p;
    case F_U32: return *(const uint32_t *)p;
    case F_ENUM: return *(const unsigned *)p;
    case F_TEXT: case F_TEXTS: break;
    }
    check_unreachable();
}

/* Zero, false and missing texts are left out. */
static bool encode_field(struct buf *out, const struct field *f, const char *p, bool comma)
{
    bool is_text = f->type == F_TEXT, is_texts = f->type == F_TEXTS;

    if (is_text ? !*(const char *const *)p
                : is_texts ? ((const struct plan_texts *)p)->len == 0 : field_number(f, p) == 0)
        return false;
    buf_fmt(out, "%s\"%s\":", comma ? "," : "", f->key);
    if (is_text)
        json_write_string(out, *(const char *const *)p, strlen(*(const char *const *)p));
    else if (is_texts)
        encode_texts(out, (const struct plan_texts *)p);
    else
        buf_i64(out, field_number(f, p));
    return true;
}

static bool encode_fields(struct buf *out, const struct field *f, size_t n, const char *p)
{
    bool any = false;

    for (size_t i = 0; i < n; i++)
        any |= encode_field(out, &f[i], p + f[i].at, any);
    return any;
}

static void encode_table(struct buf *out, const struct table *t, const struct oci_plan *p)
{
    const struct any_array *a = (const void *)((const char *)p + t->at);

    buf_fmt(out, ",\"%s\":[", t->key);
    for (size_t i = 0; i < a->len; i++) {
        buf_str(out, i ? ",{" : "{");
        encode_fields(out, t->fields, t->n_fields, a->v + i * t->item_bytes);
        buf_chr(out, '}');
    }
    buf_chr(out, ']');
}

void plan_encode(struct buf *out, const struct oci_plan *p)
{
    check(p->id);
    buf_chr(out, '{');
    encode_fields(out, plan_fields, ARRAY_LEN(plan_fields), (const char *)p);
    for (size_t i = 0; i < ARRAY_LEN(plan_tables); i++)
        encode_table(out, &plan_tables[i], p);
    buf_str(out, ",\"groups\":[");
    for (size_t i = 0; i < p->groups.len; i++)
        buf_fmt(out, "%s%u", i ? "," : "", p->groups.v[i]);
    buf_str(out, "],\"caps\":[");
    for (size_t i = 0; i < PLAN_CAP_SETS; i++)
        buf_fmt(out, "%s%lld", i ? "," : "", (long long)p->caps[i]);
    buf_str(out, "],\"rlimits\":[");
    for (size_t i = 0; i < p->rlimits.len; i++) {
        const struct plan_rlimit *r = &p->rlimits.v[i];

        buf_fmt(out, "%s{\"name\":", i ? "," : "");
        json_write_string(out, r->name, strlen(r->name));
        buf_fmt(out, ",\"soft\":%lld,\"hard\":%lld}", (long long)r->soft, (long long)r->hard);
    }
    buf_str(out, "]}");
}

/* --- reading */

static int decode_texts(struct plan_texts *out, struct arena *a, const struct json *v, struct err *err)
{
    struct json *item;

    if (!json_is(v, JSON_ARRAY))
        return err_set(err, ERR_INVALID, "not a list");
    out->v = arena_alloc(a, (json_len(v) + 1) * sizeof(*out->v));
    json_each(item, v) {
        if (!json_text(item) || strlen(json_text(item)) != item->len)
            return err_set(err, ERR_INVALID, "not a list of texts");
        out->v[out->len++] = json_text(item);
    }
    return 0;
}

static int decode_number(const struct field *f, char *p, int64_t n, struct err *err)
{
    static const struct { int64_t min, max; } range[] = {
        [F_BOOL] = { 0, 1 }, [F_I64] = { INT64_MIN, INT64_MAX }, [F_INT] = { INT32_MIN, INT32_MAX },
        [F_U16] = { 0, UINT16_MAX }, [F_MODE] = { 0, 07777 }, [F_U32] = { 0, UINT32_MAX },
    };
    int64_t max = f->type == F_ENUM ? f->max - 1 : range[f->type].max;

    if (n < (f->type == F_ENUM ? 0 : range[f->type].min) || n > max)
        return err_set(err, ERR_INVALID, "%lld is out of range", (long long)n);
    switch (f->type) {
    case F_BOOL: *(bool *)p = n != 0; break;
    case F_I64: *(int64_t *)p = n; break;
    case F_INT: *(int *)p = (int)n; break;
    case F_U16: *(uint16_t *)p = (uint16_t)n; break;
    case F_MODE: *(mode_t *)p = (mode_t)n; break;
    case F_U32: *(uint32_t *)p = (uint32_t)n; break;
    case F_ENUM: *(unsigned *)p = (unsigned)n; break;
    case F_TEXT: case F_TEXTS: check_unreachable();
    }
    return 0;
}

static int decode_fields(char *p, const struct field *f, size_t n, struct arena *a, struct json *v,
                         struct err *err)
{
    if (!json_is(v, JSON_OBJECT))
        return err_set(err, ERR_INVALID, "not an object");
    for (size_t i = 0; i < n; i++) {
        struct json *m = json_get(v, f[i].key);
        int result = 0;

        if (!m)
            continue;
        if (f[i].type == F_TEXTS)
            result = decode_texts((struct plan_texts *)(p + f[i].at), a, m, err);
        else if (f[i].type == F_TEXT && json_text(m) && strlen(json_text(m)) == m->len)
            *(const char **)(p + f[i].at) = json_text(m);
        else if (f[i].type != F_TEXT && json_is(m, JSON_INT))
            result = decode_number(&f[i], p + f[i].at, m->i, err);
        else
            result = err_set(err, ERR_INVALID, "wrong type");
        if (result < 0)
            return err_wrap(err, "%s", f[i].key);
    }
    return 0;
}

static int decode_table(struct oci_plan *p, const struct table *t, struct arena *a, struct json *v,
                        struct err *err)
{
    struct any_array *out = (void *)((char *)p + t->at);
    struct json *list = json_get(v, t->key), *item;

    if (json_len(list) > PLAN_MOUNTS_MAX)
        return err_set(err, ERR_QUOTA, "%s: more than %d", t->key, PLAN_MOUNTS_MAX);
    out->v = arena_alloc(a, (json_len(list) + 1) * t->item_bytes);
    json_each(item, list) {
        if (decode_fields(out->v + out->len * t->item_bytes, t->fields, t->n_fields, a, item, err) < 0)
            return err_wrap(err, "%s[%zu]", t->key, out->len);
        out->len++;
    }
    return 0;
}

static int decode_lists(struct oci_plan *p, struct arena *a, struct json *v, struct err *err)
{
    struct json *groups = json_get(v, "groups"), *caps = json_get(v, "caps");
    struct json *rlimits = json_get(v, "rlimits"), *item;

    if (json_len(groups) > PLAN_GROUPS_MAX || json_len(rlimits) > 64)
        return err_set(err, ERR_QUOTA, "too many groups or limits");
    json_each(item, groups)
        p->groups.v[p->groups.len++] = json_is(item, JSON_INT) ? (uint32_t)item->i : 0;
    for (size_t i = 0; i < PLAN_CAP_SETS; i++) {
        item = json_at(caps, i);
        p->caps[i] = json_is(item, JSON_INT) ? (uint64_t)item->i : 0;
    }
    p->rlimits.v = arena_alloc(a, (json_len(rlimits) + 1) * sizeof(*p->rlimits.v));
    json_each(item, rlimits) {
        struct plan_rlimit *r = &p->rlimits.v[p->rlimits.len++];

        r->name = json_get_str(item, "name");
        r->soft = (uint64_t)json_get_int(item, "soft", 0);
        r->hard = (uint64_t)json_get_int(item, "hard", 0);
        if (!r->name)
            return err_set(err, ERR_INVALID, "rlimits: no name");
    }
    return 0;
}

int plan_decode(struct oci_plan *out, struct arena *a, const char *text, size_t len, struct err *err)
{
    struct oci_plan p = { 0 };
    struct json *v = NULL;

    if (len > PLAN_RECORD_BYTES_MAX)
        return err_set(err, ERR_QUOTA, "plan is longer than %u bytes", PLAN_RECORD_BYTES_MAX);
    if (json_parse(&v, a, text, len, NULL, err) < 0 ||
        decode_fields((char *)&p, plan_fields, ARRAY_LEN(plan_fields), a, v, err) < 0)
        return err_wrap(err, "plan");
    for (size_t i = 0; i < ARRAY_LEN(plan_tables); i++)
        if (decode_table(&p, &plan_tables[i], a, v, err) < 0)
            return err_wrap(err, "plan");
    if (decode_lists(&p, a, v, err) < 0)
        return err_wrap(err, "plan");
    *out = p;
    return 0;
}

/* --- checking */

static int check_path(const char *path, const char *what, struct err *err)
{
    struct slice rest = slice_of(path), part;

    if (!path || path[0] != '/')
        return err_set(err, ERR_INVALID, "%s: \"%s\" is not an absolute path", what, path ? path : "");
    if (rest.len >= 4096)
        return err_set(err, ERR_INVALID, "%s: path too long", what);
    while (slice_split(&rest, '/', &part))
        if (slice_is(part, ".."))
            return err_set(err, ERR_INVALID, "%s: \"%s\" contains \"..\"", what, path);
    return 0;
}

static bool has_dots(const char *path)
{
    for (struct slice rest = slice_of(path), part; slice_split(&rest, '/', &part);)
        if (slice_is(part, ".."))
            return true;
    return false;
}

static int check_mount(const struct plan_mount *m, struct err *err)
{
    if (m->kind >= PLAN_MOUNT_MAX || m->propagation >= PLAN_PROPAGATION_MAX)
        return err_set(err, ERR_INVALID, "mounts: unknown kind");
    if (check_path(m->dest, "mounts: destination", err) < 0)
        return -1;
    if (m->dest[strspn(m->dest, "/")] == '\0')
        return err_set(err, ERR_INVALID, "mounts: destination can't be '/'");
    if (m->kind == PLAN_BIND && check_path(m->source, "mounts: source", err) < 0)
        return -1;
    if (m->kind != PLAN_BIND && (m->source || m->subpath))
        return err_set(err, ERR_INVALID, "mounts: %s: only a bind has a source", m->dest);
    if (m->subpath && (m->subpath[0] == '/' || has_dots(m->subpath)))
        return err_set(err, ERR_INVALID, "mounts: subpath \"%s\" is not below its volume", m->subpath);
    if (m->size_bytes < 0)
        return err_set(err, ERR_INVALID, "mounts: %s: negative size", m->dest);
    return 0;
}

static int check_rootfs(const struct plan_rootfs *r, struct err *err)
{
    if (r->dir)
        return check_path(r->dir, "rootfs", err);
    if (r->lower.len == 0)
        return err_set(err, ERR_INVALID, "rootfs: neither directory nor layers");
    if (r->lower.len > PLAN_LOWER_MAX)
        return err_set(err, ERR_QUOTA, "rootfs: more than %d layers", PLAN_LOWER_MAX);
    if (!r->upper != !r->work)
        return err_set(err, ERR_INVALID, "rootfs: upper and work directory go together");
    for (size_t i = 0; i < r->lower.len; i++)
        if (check_path(r->lower.v[i], "rootfs: layer", err) < 0)
            return -1;
    if (r->upper && (check_path(r->upper, "rootfs: upper", err) < 0 ||
                     check_path(r->work, "rootfs: work", err) < 0))
        return -1;
    return 0;
}

static int check_args(const struct oci_plan *p, struct err *err)
{
    size_t bytes = 0;

    if (p->args.len == 0 || !p->args.v[0] || !*p->args.v[0])
        return err_set(err, ERR_INVALID, "args: no command specified");
    for (size_t i = 0; i < p->args.len; i++)
        bytes += strlen(p->args.v[i]) + 1;
    for (size_t i = 0; i < p->env.len; i++) {
        if (!strchr(p->env.v[i], '=') || p->env.v[i][0] == '=')
            return err_set(err, ERR_INVALID, "env: \"%s\" is not NAME=value", p->env.v[i]);
        bytes += strlen(p->env.v[i]) + 1;
    }
    if (bytes > PLAN_ARGS_BYTES_MAX)
        return err_set(err, ERR_QUOTA, "arguments and environment are longer than %u bytes",
                       PLAN_ARGS_BYTES_MAX);
    return 0;
}

static int check_process(const struct oci_plan *p, struct err *err)
{
    if (check_args(p, err) < 0)
        return -1;
    if (!str_empty(p->cwd) && check_path(p->cwd, "cwd", err) < 0)
        return -1;
    if (p->uid < PLAN_NO_ID || p->uid > INT32_MAX || p->gid < PLAN_NO_ID || p->gid > INT32_MAX)
        return err_set(err, ERR_INVALID, "uid, gid: must be between 0 and 2147483647");
    if (p->groups.len > PLAN_GROUPS_MAX)
        return err_set(err, ERR_QUOTA, "groups: more than %d", PLAN_GROUPS_MAX);
    if (p->seccomp == PLAN_SECCOMP_PROFILE)
        return err_set(err, ERR_UNSUPPORTED, "seccomp: profiles of type Localhost are not supported");
    if (p->seccomp >= PLAN_SECCOMP_MAX)
        return err_set(err, ERR_INVALID, "seccomp: unknown kind");
    if (p->oom_score_adj < -1000 || p->oom_score_adj > 1000)
        return err_set(err, ERR_INVALID, "oom_score_adj: must be between -1000 and 1000");
    return 0;
}

int plan_check(const struct oci_plan *p, struct err *err)
{
    if (str_empty(p->id))
        return err_set(err, ERR_INVALID, "id: missing");
    if (check_process(p, err) < 0 || check_rootfs(&p->rootfs, err) < 0)
        return -1;
    if (p->mounts.len > PLAN_MOUNTS_MAX || p->devices.len > PLAN_MOUNTS_MAX)
        return err_set(err, ERR_QUOTA, "mounts: more than %d", PLAN_MOUNTS_MAX);
    for (size_t i = 0; i < p->mounts.len; i++)
        if (check_mount(&p->mounts.v[i], err) < 0)
            return -1;
    for (size_t i = 0; i < p->devices.len; i++)
        if (check_path(p->devices.v[i].host, "devices", err) < 0 ||
            check_path(p->devices.v[i].dest, "devices", err) < 0)
            return -1;
    for (size_t i = 0; i < p->masked.len; i++)
        if (check_path(p->masked.v[i], "masked", err) < 0)
            return -1;
    for (size_t i = 0; i < p->readonly.len; i++)
        if (check_path(p->readonly.v[i], "readonly", err) < 0)
            return -1;
    return 0;
}

int plan_check_exec(const struct oci_plan *p, struct err *err)
{
    if (p->mounts.len || p->devices.len || p->rootfs.dir || p->rootfs.lower.len)
        return err_set(err, ERR_INVALID, "a further process has no mounts of its own");
    return check_process(p, err);
}
