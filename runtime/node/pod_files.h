/* runtime/node/pod_files.h -- the texts of a pod's /etc/hosts, /etc/hostname and /etc/resolv.conf,
 * as kubelet writes them. Pure.
 */
#ifndef RUNTIME_NODE_POD_FILES_H
#define RUNTIME_NODE_POD_FILES_H

#include "gen/views.h"
#include "runtime/node/node_self.h"

#define POD_FILES_NAME_MAX 63            /* a host name is cut here */
#define POD_FILES_SERVERS_MAX 3          /* name servers, as libc reads */
#define POD_FILES_SEARCH_MAX 32
#define POD_FILES_SEARCH_BYTES_MAX 2048

/* The name of the pod's machine: hostnameOverride, hostname or its own; the host's with a host
 * network; the whole one with setHostnameAsFQDN. In the arena. */
const char *pod_files_hostname(struct arena *a, const struct node_conf *conf,
                               const struct pod_view *pod);
/* host_text: the host's own file, for a host network. */
void pod_files_hosts(struct buf *out, const struct node_conf *conf, const struct pod_view *pod,
                     const char *ip, const char *host_text);
/* By dnsPolicy and dnsConfig; host_text: the node's resolv.conf. */
void pod_files_resolv(struct buf *out, const struct node_conf *conf, const struct pod_view *pod,
                      const char *host_text);

#endif
