#include "runtime/node/node_volume_int.h"
#include "tests/unit/runtime/node/node_box.h"

#include "core/base/fd.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* Secrets go to memory only: run_dir must be on a tmpfs. */
struct box {
    struct node_box n;
    struct job_pool *jobs;
    struct object *pod;
    struct node_volumes *v;
    char run[64];
    int done, removed;
    struct err err;
};

static void on_done(void *ctx, const struct err *err)
{
    struct box *b = ctx;

    b->done++;
    b->err = err ? *err : ERR_INIT;
}

static void on_removed(void *ctx, const struct err *err)
{
    ((struct box *)ctx)->removed += err ? 100 : 1;
}

static void box_init(struct box *b)
{
    static const unsigned limits[JOB_CLASS_MAX];

    *b = (struct box){ .err = ERR_INIT };
    node_box_init(&b->n);
    EXPECT_OK(job_pool_new(&b->jobs, 0, limits, &b->err), &b->err);
    snprintf(b->run, sizeof(b->run), "/dev/shm/inro-test-XXXXXX");
    if (!mkdtemp(b->run))
        test_skip("no /dev/shm");
    fake_client_put(b->n.cluster,
        "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: default}\n---\n"
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: cm}\ndata: {k: v1, other: o}\n"
        "binaryData: {bin: AAEC}\n---\n"
        "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {p: c2VjcmV0}\n");
}

/* volumes, more: YAML in flow form. */
static void box_pod(struct box *b, const char *volumes, const char *more)
{
    struct node_volume_opts o = {
        .client = fake_client_door(b->n.cluster), .jobs = b->jobs, .run_dir = b->run,
        .data_dir = test_tmpdir(), .facts = { .pod_ip = "10.42.0.7", .node_memory_bytes = 1 << 20 },
    };

    b->pod = object_ref(fake_client_put(b->n.cluster, arena_printf(b->n.a,
        "apiVersion: v1\nkind: Pod\nmetadata: {name: p, uid: u1, labels: {app: foo}}\n"
        "spec: {volumes: [%s], %s containers: [{name: c, image: i}]}\n", volumes, more)));
    node_box_refs(&b->n, b->pod);
    o.refs = b->n.refs;
    b->v = node_volumes_new(b->pod, &o);
}

static void prepare(struct box *b)
{
    int before = b->done;

    node_volumes_prepare(b->v, b->pod, on_done, b);
    EXPECT(node_volumes_busy(b->v));
    EXPECT_EQ(b->done, before);
    fake_client_run(b->n.cluster);
    EXPECT_EQ(b->done, before + 1);
}

static void prepare_ok(struct box *b)
{
    prepare(b);
    if (b->err.code)
        test_fail(__FILE__, __LINE__, "%s", b->err.msg);
    EXPECT(node_volumes_prepared(b->v));
}

static void expect_error(const char *volumes, const char *message)
{
    struct box b;

    box_init(&b);
    box_pod(&b, volumes, "");
    prepare(&b);
    EXPECT_STR(b.err.msg, message);
    EXPECT(!node_volumes_prepared(b.v));
    node_volumes_free(b.v);
    object_unref(b.pod);
    EXPECT_OK(fd_remove_tree(AT_FDCWD, b.run, &b.err), &b.err);
    job_pool_free(b.jobs);
    node_box_deinit(&b.n);
}

static void box_deinit(struct box *b)
{
    node_volumes_remove(b->v, on_removed, b);
    fake_client_run(b->n.cluster);
    EXPECT_EQ(b->removed, 1);
    node_volumes_free(b->v);
    object_unref(b->pod);
    EXPECT_OK(fd_remove_tree(AT_FDCWD, b->run, &b->err), &b->err);
    job_pool_free(b->jobs);
    node_box_deinit(&b->n);
}

static const char *file(struct box *b, const char *volume, const char *name)
{
    struct buf text = BUF_INIT;
    const char *path = arena_printf(b->n.a, "%s/%s", node_volumes_path(b->v, b->n.a, volume),
                                    name), *out;

    if (fd_read_file(&text, AT_FDCWD, path, 1 << 20, NULL) < 0)
        return NULL;
    out = arena_strdup(b->n.a, text.p ? text.p : "");
    buf_deinit(&text);
    return out;
}

static unsigned mode(struct box *b, const char *volume, const char *name)
{
    const char *path = arena_printf(b->n.a, "%s/%s", node_volumes_path(b->v, b->n.a, volume), name);
    struct stat st;

    EXPECT(stat(path, &st) == 0);
    return st.st_mode & 07777;
}

TEST(config_map_and_secret)
{
    struct box b;

    box_init(&b);
    box_pod(&b, "{name: a, configMap: {name: cm}},"
                "{name: b, configMap: {name: cm, defaultMode: 0600, items: [{key: k, path: d/e/f},"
                "{key: bin, path: g, mode: 0444}]}},"
                "{name: c, secret: {secretName: s, defaultMode: 0400}},"
                "{name: d, secret: {secretName: gone, optional: true}},"
                "{name: e, configMap: {name: cm, optional: true, items: [{key: gone, path: x}]}}",
                    "");
    prepare_ok(&b);
    EXPECT_STR(file(&b, "a", "k"), "v1");
    EXPECT_STR(file(&b, "a", "other"), "o");
    EXPECT_EQ(mode(&b, "a", "k"), 0644);
    EXPECT_STR(file(&b, "b", "d/e/f"), "v1");
    EXPECT_EQ(mode(&b, "b", "d/e/f"), 0600);
    EXPECT_EQ(mode(&b, "b", "g"), 0444);
    EXPECT(!file(&b, "b", "k"));
    EXPECT_STR(file(&b, "c", "p"), "secret");
    EXPECT_EQ(mode(&b, "c", "p"), 0400);
    EXPECT(!file(&b, "d", "p"));
    EXPECT(!file(&b, "e", "x"));
    EXPECT(str_starts(node_volumes_path(b.v, b.n.a, "c"), b.run));
    box_deinit(&b);
}

TEST(changes_as_a_whole)
{
    struct box b;
    char before[256] = "", after[256] = "";
    const char *link;

    box_init(&b);
    box_pod(&b, "{name: a, configMap: {name: cm}}", "");
    prepare_ok(&b);
    link = arena_printf(b.n.a, "%s/..data", node_volumes_path(b.v, b.n.a, "a"));
    EXPECT(readlink(link, before, sizeof(before) - 1) > 0);
    prepare_ok(&b);
    EXPECT(readlink(link, after, sizeof(after) - 1) > 0);
    EXPECT_STR(before, after);

    fake_client_edit(b.n.cluster, kind_config_map(), "default", "cm",
                     "data: {k: v2, other: null, new: x}\n");
    node_ref_set_refresh(b.n.refs, -1);
    fake_client_run(b.n.cluster);
    prepare_ok(&b);
    EXPECT_STR(file(&b, "a", "k"), "v2");
    EXPECT_STR(file(&b, "a", "new"), "x");
    EXPECT(!file(&b, "a", "other"));
    EXPECT(readlink(link, after, sizeof(after) - 1) > 0);
    EXPECT(!str_eq(before, after));
    EXPECT(access(arena_printf(b.n.a, "%s/%s", node_volumes_path(b.v, b.n.a, "a"), before),
                  F_OK) < 0);
    EXPECT(access(arena_printf(b.n.a, "%s/other", node_volumes_path(b.v, b.n.a, "a")), F_OK) < 0);
    box_deinit(&b);
}

static const char token_volume[] =
    "{name: t, projected: {sources: [{serviceAccountToken: {path: token, expirationSeconds: 600}},"
    "{configMap: {name: cm, items: [{key: k, path: ca.crt}]}},"
    "{downwardAPI: {items: [{path: ns, fieldRef: {fieldPath: metadata.namespace}},"
    "{path: labels, fieldRef: {fieldPath: metadata.labels}}]}}, {secret: {name: s}}]}}";

TEST(projected_and_renewed)
{
    struct box b;
    const char *first;

    box_init(&b);
    box_pod(&b, token_volume, "");
    prepare_ok(&b);
    first = file(&b, "t", "token");
    EXPECT(!str_empty(first));
    EXPECT_STR(file(&b, "t", "ca.crt"), "v1");
    EXPECT_STR(file(&b, "t", "ns"), "default");
    EXPECT_STR(file(&b, "t", "labels"), "app=\"foo\"");
    EXPECT_STR(file(&b, "t", "p"), "secret");
    EXPECT_EQ(mode(&b, "t", "token"), 0644);
    EXPECT_EQ(fake_client_calls(b.n.cluster, CLIENT_CREATE, kind_service_account()), 1);
    prepare_ok(&b);
    EXPECT_EQ(fake_client_calls(b.n.cluster, CLIENT_CREATE, kind_service_account()), 1);
    node_box_pass(&b.n, 470 * 1000);
    EXPECT_EQ(fake_client_calls(b.n.cluster, CLIENT_CREATE, kind_service_account()), 1);
    node_box_pass(&b.n, 20 * 1000);
    EXPECT_EQ(fake_client_calls(b.n.cluster, CLIENT_CREATE, kind_service_account()), 2);
    EXPECT(!str_eq(first, file(&b, "t", "token")));
    box_deinit(&b);
}

TEST(token_of_one_user)
{
    struct box b;

    box_init(&b);
    box_pod(&b, token_volume, "securityContext: {runAsUser: 0},");
    prepare_ok(&b);
    EXPECT_EQ(mode(&b, "t", "token"), 0600);
    box_deinit(&b);
}

TEST(token_refused_then_given)
{
    struct box b;

    box_init(&b);
    fake_client_fail(b.n.cluster, CLIENT_CREATE, kind_service_account(), 1, 0);
    box_pod(&b, token_volume, "");
    prepare(&b);
    EXPECT(str_starts(b.err.msg,
                      "MountVolume.SetUp failed for volume \"t\" : failed to fetch token: "));
    prepare_ok(&b);
    box_deinit(&b);
}

TEST(errors)
{
    expect_error("{name: a, configMap: {name: gone}}",
                 "MountVolume.SetUp failed for volume \"a\" : configmap \"gone\" not found");
    expect_error("{name: a, secret: {secretName: gone}}",
                 "MountVolume.SetUp failed for volume \"a\" : secret \"gone\" not found");
    expect_error("{name: a, configMap: {name: cm, items: [{key: gone, path: x}]}}",
                 "MountVolume.SetUp failed for volume \"a\" : configmap references non-existent "
                 "config "
                 "key: gone");
    expect_error("{name: a, secret: {secretName: s, items: [{key: gone, path: x}]}}",
                 "MountVolume.SetUp failed for volume \"a\" : references non-existent secret key: "
                 "gone");
    expect_error("{name: a, iscsi: {targetPortal: x, iqn: q1, lun: 0}}",
                 "MountVolume.SetUp failed for volume \"a\" : no volume plugin matched: iscsi is "
                 "not "
                 "supported");
    expect_error("{name: a, emptyDir: {medium: HugePages}}",
                 "MountVolume.SetUp failed for volume \"a\" : emptyDir medium \"HugePages\" is not "
                 "supported");
}

static void expect_files(int n, const char *message)
{
    _cleanup_buf_ struct buf text = BUF_INIT;
    struct box b;

    box_init(&b);
    buf_str(&text, "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\","
                   "\"metadata\":{\"name\":\"many\"},\"data\":{");
    for (int i = 0; i < n; i++)
        buf_fmt(&text, "%s\"k%d\":\"\"", i ? "," : "", i);
    buf_str(&text, "}}");
    fake_client_put(b.n.cluster, text.p);
    box_pod(&b, "{name: a, configMap: {name: many}}", "");
    prepare(&b);
    EXPECT_STR(b.err.msg, message);
    box_deinit(&b);
}

TEST(as_many_files_as_there_may_be)
{
    expect_files(NODE_VOLUME_FILES_MAX, "");
    expect_files(NODE_VOLUME_FILES_MAX + 1,
                 "MountVolume.SetUp failed for volume \"a\" : more than 4096 "
                 "files or 67108864 bytes");
}

static void expect_path(const char *path, const char *why)
{
    struct err err = ERR_INIT;

    if (!why) {
        EXPECT_OK(node_volume_check_path(path, &err), &err);
        return;
    }
    EXPECT_EQ(node_volume_check_path(path, &err), -1);
    EXPECT_STR(err.msg, why);
}

TEST(paths_that_lead_out)
{
    char name[300];

    memset(name, 'a', sizeof(name));
    name[255] = '\0';
    expect_path(name, NULL);
    name[255] = 'a';
    name[256] = '\0';
    expect_path(name, "invalid path: filename must be less than or equal to 255 characters");
    expect_path("a/b.c", NULL);
    expect_path("a..b/c", NULL);
    expect_path("", "invalid path: must not be empty: ");
    expect_path("/etc/passwd", "invalid path: must be relative path: /etc/passwd");
    expect_path("a/../../b", "invalid path: must not contain '..': a/../../b");
    expect_path("..", "invalid path: must not contain '..': ..");
    expect_path("..data/x", "invalid path: must not start with '..': ..data/x");
}

TEST(empty_dir_and_group)
{
    struct box b;
    struct stat st;

    box_init(&b);
    box_pod(&b, "{name: e, emptyDir: {}}, {name: a, configMap: {name: cm, defaultMode: 0400}}",
            arena_printf(b.n.a, "securityContext: {fsGroup: %u},", (unsigned)getgid()));
    prepare_ok(&b);
    EXPECT_EQ(mode(&b, "e", "."), 02777);
    EXPECT_EQ(mode(&b, "a", "k"), 0440);
    EXPECT_EQ(mode(&b, "a", "."), 02755);
    EXPECT_OK(fd_write_file(AT_FDCWD, arena_printf(b.n.a, "%s/kept",
                                                   node_volumes_path(b.v, b.n.a, "e")), "x", 1,
                            0600, &b.err), &b.err);
    EXPECT(symlink("/", arena_printf(b.n.a, "%s/out", node_volumes_path(b.v, b.n.a, "e"))) == 0);
    prepare_ok(&b);
    EXPECT_STR(file(&b, "e", "kept"), "x");
    EXPECT(stat(arena_printf(b.n.a, "%s/pods/u1", test_tmpdir()), &st) == 0);
    box_deinit(&b);
    EXPECT(stat(arena_printf(b.n.a = arena_new(0), "%s/pods/u1", test_tmpdir()), &st) < 0);
    arena_free(b.n.a);
}

static void expect_host(const char *type, const char *path, const char *why)
{
    struct err err = ERR_INIT;
    struct node_volume_task t = { .kind = NODE_VOLUME_HOST, .name = "h", .dir = path,
                                  .host_type = type };

    if (!why) {
        EXPECT_OK(node_volume_job_run(&t, &err), &err);
        return;
    }
    EXPECT_EQ(node_volume_job_run(&t, &err), -1);
    EXPECT_STR(err.msg, why);
}

TEST(host_path_types)
{
    struct arena *a = arena_new(0);
    const char *dir = arena_printf(a, "%s/d/e", test_tmpdir()), *f =
        arena_printf(a, "%s/f", test_tmpdir());
    const char *no = arena_printf(a, "%s/no", test_tmpdir());
    const char *missing = arena_printf(a, "hostPath type check failed: %s is not a directory", no);

    expect_host("Directory", no, missing);
    expect_host("DirectoryOrCreate", dir, NULL);
    expect_host("Directory", dir, NULL);
    expect_host("FileOrCreate", f, NULL);
    expect_host("File", f, NULL);
    expect_host("DirectoryOrCreate", f, arena_printf(a,
                                                     "hostPath type check failed: %s is not a "
                                                     "directory", f));
    expect_host("File", dir, arena_printf(a, "hostPath type check failed: %s is not a file", dir));
    expect_host("Socket", f, arena_printf(a, "hostPath type check failed: %s is not a socket file",
                                          f));
    expect_host("CharDevice", "/dev/null", NULL);
    expect_host("BlockDevice", "/dev/null",
                "hostPath type check failed: /dev/null is not a block device");
    expect_host("Strange", f, "hostPath type \"Strange\" is not supported");
    expect_host("", no, NULL);
    expect_host("Directory", no, NULL);
    arena_free(a);
}

TEST(let_go_while_busy)
{
    struct box b;

    box_init(&b);
    box_pod(&b, token_volume, "");
    node_volumes_prepare(b.v, b.pod, on_done, &b);
    loop_step(b.n.loop, 0);
    b.v = node_volumes_free(b.v);
    fake_client_run(b.n.cluster);
    EXPECT_EQ(b.done, 0);
    object_unref(b.pod);
    EXPECT_OK(fd_remove_tree(AT_FDCWD, b.run, &b.err), &b.err);
    job_pool_free(b.jobs);
    node_box_deinit(&b.n);
}

TEST(removed_while_preparing)
{
    struct box b;

    box_init(&b);
    box_pod(&b, token_volume, "");
    node_volumes_prepare(b.v, b.pod, on_done, &b);
    loop_step(b.n.loop, 0);
    box_deinit(&b);
    EXPECT_EQ(b.done, 0);
}

TEST(sweep_keeps_what_it_is_told)
{
    struct arena *a = arena_new(0);
    const char *data = arena_printf(a, "%s/data", test_tmpdir()), *run =
        arena_printf(a, "%s/run", test_tmpdir());
    const char *const keep[] = { "u2", NULL };
    struct err err = ERR_INIT;

    for (int i = 1; i <= 2; i++) {
        EXPECT_OK(fd_mkdirs(arena_printf(a, "%s/pods/u%d/volumes/x~y/v", data, i), 0755, &err),
                  &err);
        EXPECT_OK(fd_mkdirs(arena_printf(a, "%s/volumes/u%d/x~y/v", run, i), 0755, &err), &err);
    }
    EXPECT(symlink(data, arena_printf(a, "%s/volumes/u3", run)) == 0);
    EXPECT_OK(node_volume_sweep(data, run, keep, &err), &err);
    EXPECT(access(arena_printf(a, "%s/pods/u1", data), F_OK) < 0);
    EXPECT(access(arena_printf(a, "%s/volumes/u1", run), F_OK) < 0);
    EXPECT(access(arena_printf(a, "%s/pods/u2/volumes/x~y/v", data), F_OK) == 0);
    EXPECT(access(arena_printf(a, "%s/volumes/u2", run), F_OK) == 0);
    EXPECT(access(data, F_OK) == 0);
    EXPECT_OK(node_volume_sweep(data, run, NULL, &err), &err);
    EXPECT(access(arena_printf(a, "%s/pods/u2", data), F_OK) < 0);
    arena_free(a);
}

TEST(mounts)
{
    struct box b;
    struct oci_plan plan = { 0 };
    struct plan_texts own = { 0 };
    struct volume_mount_view m[] = {
        { .name = "a", .mount_path = "/cm" },
        { .name = "e", .mount_path = "data", .sub_path_expr = "$(POD)/x", .read_only = true },
        { .name = "h", .mount_path = "/h", .mount_propagation = "HostToContainer" },
    };
    struct container_view c = { .name = "c", .volume_mounts = m, .n_volume_mounts = 3 };
    struct node_volume_mounts to;

    box_init(&b);
    to = (struct node_volume_mounts){ &plan, b.n.a, &c, &own };
    plan_add_text(&own, b.n.a, "POD=p");
    box_pod(&b,
            "{name: a, configMap: {name: cm}}, {name: e, emptyDir: {}}, {name: h, hostPath: {path: "
            "/tmp}}", "");
    EXPECT_OK(node_volumes_add_mounts(b.v, &to, &b.err), &b.err);
    EXPECT_EQ(plan.mounts.len, 3);
    EXPECT(plan.mounts.v[0].read_only);
    EXPECT_STR(plan.mounts.v[1].subpath, "p/x");
    EXPECT_STR(plan.mounts.v[1].dest, "/data");
    EXPECT(plan.mounts.v[1].read_only);
    EXPECT_STR(plan.mounts.v[2].source, "/tmp");
    EXPECT_EQ(plan.mounts.v[2].propagation, PLAN_SLAVE);
    EXPECT(!plan.mounts.v[2].read_only);
    m[1].sub_path_expr = "$(GONE)";
    EXPECT_EQ(node_volumes_add_mounts(b.v, &to, &b.err), -1);
    EXPECT_STR(b.err.msg, "missing value for GONE");
    m[1].sub_path_expr = NULL;
    m[1].sub_path = "x/../..";
    EXPECT_EQ(node_volumes_add_mounts(b.v, &to, &b.err), -1);
    EXPECT_STR(b.err.msg, "unable to provision SubPath `x/../..`: must not contain '..'");
    m[1].sub_path = NULL;
    m[1].name = "zz";
    EXPECT_EQ(node_volumes_add_mounts(b.v, &to, &b.err), -1);
    EXPECT_STR(b.err.msg, "cannot find volume \"zz\" to mount into container \"c\"");
    box_deinit(&b);
}
