/* box_sys.c -- applets about processes and the system. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cmd/box/box.h"
#include "cmd/box/box_run.h"
#include "core/base/cleanup.h"
#include "core/base/str.h"

int box_sys_sleep(int argc, char **argv)
{
    long long ms = 0;

    if (argc < 2)
        return box_usage(argv, "missing duration");
    box_die_on_signals();
    for (int i = 1; i < argc; i++) {
        long long more = box_duration_ms(argv[i], 1000);

        if (strcmp(argv[i], "infinity") == 0 || strcmp(argv[i], "inf") == 0)
            for (;;)
                pause();
        if (more < 0)
            return box_usage(argv, "invalid time interval '%s'", argv[i]);
        ms += more;
    }
    struct timespec left = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

    while (nanosleep(&left, &left) < 0 && errno == EINTR)
        ;
    return 0;
}

int box_sys_env(int argc, char **argv)
{
    const struct box_applet *a;
    int i = 1;

    if (i < argc && (strcmp(argv[i], "-i") == 0 || strcmp(argv[i], "-") == 0)) {
        clearenv();
        i++;
    }
    for (; i < argc && strchr(argv[i], '='); i++)
        if (putenv(argv[i]) != 0)
            return box_fail(argv, "%s", argv[i]);
    if (i == argc) {
        for (char **e = environ; e && *e; e++)
            puts(*e);
        return 0;
    }
    fflush(stdout);
    execvp(argv[i], argv + i);
    a = errno == ENOENT ? box_find(argv[i]) : NULL;
    if (a)
        return a->run(argc - i, argv + i);
    box_fail(argv, "%s", argv[i]);
    return errno == ENOENT ? 127 : 126;
}

int box_sys_hostname(int argc, char **argv)
{
    char name[HOST_NAME_MAX + 1] = "";

    (void)argc;
    if (gethostname(name, sizeof(name)) < 0)
        return box_fail(argv, "hostname");
    puts(name);
    return 0;
}

int box_sys_pwd(int argc, char **argv)
{
    char path[PATH_MAX];

    (void)argc;
    if (!getcwd(path, sizeof(path)))
        return box_fail(argv, "working directory");
    puts(path);
    return 0;
}

int box_sys_date(int argc, char **argv)
{
    struct box_opts o = { .argc = argc, .argv = argv, .letters = "uR" };
    const char *format = "%a %b %e %H:%M:%S UTC %Y";
    time_t now = time(NULL);
    char text[512];
    struct tm tm;
    int c;

    while ((c = box_opt(&o)) != -1)
        if (c == '?')
            return box_usage(argv, "bad option");
    if (o.at < argc && argv[o.at][0] == '+')
        format = argv[o.at] + 1;
    gmtime_r(&now, &tm);
    if (strftime(text, sizeof(text), format, &tm) == 0 && *format)
        return box_usage(argv, "bad format");
    puts(*format ? text : "");
    return 0;
}

/* The name of an id in a file of "name:x:id:..." lines. */
static bool account_name(const char *file, unsigned id, char *out, size_t size)
{
    FILE *f = fopen(file, "re");
    char line[512], name[128];
    unsigned found;
    bool ok = false;

    while (f && !ok && fgets(line, sizeof(line), f))
        if (sscanf(line, "%127[^:]:%*[^:]:%u", name, &found) == 2 && found == id) {
            snprintf(out, size, "%s", name);
            ok = true;
        }
    if (f)
        fclose(f);
    return ok;
}

static void print_id(const char *what, const char *file, unsigned id)
{
    char name[128];

    if (account_name(file, id, name, sizeof(name)))
        printf("%s%u(%s)", what, id, name);
    else
        printf("%s%u", what, id);
}

int box_sys_id(int argc, char **argv)
{
    struct box_opts o = { .argc = argc, .argv = argv, .letters = "ugnG" };
    bool user = false, group = false, name = false;
    gid_t groups[256];
    char text[128];
    int c, n;

    while ((c = box_opt(&o)) != -1) {
        user = user || c == 'u';
        group = group || c == 'g';
        name = name || c == 'n';
        if (c == '?')
            return box_usage(argv, "bad option");
    }
    if (user || group) {
        unsigned id = user ? geteuid() : getegid();

        if (name && account_name(user ? "/etc/passwd" : "/etc/group", id, text, sizeof(text)))
            puts(text);
        else
            printf("%u\n", id);
        return 0;
    }
    print_id("uid=", "/etc/passwd", geteuid());
    print_id(" gid=", "/etc/group", getegid());
    n = getgroups((int)ARRAY_LEN(groups), groups);
    for (int i = 0; i < n; i++)
        print_id(i ? "," : " groups=", "/etc/group", groups[i]);
    putchar('\n');
    return 0;
}

static void ps_one(const char *pid)
{
    char path[64], text[1024];
    unsigned uid = 0;
    ssize_t n;
    FILE *f;
    int fd;

    snprintf(path, sizeof(path), "/proc/%s/status", pid);
    f = fopen(path, "re");
    while (f && fgets(text, sizeof(text), f))
        if (sscanf(text, "Uid: %u", &uid) == 1)
            break;
    if (f)
        fclose(f);
    snprintf(path, sizeof(path), "/proc/%s/cmdline", pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
    if (fd >= 0)
        close(fd);
    for (ssize_t i = 0; i + 1 < n; i++)
        text[i] = text[i] ? text[i] : ' ';
    text[n > 0 ? n : 0] = '\0';
    printf("%7s %-8u %s\n", pid, uid, text);
}

int box_sys_ps(int argc, char **argv)
{
    DIR *d = opendir("/proc");
    struct dirent *e;

    (void)argc;
    if (!d)
        return box_fail(argv, "/proc");
    puts("    PID USER     COMMAND");
    while ((e = readdir(d)))
        if (isdigit((unsigned char)e->d_name[0]))
            ps_one(e->d_name);
    closedir(d);
    return 0;
}

static const struct { const char *name; int number; } signals[] = {
    { "HUP", SIGHUP }, { "INT", SIGINT }, { "QUIT", SIGQUIT }, { "KILL", SIGKILL },
    { "USR1", SIGUSR1 }, { "USR2", SIGUSR2 }, { "PIPE", SIGPIPE }, { "ALRM", SIGALRM },
    { "TERM", SIGTERM }, { "CHLD", SIGCHLD }, { "CONT", SIGCONT }, { "STOP", SIGSTOP },
};

static int signal_of(const char *text)
{
    int64_t n;

    if (str_to_i64(text, 0, 64, &n, NULL) == 0)
        return (int)n;
    if (str_starts(text, "SIG"))
        text += 3;
    for (size_t i = 0; i < ARRAY_LEN(signals); i++)
        if (strcmp(text, signals[i].name) == 0)
            return signals[i].number;
    return -1;
}

int box_sys_kill(int argc, char **argv)
{
    int sig = SIGTERM, i = 1, status = 0;

    if (argc > 2 && strcmp(argv[1], "-s") == 0) {
        sig = signal_of(argv[2]);
        i = 3;
    } else if (argc > 1 && argv[1][0] == '-' && strcmp(argv[1], "--") != 0) {
        sig = signal_of(argv[1] + 1);
        i = 2;
    }
    if (sig < 0)
        return box_usage(argv, "unknown signal");
    if (i == argc)
        return box_usage(argv, "no process");
    for (; i < argc; i++) {
        int64_t pid;

        if (str_to_i64(argv[i], INT32_MIN, INT32_MAX, &pid, NULL) < 0)
            return box_usage(argv, "bad process \"%s\"", argv[i]);
        if (kill((pid_t)pid, sig) < 0)
            status = box_fail(argv, "%s", argv[i]);
    }
    return status;
}
