#include "core/object/schema_doc.h"

#include "core/object/kind.h"
#include "tests/harness/test.h"

static const char *doc(const char *type, const char *field)
{
    const struct schema_type *t = schema_type_by_id(type);

    return schema_doc(t, field ? schema_field(t, field, strlen(field)) : NULL);
}

TEST(lines)
{
    EXPECT(strstr(doc("core.v1.Pod", NULL), "Containers"));
    EXPECT(strstr(doc("core.v1.PodSpec", "nodeName"), "node"));
    EXPECT(strstr(doc("core.v1.Probe", "httpGet"), "HTTP"));      /* of an embedded type */
    EXPECT(strstr(doc("apps.v1.Deployment", "kind"), "kind"));
    EXPECT(!doc("core.v1.PodSpec", NULL) || *doc("core.v1.PodSpec", NULL));
    EXPECT(!doc("admission.v1.AdmissionReview", NULL));
}

/* Looked up by halves: the keys must stand in order. */
TEST(order)
{
    EXPECT(schema_doc_len > 300);
    for (unsigned i = 1; i < schema_doc_len; i++)
        EXPECT(strcmp(schema_doc_pool + schema_doc_at[i - 1], schema_doc_pool + schema_doc_at[i]) < 0);
}

/* Each kind that is served says what it is, and what its spec is. */
TEST(every_kind)
{
    for (unsigned i = 0; i < kind_count(); i++) {
        const struct kind *k = kind_by_id(i);

        if (k->served && k->storage == k && !schema_doc(k->type, NULL))
            test_fail(__FILE__, __LINE__, "%s: no line in docs.txt", schema_type_id(k->type));
    }
}
