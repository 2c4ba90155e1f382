/* bench_object.c: what a write costs before it reaches the store: decode, default, note the
 * manager, prepare, validate, encode; against yyjson parsing and writing the same text, which does
 * no more than that. */
#include <yyjson.h>

#include "core/base/env.h"
#include "core/object/apply.h"
#include "core/object/codec.h"
#include "core/object/object.h"
#include "core/object/rules.h"
#include "tests/bench/bench.h"

#define ROUNDS 60
#define ROUND_S 0.01

static const char pod_text[] =
    "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"generateName\":\"web-6d4b75cb6d-\",\"name\":"
    "\"web-6d4b75cb6d-x2x8k\",\"namespace\":\"default\",\"uid\":\"6c6b1b0e-6d0c-4b5f-9d5f-0a1b2c3d4e5f\","
    "\"creationTimestamp\":\"2026-01-01T00:00:00Z\",\"labels\":{\"app\":\"web\",\"pod-template-hash\":"
    "\"6d4b75cb6d\",\"tier\":\"front\"},\"annotations\":{\"example.com/team\":\"shop\"},\"ownerReferences\":[{"
    "\"apiVersion\":\"apps/v1\",\"kind\":\"ReplicaSet\",\"name\":\"web-6d4b75cb6d\",\"uid\":"
    "\"11111111-2222-3333-4444-555555555555\",\"controller\":true,\"blockOwnerDeletion\":true}]},\"spec\":{"
    "\"volumes\":[{\"name\":\"config\",\"configMap\":{\"name\":\"web-config\"}},{\"name\":\"kube-api-access\","
    "\"projected\":{\"sources\":[{\"serviceAccountToken\":{\"expirationSeconds\":3607,\"path\":\"token\"}},{"
    "\"configMap\":{\"name\":\"kube-root-ca.crt\",\"items\":[{\"key\":\"ca.crt\",\"path\":\"ca.crt\"}]}},{"
    "\"downwardAPI\":{\"items\":[{\"path\":\"namespace\",\"fieldRef\":{\"apiVersion\":\"v1\",\"fieldPath\":"
    "\"metadata.namespace\"}}]}}],\"defaultMode\":420}}],\"containers\":[{\"name\":\"nginx\",\"image\":"
    "\"nginx:1.20.1\",\"ports\":[{\"name\":\"http\",\"containerPort\":80}],\"env\":[{\"name\":\"MODE\",\"value\":"
    "\"production\"},{\"name\":\"POD_IP\",\"valueFrom\":{\"fieldRef\":{\"fieldPath\":\"status.podIP\"}}}],"
    "\"resources\":{\"requests\":{\"cpu\":\"100m\",\"memory\":\"64Mi\"},\"limits\":{\"memory\":\"128Mi\"}},"
    "\"readinessProbe\":{\"httpGet\":{\"path\":\"/healthz\",\"port\":\"http\"},\"periodSeconds\":5},"
    "\"volumeMounts\":[{\"name\":\"config\",\"mountPath\":\"/etc/web\"},{\"name\":\"kube-api-access\","
    "\"mountPath\":\"/var/run/secrets/kubernetes.io/serviceaccount\",\"readOnly\":true}]},{\"name\":\"app\","
    "\"image\":\"app:0.3.2\",\"args\":[\"--port\",\"8080\"],\"resources\":{\"requests\":{\"cpu\":\"200m\","
    "\"memory\":\"128Mi\"}}}],\"serviceAccountName\":\"default\",\"nodeSelector\":{\"kubernetes.io/os\":\"linux\"},"
    "\"tolerations\":[{\"key\":\"node.kubernetes.io/not-ready\",\"operator\":\"Exists\",\"effect\":\"NoExecute\","
    "\"tolerationSeconds\":300}],\"priority\":0}}";

static const char deployment_text[] =
    "{\"apiVersion\":\"apps/v1\",\"kind\":\"Deployment\",\"metadata\":{\"name\":\"web\",\"namespace\":\"default\","
    "\"labels\":{\"app\":\"web\"}},\"spec\":{\"replicas\":10,\"selector\":{\"matchLabels\":{\"app\":\"web\"}},"
    "\"strategy\":{\"type\":\"RollingUpdate\",\"rollingUpdate\":{\"maxSurge\":\"25%\",\"maxUnavailable\":0}},"
    "\"template\":{\"metadata\":{\"labels\":{\"app\":\"web\"}},\"spec\":{\"containers\":[{\"name\":\"nginx\","
    "\"image\":\"nginx:1.20.1\",\"ports\":[{\"containerPort\":80}],\"livenessProbe\":{\"httpGet\":{\"path\":\"/\","
    "\"port\":80}},\"resources\":{\"limits\":{\"cpu\":\"500m\",\"memory\":\"256Mi\"}},\"volumeMounts\":[{\"name\":"
    "\"cache\",\"mountPath\":\"/var/cache\"}]}],\"volumes\":[{\"name\":\"cache\",\"emptyDir\":{}}]}}}}";

enum part { PARSE, DECODE, DEFAULT, TRACK, VALIDATE, ENCODE, PART_MAX };

struct work { const struct kind *kind; const char *text; size_t len; struct arena *a; enum part until; };

static void fail(const struct err *err) { bench_fail("object", err->msg); }

/* All parts up to and with work->until. */
static void write_once(struct work *w)
{
    struct rules_ctx ctx = { .a = w->a, .env = env_real(), .ns = "default", .subresource = "" };
    struct causes causes = { .a = w->a };
    struct codec_notes notes = { .a = w->a };
    struct json *raw, *tree;
    struct err err = ERR_INIT;

    if (codec_parse(&raw, w->a, MEDIA_JSON, (struct slice){ w->text, w->len }, &notes, &err) < 0)
        fail(&err);
    if (w->until >= DECODE && codec_canonical(&tree, w->a, w->kind->type, raw, &notes, &err) < 0)
        fail(&err);
    if (w->until >= DEFAULT)
        codec_default(tree, w->a, w->kind);
    if (w->until >= TRACK)
        apply_update(&(struct apply_ctx){ .a = w->a, .env = env_real(), .kind = w->kind,
                                          .manager = "bench", .subresource = "" }, tree, NULL);
    if (w->until >= VALIDATE) {
        rules_prepare_create(tree, w->kind, &ctx);
        rules_validate_create(&causes, tree, w->kind, &ctx);
        if (causes.len)
            bench_fail(causes.v[0].field, causes.v[0].message);
    }
    if (w->until >= ENCODE) {
        struct object *o;

        if (object_from_tree(&o, w->kind, tree, 1, &err) < 0)
            fail(&err);
        object_unref(o);
    }
    arena_reset(w->a);
}

static void plain_once(struct work *w)
{
    yyjson_doc *doc = yyjson_read(w->text, w->len, 0);
    char *text = yyjson_write(doc, 0, NULL);

    free(text);
    yyjson_doc_free(doc);
}

static double cpu_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Seconds of one call on a CPU, in the best round: others share this machine. */
static double timed(struct work *w, void (*once)(struct work *))
{
    double best = 0;

    for (unsigned i = 0; i < ROUNDS; i++) {
        double began = cpu_s(), passed;
        unsigned n = 0;

        do {
            for (unsigned k = 0; k < 64; k++)
                once(w);
            n += 64;
            passed = cpu_s() - began;
        } while (passed < ROUND_S);
        if (i == 0 || passed / n < best)
            best = passed / n;
    }
    return best;
}

static const char *rate(char out[64], size_t bytes, double s)
{
    snprintf(out, 64, "%.0f/s %.0f MB/s", 1 / s, (double)bytes / s / 1e6);
    return out;
}

static void measure(const char *what, const struct kind *kind, const char *text)
{
    static const char *const names[PART_MAX] = {
        [PARSE] = "parse", [DECODE] = "decode", [DEFAULT] = "default", [TRACK] = "managers", [VALIDATE] = "validate",
        [ENCODE] = "encode",
    };
    struct work w = { .kind = kind, .text = text, .len = strlen(text), .a = arena_new(0) };
    double plain = timed(&w, plain_once), before = 0, ours = 0;
    char row[96], mine[64], peer[64];

    for (w.until = PARSE; w.until < PART_MAX; w.until++) {
        ours = timed(&w, write_once);
        printf("%s %s: %.1f us\n", what, names[w.until], (ours - before) * 1e6);
        before = ours;
    }
    snprintf(row, sizeof(row), "write %s of %zu bytes up to the store, plain parse and write", what, w.len);
    bench_row(row, rate(mine, w.len, ours), rate(peer, w.len, plain), plain / ours);
    arena_free(w.a);
}

int main(void)
{
    measure("Pod", kind_pod(), pod_text);
    measure("Deployment", kind_deployment(), deployment_text);
    return 0;
}
