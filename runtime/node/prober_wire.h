/* runtime/node/prober_wire.h -- the records between prober.c and node_probe.c.
 *
 *   node -> child   PROBER_ASK: JSON {"id","ms","host","port", and
 *                   "get":{"host","path","scheme","names":[],"values":[]} or "service"}
 *                   PROBER_CANCEL: int64_t id
 *   child -> node   PROBER_ANSWER: struct prober_head and its text: the body of an answer, or what
 *                   went wrong
 */
#ifndef RUNTIME_NODE_PROBER_WIRE_H
#define RUNTIME_NODE_PROBER_WIRE_H

#include "core/loop/imsg.h"

#define PROBER_ARENA_BYTES (1u << 20)    /* of one ask; records are smaller (IMSG_BYTES_MAX) */

enum { PROBER_ASK = IMSG_USER, PROBER_CANCEL, PROBER_ANSWER };

struct prober_head { int64_t id; int32_t failed, status, result; };

#endif
