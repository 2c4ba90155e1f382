/* core/object/rules_container.c -- the three lists of containers of a pod spec. */
#include "core/base/check.h"
#include "core/object/rules_podspec.h"

#define RESTART_RULES_MAX 20
#define EXIT_CODES_MAX 255

static const char only_restartable[] =
    "may not be set for init containers without restartPolicy=Always";
static const char not_ephemeral[] = "cannot be set for an Ephemeral Container";

/* --- ports */

static void check_ports(struct causes *c, const struct rules_path *p, const struct json *ports)
{
    static const char *const protocols[] = { "SCTP", "TCP", "UDP", NULL };
    struct json *seen = json_object(c->a), *v;

    json_each(v, ports) {
        const struct rules_path *at = IDX(p, v_i);
        const char *name = rules_str(v, "name");
        int64_t port = json_get_int(v, "containerPort", 0), host = json_get_int(v, "hostPort", 0);

        if (*name && !rules_is(rules_fmt_port_name, name))
            rules_check_format(c, AT(at, "name"), rules_fmt_port_name, name);
        else if (*name && rules_seen(seen, c->a, name))
            rules_duplicate(c, AT(at, "name"), json_get(v, "name"));
        if (port == 0)
            rules_required(c, AT(at, "containerPort"), "");
        else
            rules_check_port(c, AT(at, "containerPort"), port);
        if (host)
            rules_check_port(c, AT(at, "hostPort"), host);
        rules_check_enum(c, AT(at, "protocol"), rules_str(v, "protocol"), protocols, true);
    }
}

static void check_host_ports(struct causes *c, const struct rules_path *p,
                             const struct json *container,
                             struct json *seen)
{
    struct json *v;

    json_each(v, json_get(container, "ports")) {
        int64_t host = json_get_int(v, "hostPort", 0);
        const char *key = arena_printf(c->a, "%s/%s/%d", rules_str(v, "protocol"),
                                       rules_str(v, "hostIP"), (int)host);

        if (host && rules_seen(seen, c->a, key))
            rules_duplicate(c, AT(IDX(AT(p, "ports"), v_i), "hostPort"), json_str(c->a, key));
    }
}

/* --- environment */

static void check_name(struct causes *c, const struct rules_path *p, const struct json *v,
                       bool prefix)
{
    const char *name = rules_str(v, "name");

    if (prefix && !*name)
        rules_required(c, AT(p, "name"), "");
    else if (!rules_is(rules_fmt_subdomain, prefix ? rules_mask_dash(c->a, name) : name))
        rules_check_format(c, AT(p, "name"), rules_fmt_subdomain, name);
}

static void check_key_ref(struct causes *c, const struct rules_path *p, const struct json *ref)
{
    const char *key = rules_str(ref, "key");

    check_name(c, p, ref, false);
    if (!*key)
        rules_required(c, AT(p, "key"), "");
    else
        rules_check_format(c, AT(p, "key"), rules_fmt_config_key, key);
}

static void check_file_ref(const struct rules_spec *s, const struct rules_path *p,
                           const struct json *ref)
{
    const char *volume = rules_str(ref, "volumeName"), *path = rules_str(ref, "path");

    if (!*volume)
        rules_required(s->c, AT(p, "volumeName"), "");
    else if (!json_get(s->volumes, volume))
        rules_not_found(s->c, AT(p, "volumeName"), volume);
    else if (!json_get(json_get(s->volumes, volume), "emptyDir"))
        rules_invalid_s(s->c, AT(p, "volumeName"), volume,
                        "referenced volume must be of type emptyDir");
    if (!*path)
        rules_required(s->c, AT(p, "path"), "");
    else
        rules_local_path(s->c, AT(p, "path"), path);
    if (!*rules_str(ref, "key"))
        rules_required(s->c, AT(p, "key"), "");
    else
        rules_check_format(s->c, AT(p, "key"), rules_fmt_env_name, rules_str(ref, "key"));
}

static void check_value_from(const struct rules_spec *s, const struct rules_path *p,
                             const struct json *env)
{
    const struct json *from = json_get(env, "valueFrom"), *ref;
    struct causes *c = s->c;
    unsigned n = 0;

    if ((ref = json_get(from, "fieldRef")) && ++n)
        rules_field_ref(c, AT(p, "fieldRef"), ref, false);
    if ((ref = json_get(from, "resourceFieldRef")) && ++n)
        rules_resource_ref(c, AT(p, "resourceFieldRef"), ref, false);
    if ((ref = json_get(from, "configMapKeyRef")) && ++n)
        check_key_ref(c, AT(p, "configMapKeyRef"), ref);
    if ((ref = json_get(from, "secretKeyRef")) && ++n)
        check_key_ref(c, AT(p, "secretKeyRef"), ref);
    if ((ref = json_get(from, "fileKeyRef")) && ++n)
        check_file_ref(s, AT(p, "fileKeyRef"), ref);
    if (n == 0)
        rules_invalid_s(c, p, "", "must specify one of: `fieldRef`, `resourceFieldRef`, "
                        "`configMapKeyRef`, `secretKeyRef` or `fileKeyRef`");
    else if (*rules_str(env, "value"))
        rules_invalid_s(c, p, "", "may not be specified when `value` is not empty");
    else if (n > 1)
        rules_invalid_s(c, p, "", "may not have more than one field specified at a time");
}

static void check_env(const struct rules_spec *s, const struct rules_path *p,
                      const struct json *list)
{
    struct json *v;

    json_each(v, list) {
        const char *name = rules_str(v, "name");

        if (!*name)
            rules_required(s->c, AT(IDX(p, v_i), "name"), "");
        else
            rules_check_format(s->c, AT(IDX(p, v_i), "name"), rules_fmt_env_name, name);
        if (json_get(v, "valueFrom"))
            check_value_from(s, AT(IDX(p, v_i), "valueFrom"), v);
    }
}

static void check_env_from(struct causes *c, const struct rules_path *p, const struct json *list)
{
    struct json *v;

    json_each(v, list) {
        const struct rules_path *at = IDX(p, v_i);
        const char *prefix = rules_str(v, "prefix");
        const struct json *map = json_get(v, "configMapRef"), *secret = json_get(v, "secretRef");

        if (*prefix)
            rules_check_format(c, AT(at, "prefix"), rules_fmt_env_name, prefix);
        if (map)
            check_name(c, AT(at, "configMapRef"), map, true);
        if (secret)
            check_name(c, AT(at, "secretRef"), secret, true);
        if (!map && !secret)
            rules_invalid_s(c, p, "", "must specify one of: `configMapRef` or `secretRef`");
        else if (map && secret)
            rules_invalid_s(c, p, "", "may not have more than one field specified at a time");
    }
}

/* --- mounts */

static const struct json *find_by(const struct json *list, const char *field, const char *value)
{
    struct json *v;

    json_each(v, list)
        if (str_eq(rules_str(v, field), value))
            return v;
    return NULL;
}

static bool is_privileged(const struct json *container)
{
    return json_get_bool(json_get(container, "securityContext"), "privileged", false);
}

static void check_mount_modes(struct causes *c, const struct rules_path *p,
                              const struct json *mount,
                              const struct json *container)
{
    static const char *const modes[] = { "Bidirectional", "HostToContainer", "None", NULL };
    static const char *const readonly[] = { "Disabled", "Enabled", "IfPossible", NULL };
    const char *mode = rules_str(mount, "mountPropagation"),
        *rro = rules_str(mount, "recursiveReadOnly");
    const struct rules_path *at = AT(p, "recursiveReadOnly");

    if (json_get(mount, "mountPropagation") && !rules_in(mode, modes))
        rules_unsupported(c, AT(p, "mountPropagation"), mode, modes);
    if (str_eq(mode, "Bidirectional") && !is_privileged(container))
        rules_forbidden(c, AT(p, "mountPropagation"),
                        "Bidirectional mount propagation is available only to privileged "
                        "containers");
    if (!json_get(mount, "recursiveReadOnly") || str_eq(rro, "Disabled"))
        return;
    if (!rules_in(rro, readonly)) {
        rules_unsupported(c, at, rro, readonly);
        return;
    }
    if (!json_get_bool(mount, "readOnly", false))
        rules_forbidden(c, at, "may only be specified when readOnly is true");
    if (*mode && !str_eq(mode, "None"))
        rules_forbidden(c, at,
                        "may only be specified when mountPropagation is None or not specified");
}

static void check_sub_path(const struct rules_spec *s, const struct rules_path *p,
                           const struct rules_path *at, const struct json *mount, const char *field)
{
    const char *path = rules_str(mount, field);
    const struct json *volume = json_get(s->volumes, rules_str(mount, "name"));

    if (!*path)
        return;
    if (json_get(volume, "image"))
        rules_invalid_s(s->c, AT(at, field), path, "not allowed in image volume sources");
    if (path[0] == '/')
        rules_invalid_s(s->c, AT(p, field), path, "must be a relative path");
    rules_no_backsteps(s->c, AT(p, field), path);
}

static void check_mount(const struct rules_spec *s, const struct rules_path *p,
                        const struct rules_path *at,
                        const struct json *mount, const struct json *devices)
{
    const char *name = rules_str(mount, "name"), *path = rules_str(mount, "mountPath");
    struct causes *c = s->c;

    if (!*name)
        rules_required(c, AT(at, "name"), "");
    if (!json_get(s->volumes, name))
        rules_not_found(c, AT(at, "name"), name);
    if (!*path)
        rules_required(c, AT(at, "mountPath"), "");
    if (find_by(devices, "name", name))
        rules_invalid_s(c, AT(at, "name"), name, "must not already exist in volumeDevices");
    if (find_by(devices, "devicePath", path))
        rules_invalid_s(c, AT(at, "mountPath"), path,
                        "must not already exist as a path in volumeDevices");
    check_sub_path(s, p, at, mount, "subPath");
    if (*rules_str(mount, "subPathExpr") && *rules_str(mount, "subPath"))
        rules_invalid(c, AT(at, "subPathExpr"), json_get(mount, "subPathExpr"),
                      "subPathExpr and subPath are mutually exclusive");
    check_sub_path(s, p, at, mount, "subPathExpr");
}

static void check_mounts(const struct rules_spec *s, const struct rules_path *p,
                         const struct json *container)
{
    struct json *seen = json_object(s->c->a), *v;

    json_each(v, json_get(container, "volumeMounts")) {
        const char *path = rules_str(v, "mountPath");

        check_mount(s, p, IDX(p, v_i), v, json_get(container, "volumeDevices"));
        if (rules_seen(seen, s->c->a, path))
            rules_invalid_s(s->c, AT(IDX(p, v_i), "mountPath"), path, "must be unique");
        check_mount_modes(s->c, p, v, container);
    }
}

static void check_device(const struct rules_spec *s, const struct rules_path *at,
                         const struct json *device,
                         const struct json *mounts)
{
    const char *name = rules_str(device, "name"), *path = rules_str(device, "devicePath");
    const struct json *volume = json_get(s->volumes, name);
    struct causes *c = s->c;

    if (!*name)
        rules_required(c, AT(at, "name"), "");
    if (!volume)
        rules_not_found(c, AT(at, "name"), name);
    else if (!json_get(volume, "persistentVolumeClaim") && !json_get(volume, "ephemeral"))
        rules_invalid_s(c, AT(at, "name"), name, "can only use volume source type of "
                        "PersistentVolumeClaim or Ephemeral for block mode");
    if (!*path)
        rules_required(c, AT(at, "devicePath"), "");
    if (strstr(path, ".."))
        rules_invalid_s(c, AT(at, "devicePath"), path, "can not contain backsteps ('..')");
    if (find_by(mounts, "name", name))
        rules_invalid_s(c, AT(at, "name"), name, "must not already exist in volumeMounts");
    if (find_by(mounts, "mountPath", path))
        rules_invalid_s(c, AT(at, "devicePath"), path,
                        "must not already exist as a path in volumeMounts");
}

static void check_devices(const struct rules_spec *s, const struct rules_path *p,
                          const struct json *container)
{
    struct json *names = json_object(s->c->a), *paths = json_object(s->c->a), *v;

    json_each(v, json_get(container, "volumeDevices")) {
        const char *name = rules_str(v, "name"), *path = rules_str(v, "devicePath");

        check_device(s, IDX(p, v_i), v, json_get(container, "volumeMounts"));
        if (*name && rules_seen(names, s->c->a, name))
            rules_invalid_s(s->c, AT(IDX(p, v_i), "name"), name, "must be unique");
        if (rules_seen(paths, s->c->a, path))
            rules_invalid_s(s->c, AT(IDX(p, v_i), "devicePath"), path, "must be unique");
    }
}

/* --- probes and lifecycle */

static void check_http(struct causes *c, const struct rules_path *p, const struct json *v)
{
    static const char *const schemes[] = { "HTTP", "HTTPS", NULL };
    struct json *header;

    if (!*rules_str(v, "path"))
        rules_required(c, AT(p, "path"), "");
    rules_check_port_ref(c, AT(p, "port"), json_get(v, "port"));
    if (!rules_in(rules_str(v, "scheme"), schemes))
        rules_unsupported(c, AT(p, "scheme"), rules_str(v, "scheme"), schemes);
    json_each(header, json_get(v, "httpHeaders"))
        rules_check_format(c, AT(p, "httpHeaders"), rules_fmt_http_header,
                           rules_str(header, "name"));
}

static void check_action(const struct rules_spec *s, const struct rules_path *p, const char *name,
                         const struct json *v)
{
    struct causes *c = s->c;
    int64_t grace = json_get_int(s->spec, "terminationGracePeriodSeconds", -1), seconds;

    if (str_eq(name, "exec") && json_len(json_get(v, "command")) == 0)
        rules_required(c, AT(p, "command"), "");
    if (str_eq(name, "httpGet"))
        check_http(c, p, v);
    if (str_eq(name, "tcpSocket"))
        rules_check_port_ref(c, AT(p, "port"), json_get(v, "port"));
    if (str_eq(name, "grpc"))
        rules_check_port(c, AT(p, "port"), json_get_int(v, "port", 0));
    seconds = json_get_int(v, "seconds", 0);
    if (str_eq(name, "sleep") && grace >= 0 && (seconds < 0 || seconds > grace))
        rules_invalid_i(c, p, seconds, arena_printf(c->a, "must be non-negative and less than "
                        "terminationGracePeriodSeconds (%lld)", (long long)grace));
}

static void check_handler(const struct rules_spec *s, const struct rules_path *p,
                          const struct json *v)
{
    static const char *const actions[] = { "exec", "httpGet", "tcpSocket", "grpc", "sleep" };
    unsigned n = 0;

    for (size_t i = 0; i < ARRAY_LEN(actions); i++) {
        const struct json *action = json_get(v, actions[i]);

        if (!action)
            continue;
        if (n++)
            rules_forbidden(s->c, AT(p, actions[i]), "may not specify more than 1 handler type");
        else
            check_action(s, AT(p, actions[i]), actions[i], action);
    }
    if (n == 0)
        rules_required(s->c, p, "must specify a handler type");
}

static void check_probe(const struct rules_spec *s, const struct rules_path *at,
                        const struct json *container,
                        const char *name)
{
    static const char *const numbers[] = {
        "initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold",
        "failureThreshold",
    };
    const struct json *v = json_get(container, name),
        *grace = json_get(v, "terminationGracePeriodSeconds");
    const struct rules_path *p = AT(at, name);
    bool readiness = str_eq(name, "readinessProbe");
    int64_t success = json_get_int(v, "successThreshold", 0);

    if (!v)
        return;
    check_handler(s, p, v);
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        rules_check_nonneg(s->c, p, v, numbers[i]);
    if (grace && grace->i <= 0)
        rules_invalid(s->c, AT(p, "terminationGracePeriodSeconds"), grace,
                      "must be greater than 0");
    if (readiness && grace)
        rules_invalid(s->c, AT(p, "terminationGracePeriodSeconds"), grace,
                      "must not be set for readinessProbes");
    if (!readiness && success != 1)
        rules_invalid_i(s->c, AT(p, "successThreshold"), success, "must be 1");
}

static void check_lifecycle(const struct rules_spec *s, const struct rules_path *p,
                            const struct json *v)
{
    const char *signal = rules_str(v, "stopSignal");

    if (json_get(v, "postStart"))
        check_handler(s, AT(p, "postStart"), json_get(v, "postStart"));
    if (json_get(v, "preStop"))
        check_handler(s, AT(p, "preStop"), json_get(v, "preStop"));
    if (*signal && !*rules_str(json_get(s->spec, "os"), "name"))
        rules_forbidden(s->c, AT(p, "stopSignal"),
                        "may not be set for containers with empty `spec.os.name`");
}

static void check_running(const struct rules_spec *s, const struct rules_path *p,
                          const struct json *container)
{
    if (json_get(container, "lifecycle"))
        check_lifecycle(s, AT(p, "lifecycle"), json_get(container, "lifecycle"));
    check_probe(s, p, container, "livenessProbe");
    check_probe(s, p, container, "readinessProbe");
    check_probe(s, p, container, "startupProbe");
}

/* --- restart policy of a single container */

static void check_exit_codes(struct causes *c, const struct rules_path *p, const struct json *v)
{
    static const char *const operators[] = { "In", "NotIn", NULL };
    const struct json *values = json_get(v, "values");

    if (!v) {
        rules_required(c, p, "must be specified");
        return;
    }
    rules_check_enum(c, AT(p, "operator"), rules_str(v, "operator"), operators, true);
    if (json_len(values) == 0)
        rules_required(c, AT(p, "values"), "must specify at least 1 value");
    else if (json_len(values) > EXIT_CODES_MAX)
        rules_too_many(c, AT(p, "values"), json_len(values), EXIT_CODES_MAX);
}

static void check_restart(struct causes *c, const struct rules_path *p,
                          const struct json *container,
                          bool is_init)
{
    static const char *const policies[] = { "Always", "Never", "OnFailure", NULL };
    static const char *const actions[] = { "Restart", "RestartAllContainers", NULL };
    const struct json *rules = json_get(container, "restartPolicyRules");
    const char *policy = rules_str(container, "restartPolicy");
    const struct rules_path *at = AT(p, "restartPolicyRules");
    struct json *rule;

    if (json_get(container, "restartPolicy") && !rules_in(policy, policies))
        rules_unsupported(c, AT(p, "restartPolicy"), policy, policies);
    if (json_len(rules) == 0)
        return;
    if (!*policy)
        rules_required(c, AT(p, "restartPolicy"),
                       "must specify restartPolicy when restart rules are used");
    if (is_init && str_eq(policy, "Always"))
        rules_forbidden(c, at, "restartPolicyRules are not allowed for init containers with "
                        "restart policy Always");
    if (json_len(rules) > RESTART_RULES_MAX)
        rules_too_many(c, at, json_len(rules), RESTART_RULES_MAX);
    json_each(rule, rules) {
        rules_check_enum(c, AT(IDX(at, rule_i), "action"), rules_str(rule, "action"), actions,
                         true);
        check_exit_codes(c, AT(IDX(at, rule_i), "exitCodes"), json_get(rule, "exitCodes"));
    }
}

/* --- what all containers share */

static void check_resize(const struct rules_spec *s, const struct rules_path *p,
                         const struct json *list)
{
    static const char *const resources[] = { "cpu", "memory", NULL };
    static const char *const policies[] = { "NotRequired", "RestartContainer", NULL };
    struct json *seen = json_object(s->c->a), *v;
    bool never = str_eq(rules_str(s->spec, "restartPolicy"), "Never");

    json_each(v, list) {
        const char *name = rules_str(v, "resourceName"), *policy = rules_str(v, "restartPolicy");

        if (rules_seen(seen, s->c->a, name))
            rules_duplicate(s->c, IDX(p, v_i), json_str(s->c->a, name));
        rules_check_enum(s->c, p, name, resources, true);
        rules_check_enum(s->c, p, policy, policies, true);
        if (never && !str_eq(policy, "NotRequired"))
            rules_invalid_s(s->c, p, policy,
                            "must be 'NotRequired' when pod `restartPolicy` is 'Never'");
    }
}

static bool is_padded(const char *s)
{
    size_t len = strlen(s);

    return len && (strchr(" \t\r\n\v\f", s[0]) || strchr(" \t\r\n\v\f", s[len - 1]));
}

static void check_common(const struct rules_spec *s, const struct rules_path *p,
                         const struct json *v)
{
    static const char *const messages[] = { "File", "FallbackToLogsOnError", NULL };
    static const char *const pulls[] = { "Always", "IfNotPresent", "Never", NULL };
    const char *name = rules_str(v, "name"), *image = rules_str(v, "image");
    struct causes *c = s->c;

    if (!*name)
        rules_required(c, AT(p, "name"), "");
    else
        rules_check_format(c, AT(p, "name"), rules_fmt_label, name);
    if (!*image)
        rules_required(c, AT(p, "image"), "");
    rules_check_enum(c, AT(p, "terminationMessagePolicy"), rules_str(v, "terminationMessagePolicy"),
                     messages, true);
    check_ports(c, AT(p, "ports"), json_get(v, "ports"));
    check_env(s, AT(p, "env"), json_get(v, "env"));
    check_env_from(c, AT(p, "envFrom"), json_get(v, "envFrom"));
    check_mounts(s, AT(p, "volumeMounts"), v);
    check_devices(s, AT(p, "volumeDevices"), v);
    rules_check_enum(c, AT(p, "imagePullPolicy"), rules_str(v, "imagePullPolicy"), pulls, true);
    rules_resources(c, AT(p, "resources"), json_get(v, "resources"),
                    json_get(s->spec, "resourceClaims"),
                    false);
    check_resize(s, AT(p, "resizePolicy"), json_get(v, "resizePolicy"));
    rules_security_context(s, AT(p, "securityContext"), json_get(v, "securityContext"));
    if (s->is_pod && is_padded(image))
        rules_invalid_s(c, AT(p, "image"), image, "must not have leading or trailing whitespace");
}

static void check_unique(const struct rules_spec *s, const struct rules_path *p,
                         const struct json *v,
                         struct json *names)
{
    if (rules_seen(names, s->c->a, rules_str(v, "name")))
        rules_duplicate(s->c, AT(p, "name"), json_str(s->c->a, rules_str(v, "name")));
}

/* --- the lists */

static void check_regular(const struct rules_spec *s, const struct rules_path *p,
                          struct json *names)
{
    const struct json *list = json_get(s->spec, "containers");
    struct json *ports = json_object(s->c->a), *v;

    if (json_len(list) == 0)
        rules_required(s->c, p, "");
    json_each(v, list) {
        const struct rules_path *at = IDX(p, v_i);

        check_common(s, at, v);
        check_unique(s, at, v, names);
        check_running(s, at, v);
        check_restart(s->c, at, v, false);
        check_host_ports(s->c, at, v, ports);
    }
}

static void check_init(const struct rules_spec *s, const struct rules_path *p, struct json *names)
{
    static const char *const running[] = {
        "lifecycle", "livenessProbe", "readinessProbe", "startupProbe",
    };
    struct json *v, *policy;

    json_each(v, json_get(s->spec, "initContainers")) {
        const struct rules_path *at = IDX(p, v_i);
        bool restartable = str_eq(rules_str(v, "restartPolicy"), "Always");

        check_common(s, at, v);
        check_restart(s->c, at, v, true);
        check_unique(s, at, v, names);
        check_host_ports(s->c, at, v, json_object(s->c->a));
        if (restartable)
            check_running(s, at, v);
        for (size_t i = 0; !restartable && i < ARRAY_LEN(running); i++)
            if (json_get(v, running[i]))
                rules_forbidden(s->c, AT(at, running[i]), only_restartable);
        json_each(policy, restartable ? NULL : json_get(v, "resizePolicy"))
            if (str_eq(rules_str(policy, "restartPolicy"), "RestartContainer"))
                rules_invalid_s(s->c, AT(IDX(AT(at, "resizePolicy"), policy_i), "restartPolicy"),
                                "RestartContainer", "must not be set to 'RestartContainer' for "
                                "non-sidecar initContainers");
    }
}

static void check_ephemeral_mounts(const struct rules_spec *s, const struct rules_path *p,
                                   const struct json *mounts)
{
    struct json *v;

    json_each(v, mounts) {
        if (*rules_str(v, "subPath"))
            rules_forbidden(s->c, AT(IDX(p, v_i), "subPath"), not_ephemeral);
        if (*rules_str(v, "subPathExpr"))
            rules_forbidden(s->c, AT(IDX(p, v_i), "subPathExpr"), not_ephemeral);
    }
}

static void check_ephemeral(const struct rules_spec *s, const struct rules_path *p,
                            struct json *names)
{
    static const char *const refused[] = {
        "ports", "resources", "livenessProbe", "readinessProbe", "startupProbe", "lifecycle",
        "restartPolicy", "restartPolicyRules", "resizePolicy",
    };
    const struct json *others = json_clone(s->c->a, names);
    struct json *v;

    json_each(v, json_get(s->spec, "ephemeralContainers")) {
        const struct rules_path *at = IDX(p, v_i);
        const char *target = rules_str(v, "targetContainerName");

        check_common(s, at, v);
        check_unique(s, at, v, names);
        if (*target && !json_get(others, target))
            rules_not_found(s->c, AT(at, "targetContainerName"), target);
        for (size_t i = 0; i < ARRAY_LEN(refused); i++)
            if (!rules_same(json_get(v, refused[i]), NULL))
                rules_forbidden(s->c, AT(at, refused[i]), not_ephemeral);
        check_ephemeral_mounts(s, AT(at, "volumeMounts"), json_get(v, "volumeMounts"));
    }
}

void rules_containers(const struct rules_spec *s, const struct rules_path *spec_at)
{
    struct json *names = json_object(s->c->a);

    check_regular(s, AT(spec_at, "containers"), names);
    check_init(s, AT(spec_at, "initContainers"), names);
    check_ephemeral(s, AT(spec_at, "ephemeralContainers"), names);
}
