/* config_file.c -- config.yaml and config.yaml.d: keys are the names of flags. */
#include "cmd/config.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>

#include "core/base/fd.h"
#include "core/base/json.h"
#include "core/base/vec.h"
#include "core/base/yaml.h"

/* The line of a key at the top level; 1 when it is not found (a flow mapping). */
static int line_of(const char *text, const char *key)
{
    size_t len = strlen(key);
    int line = 1;

    for (const char *p = text; p && *p; line++) {
        const char *q = p + (*p == '"' || *p == '\'');

        if (strncmp(q, key, len) == 0 && strchr(" :\"'", q[len]) && q[len])
            return line;
        p = strchr(p, '\n');
        p = p ? p + 1 : NULL;
    }
    return 1;
}

static const char *scalar_text(struct arena *a, const struct json *v)
{
    switch (v->type) {
    case JSON_NULL: return "";
    case JSON_BOOL: return v->b ? "true" : "false";
    case JSON_INT: return arena_printf(a, "%lld", (long long)v->i);
    case JSON_FLOAT: return arena_printf(a, "%g", v->d);
    case JSON_STRING: return v->s;
    default: return NULL;
    }
}

static int add(struct config_entries *out, struct arena *a, const struct config_entry *e,
               const struct json *v, struct err *err)
{
    struct config_entry one = *e;

    one.value = scalar_text(a, v);
    if (!one.value)
        return err_set(err, ERR_INVALID, "%s: a value or a list of values is wanted", e->source);
    if (out->len == CONFIG_ENTRIES_MAX)
        return err_set(err, ERR_QUOTA, "%s: more than %d settings", e->source, CONFIG_ENTRIES_MAX);
    vec_push(out, one);
    return 0;
}

static int key_read(struct config_entries *out, struct arena *a, const struct json_member *m,
                    const char *where, struct err *err)
{
    size_t len = strlen(m->key);
    bool plus = len && m->key[len - 1] == '+';
    struct config_entry e = { .source = arena_printf(a, "%s: %s", where, m->key), .append = plus };
    const char *near;
    struct json *item;

    e.flag = config_flag_find(m->key, len - plus);
    if (!e.flag || e.flag->no_file) {
        near = config_flag_near(m->key, ~0u);
        return err_set(err, ERR_INVALID, near ? "%s: unknown key \"%s\": did you mean \"%s\"?"
                                              : "%s: unknown key \"%s\"", where, m->key, near);
    }
    if (!json_is(m->val, JSON_ARRAY))
        return add(out, a, &e, m->val, err);
    if (e.flag->type != CONFIG_LIST && e.flag->type != CONFIG_IGNORED)
        return err_set(err, ERR_INVALID, "%s: %s takes one value, not a list", where, m->key);
    if (!json_len(m->val) && !plus)
        return add(out, a, &e, json_str_ref(a, "", 0), err);
    json_each(item, m->val) {
        if (add(out, a, &e, item, err) < 0)
            return -1;
        e.append = true;
    }
    return 0;
}

static int file_read(struct config_entries *out, struct arena *a, const char *path, struct err *err)
{
    _cleanup_buf_ struct buf text = BUF_INIT;
    struct json *root;

    if (fd_read_file(&text, AT_FDCWD, path, CONFIG_FILE_MAX, err) < 0)
        return -1;
    buf_chr(&text, '\n');
    if (yaml_parse(&root, a, text.p, text.len, NULL, err) < 0)
        return err_wrap(err, "%s", path);
    if (json_is(root, JSON_NULL))
        return 0;
    if (!json_is(root, JSON_OBJECT))
        return err_set(err, ERR_INVALID, "%s: a mapping of flag names to values is wanted", path);
    json_each_member(m, root) {
        const char *where = arena_printf(a, "%s:%d", path, line_of(text.p, m->key));

        if (key_read(out, a, m, where, err) < 0)
            return -1;
    }
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void dir_closep(DIR **d)
{
    if (*d)
        closedir(*d);
}

static int dir_read(struct config_entries *out, struct arena *a, const char *path, struct err *err)
{
    _cleanup_(dir_closep) DIR *dir = opendir(path);
    const char *names[CONFIG_FILES_MAX];
    const struct dirent *e;
    size_t n = 0;

    if (!dir)
        return errno == ENOENT || errno == ENOTDIR ? 0 : err_sys(err, "%s", path);
    while ((e = readdir(dir))) {
        if (e->d_name[0] == '.' || !(str_ends(e->d_name, ".yaml") || str_ends(e->d_name, ".yml")))
            continue;
        if (n == CONFIG_FILES_MAX)
            return err_set(err, ERR_QUOTA, "%s: more than %d files", path, CONFIG_FILES_MAX);
        names[n++] = arena_printf(a, "%s/%s", path, e->d_name);
    }
    qsort(names, n, sizeof(*names), by_name);
    for (size_t i = 0; i < n; i++)
        if (file_read(out, a, names[i], err) < 0)
            return -1;
    return 0;
}

int config_file_read(struct config_entries *out, struct arena *a, const char *path, bool must,
                     struct err *err)
{
    struct err why = ERR_INIT;

    if (file_read(out, a, path, &why) < 0 && (must || why.code != ERR_NOT_FOUND)) {
        if (err)
            *err = why;
        return err_wrap(err, "configuration");
    }
    return dir_read(out, a, arena_printf(a, "%s.d", path), err);
}
