/* The functions here have default visibility where shared libraries (cJSON, libc) must see them, and hidden where only
 * the loaders should. */
#undef _FORTIFY_SOURCE
#include "faults.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static _Thread_local fault_kind kind;
static _Thread_local long       countdown, live;
static _Thread_local bool       forever_after, hit, interrupted;

void faults_begin(fault_kind k, long n, bool forever)
{
    countdown = n, live = 0, forever_after = forever, hit = false, interrupted = false;
    kind = k;
}

bool faults_end(void)
{
    kind = FAULT_NONE;
    return hit;
}

long faults_live(void) { return live; }

static bool fails(fault_kind k)
{
    if (kind != k) return false;
    long n = countdown--;
    if (n > 0 || (n < 0 && !forever_after)) return false;
    hit = true;
    return true;
}

static bool io_fails(void)
{
    if (!fails(FAULT_IO)) return false;
    errno = EIO;
    return true;
}

/* May this read or write go on, and with how many bytes? */
static bool move_bytes(size_t *n)
{
    if (io_fails()) return false;
    if (kind == FAULT_SHORT && *n > 1) *n = 1;
    if (kind == FAULT_INTERRUPT && (interrupted = !interrupted)) {
        errno = EINTR;
        return false;
    }
    return true;
}

ssize_t pread(int fd, void *to, size_t n, off_t at) { return move_bytes(&n) ? syscall(SYS_pread64, fd, to, n, at) : -1; }
ssize_t write(int fd, const void *from, size_t n) { return move_bytes(&n) ? syscall(SYS_write, fd, from, n) : -1; }
ssize_t pwrite(int fd, const void *from, size_t n, off_t at)
{
    return move_bytes(&n) ? syscall(SYS_pwrite64, fd, from, n, at) : -1;
}
int fsync(int fd) { return io_fails() ? -1 : (int)syscall(SYS_fsync, fd); }
int rename(const char *from, const char *to) { return io_fails() ? -1 : renameat(AT_FDCWD, from, AT_FDCWD, to); }

int fstat(int fd, struct stat *st) { return io_fails() ? -1 : fstatat(fd, "", st, AT_EMPTY_PATH); }

int close(int fd)
{
    int result = (int)syscall(SYS_close, fd); /* it is closed whether or not close fails */
    return io_fails() ? -1 : result;
}

int open(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    int mode = flags & O_CREAT ? va_arg(args, int) : 0;
    va_end(args);
    return io_fails() ? -1 : (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SANITIZED
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED
#endif

#if defined(SANITIZED) || !defined(__GLIBC__)
bool faults_in_malloc(void) { return false; }
#else
bool         faults_in_malloc(void) { return true; }

#define EXPORT __attribute__((visibility("default")))
extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t n);
extern void *__libc_memalign(size_t alignment, size_t n);
extern void  __libc_free(void *p);

static void *counted(void *p)
{
    if (kind == FAULT_MALLOC && p) live++;
    return p;
}

static bool malloc_fails(void)
{
    if (!fails(FAULT_MALLOC)) return false;
    errno = ENOMEM;
    return true;
}

EXPORT void *malloc(size_t n) { return malloc_fails() ? NULL : counted(__libc_malloc(n)); }
EXPORT void *calloc(size_t n, size_t size) { return malloc_fails() ? NULL : counted(__libc_calloc(n, size)); }
EXPORT void *aligned_alloc(size_t alignment, size_t n)
{
    return malloc_fails() ? NULL : counted(__libc_memalign(alignment, n));
}
EXPORT void *realloc(void *p, size_t n)
{
    if (malloc_fails()) return NULL;
    void *moved = __libc_realloc(p, n);
    return p ? moved : counted(moved);
}
EXPORT void free(void *p)
{
    if (kind == FAULT_MALLOC && p) live--;
    __libc_free(p);
}
#endif
