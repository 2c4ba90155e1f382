/* image_ref.c -- image names by the grammar of the distribution project, normalised as kubelet
 * does.
 *
 *   name [":" tag] ["@" digest];  name = [domain "/"] component *("/" component)
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "core/base/check.h"
#include "core/base/str.h"
#include "runtime/image/image.h"

#define REF_PATH_MAX 255
#define REF_TAG_MAX 128
#define REF_SHA256_HEX 64

static bool ref_is_lower_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool ref_is_alnum(char c)
{
    return ref_is_lower_alnum(c) || (c >= 'A' && c <= 'Z');
}

static bool ref_is_hex(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!((s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] >= 'a' && s.p[i] <= 'f')))
            return false;
    return s.len > 0;
}

/* alnum *( ("." | "_" | "__" | 1*"-") alnum ), lower case. */
static bool ref_component_ok(struct slice s)
{
    size_t i = 0;

    while (i < s.len) {
        size_t run = i;

        while (run < s.len && ref_is_lower_alnum(s.p[run]))
            run++;
        if (run == i)
            return false;
        if (run == s.len)
            return true;
        i = run;
        if (s.p[i] == '-')
            while (i < s.len && s.p[i] == '-')
                i++;
        else if (s.p[i] == '_')
            i += i + 1 < s.len && s.p[i + 1] == '_' ? 2 : 1;
        else if (s.p[i] == '.')
            i++;
        else
            return false;
    }
    return false;
}

static bool ref_path_ok(struct slice path)
{
    struct slice part;

    if (path.len == 0 || path.p[path.len - 1] == '/')
        return false;
    while (slice_split(&path, '/', &part))
        if (!ref_component_ok(part))
            return false;
    return true;
}

/* "[" IPv6 "]" */
static bool ref_ip6_ok(struct slice host)
{
    if (host.len < 4 || host.p[host.len - 1] != ']')
        return false;
    for (size_t i = 1; i + 1 < host.len; i++)
        if (!isxdigit((unsigned char)host.p[i]) && host.p[i] != ':')
            return false;
    return true;
}

static bool ref_domain_ok(struct slice domain)
{
    const char *colon = memrchr(domain.p, ':', domain.len);
    struct slice host = domain, part;

    if (colon && memchr(colon, ']', (size_t)(domain.p + domain.len - colon)))
        colon = NULL;           /* inside of [::1] */
    if (colon) {
        host.len = (size_t)(colon - domain.p);
        if (colon + 1 == domain.p + domain.len)
            return false;
        for (const char *c = colon + 1; c < domain.p + domain.len; c++)
            if (*c < '0' || *c > '9')
                return false;
    }
    if (host.len == 0 || host.p[host.len - 1] == '.')
        return false;
    if (host.p[0] == '[')
        return ref_ip6_ok(host);
    while (slice_split(&host, '.', &part)) {
        if (part.len == 0 || part.p[0] == '-' || part.p[part.len - 1] == '-')
            return false;
        for (size_t i = 0; i < part.len; i++)
            if (!ref_is_alnum(part.p[i]) && part.p[i] != '-')
                return false;
    }
    return true;
}

static bool ref_tag_ok(struct slice tag)
{
    if (tag.len == 0 || tag.len > REF_TAG_MAX || tag.p[0] == '.' || tag.p[0] == '-')
        return false;
    for (size_t i = 0; i < tag.len; i++)
        if (!ref_is_alnum(tag.p[i]) && !strchr("_.-", tag.p[i]))
            return false;
    return true;
}

static bool ref_has_upper(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.p[i] >= 'A' && s.p[i] <= 'Z')
            return true;
    return false;
}

static int ref_bad(struct err *err, const char *text, const char *why)
{
    return err_set(err, ERR_INVALID, "couldn't parse image name \"%.300s\": %s", text, why);
}

/* The part before the first "/" is a domain when it looks like one; else all of it is on Docker
 * Hub. */
static struct slice ref_take_domain(struct slice *rest)
{
    const char *slash = memchr(rest->p, '/', rest->len);
    struct slice first;

    if (!slash)
        return SLICE("docker.io");
    first = (struct slice){ rest->p, (size_t)(slash - rest->p) };
    if (!memchr(first.p, '.', first.len) && !memchr(first.p, ':', first.len) &&
        !slice_is(first, "localhost") && !ref_has_upper(first))
        return SLICE("docker.io");
    rest->p += first.len + 1;
    rest->len -= first.len + 1;
    return slice_is(first, "index.docker.io") ? SLICE("docker.io") : first;
}

/* Cuts digest and tag off the end of `rest`. */
static int ref_take_suffixes(struct slice *rest, struct slice *tag, struct slice *digest,
                             const char *text, struct err *err)
{
    const char *at = memchr(rest->p, '@', rest->len);
    const char *colon, *slash;

    *tag = *digest = (struct slice){ "", 0 };
    if (at) {
        struct slice hex;

        *digest = (struct slice){ at + 1, (size_t)(rest->p + rest->len - at - 1) };
        rest->len = (size_t)(at - rest->p);
        if (digest->len < 7 || memcmp(digest->p, "sha256:", 7) != 0)
            return ref_bad(err, text, memchr(digest->p, ':', digest->len) ?
                           "unsupported digest algorithm" : "invalid reference format");
        hex = (struct slice){ digest->p + 7, digest->len - 7 };
        if (!ref_is_hex(hex))
            return ref_bad(err, text, "invalid reference format");
        if (hex.len != REF_SHA256_HEX)
            return ref_bad(err, text, hex.len < 32 ? "invalid reference format" :
                           "invalid checksum digest length");
    }
    colon = memrchr(rest->p, ':', rest->len);
    slash = memrchr(rest->p, '/', rest->len);
    if (colon && (!slash || colon > slash)) {
        *tag = (struct slice){ colon + 1, (size_t)(rest->p + rest->len - colon - 1) };
        rest->len = (size_t)(colon - rest->p);
        if (!ref_tag_ok(*tag))
            return ref_bad(err, text, "invalid reference format");
    }
    return 0;
}

static int ref_fill(struct image_ref *out, struct slice domain, struct slice path,
                    const char *text, struct err *err)
{
    bool bare = slice_is(domain, "docker.io") && !memchr(path.p, '/', path.len);
    int n;

    if (path.len + (bare ? strlen("library/") : 0) > REF_PATH_MAX)
        return ref_bad(err, text, "repository name must not be more than 255 characters");
    if (domain.len >= sizeof(out->domain))
        return ref_bad(err, text, "the registry's name is too long");
    snprintf(out->domain, sizeof(out->domain), "%.*s", (int)domain.len, domain.p);
    snprintf(out->path, sizeof(out->path), "%s%.*s", bare ? "library/" : "", (int)path.len, path.p);
    if (!out->tag[0] && !out->digest[0])
        snprintf(out->tag, sizeof(out->tag), "latest");
    n = snprintf(out->text, sizeof(out->text), "%s/%s%s%s%s%s", out->domain, out->path,
                 out->tag[0] ? ":" : "", out->tag, out->digest[0] ? "@" : "", out->digest);
    if (n < 0 || (size_t)n >= sizeof(out->text))
        return ref_bad(err, text, "the name is too long");
    return 0;
}

int image_ref_parse(struct image_ref *out, const char *text, struct err *err)
{
    struct image_ref ref = { 0 };
    struct slice rest = slice_of(text), domain, tag, digest;

    check(out);
    check(text);
    if (rest.len == REF_SHA256_HEX && ref_is_hex(rest))
        return err_set(err, ERR_INVALID,
                       "couldn't parse image name \"%s\": invalid repository name "
                       "(%s), cannot specify 64-byte hexadecimal strings", text, text);
    domain = ref_take_domain(&rest);
    if (ref_has_upper((struct slice){ rest.p, strcspn(rest.p, ":@") }))
        return err_set(err, ERR_INVALID, "couldn't parse image name \"%.150s\": invalid reference "
                       "format: repository name (%s%.*s) must be lowercase", text,
                       slice_is(domain, "docker.io") && !strchr(rest.p, '/') ? "library/" : "",
                       (int)(strcspn(rest.p, ":@") > 150 ? 150 : strcspn(rest.p, ":@")), rest.p);
    if (ref_take_suffixes(&rest, &tag, &digest, text, err) < 0)
        return -1;
    if (!ref_domain_ok(domain) || !ref_path_ok(rest))
        return ref_bad(err, text, "invalid reference format");
    snprintf(ref.tag, sizeof(ref.tag), "%.*s", (int)tag.len, tag.p);
    snprintf(ref.digest, sizeof(ref.digest), "%.*s", (int)digest.len, digest.p);
    if (ref_fill(&ref, domain, rest, text, err) < 0)
        return -1;
    *out = ref;
    return 0;
}

bool image_ref_is_box(const struct image_ref *ref)
{
    return str_eq(ref->domain, "inro.local") && str_eq(ref->path, "box");
}

bool image_ref_is_latest(const struct image_ref *ref)
{
    return str_eq(ref->tag, "latest") && !ref->digest[0];
}
