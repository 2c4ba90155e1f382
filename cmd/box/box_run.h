/* cmd/box/box_run.h -- private to the box: the applets, by file. */
#ifndef CMD_BOX_BOX_RUN_H
#define CMD_BOX_BOX_RUN_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "core/base/err.h"

int box_text_cat(int argc, char **argv);
int box_text_echo(int argc, char **argv);
int box_text_printf(int argc, char **argv);
int box_text_true(int argc, char **argv);
int box_text_false(int argc, char **argv);
int box_text_test(int argc, char **argv);
int box_text_head(int argc, char **argv);
int box_text_tail(int argc, char **argv);
int box_text_wc(int argc, char **argv);
int box_text_grep(int argc, char **argv);
int box_text_seq(int argc, char **argv);

int box_files_ls(int argc, char **argv);
int box_files_mkdir(int argc, char **argv);
int box_files_rm(int argc, char **argv);
int box_files_touch(int argc, char **argv);
int box_files_stat(int argc, char **argv);

int box_sys_sleep(int argc, char **argv);
int box_sys_env(int argc, char **argv);
int box_sys_hostname(int argc, char **argv);
int box_sys_pwd(int argc, char **argv);
int box_sys_date(int argc, char **argv);
int box_sys_id(int argc, char **argv);
int box_sys_ps(int argc, char **argv);
int box_sys_kill(int argc, char **argv);

int box_http(int argc, char **argv);
int box_fetch(int argc, char **argv);
int box_dig(int argc, char **argv);
int box_nc(int argc, char **argv);
int box_tar(int argc, char **argv);
int box_sh(int argc, char **argv);

/* --- box_resolve.c: connections by name */
/* Resolves (/etc/hosts, then the servers of /etc/resolv.conf with search list and ndots) and
 * connects to the first address that answers. Returns the socket. */
int box_dial(const char *host, const char *port, int64_t timeout_ms, struct err *err);

#define BOX_ADDRS_MAX 16
struct box_addrs { struct sockaddr_storage v[BOX_ADDRS_MAX]; size_t n; };
int box_resolve(struct box_addrs *out, const char *host, int64_t timeout_ms, struct err *err);
int64_t box_now_ms(void);

#endif
