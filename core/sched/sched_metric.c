/* sched_metric.c: upstream's figures of a scheduler. Counted on the loop, written by any thread. */
#include "core/sched/sched_impl.h"

#define MS 1000000ll

static const int64_t attempt_bounds[] = {        /* 1 ms, doubling */
    1 * MS, 2 * MS, 4 * MS, 8 * MS, 16 * MS, 32 * MS, 64 * MS, 128 * MS, 256 * MS, 512 * MS,
    1024 * MS, 2048 * MS, 4096 * MS, 8192 * MS, 16384 * MS,
};
static const int64_t sli_bounds[] = {            /* 10 ms, doubling */
    10 * MS, 20 * MS, 40 * MS, 80 * MS, 160 * MS, 320 * MS, 640 * MS, 1280 * MS, 2560 * MS,
    5120 * MS, 10240 * MS, 20480 * MS, 40960 * MS, 81920 * MS, 163840 * MS, 327680 * MS,
    655360 * MS, 1310720 * MS, 2621440 * MS, 5242880 * MS,
};
static const int64_t count_bounds[] = { 1, 2, 4, 8, 16 };
static const int64_t victim_bounds[] = { 1, 2, 4, 8, 16, 32, 64 };

static const struct metric_family
    f_attempts = { "scheduler_schedule_attempts_total", "Number of attempts to schedule pods, by "
                   "the result.", METRIC_COUNTER, NULL, 0, 0 },
    f_duration = { "scheduler_scheduling_attempt_duration_seconds", "Scheduling attempt latency in "
                   "seconds (scheduling algorithm + binding).", METRIC_HISTOGRAM, attempt_bounds,
                   ARRAY_LEN(attempt_bounds), 0 },
    f_sli = { "scheduler_pod_scheduling_sli_duration_seconds", "E2e latency for a pod being "
              "scheduled, from the time the pod enters the scheduling queue.", METRIC_HISTOGRAM,
              sli_bounds, ARRAY_LEN(sli_bounds), 0 },
    f_tries = { "scheduler_pod_scheduling_attempts", "Number of attempts to successfully schedule "
                "a pod.", METRIC_HISTOGRAM, count_bounds, ARRAY_LEN(count_bounds), 1 },
    f_pending = { "scheduler_pending_pods", "Number of pending pods, by the queue type.",
                  METRIC_GAUGE, NULL, 0, 0 },
    f_preempt = { "scheduler_preemption_attempts_total", "Total preemption attempts in the "
                  "cluster till now.", METRIC_COUNTER, NULL, 0, 0 },
    f_victims = { "scheduler_preemption_victims", "Number of selected preemption victims.",
                  METRIC_HISTOGRAM, victim_bounds, ARRAY_LEN(victim_bounds), 1 };

static const char *const results[SCHED_RESULT_MAX] = {
    [SCHED_SCHEDULED] = "scheduled", [SCHED_UNSCHEDULABLE] = "unschedulable",
    [SCHED_ERROR] = "error",
};

void sched_metric_attempt(struct sched *s, enum sched_result result, int64_t begun_ns)
{
    struct sched_figures *f = &s->figures;

    atomic_fetch_add_explicit(&f->attempts[result], 1, memory_order_relaxed);
    metric_hist_add(&f->duration[result], &f_duration, metric_now_ns() - begun_ns);
}

void sched_metric_bound(struct sched *s, unsigned attempts, int64_t queued_ns)
{
    metric_hist_add(&s->figures.sli, &f_sli, metric_now_ns() - queued_ns);
    metric_hist_add(&s->figures.tries, &f_tries, attempts);
}

void sched_metric_preempt(struct sched *s, size_t victims)
{
    atomic_fetch_add_explicit(&s->figures.preempt, 1, memory_order_relaxed);
    if (victims)
        metric_hist_add(&s->figures.victims, &f_victims, (int64_t)victims);
}

void sched_metric_state(struct sched_pod *p, enum sched_state state)
{
    struct sched_figures *f = &p->s->figures;

    atomic_fetch_sub_explicit(&f->pods[p->state], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&f->pods[state], 1, memory_order_relaxed);
    p->state = state;
}

static void write_results(const struct sched *s, const struct metric_family *family,
                          struct buf *out)
{
    const struct sched_figures *f = &s->figures;

    metric_write_head(out, family);
    for (unsigned i = 0; i < SCHED_RESULT_MAX; i++) {
        _cleanup_buf_ struct buf labels = BUF_INIT;

        metric_label(&labels, "profile", s->name);
        metric_label(&labels, "result", results[i]);
        if (family == &f_duration)
            metric_write_hist(out, family, labels.p, &f->duration[i]);
        else
            metric_write_u64(out, family, labels.p, f->attempts[i]);
    }
}

static void write_pending(const struct sched *s, struct buf *out)
{
    static const struct { const char *labels; enum sched_state state; } rows[] = {
        { "queue=\"active\"", SCHED_ACTIVE }, { "queue=\"backoff\"", SCHED_BACKOFF },
        { "queue=\"unschedulable\"", SCHED_PARKED }, { "queue=\"gated\"", SCHED_GATED },
    };

    metric_write_head(out, &f_pending);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int64_t n = atomic_load_explicit(&s->figures.pods[rows[i].state], memory_order_relaxed);

        metric_write_u64(out, &f_pending, rows[i].labels, n > 0 ? (uint64_t)n : 0);
    }
}

static void write_hist(struct buf *out, const struct metric_family *f, const struct metric_hist *h)
{
    metric_write_head(out, f);
    metric_write_hist(out, f, NULL, h);
}

void sched_metrics(const struct sched *s, struct buf *out)
{
    write_results(s, &f_attempts, out);
    write_results(s, &f_duration, out);
    write_hist(out, &f_sli, &s->figures.sli);
    write_hist(out, &f_tries, &s->figures.tries);
    write_pending(s, out);
    metric_write_one(out, &f_preempt, s->figures.preempt);
    write_hist(out, &f_victims, &s->figures.victims);
}
