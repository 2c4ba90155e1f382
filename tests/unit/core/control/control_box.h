/* control_box.h -- a cluster for tests of controllers: the fake client, a fake clock, the control
 * role, a node n1 that stays ready, and a stand-in for nodes that makes pods run and lets deleted
 * ones go.
 */
#ifndef TESTS_UNIT_CORE_CONTROL_CONTROL_BOX_H
#define TESTS_UNIT_CORE_CONTROL_CONTROL_BOX_H

#include "core/base/yaml.h"
#include "core/control/control.h"
#include "tests/fake/fake_client.h"
#include "tests/fake/fake_env.h"
#include "tests/harness/test.h"

struct box {
    struct fake_env env;
    struct loop *loop;
    struct fake_client *f;
    struct control *control;
    struct control_opts opts;
    struct arena *a;
    bool broken;                 /* pods do not become ready */
};

static inline void box_start(struct box *b)
{
    struct err err = ERR_INIT;

    EXPECT_OK(control_new(&b->control, fake_client_door(b->f), &b->opts, &err), &err);
}

static inline void box_init(struct box *b)
{
    struct err err = ERR_INIT;

    *b = (struct box){ .opts = { .root_ca_pem = "PEM", .node_grace_ms = 365 * 86400000ll } };
    fake_env_init(&b->env, 7);
    EXPECT_OK(loop_new(&b->loop, &b->env.env, &err), &err);
    b->f = fake_client_new(b->loop);
    b->a = arena_new(0);
    fake_client_put(b->f, "apiVersion: v1\nkind: Node\nmetadata: {name: n1}\n"
                          "status: {conditions: [{type: Ready, status: 'True'}]}\n");
    box_start(b);
}

static inline void box_deinit(struct box *b)
{
    control_free(b->control);
    fake_client_free(b->f);
    loop_free(b->loop);
    arena_free(b->a);
}

/* The control role dies, with all that it had asked for, and comes back. */
static inline void box_restart(struct box *b)
{
    control_free(b->control);
    fake_client_cut(b->f);
    box_start(b);
}

static inline struct json *box_tree(struct box *b, const struct kind *kind, const char *name)
{
    struct object *o = fake_client_get(b->f, kind, kind->namespaced ? "default" : "", name);

    EXPECT(o);
    return object_tree(o, b->a);
}

static inline const char *box_str(struct box *b, const struct kind *kind, const char *name,
                                  const char *path)
{
    const char *s = json_path_str(box_tree(b, kind, name), path);

    return s ? s : "";
}

static inline int64_t box_int(struct box *b, const struct kind *kind, const char *name,
                              const char *path)
{
    struct json *v = json_path(box_tree(b, kind, name), path);

    return json_is(v, JSON_INT) ? v->i : 0;
}

/* "status reason" of a condition, or "". */
static inline const char *box_condition(struct box *b, const struct kind *kind, const char *name,
                                        const char *type)
{
    struct json *it;

    json_each(it, json_path(box_tree(b, kind, name), "status.conditions"))
        if (str_eq(json_get_str(it, "type"), type))
            return arena_printf(b->a, "%s %s", json_get_str(it, "status"), json_get_str(it,
                                                                                        "reason"));
    return "";
}

static inline void box_ready(struct box *b, const char *pod, bool ready)
{
    fake_client_edit(b->f, kind_pod(), "default", pod, arena_printf(b->a,
        "{spec: {nodeName: n1}, status: {phase: Running, conditions: [{type: Ready, status: '%s', "
        "lastTransitionTime: '2026-01-01T00:00:00Z'}]}}", ready ? "True" : "False"));
}

/* What nodes would do by now. True when there was something. */
static inline bool box_nodes(struct box *b)
{
    struct object *pod;
    const char *todo[512];
    unsigned n = 0;

    for (size_t at = 0; (pod = fake_client_next(b->f, kind_pod(), &at)) && n < ARRAY_LEN(todo);) {
        const char *phase = json_path_str(object_tree(pod, b->a), "status.phase");

        if (object_is_deleting(pod) || (!b->broken && !str_eq(phase, "Running")))
            todo[n++] = arena_strdup(b->a, object_name(pod));
    }
    for (unsigned i = 0; i < n; i++) {
        if (object_is_deleting(fake_client_get(b->f, kind_pod(), "default", todo[i])))
            fake_client_drop(b->f, kind_pod(), "default", todo[i]);
        else
            box_ready(b, todo[i], true);
    }
    return n > 0;
}

/* Until neither controllers nor nodes have anything to do now. */
static inline void box_settle(struct box *b)
{
    do
        fake_client_pass(b->f, &b->env, 400, 20);
    while (box_nodes(b));
}

/* Pods of default that are not being deleted, with this value of label app (NULL: all). */
static inline unsigned box_pods(struct box *b, const char *app)
{
    struct object *pod;
    unsigned n = 0;

    for (size_t at = 0; (pod = fake_client_next(b->f, kind_pod(), &at));)
        n += !object_is_deleting(pod) && (!app || str_eq(object_label(pod, "app"), app));
    return n;
}

/* The events about a name: "reason: message", a line each. */
static inline const char *box_events(struct box *b, const char *name)
{
    const struct kind *kind = kind_by_gvk("", "v1", "Event");
    struct buf out = BUF_INIT;
    struct object *o;

    buf_str(&out, "");
    for (size_t at = 0; (o = fake_client_next(b->f, kind, &at));) {
        struct json *t = object_tree(o, b->a);

        if (str_eq(json_path_str(t, "involvedObject.name"), name))
            buf_fmt(&out, "%s: %s\n", json_get_str(t, "reason"), json_get_str(t, "message"));
    }
    name = arena_strdup(b->a, out.p ? out.p : "");
    buf_deinit(&out);
    return name;
}

#endif
