/* core/object/rules_security.c -- security contexts of pods and containers, and what each OS
 * allows. */
#include "core/base/check.h"
#include "core/object/rules_podspec.h"

#define ID_MAX INT64_C(2147483647)
#define SYSCTL_MAX 253
#define PROFILE_MAX 4095
#define SYSCTL_RE "[a-z0-9]([-_a-z0-9]*[a-z0-9])?"

static const char *const container_lists[] = { "initContainers", "containers",
                                               "ephemeralContainers" };

static void check_id(struct causes *c, const struct rules_path *p, const struct json *v)
{
    if (json_is(v, JSON_INT) && (v->i < 0 || v->i > ID_MAX))
        rules_invalid_i(c, p, v->i, "must be between 0 and 2147483647, inclusive");
}

static const char *const profile_types[] = { "Localhost", "RuntimeDefault", "Unconfined", NULL };

static void check_seccomp(struct causes *c, const struct rules_path *p, const struct json *v)
{
    const char *type = rules_str(v, "type");
    const struct json *local = json_get(v, "localhostProfile");

    if (!v)
        return;
    if (!*type)
        rules_required(c, AT(p, "type"), "type is required when seccompProfile is set");
    else if (!rules_in(type, profile_types))
        rules_unsupported(c, AT(p, "type"), type, profile_types);
    if (!str_eq(type, "Localhost")) {
        if (local)
            rules_invalid(c, AT(p, "localhostProfile"), v,
                          "can only be set when seccomp type is Localhost");
        return;
    }
    if (!local) {
        rules_required(c, AT(p, "localhostProfile"), "must be set when seccomp type is Localhost");
        return;
    }
    if (local->s[0] == '/')
        rules_invalid_s(c, AT(p, "localhostProfile"), local->s, "must be a relative path");
    rules_no_backsteps(c, AT(p, "localhostProfile"), local->s);
}

static bool is_padded(const char *s)
{
    size_t len = strlen(s);

    return len && (strchr(" \t\r\n\v\f", s[0]) || strchr(" \t\r\n\v\f", s[len - 1]));
}

static void check_apparmor(struct causes *c, const struct rules_path *p, const struct json *v)
{
    const char *type = rules_str(v, "type"), *text = rules_str(v, "localhostProfile");
    const struct json *local = json_get(v, "localhostProfile");
    const struct rules_path *at = AT(p, "localhostProfile");

    if (!v)
        return;
    if (!*type) {
        rules_required(c, AT(p, "type"), "type is required when appArmorProfile is set");
    } else if (!rules_in(type, profile_types)) {
        rules_unsupported(c, AT(p, "type"), type, profile_types);
    } else if (!str_eq(type, "Localhost")) {
        if (local)
            rules_invalid(c, at, local, "can only be set when AppArmor type is Localhost");
    } else {
        if (is_padded(text))
            rules_invalid_s(c, at, text, "must not be padded with whitespace");
        else if (!*text)
            rules_required(c, at, "must be set when AppArmor type is Localhost");
        if (strlen(text) > PROFILE_MAX)
            rules_too_long(c, at, PROFILE_MAX);
    }
}

static bool adds_sys_admin(const struct json *sc)
{
    struct json *v;

    json_each(v, json_get(json_get(sc, "capabilities"), "add"))
        if (str_eq(json_text(v), "CAP_SYS_ADMIN"))
            return true;
    return false;
}

void rules_security_context(const struct rules_spec *s, const struct rules_path *p,
                            const struct json *sc)
{
    static const char *const proc_mounts[] = { "Default", "Unmasked", NULL };
    const char *proc = rules_str(sc, "procMount");
    const struct json *escalate = json_get(sc, "allowPrivilegeEscalation");
    struct causes *c = s->c;

    if (!sc)
        return;
    check_id(c, AT(p, "runAsUser"), json_get(sc, "runAsUser"));
    check_id(c, AT(p, "runAsGroup"), json_get(sc, "runAsGroup"));
    if (json_get(sc, "procMount") && !rules_in(proc, proc_mounts))
        rules_unsupported(c, AT(p, "procMount"), proc, proc_mounts);
    if (s->host_users && str_eq(proc, "Unmasked"))
        rules_invalid_s(c, AT(p, "procMount"), proc, "`hostUsers` must be false to use `Unmasked`");
    check_seccomp(c, AT(p, "seccompProfile"), json_get(sc, "seccompProfile"));
    if (json_is(escalate, JSON_BOOL) && !escalate->b) {
        if (json_get_bool(sc, "privileged", false))
            rules_invalid(c, p, sc,
                          "cannot set `allowPrivilegeEscalation` to false and `privileged` to "
                          "true");
        if (adds_sys_admin(sc))
            rules_invalid(c, p, sc, "cannot set `allowPrivilegeEscalation` to false and "
                          "`capabilities.Add` CAP_SYS_ADMIN");
    }
    check_apparmor(c, AT(p, "appArmorProfile"), json_get(sc, "appArmorProfile"));
    rules_profile_windows(c, AT(p, "windowsOptions"), json_get(sc, "windowsOptions"));
}

/* --- sysctls */

static bool is_sysctl_part(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!((s[i] >= 'a' && s[i] <= 'z') || (s[i] >= '0' && s[i] <= '9') ||
              (i > 0 && i + 1 < len && (s[i] == '-' || s[i] == '_'))))
            return false;
    return len > 0;
}

static bool is_sysctl(const char *s)
{
    if (strlen(s) > SYSCTL_MAX)
        return false;
    for (;;) {
        size_t len = strcspn(s, "./");

        if (!is_sysctl_part(s, len))
            return false;
        if (!s[len])
            return true;
        s += len + 1;
    }
}

static bool is_ipc_sysctl(const char *s)
{
    return str_starts(s, "kernel.shm") || str_starts(s, "kernel.msg") || str_eq(s, "kernel.sem") ||
           str_starts(s, "fs.mqueue.");
}

static void check_sysctls(const struct rules_spec *s, const struct rules_path *p,
                          const struct json *list)
{
    struct json *seen = json_object(s->c->a), *v;

    json_each(v, list) {
        const struct rules_path *at = AT(IDX(p, v_i), "name");
        const char *name = rules_str(v, "name");

        if (!*name)
            rules_required(s->c, at, "");
        else if (!is_sysctl(name))
            rules_invalid_s(s->c, at, name, "must have at most 253 characters and match regex "
                            "^(" SYSCTL_RE "[\\./])*" SYSCTL_RE "$");
        else if (rules_seen(seen, s->c->a, name))
            rules_duplicate(s->c, at, json_get(v, "name"));
        if (json_get_bool(s->spec, "hostNetwork", false) && str_starts(name, "net."))
            rules_invalid_s(s->c, at, name, "may not be specified when 'hostNetwork' is true");
        if (json_get_bool(s->spec, "hostIPC", false) && is_ipc_sysctl(name))
            rules_invalid_s(s->c, at, name, "may not be specified when 'hostIPC' is true");
    }
}

/* --- the pod's */

static void check_choice(struct causes *c, const struct rules_path *p, const struct json *sc,
                         const char *field, const char *const *values)
{
    if (json_get(sc, field) && !rules_in(rules_str(sc, field), values))
        rules_unsupported(c, AT(p, field), rules_str(sc, field), values);
}

void rules_pod_security(const struct rules_spec *s, const struct rules_path *spec_at)
{
    static const char *const fs_group[] = { "Always", "OnRootMismatch", NULL };
    static const char *const groups[] = { "Merge", "Strict", NULL };
    static const char *const selinux[] = { "MountOption", "Recursive", NULL };
    const struct rules_path *p = AT(spec_at, "securityContext");
    const struct json *sc = json_get(s->spec, "securityContext");
    struct causes *c = s->c;
    struct json *v;

    check_id(c, AT(p, "fsGroup"), json_get(sc, "fsGroup"));
    check_id(c, AT(p, "runAsUser"), json_get(sc, "runAsUser"));
    check_id(c, AT(p, "runAsGroup"), json_get(sc, "runAsGroup"));
    json_each(v, json_get(sc, "supplementalGroups"))
        check_id(c, IDX(AT(p, "supplementalGroups"), v_i), v);
    if (json_get_bool(s->spec, "shareProcessNamespace", false) &&
        json_get_bool(s->spec, "hostPID", false))
        rules_invalid(c, AT(p, "shareProcessNamespace"), json_bool(c->a, true),
                      "ShareProcessNamespace and HostPID cannot both be enabled");
    check_sysctls(s, AT(p, "sysctls"), json_get(sc, "sysctls"));
    check_choice(c, p, sc, "fsGroupChangePolicy", fs_group);
    check_seccomp(c, AT(p, "seccompProfile"), json_get(sc, "seccompProfile"));
    check_apparmor(c, AT(p, "appArmorProfile"), json_get(sc, "appArmorProfile"));
    check_choice(c, p, sc, "supplementalGroupsPolicy", groups);
    check_choice(c, p, sc, "seLinuxChangePolicy", selinux);
    rules_profile_windows(c, AT(p, "windowsOptions"), json_get(sc, "windowsOptions"));
    rules_profile_host_process(s, spec_at);
    if (s->host_users)
        return;
    if (json_get_bool(s->spec, "hostNetwork", false))
        rules_forbidden(c, AT(spec_at, "hostNetwork"), "when `hostUsers` is false");
    if (json_get_bool(s->spec, "hostPID", false))
        rules_forbidden(c, AT(spec_at, "HostPID"), "when `hostUsers` is false");
    if (json_get_bool(s->spec, "hostIPC", false))
        rules_forbidden(c, AT(spec_at, "HostIPC"), "when `hostUsers` is false");
    for (size_t i = 0; i < ARRAY_LEN(container_lists); i++)
        json_each(v, json_get(s->spec, container_lists[i]))
            if (json_len(json_get(v, "volumeDevices")))
                rules_forbidden(c, AT(IDX(AT(spec_at, container_lists[i]), v_i), "volumeDevices"),
                                "when `hostUsers` is false");
}

/* --- operating system */

static void forbid_fields(struct causes *c, const struct rules_path *p, const struct json *obj,
                          const char *const *fields, const char *why)
{
    for (; *fields; fields++) {
        const struct json *v = json_get(obj, *fields);

        if (v && !(v->type == JSON_BOOL && !v->b && (*fields)[0] == 'h'))
            rules_forbidden(c, AT(p, *fields), why);
    }
}

/* Calls for the pod's context and for each container's. */
static void forbid_everywhere(const struct rules_spec *s, const struct rules_path *spec_at,
                              const char *const *pod, const char *const *container, const char *why)
{
    struct json *v;

    forbid_fields(s->c, AT(spec_at, "securityContext"), json_get(s->spec, "securityContext"), pod,
                  why);
    for (size_t i = 0; i < ARRAY_LEN(container_lists); i++)
        json_each(v, json_get(s->spec, container_lists[i]))
            forbid_fields(s->c, AT(IDX(AT(spec_at, container_lists[i]), v_i), "securityContext"),
                          json_get(v, "securityContext"), container, why);
}

void rules_os(const struct rules_spec *s, const struct rules_path *spec_at)
{
    static const char *const names[] = { "linux", "windows", NULL };
    static const char *const windows_only[] = { "windowsOptions", NULL };
    static const char *const linux_pod[] = {
        "appArmorProfile", "seLinuxOptions", "seccompProfile", "fsGroup", "fsGroupChangePolicy",
        "sysctls",
        "runAsUser", "runAsGroup", "supplementalGroups", "supplementalGroupsPolicy",
        "seLinuxChangePolicy", NULL,
    };
    static const char *const linux_spec[] = {
        "hostUsers", "hostPID", "hostIPC", "shareProcessNamespace", NULL,
    };
    static const char *const linux_container[] = {
        "appArmorProfile", "seLinuxOptions", "seccompProfile", "capabilities",
        "readOnlyRootFilesystem",
        "privileged", "allowPrivilegeEscalation", "procMount", "runAsUser", "runAsGroup", NULL,
    };
    const struct json *os = json_get(s->spec, "os");
    const char *name = rules_str(os, "name");

    if (!os)
        return;
    if (!*name)
        rules_required(s->c, AT(AT(spec_at, "os"), "name"), "cannot be empty");
    else if (!rules_in(name, names))
        rules_unsupported(s->c, AT(AT(spec_at, "os"), "name"), name, names);
    else if (str_eq(name, "linux"))
        forbid_everywhere(s, spec_at, windows_only, windows_only,
                          "windows options cannot be set for a linux pod");
    else {
        forbid_fields(s->c, spec_at, s->spec, linux_spec, "cannot be set for a windows pod");
        forbid_everywhere(s, spec_at, linux_pod, linux_container,
                          "cannot be set for a windows pod");
    }
}
