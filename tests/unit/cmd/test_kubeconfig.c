/* The kubeconfig: readable as YAML, the certificates inside, written once and only when it
 * differs. */
#include "cmd/kubeconfig.h"

#include "core/base/b64.h"
#include "core/base/fd.h"
#include "core/base/yaml.h"
#include "tests/harness/test.h"

#include <fcntl.h>
#include <sys/stat.h>

static const struct kubeconfig sample = {
    .server = "https://127.0.0.1:6443", .ca_pem = "ca\n", .cert_pem = "cert\n", .key_pem = "key\n",
};

static void expect_data(const struct json *o, const char *key, const char *want)
{
    struct buf got = BUF_INIT;
    const char *text = json_get_str(o, key);
    struct err err = ERR_INIT;

    EXPECT(text);
    EXPECT_OK(b64_decode(&got, B64_STD, text, strlen(text), &err), &err);
    EXPECT_STR(got.p, want);
    buf_deinit(&got);
}

TEST(text)
{
    struct arena *a = arena_new(0);
    struct buf text = BUF_INIT;
    struct err err = ERR_INIT;
    struct json *root, *cluster, *user, *context;

    kubeconfig_text(&text, &sample);
    EXPECT_OK(yaml_parse(&root, a, text.p, text.len, NULL, &err), &err);
    EXPECT_STR(json_get_str(root, "kind"), "Config");
    EXPECT_STR(json_get_str(root, "apiVersion"), "v1");
    EXPECT_STR(json_get_str(root, "current-context"), "default");
    cluster = json_at(json_get(root, "clusters"), 0);
    EXPECT_STR(json_get_str(cluster, "name"), "default");
    EXPECT_STR(json_path_str(cluster, "cluster.server"), "https://127.0.0.1:6443");
    expect_data(json_get(cluster, "cluster"), "certificate-authority-data", "ca\n");
    user = json_at(json_get(root, "users"), 0);
    EXPECT_STR(json_get_str(user, "name"), "default");
    expect_data(json_get(user, "user"), "client-certificate-data", "cert\n");
    expect_data(json_get(user, "user"), "client-key-data", "key\n");
    context = json_at(json_get(root, "contexts"), 0);
    EXPECT_STR(json_get_str(context, "name"), "default");
    EXPECT_STR(json_path_str(context, "context.cluster"), "default");
    EXPECT_STR(json_path_str(context, "context.user"), "default");
    buf_deinit(&text);
    arena_free(a);
}

TEST(write)
{
    char *path = mem_printf("%s/a/b/kc", test_tmpdir());
    struct kubeconfig other = sample;
    struct err err = ERR_INIT;
    struct stat first, second;

    EXPECT_OK(kubeconfig_write(&sample, path, 0600, &err), &err);
    EXPECT_EQ(stat(path, &first), 0);
    EXPECT_EQ(first.st_mode & 07777, 0600);
    EXPECT_OK(kubeconfig_write(&sample, path, 0600, &err), &err);
    EXPECT_EQ(stat(path, &second), 0);
    EXPECT_EQ(first.st_ino, second.st_ino);          /* left alone */
    other.server = "https://10.0.0.1:6443";
    EXPECT_OK(kubeconfig_write(&other, path, 0640, &err), &err);
    EXPECT_EQ(stat(path, &second), 0);
    EXPECT_EQ(second.st_mode & 07777, 0640);
    EXPECT_OK(kubeconfig_write(&other, path, 0600, &err), &err);
    EXPECT_EQ(stat(path, &second), 0);
    EXPECT_EQ(second.st_mode & 07777, 0600);         /* the mode alone is reason enough */
    mem_free(path);
}

TEST(a_folder_in_its_place)
{
    char *path = mem_printf("%s/kc", test_tmpdir());
    struct err err = ERR_INIT;

    EXPECT_EQ(mkdir(path, 0700), 0);
    EXPECT_EQ(kubeconfig_write(&sample, path, 0600, &err), -1);
    EXPECT(strstr(err.msg, "write kubeconfig"));
    mem_free(path);
}

TEST(read_back)
{
    char *path = mem_printf("%s/kc", test_tmpdir());
    struct arena *a = arena_new(0);
    struct kubeconfig k = { 0 };
    struct err err = ERR_INIT;

    EXPECT(kubeconfig_read(&k, a, path, &err) < 0);
    EXPECT_EQ(err.code, ERR_NOT_FOUND);
    EXPECT_OK(kubeconfig_write(&sample, path, 0600, &err), &err);
    EXPECT_OK(kubeconfig_read(&k, a, path, &err), &err);
    EXPECT_STR(k.server, sample.server);
    EXPECT_STR(k.ca_pem, sample.ca_pem);
    EXPECT_STR(k.cert_pem, sample.cert_pem);
    EXPECT_STR(k.key_pem, sample.key_pem);
    EXPECT_OK(fd_write_file(AT_FDCWD, path, "a: b\n", 5, 0600, &err), &err);
    EXPECT(kubeconfig_read(&k, a, path, &err) < 0);
    EXPECT(strstr(err.msg, "not a kubeconfig with embedded certificates"));
    EXPECT_STR(k.server, sample.server);
    arena_free(a);
    mem_free(path);
}
