/* api_openapi.c: the schema as OpenAPI; not published yet, which clients take for "no schema, no checks". */
#include "core/api/api_call.h"

int api_openapi(struct api_call *c)
{
    struct status *s = status_new(c->a, 404, "NotFound",
                                  "the server could not find the requested resource");

    s->kind = "";
    return api_fail(c, s);
}
