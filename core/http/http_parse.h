/* core/http/http_parse.h -- private: one HTTP/1 message at a time out of a stream of bytes,
 * strictly (RFC 9112).
 *
 * Nothing is guessed: folded headers, bare LF, two lengths, a length beside chunks, bad chunk sizes
 * are errors.
 */
#ifndef CORE_HTTP_HTTP_PARSE_H
#define CORE_HTTP_HTTP_PARSE_H

#include <llhttp.h>

#include "core/base/mem.h"
#include "core/base/str.h"
#include "core/base/vec.h"
#include "core/http/http.h"

struct http_parse {
    llhttp_t ll;
    size_t head_max, body_max;               /* body_max SIZE_MAX: none */
    struct buf text;                         /* method, target, names and values, each terminated */
    VEC(size_t) at;                          /* offsets into text: name, value, name, value, ... */
    size_t method_at, target_at, head_bytes;
    int refuse;                              /* the status to refuse this message with; 0: fine */
    bool begun, head_done, done;
    bool keep_alive, upgrade, chunked, expect_continue, head_only;
    /* A piece of the body; -1 refuses (sets refuse). */
    int (*on_body)(struct http_parse *p, const char *data, size_t len);
    /* The headers are complete. */
    void (*on_head)(struct http_parse *p);
};

void http_parse_init(struct http_parse *p, bool response, size_t head_max, size_t body_max);
void http_parse_deinit(struct http_parse *p);
/* forgets the message, keeps limits and callbacks */
void http_parse_next(struct http_parse *p);
/* Takes bytes up to the end of the message; answers how many. -1: refused (see refuse; 0 for
 * responses). */
ssize_t http_parse_feed(struct http_parse *p, const char *data, size_t len, struct err *err);
/* the stream ended: may complete a response */
int http_parse_eof(struct http_parse *p, struct err *err);

const char *http_parse_method(const struct http_parse *p);
const char *http_parse_target(const struct http_parse *p);
unsigned http_parse_fields(const struct http_parse *p);
/* name lower-case */
struct http_field http_parse_field(const struct http_parse *p, unsigned i);
/* the first or NULL */
const char *http_parse_get(const struct http_parse *p, const char *name);
unsigned http_parse_count(const struct http_parse *p, const char *name);
/* Is `word` among the comma-separated words of this header, in any case? */
bool http_parse_has_word(const struct http_parse *p, const char *name, const char *word);

#endif
