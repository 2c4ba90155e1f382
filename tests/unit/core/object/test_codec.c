#include "core/object/codec.h"

#include "core/object/schema.h"
#include "tests/harness/test.h"
#include "tests/unit/core/object/quotes.h"

struct run { char text[8192]; char notes[2048]; struct err err; int r; };

/* JSON text through parse and canonical form; the notes joined by "; ". */
static void run(struct run *out, const char *type_id, const char *text)
{
    struct arena *a = arena_new(0);
    struct codec_notes notes = { .a = a };
    struct json *raw, *tree;
    struct buf b = BUF_INIT;

    *out = (struct run){ .err = ERR_INIT };
    out->r = codec_parse(&raw, a, MEDIA_JSON, slice_of(quotes(a, text)), &notes, &out->err);
    if (out->r == 0)
        out->r = codec_canonical(&tree, a, codec_type(type_id), raw, &notes, &out->err);
    if (out->r == 0) {
        json_write(&b, tree);
        snprintf(out->text, sizeof(out->text), "%s", b.p);
    }
    for (unsigned i = 0; i < notes.len; i++)
        snprintf(out->notes + strlen(out->notes), sizeof(out->notes) - strlen(out->notes), "%s%s",
                 i ? "; " : "", notes.v[i]);
    buf_deinit(&b);
    arena_free(a);
}

static void gives(const char *type_id, const char *text, const char *want)
{
    struct arena *a = arena_new(0);
    struct run r;

    run(&r, type_id, text);
    EXPECT_OK(r.r, &r.err);
    EXPECT_STR(r.text, quotes(a, want));
    EXPECT_STR(r.notes, "");
    run(&r, type_id, want);                              /* canonical stays as it is */
    EXPECT_OK(r.r, &r.err);
    EXPECT_STR(r.text, quotes(a, want));
    arena_free(a);
}

static void fails(const char *type_id, const char *text, const char *message)
{
    struct run r;

    run(&r, type_id, text);
    EXPECT_EQ(r.r, -1);
    EXPECT_EQ(r.err.code, ERR_INVALID);
    EXPECT_STR(r.err.msg, message);
}

static void notes(const char *type_id, const char *text, const char *want)
{
    struct run r;

    run(&r, type_id, text);
    EXPECT_OK(r.r, &r.err);
    EXPECT_STR(r.notes, want);
}

TEST(order_of_fields)
{
    gives("core.v1.ConfigMap",
          "{'data':{'b':'2','a':'1','ab':'3'},'metadata':{'labels':{'z':''},'name':'n'},"
          "'kind':'ConfigMap','apiVersion':'v1'}",
          "{'kind':'ConfigMap','apiVersion':'v1','metadata':{'name':'n','labels':{'z':''}},"
          "'data':{'a':'1','ab':'3','b':'2'}}");
}

TEST(empty_and_null)
{
    /* omitempty drops zero values, but never a struct; fields without it are always there */
    gives("core.v1.Pod", "{'metadata':{'creationTimestamp':null},'spec':{'hostNetwork':false,"
          "'containers':"
                         "[{'name':'a','command':[],'args':null,'stdin':false}],'hostname':''}}",
          "{'metadata':{},'spec':{'containers':[{'name':'a','resources':{}}]},'status':{}}");
    gives("core.v1.Pod", "{}", "{'metadata':{},'spec':{'containers':null},'status':{}}");
    gives("core.v1.Pod", "null", "{'metadata':{},'spec':{'containers':null},'status':{}}");
    gives("rbac.v1.Role", "{'rules':[]}", "{'metadata':{},'rules':null}");
    gives("core.v1.PodList", "{}", "{'metadata':{},'items':[]}");
    gives("core.v1.PodCondition", "{'type':'Ready','status':'True'}",
          "{'type':'Ready','status':'True','lastProbeTime':null,'lastTransitionTime':null}");
    /* pointers keep zero values */
    gives("core.v1.PodSpec", "{'containers':[],'terminationGracePeriodSeconds':0,'securityCont"
          "ext':{},"
                             "'automountServiceAccountToken':false}",
          "{'containers':null,'terminationGracePeriodSeconds':0,'automountServiceAccountTo"
              "ken':false,"
          "'securityContext':{}}");
    gives("core.v1.ConfigMap", "{'metadata':{'labels':{'a':null}},'immutable':false}",
          "{'metadata':{'labels':{'a':''}},'immutable':false}");
    gives("core.v1.Event", "{}",
          "{'metadata':{},'involvedObject':{},'source':{},'firstTimestamp':null,'lastTimestam"
              "p':null,"
          "'eventTime':null,'reportingComponent':'','reportingInstance':''}");
}

TEST(scalars)
{
    gives("core.v1.ResourceRequirements",
          "{'limits':{'memory':'1024Mi','cpu':'1000m'},'requests':{'cpu':0.5,'memory':10}}",
          "{'limits':{'cpu':'1','memory':'1Gi'},'requests':{'cpu':'500m','memory':'10'}}");
    gives("core.v1.ServicePort", "{'port':80,'targetPort':'http'}", "{'port':80,'targetPort':"
          "'http'}");
    gives("core.v1.ServicePort", "{'port':80}", "{'port':80,'targetPort':0}");
    gives("core.v1.Secret", "{'data':{'a':'','b':'aGk=','c':null}}",
          "{'metadata':{},'data':{'a':'','b':'aGk=','c':''}}");
    gives("meta.v1.ObjectMeta", "{'creationTimestamp':'2026-11-24T18:30:15.9+01:30'}",
          "{'creationTimestamp':'2026-11-24T17:00:15Z'}");
    gives("coordination.v1.LeaseSpec", "{'renewTime':'2026-11-24T17:00:15.123456Z'}",
          "{'renewTime':'2026-11-24T17:00:15.123456Z'}");
    gives("apiextensions.v1.JSONSchemaProps", "{'default':null,'maximum':1.5,'minimum':2,"
          "'enum':[null]}",
          "{'maximum':1.5,'minimum':2,'enum':[null]}");
    gives("apps.v1.ControllerRevision", "{'data':{'z':1,'a':[null,{}]},'revision':1}",
          "{'metadata':{},'data':{'z':1,'a':[null,{}]},'revision':1}");
}

TEST(type_errors)
{
    fails("core.v1.Pod", "[]", "json: cannot unmarshal array into Go value of type v1.Pod");
    fails("core.v1.ConfigMap", "{'data':{'a':true}}",
          "json: cannot unmarshal bool into Go struct field ConfigMap.data of type string");
    fails("core.v1.ConfigMap", "{'metadata':[]}",
          "json: cannot unmarshal array into Go struct field ConfigMap.metadata of type v1."
              "ObjectMeta");
    fails("core.v1.ConfigMap", "{'metadata':{'annotations':[]}}",
          "json: cannot unmarshal array into Go struct field ObjectMeta.metadata.annotations of "
              "type "
          "map[string]string");
    fails("apps.v1.StatefulSet", "{'spec':{'template':{'spec':{'containers':{}}}}}",
          "json: cannot unmarshal object into Go struct field PodSpec.spec.template.spec."
              "containers of type "
          "[]v1.Container");
    fails("apps.v1.StatefulSet", "{'spec':{'template':{'spec':{'containers':[{'volumeMounts':[[]]"
          "}]}}}}",
          "json: cannot unmarshal array into Go struct field Container.spec.template.spec."
              "containers.volumeMounts "
          "of type v1.VolumeMount");
    fails("apps.v1.StatefulSet", "{'spec':{'template':{'spec':{'volumes':[{'emptyDir':[]}]}}}}",
          "json: cannot unmarshal array into Go struct field Volume.spec.template.spec.volumes."
              "VolumeSource."
          "emptyDir of type v1.EmptyDirVolumeSource");
    fails("admissionregistration.v1.ValidatingAdmissionPolicy",
          "{'spec':{'matchConstraints':{'resourceRules':[{'apiGroups':{}}]}}}",
          "json: cannot unmarshal object into Go struct field NamedRuleWithOperations.spec."
              "matchConstraints."
          "resourceRules.RuleWithOperations.Rule.apiGroups of type []string");
    fails("core.v1.Namespace", "{'spec':{'finalizers':[1]}}",
          "json: cannot unmarshal number into Go struct field NamespaceSpec.spec.finalizers of "
              "type "
          "v1.FinalizerName");
    fails("rbac.v1.RoleBinding", "{'subjects':[[]]}",
          "json: cannot unmarshal array into Go struct field RoleBinding.subjects of type v1."
              "Subject");
    fails("core.v1.Container", "{'resources':{'limits':[]}}",
          "json: cannot unmarshal array into Go struct field ResourceRequirements.resources."
              "limits of type "
          "v1.ResourceList");
    fails("core.v1.Pod", "{'spec':{'affinity':{'podAffinity':{'requiredDuringSchedulingIgnoredDur"
          "ingExecution"
                         "':[{'labelSelector':[]}]}}}}",
          "json: cannot unmarshal array into Go struct field PodAffinityTerm.spec.affinity."
              "podAffinity."
          "requiredDuringSchedulingIgnoredDuringExecution.labelSelector of type v1.LabelSelector");
}

TEST(number_errors)
{
    fails("scheduling.v1.PriorityClass", "{'value':99999999999}",
          "json: cannot unmarshal number 99999999999 into Go struct field PriorityClass.value of "
              "type int32");
    fails("core.v1.ConfigMap", "{'metadata':{'generation':1.0}}",
          "json: cannot unmarshal number 1.0 into Go struct field ObjectMeta.metadata.generation "
              "of type int64");
    fails("core.v1.ServicePort", "{'targetPort':true}",
          "json: cannot unmarshal bool into Go struct field ServicePort.targetPort of type int32");
}

TEST(scalar_errors)
{
    fails("core.v1.Secret", "{'data':{'a':'!'}}", "illegal base64 data at input byte 0");
    fails("core.v1.Secret", "{'data':{'a':1}}",
          "json: cannot unmarshal number into Go struct field Secret.data of type []uint8");
    fails("core.v1.ConfigMap", "{'metadata':{'creationTimestamp':'yesterday'}}",
          "parsing time \"yesterday\" as \"2006-01-02T15:04:05Z07:00\": cannot parse "
              "\"yesterday\" as \"2006\"");
    fails("core.v1.ConfigMap", "{'metadata':{'creationTimestamp':''}}",
          "parsing time \"\" as \"2006-01-02T15:04:05Z07:00\": cannot parse \"\" as \"2006\"");
    fails("core.v1.ConfigMap", "{'metadata':{'creationTimestamp':'2026-13-01T00:00:00Z'}}",
          "parsing time \"2026-13-01T00:00:00Z\": month out of range");
    fails("core.v1.ConfigMap", "{'metadata':{'creationTimestamp':'2026-02-29T00:00:00Z'}}",
          "parsing time \"2026-02-29T00:00:00Z\": day out of range");
    fails("coordination.v1.Lease", "{'spec':{'acquireTime':1}}",
          "json: cannot unmarshal number into Go struct field LeaseSpec.spec.acquireTime of type "
              "string");
    fails("coordination.v1.Lease", "{'spec':{'acquireTime':'2020-01-01T00:00:00.5Z'}}",
          "parsing time \"2020-01-01T00:00:00.5Z\" as \"2006-01-02T15:04:05.000000Z07:00\": "
              "cannot parse "
          "\".5Z\" as \".000000\"");
    fails("coordination.v1.Lease", "{'spec':{'acquireTime':'2020-01-01T00:00:00.123456789Z'}}",
          "parsing time \"2020-01-01T00:00:00.123456789Z\" as \"2006-01-02T15:04:05."
              "000000Z07:00\": cannot parse "
          "\"789Z\" as \"Z07:00\"");
    fails("core.v1.ResourceRequirements", "{'limits':{'cpu':'abc'}}",
          "quantities must match the regular expression "
          "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'");
}

TEST(unknown_and_duplicate)
{
    notes("core.v1.ConfigMap", "{'metadata':{'name':'a','nosuchMeta':{'a':'b'}},'nosuchRoot':1}",
          "unknown field \"metadata.nosuchMeta\"; unknown field \"nosuchRoot\"");
    notes("core.v1.Service", "{'spec':{'ports':[{'port':80,'x':1}],'nosuchSpec':[1]},"
          "'Metadata':{}}",
          "unknown field \"spec.ports[0].x\"; unknown field \"spec.nosuchSpec\"; unknown field "
              "\"Metadata\"");
    notes("apps.v1.Deployment", "{'spec':{'replicas':1,'replicas':2}}",
          "duplicate field \"spec.replicas\"");
    notes("apps.v1.Deployment",
          "{'spec':{'template':{'spec':{'containers':[{'name':'c','name':'d'}]}}}}",
          "duplicate field \"spec.template.spec.containers[0].name\"");
    notes("apps.v1.Deployment", "{'spec':{},'spec':{}}", "duplicate field \"spec\"");
    notes("resource.v1.Device", "{'attributes':{'k':{'x':1}}}", "unknown field \"attributes.k.x\"");
}

TEST(notes_are_limited)
{
    struct arena *a = arena_new(0);
    struct codec_notes n = { .a = a };

    for (int i = 0; i <= CODEC_NOTES_MAX; i++)
        codec_note(&n, "%d", i);
    EXPECT_EQ(n.len, CODEC_NOTES_MAX);
    EXPECT_STR(n.v[CODEC_NOTES_MAX - 1], "99");
    arena_free(a);
}

TEST(notes_as_one_text)
{
    struct arena *a = arena_new(0);
    struct codec_notes n = { .a = a };

    EXPECT_STR(codec_notes_text(&n), "");
    codec_note(&n, "line 1: key \"a\" already set in map");
    codec_note(&n, "line 2: key \"b\" already set in map");
    codec_note(&n, "unknown field \"x\"");
    codec_note(&n, "unknown field \"y\"");
    EXPECT_STR(codec_notes_text(&n),
               "yaml: unmarshal errors:\n  line 1: key \"a\" already set in map\n"
               "  line 2: key \"b\" already set in map, unknown field \"x\", unknown field \"y\"");
    arena_free(a);
}

TEST(depth_is_limited)
{
    struct arena *a = arena_new(0);
    struct json *raw = json_object(a), *tree;
    struct err err = ERR_INIT;

    for (int i = 1; i < CODEC_DEPTH_MAX; i++) {
        struct json *outer = json_object(a);

        json_set(a, outer, "not", raw);
        raw = outer;
    }
    EXPECT_OK(codec_canonical(&tree, a, codec_type("apiextensions.v1.JSONSchemaProps"), raw, NULL,
                              &err), &err);
    for (int i = 0; i < 1; i++) {
        struct json *outer = json_object(a);

        json_set(a, outer, "not", raw);
        raw = outer;
    }
    EXPECT_ERR(codec_canonical(&tree, a, codec_type("apiextensions.v1.JSONSchemaProps"), raw, NULL,
                               &err), &err,
               ERR_INVALID);
    arena_free(a);
}

TEST(input_is_left_alone)
{
    struct arena *a = arena_new(0);
    struct json *raw, *tree;
    struct err err = ERR_INIT;
    const char *text = quotes(a, "{'data':{'b':'1','a':'2'},'x':1}");
    struct buf b = BUF_INIT;

    EXPECT_OK(codec_parse(&raw, a, MEDIA_JSON, slice_of(text), NULL, &err), &err);
    EXPECT_OK(codec_canonical(&tree, a, codec_type("core.v1.ConfigMap"), raw, NULL, &err), &err);
    json_write(&b, raw);
    EXPECT_STR(b.p, text);
    buf_deinit(&b);
    arena_free(a);
}

TEST(yaml)
{
    static const char text[] = "kind: Deployment\nspec:\n  replicas: 0\n  replicas: 1\n  x: [1]\n"
                               "metadata: {name: yes-1, labels: {b: \"1\", a: on-x}}\n";
    struct arena *a = arena_new(0);
    struct codec_notes n = { .a = a };
    struct json *raw, *tree;
    struct err err = ERR_INIT;

    EXPECT_OK(codec_parse(&raw, a, MEDIA_YAML, slice_of(text), &n, &err), &err);
    EXPECT_OK(codec_canonical(&tree, a, codec_type("apps.v1.Deployment"), raw, &n, &err), &err);
    EXPECT_EQ(n.len, 2);
    EXPECT_STR(n.v[0], "line 4: key \"replicas\" already set in map");
    EXPECT_STR(n.v[1], "unknown field \"spec.x\"");
    EXPECT_EQ(json_get_int(json_get(tree, "spec"), "replicas", -1), 1);
    EXPECT_STR(json_path_str(tree, "metadata.name"), "yes-1");
    /* sorted, as upstream's way leads over JSON */
    EXPECT_STR(raw->members[0].key, "kind");
    EXPECT_ERR(codec_parse(&raw, a, MEDIA_YAML, slice_of("a:\n\tb: c\n"), &n, &err), &err,
               ERR_INVALID);
    EXPECT_STR(err.msg, "yaml: line 2: found character that cannot start any token");
    EXPECT_ERR(codec_parse(&raw, a, MEDIA_YAML, slice_of("apiVersion: \"v1\nkind: x"), &n, &err),
               &err,
               ERR_INVALID);
    EXPECT_STR(err.msg, "yaml: line 2: found unexpected end of stream");
    arena_free(a);
}

/* --- syntax errors in Go's words */

static void no_json(const char *text, const char *message)
{
    struct arena *a = arena_new(0);
    struct err err = ERR_INIT;
    struct json *raw;

    EXPECT_ERR(codec_parse(&raw, a, MEDIA_JSON, slice_of(text), NULL, &err), &err, ERR_INVALID);
    EXPECT_STR(err.msg, message);
    arena_free(a);
}

TEST(syntax)
{
    no_json("", "unexpected end of JSON input");
    no_json("  ", "unexpected end of JSON input");
    no_json("{", "unexpected end of JSON input");
    no_json("{\"a\"", "unexpected end of JSON input");
    no_json("[1,", "unexpected end of JSON input");
    no_json("\"abc", "unexpected end of JSON input");
    no_json("{} x", "invalid character 'x' after top-level value");
    no_json("{}{}", "invalid character '{' after top-level value");
    no_json("{'a':1}", "invalid character '\\'' looking for beginning of object key string");
    no_json("{\"a\":1,}", "invalid character '}' looking for beginning of object key string");
    no_json("{\"a\" 1}", "invalid character '1' after object key");
    no_json("{\"a\":1 \"b\":2}", "invalid character '\"' after object key:value pair");
    no_json("[1 2]", "invalid character '2' after array element");
    no_json("[1,]", "invalid character ']' looking for beginning of value");
    no_json("[NaN]", "invalid character 'N' looking for beginning of value");
    no_json("apiVersion: v1", "invalid character 'a' looking for beginning of value");
    no_json("\xef\xbb\xbf{}", "invalid character 'ï' looking for beginning of value");
    no_json("[tru]", "invalid character ']' in literal true (expecting 'e')");
    no_json("[-]", "invalid character ']' in numeric literal");
    no_json("[1.]", "invalid character ']' after decimal point in numeric literal");
    no_json("[1e]", "invalid character ']' in exponent of numeric literal");
    no_json("[01]", "invalid character '1' after array element");
    no_json("\"\\x\"", "invalid character 'x' in string escape code");
    no_json("\"\\u12g4\"", "invalid character 'g' in \\u hexadecimal character escape");
    no_json("\"a\nb\"", "invalid character '\\n' in string literal");
    no_json("\"a\x01\"", "invalid character '\\x01' in string literal");
}
