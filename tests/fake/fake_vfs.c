/* fake_vfs.c -- a VFS around the real one. Files are the real ones behind our table of methods. */
#include "tests/fake/fake_vfs.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <string.h>

#include "core/base/check.h"
#include "core/base/mem.h"

struct fake_vfs_file {
    sqlite3_file base;
    struct fake_vfs *v;
    sqlite3_file *real;         /* follows in the same memory */
};

static sqlite3_file *fake_vfs_real(sqlite3_file *f)
{
    return ((struct fake_vfs_file *)f)->real;
}

static bool fake_vfs_fails(atomic_int *left)
{
    int n = atomic_load(left);

    if (n < 0)
        return false;
    if (n > 0)
        atomic_fetch_sub(left, 1);
    return n == 0;
}

static int fake_vfs_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
    struct fake_vfs *v = ((struct fake_vfs_file *)f)->v;

    atomic_fetch_add(&v->writes, 1);
    if (fake_vfs_fails(&v->writes_left))
        return SQLITE_FULL;
    return fake_vfs_real(f)->pMethods->xWrite(fake_vfs_real(f), p, n, at);
}

static int fake_vfs_sync(sqlite3_file *f, int flags)
{
    struct fake_vfs *v = ((struct fake_vfs_file *)f)->v;

    atomic_fetch_add(&v->syncs, 1);
    if (fake_vfs_fails(&v->syncs_left))
        return SQLITE_IOERR_FSYNC;
    return fake_vfs_real(f)->pMethods->xSync(fake_vfs_real(f), flags);
}

static int fake_vfs_close(sqlite3_file *f)
{
    return fake_vfs_real(f)->pMethods->xClose(fake_vfs_real(f));
}

static int fake_vfs_read(sqlite3_file *f, void *p, int n, sqlite3_int64 at)
{
    return fake_vfs_real(f)->pMethods->xRead(fake_vfs_real(f), p, n, at);
}

static int fake_vfs_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    return fake_vfs_real(f)->pMethods->xTruncate(fake_vfs_real(f), size);
}

static int fake_vfs_size(sqlite3_file *f, sqlite3_int64 *size)
{
    return fake_vfs_real(f)->pMethods->xFileSize(fake_vfs_real(f), size);
}

static int fake_vfs_lock(sqlite3_file *f, int lock)
{
    return fake_vfs_real(f)->pMethods->xLock(fake_vfs_real(f), lock);
}

static int fake_vfs_unlock(sqlite3_file *f, int lock)
{
    return fake_vfs_real(f)->pMethods->xUnlock(fake_vfs_real(f), lock);
}

static int fake_vfs_reserved(sqlite3_file *f, int *out)
{
    return fake_vfs_real(f)->pMethods->xCheckReservedLock(fake_vfs_real(f), out);
}

static int fake_vfs_control(sqlite3_file *f, int op, void *arg)
{
    return fake_vfs_real(f)->pMethods->xFileControl(fake_vfs_real(f), op, arg);
}

static int fake_vfs_sector(sqlite3_file *f)
{
    return fake_vfs_real(f)->pMethods->xSectorSize(fake_vfs_real(f));
}

static int fake_vfs_device(sqlite3_file *f)
{
    return fake_vfs_real(f)->pMethods->xDeviceCharacteristics(fake_vfs_real(f));
}

static const sqlite3_io_methods fake_vfs_methods = {
    .iVersion = 1,              /* no shared memory: the store locks its file for itself */
    .xClose = fake_vfs_close,
    .xRead = fake_vfs_read,
    .xWrite = fake_vfs_write,
    .xTruncate = fake_vfs_truncate,
    .xSync = fake_vfs_sync,
    .xFileSize = fake_vfs_size,
    .xLock = fake_vfs_lock,
    .xUnlock = fake_vfs_unlock,
    .xCheckReservedLock = fake_vfs_reserved,
    .xFileControl = fake_vfs_control,
    .xSectorSize = fake_vfs_sector,
    .xDeviceCharacteristics = fake_vfs_device,
};

struct fake_vfs_table { sqlite3_vfs vfs; sqlite3_vfs *real; struct fake_vfs *v; };

static int fake_vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *out)
{
    struct fake_vfs_table *t = vfs->pAppData;
    struct fake_vfs_file *file = (struct fake_vfs_file *)f;
    int rc;

    memset(file, 0, sizeof(*file));
    file->v = t->v;
    file->real = (sqlite3_file *)(file + 1);
    rc = t->real->xOpen(t->real, name, file->real, flags, out);
    if (file->real->pMethods)
        file->base.pMethods = &fake_vfs_methods;
    return rc;
}

void fake_vfs_install(struct fake_vfs *v)
{
    struct fake_vfs_table *t = NEW(struct fake_vfs_table);

    t->real = sqlite3_vfs_find(NULL);
    t->v = v;
    t->vfs = *t->real;
    t->vfs.zName = "fake";
    t->vfs.pNext = NULL;
    t->vfs.szOsFile = (int)sizeof(struct fake_vfs_file) + t->real->szOsFile;
    t->vfs.xOpen = fake_vfs_open;
    t->vfs.pAppData = t;
    check(sqlite3_vfs_register(&t->vfs, 1) == SQLITE_OK);
}
