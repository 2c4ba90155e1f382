/* core/object/rules_remote.c -- volumes that live elsewhere: network disks, drivers, claims. */
#include <ctype.h>

#include "core/base/check.h"
#include "core/object/quantity.h"
#include "core/object/rules_podspec.h"

#define LUN_MAX 255
#define TENANT_MAX 64
#define CSI_DRIVER_MAX 63
#define REGISTRY_TEXT "must be a host:port pair or multiple pairs separated by commas"
#define EUI_DIGITS 16
#define NAA_DIGITS 32

static void need(struct causes *c, const struct rules_path *p, const struct json *v,
                 const char *field)
{
    if (!*rules_str(v, field))
        rules_required(c, AT(p, field), "");
}

static void need_list(struct causes *c, const struct rules_path *p, const struct json *v,
                      const char *field)
{
    if (json_len(json_get(v, field)) == 0)
        rules_required(c, AT(p, field), "");
}

static void need_secret_name(struct causes *c, const struct rules_path *p, const struct json *ref)
{
    if (ref && !*rules_str(ref, "name"))
        rules_required(c, AT(AT(p, "secretRef"), "name"), "");
}

static void choice(struct causes *c, const struct rules_path *p, const struct json *v,
                   const char *field, const char *const *values)
{
    if (json_get(v, field) && !rules_in(rules_str(v, field), values))
        rules_unsupported(c, AT(p, field), rules_str(v, field), values);
}

/* --- iSCSI, Fibre Channel */

static void check_lun(struct causes *c, const struct rules_path *p, int64_t lun)
{
    if (lun < 0 || lun > LUN_MAX)
        rules_invalid_i(c, AT(p, "lun"), lun, "must be between 0 and 255, inclusive");
}

static bool all_alnum(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)s[i]))
            return false;
    return strlen(s) == len;
}

/* "2001-04.com.example:storage": a month, a name, a colon, and something behind it. */
static bool is_iqn_tail(const char *s)
{
    const char *colon;

    for (int i = 0; i < 7; i++)
        if (i == 4 ? s[i] != '-' : !isdigit((unsigned char)s[i]))
            return false;
    if (s[7] != '.')
        return false;
    colon = strchr(s + 8, ':');
    if (!colon || colon == s + 8 || !colon[1] || strpbrk(colon + 1, ",;*&$| \t\r\n\f"))
        return false;
    for (const char *at = s + 8; at < colon; at++)
        if (!isalnum((unsigned char)*at) && *at != '-' && *at != '.')
            return false;
    return true;
}

static void check_initiator(struct causes *c, const struct rules_path *p, const char *s)
{
    bool sound;

    if (str_starts(s, "iqn")) {
        sound = s[3] == '.' && is_iqn_tail(s + 4);
    } else if (str_starts(s, "eui")) {
        sound = s[3] && all_alnum(s + 4, EUI_DIGITS);
    } else if (str_starts(s, "naa")) {
        sound = s[3] && all_alnum(s + 4, NAA_DIGITS);
    } else {
        rules_invalid_s(c, p, s, "must be valid format starting with iqn, eui, or naa");
        return;
    }
    if (!sound)
        rules_invalid_s(c, p, s, "must be valid format");
}

void rules_remote_iscsi(const struct rules_spec *s, const struct rules_path *p,
                        const struct json *v)
{
    bool chap = json_get_bool(v, "chapAuthDiscovery", false) ||
                json_get_bool(v, "chapAuthSession", false);

    need(s->c, p, v, "targetPortal");
    if (!*rules_str(v, "iqn"))
        rules_required(s->c, AT(p, "iqn"), "");
    else
        check_initiator(s->c, AT(p, "iqn"), rules_str(v, "iqn"));
    check_lun(s->c, p, json_get_int(v, "lun", 0));
    if (chap && !json_get(v, "secretRef"))
        rules_required(s->c, AT(p, "secretRef"), "");
    if (json_get(v, "initiatorName"))
        check_initiator(s->c, AT(p, "initiatorname"), rules_str(v, "initiatorName"));
}

void rules_remote_fc(const struct rules_spec *s, const struct rules_path *p, const struct json *v)
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

/* --- file systems of storage clusters */

static bool is_host_port(const char *s, size_t len)
{
    const char *colon = memrchr(s, ':', len);

    return colon && !memchr(s, ':', (size_t)(colon - s));
}

void rules_remote_quobyte(const struct rules_spec *s, const struct rules_path *p,
                          const struct json *v)
{
    const char *registry = rules_str(v, "registry");

    if (!*registry) {
        rules_required(s->c, AT(p, "registry"), REGISTRY_TEXT);
    } else if (strlen(rules_str(v, "tenant")) > TENANT_MAX) {
        rules_required(s->c, AT(p, "tenant"),
                       "must be a UUID and may not exceed a length of 64 characters");
    } else {
        for (const char *at = registry;; at += strcspn(at, ",") + 1) {
            if (!is_host_port(at, strcspn(at, ",")))
                rules_invalid_s(s->c, AT(p, "registry"), registry, REGISTRY_TEXT);
            if (!at[strcspn(at, ",")])
                break;
        }
    }
    need(s->c, p, v, "volume");
}

void rules_remote_flocker(const struct rules_spec *s, const struct rules_path *p,
                          const struct json *v)
{
    const char *name = rules_str(v, "datasetName"), *uuid = rules_str(v, "datasetUUID");

    if (!*name && !*uuid)
        rules_required(s->c, p, "one of datasetName and datasetUUID is required");
    if (*name && *uuid)
        rules_invalid_s(s->c, p, "resource",
                        "datasetName and datasetUUID can not be specified simultaneously");
    if (strchr(name, '/'))
        rules_invalid_s(s->c, AT(p, "datasetName"), name, "must not contain '/'");
}

void rules_remote_rbd(const struct rules_spec *s, const struct rules_path *p, const struct json *v)
{
    need_list(s->c, p, v, "monitors");
    need(s->c, p, v, "image");
}

void rules_remote_cephfs(const struct rules_spec *s, const struct rules_path *p,
                         const struct json *v)
{
    need_list(s->c, p, v, "monitors");
}

void rules_remote_cinder(const struct rules_spec *s, const struct rules_path *p,
                         const struct json *v)
{
    need(s->c, p, v, "volumeID");
    need_secret_name(s->c, p, json_get(v, "secretRef"));
}

void rules_remote_storageos(const struct rules_spec *s, const struct rules_path *p,
                            const struct json *v)
{
    need(s->c, p, v, "volumeName");
    need_secret_name(s->c, p, json_get(v, "secretRef"));
}

/* --- disks of clouds */

void rules_remote_azure_disk(const struct rules_spec *s, const struct rules_path *p,
                             const struct json *v)
{
    static const char *const caching[] = { "None", "ReadOnly", "ReadWrite", NULL };
    static const char *const kinds[] = { "Dedicated", "Managed", "Shared", NULL };
    static const char *const managed[] = {
        "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/"
        "{disk-id}", NULL,
    };
    static const char *const blob[] = {
        "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd", NULL,
    };
    const char *kind = rules_str(v, "kind"), *uri = rules_str(v, "diskURI");

    need(s->c, p, v, "diskName");
    need(s->c, p, v, "diskURI");
    choice(s->c, p, v, "cachingMode", caching);
    choice(s->c, p, v, "kind", kinds);
    if (str_eq(kind, "Managed") && !str_starts(uri, "/subscriptions/"))
        rules_unsupported(s->c, AT(p, "diskURI"), uri, managed);
    if (*kind && !str_eq(kind, "Managed") && !str_starts(uri, "https://"))
        rules_unsupported(s->c, AT(p, "diskURI"), uri, blob);
}

/* --- drivers */

void rules_remote_flex(const struct rules_spec *s, const struct rules_path *p, const struct json *v)
{
    need(s->c, p, v, "driver");
    json_each_member(m, json_get(v, "options")) {
        const char *slash = strchr(m->key, '/');
        const char *ns = slash ? arena_strndup(s->c->a, m->key, (size_t)(slash - m->key)) : m->key;

        if (str_eq(ns, "kubernetes.io") || str_ends(ns, ".kubernetes.io") ||
            str_eq(ns, "k8s.io") || str_ends(ns, ".k8s.io"))
            rules_invalid_s(s->c, KEY(AT(p, "options"), m->key), m->key,
                            "kubernetes.io and k8s.io namespaces are reserved");
    }
}

void rules_remote_csi(const struct rules_spec *s, const struct rules_path *p, const struct json *v)
{
    const char *driver = rules_str(v, "driver");
    const struct json *secret = json_get(v, "nodePublishSecretRef");
    char *lower = arena_strdup(s->c->a, driver);

    if (!*driver)
        rules_required(s->c, AT(p, "driver"), "");
    if (strlen(driver) > CSI_DRIVER_MAX)
        rules_too_long(s->c, AT(p, "driver"), CSI_DRIVER_MAX);
    for (char *at = lower; *at; at++)
        *at = (char)tolower((unsigned char)*at);
    if (*driver && !rules_is(rules_fmt_subdomain, lower))
        rules_check_format(s->c, AT(p, "driver"), rules_fmt_subdomain, driver);
    if (secret && !*rules_str(secret, "name"))
        rules_required(s->c, AT(AT(p, "nodePublishSecretRef"), "name"), "");
    else if (secret)
        rules_check_format(s->c, AT(p, "name"), rules_fmt_subdomain, rules_str(secret, "name"));
}

/* --- claims that a pod brings along */

static void check_access_modes(struct causes *c, const struct rules_path *p,
                               const struct json *list)
{
    static const char *const modes[] = {
        "ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod", NULL,
    };
    bool one_pod = false, other = false;
    struct json *v;

    if (json_len(list) == 0)
        rules_required(c, p, "at least 1 access mode is required");
    json_each(v, list) {
        const char *mode = json_text(v) ? v->s : "";

        if (!rules_in(mode, modes))
            rules_unsupported(c, p, mode, modes);
        one_pod = one_pod || str_eq(mode, "ReadWriteOncePod");
        other = other || !str_eq(mode, "ReadWriteOncePod");
    }
    if (one_pod && other)
        rules_forbidden(c, p, "may not use ReadWriteOncePod with other access modes");
}

static void check_storage(struct causes *c, const struct rules_path *p, const struct json *spec)
{
    const struct json *v = json_path(spec, "resources.requests.storage");
    const struct rules_path *at = KEY(AT(p, "resources"), "storage");

    if (!v)
        rules_required(c, at, "");
    else if (json_text(v) && quantity_cmp(v->s, "0") <= 0)
        rules_invalid_s(c, at, v->s, "must be greater than zero");
}

static void check_claim_source(struct causes *c, const struct rules_path *p, const struct json *v)
{
    const char *group = rules_str(v, "apiGroup");

    if (!v)
        return;
    need(c, p, v, "name");
    need(c, p, v, "kind");
    if (!*group && !str_eq(rules_str(v, "kind"), "PersistentVolumeClaim"))
        rules_invalid_s(c, p, rules_str(v, "kind"),
                        "must be 'PersistentVolumeClaim' when referencing the default apiGroup");
    if (*group)
        rules_check_format(c, AT(p, "apiGroup"), rules_fmt_subdomain, group);
}

void rules_remote_ephemeral(const struct rules_spec *s, const struct rules_path *p,
                            const struct json *v)
{
    static const char *const modes[] = { "Block", "Filesystem", NULL };
    const struct json *claim = json_get(v, "volumeClaimTemplate"), *spec = json_get(claim, "spec");
    const struct json *meta = json_get(claim, "metadata");
    const struct rules_path *at = AT(p, "volumeClaimTemplate"), *spec_at = AT(at, "spec");
    struct causes *c = s->c;

    if (!claim) {
        rules_required(c, at, "");
        return;
    }
    rules_check_annotations(c, AT(AT(at, "metadata"), "annotations"),
                            json_get(meta, "annotations"));
    rules_check_labels(c, AT(AT(at, "metadata"), "labels"), json_get(meta, "labels"));
    check_access_modes(c, AT(spec_at, "accessModes"), json_get(spec, "accessModes"));
    check_storage(c, spec_at, spec);
    rules_check_selector(c, AT(spec_at, "selector"), json_get(spec, "selector"));
    if (*rules_str(spec, "storageClassName"))
        rules_check_format(c, AT(spec_at, "storageClassName"), rules_fmt_subdomain,
                           rules_str(spec, "storageClassName"));
    choice(c, spec_at, spec, "volumeMode", modes);
    check_claim_source(c, AT(spec_at, "dataSource"), json_get(spec, "dataSource"));
    check_claim_source(c, AT(spec_at, "dataSourceRef"), json_get(spec, "dataSourceRef"));
}
