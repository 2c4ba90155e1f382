/* cmd/notify.h -- systemd's readiness protocol: a datagram to the socket named by NOTIFY_SOCKET. */
#ifndef CMD_NOTIFY_H
#define CMD_NOTIFY_H

void notify_state(const char *state);    /* "READY=1"; without that socket nothing happens */

#endif
