/* fuzz_driver.c -- runs one fuzz target: first its corpus as it is, then mutations of it.
 *
 *     fuzz_NAME [-n RUNS] [-t SECONDS] [-s SEED] [-k FOLDER] CORPUS-FOLDER
 *
 * -n: mutated inputs after the corpus (default 0). -t: stop after so many seconds. -k: keep inputs that reach new
 * code in this folder (needs a build with coverage, ./build.sh fuzz). The input being run lies in the file
 * NAME.current beside the binary: after a crash it is the culprit. An input that takes 10 s is a failure.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define INPUT_MAX (256u << 10)
#define INPUTS_MAX 20000
#define INPUT_SECONDS 10
#define MAP_BITS (1u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv) __attribute__((weak));
void __sanitizer_cov_trace_pc(void);

struct input { uint8_t *p; size_t len; };

struct fuzz {
    struct input inputs[INPUTS_MAX];
    unsigned n_inputs;
    uint8_t *shared;            /* the input being run: INPUT_MAX bytes of NAME.current */
    int current;                /* its file */
    const char *keep;
    uint64_t seed;
    unsigned long runs, found;
};

static uint8_t coverage[MAP_BITS / 8];
static unsigned long covered;

/* Called by every edge of an instrumented build. */
__attribute__((no_sanitize_coverage, no_sanitize("address", "undefined"))) void
__sanitizer_cov_trace_pc(void)
{
    uintptr_t pc = (uintptr_t)__builtin_return_address(0);
    unsigned bit = (unsigned)((pc * 0x9e3779b97f4a7c15ull) >> 44) % MAP_BITS;

    if (!(coverage[bit / 8] & (1u << (bit % 8)))) {
        coverage[bit / 8] |= (uint8_t)(1u << (bit % 8));
        covered++;
    }
}

static uint64_t fuzz_random(struct fuzz *f)
{
    f->seed += 0x9e3779b97f4a7c15ull;
    uint64_t z = f->seed;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

static size_t fuzz_below(struct fuzz *f, size_t n)
{
    return n ? (size_t)(fuzz_random(f) % n) : 0;
}

/* Runs the first `len` bytes of the shared input; true: it reached new code. */
static int fuzz_run(struct fuzz *f, size_t len)
{
    uint8_t *copy = malloc(len ? len : 1);      /* exact, so that the sanitizer sees its ends */
    unsigned long before = covered;

    if (!copy || ftruncate(f->current, (off_t)len) < 0)
        abort();
    memcpy(copy, f->shared, len);
    alarm(INPUT_SECONDS);
    LLVMFuzzerTestOneInput(copy, len);
    alarm(0);
    free(copy);
    f->runs++;
    return covered > before;
}

static void fuzz_set(struct fuzz *f, const void *p, size_t len)
{
    if (ftruncate(f->current, INPUT_MAX) < 0)
        abort();
    memcpy(f->shared, p, len);
}

static void fuzz_add(struct fuzz *f, const uint8_t *p, size_t len)
{
    if (f->n_inputs == INPUTS_MAX)
        return;
    struct input *in = &f->inputs[f->n_inputs++];

    in->p = malloc(len ? len : 1);
    in->len = len;
    if (!in->p)
        abort();
    memcpy(in->p, p, len);
}

static void fuzz_load(struct fuzz *f, const char *folder)
{
    struct dirent **names = NULL;
    int n = scandir(folder, &names, NULL, alphasort);
    static uint8_t bytes[INPUT_MAX];

    if (n < 0) {
        fprintf(stderr, "%s: %s\n", folder, strerror(errno));
        exit(2);
    }
    for (int i = 0; i < n; i++) {
        char path[4096];
        int fd;
        ssize_t got;

        snprintf(path, sizeof(path), "%s/%s", folder, names[i]->d_name);
        if (names[i]->d_name[0] != '.' && (fd = open(path, O_RDONLY | O_CLOEXEC)) >= 0) {
            got = read(fd, bytes, sizeof(bytes));
            close(fd);
            if (got >= 0)
                fuzz_add(f, bytes, (size_t)got);
        }
        free(names[i]);
    }
    free(names);
}

static void fuzz_keep(struct fuzz *f, size_t len)
{
    char path[4096];
    uint64_t hash = 14695981039346656037ull;
    int fd;

    fuzz_add(f, f->shared, len);
    f->found++;
    if (!f->keep)
        return;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ f->shared[i]) * 1099511628211ull;
    snprintf(path, sizeof(path), "%s/%016llx", f->keep, (unsigned long long)hash);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0 || write(fd, f->shared, len) != (ssize_t)len)
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
    if (fd >= 0)
        close(fd);
}

static size_t fuzz_insert(struct fuzz *f, size_t len, size_t at, size_t more)
{
    if (len + more > INPUT_MAX)
        return len;
    memmove(f->shared + at + more, f->shared + at, len - at);
    return len + more;
}

/* A piece of another input over or into this one. */
static size_t fuzz_splice(struct fuzz *f, size_t len)
{
    const struct input *other = &f->inputs[fuzz_below(f, f->n_inputs)];
    size_t from = fuzz_below(f, other->len), at = fuzz_below(f, len + 1);
    size_t n = fuzz_below(f, other->len - from + 1), grown;

    if (n > 4096)
        n = 4096;
    grown = fuzz_insert(f, len, at, n);
    if (grown != len || n == 0)
        memcpy(f->shared + at, other->p + from, n);
    return grown;
}

static size_t fuzz_mutate_once(struct fuzz *f, size_t len)
{
    static const uint8_t odd[] = { 0, 1, 0x7f, 0x80, 0xff, '"', '{', '}', '[', ']', ':', ',', '\n',
                                   '\\', '/', '.', '-', '=', '%', ' ', '0', '9', 'e' };
    size_t at = fuzz_below(f, len), n = 1 + fuzz_below(f, 1 + fuzz_below(f, 32));

    switch (fuzz_below(f, 7)) {
    case 0:
        if (len)
            f->shared[at] ^= (uint8_t)(1u << fuzz_below(f, 8));
        return len;
    case 1:
        if (len)
            f->shared[at] = odd[fuzz_below(f, sizeof(odd))];
        return len;
    case 2:
        if (len)
            f->shared[at] = (uint8_t)fuzz_random(f);
        return len;
    case 3:                                     /* cut a piece out */
        if (n > len - at)
            n = len - at;
        memmove(f->shared + at, f->shared + at + n, len - at - n);
        return len - n;
    case 4: {                                   /* the same byte many times */
        size_t grown = fuzz_insert(f, len, at, n);
        if (grown != len)
            memset(f->shared + at, odd[fuzz_below(f, sizeof(odd))], n);
        return grown;
    }
    case 5:                                     /* a piece of itself again */
        if (n > len - at)
            n = len - at;
        if (fuzz_insert(f, len, at, n) != len)
            return len + n;
        return len;
    default:
        return fuzz_splice(f, len);
    }
}

static void fuzz_mutations(struct fuzz *f, unsigned long runs, long seconds)
{
    time_t end = time(NULL) + seconds;
    unsigned long last = f->runs + runs;

    while (f->n_inputs && (runs == 0 || f->runs < last)) {
        const struct input *in = &f->inputs[fuzz_below(f, f->n_inputs)];
        size_t len = in->len, times = 1 + fuzz_below(f, 8);

        if (seconds && (f->runs & 63) == 0 && time(NULL) >= end)
            return;
        fuzz_set(f, in->p, in->len);
        while (times--)
            len = fuzz_mutate_once(f, len);
        if (fuzz_run(f, len))
            fuzz_keep(f, len);
    }
}

static void fuzz_open(struct fuzz *f, const char *self)
{
    char path[4096];

    snprintf(path, sizeof(path), "%s.current", self);
    f->current = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (f->current < 0 || ftruncate(f->current, INPUT_MAX) < 0) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        exit(2);
    }
    f->shared = mmap(NULL, INPUT_MAX, PROT_READ | PROT_WRITE, MAP_SHARED, f->current, 0);
    if (f->shared == MAP_FAILED)
        exit(2);
}

int main(int argc, char **argv)
{
    static struct fuzz f = { .seed = 1 };
    unsigned long runs = 0;
    long seconds = 0;
    int c;

    while ((c = getopt(argc, argv, "n:t:s:k:")) != -1) {
        switch (c) {
        case 'n': runs = strtoul(optarg, NULL, 10); break;
        case 't': seconds = strtol(optarg, NULL, 10); break;
        case 's': f.seed = strtoull(optarg, NULL, 10); break;
        case 'k': f.keep = optarg; break;
        default: return 2;
        }
    }
    if (optind + 1 != argc) {
        fprintf(stderr, "usage: %s [-n runs] [-t seconds] [-s seed] [-k folder] corpus\n", argv[0]);
        return 2;
    }
    if (LLVMFuzzerInitialize)
        LLVMFuzzerInitialize(&argc, &argv);
    fuzz_open(&f, argv[0]);
    fuzz_load(&f, argv[optind]);
    for (unsigned i = 0, n = f.n_inputs; i < n; i++) {
        fuzz_set(&f, f.inputs[i].p, f.inputs[i].len);
        fuzz_run(&f, f.inputs[i].len);
    }
    if (runs || seconds)
        fuzz_mutations(&f, runs, seconds);
    printf("%lu runs, %u inputs, %lu kept, %lu places reached\n", f.runs, f.n_inputs, f.found, covered);
    return 0;
}
