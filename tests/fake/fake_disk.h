/* tests/fake/fake_disk.h -- a disk in memory below SQLite, that loses power, fails and fills up by
 * seed.
 *
 *     struct fake_disk *d = fake_disk_new(seed);
 *     fake_disk_cut_after(d, 7);              power fails in the 8th write, sync or truncation
 *     kv_open(&kv, ...); ... kv_close(kv);    from there on every call fails and changes nothing
 *     fake_disk_revive(d, true);              what was synced is there; of the rest some sectors
 *     kv_open(&kv, ...);
 *
 * What is written is seen by readers at once, and is on the medium when its file was synced. When
 * power fails each sector written since may or may not have got there. Files live as long as the
 * disk, whatever opens them. The store looks at its file before SQLite does: an empty real file of
 * the same name must exist.
 *
 * One disk at a time, one thread. It is the default VFS while it lives.
 */
#ifndef TESTS_FAKE_FAKE_DISK_H
#define TESTS_FAKE_FAKE_DISK_H

#include <stdbool.h>
#include <stdint.h>

#define FAKE_DISK_SECTOR 512

struct fake_disk;

struct fake_disk *fake_disk_new(uint64_t seed);
struct fake_disk *fake_disk_free(struct fake_disk *d);

/* The next operation but n (write, sync or truncation) is the last one; it is itself half done. */
void fake_disk_cut_after(struct fake_disk *d, uint64_t n);
/* The next operation but n fails with EIO, once. After a failed sync what was written since the one
 * before may be lost though readers still see it, as with a page cache. */
void fake_disk_fail_after(struct fake_disk *d, uint64_t n);
/* Writes find no room, but in what the file holds already. */
void fake_disk_fill(struct fake_disk *d, bool full);
/* Syncs do nothing and say that they did. */
void fake_disk_lie(struct fake_disk *d, bool lies);

void fake_disk_stop(struct fake_disk *d);              /* every call fails from now on */
/* All faults are over. power: what the medium holds is what there is; else what readers saw, as
 * when only the process died. Nothing may be open. */
void fake_disk_revive(struct fake_disk *d, bool power);
bool fake_disk_is_stopped(const struct fake_disk *d);  /* also by a cut */
uint64_t fake_disk_ops(const struct fake_disk *d);     /* writes, syncs and truncations so far */

#endif
