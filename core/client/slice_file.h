/* core/client/slice_file.h -- private: a small durable map, text key -> bytes, kind to flash.
 *
 * Changes gather in memory; a write appends all of them with one fdatasync. The first write, and
 * one when more than half of the file is dead, replaces the file: temporary file, fsync, rename. So
 * a file that is there began as a whole map, and at whatever byte the power goes, the map of one of
 * the last writes is read. The values stay on the disk: memory holds keys, places and marks.
 *
 *   loop: put, del ... slice_file_begin -> any thread: slice_file_run -> loop: slice_file_end
 *
 * A mark is what the caller compares a value by: a put with the mark that is there already changes
 * nothing. With a key, values are sealed (AES-256-GCM), bound to their key and scope, and marks
 * are keyed digests: they tell nothing.
 */
#ifndef CORE_CLIENT_SLICE_FILE_H
#define CORE_CLIENT_SLICE_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/str.h"

#define SLICE_FILE_BYTES_MAX (32u << 20) /* of one file's values; what is more is not kept */
#define SLICE_FILE_SLACK (64u << 10)     /* dead bytes that are never worth a new file */

struct slice_file;
struct slice_write;

struct slice_file_opts {
    int dir;                             /* open directory, borrowed; -1: from `fd`, read only */
    const char *name;                    /* in dir; of an fd: for messages */
    int fd;                              /* an open file, taken; -1: none. Used when dir is -1 */
    const char *scope;                   /* a file written for another one counts as missing */
    const unsigned char *seal;           /* CRYPTO_SEAL_KEY_BYTES, borrowed; NULL: plain */
};

/* Also when the file is missing or useless (then it is not known); -1: it cannot be read. */
int slice_file_open(struct slice_file **out, const struct slice_file_opts *o, struct err *err);
struct slice_file *slice_file_free(struct slice_file *f);        /* no write may run */
CLEANUP_DEFINE(struct slice_file, slice_file_free)
bool slice_file_is_known(const struct slice_file *f);    /* a whole map was read or written */
bool slice_file_is_written(const struct slice_file *f);  /* one is on the disk */
bool slice_file_is_damaged(const struct slice_file *f);  /* its end was cut off when it was read */
bool slice_file_is_full(const struct slice_file *f);     /* something was not kept */

bool slice_file_has(const struct slice_file *f, const char *key);
/* ERR_NOT_FOUND; ERR_CORRUPT: sealed with another key, or changed. */
int slice_file_get(const struct slice_file *f, const char *key, struct buf *out, struct err *err);
/* Keys in order of their first put; *at = 0 first, NULL at the end. Deleting it is allowed. */
const char *slice_file_next(const struct slice_file *f, size_t *at);

/* `mark`: the text that says whether it is another value. */
void slice_file_put(struct slice_file *f, const char *key, struct slice value, struct slice mark);
void slice_file_del(struct slice_file *f, const char *key);
void slice_file_set_whole(struct slice_file *f);         /* what is put is a whole map: write it */
bool slice_file_is_dirty(const struct slice_file *f);

/* NULL: nothing to write, or a write runs. */
struct slice_write *slice_file_begin(struct slice_file *f);
void slice_file_run(struct slice_write *w);             /* blocks; touches nothing but w */
/* Frees w. -1: what it held is to be written again. */
int slice_file_end(struct slice_file *f, struct slice_write *w, struct err *err);

#endif
