/* net/dns/dns_conn.h -- inside the room: questions over TCP (RFC 7766). Several may be under way on
 * one connection; answers go out as they come. The longest idle one makes room for a new one. */
#ifndef NET_DNS_DNS_CONN_H
#define NET_DNS_DNS_CONN_H

#include "core/base/list.h"
#include "core/loop/loop.h"

#define DNS_CONN_PENDING_MAX 64          /* unanswered questions of one connection; then it waits */
#define DNS_CONN_OUT_BYTES_MAX (256u << 10)      /* unread answers; then it waits */

struct dns_conns;

/* One question that is not answered yet; embed it. */
struct dns_conn_turn { struct list link; struct dns_conn *conn; };

struct dns_conns_opts {
    int fd;                              /* listens; stays the caller's */
    /* A message: answer with dns_conn_send now, or dns_conn_wait and later dns_conn_send. */
    void (*on_message)(void *ctx, struct dns_conn *c, const uint8_t *p, size_t len);
    /* The connection is gone: turn->conn is NULL, no answer is wanted. */
    void (*on_gone)(void *ctx, struct dns_conn_turn *turn);
    void *ctx;
};
int dns_conns_new(struct dns_conns **out, struct loop *l, const struct dns_conns_opts *o,
                  struct err *err);
struct dns_conns *dns_conns_free(struct dns_conns *t);   /* on_gone for every turn */
unsigned dns_conns_len(const struct dns_conns *t);

void dns_conn_wait(struct dns_conn *c, struct dns_conn_turn *turn);
void dns_conn_send(struct dns_conn *c, struct dns_conn_turn *turn, const uint8_t *p, size_t len);

#endif
