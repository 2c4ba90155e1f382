/* oci_user.c -- who a process runs as: names and groups from the image's own /etc/passwd and /etc/group, read inside
 * the root, so that a link in an image leads to no file of the host. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "core/base/fd.h"
#include "runtime/oci/oci_child.h"

#define ACCOUNTS_BYTES_MAX (4u << 20)

struct record { struct slice field[7]; size_t n; };

static void read_accounts(struct buf *out, int root, const char *path)
{
    _cleanup_fd_ int fd = fd_open_in_root(root, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0, NULL);
    char chunk[4096];
    ssize_t n;

    /* A missing or unreadable file is an empty one: images without accounts are usual. */
    while (fd >= 0 && out->len < ACCOUNTS_BYTES_MAX && (n = read(fd, chunk, sizeof(chunk))) > 0)
        buf_add(out, chunk, (size_t)n);
}

static bool next_record(struct slice *text, struct record *r)
{
    struct slice line;

    while (slice_split(text, '\n', &line)) {
        r->n = 0;
        if (line.len == 0 || line.p[0] == '#')
            continue;
        while (r->n < ARRAY_LEN(r->field) && slice_split(&line, ':', &r->field[r->n]))
            r->n++;
        if (r->n >= 3)
            return true;
    }
    return false;
}

static bool parse_id(struct slice s, int64_t *out)
{
    char text[16];

    if (s.len == 0 || s.len >= sizeof(text))
        return false;
    memcpy(text, s.p, s.len);
    text[s.len] = '\0';
    return str_to_i64(text, 0, UINT32_MAX - 1, out, NULL) == 0;
}

/* The passwd record of a name or (name empty) of a number. */
static bool find_passwd(struct slice text, struct slice name, int64_t uid, struct record *out)
{
    struct record r;
    int64_t id;

    while (next_record(&text, &r)) {
        if (r.n >= 4 && parse_id(r.field[2], &id) &&
            (name.len ? slice_eq(r.field[0], name) : id == uid)) {
            *out = r;
            return true;
        }
    }
    return false;
}

static bool find_group(struct slice text, struct slice name, int64_t *gid)
{
    struct record r;

    while (next_record(&text, &r))
        if (slice_eq(r.field[0], name) && parse_id(r.field[2], gid))
            return true;
    return false;
}

static void add_group(struct oci_user *u, int64_t gid)
{
    for (size_t i = 0; i < u->n_groups; i++)
        if (u->groups[i] == (gid_t)gid)
            return;
    if (u->n_groups < ARRAY_LEN(u->groups))
        u->groups[u->n_groups++] = (gid_t)gid;
}

static void add_member_groups(struct oci_user *u, struct slice text, struct slice name)
{
    struct record r;
    struct slice member;
    int64_t gid;

    while (next_record(&text, &r)) {
        if (r.n < 4 || !parse_id(r.field[2], &gid))
            continue;
        while (slice_split(&r.field[3], ',', &member))
            if (slice_eq(member, name))
                add_group(u, gid);
    }
}

/* "name", "uid", "name:group", "uid:gid" and the plan's own numbers. */
static int find_user(struct oci_user *u, const struct oci_plan *p, struct slice passwd,
                     struct slice group, struct err *err)
{
    struct slice text = slice_of(p->user ? p->user : ""), name = { 0 }, wanted_group = { 0 };
    struct record r = { .n = 0 };
    int64_t uid = 0, gid = 0;
    bool found;

    slice_split(&text, ':', &name);
    wanted_group = text;
    if (p->uid != PLAN_NO_ID) {
        uid = p->uid;
        name.len = 0;
        wanted_group.len = 0;
    } else if (name.len == 0 || parse_id(name, &uid)) {
        name.len = 0;
    }
    found = find_passwd(passwd, name, uid, &r);
    if (!found && name.len)
        return err_set(err, ERR_NOT_FOUND, "unable to find user %.*s: no matching entries in passwd file",
                       (int)name.len, name.p);
    if (found) {
        parse_id(r.field[2], &uid);
        parse_id(r.field[3], &gid);
        snprintf(u->home, sizeof(u->home), "%.*s", (int)r.field[5].len, r.n > 5 ? r.field[5].p : "");
        if (!p->strict_groups)
            add_member_groups(u, group, r.field[0]);
    }
    if (wanted_group.len && !parse_id(wanted_group, &gid) && !find_group(group, wanted_group, &gid))
        return err_set(err, ERR_NOT_FOUND, "unable to find group %.*s: no matching entries in group file",
                       (int)wanted_group.len, wanted_group.p);
    u->uid = (uid_t)uid;
    u->gid = (gid_t)(p->gid != PLAN_NO_ID ? p->gid : gid);
    return 0;
}

int oci_user_find(struct oci_user *out, int root, const struct oci_plan *p, struct err *err)
{
    _cleanup_buf_ struct buf passwd = BUF_INIT, group = BUF_INIT;
    struct oci_user u = { .n_groups = 0 };

    read_accounts(&passwd, root, "/etc/passwd");
    read_accounts(&group, root, "/etc/group");
    if (find_user(&u, p, (struct slice){ passwd.p, passwd.len }, (struct slice){ group.p, group.len },
                  err) < 0)
        return -1;
    if (p->must_run_as_non_root && u.uid == 0)
        return err_set(err, ERR_DENIED, "container has runAsNonRoot and image will run as root");
    for (size_t i = 0; i < p->groups.len; i++)
        add_group(&u, p->groups.v[i]);
    if (!u.home[0])
        snprintf(u.home, sizeof(u.home), "/");
    *out = u;
    return 0;
}
