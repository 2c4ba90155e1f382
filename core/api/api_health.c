/* api_health.c: /livez, /readyz, /healthz: real checks under upstream's names and words. The pages
 * tell no reasons, as they are for everyone: those go to the log. */
#include "core/api/api_call.h"

#include "core/base/log.h"
#include "core/base/metric.h"

#define EXCLUDED_MAX 64

struct probe { const char *name; bool for_live, for_ready; api_check_fn run; };

/* --- our own checks; ctx is the api */

static int always(void *ctx, struct err *err)
{
    (void)ctx;
    (void)err;
    return 0;
}

static int store(void *ctx, struct err *err)
{
    return kv_health(((struct api *)ctx)->kv, err);
}

static int loaded(void *ctx, struct err *err)
{
    return ((struct api *)ctx)->ready ? 0 : err_set(err, ERR_UNAVAILABLE, "the server is starting");
}

static int staying(void *ctx, struct err *err)
{
    return ((struct api *)ctx)->stopping ? err_set(err, ERR_UNAVAILABLE, "process is shutting down")
                                         : 0;
}

static const struct probe own[] = {
    { "ping", true, true, always },
    { "log", true, true, always },
    { "etcd", true, true, store },
    { "etcd-readiness", false, true, store },
    { "informer-sync", false, true, loaded },
    { "poststarthook/start-apiserver-admission-initializer", true, true, always },
    { "shutdown", false, true, staying },
};

/* --- one page */

struct page {
    struct api_call *c;
    const char *name;                        /* "livez" */
    bool ready;
    struct buf text, failed;
    struct slice excluded[EXCLUDED_MAX];
    unsigned n_excluded;
};

/* All of a page, ours first: calls fn until it says stop. */
struct each {
    int (*fn)(struct page *p, const struct probe *check, void *ctx, void *arg);
    void *arg;
};

static int walk(struct page *p, struct each e)
{
    struct api *api = p->c->api;
    int stop = 0;

    for (size_t i = 0; i < ARRAY_LEN(own) && !stop; i++)
        if (p->ready ? own[i].for_ready : own[i].for_live)
            stop = e.fn(p, &own[i], api, e.arg);
    for (unsigned i = 0; i < api->more.n_checks && !stop; i++) {
        const struct probe more = { api->more.checks[i].name, true, true, api->more.checks[i].run };

        stop = e.fn(p, &more, api->more.ctx, e.arg);
    }
    return stop;
}

static void find_excluded(struct page *p)
{
    for (unsigned i = 0; i < p->c->query.len; i++) {
        struct slice rest = slice_of(p->c->query.v[i].val), one;

        if (!str_eq(p->c->query.v[i].key, "exclude"))
            continue;
        while (rest.len && p->n_excluded < EXCLUDED_MAX && slice_split(&rest, ',', &one))
            p->excluded[p->n_excluded++] = one;
    }
}

/* Once: what is left over names no check. */
static bool take_excluded(struct page *p, const char *name)
{
    for (unsigned i = 0; i < p->n_excluded; i++)
        if (slice_is(p->excluded[i], name)) {
            p->excluded[i] = p->excluded[--p->n_excluded];
            return true;
        }
    return false;
}

static int run_one(struct page *p, const struct probe *check, void *ctx, void *arg)
{
    struct err err = ERR_INIT;

    (void)arg;
    if (take_excluded(p, check->name)) {
        buf_fmt(&p->text, "[+]%s excluded: ok\n", check->name);
    } else if (check->run(ctx, &err) < 0) {
        buf_fmt(&p->text, "[-]%s failed: reason withheld\n", check->name);
        buf_fmt(&p->failed, "%s%s: %s", p->failed.len ? "; " : "", check->name, err.msg);
    } else {
        buf_fmt(&p->text, "[+]%s ok\n", check->name);
    }
    return 0;
}

static void warn_left_over(struct page *p)
{
    buf_str(&p->text, "warn: some health checks cannot be excluded: no matches for ");
    for (unsigned i = 0; i < p->n_excluded; i++)
        buf_fmt(&p->text, "%s\"%.*s\"", i ? "," : "", (int)p->excluded[i].len, p->excluded[i].p);
    buf_chr(&p->text, '\n');
}

static int answer(struct api_call *c, int code, const char *text)
{
    buf_str(&c->text, text);
    c->text_type = "text/plain; charset=utf-8";
    c->code = code;
    return 0;
}

static int all(struct page *p)
{
    struct api_call *c = p->c;

    find_excluded(p);
    walk(p, (struct each){ run_one, NULL });
    if (p->n_excluded)
        warn_left_over(p);
    if (p->failed.len) {
        log_warn("health check failed", "page=%s why=\"%s\"", p->name, p->failed.p);
        buf_fmt(&p->text, "%s check failed\n", p->name);
        return answer(c, 500, p->text.p);
    }
    if (!api_query_get(&c->query, "verbose"))
        return answer(c, 200, "ok");
    buf_fmt(&p->text, "%s check passed\n", p->name);
    return answer(c, 200, p->text.p);
}

static int run_named(struct page *p, const struct probe *check, void *ctx, void *arg)
{
    struct err err = ERR_INIT;

    if (!str_eq(check->name, arg))
        return 0;
    if (check->run(ctx, &err) == 0)
        return answer(p->c, 200, "ok"), 1;
    return answer(p->c, 500, arena_printf(p->c->a, "internal server error: %s\n", err.msg)), 1;
}

int api_health(struct api_call *c)
{
    const char *name = c->path + 1, *one = strchr(name, '/');
    struct page p = { .c = c, .name = arena_strndup(c->a, name, strcspn(name, "/")) };

    p.ready = str_eq(p.name, "readyz");
    if (one && one[1]) {
        if (!walk(&p, (struct each){ run_named, (void *)(uintptr_t)(one + 1) }))
            return api_page_not_found(c);
    } else {
        all(&p);
    }
    buf_deinit(&p.text);
    buf_deinit(&p.failed);
    return 0;
}

/* --- the same as figures: /metrics/slis */

static int write_sli(struct page *p, const struct probe *check, void *ctx, void *arg)
{
    static const struct metric_family f = {
        "kubernetes_healthcheck", "This metric records the result of a single healthcheck.",
        METRIC_GAUGE, NULL, 0, 0,
    };
    _cleanup_buf_ struct buf labels = BUF_INIT;

    if (!p->c->text.len)
        metric_write_head(&p->c->text, &f);
    metric_label(&labels, "name", check->name);
    metric_label(&labels, "type", arg);
    metric_write_u64(&p->c->text, &f, labels.p, check->run(ctx, NULL) == 0);
    return 0;
}

int api_health_slis(struct api_call *c)
{
    static const char *const types[] = { "livez", "readyz" };
    struct page p = { .c = c };

    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        p.ready = i == 1;
        walk(&p, (struct each){ write_sli, (void *)(uintptr_t)types[i] });
    }
    c->text_type = METRIC_TYPE;
    c->code = 200;
    return 0;
}
