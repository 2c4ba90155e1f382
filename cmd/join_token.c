#include "cmd/join_token.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "core/base/fd.h"

#define PREFIX "K10"
#define SERVER "server:"
#define ID_LEN 6
#define SECRET_LEN 16
#define PASSWORD_BYTES 16

void join_token_ca_hash(char out[CRYPTO_SHA256_HEX_BYTES], struct slice ca_pem)
{
    crypto_sha256_hex(out, ca_pem.p, ca_pem.len);
}

bool join_token_is_bootstrap(const char *s)
{
    size_t n = 0;

    for (; s[n]; n++)
        if (n == ID_LEN ? s[n] != '.' : !islower((unsigned char)s[n]) &&
                                        !isdigit((unsigned char)s[n]))
            return false;
    return n == ID_LEN + 1 + SECRET_LEN;
}

static int take_hash(struct join_token *t, const char **text, struct err *err)
{
    const char *p = *text + strlen(PREFIX);
    unsigned char hash[CRYPTO_SHA256_BYTES];
    size_t len = strcspn(p, ":");

    if (len != sizeof(t->ca_hash) - 1 || strncmp(p + len, "::", 2) != 0)
        return err_set(err, ERR_INVALID, "the token is not K10<64 digits>::<secret>");
    memcpy(t->ca_hash, p, len);
    t->ca_hash[len] = '\0';
    if (crypto_unhex(hash, sizeof(hash), t->ca_hash, err) < 0)
        return err_wrap(err, "the token's digest");
    *text = p + len + 2;
    return 0;
}

int join_token_parse(struct join_token *out, const char *text, struct err *err)
{
    struct join_token t = { "", "" };

    if (str_starts(text, PREFIX) && strstr(text, "::") && take_hash(&t, &text, err) < 0)
        return -1;
    if (!*text)
        return err_set(err, ERR_INVALID, "the token holds no secret");
    for (const char *p = text; *p; p++)
        if (!isgraph((unsigned char)*p))
            return err_set(err, ERR_INVALID, "the token holds a character that none has");
    /* k3s calls the same secret "node:" where it has no agent token of its own */
    if (str_starts(text, "node:"))
        text += strlen("node:");
    if ((size_t)snprintf(t.secret, sizeof(t.secret), "%s%s", join_token_is_bootstrap(text) ||
                         str_starts(text, SERVER) ? "" : SERVER, text) >= sizeof(t.secret))
        return err_set(err, ERR_INVALID, "the token's secret has more than %d bytes",
                       JOIN_TOKEN_SECRET_MAX - (int)sizeof(SERVER));
    *out = t;
    return 0;
}

void join_token_write(struct buf *out, const char *ca_pem, const char *secret)
{
    char hash[CRYPTO_SHA256_HEX_BYTES];

    join_token_ca_hash(hash, slice_of(ca_pem));
    buf_fmt(out, PREFIX "%s::%s", hash, secret);
}

/* Without a bias: 36 * 7 = 252. */
static char letter(void)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    unsigned char byte;

    do
        crypto_random(&byte, 1);
    while (byte >= 252);
    return letters[byte % 36];
}

void join_token_random(char out[JOIN_TOKEN_SECRET_MAX])
{
    size_t n = 0;

    for (; n < ID_LEN + 1 + SECRET_LEN; n++)
        out[n] = n == ID_LEN ? '.' : letter();
    out[n] = '\0';
}

int join_token_given(const struct config *c, const char **out, struct err *err)
{
    _cleanup_buf_ struct buf text = BUF_INIT;
    struct slice s;

    if (!str_empty(c->token) && !str_empty(c->token_file))
        return err_set(err, ERR_INVALID, "--token and --token-file: only one of them");
    if (str_empty(c->token_file)) {
        *out = c->token;
        return 0;
    }
    buf_str(&text, "");
    if (fd_read_file(&text, AT_FDCWD, c->token_file, JOIN_TOKEN_FILE_MAX, err) < 0)
        return err_wrap(err, "--token-file");
    s = slice_of(text.p);
    while (s.len && isspace((unsigned char)s.p[s.len - 1]))
        s.len--;
    while (s.len && isspace((unsigned char)*s.p))
        s = (struct slice){ s.p + 1, s.len - 1 };
    if (!s.len)
        return err_set(err, ERR_INVALID, "--token-file %s is empty", c->token_file);
    *out = arena_strndup(c->a, s.p, s.len);
    return 0;
}

/* --- the server's own */

static const char *file_of(const struct config *c, const char *name)
{
    return arena_printf(c->a, "%s/server/%s", c->data_dir, name);
}

int join_token_store(const struct config *c, const char *ca_pem, const char *secret,
                     struct err *err)
{
    _cleanup_buf_ struct buf text = BUF_INIT, old = BUF_INIT;
    const char *path = file_of(c, "token"), *link = file_of(c, "node-token");

    join_token_write(&text, ca_pem, secret);
    buf_chr(&text, '\n');
    (void)fd_read_file(&old, AT_FDCWD, path, JOIN_TOKEN_FILE_MAX, NULL);
    if (old.p && str_eq(old.p, text.p) && access(link, F_OK) == 0)
        return 0;
    if (fd_write_file(AT_FDCWD, path, text.p, text.len, 0600, err) < 0)
        return err_wrap(err, "token");
    (void)unlink(link);
    if (symlink("token", link) < 0)
        return err_sys(err, "%s", link);
    return 0;
}

void join_token_random_password(struct join_token *t)
{
    unsigned char bytes[PASSWORD_BYTES];
    char hex[2 * PASSWORD_BYTES + 1];

    crypto_random(bytes, sizeof(bytes));
    crypto_hex(hex, bytes, sizeof(bytes));
    *t->ca_hash = '\0';
    snprintf(t->secret, sizeof(t->secret), SERVER "%s", hex);
}

static int read_stored(struct join_token *t, const struct config *c, struct err *err)
{
    _cleanup_buf_ struct buf text = BUF_INIT;
    struct err why = ERR_INIT;

    buf_str(&text, "");
    if (fd_read_file(&text, AT_FDCWD, file_of(c, "token"), JOIN_TOKEN_FILE_MAX, &why) < 0) {
        if (why.code == ERR_NOT_FOUND) {
            join_token_random_password(t);
            return 0;
        }
        if (err)
            *err = why;
        return err_wrap(err, "token");
    }
    text.p[strcspn(text.p, "\n")] = '\0';
    if (join_token_parse(t, text.p, err) < 0)
        return err_wrap(err, "%s", file_of(c, "token"));
    return 0;
}

static int check_given(const struct join_token *t, const char *ca_pem, struct err *err)
{
    char hash[CRYPTO_SHA256_HEX_BYTES];

    join_token_ca_hash(hash, slice_of(ca_pem));
    if (*t->ca_hash && !str_eq(t->ca_hash, hash))
        return err_set(err, ERR_INVALID, "--token names another cluster's authority");
    if (join_token_is_bootstrap(t->secret))
        return err_set(err, ERR_INVALID,
                       "--token: a server's token is a password, not a bootstrap token");
    return 0;
}

int join_token_of_server(struct join_token *out, const struct config *c, const char *ca_pem,
                         struct err *err)
{
    const char *given;

    if (join_token_given(c, &given, err) < 0)
        return -1;
    if (!str_empty(given)) {
        if (join_token_parse(out, given, err) < 0 || check_given(out, ca_pem, err) < 0)
            return -1;
    } else if (read_stored(out, c, err) < 0) {
        return -1;
    }
    return join_token_store(c, ca_pem, out->secret, err);
}
