/* core/object/rules_impl.h -- what the rules_*.c files share; no door, for this room only.
 *
 * A path lives on the stack and is written out only when a cause is added:
 *     rules_required(c, RULES_AT(path, "name"), "");
 */
#ifndef CORE_OBJECT_RULES_IMPL_H
#define CORE_OBJECT_RULES_IMPL_H

#include "core/object/rules.h"
#include "core/object/schema.h"

/* A key of an object, an index of a list (name is NULL) or a map key in brackets. */
struct rules_path { const struct rules_path *up; const char *name; size_t index; bool key; };

#define RULES_AT(up_, name_) (&(const struct rules_path){ .up = (up_), .name = (name_) })
#define RULES_IDX(up_, i_) (&(const struct rules_path){ .up = (up_), .index = (i_) })
#define RULES_KEY(up_, key_) \
    (&(const struct rules_path){ .up = (up_), .name = (key_), .key = true })

/* The messages of one format check; more than RULES_MSGS_MAX are never made. */
#define RULES_MSGS_MAX 8
struct rules_msgs { const char *v[RULES_MSGS_MAX]; unsigned n; struct arena *a; };
typedef void rules_format(struct rules_msgs *m, const char *s);

rules_format rules_fmt_label, rules_fmt_subdomain, rules_fmt_dns1035, rules_fmt_qualified,
    rules_fmt_label_value, rules_fmt_config_key, rules_fmt_port_name, rules_fmt_env_name,
    rules_fmt_http_header, rules_fmt_percent, rules_fmt_path_segment, rules_fmt_c_identifier,
    rules_fmt_subdomain_underscore, rules_fmt_wildcard;
void rules_msg(struct rules_msgs *m, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The messages in one text, or NULL when there are none. */
const char *rules_msgs_join(const struct rules_msgs *m, const char *sep);
bool rules_is(rules_format *format, const char *s);
/* How this kind wants to be named. */
rules_format *rules_name_format(const struct kind *kind);
/* Cuts a trailing dash that a generated suffix would follow. */
const char *rules_mask_dash(struct arena *a, const char *s);

/* Go's %q. */
void rules_quote(struct buf *b, const char *s, size_t len);
const char *rules_path_text(struct arena *a, const struct rules_path *p);

/* Adding causes. A detail is plain text; "" for none. */
void rules_required(struct causes *c, const struct rules_path *p, const char *detail);
void rules_forbidden(struct causes *c, const struct rules_path *p, const char *detail);
void rules_invalid(struct causes *c, const struct rules_path *p, const struct json *v,
                   const char *format, ...) __attribute__((format(printf, 4, 5)));
void rules_invalid_s(struct causes *c, const struct rules_path *p, const char *v,
                     const char *detail);
void rules_invalid_i(struct causes *c, const struct rules_path *p, int64_t v, const char *detail);
void rules_unsupported(struct causes *c, const struct rules_path *p, const char *v,
                       const char *const *values);
void rules_duplicate(struct causes *c, const struct rules_path *p, const struct json *v);
void rules_not_found(struct causes *c, const struct rules_path *p, const char *v);
void rules_too_long(struct causes *c, const struct rules_path *p, unsigned max_bytes);
void rules_too_many(struct causes *c, const struct rules_path *p, size_t have, size_t max);

/* Checks that many kinds share. */
void rules_check_format(struct causes *c, const struct rules_path *p, rules_format *f,
                        const char *s);
bool rules_in(const char *s, const char *const *values);
/* A value of an enum: empty is Required when `required`, fine otherwise. */
void rules_check_enum(struct causes *c, const struct rules_path *p, const char *s,
                      const char *const *values, bool required);
void rules_check_nonneg(struct causes *c, const struct rules_path *p, const struct json *obj,
                        const char *field);
/* INVALID "field is immutable" when the two differ. */
void rules_check_immutable(struct causes *c, const struct rules_path *p, const struct json *v,
                           const struct json *old);
void rules_check_labels(struct causes *c, const struct rules_path *p, const struct json *labels);
void rules_check_annotations(struct causes *c, const struct rules_path *p, const struct json *v);
void rules_check_selector(struct causes *c, const struct rules_path *p,
                          const struct json *selector);
/* Adds the messages about an address; legacy fields allow forms that are not canonical. */
void rules_check_ip(struct causes *c, const struct rules_path *p, const char *s, bool legacy);
void rules_check_cidr(struct causes *c, const struct rules_path *p, const char *s);
/* Loopback, link-local and such. */
void rules_check_not_special(struct causes *c, const struct rules_path *p, const char *s);
int rules_ip_family(const char *s);                       /* 4, 6, or 0 when it is no address */
int rules_ip_parse(const char *s, unsigned char out[16]); /* the same, with the bytes */
void rules_check_port(struct causes *c, const struct rules_path *p, int64_t port);
void rules_check_port_ref(struct causes *c, const struct rules_path *p, const struct json *v);
/* A quantity of a resource: >= 0, and whole where the resource is counted. */
void rules_check_amount(struct causes *c, const struct rules_path *p, const char *name,
                        const char *text);
/* "example.com/signer" */
void rules_check_signer(struct causes *c, const struct rules_path *p, const char *s);
/* A number >= 0 or a percentage. */
void rules_check_int_or_string(struct causes *c, const struct rules_path *p, const struct json *v);
void rules_check_finalizer(struct causes *c, const struct rules_path *p, const char *s);
/* Remembers a key in a scratch object; true when it was there already. */
bool rules_seen(struct json *seen, struct arena *a, const char *key);

void rules_meta_create(struct causes *c, const struct json *obj, const struct kind *kind,
                       rules_format *format);
void rules_meta_update(struct causes *c, const struct json *obj, const struct json *old);
void rules_meta_common(struct causes *c, const struct rules_path *meta, const struct json *m);
void rules_meta_finalizers(struct causes *c, const struct json *obj);

/* Changing canonical trees: members go to their place in the schema's order, keys of maps in order.
 */
void rules_put(struct arena *a, struct json *obj, const struct schema_type *type, const char *key,
               struct json *val);
void rules_put_or_del(struct arena *a, struct json *obj, const struct schema_type *type,
                      const char *key, const struct json *val);
void rules_put_key(struct arena *a, struct json *map, const char *key, struct json *val);
struct json *rules_zero(struct arena *a, const struct schema_type *type);
/* The struct type behind a dotted path of fields; NULL when there is none. */
const struct schema_type *rules_type(const struct schema_type *outer, const char *field);
/* Equal, where absent, null and empty are the same. */
bool rules_same(const struct json *x, const struct json *y);

/* What a kind adds to the general rules; every member may be NULL. */
struct rules_row {
    const char *group, *resource;
    void (*prepare_create)(struct json *obj, const struct kind *kind, const struct rules_ctx *ctx);
    void (*prepare_update)(struct json *obj, const struct json *old, const struct kind *kind,
                           const struct rules_ctx *ctx);
    void (*create)(struct causes *c, const struct json *obj, const struct rules_ctx *ctx);
    void (*update)(struct causes *c, const struct json *obj, const struct json *old,
                   const struct rules_ctx *ctx);
    /* Which metadata checks the kind repeats: upstream's answers hold the causes of each. */
    bool no_meta_create, no_meta_update, meta_create_on_update, any_finalizer;
    bool keeps_status_on_create, needs_version, creates_on_update;
    const char *status_sub;      /* another subresource that writes status: its prepare says how */
};
extern const struct rules_row rules_core_rows[], rules_event_rows[], rules_net_rows[],
    /* each ends with a row without resource */
    rules_apps_rows[], rules_pod_rows[], rules_service_rows[], rules_cert_rows[];

/* A pod spec; `meta` is NULL for a template's. */
void rules_pod_spec(struct causes *c, const struct rules_path *p, const struct json *spec,
                    const struct json *meta);
void rules_pod_template(struct causes *c, const struct rules_path *p, const struct json *tmpl);
void rules_pod_annotations(struct causes *c, const struct rules_path *p, const struct json *notes,
                           const struct json *spec);

/* The text of a member, "" when it has none. */
static inline const char *rules_str(const struct json *obj, const char *key)
{
    const char *s = json_get_str(obj, key);
    return s ? s : "";
}

#endif
