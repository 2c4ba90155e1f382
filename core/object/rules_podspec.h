/* core/object/rules_podspec.h -- what the files about pod specs share; for this room only. */
#ifndef CORE_OBJECT_RULES_PODSPEC_H
#define CORE_OBJECT_RULES_PODSPEC_H

#include "core/object/rules_impl.h"

/* One pod spec under check. */
struct rules_spec {
    struct causes *c;
    const struct json *spec;
    const struct json *meta;     /* of a pod; NULL for a template */
    bool is_pod;
    bool host_users;
    struct json *volumes;        /* the sound ones by name, once rules_volumes has run */
};

#define AT RULES_AT
#define IDX RULES_IDX
#define KEY RULES_KEY

/* One kind of volume source. */
typedef void rules_source(const struct rules_spec *s, const struct rules_path *p,
                          const struct json *v);

/* Of rules_remote.c. */
rules_source rules_remote_iscsi, rules_remote_fc, rules_remote_quobyte, rules_remote_flocker,
    rules_remote_rbd, rules_remote_cephfs, rules_remote_cinder, rules_remote_storageos,
    rules_remote_azure_disk, rules_remote_flex, rules_remote_csi, rules_remote_ephemeral;

void rules_volumes(struct rules_spec *s, const struct rules_path *p);
/* Projected tokens need a service account in the pod. */
void rules_volume_tokens(const struct rules_spec *s, const struct rules_path *p);
void rules_local_path(struct causes *c, const struct rules_path *p, const char *path);
void rules_no_backsteps(struct causes *c, const struct rules_path *p, const char *path);
/* fieldRef and resourceFieldRef of environment (is_volume false) and of downward API volumes. */
void rules_field_ref(struct causes *c, const struct rules_path *p, const struct json *ref,
                     bool is_volume);
void rules_resource_ref(struct causes *c, const struct rules_path *p, const struct json *ref,
                        bool is_volume);

void rules_containers(const struct rules_spec *s, const struct rules_path *spec_at);
void rules_resources(struct causes *c, const struct rules_path *p, const struct json *resources,
                     const struct json *claims, bool pod_level);
void rules_security_context(const struct rules_spec *s, const struct rules_path *p,
                            const struct json *sc);
void rules_pod_security(const struct rules_spec *s, const struct rules_path *spec_at);
void rules_os(const struct rules_spec *s, const struct rules_path *spec_at);

void rules_affinity(struct causes *c, const struct rules_path *p, const struct json *affinity);
void rules_tolerations(struct causes *c, const struct rules_path *p, const struct json *list);
void rules_spread(struct causes *c, const struct rules_path *p, const struct json *list);

/* Of rules_profile.c: annotations, their copies in fields, Windows options. */
void rules_profile_annotations(struct causes *c, const struct rules_path *p,
                               const struct json *notes,
                               const struct json *spec);
void rules_profile_copy(struct json *obj, const struct kind *kind, const struct rules_ctx *ctx);
void rules_profile_match(struct causes *c, const struct json *obj);
void rules_profile_windows(struct causes *c, const struct rules_path *p, const struct json *v);
void rules_profile_host_process(const struct rules_spec *s, const struct rules_path *p);

/* "BestEffort", "Burstable" or "Guaranteed". */
const char *rules_qos(const struct json *spec);

#endif
