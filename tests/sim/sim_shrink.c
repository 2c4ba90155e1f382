/* sim_shrink.c -- see sim_shrink.h. First the last steps go, then nodes, then what happens in
 * steps: halves of them, quarters, and so on down to single ones. */
#include "tests/sim/sim_shrink.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/base/str.h"

/* --- names */

static int parse_only(struct sim_case *out, struct slice list, struct err *err)
{
    struct slice one;
    char text[16];
    int64_t n;

    memset(out->skip, true, sizeof(out->skip));
    out->o.skip = out->skip;
    while (slice_split(&list, ',', &one)) {
        snprintf(text, sizeof(text), "%.*s", (int)one.len, one.p);
        if (!one.len && !list.len)
            break;                       /* "only=": nothing happens in any of them */
        if (str_to_i64(text, 0, SIM_STEPS_MAX - 1, &n, err) < 0)
            return -1;
        out->skip[n] = false;
    }
    return 0;
}

static int parse_word(struct sim_case *out, struct slice word, struct err *err)
{
    struct slice rest = word, key;
    char text[32];
    int64_t n;

    slice_split(&rest, '=', &key);
    if (slice_is(key, "only"))
        return parse_only(out, rest, err);
    snprintf(text, sizeof(text), "%.*s", (int)rest.len, rest.p);
    if (str_to_i64(text, 0, INT64_MAX, &n, err) < 0)
        return -1;
    if (slice_is(key, "seed"))
        out->o.seed = (uint64_t)n;
    else if (slice_is(key, "nodes") && n <= SIM_NODES_MAX)
        out->o.nodes = (unsigned)n;
    else if (slice_is(key, "steps") && n <= SIM_STEPS_MAX)
        out->o.steps = (unsigned)n;
    else if (slice_is(key, "plant") && n < SIM_PLANT_MAX)
        out->o.plant = (enum sim_plant)n;
    else if (slice_is(key, "restarts"))
        out->o.restarts = n;
    else if (slice_is(key, "calm"))
        out->o.calm = n;
    else if (slice_is(key, "cut"))
        out->o.cut_op = (uint64_t)n;
    else
        return err_set(err, ERR_INVALID, "no such thing: %.*s", (int)word.len, word.p);
    return 0;
}

int sim_case_parse(struct sim_case *out, const char *line, struct err *err)
{
    struct slice rest = slice_of(line), word;

    *out = (struct sim_case){ 0 };
    while (slice_split(&rest, ' ', &word))
        if (word.len && parse_word(out, word, err) < 0)
            return err_wrap(err, "%s", line);
    return 0;
}

void sim_case_print(char out[SIM_LINE_BYTES], const struct sim_case *c)
{
    int at = snprintf(out, SIM_LINE_BYTES, "seed=%llu nodes=%u steps=%u",
                      (unsigned long long)c->o.seed, c->o.nodes, c->o.steps);
    const char *comma = " only=";

    if (c->o.plant)
        at += snprintf(out + at, SIM_LINE_BYTES - (size_t)at, " plant=%d", (int)c->o.plant);
    if (c->o.restarts)
        at += snprintf(out + at, SIM_LINE_BYTES - (size_t)at, " restarts=1");
    if (c->o.calm)
        at += snprintf(out + at, SIM_LINE_BYTES - (size_t)at, " calm=1");
    if (c->o.cut_op)
        at += snprintf(out + at, SIM_LINE_BYTES - (size_t)at, " cut=%llu",
                       (unsigned long long)c->o.cut_op);
    for (unsigned i = 0; c->o.skip && i < c->o.steps && at < SIM_LINE_BYTES - 16; i++) {
        if (c->skip[i])
            continue;
        at += snprintf(out + at, SIM_LINE_BYTES - (size_t)at, "%s%u", comma, i);
        comma = ",";
    }
    if (c->o.skip && *comma == ' ')
        snprintf(out + at, SIM_LINE_BYTES - (size_t)at, " only=");
}

/* --- shrinking */

struct shrink {
    struct sim_case *best;               /* the smallest that breaks */
    struct sim_result result;            /* of it */
    unsigned runs;
    clock_t end;
};

/* True: it breaks the same rule, and is the best now. */
static bool try(struct shrink *s, struct sim_case *c)
{
    struct sim_result r;

    if (s->runs++ >= SIM_SHRINK_RUNS || clock() > s->end)
        return false;
    c->o.skip = c->skip;
    sim_run(&r, &c->o);
    if (!r.broken || (s->result.broken && r.rule != s->result.rule)) {
        sim_result_deinit(&r);
        return false;
    }
    sim_result_deinit(&s->result);
    s->result = r;
    *s->best = *c;
    s->best->o.skip = s->best->skip;
    if (r.step < c->o.steps)
        s->best->o.steps = r.step + 1;
    return true;
}

static void fewer_nodes(struct shrink *s)
{
    struct sim_case c = *s->best;

    while (c.o.nodes > 1) {
        c.o.nodes /= 2;
        if (!try(s, &c))
            return;
        c = *s->best;
    }
}

static void fewer_steps(struct shrink *s)
{
    struct sim_case c = *s->best;

    while (c.o.steps > 1) {
        c.o.steps /= 2;
        if (!try(s, &c))
            return;
        c = *s->best;
    }
}

/* Leaves out steps at..at+n that are in; false: that breaks nothing any more. */
static bool without(struct shrink *s, unsigned at, unsigned n)
{
    struct sim_case c = *s->best;
    bool any = false;

    for (unsigned i = at; i < at + n && i < c.o.steps; i++) {
        any = any || !c.skip[i];
        c.skip[i] = true;
    }
    return any && try(s, &c);
}

void sim_shrink(struct sim_result *out, struct sim_case *c)
{
    struct shrink s = { .best = c, .end = clock() + (clock_t)SIM_SHRINK_S * CLOCKS_PER_SEC };
    struct sim_case whole = *c;

    if (!c->o.skip)
        memset(whole.skip, false, sizeof(whole.skip));
    try(&s, &whole);
    fewer_steps(&s);
    fewer_nodes(&s);
    for (unsigned n = c->o.steps; n > 0; n /= 2)
        for (unsigned at = 0; at < c->o.steps; at += n)
            without(&s, at, n);
    fewer_steps(&s);
    fewer_nodes(&s);
    *out = s.result;
}
