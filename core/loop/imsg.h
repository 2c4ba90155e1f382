/* core/loop/imsg.h -- typed records with file descriptors over a SOCK_SEQPACKET Unix socket: how
 * children and shims talk to their parent. One packet is one record. */
#ifndef CORE_LOOP_IMSG_H
#define CORE_LOOP_IMSG_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"
#include "core/base/fd.h"

#define IMSG_BYTES_MAX (128u << 10)
#define IMSG_FD 3                       /* where a child finds its socket */

enum { IMSG_ERR = 1, IMSG_OK = 2, IMSG_USER = 16 };   /* room-own types start at IMSG_USER */

struct imsg {
    uint32_t type;
    size_t len;
    char *data;                         /* owned; terminated by a NUL past len */
    int fds[FD_PASS_MAX];               /* -1 where none or taken */
    size_t n_fds;
};

int imsg_pair(int out[2], struct err *err);
int imsg_send(int sock, uint32_t type, const void *p, size_t len, const int *fds, size_t n_fds,
              struct err *err);
/* 1 a record, 0 EOF, -1 error; blocks unless the socket is non-blocking: then ERR_UNAVAILABLE. */
int imsg_recv(int sock, struct imsg *out, struct err *err);
void imsg_deinit(struct imsg *m);       /* closes fds not taken; callable twice */
int imsg_take_fd(struct imsg *m, size_t i);           /* -1 when there is none */
/* A struct err as a record, and back. */
int imsg_send_err(int sock, const struct err *what, struct err *err);
void imsg_get_err(const struct imsg *m, struct err *out);

#endif
