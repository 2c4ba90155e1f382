/* pod_plan.c -- security context, mounts, resources into plan and limits. */
#include "runtime/node/pod_plan.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>

#include "core/base/mem.h"
#include "core/object/quantity.h"

#define MESSAGE_PATH "/dev/termination-log"
#define SYS_ADMIN_CAP "SYS_ADMIN"

static const struct pod_security_context_view no_pod_context;
static const struct security_context_view no_context;

struct contexts {
    const struct pod_security_context_view *pod;
    const struct security_context_view *c;
};

static struct contexts contexts(const struct pod_plan_in *in)
{
    const struct pod_security_context_view *p = in->pod->spec.security_context;
    const struct security_context_view *c = in->container->security_context;

    return (struct contexts){ p ? p : &no_pod_context, c ? c : &no_context };
}

/* --- who it runs as */

static bool starts_with_number(const char *user, int64_t *out)
{
    size_t n = strspn(user, "0123456789");

    if (n == 0 || (user[n] && user[n] != ':'))
        return false;
    *out = strtoll(user, NULL, 10);
    return true;
}

static int set_user(struct oci_plan *p, const struct pod_plan_in *in, struct err *err)
{
    struct contexts x = contexts(in);
    bool non_root = x.c->has_run_as_non_root ? x.c->run_as_non_root : x.pod->run_as_non_root;
    const char *name = in->container->name, *user = in->image->user;
    int64_t image_uid = 0;

    if (x.c->has_run_as_user || x.pod->has_run_as_user)
        p->uid = x.c->has_run_as_user ? x.c->run_as_user : x.pod->run_as_user;
    if (x.c->has_run_as_group || x.pod->has_run_as_group)
        p->gid = x.c->has_run_as_group ? x.c->run_as_group : x.pod->run_as_group;
    p->user = user;
    if (p->gid != PLAN_NO_ID && p->uid == PLAN_NO_ID && str_empty(user))
        p->uid = 0;
    if (!non_root)
        return 0;
    p->must_run_as_non_root = true;
    if (p->uid == 0)
        return err_set(err, ERR_INVALID, "container's runAsUser breaks non-root policy (pod: "
                       "\"%s_%s(%s)\", container: %s)", in->pod->metadata.name,
                       in->pod->metadata.namespace, in->pod->metadata.uid, name);
    if (p->uid == PLAN_NO_ID &&
        (str_empty(user) || (starts_with_number(user, &image_uid) && image_uid == 0) ||
         str_eq(user, "root")))
        return err_set(err, ERR_INVALID, "container has runAsNonRoot and image will run as root "
                       "(pod: \"%s_%s(%s)\", container: %s)", in->pod->metadata.name,
                       in->pod->metadata.namespace, in->pod->metadata.uid, name);
    return 0;
}

static int set_groups(struct oci_plan *p, const struct pod_security_context_view *s,
                      struct err *err)
{
    if (s->n_supplemental_groups + s->has_fs_group > PLAN_GROUPS_MAX)
        return err_set(err, ERR_QUOTA, "supplementalGroups: more than %d", PLAN_GROUPS_MAX);
    for (unsigned i = 0; i < s->n_supplemental_groups; i++)
        p->groups.v[p->groups.len++] = (uint32_t)s->supplemental_groups[i];
    if (s->has_fs_group)
        p->groups.v[p->groups.len++] = (uint32_t)s->fs_group;
    p->strict_groups = str_eq(s->supplemental_groups_policy, "Strict");
    return 0;
}

/* --- what it may do */

static int set_caps(struct oci_plan *p, struct arena *a, const struct capabilities_view *c,
                    struct err *err)
{
    struct plan_texts add = { 0 }, drop = { 0 };

    for (unsigned i = 0; c && i < c->n_add; i++)
        plan_add_text(&add, a, c->add[i]);
    for (unsigned i = 0; c && i < c->n_drop; i++)
        plan_add_text(&drop, a, c->drop[i]);
    return plan_set_caps(p, &add, &drop, err);
}

static int set_seccomp(struct oci_plan *p, const struct contexts *x, bool privileged)
{
    const struct seccomp_profile_view *s = x->c->seccomp_profile ? x->c->seccomp_profile
                                                                 : x->pod->seccomp_profile;

    if (privileged || !s)
        return 0;                            /* plan_defaults chose */
    if (str_eq(s->type, "Unconfined"))
        p->seccomp = PLAN_SECCOMP_UNCONFINED;
    else if (str_eq(s->type, "Localhost")) {
        p->seccomp = PLAN_SECCOMP_PROFILE;   /* plan_check says no */
        p->seccomp_profile = s->localhost_profile;
    } else {
        p->seccomp = PLAN_SECCOMP_DEFAULT;
    }
    return 0;
}

static void set_apparmor(struct oci_plan *p, const struct contexts *x)
{
    const struct app_armor_profile_view *s = x->c->app_armor_profile ? x->c->app_armor_profile
                                                                     : x->pod->app_armor_profile;

    if (s && str_eq(s->type, "Localhost"))
        p->apparmor = s->localhost_profile;
}

static int set_rights(struct oci_plan *p, struct arena *a, const struct pod_plan_in *in,
                      struct err *err)
{
    struct contexts x = contexts(in);

    if (set_caps(p, a, x.c->capabilities, err) < 0)
        return -1;
    p->no_new_privs = x.c->has_allow_privilege_escalation && !x.c->allow_privilege_escalation;
    if (str_eq(x.c->proc_mount, "Unmasked"))
        p->masked.len = p->readonly.len = 0;
    set_apparmor(p, &x);
    return set_seccomp(p, &x, x.c->privileged);
}

/* --- mounts */

static void bind_file(struct oci_plan *p, struct arena *a, const char *source, const char *dest)
{
    *plan_add_mount(p, a) = (struct plan_mount){ .kind = PLAN_BIND, .source = source,
                                                 .dest = dest };
}

static void set_files(struct oci_plan *p, struct arena *a, const struct pod_plan_in *in)
{
    const char *run = arena_printf(a, "%s/containers/%s", in->data, in->id);
    const char *message = in->container->termination_message_path;

    for (size_t i = 0; i < in->mount->n; i++)
        plan_add_text(&p->rootfs.lower, a, in->mount->lower[i]);
    p->rootfs.upper = arena_printf(a, "%s/upper", run);
    p->rootfs.work = arena_printf(a, "%s/work", run);
    p->rootfs.read_only = contexts(in).c->read_only_root_filesystem;
    bind_file(p, a, arena_printf(a, "%s/etc-hosts", in->data), "/etc/hosts");
    bind_file(p, a, arena_printf(a, "%s/resolv.conf", in->data), "/etc/resolv.conf");
    bind_file(p, a, arena_printf(a, "%s/hostname", in->data), "/etc/hostname");
    bind_file(p, a, arena_printf(a, "%s/message", run), str_empty(message) ? MESSAGE_PATH
                                                                          : message);
}

/* --- resources */

static int64_t milli(const struct view_map *m, const char *key)
{
    const char *text = view_map_get(m, key);
    int64_t v = 0;

    return text && quantity_milli(text, &v, NULL) == 0 ? v : 0;
}

static int64_t whole(const struct view_map *m, const char *key)
{
    const char *text = view_map_get(m, key);
    int64_t v = 0;

    return text && quantity_value(text, &v, NULL) == 0 ? v : 0;
}

static void set_limits(struct cgroup_limits *l, const struct resource_requirements_view *r)
{
    int64_t request = milli(&r->requests, "cpu"), limit = milli(&r->limits, "cpu");

    if (request == 0 && !view_map_get(&r->requests, "cpu"))
        request = limit;
    *l = (struct cgroup_limits){ .cpu_shares = cgroup_shares(request),
                                 .memory_max_bytes = whole(&r->limits, "memory") };
    if (limit > 0)
        l->cpu_quota_us = cgroup_quota_us(limit);
}

struct sums { int64_t cpu, memory, cpu_limit, memory_limit; bool cpu_all, memory_all; };

static void sum_one(struct sums *s, const struct container_view *c)
{
    int64_t cpu_limit = milli(&c->resources.limits, "cpu");
    int64_t memory_limit = whole(&c->resources.limits, "memory");
    const char *request = view_map_get(&c->resources.requests, "cpu");

    s->cpu += request ? milli(&c->resources.requests, "cpu") : cpu_limit;
    s->memory += whole(&c->resources.requests, "memory");
    s->cpu_limit += cpu_limit;
    s->memory_limit += memory_limit;
    s->cpu_all &= cpu_limit > 0;
    s->memory_all &= memory_limit > 0;
}

static void sum_max(struct sums *s, const struct sums *o)
{
    s->cpu = s->cpu > o->cpu ? s->cpu : o->cpu;
    s->cpu_limit = s->cpu_limit > o->cpu_limit ? s->cpu_limit : o->cpu_limit;
    s->memory_limit = s->memory_limit > o->memory_limit ? s->memory_limit : o->memory_limit;
    s->cpu_all &= o->cpu_all;
    s->memory_all &= o->memory_all;
}

/* Containers together, or an init container with the sidecars begun before it: what is more. */
static struct sums sum_pod(const struct pod_spec_view *s)
{
    struct sums run = { .cpu_all = true, .memory_all = true }, side = run, most = run;

    for (unsigned i = 0; i < s->n_init_containers; i++) {
        const struct container_view *c = &s->init_containers[i];
        struct sums one = side;

        sum_one(&one, c);
        if (str_eq(c->restart_policy, "Always"))
            side = one;
        sum_max(&most, &one);
    }
    run = side;
    for (unsigned i = 0; i < s->n_containers; i++)
        sum_one(&run, &s->containers[i]);
    sum_max(&run, &most);
    return run;
}

void pod_plan_pod_limits(struct cgroup_limits *out, const struct pod_spec_view *s)
{
    struct sums sum = sum_pod(s);
    int64_t cpu_over = milli(&s->overhead, "cpu"), memory_over = whole(&s->overhead, "memory");

    if (s->resources) {                      /* spec.resources: of the pod as a whole */
        const struct resource_requirements_view *r = s->resources;

        if (view_map_get(&r->requests, "cpu"))
            sum.cpu = milli(&r->requests, "cpu");
        if (view_map_get(&r->limits, "cpu"))
            sum.cpu_limit = milli(&r->limits, "cpu"), sum.cpu_all = true;
        if (view_map_get(&r->limits, "memory"))
            sum.memory_limit = whole(&r->limits, "memory"), sum.memory_all = true;
    }
    *out = (struct cgroup_limits){ .cpu_shares = cgroup_shares(sum.cpu + cpu_over) };
    if (sum.cpu_all && sum.cpu_limit > 0)
        out->cpu_quota_us = cgroup_quota_us(sum.cpu_limit + cpu_over);
    if (sum.memory_all && sum.memory_limit > 0)
        out->memory_max_bytes = sum.memory_limit + memory_over;
}

static int oom_score(const struct pod_plan_in *in)
{
    const char *qos = in->pod->status.qos_class;
    int64_t request = whole(&in->container->resources.requests, "memory"), score;

    if (str_eq(in->pod->spec.priority_class_name, "system-node-critical") ||
        str_eq(qos, "Guaranteed"))
        return -997;
    if (str_eq(qos, "BestEffort") || in->memory_bytes <= 0)
        return 1000;
    score = 1000 - request / (in->memory_bytes / 1000 + 1);
    return score < 3 ? 3 : score > 999 ? 999 : (int)score;
}

/* --- all */

int pod_plan_make(struct oci_plan *out, struct cgroup_limits *limits, struct arena *a,
                  const struct pod_plan_in *in, struct err *err)
{
    const struct container_view *c = in->container;
    struct oci_plan *p = out;

    plan_defaults(p, a, contexts(in).c->privileged);
    p->id = in->id;
    p->args = *in->args;
    p->env = *in->env;
    p->cwd = !str_empty(c->working_dir) ? c->working_dir : in->image->workdir;
    p->tty = c->tty;
    p->host_pid = in->pod->spec.host_pid;
    p->oom_score_adj = oom_score(in);
    if (p->args.len == 0)
        return err_set(err, ERR_INVALID, "no command specified");
    if (set_user(p, in, err) < 0 || set_groups(p, contexts(in).pod, err) < 0 ||
        set_rights(p, a, in, err) < 0)
        return -1;
    set_files(p, a, in);
    set_limits(limits, &c->resources);
    return plan_check(p, err);
}

static const struct { const char *name; int number; } signals[] = {
    { "HUP", SIGHUP }, { "INT", SIGINT }, { "QUIT", SIGQUIT }, { "ILL", SIGILL },
    { "TRAP", SIGTRAP }, { "ABRT", SIGABRT }, { "BUS", SIGBUS }, { "FPE", SIGFPE },
    { "KILL", SIGKILL }, { "USR1", SIGUSR1 }, { "SEGV", SIGSEGV }, { "USR2", SIGUSR2 },
    { "PIPE", SIGPIPE }, { "ALRM", SIGALRM }, { "TERM", SIGTERM }, { "CHLD", SIGCHLD },
    { "CONT", SIGCONT }, { "STOP", SIGSTOP }, { "TSTP", SIGTSTP }, { "TTIN", SIGTTIN },
    { "TTOU", SIGTTOU }, { "URG", SIGURG }, { "XCPU", SIGXCPU }, { "XFSZ", SIGXFSZ },
    { "VTALRM", SIGVTALRM }, { "PROF", SIGPROF }, { "WINCH", SIGWINCH }, { "IO", SIGIO },
    { "PWR", SIGPWR }, { "SYS", SIGSYS },
};

const char *pod_plan_stop_signal(const struct container_view *c, const struct image *im)
{
    if (c->lifecycle && !str_empty(c->lifecycle->stop_signal))
        return c->lifecycle->stop_signal;
    return !str_empty(im->stop_signal) ? im->stop_signal : "SIGTERM";
}

int pod_plan_signal(const char *name)
{
    int64_t n;

    if (str_empty(name))
        return SIGTERM;
    if (str_to_i64(name, 1, SIGRTMAX, &n, NULL) == 0)
        return (int)n;
    if (str_starts(name, "SIG"))
        name += 3;
    for (size_t i = 0; i < ARRAY_LEN(signals); i++)
        if (str_eq(signals[i].name, name))
            return signals[i].number;
    if (str_starts(name, "RTMIN+") && str_to_i64(name + 6, 0, 30, &n, NULL) == 0)
        return SIGRTMIN + (int)n;
    if (str_starts(name, "RTMAX-") && str_to_i64(name + 6, 0, 30, &n, NULL) == 0)
        return SIGRTMAX - (int)n;
    return SIGTERM;
}
