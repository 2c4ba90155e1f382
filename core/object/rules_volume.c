/* core/object/rules_volume.c -- volumes of a pod spec: exactly one source each, and what each
 * source needs. */
#include "core/base/check.h"
#include "core/object/rules_podspec.h"

#define MODE_TEXT "must be a number between 0 and 0777 (octal), both inclusive"
#define ISCSI_NAME_MAX 64
#define TOKEN_SECONDS_MIN 600
#define TOKEN_SECONDS_MAX (INT64_C(1) << 32)
#define CERT_SECONDS_MIN 3600
#define CERT_SECONDS_OWN_MAX 86400
#define CERT_SECONDS_MAX 7862400

void rules_no_backsteps(struct causes *c, const struct rules_path *p, const char *path)
{
    for (const char *s = path; *s; s += strcspn(s, "/"), s += *s == '/') {
        if (strcspn(s, "/") == 2 && s[0] == '.' && s[1] == '.') {
            rules_invalid_s(c, p, path, "must not contain '..'");
            return;
        }
    }
}

static void check_relative(struct causes *c, const struct rules_path *p, const char *path)
{
    if (path[0] == '/')
        rules_invalid_s(c, p, path, "must be a relative path");
    rules_no_backsteps(c, p, path);
}

void rules_local_path(struct causes *c, const struct rules_path *p, const char *path)
{
    check_relative(c, p, path);
    if (str_starts(path, "..") && !str_starts(path, "../") && !str_eq(path, ".."))
        rules_invalid_s(c, p, path, "must not start with '..'");
}

static void check_mode(struct causes *c, const struct rules_path *p, const struct json *obj,
                       const char *field)
{
    int64_t mode = json_get_int(obj, field, 0);

    if (mode < 0 || mode > 0777)
        rules_invalid_i(c, AT(p, field), mode, MODE_TEXT);
}

static void need(struct causes *c, const struct rules_path *p, const struct json *v,
                 const char *field)
{
    if (!*rules_str(v, field))
        rules_required(c, AT(p, field), "");
}

/* --- references to fields */

static bool label_or_annotation(struct causes *c, const struct rules_path *p, const char *path)
{
    const char *bracket = strstr(path, "['");
    size_t len = strlen(path);
    char *key;

    if (!bracket || len < 4 || !str_eq(path + len - 2, "']"))
        return false;
    key = arena_strndup(c->a, bracket + 2, (size_t)(path + len - 2 - (bracket + 2)));
    if (str_starts(path, "metadata.annotations['")) {
        for (char *s = key; *s; s++)
            *s = *s >= 'A' && *s <= 'Z' ? (char)(*s + 32) : *s;
        rules_check_format(c, p, rules_fmt_qualified, key);
    } else if (str_starts(path, "metadata.labels['")) {
        rules_check_format(c, p, rules_fmt_qualified, key);
    } else {
        return false;
    }
    return true;
}

void rules_field_ref(struct causes *c, const struct rules_path *p, const struct json *ref,
                     bool is_volume)
{
    static const char *const known[] = {
        "metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace",
        "metadata.uid", "spec.nodeName", "spec.restartPolicy", "spec.serviceAccountName",
        "spec.schedulerName", "status.phase", "status.hostIP", "status.hostIPs", "status.podIP",
        "status.podIPs", "spec.host", NULL,
    };
    static const char *const in_env[] = {
        "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName",
        "spec.serviceAccountName", "status.hostIP", "status.hostIPs", "status.podIP",
        "status.podIPs", NULL,
    };
    static const char *const in_volume[] = {
        "metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace",
        "metadata.uid", NULL,
    };
    const char *path = rules_str(ref, "fieldPath"), *version = rules_str(ref, "apiVersion");

    if (!*version) {
        rules_required(c, AT(p, "apiVersion"), "");
    } else if (!*path) {
        rules_required(c, AT(p, "fieldPath"), "");
    } else if (!str_eq(version, "v1")) {
        rules_invalid(c, AT(p, "fieldPath"), json_get(ref, "fieldPath"),
                      "error converting fieldPath: "
                      "unsupported pod version: %s", version);
    } else if (!label_or_annotation(c, p, path)) {
        if (!rules_in(path, known))
            rules_invalid(c, AT(p, "fieldPath"), json_get(ref, "fieldPath"),
                          "error converting fieldPath: field label not supported: %s", path);
        else if (!rules_in(path, is_volume ? in_volume : in_env))
            rules_unsupported(c, AT(p, "fieldPath"), path, is_volume ? in_volume : in_env);
    }
}

void rules_resource_ref(struct causes *c, const struct rules_path *p, const struct json *ref,
                        bool is_volume)
{
    static const char *const known[] = {
        "limits.cpu", "limits.ephemeral-storage", "limits.memory", "requests.cpu",
        "requests.ephemeral-storage", "requests.memory", NULL,
    };
    static const char *const sizes[] = {
        "1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei", NULL,
    };
    static const char *const shares[] = { "1m", "1", NULL };
    const char *resource = rules_str(ref, "resource"), *divisor = rules_str(ref, "divisor");
    bool huge = str_starts(resource, "limits.hugepages-") ||
        str_starts(resource, "requests.hugepages-");
    bool cpu = str_ends(resource, ".cpu");
    const char *what = cpu ? "cpu" : huge ? "hugepages" : str_ends(resource, ".memory") ? "memory" :
                       "local ephemeral storage";

    if (is_volume && !*rules_str(ref, "containerName"))
        rules_required(c, AT(p, "containerName"), "");
    else if (!*resource)
        rules_required(c, AT(p, "resource"), "");
    else if (!rules_in(resource, known) && !huge)
        rules_unsupported(c, AT(p, "resource"), resource, known);
    if (!*divisor || str_eq(divisor, "0") || (!rules_in(resource, known) && !huge) ||
        rules_in(divisor, cpu ? shares : sizes))
        return;
    rules_invalid_s(c, AT(p, "divisor"), resource, arena_printf(c->a, cpu ?
                    "only divisor's values 1m and 1 are supported with the %s resource" :
                    "only divisor's values 1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei "
                    "are supported with the %s resource", what));
}

/* --- sources */

static void check_items(struct causes *c, const struct rules_path *p, const struct json *items)
{
    struct json *item;

    json_each(item, items) {
        const struct rules_path *at = IDX(p, item_i);

        need(c, at, item, "key");
        need(c, at, item, "path");
        rules_local_path(c, AT(at, "path"), rules_str(item, "path"));
        check_mode(c, at, item, "mode");
    }
}

static void check_secret(const struct rules_spec *s, const struct rules_path *p,
                         const struct json *v)
{
    need(s->c, p, v, "secretName");
    check_mode(s->c, p, v, "defaultMode");
    check_items(s->c, AT(p, "items"), json_get(v, "items"));
}

static void check_configmap(const struct rules_spec *s, const struct rules_path *p,
                            const struct json *v)
{
    need(s->c, p, v, "name");
    check_mode(s->c, p, v, "defaultMode");
    check_items(s->c, AT(p, "items"), json_get(v, "items"));
}

static void check_downward_file(struct causes *c, const struct rules_path *p,
                                const struct json *file)
{
    const struct json *field = json_get(file, "fieldRef"),
        *res = json_get(file, "resourceFieldRef");

    need(c, p, file, "path");
    rules_local_path(c, AT(p, "path"), rules_str(file, "path"));
    if (field) {
        rules_field_ref(c, AT(p, "fieldRef"), field, true);
        if (res)
            rules_invalid_s(c, p, "resource",
                            "fieldRef and resourceFieldRef can not be specified simultaneously");
    } else if (res) {
        rules_resource_ref(c, AT(p, "resourceFieldRef"), res, true);
    } else {
        rules_required(c, p, "one of fieldRef and resourceFieldRef is required");
    }
    check_mode(c, p, file, "mode");
}

static void check_downward(const struct rules_spec *s, const struct rules_path *p,
                           const struct json *v)
{
    struct json *file;

    check_mode(s->c, p, v, "defaultMode");
    json_each(file, json_get(v, "items"))
        check_downward_file(s->c, p, file);
}

static void check_hostpath(const struct rules_spec *s, const struct rules_path *p,
                           const struct json *v)
{
    static const char *const types[] = {
        "", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate",
        "Socket", NULL,
    };
    const char *path = rules_str(v, "path");

    if (!*path) {
        rules_required(s->c, AT(p, "path"), "");
        return;
    }
    rules_no_backsteps(s->c, AT(p, "path"), path);
    if (!rules_in(rules_str(v, "type"), types))
        rules_unsupported(s->c, AT(p, "type"), rules_str(v, "type"), types);
}

static void check_emptydir(const struct rules_spec *s, const struct rules_path *p,
                           const struct json *v)
{
    const char *limit = rules_str(v, "sizeLimit");

    if (*limit == '-')
        rules_forbidden(s->c, AT(p, "sizeLimit"),
                        "SizeLimit field must be a valid resource quantity");
}

static void check_gitrepo(const struct rules_spec *s, const struct rules_path *p,
                          const struct json *v)
{
    need(s->c, p, v, "repository");
    check_relative(s->c, AT(p, "directory"), rules_str(v, "directory"));
}

static void check_nfs(const struct rules_spec *s, const struct rules_path *p, const struct json *v)
{
    const char *path = rules_str(v, "path");

    need(s->c, p, v, "server");
    need(s->c, p, v, "path");
    if (path[0] != '/')
        rules_invalid_s(s->c, AT(p, "path"), path, "must be an absolute path");
}

static void check_partition(const struct rules_spec *s, const struct rules_path *p,
                            const struct json *v)
{
    int64_t n = json_get_int(v, "partition", 0);

    if (n < 0 || n > 255)
        rules_invalid_i(s->c, AT(p, "partition"), n, "must be between 1 and 255, inclusive");
}

static void check_image(const struct rules_spec *s, const struct rules_path *p,
                        const struct json *v)
{
    static const char *const policies[] = { "Always", "IfNotPresent", "Never", NULL };

    if (s->is_pod && !*rules_str(v, "reference"))
        rules_required(s->c, AT(p, "reference"), "");
    rules_check_enum(s->c, AT(p, "pullPolicy"), rules_str(v, "pullPolicy"), policies, true);
}

/* --- projected */

static void check_unique_path(struct causes *c, const struct rules_path *p, struct json *seen,
                              const char *path, const char *value)
{
    if (*path && rules_seen(seen, c->a, path))
        rules_invalid_s(c, p, value, "conflicting duplicate paths");
}

static void check_projected_items(struct causes *c, const struct rules_path *p,
                                  const struct rules_path *at, const struct json *v,
                                      struct json *seen)
{
    struct json *item;

    if (!v)
        return;
    need(c, at, v, "name");
    check_items(c, AT(at, "items"), json_get(v, "items"));
    json_each(item, json_get(v, "items"))
        check_unique_path(c, p, seen, rules_str(item, "path"), rules_str(v, "name"));
}

static void check_token(struct causes *c, const struct rules_path *p, const struct rules_path *at,
                        const struct json *v)
{
    int64_t seconds = json_get_int(v, "expirationSeconds", 0);

    if (!v)
        return;
    if (seconds < TOKEN_SECONDS_MIN)
        rules_invalid_i(c, AT(at, "expirationSeconds"), seconds,
                        "may not specify a duration less than 10 minutes");
    if (seconds > TOKEN_SECONDS_MAX)
        rules_invalid_i(c, AT(at, "expirationSeconds"), seconds,
                        "may not specify a duration larger than 2^32 seconds");
    if (!*rules_str(v, "path"))
        rules_required(c, AT(p, "path"), "");
    else
        rules_local_path(c, AT(p, "path"), rules_str(v, "path"));
}

static void check_trust_bundle(struct causes *c, const struct rules_path *p,
                               const struct rules_path *at, const struct json *v, struct json *seen)
{
    const struct json *name = json_get(v, "name"), *signer = json_get(v, "signerName");

    if (!v)
        return;
    if (name && signer)
        rules_invalid(c, at, v, "only one of name and signerName may be used");
    else if (!name && !signer)
        rules_required(c, at, "either name or signerName must be specified");
    else if (name && !*rules_str(v, "name"))
        rules_required(c, AT(at, "name"), "must be a valid object name");
    else if (signer && !*rules_str(v, "signerName"))
        rules_required(c, AT(at, "signerName"), "must be a valid signer name");
    else if (signer)
        rules_check_signer(c, AT(at, "signerName"), rules_str(v, "signerName"));
    if (name && !signer && json_get(v, "labelSelector"))
        rules_invalid(c, AT(at, "labelSelector"), json_get(v, "labelSelector"),
                      "labelSelector must be unset if name is specified");
    if (signer)
        rules_check_selector(c, AT(at, "labelSelector"), json_get(v, "labelSelector"));
    need(c, at, v, "path");
    rules_local_path(c, AT(at, "path"), rules_str(v, "path"));
    check_unique_path(c, p, seen, rules_str(v, "path"), rules_str(v, "path"));
}

static void check_certificate(struct causes *c, const struct rules_path *p,
                              const struct rules_path *at, const struct json *v, struct json *seen)
{
    static const char *const paths[] = { "credentialBundlePath", "keyPath",
                                         "certificateChainPath" };
    int64_t max = str_starts(rules_str(v, "signerName"), "kubernetes.io/") ? CERT_SECONDS_OWN_MAX :
                  CERT_SECONDS_MAX;
    bool any = false;
    static const char *const types[] = {
        "ECDSAP256", "ECDSAP384", "ECDSAP521", "ED25519", "RSA3072", "RSA4096", NULL,
    };
    int64_t seconds = json_get_int(v, "maxExpirationSeconds", CERT_SECONDS_MIN);

    if (!v)
        return;
    rules_check_signer(c, AT(at, "signerName"), rules_str(v, "signerName"));
    if (!rules_in(rules_str(v, "keyType"), types))
        rules_unsupported(c, AT(at, "keyType"), rules_str(v, "keyType"), types);
    if (seconds < CERT_SECONDS_MIN)
        rules_invalid_i(c, AT(at, "maxExpirationSeconds"), seconds,
                        "if provided, maxExpirationSeconds must be >= 3600");
    if (seconds > max)
        rules_invalid_i(c, AT(at, "maxExpirationSeconds"), seconds,
                        arena_printf(c->a, "if provided, maxExpirationSeconds must be <= %d",
                                     (int)max));
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        if (*rules_str(v, paths[i]))
            rules_local_path(c, AT(at, paths[i]), rules_str(v, paths[i]));
        check_unique_path(c, p, seen, rules_str(v, paths[i]), rules_str(v, paths[i]));
        any = any || *rules_str(v, paths[i]);
    }
    if (!any)
        rules_required(c, at, "specify at least one of credentialBundlePath, keyPath, and "
                       "certificateChainPath");
}

static void check_projected(const struct rules_spec *s, const struct rules_path *p,
                            const struct json *v)
{
    struct json *seen = json_object(s->c->a), *source, *file;

    check_mode(s->c, p, v, "defaultMode");
    json_each(source, json_get(v, "sources")) {
        const struct rules_path *at = IDX(AT(p, "sources"), source_i);

        check_projected_items(s->c, p, AT(at, "secret"), json_get(source, "secret"), seen);
        check_projected_items(s->c, p, AT(at, "configMap"), json_get(source, "configMap"), seen);
        json_each(file, json_get(json_get(source, "downwardAPI"), "items")) {
            check_downward_file(s->c, AT(at, "downwardAPI"), file);
            check_unique_path(s->c, p, seen, rules_str(file, "path"), rules_str(file, "path"));
        }
        check_token(s->c, p, AT(at, "serviceAccountToken"),
                    json_get(source, "serviceAccountToken"));
        check_trust_bundle(s->c, p, AT(at, "clusterTrustBundle"),
                           json_get(source, "clusterTrustBundle"), seen);
        check_certificate(s->c, p, AT(at, "podCertificate"), json_get(source, "podCertificate"),
                          seen);
        if (json_len(source) > 1)
            rules_forbidden(s->c, at, "may not specify more than 1 volume type per source");
    }
}

/* --- the list */

/* Every source: members it must have, what else it is checked for, and its name in the path of an
 * error about several sources, where upstream spells it differently. */
static const struct source {
    const char *name;
    const char *needs[3];
    rules_source *more;
    const char *spelled;
} sources[] = {
    { "emptyDir", { NULL }, check_emptydir, NULL },
    { "hostPath", { NULL }, check_hostpath, NULL },
    { "gitRepo", { NULL }, check_gitrepo, NULL },
    { "gcePersistentDisk", { "pdName" }, check_partition, NULL },
    { "awsElasticBlockStore", { "volumeID" }, check_partition, NULL },
    { "secret", { NULL }, check_secret, NULL },
    { "nfs", { NULL }, check_nfs, NULL },
    { "iscsi", { NULL }, rules_remote_iscsi, NULL },
    { "glusterfs", { "endpoints", "path" }, NULL, NULL },
    { "flocker", { NULL }, rules_remote_flocker, NULL },
    { "persistentVolumeClaim", { "claimName" }, NULL, NULL },
    { "rbd", { NULL }, rules_remote_rbd, NULL },
    { "cinder", { NULL }, rules_remote_cinder, NULL },
    { "cephfs", { NULL }, rules_remote_cephfs, "cephFS" },
    { "quobyte", { NULL }, rules_remote_quobyte, NULL },
    { "downwardAPI", { NULL }, check_downward, "downwarAPI" },
    { "fc", { NULL }, rules_remote_fc, NULL },
    { "flexVolume", { NULL }, rules_remote_flex, NULL },
    { "configMap", { NULL }, check_configmap, NULL },
    { "azureFile", { "secretName", "shareName" }, NULL, NULL },
    { "vsphereVolume", { "volumePath" }, NULL, NULL },
    { "photonPersistentDisk", { "pdID" }, NULL, NULL },
    { "portworxVolume", { "volumeID" }, NULL, NULL },
    { "azureDisk", { NULL }, rules_remote_azure_disk, NULL },
    { "storageos", { NULL }, rules_remote_storageos, NULL },
    { "projected", { NULL }, check_projected, NULL },
    { "scaleIO", { "gateway", "system", "volumeName" }, NULL, NULL },
    { "csi", { NULL }, rules_remote_csi, NULL },
    { "ephemeral", { NULL }, rules_remote_ephemeral, NULL },
    { "image", { NULL }, check_image, NULL },
};

static void check_source(const struct rules_spec *s, const struct rules_path *p,
                         const struct json *volume)
{
    unsigned n = 0;

    for (size_t i = 0; i < ARRAY_LEN(sources); i++) {
        const struct json *v = json_get(volume, sources[i].name);

        if (!v)
            continue;
        if (n++) {
            rules_forbidden(s->c, AT(p, sources[i].spelled ? sources[i].spelled : sources[i].name),
                            "may not specify more than 1 volume type");
            continue;
        }
        for (size_t k = 0; k < ARRAY_LEN(sources[i].needs) && sources[i].needs[k]; k++)
            need(s->c, AT(p, sources[i].name), v, sources[i].needs[k]);
        if (sources[i].more)
            sources[i].more(s, AT(p, sources[i].name), v);
    }
    if (n == 0)
        rules_required(s->c, p, "must specify a volume type");
}

/* What the volume's name becomes a part of. */
static void check_derived_names(const struct rules_spec *s, const struct rules_path *p,
                                const struct json *volume)
{
    const char *name = rules_str(volume, "name"), *pod = s->meta ? rules_str(s->meta, "name") : "";
    const struct json *iscsi = json_get(volume, "iscsi");
    const char *claim = arena_printf(s->c->a, "%s-%s", pod, name);
    struct rules_msgs m = { .a = s->c->a };

    if (json_get(iscsi, "initiatorName") &&
        strlen(name) + 1 + strlen(rules_str(iscsi, "targetPortal")) > ISCSI_NAME_MAX)
        rules_invalid_s(s->c, AT(p, "name"), name,
                        "Total length of <volume name>:<iscsi.targetPortal> must "
                        "be under 64 characters if iscsi.initiatorName is specified.");
    if (!json_get(volume, "ephemeral") || !*pod || !*name)
        return;
    rules_fmt_subdomain(&m, claim);
    for (unsigned i = 0; i < m.n; i++)
        rules_invalid_s(s->c, AT(p, "name"), name,
                        arena_printf(s->c->a, "PVC name \"%s\": %s", claim, m.v[i]));
}

/* A claim that an ephemeral volume of the same pod makes is nobody else's. */
static void check_own_claims(const struct rules_spec *s, const struct rules_path *p)
{
    const char *pod = s->meta ? rules_str(s->meta, "name") : "";
    struct json *v, *other;

    json_each(v, *pod ? json_get(s->spec, "volumes") : NULL) {
        const char *claim = rules_str(json_get(v, "persistentVolumeClaim"), "claimName");

        json_each(other, *claim ? json_get(s->spec, "volumes") : NULL)
            if (json_get(other, "ephemeral") &&
                str_eq(claim, arena_printf(s->c->a, "%s-%s", pod, rules_str(other, "name"))))
                rules_invalid_s(s->c, AT(AT(IDX(p, v_i), "persistentVolumeClaim"), "claimName"),
                                claim,
                                "must not reference a PVC that gets created for an ephemeral "
                                "volume");
    }
}

void rules_volumes(struct rules_spec *s, const struct rules_path *p)
{
    struct json *v;

    s->volumes = json_object(s->c->a);
    json_each(v, json_get(s->spec, "volumes")) {
        const struct rules_path *at = IDX(p, v_i);
        const char *name = rules_str(v, "name");
        unsigned before = s->c->len;

        check_source(s, at, v);
        check_derived_names(s, at, v);
        if (!*name)
            rules_required(s->c, AT(at, "name"), "");
        else
            rules_check_format(s->c, AT(at, "name"), rules_fmt_label, name);
        if (json_get(s->volumes, name))
            rules_duplicate(s->c, AT(at, "name"), json_get(v, "name"));
        if (s->c->len == before)
            json_set(s->c->a, s->volumes, name, v);
    }
    check_own_claims(s, p);
}

void rules_volume_tokens(const struct rules_spec *s, const struct rules_path *p)
{
    struct json *v, *source;

    if (!s->is_pod || *rules_str(s->spec, "serviceAccountName"))
        return;
    json_each(v, json_get(s->spec, "volumes"))
        json_each(source, json_get(json_get(v, "projected"), "sources"))
            if (json_get(source, "serviceAccountToken"))
                rules_forbidden(s->c, AT(IDX(AT(AT(IDX(p, v_i), "projected"), "sources"), source_i),
                                         "serviceAccountToken"),
                                "must not be specified when serviceAccountName is not set");
}
