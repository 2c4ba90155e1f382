/* tests/fake/fake_vfs.h -- the disk below SQLite, failing when told. Install it before kv_open. */
#ifndef TESTS_FAKE_FAKE_VFS_H
#define TESTS_FAKE_FAKE_VFS_H

#include <stdatomic.h>

struct fake_vfs {
    atomic_int syncs_left;      /* after this many, xSync fails; < 0: never */
    atomic_int writes_left;     /* after this many, xWrite says that the disk is full; < 0: never */
    atomic_int syncs, writes;   /* counted */
};

/* Becomes the default for files opened from now on; for the rest of the process. One at a time. */
void fake_vfs_install(struct fake_vfs *v);

#endif
