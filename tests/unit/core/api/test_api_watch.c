#include "tests/unit/core/api/api_fix.h"

static void make(struct fix *f, const char *name, const char *labels)
{
    char body[256];

    snprintf(body, sizeof(body), "{\"metadata\":{\"name\":\"%s\",\"labels\":{%s}}}", name, labels);
    ANSWERS(api_peer_post(f->peer, CMS, body), 201);
}

/* "ADDED a", "BOOKMARK ", "ERROR 410"; "" at the end. */
static const char *event(struct api_stream *s, char out[160])
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    const char *line = api_stream_line(s), *name;
    struct json *e;

    out[0] = '\0';
    if (!line)
        return out;
    EXPECT(json_parse(&e, a, line, strlen(line), NULL, NULL) == 0);
    name = json_path_str(e, "object.metadata.name");
    if (str_eq(json_get_str(e, "type"), "ERROR"))
        snprintf(out, 160, "ERROR %lld",
                 (long long)json_get_int(json_get(e, "object"), "code", 0));
    else
        snprintf(out, 160, "%s %s", json_get_str(e, "type"), name ? name : "");
    return out;
}

static char *revision(struct fix *f, char out[32])
{
    snprintf(out, 32, "%s", fix_str(api_peer_get(f->peer, CMS), "metadata.resourceVersion"));
    return out;
}

/* Nothing that happens between list and watch is lost, and nothing comes twice. */
TEST(resume)
{
    struct fix f = fix_new();
    char at[32], path[256], e[160];
    struct api_stream *s;

    make(&f, "before", "");
    revision(&f, at);
    make(&f, "a", "");
    ANSWERS(api_peer_patch(f.peer, CMS "/a", "merge", "{\"data\":{\"k\":\"v\"}}"), 200);
    ANSWERS(api_peer_delete(f.peer, CMS "/a", NULL), 200);
    snprintf(path, sizeof(path), CMS "?watch=1&resourceVersion=%s", at);
    s = api_peer_watch(f.peer, path, NULL);
    EXPECT_STR(event(s, e), "ADDED a");
    EXPECT_STR(event(s, e), "MODIFIED a");
    EXPECT_STR(event(s, e), "DELETED a");
    make(&f, "live", "");
    EXPECT_STR(event(s, e), "ADDED live");
    EXPECT(api_stream_is_quiet(s, 50));
    api_stream_free(s);
    fix_close(&f);
}

TEST(initial)
{
    struct fix f = fix_new();
    struct api_stream *s;
    char e[160];

    make(&f, "a", "");
    make(&f, "b", "");
    s = api_peer_watch(f.peer, CMS "?watch=true&sendInitialEvents=true&allowWatchBookmarks=true"
                       "&resourceVersionMatch=NotOlderThan", NULL);
    EXPECT_STR(event(s, e), "ADDED a");
    EXPECT_STR(event(s, e), "ADDED b");
    EXPECT_STR(event(s, e), "BOOKMARK ");
    make(&f, "c", "");
    EXPECT_STR(event(s, e), "ADDED c");
    api_stream_free(s);
    fix_close(&f);
}

/* Coming into sight of a selector is ADDED, going out of it DELETED. */
TEST(selector)
{
    struct fix f = fix_new();
    char at[32], path[256], e[160];
    struct api_stream *s;

    revision(&f, at);
    snprintf(path, sizeof(path), CMS "?watch=1&labelSelector=x%%3D1&resourceVersion=%s", at);
    s = api_peer_watch(f.peer, path, NULL);
    make(&f, "a", "");
    make(&f, "b", "\"x\":\"1\"");
    EXPECT_STR(event(s, e), "ADDED b");
    ANSWERS(api_peer_patch(f.peer, CMS "/a", "merge", "{\"metadata\":{\"labels\":{\"x\":\"1\"}}}"),
            200);
    EXPECT_STR(event(s, e), "ADDED a");
    ANSWERS(api_peer_patch(f.peer, CMS "/b", "merge", "{\"metadata\":{\"labels\":{\"x\":\"2\"}}}"),
            200);
    EXPECT_STR(event(s, e), "DELETED b");
    ANSWERS(api_peer_delete(f.peer, CMS "/b", NULL), 200);
    EXPECT(api_stream_is_quiet(s, 50));
    api_stream_free(s);
    s = api_peer_watch(f.peer, CMS "?watch=1&fieldSelector=metadata.name%3Da", NULL);
    EXPECT_STR(event(s, e), "ADDED a");
    api_stream_free(s);
    fix_close(&f);
}

/* The past of before a restart is gone: 410, told inside of the stream. */
TEST(expired)
{
    struct fix f = fix_new();
    char at[32], path[256], e[160];
    struct api_stream *s;

    revision(&f, at);
    make(&f, "a", "");
    make(&f, "b", "");
    fix_close(&f);
    fix_open(&f);
    snprintf(path, sizeof(path), CMS "?watch=1&resourceVersion=%s", at);
    s = api_peer_watch(f.peer, path, NULL);
    EXPECT_STR(event(s, e), "ERROR 410");
    EXPECT_STR(event(s, e), "");
    EXPECT(api_stream_ended(s));
    api_stream_free(s);
    fix_close(&f);
}

TEST(time_out)
{
    struct fix f = fix_new();
    struct api_stream *s = api_peer_watch(f.peer, CMS "?watch=1&timeoutSeconds=1", NULL);
    char e[160];

    EXPECT_STR(event(s, e), "");
    EXPECT(api_stream_ended(s));
    api_stream_free(s);
    ANSWERS(api_peer_get(f.peer, CMS "?watch=1&resourceVersion=x"), 500);
    ANSWERS(api_peer_get(f.peer, CMS "?watch=1&labelSelector=%3D"), 400);
    fix_close(&f);
}

TEST(table)
{
    struct fix f = fix_new();
    struct api_stream *s = api_peer_watch(f.peer, CMS "?watch=1&resourceVersion=0",
                                          "application/json;as=Table;v=v1;g=meta.k8s.io");
    const char *line;

    make(&f, "a", "");
    line = api_stream_line(s);
    EXPECT(line && strstr(line, "\"columnDefinitions\":[{"));
    make(&f, "b", "");
    line = api_stream_line(s);                           /* said once */
    EXPECT(line && strstr(line, "\"columnDefinitions\":null"));
    api_stream_free(s);
    fix_close(&f);
}

/* Many watchers of one change, and the server that ends under them. */
TEST(many)
{
    struct fix f = fix_new();
    struct api_stream *s[50];
    char e[160];

    for (size_t i = 0; i < ARRAY_LEN(s); i++)
        s[i] = api_peer_watch(f.peer, CMS "?watch=1", NULL);
    make(&f, "a", "");
    for (size_t i = 0; i < ARRAY_LEN(s); i++)
        EXPECT_STR(event(s[i], e), "ADDED a");
    for (size_t i = 0; i < ARRAY_LEN(s) / 2; i++)
        s[i] = api_stream_free(s[i]);
    make(&f, "b", "");
    for (size_t i = ARRAY_LEN(s) / 2; i < ARRAY_LEN(s); i++) {
        EXPECT_STR(event(s[i], e), "ADDED b");
        api_stream_free(s[i]);
    }
    fix_close(&f);
}
