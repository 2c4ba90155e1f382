/* bench_proxy.c -- 10,000 Services of ten endpoints each, in a network namespace of its own: the
 * whole rule set, one endpoint changed, and everything written anew over what is there. */
#include <sched.h>
#include <unistd.h>

#include "core/base/mem.h"
#include "net/netlink/netlink.h"
#include "net/proxy/proxy.h"
#include "net/proxy/proxy_apply.h"
#include "net/proxy/proxy_render.h"
#include "tests/bench/bench.h"

#define SERVICES 10000
#define ENDPOINTS 10
#define CHANGES 200

static struct svcmap *before[SERVICES];

/* Service i, with its endpoint 0 as number `first`. */
static void set_service(struct proxy_render *r, unsigned i, unsigned first)
{
    const uint32_t vip = 0x0a2b0100 + i;
    const struct svcmap_in_port port = { "http", 6, 80, 0 };
    const struct svcmap_slice_port slice_port = { "http", 6, 8080 };
    struct svcmap_endpoint eps[ENDPOINTS];
    struct svcmap_slice slice = { &slice_port, 1, eps, ENDPOINTS };
    struct svcmap_in in = { .cluster_ips = &vip, .n_cluster_ips = 1, .ports = &port, .n_ports = 1,
                            .slices = &slice, .n_slices = 1 };
    struct svcmap *m;
    char key[64];

    for (unsigned k = 0; k < ENDPOINTS; k++)
        eps[k] = (struct svcmap_endpoint){ .ip = 0x0a2a0000 + (i * 7 + k * 131) % 60000 + 2,
                                           .ready = true, .serving = true, .local = k == 1 };
    eps[0].ip = 0x0a2af000 + first;
    snprintf(key, sizeof(key), "default/s%u", i);
    m = svcmap_new(&in, before[i]);
    proxy_render_set(r, key, m);
    svcmap_free(before[i]);
    before[i] = m;
}

static double cpu_now_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double apply(struct proxy_render *r, enum proxy_extent extent, double *render_s)
{
    _cleanup_(proxy_batch_deinit) struct proxy_batch b;
    struct err err = ERR_INIT;
    double start = bench_now_s(), rendered;

    proxy_batch_init(&b);
    proxy_render_batch(r, extent, &b);
    rendered = bench_now_s();
    if (proxy_apply(&b, extent == PROXY_ANEW, &err) < 0)
        bench_fail("proxy", err.msg);
    *render_s = rendered - start;
    return bench_now_s() - rendered;
}

int main(void)
{
    struct proxy_render_opts o = { .cluster = { 0x0a2a0000, 16 }, .service = { 0x0a2b0000, 16 } };
    struct proxy_render *r = proxy_render_new(&o);
    double took[CHANGES], render_s, kernel_s, cpu_s;
    char ours[64];

    if (unshare(CLONE_NEWNET) < 0) {
        printf("proxy: skipped: needs root\n");
        return 0;
    }
    for (unsigned i = 0; i < SERVICES; i++)
        set_service(r, i, 0);
    kernel_s = apply(r, PROXY_ANEW, &render_s);
    snprintf(ours, sizeof(ours), "%.0f ms (+%.0f to render)", kernel_s * 1e3, render_s * 1e3);
    bench_row("Services: 10000 with 10 endpoints each", ours, NULL, 0);
    cpu_s = cpu_now_s();
    for (unsigned i = 0; i < CHANGES; i++) {
        double start = bench_now_s();

        set_service(r, i * 37 % SERVICES, i + 1);
        apply(r, PROXY_CHANGED, &render_s);
        took[i] = bench_now_s() - start;
    }
    cpu_s = (cpu_now_s() - cpu_s) / CHANGES;     /* the rest is the kernel's wait for readers */
    snprintf(ours, sizeof(ours), "%.2f ms (CPU %.2f)", bench_median(took, CHANGES) * 1e3,
             cpu_s * 1e3);
    bench_row("Services: one endpoint of 100000 changes", ours, NULL, 0);
    kernel_s = apply(r, PROXY_ANEW, &render_s);
    snprintf(ours, sizeof(ours), "%.0f ms (+%.0f to render)", kernel_s * 1e3, render_s * 1e3);
    bench_row("Services: all of them anew, over the old rules", ours, NULL, 0);
    return 0;
}
