/* test_main.c -- runs registered tests, each in a process group of its own, as many at once as there
 * are processors. The binary's name decides the mode: "sandbox" runs each test in fresh namespaces.
 *
 *     unit [-v] [-l] [-j N] [pattern]      pattern: a glob over full names, or a part of one
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <ftw.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/harness/test.h"

#define EXIT_SKIP 77
#define NAME_MAX_BYTES 200
#define OUTPUT_SHOWN_BYTES 20000
#define EMULATED_SLOWER 15       /* times the time that a test may take */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define TEST_SANITIZED 1
#else
#define TEST_SANITIZED 0
#endif

struct slot {               /* one running test */
    const struct test *test;
    pid_t pid;
    int output;             /* memfd: what it printed */
    int64_t deadline_ms;
    bool timed_out;
    char tmpdir[160];
};

static struct test *test_list;
static struct test_verb *verb_list;
static char test_dir[160];      /* in the child: its folder */

void test_add(struct test *test)
{
    struct test **at = &test_list;

    while (*at)
        at = &(*at)->next;
    *at = test;
}

void test_verb_add(struct test_verb *verb)
{
    verb->next = verb_list;
    verb_list = verb;
}

static int64_t test_now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* --- inside a test */

_Noreturn void test_fail(const char *file, int line, const char *format, ...)
{
    va_list args;

    fflush(stdout);
    fprintf(stderr, "%s:%d: ", file, line);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    fflush(stderr);
    _exit(1);
}

_Noreturn void test_skip(const char *reason)
{
    fprintf(stderr, "skipped: %s\n", reason);
    fflush(stderr);
    _exit(EXIT_SKIP);
}

void test_expect_eq(const char *file, int line, const char *what, int64_t a, int64_t b)
{
    if (a != b)
        test_fail(file, line, "EXPECT %s: %lld, %lld", what, (long long)a, (long long)b);
}

void test_expect_str(const char *file, int line, const char *what, const char *a, const char *b)
{
    if (a == b || (a && b && strcmp(a, b) == 0))
        return;
    test_fail(file, line, "EXPECT %s:\n  got  %s%s%s\n  want %s%s%s", what, a ? "\"" : "",
              a ? a : "NULL", a ? "\"" : "", b ? "\"" : "", b ? b : "NULL", b ? "\"" : "");
}

void test_expect_mem(const char *file, int line, const char *what, const void *a, const void *b,
                     size_t size)
{
    const unsigned char *x = a;
    const unsigned char *y = b;

    for (size_t i = 0; i < size; i++)
        if (x[i] != y[i])
            test_fail(file, line, "EXPECT %s: byte %zu of %zu: 0x%02x, 0x%02x", what, i, size, x[i],
                      y[i]);
}

const char *test_tmpdir(void)
{
    if (mkdir(test_dir, 0700) < 0 && errno != EEXIST)
        test_fail(__FILE__, __LINE__, "mkdir %s: %s", test_dir, strerror(errno));
    return test_dir;
}

bool test_is_sanitized(void)
{
    return TEST_SANITIZED;
}

const char *test_payload(void)
{
    static char path[PATH_MAX];
    const char *other = getenv("INRO_PAYLOAD");
    ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

    if (TEST_SANITIZED && !other)
        test_fail(__FILE__, __LINE__, "a sanitized binary needs INRO_PAYLOAD");
    if (n < 0)
        test_fail(__FILE__, __LINE__, "/proc/self/exe: %s", strerror(errno));
    return other && *other ? other : path;
}

/* --- fresh namespaces */

static void sandbox_write(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    if (fd < 0 || write(fd, text, strlen(text)) < 0)
        test_fail(__FILE__, __LINE__, "write %s: %s", path, strerror(errno));
    close(fd);
}

/* Runs the test as process 1 of new namespaces and waits for it. */
static void sandbox_enter(void)
{
    int flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS;
    unsigned uid = geteuid();
    unsigned gid = getegid();
    char map[64];
    int status = 0;
    pid_t pid;

    if (unshare(flags | (uid == 0 ? 0 : CLONE_NEWUSER)) < 0)
        test_fail(__FILE__, __LINE__, "unshare: %s", strerror(errno));
    if (uid != 0) {
        sandbox_write("/proc/self/setgroups", "deny");
        snprintf(map, sizeof(map), "0 %u 1", uid);
        sandbox_write("/proc/self/uid_map", map);
        snprintf(map, sizeof(map), "0 %u 1", gid);
        sandbox_write("/proc/self/gid_map", map);
    }
    pid = fork();
    if (pid < 0)
        test_fail(__FILE__, __LINE__, "fork: %s", strerror(errno));
    if (pid > 0) {
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
            ;
        if (WIFSIGNALED(status))
            fprintf(stderr, "killed by signal %d (%s)\n", WTERMSIG(status),
                    strsignal(WTERMSIG(status)));
        _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
        test_fail(__FILE__, __LINE__, "mount: %s", strerror(errno));
}

/* --- the runner */

static void test_full_name(const struct test *test, char *out)
{
    const char *from = test->file;
    const char *base;
    size_t length;

    for (int i = 0; i < 2 && strchr(from, '/'); i++)      /* tests/unit/ */
        from = strchr(from, '/') + 1;
    base = strrchr(from, '/') ? strrchr(from, '/') + 1 : from;
    length = (size_t)(base - from);
    if (strncmp(base, "test_", 5) == 0)
        base += 5;
    snprintf(out, NAME_MAX_BYTES, "%.*s%.*s/%s", (int)length, from, (int)strcspn(base, "."), base,
             test->name);
}

static bool test_matches(const struct test *test, const char *pattern)
{
    char name[NAME_MAX_BYTES];

    test_full_name(test, name);
    return !pattern || strstr(name, pattern) || fnmatch(pattern, name, 0) == 0;
}

static void test_child(const struct slot *slot, bool sandboxed)
{
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

    setpgid(0, 0);
    dup2(null, 0);
    dup2(slot->output, 1);
    dup2(slot->output, 2);
    memcpy(test_dir, slot->tmpdir, sizeof(test_dir));
    if (sandboxed)
        sandbox_enter();
    slot->test->run();
    exit(0);        /* not _exit: leak checkers run at exit */
}

bool test_is_emulated(void)
{
    return getenv("INRO_EMULATED") != NULL;
}

static int timeout_s(const struct test *test)
{
    return test_is_emulated() ? test->timeout_s * EMULATED_SLOWER : test->timeout_s;
}

static void slot_start(struct slot *slot, const struct test *test, int number, bool sandboxed)
{
    const char *base = getenv("TMPDIR");

    *slot = (struct slot){.test = test};
    snprintf(slot->tmpdir, sizeof(slot->tmpdir), "%s/inro-test-%d-%d",
             base && strlen(base) < 100 ? base : "/tmp", (int)getpid(), number);
    slot->output = memfd_create("output", MFD_CLOEXEC);
    slot->deadline_ms = test_now_ms() + (int64_t)timeout_s(test) * 1000;
    slot->pid = fork();
    if (slot->output < 0 || slot->pid < 0) {
        perror("test_main");
        exit(2);
    }
    if (slot->pid == 0)
        test_child(slot, sandboxed);
    setpgid(slot->pid, slot->pid);
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path), 0;
}

static void slot_show_output(const struct slot *slot)
{
    static char buffer[OUTPUT_SHOWN_BYTES];
    off_t size = lseek(slot->output, 0, SEEK_END);
    off_t from = size > OUTPUT_SHOWN_BYTES ? size - OUTPUT_SHOWN_BYTES : 0;
    ssize_t n = pread(slot->output, buffer, sizeof(buffer), from);

    if (n > 0)
        fwrite(buffer, 1, (size_t)n, stdout);
    if (n > 0 && buffer[n - 1] != '\n')
        putchar('\n');
}

/* A report of a sanitizer, also by a child whose exit status nobody saw. */
static bool slot_has_report(const struct slot *slot)
{
    static const char *const marks[] = {"Sanitizer", ": runtime error: "};
    off_t size = lseek(slot->output, 0, SEEK_END);
    char *text = size > 0 ? mmap(NULL, (size_t)size, PROT_READ, MAP_SHARED, slot->output, 0)
                          : MAP_FAILED;
    bool found = false;

    if (text == MAP_FAILED)
        return false;
    for (size_t i = 0; i < sizeof(marks) / sizeof(*marks); i++)
        found = found || memmem(text, (size_t)size, marks[i], strlen(marks[i]));
    munmap(text, (size_t)size);
    return found;
}

/* Reports the finished test; returns 0 passed, 1 failed, 2 skipped. */
static int slot_finish(struct slot *slot, int status, bool verbose)
{
    char name[NAME_MAX_BYTES];
    int result = 1;

    kill(-slot->pid, SIGKILL);
    test_full_name(slot->test, name);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        result = 0;
    else if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SKIP)
        result = 2;
    if (result == 0 && TEST_SANITIZED && slot_has_report(slot))
        result = 1;
    if (result == 0 && verbose)
        printf("ok %s\n", name);
    if (result == 1) {
        printf("not ok %s", name);
        if (slot->timed_out)
            printf(" (no end after %d s)", timeout_s(slot->test));
        else if (WIFSIGNALED(status))
            printf(" (signal %d, %s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
        putchar('\n');
    } else if (result == 2) {
        printf("ok %s # ", name);
    }
    if (result > 0)
        slot_show_output(slot);
    fflush(stdout);
    close(slot->output);
    nftw(slot->tmpdir, remove_entry, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
    slot->pid = 0;
    return result;
}

/* Waits until a test ends or one must be killed. */
static void slots_wait(struct slot *slots, int count, int *results, bool verbose)
{
    struct timespec pause = {.tv_nsec = 100 * 1000 * 1000};
    sigset_t set;
    bool any = false;
    int status;

    for (int i = 0; i < count; i++) {
        if (!slots[i].pid)
            continue;
        if (waitpid(slots[i].pid, &status, WNOHANG) == slots[i].pid) {
            results[slot_finish(&slots[i], status, verbose)]++;
            any = true;
        } else if (test_now_ms() > slots[i].deadline_ms && !slots[i].timed_out) {
            slots[i].timed_out = true;
            kill(-slots[i].pid, SIGKILL);
        }
    }
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    if (!any)
        sigtimedwait(&set, NULL, &pause);
}

static int run_all(const char *pattern, int jobs, bool sandboxed, bool verbose)
{
    struct slot *slots = calloc((size_t)jobs, sizeof(*slots));
    int results[3] = {0};
    int started = 0;
    bool busy = true;
    struct test *next = test_list;

    while (slots && (next || busy)) {
        busy = false;
        for (int i = 0; i < jobs; i++) {
            while (next && !test_matches(next, pattern))
                next = next->next;
            if (!slots[i].pid && next) {
                slot_start(&slots[i], next, started++, sandboxed);
                next = next->next;
            }
            busy = busy || slots[i].pid;
        }
        if (busy)
            slots_wait(slots, jobs, results, verbose);
    }
    free(slots);
    printf("%d passed, %d failed", results[0], results[1]);
    if (results[2])
        printf(", %d skipped", results[2]);
    putchar('\n');
    return results[1] ? 1 : results[0] + results[2] == 0 ? 3 : 0;
}

int main(int argc, char **argv)
{
    const char *base = strrchr(argv[0], '/');
    bool sandboxed = strcmp(base ? base + 1 : argv[0], "sandbox") == 0;
    int jobs = (int)sysconf(_SC_NPROCESSORS_ONLN);
    bool verbose = false, list = false;
    char name[NAME_MAX_BYTES];
    sigset_t set;
    int option;

    for (struct test_verb *verb = argc > 1 ? verb_list : NULL; verb; verb = verb->next)
        if (strcmp(argv[1], verb->name) == 0)
            return verb->run(argc - 1, argv + 1);
    while ((option = getopt(argc, argv, "vlj:")) != -1) {
        verbose = verbose || option == 'v';
        list = list || option == 'l';
        if (option == 'j')
            jobs = (int)strtol(optarg, NULL, 10);
        if (option == '?')
            return 2;
    }
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    if (!list) {
        sigprocmask(SIG_BLOCK, &set, NULL);
        return run_all(argv[optind], jobs > 0 ? jobs : 1, sandboxed, verbose);
    }
    for (struct test *test = test_list; test; test = test->next) {
        test_full_name(test, name);
        if (test_matches(test, argv[optind]))
            puts(name);
    }
    return 0;
}
