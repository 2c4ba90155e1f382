/* cmd/selfstat.h -- what the process itself uses, as figures: process_* with Prometheus's names,
 * and kubernetes_build_info.
 *
 * Opened before a role gives its rights away: /proc is out of sight afterwards. What cannot be
 * read is left out. One thread at a time.
 */
#ifndef CMD_SELFSTAT_H
#define CMD_SELFSTAT_H

#include "core/base/str.h"

struct selfstat;
struct selfstat *selfstat_new(void);
struct selfstat *selfstat_free(struct selfstat *s);
CLEANUP_DEFINE(struct selfstat, selfstat_free)
void selfstat_metrics(const struct selfstat *s, struct buf *out);

#endif
