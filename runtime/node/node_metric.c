/* node_metric.c -- pages of figures: one walk over the groups, then family by family. */
#include "runtime/node/node_metric.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/fd.h"
#include "core/base/mem.h"
#include "core/base/vec.h"
#include "runtime/node/node_serve.h"
#include "runtime/node/node_stats.h"
#include "runtime/node/pod_self.h"
#include "runtime/node/podset.h"

#define NET_DEV "/proc/net/dev"
#define NET_DEV_BYTES_MAX (4u << 20)
#define S 1000000000ll

#define GAUGE(name, help) { name, help, METRIC_GAUGE, NULL, 0, 0 }
#define COUNTER(name, help) { name, help, METRIC_COUNTER, NULL, 0, 0 }

/* --- one walk */

struct sample {
    const struct pod *p;                 /* NULL: the node */
    const struct pod_container *c;       /* NULL: the pod as a whole */
    struct cgroup_usage u;
};

struct scrape {
    struct node_self *self;
    VEC(struct sample) v;
    int64_t now_ms;
};

static void add_sample(struct scrape *s, const struct pod *p, const struct pod_container *c)
{
    struct sample one = { .p = p, .c = c };
    char path[CGROUP_PATH_BYTES];

    snprintf(path, sizeof(path), "%s%s%s", p->group, c ? "/" : "", c ? c->now.id : "");
    if (s->self->kernel->group_usage(s->self->cgroup, path, &one.u, NULL) == 0)
        vec_push(&s->v, one);
}

static void scrape_begin(struct scrape *s, struct node_self *self)
{
    struct sample node = { 0 };
    struct pod *p;

    *s = (struct scrape){ .self = self, .now_ms = env_wall_us(self->clock) / 1000 };
    node_stats_machine(&node.u);
    vec_push(&s->v, node);
    for (size_t at = 0; (p = podset_next(self->pods, &at)) != NULL;) {
        if (!p->shim)
            continue;
        add_sample(s, p, NULL);
        for (size_t i = 0; i < p->n_containers; i++)
            if (pod_is_running(&p->containers[i]))
                add_sample(s, p, &p->containers[i]);
    }
}

/* --- values of one sample */

static double cpu(const struct sample *s) { return (double)s->u.cpu_ns / S; }
static double memory(const struct sample *s) { return (double)s->u.memory_bytes; }
static double working(const struct sample *s) { return (double)s->u.memory_working_set_bytes; }
static double rss(const struct sample *s) { return (double)s->u.memory_rss_bytes; }
static double limit(const struct sample *s) { return (double)s->u.memory_limit_bytes; }
static double faults(const struct sample *s) { return (double)s->u.memory_faults; }
static double major_faults(const struct sample *s) { return (double)s->u.memory_major_faults; }
static double ooms(const struct sample *s) { return (double)s->u.oom_kills; }
static double threads(const struct sample *s) { return (double)s->u.pids; }
static double began(const struct sample *s) { return (double)s->c->now.started_ns / S; }

enum { OF_NODE = 1, OF_POD = 2, OF_CONTAINER = 4 };

struct row {
    struct metric_family f;
    unsigned of;
    double (*value)(const struct sample *s);
    const char *extra, *extra_value;     /* one more label; or NULL */
};

static bool is_of(const struct row *r, const struct sample *s)
{
    return r->of & (s->c ? OF_CONTAINER : s->p ? OF_POD : OF_NODE);
}

/* --- metrics/resource: with the time of the look */

static const struct row resource_rows[] = {
    { COUNTER("node_cpu_usage_seconds_total",
              "Cumulative cpu time consumed by the node in core-seconds"), OF_NODE, cpu, NULL,
              NULL },
    { GAUGE("node_memory_working_set_bytes", "Current working set of the node in bytes"), OF_NODE,
      working, NULL, NULL },
    { COUNTER("container_cpu_usage_seconds_total",
              "Cumulative cpu time consumed by the container in core-seconds"), OF_CONTAINER, cpu,
              NULL, NULL },
    { GAUGE("container_memory_working_set_bytes", "Current working set of the container in bytes"),
      OF_CONTAINER, working, NULL, NULL },
    { GAUGE("container_start_time_seconds",
            "Start time of the container since unix epoch in seconds"), OF_CONTAINER, began, NULL,
            NULL },
    { COUNTER("pod_cpu_usage_seconds_total",
              "Cumulative cpu time consumed by the pod in core-seconds"), OF_POD, cpu, NULL, NULL },
    { GAUGE("pod_memory_working_set_bytes", "Current working set of the pod in bytes"), OF_POD,
      working, NULL, NULL },
};

static void resource_value(struct buf *out, const struct scrape *all, const struct row *r,
                           const struct sample *s)
{
    _cleanup_buf_ struct buf labels = BUF_INIT;

    if (s->c)
        metric_label(&labels, "container", s->c->name);
    if (s->p) {
        metric_label(&labels, "namespace", s->p->ns);
        metric_label(&labels, "pod", s->p->name);
    }
    metric_write_real(out, &r->f, labels.p, r->value(s));
    out->len--;                          /* before the line's end */
    buf_fmt(out, " %" PRId64 "\n", all->now_ms);
}

void node_metric_resource(struct buf *out, struct node_self *self)
{
    static const struct metric_family error = GAUGE("resource_scrape_error",
        "1 if there was an error while getting container metrics, 0 otherwise");
    struct scrape s;

    scrape_begin(&s, self);
    for (size_t r = 0; r < ARRAY_LEN(resource_rows); r++) {
        metric_write_head(out, &resource_rows[r].f);
        for (size_t i = 0; i < s.v.len; i++)
            if (is_of(&resource_rows[r], &s.v.v[i]))
                resource_value(out, &s, &resource_rows[r], &s.v.v[i]);
    }
    metric_write_one(out, &error, 0);
    vec_deinit(&s.v);
}

/* --- metrics/cadvisor */

static const struct row cadvisor_rows[] = {
    { COUNTER("container_cpu_usage_seconds_total", "Cumulative cpu time consumed in seconds."),
      OF_NODE | OF_POD | OF_CONTAINER, cpu, "cpu", "total" },
    { GAUGE("container_memory_usage_bytes", "Current memory usage in bytes, including all memory "
            "regardless of when it was accessed"), OF_NODE | OF_POD | OF_CONTAINER, memory, NULL,
            NULL },
    { GAUGE("container_memory_working_set_bytes", "Current working set in bytes."),
      OF_NODE | OF_POD | OF_CONTAINER, working, NULL, NULL },
    { GAUGE("container_memory_rss", "Size of RSS in bytes."), OF_POD | OF_CONTAINER, rss, NULL,
      NULL },
    { COUNTER("container_memory_failures_total", "Cumulative count of memory allocation failures."),
      OF_POD | OF_CONTAINER, faults, "failure_type", "pgfault" },
    { COUNTER("container_memory_failures_total", NULL), OF_POD | OF_CONTAINER, major_faults,
      "failure_type", "pgmajfault" },
    { COUNTER("container_oom_events_total", "Count of out of memory events observed for the "
              "container"), OF_CONTAINER, ooms, NULL, NULL },
    { GAUGE("container_threads", "Number of threads running inside the container"), OF_CONTAINER,
      threads, NULL, NULL },
    { GAUGE("container_spec_memory_limit_bytes", "Memory limit for the container."),
      OF_POD | OF_CONTAINER, limit, NULL, NULL },
    { GAUGE("container_start_time_seconds", "Start time of the container since unix epoch in "
            "seconds."), OF_CONTAINER, began, NULL, NULL },
};

static void cadvisor_value(struct buf *out, const struct row *r, const struct sample *s)
{
    _cleanup_buf_ struct buf labels = BUF_INIT;
    char id[CGROUP_PATH_BYTES] = "/";

    if (s->p)
        snprintf(id, sizeof(id), "/%s%s%s", s->p->group, s->c ? "/" : "", s->c ? s->c->now.id : "");
    metric_label(&labels, "container", s->c ? s->c->name : "");
    if (r->extra)
        metric_label(&labels, r->extra, r->extra_value);
    metric_label(&labels, "id", id);
    metric_label(&labels, "image", s->c ? s->c->image : "");
    metric_label(&labels, "name", s->c ? s->c->now.id : "");
    metric_label(&labels, "namespace", s->p ? s->p->ns : "");
    metric_label(&labels, "pod", s->p ? s->p->name : "");
    metric_write_real(out, &r->f, labels.p, r->value(s));
}

/* "link: 8 of received, 8 of sent": the host's end of a pod's link, whose directions are turned. */
static const char *find_link(const struct buf *dev, const char *name)
{
    size_t len = strlen(name);

    for (const char *line = dev->p; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        while (*line == ' ')
            line++;
        if (strncmp(line, name, len) == 0 && line[len] == ':')
            return line + len + 1;
    }
    return NULL;
}

struct traffic { uint64_t v[16]; };

static bool read_traffic(const struct buf *dev, const struct pod *p, struct traffic *out)
{
    const char *at = dev->p && p->has_lease ? find_link(dev, p->lease.host_if) : NULL;

    for (size_t i = 0; at && i < ARRAY_LEN(out->v); i++) {
        char *end;

        out->v[i] = strtoull(at, &end, 10);
        at = end > at ? end : NULL;
    }
    return at != NULL;
}

static void write_traffic(struct buf *out, const struct scrape *s)
{
    static const struct { struct metric_family f; unsigned at; } rows[] = {
        { COUNTER("container_network_receive_bytes_total", "Cumulative count of bytes received"),
          8 },
        { COUNTER("container_network_receive_packets_total", "Cumulative count of packets "
                  "received"), 9 },
        { COUNTER("container_network_receive_packets_dropped_total", "Cumulative count of packets "
                  "dropped while receiving"), 11 },
        { COUNTER("container_network_transmit_bytes_total", "Cumulative count of bytes "
                  "transmitted"), 0 },
        { COUNTER("container_network_transmit_packets_total", "Cumulative count of packets "
                  "transmitted"), 1 },
        { COUNTER("container_network_transmit_packets_dropped_total", "Cumulative count of packets "
                  "dropped while transmitting"), 3 },
    };
    _cleanup_buf_ struct buf dev = BUF_INIT;
    struct traffic t;

    if (fd_read_file(&dev, AT_FDCWD, NET_DEV, NET_DEV_BYTES_MAX, NULL) < 0)
        return;
    for (size_t r = 0; r < ARRAY_LEN(rows); r++) {
        metric_write_head(out, &rows[r].f);
        for (size_t i = 0; i < s->v.len; i++) {
            const struct sample *one = &s->v.v[i];
            _cleanup_buf_ struct buf labels = BUF_INIT;

            if (!one->p || one->c || !read_traffic(&dev, one->p, &t))
                continue;
            metric_label(&labels, "interface", "eth0");
            metric_label(&labels, "namespace", one->p->ns);
            metric_label(&labels, "pod", one->p->name);
            metric_write_u64(out, &rows[r].f, labels.p, t.v[rows[r].at]);
        }
    }
}

void node_metric_cadvisor(struct buf *out, struct node_self *self)
{
    static const struct metric_family
        cores = GAUGE("machine_cpu_cores", "Number of logical CPU cores."),
        bytes = GAUGE("machine_memory_bytes", "Amount of memory installed on the machine."),
        error = GAUGE("container_scrape_error", "1 if there was an error while getting container "
                      "metrics, 0 otherwise");
    struct scrape s;

    scrape_begin(&s, self);
    for (size_t r = 0; r < ARRAY_LEN(cadvisor_rows); r++) {
        if (cadvisor_rows[r].f.help)
            metric_write_head(out, &cadvisor_rows[r].f);
        for (size_t i = 0; i < s.v.len; i++)
            if (is_of(&cadvisor_rows[r], &s.v.v[i]))
                cadvisor_value(out, &cadvisor_rows[r], &s.v.v[i]);
    }
    write_traffic(out, &s);
    metric_write_one(out, &cores, (uint64_t)sysconf(_SC_NPROCESSORS_ONLN));
    metric_write_one(out, &bytes, (uint64_t)self->memory_bytes);
    metric_write_one(out, &error, 0);
    vec_deinit(&s.v);
}

/* --- metrics/probes */

void node_metric_probes(struct buf *out, struct node_self *self)
{
    static const struct metric_family f = COUNTER("prober_probe_total",
        "Cumulative number of a liveness, readiness or startup probe for a container by result.");
    static const char *const kinds[] = { [PROBE_STARTUP] = "Startup",
                                         [PROBE_LIVENESS] = "Liveness",
                                         [PROBE_READINESS] = "Readiness" };
    static const char *const results[] = { "successful", "failed", "unknown" };
    struct pod *p;

    metric_write_head(out, &f);
    for (size_t at = 0; (p = podset_next(self->pods, &at)) != NULL;)
        for (size_t i = 0; i < p->n_containers * PROBE_KIND_MAX * PROBE_COUNT_MAX; i++) {
            const struct pod_container *c =
                &p->containers[i / (PROBE_KIND_MAX * PROBE_COUNT_MAX)];
            size_t kind = i / PROBE_COUNT_MAX % PROBE_KIND_MAX, result = i % PROBE_COUNT_MAX;
            _cleanup_buf_ struct buf labels = BUF_INIT;

            if (!c->probed.n[kind][result])
                continue;
            metric_label(&labels, "container", c->name);
            metric_label(&labels, "namespace", p->ns);
            metric_label(&labels, "pod", p->name);
            metric_label(&labels, "pod_uid", p->uid);
            metric_label(&labels, "probe_type", kinds[kind]);
            metric_label(&labels, "result", results[result]);
            metric_write_u64(out, &f, labels.p, c->probed.n[kind][result]);
        }
}

/* --- metrics */

static const int64_t start_bounds[] = {
    S / 2, 1 * S, 2 * S, 3 * S, 4 * S, 5 * S, 6 * S, 8 * S, 10 * S, 20 * S, 30 * S, 45 * S, 60 * S,
    120 * S, 180 * S, 240 * S, 300 * S, 360 * S, 480 * S, 600 * S, 900 * S, 1200 * S, 1800 * S,
    2700 * S, 3600 * S,
};
static const struct metric_family f_start = {
    "kubelet_pod_start_duration_seconds", "Duration in seconds from kubelet seeing a pod for the "
    "first time to the pod starting to run", METRIC_HISTOGRAM, start_bounds,
    ARRAY_LEN(start_bounds), 0,
};
_Static_assert(ARRAY_LEN(start_bounds) <= METRIC_BOUNDS_MAX, "bounds fit a histogram");

void node_metric_pod_started(struct node_figures *f, int64_t took_us)
{
    f->pods_started++;
    metric_hist_add(&f->pod_start, &f_start, took_us * 1000);
}

static void write_running(struct buf *out, struct node_self *self)
{
    static const struct metric_family
        pods = GAUGE("kubelet_running_pods", "Number of pods that have a running pod sandbox"),
        desired = GAUGE("kubelet_desired_pods", "The number of pods the kubelet is being "
                        "instructed to run."),
        containers = GAUGE("kubelet_running_containers", "Number of containers currently running");
    uint64_t sandboxes = 0, running = 0, exited = 0;
    struct pod *p;

    for (size_t at = 0; (p = podset_next(self->pods, &at)) != NULL;) {
        sandboxes += p->shim != NULL;
        for (size_t i = 0; i < p->n_containers; i++) {
            running += pod_is_running(&p->containers[i]);
            exited += p->containers[i].now.ended;
        }
    }
    metric_write_one(out, &pods, sandboxes);
    metric_write_one(out, &desired, podset_len(self->pods));
    metric_write_head(out, &containers);
    metric_write_u64(out, &containers, "container_state=\"running\"", running);
    metric_write_u64(out, &containers, "container_state=\"exited\"", exited);
}

static void write_counted(struct buf *out, const struct node_figures *f)
{
    static const struct metric_family
        pods = COUNTER("kubelet_started_pods_total", "Cumulative number of pods started"),
        containers = COUNTER("kubelet_started_containers_total", "Cumulative number of containers "
                             "started"),
        failed = COUNTER("kubelet_started_containers_errors_total", "Cumulative number of errors "
                         "when starting containers");

    metric_write_one(out, &pods, f->pods_started);
    metric_write_one(out, &containers, f->containers_started);
    metric_write_one(out, &failed, f->containers_failed);
    metric_write_head(out, &f_start);
    metric_write_hist(out, &f_start, NULL, &f->pod_start);
}

void node_metric_node(struct buf *out, struct node_self *self)
{
    static const struct metric_family name = GAUGE("kubelet_node_name", "The node's name. The "
                                                   "count is always 1.");
    _cleanup_buf_ struct buf labels = BUF_INIT;

    metric_label(&labels, "node", self->conf->name);
    metric_write_head(out, &name);
    metric_write_u64(out, &name, labels.p, 1);
    write_running(out, self);
    write_counted(out, &self->figures);
    if (self->serve)
        node_serve_metrics(self->serve, out);
    if (self->more.metrics)
        self->more.metrics(self->more.ctx, out);
}
