/* test_api_metric.c: requests are counted by what they were, and who may see that. */
#include "tests/unit/core/api/api_fix.h"

static const char *page(struct fix *f)
{
    const struct api_reply *r = api_peer_get(f->peer, "/metrics");

    ANSWERS(r, 200);
    EXPECT_STR(r->type, "text/plain; version=0.0.4; charset=utf-8");
    return r->text;
}

#define LABELS(code, sub, verb, scope) "apiserver_request_total{component=\"apiserver\",code=\"" \
    code "\",dry_run=\"\",group=\"\",resource=\"configmaps\",scope=\"" scope "\",subresource=\"" \
    sub "\",verb=\"" verb "\",version=\"v1\"} "

TEST(requests_by_what_they_were)
{
    struct fix f = fix_new();
    const char *text;

    ANSWERS(api_peer_post(f.peer, CMS, "{\"metadata\":{\"name\":\"a\"}}"), 201);
    ANSWERS(api_peer_post(f.peer, CMS, "{\"metadata\":{\"name\":\"b\"}}"), 201);
    ANSWERS(api_peer_post(f.peer, CMS, "{\"metadata\":{\"name\":\"a\"}}"), 409);
    ANSWERS(api_peer_get(f.peer, CMS "/a"), 200);
    ANSWERS(api_peer_get(f.peer, CMS "/nosuch"), 404);
    ANSWERS(api_peer_get(f.peer, CMS), 200);
    ANSWERS(api_peer_get(f.peer, "/api/v1/configmaps"), 200);
    ANSWERS(api_peer_patch(f.peer, CMS "/a", "merge", "{\"data\":{\"k\":\"v\"}}"), 200);
    ANSWERS(api_peer_delete(f.peer, CMS "/b", NULL), 200);
    ANSWERS(api_peer_delete(f.peer, CMS "/b?dryRun=All", NULL), 404);
    ANSWERS(api_peer_get(f.peer, "/livez"), 200);
    text = page(&f);
    EXPECT(strstr(text, LABELS("201", "", "POST", "resource") "2\n"));
    EXPECT(strstr(text, LABELS("409", "", "POST", "resource") "1\n"));
    EXPECT(strstr(text, LABELS("200", "", "GET", "resource") "1\n"));
    EXPECT(strstr(text, LABELS("404", "", "GET", "resource") "1\n"));
    EXPECT(strstr(text, LABELS("200", "", "LIST", "namespace") "1\n"));
    EXPECT(strstr(text, LABELS("200", "", "LIST", "cluster") "1\n"));
    EXPECT(strstr(text, LABELS("200", "", "PATCH", "resource") "1\n"));
    EXPECT(strstr(text, LABELS("200", "", "DELETE", "resource") "1\n"));
    EXPECT(strstr(text, "dry_run=\"All\",group=\"\",resource=\"configmaps\""));
    EXPECT(strstr(text, "subresource=\"/livez\",verb=\"GET\",version=\"\"} 1\n"));
    EXPECT(strstr(text, "apiserver_request_duration_seconds_bucket{component=\"apiserver\","
                        "dry_run=\"\",group=\"\",resource=\"configmaps\",scope=\"resource\","
                        "subresource=\"\",verb=\"POST\",version=\"v1\",le=\"+Inf\"} 3\n"));
    EXPECT(strstr(text, "apiserver_resource_objects{group=\"\",resource=\"configmaps\"} 1\n"));
    EXPECT(strstr(text, "apiserver_admission_step_admission_duration_seconds_count{operation="
                        "\"CREATE\",rejected=\"false\",type=\"admit\"} "));
    EXPECT(strstr(text, "apiserver_current_inflight_requests{request_kind=\"mutating\"} 0\n"));
    EXPECT(strstr(text, "apiserver_current_inflight_requests{request_kind=\"readOnly\"} 1\n"));
    EXPECT(strstr(text, "inro_store_commits_total{result=\"durable\"} "));
    fix_close(&f);
}

TEST(watches_are_long)
{
    static const char watch[] = "apiserver_longrunning_requests{component=\"apiserver\",group=\"\","
        "resource=\"configmaps\",scope=\"namespace\",subresource=\"\",verb=\"WATCH\",version=\"v1\""
        "} ";
    struct fix f = fix_new();
    struct api_stream *s = api_peer_watch(f.peer, CMS "?watch=1", NULL);
    const char *text;

    ANSWERS(api_peer_post(f.peer, CMS, "{\"metadata\":{\"name\":\"a\"}}"), 201);
    EXPECT(api_stream_line(s));
    text = strstr(page(&f), watch);
    EXPECT(text && text[sizeof(watch) - 1] == '1');
    EXPECT(strstr(page(&f), "apiserver_watch_events_total{group=\"\",version=\"v1\","
                            "kind=\"ConfigMap\"} 1\n"));
    api_stream_free(s);
    (void)api_peer_get(f.peer, "/livez");
    text = strstr(page(&f), watch);
    EXPECT(text && text[sizeof(watch) - 1] == '0');
    EXPECT(strstr(page(&f), LABELS("200", "", "WATCH", "namespace") "1\n"));
    fix_close(&f);
}

TEST(who_may_look)
{
    struct fix f = fix_new();
    struct api_peer *peer;
    struct err err = ERR_INIT;

    EXPECT_OK(api_peer_new(&peer, f.box, "prometheus", "system:monitoring", &err), &err);
    ANSWERS(api_peer_get(peer, "/metrics"), 200);
    ANSWERS(api_peer_get(peer, "/livez/ping"), 200);
    ANSWERS(api_peer_get(peer, "/metrics/nosuch"), 404);
    ANSWERS(api_peer_get(peer, CMS), 403);
    peer = api_peer_free(peer);
    EXPECT_OK(api_peer_new(&peer, f.box, "joe", "people", &err), &err);
    ANSWERS(api_peer_get(peer, "/metrics"), 403);
    peer = api_peer_free(peer);
    EXPECT_OK(api_peer_new(&peer, f.box, NULL, NULL, &err), &err);
    ANSWERS(api_peer_get(peer, "/metrics"), 403);
    peer = api_peer_free(peer);
    EXPECT(strstr(page(&f), "apiserver_authorization_decisions_total{decision=\"denied\"} 3\n"));
    fix_close(&f);
}
