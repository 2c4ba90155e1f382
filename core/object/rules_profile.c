/* core/object/rules_profile.c -- AppArmor and seccomp profiles that old clients still give as
 * annotations, and Windows options.
 */
#include <ctype.h>

#include "core/base/check.h"
#include "core/object/codec.h"
#include "core/object/rules_podspec.h"
#include "core/object/rules_warn.h"

#define APPARMOR "container.apparmor.security.beta.kubernetes.io/"
#define SECCOMP_POD "seccomp.security.alpha.kubernetes.io/pod"
#define SECCOMP "container.seccomp.security.alpha.kubernetes.io/"
#define LOCALHOST "localhost/"
#define SPEC_KIB_MAX 64
#define DOMAIN_MAX 256
#define USER_MAX 104
#define NETBIOS_MAX 15

static const char *const lists[] = { "initContainers", "containers", "ephemeralContainers" };

static const struct json *container_named(const struct json *spec, const char *name)
{
    struct json *v;

    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        json_each(v, json_get(spec, lists[i]))
            if (str_eq(rules_str(v, "name"), name))
                return v;
    return NULL;
}

/* --- annotations alone */

static void check_seccomp(struct causes *c, const struct rules_path *p, const char *s)
{
    static const char *const plain[] = { "runtime/default", "docker/default", "unconfined", NULL };
    const char *path;

    if (rules_in(s, plain))
        return;
    if (!str_starts(s, LOCALHOST)) {
        rules_invalid_s(c, p, s, "must be a valid seccomp profile");
        return;
    }
    path = s + strlen(LOCALHOST);
    if (path[0] == '/')
        rules_invalid_s(c, p, path, "must be a relative path");
    rules_no_backsteps(c, p, path);
}

static void check_apparmor(struct causes *c, const struct rules_path *p, const char *s)
{
    if (*s && !str_eq(s, "runtime/default") && !str_eq(s, "unconfined") &&
        !str_starts(s, LOCALHOST))
        rules_invalid(c, p, json_str(c->a, s), "invalid AppArmor profile name: \"%s\"", s);
}

void rules_profile_annotations(struct causes *c, const struct rules_path *p,
                               const struct json *notes,
                               const struct json *spec)
{
    json_each_member(m, notes) {
        const char *value = json_text(m->val) ? m->val->s : "";

        if (str_eq(m->key, SECCOMP_POD) || str_starts(m->key, SECCOMP))
            check_seccomp(c, KEY(p, m->key), value);
        if (!str_starts(m->key, APPARMOR))
            continue;
        if (!container_named(spec, m->key + strlen(APPARMOR)))
            rules_invalid_s(c, KEY(p, m->key), m->key + strlen(APPARMOR), "container not found");
        check_apparmor(c, KEY(p, m->key), value);
    }
}

/* --- annotations and fields */

/* {type, localhostProfile} of an annotation's text; NULL for what has no such form. */
static struct json *profile_of(struct arena *a, const char *s)
{
    const char *type = str_eq(s, "unconfined") ? "Unconfined" : str_starts(s, LOCALHOST) ?
        "Localhost" :
                       str_eq(s, "runtime/default") || str_eq(s, "docker/default") ?
                       "RuntimeDefault" : NULL;
    struct json *v = json_object(a);

    if (!type || str_eq(s, LOCALHOST))
        return NULL;
    json_set_str(a, v, "type", type);
    if (str_eq(type, "Localhost"))
        json_set_str(a, v, "localhostProfile", s + strlen(LOCALHOST));
    return v;
}

/* AppArmor annotations of a new pod become fields, which is what nodes read. */
void rules_profile_copy(struct json *obj, const struct kind *kind, const struct rules_ctx *ctx)
{
    const struct rules_path *p = AT(AT(NULL, "metadata"), "annotations");
    const struct json *notes = json_get(json_get(obj, "metadata"), "annotations");
    struct json *spec = json_get(obj, "spec"), *v;
    const struct json *of_pod = json_path(spec, "securityContext.appArmorProfile");

    if (str_eq(rules_str(json_get(spec, "os"), "name"), "windows"))
        return;
    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        json_each(v, json_get(spec, lists[i])) {
            const struct schema_type *type = rules_type(rules_type(kind->type, "spec"), lists[i]);
            const char *key = arena_printf(ctx->a, APPARMOR "%s", rules_str(v, "name"));
            const char *text = json_get_str(notes, key);
            struct json *profile = text ? profile_of(ctx->a, text) : NULL;

            if (!text || json_path(v, "securityContext.appArmorProfile"))
                continue;
            if (profile && !json_is(json_get(v, "securityContext"), JSON_OBJECT))
                rules_put(ctx->a, v, type, "securityContext", json_object(ctx->a));
            if (profile && !(of_pod && json_equal(of_pod, profile)))
                rules_put(ctx->a, json_get(v, "securityContext"),
                          rules_type(type, "securityContext"),
                          "appArmorProfile", profile);
            if (ctx->warnings)
                rules_warn_at(ctx, KEY(p, key),
                              "deprecated since v1.30; use the \"appArmorProfile\" field instead");
        }
}

static void check_match(struct causes *c, const struct rules_path *p, const char *text,
                        const struct json *field, const char *what)
{
    const struct json *want = text ? profile_of(c->a, text) : NULL;
    const char *type = rules_str(field, "type");

    if (!want || !field)
        return;
    if (!str_eq(rules_str(want, "type"), type))
        rules_forbidden(c, AT(p, "type"),
                        arena_printf(c->a, "%s type in annotation and field must match", what));
    else if (!str_eq(rules_str(want, "localhostProfile"), rules_str(field, "localhostProfile")))
        rules_forbidden(c, AT(p, "localhostProfile"),
                        arena_printf(c->a, "%s profile in annotation and field must match", what));
}

void rules_profile_match(struct causes *c, const struct json *obj)
{
    const struct json *notes = json_get(json_get(obj, "metadata"), "annotations");
    const struct json *spec = json_get(obj, "spec"), *pod = json_get(spec, "securityContext");
    const struct rules_path *p = AT(NULL, "spec");
    struct json *v;

    if (str_eq(rules_str(json_get(spec, "os"), "name"), "windows"))
        return;
    check_match(c, AT(AT(p, "securityContext"), "seccompProfile"), json_get_str(notes, SECCOMP_POD),
                json_get(pod, "seccompProfile"), "seccomp");
    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        json_each(v, json_get(spec, lists[i])) {
            const struct rules_path *at = AT(IDX(AT(p, lists[i]), v_i), "securityContext");
            const struct json *sc = json_get(v, "securityContext");
            const char *name = rules_str(v, "name");

            check_match(c, AT(at, "seccompProfile"),
                        json_get_str(notes, arena_printf(c->a, SECCOMP "%s", name)),
                        json_get(sc, "seccompProfile"), "seccomp");
            check_match(c, AT(at, "appArmorProfile"),
                        json_get_str(notes, arena_printf(c->a, APPARMOR "%s", name)),
                        json_get(sc, "appArmorProfile"), "apparmor");
        }
}

/* --- Windows */

static bool is_netbios(const char *s)
{
    size_t len = strlen(s);

    return len > 0 && len <= NETBIOS_MAX && s[0] != '.' && !strpbrk(s, "\\/:*?\"<>|");
}

static bool is_domain(const char *s)
{
    for (size_t i = 0; s[i]; i++) {
        bool edge = i == 0 || s[i - 1] == '.' || s[i + 1] == '.' || !s[i + 1];

        if (!isalnum((unsigned char)s[i]) && (edge || (s[i] != '-' && s[i] != '.')))
            return false;
    }
    return *s;
}

static void check_user(struct causes *c, const struct rules_path *p, const char *s)
{
    const char *slash = strchr(s, '\\');
    const char *domain = slash ? arena_strndup(c->a, s, (size_t)(slash - s)) : "";
    const char *user = slash ? slash + 1 : s;

    for (const char *at = s; *at; at++)
        if (iscntrl((unsigned char)*at)) {
            rules_invalid_s(c, p, s, "runAsUserName cannot contain control characters");
            break;
        }
    if (slash && strchr(slash + 1, '\\')) {
        rules_invalid_s(c, p, s, "runAsUserName cannot contain more than one backslash");
        return;
    }
    if (strlen(domain) >= DOMAIN_MAX)
        rules_invalid(c, p, json_str(c->a, s), "runAsUserName's Domain length must be under %d "
                      "characters", DOMAIN_MAX);
    if (slash && !is_netbios(domain) && !is_domain(domain))
        rules_invalid_s(c, p, s,
                        "runAsUserName's Domain doesn't match the NetBios nor the DNS format");
    if (!*user)
        rules_invalid_s(c, p, s, "runAsUserName's User cannot be empty");
    else if (strlen(user) > USER_MAX)
        rules_invalid(c, p, json_str(c->a, s),
                      "runAsUserName's User length must not be longer than %d "
                      "characters", USER_MAX);
    if (*user && strspn(user, ". ") == strlen(user))
        rules_invalid_s(c, p, s, "runAsUserName's User cannot contain only periods or spaces");
    if (strpbrk(user, "\"/\\:;|=,+*?<>@[]"))
        rules_invalid_s(c, p, s, "runAsUserName's User cannot contain the following characters: "
                        "\"/\\:;|=,+*?<>@[]");
}

void rules_profile_windows(struct causes *c, const struct rules_path *p, const struct json *v)
{
    const struct json *spec = json_get(v, "gmsaCredentialSpec"),
        *user = json_get(v, "runAsUserName");

    if (json_get(v, "gmsaCredentialSpecName"))
        rules_check_format(c, AT(p, "gmsaCredentialSpecName"), rules_fmt_subdomain,
                           rules_str(v, "gmsaCredentialSpecName"));
    if (spec && spec->len == 0)
        rules_invalid(c, AT(p, "gmsaCredentialSpec"), spec,
                      "gmsaCredentialSpec cannot be an empty string");
    else if (spec && spec->len > SPEC_KIB_MAX * 1024)
        rules_invalid(c, AT(p, "gmsaCredentialSpec"), spec,
                      "gmsaCredentialSpec size must be under %d KiB",
                      SPEC_KIB_MAX);
    if (user && user->len == 0)
        rules_invalid(c, AT(p, "runAsUserName"), user, "runAsUserName cannot be an empty string");
    else if (user)
        check_user(c, AT(p, "runAsUserName"), rules_str(v, "runAsUserName"));
}

/* All containers of a pod are host processes, or none. */
void rules_profile_host_process(const struct rules_spec *s, const struct rules_path *p)
{
    const struct json *of_pod = json_path(s->spec, "securityContext.windowsOptions.hostProcess"),
        *own;
    unsigned n = 0, host = 0;
    struct json *v;

    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        json_each(v, json_get(s->spec, lists[i])) {
            const struct rules_path *at = AT(AT(IDX(AT(p, lists[i]), v_i), "securityContext"),
                                             "windowsOptions");

            own = json_path(v, "securityContext.windowsOptions.hostProcess");
            n++;
            host += own ? own->b : of_pod && of_pod->b;
            if (of_pod && own && of_pod->b != own->b)
                rules_invalid(s->c, AT(at, "hostProcess"), own,
                              "pod hostProcess value must be identical "
                              "if both are specified, was %s", of_pod->b ? "true" : "false");
        }
    if (host && host != n)
        rules_invalid_s(s->c, p, "",
                        "If pod contains any hostProcess containers then all containers must "
                        "be HostProcess containers");
    if (host && !json_get_bool(s->spec, "hostNetwork", false))
        rules_invalid(s->c, AT(p, "hostNetwork"), json_bool(s->c->a, false),
                      "hostNetwork must be true if pod contains any hostProcess containers");
}
