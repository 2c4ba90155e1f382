/* cmd/status_text.h -- the report of `inro status` on one screen. Pure. */
#ifndef CMD_STATUS_TEXT_H
#define CMD_STATUS_TEXT_H

#include "core/base/json.h"
#include "core/base/str.h"

#define STATUS_TEXT_FAILING_MAX 12       /* pods in trouble that are shown */

struct status_look { unsigned width; bool colour; };     /* width 0: lines are not cut */
void status_text(struct buf *out, const struct json *report, const struct status_look *look);

#endif
