#include "device_memory.h"
#include "emulator.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#define ASAN(...) __VA_ARGS__
#else
#define ASAN(...)
#endif

namespace vr_fake
{

static const size_t RANGE = (size_t)256 << 30, ZONE = 256, PAGE = 4096;
static const char   MARK = (char)0xa5; // a red zone where there is no AddressSanitizer

static size_t rounded(size_t n, size_t to) { return (n + to - 1) / to * to; }

device_memory::~device_memory()
{
    if (!base) return;
    ASAN(__asan_unpoison_memory_region(base, (size_t)(next - base));)
    munmap(base, RANGE);
}

void device_memory::open()
{
    if (opened++ == 0 && next > base && mprotect(base, rounded((size_t)(next - base), PAGE), PROT_READ | PROT_WRITE)) abort();
}
void device_memory::close()
{
    if (--opened == 0 && next > base && mprotect(base, rounded((size_t)(next - base), PAGE), PROT_NONE)) abort();
}

void *device_memory::take(size_t bytes)
{
    if (!base) {
        void *p = mmap(nullptr, RANGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (p == MAP_FAILED) return nullptr;
        base = next = (char *)p;
    }
    const size_t whole = ZONE + rounded(bytes, ZONE) + ZONE;
    if (whole < bytes || whole > RANGE - (size_t)(next - base)) return nullptr;
    char *p = next + ZONE;
    next += whole;
    const int nested = opened;
    opened = 0; // the range has grown
    open();
    if (!zeroed) vr_emu::junk(p, bytes); // fresh pages are zero, and no address is used twice
    memset(p - ZONE, MARK, ZONE);
    memset(p + bytes, MARK, (size_t)(next - (p + bytes)));
    opened += nested;
    close();
    ASAN(__asan_poison_memory_region(p - ZONE, ZONE);)
    ASAN(__asan_poison_memory_region(p + bytes, (size_t)(next - (p + bytes)));)
    live[p] = bytes;
    bytes_used += bytes;
    return p;
}

__attribute__((no_sanitize("address"))) static bool marked(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] != MARK) return false;
    return true;
}

std::string device_memory::give(void *pointer)
{
    char        *p = (char *)pointer;
    const size_t bytes = live[p], whole = rounded(bytes, ZONE);
    std::string  found;
    open();
    if (!marked(p - ZONE, ZONE)) found = "something wrote before an allocation of " + std::to_string(bytes) + " bytes";
    if (!marked(p + bytes, whole + ZONE - bytes))
        found = "something wrote past the end of an allocation of " + std::to_string(bytes) + " bytes";
    close();
    ASAN(__asan_poison_memory_region(p, bytes);)
    char *first = base + rounded((size_t)(p - base), PAGE), *last = base + (size_t)(p + whole - base) / PAGE * PAGE;
    if (first < last) madvise(first, (size_t)(last - first), MADV_DONTNEED);
    bytes_used -= bytes;
    live.erase(p);
    return found;
}

bool   device_memory::owns(const void *p) const { return live.count((char *)p) != 0; }
bool   device_memory::inside(const void *p) const { return base && p >= base && p < next; }
size_t device_memory::room(const void *pointer) const
{
    char *p = (char *)pointer;
    auto  at = live.upper_bound(p);
    if (!inside(p) || at == live.begin()) return 0;
    --at;
    return (size_t)(p - at->first) < at->second ? at->second - (size_t)(p - at->first) : 0;
}

} // namespace vr_fake
