#include "core/http/http_parse.h"

#include <strings.h>

static struct http_parse *parse_of(llhttp_t *ll)
{
    return container_of(ll, struct http_parse, ll);
}

static int parse_refuse(struct http_parse *p, int status)
{
    p->refuse = status;
    return HPE_USER;
}

/* Bytes of the head: all of it is charged, whatever it is. */
static int parse_text(llhttp_t *ll, const char *s, size_t len)
{
    struct http_parse *p = parse_of(ll);

    p->head_bytes += len;
    if (p->head_bytes > p->head_max)
        return parse_refuse(p, 431);
    if (p->head_done)                        /* a trailer: never to be taken for a header */
        return 0;
    buf_add(&p->text, s, len);
    return 0;
}

static int parse_begin(llhttp_t *ll)
{
    parse_of(ll)->begun = true;
    return 0;
}

static int parse_end_text(llhttp_t *ll)
{
    buf_chr(&parse_of(ll)->text, 0);
    return 0;
}

static int parse_method(llhttp_t *ll, const char *s, size_t len)
{
    return parse_text(ll, s, len);
}

static int parse_end_method(llhttp_t *ll)
{
    struct http_parse *p = parse_of(ll);

    buf_chr(&p->text, 0);
    p->target_at = p->text.len;
    return 0;
}

static int parse_name(llhttp_t *ll, const char *s, size_t len)
{
    struct http_parse *p = parse_of(ll);
    size_t from = p->text.len;

    if (p->head_done)
        return parse_text(ll, s, len);
    if (p->at.len % 2 == 0) {                /* the first piece of a name */
        if (p->at.len / 2 >= HTTP_FIELDS_MAX)
            return parse_refuse(p, 431);
        vec_push(&p->at, from);
        p->head_bytes += 4;
    }
    if (parse_text(ll, s, len))
        return HPE_USER;
    for (; from < p->text.len; from++)
        if (p->text.p[from] >= 'A' && p->text.p[from] <= 'Z')
            p->text.p[from] |= 0x20;
    return 0;
}

static int parse_end_name(llhttp_t *ll)
{
    struct http_parse *p = parse_of(ll);

    if (p->head_done)
        return 0;
    buf_chr(&p->text, 0);
    vec_push(&p->at, p->text.len);
    return 0;
}

static int parse_end_value(llhttp_t *ll)
{
    struct http_parse *p = parse_of(ll);
    size_t at;

    if (p->head_done)
        return 0;
    at = p->at.v[p->at.len - 1];
    while (p->text.len > at &&
           (p->text.p[p->text.len - 1] == ' ' || p->text.p[p->text.len - 1] == '\t'))
        p->text.len--;
    buf_chr(&p->text, 0);
    return 0;
}

static int parse_head_done(llhttp_t *ll)
{
    struct http_parse *p = parse_of(ll);
    const char *expect;

    p->head_done = true;
    p->upgrade = ll->upgrade;
    p->chunked = ll->flags & F_CHUNKED;
    expect = http_parse_get(p, "expect");
    p->expect_continue = expect && strcasecmp(expect, "100-continue") == 0;
    if (expect && !p->expect_continue && ll->type == HTTP_REQUEST)
        return parse_refuse(p, 417);
    if (!p->chunked && ll->flags & F_CONTENT_LENGTH && !p->head_only &&
        ll->content_length > p->body_max)
        return parse_refuse(p, 413);
    if (p->on_head)
        p->on_head(p);
    return p->head_only ? 1 : 0;
}

static int parse_body(llhttp_t *ll, const char *s, size_t len)
{
    struct http_parse *p = parse_of(ll);

    return p->on_body && p->on_body(p, s, len) < 0 ? HPE_USER : 0;
}

static int parse_done(llhttp_t *ll)
{
    struct http_parse *p = parse_of(ll);

    p->done = true;
    p->keep_alive = llhttp_should_keep_alive(ll);
    return HPE_PAUSED;
}

/* Chunk extensions carry nothing for us, but they are bytes a peer can send for ever. */
static int parse_extension(llhttp_t *ll, const char *s, size_t len)
{
    struct http_parse *p = parse_of(ll);

    (void)s;
    p->head_bytes += len + 1;
    return p->head_bytes > p->head_max ? parse_refuse(p, 431) : 0;
}

static const llhttp_settings_t parse_settings = {
    .on_message_begin = parse_begin,
    .on_method = parse_method,
    .on_method_complete = parse_end_method,
    .on_url = parse_text,
    .on_url_complete = parse_end_text,
    .on_header_field = parse_name,
    .on_header_field_complete = parse_end_name,
    .on_header_value = parse_text,
    .on_header_value_complete = parse_end_value,
    .on_headers_complete = parse_head_done,
    .on_chunk_extension_name = parse_extension,
    .on_chunk_extension_value = parse_extension,
    .on_body = parse_body,
    .on_message_complete = parse_done,
};

void http_parse_init(struct http_parse *p, bool response, size_t head_max, size_t body_max)
{
    *p = (struct http_parse){ .head_max = head_max, .body_max = body_max };
    llhttp_init(&p->ll, response ? HTTP_RESPONSE : HTTP_REQUEST, &parse_settings);
}

void http_parse_deinit(struct http_parse *p)
{
    buf_deinit(&p->text);
    vec_deinit(&p->at);
}

void http_parse_next(struct http_parse *p)
{
    llhttp_type_t type = p->ll.type;

    buf_deinit(&p->text);
    vec_deinit(&p->at);
    p->method_at = p->target_at = p->head_bytes = 0;
    p->refuse = 0;
    p->begun = p->head_done = p->done = false;
    p->keep_alive = p->upgrade = p->chunked = p->expect_continue = p->head_only = false;
    llhttp_init(&p->ll, type, &parse_settings);
}

ssize_t http_parse_feed(struct http_parse *p, const char *data, size_t len, struct err *err)
{
    enum llhttp_errno rc = llhttp_execute(&p->ll, data, len);

    if (rc == HPE_OK)
        return (ssize_t)len;
    if ((rc == HPE_PAUSED || rc == HPE_PAUSED_UPGRADE) && p->done)
        return llhttp_get_error_pos(&p->ll) - data;
    if (!p->refuse)
        p->refuse = 400;
    return err_set(err, ERR_INVALID, "malformed HTTP message: %s", llhttp_get_error_reason(&p->ll));
}

int http_parse_eof(struct http_parse *p, struct err *err)
{
    enum llhttp_errno rc;

    if (!p->begun || p->done)
        return p->done ? 0 : err_set(err, ERR_UNAVAILABLE, "connection closed by the peer");
    rc = llhttp_finish(&p->ll);
    if (p->done && (rc == HPE_OK || rc == HPE_PAUSED))
        return 0;
    return err_set(err, ERR_UNAVAILABLE, "connection closed inside an HTTP message");
}

const char *http_parse_method(const struct http_parse *p)
{
    return p->text.p + p->method_at;
}

const char *http_parse_target(const struct http_parse *p)
{
    return p->text.p + p->target_at;
}

unsigned http_parse_fields(const struct http_parse *p)
{
    return (unsigned)(p->at.len / 2);
}

struct http_field http_parse_field(const struct http_parse *p, unsigned i)
{
    return (struct http_field){ p->text.p + p->at.v[2 * i], p->text.p + p->at.v[2 * i + 1] };
}

const char *http_parse_get(const struct http_parse *p, const char *name)
{
    for (unsigned i = 0; i < http_parse_fields(p); i++)
        if (strcmp(p->text.p + p->at.v[2 * i], name) == 0)
            return p->text.p + p->at.v[2 * i + 1];
    return NULL;
}

unsigned http_parse_count(const struct http_parse *p, const char *name)
{
    unsigned n = 0;

    for (unsigned i = 0; i < http_parse_fields(p); i++)
        n += strcmp(p->text.p + p->at.v[2 * i], name) == 0;
    return n;
}

bool http_parse_has_word(const struct http_parse *p, const char *name, const char *word)
{
    for (unsigned i = 0; i < http_parse_fields(p); i++) {
        struct slice rest = slice_of(p->text.p + p->at.v[2 * i + 1]), part;

        if (strcmp(p->text.p + p->at.v[2 * i], name) != 0)
            continue;
        while (slice_split(&rest, ',', &part)) {
            part = slice_trim(part);
            if (part.len == strlen(word) && strncasecmp(part.p, word, part.len) == 0)
                return true;
        }
    }
    return false;
}
