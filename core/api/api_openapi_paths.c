/* api_openapi_paths.c: what can be done with each kind, as operations of OpenAPI v2 and v3.
 *
 * Clients read from it which kinds take which query parameters (fieldValidation, dryRun).
 */
#include "core/api/api_openapi.h"

#include "core/base/check.h"
#include "core/base/cleanup.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define OPS_MAX 8

/* --- query parameters: sets by what is done */

static const char *const q_write[] = { "dryRun", "fieldManager", "fieldValidation", "pretty",
                                       NULL };
static const char *const q_patch[] = { "dryRun", "fieldManager", "fieldValidation", "force",
                                       "pretty", NULL };
static const char *const q_get[] = { "pretty", NULL };
static const char *const q_list[] = {
    "allowWatchBookmarks", "continue", "fieldSelector", "labelSelector", "limit", "pretty",
    "resourceVersion", "resourceVersionMatch", "sendInitialEvents", "shardSelector",
        "timeoutSeconds",
    "watch", NULL,
};
static const char *const q_delete[] = {
    "dryRun", "gracePeriodSeconds", "ignoreStoreReadErrorWithClusterBreakingPotential",
    "orphanDependents", "pretty", "propagationPolicy", NULL,
};
static const char *const q_delete_all[] = {
    "continue", "dryRun", "fieldSelector", "gracePeriodSeconds",
    "ignoreStoreReadErrorWithClusterBreakingPotential", "labelSelector", "limit",
        "orphanDependents",
    "pretty", "propagationPolicy", "resourceVersion", "resourceVersionMatch", "sendInitialEvents",
    "shardSelector", "timeoutSeconds", NULL,
};
static const char *const q_attach[] = { "container", "stderr", "stdin", "stdout", "tty", NULL };
static const char *const q_exec[] = { "command", "container", "stderr", "stdin", "stdout", "tty",
                                      NULL };
static const char *const q_log[] = {
    "container", "follow", "insecureSkipTLSVerifyBackend", "limitBytes", "pretty", "previous",
    "sinceSeconds", "stream", "tailLines", "timestamps", NULL,
};
static const char *const q_ports[] = { "ports", NULL };
static const char *const q_path[] = { "path", NULL };

static const struct { const char *sub; const char *const *params; } stream_params[] = {
    { "attach", q_attach }, { "exec", q_exec }, { "log", q_log }, { "portforward", q_ports },
    { "proxy", q_path },
};

static const char *param_type(const char *name)
{
    static const char *const booleans[] = {
        "allowWatchBookmarks", "sendInitialEvents", "watch", "force", "orphanDependents",
        "ignoreStoreReadErrorWithClusterBreakingPotential", "stderr", "stdin", "stdout", "tty",
            "follow",
        "insecureSkipTLSVerifyBackend", "previous", "timestamps",
    };
    static const char *const integers[] = { "limit", "timeoutSeconds", "gracePeriodSeconds",
                                            "limitBytes",
                                            "sinceSeconds", "tailLines", "ports" };

    for (size_t i = 0; i < ARRAY_LEN(booleans); i++)
        if (str_eq(booleans[i], name))
            return "boolean";
    for (size_t i = 0; i < ARRAY_LEN(integers); i++)
        if (str_eq(integers[i], name))
            return "integer";
    return "string";
}

/* --- operations */

enum op_answer { ANSWER_ONE, ANSWER_LIST, ANSWER_TEXT, ANSWER_LOG };

struct op {
    const char *method, *action;
    char id[160];
    const char *const *params;
    const struct schema_type *body, *answer;
    enum op_answer form;
    bool patch, body_required;
    bool created, accepted;                  /* also answers 201, 202 */
    const char *group, *version, *kind;      /* of what it is about */
};

struct item { char path[256]; struct op ops[OPS_MAX]; unsigned n_ops; bool has_ns, has_name,
              has_tail; };

static void write_param(struct api_openapi_doc *d, const char *in, const char *name)
{
    api_openapi_open(d, NULL, '{');
    api_openapi_member(d, "name", name);
    api_openapi_member(d, "in", in);
    if (*in == 'p') {
        api_openapi_key(d, "required");
        buf_str(d->b, "true");
    }
    if (!d->v2)
        api_openapi_open(d, "schema", '{');
    api_openapi_member(d, "type", *in == 'p' ? "string" : param_type(name));
    api_openapi_key(d, "uniqueItems");
    buf_str(d->b, "true");
    if (!d->v2)
        api_openapi_close(d, '}');
    api_openapi_close(d, '}');
}

static bool has_param(const char *const *set, const char *name)
{
    for (; *set; set++)
        if (str_eq(*set, name))
            return true;
    return false;
}

/* What all operations of a path take is said once. */
static bool is_common(const struct item *it, const char *name)
{
    for (unsigned i = 0; i < it->n_ops; i++)
        if (!has_param(it->ops[i].params, name))
            return false;
    return true;
}

static void write_schema(struct api_openapi_doc *d, const struct schema_type *t)
{
    api_openapi_open(d, "schema", '{');
    if (t)
        api_openapi_ref(d, t);
    else
        api_openapi_member(d, "type", "string");
    api_openapi_close(d, '}');
}

static void write_media(struct api_openapi_doc *d, const char *type, const struct schema_type *t)
{
    api_openapi_open(d, type, '{');
    write_schema(d, t);
    api_openapi_close(d, '}');
}

static const char *const *answer_types(enum op_answer form)
{
    static const char *const one[] = { "application/json", "application/vnd.kubernetes.protobuf",
                                       "application/yaml", NULL };
    static const char *const list[] = {
        "application/json", "application/json;stream=watch", "application/vnd.kubernetes.protobuf",
        "application/vnd.kubernetes.protobuf;stream=watch", "application/yaml", NULL,
    };
    static const char *const text[] = { "*/*", NULL };
    static const char *const log[] = { "application/json", "application/vnd.kubernetes.protobuf",
                                       "application/yaml", "text/plain", NULL };
    static const char *const *const all[] = { [ANSWER_ONE] = one, [ANSWER_LIST] = list,
                                              [ANSWER_TEXT] = text, [ANSWER_LOG] = log };

    return all[form];
}

static void write_answer(struct api_openapi_doc *d, const struct op *op, const char *code,
                         const char *what)
{
    api_openapi_open(d, code, '{');
    api_openapi_member(d, "description", what);
    if (d->v2) {
        write_schema(d, op->answer);
    } else {
        api_openapi_open(d, "content", '{');
        for (const char *const *t = answer_types(op->form); *t; t++)
            write_media(d, *t, op->answer);
        api_openapi_close(d, '}');
    }
    api_openapi_close(d, '}');
}

static void write_answers(struct api_openapi_doc *d, const struct op *op)
{
    api_openapi_open(d, "responses", '{');
    write_answer(d, op, "200", "OK");
    if (op->created)
        write_answer(d, op, "201", "Created");
    if (op->accepted)
        write_answer(d, op, "202", "Accepted");
    api_openapi_open(d, "401", '{');
    api_openapi_member(d, "description", "Unauthorized");
    api_openapi_close(d, '}');
    api_openapi_close(d, '}');
}

static void write_body(struct api_openapi_doc *d, const struct op *op)
{
    static const char *const patches[] = { "application/apply-patch+yaml",
                                           "application/json-patch+json",
                                           "application/merge-patch+json",
                                           "application/strategic-merge-patch+json" };

    api_openapi_open(d, "requestBody", '{');
    api_openapi_open(d, "content", '{');
    for (size_t i = 0; op->patch && i < ARRAY_LEN(patches); i++)
        write_media(d, patches[i], op->body);
    if (!op->patch)
        write_media(d, "*/*", op->body);
    api_openapi_close(d, '}');
    if (op->body_required) {
        api_openapi_key(d, "required");
        buf_str(d->b, "true");
    }
    api_openapi_close(d, '}');
}

static void write_v2_body(struct api_openapi_doc *d, const struct op *op)
{
    api_openapi_open(d, NULL, '{');
    api_openapi_member(d, "in", "body");
    api_openapi_member(d, "name", "body");
    if (op->body_required) {
        api_openapi_key(d, "required");
        buf_str(d->b, "true");
    }
    write_schema(d, op->body);
    api_openapi_close(d, '}');
}

static void write_params(struct api_openapi_doc *d, const struct item *it, const struct op *op)
{
    bool any = op->body && d->v2;

    for (const char *const *p = op->params; *p && !any; p++)
        any = !is_common(it, *p);
    if (!any)
        return;
    api_openapi_open(d, "parameters", '[');
    if (op->body && d->v2)
        write_v2_body(d, op);
    for (const char *const *p = op->params; *p; p++)
        if (!is_common(it, *p))
            write_param(d, "query", *p);
    api_openapi_close(d, ']');
}

static void write_tag(struct api_openapi_doc *d, const char *group, const char *version)
{
    char title[64];

    api_openapi_group_title(title, sizeof(title), group);
    title[0] = (char)tolower(title[0]);
    api_openapi_open(d, "tags", '[');
    api_openapi_text(d, title);
    if (*version) {
        d->b->len--;                         /* inside the closing quote */
        buf_fmt(d->b, "_%s\"", version);
    }
    api_openapi_close(d, ']');
}

static void write_op(struct api_openapi_doc *d, const struct item *it, const struct op *op,
                     const char *group,
                     const char *version)
{
    api_openapi_open(d, op->method, '{');
    api_openapi_key(d, "description");
    buf_fmt(d->b, "\"%s %s\"", op->action, op->kind);
    api_openapi_member(d, "operationId", op->id);
    write_params(d, it, op);
    if (op->body && !d->v2)
        write_body(d, op);
    write_answers(d, op);
    write_tag(d, group, version);
    api_openapi_member(d, "x-kubernetes-action", op->action);
    api_openapi_open(d, "x-kubernetes-group-version-kind", '{');
    api_openapi_member(d, "group", op->group);
    api_openapi_member(d, "kind", op->kind);
    api_openapi_member(d, "version", op->version);
    api_openapi_close(d, '}');
    api_openapi_close(d, '}');
}

static void write_item(struct api_openapi_doc *d, const struct item *it, const char *group,
                       const char *version)
{
    bool any = it->has_name || it->has_ns || it->has_tail;

    if (!it->n_ops)
        return;
    api_openapi_open(d, it->path, '{');
    for (unsigned i = 0; i < it->n_ops; i++)
        write_op(d, it, &it->ops[i], group, version);
    for (const char *const *p = it->ops[0].params; *p && !any; p++)
        any = is_common(it, *p);
    if (any) {
        api_openapi_open(d, "parameters", '[');
        if (it->has_name)
            write_param(d, "path", "name");
        if (it->has_ns)
            write_param(d, "path", "namespace");
        if (it->has_tail)
            write_param(d, "path", "path");
        for (const char *const *p = it->ops[0].params; *p; p++)
            if (is_common(it, *p))
                write_param(d, "query", *p);
        api_openapi_close(d, ']');
    }
    api_openapi_close(d, '}');
}

/* --- of a kind */

struct about {
    const struct kind *k;
    const struct kind_subresource *sub;
    const struct schema_type *one, *list;
    char group[64], version[24], base[96];
};

static const struct schema_type *meta_type(const char *name)
{
    char id[64];

    snprintf(id, sizeof(id), "meta.v1.%s", name);
    return schema_type_by_id(id);
}

static struct op *add(struct item *it, const struct about *a, const char *method,
                      const char *action,
                      const char *const *params)
{
    struct op *op;

    check(it->n_ops < OPS_MAX);
    op = &it->ops[it->n_ops++];
    *op = (struct op){ .method = method, .action = action, .params = params, .group = a->k->group,
                       .version = a->k->version, .kind = a->k->kind, .answer = a->one };
    return op;
}

static void set_id(struct op *op, const struct about *a, const char *verb, const char *middle,
                   const char *tail)
{
    snprintf(op->id, sizeof(op->id), "%s%s%s%s%s%s%s", verb, a->group, a->version, middle,
             a->k->namespaced ? "Namespaced" : "", a->k->kind, tail);
}

static void write_ops(struct item *it, const struct about *a, unsigned verbs, const char *tail)
{
    struct op *op;

    if (verbs & VERB_GET)
        set_id(add(it, a, "get", "get", q_get), a, "read", "", tail);
    if (verbs & VERB_UPDATE) {
        op = add(it, a, "put", "put", q_write);
        op->body = a->one;
        op->body_required = op->created = true;
        set_id(op, a, "replace", "", tail);
    }
    if (verbs & VERB_PATCH) {
        op = add(it, a, "patch", "patch", q_patch);
        op->body = meta_type("Patch");
        op->patch = op->body_required = op->created = true;
        set_id(op, a, "patch", "", tail);
    }
    if (verbs & VERB_CREATE) {
        op = add(it, a, "post", "post", q_write);
        op->body = a->one;
        op->body_required = op->created = op->accepted = true;
        set_id(op, a, "create", "", tail);
    }
}

static void write_collection(struct api_openapi_doc *d, const struct about *a)
{
    struct item it = { .has_ns = a->k->namespaced };
    struct op *op;

    snprintf(it.path, sizeof(it.path), "%s%s/%s", a->base, it.has_ns ? "/namespaces/{namespace}"
             : "",
             a->k->resource);
    if (a->k->verbs & VERB_LIST) {
        op = add(&it, a, "get", "list", q_list);
        op->answer = a->list;
        op->form = ANSWER_LIST;
        set_id(op, a, "list", "", "");
    }
    write_ops(&it, a, a->k->verbs & VERB_CREATE, "");
    if (a->k->verbs & VERB_DELETECOLLECTION) {
        op = add(&it, a, "delete", "deletecollection", q_delete_all);
        op->answer = meta_type("Status");
        op->body = meta_type("DeleteOptions");
        set_id(op, a, "delete", "Collection", "");
    }
    write_item(d, &it, a->k->group, a->k->version);
}

static void write_one(struct api_openapi_doc *d, const struct about *a)
{
    struct item it = { .has_ns = a->k->namespaced, .has_name = true };
    struct op *op;

    snprintf(it.path, sizeof(it.path), "%s%s/%s/{name}", a->base,
             it.has_ns ? "/namespaces/{namespace}" : "", a->k->resource);
    write_ops(&it, a, a->k->verbs & ~(unsigned)VERB_CREATE, "");
    if (a->k->verbs & VERB_DELETE) {
        op = add(&it, a, "delete", "delete", q_delete);
        op->answer = a->k->returns_deleted ? a->one : meta_type("Status");
        op->body = meta_type("DeleteOptions");
        op->accepted = true;
        set_id(op, a, "delete", "", "");
    }
    write_item(d, &it, a->k->group, a->k->version);
}

static void write_all_namespaces(struct api_openapi_doc *d, const struct about *a, bool watch)
{
    struct item it = { 0 };
    struct op *op = add(&it, a, "get", watch ? "watchlist" : "list", q_list);

    snprintf(it.path, sizeof(it.path), "%s%s/%s", a->base, watch ? "/watch" : "", a->k->resource);
    op->answer = watch ? meta_type("WatchEvent") : a->list;
    op->form = ANSWER_LIST;
    snprintf(op->id, sizeof(op->id), "%s%s%s%s%sForAllNamespaces", watch ? "watch" : "list",
             a->group,
             a->version, a->k->kind, watch ? "List" : "");
    write_item(d, &it, a->k->group, a->k->version);
}

/* The old spelling of a watch. */
static void write_watch(struct api_openapi_doc *d, const struct about *a, bool one)
{
    struct item it = { .has_ns = a->k->namespaced, .has_name = one };
    struct op *op = add(&it, a, "get", one ? "watch" : "watchlist", q_list);

    snprintf(it.path, sizeof(it.path), "%s/watch%s/%s%s", a->base,
             it.has_ns ? "/namespaces/{namespace}" : "", a->k->resource, one ? "/{name}" : "");
    op->answer = meta_type("WatchEvent");
    op->form = ANSWER_LIST;
    set_id(op, a, "watch", "", one ? "" : "List");
    write_item(d, &it, a->k->group, a->k->version);
}

/* --- of its subresources */

static void title(char *out, size_t out_bytes, const char *name)
{
    snprintf(out, out_bytes, "%s", name);
    *out = (char)toupper(*out);
}

static void stream_op(struct item *it, const struct about *a, const char *method,
                      const char *const *params)
{
    struct op *op = add(it, a, method, "connect", params);
    char verb[16], sub[32];

    op->answer = NULL;
    op->form = ANSWER_TEXT;
    op->kind = a->sub->kind;
    title(verb, sizeof(verb), method);
    title(sub, sizeof(sub), a->sub->name);
    snprintf(op->id, sizeof(op->id), "connect%s%s%s%s%s%s%s", a->group, a->version, verb,
             a->k->namespaced ? "Namespaced" : "", a->k->kind, sub, it->has_tail ? "WithPath" : "");
}

static void write_stream(struct api_openapi_doc *d, const struct about *a, struct item *it)
{
    static const char *const methods[] = { "get", "post", "put", "delete", "patch", "head",
                                           "options" };
    const char *const *params = q_get;
    bool proxy = str_eq(a->sub->name, "proxy");
    struct op *op;

    for (size_t i = 0; i < ARRAY_LEN(stream_params); i++)
        if (str_eq(stream_params[i].sub, a->sub->name))
            params = stream_params[i].params;
    if (params == q_log) {
        op = add(it, a, "get", "get", params);
        op->answer = NULL;
        op->form = ANSWER_LOG;
        set_id(op, a, "read", "", "Log");
    } else {
        for (size_t i = 0; i < (proxy ? ARRAY_LEN(methods) : 2); i++)
            stream_op(it, a, methods[i], params);
    }
    write_item(d, it, a->k->group, a->k->version);
    if (!proxy || it->has_tail)
        return;
    it->has_tail = true;
    it->n_ops = 0;
    snprintf(it->path + strlen(it->path), sizeof(it->path) - strlen(it->path), "/{path}");
    write_stream(d, a, it);
}

static void write_sub(struct api_openapi_doc *d, struct about a)
{
    struct item it = { .has_ns = a.k->namespaced, .has_name = true };
    const char *group = a.sub->group ? a.sub->group : a.k->group;
    const char *version = a.sub->version ? a.sub->version : a.k->version;
    char name[40], gvk[160];

    snprintf(it.path, sizeof(it.path), "%s%s/%s/{name}/%s", a.base,
             it.has_ns ? "/namespaces/{namespace}" : "", a.k->resource, a.sub->name);
    if (a.sub->connect) {
        write_stream(d, &a, &it);
        return;
    }
    snprintf(gvk, sizeof(gvk), "%s%s%s/%s", group, *group ? "/" : "", version, a.sub->kind);
    a.one = api_openapi_type_of(gvk);
    if (!a.one)
        return;
    title(name, sizeof(name), a.sub->name);
    write_ops(&it, &a, a.sub->verbs, name);
    for (unsigned i = 0; i < it.n_ops; i++) {
        it.ops[i].group = group;
        it.ops[i].version = version;
        it.ops[i].kind = a.sub->kind;
    }
    write_item(d, &it, a.k->group, a.k->version);
}

/* --- all of a group and version */

void api_openapi_group_title(char *out, size_t out_bytes, const char *group)
{
    size_t len = strlen(group), n = 0;
    bool up = true;

    if (!*group)
        group = "core", len = 4;
    if (len > 7 && strcmp(group + len - 7, ".k8s.io") == 0)
        len -= 7;
    for (size_t i = 0; i < len && n + 1 < out_bytes; i++) {
        if (group[i] == '.') {
            up = true;
            continue;
        }
        out[n++] = up ? (char)toupper(group[i]) : group[i];
        up = false;
    }
    out[n] = '\0';
}

static void write_kind(struct api_openapi_doc *d, const struct kind *k)
{
    struct about a = { .k = k, .one = k->type };
    char id[160];

    api_openapi_group_title(a.group, sizeof(a.group), k->group);
    title(a.version, sizeof(a.version), k->version);
    snprintf(a.base, sizeof(a.base), "/api%s/%s", *k->group ? "s" : "", kind_api_version(k));
    snprintf(id, sizeof(id), "%sList", schema_type_id(k->type));
    a.list = schema_type_by_id(id);
    check(a.list);
    write_collection(d, &a);
    write_one(d, &a);
    if (k->namespaced && k->verbs & VERB_LIST)
        write_all_namespaces(d, &a, false);
    if (k->verbs & VERB_WATCH) {
        write_watch(d, &a, false);
        write_watch(d, &a, true);
        if (k->namespaced)
            write_all_namespaces(d, &a, true);
    }
    for (unsigned i = 0; i < k->n_subs; i++) {
        a.sub = &k->subs[i];
        write_sub(d, a);
    }
}

void api_openapi_get(struct api_openapi_doc *d, const struct api_openapi_answer *what)
{
    const char *const *types = answer_types(ANSWER_ONE);
    const struct schema_type *t = schema_type_by_id(what->type_id);

    api_openapi_open(d, what->path, '{');
    api_openapi_open(d, "get", '{');
    api_openapi_member(d, "operationId", what->id);
    api_openapi_open(d, "responses", '{');
    api_openapi_open(d, "200", '{');
    api_openapi_member(d, "description", "OK");
    if (d->v2) {
        write_schema(d, t);
    } else {
        api_openapi_open(d, "content", '{');
        for (; *types; types++)
            if (!what->json_only || str_eq(*types, "application/json"))
                write_media(d, *types, t);
        api_openapi_close(d, '}');
    }
    api_openapi_close(d, '}');
    api_openapi_open(d, "401", '{');
    api_openapi_member(d, "description", "Unauthorized");
    api_openapi_close(d, '}');
    api_openapi_close(d, '}');
    api_openapi_open(d, "tags", '[');
    api_openapi_text(d, what->tag);
    api_openapi_close(d, ']');
    api_openapi_close(d, '}');
    api_openapi_close(d, '}');
}

void api_openapi_paths(struct api_openapi_doc *d, const char *group, const char *version)
{
    char path[128], id[128], name[64], v[24], tag[96];

    api_openapi_group_title(name, sizeof(name), group);
    title(v, sizeof(v), version);
    snprintf(path, sizeof(path), *group ? "/apis/%s/%s/" : "/api%s/%s/", group, version);
    snprintf(id, sizeof(id), "get%s%sAPIResources", name, v);
    snprintf(tag, sizeof(tag), "%c%s_%s", tolower(*name), name + 1, version);
    api_openapi_get(d, &(struct api_openapi_answer){ path, id, tag, "meta.v1.APIResourceList",
                                                     false });
    for (unsigned i = 0; i < kind_count(); i++) {
        const struct kind *k = kind_by_id(i);

        if (!k->served || !str_eq(k->group, group) || !str_eq(k->version, version))
            continue;
        d->group = k->group;                 /* these texts outlive the caller's */
        d->version = k->version;
        write_kind(d, k);
    }
}
