/* A disk between a server and its files, as an LD_PRELOAD library: it records what is written, and fails on demand.
 *
 * DISK_FOLDER     the folder that is on this disk; what is elsewhere is left alone.
 * DISK_RECORDING  where to record what is written to the file data.mdb, and when it was synced (disk.py has the form).
 * DISK_FAULTS     a file that holds a struct faults, which disk.py changes while the server runs.
 *
 * A write is recorded before it is done, so that a process that is killed in between has not written more than is
 * recorded. A write through a descriptor opened with O_DSYNC is a write and a sync of what it has written. When that
 * sync fails, the page cache has what was written and the disk may or may not, as with fsync.
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind { WRITE = 1, SIZE, SYNC_BEGUN, SYNCED, SYNC_FAILED, RANGE_SYNCED, RANGE_SYNC_FAILED };

#define MAGIC 0x2f7c91d3a58be604

struct record {
    uint64_t magic; /* A process that is killed may leave part of a record, so readers look for the next one. */
    uint32_t kind;
    uint32_t thread;
    uint64_t offset;
    uint64_t length; /* WRITE alone is followed by so many bytes. */
};

enum fault { FAIL_WRITE = 1, FAIL_DURABLE_WRITE = 2, FAIL_SYNC = 4 };

struct faults {
    uint32_t which; /* a set of enum fault */
    uint32_t error; /* errno */
    uint32_t spared; /* calls that are let through first */
    uint32_t left; /* calls that are yet to fail */
    uint32_t partly; /* whether writes that fail do half of their work, like those that meet the end of a disk */
    uint32_t failed; /* how many have failed */
};

static const char *folder;
static int recording = -1;
static volatile struct faults *faults;

static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static ssize_t (*real_writev)(int, const struct iovec *, int);
static int (*real_fdatasync)(int);
static int (*real_fsync)(int);
static int (*real_ftruncate)(int, off_t);

static void *next(const char *name) {
    void *found = dlsym(RTLD_NEXT, name);
    if (found == NULL) {
        fprintf(stderr, "disk: there is no %s\n", name);
        abort();
    }
    return found;
}

__attribute__((constructor)) static void begin(void) {
    real_pwrite = next("pwrite");
    real_writev = next("writev");
    real_fdatasync = next("fdatasync");
    real_fsync = next("fsync");
    real_ftruncate = next("ftruncate");
    folder = getenv("DISK_FOLDER");
    const char *path = getenv("DISK_RECORDING");
    if (path != NULL) {
        recording = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    }
    path = getenv("DISK_FAULTS");
    if (path != NULL) {
        int file = open(path, O_RDWR | O_CLOEXEC);
        void *map = mmap(NULL, sizeof(struct faults), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        if (map == MAP_FAILED) {
            perror("disk: DISK_FAULTS");
            abort();
        }
        faults = map;
        close(file);
    }
}

/* Whether a descriptor is of a file or folder on this disk, and whether that is the one that is recorded. */
static int on_disk(int fd, int *recorded) {
    char link[64], path[PATH_MAX];
    int error = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    errno = error;
    if (length < 0 || folder == NULL || strncmp(path, folder, strlen(folder)) != 0) {
        return 0;
    }
    path[length] = '\0';
    const char *name = strrchr(path, '/');
    *recorded = recording >= 0 && strcmp(name, "/data.mdb") == 0;
    return 1;
}

/* One call, so that records of several processes do not get into each other. */
static void record(enum kind kind, uint64_t offset, uint64_t length, const struct iovec *pieces, int count) {
    struct record head = {MAGIC, kind, (uint32_t)syscall(SYS_gettid), offset, length};
    struct iovec all[count + 1];
    size_t size = sizeof head;
    all[0] = (struct iovec){&head, sizeof head};
    for (int i = 0; i < count; i++) {
        all[i + 1] = pieces[i];
        size += pieces[i].iov_len;
    }
    if (real_writev(recording, all, count + 1) != (ssize_t)size) {
        perror("disk: DISK_RECORDING");
        abort();
    }
}

static int fails(enum fault fault) {
    if (faults == NULL || !(faults->which & fault)) {
        return 0;
    }
    if (faults->spared > 0) {
        __atomic_fetch_sub(&faults->spared, 1, __ATOMIC_SEQ_CST);
        return 0;
    }
    if (faults->left == 0) {
        return 0;
    }
    if (faults->left != UINT32_MAX) {
        __atomic_fetch_sub(&faults->left, 1, __ATOMIC_SEQ_CST);
    }
    __atomic_fetch_add(&faults->failed, 1, __ATOMIC_SEQ_CST);
    return 1;
}

static ssize_t failed(void) {
    errno = (int)faults->error;
    return -1;
}

static int is_durable(int fd) { return (fcntl(fd, F_GETFL) & O_DSYNC) != 0; }

ssize_t pwrite(int fd, const void *data, size_t length, off_t offset) {
    int recorded = 0;
    if (!on_disk(fd, &recorded)) {
        return real_pwrite(fd, data, length, offset);
    }
    int durable = is_durable(fd), failing = fails(durable ? FAIL_DURABLE_WRITE : FAIL_WRITE);
    if (failing && !durable) {
        length = faults->partly ? length / 2 : 0;
        if (length == 0) {
            return failed();
        }
    }
    if (failing && durable && faults->error != EIO) {
        return failed();
    }
    struct iovec piece = {(void *)data, length};
    if (recorded) {
        record(WRITE, (uint64_t)offset, length, &piece, 1);
    }
    ssize_t written = real_pwrite(fd, data, length, offset);
    if (recorded && durable) {
        record(failing ? RANGE_SYNC_FAILED : RANGE_SYNCED, (uint64_t)offset, length, NULL, 0);
    }
    return failing && durable ? failed() : written;
}

ssize_t pwrite64(int fd, const void *data, size_t length, off_t offset) { return pwrite(fd, data, length, offset); }

/* LMDB seeks and then uses this one, for pages that follow each other. */
ssize_t writev(int fd, const struct iovec *pieces, int count) {
    int recorded = 0;
    if (!on_disk(fd, &recorded)) {
        return real_writev(fd, pieces, count);
    }
    if (fails(FAIL_WRITE)) {
        if (!faults->partly || count < 2) {
            return failed();
        }
        count /= 2;
    }
    if (recorded) {
        uint64_t length = 0;
        for (int i = 0; i < count; i++) {
            length += pieces[i].iov_len;
        }
        record(WRITE, (uint64_t)lseek(fd, 0, SEEK_CUR), length, pieces, count);
    }
    return real_writev(fd, pieces, count);
}

static int synced(int fd, int (*real)(int)) {
    int recorded = 0;
    if (!on_disk(fd, &recorded)) {
        return real(fd);
    }
    if (recorded) {
        record(SYNC_BEGUN, 0, 0, NULL, 0);
    }
    int failing = fails(FAIL_SYNC), result = failing ? -1 : real(fd);
    if (recorded) {
        record(result == 0 ? SYNCED : SYNC_FAILED, 0, 0, NULL, 0);
    }
    return failing ? (int)failed() : result;
}

int fdatasync(int fd) { return synced(fd, real_fdatasync); }

int fsync(int fd) { return synced(fd, real_fsync); }

int ftruncate(int fd, off_t length) {
    int recorded = 0;
    if (on_disk(fd, &recorded) && recorded) {
        record(SIZE, 0, (uint64_t)length, NULL, 0);
    }
    return real_ftruncate(fd, length);
}

int ftruncate64(int fd, off_t length) { return ftruncate(fd, length); }
