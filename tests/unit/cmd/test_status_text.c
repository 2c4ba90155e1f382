/* test_status_text.c -- the report as lines: cut to the width, plain without a terminal. */
#include "cmd/status_text.h"

#include "tests/harness/test.h"

static const char report[] =
    "{\"version\":\"v1\",\"command\":\"server\",\"state\":\"degraded\",\"uptimeSeconds\":65,"
    "\"roles\":[{\"name\":\"control\",\"pid\":7,\"uptimeSeconds\":60,\"memoryBytes\":6500000,"
    "\"ready\":true,\"restarts\":1},{\"name\":\"node\",\"ready\":false,\"restarts\":2,"
    "\"why\":\"ended by signal 9\"}],"
    "\"api\":{\"url\":\"https://127.0.0.1:6443\",\"ready\":true},"
    "\"nodes\":[{\"name\":\"n1\",\"ready\":false,\"reason\":\"R\",\"message\":\"line\\nbreak\"}],"
    "\"pods\":{\"total\":2,\"phases\":{\"Running\":1,\"Pending\":1},\"failing\":[{\"namespace\":"
    "\"d\",\"name\":\"p\",\"reason\":\"ImagePullBackOff\",\"message\":\"\xc3\xa4\xc3\xa4\"}]},"
    "\"plugins\":[{\"name\":\"bad\",\"file\":\"bad.lua\",\"loaded\":false,\"lastError\":\"e\"}],"
    "\"problems\":[\"the node n1 is not ready\"],\"next\":\"do this\"}";

static void show(struct buf *out, struct status_look look)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    struct json *r = NULL;

    EXPECT_EQ(json_parse(&r, a, report, strlen(report), NULL, NULL), 0);
    buf_clear(out);
    status_text(out, r, &look);
}

TEST(plain_lines)
{
    _cleanup_buf_ struct buf b = BUF_INIT;

    show(&b, (struct status_look){ 0, false });
    EXPECT(str_starts(b.p, "inro v1 server: degraded, up 65s\nROLE      PID       UP "));
    EXPECT(strstr(b.p, "\ncontrol   7         60s       6.5 MB    ready, started again once\n"));
    EXPECT(strstr(b.p, "\nnode      -"));
    EXPECT(strstr(b.p, "not ready, started again several times\n          ended by signal 9\n"));
    EXPECT(strstr(b.p, "\nAPI       https://127.0.0.1:6443 ready\n"));
    EXPECT(strstr(b.p, "\nnodes     0 of 1 ready\n  n1: R: line break\n"));
    EXPECT(strstr(b.p, "\npods      2: 1 Running, 1 Pending\n  d/p: ImagePullBackOff: "));
    EXPECT(strstr(b.p, "\n  bad.lua does not load: e\n"));
    EXPECT(strstr(b.p, "\nproblems\n  the node n1 is not ready\nnext      do this\n"));
    EXPECT(!strchr(b.p, '\033'));
}

TEST(width_and_colour)
{
    _cleanup_buf_ struct buf b = BUF_INIT;

    show(&b, (struct status_look){ 26, false });
    EXPECT(strstr(b.p, "\n  d/p: ImagePullBackOff: \xc3\xa4\n"));
    for (const char *at = b.p, *end; (end = strchr(at, '\n')); at = end + 1)
        EXPECT(end - at <= 27);
    show(&b, (struct status_look){ 0, true });
    EXPECT(str_starts(b.p, "\033[31minro v1 server: degraded"));
}
