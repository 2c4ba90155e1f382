/* core/base/check.h -- assertions that stay on in release builds. A failed one prints where and
 * aborts. check() is for what the code itself promises; input from outside is answered with an
 * error instead. */
#ifndef CORE_BASE_CHECK_H
#define CORE_BASE_CHECK_H

#define check(cond) \
    do { if (__builtin_expect(!(cond), 0)) check_fail(#cond, __FILE__, __LINE__); } while (0)
#define check_unreachable() check_fail("unreachable", __FILE__, __LINE__)

_Noreturn void check_fail(const char *what, const char *file, int line);

#endif
