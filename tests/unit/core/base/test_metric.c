/* test_metric.c -- counting from many threads, the limit of series, and the text's form. */
#include "core/base/metric.h"

#include <math.h>
#include <pthread.h>

#include "tests/harness/test.h"

static const int64_t bounds[] = { 5000000, 1250000000, 60000000000 };
static const struct metric_family seconds = { "a_seconds", "How long.", METRIC_HISTOGRAM, bounds,
                                              3, 0 };
static const struct metric_family total = { "a_total", "How many.", METRIC_COUNTER, NULL, 0, 0 };

static void name_key(struct buf *labels, uint64_t key, void *ctx)
{
    char text[32];

    (void)ctx;
    snprintf(text, sizeof(text), "k%llu", (unsigned long long)key);
    metric_label(labels, "key", key == METRIC_OTHER ? "other" : text);
}

TEST(histogram_text)
{
    struct metric_hist h = { 0 };
    _cleanup_buf_ struct buf b = BUF_INIT;

    metric_hist_add(&h, &seconds, 5000000);           /* bounds belong to their bucket */
    metric_hist_add(&h, &seconds, 5000001);
    metric_hist_add(&h, &seconds, 61000000000);
    metric_write_head(&b, &seconds);
    metric_write_hist(&b, &seconds, "x=\"y\"", &h);
    EXPECT_STR(b.p, "# HELP a_seconds How long.\n# TYPE a_seconds histogram\n"
                    "a_seconds_bucket{x=\"y\",le=\"0.005\"} 1\n"
                    "a_seconds_bucket{x=\"y\",le=\"1.25\"} 2\n"
                    "a_seconds_bucket{x=\"y\",le=\"60\"} 2\n"
                    "a_seconds_bucket{x=\"y\",le=\"+Inf\"} 3\n"
                    "a_seconds_sum{x=\"y\"} 61.010000001\na_seconds_count{x=\"y\"} 3\n");
    EXPECT_EQ(metric_hist_count(&h, &seconds), 3);
    buf_clear(&b);
    metric_write_hist(&b, &seconds, NULL, &h);
    EXPECT(strstr(b.p, "a_seconds_bucket{le=\"0.005\"} 1\n"));
    EXPECT(strstr(b.p, "a_seconds_count 3\n"));
}

TEST(labels_are_escaped)
{
    _cleanup_buf_ struct buf b = BUF_INIT;

    metric_label(&b, "a", "q\"b\\n\nend");
    metric_label(&b, "b", NULL);
    EXPECT_STR(b.p, "a=\"q\\\"b\\\\n\\nend\",b=\"\"");
}

TEST(values)
{
    _cleanup_buf_ struct buf b = BUF_INIT;

    metric_write_u64(&b, &total, "", UINT64_MAX);
    metric_write_real(&b, &total, NULL, 1764248612.25);
    metric_write_real(&b, &total, "a=\"b\"", (double)NAN);
    metric_write_real(&b, &total, NULL, -(double)INFINITY);
    EXPECT_STR(b.p, "a_total 18446744073709551615\na_total 1764248612.25\n"
                    "a_total{a=\"b\"} NaN\na_total -Inf\n");
}

TEST(series_up_to_the_limit)
{
    _cleanup_(metric_set_freep) struct metric_set *s = metric_set_new(&total, 3);
    _cleanup_buf_ struct buf b = BUF_INIT;

    metric_set_add(s, 0, 2);
    metric_set_add(s, METRIC_OTHER - 2, 1);
    metric_set_add(s, 7, 1);
    metric_set_add(s, 8, 4);                          /* one too many, and another */
    metric_set_add(s, 9, 5);
    metric_set_add(s, 0, 1);
    metric_set_write(&b, s, name_key, NULL);
    EXPECT(strstr(b.p, "a_total{key=\"k0\"} 3\n"));
    EXPECT(strstr(b.p, "a_total{key=\"k7\"} 1\n"));
    EXPECT(strstr(b.p, "a_total{key=\"k18446744073709551613\"} 1\n"));
    EXPECT(strstr(b.p, "a_total{key=\"other\"} 9\n"));
    EXPECT(!strstr(b.p, "k8") && !strstr(b.p, "k9"));
}

#define THREADS 4
#define TIMES 20000

static void *count(void *arg)
{
    struct metric_set **s = arg;

    for (unsigned i = 0; i < TIMES; i++) {
        metric_set_add(s[0], i % 50, 1);
        metric_set_add(s[1], i % 40, i % 2 ? 1 : 2000000000);
    }
    return NULL;
}

TEST(many_threads)
{
    _cleanup_(metric_set_freep) struct metric_set *a = metric_set_new(&total, 64);
    _cleanup_(metric_set_freep) struct metric_set *b = metric_set_new(&seconds, 30);
    _cleanup_buf_ struct buf out = BUF_INIT;
    struct metric_set *both[] = { a, b };
    pthread_t t[THREADS];

    for (unsigned i = 0; i < THREADS; i++)
        EXPECT_EQ(pthread_create(&t[i], NULL, count, both), 0);
    for (unsigned i = 0; i < 20; i++) {
        buf_clear(&out);
        metric_set_write(&out, a, name_key, NULL);
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(t[i], NULL);
    buf_clear(&out);
    metric_set_write(&out, a, name_key, NULL);
    EXPECT(strstr(out.p, "a_total{key=\"k49\"} 1600\n"));
    EXPECT(!strstr(out.p, "other"));
    buf_clear(&out);
    metric_set_write(&out, b, name_key, NULL);
    EXPECT(strstr(out.p, "a_seconds_count{key=\"other\"} "));
    EXPECT(!strstr(out.p, "a_seconds_bucket{key=\"other\",le=\"1.25\"} 0\n"));
}
