/* test_image_pull.c -- pulls from a registry that is played by a child of the test: one that works,
 * and many that do not. */
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/env.h"
#include "runtime/image/image_pull.h"
#include "runtime/image/image_registries.h"
#include "runtime/image/image_store.h"
#include "tests/fake/fake_image.h"
#include "tests/harness/test.h"

/* As many files "killN" as there are in the test's folder, so often it dies. */
static int pull_or_die(int argc, char **argv)
{
    if (unlink("kill1") == 0 || unlink("kill2") == 0)
        raise(SIGKILL);
    return image_child_pull(argc, argv);
}

TEST_VERB(image_pull, "pull", pull_or_die)

/* --- the registry */

enum trick {
    HONEST, CUT_ONCE, CUT_NO_RANGES, LONGER, WRONG_BYTES, STALLS, ENDLESS, LOOPS, BUSY_ONCE,
    ELSEWHERE, WRONG_RANGE,
};

#define ROUTES_MAX 16

struct route { char path[160]; const struct buf *body; enum trick trick; };

struct told {                           /* shared with the child */
    atomic_int blobs, ranges, tokens, basics, leaks, manifests, cuts;
};

struct registry {
    struct route routes[ROUTES_MAX];
    size_t n;
    bool bearer;                        /* wants a token */
    bool basic;                         /* wants u:p, at the token server or here */
    const char *tag_status;             /* of the tag's manifest: "404 Not Found"; NULL: found */
    int port, port2, sock, sock2;       /* the second is "elsewhere" */
    struct told *told;
    char name[64];                      /* 127.0.0.1:PORT/app:v1 */
};

static void reply(int fd, const char *status, const char *fields, const void *body, size_t len)
{
    struct buf b = BUF_INIT;
    struct err err = ERR_INIT;

    buf_fmt(&b, "HTTP/1.1 %s\r\n%scontent-length: %zu\r\n\r\n", status, fields, len);
    buf_add(&b, body, len);
    fd_write_all(fd, b.p, b.len, &err);
    buf_deinit(&b);
}

static void send_endless(int fd)
{
    static const char head[] = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    static char chunk[65536 + 16];
    struct err err = ERR_INIT;
    int r = fd_write_all(fd, head, sizeof(head) - 1, &err);

    memset(chunk, ' ', sizeof(chunk));
    memcpy(chunk, "10000\r\n", 7);
    memcpy(chunk + 7 + 65536, "\r\n", 2);
    while (r == 0)
        r = fd_write_all(fd, chunk, 7 + 65536 + 2, &err);
}

/* Half of the body, then the end of the connection: the first time. Ranges after that, or never. */
static void send_cut(const struct registry *r, int fd, const struct route *t, long from,
                     bool ranges)
{
    struct buf b = BUF_INIT;
    struct err err = ERR_INIT;
    char fields[100];

    if (from > 0 && ranges) {
        snprintf(fields, sizeof(fields), "content-range: bytes %ld-%zu/%zu\r\n", from,
                 t->body->len - 1,
                 t->body->len);
        reply(fd, "206 Partial Content", fields, t->body->p + from, t->body->len - (size_t)from);
        return;
    }
    if (atomic_fetch_add(&r->told->cuts, 1) > 0) {
        reply(fd, "200 OK", "", t->body->p, t->body->len);
        return;
    }
    buf_fmt(&b, "HTTP/1.1 200 OK\r\ncontent-length: %zu\r\n\r\n", t->body->len);
    buf_add(&b, t->body->p, t->body->len / 2);
    fd_write_all(fd, b.p, b.len, &err);
    shutdown(fd, SHUT_RDWR);
    buf_deinit(&b);
}

static void send_route(const struct registry *r, int fd, const struct route *t, long from)
{
    struct buf b = BUF_INIT;
    char fields[200];

    buf_add(&b, t->body->p, t->body->len);
    switch (t->trick) {
    case LONGER:
        buf_str(&b, "more than it should be");
        break;
    case WRONG_BYTES:
        b.p[b.len - 1] ^= 1;
        break;
    case CUT_ONCE: case CUT_NO_RANGES:
        send_cut(r, fd, t, from, t->trick == CUT_ONCE);
        buf_deinit(&b);
        return;
    case STALLS:
        pause();
        break;
    case ENDLESS:
        send_endless(fd);
        break;
    case LOOPS:
        snprintf(fields, sizeof(fields), "location: %s\r\n", t->path);
        reply(fd, "307 Temporary Redirect", fields, "", 0);
        buf_deinit(&b);
        return;
    case ELSEWHERE:
        snprintf(fields, sizeof(fields), "location: http://127.0.0.1:%d%s\r\n", r->port2, t->path);
        reply(fd, "302 Found", fields, "", 0);
        buf_deinit(&b);
        return;
    case WRONG_RANGE:
        reply(fd, "206 Partial Content", "content-range: bytes 7-9/10\r\n", "abc", 3);
        buf_deinit(&b);
        return;
    case BUSY_ONCE:
        if (atomic_load(&r->told->manifests) == 1) {
            reply(fd, "503 Service Unavailable", "", "later", 5);
            buf_deinit(&b);
            return;
        }
        break;
    case HONEST:
        break;
    }
    reply(fd, "200 OK", "", b.p, b.len);
    buf_deinit(&b);
}

static bool has_field(const char *head, const char *text)
{
    return strcasestr(head, text) != NULL;
}

/* False: the answer was sent, that something is to be shown first. */
static bool let_in(const struct registry *r, int fd, const char *head, const char *path)
{
    static const char basic[] = "authorization: Basic dTpw\r\n";    /* u:p */
    char fields[300];

    if (r->bearer && str_starts(path, "/token")) {
        atomic_fetch_add(&r->told->tokens, 1);
        atomic_fetch_add(&r->told->basics, has_field(head, basic));
        if (r->basic && !has_field(head, basic))
            reply(fd, "401 Unauthorized", "", "", 0);
        else if (!strstr(path, "service=fake") || !strstr(path, "scope=repository%3Aapp%3Apull"))
            reply(fd, "400 Bad Request", "", "", 0);
        else
            reply(fd, "200 OK", "", "{\"token\":\"open-sesame\"}", 23);
        return false;
    }
    if (r->bearer && !has_field(head, "authorization: Bearer open-sesame\r\n")) {
        snprintf(fields, sizeof(fields),
                 "www-authenticate: Bearer realm=\"http://127.0.0.1:%d/token\","
                 "service=\"fake\",scope=\"repository:app:pull\"\r\n", r->port);
        reply(fd, "401 Unauthorized", fields, "", 0);
        return false;
    }
    if (!r->bearer && r->basic && !has_field(head, basic)) {
        reply(fd, "401 Unauthorized", "www-authenticate: Basic realm=x\r\n", "", 0);
        return false;
    }
    return true;
}

static void serve(const struct registry *r, int fd, const char *head, bool elsewhere)
{
    static const char says[] = "{\"errors\":[{\"code\":\"SAID\",\"message\":\"why\"}]}";
    char path[1024] = "";
    const char *range = strcasestr(head, "\r\nrange: bytes=");
    long from = range ? strtol(range + 15, NULL, 10) : 0;

    sscanf(head, "GET %1023s", path);
    if (elsewhere) {
        atomic_fetch_add(&r->told->leaks, has_field(head, "\r\nauthorization:"));
    } else if (!let_in(r, fd, head, path)) {
        return;
    }
    atomic_fetch_add(&r->told->blobs, strstr(path, "/blobs/") && !elsewhere);
    atomic_fetch_add(&r->told->manifests, strstr(path, "/manifests/") != NULL);
    atomic_fetch_add(&r->told->ranges, from > 0);
    if (r->tag_status && str_eq(path, "/v2/app/manifests/v1")) {
        reply(fd, r->tag_status, "", says, sizeof(says) - 1);
        return;
    }
    path[strcspn(path, "?")] = 0;
    for (size_t i = 0; i < r->n; i++) {
        struct route t = r->routes[i];

        if (!str_eq(t.path, path))
            continue;
        if (elsewhere)
            t.trick = HONEST;
        send_route(r, fd, &t, from);
        return;
    }
    reply(fd, "404 Not Found", "", "", 0);
}

static void serve_connection(const struct registry *r, int fd, bool elsewhere)
{
    char head[8192];
    size_t n = 0;

    for (;;) {
        ssize_t got = read(fd, head + n, sizeof(head) - 1 - n);

        if (got <= 0)
            _exit(0);
        n += (size_t)got;
        head[n] = 0;
        if (!strstr(head, "\r\n\r\n"))
            continue;
        serve(r, fd, head, elsewhere);
        n = 0;
    }
}

/* Forks a process for each connection; ended with the test. */
static void serve_all(const struct registry *r, int sock, bool elsewhere)
{
    if (fork() != 0)
        return;
    signal(SIGCHLD, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    for (;;) {
        int fd = accept(sock, NULL, NULL);

        if (fork() == 0)
            serve_connection(r, fd, elsewhere);
        close(fd);
    }
}

static int listen_any(int *port)
{
    struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(sa);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    EXPECT(fd >= 0 && bind(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0 && listen(fd, 16) == 0);
    EXPECT(getsockname(fd, (struct sockaddr *)&sa, &len) == 0);
    *port = ntohs(sa.sin_port);
    return fd;
}

static void add_route(struct registry *r, const char *kind, const char *name,
                      const struct buf *body,
                      enum trick trick)
{
    struct route *t = &r->routes[r->n++];

    EXPECT(r->n <= ROUTES_MAX);
    snprintf(t->path, sizeof(t->path), "/v2/app/%s/%s", kind, name);
    t->body = body;
    t->trick = trick;
}

/* Serves the image; blob_trick is for its first layer. */
static void add_image(struct registry *r, const struct fake_image *im, enum trick tag,
                      enum trick blob)
{
    char digest[FAKE_DIGEST_BYTES];

    add_route(r, "manifests", "v1", &im->manifest, tag);
    add_route(r, "manifests", im->digest, &im->manifest, tag);
    add_route(r, "blobs", im->id, &im->config, HONEST);
    for (size_t i = 0; i < im->n; i++) {
        fake_digest(digest, &im->layer[i]);
        add_route(r, "blobs", digest, &im->layer[i], i == 0 ? blob : HONEST);
    }
}

static void start(struct registry *r)
{
    r->told = mmap(NULL, sizeof(*r->told), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
                   0);
    EXPECT(r->told != MAP_FAILED);
    r->sock = listen_any(&r->port);
    r->sock2 = listen_any(&r->port2);
    snprintf(r->name, sizeof(r->name), "127.0.0.1:%d/app:v1", r->port);
    serve_all(r, r->sock, false);
    serve_all(r, r->sock2, true);
    close(r->sock);
    close(r->sock2);
}

/* --- the puller */

static struct image_store *open_store(void)
{
    struct image_store *s = NULL;
    struct err err = ERR_INIT;
    char dir[300];

    snprintf(dir, sizeof(dir), "%s/images", test_tmpdir());
    EXPECT_OK(image_store_open(&s, dir, env_real(), &err), &err);
    return s;
}

static unsigned count_entries(const struct image_store *s, const char *dir)
{
    char path[400];
    struct dirent *e;
    unsigned n = 0;
    DIR *d;

    snprintf(path, sizeof(path), "%s/%s", image_store_dir(s), dir);
    d = opendir(path);
    EXPECT(d);
    while ((e = readdir(d)))
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

static void make_image(struct fake_image *im, int layers)
{
    for (int i = 0; i < layers; i++) {
        _cleanup_buf_ struct buf tar = BUF_INIT;
        _cleanup_buf_ struct buf noise = BUF_INIT;

        buf_reserve(&noise, 100000);
        noise.len = 100000;
        env_random(env_real(), noise.p, noise.len);
        fake_tar_add(&tar, (struct fake_entry){ .type = '0', .path = "noise", .data = noise.p,
                                                .len = noise.len, .uid = -1, .gid = -1 });
        fake_tar_add(&tar, FAKE_FILE("number", "0\0" "1\0" "2\0" "3\0" "4\0" + 2 * i));
        fake_tar_end(&tar);
        fake_image_layer(im, &tar, i % 3);
    }
    fake_image_end(im);
}

static int pull(struct image_store *s, const char *name, const char *const *secrets,
                struct err *err)
{
    struct image_pull_opts o = { .name = name, .dockerconfigs = secrets, .stall_ms = 400 };
    struct image *im = NULL;
    int r = image_pull(&im, s, &o, err);

    image_free(im);
    return r;
}

/* With one layer served by this trick: what the pull says, and that nothing stays. */
static void pull_fails(enum trick tag, enum trick blob, int code, const char *says)
{
    struct image_store *s = open_store();
    struct fake_image im = { 0 };
    struct registry r = { 0 };
    struct err err = ERR_INIT;

    make_image(&im, 2);
    add_image(&r, &im, tag, blob);
    start(&r);
    EXPECT_ERR(pull(s, r.name, NULL, &err), &err, code);
    if (!strstr(err.msg, says))
        test_fail(__FILE__, __LINE__, "it says: %s", err.msg);
    EXPECT_EQ(count_entries(s, "tmp"), 0);
    EXPECT_EQ(count_entries(s, "layers"), 0);
    EXPECT_EQ(count_entries(s, "blobs/sha256"), 0);
    image_store_free(s);
    fake_image_deinit(&im);
}

static void pull_works(enum trick tag, enum trick blob, struct registry *r)
{
    struct image_store *s = open_store();
    struct fake_image im = { 0 };
    struct err err = ERR_INIT;

    make_image(&im, 5);
    add_image(r, &im, tag, blob);
    start(r);
    EXPECT_OK(pull(s, r->name, NULL, &err), &err);
    EXPECT_EQ(count_entries(s, "layers"), 5);
    EXPECT_EQ(count_entries(s, "tmp"), 0);
    image_store_free(s);
    fake_image_deinit(&im);
}

TEST(works)
{
    struct image_store *s = open_store();
    struct fake_image im = { 0 };
    struct registry r = { 0 };
    struct image_pull_opts o = { .name = r.name };
    struct image *got = NULL;
    struct err err = ERR_INIT;
    char name[200];

    make_image(&im, 5);
    add_image(&r, &im, HONEST, HONEST);
    start(&r);
    EXPECT_OK(image_pull(&got, s, &o, &err), &err);
    EXPECT_STR(got->id, im.id);
    EXPECT_STR(got->target, im.digest);
    EXPECT_STR(got->names[0], r.name);
    EXPECT(!got->pinned);
    EXPECT_EQ(atomic_load(&r.told->blobs), 6);
    got = image_free(got);
    EXPECT_OK(image_pull(&got, s, &o, &err), &err);
    EXPECT_EQ(atomic_load(&r.told->blobs), 7);      /* only the configuration */
    got = image_free(got);
    snprintf(name, sizeof(name), "127.0.0.1:%d/app@%s", r.port, im.digest);
    o.name = name;
    EXPECT_OK(image_pull(&got, s, &o, &err), &err);
    EXPECT_STR(got->id, im.id);
    image_free(got);
    image_store_free(s);
    fake_image_deinit(&im);
}

TEST(resumes)
{
    struct registry r = { 0 };

    pull_works(HONEST, CUT_ONCE, &r);
    EXPECT_EQ(atomic_load(&r.told->ranges), 1);
}

TEST(starts_over_without_ranges)
{
    struct registry r = { 0 };

    pull_works(HONEST, CUT_NO_RANGES, &r);
    EXPECT_EQ(atomic_load(&r.told->ranges), 1);
}

TEST(tries_again)
{
    pull_works(BUSY_ONCE, HONEST, &(struct registry){ 0 });
}

static void touch(const char *name)
{
    close(open(name, O_WRONLY | O_CREAT, 0600));
}

TEST(a_killed_child_is_no_failure_of_the_registry)
{
    EXPECT_EQ(chdir(test_tmpdir()), 0);
    touch("kill1");
    pull_works(HONEST, HONEST, &(struct registry){ 0 });
    EXPECT(access("kill1", F_OK) < 0);
}

TEST(killed_again)
{
    EXPECT_EQ(chdir(test_tmpdir()), 0);
    touch("kill1");
    touch("kill2");
    pull_fails(HONEST, HONEST, ERR_FAILED, "the pulling process was killed by signal 9");
}

TEST(token)
{
    struct registry r = { .bearer = true };

    pull_works(HONEST, HONEST, &r);
    EXPECT(atomic_load(&r.told->tokens) >= 1);
    EXPECT_EQ(atomic_load(&r.told->basics), 0);
}

TEST(redirect_without_credentials)
{
    struct registry r = { .bearer = true };

    pull_works(HONEST, ELSEWHERE, &r);
    EXPECT_EQ(atomic_load(&r.told->leaks), 0);
}

static void with_secret(bool bearer)
{
    struct image_store *s = open_store();
    struct fake_image im = { 0 };
    struct registry r = { .bearer = bearer, .basic = true };
    struct err err = ERR_INIT;
    char right[200], wrong[200];
    const char *secrets[] = { wrong, right, NULL };

    make_image(&im, 1);
    add_image(&r, &im, HONEST, HONEST);
    start(&r);
    snprintf(right, sizeof(right), "{\"auths\":{\"127.0.0.1:%d\":{\"auth\":\"dTpw\"}}}", r.port);
    snprintf(wrong, sizeof(wrong), "{\"auths\":{\"127.0.0.1:%d\":{\"auth\":\"dTp4\"}}}", r.port);
    EXPECT_ERR(pull(s, r.name, NULL, &err), &err, ERR_DENIED);
    EXPECT(strstr(err.msg, "pull access denied"));
    EXPECT_OK(pull(s, r.name, secrets, &err), &err);
    secrets[1] = NULL;
    EXPECT_ERR(pull(s, r.name, secrets, &err), &err, ERR_DENIED);
    image_store_free(s);
    fake_image_deinit(&im);
}

TEST(basic_secrets)
{
    with_secret(false);
}

TEST(token_secrets)
{
    with_secret(true);
}

TEST(wrong_blob)
{
    pull_fails(HONEST, WRONG_BYTES, ERR_CORRUPT, "the registry sent sha256:");
}

TEST(longer_blob)
{
    pull_fails(HONEST, LONGER, ERR_CORRUPT, "longer than its");
}

TEST(endless_blob)
{
    pull_fails(HONEST, ENDLESS, ERR_CORRUPT, "longer than its");
}

TEST(endless_manifest)
{
    pull_fails(ENDLESS, HONEST, ERR_QUOTA, "a document of more than");
}

TEST(wrong_manifest_for_digest)
{
    struct image_store *s = open_store();
    struct fake_image im = { 0 };
    struct registry r = { 0 };
    struct err err = ERR_INIT;
    char name[200];

    make_image(&im, 1);
    add_image(&r, &im, WRONG_BYTES, HONEST);
    start(&r);
    snprintf(name, sizeof(name), "127.0.0.1:%d/app:v1@%s", r.port, im.digest);
    EXPECT_ERR(pull(s, name, NULL, &err), &err, ERR_CORRUPT);
    image_store_free(s);
    fake_image_deinit(&im);
}

TEST(redirect_loop)
{
    pull_fails(HONEST, LOOPS, ERR_CORRUPT, "redirects");
}

TEST(redirect_loop_of_manifest)
{
    pull_fails(LOOPS, HONEST, ERR_CORRUPT, "redirects");
}

TEST(wrong_range)
{
    pull_fails(HONEST, WRONG_RANGE, ERR_CORRUPT, "range");
}

TEST(stalls)
{
    pull_fails(STALLS, HONEST, ERR_TIMEOUT, "");
}

TEST_SLOW(blob_stalls, 40)
{
    pull_fails(HONEST, STALLS, ERR_TIMEOUT, "");
}

static void tag_says(const char *status, int code, const char *says)
{
    struct image_store *s = open_store();
    struct fake_image im = { 0 };
    struct registry r = { .tag_status = status };
    struct err err = ERR_INIT;

    make_image(&im, 1);
    add_image(&r, &im, HONEST, HONEST);
    start(&r);
    EXPECT_ERR(pull(s, r.name, NULL, &err), &err, code);
    if (!strstr(err.msg, says) || !strstr(err.msg, "SAID: why"))
        test_fail(__FILE__, __LINE__, "it says: %s", err.msg);
    image_store_free(s);
    fake_image_deinit(&im);
}

TEST(not_found)
{
    tag_says("404 Not Found", ERR_NOT_FOUND, "not found");
}

TEST(forbidden)
{
    tag_says("403 Forbidden", ERR_DENIED, "denied");
}

TEST(too_many_requests)
{
    tag_says("429 Too Many Requests", ERR_UNAVAILABLE, "429");
}

TEST(nonsense_status)
{
    tag_says("418 Teapot", ERR_CORRUPT, "418");
}

TEST(nobody_there)
{
    struct image_store *s = open_store();
    struct err err = ERR_INIT;
    char name[64];
    int port, fd = listen_any(&port);

    close(fd);
    snprintf(name, sizeof(name), "127.0.0.1:%d/app:v1", port);
    EXPECT_ERR(pull(s, name, NULL, &err), &err, ERR_UNAVAILABLE);
    EXPECT_ERR(pull(s, "no good", NULL, &err), &err, ERR_INVALID);
    EXPECT_ERR(pull(s, IMAGE_BOX_NAME, NULL, &err), &err, ERR_NOT_FOUND);
    image_store_free(s);
}

/* An index whose entries are for other machines, then one that has ours. */
TEST(index_by_platform)
{
    struct image_store *s = open_store();
    struct fake_image im = { 0 };
    struct registry r = { 0 };
    struct err err = ERR_INIT;
    struct image_platform host = image_platform_host();
    _cleanup_buf_ struct buf alien = BUF_INIT, index = BUF_INIT;
    char digest[FAKE_DIGEST_BYTES], name[200];
    struct image *got = NULL;
    struct image_pull_opts o = { .name = name };

    make_image(&im, 1);
    buf_fmt(&alien,
            "{\"schemaVersion\":2,\"manifests\":[{\"digest\":\"%s\",\"size\":1,\"platform\":{\"o"
            "s\":"
            "\"linux\",\"architecture\":\"s390x\"}}]}", im.digest);
    buf_fmt(&index,
            "{\"schemaVersion\":2,\"manifests\":[{\"digest\":\"sha256:%064d\",\"size\":1,\"platf"
            "orm\":"
            "{\"os\":\"linux\",\"architecture\":\"s390x\"}},{\"digest\":\"%s\",\"size\":%zu,\"pl"
            "atform\":{\"os\":"
            "\"linux\",\"architecture\":\"%s\",\"variant\":\"%s\"}}]}", 0, im.digest,
            im.manifest.len,
            host.arch, host.variant);
    add_image(&r, &im, HONEST, HONEST);
    add_route(&r, "manifests", "alien", &alien, HONEST);
    add_route(&r, "manifests", "many", &index, HONEST);
    start(&r);
    snprintf(name, sizeof(name), "127.0.0.1:%d/app:alien", r.port);
    EXPECT_ERR(image_pull(&got, s, &o, &err), &err, ERR_NOT_FOUND);
    EXPECT(strstr(err.msg, "no match for platform linux/"));
    snprintf(name, sizeof(name), "127.0.0.1:%d/app:many", r.port);
    EXPECT_OK(image_pull(&got, s, &o, &err), &err);
    fake_digest(digest, &index);
    EXPECT_STR(got->target, digest);
    EXPECT_STR(got->manifest, im.digest);
    image_free(got);
    image_store_free(s);
    fake_image_deinit(&im);
}

TEST(huge_size)
{
    struct image_store *s = open_store();
    struct fake_image im = { 0 };
    struct registry r = { 0 };
    struct err err = ERR_INIT;
    _cleanup_buf_ struct buf m = BUF_INIT;
    char digest[FAKE_DIGEST_BYTES];

    make_image(&im, 1);
    fake_digest(digest, &im.layer[0]);
    buf_fmt(&m,
            "{\"schemaVersion\":2,\"config\":{\"digest\":\"%s\",\"size\":%zu},\"layers\":[{\"dig"
            "est\":\"%s\","
            "\"size\":4611686018427387904}]}", im.id, im.config.len, digest);
    add_route(&r, "manifests", "v1", &m, HONEST);
    add_route(&r, "blobs", im.id, &im.config, HONEST);
    start(&r);
    EXPECT_ERR(pull(s, r.name, NULL, &err), &err, ERR_QUOTA);
    EXPECT_EQ(atomic_load(&r.told->blobs), 1);
    image_store_free(s);
    fake_image_deinit(&im);
}

static bool cancel_later(void *ctx)
{
    int *asked = ctx;

    return ++*asked > 2;
}

TEST(canceled)
{
    struct image_store *s = open_store();
    struct fake_image im = { 0 };
    struct registry r = { 0 };
    struct err err = ERR_INIT;
    int asked = 0;
    struct image_pull_opts o = { .name = r.name, .watch = { .is_canceled = cancel_later,
        .ctx = &asked } };
    struct image *got = NULL;

    make_image(&im, 1);
    add_image(&r, &im, HONEST, STALLS);
    start(&r);
    EXPECT_ERR(image_pull(&got, s, &o, &err), &err, ERR_CANCELED);
    EXPECT_EQ(count_entries(s, "tmp"), 0);
    image_store_free(s);
    fake_image_deinit(&im);
}

TEST(mirror_first)
{
    struct image_store *s = open_store();
    struct fake_image im = { 0 };
    struct registry r = { .basic = true };
    struct err err = ERR_INIT;
    _cleanup_buf_ struct buf file = BUF_INIT;
    char path[300];
    struct image_pull_opts o = { .name = "registry.invalid/team/x/app:v1", .registries_file = path,
                                 .stall_ms = 400 };
    struct image *got = NULL;

    make_image(&im, 2);
    add_image(&r, &im, HONEST, HONEST);
    start(&r);
    snprintf(path, sizeof(path), "%s/registries.yaml", test_tmpdir());
    buf_fmt(&file,
            "mirrors:\n  registry.invalid:\n    endpoint: [\"http://127.0.0.1:%d\"]\n    rewrite:\n"
            "      \"^team/.*/(.*)$\": \"$1\"\nconfigs:\n  \"127.0.0.1:%d\":\n    auth: {usernam"
            "e: u, password: p}"
            "\n", r.port, r.port);
    fake_write(path, &file);
    EXPECT_OK(image_pull(&got, s, &o, &err), &err);
    EXPECT_STR(got->names[0], "registry.invalid/team/x/app:v1");
    image_free(got);
    image_store_free(s);
    fake_image_deinit(&im);
}
