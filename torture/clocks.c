/* Clocks that jump, as an LD_PRELOAD library between a server and the C library.
 *
 * CLOCKS_SHIFTS   a file that holds a struct shifts, which clocks.py changes while the server runs.
 *
 * The monotonic clock is left alone: what waits, waits for as long as it should.
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

struct shifts {
    int64_t wall; /* seconds by which the wall clock is ahead of the machine's */
    int64_t steady; /* the same for the clock since the boot: time that the machine seems to have slept */
};

static volatile struct shifts *shifts;
static int (*real_clock_gettime)(clockid_t, struct timespec *);

__attribute__((constructor)) static void begin(void) {
    real_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
    const char *path = getenv("CLOCKS_SHIFTS");
    if (real_clock_gettime == NULL || path == NULL) {
        fprintf(stderr, "clocks: there is no clock_gettime, or no CLOCKS_SHIFTS\n");
        abort();
    }
    int file = open(path, O_RDONLY | O_CLOEXEC);
    void *map = mmap(NULL, sizeof(struct shifts), PROT_READ, MAP_SHARED, file, 0);
    if (map == MAP_FAILED) {
        perror("clocks: CLOCKS_SHIFTS");
        abort();
    }
    shifts = map;
    close(file);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    if (real_clock_gettime == NULL) { /* Another library's constructor comes before ours. */
        real_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
    }
    int result = real_clock_gettime(clock, now);
    if (result == 0 && shifts != NULL) {
        if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) {
            now->tv_sec += shifts->wall;
        } else if (clock == CLOCK_BOOTTIME) {
            now->tv_sec += shifts->steady;
        }
    }
    return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    (void)zone;
    struct timespec precise;
    int result = clock_gettime(CLOCK_REALTIME, &precise);
    now->tv_sec = precise.tv_sec;
    now->tv_usec = precise.tv_nsec / 1000;
    return result;
}

time_t time(time_t *now) {
    struct timespec precise;
    clock_gettime(CLOCK_REALTIME, &precise);
    if (now != NULL) {
        *now = precise.tv_sec;
    }
    return precise.tv_sec;
}
