/* A disk between a server and its files, as an LD_PRELOAD library: it records what is written, and fails on demand.
 *
 * DISK_FOLDER     the folder that is on this disk; what is elsewhere is left alone.
 * DISK_RECORDING  where to record what is written to a store's files (enum file), and when it was synced; and which other
 *                 files and folders were synced (disk.py has the form).
 * DISK_FAULTS     a file that holds a struct faults, which disk.py changes while the server runs.
 *
 * A write is recorded before it is done, so that a process that is killed in between has not written more than is
 * recorded. A write through a descriptor opened with O_DSYNC is a write and a sync of what it has written. When that
 * sync fails, the page cache has what was written and the disk may or may not, as with fsync. A process that dies of a
 * fault dies before a write or a sync, or between a durable write and its sync.
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

/* Files by their names; those that are made under another name and linked into place are OTHER until they are opened
 * again. */
enum file { ELSEWHERE = 0, DATA = 1, JOURNAL = 2, OTHER = 3 };

enum kind { WRITE = 1, SIZE, SYNC_BEGUN, SYNCED, SYNC_FAILED, RANGE_SYNCED, RANGE_SYNC_FAILED, NAME_SYNCED };

#define MAGIC 0x2f7c91d3a58be604

struct record {
    uint64_t magic; /* A process that is killed may leave part of a record, so readers look for the next one. */
    uint16_t kind;
    uint16_t file;
    uint32_t thread;
    uint64_t offset;
    uint64_t length; /* WRITE and NAME_SYNCED alone are followed by so many bytes; of the latter, they are a path. */
};

enum fault { FAIL_WRITE = 1, FAIL_DURABLE_WRITE = 2, FAIL_SYNC = 4 };

struct faults {
    uint32_t which; /* a set of enum fault */
    uint32_t file; /* the enum file that alone fails; 0 for all that is on this disk */
    uint32_t below; /* writes from this offset on do not fail; 0 for no such offset */
    uint32_t error; /* errno; 0 if the process dies instead, before it can tell anybody */
    uint32_t spared; /* calls that are let through first */
    uint32_t left; /* calls that are yet to fail */
    uint32_t partly; /* whether writes that fail do half of their work, like those that meet the end of a disk */
    uint32_t failed; /* how many have failed */
    uint32_t lost[OTHER + 1]; /* by enum file: how many syncs have failed with EIO */
};

static const char *folder;
static int recording = -1;
static volatile struct faults *faults;
static uint32_t told[OTHER + 1]; /* by enum file: how many of these this process was told of */

static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static ssize_t (*real_writev)(int, const struct iovec *, int);
static int (*real_fdatasync)(int);
static int (*real_fsync)(int);
static int (*real_ftruncate)(int, off_t);
static int (*real_sync_file_range)(int, off_t, off_t, unsigned);

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
    real_sync_file_range = next("sync_file_range");
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
        for (int i = 0; i <= OTHER; i++) {
            told[i] = faults->lost[i];
        }
    }
}

static ssize_t path_of(int fd, char *path, size_t size) {
    char link[64];
    int error = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, size - 1);
    errno = error;
    return length;
}

static enum file file_of(int fd) {
    char path[PATH_MAX];
    ssize_t length = path_of(fd, path, sizeof path);
    if (length < 0 || folder == NULL || strncmp(path, folder, strlen(folder)) != 0) {
        return ELSEWHERE;
    }
    path[length] = '\0';
    const char *name = strrchr(path, '/');
    return strcmp(name, "/data.mdb") == 0 ? DATA : strcmp(name, "/journal") == 0 ? JOURNAL : OTHER;
}

static int is_recorded(enum file file) { return recording >= 0 && (file == DATA || file == JOURNAL); }

/* One call, so that records of several processes do not get into each other. */
static void record(
    enum file file, enum kind kind, off_t offset, size_t length, const struct iovec *pieces, int count
) {
    struct record head = {MAGIC, kind, file, (uint32_t)syscall(SYS_gettid), (uint64_t)offset, length};
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

static int fails(enum fault fault, enum file file, off_t offset) {
    if (faults == NULL || !(faults->which & fault) || (faults->file != 0 && faults->file != file)
        || (faults->below != 0 && offset >= (off_t)faults->below)) {
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
    if (faults->error == 0) {
        kill(getpid(), SIGKILL);
    }
    errno = (int)faults->error;
    return -1;
}

/* What becomes of a sync. One that is told to fail loses what it should have written. The next by each other process is
 * told of that, as the kernel tells all who have the file open: it has written what it should, but not surely to the
 * disk, where the next one has it be. */
enum outcome { HOLDS, LOSES, IS_TOLD };

/* Who dies of a sync does so here. */
static enum outcome outcome_of_sync(int is_told_to, enum file file) {
    if (is_told_to) {
        failed();
        if (errno == EIO) {
            told[file] = __atomic_add_fetch(&faults->lost[file], 1, __ATOMIC_SEQ_CST);
        }
        return LOSES;
    }
    if (faults == NULL || told[file] == faults->lost[file]) {
        return HOLDS;
    }
    told[file] = faults->lost[file];
    return IS_TOLD;
}

static int is_durable(int fd) { return (fcntl(fd, F_GETFL) & O_DSYNC) != 0; }

ssize_t pwrite(int fd, const void *data, size_t length, off_t offset) {
    enum file file = file_of(fd);
    if (file == ELSEWHERE) {
        return real_pwrite(fd, data, length, offset);
    }
    int durable = is_durable(fd), failing = fails(durable ? FAIL_DURABLE_WRITE : FAIL_WRITE, file, offset);
    int is_written_first = durable && (faults == NULL || faults->error == EIO || faults->error == 0);
    if (failing && !is_written_first) {
        length = faults->partly ? length / 2 : 0;
        if (length == 0) {
            return failed();
        }
        failing = 0; /* What is written is written, and the caller is told how much that is. */
    }
    struct iovec piece = {(void *)data, length};
    if (is_recorded(file)) {
        record(file, WRITE, offset, length, &piece, 1);
    }
    ssize_t written = real_pwrite(fd, data, length, offset);
    if (!durable) {
        return written;
    }
    enum outcome outcome = outcome_of_sync(failing, file);
    if (is_recorded(file) && outcome != IS_TOLD) {
        record(file, outcome == LOSES ? RANGE_SYNC_FAILED : RANGE_SYNCED, offset, length, NULL, 0);
    }
    if (outcome == IS_TOLD) {
        errno = EIO;
    }
    return outcome == HOLDS ? written : -1;
}

ssize_t pwrite64(int fd, const void *data, size_t length, off_t offset) { return pwrite(fd, data, length, offset); }

/* LMDB seeks and then uses this one, for pages that follow each other. */
ssize_t writev(int fd, const struct iovec *pieces, int count) {
    enum file file = file_of(fd);
    if (file == ELSEWHERE) {
        return real_writev(fd, pieces, count);
    }
    off_t offset = lseek(fd, 0, SEEK_CUR);
    if (fails(FAIL_WRITE, file, offset)) {
        if (!faults->partly || count < 2) {
            return failed();
        }
        count /= 2;
    }
    if (is_recorded(file)) {
        size_t length = 0;
        for (int i = 0; i < count; i++) {
            length += pieces[i].iov_len;
        }
        record(file, WRITE, offset, length, pieces, count);
    }
    return real_writev(fd, pieces, count);
}

static int synced(int fd, int (*real)(int)) {
    enum file file = file_of(fd);
    if (file == ELSEWHERE) {
        return real(fd);
    }
    if (is_recorded(file)) {
        record(file, SYNC_BEGUN, 0, 0, NULL, 0);
    }
    enum outcome outcome = outcome_of_sync(fails(FAIL_SYNC, file, 0), file);
    int result = outcome == LOSES ? -1 : real(fd);
    if (is_recorded(file) && outcome != IS_TOLD) {
        record(file, result == 0 ? SYNCED : SYNC_FAILED, 0, 0, NULL, 0);
    }
    if (file == OTHER && recording >= 0 && outcome == HOLDS && result == 0) {
        char path[PATH_MAX];
        ssize_t length = path_of(fd, path, sizeof path);
        struct iovec piece = {path, length < 0 ? 0 : (size_t)length};
        record(file, NAME_SYNCED, 0, piece.iov_len, &piece, 1);
    }
    if (outcome == IS_TOLD) {
        errno = EIO;
        result = -1;
    }
    return result;
}

int fdatasync(int fd) { return synced(fd, real_fdatasync); }

int fsync(int fd) { return synced(fd, real_fsync); }

/* What this has written is not sure to be on the disk: a sync must follow. What it could not write is lost as with one. */
int sync_file_range(int fd, off_t offset, off_t length, unsigned flags) {
    enum file file = file_of(fd);
    enum outcome outcome = file == ELSEWHERE ? HOLDS : outcome_of_sync(fails(FAIL_SYNC, file, offset), file);
    int error = outcome == IS_TOLD ? EIO : errno;
    if (outcome == LOSES && is_recorded(file)) {
        record(file, RANGE_SYNC_FAILED, offset, (size_t)length, NULL, 0);
    }
    if (outcome == HOLDS) {
        return real_sync_file_range(fd, offset, length, flags);
    }
    errno = error;
    return -1;
}

int ftruncate(int fd, off_t length) {
    enum file file = file_of(fd);
    if (file != ELSEWHERE && fails(FAIL_WRITE, file, length)) {
        return (int)failed();
    }
    if (is_recorded(file)) {
        record(file, SIZE, 0, (size_t)length, NULL, 0);
    }
    return real_ftruncate(fd, length);
}

int ftruncate64(int fd, off_t length) { return ftruncate(fd, length); }
