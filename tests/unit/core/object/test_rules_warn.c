#include "core/object/codec.h"
#include "core/object/rules.h"
#include "tests/harness/test.h"
#include "tests/unit/core/object/quotes.h"

/* The warnings of creating an object, or of updating `old` to it; "a|b". */
static const char *warnings(struct arena *a, const struct kind *kind, const char *text,
                            const char *before)
{
    struct codec_notes notes = { .a = a };
    struct rules_ctx ctx = { .a = a, .env = env_real(), .ns = "ns", .subresource = "",
                             .warnings = &notes };
    struct causes causes = { .a = a };
    struct json *raw = NULL, *trees[2] = { NULL, NULL };
    const char *texts[2] = { text, before };
    _cleanup_buf_ struct buf b = BUF_INIT;
    struct err err = ERR_INIT;

    for (unsigned i = 0; i < 2 && texts[i]; i++) {
        EXPECT_OK(codec_parse(&raw, a, MEDIA_JSON, slice_of(quotes(a, texts[i])), NULL, &err),
                  &err);
        EXPECT_OK(codec_canonical(&trees[i], a, kind->type, raw, NULL, &err), &err);
        codec_default(trees[i], a, kind);
        rules_prepare_create(trees[i], kind, &ctx);
    }
    if (before) {
        rules_prepare_update(trees[0], trees[1], kind, &ctx);
        rules_validate_update(&causes, trees[0], trees[1], kind, &ctx);
    } else {
        rules_validate_create(&causes, trees[0], kind, &ctx);
    }
    for (unsigned i = 0; i < causes.len; i++)
        buf_fmt(&b, "REFUSED %s: %s", causes.v[i].field, causes.v[i].message);
    for (unsigned i = 0; i < notes.len; i++)
        buf_fmt(&b, "%s%s", i ? "|" : "", notes.v[i]);
    return arena_strdup(a, b.p ? b.p : "");
}

static const char *pod_warnings(struct arena *a, const char *name, const char *spec)
{
    return warnings(a, kind_pod(),
                    arena_printf(a, "{'metadata':{'name':'%s','namespace':'ns'},"
                                                "'spec':{%s}}", name, spec), NULL);
}

TEST(pods)
{
    struct arena *a = arena_new(0);

    EXPECT_STR(pod_warnings(a, "p", "'containers':[{'name':'c','image':'i'}]"), "");
    EXPECT_STR(pod_warnings(a, "p",
                            "'containers':[{'name':'c','image':'i','env':[{'name':'A',"
                            "'value':'1'},{'name':'A','value':'$(A)2'},{'name':'A',"
                            "'value':'3'}]}]"),
               "spec.containers[0].env[2]: hides previous definition of \"A\", which may be "
               "dropped when using "
               "apply");
    EXPECT_STR(pod_warnings(a, "p",
                            "'nodeSelector':{'beta.kubernetes.io/os':'linux'},'containers':[{"
                            "'name':'c','image':'i','resources':{'limits':{'memory':'1500m'}}}]"),
               "spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use "
               "\"kubernetes.io/os\" "
               "instead|spec.containers[0].resources.limits[memory]: fractional byte value "
               "\"1500m\" is "
               "invalid, must be an integer|spec.containers[0].resources.requests[memory]: "
               "fractional byte "
               "value \"1500m\" is invalid, must be an integer");
    EXPECT_STR(pod_warnings(a, "p",
                            "'containers':[{'name':'c','image':'i','ports':[{'name':'w',"
                            "'containerPort':80}]},{'name':'d','image':'i','ports':[{'name':'w',"
                            "'containerPort':80}]}]"),
               "spec.containers[1].ports[0]: duplicate port definition with "
               "spec.containers[0].ports[0]|"
               "spec.containers[1].ports[0]: duplicate port name \"w\" with "
               "spec.containers[0].ports[0], "
               "services and probes that select ports by name will use "
               "spec.containers[0].ports[0]");
    EXPECT(strstr(pod_warnings(a, "a.b", "'containers':[{'name':'c','image':'i'}]"),
                  "metadata.name: this is used in the Pod's hostname, which can result in "
                  "surprising behavior; "
                  "a DNS label is recommended: [must not contain dots]"));
    arena_free(a);
}

/* A template's warnings come with each new generation, and only then. */
TEST(templates)
{
    static const char text[] =
        "{'metadata':{'name':'d','namespace':'ns','labels':{'x':'%s'}},"
        "'spec':{'replicas':%d,'selector':{'matchLabels':{'a':'b'}},'template':{'metadata':{"
        "'labels':{'a':'b'}},'spec':{'hostAliases':[{'ip':'1.1.1.1'},{'ip':'1.1.1.1'}],"
        "'containers':[{'name':'c','image':'i'}]}}}}";
    static const char want[] = "spec.template.spec.hostAliases[1].ip: duplicate ip \"1.1.1.1\"";
    struct arena *a = arena_new(0);
    const char *one = arena_printf(a, text, "1", 1);

    EXPECT_STR(warnings(a, kind_deployment(), one, NULL), want);
    EXPECT_STR(warnings(a, kind_deployment(), arena_printf(a, text, "2", 1), one), "");
    EXPECT_STR(warnings(a, kind_deployment(), arena_printf(a, text, "1", 2), one), want);
    arena_free(a);
}

TEST(others)
{
    static const char service[] =
        "{'metadata':{'name':'s','namespace':'ns'},'spec':{'clusterIP':"
        "'None','sessionAffinity':'ClientIP','externalName':'e','trafficDistribution':"
        "'PreferClose','ports':[{'port':80}]}}";
    static const char slice[] =
        "{'metadata':{'name':'s','namespace':'ns'},'addressType':'FQDN',"
        "'endpoints':[]}";
    static const char account[] =
        "{'metadata':{'name':'s','namespace':'ns','annotations':{"
        "'kubernetes.io/enforce-mountable-secrets':'true'}}}";
    struct arena *a = arena_new(0);

    EXPECT_STR(warnings(a, kind_service(), service, NULL),
               "spec.SessionAffinity is ignored for headless services|spec.externalName is "
               "ignored when "
               "spec.type is not \"ExternalName\"|spec.trafficDistribution: \"PreferClose\" is "
               "deprecated; use "
               "\"PreferSameZone\"");
    EXPECT_STR(warnings(a, kind_endpoint_slice(), slice, NULL),
               "spec.addressType: FQDN endpoints are deprecated");
    EXPECT_STR(warnings(a, kind_service_account(), account, NULL),
               "metadata.annotations[kubernetes.io/enforce-mountable-secrets]: deprecated in "
               "v1.32+; prefer "
               "separate namespaces to isolate access to mounted secrets");
    EXPECT_STR(warnings(a, kind_service_account(), account, account), "");
    arena_free(a);
}
