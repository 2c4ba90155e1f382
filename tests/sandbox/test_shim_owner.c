/* Shims whose node role dies, is of another version, or never was there; and shims that die. */
#include "tests/sandbox/shim_scene.h"

/* A node role of another version, by hand: numbers are literal, as they were released. */
static struct json *peer_ask(struct scene *s, int sock, uint32_t type, const char *text,
                             uint32_t want)
{
    struct json *v = NULL;
    struct imsg m = { 0 };

    if (type)
        EXPECT_OK(imsg_send(sock, type, text, strlen(text), NULL, 0, &s->err), &s->err);
    do {
        imsg_deinit(&m);
        EXPECT_EQ(imsg_recv(sock, &m, &s->err), 1);
    } while (m.type != want);
    EXPECT_OK(json_parse(&v, s->a, arena_strdup(s->a, m.data), m.len, NULL, &s->err), &s->err);
    imsg_deinit(&m);
    return v;
}

TEST(serves_node_roles_of_other_versions)
{
    struct scene *s = scene_make();
    struct shim_create c = scene_create(s, "c1", "wait");
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    struct shim_events ev = events(s);
    struct json *v;
    int sock;

    scene_start(s);
    scene_run(s, &c);
    s->shim = driver()->free(s->shim);
    snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/shim.sock", s->opts.dir);
    sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    EXPECT_EQ(connect(sock, (struct sockaddr *)&addr, sizeof(addr)), 0);
    v = peer_ask(s, sock, 0, "", 34);
    EXPECT_STR(json_get_str(v, "id"), "c1");
    v = peer_ask(s, sock, 0, "", 31);
    EXPECT_EQ(json_get_int(v, "protocol", 0), 1);
    EXPECT_EQ(json_get_int(v, "oldest", 0), 1);
    v = peer_ask(s, sock, 4711, "{\"seq\":5,\"id\":\"c1\"}", 33);      /* of a newer one */
    EXPECT_EQ(json_get_int(v, "seq", 0), 5);
    EXPECT_EQ(json_get_int(v, "code", 0), ERR_UNSUPPORTED);
    EXPECT(strstr(json_get_str(v, "msg"), "does not know request 4711"));
    v = peer_ask(s, sock, 19, "{\"seq\":6,\"id\":\"c1\",\"sig\":9,\"new\":[]}", 33);
    EXPECT_EQ(json_get_int(v, "seq", 0), 6);
    EXPECT_EQ(json_get_int(v, "code", -1), 0);
    v = peer_ask(s, sock, 0, "", 34);
    EXPECT_STR(json_get_str(v, "state"), "exited");
    EXPECT_EQ(json_get_int(v, "signal", 0), 9);
    close(sock);
    s->ready = false;
    EXPECT_OK(driver()->adopt(NULL, &s->shim, s->loop, s->opts.dir, &ev, &s->err), &s->err);
    UNTIL(s, s->ready);
    scene_stop(s);
    scene_end(s);
}

/* The node role is a process apart here, killed without warning; the next one finds the same
 * containers. */
TEST(survives_its_owner)
{
    struct scene *s = scene_make();
    struct shim_create c = scene_create(s, "c1", "wait"), d = scene_create(s, "c2", "print");
    struct shim_events ev = events(s);
    pid_t pids[2] = { 0 }, owner;
    int pair[2], status;

    EXPECT(pipe2(pair, O_CLOEXEC) == 0);
    owner = fork();
    if (owner == 0) {
        loop_free(s->loop);
        EXPECT_OK(loop_new(&s->loop, env_real(), &s->err), &s->err);
        scene_start(s);
        scene_run(s, &c);
        pids[0] = scene_seen(s, "c1")->pid;
        pids[1] = driver()->pid(s->shim);
        EXPECT_EQ(write(pair[1], pids, sizeof(pids)), sizeof(pids));
        pause();
    }
    close(pair[1]);
    EXPECT_EQ(read(pair[0], pids, sizeof(pids)), sizeof(pids));
    kill(owner, SIGKILL);
    EXPECT_EQ(waitpid(owner, &status, 0), owner);
    EXPECT_OK(driver()->adopt(NULL, &s->shim, s->loop, s->opts.dir, &ev, &s->err), &s->err);
    UNTIL(s, s->ready);
    EXPECT_EQ(scene_seen(s, "c1")->state, SHIM_RUNNING);
    EXPECT_EQ(scene_seen(s, "c1")->pid, pids[0]);
    EXPECT_STR(scene_seen(s, "c1")->note, "my note");
    EXPECT_EQ(driver()->pid(s->shim), pids[1]);
    scene_run(s, &d);
    UNTIL(s, scene_seen(s, "c2")->state == SHIM_EXITED);
    EXPECT_EQ(scene_seen(s, "c2")->exit_code, 5);
    driver()->free(s->shim);                         /* let go, found again */
    s->ready = false;
    EXPECT_OK(driver()->adopt(NULL, &s->shim, s->loop, s->opts.dir, &ev, &s->err), &s->err);
    UNTIL(s, s->ready);
    scene_stop(s);
    EXPECT_ERR(driver()->adopt(NULL, &s->shim, s->loop, s->opts.dir, &ev, &s->err), &s->err,
               ERR_NOT_FOUND);
    scene_end(s);
}

static void on_end_status(struct child *c, int status, int sig, void *ctx)
{
    (void)c, (void)sig;
    *(int *)ctx = status;
}

/* Nobody would ever find it: it ends by itself and leaves nothing. */
TEST(its_owner_died_before_it_began)
{
    struct scene *s = scene_make();
    struct child_opts o = { .verb = SHIM_VERB, .detached = true, .on_exit = on_end_status };
    const char *setup;
    int pair[2], status = -1;
    struct child *c = NULL;
    struct buf b = BUF_INIT;

    buf_str(&b, "{\"cgroup\":");
    json_write_string(&b, s->opts.cgroup, strlen(s->opts.cgroup));
    setup = arena_printf(s->a, "%s,\"dir\":\"%s\",\"cgroupPath\":\"pod1\"}", b.p, s->opts.dir);
    buf_deinit(&b);
    EXPECT(mkdir(s->opts.dir, 0700) == 0);
    EXPECT_OK(imsg_pair(pair, &s->err), &s->err);
    EXPECT_OK(imsg_send(pair[0], SHIM_SETUP, setup, strlen(setup), NULL, 0, &s->err), &s->err);
    close(pair[0]);
    o.fds[0] = pair[1];
    o.fds[1] = -1;
    o.ctx = &status;
    EXPECT_OK(child_start(&c, s->loop, &o, &s->err), &s->err);
    close(pair[1]);
    UNTIL(s, status >= 0);
    EXPECT_EQ(status, 1);
    child_free(c);
    EXPECT_EQ(rmdir(s->opts.dir), 0);                    /* no file, no mount */
    scene_end(s);
}

/* What is created is on record before anybody hears of it: it may be started the next moment. */
TEST(a_created_container_is_on_record)
{
    struct scene *s = scene_make();
    struct shim_create c = scene_create(s, "c1", "wait");
    struct shim_state_file f;

    scene_start(s);
    DO(s, driver()->create_container(s->shim, &c, on_done, s));
    EXPECT_OK(shim_state_read(&f, s->a, s->opts.dir, &s->err), &s->err);
    EXPECT_EQ(f.len, 1);
    EXPECT_EQ(f.containers[0].state, SHIM_CREATED);
    scene_stop(s);
    scene_end(s);
}

/* Its creator went away while it was being made: nobody knows of it, so it goes, too. */
TEST(a_half_made_container_goes_with_its_owner)
{
    struct scene *s = scene_make();
    struct shim_create c = scene_create(s, "c1", "wait");
    struct shim_events ev = events(s);

    scene_start(s);
    driver()->create_container(s->shim, &c, on_done, s);
    driver()->free(s->shim);                             /* sent, not answered */
    s->ready = false;
    s->n_seen = 0;
    EXPECT_OK(driver()->adopt(NULL, &s->shim, s->loop, s->opts.dir, &ev, &s->err), &s->err);
    UNTIL(s, s->ready);
    if (s->n_seen == 0) {                                /* else it was quicker, and is whole */
        scene_run(s, &c);                                /* the name is free */
        EXPECT_EQ(s->n_seen, 1);
    }
    EXPECT(scene_seen(s, "c1")->state >= SHIM_CREATED);
    scene_stop(s);
    scene_end(s);
}

TEST(a_dead_shim_is_noticed)
{
    struct scene *s = scene_make();
    struct shim_create c = scene_create(s, "c1", "wait");
    struct shim_state_file f;

    scene_start(s);
    scene_run(s, &c);
    EXPECT_OK(shim_state_read(&f, s->a, s->opts.dir, &s->err), &s->err);
    EXPECT_EQ(f.shim_pid, driver()->pid(s->shim));
    EXPECT_EQ(f.len, 1);
    EXPECT_EQ(f.containers[0].state, SHIM_RUNNING);
    kill(driver()->pid(s->shim), SIGKILL);
    UNTIL(s, s->lost);
    driver()->free(s->shim);
    EXPECT_OK(cgroup_kill(s->cg, "pod1", &s->err), &s->err);
    for (int i = 0; i < 200 && cgroup_count(s->cg, "pod1", NULL) > 0; i++)
        usleep(10000);
    EXPECT_OK(shim_state_clean(s->opts.dir, &s->err), &s->err);
    scene_end(s);
}

/* Who let it go died before the answer; the next node role asks again and hears that it runs. */
TEST(started_by_a_former_owner)
{
    struct scene *s = scene_make();
    struct shim_create c = scene_create(s, "c1", "wait");
    struct shim_events ev = events(s);

    scene_start(s);
    DO(s, driver()->create_container(s->shim, &c, on_done, s));
    driver()->start_container(s->shim, "c1", on_done, s);
    driver()->free(s->shim);
    s->ready = false;
    EXPECT_OK(driver()->adopt(NULL, &s->shim, s->loop, s->opts.dir, &ev, &s->err), &s->err);
    UNTIL(s, s->ready);
    DO(s, driver()->start_container(s->shim, "c1", on_done, s));
    UNTIL(s, scene_seen(s, "c1")->state == SHIM_RUNNING);
    scene_stop(s);
    scene_end(s);
}
