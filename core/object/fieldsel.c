/* core/object/fieldsel.c -- field selectors: which fields a kind lets clients select by, and where
 * they are.
 *
 * Values are looked up in the stored bytes by a scan that skips what it does not need: a filtered
 * watch asks this of every event, so no tree is built for it.
 */
#include <stdlib.h>

#include "core/base/check.h"
#include "core/base/mem.h"
#include "core/base/vec.h"
#include "core/object/selector.h"

/* A label and up to two places of its value: the first that is there counts. */
struct field { const char *group, *resource, *label, *path, *other; };

static const struct field fields[] = {
    { "", "pods", "spec.nodeName", "spec.nodeName", NULL },
    { "", "pods", "spec.host", "spec.nodeName", NULL },
    { "", "pods", "spec.restartPolicy", "spec.restartPolicy", NULL },
    { "", "pods", "spec.schedulerName", "spec.schedulerName", NULL },
    { "", "pods", "spec.serviceAccountName", "spec.serviceAccountName", NULL },
    { "", "pods", "spec.hostNetwork", "?spec.hostNetwork", NULL },
    { "", "pods", "status.phase", "status.phase", NULL },
    { "", "pods", "status.podIP", "status.podIP", NULL },
    { "", "pods", "status.podIPs", "", NULL },
    { "", "pods", "status.nominatedNodeName", "status.nominatedNodeName", NULL },
    { "", "nodes", "spec.unschedulable", "?spec.unschedulable", NULL },
    { "", "replicationcontrollers", "status.replicas", "#status.replicas", NULL },
    { "", "namespaces", "status.phase", "status.phase", NULL },
    { "", "secrets", "type", "type", NULL },
    { "", "services", "spec.clusterIP", "spec.clusterIP", NULL },
    { "", "services", "spec.type", "spec.type", NULL },
    { "", "events", "involvedObject.kind", "involvedObject.kind", "regarding.kind" },
    { "", "events", "involvedObject.namespace", "involvedObject.namespace", "regarding.namespace" },
    { "", "events", "involvedObject.name", "involvedObject.name", "regarding.name" },
    { "", "events", "involvedObject.uid", "involvedObject.uid", "regarding.uid" },
    { "", "events", "involvedObject.apiVersion", "involvedObject.apiVersion",
      "regarding.apiVersion" },
    { "", "events", "involvedObject.resourceVersion", "involvedObject.resourceVersion",
      "regarding.resourceVersion" },
    { "", "events", "involvedObject.fieldPath", "involvedObject.fieldPath", "regarding.fieldPath" },
    { "", "events", "reason", "reason", NULL },
    { "", "events", "reportingComponent", "reportingComponent", "reportingController" },
    { "", "events", "source", "source.component", "reportingComponent" },
    { "", "events", "type", "type", NULL },
    { "events.k8s.io", "events", "reason", "reason", NULL },
    { "events.k8s.io", "events", "regarding.kind", "involvedObject.kind", "regarding.kind" },
    { "events.k8s.io", "events", "regarding.namespace", "involvedObject.namespace",
      "regarding.namespace" },
    { "events.k8s.io", "events", "regarding.name", "involvedObject.name", "regarding.name" },
    { "events.k8s.io", "events", "regarding.uid", "involvedObject.uid", "regarding.uid" },
    { "events.k8s.io", "events", "regarding.apiVersion", "involvedObject.apiVersion",
      "regarding.apiVersion" },
    { "events.k8s.io", "events", "regarding.resourceVersion", "involvedObject.resourceVersion",
      "regarding.resourceVersion" },
    { "events.k8s.io", "events", "regarding.fieldPath", "involvedObject.fieldPath",
      "regarding.fieldPath" },
    { "events.k8s.io", "events", "reportingController", "reportingComponent",
      "reportingController" },
    { "events.k8s.io", "events", "type", "type", NULL },
    { "batch", "jobs", "status.successful", "#status.succeeded", NULL },
    { "certificates.k8s.io", "certificatesigningrequests", "spec.signerName", "spec.signerName",
      NULL },
};
static const struct field field_name = { .label = "metadata.name", .path = "metadata.name" };
static const struct field field_ns = { .label = "metadata.namespace",
                                       .path = "metadata.namespace" };

struct term { const struct field *field; bool negate; char *value; };
struct fieldsel { VEC(struct term) terms; };

struct fieldsel *fieldsel_free(struct fieldsel *f)
{
    if (!f)
        return NULL;
    for (size_t i = 0; i < f->terms.len; i++)
        mem_free(f->terms.v[i].value);
    vec_deinit(&f->terms);
    return mem_free(f);
}

static const struct field *find_field(const struct kind *kind, const char *label, struct err *err)
{
    bool listed = false;

    if (str_eq(label, field_name.label))
        return &field_name;
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        if (!str_eq(fields[i].group, kind->group) || !str_eq(fields[i].resource, kind->resource))
            continue;
        listed = true;
        if (str_eq(fields[i].label, label))
            return &fields[i];
    }
    if (str_eq(label, field_ns.label) && (kind->namespaced || !listed))
        return &field_ns;
    if (str_eq(kind->group, "batch") && listed)
        err_set(err, ERR_INVALID, "field label \"%s\" not supported for Job", label);
    else if (listed)
        err_set(err, ERR_INVALID, "field label not supported: %s", label);
    else
        err_set(err, ERR_INVALID, "\"%s\" is not a known field selector: only \"metadata.name\", "
                "\"metadata.namespace\"", label);
    return NULL;
}

static int unescape(struct buf *out, const char *s, struct err *err)
{
    buf_str(out, "");
    for (; *s; s++) {
        if (*s == ',' || *s == '=')
            return err_set(err, ERR_INVALID,
                           "invalid field selector: unescaped character in value: %d", *s);
        if (*s == '\\') {
            s++;
            if (!*s || !strchr("\\,=", *s))
                return err_set(err, ERR_INVALID,
                               "invalid field selector: invalid escape sequence: \\%.1s", s);
        }
        buf_chr(out, *s);
    }
    return 0;
}

static int parse_term(struct fieldsel *f, const struct kind *kind, const char *text, char *term,
                      struct err *err)
{
    _cleanup_buf_ struct buf value = BUF_INIT;
    char *op = term + strcspn(term, "!=");
    struct term t;

    while (op[0] == '!' && op[1] != '=')
        op = op + 1 + strcspn(op + 1, "!=");
    if (!*op)
        return err_set(err, ERR_INVALID, "invalid selector: '%s'; can't understand '%s'", text,
                       term);
    t.negate = op[0] == '!';
    if (unescape(&value, op + (op[1] == '=' ? 2 : 1), err) < 0)
        return -1;
    *op = 0;
    t.field = find_field(kind, term, err);
    if (!t.field)
        return -1;
    t.value = mem_strdup(value.p);
    vec_push(&f->terms, t);
    return 0;
}

/* Cuts the text at commas that no backslash protects. */
static size_t split_terms(char *text, char ***out)
{
    VEC(char *) parts = { 0 };
    char *from = text;

    for (char *p = text;; p++) {
        if (*p == '\\' && p[1]) {
            p++;
            continue;
        }
        if (*p && *p != ',')
            continue;
        if (p > from)
            vec_push(&parts, from);
        from = p + 1;
        if (!*p)
            break;
        *p = 0;
    }
    *out = parts.v;
    return parts.len;
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

int fieldsel_parse(struct fieldsel **out, const struct kind *kind, const char *text,
                   struct err *err)
{
    _cleanup_(fieldsel_freep) struct fieldsel *f = NEW(struct fieldsel);
    _cleanup_(mem_freep) char *copy = mem_strdup(text);
    _cleanup_(mem_freep) char **parts = NULL;
    size_t n;

    if (strlen(text) > SELECTOR_BYTES_MAX)
        return err_set(err, ERR_INVALID, "selector is longer than %u bytes", SELECTOR_BYTES_MAX);
    n = split_terms(copy, &parts);
    if (n)
        qsort(parts, n, sizeof(*parts), compare_texts);
    for (size_t i = 0; i < n; i++)
        if (parse_term(f, kind, text, parts[i], err) < 0)
            return -1;
    *out = TAKE(f);
    return 0;
}

/* --- the scan: canonical JSON has no spaces, but none is relied on */

static const char *skip_space(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r'))
        p++;
    return p;
}

/* Past a string whose opening quote is at p. */
static const char *skip_string(const char *p, const char *end)
{
    for (p++; p < end && *p != '"'; p++)
        if (*p == '\\')
            p++;
    return p < end ? p + 1 : end;
}

static const char *skip_value(const char *p, const char *end)
{
    int depth = 0;

    do {
        if (p < end && *p == '"') {
            p = skip_string(p, end);
            continue;
        }
        if (p < end && (*p == '{' || *p == '['))
            depth++;
        else if (p < end && (*p == '}' || *p == ']') && --depth < 0)
            return p;
        else if (depth == 0 && (p >= end || *p == ','))
            return p;
        p++;
    } while (p < end);
    return end;
}

/* The member `key` of the object that starts at p: its value, or NULL. */
static const char *find_member(const char *p, const char *end, const char *key, size_t key_len)
{
    if (p >= end || *p != '{')
        return NULL;
    p = skip_space(p + 1, end);
    while (p < end && *p == '"') {
        const char *name = p + 1;
        size_t len;

        p = skip_string(p, end);
        len = (size_t)(p - name) - 1;
        p = skip_space(p, end);
        if (p < end)
            p = skip_space(p + 1, end);             /* the colon */
        if (len == key_len && memcmp(name, key, len) == 0)
            return p;
        p = skip_space(skip_value(p, end), end);
        if (p < end && *p == ',')
            p = skip_space(p + 1, end);
    }
    return NULL;
}

static struct slice find_path(struct slice bytes, const char *path)
{
    const char *end = bytes.p + bytes.len, *p = skip_space(bytes.p, end), *stop;
    struct slice none = { NULL, 0 };

    while (*path) {
        size_t len = strcspn(path, ".");

        p = find_member(p, end, path, len);
        if (!p)
            return none;
        path += len + (path[len] == '.');
    }
    stop = p < end && *p == '"' ? skip_string(p, end) : skip_value(p, end);
    return (struct slice){ p, (size_t)(stop - p) };
}

/* Compares a raw JSON value with plain text. */
static bool raw_is(struct slice raw, const char *value)
{
    if (raw.len < 2 || raw.p[0] != '"')
        return slice_is(raw, value);
    if (memchr(raw.p, '\\', raw.len)) {
        _cleanup_(arena_freep) struct arena *a = arena_new(0);
        struct json *v;

        return json_parse(&v, a, raw.p, raw.len, NULL, NULL) == 0 && str_eq(json_text(v), value);
    }
    return slice_is((struct slice){ raw.p + 1, raw.len - 2 }, value);
}

/* A path may begin with ? (a boolean, false when absent) or # (a number, 0 when absent). */
static bool term_matches(const struct term *t, const struct object *o)
{
    const struct field *f = t->field;
    const char *absent = f->path[0] == '?' ? "false" : f->path[0] == '#' ? "0" : "";
    const char *path = f->path + (*absent ? 1 : 0);
    struct slice raw = { NULL, 0 };

    if (f == &field_name)
        return str_eq(object_name(o), t->value);
    if (f == &field_ns)
        return str_eq(object_ns(o), t->value);
    if (*path)
        raw = find_path(object_bytes(o), path);
    if ((!raw.p || slice_is(raw, "\"\"")) && f->other)
        raw = find_path(object_bytes(o), f->other);
    return raw.p ? raw_is(raw, t->value) : str_eq(absent, t->value);
}

bool fieldsel_matches(const struct fieldsel *f, const struct object *o)
{
    for (size_t i = 0; i < f->terms.len; i++)
        if (term_matches(&f->terms.v[i], o) == f->terms.v[i].negate)
            return false;
    return true;
}

static const char *pinned(const struct fieldsel *f, const struct field *field)
{
    for (size_t i = 0; i < f->terms.len; i++)
        if (f->terms.v[i].field == field && !f->terms.v[i].negate)
            return f->terms.v[i].value;
    return NULL;
}

const char *fieldsel_name(const struct fieldsel *f) { return pinned(f, &field_name); }
const char *fieldsel_ns(const struct fieldsel *f) { return pinned(f, &field_ns); }

/* --- topics */

static bool is_topic(const struct field *f)
{
    return f == &field_name || str_eq(f->label, "spec.nodeName");
}

static uint64_t topic(const struct field *f, const char *value, size_t len)
{
    uint64_t hash = str_hash(value, len) * 31 + str_hash(f->label, strlen(f->label));

    return hash ? hash : 1;
}

uint64_t fieldsel_topic_name(const char *name)
{
    return topic(&field_name, name, strlen(name));
}

uint64_t fieldsel_topic(const struct fieldsel *f)
{
    for (size_t i = 0; i < f->terms.len; i++) {
        const struct term *t = &f->terms.v[i];

        if (is_topic(t->field) && !t->negate)
            return topic(t->field, t->value, strlen(t->value));
    }
    return 0;
}

unsigned fieldsel_topics(const struct object *o, uint64_t out[FIELDSEL_TOPICS_MAX])
{
    const struct kind *kind = object_kind(o);
    unsigned n = 0;

    out[n++] = fieldsel_topic_name(object_name(o));
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        const struct field *f = &fields[i];
        struct slice raw;

        if (!is_topic(f) || !str_eq(f->resource, kind->resource) || !str_eq(f->group, kind->group))
            continue;
        check(n < FIELDSEL_TOPICS_MAX);
        /* Names of nodes hold nothing to escape; absent is empty. */
        raw = find_path(object_bytes(o), f->path);
        out[n++] = raw.len > 2 ? topic(f, raw.p + 1, raw.len - 2) : topic(f, "", 0);
    }
    return n;
}
