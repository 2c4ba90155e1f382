/* core/client/slice_record.h -- private: the bytes of a slice file (slice_file.h). Pure.
 *
 *   head:    "inroslc1" | nonce 16 | u16 scope bytes | scope | check 16
 *   record:  u32 body bytes | body | check 16
 *   body:    u8 1 put, 2 gone | u16 key bytes | key | mark 16 | value
 *
 * Numbers are little-endian. A check is the first half of the SHA-256 over the nonce, the place in
 * the file and all that it guards: what a power cut, a worn cell or an older file left behind does
 * not pass. Reading ends at the first record that is not whole; what stands before it is good.
 */
#ifndef CORE_CLIENT_SLICE_RECORD_H
#define CORE_CLIENT_SLICE_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/str.h"

#define SLICE_RECORD_NONCE 16
#define SLICE_RECORD_MARK 16
#define SLICE_RECORD_SCOPE_MAX 1024      /* bytes */
#define SLICE_RECORD_KEY_MAX 1024
#define SLICE_RECORD_VALUE_MAX (4u << 20)

struct slice_record {
    bool gone;                           /* the key has no value any more; value is empty */
    struct slice key, value;
    unsigned char mark[SLICE_RECORD_MARK];
};

struct slice_reader {
    struct slice text, scope;
    unsigned char nonce[SLICE_RECORD_NONCE];
    size_t at;                           /* the end of what is good */
};

/* False: no whole head. `text` is borrowed; so are the parts that come out. */
bool slice_record_open(struct slice_reader *r, struct slice text);
/* False at the end, or where the damage begins: then r->at < text.len. */
bool slice_record_next(struct slice_reader *r, struct slice_record *out);

void slice_record_head(struct buf *out, const unsigned char nonce[SLICE_RECORD_NONCE],
                       const char *scope);
/* `place`: where in the file out->p[0] will be. */
void slice_record_add(struct buf *out, size_t place,
                      const unsigned char nonce[SLICE_RECORD_NONCE],
                      const struct slice_record *r);

#endif
