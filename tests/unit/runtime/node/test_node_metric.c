/* test_node_metric.c -- pages of figures of a node with one pod. */
#include "runtime/node/node_metric.h"

#include <unistd.h>

#include "tests/unit/runtime/node/pod_box.h"

static const char *page(struct buf *b, struct pod_box *box,
                        void (*write)(struct buf *, struct node_self *))
{
    buf_clear(b);
    write(b, &box->self);
    return b->p;
}

TEST(of_a_pod_that_runs)
{
    _cleanup_buf_ struct buf b = BUF_INIT;
    struct pod_box box;
    const char *text;

    pod_box_init(&box);
    box.self.pods = box.pods;
    text = page(&b, &box, node_metric_node);
    EXPECT(strstr(text, "kubelet_running_pods 0\n"));
    pod_box_pod(&box, "a", QUICK ONE);
    fake_client_run(box.f);
    EXPECT_STR(pod_box_says(&box, "a"), "Running/True");
    text = page(&b, &box, node_metric_node);
    EXPECT(strstr(text, "kubelet_node_name{node=\"n1\"} 1\n"));
    EXPECT(strstr(text, "kubelet_running_pods 1\n"));
    EXPECT(strstr(text, "kubelet_running_containers{container_state=\"running\"} 1\n"));
    EXPECT(strstr(text, "kubelet_started_pods_total 1\n"));
    EXPECT(strstr(text, "kubelet_started_containers_total 1\n"));
    EXPECT(strstr(text, "kubelet_pod_start_duration_seconds_count 1\n"));

    text = page(&b, &box, node_metric_resource);
    EXPECT(strstr(text, "container_cpu_usage_seconds_total{container=\"web\",namespace=\"default\","
                        "pod=\"a\"} 1234.567890123 17672256"));
    EXPECT(strstr(text, "pod_memory_working_set_bytes{namespace=\"default\",pod=\"a\"} 1234567 "));
    EXPECT(strstr(text, "node_cpu_usage_seconds_total "));
    EXPECT(strstr(text, "resource_scrape_error 0\n"));

    text = page(&b, &box, node_metric_cadvisor);
    EXPECT(strstr(text, "_cpu_usage_seconds_total{container=\"\",cpu=\"total\",id=\"/pod"));
    EXPECT(strstr(text, "container_cpu_usage_seconds_total{container=\"web\",cpu=\"total\","));
    EXPECT(strstr(text, "container_memory_working_set_bytes{container=\"web\",id=\"/pod"));
    EXPECT(strstr(text, "machine_cpu_cores "));

    EXPECT_EQ(fake_client_delete(box.f, kind_pod(), "default", "a", NULL), 200);
    fake_client_run(box.f);
    text = page(&b, &box, node_metric_cadvisor);
    EXPECT(!strstr(text, "pod=\"a\""));
    EXPECT(strstr(page(&b, &box, node_metric_node), "kubelet_desired_pods 0\n"));
    pod_box_deinit(&box);
}

TEST(failures_and_probes)
{
    _cleanup_buf_ struct buf b = BUF_INIT;
    struct pod_box box;
    const char *text;

    pod_box_init(&box);
    box.self.pods = box.pods;
    pod_box_pod(&box, "a", QUICK ONE);
    fake_client_run(box.f);
    podset_find_name(box.pods, "default", "a", "")->containers[0]
        .probed.n[PROBE_LIVENESS][PROBE_BAD] = 3;
    text = page(&b, &box, node_metric_probes);
    EXPECT(strstr(text, "prober_probe_total{container=\"web\",namespace=\"default\",pod=\"a\","
                        "pod_uid=\""));
    EXPECT(strstr(text, "\",probe_type=\"Liveness\",result=\"failed\"} 3\n"));
    EXPECT(!strstr(text, "Readiness"));
    pod_box_deinit(&box);
}
