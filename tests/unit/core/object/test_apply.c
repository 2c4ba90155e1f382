#include "core/object/apply.h"
#include "core/object/codec.h"
#include "tests/harness/test.h"
#include "tests/unit/core/object/quotes.h"

struct fixture { struct arena *a; const struct kind *kind; };

static struct fixture fixture_new(const struct kind *kind)
{
    return (struct fixture){ arena_new(0), kind };
}

static struct json *parse(const struct fixture *f, const char *text)
{
    struct json *v = NULL;
    struct err err = ERR_INIT;

    EXPECT_OK(codec_parse(&v, f->a, MEDIA_JSON, slice_of(quotes(f->a, text)), NULL, &err), &err);
    json_set_str(f->a, v, "kind", f->kind->kind);
    json_set_str(f->a, v, "apiVersion", f->kind->api_version);
    return v;
}

static struct json *canonical(const struct fixture *f, struct json *raw)
{
    struct json *v = NULL;
    struct err err = ERR_INIT;

    EXPECT_OK(codec_canonical(&v, f->a, f->kind->type, raw, NULL, &err), &err);
    json_set_str(f->a, v, "kind", f->kind->kind);
    json_set_str(f->a, v, "apiVersion", f->kind->api_version);
    return v;
}

static struct apply_ctx ctx_of(const struct fixture *f, const char *manager)
{
    return (struct apply_ctx){ .a = f->a, .env = env_real(), .kind = f->kind, .manager = manager,
                               .subresource = "" };
}

static struct json *update(const struct fixture *f, const char *manager, const char *text,
                           const struct json *live)
{
    struct apply_ctx c = ctx_of(f, manager);
    struct json *obj = canonical(f, parse(f, text));

    apply_update(&c, obj, live);
    return obj;
}

/* The new object, or NULL with the conflicts or the error in why. */
static struct json *apply(const struct fixture *f, const char *manager, const struct json *live,
                          const char *text, const char **why)
{
    struct apply_ctx c = ctx_of(f, manager);
    struct causes conflicts = { .a = f->a };
    struct json *out = NULL;
    struct err err = ERR_INIT;

    *why = "";
    c.conflicts = &conflicts;
    if (apply_apply(&c, &out, live, parse(f, text), &err) == 0)
        return canonical(f, out);
    *why = conflicts.len ? apply_conflict(f->a, &conflicts)->message : arena_strdup(f->a, err.msg);
    return NULL;
}

/* "alice Apply {...}|bob Update {...}" */
static const char *managers(const struct fixture *f, const struct json *obj)
{
    _cleanup_buf_ struct buf b = BUF_INIT;
    struct json *v;

    buf_str(&b, "");
    json_each(v, json_path(obj, "metadata.managedFields")) {
        buf_fmt(&b, "%s%s %s ", v_i ? "|" : "", json_get_str(v, "manager"),
                json_get_str(v, "operation"));
        json_write(&b, json_get(v, "fieldsV1"));
    }
    return arena_strdup(f->a, b.p);
}

static const char *text_of(const struct fixture *f, const struct json *v)
{
    _cleanup_buf_ struct buf b = BUF_INIT;

    json_write(&b, v);
    return arena_strdup(f->a, b.p);
}

#define Q(f, text) quotes((f).a, text)

TEST(updates_are_tracked)
{
    struct fixture f = fixture_new(kind_config_map());
    struct json *one = update(&f, "m", "{'metadata':{'name':'a','labels':{'x':'1'}},"
                              "'data':{'k':'v'}}", NULL);
    struct json *two;

    EXPECT_STR(managers(&f, one), Q(f, "m Update {'f:data':{'.':{},'f:k':{}},'f:metadata':{"
                                    "'f:labels':{'.':{},'f:x':{}}}}"));
    two = update(&f, "n", "{'metadata':{'name':'a','labels':{'x':'1'}},"
                 "'data':{'k':'w','l':'1'}}", one);
    EXPECT_STR(managers(&f, two), Q(f, "m Update {'f:data':{},'f:metadata':{'f:labels':{"
                                    "'.':{},'f:x':{}}}}|n Update {'f:data':{'f:k':{},'f:l':{}}}"));
    two = update(&f, "n", "{'metadata':{'name':'a'}}", two);
    EXPECT_STR(managers(&f, two), "");
    two = update(&f, "n", "{'metadata':{'name':'a','managedFields':[{}]},'data':{'z':''}}", one);
    EXPECT_STR(managers(&f, two), "");
    arena_free(f.a);
}

TEST(apply_makes_and_removes)
{
    struct fixture f = fixture_new(kind_config_map());
    const char *why;
    struct json *v = apply(&f, "alice", NULL, "{'metadata':{'name':'a'},'data':{'k':'v','l':'1'}}",
                           &why);

    EXPECT_STR(managers(&f, v), Q(f, "alice Apply {'f:data':{'f:k':{},'f:l':{}}}"));
    v = apply(&f, "bob", v, "{'metadata':{'name':'a'},'data':{'l':'1','m':'2'}}", &why);
    EXPECT_STR(managers(&f, v), Q(f, "alice Apply {'f:data':{'f:k':{},'f:l':{}}}|"
                                    "bob Apply {'f:data':{'f:l':{},'f:m':{}}}"));
    v = apply(&f, "alice", v, "{'metadata':{'name':'a'}}", &why);
    EXPECT_STR(text_of(&f, json_get(v, "data")), Q(f, "{'l':'1','m':'2'}"));
    EXPECT_STR(json_path_str(v, "metadata.name"), "a");
    EXPECT_STR(managers(&f, v), Q(f, "bob Apply {'f:data':{'f:l':{},'f:m':{}}}"));
    arena_free(f.a);
}

TEST(conflicts)
{
    struct fixture f = fixture_new(kind_config_map());
    const char *why;
    struct json *v = update(&f, "m", "{'metadata':{'name':'a'},'data':{'k':'v','l':'1'}}", NULL);

    EXPECT(!apply(&f, "alice", v, "{'data':{'k':'w'}}", &why));
    EXPECT_STR(why, "Apply failed with 1 conflict: conflict with \"m\" using v1: .data.k");
    EXPECT(!apply(&f, "alice", v, "{'data':{'k':'w','l':'2'}}", &why));
    EXPECT_STR(why, "Apply failed with 2 conflicts: conflicts with \"m\" using v1:\n- .data.k\n"
                    "- .data.l");
    EXPECT(apply(&f, "alice", v, "{'data':{'k':'v'}}", &why));
    json_del(json_get(v, "metadata"), "managedFields");
    EXPECT(!apply(&f, "alice", v, "{'data':{'k':'w'}}", &why));
    EXPECT_STR(why, "Apply failed with 1 conflict: conflict with \"before-first-apply\" using v1: "
                    ".data.k");
    arena_free(f.a);
}

/* kubectl takes over what its own annotation says that it had set. */
TEST(from_client_side_apply)
{
    struct fixture f = fixture_new(kind_config_map());
    const char *why;
    struct json *v = update(&f, "kubectl-client-side-apply", "{'metadata':{'name':'a',"
                            "'annotations':{'kubectl.kubernetes.io/last-applied-configuration':"
                            "''}},"
                            "'data':{'k':'v','l':'1'}}", NULL);

    json_set_str(f.a, json_path(v, "metadata.annotations"),
                 "kubectl.kubernetes.io/last-applied-configuration",
                 Q(f, "{'apiVersion':'v1','kind':'ConfigMap','data':{'k':'v'}}"));
    EXPECT(!apply(&f, "other", v, "{'data':{'k':'w'}}", &why));
    EXPECT(!apply(&f, "kubectl", v, "{'data':{'l':'2'}}", &why));
    v = apply(&f, "kubectl", v, "{'data':{'k':'w'}}", &why);
    EXPECT(v);
    EXPECT_STR(json_get_str(json_path(v, "metadata.annotations"),
                            "kubectl.kubernetes.io/last-applied-configuration"),
               Q(f, "{'apiVersion':'v1','data':{'k':'w'},'kind':'ConfigMap'}\n"));
    arena_free(f.a);
}

static const char *names_of(const struct fixture *f, const struct json *list)
{
    _cleanup_buf_ struct buf b = BUF_INIT;
    struct json *v;

    buf_str(&b, "");
    json_each(v, list)
        buf_fmt(&b, "%s%s", v_i ? " " : "", json_get_str(v, "name"));
    return arena_strdup(f->a, b.p);
}

/* Items merge by their keys; the config's order rules among those that it names. */
TEST(lists_by_key)
{
    struct fixture f = fixture_new(kind_pod());
    const char *why;
    struct json *v = apply(&f, "alice", NULL, "{'metadata':{'name':'p'},'spec':{'containers':[{"
                           "'name':'a','image':'1'},{'name':'b','image':'1'},{'name':'c'}]}}",
                           &why);

    v = apply(&f, "bob", v, "{'spec':{'containers':[{'name':'c','image':'2'},{'name':'x'},"
                            "{'name':'a','tty':true}]}}", &why);
    EXPECT_STR(names_of(&f, json_path(v, "spec.containers")), "b c x a");
    EXPECT_STR(json_get_str(json_at(json_path(v, "spec.containers"), 3), "image"), "1");
    v = apply(&f, "bob", v, "{'metadata':{'name':'p'}}", &why);
    EXPECT_STR(names_of(&f, json_path(v, "spec.containers")), "b c a");
    EXPECT(!json_get(json_at(json_path(v, "spec.containers"), 2), "tty"));
    arena_free(f.a);
}

TEST(what_does_not_fit)
{
    static const struct { const char *config, *why; } cases[] = {
        { "{'nosuch':1}", ".nosuch: field not declared in schema" },
        { "{'spec':{'replicas':'three'}}",
          ".spec.replicas: expected numeric (int or float), got string" },
        { "{'spec':{'template':[]}}", ".spec.template: expected map, got &{[]}" },
        { "{'spec':{'template':{'spec':{'containers':[{'name':'c'},{'name':'c'}]}}}}",
          ".spec.template.spec.containers: duplicate entries for key [name='c']" },
        { "{'spec':{'paused':1,'replicas':true}}",
          "errors:\n  .spec.paused: expected boolean, got &{1}\n  .spec.replicas: expected numeric "
          "(int or float), got bool" },
    };
    struct fixture f = fixture_new(kind_deployment());
    const char *why;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        EXPECT(!apply(&f, "m", NULL, cases[i].config, &why));
        EXPECT_STR(why, Q(f, cases[i].why));
    }
    arena_free(f.a);
}

TEST(names_of_agents)
{
    struct arena *a = arena_new(0);

    EXPECT_STR(apply_manager_of(a, "kubectl/v1.36 (linux)"), "kubectl");
    EXPECT_STR(apply_manager_of(a, ""), "unknown");
    EXPECT_STR(apply_manager_of(a, NULL), "unknown");
    EXPECT_EQ(strlen(apply_manager_of(a, arena_printf(a, "%0200d", 7))), 128);
    arena_free(a);
}

/* Many updaters: the oldest become one entry. */
TEST(many_managers)
{
    struct fixture f = fixture_new(kind_config_map());
    struct json *v = NULL;

    for (int i = 0; i < 15; i++) {
        _cleanup_buf_ struct buf b = BUF_INIT;

        for (int k = 0; k <= i; k++)
            buf_fmt(&b, "%s'k%02d':''", k ? "," : "", k);
        v = update(&f, arena_printf(f.a, "m%02d", i),
                   arena_printf(f.a, "{'metadata':{'name':'a'},'data':{%s}}", b.p), v);
    }
    EXPECT_EQ(json_len(json_path(v, "metadata.managedFields")), APPLY_MANAGERS_MAX);
    EXPECT(strstr(managers(&f, v), "ancient-changes Update"));
    EXPECT(strstr(managers(&f, v), "m14 Update"));
    EXPECT(!strstr(managers(&f, v), "m01 Update"));
    arena_free(f.a);
}
