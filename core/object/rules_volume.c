/* core/object/rules_volume.c -- volumes of a pod spec: exactly one source each, and what each source needs. */
#include "core/base/check.h"
#include "core/object/rules_podspec.h"

#define MODE_TEXT "must be a number between 0 and 0777 (octal), both inclusive"
#define TOKEN_SECONDS_MIN 600
#define TOKEN_SECONDS_MAX (INT64_C(1) << 32)
#define CERT_SECONDS_MIN 3600
#define CSI_DRIVER_MAX 63

typedef void source_check(const struct rules_spec *s, const struct rules_path *p, const struct json *v);

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

static void need(struct causes *c, const struct rules_path *p, const struct json *v, const char *field)
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

void rules_field_ref(struct causes *c, const struct rules_path *p, const struct json *ref, bool is_volume)
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
        rules_invalid(c, AT(p, "fieldPath"), json_get(ref, "fieldPath"), "error converting fieldPath: "
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
    bool huge = str_starts(resource, "limits.hugepages-") || str_starts(resource, "requests.hugepages-");
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

static void check_secret(const struct rules_spec *s, const struct rules_path *p, const struct json *v)
{
    need(s->c, p, v, "secretName");
    check_mode(s->c, p, v, "defaultMode");
    check_items(s->c, AT(p, "items"), json_get(v, "items"));
}

static void check_configmap(const struct rules_spec *s, const struct rules_path *p, const struct json *v)
{
    need(s->c, p, v, "name");
    check_mode(s->c, p, v, "defaultMode");
    check_items(s->c, AT(p, "items"), json_get(v, "items"));
}

static void check_downward_file(struct causes *c, const struct rules_path *p, const struct json *file)
{
    const struct json *field = json_get(file, "fieldRef"), *res = json_get(file, "resourceFieldRef");

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

static void check_downward(const struct rules_spec *s, const struct rules_path *p, const struct json *v)
{
    struct json *file;

    check_mode(s->c, p, v, "defaultMode");
    json_each(file, json_get(v, "items"))
        check_downward_file(s->c, p, file);
}

static void check_hostpath(const struct rules_spec *s, const struct rules_path *p, const struct json *v)
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

static void check_emptydir(const struct rules_spec *s, const struct rules_path *p, const struct json *v)
{
    const char *limit = rules_str(v, "sizeLimit");

    if (*limit == '-')
        rules_forbidden(s->c, AT(p, "sizeLimit"), "SizeLimit field must be a valid resource quantity");
}

static void check_gitrepo(const struct rules_spec *s, const struct rules_path *p, const struct json *v)
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

static void check_lun(struct causes *c, const struct rules_path *p, int64_t lun)
{
    if (lun < 0 || lun > 255)
        rules_invalid_i(c, AT(p, "lun"), lun, "must be between 0 and 255, inclusive");
}

static void check_iscsi(const struct rules_spec *s, const struct rules_path *p, const struct json *v)
{
    const char *iqn = rules_str(v, "iqn");

    need(s->c, p, v, "targetPortal");
    if (!*iqn)
        rules_required(s->c, AT(p, "iqn"), "");
    else if (!str_starts(iqn, "iqn") && !str_starts(iqn, "eui") && !str_starts(iqn, "naa"))
        rules_invalid_s(s->c, AT(p, "iqn"), iqn, "must be valid format starting with iqn, eui, or naa");
    check_lun(s->c, p, json_get_int(v, "lun", 0));
    if ((json_get_bool(v, "chapAuthDiscovery", false) || json_get_bool(v, "chapAuthSession", false)) &&
        !json_get(v, "secretRef"))
        rules_required(s->c, AT(p, "secretRef"), "");
}

static void check_fc(const struct rules_spec *s, const struct rules_path *p, const struct json *v)
{
    const struct json *wwns = json_get(v, "targetWWNs"), *wwids = json_get(v, "wwids");

    if (json_len(wwns) == 0 && json_len(wwids) == 0)
        rules_required(s->c, AT(p, "targetWWNs"),
                       "must specify either targetWWNs or wwids, but not both");
    if (json_len(wwns) && json_len(wwids))
        rules_invalid(s->c, AT(p, "targetWWNs"), wwns,
                      "targetWWNs and wwids can not be specified simultaneously");
    if (json_len(wwns) && !json_get(v, "lun"))
        rules_required(s->c, AT(p, "lun"), "lun is required if targetWWNs is specified");
    else if (json_len(wwns))
        check_lun(s->c, p, json_get_int(v, "lun", 0));
}

static void check_partition(const struct rules_spec *s, const struct rules_path *p, const struct json *v)
{
    int64_t n = json_get_int(v, "partition", 0);

    if (n < 0 || n > 255)
        rules_invalid_i(s->c, AT(p, "partition"), n, "must be between 1 and 255, inclusive");
}

static void check_csi(const struct rules_spec *s, const struct rules_path *p, const struct json *v)
{
    const char *driver = rules_str(v, "driver");
    const struct json *secret = json_get(v, "nodePublishSecretRef");
    char *lower = arena_strdup(s->c->a, driver);

    if (!*driver)
        rules_required(s->c, AT(p, "driver"), "");
    if (strlen(driver) > CSI_DRIVER_MAX)
        rules_too_long(s->c, AT(p, "driver"), CSI_DRIVER_MAX);
    for (char *at = lower; *at; at++)
        *at = *at >= 'A' && *at <= 'Z' ? (char)(*at + 32) : *at;
    if (*driver && !rules_is(rules_fmt_subdomain, lower))
        rules_check_format(s->c, AT(p, "driver"), rules_fmt_subdomain, driver);
    if (secret && !*rules_str(secret, "name"))
        rules_required(s->c, AT(AT(p, "nodePublishSecretRef"), "name"), "");
}

static void check_ephemeral(const struct rules_spec *s, const struct rules_path *p, const struct json *v)
{
    const struct json *claim = json_get(v, "volumeClaimTemplate"), *spec = json_get(claim, "spec");
    const struct rules_path *at = AT(AT(p, "volumeClaimTemplate"), "spec");

    if (!claim) {
        rules_required(s->c, AT(p, "volumeClaimTemplate"), "");
        return;
    }
    if (json_len(json_get(spec, "accessModes")) == 0)
        rules_required(s->c, AT(at, "accessModes"), "at least 1 access mode is required");
    if (!json_get(json_get(json_get(spec, "resources"), "requests"), "storage"))
        rules_required(s->c, KEY(AT(at, "resources"), "storage"), "");
}

static void check_image(const struct rules_spec *s, const struct rules_path *p, const struct json *v)
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
                                  const struct rules_path *at, const struct json *v, struct json *seen)
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
    if (name && !signer && json_get(v, "labelSelector"))
        rules_invalid(c, AT(at, "labelSelector"), json_get(v, "labelSelector"),
                      "labelSelector must be unset if name is specified");
    if (signer)
        rules_check_selector(c, AT(at, "labelSelector"), json_get(v, "labelSelector"));
    need(c, at, v, "path");
    rules_local_path(c, AT(at, "path"), rules_str(v, "path"));
    check_unique_path(c, p, seen, rules_str(v, "path"), rules_str(v, "path"));
}

static void check_certificate(struct causes *c, const struct rules_path *at, const struct json *v)
{
    static const char *const types[] = {
        "ECDSAP256", "ECDSAP384", "ECDSAP521", "ED25519", "RSA3072", "RSA4096", NULL,
    };
    int64_t seconds = json_get_int(v, "maxExpirationSeconds", CERT_SECONDS_MIN);

    if (!v)
        return;
    need(c, at, v, "signerName");
    if (!rules_in(rules_str(v, "keyType"), types))
        rules_unsupported(c, AT(at, "keyType"), rules_str(v, "keyType"), types);
    if (seconds < CERT_SECONDS_MIN)
        rules_invalid_i(c, AT(at, "maxExpirationSeconds"), seconds,
                        "must be greater than or equal to 3600 (one hour)");
}

static void check_projected(const struct rules_spec *s, const struct rules_path *p, const struct json *v)
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
        check_certificate(s->c, AT(at, "podCertificate"), json_get(source, "podCertificate"));
        if (json_len(source) > 1)
            rules_forbidden(s->c, at, "may not specify more than 1 volume type per source");
    }
}

/* --- the list */

/* Every source: members it must have, and what else it is checked for. */
static const struct source { const char *name; const char *needs[3]; source_check *more; } sources[] = {
    { "emptyDir", { NULL }, check_emptydir },
    { "hostPath", { NULL }, check_hostpath },
    { "gitRepo", { NULL }, check_gitrepo },
    { "gcePersistentDisk", { "pdName" }, check_partition },
    { "awsElasticBlockStore", { "volumeID" }, check_partition },
    { "secret", { NULL }, check_secret },
    { "nfs", { NULL }, check_nfs },
    { "iscsi", { NULL }, check_iscsi },
    { "glusterfs", { "endpoints", "path" }, NULL },
    { "flocker", { NULL }, NULL },
    { "persistentVolumeClaim", { "claimName" }, NULL },
    { "rbd", { "image" }, NULL },
    { "cinder", { "volumeID" }, NULL },
    { "cephfs", { NULL }, NULL },
    { "quobyte", { "registry", "volume" }, NULL },
    { "downwardAPI", { NULL }, check_downward },
    { "fc", { NULL }, check_fc },
    { "flexVolume", { "driver" }, NULL },
    { "configMap", { NULL }, check_configmap },
    { "azureFile", { "secretName", "shareName" }, NULL },
    { "vsphereVolume", { "volumePath" }, NULL },
    { "photonPersistentDisk", { "pdID" }, NULL },
    { "portworxVolume", { "volumeID" }, NULL },
    { "azureDisk", { "diskName", "diskURI" }, NULL },
    { "storageos", { "volumeName" }, NULL },
    { "projected", { NULL }, check_projected },
    { "scaleIO", { "gateway", "system", "volumeName" }, NULL },
    { "csi", { NULL }, check_csi },
    { "ephemeral", { NULL }, check_ephemeral },
    { "image", { NULL }, check_image },
};

static void check_source(const struct rules_spec *s, const struct rules_path *p, const struct json *volume)
{
    unsigned n = 0;

    for (size_t i = 0; i < ARRAY_LEN(sources); i++) {
        const struct json *v = json_get(volume, sources[i].name);

        if (!v)
            continue;
        if (n++) {
            rules_forbidden(s->c, AT(p, sources[i].name), "may not specify more than 1 volume type");
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

void rules_volumes(struct rules_spec *s, const struct rules_path *p)
{
    struct json *v;

    s->volumes = json_object(s->c->a);
    json_each(v, json_get(s->spec, "volumes")) {
        const struct rules_path *at = IDX(p, v_i);
        const char *name = rules_str(v, "name");
        unsigned before = s->c->len;

        check_source(s, at, v);
        if (!*name)
            rules_required(s->c, AT(at, "name"), "");
        else
            rules_check_format(s->c, AT(at, "name"), rules_fmt_label, name);
        if (json_get(s->volumes, name))
            rules_duplicate(s->c, AT(at, "name"), json_get(v, "name"));
        if (s->c->len == before)
            json_set(s->c->a, s->volumes, name, v);
    }
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
