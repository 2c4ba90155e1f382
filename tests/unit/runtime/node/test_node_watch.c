/* One inotify instance tells many who ask. */
#include "runtime/node/node_watch.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/fd.h"
#include "tests/harness/test.h"

struct asker { struct node_watcher who; unsigned told; };

struct fix { struct loop *loop; struct node_watch *watch; char a[300], b[300]; };

static void on_change(struct node_watcher *w)
{
    container_of(w, struct asker, who)->told++;
}

static void begin(struct fix *f)
{
    struct err err = ERR_INIT;

    EXPECT_OK(loop_new(&f->loop, env_real(), &err), &err);
    f->watch = node_watch_new(f->loop);
    snprintf(f->a, sizeof(f->a), "%s/a", test_tmpdir());
    snprintf(f->b, sizeof(f->b), "%s/b", test_tmpdir());
    EXPECT_EQ(mkdir(f->a, 0700), 0);
    EXPECT_EQ(mkdir(f->b, 0700), 0);
}

static void end(struct fix *f)
{
    node_watch_free(f->watch);
    loop_free(f->loop);
}

static void change(struct fix *f, const char *dir)
{
    char path[400];

    snprintf(path, sizeof(path), "%s/file", dir);
    EXPECT_EQ(fd_write_file(AT_FDCWD, path, "x", 1, 0600, NULL), 0);
    while (loop_step(f->loop, 0))
        ;
}

static unsigned instances(void)
{
    DIR *d = opendir("/proc/self/fd");
    struct dirent *e;
    unsigned n = 0;

    EXPECT(d);
    while ((e = readdir(d)) != NULL) {
        char link[64] = "";

        if (readlinkat(dirfd(d), e->d_name, link, sizeof(link) - 1) > 0 && strstr(link, "inotify"))
            n++;
    }
    closedir(d);
    return n;
}

TEST(each_is_told_of_its_folder)
{
    static struct asker one, two, other;
    struct fix f;

    begin(&f);
    EXPECT(node_watch_add(f.watch, &one.who, f.a, on_change));
    EXPECT(node_watch_add(f.watch, &two.who, f.a, on_change));
    EXPECT(node_watch_add(f.watch, &other.who, f.b, on_change));
    EXPECT_EQ(instances(), 1);
    change(&f, f.a);
    EXPECT_EQ(one.told, 1);
    EXPECT_EQ(two.told, 1);
    EXPECT_EQ(other.told, 0);
    node_watch_del(&one.who);
    node_watch_del(&one.who);
    change(&f, f.a);
    change(&f, f.b);
    EXPECT_EQ(one.told, 1);
    EXPECT_EQ(two.told, 2);
    EXPECT_EQ(other.told, 1);
    node_watch_del(&two.who);
    change(&f, f.a);                         /* nobody's any more */
    EXPECT(node_watch_add(f.watch, &one.who, f.a, on_change));
    change(&f, f.a);
    EXPECT_EQ(one.told, 2);
    EXPECT_EQ(two.told, 2);
    node_watch_del(&one.who);
    node_watch_del(&other.who);
    end(&f);
}

TEST(a_folder_that_goes)
{
    static struct asker one, again, none;
    struct fix f;
    char path[400];

    begin(&f);
    EXPECT(!node_watch_add(f.watch, &none.who, "/nonexistent", on_change));
    node_watch_del(&none.who);
    EXPECT(node_watch_add(f.watch, &one.who, f.a, on_change));
    change(&f, f.a);
    snprintf(path, sizeof(path), "%s/file", f.a);
    EXPECT_EQ(unlink(path), 0);
    EXPECT_EQ(rmdir(f.a), 0);
    EXPECT_EQ(mkdir(f.a, 0700), 0);
    while (loop_step(f.loop, 0))
        ;
    one.told = 0;
    EXPECT(node_watch_add(f.watch, &again.who, f.a, on_change));
    change(&f, f.a);
    EXPECT_EQ(one.told, 0);
    EXPECT_EQ(again.told, 1);
    node_watch_del(&one.who);
    node_watch_del(&again.who);
    end(&f);
}

TEST(a_host_without_instances_left)
{
    static struct asker one;
    struct rlimit was, few;
    struct fix f;
    int next;

    begin(&f);
    next = open("/dev/null", O_RDONLY | O_CLOEXEC);
    fd_close(next);
    EXPECT_EQ(getrlimit(RLIMIT_NOFILE, &was), 0);
    few = was;
    few.rlim_cur = (rlim_t)next;
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
    EXPECT(!node_watch_add(f.watch, &one.who, f.a, on_change));
    node_watch_del(&one.who);
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &was), 0);
    EXPECT(node_watch_add(f.watch, &one.who, f.a, on_change));   /* there is one again */
    change(&f, f.a);
    EXPECT_EQ(one.told, 1);
    node_watch_del(&one.who);
    end(&f);
}
