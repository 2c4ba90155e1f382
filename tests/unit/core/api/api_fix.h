/* tests/unit/core/api/api_fix.h -- what the tests of this room begin with. */
#ifndef TESTS_UNIT_CORE_API_API_FIX_H
#define TESTS_UNIT_CORE_API_API_FIX_H

#include "tests/fake/api_peer.h"
#include "tests/harness/test.h"

#define CMS "/api/v1/namespaces/default/configmaps"
#define PODS "/api/v1/namespaces/default/pods"
#define SVCS "/api/v1/namespaces/default/services"
#define DEPLOYS "/apis/apps/v1/namespaces/default/deployments"
#define POD_BODY(name, more) "{\"metadata\":{\"name\":\"" name "\"" more "},\"spec\":{" \
    "\"automountServiceAccountToken\":false,\"containers\":[{\"name\":\"c\",\"image\":\"i:1\"}]}}"

struct fix { struct api_box *box; struct api_peer *peer; };

static inline void fix_open(struct fix *f)
{
    struct err err = ERR_INIT;

    EXPECT_OK(api_box_new(&f->box, test_tmpdir(), 0, &err), &err);
    EXPECT_OK(api_peer_new(&f->peer, f->box, "admin", "system:masters", &err), &err);
}

static inline void fix_close(struct fix *f)
{
    f->peer = api_peer_free(f->peer);
    f->box = api_box_free(f->box);
}

/* A cluster where pods can be made: the account they run as is there. */
static inline struct fix fix_new(void)
{
    struct fix f = { 0 };

    fix_open(&f);
    EXPECT_EQ(api_peer_post(f.peer, "/api/v1/namespaces/default/serviceaccounts",
                            "{\"metadata\":{\"name\":\"default\"}}")->code, 201);
    return f;
}

static inline void fix_answers(const char *file, int line, const struct api_reply *r, int code)
{
    if (r->code != code)
        test_fail(file, line, "answered %d, not %d: %.1500s", r->code, code, r->text);
}
#define ANSWERS(reply, code) fix_answers(__FILE__, __LINE__, (reply), (code))

static inline const char *fix_str(const struct api_reply *r, const char *path)
{
    const char *s = json_path_str(r->json, path);

    return s ? s : "";
}

static inline int64_t fix_int(const struct api_reply *r, const char *path)
{
    const struct json *v = json_path(r->json, path);

    return v ? v->i : -1;
}

/* "a b c": the names of the items of a list, of the rows of a Table. */
static inline const char *fix_names(const struct api_reply *r, char out[256])
{
    const struct json *items = json_get(r->json, "items"), *rows = json_get(r->json, "rows");
    size_t n = json_len(items ? items : rows), at = 0;

    out[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        const struct json *o = items ? json_at(items, i) : json_get(json_at(rows, i), "object");
        const char *name = json_path_str(o, "metadata.name");

        at += (size_t)snprintf(out + at, 256 - at, "%s%s", i ? " " : "", name ? name : "?");
    }
    return out;
}

#endif
