#include "cmd/role_slice.h"

#include <fcntl.h>

#include "core/base/fd.h"
#include "core/crypto/crypto.h"
#include "gen/views.h"

static const struct kind *kind_of(int list)
{
    return list == 0 ? kind_service() : kind_endpoint_slice();
}

static const char *dir_of(const struct role *r)
{
    return arena_printf(r->config->a, "%s/agent/slice", r->config->data_dir);
}

/* What another cluster or another node's name left does not count. */
static const char *scope_of(const struct role *r)
{
    struct slice ca = role_pem(r, ROLE_SERVER_CA);
    char hash[CRYPTO_SHA256_HEX_BYTES];

    crypto_sha256_hex(hash, ca.p, ca.len);
    return arena_printf(r->config->a, "%s %s", r->config->node_name, hash);
}

bool role_slice_wanted(const struct role *r)
{
    return !str_empty(r->config->server);
}

void role_slice_open(const struct role *r, int fds[ROLE_SLICE_LISTS])
{
    char name[OBJECT_KEY_BYTES];

    for (int i = 0; i < ROLE_SLICE_LISTS; i++) {
        fds[i] = -1;
        if (role_slice_wanted(r))
            fds[i] = open(arena_printf(r->config->a, "%s/%s", dir_of(r),
                                       client_slice_name(kind_of(i), name)),
                          O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    }
}

int role_slice_keep(struct client **out, const struct role *r, struct client *below,
                    struct job_pool *jobs, struct err *err)
{
    struct client_slice_opts o = { .dir = dir_of(r), .scope = scope_of(r), .jobs = jobs };

    return client_slice_new(out, below, &o, err) < 0 ? err_wrap(err, "slice") : 0;
}

int role_slice_read(struct client **out, const struct role *r, struct client *below,
                    int fds[ROLE_SLICE_LISTS], struct err *err)
{
    struct client_slice_fd lists[ROLE_SLICE_LISTS];
    struct client_slice_opts o = { .scope = scope_of(r), .fds = lists };

    for (int i = 0; i < ROLE_SLICE_LISTS; i++)
        if (fds[i] >= 0)
            lists[o.n_fds++] = (struct client_slice_fd){ kind_of(i), TAKE_FD(fds[i]) };
    return client_slice_new(out, below, &o, err) < 0 ? err_wrap(err, "slice") : 0;
}
