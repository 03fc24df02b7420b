/* Loaded into a worker (LD_PRELOAD): reads, writes and syncs of its SQLite files end with EIO when they are told to.
 *
 * FAILING_IO names a file of 16 bytes, mapped and shared with the campaign. Its first byte says what fails: 'r' reads,
 * 'w' writes, 't' writes of which the first half still reaches the file, 's' syncs, 0 nothing. The 64-bit number behind
 * the eighth byte counts what failed.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static volatile char *order;

__attribute__((constructor)) static void map_order(void)
{
    const char *name = getenv("FAILING_IO");
    int file = name ? open(name, O_RDWR | O_CLOEXEC) : -1;
    if (file < 0)
        return;
    void *found = mmap(NULL, 16, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (found != MAP_FAILED)
        order = found;
}

/* Whether this call is one of those that fail; `kinds` holds every order that means it. */
static int fails(int file, const char *kinds)
{
    char link[64], path[4096];
    if (!order || !order[0] || !strchr(kinds, order[0]))
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return 0;
    path[length] = 0;
    if (!strstr(path, "/eat.db"))
        return 0;
    __atomic_add_fetch((uint64_t *)(order + 8), 1, __ATOMIC_SEQ_CST);
    return 1;
}

#define REAL(name) static __typeof__(&name) real; if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

#define FAILING_READ(name, offset)                                   \
    ssize_t name(int file, void *to, size_t count, offset at)        \
    {                                                                \
        REAL(name);                                                  \
        if (fails(file, "r"))                                        \
            return errno = EIO, -1;                                  \
        return real(file, to, count, at);                            \
    }

#define FAILING_WRITE(name, offset)                                  \
    ssize_t name(int file, const void *from, size_t count, offset at) \
    {                                                                \
        REAL(name);                                                  \
        if (fails(file, "wt")) {                                     \
            if (order[0] == 't' && real(file, from, count / 2, at) < 0) \
                return -1;                                           \
            return errno = EIO, -1;                                  \
        }                                                            \
        return real(file, from, count, at);                          \
    }

#define FAILING_SYNC(name)                                           \
    int name(int file)                                               \
    {                                                                \
        REAL(name);                                                  \
        if (fails(file, "s"))                                        \
            return errno = EIO, -1;                                  \
        return real(file);                                           \
    }

FAILING_READ(pread, off_t)
FAILING_READ(pread64, off64_t)
FAILING_WRITE(pwrite, off_t)
FAILING_WRITE(pwrite64, off64_t)
FAILING_SYNC(fsync)
FAILING_SYNC(fdatasync)
