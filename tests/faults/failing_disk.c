/* Lets system calls on files fail whose path has a given part: preloaded (LD_PRELOAD) into a server.
 *
 * FAILING_DISK names a file of two lines, which may be replaced (rename) at any time: what fails ("write", "sync",
 * "read", "every write 7", "hang", or nothing) and the part of the paths. It is read again by each call.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

enum kind { WRITE, SYNC, READ };

static int calls;

static ssize_t (*real_pread)(int, void *, size_t, off_t);
static ssize_t (*real_read)(int, void *, size_t);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static ssize_t (*real_write)(int, const void *, size_t);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static int (*real_ftruncate)(int, off_t);

__attribute__((constructor)) static void find(void)
{
    real_pread = dlsym(RTLD_NEXT, "pread");
    real_read = dlsym(RTLD_NEXT, "read");
    real_pwrite = dlsym(RTLD_NEXT, "pwrite");
    real_write = dlsym(RTLD_NEXT, "write");
    real_fsync = dlsym(RTLD_NEXT, "fsync");
    real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    real_ftruncate = dlsym(RTLD_NEXT, "ftruncate");
}

static int fails(int descriptor, enum kind kind)
{
    char said[512], link[64], path[4096];
    const char *control = getenv("FAILING_DISK");
    int every = 0, file = control == NULL ? -1 : open(control, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return 0;
    ssize_t length = real_read(file, said, sizeof said - 1);
    close(file);
    if (length <= 0)
        return 0;
    said[length] = 0;
    char *part = strchr(said, '\n');
    if (part == NULL)
        return 0;
    *part++ = 0;
    part[strcspn(part, "\n")] = 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    length = readlink(link, path, sizeof path - 1);
    if (length <= 0)
        return 0;
    path[length] = 0;
    if (strstr(path, part) == NULL)
        return 0;
    if (strcmp(said, "hang") == 0 && kind == SYNC) {
        struct timespec moment = {0, 50000000};
        nanosleep(&moment, NULL);
        return fails(descriptor, kind);
    }
    if (sscanf(said, "every write %d", &every) == 1)
        return kind != READ && __sync_add_and_fetch(&calls, 1) % every == 0;
    return (kind == WRITE && strcmp(said, "write") == 0) || (kind == SYNC && strcmp(said, "sync") == 0) ||
           (kind == READ && strcmp(said, "read") == 0);
}

#define FAIL(kind)               \
    if (fails(descriptor, kind)) { \
        errno = EIO;             \
        return -1;               \
    }

ssize_t pread(int descriptor, void *to, size_t size, off_t at) { FAIL(READ) return real_pread(descriptor, to, size, at); }
ssize_t pread64(int descriptor, void *to, size_t size, off_t at) { FAIL(READ) return real_pread(descriptor, to, size, at); }
ssize_t read(int descriptor, void *to, size_t size) { FAIL(READ) return real_read(descriptor, to, size); }
ssize_t pwrite(int descriptor, const void *from, size_t size, off_t at) { FAIL(WRITE) return real_pwrite(descriptor, from, size, at); }
ssize_t pwrite64(int descriptor, const void *from, size_t size, off_t at) { FAIL(WRITE) return real_pwrite(descriptor, from, size, at); }
ssize_t write(int descriptor, const void *from, size_t size) { FAIL(WRITE) return real_write(descriptor, from, size); }
int fsync(int descriptor) { FAIL(SYNC) return real_fsync(descriptor); }
int fdatasync(int descriptor) { FAIL(SYNC) return real_fdatasync(descriptor); }
int ftruncate(int descriptor, off_t size) { FAIL(WRITE) return real_ftruncate(descriptor, size); }
int ftruncate64(int descriptor, off_t size) { FAIL(WRITE) return real_ftruncate(descriptor, size); }
