/* box_tar.c -- what `kubectl cp` runs in a container: tar from and to a pipe.
 *
 * Extraction never leaves its directory: names with ".." are refused, and each file is opened
 * beneath the directory by the kernel, so that a link made by an earlier entry leads nowhere else.
 */
#include "cmd/box/box_tar.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/box/box.h"
#include "cmd/box/box_run.h"
#include "core/base/fd.h"
#include "core/base/mem.h"
#include "core/base/str.h"

#define DEPTH_MAX 200
#define NAME_IN_BLOCK 100

/* --- headers */

static int64_t get_number(const char *p, size_t len)
{
    int64_t n = 0;

    if ((unsigned char)p[0] & 0x80) {                    /* GNU: big-endian bytes */
        for (size_t i = 1; i < len; i++)
            n = n << 8 | (unsigned char)p[i];
        return n;
    }
    for (size_t i = 0; i < len && p[i]; i++)
        if (p[i] >= '0' && p[i] <= '7')
            n = n << 3 | (p[i] - '0');
    return n;
}

static void put_number(char *p, size_t len, int64_t n)
{
    if (n >= 0 && n < (int64_t)1 << (3 * (len - 1))) {
        char text[24];

        snprintf(text, sizeof(text), "%0*llo", (int)len - 1, (unsigned long long)n);
        memcpy(p, text, len);
        return;
    }
    for (size_t i = len; i-- > 1; n >>= 8)
        p[i] = (char)n;
    p[0] = (char)0x80;
}

static unsigned checksum(const char *block)
{
    unsigned sum = 0;

    for (size_t i = 0; i < BOX_TAR_BLOCK; i++)
        sum += i >= 148 && i < 156 ? ' ' : (unsigned char)block[i];
    return sum;
}

int box_tar_read(struct box_tar_entry *out, const char block[BOX_TAR_BLOCK], struct err *err)
{
    size_t zeros = 0;

    while (zeros < BOX_TAR_BLOCK && !block[zeros])
        zeros++;
    if (zeros == BOX_TAR_BLOCK)
        return 0;
    if (get_number(block + 148, 8) != checksum(block))
        return err_set(err, ERR_CORRUPT, "not a tar archive");
    *out = (struct box_tar_entry){
        .type = block[156] ? block[156] : '0', .mode = (mode_t)get_number(block + 100, 8) & 07777,
        .uid = get_number(block + 108, 8), .gid = get_number(block + 116, 8),
        .size = get_number(block + 124, 12), .mtime = get_number(block + 136, 12),
    };
    if (out->size < 0)
        return err_set(err, ERR_CORRUPT, "bad size in archive");
    if (memcmp(block + 257, "ustar", 6) == 0 && block[345])
        snprintf(out->name, sizeof(out->name), "%.155s/%.100s", block + 345, block);
    else
        snprintf(out->name, sizeof(out->name), "%.100s", block);
    snprintf(out->link, sizeof(out->link), "%.100s", block + 157);
    return 1;
}

void box_tar_write(char block[BOX_TAR_BLOCK], const struct box_tar_entry *e)
{
    char sum[8];

    memset(block, 0, BOX_TAR_BLOCK);
    memcpy(block, e->name, strnlen(e->name, NAME_IN_BLOCK));
    put_number(block + 100, 8, e->mode);
    put_number(block + 108, 8, e->uid);
    put_number(block + 116, 8, e->gid);
    put_number(block + 124, 12, e->size);
    put_number(block + 136, 12, e->mtime < 0 ? 0 : e->mtime);
    block[156] = e->type;
    memcpy(block + 157, e->link, strnlen(e->link, NAME_IN_BLOCK));
    /* GNU's form: long names are its own entries */
    memcpy(block + 257, "ustar  ", 8);
    snprintf(sum, sizeof(sum), "%06o", checksum(block));
    memcpy(block + 148, sum, 7);
    block[155] = ' ';
}

int box_tar_pax(struct box_tar_entry *e, const char *text, size_t len, struct err *err)
{
    while (len > 0) {
        char *end;
        size_t n = strtoul(text, &end, 10);
        const char *eq =
            n && n <= len && *end == ' ' ? memchr(end, '=', (size_t)(text + n - end)) : NULL;
        size_t value;

        if (!eq || text[n - 1] != '\n')
            return err_set(err, ERR_CORRUPT, "bad pax header");
        value = (size_t)(text + n - 1 - (eq + 1));
        if (value >= PATH_MAX)
            return err_set(err, ERR_QUOTA, "path too long in archive");
        if (strncmp(end, " path=", 6) == 0)
            snprintf(e->name, sizeof(e->name), "%.*s", (int)value, eq + 1);
        else if (strncmp(end, " linkpath=", 10) == 0)
            snprintf(e->link, sizeof(e->link), "%.*s", (int)value, eq + 1);
        else if (strncmp(end, " size=", 6) == 0)
            e->size = strtoll(eq + 1, NULL, 10);
        text += n;
        len -= n;
    }
    return e->size < 0 ? err_set(err, ERR_CORRUPT, "bad size in archive") : 0;
}

int box_tar_safe(const char **out, const char *name, struct err *err)
{
    struct slice rest, part;

    name += strspn(name, "/");
    rest = slice_of(name);
    while (slice_split(&rest, '/', &part))
        if (slice_is(part, ".."))
            return err_set(err, ERR_DENIED, "%s: leads out of the directory", name);
    while (str_starts(name, "./"))
        name += 2 + strspn(name + 2, "/");
    *out = strcmp(name, ".") == 0 ? "" : name;
    return 0;
}

/* --- reading an archive */

struct extract { int in, dir; bool list, verbose, now, owner; };

static int read_block(struct extract *x, char block[BOX_TAR_BLOCK], struct err *err)
{
    return fd_read_all(x->in, block, BOX_TAR_BLOCK, err);
}

static int skip_padding(struct extract *x, int64_t size, struct err *err)
{
    char rest[BOX_TAR_BLOCK];
    size_t n = (size_t)(-size & (BOX_TAR_BLOCK - 1));

    return n ? fd_read_all(x->in, rest, n, err) : 0;
}

/* The data of an entry to a file, or nowhere (-1). */
static int copy_data(struct extract *x, int to, int64_t size, struct err *err)
{
    char chunk[65536];

    for (int64_t left = size; left > 0;) {
        size_t n = left < (int64_t)sizeof(chunk) ? (size_t)left : sizeof(chunk);

        if (fd_read_all(x->in, chunk, n, err) < 0 ||
            (to >= 0 && fd_write_all(to, chunk, n, err) < 0))
            return -1;
        left -= (int64_t)n;
    }
    return skip_padding(x, size, err);
}

/* A long name or pax header as text. */
static char *read_meta(struct extract *x, int64_t size, struct err *err)
{
    _cleanup_(mem_freep) char *text = NULL;

    if (size > BOX_TAR_META_MAX) {
        err_set(err, ERR_QUOTA, "header too long in archive");
        return NULL;
    }
    text = mem_alloc((size_t)size + 1);
    if (fd_read_all(x->in, text, (size_t)size, err) < 0 || skip_padding(x, size, err) < 0)
        return NULL;
    return TAKE(text);
}

/* The parent of a path, made where missing; *last is the rest. */
static int open_parent(struct extract *x, const char *path, const char **last, struct err *err)
{
    const char *slash = strrchr(path, '/');
    int at = fcntl(x->dir, F_DUPFD_CLOEXEC, 3);

    if (at < 0)
        return err_sys(err, "open");
    *last = slash ? slash + 1 : path;
    while (slash && path < slash) {
        char part[NAME_MAX + 1];
        size_t len = strcspn(path, "/");
        int next;

        if (len > NAME_MAX) {
            fd_close(at);
            return err_set(err, ERR_INVALID, "name too long");
        }
        snprintf(part, sizeof(part), "%.*s", (int)len, path);
        path += len + strspn(path + len, "/");
        if (!*part || strcmp(part, ".") == 0)
            continue;
        if (mkdirat(at, part, 0755) < 0 && errno != EEXIST) {
            fd_close(at);
            return err_sys(err, "make %s", part);
        }
        next = fd_open_beneath(at, part, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0, err);
        fd_close(at);
        if (next < 0)
            return -1;
        at = next;
    }
    return at;
}

static void set_attributes(struct extract *x, int at, const char *last,
                           const struct box_tar_entry *e)
{
    struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = e->mtime } };

    if (x->owner)
        (void)!fchownat(at, last, (uid_t)e->uid, (gid_t)e->gid, AT_SYMLINK_NOFOLLOW);
    if (e->type != '2')
        (void)!fchmodat(at, last, e->mode, 0);
    if (!x->now)
        (void)!utimensat(at, last, times, AT_SYMLINK_NOFOLLOW);
}

static int extract_file(struct extract *x, int at, const char *last, const struct box_tar_entry *e,
                        struct err *err)
{
    _cleanup_fd_ int fd = -1;

    (void)unlinkat(at, last, 0);                         /* never through a link that lies there */
    fd = openat(at, last, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return err_sys(err, "create %s", e->name);
    return copy_data(x, fd, e->size, err);
}

static int extract_hard_link(struct extract *x, int at, const char *last,
                             const struct box_tar_entry *e, struct err *err)
{
    const char *target, *name;
    _cleanup_fd_ int from = -1;

    if (box_tar_safe(&target, e->link, err) < 0)
        return -1;
    from = open_parent(x, target, &name, err);
    if (from < 0)
        return -1;
    (void)unlinkat(at, last, 0);
    return linkat(from, name, at, last, 0) < 0 ? err_sys(err, "link %s", e->name) : 0;
}

static int extract_one(struct extract *x, const struct box_tar_entry *e, struct err *err)
{
    const char *path, *last;
    _cleanup_fd_ int at = -1;
    int result = 0;

    if (box_tar_safe(&path, e->name, err) < 0)
        return -1;
    if (!*path)
        return copy_data(x, -1, e->size, err);
    if (path[strlen(path) - 1] == '/')
        ((char *)path)[strlen(path) - 1] = '\0';         /* of our own copy in e */
    at = open_parent(x, path, &last, err);
    if (at < 0)
        return -1;
    switch (e->type) {
    case '5':
        if (mkdirat(at, last, 0755) < 0 && errno != EEXIST)
            return err_sys(err, "make %s", e->name);
        break;
    case '2':
        (void)unlinkat(at, last, 0);
        if (symlinkat(e->link, at, last) < 0)
            return err_sys(err, "link %s", e->name);
        break;
    case '1': result = extract_hard_link(x, at, last, e, err); break;
    case '0': case '7': result = extract_file(x, at, last, e, err); break;
    /* devices and pipes: not from a stranger */
    default: return copy_data(x, -1, e->size, err);
    }
    if (result == 0 && e->type != '1')
        set_attributes(x, at, last, e);
    return result;
}

static int extract_all(struct extract *x, struct err *err)
{
    struct box_tar_entry *e = NEW(struct box_tar_entry);
    char block[BOX_TAR_BLOCK], *name = NULL, *link = NULL, *pax = NULL;
    int64_t size;
    int r = 1;

    while (r >= 0 && read_block(x, block, err) == 0 && (r = box_tar_read(e, block, err)) > 0) {
        char **meta = e->type == 'L'   ? &name
                      : e->type == 'K' ? &link
                      : e->type == 'x' ? &pax
                                       : NULL;

        if (meta || e->type == 'g') {
            char *text = read_meta(x, e->size, err);

            r = text ? 1 : -1;
            if (!meta) {
                mem_free(text);
                continue;
            }
            mem_free(*meta);
            *meta = text;
            continue;
        }
        if (name)
            snprintf(e->name, sizeof(e->name), "%s", name);
        if (link)
            snprintf(e->link, sizeof(e->link), "%s", link);
        if (pax && box_tar_pax(e, pax, strlen(pax), err) < 0)
            r = -1;
        name = mem_free(name), link = mem_free(link), pax = mem_free(pax);
        size = e->size;
        if (x->list || x->verbose)
            puts(e->name);
        if (r > 0)
            r = (x->list ? copy_data(x, -1, size, err) : extract_one(x, e, err)) < 0 ? -1 : 1;
    }
    mem_free(name), mem_free(link), mem_free(pax), mem_free(e);
    return r == 1 ? -1 : r;                              /* the archive ended without its mark */
}

/* --- making one */

struct create { int out; bool verbose, follow; int64_t written; };

static int put_blocks(struct create *c, const char *p, size_t len, struct err *err)
{
    static const char zeros[BOX_TAR_BLOCK];
    size_t rest = -len & (BOX_TAR_BLOCK - 1);

    c->written += (int64_t)(len + rest);
    return fd_write_all(c->out, p, len, err) < 0 ||
                   (rest && fd_write_all(c->out, zeros, rest, err) < 0)
               ? -1
               : 0;
}

static int put_long(struct create *c, char type, const char *text, struct err *err)
{
    struct box_tar_entry *e;
    char block[BOX_TAR_BLOCK];
    int result;

    if (strlen(text) <= NAME_IN_BLOCK)
        return 0;
    e = NEW(struct box_tar_entry);
    snprintf(e->name, sizeof(e->name), "././@LongLink");
    e->type = type;
    e->size = (int64_t)strlen(text) + 1;
    box_tar_write(block, e);
    result = put_blocks(c, block, sizeof(block), err) < 0 ||
             put_blocks(c, text, strlen(text) + 1, err) < 0;
    mem_free(e);
    return result ? -1 : 0;
}

static int put_file(struct create *c, int fd, int64_t size, struct err *err)
{
    char chunk[65536];
    int64_t left = size;

    while (left > 0) {
        ssize_t n = read(fd, chunk, left < (int64_t)sizeof(chunk) ? (size_t)left : sizeof(chunk));

        if (n < 0)
            return err_sys(err, "read");
        /* it shrank: the header's promise is kept */
        if (n == 0) {
            n = left < (int64_t)sizeof(chunk) ? (ssize_t)left : (ssize_t)sizeof(chunk);
            memset(chunk, 0, (size_t)n);
        }
        left -= n;
        if (left > 0 ? fd_write_all(c->out, chunk, (size_t)n, err) < 0
                     : put_blocks(c, chunk, (size_t)n, err) < 0)
            return -1;
    }
    return 0;
}

static int put_tree(struct create *c, int dir, const char *name, const char *shown, int depth,
                    struct err *err);

static int put_children(struct create *c, int dir, const char *shown, int depth, struct err *err)
{
    int copy = fcntl(dir, F_DUPFD_CLOEXEC, 3), result = 0;
    DIR *d = copy < 0 ? NULL : fdopendir(copy);
    struct dirent *e;

    if (!d) {
        fd_close(copy);
        return err_sys(err, "list %s", shown);
    }
    while (result == 0 && (e = readdir(d))) {
        _cleanup_(mem_freep) char *path = NULL;

        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        path = mem_printf("%s%s%s", shown, str_ends(shown, "/") ? "" : "/", e->d_name);
        result = put_tree(c, dir, e->d_name, path, depth + 1, err);
    }
    closedir(d);
    return result;
}

static int put_entry(struct create *c, const struct box_tar_entry *e, struct err *err)
{
    char block[BOX_TAR_BLOCK];

    box_tar_write(block, e);
    if (c->verbose)
        fprintf(stderr, "%s\n", e->name);
    return put_long(c, 'K', e->link, err) < 0 || put_long(c, 'L', e->name, err) < 0 ||
           put_blocks(c, block, sizeof(block), err) < 0 ? -1 : 0;
}

static int put_tree(struct create *c, int dir, const char *name, const char *shown, int depth,
                    struct err *err)
{
    _cleanup_(mem_freep) struct box_tar_entry *e = NEW(struct box_tar_entry);
    _cleanup_fd_ int fd = -1;
    struct stat st;
    ssize_t n;

    if (depth > DEPTH_MAX)
        return err_set(err, ERR_QUOTA, "%s: too deep", shown);
    if (fstatat(dir, name, &st, c->follow ? 0 : AT_SYMLINK_NOFOLLOW) < 0)
        return err_sys(err, "%s", shown);
    e->mode = st.st_mode & 07777;
    e->uid = st.st_uid;
    e->gid = st.st_gid;
    e->mtime = st.st_mtime;
    shown += strspn(shown, "/");
    snprintf(e->name, sizeof(e->name), "%s%s", *shown ? shown : ".",
             S_ISDIR(st.st_mode) && !str_ends(shown, "/") ? "/" : "");
    e->type = S_ISDIR(st.st_mode) ? '5' : S_ISLNK(st.st_mode) ? '2' : '0';
    if (S_ISLNK(st.st_mode)) {
        n = readlinkat(dir, name, e->link, sizeof(e->link) - 1);
        return n < 0 ? err_sys(err, "%s", shown) : put_entry(c, e, err);
    }
    if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
        return 0;                                        /* sockets, pipes and devices stay */
    fd = openat(dir, name,
                O_RDONLY | O_CLOEXEC | O_NONBLOCK | (S_ISDIR(st.st_mode) ? O_DIRECTORY : 0));
    if (fd < 0)
        return err_sys(err, "%s", shown);
    e->size = S_ISREG(st.st_mode) ? st.st_size : 0;
    if (put_entry(c, e, err) < 0)
        return -1;
    return S_ISDIR(st.st_mode) ? put_children(c, fd, shown, depth, err)
                               : put_file(c, fd, e->size, err);
}

/* Two blocks of nothing, then up to a whole record of twenty. */
static int put_end(struct create *c, struct err *err)
{
    static const char zeros[20 * BOX_TAR_BLOCK];
    int64_t record = sizeof(zeros), used = (c->written + 2 * BOX_TAR_BLOCK) % record;

    if (fd_write_all(c->out, zeros, 2 * BOX_TAR_BLOCK, err) < 0)
        return -1;
    return used ? fd_write_all(c->out, zeros, (size_t)(record - used), err) : 0;
}

/* --- the applet */

struct tar_args { char mode; const char *file, *dir; bool verbose, now, follow; int at; };

/* The first word may lack its dash: "xmf". */
static int tar_args(struct tar_args *t, int argc, char **argv)
{
    static const char *const longs[] = { "no-same-owner",
                                         "no-same-permissions",
                                         "same-owner",
                                         "directory:",
                                         "file:",
                                         "extract",
                                         "create",
                                         "list",
                                         "touch",
                                         "verbose",
                                         "warning:",
                                         "exclude:",
                                         NULL };
    struct box_opts o = {
        .argc = argc, .argv = argv, .letters = "cxtf:C:vmphoOkz", .longs = longs
    };
    int c;

    if (argc > 1 && argv[1][0] != '-')
        argv[1] = mem_printf("-%s", argv[1]);
    while ((c = box_opt(&o)) != -1) {
        switch (c) {
        case 'c': case 'x': case 't': t->mode = (char)c; break;
        case 256 + 5: t->mode = 'x'; break;
        case 256 + 6: t->mode = 'c'; break;
        case 256 + 7: t->mode = 't'; break;
        case 'f': case 256 + 4: t->file = o.value; break;
        case 'C': case 256 + 3: t->dir = o.value; break;
        case 'v': case 256 + 9: t->verbose = true; break;
        case 'm': case 256 + 8: t->now = true; break;
        case 'h': t->follow = true; break;
        case 'z': return box_usage(argv, "compressed archives are not supported");
        case '?': return box_usage(argv, "bad option");
        default: break;
        }
    }
    t->at = o.at;
    return t->mode ? 0 : box_usage(argv, "one of c, x and t");
}

static int tar_create(const struct tar_args *t, int argc, char **argv, struct err *err)
{
    bool to_pipe = !t->file || strcmp(t->file, "-") == 0;
    struct create c = { .verbose = t->verbose, .follow = t->follow };
    _cleanup_fd_ int file = -1;
    struct err one = ERR_INIT;
    int status = 0;

    file = to_pipe ? -1 : open(t->file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (!to_pipe && file < 0)
        return err_sys(err, "%s", t->file);
    if (t->dir && chdir(t->dir) < 0)
        return err_sys(err, "%s", t->dir);
    c.out = to_pipe ? 1 : file;
    for (int i = t->at; i < argc; i++) {
        if (strcmp(argv[i], "-C") == 0 && i + 1 < argc) {
            if (chdir(argv[++i]) < 0)
                return err_sys(err, "%s", argv[i]);
            continue;
        }
        if (put_tree(&c, AT_FDCWD, argv[i], argv[i], 0, &one) < 0) {
            fprintf(stderr, "tar: %s\n", one.msg);
            status = 2;
        }
    }
    if (put_end(&c, err) < 0)
        return -1;
    return status;
}

static int tar_extract(const struct tar_args *t, int argc, char **argv, struct err *err)
{
    bool from_pipe = !t->file || strcmp(t->file, "-") == 0;
    const char *dir = t->dir ? t->dir : ".";
    struct extract x = {
        .list = t->mode == 't', .verbose = t->verbose, .now = t->now, .owner = false
    };
    _cleanup_fd_ int in = -1, at = -1;

    for (int i = t->at; i + 1 < argc; i++)
        dir = strcmp(argv[i], "-C") == 0 ? argv[i + 1] : dir;
    in = from_pipe ? fcntl(0, F_DUPFD_CLOEXEC, 3) : open(t->file, O_RDONLY | O_CLOEXEC);
    at = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (in < 0 || at < 0)
        return err_sys(err, "%s", in < 0 ? t->file : dir);
    x.in = in;
    x.dir = at;
    return extract_all(&x, err);
}

int box_tar(int argc, char **argv)
{
    struct tar_args t = { .mode = 0 };
    struct err err = ERR_INIT;
    int bad = tar_args(&t, argc, argv), result;

    if (bad)
        return bad;
    result = t.mode == 'c' ? tar_create(&t, argc, argv, &err) : tar_extract(&t, argc, argv, &err);
    if (result < 0)
        fprintf(stderr, "tar: %s\n", err.msg);
    return result < 0 ? 2 : result;
}
