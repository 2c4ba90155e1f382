/* shim_sandbox.c -- the pod's namespaces: the shim lives in them itself, so containers inherit them by being its
 * children and no process is needed to hold them. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/fd.h"
#include "core/base/mem.h"
#include "runtime/shim/shim_self.h"
#include "runtime/shim/shim_state.h"

#define DIAL_MS 5000

static int loopback_up(struct err *err)
{
    _cleanup_fd_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq r = { .ifr_name = "lo", .ifr_flags = IFF_UP };

    if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &r) < 0)
        return err_sys(err, "bring up lo");
    return 0;
}

/* Bound at a path as well as open: so that others can name it. */
static int bind_netns(struct shim_self *s, struct err *err)
{
    _cleanup_(mem_freep) char *path = mem_printf("%s/%s", s->dir, SHIM_NETNS_FILE);
    _cleanup_fd_ int file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (file < 0)
        return err_sys(err, "make %s", path);
    if (mount("/proc/self/ns/net", path, NULL, MS_BIND, NULL) < 0)
        return err_sys(err, "bind %s", path);
    s->netns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    return s->netns < 0 ? err_sys(err, "open the network namespace") : 0;
}

static int make_network(struct shim_self *s, bool host, int netns, struct err *err)
{
    if (host)
        return 0;
    if (netns >= 0 ? setns(netns, CLONE_NEWNET) < 0 : unshare(CLONE_NEWNET) < 0)
        return err_sys(err, "network namespace");
    if (loopback_up(err) < 0)
        return -1;
    return bind_netns(s, err);
}

static int make_names(const struct json *v, bool host, struct err *err)
{
    const char *name = json_get_str(v, "hostname"), *domain = json_get_str(v, "domainname");

    if (host)
        return 0;
    if (unshare(CLONE_NEWUTS) < 0)
        return err_sys(err, "UTS namespace");
    if (!str_empty(name) && sethostname(name, strlen(name)) < 0)
        return err_sys(err, "set host name %s", name);
    if (!str_empty(domain) && setdomainname(domain, strlen(domain)) < 0)
        return err_sys(err, "set domain name %s", domain);
    return 0;
}

static int set_sysctls(const struct json *list, struct err *err)
{
    const struct json *item;
    char path[256];

    json_each(item, list) {
        const char *name = json_get_str(item, "name"), *value = json_get_str(item, "value");
        int n;

        if (!name || !value || strstr(name, "..") || name[0] == '/')
            return err_set(err, ERR_INVALID, "bad sysctl \"%s\"", name ? name : "");
        n = snprintf(path, sizeof(path), "/proc/sys/%s", name);
        if (n < 0 || (size_t)n >= sizeof(path))
            return err_set(err, ERR_INVALID, "bad sysctl \"%s\"", name);
        for (char *p = strchr(name, '/') ? NULL : path + 10; p && *p; p++)
            *p = *p == '.' ? '/' : *p;
        if (fd_write_kernel(AT_FDCWD, path, value, err) < 0)
            return err_wrap(err, "sysctl %s", name);
    }
    return 0;
}

static int make_pause(struct shim_self *s, struct err *err)
{
    _cleanup_(mem_freep) char *group = mem_printf("%s/sandbox", s->cgroup_path);

    if (cgroup_make(s->cgroup, group, NULL, err) < 0)
        return -1;
    if (oci_pause(&s->pause, &s->pod, group, err) < 0)
        return err_wrap(err, "first process of the pod");
    s->pod.pids = s->pause.pidfd;
    return 0;
}

int shim_sandbox_make(struct shim_self *s, const struct json *setup, int netns, struct err *err)
{
    bool host_net = json_get_bool(setup, "hostNetwork", false);

    s->pod.mounts = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
    if (s->pod.mounts < 0)
        return err_sys(err, "open the mount namespace");
    if (make_network(s, host_net, netns, err) < 0 || make_names(setup, host_net, err) < 0)
        return -1;
    if (!json_get_bool(setup, "hostIpc", false)) {
        if (unshare(CLONE_NEWIPC) < 0)
            return err_sys(err, "IPC namespace");
        s->pod.shm = oci_shm_make(OCI_SHM_BYTES, err);
        if (s->pod.shm < 0)
            return -1;
    }
    if (set_sysctls(json_get(setup, "sysctls"), err) < 0)
        return -1;
    return json_get_bool(setup, "sharePids", false) ? make_pause(s, err) : 0;
}

/* --- port-forward: connect to the pod's own loopback address, hand the connection over */

void shim_dial_free(struct shim_dial *d)
{
    loop_io_del(&d->io);
    loop_timer_del(&d->timer);
    fd_close(d->fd);
    list_del(&d->link);
    mem_free(d);
}

static void dial_end(struct shim_dial *d, const struct err *why)
{
    if (d->self->link)
        shim_chan_answer(d->self->link, SHIM_DONE, d->seq, why, why ? -1 : d->fd);
    shim_dial_free(d);
}

static void dial_try(struct shim_dial *d);

static void dial_failed(struct shim_dial *d, int code)
{
    struct err err = ERR_INIT;

    loop_io_del(&d->io);
    d->fd = fd_close(d->fd);
    if (!d->v6) {
        d->v6 = true;
        dial_try(d);
        return;
    }
    errno = code;
    err_sys(&err, "connect to port %u in the pod", d->port);
    dial_end(d, &err);
}

static void dial_on_ready(struct loop_io *io, unsigned events)
{
    struct shim_dial *d = container_of(io, struct shim_dial, io);
    socklen_t len = sizeof(int);
    int code = 0;

    (void)events;
    if (getsockopt(d->fd, SOL_SOCKET, SO_ERROR, &code, &len) < 0)
        code = errno;
    if (code)
        dial_failed(d, code);
    else
        dial_end(d, NULL);
}

static void dial_on_time(struct loop_timer *t)
{
    struct shim_dial *d = container_of(t, struct shim_dial, timer);
    struct err err = ERR_INIT;

    err_set(&err, ERR_TIMEOUT, "connect to port %u in the pod: no answer", d->port);
    dial_end(d, &err);
}

static void dial_try(struct shim_dial *d)
{
    struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(d->port),
                              .sin_addr = { htonl(INADDR_LOOPBACK) } };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(d->port),
                               .sin6_addr = IN6ADDR_LOOPBACK_INIT };
    const struct sockaddr *to = d->v6 ? (const void *)&v6 : (const void *)&v4;
    int r;

    d->fd = socket(to->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    r = d->fd < 0 ? -1 : connect(d->fd, to, d->v6 ? sizeof(v6) : sizeof(v4));
    if (r < 0 && errno != EINPROGRESS) {
        dial_failed(d, errno);
        return;
    }
    if (loop_io_add(d->self->loop, &d->io, d->fd, LOOP_WRITE, dial_on_ready, NULL) < 0)
        dial_failed(d, ENOMEM);
}

void shim_dial(struct shim_self *s, uint32_t seq, uint16_t port)
{
    struct shim_dial *d = NEW(struct shim_dial);

    d->self = s;
    d->seq = seq;
    d->port = port;
    d->fd = -1;
    list_push(&s->dials, &d->link);
    loop_timer_set(s->loop, &d->timer, DIAL_MS, dial_on_time);
    dial_try(d);
}
