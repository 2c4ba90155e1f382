/* runtime/node/node_listen.h -- which TCP ports listen in a network namespace, looked at from outside:
 * no connection is made, so no server notices. */
#ifndef RUNTIME_NODE_NODE_LISTEN_H
#define RUNTIME_NODE_NODE_LISTEN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define NODE_LISTEN_PORTS_MAX 16

/* Ports that a container is known to serve. */
struct node_listen_ports { uint16_t v[NODE_LISTEN_PORTS_MAX]; unsigned n; };

void node_listen_add(struct node_listen_ports *p, uint16_t port);      /* each once; past the limit: dropped */
/* Do all of them listen in the namespace of this process, on any address? False when it cannot be seen. */
bool node_listen_all(const struct node_listen_ports *p, pid_t pid);
/* One of /proc/net/tcp's texts: strikes the listening ports off; for tests. */
void node_listen_strike(struct node_listen_ports *p, const char *text);

#endif
