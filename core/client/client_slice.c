#include "core/client/client_slice_impl.h"

#include <stdio.h>

#include "core/base/check.h"
#include "core/base/fd.h"
#include "core/base/log.h"
#include "core/base/mem.h"

void client_slice_heard(struct client_slice *c, bool here)
{
    if (here && c->server == CLIENT_SLICE_AWAY)
        log_info("the server is back", "client=%s", c->name);
    if (!here && c->server != CLIENT_SLICE_AWAY)
        log_warn("the server is out of reach: going on with what this node knows", "client=%s",
                 c->name);
    c->server = here ? CLIENT_SLICE_HERE : CLIENT_SLICE_AWAY;
}

static struct client *client_slice_free(struct client *base)
{
    struct client_slice *c = client_slice_of(base);

    client_slice_watch_drop(c);
    client_slice_call_drop(c);
    client_free(c->inner);
    client_slice_disk_close(c);
    mem_free(c->name);
    mem_free(c->scope);
    mem_free(c);
    return NULL;
}

static const struct client_ops client_slice_ops = {
    .do_req = client_slice_call_do,
    .watch = client_slice_watch_new,
    .watch_free = client_slice_watch_free,
    .free = client_slice_free,
};

int client_slice_new(struct client **out, struct client *inner,
                     const struct client_slice_opts *o, struct err *err)
{
    struct client_slice *c = NEW(struct client_slice);

    check(!o->dir || o->jobs);
    c->name = mem_strdup(inner->name);
    c->scope = mem_strdup(o->scope);
    c->base = (struct client){ .ops = &client_slice_ops, .loop = inner->loop, .name = c->name };
    c->jobs = o->jobs;
    c->dir = -1;
    list_init(&c->topics);
    list_init(&c->calls);
    if (client_slice_disk_open(c, o, err) < 0) {
        client_slice_free(&c->base);
        return -1;
    }
    c->inner = inner;
    *out = &c->base;
    return 0;
}

void client_slice_stop(struct client *c)
{
    check(c->ops == &client_slice_ops);
    client_slice_of(c)->jobs = NULL;
}

bool client_slice_is_away(const struct client *c)
{
    check(c->ops == &client_slice_ops);
    return container_of(c, const struct client_slice, base)->server == CLIENT_SLICE_AWAY;
}

const char *client_slice_name(const struct kind *k, char out[OBJECT_KEY_BYTES])
{
    snprintf(out, OBJECT_KEY_BYTES, "%s%s%s", k->resource, *k->group ? "." : "", k->group);
    return out;
}
