/* net/tunnel/tunnel.h -- one connection from each agent to the server, over which the server
 * reaches the agent's node and pods, also where it cannot reach the agent's address.
 *
 *   agent                                               server
 *   GET TUNNEL_PATH, upgrade, node's certificate  ----> tunnel_server_accept
 *   101                                           <----
 *   connects to the address                       <---- OPEN     tunnel_server_dial gives a socket
 *   DATA both ways, WINDOW as bytes are taken, END of one direction, RESET
 *
 * The agent dials, keeps the connection, and dials again with back-off. The server opens streams;
 * the agent asks its `allow` for each and connects to nothing else. A stream's bytes are end to
 * end: the server speaks TLS with the kubelet port through it as if it had connected.
 *
 * Flow control per stream: a sender may have TUNNEL_WINDOW bytes on the way that the other side's
 * socket has not taken; a peer that sends more, or anything else out of order, loses the
 * connection. Who is behind the connection is the caller's to check before tunnel_server_accept.
 *
 * Everything on the loop it was made for.
 */
#ifndef NET_TUNNEL_TUNNEL_H
#define NET_TUNNEL_TUNNEL_H

#include <stdint.h>

#include "core/base/cleanup.h"
#include "core/http/http.h"

#define TUNNEL_PATH "/v1-inro/connect"
#define TUNNEL_PROTOCOL "inro-tunnel/1"  /* of the upgrade */
#define TUNNEL_NODES_MAX 5000            /* connections of a server */
#define TUNNEL_STREAMS_MAX 512           /* at once, of one connection */
#define TUNNEL_WINDOW (256u << 10)       /* bytes on the way, of one direction of a stream */
#define TUNNEL_QUEUE_MAX (1u << 20)      /* bytes queued on the connection before streams wait */
#define TUNNEL_PING_MS 120000            /* an agent that heard nothing for so long asks */
#define TUNNEL_SILENCE_MS 300000         /* a server that heard nothing for so long gives up */
#define TUNNEL_DOUBT_MS 10000            /* after such a silence a new stream asks */
#define TUNNEL_ANSWER_MS 10000           /* for an answer to it */
#define TUNNEL_LINGER_MS 30000           /* of a stream with one end: without a byte */
#define TUNNEL_RETRY_MIN_MS 250          /* of an agent: doubles with each failure */
#define TUNNEL_RETRY_MAX_MS 15000
#define TUNNEL_STEADY_MS 30000           /* a connection that lived so long was no failure */

/* --- the server's side */

struct tunnel_server;

struct tunnel_server *tunnel_server_new(struct loop *l);
/* Ends all connections; sockets that were given out see the end. */
struct tunnel_server *tunnel_server_free(struct tunnel_server *s);
CLEANUP_DEFINE(struct tunnel_server, tunnel_server_free)
/* A request for TUNNEL_PATH of this node, who has been proven to be it. Answers it. A former
 * connection of the node is ended. */
void tunnel_server_accept(struct tunnel_server *s, const char *node, struct http_req *req);
bool tunnel_server_has(const struct tunnel_server *s, const char *node);
unsigned tunnel_server_nodes(const struct tunnel_server *s);
/* A connected socket to this address as seen from the node, for http_client_opts.dial. It is given
 * at once; a connection that fails later is an end. HTTP_DIAL_DIRECT: the node has no tunnel.
 * ERR_QUOTA: it has too many streams. */
int tunnel_server_dial(struct tunnel_server *s, const char *node, const char *host, uint16_t port,
                       struct err *err);

/* --- the agent's side */

struct tunnel_agent;

struct tunnel_agent_opts {
    const char *url;                     /* "https://server:6443" */
    struct slice ca_pem, cert_pem, key_pem;
    /* Whether the server may connect to this address; -1 with the reason. */
    int (*allow)(void *ctx, const char *host, uint16_t port, struct err *err);
    void *ctx;
};

/* Texts are copied. Dials at once and for ever; failures are logged, not more often than they
 * change. */
int tunnel_agent_new(struct tunnel_agent **out, struct loop *l, const struct tunnel_agent_opts *o,
                     struct err *err);
struct tunnel_agent *tunnel_agent_free(struct tunnel_agent *t);
CLEANUP_DEFINE(struct tunnel_agent, tunnel_agent_free)
/* Another certificate, for connections to come. */
int tunnel_agent_reload(struct tunnel_agent *t, const struct tunnel_agent_opts *o,
                        struct err *err);
bool tunnel_agent_up(const struct tunnel_agent *t);

#endif
