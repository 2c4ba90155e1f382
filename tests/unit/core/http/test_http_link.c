/* test_http_link.c -- connections that somebody else makes for the client. */
#include <sys/socket.h>

#include "core/http/http.h"
#include "tests/harness/test.h"

struct fix {
    struct loop *loop;
    struct http_server *s;
    struct http_client *c;
    int says;                            /* what the dial does: 0 a socket, -1, HTTP_DIAL_DIRECT */
    int ends, status;
};

static void on_request(struct http_req *r, void *ctx)
{
    (void)ctx;
    http_respond(r, &(struct http_answer){ .status = 200, .body = "x", .len = 1 });
}

static int dial(void *ctx, const char *host, uint16_t port, struct err *err)
{
    struct fix *f = ctx;
    int pair[2];

    EXPECT_STR(host, "127.0.0.1");
    EXPECT_EQ(port, http_server_port(f->s));
    if (f->says == HTTP_DIAL_DIRECT)
        return HTTP_DIAL_DIRECT;
    if (f->says < 0)
        return err_set(err, ERR_QUOTA, "no room");
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    EXPECT_OK(http_server_adopt(f->s, pair[0], NULL, err), err);
    return pair[1];
}

static void on_end(struct http_call *c, const struct err *why, void *ctx)
{
    struct fix *f = ctx;

    (void)why;
    f->ends++;
    f->status = http_call_status(c);
}

static void fix_init(struct fix *f, int says)
{
    struct http_server_opts o = { .on_request = on_request };
    struct http_client_opts co = { .dial = dial, .dial_ctx = f };
    struct err err = ERR_INIT;
    char url[64];

    *f = (struct fix){ .says = says };
    EXPECT_OK(loop_new(&f->loop, NULL, &err), &err);
    EXPECT_OK(http_server_new(&f->s, f->loop, &o, &err), &err);
    EXPECT_OK(http_server_listen(f->s, "127.0.0.1", 0, NULL, &err), &err);
    snprintf(url, sizeof(url), "http://127.0.0.1:%u", http_server_port(f->s));
    co.base_url = url;
    EXPECT_OK(http_client_new(&f->c, f->loop, &co, &err), &err);
}

static void fix_deinit(struct fix *f)
{
    http_client_free(f->c);
    http_server_free(f->s);
    loop_free(f->loop);
}

static int ask(struct fix *f, struct err *err)
{
    struct http_call_opts o = { .url = "/", .collect = true, .on_end = on_end, .ctx = f };
    struct http_call *call;

    return http_client_call(&call, f->c, &o, err);
}

TEST(a_dial_gives_a_socket_or_leaves_it)
{
    static const int says[] = { 0, HTTP_DIAL_DIRECT };

    for (size_t i = 0; i < ARRAY_LEN(says); i++) {
        _cleanup_(fix_deinit) struct fix f;
        struct err err = ERR_INIT;

        fix_init(&f, says[i]);
        EXPECT_OK(ask(&f, &err), &err);
        while (!f.ends)
            loop_step(f.loop, 10);
        EXPECT_EQ(f.status, 200);
    }
}

TEST(a_dial_that_fails_says_why)
{
    _cleanup_(fix_deinit) struct fix f;
    struct err err = ERR_INIT;

    fix_init(&f, -1);
    EXPECT_ERR(ask(&f, &err), &err, ERR_QUOTA);
    EXPECT_EQ(f.ends, 0);
}
