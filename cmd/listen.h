/* cmd/listen.h -- the API's socket: bound by the parent, so that it outlives the role that
 * serves it. */
#ifndef CMD_LISTEN_H
#define CMD_LISTEN_H

#include <stdint.h>

#include "core/base/err.h"

#define LISTEN_BACKLOG 1024

/* address: IPv4, "" for all (IPv6 too where the kernel has it). Non-blocking. */
int listen_tcp(int *out, const char *address, uint16_t port, struct err *err);
/* The address at which this host reaches such a socket. */
const char *listen_local(const char *address);

#endif
