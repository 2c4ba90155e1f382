/* data_dir.c -- see data_dir.h. Whatever is cut short in the middle leaves a file with "from":
 * only a program that knows that format goes on from there, by beginning anew from the backup. */
#include "cmd/data_dir.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/fd.h"
#include "core/base/json.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "gen/version.h"
#include "store/kv/kv.h"

#define FILE_BYTES_MAX 4096
#define FORMAT_MAX 1000000
#define BACKUP_PREFIX "format-"

const struct data_dir_rules data_dir_ours = {
    .format = DATA_DIR_FORMAT, .oldest = DATA_DIR_OLDEST, .version = INRO_VERSION,
};

/* One call: paths live in its arena. */
struct data_dir {
    const char *path;
    const struct data_dir_rules *rules;
    struct data_dir_state state;
    struct arena *a;
};

static const char *below(const struct data_dir *d, const char *name)
{
    return arena_printf(d->a, "%s/%s", d->path, name);
}

static const char *backup_of(const struct data_dir *d, int format)
{
    return arena_printf(d->a, "%s/" DATA_DIR_BACKUP "/" BACKUP_PREFIX "%d", d->path, format);
}

static bool is_there(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0;
}

/* --- the file */

static int damaged(const char *path, const char *why, struct err *err)
{
    return err_set(err, ERR_CORRUPT, "%s is damaged: %s; it should be like "
                   "{\"format\":1,\"oldest\":1,\"version\":\"v1.36.2+inro0.1.0\"}, with the "
                   "format of the program that ran here last (%d is ours)", path, why,
                   DATA_DIR_FORMAT);
}

static int parse(struct data_dir_state *out, const char *path, struct slice text, struct err *err)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    struct json *v = NULL;
    const char *version;
    int64_t format, oldest, from;

    if (json_parse(&v, a, text.p, text.len, NULL, NULL) < 0 || !json_is(v, JSON_OBJECT))
        return damaged(path, "no JSON object", err);
    format = json_get_int(v, "format", 0);
    oldest = json_get_int(v, "oldest", 0);
    from = json_get_int(v, "from", 0);
    version = json_get_str(v, "version");
    if (format < 1 || format > FORMAT_MAX)
        return damaged(path, "\"format\" is no number from 1", err);
    if (oldest < 1 || oldest > format)
        return damaged(path, "\"oldest\" is no number from 1 to \"format\"", err);
    if (from < 0 || from >= format)
        return damaged(path, "\"from\" is no number below \"format\"", err);
    if (str_empty(version) || strlen(version) >= DATA_DIR_VERSION_BYTES)
        return damaged(path, "\"version\" is no version", err);
    *out = (struct data_dir_state){
        .format = (int)format, .oldest = (int)oldest, .from = (int)from,
    };
    snprintf(out->version, sizeof(out->version), "%s", version);
    return 0;
}

/* Without a file: of the first format. */
static int load(struct data_dir_state *out, const char *dir, struct err *err)
{
    _cleanup_(mem_freep) char *path = mem_printf("%s/" DATA_DIR_FILE, dir);
    _cleanup_buf_ struct buf text = BUF_INIT;
    struct err why = ERR_INIT;

    if (fd_read_file(&text, AT_FDCWD, path, FILE_BYTES_MAX, &why) == 0)
        return parse(out, path, (struct slice){ text.p ? text.p : "", text.len }, err);
    if (why.code == ERR_NOT_FOUND) {
        *out = (struct data_dir_state){ .format = 1, .oldest = 1 };
        return 0;
    }
    if (why.code == ERR_QUOTA)
        return damaged(path, "it is too long", err);
    return err_set(err, why.code, "%s", why.msg);
}

static int save(const char *dir, const struct data_dir_state *s, struct err *err)
{
    _cleanup_(mem_freep) char *path = mem_printf("%s/" DATA_DIR_FILE, dir);
    _cleanup_buf_ struct buf text = BUF_INIT;

    buf_fmt(&text, "{\"format\":%d,\"oldest\":%d", s->format, s->oldest);
    if (s->from)
        buf_fmt(&text, ",\"from\":%d", s->from);
    buf_str(&text, ",\"version\":");
    json_write_string(&text, s->version, strlen(s->version));
    buf_str(&text, "}\n");
    return fd_write_file(AT_FDCWD, path, text.p, text.len, 0644, err);
}

/* --- may we? */

/* The format of the newest backup that a program of ours can start from; 0: none. */
static int backup_find(const struct data_dir *d)
{
    DIR *dir = opendir(below(d, DATA_DIR_BACKUP));
    struct dirent *e;
    int best = 0;

    while (dir && (e = readdir(dir)) != NULL) {
        char *end = NULL;
        long n = str_starts(e->d_name, BACKUP_PREFIX)
                     ? strtol(e->d_name + strlen(BACKUP_PREFIX), &end, 10) : 0;

        if (end && !*end && n > best && n <= d->rules->format)
            best = (int)n;
    }
    if (dir)
        closedir(dir);
    return best;
}

static int too_new(const struct data_dir *d, struct err *err)
{
    const struct data_dir_state *s = &d->state;
    int back = backup_find(d);
    const char *what = arena_printf(
        d->a, "--data-dir %s has format %d, written by inro %s; this is inro %s, which knows "
        "formats up to %d. Start inro %s or newer", d->path, s->format, s->version,
        d->rules->version, d->rules->format, s->version);

    if (back)
        return err_set(err, ERR_UNSUPPORTED, "%s, or run \"inro restore --data-dir %s\" to go "
                       "back to the backup of format %d (%s)", what, d->path, back,
                       backup_of(d, back));
    return err_set(err, ERR_UNSUPPORTED, "%s; there is no backup of an older format to go back to",
                   what);
}

static int may_use(const struct data_dir *d, struct err *err)
{
    const struct data_dir_rules *r = d->rules;
    const struct data_dir_state *s = &d->state;
    int start = s->from ? s->from : s->format;

    if (s->format > r->format && (s->oldest > r->format || s->from))
        return too_new(d, err);
    if (start < r->format && (r->n_steps == 0 || r->steps[0].from > start))
        return err_set(err, ERR_UNSUPPORTED, "--data-dir %s has format %d%s%s, which inro %s "
                       "cannot bring up to date: start a version between the two first", d->path,
                       start, *s->version ? ", written by inro " : "", s->version, r->version);
    return 0;
}

/* --- backup */

static int sync_dir(const char *path, struct err *err)
{
    _cleanup_fd_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    return fd < 0 || fsync(fd) < 0 ? err_sys(err, "sync %s", path) : 0;
}

static int move(const char *from, const char *to, struct err *err)
{
    return rename(from, to) < 0 ? err_sys(err, "move %s to %s", from, to) : 0;
}

static int clear(const char *path, struct err *err)
{
    return fd_remove_tree(AT_FDCWD, path, err);
}

/* The others than `format` go: one is kept. */
static void backup_drop_others(const struct data_dir *d, int format)
{
    const char *keep = arena_printf(d->a, BACKUP_PREFIX "%d", format);
    const char *path = below(d, DATA_DIR_BACKUP);
    DIR *dir = opendir(path);
    struct err err = ERR_INIT;
    struct dirent *e;

    while (dir && (e = readdir(dir)) != NULL)
        if (str_starts(e->d_name, BACKUP_PREFIX) && !str_eq(e->d_name, keep) &&
            fd_remove_tree(dirfd(dir), e->d_name, &err) < 0)
            log_warn("old backup not removed", "name=%s error=%s", e->d_name, err.msg);
    if (dir)
        closedir(dir);
}

static int backup_make(const struct data_dir *d, struct err *err)
{
    const char *to = backup_of(d, d->state.format), *next = arena_printf(d->a, "%s.new", to);
    const char *db = below(d, "server/db/state.db");
    struct data_dir_state then = d->state;

    if (!*then.version)
        snprintf(then.version, sizeof(then.version), "unknown");
    if (clear(next, err) < 0 || fd_mkdirs(next, 0700, err) < 0)
        return err_wrap(err, "backup");
    if (is_there(db) && kv_copy(db, arena_printf(d->a, "%s/state.db", next), err) < 0)
        return err_wrap(err, "backup before the migration from format %d", d->state.format);
    if (save(next, &then, err) < 0 || clear(to, err) < 0 || move(next, to, err) < 0 ||
        sync_dir(below(d, DATA_DIR_BACKUP), err) < 0 || sync_dir(d->path, err) < 0)
        return err_wrap(err, "backup");
    backup_drop_others(d, d->state.format);
    log_info("backup made", "format=%d path=%s", d->state.format, to);
    return 0;
}

/* The store of a backup in place of the one that is there, which goes to *keep (NULL: it is
 * dropped). */
static int backup_put(const struct data_dir *d, int format, const char *keep, struct err *err)
{
    const char *db = below(d, "server/db"), *next = below(d, "server/db.new");
    const char *from = arena_printf(d->a, "%s/state.db", backup_of(d, format));

    if (!is_there(backup_of(d, format)))
        return err_set(err, ERR_NOT_FOUND, "%s is gone", backup_of(d, format));
    if (clear(next, err) < 0 || fd_mkdirs(next, 0700, err) < 0)
        return -1;
    if (is_there(from) && kv_copy(from, arena_printf(d->a, "%s/state.db", next), err) < 0)
        return -1;
    if (keep && is_there(db) && move(db, keep, err) < 0)
        return -1;
    if (clear(db, err) < 0 || move(next, db, err) < 0)
        return -1;
    return sync_dir(below(d, "server"), err);
}

/* --- forward */

static int run_steps(const struct data_dir *d, int from, struct err *err)
{
    for (size_t i = 0; i < d->rules->n_steps; i++) {
        const struct data_dir_step *s = &d->rules->steps[i];

        if (s->from < from)
            continue;
        log_info("migrating", "from=%d to=%d what=\"%s\"", s->from, s->from + 1, s->what);
        if (s->run(d->path, err) < 0)
            return err_wrap(err, "migration from format %d (%s)", s->from, s->what);
    }
    return 0;
}

static int migrate(struct data_dir *d, struct err *err)
{
    struct data_dir_state *s = &d->state;
    int from = s->from ? s->from : s->format;

    if (s->from) {
        log_warn("migration was interrupted", "from=%d starting=again", from);
        if (backup_put(d, from, NULL, err) < 0)
            return err_wrap(err, "back to the backup of format %d", from);
    } else if (backup_make(d, err) < 0) {
        return -1;
    }
    *s = (struct data_dir_state){
        .format = d->rules->format, .oldest = d->rules->oldest, .from = from,
    };
    snprintf(s->version, sizeof(s->version), "%s", d->rules->version);
    if (save(d->path, s, err) < 0 || run_steps(d, from, err) < 0)
        return -1;
    s->from = 0;
    if (save(d->path, s, err) < 0)
        return -1;
    log_info("migrated", "from=%d to=%d backup=%s", from, s->format, backup_of(d, from));
    return 0;
}

/* A newer format that we may use stays what it is; only who wrote last changes. */
static int note(struct data_dir *d, struct err *err)
{
    struct data_dir_state *s = &d->state;

    if (str_eq(s->version, d->rules->version))
        return 0;
    if (*s->version)
        log_info("data of another version", "was=%s now=%s format=%d", s->version,
                 d->rules->version, s->format);
    snprintf(s->version, sizeof(s->version), "%s", d->rules->version);
    return save(d->path, s, err);
}

/* A data directory that nobody has used yet has no format to come from. */
static bool is_new(const struct data_dir *d)
{
    return !*d->state.version && !is_there(below(d, "server/db/state.db"));
}

int data_dir_open(const char *data_dir, const struct data_dir_rules *rules, struct err *err)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    struct data_dir d = { .path = data_dir, .rules = rules, .a = a };

    if (load(&d.state, data_dir, err) < 0)
        return err_wrap(err, "--data-dir %s", data_dir);
    if (is_new(&d)) {
        d.state.format = rules->format;
        d.state.oldest = rules->oldest;
        return note(&d, err);
    }
    if (may_use(&d, err) < 0)
        return -1;
    if (d.state.from || d.state.format < rules->format)
        return migrate(&d, err) < 0 ? err_wrap(err, "--data-dir %s", data_dir) : 0;
    return note(&d, err);
}

int data_dir_check(const char *data_dir, const struct data_dir_rules *rules, struct err *err)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    struct data_dir d = { .path = data_dir, .rules = rules, .a = a };

    if (load(&d.state, data_dir, err) < 0)
        return err_wrap(err, "--data-dir %s", data_dir);
    return may_use(&d, err);
}

/* --- back */

int data_dir_restore(struct data_dir_state *out, const char *data_dir,
                     const struct data_dir_rules *rules, struct err *err)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    struct data_dir d = { .path = data_dir, .rules = rules, .a = a };
    const char *replaced = below(&d, DATA_DIR_BACKUP "/replaced");
    struct data_dir_state then;
    int format = backup_find(&d);
    bool again;

    if (!format)
        return err_set(err, ERR_NOT_FOUND, "--data-dir %s: no backup of format %d or older in %s",
                       data_dir, rules->format, below(&d, DATA_DIR_BACKUP));
    if (load(&d.state, data_dir, err) < 0 || load(&then, backup_of(&d, format), err) < 0)
        return err_wrap(err, "--data-dir %s", data_dir);
    if (d.state.format <= format)
        return err_set(err, ERR_CONFLICT, "--data-dir %s has format %d already, the backup %d: "
                       "nothing to go back to", data_dir, d.state.format, format);
    again = d.state.from && is_there(replaced);     /* cut short after the move */
    d.state.from = format;
    if ((!again && clear(replaced, err) < 0) || save(data_dir, &d.state, err) < 0 ||
        backup_put(&d, format, again ? NULL : replaced, err) < 0 || save(data_dir, &then, err) < 0)
        return err_wrap(err, "--data-dir %s: restore", data_dir);
    *out = then;
    return 0;
}
