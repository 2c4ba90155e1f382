/* bench.h -- what a benchmark in C is made of: a clock and rows of the table.
 *
 * A benchmark prints rows; ./build.sh bench gathers those of all into one table. It asserts
 * nothing: figures are ratios within one run, for a reader to judge.
 */
#ifndef TESTS_BENCH_BENCH_H
#define TESTS_BENCH_BENCH_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static inline double bench_now_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* A row: what was done, ours and the peer's figure with their units, and how many times better ours
 * is. A peer of NULL: there is none. */
static inline void bench_row(const char *what, const char *ours, const char *peer, double ratio)
{
    printf("row|%s|%s|%s|", what, ours, peer ? peer : "-");
    if (peer)
        printf("%.2f\n", ratio);
    else
        printf("-\n");
    fflush(stdout);
}

static inline void bench_fail(const char *what, const char *why)
{
    fprintf(stderr, "bench: %s: %s\n", what, why);
    exit(1);
}

static inline int bench_compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static inline double bench_median(double *v, size_t n)
{
    qsort(v, n, sizeof(*v), bench_compare_doubles);
    return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

#endif
