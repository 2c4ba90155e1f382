/* runtime/node/node_facts.h -- what this machine is and how it fares, from /proc, /sys and /etc.
 * Plain reads of small files, callable from jobs. Missing files give "" and 0. */
#ifndef RUNTIME_NODE_NODE_FACTS_H
#define RUNTIME_NODE_NODE_FACTS_H

#include <stdbool.h>
#include <stdint.h>

#define NODE_FACTS_TEXT 128

struct node_facts {                      /* of the machine: read once */
    char machine_id[NODE_FACTS_TEXT], system_uuid[NODE_FACTS_TEXT], boot_id[NODE_FACTS_TEXT];
    char kernel[NODE_FACTS_TEXT], os_image[NODE_FACTS_TEXT], arch[16], hostname[65];
    unsigned cpus;
    int64_t memory_bytes, swap_bytes, storage_bytes;
    bool has_hugepages_2m, has_hugepages_1g;
    int64_t hugepages_2m_bytes, hugepages_1g_bytes;
};
void node_facts_read(struct node_facts *out, const char *data_dir);

/* What allocatable leaves out: room for the system. */
int64_t node_facts_memory_reserve(const struct node_facts *f);
int64_t node_facts_storage_reserve(const struct node_facts *f);

struct node_pressure { bool memory, disk, pids; };       /* read every ten seconds */
void node_facts_pressure(struct node_pressure *out, const struct node_facts *f,
                         const char *data_dir);

#endif
