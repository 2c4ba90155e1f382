/* core/base/log.h -- leveled key=value lines on stderr; the one permitted global. Thread-safe:
 * one write(2) a line. No secret ever goes in here.
 *
 *   log_info("pod started", "pod=%s/%s ms=%d error=%s", ns, name, ms, "not now");
 *   -> I1124 05:03:12.123456 node pod started pod=default/a ms=12 error="not now"
 *   -> {"ts":"...","level":"info","role":"node","msg":"pod started","pod":"default/a","ms":12,...}
 *
 * Details are "key=value" with blanks between; values are put in quotes where they need it. Texts
 * of others come last, as error, err, why, text or message: all that follows is theirs. Or the
 * caller quotes them (why=\"%s\").
 */
#ifndef CORE_BASE_LOG_H
#define CORE_BASE_LOG_H

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR, LOG_LEVEL_MAX };
enum log_format { LOG_TEXT, LOG_JSON };

#define LOG_LINE_BYTES 4096      /* longer lines are cut with "..." */

/* Once, at start, before there are threads. Before it: no role, LOG_INFO, LOG_TEXT. */
void log_setup(const char *role, enum log_level least, enum log_format format);
/* Control characters in the texts are escaped: one call is one line. */
void log_line(enum log_level level, const char *what, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#define log_debug(what, ...) log_line(LOG_DEBUG, (what), __VA_ARGS__)
#define log_info(what, ...)  log_line(LOG_INFO, (what), __VA_ARGS__)
#define log_warn(what, ...)  log_line(LOG_WARN, (what), __VA_ARGS__)
#define log_error(what, ...) log_line(LOG_ERROR, (what), __VA_ARGS__)

#endif
