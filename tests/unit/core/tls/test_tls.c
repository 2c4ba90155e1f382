#include "core/tls/tls.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "core/base/mem.h"
#include "tests/harness/test.h"

struct id { struct buf cert, key; };
struct side { struct tls_ctx *ctx; struct tls *s; int fd; struct err err; int shaken; };
struct pair { struct crypto_key *ca_key; struct crypto_cert *ca; struct buf ca_pem; struct side c,
              s; };

static void id_free(struct id *id)
{
    buf_deinit(&id->cert);
    buf_deinit(&id->key);
}

static struct id issue(struct pair *p, const char *cn, unsigned uses, int64_t lifetime)
{
    const char *const dns[] = { "server", NULL };
    struct crypto_issue what = { .cn = cn, .uses = uses, .dns = uses & CRYPTO_USE_SERVER ? dns
                                 : NULL,
                                 .not_before_s = time(NULL) - 3600,
                                 .not_after_s = time(NULL) + lifetime };
    struct crypto_key *key;
    struct id id = { BUF_INIT, BUF_INIT };
    struct err err = ERR_INIT;

    EXPECT_OK(crypto_key_new(&key, &err), &err);
    EXPECT_OK(crypto_key_write(&id.key, key, &err), &err);
    EXPECT_OK(crypto_cert_issue(&id.cert, p->ca, p->ca_key, key, &what, &err), &err);
    crypto_key_unref(key);
    return id;
}

static struct pair pair_new(void)
{
    struct pair p = { .ca_pem = BUF_INIT };
    struct crypto_issue what = { .cn = "ca", .uses = CRYPTO_USE_CA, .not_before_s = time(NULL) - 60,
                                 .not_after_s = time(NULL) + 3600 };
    struct err err = ERR_INIT;
    int fds[2];

    EXPECT_OK(crypto_key_new(&p.ca_key, &err), &err);
    EXPECT_OK(crypto_ca_new(&p.ca_pem, p.ca_key, &what, &err), &err);
    EXPECT_OK(crypto_cert_parse(&p.ca, p.ca_pem.p, p.ca_pem.len, &err), &err);
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    p.c.fd = fds[0];
    p.s.fd = fds[1];
    return p;
}

static void pair_free(struct pair *p)
{
    tls_free(p->c.s);
    tls_free(p->s.s);
    tls_ctx_unref(p->c.ctx);
    tls_ctx_unref(p->s.ctx);
    crypto_cert_unref(p->ca);
    crypto_key_unref(p->ca_key);
    buf_deinit(&p->ca_pem);
    close(p->c.fd);
    close(p->s.fd);
}

static struct slice of(const struct buf *b)
{
    return (struct slice){ b->p ? b->p : "", b->len };
}

static void serve(struct pair *p, const struct id *id)
{
    static const char *const alpn[] = { "h2", "http/1.1", NULL };
    struct tls_ctx_opts o = { .server = true, .want_peer = true, .alpn = alpn,
                              .ca_pem = of(&p->ca_pem),
                              .cert_pem = of(&id->cert), .key_pem = of(&id->key) };
    struct err err = ERR_INIT;

    EXPECT_OK(tls_ctx_new(&p->s.ctx, &o, &err), &err);
    EXPECT_OK(tls_new(&p->s.s, p->s.ctx, p->s.fd, NULL, &err), &err);
}

/* id NULL: no certificate. */
static void call(struct pair *p, const struct id *id, const char *name, const struct buf *roots)
{
    static const char *const alpn[] = { "http/1.1", NULL };
    struct tls_ctx_opts o = { .ca_pem = of(roots ? roots : &p->ca_pem), .alpn = alpn };
    struct err err = ERR_INIT;

    if (id) {
        o.cert_pem = of(&id->cert);
        o.key_pem = of(&id->key);
    }
    EXPECT_OK(tls_ctx_new(&p->c.ctx, &o, &err), &err);
    EXPECT_OK(tls_new(&p->c.s, p->c.ctx, p->c.fd, name, &err), &err);
}

/* Both ends in turn, until each is open or failed. */
static void shake(struct pair *p)
{
    p->c.shaken = p->s.shaken = TLS_AGAIN;
    for (int i = 0; i < 100 && (p->c.shaken == TLS_AGAIN || p->s.shaken == TLS_AGAIN); i++) {
        if (p->c.shaken == TLS_AGAIN)
            p->c.shaken = tls_handshake(p->c.s, &p->c.err);
        if (p->s.shaken == TLS_AGAIN)
            p->s.shaken = tls_handshake(p->s.s, &p->s.err);
        if (p->c.shaken == -1 || p->s.shaken == -1)
            break;
    }
}

TEST(both_ways)
{
    struct pair p = pair_new();
    struct id server = issue(&p, "server", CRYPTO_USE_SERVER, 3600);
    struct id client = issue(&p, "jane", CRYPTO_USE_CLIENT, 3600);
    struct err err = ERR_INIT;
    char got[64];

    serve(&p, &server);
    call(&p, &client, "server", NULL);
    shake(&p);
    EXPECT_EQ(p.c.shaken, 0);
    EXPECT_EQ(p.s.shaken, 0);
    EXPECT_STR(tls_version(p.c.s), "TLSv1.3");
    EXPECT_STR(tls_alpn(p.s.s), "http/1.1");
    EXPECT_STR(crypto_cert_names(tls_peer(p.s.s))->cn, "jane");
    EXPECT(!tls_peer_why(p.s.s));
    EXPECT_EQ(tls_read(p.s.s, got, sizeof(got), &err), TLS_AGAIN);
    EXPECT_EQ(tls_write(p.c.s, "hello", 5, &err), 5);
    EXPECT_EQ(tls_read(p.s.s, got, 2, &err), 2);
    EXPECT_EQ(tls_pending(p.s.s), 3);
    EXPECT_EQ(tls_read(p.s.s, got + 2, sizeof(got) - 2, &err), 3);
    EXPECT_MEM(got, "hello", 5);
    EXPECT_EQ(tls_shutdown(p.c.s, &err), 0);
    EXPECT_EQ(tls_read(p.s.s, got, sizeof(got), &err), 0);
    id_free(&server);
    id_free(&client);
    pair_free(&p);
}

/* What the server thinks of a client's certificate: the handshake stands, the reason is told. */
static void client_is_refused(const struct id *client, struct pair *p)
{
    struct id server = issue(p, "server", CRYPTO_USE_SERVER, 3600);

    serve(p, &server);
    call(p, client, "server", NULL);
    shake(p);
    EXPECT_EQ(p->s.shaken, 0);
    EXPECT(tls_peer(p->s.s));
    EXPECT(tls_peer_why(p->s.s));
    id_free(&server);
}

TEST(expired_client)
{
    struct pair p = pair_new();
    struct id client = issue(&p, "old", CRYPTO_USE_CLIENT, -60);

    client_is_refused(&client, &p);
    id_free(&client);
    pair_free(&p);
}

TEST(client_of_another_ca)
{
    struct pair p = pair_new(), other = pair_new();
    struct id client = issue(&other, "mallory", CRYPTO_USE_CLIENT, 3600);

    client_is_refused(&client, &p);
    id_free(&client);
    pair_free(&p);
    pair_free(&other);
}

/* A server's certificate is none of a client. */
TEST(wrong_use)
{
    struct pair p = pair_new();
    struct id client = issue(&p, "server", CRYPTO_USE_SERVER, 3600);

    client_is_refused(&client, &p);
    id_free(&client);
    pair_free(&p);
}

TEST(no_certificate)
{
    struct pair p = pair_new();
    struct id server = issue(&p, "server", CRYPTO_USE_SERVER, 3600);

    serve(&p, &server);
    call(&p, NULL, "server", NULL);
    shake(&p);
    EXPECT_EQ(p.s.shaken, 0);
    EXPECT(!tls_peer(p.s.s));
    id_free(&server);
    pair_free(&p);
}

/* What the client thinks of the server ends the handshake. */
TEST(server_of_another_ca)
{
    struct pair p = pair_new(), other = pair_new();
    struct id server = issue(&p, "server", CRYPTO_USE_SERVER, 3600);

    serve(&p, &server);
    call(&p, NULL, "server", &other.ca_pem);
    shake(&p);
    EXPECT_EQ(p.c.shaken, -1);
    EXPECT(*p.c.err.msg);
    id_free(&server);
    pair_free(&p);
    pair_free(&other);
}

TEST(wrong_name)
{
    struct pair p = pair_new();
    struct id server = issue(&p, "server", CRYPTO_USE_SERVER, 3600);

    serve(&p, &server);
    call(&p, NULL, "elsewhere", NULL);
    shake(&p);
    EXPECT_EQ(p.c.shaken, -1);
    id_free(&server);
    pair_free(&p);
}

TEST(garbage)
{
    struct pair p = pair_new();
    struct id server = issue(&p, "server", CRYPTO_USE_SERVER, 3600);
    struct err err = ERR_INIT;
    int result = TLS_AGAIN;

    serve(&p, &server);
    EXPECT(write(p.c.fd, "GET / HTTP/1.1\r\n\r\n", 18) == 18);
    for (int i = 0; i < 10 && result == TLS_AGAIN; i++)
        result = tls_handshake(p.s.s, &err);
    EXPECT_EQ(result, -1);
    id_free(&server);
    pair_free(&p);
}

/* Many peers close without a word: what is above TLS knows whether it had all. */
TEST(cut_off)
{
    struct pair p = pair_new();
    struct id server = issue(&p, "server", CRYPTO_USE_SERVER, 3600);
    struct err err = ERR_INIT;
    char got[8];

    serve(&p, &server);
    call(&p, NULL, "server", NULL);
    shake(&p);
    EXPECT_EQ(shutdown(p.c.fd, SHUT_WR), 0);
    EXPECT_EQ(tls_read(p.s.s, got, sizeof(got), &err), 0);
    id_free(&server);
    pair_free(&p);
}

TEST(reload)
{
    struct pair p = pair_new();
    struct id server = issue(&p, "server", CRYPTO_USE_SERVER, 3600);
    struct tls_ctx_opts bad = { .server = true, .cert_pem = slice_of("nonsense"),
                                .key_pem = of(&server.key) };
    struct err err = ERR_INIT;

    serve(&p, &server);
    EXPECT(tls_ctx_reload(p.s.ctx, &bad, &err) < 0);     /* all stays as it was */
    call(&p, NULL, "server", NULL);
    shake(&p);
    EXPECT_EQ(p.s.shaken, 0);
    id_free(&server);
    pair_free(&p);
}
