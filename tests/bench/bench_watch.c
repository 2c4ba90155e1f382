/* bench_watch.c: many watches of one server over TLS: what one write takes until all were told, or
 * the one that is after it, and the memory of the server for each.
 *
 *     bench_watch URL CA CERT KEY PID      PID: of the server's process whose memory counts
 */
#include <fcntl.h>
#include <sys/resource.h>

#include "core/base/fd.h"
#include "core/client/client_http.h"
#include "tests/bench/bench.h"

#define WATCHES 1000
#define WRITES 20
#define OPEN_AT_ONCE 20                  /* handshakes under way */
#define WAIT_S 120

struct watcher { struct scene *s; struct client_watch *watch; };

struct scene {
    struct loop *loop;
    struct client *client;
    size_t synced, told;
    unsigned written;
    bool done;
};

static void on_sync(bool end, void *ctx)
{
    struct watcher *w = ctx;

    if (end)
        w->s->synced++;
}

static void on_event(enum client_event type, struct object *o, void *ctx)
{
    struct watcher *w = ctx;

    (void)o;
    if (type == CLIENT_ADDED || type == CLIENT_MODIFIED)
        w->s->told++;
}

static void on_done(const struct client_result *r, void *ctx)
{
    if (!client_ok(r))
        bench_fail("watch", r->message);
    ((struct scene *)ctx)->done = true;
}

static void wait_until(struct scene *s, const size_t *count, size_t want)
{
    double end = bench_now_s() + WAIT_S;

    while (*count < want) {
        loop_step(s->loop, 100);
        if (bench_now_s() > end)
            bench_fail("watch", "the server does not answer in time");
    }
}

static void write_one(struct scene *s)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    struct json *o = json_object(a), *meta = json_object(a);
    struct client_req req = { .verb = CLIENT_CREATE, .kind = kind_config_map(), .ns = "default",
                              .body = o, .on_done = on_done, .ctx = s };
    struct err err = ERR_INIT;

    json_set_str(a, o, "apiVersion", "v1");
    json_set_str(a, o, "kind", "ConfigMap");
    json_set(a, meta, "name", json_fmt(a, "watched-%u", s->written++));
    json_set(a, o, "metadata", meta);
    s->done = false;
    if (client_do(s->client, &req, &err) < 0)
        bench_fail("watch", err.msg);
}

static long pss_kib(const char *pid)
{
    char path[64], line[128];
    FILE *f;
    long kib = -1;

    snprintf(path, sizeof(path), "/proc/%s/smaps_rollup", pid);
    f = fopen(path, "re");
    while (f && fgets(line, sizeof(line), f))
        sscanf(line, "Pss: %ld kB", &kib);
    if (f)
        fclose(f);
    if (kib < 0)
        bench_fail("watch", "cannot read the server's memory");
    return kib;
}

static struct slice read_text(const char *path)
{
    struct buf b = BUF_INIT;
    struct err err = ERR_INIT;
    struct slice out;

    if (fd_read_file(&b, AT_FDCWD, path, 1 << 20, &err) < 0)
        bench_fail("watch", err.msg);
    out.p = buf_take(&b, &out.len);
    return out;
}

/* by_name: each of one object of those that will be written next. */
static void open_watches(struct scene *s, struct watcher *all, bool by_name)
{
    struct err err = ERR_INIT;
    char name[64];

    s->synced = 0;
    for (unsigned i = 0; i < WATCHES; i++) {
        struct client_watch_opts o = { .kind = kind_config_map(), .ns = "default",
                                       .label_selector = by_name ? NULL : "!old",
                                       .field_selector = by_name ? name : NULL,
                                       .on_sync = on_sync, .on_event = on_event, .ctx = &all[i] };

        snprintf(name, sizeof(name), "metadata.name=watched-%u", s->written + i);
        all[i].s = s;
        if (client_watch_new(s->client, &all[i].watch, &o, &err) < 0)
            bench_fail("watch", err.msg);
        if (i >= OPEN_AT_ONCE)
            wait_until(s, &s->synced, i - OPEN_AT_ONCE);
    }
    wait_until(s, &s->synced, WATCHES);
    for (double end = bench_now_s() + 1; bench_now_s() < end;)
        loop_step(s->loop, 100);         /* lists become watches */
}

static void close_watches(struct watcher *all)
{
    for (unsigned i = 0; i < WATCHES; i++)
        client_watch_free(all[i].watch);
}

static double median_write_ms(struct scene *s, size_t watches)
{
    double took[WRITES];

    for (unsigned i = 0; i < WRITES; i++) {
        double start = bench_now_s();

        s->told = 0;
        write_one(s);
        wait_until(s, &s->told, watches);
        took[i] = (bench_now_s() - start) * 1000;
        while (!s->done)
            loop_step(s->loop, 100);
    }
    return bench_median(took, WRITES);
}

int main(int argc, char **argv)
{
    static struct watcher all[WATCHES];
    struct client_http_opts opts = { .name = "bench", .http = { .conns_max = WATCHES + 32 } };
    struct rlimit files = { WATCHES + 256, WATCHES + 256 };
    struct scene s = { 0 };
    struct err err = ERR_INIT;
    char text[96];
    long before;
    double ms;

    if (argc != 6)
        bench_fail("watch", "it wants a URL, three files and a process id");
    setrlimit(RLIMIT_NOFILE, &files);
    opts.http.base_url = argv[1];
    opts.http.ca_pem = read_text(argv[2]);
    opts.http.cert_pem = read_text(argv[3]);
    opts.http.key_pem = read_text(argv[4]);
    if (loop_new(&s.loop, env_real(), &err) < 0 ||
        client_http_new(&s.client, s.loop, &opts, &err) < 0)
        bench_fail("watch", err.msg);
    before = pss_kib(argv[5]);
    open_watches(&s, all, false);
    ms = median_write_ms(&s, WATCHES);
    snprintf(text, sizeof(text), "%.1f ms", ms);
    bench_row("watch: a write until 1,000 watches over TLS were told", text, NULL, 0);
    snprintf(text, sizeof(text), "%.1f KiB", (double)(pss_kib(argv[5]) - before) / WATCHES);
    bench_row("watch: memory (PSS) of the server for each", text, NULL, 0);
    close_watches(all);
    open_watches(&s, all, true);
    snprintf(text, sizeof(text), "%.1f ms", median_write_ms(&s, 1));
    bench_row("watch: a write until the one of 1,000 watches by name was told", text, NULL, 0);
    close_watches(all);
    client_free(s.client);
    loop_free(s.loop);
    return 0;
}
