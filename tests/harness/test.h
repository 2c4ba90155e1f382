/* tests/harness/test.h -- the test harness: tests register themselves, each runs in a process of its own.
 *
 *     TEST(chain)
 *     {
 *         EXPECT_EQ(err_set(&err, ERR_NOT_FOUND, "x"), -1);
 *     }
 *
 * A test's full name is its file below tests/unit without "test_" and ".c", then the name:
 * tests/unit/core/base/test_err.c has core/base/err/chain. The first failed EXPECT ends the test.
 * What a test prints is shown only when it fails; a sanitizer's report in it is a failure, also of
 * a child. Children it leaves behind are killed.
 */
#ifndef TESTS_HARNESS_TEST_H
#define TESTS_HARNESS_TEST_H

#include <stdbool.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEST_TIMEOUT_S 20

struct test {
    const char *file;
    const char *name;
    void (*run)(void);
    int timeout_s;
    struct test *next;
};

void test_add(struct test *test);

/* An empty folder of this test's own, removed after it. The same path on each call. */
const char *test_tmpdir(void);

/* The program for containers of tests: this binary, but a sanitized one needs libraries that an
 * empty root file system has not; then the same program built without (INRO_PAYLOAD). An absolute
 * path. */
const char *test_payload(void);

/* Whether this build has a sanitizer, which costs memory. */
bool test_is_sanitized(void);

/* This processor is played by another one: all is slow, and /proc tells of the player. */
bool test_is_emulated(void);

/* Ends the test as skipped: what it needs is not there. */
_Noreturn void test_skip(const char *reason);

_Noreturn __attribute__((format(printf, 3, 4))) void test_fail(const char *file, int line,
                                                              const char *format, ...);
void test_expect_eq(const char *file, int line, const char *what, int64_t a, int64_t b);
void test_expect_str(const char *file, int line, const char *what, const char *a, const char *b);
void test_expect_mem(const char *file, int line, const char *what, const void *a, const void *b,
                     size_t size);

/* Hidden verbs of the binary, for code that re-executes itself: "unit VERB ..." runs the function, which sees the
 * verb as argv[0], and exits with what it returns. */
struct test_verb {
    const char *name;
    int (*run)(int argc, char **argv);
    struct test_verb *next;
};

void test_verb_add(struct test_verb *verb);

#define TEST_VERB(id_, name_, run_)                                                                \
    static struct test_verb test_verb_##id_ = {.name = (name_), .run = (run_)};                    \
    __attribute__((constructor)) static void test_verb_##id_##_add(void)                           \
    {                                                                                              \
        test_verb_add(&test_verb_##id_);                                                           \
    }

#define TEST_SLOW(name_, seconds)                                                                  \
    static void test_##name_(void);                                                                \
    static struct test test_##name_##_entry = {                                                    \
        .file = __FILE__, .name = #name_, .run = test_##name_, .timeout_s = (seconds)};            \
    __attribute__((constructor)) static void test_##name_##_add(void)                              \
    {                                                                                              \
        test_add(&test_##name_##_entry);                                                           \
    }                                                                                              \
    static void test_##name_(void)
#define TEST(name_) TEST_SLOW(name_, TEST_TIMEOUT_S)

#define EXPECT(cond)                                                                               \
    do {                                                                                           \
        if (!(cond))                                                                               \
            test_fail(__FILE__, __LINE__, "EXPECT(%s)", #cond);                                    \
    } while (0)
#define EXPECT_EQ(a, b)                                                                            \
    test_expect_eq(__FILE__, __LINE__, #a " == " #b, (int64_t)(a), (int64_t)(b))
#define EXPECT_STR(a, b) test_expect_str(__FILE__, __LINE__, #a " is " #b, (a), (b))
#define EXPECT_MEM(a, b, size) test_expect_mem(__FILE__, __LINE__, #a " is " #b, (a), (b), (size))

/* A call that returns 0 or more and else fills a struct err. */
#define EXPECT_OK(call, err)                                                                       \
    do {                                                                                           \
        if ((call) < 0)                                                                            \
            test_fail(__FILE__, __LINE__, "EXPECT_OK(%s): %s", #call, (err)->msg);                 \
    } while (0)
/* A call that must fail with this code. */
#define EXPECT_ERR(call, err, code_)                                                               \
    do {                                                                                           \
        if ((call) >= 0)                                                                           \
            test_fail(__FILE__, __LINE__, "EXPECT_ERR(%s): it succeeded", #call);                  \
        if ((err)->code != (code_))                                                                \
            test_fail(__FILE__, __LINE__, "EXPECT_ERR(%s): code %d, not %s: %s", #call,            \
                      (int)(err)->code, #code_, (err)->msg);                                       \
    } while (0)

#endif
