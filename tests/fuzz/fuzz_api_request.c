#include "core/api/api_call.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *line(struct arena *a, struct slice *rest)
{
    struct slice one = { "", 0 };

    if (rest->len)
        slice_split(rest, '\n', &one);
    return arena_strndup(a, one.p, one.len);
}

/* Method, path, query and Accept header, a line each; what can be said of them without a store
 * behind. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct api api;               /* counts calls, and no more */
    _cleanup_(api_call_freep) struct api_call *c = api_call_new(&api, NULL);
    struct slice rest = { (const char *)data, size };
    struct api_filter filter;

    if (!api.metrics)
        api.metrics = api_metric_new();
    if (size > 4096 || memchr(data, 0, size))
        return 0;
    c->method = line(c->a, &rest);
    c->path = line(c->a, &rest);
    api_query_parse(&c->query, c->a, line(c->a, &rest));
    c->accept = line(c->a, &rest);
    if (api_route_parse(c) < 0 || !c->route.kind)
        return 0;
    if (api_negotiate(c) < 0 || api_options_parse(c) < 0)
        return 0;
    if (api_filter_init(&filter, c) == 0)
        api_filter_deinit(&filter);
    return 0;
}
