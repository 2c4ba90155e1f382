/* box_files.c -- applets on files. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "cmd/box/box.h"
#include "cmd/box/box_run.h"
#include "core/base/cleanup.h"
#include "core/base/fd.h"
#include "core/base/mem.h"
#include "core/base/str.h"
#include "core/base/vec.h"

struct ls { bool details, all, dir_itself, many; };

static char type_letter(mode_t m)
{
    return S_ISDIR(m) ? 'd' : S_ISLNK(m) ? 'l' : S_ISCHR(m) ? 'c' : S_ISBLK(m) ? 'b' :
           S_ISFIFO(m) ? 'p' : S_ISSOCK(m) ? 's' : '-';
}

static void mode_text(char out[11], mode_t m)
{
    static const char letters[] = "rwxrwxrwx";

    out[0] = type_letter(m);
    for (int i = 0; i < 9; i++)
        out[i + 1] = m >> (8 - i) & 1 ? letters[i] : '-';
    if (m & S_ISUID)
        out[3] = m & S_IXUSR ? 's' : 'S';
    if (m & S_ISGID)
        out[6] = m & S_IXGRP ? 's' : 'S';
    if (m & S_ISVTX)
        out[9] = m & S_IXOTH ? 't' : 'T';
    out[10] = '\0';
}

static void ls_details(int dir, const char *name, const char *shown, const struct stat *st)
{
    char mode[11], when[40], target[PATH_MAX];
    struct tm tm;
    ssize_t n = 0;

    mode_text(mode, st->st_mode);
    gmtime_r(&st->st_mtime, &tm);
    strftime(when, sizeof(when), "%b %e %H:%M", &tm);
    printf("%s %4lu %-8u %-8u ", mode, (unsigned long)st->st_nlink, st->st_uid, st->st_gid);
    if (S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode))
        printf("%4u, %3u", major(st->st_rdev), minor(st->st_rdev));
    else
        printf("%9lld", (long long)st->st_size);
    if (S_ISLNK(st->st_mode))
        n = readlinkat(dir, name, target, sizeof(target));
    printf(" %s %s%s%.*s\n", when, shown, n > 0 ? " -> " : "", n > 0 ? (int)n : 0, target);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int ls_dir(char **argv, const char *path, const struct ls *l)
{
    VEC(char *) names = { 0 };
    DIR *d = opendir(path);
    struct dirent *e;
    struct stat st;

    if (!d)
        return box_fail(argv, "%s", path);
    if (l->many)
        printf("%s:\n", path);
    while ((e = readdir(d)))
        if (l->all || e->d_name[0] != '.')
            vec_push(&names, mem_strdup(e->d_name));
    if (names.len)
        qsort(names.v, names.len, sizeof(*names.v), compare_names);
    for (size_t i = 0; i < names.len; i++) {
        if (!l->details)
            puts(names.v[i]);
        else if (fstatat(dirfd(d), names.v[i], &st, AT_SYMLINK_NOFOLLOW) == 0)
            ls_details(dirfd(d), names.v[i], names.v[i], &st);
        mem_free(names.v[i]);
    }
    vec_deinit(&names);
    closedir(d);
    return 0;
}

static int ls_one(char **argv, const char *path, const struct ls *l)
{
    struct stat st;

    if (lstat(path, &st) < 0)
        return box_fail(argv, "%s", path);
    if (S_ISLNK(st.st_mode) && !l->details && stat(path, &st) < 0)
        lstat(path, &st);
    if (S_ISDIR(st.st_mode) && !l->dir_itself)
        return ls_dir(argv, path, l);
    if (l->details)
        ls_details(AT_FDCWD, path, path, &st);
    else
        puts(path);
    return 0;
}

int box_files_ls(int argc, char **argv)
{
    struct box_opts o = { .argc = argc, .argv = argv, .letters = "laA1dhtrR" };
    struct ls l = { false, false, false, false };
    int c, status = 0;

    while ((c = box_opt(&o)) != -1) {
        l.details = l.details || c == 'l';
        l.all = l.all || c == 'a' || c == 'A';
        l.dir_itself = l.dir_itself || c == 'd';
        if (c == '?')
            return box_usage(argv, "bad option");
    }
    if (o.at == argc)
        return ls_one(argv, ".", &l);
    l.many = argc - o.at > 1;
    for (int i = o.at; i < argc; i++)
        status |= ls_one(argv, argv[i], &l);
    return status;
}

int box_files_mkdir(int argc, char **argv)
{
    struct box_opts o = { .argc = argc, .argv = argv, .letters = "pm:" };
    mode_t mode = 0777;
    bool parents = false;
    int c, status = 0;
    struct err err = ERR_INIT;

    while ((c = box_opt(&o)) != -1) {
        parents = parents || c == 'p';
        if (c == 'm')
            mode = (mode_t)strtol(o.value, NULL, 8);
        if (c == '?')
            return box_usage(argv, "bad option");
    }
    if (o.at == argc)
        return box_usage(argv, "no directory");
    for (int i = o.at; i < argc; i++) {
        if (parents && fd_mkdirs(argv[i], mode, &err) < 0) {
            fprintf(stderr, "mkdir: %s\n", err.msg);
            status = 1;
        } else if (!parents && mkdir(argv[i], mode) < 0) {
            status = box_fail(argv, "%s", argv[i]);
        }
    }
    return status;
}

int box_files_rm(int argc, char **argv)
{
    struct box_opts o = { .argc = argc, .argv = argv, .letters = "rRfi" };
    bool tree = false, force = false;
    int c, status = 0;
    struct err err = ERR_INIT;

    while ((c = box_opt(&o)) != -1) {
        tree = tree || c == 'r' || c == 'R';
        force = force || c == 'f';
        if (c == '?')
            return box_usage(argv, "bad option");
    }
    if (o.at == argc && !force)
        return box_usage(argv, "no path");
    for (int i = o.at; i < argc; i++) {
        struct stat st;

        if (lstat(argv[i], &st) < 0) {
            if (errno != ENOENT || !force)
                status = box_fail(argv, "%s", argv[i]);
        } else if (tree && S_ISDIR(st.st_mode)) {
            if (fd_remove_tree(AT_FDCWD, argv[i], &err) < 0) {
                fprintf(stderr, "rm: %s\n", err.msg);
                status = 1;
            }
        } else if (unlink(argv[i]) < 0) {
            status = box_fail(argv, "%s", argv[i]);
        }
    }
    return status;
}

int box_files_touch(int argc, char **argv)
{
    int status = 0;

    if (argc < 2)
        return box_usage(argv, "no file");
    for (int i = 1; i < argc; i++) {
        int fd = open(argv[i], O_WRONLY | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0666);

        if (fd < 0 || futimens(fd, NULL) < 0)
            status = box_fail(argv, "%s", argv[i]);
        fd_close(fd);
    }
    return status;
}

static void stat_format(const char *f, const char *path, const struct stat *st)
{
    char mode[11];

    mode_text(mode, st->st_mode);
    for (; *f; f++) {
        if (*f != '%' || !f[1]) {
            putchar(*f);
            continue;
        }
        switch (*++f) {
        case 'n': fputs(path, stdout); break;
        case 's': printf("%lld", (long long)st->st_size); break;
        case 'a': printf("%o", st->st_mode & 07777); break;
        case 'A': fputs(mode, stdout); break;
        case 'u': printf("%u", st->st_uid); break;
        case 'g': printf("%u", st->st_gid); break;
        case 'i': printf("%llu", (unsigned long long)st->st_ino); break;
        case 'h': printf("%lu", (unsigned long)st->st_nlink); break;
        case 'Y': printf("%lld", (long long)st->st_mtime); break;
        case 'F':
            fputs(S_ISDIR(st->st_mode)   ? "directory"
                  : S_ISLNK(st->st_mode) ? "symbolic link"
                  : S_ISREG(st->st_mode) ? "regular file"
                                         : "special file",
                  stdout);
            break;
        default: putchar(*f);
        }
    }
    putchar('\n');
}

int box_files_stat(int argc, char **argv)
{
    struct box_opts o = { .argc = argc, .argv = argv, .letters = "c:L" };
    const char *format =
        "  File: %n\n  Size: %s\t%F\nAccess: %a/%A  Uid: %u  Gid: %g\n Inode: %i\tLinks: %h";
    bool follow = false;
    int c, status = 0;

    while ((c = box_opt(&o)) != -1) {
        follow = follow || c == 'L';
        if (c == 'c')
            format = o.value;
        if (c == '?')
            return box_usage(argv, "bad option");
    }
    if (o.at == argc)
        return box_usage(argv, "no path");
    for (int i = o.at; i < argc; i++) {
        struct stat st;

        if (fstatat(AT_FDCWD, argv[i], &st, follow ? 0 : AT_SYMLINK_NOFOLLOW) < 0)
            status = box_fail(argv, "%s", argv[i]);
        else
            stat_format(format, argv[i], &st);
    }
    return status;
}
