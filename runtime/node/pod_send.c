/* pod_send.c -- status and final delete, one request of each at a time; the newest status wins,
 * also over what others write: a request of a former life of this role may arrive after ours. */
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/object/codec.h"
#include "core/object/patch.h"
#include "runtime/node/pod_self.h"
#include "runtime/node/pod_status.h"
#include "runtime/node/pod_status_int.h"

#define SEND_AGAIN_MS 1000
#define SETTLE_MS 500                    /* what is no news waits so long */
#define ARENA_BYTES (4u << 20)

struct pod_flight { struct pod *pod; };          /* pod NULL: it went away */

static struct pod_flight *take_off(struct pod *p)
{
    struct pod_flight *f = NEW(struct pod_flight);

    f->pod = p;
    return f;
}

void pod_send_orphan(struct pod *p)
{
    if (p->status_flight)
        p->status_flight->pod = NULL;
    if (p->delete_flight)
        p->delete_flight->pod = NULL;
}

/* --- status */

static void on_status(const struct client_result *r, void *ctx)
{
    struct pod_flight *f = ctx;
    struct pod *p = f->pod;

    mem_free(f);
    if (!p)
        return;
    p->status_flight = NULL;
    if (client_ok(r)) {
        mem_free(p->sent);
        p->sent = TAKE(p->sending);
        p->sent_rv = r->object ? object_rv(r->object) : 0;
        pod_send_check(p);
    } else if (r->code == 404 || r->code == 409) {
        /* Gone, or another pod of this name: the informer will say so. */
        p->sending = mem_free(p->sending);
        p->status_again_ms = pod_now_ms(p) + SEND_AGAIN_MS;
    } else {
        if (r->code)
            log_warn("pod status not written", "pod=%s/%s code=%d why=\"%s\"", p->ns, p->name,
                     r->code, r->message);
        p->sending = mem_free(p->sending);
        p->status_again_ms = pod_now_ms(p) + SEND_AGAIN_MS;
    }
    pod_touch(p);
}

/* What should be there; now_s < 0: to compare by. NULL: nothing to say. */
static char *wanted(const struct pod *p, int64_t now_s)
{
    if (p->gone || p->ending || p->self->draining)
        return NULL;
    if (p->final)
        return mem_strdup(p->final);
    if (p->adopted && p->sm.now < POD_RUN)
        return NULL;                         /* not known yet */
    return pod_status_text(p, p->sm.now == POD_DONE, now_s);
}

static void send(struct pod *p, const char *key)
{
    _cleanup_(mem_freep) char *text = wanted(p, env_wall_s(p->self->clock));
    _cleanup_(arena_freep) struct arena *a = arena_new(ARENA_BYTES);
    struct json *patch = json_object(a), *status = NULL;
    struct err err = ERR_INIT;

    if (json_parse(&status, a, text, strlen(text), NULL, &err) < 0)
        return;
    json_set_str(a, json_ensure_object(a, patch, "metadata"), "uid", p->uid);
    json_set(a, patch, "status", status);
    p->sending = mem_strdup(key);
    p->status_flight = take_off(p);
    if (client_do(p->self->client, &(struct client_req){
            .verb = CLIENT_PATCH_STRATEGIC, .kind = kind_pod(), .ns = p->ns, .name = p->name,
            .subresource = "status", .body = patch, .on_done = on_status,
            .ctx = p->status_flight }, &err) == 0)
        return;
    log_warn("pod status not written", "pod=%s/%s why=\"%s\"", p->ns, p->name, err.msg);
    p->status_flight = mem_free(p->status_flight);
    p->sending = mem_free(p->sending);
}

/* What users wait for: phase, readiness, the states of containers. Progress between them may wait a
 * little, so that a pod that starts writes twice, not six times. */
static char *news(const struct pod *p)
{
    struct buf b = BUF_INIT;

    buf_fmt(&b, "%d%d%s", p->sm.now == POD_DONE, p->deleting, p->fail_reason ? p->fail_reason : "");
    for (size_t i = 0; i < p->n_containers; i++) {
        const struct pod_container *c = &p->containers[i];

        buf_fmt(&b, ",%s%d%d%d%d%u", c->waiting ? c->waiting : "", pod_is_running(c),
                c->now.ended, pod_status_ready(c), pod_status_started(c),
                pod_is_running(c) ? c->attempts : 0);
    }
    return buf_take(&b, NULL);
}

void pod_send_status(struct pod *p)
{
    _cleanup_(mem_freep) char *key = NULL, *what = NULL;

    if (p->status_flight)
        return;
    if (pod_now_ms(p) < p->status_again_ms) {
        pod_touch_at(p, p->status_again_ms);
        return;
    }
    key = wanted(p, -1);
    if (!key || str_eq(key, p->sent))
        return;
    what = news(p);
    if (str_eq(what, p->told) && pod_now_ms(p) < p->sent_ms + SETTLE_MS) {
        pod_touch_at(p, p->sent_ms + SETTLE_MS);
        return;
    }
    send(p, key);
    mem_free(p->told);
    p->told = TAKE(what);
    p->sent_ms = pod_now_ms(p);
}

/* Whether what we told of the status would leave the API's object as it is. */
static bool still_says(const struct pod *p)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(ARENA_BYTES);
    const struct schema_type *type = kind_pod()->type;
    struct json *there = object_tree(p->object, a), *patch = json_object(a), *status, *raw, *tree;

    if (json_parse(&status, a, p->sent, strlen(p->sent), NULL, NULL) < 0)
        return true;
    json_set(a, patch, "status", status);
    if (patch_strategic(&raw, a, there, patch, type, NULL) < 0 ||
        codec_canonical(&tree, a, type, raw, NULL, NULL) < 0)
        return true;
    return json_equal(tree, there);
}

void pod_send_check(struct pod *p)
{
    if (p->sent && !p->status_flight && object_rv(p->object) > p->sent_rv && !still_says(p))
        p->sent = mem_free(p->sent);
}

bool pod_send_is_settled(const struct pod *p)
{
    _cleanup_(mem_freep) char *key = wanted(p, -1);

    return !p->status_flight && (!key || str_eq(key, p->sent));
}

/* --- delete */

static void on_delete(const struct client_result *r, void *ctx)
{
    struct pod_flight *f = ctx;
    struct pod *p = f->pod;

    mem_free(f);
    if (!p)
        return;
    p->delete_flight = NULL;
    if (client_ok(r) || r->code == 404 || r->code == 409) {
        p->delete_done = true;
    } else {
        if (r->code)
            log_warn("pod not deleted", "pod=%s/%s code=%d why=\"%s\"", p->ns, p->name, r->code,
                     r->message);
        p->status_again_ms = pod_now_ms(p) + SEND_AGAIN_MS;
        pod_touch_at(p, p->status_again_ms);
        return;
    }
    pod_touch(p);
}

void pod_send_delete(struct pod *p)
{
    struct err err = ERR_INIT;

    if (p->delete_flight || pod_now_ms(p) < p->status_again_ms)
        return;
    p->delete_flight = take_off(p);
    if (client_do(p->self->client, &(struct client_req){
            .verb = CLIENT_DELETE, .kind = kind_pod(), .ns = p->ns, .name = p->name,
            .uid_precondition = p->uid, .grace_s = 0, .on_done = on_delete,
            .ctx = p->delete_flight }, &err) == 0)
        return;
    log_warn("pod not deleted", "pod=%s/%s why=\"%s\"", p->ns, p->name, err.msg);
    p->delete_flight = mem_free(p->delete_flight);
}
