/* core/base/err.h -- one error value, filled by whoever fails and passed up by everyone else.
 *
 * Functions return 0 or -1 (or a count) and fill a caller-owned `struct err`. It allocates nothing,
 * survives out-of-memory and fork, and may be sent raw over a socket. Only the end of a loop
 * callback, a job, or cmd logs an error, so each is logged once.
 *
 *   err_set(err, ERR_NOT_FOUND, "image %s", name);          at the origin; always returns -1
 *   return err_wrap(err, "pull %s", name);                  on the way up: "pull x: image x"
 *
 * Every err argument may be NULL: the text is then lost, the return value still says it.
 */
#ifndef CORE_BASE_ERR_H
#define CORE_BASE_ERR_H

#include <errno.h>

#define ERR_MSG_BYTES 480

enum err_code {
    ERR_NONE = 0,
    ERR_FAILED,       /* anything that nobody handles; passed on unread */
    ERR_SYSTEM,       /* a system call failed: sys_errno says which way */
    ERR_INVALID,      /* the input is wrong: the caller's fault */
    ERR_NOT_FOUND,
    ERR_EXISTS,
    ERR_CONFLICT,     /* expected revision or state does not hold */
    ERR_QUOTA,        /* a named limit is reached */
    ERR_TIMEOUT,
    ERR_CANCELED,     /* the owner went away or is stopping */
    ERR_UNAVAILABLE,  /* try again later or elsewhere */
    ERR_DENIED,
    ERR_UNSUPPORTED,
    ERR_EXPIRED,      /* the asked revision is compacted, the token or certificate too old */
    ERR_CORRUPT,      /* digest or format of stored or received bytes is wrong */
    ERR_CODE_MAX
};

struct err {
    int code;          /* enum err_code */
    int sys_errno;     /* 0, or errno at the origin */
    int line;          /* of the origin */
    const char *file;  /* of the origin; meaningless in another process */
    char msg[ERR_MSG_BYTES];
};

#define ERR_INIT ((struct err){ .code = ERR_NONE })

/* All always return -1. Too long texts are cut with "..."; arguments may point into err->msg. */
#define err_set(err, code, ...) err_set_at((err), (code), 0, __FILE__, __LINE__, __VA_ARGS__)
/* Code ERR_SYSTEM; appends ": <strerror(errno)>". */
#define err_sys(err, ...) err_set_at((err), ERR_SYSTEM, errno, __FILE__, __LINE__, __VA_ARGS__)

int err_set_at(struct err *err, int code, int sys_errno, const char *file, int line,
               const char *format, ...) __attribute__((format(printf, 6, 7)));
int err_wrap(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

void err_clear(struct err *err);
const char *err_name(int code);     /* "not found"; never NULL */

#endif
